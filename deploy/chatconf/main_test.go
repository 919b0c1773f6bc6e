package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chatconf/shared/app"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

const planted = "PLANTED-secret"

// noEnv clears the environment of all that the tool reads.
func noEnv(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // no contexts
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "CHATCONF_") ||
			strings.HasPrefix(name, "ALIBABA_CLOUD_") {
			t.Setenv(name, "")
		}
	}
}

// run runs the tool in process.
func run(t *testing.T, stdin string, args ...string) (stdout string, err error) {
	t.Helper()
	var out, messages bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&messages)
	err = root.ExecuteContext(t.Context())
	if messages.Len() > 0 {
		t.Errorf("%q wrote to standard error by itself: %s", args, &messages)
	}
	return out.String(), err
}

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, "", args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return out
}

func isUsage(err error) bool {
	var usage *usageError
	return errors.As(err, &usage)
}

// newData makes the data of a local service that was started and stopped.
func newData(t *testing.T) string {
	t.Helper()
	noEnv(t)
	data := filepath.Join(t.TempDir(), "data")
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// newService serves the data, with the actions of the API and more, and returns its endpoint.
func newService(t *testing.T, data string, more ...rpc.Action) (endpoint string) {
	t.Helper()
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, app.Actions(append(rpc.Actions(), more...)...).Resealing())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(quiet(l.Handler))
	t.Cleanup(func() { s.Close(); l.Close() })
	return s.URL
}

// listens leaves an endpoint in a data directory, as a service there does.
func listens(t *testing.T, data, endpoint string) {
	t.Helper()
	writeFile(t, filepath.Join(data, "endpoint"), []byte(endpoint+"\n"))
}

// quiet returns h without its log.
func quiet(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(invoke.With(r.Context(),
			&invoke.Invocation{Logger: slog.New(slog.DiscardHandler)})))
	})
}

// Every command says what it is for, and shows how it is used.
func TestHelp(t *testing.T) {
	noEnv(t)
	n := 0
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, sub := range cmd.Commands() {
			if sub.Name() == "help" || sub.Name() == "completion" {
				continue
			}
			n++
			path := append(path[:len(path):len(path)], sub.Name())
			help := mustRun(t, append(path, "--help")...)
			for line := range strings.Lines(help) {
				if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > helpWidth {
					t.Errorf("%v: a line of help has %d columns: %s", path, width, line)
				}
			}
			if sub.Short == "" || !strings.Contains(help, "Usage:") {
				t.Errorf("%v has no help: %s", path, help)
			}
			if !sub.HasSubCommands() && !strings.Contains(help, "Examples:\n  ") {
				t.Errorf("%v has no example", path)
			}
			if sub.HasExample() && !strings.Contains(sub.Example, "chatconf "+strings.Join(path, " ")) &&
				sub.Name() != "env" {
				t.Errorf("%v: the example is of another command: %s", path, sub.Example)
			}
			sub.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" {
					t.Errorf("%v: flag %s has no help", path, f.Name)
				}
			})
			walk(sub, path)
		}
	}
	walk(newRoot(), nil)
	if n < 10 {
		t.Errorf("only %d commands were looked at", n)
	}
	if help := mustRun(t); !strings.Contains(help, "Exit codes: 0 success; 1") {
		t.Errorf("no arguments: %s", help)
	}
}

// What is wrong with the command line is told from what went wrong, and says where to read on.
func TestUsageErrors(t *testing.T) {
	data := newData(t)
	for _, args := range []string{
		"bogus", "serv", "keys bogus", "serve extra", "env extra", "check extra", "keys list extra",
		"keys disable", "keys delete a b",
		"serve --bogus", "serve --target mars", "call", "call GetChatConfiguration Name",
		"call GetChatConfiguration =x", "call GetChatConfiguration Name=a Name=b",
		"call GetChatConfiguration Name=@/nonexistent/file", "call GetChatConfiguration --timeout soon",
		"keys create", "keys create --admin", "keys create --name x", "keys create --name x --admin --read-only",
		"keys create --name x --policy /nonexistent",
		"keys create --name x --admin -o xml", "keys list -o xml", "check --data /nonexistent",
		"call GetChatConfiguration --endpoint ftp://x", "call GetChatConfiguration --endpoint http://x/path",
		"call GetChatConfiguration --access-key-id x",
		"call GetChatConfiguration --access-key-secret " + planted, "env --endpoint http://x",
		"env --data /nonexistent",
	} {
		fields := strings.Fields(args)
		if strings.HasPrefix(args, "call ") && !strings.Contains(args, "--endpoint") {
			fields = append(fields, "--endpoint", "http://127.0.0.1:1")
		}
		if !strings.Contains(args, "--data") && fields[0] != "bogus" && fields[0] != "serv" {
			fields = append(fields, "--data", data)
		}
		if out, err := run(t, "", fields...); !isUsage(err) || out != "" {
			t.Errorf("%q: %v, %q, want a usage error and no output", args, err, out)
		} else if strings.Contains(err.Error(), planted) {
			t.Errorf("%q shows the secret: %v", args, err)
		}
	}
	if _, err := run(t, "", "keys", "disable", "CCKnobody", "--data", data); err == nil || isUsage(err) {
		t.Errorf("a key that is not there: %v, want an error that is not of usage", err)
	}
	if _, err := run(t, "", "call", "GetChatConfiguration", "--endpoint", "http://127.0.0.1:1", "--data",
		data); err == nil || isUsage(err) || !strings.HasSuffix(err.Error(),
		"start the service with 'chatconf serve'") {
		t.Errorf("nobody listens: %v, want an error that is not of usage", err)
	}
	if _, err := run(t, "", "call", "GetChatConfiguration", "--data", data); !isUsage(err) {
		t.Errorf("no endpoint: %v, want a usage error", err)
	}
}

// A misspelt setting ends every command before it does anything, with all other mistakes in
// settings; help and completion go on.
func TestMisspeltSettings(t *testing.T) {
	data := newData(t)
	t.Setenv("CHATCONF_ENDPONT", "http://"+planted)
	t.Setenv("CHATCONF_REGION", "Nowhere!")
	for _, args := range []string{
		"serve --addr 127.0.0.1:0", "call ListChatConfigurations", "env", "send ops help --user u", "keys list",
		"check", "tables --target fc", "keyring new", "ots --addr 127.0.0.1:0",
		"invoke hello",
	} {
		fields := strings.Fields(args)
		if fields[0] != "tables" && fields[0] != "keyring" {
			fields = append(fields, "--data", data)
		}
		out, err := run(t, "", fields...)
		if err == nil || isUsage(err) || out != "" || !strings.Contains(err.Error(),
			"CHATCONF_ENDPONT: unknown setting; did you mean CHATCONF_ENDPOINT?") ||
			!strings.Contains(err.Error(), "CHATCONF_REGION: ") || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, %q", args, err, out)
		}
	}
	for _, args := range []string{"", "help", "help call", "call --help", "completion bash"} {
		mustRun(t, strings.Fields(args)...)
	}
}

func TestArguments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte("from a file\nof two lines\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readArguments([]string{"A=b=c", "Empty=", "File=@" + path, "Stdin=@-", "At=@@x", "AtAt=@@@",
		`J={"a":"@"}`, "Unicode=团队"}, strings.NewReader("from stdin\n"))
	want := map[string]string{"A": "b=c", "Empty": "", "File": "from a file\nof two lines\n", "Stdin": "from stdin",
		"At": "@x", "AtAt": "@@", "J": `{"a":"@"}`, "Unicode": "团队"}
	if err != nil || len(got) != len(want) {
		t.Fatalf("readArguments = %q, %v", got, err)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s = %q, want %q", name, got[name], want[name])
		}
	}
	huge := io.LimitReader(zeros{}, 10*rpc.MaxBody)
	if got, err := readArguments([]string{"A=@-"}, huge); err == nil && len(got["A"]) > rpc.MaxBody+1 {
		t.Errorf("%d bytes of standard input were read", len(got["A"]))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCall(t *testing.T) {
	data := newData(t)
	endpoint := newService(t, data)
	at := []string{"--endpoint", endpoint, "--data", data}
	call := func(stdin string, args ...string) (string, error) {
		return run(t, stdin, append(append([]string{"call"}, args...), at...)...)
	}
	configuration := `{"DingTalkClientId":"ding","DingTalkClientSecret":"` + planted + `"}`
	out, err := call(configuration+"\n", "CreateChatConfiguration", "Name=ops", "Type=DingTalk", "Configuration=@-")
	if err != nil || !strings.HasPrefix(out, "{\n  \"RequestId\": ") ||
		!strings.HasSuffix(out, "}\n") || !json.Valid([]byte(out)) {
		t.Fatalf("create: %q, %v", out, err)
	}
	if out, err = call("", "GetChatConfiguration", "Name=ops"); err != nil || !strings.Contains(out, "******") ||
		strings.Contains(out, planted) {
		t.Errorf("get: %q, %v", out, err)
	}
	if out, err = call("", "ListChatConfigurations", `Filters=[{"Name":"Type","Value":"DingTalk"}]`); err != nil ||
		!strings.Contains(out, `"Name": "ops"`) {
		t.Errorf("list: %q, %v", out, err)
	}
	if _, err = call("", "UpdateChatConfiguration", "Name=ops", "Status=Inactive", "--if-match", "1"); err != nil {
		t.Errorf("update: %v", err)
	}
	for want, args := range map[string][]string{
		"OperationConflict (409): ": {"UpdateChatConfiguration", "Name=ops",
			"Status=Active", "--if-match", "1"},
		"EntityNotExists.ChatConfiguration (404): ": {"GetChatConfiguration", "Name=missing"},
		"InvalidParameter.Configuration (400): ": {"UpdateChatConfiguration", "Name=ops",
			`Configuration={"DingTalkClientSecret":"` + planted + `"`},
	} {
		out, err := call("", args...)
		if err == nil || out != "" || isUsage(err) || !strings.HasPrefix(err.Error(), want) ||
			!strings.Contains(err.Error(), "request id: ") || strings.Contains(err.Error(), planted) {
			t.Errorf("%q: %q, %v, want %s", args, out, err, want)
		}
	}
}

// Several mistakes are one error with a line for each. A quoted value is never divided.
func TestCallListsMistakes(t *testing.T) {
	data := newData(t)
	at := []string{"--endpoint", newService(t, data), "--data", data}
	call := func(args ...string) string {
		t.Helper()
		out, err := run(t, "", append(append([]string{"call"}, args...), at...)...)
		if err == nil || out != "" {
			t.Fatalf("%q: %q, %v", args, out, err)
		}
		text, _, _ := strings.Cut(err.Error(), "\n  request id: ")
		return text
	}
	want := `InvalidParameter.Name (400):
    Name "a. B" has a character other than letters, digits, '-' and '_'.
    Configuration.Target.Type: unknown type "x\"y. Z? A"; use Journal, Http, Function or Program.
    Configuration.UserGroups: is a number; write an object such as {"sre":["manager4220"]}.
    Configuration.DingTalkClientSecret: is missing; write `
	if got := call("CreateChatConfiguration", "Name=a. B", "Type=DingTalk", `Configuration={"DingTalkClientId":"d",`+
		`"Target":{"Type":"x\"y. Z? A"},"UserGroups":1}`); !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// One mistake is in the first line.
	if got, want := call("ListChatConfigurations", "MaxResults=0"),
		"InvalidParameter.MaxResults (400): MaxResults is 0; use 1 to 100."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var many []string
	for i := range 25 {
		many = append(many, fmt.Sprintf(`"k%d":1`, i))
	}
	got := call("CreateChatConfiguration", "Name=ops", "Type=Slack", "Configuration={"+strings.Join(many, ",")+"}")
	if strings.Count(got, "\n    Configuration.") != 20 || !strings.HasSuffix(got, "\n    There are more mistakes.") {
		t.Errorf("of many: %s", got)
	}
}

// What the service would ignore is refused before anything is sent, with what was meant perhaps.
// What may be a secret is not shown.
func TestCallOfWhatIsNotKnown(t *testing.T) {
	noEnv(t)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent",
			r.Header.Get("X-Acs-Action"))
	}))
	defer s.Close()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"createChatConfiguration"},
			`unknown action "createChatConfiguration"; did you mean CreateChatConfiguration?`},
		{[]string{"GetChat", planted}, `unknown action "GetChat"; use one ` +
			`of CreateChatConfiguration, GetChatConfiguration, `},
		{[]string{"UpdateChatConfiguration", "Name=ops", "Staus=Inactive"},
			`UpdateChatConfiguration has no parameter "Staus"; did you mean Status?`},
		{[]string{"UpdateChatConfiguration", "name=ops"}, `"name"; did you mean Name?`},
		{[]string{"UpdateChatConfiguration", "Statu=Inactive"}, `"Statu"; did you mean Status?`},
		{[]string{"GetChatConfiguration", "Colour=red"},
			`GetChatConfiguration has no parameter "Colour"; use one of RegionId, Name`},
		{[]string{"GetChatConfiguration", "Name=ops", "ClientToken=x"}, `"ClientToken"; use one of`},
		{[]string{"ListChatConfigurations", "Fliter.1.Name=Type"}, `"Fliter.1.Name"`},
		{[]string{"GetChatConfiguration", "Name.1=ops"}, `"Name.1"; did you mean Name?`},
		{[]string{"GetChatConfiguration", "ops"}, `parameter "ops" is invalid; write Key=Value, such as Name=ops`},
		{[]string{"GetChatConfiguration", "Name"}, `parameter "Name" has no value; write Name=Value`},
		{[]string{"GetChatConfiguration", "two words"}, `parameter "two words" is invalid; write Key=Value`},
		{[]string{"GetChatConfiguration", "=ops"}, `parameter "=ops" is invalid; write Key=Value`},
		{[]string{"TagResources", "ops"}, `parameter "ops" is invalid; write Key=Value`},
		{[]string{"CreateChatConfiguration", "Name=ops", planted}, "parameter 2 is invalid; write Key=Value"},
		{[]string{"CreateChatConfiguration", "=" + planted}, "parameter 1 is invalid; write Key=Value"},
		{[]string{"CreateChatConfiguration", planted + "=="},
			"parameter 1 is unknown to CreateChatConfiguration; use one of RegionId, Name, "},
		{[]string{"CreateChatConfiguration", `{"a":"` + planted + `=x"}`},
			"parameter 1 is unknown to CreateChatConfiguration; use one of"},
		{[]string{"CreateChatConfiguration", "Configurations=" + planted},
			`"Configurations"; did you mean Configuration?`},
		{[]string{"SendChatMessage", "Txt=" + planted}, `SendChatMessage has no parameter "Txt"; did you mean Text?`},
	} {
		out, err := run(t, "", append(append([]string{"call"}, c.args...), "--endpoint", s.URL, "--access-key-id",
			"a", "--access-key-secret", "b")...)
		if !isUsage(err) || out != "" || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), planted) {
			t.Errorf("%q: %q, %v, want a usage error that says %s", c.args, out, err, c.want)
		}
	}
}

// Every parameter is known under each name that the service reads.
func TestArgumentsAreKnown(t *testing.T) {
	for _, a := range serveActions(nil) {
		if err := checkArguments(a, nil); err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
		for _, name := range a.Parameters() {
			if err := checkArguments(a, []string{name + "="}); err != nil {
				t.Errorf("%s of %s: %v", name, a.Name, err)
			}
		}
	}
	for name, args := range map[string][]string{
		"ListChatConfigurations": {"Filters.1.Name=Type", "Filters.1.Value=DingTalk"},
		"TagResources": {"ResourceIds.1=ops", "ResourceId.2=dev", "Tags.1.Key=env",
			"Tag.2.Key=team", `Tag={"a":"b"}`},
		"UntagResources": {"TagKeys.1=env", "TagKey.2=team"},
	} {
		action, err := findAction(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkArguments(action, args); err != nil {
			t.Error(err)
		}
	}
}

// Flags are looked at before the address is taken, and an address that another has is told with
// what to do.
func TestServeOnATakenAddress(t *testing.T) {
	noEnv(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flags := range []string{"--target mars", "--store mars", "--target fc --store file", "--dist x"} {
		data := filepath.Join(t.TempDir(), "data")
		args := append([]string{"serve", "--addr", taken.Addr().String(), "--data", data}, strings.Fields(flags)...)
		if _, err := run(t, "", args...); !isUsage(err) {
			t.Errorf("%s: %v, want a usage error", flags, err)
		}
		if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the data directory was made", flags)
		}
	}
	_, err = run(t, "", "serve", "--addr", taken.Addr().String(), "--data", filepath.Join(t.TempDir(), "data"))
	if err == nil || isUsage(err) || !strings.Contains(err.Error(),
		"address already in use; choose another address with --addr") {
		t.Errorf("a taken address: %v", err)
	}
}

// The mistakes that people make with an address, in a flag and in a setting.
func TestAddresses(t *testing.T) {
	noEnv(t)
	t.Chdir(t.TempDir())
	for _, addr := range []string{"foo", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536",
		"127.0.0.1:-1", "::1:80", "http://127.0.0.1:80"} {
		want := fmt.Sprintf("invalid address %q; write HOST:PORT, such as 127.0.0.1:9000", addr)
		for _, server := range []string{"serve", "serve --target fc", "ots", "ots --data="} {
			out, err := run(t, "", append(strings.Fields(server), "--addr", addr)...)
			if !isUsage(err) || err.Error() != "--addr: "+want || out != "" {
				t.Errorf("%s --addr %s: %q, %v", server, addr, out, err)
			}
		}
		t.Setenv("CHATCONF_ADDR", addr)
		if out, err := run(t, "", "serve"); err == nil || !strings.Contains(err.Error(), "CHATCONF_ADDR: "+want) ||
			out != "" {
			t.Errorf("CHATCONF_ADDR=%s: %q, %v", addr, out, err)
		}
		t.Setenv("CHATCONF_ADDR", "")
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v was made, %v", left, err)
	}
	// 192.0.2.0/24 is for documentation, so no machine has it: RFC 5737.
	for _, server := range []string{"serve", "ots"} {
		out, err := run(t, "", server, "--addr", "192.0.2.1:9000")
		if err == nil || isUsage(err) || out != "" ||
			!strings.HasSuffix(err.Error(), "; choose an address of this machine with --addr, such as 127.0.0.1:9000") {
			t.Errorf("%s on an address of another machine: %q, %v", server, out, err)
		}
	}
	low := seeAddr(&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)})
	if !strings.Contains(low.Error(), "permission denied; choose a port of at least 1024 with --addr") {
		t.Errorf("a low port: %v", low)
	}
	if err := seeAddr(fs.ErrPermission); err != fs.ErrPermission {
		t.Errorf("another error: %v", err)
	}
}

// A server that is not one of ours makes an error, whatever it says, and gets no second request.
func TestCallOfAStranger(t *testing.T) {
	noEnv(t)
	requests := 0
	var answer http.HandlerFunc
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests++; answer(w, r) }))
	defer s.Close()
	for name, h := range map[string]http.HandlerFunc{
		"HTML": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"an error page": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w,
				"<html>", http.StatusBadGateway)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"nothing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		answer, requests = h, 0
		out, err := run(t, "", "call", "GetChatConfiguration", "Name=ops", "--endpoint", s.URL, "--access-key-id",
			"a", "--access-key-secret", planted)
		if err == nil || out != "" || isUsage(err) || strings.Contains(err.Error(), planted) || requests != 1 {
			t.Errorf("%s: %q, %v after %d requests, want an error after one", name, out, err, requests)
		}
	}
}

// A key belongs to an endpoint: first that of the flags, then that of CHATCONF_…; the local
// service's own only for it, under any of its names; that of a cloud account only for an endpoint
// that was named.
func TestWhereEndpointAndKeyComeFrom(t *testing.T) {
	data, bare, claimed := newData(t), t.TempDir(), newData(t)
	listens(t, data, "http://127.0.0.1:7000")
	listens(t, bare, "http://127.0.0.1:7001")
	idOf := func(data string) string {
		key, err := app.ReadAccessKey(data)
		if err != nil {
			t.Fatal(err)
		}
		return key.ID
	}
	type env = map[string]string
	ours := env{"CHATCONF_ACCESS_KEY_ID": "env-id", "CHATCONF_ACCESS_KEY_SECRET": "env-secret"}
	official := env{"ALIBABA_CLOUD_ACCESS_KEY_ID": "ali-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "ali-secret"}
	temporary := env{"ALIBABA_CLOUD_SECURITY_TOKEN": "ali-token"}
	elsewhere := env{"CHATCONF_ENDPOINT": "http://elsewhere:2"}
	for name, test := range map[string]struct {
		flags    clientFlags
		env      []env
		endpoint string // empty: it fails
		id, from string // or what the error says
		token    string
	}{
		"the data directory": {flags: clientFlags{data: data}, endpoint: "http://127.0.0.1:7000",
			id: idOf(data), from: "the local service in " + data},
		"the data directory by environment": {env: []env{{"CHATCONF_DATA": data}}, endpoint: "http://127.0.0.1:7000",
			id: idOf(data), from: "the local service in " + data},
		"the local service, with a cloud account in the shell": {flags: clientFlags{data: data},
			env:      []env{official, temporary},
			endpoint: "http://127.0.0.1:7000", id: idOf(data), from: "the local service in " + data},
		"half a key of a cloud account is nothing to the local service": {flags: clientFlags{data: data},
			env:      []env{{"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "x"}},
			endpoint: "http://127.0.0.1:7000", id: idOf(data), from: "the local service in " + data},
		"the local service by its name": {flags: clientFlags{endpoint: "http://127.0.0.1:7000/", data: data},
			env:      []env{official},
			endpoint: "http://127.0.0.1:7000", id: idOf(data), from: "the local service in " + data},
		"the local service by another name": {flags: clientFlags{data: data},
			env:      []env{official, {"CHATCONF_ENDPOINT": "http://localhost:7000"}},
			endpoint: "http://localhost:7000", id: idOf(data), from: "the local service in " + data},
		"a function of the local service": {flags: clientFlags{endpoint: "http://api.localhost:7000", data: data},
			env:      []env{official},
			endpoint: "http://api.localhost:7000", id: idOf(data), from: "the local service in " + data},
		"our names": {flags: clientFlags{data: data}, env: []env{ours, official, temporary},
			endpoint: "http://127.0.0.1:7000", id: "env-id", from: "CHATCONF_ACCESS_KEY_ID"},
		"our names, elsewhere": {flags: clientFlags{data: data}, env: []env{ours, official, temporary, elsewhere},
			endpoint: "http://elsewhere:2", id: "env-id",
			from: "CHATCONF_ACCESS_KEY_ID"},
		"a cloud account, elsewhere": {flags: clientFlags{data: data}, env: []env{official, elsewhere},
			endpoint: "http://elsewhere:2", id: "ali-id",
			from: "ALIBABA_CLOUD_ACCESS_KEY_ID"},
		"a temporary key of a cloud account": {flags: clientFlags{endpoint: "oos.example.com", data: data},
			env:      []env{official, temporary},
			endpoint: "https://oos.example.com", id: "ali-id", from: "ALIBABA_CLOUD_ACCESS_KEY_ID", token: "ali-token"},
		"a cloud account for another service of this machine": {flags: clientFlags{endpoint: "http://127.0.0.1:7001",
			data: data}, env: []env{official},
			endpoint: "http://127.0.0.1:7001", id: "ali-id", from: "ALIBABA_CLOUD_ACCESS_KEY_ID"},
		"a cloud account for another scheme": {flags: clientFlags{endpoint: "https://127.0.0.1:7000", data: data},
			env:      []env{official},
			endpoint: "https://127.0.0.1:7000", id: "ali-id", from: "ALIBABA_CLOUD_ACCESS_KEY_ID"},
		"the first key of a service elsewhere": {flags: clientFlags{endpoint: "http://elsewhere:2", data: claimed},
			env:      []env{official},
			endpoint: "http://elsewhere:2", id: idOf(claimed), from: "the local service in " + claimed},
		"flags": {flags: clientFlags{endpoint: "http://flag:3", id: "flag-id", secret: "flag-secret", data: data},
			env: []env{ours, official, temporary, elsewhere}, endpoint: "http://flag:3",
			id: "flag-id", from: "--access-key-id"},
		"a local service whose key was deleted, named": {flags: clientFlags{endpoint: "http://127.0.0.1:7001",
			data: bare}, env: []env{official},
			endpoint: "http://127.0.0.1:7001", id: "ali-id", from: "ALIBABA_CLOUD_ACCESS_KEY_ID"},

		"a local service whose key was deleted": {flags: clientFlags{data: bare}, env: []env{official},
			from: "(" + bare + " has none); ALIBABA_CLOUD_ACCESS_KEY_ID is used only with " +
				"--endpoint or CHATCONF_ENDPOINT"},
		"the local key is not for elsewhere": {flags: clientFlags{data: data}, env: []env{elsewhere},
			from: "no access key for http://elsewhere:2; use --access-key-id and --access-key-secret, or " +
				"set CHATCONF_ACCESS_KEY_ID and CHATCONF_ACCESS_KEY_SECRET"},
		"half a key by flag": {flags: clientFlags{id: "flag-id", data: data}, env: []env{ours},
			from: "--access-key-id is given without --access-key-secret; give both"},
		"the other half": {flags: clientFlags{secret: "x", data: data}, env: []env{ours},
			from: "--access-key-secret is given without --access-key-id"},
		"half a key in the environment": {flags: clientFlags{data: data},
			env:  []env{{"CHATCONF_ACCESS_KEY_ID": "env-id"}, official},
			from: "CHATCONF_ACCESS_KEY_ID is given without CHATCONF_ACCESS_KEY_SECRET"},
		"half a key under an official name": {flags: clientFlags{data: data},
			env:  []env{{"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "x"}, elsewhere},
			from: "ALIBABA_CLOUD_ACCESS_KEY_SECRET is given without ALIBABA_CLOUD_ACCESS_KEY_ID"},
		"nothing anywhere": {flags: clientFlags{data: t.TempDir()}, env: []env{official},
			from: "start one with 'chatconf serve'"},
		"an endpoint, but no key": {flags: clientFlags{endpoint: "http://x", data: t.TempDir()},
			from: "no access key for http://x;"},
		"an endpoint with a query": {flags: clientFlags{endpoint: "http://x/?q=1", data: data},
			from: "such as http://127.0.0.1:9000"},
		"an endpoint with a user": {flags: clientFlags{endpoint: "http://u:p@x", data: data},
			from: "such as http://127.0.0.1:9000"},
		"an endpoint of nothing but a scheme": {flags: clientFlags{endpoint: "http://", data: data},
			from: "such as http://127.0.0.1:9000"},
	} {
		c, err := test.flags.resolve(func(name string) string {
			for _, env := range test.env {
				if value, ok := env[name]; ok {
					return value
				}
			}
			return ""
		})
		switch {
		case test.endpoint == "":
			if !isUsage(err) || !strings.Contains(err.Error(), test.from) ||
				strings.Contains(err.Error(), "secret in") {
				t.Errorf("%s: %v, want a usage error that says %s", name, err, test.from)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.endpoint != test.endpoint || c.key.ID != test.id || c.key.Secret == "" ||
			c.key.SecurityToken != test.token || c.key.from != test.from:
			t.Errorf("%s: %s with %s, token %q, from %s; want %s with %s, token %q, from %s",
				name, c.endpoint, c.key.ID, c.key.SecurityToken, c.key.from,
				test.endpoint, test.id, test.token, test.from)
		}
	}
}

// The commands that call take one rule, whatever is in the shell; what is refused says whose key it
// was.
func TestAKeyOfACloudAccountStaysOutOfTheWay(t *testing.T) {
	data := newData(t)
	endpoint := newService(t, data)
	listens(t, data, endpoint)
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIsomebody")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", planted)
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", planted+"-token")
	mustRun(t, "call", "ListChatConfigurations", "--data", data)
	if out := mustRun(t, "env", "--data", data); strings.Contains(out, planted) || strings.Contains(out, "LTAI") ||
		!strings.HasSuffix(out, "\nunset ALIBABA_CLOUD_SECURITY_TOKEN\n") {
		t.Errorf("env printed %s", out)
	}
	if _, err := run(t, "", "send", "ops", "help", "--user", "u", "--data", data); err == nil ||
		!strings.Contains(err.Error(), "has no action SendChatMessage") {
		t.Errorf("send: %v, want that the service was reached", err)
	}
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "")
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"Code":"InvalidAccessKeyId.NotFound","Message":"Specified access `+
			`key is not found.","RequestId":"R"}`)
	}))
	defer stranger.Close()
	for _, command := range []string{"call ListChatConfigurations", "send ops help --user u"} {
		_, err := run(t, "", append(strings.Fields(command), "--endpoint", stranger.URL)...)
		if err == nil || !strings.Contains(err.Error(),
			"\n  access key: LTAIsomebody, from ALIBABA_CLOUD_ACCESS_KEY_ID") ||
			strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v", command, err)
		}
	}
	for name, flags := range map[string][]string{
		"from --access-key-id":        {"--access-key-id", "nobody", "--access-key-secret", "x"},
		"from CHATCONF_ACCESS_KEY_ID": nil,
	} {
		if flags == nil {
			t.Setenv("CHATCONF_ACCESS_KEY_ID", "nobody")
			t.Setenv("CHATCONF_ACCESS_KEY_SECRET", planted)
		}
		_, err := run(t, "", append([]string{"call", "ListChatConfigurations", "--data", data}, flags...)...)
		if err == nil || !strings.Contains(err.Error(), "access key: nobody, "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := run(t, "", "call", "GetChatConfiguration", "Name=missing", "--data", data, "--access-key-id", "CCK",
		"--access-key-secret", "x"); err == nil || !strings.Contains(err.Error(), "access key: CCK") {
		t.Errorf("an unknown key: %v", err)
	}
}

// What env prints means the same to a shell, whatever the secret is made of.
func TestEnvIsQuoted(t *testing.T) {
	noEnv(t)
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	for _, secret := range []string{"plain", "a b", "it's", `"$(touch x)"`, "`id`", "$HOME", "*", `\`, "'", "''",
		"-n", "团队", "~", "a;b&c|d", "!!"} {
		data := t.TempDir()
		listens(t, data, "http://x:1")
		text, err := json.Marshal(map[string]string{"AccessKeyId": "id-" + secret, "AccessKeySecret": secret})
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(data, "access-key.json"), text)
		out := mustRun(t, "env", "--data", data)
		cmd := exec.Command(shell, "-c", out+"\n"+
			`printf '%s|%s|%s' "$CHATCONF_ENDPOINT" "$ALIBABA_CLOUD_ACCESS_KEY_ID" "$ALIBABA_CLOUD_ACCESS_KEY_SECRET"`)
		cmd.Env = []string{"HOME=/nonexistent"}
		got, err := cmd.CombinedOutput()
		if want := "http://x:1|id-" + secret + "|" + secret; err != nil || string(got) != want {
			t.Errorf("secret %q: the shell reads %q, %v, want %q", secret, got, err, want)
		}
	}
	if got, want := shellQuote(""), "''"; got != want {
		t.Errorf("shellQuote of nothing = %s, want %s", got, want)
	}
}

func TestKeys(t *testing.T) {
	data := newData(t)
	at := func(args ...string) []string { return append(args, "--data", data) }
	admin, err := app.ReadAccessKey(data)
	if err != nil {
		t.Fatal(err)
	}
	policy := `{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:Get*"],"Resource":"*"}]}`
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct{ AccessKeyId, AccessKeySecret, AccountId, Name string }
	if err := json.Unmarshal([]byte(mustRun(t, at("keys", "create", "--name", "ci", "--policy", path,
		"-o", "json")...)), &made); err != nil {
		t.Fatal(err)
	}
	if len(made.AccessKeyId) != 23 || len(made.AccessKeySecret) != 40 ||
		made.AccountId != app.DefaultAccountID || made.Name != "ci" {
		t.Errorf("made = %+v", made)
	}
	if out := mustRun(t, at("keys", "create", "--name", "dashboard", "--read-only")...); !strings.Contains(out,
		"AccessKeySecret  ") {
		t.Errorf("create: %s", out)
	}
	if out, err := run(t, policy, at("keys", "create", "--name", "stdin", "--policy", "-", "--account",
		"42")...); err != nil || !strings.Contains(out, "AccessKeyId") {
		t.Errorf("create from standard input: %s, %v", out, err)
	}
	if _, err := run(t, `{"Statement":[{"Effect":"Maybe"}]}`, at("keys", "create", "--name", "bad",
		"--policy", "-")...); !isUsage(err) {
		t.Errorf("a bad policy: %v, want a usage error", err)
	}
	list := mustRun(t, at("keys", "list", "-o", "wide")...)
	for _, part := range []string{"ACCESS KEY ID", made.AccessKeyId, "ci", "dashboard", "42", "Active",
		admin.ID, "administrator", "oos:Get*"} {
		if !strings.Contains(list, part) {
			t.Errorf("list lacks %q:\n%s", part, list)
		}
	}
	if all := list + mustRun(t, at("keys", "list", "-o", "json")...); strings.Contains(all, made.AccessKeySecret) ||
		strings.Contains(all, admin.Secret.Reveal()) {
		t.Error("the list shows a secret")
	}
	if out := mustRun(t, at("keys", "disable", made.AccessKeyId)...); out != "disabled "+made.AccessKeyId+"\n" {
		t.Errorf("disable: %q", out)
	}
	if list := mustRun(t, at("keys", "list")...); !strings.Contains(list, "Inactive") {
		t.Errorf("list after disable:\n%s", list)
	}
	if out := mustRun(t, at("keys", "enable", made.AccessKeyId)...); out != "enabled "+made.AccessKeyId+"\n" {
		t.Errorf("enable: %q", out)
	}
	if out := mustRun(t, at("keys", "delete", made.AccessKeyId)...); out != "deleted "+made.AccessKeyId+"\n" {
		t.Errorf("delete: %q", out)
	}
	if list := mustRun(t, at("keys", "list")...); strings.Contains(list, made.AccessKeyId) {
		t.Errorf("list after delete:\n%s", list)
	}
	newService(t, data) // which has the file, and says nowhere where it listens
	if _, err := run(t, "", at("keys", "list")...); err == nil || isUsage(err) ||
		!strings.Contains(err.Error(), "use --endpoint") {
		t.Errorf("while the service runs: %v", err)
	}
}

// While a service has the file, its keys are managed through its API, and so are those of a service
// at an endpoint.
func TestKeysOfAServiceThatRuns(t *testing.T) {
	data := newData(t)
	service := newService(t, data, rpc.KeyActions()...)
	if err := os.WriteFile(filepath.Join(data, "endpoint"), []byte(service+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	admin, err := app.ReadAccessKey(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "somebody-else") // whose key the service does not know
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "not-a-real-secret")
	for _, where := range [][]string{
		{"--data", data},
		{"--endpoint", service, "--access-key-id", admin.ID, "--access-key-secret", admin.Secret.Reveal()},
	} {
		at := func(args ...string) []string { return append(args, where...) }
		var made struct{ AccessKeyId, AccessKeySecret, AccountId, Name, ExpireDate string }
		out := mustRun(t, at("keys", "create", "--name", "ci", "--read-only", "--expires", "30d",
			"--description", "of a test", "-o", "json")...)
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatal(err)
		}
		expires, err := time.Parse(time.RFC3339, made.ExpireDate)
		if days := time.Until(expires).Hours() / 24; err != nil || days < 29 || days > 31 ||
			made.AccountId != app.DefaultAccountID {
			t.Errorf("made = %+v, %v", made, err)
		}
		as := []string{"--endpoint", service, "--access-key-id", made.AccessKeyId,
			"--access-key-secret", made.AccessKeySecret}
		call := func(want string) {
			t.Helper()
			_, err := run(t, "", append([]string{"call", "ListChatConfigurations"}, as...)...)
			if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
				t.Errorf("a call with the key = %v, want %q", err, want)
			}
		}
		call("")
		if out := mustRun(t, at("keys", "disable", made.AccessKeyId)...); out != "disabled "+made.AccessKeyId+"\n" {
			t.Errorf("disable: %q", out)
		}
		call("InvalidAccessKeyId.Inactive") // at once
		if out := mustRun(t, at("keys", "list")...); !lineHas(out, made.AccessKeyId, "Inactive") ||
			!lineHas(out, admin.ID, "never") {
			t.Errorf("list after disable:\n%s", out)
		}
		mustRun(t, at("keys", "enable", made.AccessKeyId)...)
		call("")
		mustRun(t, at("keys", "update", made.AccessKeyId, "--owner", "--expires", "never", "--description", "")...)
		if out := mustRun(t, at("keys", "list", "-o", "wide")...); !lineHas(out, made.AccessKeyId,
			"oos:CreateAccessKey") || strings.Contains(out, "of a test") {
			t.Errorf("list after update:\n%s", out)
		}
		if out := mustRun(t, at("keys", "delete", made.AccessKeyId)...); out != "deleted "+made.AccessKeyId+"\n" {
			t.Errorf("delete: %q", out)
		}
		call("InvalidAccessKeyId.NotFound")
		if _, err := run(t, "", at("keys", "delete", made.AccessKeyId)...); err == nil || isUsage(err) ||
			!strings.Contains(err.Error(), "EntityNotExists.AccessKey") {
			t.Errorf("delete again: %v", err)
		}
		if _, err := run(t, "", at("keys", "create", "--name", "x", "--admin", "--account", "42")...); !isUsage(err) ||
			!strings.Contains(err.Error(), "--account") {
			t.Errorf("a key of another account: %v", err)
		}
	}
	mustRun(t, "keys", "delete", admin.ID, "--data", data)
	if _, err := app.ReadAccessKey(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the key file of a deleted key: %v", err)
	}
}

func TestMistakesWithKeys(t *testing.T) {
	data := newData(t)
	for _, test := range []struct {
		says string
		args []string
	}{
		{"write 30d", []string{"create", "--name", "x", "--admin", "--expires", "soon"}},
		{"write 30d", []string{"create", "--name", "x", "--admin", "--expires", "0d"}},
		{"write 30d", []string{"update", "CCKexample", "--expires", "-3d"}},
		{"nothing to change", []string{"update", "CCKexample"}},
		{"endpoint", []string{"list", "--endpoint", "http://127.0.0.1:1", "--store", "tablestore"}},
		{"--endpoint", []string{"list", "--access-key-id", "x", "--access-key-secret", "not-a-real-secret"}},
	} {
		_, err := run(t, "", append(append([]string{"keys"}, test.args...), "--data", data)...)
		if !isUsage(err) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("keys %q = %v, want a usage error with %q", test.args, err, test.says)
		}
	}
	if _, err := run(t, "", "keys", "create", "--name", "x", "--admin", "--expires", "2020-01-01", "--data",
		data); fault.CodeOf(err) != fault.InvalidParameter {
		t.Errorf("a date that has passed: %v", err)
	}
	if _, err := run(t, "", "keys", "update", "CCKexample", "--admin", "--data",
		data); fault.CodeOf(err) != fault.AccessKeyNotFound {
		t.Errorf("a key that is not there: %v", err)
	}
}

// The administrator's key that is deleted is gone for good, though its file lay in the data
// directory.
func TestDeletedAdministratorStaysDeleted(t *testing.T) {
	data := newData(t)
	admin, err := app.ReadAccessKey(data)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, "keys", "delete", admin.ID, "--data", data)
	if list := mustRun(t, "keys", "list", "--data", data); strings.Contains(list, admin.ID) {
		t.Errorf("the next start made the deleted key anew:\n%s", list)
	}
}

// check finds what is broken behind the service's back, says where, and fails.
func TestCheck(t *testing.T) {
	const partition = app.DefaultAccountID + "/" + app.DefaultRegion
	newFilled := func(t *testing.T) string {
		data := newData(t)
		settings, err := localSettings(data)
		if err != nil {
			t.Fatal(err)
		}
		l, err := app.OpenLocal(t.Context(), settings, app.Actions(rpc.Actions()...))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := httptest.NewServer(quiet(l.Handler))
		defer s.Close()
		for _, name := range []string{"a", "b"} {
			mustRun(t, "call", "CreateChatConfiguration", "Name="+name, "Type=Slack",
				`Configuration={"SlackSigningSecret":"`+planted+`"}`, `Tags={"env":"prod"}`,
				"--endpoint", s.URL, "--data", data)
		}
		return data
	}
	data := newFilled(t)
	out := mustRun(t, "check", "--data", data)
	if !strings.Contains(out, partition+": 2 configurations, 6 index entries, 2 revisions, 0 problems\n") {
		t.Errorf("check of a sound table: %s", out)
	}
	broke := func(t *testing.T, data string, change func(*file.Table) table.Change) {
		t.Helper()
		db, err := file.Open(filepath.Join(data, app.TableFile), file.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		tab := db.Table(app.DefaultTable, file.TableOptions{})
		if err := tab.Write(t.Context(), partition, change(tab)); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		change func(*file.Table) table.Change
		says   string
	}{
		"an index entry is gone": {func(*file.Table) table.Change {
			return table.Change{Deletes: []table.Delete{{Sort: "i#Type#Slack#a"}}}
		}, `index entry "i#Type#Slack#a" is missing`},
		"an index entry too many": {func(*file.Table) table.Change {
			return table.Change{Puts: []table.Put{{Sort: "i#Type#Teams#a"}}}
		}, `index entry "i#Type#Teams#a" stands for no configuration`},
		"a counter is off": {func(*file.Table) table.Change {
			return table.Change{Adds: []table.Add{{Sort: "c!00", N: 5}}}
		}, `is off by`},
		"a configuration is gone": {func(*file.Table) table.Change {
			return table.Change{Deletes: []table.Delete{{Sort: "c#b"}}}
		}, `stands for no configuration`},
		"a document is not one": {func(*file.Table) table.Change {
			return table.Change{Puts: []table.Put{{Sort: "c#b", Value: []byte("{"), Revision: 1}}}
		}, `c#b`},
		"history lacks a revision": {func(*file.Table) table.Change {
			return table.Change{Deletes: []table.Delete{{Sort: "h#a#0000000001"}}}
		}, `lacks its revision 1`},
		"a document under another name": {func(tab *file.Table) table.Change {
			items, err := tab.Get(t.Context(), table.Key{Partition: partition, Sort: "c#a"})
			if err != nil || len(items) != 1 {
				t.Fatal(err)
			}
			return table.Change{Puts: []table.Put{{Sort: "c#b", Value: items[0].Value, Revision: 1}}}
		}, `c#b`},
		"something that belongs nowhere": {func(*file.Table) table.Change {
			return table.Change{Puts: []table.Put{{Sort: "x#"}}}
		}, `of no kind`},
	} {
		t.Run(name, func(t *testing.T) {
			data := newFilled(t)
			broke(t, data, test.change)
			out, err := run(t, "", "check", "--data", data)
			if err == nil || isUsage(err) || !strings.Contains(out, test.says) || strings.Contains(out, planted) {
				t.Errorf("check = %v, want an error and %q:\n%s", err, test.says, out)
			}
		})
	}
	t.Run("a file that is damaged", func(t *testing.T) {
		data := newFilled(t)
		path := filepath.Join(data, app.TableFile)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text[:3*4096], 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, "", "check", "--data", data); err == nil || isUsage(err) {
			t.Errorf("check = %v\n%s", err, out)
		}
	})
	t.Run("another key ring", func(t *testing.T) {
		data, other := newFilled(t), newData(t)
		ring, err := os.ReadFile(filepath.Join(other, "keyring.json"))
		if err == nil {
			err = os.WriteFile(filepath.Join(data, "keyring.json"), ring, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, "", "check", "--data", data); err == nil ||
			!strings.Contains(err.Error(), "key ring is not the one") {
			t.Errorf("check = %v\n%s", err, out)
		}
	})
}

func TestWelcome(t *testing.T) {
	program := os.Args[0]
	defer func() { os.Args[0] = program }()
	for called, want := range map[string]string{
		"dist/chatconf": "A first call, from another shell:\n\n  dist/chatconf call",
		"/tmp/go-build1/b001/exe/chatconf": "A first call, from another shell (make tool builds " +
			"dist/chatconf):\n\n  dist/chatconf call",
		"/home/a person/go/bin/chatconf": "another shell:\n\n  '/home/a person/go/bin/chatconf' call",
	} {
		os.Args[0] = called
		var b bytes.Buffer
		welcome(t.Context(), &b, app.Settings{Data: app.DefaultData}, app.Started{Endpoint: "http://127.0.0.1:9000",
			AccessKeyID: "CCKx", KeyFile: "x"}, nil, nil, nil, nil)
		if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "go run") {
			t.Errorf("welcome of %s lacks %q:\n%s", called, want, &b)
		}
	}
	var b bytes.Buffer
	welcome(t.Context(), &b, app.Settings{Data: "my data", Programs: "/srv/programs"}, app.Started{
		Endpoint: "http://127.0.0.1:9000", AccessKeyID: "CCKx", KeyFile: "my data/access-key.json"}, nil, nil, nil, nil)
	for _, part := range []string{"http://127.0.0.1:9000", "CCKx", "my data/access-key.json",
		"call --data 'my data' CreateChatConfiguration", `eval "$(`, "programs         in /srv/programs\n"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("welcome lacks %q:\n%s", part, &b)
		}
	}
}

// A mistake in the command line is named with what would be right.
func TestMistakesInTheCommandLine(t *testing.T) {
	noEnv(t)
	for args, want := range map[string]string{
		// unknown words
		"histroy ops":   `unknown command "histroy"; did you mean history?` + "\nSee 'chatconf --help'.",
		"frobnicate":    `unknown command "frobnicate"` + "\nSee 'chatconf --help'.",
		"keyring rotat": `unknown command "rotat"; did you mean rotate?` + "\nSee 'chatconf keyring --help'.",
		"keys lists":    `unknown command "lists"; did you mean list?` + "\nSee 'chatconf keys --help'.",

		// arguments
		"history":      "chatconf history needs 1 argument, not 0; write 'chatconf history NAME [flags]'",
		"diff a b c d": "chatconf diff needs 1 to 3 arguments, not 4; write 'chatconf diff NAME [REVISION]",
		"send":         "chatconf send needs a name and a message in quotes; write 'chatconf send NAME",

		// flags
		"log --sinse 1h":     "unknown flag --sinse; did you mean --since?\nSee 'chatconf log --help'.",
		"log --xyz":          "unknown flag --xyz\nSee",
		"log -n x":           `--last is "x"; write a whole number, such as 10` + "\nSee",
		"log --follow=maybe": `--follow is "maybe"; write true or false` + "\nSee",
		"log -f -n 0":        "--follow with --last 0 would first show all commands ever; add --since, such as",
		"call X --timeout 3": `--timeout is "3"; write a time, such as 90s, 15m or 24h` + "\nSee",

		"rotate a b --grace x": `--grace is "x"; write a time up to 7d, such as 90m, 24h or 2d` + "\nSee",
		"invoke x --zip x.zip": "give --kind too\nSee",
		"tables":               "--target is missing\nSee",
		"keys create": "--name is missing\ngive one of --policy, --owner, --admin, --read-only\n" +
			"See 'chatconf keys create --help'.",

		"keys create --name x --owner --admin": "give only one of --admin, --owner\nSee",
	} {
		if _, err := run(t, "", strings.Fields(args)...); !isUsage(err) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("chatconf %s: %v, want %s", args, err, want)
		}
	}
}
