//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// A terminal is a pseudo-terminal with a person in front of it.
// https://man7.org/linux/man-pages/man4/pts.4.html
type terminal struct {
	inside *os.File // what the program has as its input and output
	person *os.File
	mu     sync.Mutex
	shown  bytes.Buffer
	wants  map[string]string // answers by the prompt, with | between those to the same prompt
	done   chan struct{}
	sees   func(shown string) // if not nil, after each text that is shown
}

// newTerminal returns a terminal whose person answers prompts. An answer that begins with hidden:
// is typed when the terminal does not show it.
func newTerminal(t *testing.T, answers map[string]string) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var n, unlocked uint32
	for request, arg := range map[uintptr]*uint32{syscall.TIOCGPTN: &n, syscall.TIOCSPTLCK: &unlocked} {
		_, _, code := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(arg)))
		if code != 0 {
			t.Fatal(code)
		}
	}
	inside, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := &terminal{inside: inside, person: person, wants: answers, done: make(chan struct{})}
	t.Cleanup(func() { inside.Close(); person.Close() })
	return out
}

// watch reads what is shown, and answers prompts.
func (p *terminal) watch() {
	defer close(p.done)
	buffer := make([]byte, 4096)
	seen := 0
	for {
		n, err := p.person.Read(buffer)
		p.mu.Lock()
		p.shown.Write(buffer[:n])
		for again := true; again; {
			again = false
			text := p.shown.String()[seen:]
			first, prompt := len(text), ""
			for want := range p.wants {
				if i := strings.Index(text, want); i >= 0 && i < first {
					first, prompt = i, want
				}
			}
			if prompt != "" {
				seen += first + len(prompt)
				answer, rest, more := strings.Cut(p.wants[prompt], "|")
				if p.wants[prompt] = rest; !more {
					delete(p.wants, prompt)
				}
				typed, hidden := strings.CutPrefix(answer, "hidden:")
				for hidden && p.echoes() { // a person waits, too
				}
				io.WriteString(p.person, typed+"\n")
				again = true
			}
		}
		if p.sees != nil {
			p.sees(p.shown.String())
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// echoes reports whether the terminal shows what is typed.
func (p *terminal) echoes() bool {
	var state syscall.Termios
	_, _, code := syscall.Syscall(syscall.SYS_IOCTL, p.person.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&state)))
	return code == 0 && state.Lflag&syscall.ECHO != 0
}

// run runs the tool on the terminal and returns what the person sees.
func (p *terminal) run(t *testing.T, args ...string) (screen string, err error) {
	t.Helper()
	return p.runUntil(t.Context(), args...)
}

// runUntil is run with a context.
func (p *terminal) runUntil(ctx context.Context, args ...string) (screen string, err error) {
	go p.watch()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(p.inside)
	root.SetOut(p.inside)
	root.SetErr(p.inside)
	err = root.ExecuteContext(ctx)
	p.inside.Close()
	<-p.done
	return strings.ReplaceAll(p.shown.String(), "\r\n", "\n"), err
}

// colored makes the codes of colors readable.
var colored = regexp.MustCompile("\x1b\\[([0-9]+)m")

func onTerminal(t *testing.T, answers map[string]string, args ...string) (string, error) {
	t.Helper()
	out, err := newTerminal(t, answers).run(t, args...)
	return colored.ReplaceAllString(out, "<$1>"), err
}

// Colors are for a terminal whose person wants them.
func TestColors(t *testing.T) {
	at := edited(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	diff := append([]string{"diff", "ops"}, at...)
	got, err := onTerminal(t, nil, diff...)
	if err != nil || !strings.Contains(got, "\nStatus\n<31>  - Active<0>\n<32>  + Inactive<0>\n") {
		t.Errorf("diff: %v, %s", err, got)
	}
	list := append([]string{"history", "ops"}, at...)
	if got, err := onTerminal(t, nil, list...); err != nil ||
		!strings.HasPrefix(got, "<1>REVISION<0>  <1>DATE (UTC)<0>") {
		t.Errorf("history: %v, %s", err, got)
	}
	for name, value := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if got, err := onTerminal(t, nil, diff...); err != nil || strings.Contains(got, "<") {
				t.Errorf("diff: %v, %s", err, got)
			}
		})
	}
	if got := mustRun(t, diff...); strings.Contains(got, "\x1b") {
		t.Errorf("in a pipe: %q", got)
	}
}
