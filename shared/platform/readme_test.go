package platform_test

import (
	"os"
	"strings"
	"testing"

	"chatconf/shared/platform"
)

// The README tells people what a Configuration may hold. It must name every setting, with its marks: needed ones bold, secret ones italic.
func TestREADMENamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range platform.All() {
		var names []string
		for _, s := range p.Settings {
			name := s.Key
			if s.Secret {
				name = "_" + name + "_"
			}
			if s.Required {
				name = "**" + name + "**"
			}
			names = append(names, name)
		}
		if row := "| " + p.Type + " | " + strings.Join(names, ", ") + " |\n"; !strings.Contains(string(text), row) {
			t.Errorf("the README lacks the row %q", row)
		}
	}
}
