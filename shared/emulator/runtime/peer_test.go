//go:build linux

package runtime_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

// puppetOf returns this program as a function.
func puppetOf(t *testing.T, task string) runtime.Function {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return runtime.Function{Name: "hello", Kind: runtime.FC, Dir: filepath.Dir(program), Binary: filepath.Base(program),
		Env: map[string]string{"PUPPET": task}}
}

// A safe is a buffer for concurrent use.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Another process on this machine gets nothing from a runtime API; the function's own process is
// still served.
func TestOnlyTheProcessSpeaksToItsAPI(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		j, log := newJournal(), new(safe)
		f := puppetOf(t, "yes")
		f.Kind = kind
		h := runtime.RunT(t, runtime.Options{Log: j.log, Logger: slog.New(slog.NewTextHandler(log, nil))}, f)
		call := start(t, t.Context(), h, []byte(`{}`))
		api := "http://" + j.wait(t, "api ")
		base := map[runtime.Kind]string{runtime.FC: fcBase, runtime.Lambda: lambdaBase}[kind]
		for _, request := range []struct{ method, path string }{
			{"GET", base + "invocation/next"}, {"POST", base + "invocation/x/response"}, {"POST", base + "init/error"},
			{"POST", "/2020-01-01/extension/register"}, {"GET", "/"},
		} {
			r, err := http.NewRequest(request.method, api+request.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true
			if resp, err := http.DefaultClient.Do(r); err == nil {
				body, _ := io.ReadAll(resp.Body)
				t.Errorf("%s %s of a stranger = %s %v %s", request.method, request.path, resp.Status, resp.Header, body)
			}
		}
		if got := strings.Count(log.String(), "a connection to the runtime API was refused"); got != 5 ||
			strings.Contains(log.String(), "not checked") {
			t.Errorf("%d connections were refused, want 5; the log says\n%s", got, log)
		}
		select {
		case <-call.done:
			t.Errorf("the invocation ended: %+v, %v", call.r, call.err)
		default:
		}
	})
}

// A function may let child processes in its process group work. A process outside the group is
// refused, whatever started it.
func TestProcessesOfAFunction(t *testing.T) {
	t.Run("of its group", func(t *testing.T) {
		h := runtime.RunT(t, runtime.Options{}, puppetOf(t, "grandchild"))
		if r := start(t, t.Context(), h, []byte(`{}`)).result(); r.Failure != runtime.Answered ||
			string(r.Payload) != `"from another process"` {
			t.Errorf("the invocation ended with %q, %s", r.Failure, r.Payload)
		}
	})
	t.Run("of another group", func(t *testing.T) {
		j := newJournal()
		h := runtime.RunT(t, runtime.Options{Log: j.log}, puppetOf(t, "stranger"))
		start(t, t.Context(), h, []byte(`{}`))
		j.wait(t, "refused")
	})
}

// pair returns both ends of a loopback connection.
func pair(t *testing.T, dial func(l *net.TCPListener) (net.Conn, error)) (server, client net.Conn) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = dial(l); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

func dialUsual(l *net.TCPListener) (net.Conn, error) { return net.Dial("tcp4", l.Addr().String()) }

// dialMapped connects from a socket of version 6, as Java does.
func dialMapped(l *net.TCPListener) (net.Conn, error) {
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	to := syscall.SockaddrInet6{Port: l.Addr().(*net.TCPAddr).Port,
		Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
	if err := syscall.Connect(fd, &to); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

func TestCheckPeer(t *testing.T) {
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	for name, dial := range map[string]func(*net.TCPListener) (net.Conn, error){"version 4": dialUsual,
		"version 6": dialMapped} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t, dial)
			theirs, ours := netip.MustParseAddrPort(server.RemoteAddr().String()),
				netip.MustParseAddrPort(server.LocalAddr().String())
			found4, err4 := runtime.FindSocket("/proc/net/tcp", theirs, ours)
			found6, err6 := runtime.FindSocket("/proc/net/tcp6", theirs, ours)
			if err4 != nil || err6 != nil || (found4 == 0) == (found6 == 0) {
				t.Errorf("the socket is %d (%v) and %d (%v) in the tables; want it in one", found4, err4, found6, err6)
			}
			if err := runtime.CheckPeer(server, os.Getpid()); err != nil {
				t.Errorf("of this process: %v", err)
			}
			if err := runtime.CheckPeer(server, syscall.Getpgrp()); err != nil {
				t.Errorf("of a process of this group: %v", err)
			}
			for about, pid := range map[string]int{"of another process": other.Process.Pid, "of no process": 1 << 30} {
				if err := runtime.CheckPeer(server, pid); !errors.Is(err, runtime.ErrStranger) {
					t.Errorf("%s: %v, want a stranger", about, err)
				}
			}
			client.Close()
			eventually(t, "a closed socket has no owner", func() bool {
				return errors.Is(runtime.CheckPeer(server, os.Getpid()), runtime.ErrStranger)
			})
		})
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	if err := runtime.CheckPeer(ours, os.Getpid()); !errors.Is(err, runtime.ErrUnknownPeer) {
		t.Errorf("a connection without TCP: %v, want unknown", err)
	}
	if _, err := runtime.FindSocket(filepath.Join(t.TempDir(), "none"), netip.AddrPort{},
		netip.AddrPort{}); err == nil {
		t.Error("a table that is not there has sockets")
	}
}

// hang asks the API for work on a new connection, and ends it when the API waits for work. It
// returns when the API has noticed.
func hang(t *testing.T, p *puppet, path string, end func(net.Conn)) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: api\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the API waits for work", func() bool { return p.host.Stats("hello").Idle == 1 })
	end(c)
	eventually(t, "the API notices the end", func() bool { return p.host.Stats("hello").Idle == 0 })
}

// An invocation for a dead connection is offered again, and the next connection that asks gets it.
func TestDeadConnectionsGetNoInvocation(t *testing.T) {
	closed := func(c net.Conn) { c.Close() }
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }
	for kind, base := range map[runtime.Kind]string{runtime.FC: fcBase, runtime.Lambda: lambdaBase} {
		for name, end := range map[string]func(net.Conn){"closed": closed, "reset": reset} {
			t.Run(kind.String()+" "+name, func(t *testing.T) {
				p := newPuppet(t, runtime.Function{Kind: kind, Limit: 1},
					runtime.Options{Clock: newClock(), NewID: counter()}, `"first"`)
				if _, body := p.do("GET", base+"invocation/next", ""); body != `"first"` {
					t.Fatalf("next = %s", body)
				}
				p.do("POST", base+"invocation/id-1/response", `1`)
				p.call.result()
				for range 3 {
					hang(t, p, base+"invocation/next", end)
				}
				second := start(t, t.Context(), p.host, []byte(`"second"`))
				resp, body := p.do("GET", base+"invocation/next", "")
				if body != `"second"` {
					t.Fatalf("next = %s %s", resp.Status, body)
				}
				p.do("POST", base+"invocation/id-2/response", `2`)
				if r := second.result(); r.Failure != runtime.Answered || string(r.Payload) != `2` {
					t.Errorf("the invocation ended with %q, %s", r.Failure, r.Payload)
				}
				third := start(t, t.Context(), p.host, []byte(`"third"`))
				if _, body := p.do("GET", base+"invocation/next", ""); body != `"third"` {
					t.Errorf("next = %s", body)
				}
				p.do("POST", base+"invocation/id-3/response", `3`)
				if r := third.result(); string(r.Payload) != `3` {
					t.Errorf("the invocation ended with %q, %s", r.Failure, r.Payload)
				}
			})
		}
	}
}

// counter returns ids that count up.
func counter() func(runtime.Kind) string {
	var mu sync.Mutex
	n := 0
	return func(runtime.Kind) string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprint("id-", n)
	}
}

// A connection that breaks while an invocation is written to it did not receive it.
func TestAConnectionThatBreaksGotNoInvocation(t *testing.T) {
	for kind, base := range map[runtime.Kind]string{runtime.FC: fcBase, runtime.Lambda: lambdaBase} {
		t.Run(kind.String(), func(t *testing.T) {
			large := `"` + strings.Repeat("x", 5<<20) + `"`
			p := newPuppet(t, runtime.Function{Kind: kind, Limit: 1}, runtime.Options{NewID: counter()}, large)
			c, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "GET "+base+"invocation/next HTTP/1.1\r\nHost: api\r\n\r\n")
			if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil { // writing has begun
				t.Fatal(err)
			}
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
			resp, body := p.do("GET", base+"invocation/next", "")
			if body != large {
				t.Fatalf("next = %s, %d bytes", resp.Status, len(body))
			}
			p.do("POST", base+"invocation/id-1/response", `1`)
			if r := p.call.result(); r.Failure != runtime.Answered || string(r.Payload) != `1` ||
				r.Report.Failure != runtime.Answered {
				t.Errorf("the invocation ended with %q, %s", r.Failure, r.Payload)
			}
		})
	}
}

// If a process does not ask again, another one is started for the invocation, and the first is
// stopped after its init timeout.
func TestAProcessThatDoesNotAskAgain(t *testing.T) {
	c := newClock()
	p := newPuppet(t, runtime.Function{Kind: runtime.FC, Limit: 2, InitTimeout: 7 * time.Second},
		runtime.Options{Clock: c, NewID: counter()}, `"first"`)
	if _, body := p.do("GET", fcBase+"invocation/next", ""); body != `"first"` {
		t.Fatalf("next = %s", body)
	}
	p.do("POST", fcBase+"invocation/id-1/response", `1`)
	p.call.result()
	hang(t, p, fcBase+"invocation/next", func(c net.Conn) { c.Close() })
	start(t, t.Context(), p.host, []byte(`"second"`))
	eventually(t, "another process is started", func() bool { return p.host.Stats("hello").Started == 2 })
	eventually(t, "both processes have a timer", func() bool { return c.timersAt(7*time.Second) == 2 })
	// the second process, which never asks, exceeds its init timeout, and the invocation fails
	c.advance(7 * time.Second)
	eventually(t, "no process is left", func() bool { return p.host.Stats("hello").Processes == 0 })
}
