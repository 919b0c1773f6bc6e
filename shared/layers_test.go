package shared_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "chatconf"

// A room says what the packages of a pattern may import besides the standard library: our packages,
// by pattern too, and modules.
type room struct {
	packages string // a folder, or a folder and "/*" for those right inside it
	ours     []string
	modules  []string
}

// rooms are the arrows of the design. A package that no row names is in no room, and the test
// fails; of two rows the first counts.
var rooms = []room{
	// Leaves.
	{"shared/table", nil, nil},
	{"shared/policy", []string{"shared/document"}, nil},
	{"shared/seal", []string{"shared/document", "shared/secret"}, nil},
	{"shared/page", nil, nil},
	{"shared/scratch", nil, nil},
	{"shared/secret", nil, nil},
	{"shared/invoke", []string{"shared/secret"}, nil},
	{"shared/document", nil, nil},
	{"shared/reseal", []string{"shared/document", "shared/invoke", "shared/seal", "shared/table"}, nil},
	{"shared/rpc/sign", []string{"shared/secret"}, nil},
	{"shared/dial", nil, nil},
	{"shared/cloud", []string{"shared/dial", "shared/document", "shared/invoke", "shared/secret", "shared/table"}, nil},
	{"shared/bolt", nil, []string{"go.etcd.io/bbolt"}},

	// The domain and what it stands on.
	{"shared/fault", []string{"shared/table"}, nil},
	{"shared/accesskey", []string{"shared/fault", "shared/invoke", "shared/policy", "shared/reseal", "shared/seal",
		"shared/secret", "shared/table"}, nil},
	{"shared/journal", []string{"shared/command", "shared/document", "shared/fault", "shared/invoke",
		"shared/policy", "shared/reseal", "shared/seal", "shared/secret", "shared/table"}, nil},
	{"shared/announce", []string{"shared/command", "shared/document", "shared/table"}, nil},
	{"shared/command", []string{"shared/document", "shared/policy", "shared/secret"}, nil},
	{"shared/chat", []string{"shared/accesskey", "shared/announce", "shared/fault", "shared/journal",
		"shared/command", "shared/secret", "shared/table", "shared/policy", "shared/reseal", "shared/seal",
		"shared/page", "shared/document", "shared/invoke", "shared/dial"}, nil},
	{"shared/chat/chattest", []string{"shared/accesskey", "shared/chat", "shared/command", "shared/fault",
		"shared/invoke", "shared/journal", "shared/platform", "shared/policy", "shared/seal",
		"shared/secret", "shared/table",
		"shared/table/file"}, []string{"github.com/google/go-cmp"}},
	{"shared/platform", []string{"shared/command", "shared/platform/callback", "shared/platform/dingtalk",
		"shared/platform/wecom", "shared/platform/feishu", "shared/platform/slack",
		"shared/platform/teams"}, nil},
	{"shared/platform/callback", []string{"shared/command", "shared/secret", "shared/document", "shared/dial"}, nil},
	{"shared/platform/platformsim", []string{"shared/platform/callback", "shared/secret"},
		[]string{"github.com/coder/websocket"}},
	{"shared/platform/platformsim/serve", []string{"shared/platform/callback", "shared/platform/platformsim",
		"shared/secret"}, nil},
	{"shared/platform/platformtest", []string{"shared/command", "shared/secret", "shared/platform/callback",
		"shared/platform/platformsim"}, nil},
	{"shared/platform/*", []string{"shared/command", "shared/secret", "shared/document",
		"shared/platform/callback"}, nil},
	{"shared/table/file", []string{"shared/table", "shared/invoke", "shared/bolt"}, nil},
	{"shared/table/tablestore", []string{"shared/table", "shared/invoke", "shared/secret"},
		[]string{"github.com/aliyun/aliyun-tablestore-go-sdk"}},
	{"shared/table/dynamodb", []string{"shared/table", "shared/invoke", "shared/secret"},
		[]string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	{"shared/table/dynamodb/dynamotest", []string{"shared/table"}, nil},
	{"shared/table/dynamodb/dynamotest/serve", []string{"shared/table/dynamodb/dynamotest"}, nil},
	{"shared/table/tabletest", []string{"shared/table"}, []string{"github.com/anishathalye/porcupine",
		"github.com/google/go-cmp"}},

	// Requests and connections.
	{"shared/rpc", []string{"shared/accesskey", "shared/fault", "shared/secret", "shared/chat", "shared/invoke",
		"shared/policy", "shared/table", "shared/document", "shared/rpc/sign"}, nil},
	{"shared/console", []string{"shared/accesskey", "shared/chat", "shared/command", "shared/document",
		"shared/fault", "shared/invoke", "shared/journal", "shared/policy", "shared/seal", "shared/secret"}, nil},
	{"shared/serve", []string{"shared/invoke", "shared/document", "shared/secret"}, nil},
	{"shared/webhook", []string{"shared/journal", "shared/fault", "shared/command", "shared/secret", "shared/chat",
		"shared/invoke", "shared/platform/callback"}, nil},
	{"shared/stream", []string{"shared/journal", "shared/command", "shared/secret", "shared/document",
		"shared/invoke", "shared/dial", "shared/table", "shared/platform/callback"},
		[]string{"github.com/coder/websocket"}},
	{"shared/stream/streamtest", []string{"shared/stream", "shared/dial", "shared/secret", "shared/platform/callback",
		"shared/platform/platformsim"}, nil},
	{"shared/webhook/webhooktest", []string{"shared/journal", "shared/command", "shared/secret", "shared/chat",
		"shared/invoke", "shared/platform", "shared/platform/callback", "shared/platform/platformsim", "shared/policy",
		"shared/seal", "shared/table", "shared/table/file",
		"shared/webhook"}, nil},
	{"shared/dispatch", []string{"shared/announce", "shared/journal", "shared/fault", "shared/command", "shared/dial",
		"shared/cloud", "shared/document", "shared/invoke", "shared/secret"}, nil},
	{"shared/dispatch/oos", []string{"shared/dispatch", "shared/command", "shared/journal", "shared/cloud",
		"shared/cloud/alibaba", "shared/document"}, nil},
	{"shared/dispatch/ssm", []string{"shared/dispatch", "shared/command", "shared/journal", "shared/cloud",
		"shared/cloud/aws"}, nil},
	{"shared/dispatch/stepfunctions", []string{"shared/dispatch", "shared/command", "shared/journal", "shared/cloud",
		"shared/cloud/aws", "shared/document"}, nil},
	{"shared/dispatch/program", []string{"shared/dispatch", "shared/journal", "shared/scratch", "shared/secret",
		"shared/invoke"}, nil},
	{"shared/dispatch/dispatchtest", []string{"shared/dispatch", "shared/chat", "shared/cloud", "shared/command",
		"shared/invoke", "shared/journal", "shared/platform/platformsim", "shared/platform/platformtest",
		"shared/webhook/webhooktest"}, nil},
	{"shared/dispatch/*", []string{"shared/dispatch", "shared/journal", "shared/command", "shared/dial",
		"shared/secret", "shared/cloud", "shared/invoke"}, nil},
	{"shared/serve/fc", []string{"shared/serve", "shared/invoke"}, []string{"github.com/aliyun/fc-runtime-go-sdk"}},
	{"shared/serve/servetest", []string{"shared/serve", "shared/invoke"}, nil},
	{"shared/serve/lambda", []string{"shared/serve"}, []string{"github.com/aws/aws-lambda-go"}},

	// A cloud: its store, key service, functions, roots and signed calls. A function links one.
	{"shared/cloud/alibaba", []string{"shared/cloud", "shared/dial", "shared/document", "shared/invoke",
		"shared/rpc/sign", "shared/table", "shared/table/tablestore"}, nil},
	{"shared/cloud/aws", []string{"shared/cloud", "shared/dial", "shared/document", "shared/invoke", "shared/table",
		"shared/table/dynamodb"}, []string{"github.com/aws/aws-sdk-go-v2/aws"}},
	{"shared/cloud/cloudtest", []string{"shared/cloud"}, nil},
	// Emulators: never the domain, the wiring or an adapter.
	{"shared/emulator/ots", []string{"shared/bolt", "shared/secret", "shared/emulator/ots/*"}, otsModules},
	{"shared/emulator/ots/*", []string{"shared/emulator/ots", "shared/emulator/ots/*"}, otsModules},
	{"shared/emulator/runtime", []string{"shared/scratch", "shared/secret"}, nil},
	{"shared/emulator/sts", []string{"shared/document", "shared/policy", "shared/rpc/sign", "shared/secret"}, nil},
	{"shared/emulator/oos", []string{"shared/document", "shared/emulator/sts", "shared/page", "shared/secret"}, nil},
	{"shared/emulator/oos/oostest", []string{"shared/emulator/oos", "shared/emulator/sts", "shared/rpc/sign",
		"shared/secret"}, nil},
	{"shared/emulator/localcloud", []string{"shared/emulator/ots", "shared/emulator/runtime", "shared/emulator/sts",
		"shared/policy", "shared/rpc/sign", "shared/secret", "shared/serve"},
		[]string{"github.com/aws/aws-sdk-go-v2/aws"}},
	{"shared/emulator/runtime/testdata/hello", nil, nil}, // a function, and the same under both clouds' libraries
	{"shared/emulator/runtime/testdata/fc", []string{"shared/emulator/runtime/testdata/hello"},
		[]string{"github.com/aliyun/fc-runtime-go-sdk/fc"}},
	{"shared/emulator/runtime/testdata/fchttp", nil, []string{"github.com/aliyun/fc-runtime-go-sdk/fc",
		"github.com/aliyun/fc-runtime-go-sdk/fccontext"}},
	{"shared/emulator/runtime/testdata/fcsdk", nil, []string{"github.com/aliyun/fc-runtime-go-sdk/events",
		"github.com/aliyun/fc-runtime-go-sdk/fc", "github.com/aliyun/fc-runtime-go-sdk/fccontext"}},
	{"shared/emulator/runtime/testdata/awssdk", nil, []string{
		"github.com/aws/aws-lambda-go/events", "github.com/aws/aws-lambda-go/lambda",
		"github.com/aws/aws-lambda-go/lambdacontext", "github.com/aws/aws-lambda-go/lambdaurl",
	}},
	{"shared/emulator/runtime/testdata/lambda", []string{"shared/emulator/runtime/testdata/hello"},
		[]string{"github.com/aws/aws-lambda-go/lambda"}},

	// The targets of a cloud.
	{"shared/target/alibaba", []string{"shared/command", "shared/cloud/alibaba", "shared/dispatch",
		"shared/dispatch/*"}, nil},
	{"shared/target/aws", []string{"shared/command", "shared/cloud/aws", "shared/dispatch", "shared/dispatch/*"},
		[]string{"github.com/aws/aws-sdk-go-v2/aws"}},

	// Programs.
	{"shared/app", []string{"shared/*", "shared/rpc/sign", "shared/dispatch/*", "shared/target/*", "shared/table/file",
		"shared/platform/*", "shared/cloud/*", "shared/serve/*"}, nil},
	{"functions/testdata/bare", nil, nil}, // what functions are measured against
	{"functions/testdata/peer/fc", nil, []string{"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore",
		"github.com/aliyun/fc-runtime-go-sdk/fc"}},
	{"functions/testdata/peer/lambda", nil, []string{"github.com/aws/aws-lambda-go/lambda",
		"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/dynamodb",
		"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"}},
	{"functions/*", []string{"shared/app", "shared/chat"}, nil},
	{"deploy/bench", nil, nil}, // tests only
	// makes the templates, by text/template; linked by nothing that is deployed
	{"deploy", []string{"shared/cloud"}, nil},
	{"deploy/make", []string{"deploy", "deploy/schema"}, nil},
	// describes the API and Configurations to other programs
	{"deploy/schema", []string{"shared/chat", "shared/command", "shared/fault", "shared/platform", "shared/rpc",
		"shared/seal", "shared/secret", "shared/table"}, nil},
	{"deploy/chatconf", []string{"deploy/schema", "shared/*", "shared/emulator/ots", "shared/emulator/runtime",
		"shared/emulator/oos", "shared/emulator/sts",
		"shared/emulator/localcloud", "shared/rpc/sign", "shared/cloud/*", "shared/table/file",
		"shared/dispatch/http", "shared/dispatch/program", "shared/target/*",
		"shared/table/tablestore", "shared/table/dynamodb", "shared/platform/*"},
		[]string{"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term", "go.yaml.in/yaml/v3",
			"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/config"}},
}

// otsModules are the Tablestore SDK's wire format, which its emulator speaks.
var otsModules = []string{"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol",
	"github.com/golang/protobuf"}

// unlinkable are what nothing that a function links may import: they keep the linker from dropping
// unused methods.
var unlinkable = []string{"net/rpc", "text/template", "html/template", "testing"}

// A source is what the files of one package import, whatever build tags they carry.
type source struct {
	files   int
	imports map[string]string // path to one file that imports it
}

// sources reads the imports of every Go file below the module's root that is not a test. It looks
// into the files themselves and not at their build constraints, so it sees what any target would. A
// folder with a go.mod of its own is another module's.
func sources(t *testing.T) map[string]*source {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if mod, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil ||
		!strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("%s is not the root of module %s: %v", root, module, err)
	}
	out := make(map[string]*source)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path == root {
				return nil
			}
			_, other := os.Stat(filepath.Join(path, "go.mod"))
			if other == nil || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") ||
				d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(name))
		if out[folder] == nil {
			out[folder] = &source{imports: make(map[string]string)}
		}
		out[folder].files++
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			out[folder].imports[imported] = name
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// within reports whether a folder fits a pattern.
func within(folder, pattern string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		rest, ok := strings.CutPrefix(folder, parent+"/")
		return ok && !strings.Contains(rest, "/")
	}
	return folder == pattern
}

func roomOf(folder string) (room, bool) {
	i := slices.IndexFunc(rooms, func(r room) bool { return within(folder, r.packages) })
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// isStandard reports whether an import path is of the standard library: no dot in its first part.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != module
}

// allowed reports whether the packages of r may import path.
func (r room) allowed(path string) bool {
	if ours, ok := strings.CutPrefix(path, module+"/"); ok {
		return slices.ContainsFunc(r.ours, func(pattern string) bool { return within(ours, pattern) }) &&
			!within(ours, "shared/emulator")
	}
	return isStandard(path) || slices.ContainsFunc(r.modules,
		func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}

func TestImportsPointInward(t *testing.T) {
	all := sources(t)
	files := 0
	used := make(map[string]bool)
	for _, folder := range slices.Sorted(maps.Keys(all)) {
		files += all[folder].files
		r, ok := roomOf(folder)
		if !ok {
			t.Errorf("%s is in no room: give it a row in the table, and an arrow in the design", folder)
			continue
		}
		used[r.packages] = true
		for path, file := range all[folder].imports {
			if path == "C" || path == "unsafe" {
				t.Errorf("%s imports %s", file, path)
			}
			if !r.allowed(path) {
				t.Errorf("%s imports %s, which %s may not", file, path, r.packages)
			}
		}
	}
	for _, r := range rooms {
		if !used[r.packages] {
			t.Errorf("no package is in the room %s: nothing was checked", r.packages)
		}
	}
	if files < 50 || len(all) < 20 {
		t.Fatalf("only %d files in %d packages were found", files, len(all))
	}
}

// Files behind every target's tag are read, which a look through go/build's eyes would not.
func TestEveryBuildTagIsSeen(t *testing.T) {
	for folder, hidden := range map[string]string{
		"shared/app":  "target_local.go", // not with -tags fc or lambda
		"shared/bolt": "lock_other.go",   // not on Linux
	} {
		want, err := os.ReadFile(filepath.Join("..", folder, hidden))
		if err != nil || !strings.HasPrefix(string(want), "//go:build ") {
			t.Fatalf("%s/%s is not a file behind a tag: %v", folder, hidden, err)
		}
		entries, err := os.ReadDir(filepath.Join("..", folder))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
				n++
			}
		}
		if got := sources(t)[folder].files; got != n {
			t.Errorf("%s: %d files were read, want all %d", folder, got, n)
		}
	}
}

// What functions link is looked at through all of our packages: none of them may bring in what
// makes every function large.
func TestFunctionsLinkNothingThatKeepsTheLinkerFromDropping(t *testing.T) {
	all := sources(t)
	var pending []string
	for folder := range all {
		if within(folder, "functions/*") {
			pending = append(pending, folder)
		}
	}
	if len(pending) == 0 || all["shared/app"] == nil {
		t.Fatal("no functions found")
	}
	seen := make(map[string]bool)
	for len(pending) > 0 {
		folder := pending[0]
		pending = pending[1:]
		if seen[folder] || all[folder] == nil {
			continue
		}
		seen[folder] = true
		for path, file := range all[folder].imports {
			if slices.Contains(unlinkable, path) || strings.HasPrefix(path, "testing/") {
				t.Errorf("%s imports %s, and functions link it", file, path)
			}
			if ours, ok := strings.CutPrefix(path, module+"/"); ok {
				pending = append(pending, ours)
			}
		}
	}
	for _, folder := range []string{"shared/app", "shared/chat", "shared/rpc/sign",
		"shared/table/file", "shared/platform/slack"} {
		if !seen[folder] {
			t.Errorf("%s is not among what functions link: the test did not follow imports", folder)
		}
	}
	for _, folder := range []string{"shared/table/tabletest", "shared/platform/platformtest",
		"shared/platform/platformsim", "shared/stream", "shared/stream/streamtest", "shared/webhook/webhooktest",
		"shared/serve/servetest",
		"shared/cloud/cloudtest", "shared/console", "shared/dispatch/dispatchtest", "deploy/chatconf"} {
		if seen[folder] {
			t.Errorf("functions link %s", folder)
		}
	}
}

// The rule itself: what a row allows and what it does not.
func TestRoomRules(t *testing.T) {
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"shared/table", "fmt", true},
		{"shared/table", "chatconf/shared/chat", false},
		{"shared/policy", "golang.org/x/exp/maps", false},
		{"shared/chat", "chatconf/shared/table", true},
		{"shared/chat", "chatconf/shared/table/file", false},
		{"shared/chat", "chatconf/shared/rpc", false},
		{"shared/rpc", "chatconf/shared/serve", false},
		{"shared/rpc", "chatconf/shared/rpc/sign", true},
		{"shared/serve", "chatconf/shared/chat", false},
		{"shared/platform/slack", "chatconf/shared/platform/teams", false},
		{"shared/platform/slack", "chatconf/shared/platform/callback", true},
		{"shared/platform/slack", "chatconf/shared/webhook", false},
		{"shared/platform/slack", "chatconf/shared/chat", false},
		{"shared/platform/callback", "chatconf/shared/chat", false},
		{"shared/platform/callback", "chatconf/shared/webhook", false},
		{"shared/dispatch", "chatconf/shared/webhook", false},
		{"shared/dispatch", "chatconf/shared/chat", false},
		{"shared/dispatch", "chatconf/shared/dispatch/http", false},
		{"shared/dispatch/http", "chatconf/shared/dispatch", true},
		{"shared/app", "chatconf/shared/emulator", false},
		{"shared/app", "chatconf/shared/table/dynamodb", false}, // every function would link it
		{"shared/app", "chatconf/shared/cloud/aws", true},
		{"shared/cloud/alibaba", "chatconf/shared/table/dynamodb", false},
		{"shared/cloud/alibaba", "chatconf/shared/serve/fc", false},
		{"shared/cloud/alibaba", "github.com/aws/aws-sdk-go-v2/aws", false},
		{"shared/app", "chatconf/shared/emulator/ots", false},
		{"shared/emulator/oos", "chatconf/shared/chat", false},
		{"shared/emulator/sts", "chatconf/shared/cloud/alibaba", false},
		{"functions/api", "chatconf/shared/rpc", false},
		{"functions/api", "github.com/spf13/cobra", false},
		{"deploy/chatconf", "github.com/spf13/cobra", true},
		{"deploy/chatconf", "github.com/spf13/cobra/doc", true},
		{"deploy/chatconf", "github.com/spf13/cobrax", false},
		{"shared/bolt", "go.etcd.io/bbolt/errors", true},
		{"shared/app", "chatconf", false},
	} {
		r, ok := roomOf(test.from)
		if got := ok && r.allowed(test.to); got != test.want {
			t.Errorf("%s may import %s: %v, want %v", test.from, test.to, got, test.want)
		}
	}
	for _, folder := range []string{"shared", "shared/util", "shared/table/tablestore/deep",
		"deploy/other", "functions"} {
		if r, ok := roomOf(folder); ok {
			t.Errorf("%s is in the room %s, want none", folder, r.packages)
		}
	}
}

// Every adapter must pass the suite: a folder under shared/table whose tests do not call it is not
// one.
func TestEveryAdapterRunsTheSuite(t *testing.T) {
	entries, err := os.ReadDir("table")
	if err != nil {
		t.Fatal(err)
	}
	adapters := 0
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == "tabletest" {
			continue
		}
		adapters++
		tests, err := filepath.Glob(filepath.Join("table", entry.Name(), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		runs := slices.ContainsFunc(tests, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), "tabletest.Run(t, ")
		})
		if !runs {
			t.Errorf("shared/table/%s does not run tabletest", entry.Name())
		}
	}
	if adapters < 3 {
		t.Errorf("%d adapters were found, want three or more", adapters)
	}
}

// From protobuf 1.4 on, whatever links the Tablestore SDK takes twice as long to start and is 3 MB
// larger.
func TestProtobufStaysOld(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil || !strings.Contains(string(mod), "\tgithub.com/golang/protobuf v1.3.5\n") ||
		strings.Contains(string(mod), "google.golang.org/protobuf") {
		t.Errorf("go.mod does not have github.com/golang/protobuf at v1.3.5 and no other protobuf: %v", err)
	}
}
