package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/emulator/runtime"
	"chatconf/shared/rpc"
)

// invokeOut is what -o json prints.
type invokeOut struct {
	Function, RequestId, Failure, Report string
	Status                               int
	Answer                               json.RawMessage
	Duration                             float64
	Log                                  []string
}

// invokeJSON runs invoke with -o json.
func invokeJSON(t *testing.T, stdin string, args ...string) (out invokeOut, err error) {
	t.Helper()
	text, err := run(t, stdin, append(append([]string{"invoke"}, args...), "-o", "json")...)
	if text != "" {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%q printed %s: %v", args, text, err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, out.Answer); err != nil {
			t.Fatal(err)
		}
		out.Answer = compact.Bytes()
	}
	return out, err
}

// A function of the user's own, as a zip file or as the program that is in it, on both clouds.
func TestInvokeAFunctionOfOnesOwn(t *testing.T) {
	noEnv(t)
	for kind, binary := range binaries {
		dir := t.TempDir()
		program, archive := filepath.Join(dir, "program"), filepath.Join(dir, "own.zip")
		writeFile(t, program, hello(t, kind))
		if err := os.Chmod(program, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, archive, zipped(t, binary, hello(t, kind)))
		folder := filepath.Join(dir, "folder")
		writeFile(t, filepath.Join(folder, binary), hello(t, kind))
		if err := os.Chmod(filepath.Join(folder, binary), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{program, archive, folder} {
			out, err := invokeJSON(t, `{"Do":"print","Arg":"a line\n"}`, "own", "--zip", path,
				"--kind", kind.String(), "--event", "-")
			if err != nil || string(out.Answer) != `"printed"` || out.Duration <= 0 ||
				!strings.Contains(out.Report, out.RequestId) ||
				!strings.Contains(strings.Join(out.Log, "\n"), "a line") {
				t.Errorf("%s: %s = %+v, %v", kind, path, out, err)
			}
			out, err = invokeJSON(t, `{"Do":"about"}`, "own", "--zip", path, "--kind", kind.String(), "--event",
				"-", "--env", "A=b=c", "--env", "D=")
			if err != nil || !bytes.Contains(out.Answer, []byte(`"A=b=c"`)) ||
				!bytes.Contains(out.Answer, []byte(`"D="`)) {
				t.Errorf("%s: %s has the environment %s, %v", kind, path, out.Answer, err)
			}
			out, err = invokeJSON(t, `"a body"`, "own", "--zip", path, "--kind",
				kind.String(), "--event", "-", "--as", "http")
			if err != nil || out.Status != 200 || string(out.Answer) != `"a body"` || out.Duration <= 0 {
				t.Errorf("%s: %s over HTTP = %+v, %v", kind, path, out, err)
			}
			out, err = invokeJSON(t, `{"Do":"error","Arg":"on purpose"}`, "own", "--zip", path,
				"--kind", kind.String(), "--event", "-")
			if err == nil || isUsage(err) || out.Failure != "error" ||
				!bytes.Contains(out.Answer, []byte("on purpose")) {
				t.Errorf("%s: %s that fails = %+v, %v", kind, path, out, err)
			}
			out, err = invokeJSON(t, `{"Do":"exit","Size":3}`, "own", "--zip", path,
				"--kind", kind.String(), "--event", "-")
			if err == nil || out.Failure != "exit" {
				t.Errorf("%s: %s that ends = %+v, %v", kind, path, out, err)
			}
		}
	}
}

// ownZip returns a zip file of a program of the runtime emulator's testdata.
func ownZip(t *testing.T, folder, binary string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.zip")
	writeFile(t, path, zipped(t, binary, testProgram(t, folder)))
	return path
}

// A function of fc.StartHttp is invoked through HTTP whether or not that is asked for.
func TestInvokeAnHTTPFunction(t *testing.T) {
	noEnv(t)
	for name, c := range map[string]struct{ zip, event, answer, kind string }{
		"JSON":           {ownZip(t, "fchttp", "main"), `{"a":1}`, `"body":"{\"a\":1}"`, "application/json"},
		"text":           {ownZip(t, "fchttp", "main"), "a text", `"body":"a text"`, "text/plain; charset=utf-8"},
		"of both starts": {ownZip(t, "fcsdk", "main"), "a text", "over HTTP at /", ""},
	} {
		for _, as := range [][]string{nil, {"--as", "http"}} {
			out, err := invokeJSON(t, c.event, append([]string{"own", "--zip", c.zip, "--kind", "fc", "--event", "-",
				"--env", "MODE=http"}, as...)...)
			if err != nil || out.Status == 0 || !strings.Contains(string(out.Answer), c.answer) ||
				!strings.Contains(string(out.Answer), c.kind) || out.Report == "" {
				t.Errorf("%s %q: %+v, %v", name, as, out, err)
			}
		}
	}
	out, err := invokeJSON(t, "{}", "own", "--zip", ownZip(t, "fchttp", "main"), "--kind", "fc", "--event", "-",
		"--as", "direct")
	if err == nil || isUsage(err) || !strings.Contains(err.Error(), "own failed: error: no httpParams") {
		t.Errorf("directly: %+v, %v", out, err)
	}
}

// What is delivered on FC need not be JSON.
func TestInvokeWithAnyBytes(t *testing.T) {
	noEnv(t)
	zip := ownZip(t, "fcsdk", "main")
	file := filepath.Join(t.TempDir(), "event.bin")
	writeFile(t, file, []byte("\x00\xff {"))
	for event, want := range map[string]string{"-": `"6162"`, file: `"00ff207b"`} {
		out, err := invokeJSON(t, "ab", "own", "--zip", zip, "--kind", "fc", "--event", event, "--env", "MODE=raw")
		if err != nil || string(out.Answer) != want {
			t.Errorf("%s: %s, %v, want %s", event, out.Answer, err, want)
		}
	}
	out, err := invokeJSON(t, "no JSON", "own", "--zip", zip, "--kind", "fc", "--event", "-", "--env", "MODE=raw",
		"--as", "mns")
	if err != nil || len(out.Answer) < 100 {
		t.Errorf("from a queue: %s, %v", out.Answer, err)
	}
}

func TestInvokeWithHooks(t *testing.T) {
	noEnv(t)
	zip, notes := ownZip(t, "fc", "main"), filepath.Join(t.TempDir(), "notes")
	for _, c := range []struct {
		flags []string
		notes string
	}{{nil, ""}, {[]string{"--initializer"}, "initializer\n"}, {[]string{"--initializer", "--pre-stop"},
		"initializer\npre-stop\n"}} {
		os.Remove(notes)
		_, err := invokeJSON(t, "", append([]string{"own", "--zip", zip, "--kind", "fc", "--env", "HELLO_NOTES=" +
			notes}, c.flags...)...)
		got, _ := os.ReadFile(notes)
		if err != nil || string(got) != c.notes {
			t.Errorf("%q: %q, %v, want %q", c.flags, got, err, c.notes)
		}
	}
}

// A function is told its memory and its timeout, and ended at it, in the words of its cloud.
func TestInvokeWithMemoryAndTimeout(t *testing.T) {
	noEnv(t)
	fc, lambda := ownZip(t, "fcsdk", "main"), ownZip(t, "awssdk", "bootstrap")
	out, err := invokeJSON(t, "", "own", "--zip", fc, "--kind", "fc", "--env", "MODE=context", "--memory", "512",
		"--timeout", "90")
	if err != nil || !strings.Contains(string(out.Answer), `"Memory":"512","Timeout":90`) ||
		!strings.Contains(out.Report, "Memory Size: 512 MB") {
		t.Errorf("on FC: %+v, %v", out, err)
	}
	out, err = invokeJSON(t, "", "own", "--zip", lambda, "--kind", "lambda", "--env", "MODE=context", "--memory",
		"512", "--timeout", "90s")
	if err != nil || !strings.Contains(string(out.Answer), `"memory":512`) ||
		!strings.Contains(out.Report, "Memory Size: 512 MB") {
		t.Errorf("on Lambda: %+v, %v", out, err)
	}
	for kind, c := range map[string]struct{ says, report string }{
		"fc":     {"own failed: timeout: Function time out after 0.25 seconds (maxMemoryUsage: ", ""},
		"lambda": {" Error: Task timed out after 0.25 seconds", "\tStatus: timeout"},
	} {
		archive := filepath.Join(t.TempDir(), "own.zip")
		k, _ := runtime.ParseKind(kind)
		writeFile(t, archive, zipped(t, binaries[k], hello(t, k)))
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out, err := invokeJSON(t, `{"Do":"wait","Arg":"`+l.Addr().String()+`"}`, "own", "--zip", archive, "--kind",
			kind, "--event", "-", "--timeout", "250ms")
		if err == nil || isUsage(err) || out.Failure != "timeout" || !strings.Contains(err.Error(), c.says) ||
			!strings.Contains(out.Report, c.report) {
			t.Errorf("%s: %+v, %v", kind, out, err)
		}
	}
}

// An answer that says that nothing was done is printed, and is an error. From other functions than
// chatconf's only the answer to SQS is understood.
func TestInvokeIsRefused(t *testing.T) {
	envelope := `{"RequestId":"r","HostId":"h","Code":"EntityNotExists.ChatConfiguration",` +
		`"Message":"It does not exist."}`
	for _, c := range []struct {
		answer string
		ours   bool
		want   string
	}{
		{envelope, true, "EntityNotExists.ChatConfiguration: It does not exist."},
		{envelope, false, ""},
		{`[{"Id":"a","Answer":{"RequestId":"r"}},{"Id":"b","Answer":` + envelope + `}]`, true,
			"message b: EntityNotExists.ChatConfiguration: It does not exist."},
		{`[{"Id":"a","Answer":{"RequestId":"r"}},{"Id":"b","Answer":null}]`, true, ""},
		{`{"batchItemFailures":[{"itemIdentifier":"m"}]}`, true, "1 message(s) must be delivered again"},
		{`{"batchItemFailures":[{"itemIdentifier":"m"}]}`, false, "1 message(s) must be delivered again"},
		{`{"batchItemFailures":[]}`, true, ""},
		{`{"RequestId":"r","ChatConfiguration":{"Code":"x","Message":"y"}}`, true, ""},
		{`{"Code":"x","Message":"y"}`, true, ""},
		{`"text"`, true, ""},
		{`no JSON`, true, ""},
		{``, true, ""},
	} {
		if got := (&outcome{answer: []byte(c.answer)}).refusal(c.ours); got != c.want {
			t.Errorf("refusal of %s = %q, want %q", c.answer, got, c.want)
		}
	}
	noEnv(t)
	dist := helloDist(t, runtime.FC, "api", "hello")
	event := `{"Do":"echo","RequestId":"r","Code":"Forbidden.RAM","Message":"It is denied."}`
	refused, err := invokeJSON(t, event, "hello", "--dist", dist, "--data", t.TempDir(), "--event", "-")
	if err == nil || isUsage(err) || err.Error() != "hello refused: Forbidden.RAM: It is denied." ||
		string(refused.Answer) != event {
		t.Errorf("%s, %v", refused.Answer, err)
	}
	batch := ownZip(t, "awssdk", "bootstrap")
	out, err := invokeJSON(t, `["fine","to fail"]`, "own", "--zip", batch, "--kind", "lambda", "--env", "MODE=queue",
		"--event", "-", "--as", "sqs", "--id", "m")
	if err == nil || isUsage(err) || string(out.Answer) != `{"batchItemFailures":[{"itemIdentifier":"m-2"}]}` {
		t.Errorf("of a queue: %+v, %v", out, err)
	}
}

// The answer goes to standard output as it is, log and report to standard error.
func TestInvokeForPeople(t *testing.T) {
	noEnv(t)
	archive := filepath.Join(t.TempDir(), "own.zip")
	writeFile(t, archive, zipped(t, "bootstrap", hello(t, runtime.Lambda)))
	var out, messages bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"invoke", "own", "--zip", archive, "--kind", "lambda", "--id", "my-id"})
	root.SetOut(&out)
	root.SetErr(&messages)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "\"hello\"\n"; got != want {
		t.Errorf("stdout = %q, want %q", got, want)
	}
	for _, part := range []string{"own my-id START RequestId: my-id", "own my-id REPORT RequestId: my-id\tDuration: "} {
		if !strings.Contains(messages.String(), part) {
			t.Errorf("stderr lacks %q:\n%s", part, &messages)
		}
	}
}

func TestInvokeMistakes(t *testing.T) {
	noEnv(t)
	dist, zip := helloDist(t, runtime.FC, "api", "hello"), filepath.Join(t.TempDir(), "own.zip")
	writeFile(t, zip, zipped(t, "main", hello(t, runtime.FC)))
	lambda, foreign := filepath.Join(t.TempDir(), "lambda.zip"), filepath.Join(t.TempDir(), "foreign.zip")
	writeFile(t, lambda, zipped(t, "bootstrap", hello(t, runtime.Lambda)))
	writeFile(t, foreign, zipped(t, "main", elfHead(8)))
	other := filepath.Join(t.TempDir(), "other.zip")
	writeFile(t, other, zipped(t, "README", []byte("x")))
	own := []string{"own", "--zip", zip, "--kind", "fc"}
	for name, c := range map[string]struct {
		args  []string
		stdin string
		says  string
	}{
		"no function":               {nil, "", "1 argument"},
		"another shape":             {append(own, "--as", "pigeon"), "", "pigeon"},
		"a shape of another cloud":  {append(own, "--as", "sqs"), "", "sqs"},
		"another output":            {append(own, "-o", "yaml"), "", "yaml"},
		"an environment of ours":    {[]string{"api", "--env", "A=b"}, "", "--env needs --zip"},
		"an environment that is no": {append(own, "--env", planted), "", "NAME=VALUE"},
		"no such event":             {append(own, "--event", "nowhere.json"), "", "nowhere.json"},
		"an event that is no JSON": {[]string{"own", "--zip", lambda, "--kind", "lambda", "--event", "-"}, "{",
			"not JSON"},
		"no JSON in a CloudEvent": {append(own, "--event", "-", "--as", "cloudevent"), "{", "not JSON"},
		"no text in a queue":      {append(own, "--event", "-", "--as", "mns"), "\xff", "not UTF-8 text"},
		"an invalid time":         {append(own, "--timeout", "soon"), "", "write seconds"},
		"no time":                 {append(own, "--timeout", "0"), "", "write seconds"},
		"a time before now":       {append(own, "--timeout", "-1s"), "", "write seconds"},
		"less than no memory":     {append(own, "--memory", "-1"), "", "--memory -1 is negative"},
		"an initializer of ours": {[]string{"api", "--initializer"}, "",
			"--initializer and --pre-stop need --zip"},
		"a hook on Lambda": {[]string{"own", "--zip", lambda, "--kind", "lambda", "--pre-stop"}, "",
			"need kind FC"},
		"a folder without one": {[]string{"own", "--zip", t.TempDir(), "--kind", "fc"}, "", "it contains nothing"},
		"another machine": {[]string{"own", "--zip", foreign, "--kind", "fc"}, "",
			"main is built for linux/EM_MIPS, but this machine runs"},
		"a file that is no program": {[]string{"own", "--zip", "invoke_test.go", "--kind", "fc"}, "",
			"invoke_test.go cannot be executed"},
		"a zip without a kind":    {own[:3], "", "kind"},
		"another kind":            {[]string{"own", "--zip", zip, "--kind", "azure"}, "", "azure"},
		"a zip of a target":       {append(own, "--target", "fc"), "", "target"},
		"no such zip":             {[]string{"own", "--zip", "nowhere.zip", "--kind", "fc"}, "", "nowhere.zip"},
		"a zip of something else": {[]string{"own", "--zip", other, "--kind", "fc"}, "", "main"},
		"another target":          {[]string{"api", "--target", "azure"}, "", "azure"},
		"a list for one message": {[]string{"hello", "--dist", dist, "--data", t.TempDir(), "--event", "-", "--as",
			"http"}, "[]", "a JSON object of parameters"},
		"no action": {[]string{"hello", "--dist", dist, "--data", t.TempDir(), "--event",
			"-", "--as", "http"}, "{}", "Action"},
		"an invalid action": {[]string{"hello", "--dist", dist, "--data", t.TempDir(), "--event", "-", "--as",
			"http"}, `{"Action":1}`, "Action"},
		"an empty batch": {append(own, "--event", "-", "--as", "mns"), "[]", "0 messages"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, c.stdin, append([]string{"invoke"}, c.args...)...)
			if !isUsage(err) || out != "" || !strings.Contains(err.Error(), c.says) ||
				strings.Contains(err.Error(), planted) {
				t.Errorf("%q = %q, %v, want a usage error that says %q", c.args, out, err, c.says)
			}
		})
	}
}

// A list of events makes one batch, whose messages have ids that follow from the given one.
func TestInvokeWithABatch(t *testing.T) {
	in := invocation{as: "mns", id: "x"}
	got, err := in.messages([]byte(` [{"a":1}, {"a":2}]`))
	if err != nil || len(got) != 2 || got[0].ID != "x-1" || got[1].ID != "x-2" || string(got[1].Body) != `{"a":2}` {
		t.Errorf("messages = %v, %v", got, err)
	}
	in = invocation{as: "cloudevent", id: "x"}
	if got, err := in.messages([]byte(`[1]`)); err != nil || len(got) != 1 || got[0].ID != "x" {
		t.Errorf("of another shape: messages = %v, %v", got, err)
	}
	in = invocation{as: "sqs"}
	if got, err := in.messages([]byte(`[1,2]`)); err != nil || len(got) != 2 || got[0].ID != "" {
		t.Errorf("without an id: messages = %v, %v", got, err)
	}
}

// Every action has a function of its name in the repository, so that a request can be made of its
// event.
func TestFunctionsAreNamedAfterActions(t *testing.T) {
	for _, a := range slices.Concat(rpc.Actions(), rpc.ResealActions()) {
		folder := filepath.Join("..", "..", "functions", functionOf(a.Name))
		if _, err := os.Stat(filepath.Join(folder, "main.go")); err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		event, err := os.ReadFile(filepath.Join(folder, "event.json"))
		if err != nil {
			t.Error(err)
			continue
		}
		in := invocation{function: functionOf(a.Name)}
		if name, parameters, err := in.action(event); name != a.Name || err != nil || !json.Valid(parameters) {
			t.Errorf("%s: action = %q, %v", in.function, name, err)
		}
	}
	in := invocation{function: "api"}
	name, parameters, err := in.action([]byte(`{"Action":"X","Version":"1","A":[1]}`))
	if name != "X" || string(parameters) != `{"A":[1]}` || err != nil {
		t.Errorf("action = %q, %s, %v", name, parameters, err)
	}
}

// The event is that of the checkout where there is one.
func TestInvokeFindsTheEvent(t *testing.T) {
	t.Chdir(t.TempDir())
	in := invocation{function: "f"}
	if got, err := in.readEvent(nil); err != nil || string(got) != "{}" {
		t.Errorf("without one: %s, %v", got, err)
	}
	writeFile(t, "functions/f/event.json", []byte(`{"a":1}`))
	if got, err := in.readEvent(nil); err != nil || string(got) != `{"a":1}` {
		t.Errorf("with one: %s, %v", got, err)
	}
}

// A function of chatconf's is asked with a signature, and its answer is told by its status.
func TestInvokeOverHTTP(t *testing.T) {
	noEnv(t)
	data, dist := t.TempDir(), helloDist(t, runtime.FC, "hello")
	out, err := invokeJSON(t, `{"Action":"GetChatConfiguration","a":1}`, "hello", "--data", data, "--dist",
		dist, "--event", "-", "--as", "http")
	var answer map[string]int // the function's is the body of its request
	if err := json.Unmarshal(out.Answer, &answer); err != nil || len(answer) != 1 || answer["a"] != 1 {
		t.Errorf("the request had the body %s: %v", out.Answer, err)
	}
	if err != nil || out.Status != 200 {
		t.Errorf("invoke = %+v, %v", out, err)
	}
	if err := os.Remove(filepath.Join(data, "access-key.json")); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "{}", "invoke", "hello", "--data", data, "--dist", dist, "--event", "-", "--as",
		"http"); err == nil || out != "" || !strings.Contains(err.Error(), "the access key to sign") {
		t.Errorf("without a key: %q, %v", out, err)
	}
}
