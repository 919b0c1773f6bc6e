package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// officialClients are the vendor's clients of other languages. Each is a program in deploy/peers
// that does the five operations, and more, in all ways that the client has, and prints a line "ok
// …" for each check.
var officialClients = []struct {
	name   string
	run    []string // the arguments that follow are endpoint, id and secret
	needs  []string // files without which it is skipped
	must   bool     // where CHATCONF_REQUIRE_EXTERNAL is set, what it needs must be there
	checks int      // how many it must make
}{
	{"Node, pop-core and openapi-client", []string{"node", "api/node.js"},
		[]string{"node_modules/@alicloud/pop-core", "node_modules/@alicloud/openapi-client"}, true, 40},
	{"Java, aliyun-java-sdk-core", []string{"java", "-cp", filepath.Join("api", "lib", "*"), "api/Client.java"},
		[]string{"api/lib"}, false, 24},
	{"Java, tea-openapi", []string{"java", "-cp", filepath.Join("api", "lib", "*"), "api/Tea.java"},
		[]string{"api/lib"}, false, 25},
	{"PHP, as alibabacloud/client does", []string{"php", "api/client.php"}, nil, false, 16},
}

// The official clients of Node, Java and PHP make, get, list, change and delete configurations, and
// are refused what must be refused.
func TestOfficialClients(t *testing.T) {
	s := serve(t)
	for _, client := range officialClients {
		t.Run(client.name, func(t *testing.T) {
			absent := t.Skipf
			if client.must && requireExternal {
				absent = t.Fatalf
			}
			program, err := exec.LookPath(client.run[0])
			if err != nil {
				absent("not tried: %v", err)
			}
			for _, file := range client.needs {
				if _, err := os.Stat(filepath.Join(peersFolder, file)); err != nil {
					absent("not tried: %v; make peers installs it, where a JDK has Maven Java's too", err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, append(append([]string(nil), client.run[1:]...),
				s.endpoint, s.key.ID, s.key.Secret)...)
			cmd.Dir = peersFolder
			var out, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s%s", err, out.String(), stderr.String())
			}
			if got := strings.Count("\n"+out.String(), "\nok "); got != client.checks {
				t.Errorf("%d checks were made, want %d:\n%s", got, client.checks, out.String())
			}
		})
	}
}
