package runtime_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

func TestKinds(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		if got, err := runtime.ParseKind(kind.String()); got != kind || err != nil {
			t.Errorf("ParseKind(%q) = %v, %v", kind.String(), got, err)
		}
	})
	if _, err := runtime.ParseKind("azure"); err == nil {
		t.Error("ParseKind knows azure")
	}
	if got, want := runtime.Kind(9).String(), "Kind(9)"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

func TestFunctionsThatAreNone(t *testing.T) {
	dir := build(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := runtime.Function{Name: "hello", Kind: runtime.Lambda, Dir: filepath.Join(dir, "lambda")}
	h := runtime.RunT(t, runtime.Options{}, good)
	for _, test := range []struct {
		name   string
		change func(*runtime.Function)
	}{
		{"the same name again", func(f *runtime.Function) { f.Name = "hello" }},
		{"no name", func(f *runtime.Function) { f.Name = "" }},
		{"a name that is a path", func(f *runtime.Function) { f.Name = "a/b" }},
		{"no kind", func(f *runtime.Function) { f.Kind = 0 }},
		{"no code", func(f *runtime.Function) { f.Dir = "" }},
		{"code twice", func(f *runtime.Function) { f.Zip = "x.zip" }},
		{"a folder that is not there", func(f *runtime.Function) { f.Dir += "x" }},
		{"a binary that is not there", func(f *runtime.Function) { f.Binary = "main" }},
		{"a binary elsewhere", func(f *runtime.Function) { f.Binary = "../fc/main" }},
		{"a binary that is a folder", func(f *runtime.Function) { f.Dir, f.Binary = dir, "lambda" }},
		{"a binary that cannot be executed", func(f *runtime.Function) { f.Dir, f.Binary = dir, "file" }},
		{"an initializer on Lambda", func(f *runtime.Function) { f.Initializer = true }},
		{"an API Gateway on FC", func(f *runtime.Function) {
			f.Kind, f.Gateway, f.Dir = runtime.FC, true,
				filepath.Join(dir, "fc")
		}},
		{"a time that is negative", func(f *runtime.Function) { f.Timeout = -1 }},
		{"a zip file that is not there", func(f *runtime.Function) { f.Dir, f.Zip = "", file+"x" }},
		{"an invalid zip file", func(f *runtime.Function) { f.Dir, f.Zip = "", file }},
	} {
		f := good
		f.Name = "other"
		test.change(&f)
		if err := h.Add(f); err == nil {
			t.Errorf("%s: was added", test.name)
		}
	}
	functions := h.Functions()
	if len(functions) != 1 {
		t.Fatalf("functions = %v", functions)
	}
	f := functions[0]
	if f.Binary != "bootstrap" || f.Timeout != 3*time.Second || f.Memory != 128 || f.Limit != 16 || f.Retries != 2 ||
		f.Region != "us-east-1" {
		t.Errorf("defaults = %+v", f)
	}
}

func TestFunctionsAreListedByName(t *testing.T) {
	h := runtime.New(runtime.Options{})
	for _, name := range []string{"b", "c", "a"} {
		f := hello(t, runtime.FC)
		f.Name = name
		if err := h.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, f := range h.Functions() {
		names = append(names, f.Name)
	}
	if got, want := strings.Join(names, ""), "abc"; got != want {
		t.Errorf("functions = %s, want %s", got, want)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// An entry is a file of an archive.
type entry struct {
	name string
	mode fs.FileMode
	text []byte
}

func archive(t *testing.T, entries ...entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Store}
		header.SetMode(e.mode)
		out, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// liar returns an archive with a file of five bytes and a false size.
func liar(t *testing.T, size uint64) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	out, err := w.CreateRaw(&zip.FileHeader{Name: "bootstrap", Method: zip.Store, UncompressedSize64: size,
		CompressedSize64: 5})
	if err != nil {
		t.Fatal(err)
	}
	out.Write([]byte("hello"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "liar.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFunctionInAZipFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	each(t, func(t *testing.T, kind runtime.Kind) {
		binary := map[runtime.Kind]string{runtime.FC: "main", runtime.Lambda: "bootstrap"}[kind]
		program, err := os.ReadFile(filepath.Join(build(t), kind.String(), binary))
		if err != nil {
			t.Fatal(err)
		}
		path := archive(t, entry{binary, 0o755, program}, entry{"data/", fs.ModeDir | 0o755, nil},
			entry{"data/x.json", 0o444, []byte("{}")})
		h := runtime.New(runtime.Options{})
		if err := h.Add(runtime.Function{Name: "hello", Kind: kind, Zip: path}); err != nil {
			t.Fatal(err)
		}
		got := about(t, h)
		if text, err := os.ReadFile(filepath.Join(got.Dir, "data/x.json")); err != nil || string(text) != "{}" {
			t.Errorf("the data of the function: %q, %v", text, err)
		}
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(got.Dir); !os.IsNotExist(err) {
			t.Errorf("the unpacked files are still there: %v", err)
		}
	})
}

func TestZipFilesThatAreRefused(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	h := runtime.RunT(t, runtime.Options{})
	program := entry{"bootstrap", 0o755, []byte("program")}
	for i, test := range []struct {
		name, want string
		entries    []entry
	}{
		{"a program that cannot be executed", "cannot be executed", []entry{{"bootstrap", 0o644, nil}}},
		{"no program", "has no top-level program", []entry{{"main", 0o755, nil}}},
		{"a name that leads out", "outside the archive", []entry{program, {"../x", 0o644, nil}}},
		{"a name from the root", "outside the archive", []entry{program, {"/x", 0o644, nil}}},
		{"a link", "neither a file nor a folder", []entry{program,
			{"x", fs.ModeSymlink | 0o777, []byte("/etc/passwd")}}},
		{"a file twice", "file exists", []entry{program, program}},
		{"a file that is a folder too", "not a directory", []entry{program, {"bootstrap/x", 0o644, nil}}},
		{"a folder that is a file too", "not a directory", []entry{program, {"bootstrap/", fs.ModeDir | 0o755, nil}}},
	} {
		err := h.Add(runtime.Function{Name: fmt.Sprint("f", i), Kind: runtime.Lambda, Zip: archive(t, test.entries...)})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	for name, want := range map[string]string{"more than there may be": "more than 250 MiB",
		"more than it says": "zip: "} {
		size := map[string]uint64{"more than there may be": 250<<20 + 1, "more than it says": 1}[name]
		path := liar(t, size)
		if err := h.Add(runtime.Function{Name: "liar", Kind: runtime.Lambda, Zip: path}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// A later host removes the files that a killed host unpacked, but no files that may be in use or
// belong to others.
func TestLeftoversAreRemoved(t *testing.T) {
	switch stdruntime.GOOS {
	case "darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd":
	default:
		t.Skip("there are no locks that end with their process")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	folder := func(name string) {
		t.Helper()
		dir := filepath.Join(temp, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "bootstrap"), nil, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	folder("chatconf-function-left")
	folder("function-stranger")
	if err := os.Symlink(filepath.Join(temp, "function-stranger"),
		filepath.Join(temp, "chatconf-function-link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(temp, "chatconf-function-file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	add := func() {
		t.Helper()
		h := runtime.RunT(t, runtime.Options{})
		if err := h.Add(runtime.Function{Name: "f", Kind: runtime.Lambda,
			Zip: archive(t, entry{"bootstrap", 0o755, []byte("#!/bin/sh\n")})}); err != nil {
			t.Fatal(err)
		}
	}
	add()
	in := func() (names []string) {
		t.Helper()
		entries, err := os.ReadDir(temp)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	stays := []string{"chatconf-function-file", "chatconf-function-link", "function-stranger"}
	var inUse string
	for _, name := range in() {
		if !slices.Contains(stays, name) {
			inUse = filepath.Join(temp, name)
		}
	}
	if got := in(); len(got) != len(stays)+1 || inUse == "" || filepath.Base(inUse) == "chatconf-function-left" {
		t.Fatalf("there are %q, want %q and the host's own", got, stays)
	}
	if _, err := os.Stat(filepath.Join(temp, "function-stranger", "bootstrap")); err != nil {
		t.Error(err)
	}
	add()
	if _, err := os.Stat(filepath.Join(inUse, "bootstrap")); err != nil {
		t.Errorf("what a host uses: %v", err)
	}
}

// fakeT records the errors that RunT reports.
type fakeT struct {
	testing.TB
	cleanup func()
	said    []string
}

func (f *fakeT) Helper()           {}
func (f *fakeT) Cleanup(fn func()) { f.cleanup = fn }
func (f *fakeT) Error(args ...any) { f.said = append(f.said, fmt.Sprint(args...)) }
func (f *fakeT) Fatal(args ...any) { f.said = append(f.said, fmt.Sprint(args...)) }

func TestRunTFailsTheTest(t *testing.T) {
	f := &fakeT{}
	h := runtime.RunT(f, runtime.Options{}, runtime.Function{Name: "x"})
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	f.cleanup()
	if len(f.said) != 2 || !strings.Contains(f.said[0], `function "x"`) ||
		!strings.Contains(f.said[1], "already closed") {
		t.Errorf("said %q", f.said)
	}
}
