package scratch_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"chatconf/shared/scratch"
)

// in returns the names in a folder.
func in(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAFolderLivesUntilItIsRemoved(t *testing.T) {
	dir := t.TempDir()
	f, err := scratch.New(dir, "x-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(f.Path(), "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	scratch.Sweep(dir, "x-")
	if got := in(t, f.Path()); len(got) != 1 {
		t.Errorf("a folder in use has %q", got)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if got := in(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if f, err := scratch.New(filepath.Join(dir, "missing"), "x-"); err == nil {
		t.Errorf("a folder in a missing one: %s", f.Path())
	}
	scratch.Sweep(filepath.Join(dir, "missing"), "x-")
}

func TestTheSystemsFolderIsTheDefault(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f, err := scratch.New("", "x-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Remove()
	if filepath.Dir(f.Path()) != dir {
		t.Errorf("the folder is %s", f.Path())
	}
	left(t, dir, "x-left")
	scratch.Sweep("", "x-")
	if got := in(t, dir); locks && len(got) != 1 {
		t.Errorf("there are %q", got)
	}
}

// locks says that this system has locks that end with their process.
var locks = slices.Contains([]string{"darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd"}, runtime.GOOS)

// left makes a folder as a killed process leaves it behind.
func left(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, name, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyFoldersOfThePrefixAreSwept(t *testing.T) {
	if !locks {
		t.Skip("nothing is swept")
	}
	dir := t.TempDir()
	left(t, dir, "x-left")
	left(t, dir, "y-left")
	if err := os.Symlink("y-left", filepath.Join(dir, "x-link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x-file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	scratch.Sweep(dir, "x-")
	if got, want := in(t, dir), []string{"x-file", "x-link", "y-left"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	if got := in(t, filepath.Join(dir, "y-left")); len(got) != 1 {
		t.Errorf("behind the link there are %q", got)
	}
}

func TestFoldersOfOthersAreKept(t *testing.T) {
	if !locks || os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	dir := t.TempDir()
	left(t, dir, "x-left")
	if err := os.Chown(filepath.Join(dir, "x-left"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	scratch.Sweep(dir, "x-")
	if got := in(t, dir); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
}

// Whatever the order of their steps, a new folder is not swept.
func TestNewWhileOthersSweep(t *testing.T) {
	dir := t.TempDir()
	done := make(chan struct{})
	var sweepers, makers sync.WaitGroup
	sweepers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				scratch.Sweep(dir, "x-")
			}
		}
	})
	for range 4 {
		makers.Go(func() {
			for range 50 {
				f, err := scratch.New(dir, "x-")
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(f.Path(), "inside"), nil, 0o600); err != nil {
					t.Errorf("a folder in use: %v", err)
				}
				if err := f.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	makers.Wait()
	close(done)
	sweepers.Wait()
}
