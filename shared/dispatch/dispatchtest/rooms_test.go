package dispatchtest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every target passes the suite: a room whose tests do not run it is not one.
// The room topic takes the events of changes and no commands.
func TestEveryTargetRunsTheSuite(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	targets := 0
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == "dispatchtest" || entry.Name() == "topic" {
			continue
		}
		targets++
		tests, err := filepath.Glob(filepath.Join("..", entry.Name(), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		runs := slices.ContainsFunc(tests, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), "dispatchtest.Run(t, ")
		})
		if !runs {
			t.Errorf("shared/dispatch/%s does not run dispatchtest", entry.Name())
		}
	}
	if targets < 6 {
		t.Errorf("%d targets were found, want six or more", targets)
	}
}
