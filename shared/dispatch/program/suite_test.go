//go:build unix

package program_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/dispatch/dispatchtest"
)

// The suite of all targets, with a script that waits until it may end.
func TestSuite(t *testing.T) {
	const noService = "a program is no service: the system starts it or says why not, and its state is in this process"
	dispatchtest.Run(t, func(t *testing.T) *dispatchtest.Fixture {
		state := t.TempDir()
		at := func(name string) string { return filepath.Join(state, name) }
		count := func() int {
			text, _ := os.ReadFile(at("started"))
			return strings.Count(string(text), "\n")
		}
		f := open(t)
		f.add("restart", `echo started >>`+at("started")+`
while [ ! -e `+at("end")+` ]; do sleep 0.02; done
[ -e `+at("long")+` ] && yes "$CHATCONF_PARAM_PASSWORD" | head -c 200000
echo done
`)
		return &dispatchtest.Fixture{
			Target:        f.Folder,
			Type:          command.TargetProgram,
			Configuration: `{"Type":"Program","Name":"restart"}`,
			Keyed:         true,
			Local:         true,
			Started:       count,
			End: func() {
				if _, err := os.Stat(at("end")); err == nil {
					return
				}
				if err := os.WriteFile(at("end"), nil, 0o600); err != nil {
					t.Error(err)
				}
				eventually(t, "the programs end", func() bool {
					runs, err := os.ReadDir(f.temp)
					return err == nil && len(runs) == 0
				})
			},
			Fault: func(fault dispatchtest.Fault) {
				mode := os.FileMode(0o755)
				if fault == dispatchtest.Denies {
					mode = 0o600
				}
				if err := os.Chmod(filepath.Join(f.dir, "restart"), mode); err != nil {
					t.Error(err)
				}
				if fault == dispatchtest.TooLong {
					os.WriteFile(at("long"), nil, 0o600)
				}
			},
			Without: map[dispatchtest.Fault]string{dispatchtest.Hangs: noService, dispatchtest.Broken: noService,
				dispatchtest.Busy: noService},
		}
	})
}
