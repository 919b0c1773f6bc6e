package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersionOfABuild(t *testing.T) {
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: revision},
			{Key: "vcs.modified", Value: modified}}
	}
	for name, c := range map[string]struct {
		info     *debug.BuildInfo
		version  string
		revision string
		printed  string
	}{
		"no build information": {nil, "unknown", "", "chatconf unknown\n  revision         unknown\n"},
		"without a version and a revision": {&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			"unknown", "", "chatconf unknown\n  revision         unknown\n"},
		"installed as a module": {&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}},
			"v1.2.3", "", "chatconf v1.2.3\n  revision         unknown\n"},
		"built in a repository": {&debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261129-abc"},
			Settings: vcs("abcdef", "false")}, "v0.0.0-20261129-abc", "abcdef",
			"chatconf v0.0.0-20261129-abc\n  revision         abcdef\n"},
		"built from changed files": {&debug.BuildInfo{Settings: vcs("abcdef", "true")},
			"unknown", "abcdef", "chatconf unknown\n  revision         abcdef, modified\n"},
	} {
		v := versionOf(c.info)
		if v.Version != c.version || v.Revision != c.revision {
			t.Errorf("%s: version %q, revision %q; want %q, %q", name, v.Version, v.Revision, c.version, c.revision)
		}
		var b strings.Builder
		if err := v.print(&b); err != nil || !strings.HasPrefix(b.String(), c.printed) {
			t.Errorf("%s: printed %v\n%s", name, err, b.String())
		}
	}
}

func TestVersionCommand(t *testing.T) {
	text, err := run(t, "", "version")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{runtime.Version() + " for " + runtime.GOOS + "/" + runtime.GOARCH,
		"API version      2019-06-01\n", "configurations 1, access keys 1, journal 1, encrypted secrets 1, " +
			"data file 1, Tablestore emulator 1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("version does not print %q:\n%s", want, text)
		}
	}
	out, err := run(t, "", "version", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var v version
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	info, _ := debug.ReadBuildInfo()
	if diff := cmp.Diff(versionOf(info), v); diff != "" {
		t.Error(diff)
	}
	if _, err := run(t, "", "version", "-o", "xml"); err == nil ||
		err.Error() != `unknown --output "xml"; use table, wide, json or yaml` {
		t.Errorf("an unknown output: %v", err)
	}
}
