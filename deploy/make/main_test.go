package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A zip is left of every program, and none of those that are no more; what else lies there stays.
func TestZips(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "programs"), filepath.Join(dir, "zips")
	write(t, filepath.Join(from, "api"), "a program")
	write(t, filepath.Join(from, "webhook"), "another")
	write(t, filepath.Join(to, "gone.zip"), "an old one")
	write(t, filepath.Join(to, "amd64", "api.zip"), "for another machine")
	if err := run([]string{"zips", "bootstrap", from, to}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "webhook"} {
		r, err := zip.OpenReader(filepath.Join(to, name+".zip"))
		if err != nil {
			t.Error(err)
			continue
		}
		if len(r.File) != 1 || r.File[0].Name != "bootstrap" {
			t.Errorf("%s: %d files", name, len(r.File))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "gone.zip")); !os.IsNotExist(err) {
		t.Errorf("the zip of a program that is no more: %v", err)
	}
	if _, err := os.Stat(filepath.Join(to, "amd64", "api.zip")); err != nil {
		t.Errorf("what lies beside the zips: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "folder", "inside", "file"), "")
	write(t, filepath.Join(dir, "hidden", ".api"), "")
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing to do", nil, "usage"},
		{"something else", []string{"dinner"}, "usage"},
		{"zips of nowhere", []string{"zips", "main", filepath.Join(dir, "nowhere"), dir}, "no such file"},
		{"zips of nothing", []string{"zips", "main", filepath.Join(dir, "empty"), dir}, "no programs"},
		{"a folder among the programs", []string{"zips", "main", filepath.Join(dir, "folder"), dir},
			"is not a program"},
		{"a hidden file among the programs", []string{"zips", "main", filepath.Join(dir, "hidden"), dir},
			"is not a program"},
		{"zips into a file", []string{"zips", "main", filepath.Join(dir, "hidden"),
			filepath.Join(dir, "hidden", ".api", "zips")}, "not a directory"},
	} {
		if err := run(test.args); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.want)
		}
	}
}

// The schemas are made of the source, and written at the root.
func TestSchemas(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := run([]string{"schemas"}); err == nil || !strings.Contains(err.Error(), "functions/README.md") {
		t.Errorf("away from the root: %v, want an error with the file that is missing", err)
	}
	if err := schemas(os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("deploy/schema/openapi.json"); err != nil {
		t.Error(err)
	}
}

// The templates are written at the root, and policies of functions that are no more are removed.
func TestTemplates(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "deploy/aws/policies/gone.json", "{}")
	if err := run([]string{"templates"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"template.yml", "s.yaml", "deploy/aws/policies/api.json",
		"deploy/fc/policies/api.json"} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat("deploy/aws/policies/gone.json"); !os.IsNotExist(err) {
		t.Errorf("the policy of a function that is no more: %v", err)
	}
}
