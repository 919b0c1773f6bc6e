package platform_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/platform"
	"chatconf/shared/platform/platformtest"
)

var update = flag.Bool("update", false, "write the made parts of the platforms' pages again")

// The pages of the platforms name every setting with its marks: needed ones bold, secret ones
// italic.
func TestPagesNameEverySetting(t *testing.T) {
	text := read(t, "README.md")
	for _, p := range platform.All().Descriptions() {
		var names []string
		for _, s := range p.Settings {
			names = append(names, marked(s.Key, s.Required, s.Secret))
		}
		if row := "| " + p.Type + " | " + strings.Join(names, ", ") + " |\n"; !strings.Contains(text, row) {
			t.Errorf("README.md lacks the row %q", row)
		}
	}
}

// Each platform's page has the steps that Outputs shows as Setup, and a table of the settings.
func TestPagesHaveSetupAndKeys(t *testing.T) {
	for _, listed := range platform.All() {
		p, page := listed.Description(), platformtest.Folder(listed)+"/README.md"
		text := read(t, page)
		var steps, streamSteps, keys strings.Builder
		for i, step := range p.Setup("`URL`", "en") {
			fmt.Fprintf(&steps, "%d. %s\n", i+1, step)
		}
		made := map[string]*strings.Builder{"Set up": &steps, "Keys": &keys}
		if p.StreamSetup != nil {
			for i, step := range append([]string{"Set `Receive` to `Stream`."}, p.StreamSetup("en")...) {
				fmt.Fprintf(&streamSteps, "%d. %s\n", i+1, step)
			}
			made["Set up without a URL"] = &streamSteps
		}
		keys.WriteString("| key | meaning |\n|---|---|\n")
		for _, s := range p.Settings {
			fmt.Fprintf(&keys, "| %s | %s |\n", marked(s.Key, s.Required, s.Secret), helpOf(s))
		}
		for heading, b := range made {
			want := b.String()
			before, rest, ok := strings.Cut(text, "\n## "+heading+"\n\n")
			if !ok {
				t.Errorf("%s has no heading %q", page, heading)
				continue
			}
			if strings.HasPrefix(rest, want+"\n") {
				continue
			}
			if !*update {
				t.Errorf("%s does not begin %q with what the code says; run go test ./shared/platform -update",
					page, heading)
				continue
			}
			_, after, _ := strings.Cut(rest, "\n\n")
			text = before + "\n## " + heading + "\n\n" + want + "\n" + after
		}
		if *update {
			if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// helpOf returns what a page says of a setting.
func helpOf(s command.Setting) string {
	if s.For == "" {
		return s.Help
	}
	return s.Help + "; for `Receive` " + s.For
}

func marked(key string, required, secret bool) string {
	if secret {
		key = "_" + key + "_"
	}
	if required {
		key = "**" + key + "**"
	}
	return key
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
