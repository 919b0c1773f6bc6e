package schema_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"chatconf/deploy/schema"
	"chatconf/shared/platform"
	"chatconf/shared/rpc"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// root is the root of the repository.
const root = "../.."

func TestFilesAreInSync(t *testing.T) {
	files, err := schema.Files(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for path, text := range files {
		want = append(want, filepath.Base(path))
		if got, err := os.ReadFile(filepath.Join(root, path)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s is not what the code says: %v; run 'make generate'", path, err)
		}
	}
	got, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q; remove the others", got, want)
	}
}

// A parameter or a key without a row in the reference is an error that names it.
func TestWhatIsNotDescribedIsAnError(t *testing.T) {
	pages := make(fstest.MapFS)
	for _, name := range []string{"functions/README.md", "shared/command/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = &fstest.MapFile{Data: text}
	}
	for _, c := range []struct{ page, row, want string }{
		{"functions/README.md", "| `GraceSeconds` |", "GraceSeconds of RotateChatWebhook"},
		{"functions/README.md", "| `RamRole` | name of", "RamRole of a bot file"},
		{"functions/README.md", "| `Aliases` |", "Aliases in the table of key of an action"},
		{"shared/command/README.md", "| `Effect` |", "Effect in the table of key"},
	} {
		page := pages[c.page]
		changed := strings.ReplaceAll(string(page.Data), c.row, "| |")
		if changed == string(page.Data) {
			t.Fatalf("%s has no row %s", c.page, c.row)
		}
		pages[c.page] = &fstest.MapFile{Data: []byte(changed)}
		_, err := schema.Files(both{pages, os.DirFS(root)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("without the row %s: %v, want an error with %q", c.row, err, c.want)
		}
		pages[c.page] = page
	}
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := schema.Made(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	out, err := c.Compile(name) // this checks it against its own meta-schema
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A bot file with references to secrets is valid, and a mistake in it is found.
func TestBotFiles(t *testing.T) {
	bot := compile(t, schema.Bot)
	const good = `
Name: ops
Type: DingTalk
RamRole: OpsRole
Status: Active
Tags: {env: prod}
Configuration:
  DingTalkClientId: dingexample
  DingTalkClientSecret: ${env:DINGTALK_SECRET}
  DingTalkWindowSeconds: 300
  UserGroups:
    sre: [manager4220]
  Actions:
    restart:
      Parameters:
        - {Name: instance, Required: true, Pattern: "i-[a-z0-9]{1,20}"}
        - {Name: env, Type: Enum, Values: [test, prod], Default: test}
      Target: {Type: Http, Url: "https://ci.example.com/x", Secret: "${command:pass show hook}"}
      TimeoutSeconds: 30
  Permissions:
    - {Effect: Allow, Principals: ["group:sre"], Commands: [restart], Parameters: {env: [test]}}
`
	for _, c := range []struct {
		about, old, new string
		ok              bool
	}{
		{"as it is", "", "", true},
		{"a secret that is kept", "${env:DINGTALK_SECRET}", "'******'", true},
		{"a secret itself", "${env:DINGTALK_SECRET}", "not-a-real-secret", false},
		{"a secret of an action itself", `"${command:pass show hook}"`, "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2Y=", false},
		{"an unknown reference", "${env:DINGTALK_SECRET}", "${vault:x}", false},
		{"a missing setting", "  DingTalkClientId: dingexample\n", "", false},
		{"a setting of another platform", "Type: DingTalk", "Type: Slack", false},
		{"an alias of a Type", "Type: DingTalk", "Type: Lark", false},
		{"no Type", "Type: DingTalk\n", "", false},
		{"an unknown Type", "Type: DingTalk", "Type: IRC", false},
		{"an unknown key", "Tags:", "Tag:", false},
		{"an unknown key of an action", "TimeoutSeconds", "Timeout", false},
		{"a name with a blank", "Name: ops", "Name: my ops", false},
		{"a reserved name", "Name: ops", "Name: AliYunBot", false},
		{"a target by http", "https:", "http:", false},
		{"a Pattern of an Enum", "Values: [test, prod]", "Values: [test, prod], Pattern: x", false},
		{"a number that is too large", "DingTalkWindowSeconds: 300", "DingTalkWindowSeconds: 3000000", false},
		{"an effect in lower case", "Effect: Allow", "Effect: allow", false},
	} {
		text := strings.ReplaceAll(good, c.old, c.new)
		if c.old == "" {
			text = good
		}
		if c.old != "" && text == good {
			t.Fatalf("%s: the file has no %q", c.about, c.old)
		}
		if err := bot.Validate(fromYAML(t, text)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.about, err)
		}
	}
}

func fromYAML(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// documented finds the Configurations of a page, with the Type that they are created with.
var documented = regexp.MustCompile(`(?s)<<'BOT'\n(.*?)\nBOT\n.*?Type=(\w+)`)

// The Configurations that the pages show are valid.
func TestDocumentedConfigurations(t *testing.T) {
	for page, want := range map[string]int{"README.md": 1, "deploy/docs/zh/README.md": 1, "functions/README.md": 1,
		"shared/command/README.md": 2} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		found := documented.FindAllStringSubmatch(string(text), -1)
		if len(found) < want {
			t.Errorf("%s shows %d Configurations, want at least %d", page, len(found), want)
		}
		for _, m := range found {
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(m[1]))
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if err := compile(t, "configuration-"+strings.ToLower(m[2])+".json").Validate(doc); err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
			}
		}
	}
}

// Every platform has a schema of its Configuration, which is valid.
func TestEveryPlatformHasASchema(t *testing.T) {
	for _, p := range platform.All().Descriptions() {
		compile(t, "configuration-"+strings.ToLower(p.Type)+".json")
	}
}

// The description has every action with all of its parameters, a GET where the action takes it, and
// no reference to nothing.
func TestTheDescriptionHasEveryAction(t *testing.T) {
	type parameters struct {
		Properties map[string]struct{ Description string }
	}
	var api struct {
		Paths      map[string]map[string]struct{ OperationId string }
		Components struct{ Schemas map[string]parameters }
	}
	text, err := schema.Made(schema.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	actions := slices.Concat(rpc.Actions(), rpc.KeyActions(), rpc.ResealActions())
	for _, a := range actions {
		path := api.Paths["/#"+a.Name]
		if path["post"].OperationId != a.Name || (path["get"].OperationId != "") != a.TakesGet() {
			t.Errorf("%s is described as %v", a.Name, path)
		}
		for _, body := range []string{"Request", "Form"} {
			properties := api.Components.Schemas[a.Name+body].Properties
			for _, name := range a.Parameters() {
				if properties[name].Description == "" {
					t.Errorf("%s%s does not describe %s", a.Name, body, name)
				}
			}
			if len(properties) != len(a.Parameters()) {
				t.Errorf("%s%s has %d parameters, and the action %d", a.Name, body, len(properties),
					len(a.Parameters()))
			}
		}
	}
	if len(api.Paths) != len(actions) {
		t.Errorf("there are %d paths, and %d actions", len(api.Paths), len(actions))
	}
}

// both are two file systems, of which the first counts.
type both struct{ first, second fs.FS }

// Open implements fs.FS.
func (b both) Open(name string) (fs.File, error) {
	if f, err := b.first.Open(name); err == nil {
		return f, nil
	}
	return b.second.Open(name)
}
