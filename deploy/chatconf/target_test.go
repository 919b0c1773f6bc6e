package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"chatconf/deploy"
	"chatconf/shared/app"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/rpc/sign"
)

// programs are what hello builds once: the runtime emulator's test function.
var programs sync.Map

// hello returns the program of the runtime emulator's test function for this machine.
func hello(t testing.TB, kind runtime.Kind) []byte {
	t.Helper()
	return testProgram(t, kind.String())
}

// testProgram returns a program of the runtime emulator's testdata for this machine.
func testProgram(t testing.TB, folder string) []byte {
	t.Helper()
	build, _ := programs.LoadOrStore(folder, sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "hello-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", filepath.Join(dir, "hello"),
			"chatconf/shared/emulator/runtime/testdata/"+folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		return os.ReadFile(filepath.Join(dir, "hello"))
	}))
	program, err := build.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// zipped returns a zip file with one program in it.
func zipped(t testing.TB, name string, program []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: name, Method: zip.Store}
	header.SetMode(0o755)
	f, err := w.CreateHeader(header)
	if err == nil {
		_, err = f.Write(program)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeFile(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

var binaries = map[runtime.Kind]string{runtime.FC: "main", runtime.Lambda: "bootstrap"}

// helloDist returns a folder as `make build` makes it, in which the functions are all the test
// function.
func helloDist(t testing.TB, kind runtime.Kind, functions ...string) string {
	t.Helper()
	dist := t.TempDir()
	folder := filepath.Join(dist, kind.String())
	if kind == runtime.Lambda && stdruntime.GOARCH != "arm64" {
		folder = filepath.Join(folder, stdruntime.GOARCH)
	}
	for _, f := range functions {
		writeFile(t, filepath.Join(folder, f+".zip"), zipped(t, binaries[kind], hello(t, kind)))
	}
	return dist
}

// elfHead returns the beginning of a program for a machine, as ELF numbers it.
func elfHead(machine byte) []byte {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	head[18] = machine
	return head
}

func TestFunctionsAreLookedFor(t *testing.T) {
	foreign := byte(0xb7) // arm64
	if stdruntime.GOARCH == "arm64" {
		foreign = 0x3e
	}
	for name, c := range map[string]struct {
		files map[string][]byte
		only  string
		says  []string
	}{
		"nothing is built": {nil, "", []string{"fc/api.zip is missing", "make build", "--dist"}},
		"only others are built": {map[string][]byte{"list.zip": zipped(t, "main", elfHead(0x3e))}, "",
			[]string{"fc/api.zip is missing", "make build"}},
		"no function of that name": {map[string][]byte{"api.zip": zipped(t, "main", elfHead(0x3e))}, "apo",
			[]string{`no function "apo"`, "it has api"}},
		"for another machine": {map[string][]byte{"api.zip": zipped(t, "main", elfHead(foreign))},
			"", []string{"built for linux/", "this machine runs " + stdruntime.GOOS, "make build"}},
		"for a machine nobody knows": {map[string][]byte{"api.zip": zipped(t, "main", elfHead(8))}, "",
			[]string{"built for linux/EM_MIPS"}},
		"a zip of something else": {map[string][]byte{"api.zip": zipped(t, "README", []byte("x"))}, "",
			[]string{"neither main nor bootstrap", "make build"}},
		"a script without a start": {map[string][]byte{"api.zip": zipped(t, "main", []byte("echo"))}, "",
			[]string{"main is not a Linux program", "#!/bin/sh", "make build"}},
		"a program that is too short": {map[string][]byte{"api.zip": zipped(t, "main", []byte("\x7fELF"))}, "",
			[]string{"main is incomplete"}},
		"what is no zip": {map[string][]byte{"api.zip": []byte("x")}, "", []string{"not a valid zip", "make build"}},
	} {
		t.Run(name, func(t *testing.T) {
			dist := t.TempDir()
			for file, text := range c.files {
				writeFile(t, filepath.Join(dist, "fc", file), text)
			}
			_, err := findZips(dist, runtime.FC, c.only)
			if err == nil {
				t.Fatal("it was found")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error = %v, want it to say %q", err, part)
				}
			}
		})
	}
	zips, err := findZips(helloDist(t, runtime.Lambda, "api", "hello"), runtime.Lambda, "")
	if err != nil || len(zips) != 2 || !strings.HasSuffix(zips["hello"], "hello.zip") {
		t.Errorf("zips = %v, %v, want two", zips, err)
	}
}

func TestServeOfATargetNeedsToKnow(t *testing.T) {
	fc, lambda := helloDist(t, runtime.FC, "api"), helloDist(t, runtime.Lambda, "api")
	onLambda := map[string]string{"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": planted}
	for name, c := range map[string]struct {
		args  []string
		env   map[string]string
		usage bool
		says  string
	}{
		"a target":           {[]string{"--target", "azure"}, nil, true, `"azure"`},
		"no store":           {[]string{"--target", "fc", "--dist", fc, "--store", "file"}, nil, true, "--store"},
		"no dist of its own": {[]string{"--dist", fc}, nil, true, "--dist"},
		"the functions":      {[]string{"--target", "fc", "--dist", t.TempDir()}, nil, false, "make build"},
		"the endpoint": {[]string{"--target", "lambda", "--dist", lambda},
			map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": ""}, true, "AWS_ENDPOINT_URL_DYNAMODB"},
		"the key": {[]string{"--target", "lambda", "--dist", lambda},
			map[string]string{"AWS_ACCESS_KEY_ID": ""}, true, "AWS_ACCESS_KEY_ID"},
		"the region": {[]string{"--target", "lambda", "--dist", lambda},
			map[string]string{"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, true, "AWS_REGION"},
		"a key ring": {[]string{"--target", "fc", "--dist", fc},
			map[string]string{"CHATCONF_KEYRING": "kms:AAAA"}, false, "kms:"},
	} {
		t.Run(name, func(t *testing.T) {
			noEnv(t)
			for name, value := range onLambda {
				t.Setenv(name, value)
			}
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			data := filepath.Join(t.TempDir(), "data")
			out, err := run(t, "", append([]string{"serve", "--addr", "127.0.0.1:0", "--data", data}, c.args...)...)
			if err == nil || out != "" || isUsage(err) != c.usage || !strings.Contains(err.Error(), c.says) ||
				strings.Contains(err.Error(), planted) {
				t.Errorf("serve = %q, %v, want an error that says %q", out, err, c.says)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:5000": true, "http://[::1]:5000": true, "http://localhost:8000": true,
		"https://dynamodb.eu-central-1.amazonaws.com": false, "http://127.0.0.1.example.com": false,
		"http://10.0.0.1:5000": false, "": false, "http://%zz": false,
	} {
		if got := isLoopback(endpoint); got != want {
			t.Errorf("isLoopback(%q) = %v, want %v", endpoint, got, want)
		}
	}
}

// newDeployment opens the test function as the functions api and hello, and as more.
func newDeployment(t *testing.T, kind runtime.Kind, data string, env map[string]string, more ...string) *deployment {
	t.Helper()
	getenv := func(name string) string { return cmp.Or(env[name], os.Getenv(name)) }
	settings, err := app.ReadSettings(getenv)
	if err != nil {
		t.Fatal(err)
	}
	settings.Data, settings.WebhookBaseURL = data, "http://127.0.0.1:9000"
	o, err := openDeployment(t.Context(), deploymentOptions{
		target: kind.String(), dist: helloDist(t, kind, append(more, "api", "hello")...),
		settings: settings, getenv: getenv,
		log: func(runtime.Line) {}, logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// A zip beside those of chatconf is a function too: its hooks are those that it registers, and of
// fc.StartHttp it is given the request.
func TestServeAFunctionOfOnesOwn(t *testing.T) {
	noEnv(t)
	settings, err := app.ReadSettings(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	settings.Data, settings.WebhookBaseURL = t.TempDir(), "http://127.0.0.1:9000"
	dist := helloDist(t, runtime.FC, "api")
	writeFile(t, filepath.Join(dist, "fc", "demo.zip"), zipped(t, "main", testProgram(t, "fchttp")))
	d, err := openDeployment(t.Context(), deploymentOptions{
		target: targetFC, dist: dist, settings: settings, getenv: os.Getenv, log: func(runtime.Line) {},
		logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, target := range []string{"http://demo.localhost:9000/a%20b?x=1", "http://127.0.0.1:9000/demo/a%20b?x=1"} {
		w := httptest.NewRecorder()
		d.front().ServeHTTP(w, httptest.NewRequest("PATCH", target, strings.NewReader("a body")))
		var got struct{ Method, Path, URI, Body, Function string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 201 {
			t.Errorf("%s: %d %s, %v", target, w.Code, w.Body, err)
		}
		if got.Method != "PATCH" || got.Path != "/a b" || got.URI != "/a%20b?x=1" || got.Body != "a body" ||
			got.Function != "demo" {
			t.Errorf("%s: it was given %+v", target, got)
		}
	}
}

// about returns what the test function knows of itself.
func about(t *testing.T, d *deployment) map[string]string {
	t.Helper()
	if err := d.Prepare("hello"); err != nil {
		t.Fatal(err)
	}
	result, err := d.Host().Invoke(t.Context(), "hello", runtime.Request{Payload: []byte(`{"Do":"about"}`)})
	if err != nil || result.Failure != runtime.Answered {
		t.Fatalf("invoke = %v, %v", result, err)
	}
	var out struct{ Env []string }
	if err := json.Unmarshal(result.Payload, &out); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, setting := range out.Env {
		name, value, _ := strings.Cut(setting, "=")
		env[name] = value
	}
	return env
}

// Functions are given what their cloud and the templates give them, their store here, and no more
// of this process.
func TestWhatFunctionsAreGiven(t *testing.T) {
	want := func(t *testing.T, got, want map[string]string) {
		t.Helper()
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s = %q, want %q", name, got[name], value)
			}
		}
		if got["CHATCONF_ACCESS_KEY_SECRET"] != "" || got["PLANTED"] != "" {
			t.Error("a function is given more of this process's environment")
		}
	}
	t.Run("fc", func(t *testing.T) {
		noEnv(t)
		t.Setenv("PLANTED", "yes")
		data := t.TempDir()
		d := newDeployment(t, runtime.FC, data, map[string]string{
			"CHATCONF_ACCESS_KEY_ID": "CCKadministrator", "CHATCONF_ACCESS_KEY_SECRET": "not-a-real-secret-of-anybody",
			"CHATCONF_HOSTS":  "chat.example.com",
			"CHATCONF_REGION": "cn-shanghai",
		})
		env := about(t, d)
		want(t, env, map[string]string{
			"TABLESTORE_ENDPOINT": d.ots, "TABLESTORE_INSTANCE": "local", "CHATCONF_FC_ENDPOINT": d.invokes,
			"CHATCONF_KEYRING": "file:" + filepath.Join(data, "keyring.json"), "CHATCONF_TABLE": "chatconf",
			"CHATCONF_TICKET_TABLE": "chatconf_tickets",
			"CHATCONF_HOSTS":        "chat.example.com", "CHATCONF_REGION": "cn-shanghai", "FC_REGION": "cn-shanghai",
			"CHATCONF_WEBHOOK_BASE_URL": "http://127.0.0.1:9000",
			"FC_FUNCTION_MEMORY_SIZE":   "256", "GOMAXPROCS": "1",
		})
		own := sign.Key{ID: env["ALIBABA_CLOUD_ACCESS_KEY_ID"], Secret: env["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]}
		if own.ID == "" || own.ID == "CCKadministrator" || !mayInvoke(t, d, own) {
			t.Errorf("the function's key is %q, want one of its own that the invoke API takes", own.ID)
		}
		if !mayInvoke(t, d, sign.Key{ID: "CCKadministrator", Secret: "not-a-real-secret-of-anybody"}) {
			t.Error("the invoke API does not take the administrator's key")
		}
	})
	t.Run("lambda", func(t *testing.T) {
		onDynamo(t)
		t.Setenv("PLANTED", "yes")
		data := t.TempDir()
		ring := filepath.Join(t.TempDir(), "ring.json")
		mustRun(t, "keyring", "new", "--out", ring)
		hello(t, runtime.Lambda)    // which is built where the module is
		t.Chdir(filepath.Dir(ring)) // a function has another working directory
		t.Setenv("CHATCONF_KEYRING", "file:ring.json")
		d := newDeployment(t, runtime.Lambda, data, nil)
		want(t, about(t, d), map[string]string{
			"AWS_ENDPOINT_URL_DYNAMODB": os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"), "AWS_ENDPOINT_URL_LAMBDA": d.invokes,
			"AWS_REGION":        "eu-central-1",
			"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
			"CHATCONF_KEYRING": "file:" + ring, "CHATCONF_REGION": "cn-hangzhou",
		})
	})
}

// mayInvoke reports whether a key may invoke functions.
func mayInvoke(t *testing.T, d *deployment, key sign.Key) bool {
	t.Helper()
	const body = `{"Do":"about"}`
	url := d.invokes + "/2023-03-30/functions/hello/invocations"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Acs-Action", "InvokeFunction")
	r.Header.Set("X-Acs-Version", "2023-03-30")
	if err := key.SignACS3(r, []byte(body), time.Now(), "nonce"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusForbidden {
		t.Errorf("an invocation is answered with %d", resp.StatusCode)
	}
	return resp.StatusCode == http.StatusOK
}

// A key ring in the environment is passed on unchanged.
func TestAKeyRingOfTheEnvironmentIsHandedOn(t *testing.T) {
	noEnv(t)
	ring := mustRun(t, "keyring", "new")
	d := newDeployment(t, runtime.FC, t.TempDir(), map[string]string{"CHATCONF_KEYRING": ring})
	if got := about(t, d)["CHATCONF_KEYRING"]; got != ring {
		t.Error("the function has another key ring")
	}
}

// A second start finds what the first made; an administrator's key that was taken away does not
// come back.
func TestALaterStartMakesNoKey(t *testing.T) {
	noEnv(t)
	data := t.TempDir()
	first := newDeployment(t, runtime.FC, data, nil)
	key, err := app.ReadAccessKey(data)
	if err != nil || !first.service.First || first.service.AccessKeyID != key.ID {
		t.Fatalf("the first start makes %q: %v", first.service.AccessKeyID, err)
	}
	signer := sign.Key{ID: key.ID, Secret: key.Secret.Reveal()}
	if !mayInvoke(t, first, signer) {
		t.Error("the invoke API does not take the administrator's key")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := newDeployment(t, runtime.FC, data, nil)
	if got := second.service; got.First || got.AccessKeyID != key.ID {
		t.Errorf("the second start has the key %q, want that of the first", got.AccessKeyID)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(data, "access-key.json")); err != nil {
		t.Fatal(err)
	}
	third := newDeployment(t, runtime.FC, data, nil)
	if _, err := os.Stat(filepath.Join(data, "access-key.json")); err == nil || third.service.AccessKeyID != "" {
		t.Errorf("the key came back: %q", third.service.AccessKeyID)
	}
	if mayInvoke(t, third, signer) {
		t.Error("the invoke API takes a key that was taken away")
	}
}

func TestDataThatAreInUse(t *testing.T) {
	noEnv(t)
	data := t.TempDir()
	newDeployment(t, runtime.FC, data, nil)
	out, err := run(t, "", "invoke", "hello", "--data", data, "--dist", helloDist(t, runtime.FC, "hello"))
	if err == nil || out != "" || !strings.Contains(err.Error(),
		"; stop the service first") {
		t.Errorf("invoke beside a service = %q, %v", out, err)
	}
}

// Functions have on this machine the name, the time and the memory that the templates give them,
// and the timer its rate.
func TestFunctionsAreAsDeployed(t *testing.T) {
	for _, f := range deploy.Functions {
		for folder, is := range map[string]bool{apiFunction: f.IsAPI(), webhookFunction: f.IsWebhook(),
			dispatchFunction: f.IsDispatch(), redriveFunction: f.IsRedrive(),
			resealFunction: f.Reseals()} {
			if got := f.Folder == folder; got != is {
				t.Errorf("%s is the function %s: %v, want %v", f.Folder, folder, got, is)
			}
		}
	}
	files, err := deploy.Files()
	if err != nil {
		t.Fatal(err)
	}
	var fc, aws map[string]any
	if err := errors.Join(yaml.Unmarshal(files["s.yaml"], &fc),
		yaml.Unmarshal(files["template.yml"], &aws)); err != nil {
		t.Fatal(err)
	}
	at := func(n any, path ...string) any {
		for _, key := range path {
			m, _ := n.(map[string]any)
			n = m[key]
		}
		return n
	}
	const standard = int(functionTimeout / time.Second)
	for _, m := range []struct{ got, want any }{
		{at(fc, "template", "function", "timeout"), standard},
		{at(aws, "Globals", "Function", "Timeout"), standard},
		{at(fc, "template", "function", "memorySize"), functionMemory},
		{at(aws, "Parameters", "MemorySize", "Default"), functionMemory},
		{at(aws, "Resources", "RedriveCommands", "Properties", "Events", "EveryMinute", "Properties", "Schedule"),
			fmt.Sprintf("rate(%.0f minute)", redriveEvery.Minutes())},
	} {
		if m.got != m.want {
			t.Errorf("a template has %v, want %v", m.got, m.want)
		}
	}
	if want := fmt.Sprintf(`cronExpression: "@every %.0fm"`, redriveEvery.Minutes()); !bytes.Contains(files["s.yaml"],
		[]byte(want)) {
		t.Errorf("s.yaml has no %s", want)
	}
	for _, f := range deploy.Functions {
		var want any // of what has the standard, nothing is said
		if longer := timeouts[f.Folder]; longer != 0 {
			want = int(longer / time.Second)
		}
		for target, got := range map[string]any{
			targetFC:     at(fc, "resources", f.Folder, "props", "timeout"),
			targetLambda: at(aws, "Resources", f.Name(), "Properties", "Timeout"),
		} {
			if got != want {
				t.Errorf("%s has on %s %v seconds, want %v", f.Folder, target, got, want)
			}
		}
	}
}

// The front passes each request to the right function, with the path of that function.
func TestFront(t *testing.T) {
	noEnv(t)
	d := newDeployment(t, runtime.FC, t.TempDir(), nil)
	front := httptest.NewServer(d.front())
	defer front.Close()
	for _, c := range []struct{ host, path, want string }{
		{"", "/hello/event", "/event"},
		{"", "/hello/event?a=b", "/event"},
		{"", "/api/event", "/event"},
		{"", "/event", "/event"},
		{"hello.localhost:9000", "/event", "/event"},
		{"nobody.localhost", "/event", "/event"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+c.path, strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var event struct {
			RawPath         string
			QueryParameters map[string]string
		}
		err = json.NewDecoder(resp.Body).Decode(&event)
		resp.Body.Close()
		if err != nil || event.RawPath != c.want || strings.Contains(c.path, "?") && event.QueryParameters["a"] != "b" {
			t.Errorf("%s%s arrives as %+v: %v, want the path %s", c.host, c.path, event, err, c.want)
		}
	}
	started := func() []int { return []int{d.Host().Stats("api").Started, d.Host().Stats("hello").Started} }
	if got := started(); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("processes of api and hello = %v, want one each", got)
	}
}

// Platforms call webhooks at the path that Outputs says, and 'chatconf send' finds its action,
// whatever functions there are.
func TestFrontOfWebhooks(t *testing.T) {
	noEnv(t)
	d := newDeployment(t, runtime.FC, t.TempDir(), nil, webhookFunction)
	front := d.front()
	w := httptest.NewRecorder()
	front.ServeHTTP(w, httptest.NewRequest(http.MethodPost,
		"/webhook/1000000000000000/cn-hangzhou/ops/not-a-real-token", strings.NewReader(`"from a platform"`)))
	if w.Code != http.StatusOK || w.Body.String() != "from a platform" {
		t.Errorf("answer = %d %s, want the webhook's", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Acs-Action", sendAction)
	w = httptest.NewRecorder()
	front.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"Code":`) {
		t.Errorf("answer = %d %s, want the refusal of who does not sign", w.Code, w.Body)
	}
	started := func() []int {
		return []int{d.Host().Stats(webhookFunction).Started, d.Host().Stats(apiFunction).Started}
	}
	if got := started(); !slices.Equal(got, []int{1, 0}) {
		t.Errorf("processes of webhook and api = %v, want one of webhook", got)
	}
}

// serve says what runs, answers, and stops when it is told to.
func TestServeTarget(t *testing.T) {
	noEnv(t)
	settings, err := app.ReadSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	settings.Addr, settings.Data = "127.0.0.1:0", t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	dist := helloDist(t, runtime.FC, "api", "hello")
	go func() { done <- serveTarget(ctx, w, settings, targetFC, dist, nil) }()
	said := make([]byte, 0, 4096)
	for !bytes.Contains(said, []byte(`env`)) {
		n, err := r.Read(said[len(said):cap(said)])
		if err != nil {
			t.Fatal(err)
		}
		said = said[:len(said)+n]
	}
	go io.Copy(io.Discard, r)
	for _, part := range []string{"functions        2, as on Function Compute", "invoke API       http://127.0.0.1:",
		"instance local", "access key id"} {
		if !bytes.Contains(said, []byte(part)) {
			t.Errorf("it says %q, want %q in it", said, part)
		}
	}
	endpoint, err := app.ReadEndpoint(settings.Data)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(endpoint+"/hello/", "text/plain", strings.NewReader(`"a text"`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(text) != "a text" {
		t.Errorf("answer = %s, %v", text, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
