package functions_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// unlinkable keep the linker from dropping methods that nobody calls.
var unlinkable = []string{"net/rpc", "text/template", "html/template", "testing"}

// owners are the targets that alone may link a package, by the beginning of its path; "" is nobody.
// The local target's store is not among them: app.OpenLocal, which the command-line tool opens it
// with, has no build tag, and so every target depends on it. The linker drops all of it but the
// variables of bbolt's errors.
var owners = map[string]string{
	"github.com/aliyun/fc-runtime-go-sdk":        "fc",
	"github.com/aliyun/aliyun-tablestore-go-sdk": "fc",
	"chatconf/shared/table/tablestore":           "fc",
	"github.com/aws/aws-lambda-go":               "lambda",
	"github.com/aws/aws-sdk-go-v2":               "lambda",
	"chatconf/shared/table/dynamodb":             "lambda",
	"chatconf/shared/emulator":                   "",
	"google.golang.org/protobuf":                 "", // golang/protobuf from v1.4 on, which costs every start 2.5 ms
	"github.com/aws/aws-sdk-go-v2/config":        "", // LoadDefaultConfig, which costs 0.7 ms
}

// What a function links beside the standard library is what the golden list of its target says: one
// store, one runtime, and nothing that somebody's update brought along. `go test ./functions
// -update` rewrites the lists.
func TestWhatIsLinked(t *testing.T) {
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			out := run(t, []string{"GOOS=linux", "GOARCH=" + target.arch},
				"list", "-tags", target.tags, "-f", `{{if eq .Name "main"}}{{.ImportPath}} {{join .Deps " "}}{{end}}`,
				"./...")
			first, linked := "", ""
			count := 0
			for line := range strings.Lines(out) {
				function, deps, _ := strings.Cut(strings.TrimSpace(line), " ")
				count++
				list := linkedBy(t, function, strings.Fields(deps), target.name)
				if first == "" {
					first, linked = function, list
				}
				if list != linked {
					t.Errorf("%s and %s link other packages", first, function)
				}
			}
			if want := len(functions(t)); count != want {
				t.Errorf("%d programs, want %d", count, want)
			}
			golden := filepath.Join("testdata", target.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(linked), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if linked != string(want) {
				t.Errorf("linked are\n%swant\n%s", linked, want)
			}
		})
	}
}

// linkedBy returns which of a program's dependencies are not the standard library's, a line each,
// and fails for what it may not link.
func linkedBy(t *testing.T, program string, deps []string, target string) string {
	t.Helper()
	var linked []string
	for _, path := range deps {
		if slices.Contains(unlinkable, path) {
			t.Errorf("%s links %s", program, path)
		}
		for prefix, owner := range owners {
			if (path == prefix || strings.HasPrefix(path, prefix+"/")) && owner != target {
				t.Errorf("%s links %s, which is %s's", program, path, owner)
			}
		}
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") || first == "chatconf" {
			linked = append(linked, path)
		}
	}
	slices.Sort(linked)
	return strings.Join(linked, "\n") + "\n"
}

// The list of platforms is one for all functions. Which of a platform's methods a function links is
// what it calls of them.
func TestAFunctionLinksWhatItCallsOfPlatforms(t *testing.T) {
	for function, want := range map[string][]string{
		"get-chat-configuration": {"Description"},
		"webhook":                {"Description", "NewReceiver"},
		"dispatch-command":       {"Description", "NewSender"},
	} {
		program := filepath.Join(t.TempDir(), function)
		run(t, nil, "build", "-trimpath", "-buildvcs=false", "-tags", "lambda,lambda.norpc,nethttpomithttp2",
			"-o", program, "./"+function)
		symbols := run(t, nil, "tool", "nm", program)
		for _, method := range []string{"Description", "NewReceiver", "NewSender"} {
			if got := strings.Contains(symbols, "/platform/slack.Platform."+
				method); got != slices.Contains(want, method) {
				t.Errorf("%s links %s of platforms: %v", function, method, got)
			}
		}
	}
}

// Only the functions that dispatch commands link the targets of their cloud and what assumes roles.
func TestOnlyDispatchersLinkTargets(t *testing.T) {
	for _, target := range []struct {
		name, tags string
		symbols    []string // of the targets
	}{
		{"fc", "fc,nethttpomithttp2", []string{"/dispatch/oos.", "/dispatch/function.", "/cloud/alibaba.(*Roles).",
			"/cloud/alibaba.(*Executions).", "/cloud.(*Sessions)."}},
		{"lambda", "lambda,lambda.norpc,nethttpomithttp2", []string{"/dispatch/ssm.", "/dispatch/stepfunctions.",
			"/dispatch/function.", "/cloud/aws.(*Roles).", "/cloud/aws.(*Automations).",
			"/cloud.(*Sessions)."}},
	} {
		for function, want := range map[string]bool{"webhook": false, "dispatch-command": true,
			"redrive-commands": true} {
			program := filepath.Join(t.TempDir(), function)
			run(t, nil, "build", "-trimpath", "-buildvcs=false", "-tags", target.tags, "-o", program, "./"+function)
			symbols := run(t, nil, "tool", "nm", program)
			for _, symbol := range target.symbols {
				if got := strings.Contains(symbols, symbol); got != want {
					t.Errorf("%s of %s links %s: %v, want %v", function, target.name, symbol, got, want)
				}
			}
		}
	}
}
