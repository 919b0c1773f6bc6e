package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"
)

// otsPython is the Python that has Tablestore's SDK: that of moto's virtual environment.
var otsPython = filepath.Join(filepath.Dir(cmp.Or(os.Getenv(motoVariable), "../../.venv/bin/moto_server")), "python")

// otsSuites are programs in deploy/peers that hold the emulator against Tablestore's official SDK
// of a language. They read where it is from the environment, as otsquickstart does, and print a
// line for each check.
var otsSuites = []struct {
	name  string
	probe []string // fails where the SDK is not installed
	build []string // comes before run; nil is nothing
	run   []string
	must  bool // where CHATCONF_REQUIRE_EXTERNAL is set, the SDK must be there
}{
	{"Python", []string{otsPython, "-c", "import tablestore"}, nil,
		[]string{otsPython, "-B", "ots/python/suite.py"}, true},
	{"Node", []string{"node", "-e", "require('tablestore')"}, nil, []string{"node", "ots/node/suite.js"}, true},
	{
		"Java", []string{"javap", "-cp", "ots/java/lib/*", "com.alicloud.openservices.tablestore.SyncClient"},
		[]string{
			"javac", "-nowarn", "-encoding", "UTF-8", "-cp", "ots/java/lib/*", "-d", "ots/java/classes",
			"ots/java/Checks.java", "ots/java/Tables.java", "ots/java/Reads.java", "ots/java/Writes.java",
			"ots/java/Streams.java", "ots/java/Suite.java",
		},
		[]string{"java", "-cp", "ots/java/lib/*:ots/java/classes", "Suite"}, false,
	},
}

// minOTSChecks is how many checks a suite must make.
const minOTSChecks = 40

// otsCheck matches the line of one check: its result, and what it is about.
var otsCheck = regexp.MustCompile(`(?m)^(ok|failed) ([^:]+): .*$`)

// Tablestore's official SDKs of other languages do on the emulator what they do on the service, and
// are refused with its texts.
func TestOTSOfficialSDKs(t *testing.T) {
	t.Parallel()
	e := startOTS(t, "", "127.0.0.1:0")
	for _, suite := range otsSuites {
		t.Run(suite.name, func(t *testing.T) {
			absent := t.Skipf
			if suite.must && requireExternal {
				absent = t.Fatalf
			}
			if out, err := runPeer(t, e.env, suite.probe); err != nil {
				absent("not tried: the SDK is not here: %v; make moto peers installs it, "+
					"where a JDK has Maven Java's too\n%s",
					err, out)
			}
			if suite.build != nil {
				if out, err := runPeer(t, e.env, suite.build); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			env := append(e.env[:len(e.env):len(e.env)], "TABLESTORE_INSTANCE=suite-"+suite.name)
			out, err := runPeer(t, env, suite.run)
			made, passed := 0, make(map[string]int)
			for _, line := range otsCheck.FindAllStringSubmatch(out, -1) {
				if made++; line[1] == "ok" {
					passed[line[2]]++
				} else {
					t.Error(line[0])
				}
			}
			if err != nil || made < minOTSChecks {
				t.Errorf("%d checks were made, want at least %d: %v\n%s", made, minOTSChecks, err, out)
			}
			for _, capability := range slices.Sorted(maps.Keys(passed)) {
				t.Logf("%s: %d", capability, passed[capability])
			}
		})
	}
}

// runPeer runs a program in deploy/peers and returns what it printed.
func runPeer(t *testing.T, env, args []string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = peersFolder, append(cleanEnviron(t), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
