// Command make creates the files for a deployment:
//
//	make templates           writes template.yml, s.yaml and the policies from package deploy
//	make schemas             writes the schemas of package schema
//	make zips NAME FROM TO   writes a zip in TO of each program in FROM, with the name NAME in it
//
// Run it at the root of the repository.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"chatconf/deploy"
	"chatconf/deploy/schema"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "templates":
		return templates()
	case len(args) == 1 && args[0] == "schemas":
		return schemas(os.DirFS("."))
	case len(args) == 4 && args[0] == "zips":
		return zips(args[1], args[2], args[3])
	default:
		return errors.New("usage: make templates | make schemas | make zips NAME FROM TO")
	}
}

// templates writes the files that package deploy generates, and removes the policies of functions
// that no longer exist.
func templates() error {
	files, err := deploy.Files()
	if err != nil {
		return err
	}
	for _, folder := range []string{"deploy/aws/policies", "deploy/fc/policies"} {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return writeFiles(files)
}

// schemas writes the schemas of the repository root.
func schemas(root fs.FS) error {
	files, err := schema.Files(root)
	if err != nil {
		return err
	}
	return writeFiles(files)
}

func writeFiles(files map[string][]byte) error {
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// zips writes TO/<program>.zip for every program, in parallel, and removes the zips of programs
// that no longer exist.
func zips(name, from, to string) error {
	programs, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if len(programs) == 0 {
		return fmt.Errorf("%s contains no programs; run 'make build'", from)
	}
	old, err := filepath.Glob(filepath.Join(to, "*.zip"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	errs := make([]error, len(programs))
	var wait sync.WaitGroup
	for i, p := range programs {
		wait.Go(func() { errs[i] = pack(name, p, from, to) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func pack(name string, program fs.DirEntry, from, to string) error {
	if !program.Type().IsRegular() || strings.HasPrefix(program.Name(), ".") {
		return fmt.Errorf("%s is not a program; remove it", filepath.Join(from, program.Name()))
	}
	text, err := os.ReadFile(filepath.Join(from, program.Name()))
	if err != nil {
		return err
	}
	zipped, err := deploy.Zip(name, text)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, program.Name()+".zip"), zipped, 0o644)
}
