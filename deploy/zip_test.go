package deploy_test

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/deploy"
)

// A zip says nothing of when and where it was made, and unpacks to a program that can be run.
func TestZip(t *testing.T) {
	program := bytes.Repeat([]byte("not really a program\n"), 10_000)
	first, err := deploy.Zip("bootstrap", program)
	if err != nil {
		t.Fatal(err)
	}
	second, err := deploy.Zip("bootstrap", program)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("two zips of one program differ, %v", err)
	}
	r, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil || len(r.File) != 1 {
		t.Fatalf("%d files, %v, want 1", len(r.File), err)
	}
	f := r.File[0]
	if got, want := f.Name, "bootstrap"; got != want {
		t.Errorf("name = %q, want %q", got, want)
	}
	if got, want := f.Mode(), fs.FileMode(0o755); got != want {
		t.Errorf("mode = %v, want %v", got, want)
	}
	if got, want := f.Modified.UTC(), time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("modified = %v, want %v", got, want)
	}
	in, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, program) {
		t.Errorf("what was unpacked is not the program, %v", err)
	}
	if _, err := deploy.Zip("../escape\x00"+string(make([]byte, 1<<16)), program); err == nil {
		t.Error("a name longer than a zip can hold was taken")
	}
}

// `make zips` leaves a zip of a function for every cloud, with a program for the machine that runs
// it there, and the same once more from another folder, by somebody who builds for newer machines
// otherwise. (That every function can be built for every target is tested beside them.)
func TestBuildsAreReproducible(t *testing.T) {
	some := []string{"api", "get-chat-configuration"}
	one := copied(t, "..")
	other := copied(t, one)
	first := build(t, one, some)
	for _, name := range some {
		checkProgram(t, "fc/"+name+".zip", first, elf.EM_X86_64)
		checkProgram(t, "lambda/"+name+".zip", first, elf.EM_AARCH64)
		checkProgram(t, "lambda/amd64/"+name+".zip", first, elf.EM_X86_64)
	}
	second := build(t, other, some, "GOAMD64=v3", "GOARM64=v9.0") // which the clouds' machines need not have
	if got, want := len(first)+len(second), 2*3*len(some); got != want {
		t.Errorf("%d zips, want %d", got, want)
	}
	for path := range second {
		if !bytes.Equal(first[path], second[path]) {
			t.Errorf("%s is another the second time", path)
		}
	}
}

// copied returns a copy of what is built, in a folder of its own.
func copied(t *testing.T, from string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "Makefile", "deploy", "functions", "shared"} {
		if out, err := exec.Command("cp", "-R", filepath.Join(from, name), root).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return root
}

// build runs `make zips` of functions on the source in root, with more of an environment, and
// returns the zips, by path in dist.
func build(t *testing.T, root string, functions []string, env ...string) map[string][]byte {
	t.Helper()
	cmd := exec.Command("make", "zips", "FUNCTIONS=./functions/"+strings.Join(functions, " ./functions/"))
	cmd.Dir = root
	// not what the test itself was started with
	cmd.Env = append(append(os.Environ(), "MAKEFLAGS=", "GOFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make zips: %v\n%s", err, out)
	}
	zips := make(map[string][]byte)
	dist := os.DirFS(filepath.Join(root, "dist"))
	err := fs.WalkDir(dist, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".zip" {
			return err
		}
		zips[path], err = fs.ReadFile(dist, path)
		return err
	})
	if err != nil || len(zips) == 0 {
		t.Fatalf("%d zips, %v", len(zips), err)
	}
	return zips
}

// checkProgram checks what is in a zip.
func checkProgram(t *testing.T, path string, zips map[string][]byte, machine elf.Machine) {
	t.Helper()
	text := zips[path]
	r, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil || len(r.File) != 1 {
		t.Errorf("%s: %v", path, err)
		return
	}
	name := "bootstrap"
	if filepath.Dir(path) == "fc" {
		name = "main"
	}
	in, err := r.File[0].Open()
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	defer in.Close()
	program, err := io.ReadAll(in)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	e, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	libraries, err := e.ImportedLibraries()
	got := fmt.Sprint(r.File[0].Name, " ", r.File[0].Mode(), " ", e.Machine, " ", len(libraries), " libraries")
	if want := fmt.Sprint(name, " -rwxr-xr-x ", machine, " 0 libraries"); got != want || err != nil {
		t.Errorf("%s holds %s, %v, want %s", path, got, err, want)
	}
}
