package shared_test

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Columns that a line may have. A tab counts as four.
const (
	maxCode    = 120
	maxComment = 100
)

// phrases must not occur in a string literal: a reader whose first language is not English stumbles
// over them.
var phrases = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`is none`, `are none`, `stands? there`, `all the same`, `lest`, `besides`, `whoever`, `whosoever`,
	`hand(s|ed|ing)? on`, `that is ours`, `is nobody's`, `thereby`, `hereby`, `somebody`, `anybody`,
	`no document says`, `in the place of`, `what is absent`, `who must not`,
}, "|") + `)\b`)

// goFiles calls f with every Go file of the repository, the tests and other modules' too.
func goFiles(t *testing.T, f func(path string, text []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "node_modules" || name == "dist" || strings.HasPrefix(name, ".") && name != ".."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			n++
			f(path, text)
		}
		return err
	})
	if err != nil || n < 400 {
		t.Fatalf("%d files were read: %v", n, err)
	}
}

func TestLinesAreShort(t *testing.T) {
	goFiles(t, func(path string, text []byte) {
		samples := samples(text)
		number := 0
		for line := range strings.Lines(string(text)) {
			if number++; samples[number] && strings.HasSuffix(path, "_test.go") {
				continue
			}
			line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
			most := maxCode
			if strings.HasPrefix(strings.TrimSpace(line), "//") {
				most = maxComment
			}
			words := strings.Fields(line)
			if n := utf8.RuneCountInString(line); n > most && len(words) > 2 { // an address has no blank to break at
				t.Errorf("%s:%d has %d columns, and may have %d", path, number, n, most)
			}
		}
	})
}

// samples returns the lines of raw strings that span lines. In tests they are what others send.
func samples(text []byte) map[int]bool {
	lines := make(map[int]bool)
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, func(token.Position, string) {}, 0)
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if n := strings.Count(literal, "\n"); kind == token.STRING && n > 0 {
			for i := range n + 1 {
				lines[files.Position(pos).Line+i] = true
			}
		}
	}
}

func TestTextsAreInPlainEnglish(t *testing.T) {
	goFiles(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				if m := phrases.FindString(s.Value); m != "" {
					t.Errorf("%s: %q is no plain English: %s", files.Position(s.Pos()), m, s.Value)
				}
			}
			return true
		})
	})
}
