//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asTool makes this test's binary the tool.
const asTool = "CHATCONF_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		os.Unsetenv(asTool)
		main()
		os.Exit(0)
	}
	completeTimeout = time.Minute // on a busy machine a completion would be empty
	os.Exit(m.Run())
}

// A lines is what a process wrote.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startWith64Files starts the tool in a process that may have 64 files open, and returns where it
// listens and what it logs. end ends it by SIGTERM.
func startWith64Files(t *testing.T, args ...string) (address string, log *lines, end func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log = new(lines)
	c := exec.Command("sh", append([]string{"-c", `ulimit -n 64 && exec "$0" "$@"`, self}, args...)...)
	c.Env = []string{asTool + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	c.Stderr = log
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		c.Process.Signal(syscall.SIGTERM)
		go io.Copy(io.Discard, out)
		if err := c.Wait(); err != nil {
			t.Errorf("the process ended with %v:\n%s", err, log)
		}
	}
	t.Cleanup(end)
	said, err := bufio.NewReader(out).ReadString('\n')
	found := regexp.MustCompile(`http://(\S+)`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("it said %q, %v\n%s", said, err, log)
	}
	return found[1], log, end
}

// connect opens n connections and writes text to each. They stay open to the end of the test, as
// far as that is theirs to say.
func connect(t *testing.T, address string, n int, text string) {
	t.Helper()
	for range n {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, text)
	}
}

// askWithin makes one request on a connection of its own, within the time that the strictest
// platform waits.
func askWithin(t *testing.T, method, url, body string) int {
	t.Helper()
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Errorf("%s %s: %v", method, url, err)
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// With 64 files, those who hold a hundred connections do not keep others out: neither by silence,
// nor by a head that does not end, nor by a body of which a byte comes now and then.
func TestHeldConnectionsLockNobodyOut(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		path   string
		status int // of an unsigned POST
	}{
		"serve": {[]string{"serve", "--addr", "127.0.0.1:0"}, "/", http.StatusBadRequest},
		"ots":   {[]string{"ots", "--addr", "127.0.0.1:0"}, "/ListTable", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			address, log, end := startWith64Files(t, append(test.args, "--data", t.TempDir())...)
			for _, held := range []struct{ name, text string }{
				{"silent", ""},
				{"a head that does not end", "POST / HTTP/1.1\r\nHost: example.com\r\nX-"},
				{"a body that trickles", "POST " + test.path +
					" HTTP/1.1\r\nHost: example.com\r\nContent-Type: " +
					"application/json\r\nContent-Length: 100000\r\n\r\nx"},
				{"kept alive", "GET /healthz HTTP/1.1\r\nHost: example.com\r\n\r\n"},
			} {
				connect(t, address, 100, held.text)
				for range 3 {
					if got := askWithin(t, http.MethodPost, "http://"+address+test.path, "{}"); got != test.status &&
						got != http.StatusBadRequest {
						t.Errorf("beside a hundred connections, %s: status %d, want %d", held.name, got, test.status)
					}
				}
			}
			end()
			if strings.Contains(log.String(), "panic") {
				t.Errorf("the log says\n%s", log)
			}
			most := max(60, 2*(int(time.Since(began)/time.Second)+2)) // two lines a second
			if n := strings.Count(log.String(), "an idle connection was closed"); n < 1 || n > most {
				t.Errorf("the log has %d lines on idle connections, want at most %d:\n%.2000s", n, most, log)
			}
		})
	}
}

// Equal refusals are a line at once, and then a line with their number; none is lost.
func TestManyRefusalsAreFewLines(t *testing.T) {
	address, log, end := startWith64Files(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	const n = 500
	began := time.Now()
	client := &http.Client{Timeout: 10 * time.Second}
	for i := range n {
		for _, path := range []string{"/?Action=GetChatConfiguration&Signature=x",
			fmt.Sprintf("/webhook/1/cn-hangzhou/bot-%d/token", i)} {
			resp, err := client.Post("http://"+address+path, "application/x-www-form-urlencoded",
				strings.NewReader(fmt.Sprintf("a%d=b", i)))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%s: %s", path, resp.Status)
			}
		}
	}
	most := 2 * 2 * (int(time.Since(began)/time.Second) + 2) // two lines a second for each kind
	end()
	counted, written := map[string]int{}, 0
	for line := range strings.Lines(log.String()) {
		var l struct {
			Msg        string
			Code       string
			Step       string
			FollowedBy *int `json:"followed_by"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		written++
		if l.FollowedBy != nil {
			counted[l.Msg] += *l.FollowedBy
		} else {
			counted[l.Msg]++
		}
	}
	if counted["request"] != n || counted["callback"] != n || written > most {
		t.Errorf("%d lines, want at most %d; counted %v, want %d of each:\n%.2000s", written, most, counted, n, log)
	}
}
