package functions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
)

// A function is a folder here.
type function struct {
	folder string
	action string // empty: all of them
	method string // of chat.Service, that does it
	plane  bool   // it is of the data plane, and serves no action
	keys   bool   // it serves the actions on access keys
	reseal bool   // it serves ResealSecrets
}

// functions returns what main.go of every folder runs. A main does nothing else.
func functions(t *testing.T) []function {
	t.Helper()
	paths, err := filepath.Glob("*/main.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no functions: %v", err)
	}
	var out []function
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		f := function{folder: filepath.Dir(path)}
		last, ok := file.Decls[len(file.Decls)-1].(*ast.FuncDecl)
		if !ok || last.Name.Name != "main" || len(last.Body.List) != 1 {
			t.Fatalf("%s: wanted one statement in main", path)
		}
		call, ok := last.Body.List[0].(*ast.ExprStmt).X.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 || call.Fun.(*ast.SelectorExpr).Sel.Name != "Run" {
			t.Fatalf("%s: wanted one call of app.Run in main", path)
		}
		role := call.Args[0].(*ast.CallExpr)
		switch name := role.Fun.(*ast.SelectorExpr).Sel.Name; {
		case name == "Action" && len(role.Args) == 2:
			if f.action, err = strconv.Unquote(role.Args[0].(*ast.BasicLit).Value); err != nil {
				t.Fatal(err)
			}
			f.method = role.Args[1].(*ast.SelectorExpr).Sel.Name
		case len(role.Args) != 0:
			t.Fatalf("%s: main runs %s with arguments", path, name)
		case name == "Webhook", name == "Dispatch", name == "Redrive":
			f.plane = true
		case name == "AccessKeys":
			f.keys = true
		case name == "Check":
			f.action, f.method = "CheckChatConfiguration", "CheckConfiguration"
		case name == "Reseal":
			f.reseal, f.action, f.method = true, "ResealSecrets", "ResealSecrets"
		case name != "API":
			t.Fatalf("%s: main runs %s", path, name)
		}
		out = append(out, f)
	}
	return out
}

// kebab returns CreateChatConfiguration as create-chat-configuration.
func kebab(action string) string {
	var b strings.Builder
	for i, r := range action {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// keyMethods are the methods that do the actions on access keys, which have their names.
func keyMethods() map[string]string {
	methods := make(map[string]string)
	for _, a := range rpc.KeyActions() {
		methods[a.Name] = a.Name
	}
	return methods
}

// There is one folder for each action on configurations, named like it, api for all of them, one
// for access keys, and one for ResealSecrets.
func TestFoldersAreActions(t *testing.T) {
	var got, want []string
	for _, f := range functions(t) {
		if f.folder == "api" && f.action != "" {
			t.Errorf("api serves only %s", f.action)
		}
		if f.folder == "api" || f.plane || f.keys || f.reseal {
			continue
		}
		if kebab(f.action) != f.folder {
			t.Errorf("%s serves %q", f.folder, f.action)
		}
		got = append(got, f.action)
	}
	for _, a := range rpc.Actions() {
		want = append(want, a.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("functions = %q, want %q", got, want)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "testdata" {
			continue
		}
		for _, name := range []string{"main.go", "event.json"} {
			if _, err := os.Stat(filepath.Join(e.Name(), name)); err != nil {
				t.Errorf("%s: %v", e.Name(), err)
			}
		}
	}
}

// parameters returns the parameters of the action that a method does, each with the type of its
// field.
func parameters(t *testing.T, method string) map[string]reflect.Type {
	t.Helper()
	m, ok := reflect.TypeFor[*chat.Service]().MethodByName(method)
	if !ok {
		t.Fatalf("chat.Service has no method %s", method)
	}
	request := m.Type.In(2).Elem()
	out := make(map[string]reflect.Type)
	for i := range request.NumField() {
		out[request.Field(i).Tag.Get("param")] = request.Field(i).Type
	}
	return out
}

// Every event names parameters of its action and no others, in the shape that they have.
func TestEventsDecodeStrictly(t *testing.T) {
	for _, f := range functions(t) {
		if f.plane {
			continue
		}
		event := readEvent(t, f.folder)
		known := make(map[string]reflect.Type)
		if f.folder == "api" || f.keys {
			known["Action"], known["Version"] = reflect.TypeFor[string](), reflect.TypeFor[string]()
			var action string
			if err := json.Unmarshal(event["Action"], &action); err != nil {
				t.Fatal(err)
			}
			f.method = keyMethods()[action]
			for _, other := range functions(t) {
				if !f.keys && other.action == action {
					f = other
				}
			}
		}
		for name, kind := range parameters(t, f.method) {
			known[name] = kind
		}
		for name, value := range event {
			kind, ok := known[name]
			if !ok {
				t.Errorf("%s: %s is no parameter of %s", f.folder, name, f.action)
				continue
			}
			if name == "Configuration" {
				kind = reflect.TypeFor[map[string]any]() // a Configuration is written as what it is
			}
			d := json.NewDecoder(bytes.NewReader(value))
			d.DisallowUnknownFields()
			if err := d.Decode(reflect.New(kind).Interface()); err != nil {
				t.Errorf("%s: %s: %v", f.folder, name, err)
			}
		}
	}
}

func readEvent(t *testing.T, folder string) map[string]json.RawMessage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "event.json"))
	if err != nil {
		t.Fatal(err)
	}
	var event map[string]json.RawMessage
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	return event
}

// order is how the events follow on each other, and what the answer to each holds.
var order = []struct{ folder, holds string }{
	{"create-chat-configuration", `"Name":"ops"`},
	{"create-chat-configuration", `"Name":"ops"`}, // its ClientToken makes it repeatable
	{"tag-resources", `"RequestId":`},
	{"get-chat-configuration", `"DingTalkClientSecret\":\"******\"`},
	{"list-chat-configurations", `"Name":"ops"`},
	{"list-tag-resources", `"TagKey":"团队","TagValue":"运维"`},
	{"list-tag-keys", `"Keys":["env","团队"]`},
	{"list-tag-values", `"Values":["prod"]`},
	{"simulate-chat-permission", `"Reason":"Permissions[0] allows restart.`},
	{"rotate-chat-webhook", `"GraceUntil":"`},
	{"copy-chat-configuration", `"Name":"ops-copy"`},
	{"rotate-chat-secret", `"PreviousUntil":"`},
	{"list-chat-commands", `"ChatCommands":[]`},
	{"get-chat-configuration-health", `"State":"Silent"`},
	{"check-chat-configuration", `"Step":"webhook","State":"NotPossible"`},
	{"update-chat-configuration", `"Name":"ops"`},
	{"list-chat-configuration-revisions", `"Operation":"Rotated"`},
	{"get-chat-configuration-revision", `"Compared":2`},
	{"restore-chat-configuration", `"RestoredRevision":1`},
	{"change-resource-group", `"RequestId":`},
	{"untag-resources", `"RequestId":`},
	{"api", `"Name":"ops"`},
	{"manage-access-keys", `"AccessKeyId":"CCKtest"`},
	{"reseal", `"Done":true`},
	{"delete-chat-configuration", `"Content":`},
}

// The events really work, one after the other, on a real local service that serves the one action
// of the folder alone.
func TestEventsSucceed(t *testing.T) {
	key := sign.Key{ID: "CCKtest", Secret: "not-a-real-secret"}
	local, err := app.OpenLocal(t.Context(), app.Settings{
		Table: app.DefaultTable, TicketTable: app.DefaultTickets, AccountID: app.DefaultAccountID,
		Region: app.DefaultRegion,
		Data:   t.TempDir(), AccessKeyID: key.ID, AccessKeySecret: secret.Text(key.Secret),
	}, app.Actions(slices.Concat(rpc.Actions(), rpc.KeyActions(), rpc.ResealActions())...).Resealing())
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	actions := make(map[string]string)
	for _, f := range functions(t) {
		if !f.plane {
			actions[f.folder] = f.action
		}
	}
	ran := make(map[string]bool)
	for i, step := range order {
		body, err := os.ReadFile(filepath.Join(step.folder, "event.json"))
		if err != nil {
			t.Fatal(err)
		}
		action := actions[step.folder]
		if action == "" { // of several, which the event names
			if err := json.Unmarshal(readEvent(t, step.folder)["Action"], &action); err != nil {
				t.Fatal(err)
			}
		}
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Acs-Action", action)
		req.Header.Set("X-Acs-Version", rpc.Version)
		if err := key.SignACS3(req, body, time.Now(), fmt.Sprint("nonce", i)); err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		logger := slog.New(slog.NewTextHandler(io.Discard, nil))
		local.Handler.ServeHTTP(rec, req.WithContext(invoke.With(req.Context(), &invoke.Invocation{Logger: logger})))
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), step.holds) {
			t.Errorf("%s: %d %s, want %s in it", step.folder, rec.Code, rec.Body, step.holds)
		}
		ran[step.folder] = true
	}
	for folder := range actions {
		if !ran[folder] {
			t.Errorf("the event of %s was not tried", folder)
		}
	}
}
