package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for about, c := range map[string]struct {
		typed     string
		asks, yes bool
		want      string // what the error says; empty: none
		usage     bool
	}{
		"yes":                          {typed: "y\n", asks: true},
		"the whole word":               {typed: " YES \n", asks: true},
		"no":                           {typed: "n\n", asks: true, want: "nothing was changed"},
		"only the key":                 {typed: "\n", asks: true, want: "nothing was changed"},
		"another word":                 {typed: "yesterday\n", asks: true, want: "nothing was changed"},
		"the end of input":             {asks: true, want: "nothing was changed"},
		"nobody to ask":                {want: "add --yes", usage: true},
		"nobody to ask, and the flag":  {yes: true},
		"somebody to ask and the flag": {asks: true, yes: true},
	} {
		var out bytes.Buffer
		v := &verb{in: bufio.NewReader(strings.NewReader(c.typed)), messages: &out, asks: c.asks}
		err := v.confirm(t.Context(), "Go \x1b on?", c.yes)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) ||
			isUsage(err) != c.usage {
			t.Errorf("%s: %v", about, err)
		}
		if asked := out.String() == "Go \ufffd on? [y/N] "; asked != (c.asks && !c.yes) {
			t.Errorf("%s: asked %q", about, out.String())
		}
	}
	broken := errors.New("planted")
	v := &verb{in: bufio.NewReader(failing{broken}), messages: io.Discard, asks: true}
	if err := v.confirm(t.Context(), "Go on?", false); !errors.Is(err, broken) {
		t.Errorf("input that cannot be read: %v", err)
	}
	// Ctrl-C while the question is open.
	ctx, stop := context.WithCancel(t.Context())
	silent, _ := io.Pipe()
	v = &verb{in: bufio.NewReader(silent), messages: stopper(stop), asks: true}
	if err := v.confirm(ctx, "Go on?", false); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	v = &verb{messages: failing{broken}, asks: true}
	if err := v.confirm(t.Context(), "Go on?", false); !errors.Is(err, broken) {
		t.Errorf("output that cannot be written: %v", err)
	}
}

// A stopper ends a context when it is written to.
type stopper func()

func (s stopper) Write(p []byte) (int, error) { s(); return len(p), nil }

// A failing stream fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestPrintTable(t *testing.T) {
	var out bytes.Buffer
	err := printTable(&out, []string{"NAME", "WHY"}, [][]string{{"ops", ""},
		{"a long name", "two\nlines\x1b[0m\tand tabs"}})
	want := "NAME         WHY\nops          -\na long name  two lines\ufffd[0m and tabs\n"
	if err != nil || out.String() != want {
		t.Errorf("printed %q, %v, want %q", out.String(), err, want)
	}
	broken := errors.New("planted")
	if err := printTable(failing{broken}, []string{"NAME"}, nil); !errors.Is(err, broken) {
		t.Errorf("output that cannot be written: %v", err)
	}
}

// Every verb has the flags of a verb, and completes names from the service. A service that cannot
// be reached, or refuses the key, completes nothing.
func TestCompleteNames(t *testing.T) {
	at, _ := newSendService(t)
	for _, name := range []string{"ops", "ops-eu", "dev"} {
		create(t, at, name, "DingTalk", "")
	}
	complete := func(args ...string) string {
		t.Helper()
		out, err := completeLine(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, cmd := range newRoot().Commands() {
		// some complete other things
		if cmd.Flags().Lookup("region") == nil || cmd.Flags().Lookup("endpoint") == nil ||
			slices.Contains([]string{"send", "export", "apply", "who-can", "can", "console"}, cmd.Name()) {
			continue
		}
		name := cmd.Name()
		if got := complete(append(append([]string{name}, at...), "op")...); got != "ops\nops-eu\n:4\n" {
			t.Errorf("%s op: %q", name, got)
		}
		if got := complete(append(append([]string{name}, at...), "")...); got != "dev\nops\nops-eu\n:4\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, args := range [][]string{
		append(append([]string{"log"}, at...), "--access-key-id", "a", "--access-key-secret", "b", "op"),
		{"log", "--endpoint", "http://127.0.0.1:1", "--access-key-id", "a", "--access-key-secret", "b", "op"},
		{"log", "--endpoint", "ftp://x", "op"},
	} {
		if got := complete(args...); got != ":4\n" {
			t.Errorf("%q: %q", args, got)
		}
	}
}

// completeLine returns what the shell gets for a command line that is being typed.
func completeLine(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{"__complete"}, args...))
	root.SetOut(&out)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}
