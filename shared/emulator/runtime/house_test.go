package runtime_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

// kinds are the runtimes. Most tests run on both.
var kinds = []runtime.Kind{runtime.FC, runtime.Lambda}

func each(t *testing.T, do func(t *testing.T, kind runtime.Kind)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) { do(t, kind) })
	}
}

// programs are the functions of the tests, built once, as for a deployment.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	// this program is a function that lets another process ask for work
	if task := os.Getenv("PUPPET"); task == "grandchild" || task == "stranger" {
		leave(task)
	} else if task == "ask" {
		ask()
		os.Exit(0)
	}
	if os.Getenv("PUPPET") != "" { // this program is a function; its test calls the API
		fmt.Println("api " + os.Getenv("FC_RUNTIME_API") + os.Getenv("AWS_LAMBDA_RUNTIME_API"))
		select {}
	}
	if dir := os.Getenv("HOST"); dir != "" { // this program is a host that its test kills
		h := runtime.New(runtime.Options{})
		if err := h.Add(runtime.Function{Name: "hello", Kind: runtime.Lambda, Dir: dir}); err != nil {
			panic(err)
		}
		r, err := h.Invoke(context.Background(), "hello", runtime.Request{Payload: []byte(`{"do":"about"}`)})
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n", r.Payload)
		select {}
	}
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// leave starts this program again, in its own session, to ask for work as a foreign process.
func leave(task string) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "PUPPET=ask")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: task == "stranger"}
	if err := c.Run(); err != nil {
		fmt.Println(err)
	}
	select {}
}

// ask takes one invocation and answers it.
func ask() {
	base := "http://" + os.Getenv("FC_RUNTIME_API") + fcBase + "invocation/"
	resp, err := http.Get(base + "next")
	if err != nil {
		fmt.Println("refused")
		return
	}
	resp, err = http.Post(base+resp.Header.Get("X-Fc-Request-Id")+"/response", "application/json",
		strings.NewReader(`"from another process"`))
	fmt.Println(resp, err)
}

// build returns the parent folder of the built programs.
func build(t testing.TB) string {
	t.Helper()
	dir, err := buildAll()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// buildAll builds the programs once, and returns the parent of their folders.
func buildAll() (string, error) {
	programs.once.Do(func() {
		sources, err := filepath.Glob("testdata/*/*.go")
		if err != nil || len(sources) != 6 {
			programs.err = fmt.Errorf("the programs' sources are %q: %w", sources, err)
			return
		}
		// so that the test cache notices changes
		for _, path := range append(sources, "../../../go.mod") {
			if _, programs.err = os.ReadFile(path); programs.err != nil {
				return
			}
		}
		if programs.dir, programs.err = os.MkdirTemp("", "programs-"); programs.err != nil {
			return
		}
		for folder, binary := range map[string]string{"fc": "main", "fchttp": "main", "fcsdk": "main",
			"lambda": "bootstrap", "awssdk": "bootstrap"} {
			cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w",
				"-o", filepath.Join(programs.dir, folder, binary), "./testdata/"+folder)
			// without the flags of the test, such as -race
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
			if out, err := cmd.CombinedOutput(); err != nil {
				programs.err = fmt.Errorf("build %s: %w\n%s", folder, err, out)
				return
			}
		}
	})
	return programs.dir, programs.err
}

// hello returns the function hello for a runtime, with environment variables as pairs of name and
// value.
func hello(t testing.TB, kind runtime.Kind, env ...string) runtime.Function {
	t.Helper()
	f := runtime.Function{Name: "hello", Kind: kind, Dir: filepath.Join(build(t), kind.String()),
		Env: map[string]string{}}
	for i := 0; i+1 < len(env); i += 2 {
		f.Env[env[i]] = env[i+1]
	}
	return f
}

// program returns the function of another program of testdata, in a mode.
func program(t testing.TB, folder, mode string) runtime.Function {
	t.Helper()
	kind := runtime.FC
	if folder == "awssdk" {
		kind = runtime.Lambda
	}
	return runtime.Function{Name: "hello", Kind: kind, Dir: filepath.Join(build(t), folder),
		Env: map[string]string{"MODE": mode}}
}

// A clock stands still until a test moves it.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*timer
}

type timer struct {
	at   time.Time
	do   func()
	done bool
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) AfterFunc(d time.Duration, do func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{at: c.now.Add(d), do: do}
	c.timers = append(c.timers, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := t.done
		t.done = true
		return !was
	}
}

// advance moves the clock and runs the timers that are due.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []func()
	c.timers = slices.DeleteFunc(c.timers, func(t *timer) bool {
		if !t.done && !t.at.After(c.now) {
			t.done = true
			due = append(due, t.do)
		}
		return t.done
	})
	c.mu.Unlock()
	for _, do := range due {
		do()
	}
}

// expect waits for a timer that ends d from now, and moves the clock there.
func (c *clock) expect(t testing.TB, d time.Duration) {
	t.Helper()
	eventually(t, "a timer is set for "+d.String(), func() bool { return c.timersAt(d) > 0 })
	c.advance(d)
}

// timersAt returns the number of timers that end d from now.
func (c *clock) timersAt(d time.Duration) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		if !t.done && t.at.Equal(c.now.Add(d)) {
			n++
		}
	}
	return n
}

// A journal is the log of a host.
type journal struct {
	mu    sync.Mutex
	lines []runtime.Line
	more  chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{}, 1)} }

func (j *journal) log(l runtime.Line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, l)
	select {
	case j.more <- struct{}{}:
	default:
	}
}

// of returns the lines of a request.
func (j *journal) of(id string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []string
	for _, l := range j.lines {
		if l.RequestID == id {
			out = append(out, l.Text)
		}
	}
	return out
}

// wait waits for a line with a prefix, and returns the rest of it.
func (j *journal) wait(t testing.TB, prefix string) string {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		j.mu.Lock()
		for _, l := range j.lines {
			if rest, ok := strings.CutPrefix(l.Text, prefix); ok {
				j.mu.Unlock()
				return rest
			}
		}
		j.mu.Unlock()
		select {
		case <-j.more:
		case <-limit:
			t.Fatalf("no line begins with %q", prefix)
		}
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !is(); stdruntime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// A gate blocks functions until a test releases them.
type gate struct {
	t testing.TB
	l net.Listener
}

func newGate(t testing.TB) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &gate{t: t, l: l}
}

// payload makes an invocation wait at the gate.
func (g *gate) payload() []byte {
	return []byte(fmt.Sprintf(`{"do":"wait","arg":%q}`, g.l.Addr()))
}

// arrived waits for a function, and returns its process and a function that releases it.
func (g *gate) arrived() (pid int, release func()) {
	g.t.Helper()
	conn, err := g.l.Accept()
	if err != nil {
		g.t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		g.t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return pid, func() { conn.Close() }
}

// alive reports whether a process exists.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// invoke calls hello and fails the test if the call is refused.
func invoke(t testing.TB, h *runtime.Host, payload string) *runtime.Result {
	t.Helper()
	r, err := h.Invoke(t.Context(), "hello", runtime.Request{Payload: []byte(payload)})
	if err != nil {
		t.Fatalf("Invoke(%s): %v", payload, err)
	}
	return r
}

// about returns hello's description of its process.
func about(t testing.TB, h *runtime.Host) (out struct {
	PID   int
	Dir   string
	Env   []string
	Left  int
	Procs int
}) {
	t.Helper()
	r := invoke(t, h, `{"do":"about"}`)
	if err := json.Unmarshal(r.Payload, &out); err != nil || r.Failure != runtime.Answered {
		t.Fatalf("about: %s %s: %v", r.Failure, r.Payload, err)
	}
	return out
}

// A started is an invocation in progress.
type started struct {
	t    testing.TB
	done chan struct{}
	r    *runtime.Result
	err  error
}

func start(t testing.TB, ctx context.Context, h *runtime.Host, payload []byte) *started {
	s := &started{t: t, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.r, s.err = h.Invoke(ctx, "hello", runtime.Request{Payload: payload})
	}()
	return s
}

// result waits for the end of the invocation.
func (s *started) result() *runtime.Result {
	s.t.Helper()
	<-s.done
	if s.err != nil {
		s.t.Fatal(s.err)
	}
	return s.r
}

// document parses the cloud's error.
func document(t testing.TB, r *runtime.Result) (d struct {
	ErrorMessage, ErrorType string
	StackTrace              []any
}) {
	t.Helper()
	if err := json.Unmarshal(r.Payload, &d); err != nil {
		t.Fatalf("%s is no error document: %v", r.Payload, err)
	}
	return d
}
