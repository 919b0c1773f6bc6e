//go:build unix

package program

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
)

// A file of another user.
type foreign struct {
	fs.FileInfo
	sys any
}

func (f foreign) Sys() any { return f.sys }

func TestOwners(t *testing.T) {
	for _, test := range []struct {
		owner any
		want  string
	}{
		{&syscall.Stat_t{Uid: 0}, ""},
		{&syscall.Stat_t{Uid: uint32(os.Geteuid())}, ""},
		{&syscall.Stat_t{Uid: uint32(os.Geteuid()) + 1}, "/srv/x belongs to user"},
		{nil, "does not tell the owner"},
	} {
		err := checkOwner("/srv/x", foreign{sys: test.owner})
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.owner, err, test.want)
		}
	}
}

// The file that was checked is executed, even if it is replaced in between.
func TestAFileIsReplacedBeforeTheStart(t *testing.T) {
	if executable(os.Stdin) == os.Stdin.Name() {
		t.Skip("this system executes a file by its name")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"good": "#!/bin/sh\necho good\n", "other": "#!/bin/sh\necho other\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file, failed := openProgram(dir, "good")
	if failed != nil {
		t.Fatal(failed)
	}
	defer file.Close()
	if err := os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, "good")); err != nil {
		t.Fatal(err)
	}
	var out, diagnostics bytes.Buffer
	p, err := startProcess(file, dir, nil, nil, &out, &diagnostics)
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if ok, how := p.end(false); !ok || out.String() != "good\n" {
		t.Errorf("%s, %q, %q", how, &out, &diagnostics)
	}
}

// Calls that wait for a place get it in their order.
func TestPlacesAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Folder{places: make(chan struct{}, 1), closing: make(chan struct{})}
		if err := f.take(context.Background()); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			go func() {
				if err := f.take(context.Background()); err != nil {
					t.Error(err)
				}
				order = append(order, i)
				<-f.places
			}()
			synctest.Wait()
		}
		<-f.places
		synctest.Wait()
		if len(order) != 5 || !slices.IsSorted(order) {
			t.Errorf("the order is %v", order)
		}
	})
}

// A call whose id waits for a place waits for the same start.
func TestTheSameIDWaits(t *testing.T) {
	f := &Folder{calls: map[string]*execution{"1": {started: make(chan struct{})}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &dispatch.Call{ID: "1"}
	if p, err := f.Start(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := f.Follow(t.Context(), c); err != nil || p.State != journal.StateUnknown {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestOldResultsAreForgotten(t *testing.T) {
	now := time.Unix(0, 0)
	f := &Folder{options: Options{Now: func() time.Time { return now }}, calls: make(map[string]*execution)}
	ended := make(chan struct{})
	close(ended)
	f.calls["running"] = &execution{ended: make(chan struct{})}
	for i := range maxKept {
		f.calls[string(rune('a'+i))] = &execution{ended: ended, at: now.Add(time.Duration(i))}
	}
	if f.forgetLocked(); len(f.calls) != maxKept || f.calls["a"] != nil || f.calls["b"] == nil {
		t.Errorf("%d are kept, with the oldest: %v", len(f.calls), f.calls["a"] != nil)
	}
	now = now.Add(keepTime + time.Second)
	if f.forgetLocked(); len(f.calls) != 1 || f.calls["running"] == nil {
		t.Errorf("%d are kept", len(f.calls))
	}
}
