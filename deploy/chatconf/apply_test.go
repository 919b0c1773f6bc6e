package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"chatconf/deploy/schema"
	"chatconf/shared/chat"
	"chatconf/shared/platform"
)

// call calls an action of the service.
func callAt(t *testing.T, at []string, action string, args ...string) string {
	t.Helper()
	return mustRun(t, append(append([]string{"call", action}, args...), at...)...)
}

// atDir runs a verb on a folder, and holds that no secret is on the screen.
func atDir(t *testing.T, at []string, args ...string) (string, error) {
	t.Helper()
	out, err := run(t, "", append(args, at...)...)
	if leak.MatchString(out) || err != nil && leak.MatchString(err.Error()) {
		t.Errorf("%q shows a secret: %s, %v", args, out, err)
	}
	return screen(out), err
}

func mustAtDir(t *testing.T, at []string, args ...string) string {
	t.Helper()
	out, err := atDir(t, at, args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return out
}

// filesOf returns the bot files of a folder.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, e := range list {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if leak.Match(text) {
			t.Errorf("%s has a secret: %s", e.Name(), text)
		}
		out[e.Name()] = string(text)
	}
	return out
}

// setReferences sets the variables of the references that export has made to what was planted.
func setReferences(t *testing.T, exported string) {
	t.Helper()
	var list []exportedBot
	if err := json.Unmarshal([]byte(exported), &list); err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		for _, p := range platform.All().Descriptions() {
			var values map[string]any
			if err := json.Unmarshal([]byte("{"+planting[p.Type]+"}"), &values); err != nil {
				t.Fatal(err)
			}
			for _, s := range e.Secrets {
				name := reference.FindStringSubmatch(s.Reference)[2]
				if value, ok := values[s.Key]; ok {
					t.Setenv(name, fmt.Sprint(value))
				} else if strings.HasSuffix(s.Key, "Target.Secret") {
					t.Setenv(name, "whsec_UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE=")
				}
			}
		}
	}
}

const withTarget = `,"Language":"en","Actions":{"restart":{"Summary":"two\nlines: yes","Parameters":[{"Name":"env",` +
	`"Type":"Enum","Values":["test","on"],"Default":"test"}],"Target":{"Type":"Http","Url":"https://ci.example.com/x",` +
	`"Secret":"whsec_UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE="}},"停止":{"DryRun":"true"}}`

// What is exported is applied elsewhere, and is exported from there to the same bytes. To apply it
// again changes nothing. The files are what the schema describes.
func TestExportAndApplyAndExport(t *testing.T) {
	at, _ := newSendService(t)
	for _, p := range platform.All().Descriptions() {
		more := ""
		if p.Type != "Feishu" {
			more = strings.Replace(withTarget, `two\nlines: yes`, "one: yes", 1)
		}
		create(t, at, "bot-"+strings.ToLower(p.Type), p.Type, more)
	}
	callAt(t, at, "TagResources", "ResourceType=chatconfiguration", `ResourceIds=["bot-slack"]`,
		`Tags={"env":"prod","yes":"","a: b":"5"}`)
	callAt(t, at, "UpdateChatConfiguration", "Name=bot-slack", "Status=Inactive", "RamRole=OpsRole",
		"ResourceGroupId=rg-1")
	dir := filepath.Join(t.TempDir(), "bots")
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	first := filesOf(t, dir)
	if len(first) != 5 {
		t.Fatalf("%d files", len(first))
	}
	holdSchema(t, first)
	unchanged := "Plan: 0 to create, 0 to change, 0 to delete, 5 unchanged\n"
	for range 2 {
		if got := mustAtDir(t, at, "apply", dir, "--exit-code"); got != unchanged {
			t.Errorf("applied where it is from: %s", got)
		}
	}
	if got := mustAtDir(t, at, "export", dir); got != "Exported 5 bots: 0 created, 0 changed, 5 unchanged\n" {
		t.Errorf("exported again: %s", got)
	}
	there, _ := newSendService(t)
	_, err := atDir(t, there, "apply", dir, "--yes", "--exit-code")
	if !errors.Is(err, errChanges) {
		t.Fatalf("applied elsewhere: %v", err)
	}
	if got := mustAtDir(t, there, "apply", dir); got != unchanged {
		t.Errorf("applied again: %s", got)
	}
	other := filepath.Join(t.TempDir(), "bots")
	mustAtDir(t, there, "export", other)
	for name, text := range filesOf(t, other) {
		if text != first[name] {
			t.Errorf("%s:\n%s\nwas\n%s", name, text, first[name])
		}
	}
	holdGolden(t, "export.golden", first["bot-slack.yaml"]+"---\n"+first["bot-wechat.yaml"])
}

// holdGolden holds a text to a golden file.
func holdGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		writeFile(t, path, []byte(got))
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v:\n%s\nwant\n%s", name, err, got, want)
	}
}

// holdSchema holds files to the schema of bot files.
func holdSchema(t *testing.T, files map[string]string) {
	t.Helper()
	text, err := schema.Made(schema.Bot)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schema.Bot, doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(schema.Bot)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The plan shows every change by its path, and what happens is what it says.
func TestThePlanIsWhatHappens(t *testing.T) {
	at, _ := newSendService(t)
	for _, name := range []string{"ops", "dev", "old"} {
		create(t, at, name, "Slack", "")
	}
	callAt(t, at, "TagResources", "ResourceType=chatconfiguration", `ResourceIds=["ops"]`,
		`Tags={"env":"prod","x":"1"}`)
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	edit := func(name string, pairs ...string) {
		t.Helper()
		path := filepath.Join(dir, name+".yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after := strings.NewReplacer(pairs...).Replace(string(text))
		if after == string(text) {
			t.Fatalf("%s has none of %q: %s", name, pairs, text)
		}
		writeFile(t, path, []byte(after))
	}
	edit("ops", "Active", "Inactive", "restart", "'*'", "prod", "test", "  x: \"1\"\n", "  y: new\n")
	t.Setenv("OPS_SLACK_SIGNING_SECRET", "PLANTED-9")
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "dev.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "new.yml"), bytes.Replace(text, []byte("Name: dev"), []byte("Name: new"), 1))
	got := ""
	show := func(line string, args ...string) {
		t.Helper()
		out, err := atDir(t, at, args...)
		got += "$ chatconf " + line + "\n" + out
		if err != nil {
			got += "error: " + strings.ReplaceAll(err.Error(), dir, "bots") + "\n"
		}
		got += "\n"
	}
	show("diff bots", "diff", dir)
	show("apply bots --dry-run --prune --exit-code", "apply", dir, "--dry-run", "--prune", "--exit-code")
	show("apply bots --prune", "apply", dir, "--prune")
	var plans []botPlan
	if out := mustRun(t, append([]string{"apply", dir, "--prune", "--dry-run", "-o", "json"},
		at...)...); json.Unmarshal([]byte(out), &plans) != nil || len(plans) != 4 {
		t.Fatalf("the plan as JSON: %s", out)
	}
	show("apply bots --prune --yes", "apply", dir, "--prune", "--yes")
	show("apply bots --prune", "apply", dir, "--prune")
	show("export bots", "export", dir)
	holdGolden(t, "apply.golden", got)
	for _, p := range plans {
		if p.Name != "ops" {
			continue
		}
		var history []chat.Revision
		out := mustRun(t, append([]string{"history", "ops", "-o", "json"}, at...)...)
		if err := json.Unmarshal([]byte(out), &history); err != nil {
			t.Fatal(err)
		}
		var planned, happened []string
		for _, ch := range p.Changes {
			planned = append(planned, lineOf(ch))
		}
		for _, r := range history {
			if r.Revision <= 2 {
				break
			}
			for _, ch := range r.Changes {
				happened = append(happened, lineOf(ch))
			}
		}
		slices.Sort(planned)
		slices.Sort(happened)
		if !slices.Equal(planned, happened) {
			t.Errorf("planned\n%s\nhappened\n%s", strings.Join(planned, "\n"), strings.Join(happened, "\n"))
		}
	}
}

func lineOf(ch chat.Change) string {
	text := func(s *string) string {
		if s == nil {
			return "nothing"
		}
		return *s
	}
	return ch.Path + ": " + text(ch.Before) + " to " + text(ch.After)
}
