package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// python runs a module of Python that make installs, in a new folder, and returns what it printed.
func python(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program, err := filepath.Abs(otsPython)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-B", "-m"}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cleanEnviron(t), "HOME="+cmd.Dir, "COLUMNS=160")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// needPython skips a test where a module is not installed, or fails it where it must be.
func needPython(t *testing.T, module string) {
	t.Helper()
	out, err := python(t, module, "--help")
	switch {
	case err == nil:
	case requireExternal:
		t.Fatalf("make moto installs %s: %v\n%s", module, err, out)
	default:
		t.Skipf("make moto installs %s: %v", module, err)
	}
}

// onOneProcess skips a test of what only one process shows, and functions do not.
func onOneProcess(t *testing.T) {
	t.Helper()
	if functions.target != "" {
		t.Skip("functions show no description of the API")
	}
}

// description returns the description of the API that a service shows.
func (s *service) description(t *testing.T) []byte {
	t.Helper()
	a := do(t, newRequest(t, http.MethodGet, "http://"+s.endpoint+"/openapi.json", "", ""))
	if a.status != http.StatusOK {
		t.Fatalf("/openapi.json: %d %s", a.status, a.body)
	}
	return a.body
}

// The description that a service shows is one of OpenAPI 3.1.
func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	onOneProcess(t)
	needPython(t, "openapi_spec_validator")
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, serve(t).description(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := python(t, "openapi_spec_validator", "--schema", "3.1", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A signingFront stands between a client that cannot sign and a service. The path of a request is
// its action. Requests with a form are signed in both dialects in turn, and all others by ACS3.
type signingFront struct {
	t       *testing.T
	service *service
	turn    atomic.Int64
	answers [600]atomic.Int64 // by status
	refused atomic.Int64      // requests whose signature was refused
}

// ServeHTTP implements http.Handler.
func (s *signingFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/schemathesis-probe") { // it tries what a server understands
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	req := s.sign(r, string(body))
	req.Header["If-Match"] = r.Header["If-Match"]
	resp, err := transport.RoundTrip(req)
	if err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	a := readAnswer(s.t, resp)
	s.answers[a.status].Add(1)
	if bytes.Contains(a.body, []byte(`"SignatureDoesNotMatch"`)) {
		s.refused.Add(1)
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	w.Write(a.body)
}

func (s *signingFront) sign(r *http.Request, body string) *http.Request {
	action, kind := strings.TrimPrefix(r.URL.Path, "/"), r.Header.Get("Content-Type")
	query, twice := first(r.URL.RawQuery)
	form, twiceInForm := first(body)
	isForm := body == "" || kind == "application/x-www-form-urlencoded"
	if isForm && !twice && !twiceInForm && s.turn.Add(1)%2 == 0 {
		v := newV1(s.service.key, action)
		maps.Copy(v.params, query)
		maps.Copy(v.params, form)
		v.method, v.form = r.Method, body != ""
		return v.request(s.t, s.service.endpoint)
	}
	a := newACS3(s.service.key, action)
	a.method, a.query, a.body, a.kind = r.Method, query, body, kind
	req := a.request(s.t, s.service.endpoint)
	if twice { // which is refused before the signature is looked at
		req.URL.RawQuery = r.URL.RawQuery
	}
	return req
}

// first returns the first value of each parameter, and whether one has several.
func first(text string) (params map[string]string, twice bool) {
	values, err := url.ParseQuery(text)
	params = make(map[string]string, len(values))
	for name, list := range values {
		params[name], twice = list[0], twice || len(list) > 1
	}
	return params, twice || err != nil
}

// simple returns a description for a signingFront: without the parameters of the dialects, and with
// the action as the path. Names of some bots are known to the client. With onlyForms there are no
// bodies in JSON.
func simple(t *testing.T, text []byte, onlyForms bool, names ...string) []byte {
	t.Helper()
	var api struct {
		OpenAPI    string                               `json:"openapi"`
		Info       any                                  `json:"info"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components map[string]map[string]map[string]any `json:"components"`
	}
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	ofDialect := func(p any) bool {
		parameter := p.(map[string]any)
		if ref, ok := parameter["$ref"].(string); ok {
			parameter = api.Components["parameters"][path.Base(ref)]
		}
		return parameter["x-dialect"] != nil
	}
	known := func(schema any) any { return object{"anyOf": []any{object{"enum": names}, schema}} }
	paths := make(map[string]map[string]map[string]any)
	for where, item := range api.Paths {
		for _, operation := range item {
			parameters := slices.DeleteFunc(operation["parameters"].([]any), ofDialect)
			for _, p := range parameters {
				if parameter := p.(map[string]any); parameter["name"] == "Name" {
					parameter["schema"] = known(parameter["schema"])
				}
			}
			operation["parameters"] = parameters
			if body, ok := operation["requestBody"].(map[string]any); ok && onlyForms {
				delete(body["content"].(map[string]any), "application/json")
			}
		}
		paths["/"+strings.TrimPrefix(where, "/#")] = item
	}
	api.Paths = paths
	for name, schema := range api.Components["schemas"] {
		isOfRequest := strings.HasSuffix(name, "Request") || strings.HasSuffix(name, "Form")
		properties, ok := schema["properties"].(map[string]any)
		if ok && isOfRequest && properties["Name"] != nil {
			properties["Name"] = known(properties["Name"])
		}
	}
	delete(api.Components, "parameters")
	delete(api.Components, "securitySchemes")
	out, err := json.Marshal(api)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// generated is how many requests schemathesis says it made.
var generated = regexp.MustCompile(`(?m)^\s*(\d+) generated, `)

// Whatever a client sends of what the description lets it send, and of what it does not, the
// service answers as the description says, and has no error of its own. What the description does
// not let a client send in a query or a form is refused. In JSON the service also takes a number
// for a text.
func TestSchemathesis(t *testing.T) {
	t.Parallel()
	onOneProcess(t)
	needPython(t, "schemathesis.cli")
	s := serve(t)
	client := s.client(t)
	create(t, client, "ops")
	create(t, client, "dev")
	description := s.description(t)
	const checks = "not_a_server_error,status_code_conformance,content_type_conformance," +
		"response_headers_conformance,response_schema_conformance"
	for _, c := range []struct {
		about, checks string
		onlyForms     bool
	}{
		{"every body", checks, false},
		{"forms", checks + ",negative_data_rejection", true},
	} {
		t.Run(c.about, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "openapi.json")
			if err := os.WriteFile(file, simple(t, description, c.onlyForms, "ops", "dev"), 0o600); err != nil {
				t.Fatal(err)
			}
			signing := &signingFront{t: t, service: s}
			front := httptest.NewServer(signing)
			defer front.Close()
			out, err := python(t, "schemathesis.cli", "run", file, "--url", front.URL, "--no-color", "--seed", "7",
				"--generation-database", "none", "--max-examples", "10", "--phases", "coverage,fuzzing",
				"--max-failures", "10", "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off",
				"--checks", c.checks)
			if err != nil || !generated.MatchString(out) {
				t.Errorf("%v\n%s", err, out)
			}
			for status := range signing.answers {
				if n := signing.answers[status].Load(); n > 0 {
					t.Logf("%d answers of %d", n, status)
				}
			}
			if n := signing.refused.Load(); n > 0 {
				t.Errorf("%d signatures were refused", n)
			}
			const least = 150 // so that it does not only send what is refused at once
			if good := signing.answers[http.StatusOK].Load(); good < least {
				t.Errorf("%d requests were successful, want at least %d", good, least)
			}
		})
	}
}

// An editor with a YAML language server, which reads the schema from the service, marks mistakes in
// a bot file, completes keys and explains them.
func TestEditorsUnderstandBotFiles(t *testing.T) {
	t.Parallel()
	onOneProcess(t)
	if out, err := runPeer(t, nil, []string{"node", "-e", "require.resolve('yaml-language-server')"}); err != nil {
		if requireExternal {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Skipf("make peers installs the language server: %v", err)
	}
	text := "# yaml-language-server: $schema=http://" + serve(t).endpoint + `/schema/bot.json
Name: ops
Type: DingTalk
Configuration:
  DingTalkClientId: dingexample
  DingTalkClientSecret: not-a-real-secret
  DingTalkClintId: x
  Permissions:
    - {Effect: allow, Principals: ["*"], Commands: [restart]}
  Actions:
    restart:
      Parameters:
        - Name: env
          Type: Enum
      
`
	cmd := exec.CommandContext(t.Context(), "node", "yaml.js")
	cmd.Dir, cmd.Env = peersFolder, cleanEnviron(t)
	cmd.Stdin = strings.NewReader(jsonText(object{"text": text, "at": []any{[]int{14, 6}, []int{4, 6}}}))
	printed, err := cmd.Output()
	var said struct {
		Problems []struct {
			Line    int
			Message string
		}
		Keys [][]string
		Help []string
	}
	if err := errors.Join(err, json.Unmarshal(printed, &said)); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	got := make(map[int]string)
	for _, p := range said.Problems {
		got[p.Line] = p.Message
	}
	want := map[int]string{
		5:  "write ${env:NAME}, ${file:PATH} or ${command:…}",
		6:  "Property DingTalkClintId is not allowed.",
		8:  `Value is not accepted. Valid values: "Allow", "Deny".`,
		12: `Missing property "Values".`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the mistakes by line, counted from 0 (-want +got):\n%s", diff)
	}
	keys := []string{"Aliases", "DryRun", "RamRole", "Summary", "Target", "TimeoutSeconds"}
	if !slices.Equal(said.Keys[0], keys) {
		t.Errorf("in an action it offers %q, want %q", said.Keys[0], keys)
	}
	if !strings.Contains(said.Help[1], "Client ID of the app") {
		t.Errorf("of DingTalkClientId it says %q", said.Help[1])
	}
}
