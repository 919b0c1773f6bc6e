package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An accessKey is what a client signs with.
type accessKey struct {
	ID     string `json:"AccessKeyId"`
	Secret string `json:"AccessKeySecret"`
}

// A service is a running "chatconf serve" on a data directory and the store of the run.
type service struct {
	t        *testing.T
	data     string
	endpoint string // host and port
	key      accessKey
	cmd      *exec.Cmd
	stdout   *output
	stderr   *output
	ended    chan struct{} // closed when the process has ended
}

// serve starts a service on a new data directory, with settings in the environment.
func serve(t *testing.T, env ...string) *service {
	t.Helper()
	return serveOn(t, filepath.Join(t.TempDir(), "data"), env...)
}

// serveCrowd starts a service that many are going to write to at once, or that platforms call, who
// do not wait as long as moto may take.
func serveCrowd(t *testing.T, env ...string) *service {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	crowds.Store(data, true)
	return serveOn(t, data, env...)
}

// serveOn starts a service on a data directory and waits until it listens. The service is killed at
// the end of the test at the latest.
func serveOn(t *testing.T, data string, env ...string) *service {
	t.Helper()
	c := serveCommand(data, env...)
	makeTables(t, data, c.env)
	return c.serve(t, data)
}

// serve starts the service that a command is of, on a data directory.
func (c command) serve(t *testing.T, data string) *service {
	t.Helper()
	s := c.start(t, data)
	s.awaitEndpoint()
	s.readKey()
	return s
}

// start starts a process that is killed at the end of the test at the latest.
func (c command) start(t *testing.T, data string) *service {
	t.Helper()
	s := &service{t: t, data: data, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	s.cmd = exec.Command(chatconf, c.args...)
	s.cmd.Env = append(cleanEnviron(t), c.env...)
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.kill()
		reportCrash(t, s.stderr.String())
	})
	return s
}

// listening matches all that serve prints when it is ready, up to its last line.
var listening = regexp.MustCompile(`(?s)^chatconf listens on http://(127\.0\.0\.1:\d+)\n.* env .*\)"\n\n$`)

func (s *service) awaitEndpoint() {
	s.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		if m := listening.FindStringSubmatch(s.stdout.String()); m != nil {
			s.endpoint = m[1]
			return
		}
		select {
		case <-s.stdout.written:
		case <-s.ended:
			s.t.Fatalf("serve ended with exit code %d:\n%s%s", s.cmd.ProcessState.ExitCode(), s.stdout, s.stderr)
		case <-limit:
			s.t.Fatalf("serve does not listen:\n%s%s", s.stdout, s.stderr)
		}
	}
}

func (s *service) readKey() {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data, "access-key.json"))
	if err == nil {
		err = json.Unmarshal(text, &s.key)
	}
	if err != nil || s.key.ID == "" || s.key.Secret == "" {
		s.t.Fatalf("access-key.json: %v", err)
	}
}

// stop ends the service as a person does, with SIGTERM, and asks for exit code 0.
func (s *service) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	s.awaitEnd(10 * time.Second)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Fatalf("serve ended with exit code %d:\n%s", code, s.stderr)
	}
}

// kill ends the service as a power cut does, with SIGKILL, and waits until it is gone.
func (s *service) kill() {
	s.cmd.Process.Kill()
	<-s.ended
}

func (s *service) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) awaitEnd(within time.Duration) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(within):
		s.t.Fatalf("serve did not end within %v:\n%s", within, s.stderr)
	}
}

// restart starts a service on the data of one that has ended.
func (s *service) restart(env ...string) *service {
	s.t.Helper()
	return serveOn(s.t, s.data, env...)
}

// check stops the service and asks for a clean "chatconf check" that prints each of some texts.
func (s *service) check(want ...string) {
	s.t.Helper()
	s.stop()
	c := checkCommand(s.t, s.data)
	out := c.run(s.t).ok(s.t)
	for _, text := range want {
		if !strings.Contains(out, text) {
			s.t.Errorf("check printed %q, want it to have %q", out, text)
		}
	}
}

// createKey makes an access key while the service is stopped. It opens the file.
func createKey(t *testing.T, data, name string, args ...string) accessKey {
	t.Helper()
	out := run(t, append([]string{"keys", "create", "--data", data, "-o", "json", "--name", name}, args...)...).ok(t)
	var key accessKey
	if err := json.Unmarshal([]byte(out), &key); err != nil || key.ID == "" || key.Secret == "" {
		t.Fatalf("keys create printed %q: %v", out, err)
	}
	return key
}

// createKeyWith makes an access key with a policy.
func createKeyWith(t *testing.T, data, name, policy string) accessKey {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return createKey(t, data, name, "--policy", file)
}

// newData returns a data directory that a service was started on once, for keys to be made in.
func newData(t *testing.T, env ...string) string {
	t.Helper()
	s := serve(t, env...)
	s.stop()
	return s.data
}

// requestLog returns the log line of each request so far, and asks every line of the log to be a
// JSON object.
func (s *service) requestLog() []map[string]any {
	s.t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(s.stderr.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			s.t.Errorf("log line is not JSON: %s", line)
		}
		if text, ok := entry["line"].(string); ok && entry["stream"] == "stderr" { // of a function
			entry = nil
			if err := json.Unmarshal([]byte(text), &entry); err != nil {
				s.t.Errorf("a function's log line is not JSON: %s", text)
			}
		}
		if entry["msg"] == "request" {
			lines = append(lines, entry)
		}
	}
	return lines
}

// An output collects what a process writes.
type output struct {
	written chan struct{} // holds a value after a write that was not looked at

	mu  sync.Mutex
	buf bytes.Buffer
}

func newOutput() *output { return &output{written: make(chan struct{}, 1)} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.buf.Write(p)
	o.mu.Unlock()
	select {
	case o.written <- struct{}{}:
	default:
	}
	return len(p), nil
}

// String returns what was written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
