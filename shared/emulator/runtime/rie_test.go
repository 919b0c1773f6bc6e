package runtime_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/emulator/runtime"
)

// An official is a Lambda function under AWS's own emulator, the program aws-lambda-rie.
type official struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
	out *lockedBuffer
}

// A lockedBuffer collects the output of a running process.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newOfficial starts AWS's emulator around a function. The test is skipped if the emulator is not
// installed.
func newOfficial(t *testing.T, f runtime.Function) *official {
	t.Helper()
	program, err := exec.LookPath("aws-lambda-rie")
	if err != nil {
		if os.Getenv("CHATCONF_REQUIRE_EXTERNAL") != "" {
			t.Fatal("aws-lambda-rie is not in PATH; make peers installs it")
		}
		t.Skip("aws-lambda-rie, AWS's own runtime emulator, is not in PATH; make peers installs it")
	}
	var addrs [2]string
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = l.Addr().String()
		defer l.Close()
	}
	o := &official{t: t, url: "http://" + addrs[0] + "/2015-03-31/functions/function/invocations",
		out: new(lockedBuffer)}
	o.cmd = exec.Command(program, "--runtime-interface-emulator-address", addrs[0], "--runtime-api-address", addrs[1],
		filepath.Join(f.Dir, "bootstrap"))
	o.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_FUNCTION_TIMEOUT=2", "AWS_LAMBDA_FUNCTION_NAME=" +
		f.Name}
	for name, value := range f.Env {
		o.cmd.Env = append(o.cmd.Env, name+"="+value)
	}
	o.cmd.Stdout, o.cmd.Stderr = o.out, o.out
	t.Cleanup(func() {
		if o.cmd.Process != nil {
			o.cmd.Process.Kill()
			o.cmd.Wait()
		}
	})
	return o
}

// start is separate from newOfficial, so that the addresses are free again.
func (o *official) start() *official {
	o.t.Helper()
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	address := strings.Split(o.url, "/")[2]
	eventually(o.t, "AWS's emulator listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return o
}

// invoke returns the emulator's answer.
func (o *official) invoke(event string) string {
	o.t.Helper()
	resp, err := http.Post(o.url, "application/json", strings.NewReader(event))
	if err != nil {
		o.t.Fatalf("%v\n%s", err, o.out)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(body)
}

// A function gives the same answers under AWS's emulator and ours.
func TestAWSsEmulatorAnswersTheSame(t *testing.T) {
	f := hello(t, runtime.Lambda)
	official := newOfficial(t, f).start()
	ours := runtime.RunT(t, runtime.Options{}, f)
	queue, err := ours.Event("hello", runtime.SQS, runtime.Message{ID: "m1", Body: []byte(`{"a":1}`)},
		runtime.Message{ID: "m2", Body: []byte("text")})
	if err != nil {
		t.Fatal(err)
	}
	timer, err := ours.Event("hello", runtime.Timer, runtime.Message{Body: []byte(`{"do":"echo"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{
		`{}`, `{"do":"echo","arg":"ä"}`, `[1,2]`, `{"do":"big","size":100000}`, `{"do":"error","arg":"on purpose"}`,
		string(queue), string(timer),
		`{"do":"length","arg":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		if got, want := string(invoke(t, ours, event).Payload), official.invoke(event); got != want {
			t.Errorf("%.100s: ours is %.200s, AWS's %.200s", event, got, want)
		}
	}
	modes := map[string]string{"typed": `{"Name":"Ada","Age":36}`, "error": `{}`, "nothing": `{}`,
		"queue": string(queue), "gateway": `{"rawPath":"/a","body":"b"}`}
	for mode, event := range modes {
		f := program(t, "awssdk", mode)
		official, ours := newOfficial(t, f).start(), runtime.RunT(t, runtime.Options{}, f)
		if got, want := string(invoke(t, ours, event).Payload), official.invoke(event); got != want {
			t.Errorf("%s: ours is %.200s, AWS's %.200s", mode, got, want)
		}
	}
}

// Under AWS's emulator a function with an extension receives SIGTERM at a timeout, and the emulator
// continues.
func TestAWSsEmulatorSendsSIGTERM(t *testing.T) {
	for _, asked := range []bool{true, false} {
		notes := filepath.Join(t.TempDir(), "notes")
		f, g := hello(t, runtime.Lambda, "HELLO_NOTES", notes), newGate(t)
		if asked {
			f.Env["HELLO_TERM"] = "yes"
		}
		official := newOfficial(t, f).start()
		answer := make(chan string, 1)
		go func() { answer <- official.invoke(string(g.payload())) }()
		_, release := g.arrived()
		defer release()
		if got := <-answer; got != "Task timed out after 2.00 seconds" {
			t.Errorf("answer = %s", got)
		}
		if asked {
			eventually(t, "the process notes SIGTERM", func() bool {
				got,
					_ := os.ReadFile(notes)
				return string(got) == "SIGTERM\n"
			})
		}
		if got := official.invoke(`{}`); got != `"hello"` {
			t.Errorf("afterwards: %s\n%s", got, official.out)
		}
		if _, err := os.Stat(notes); asked != (err == nil) {
			t.Errorf("asked %t: notes: %v", asked, err)
		}
	}
}
