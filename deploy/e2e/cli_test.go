package e2e_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

func TestCallTakesAConfigurationThroughItsLife(t *testing.T) {
	t.Parallel()
	s := serve(t)
	call := func(args ...string) result { return run(t, append([]string{"call", "--data", s.data}, args...)...) }
	file := filepath.Join(t.TempDir(), "ops.json")
	configuration := jsonText(object{"DingTalkClientId": "ding", "DingTalkClientSecret": hard, "BotName": hardText})
	if err := os.WriteFile(file, []byte(configuration+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := call("CreateChatConfiguration", "Name=ops", "Type=DingTalk", "Configuration=@"+
		file, `Tags={"env":"prod"}`).ok(t)
	if !strings.HasPrefix(out, "{\n  \"RequestId\": ") || !strings.HasSuffix(out, "\n}\n") {
		t.Errorf("call printed %q, want indented JSON and a line's end", out)
	}
	var got shown
	out = call("GetChatConfiguration", "Name=ops").ok(t)
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, &got.ChatConfiguration.Configuration, object{"DingTalkClientId": "ding",
		"DingTalkClientSecret": "******", "BotName": hardText})

	stdin := command{args: []string{"call", "--data", s.data, "UpdateChatConfiguration", "Name=ops",
		"Configuration=@-", "--if-match", "1"}}
	stdin.stdin = `{"DingTalkClientId":"from stdin","DingTalkClientSecret":"******"}`
	stdin.run(t).fails(t, 1, "InvalidParameter.Configuration (400)", "DingTalkClientId", "request id: ")
	stdin.stdin = `{"DingTalkClientId":"from-stdin","DingTalkClientSecret":"******","BotName":"@me"}`
	stdin.run(t).ok(t)
	stdin.run(t).fails(t, 1, "OperationConflict (409)")

	call("UpdateChatConfiguration", "Name=ops", "Configuration=@@me").fails(t, 1, "InvalidParameter.Configuration")
	out = call("ListChatConfigurations", `Filters=[{"Name":"tag:env","Value":"prod"}]`, "MaxResults=1").ok(t)
	if !strings.Contains(out, `"Name": "ops"`) || !strings.Contains(out, `"Revision": 2`) {
		t.Errorf("list = %s", out)
	}
	call("TagResources", "ResourceType=chatconfiguration", `ResourceIds=["ops"]`, `Tags={"团队":"运维"}`).ok(t)
	call("DeleteChatConfiguration", "Name=ops").ok(t)
	call("GetChatConfiguration", "Name=ops").fails(t, 1,
		`EntityNotExists.ChatConfiguration (404): There is no chat configuration "ops".`)
	call("UpdateChatConfiguration", "Name=ops", "Staus=Inactive").fails(t, 2, `"Staus"; did you mean Status?`)
	call("updateChatConfiguration", "Name=ops").fails(t, 2, "did you mean UpdateChatConfiguration?")
}

func TestCallFindsServiceAndKey(t *testing.T) {
	t.Parallel()
	data := newData(t)
	var limited accessKey
	if store.name == storeFile {
		limited = createKeyWith(t, data, "limited",
			`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:List*","Resource":"*"}]}`)
	}
	s := serveOn(t, data)
	create(t, s.client(t), "ops")
	url := "http://" + s.endpoint
	nowhere := t.TempDir()
	for _, c := range []struct {
		name string
		command
	}{
		{"the data directory", command{args: []string{"--data", data}}},
		{"CHATCONF_DATA", command{env: []string{"CHATCONF_DATA=" + data}}},
		{"flags", command{args: []string{"--endpoint", url, "--access-key-id", s.key.ID, "--access-key-secret",
			s.key.Secret, "--data", nowhere}}},
		{"chatconf's environment", command{env: []string{"CHATCONF_ENDPOINT=" + url, "CHATCONF_ACCESS_KEY_ID=" +
			s.key.ID, "CHATCONF_ACCESS_KEY_SECRET=" + s.key.Secret}}},
		{"the official environment", command{env: []string{"CHATCONF_ENDPOINT=" + url, "ALIBABA_CLOUD_ACCESS_KEY_ID=" +
			s.key.ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + s.key.Secret}}},
		{"flags before the environment", command{
			args: []string{"--endpoint", url + "/", "--access-key-id", s.key.ID, "--access-key-secret", s.key.Secret},
			env: []string{"CHATCONF_ENDPOINT=http://127.0.0.1:1", "ALIBABA_CLOUD_ACCESS_KEY_ID=x",
				"ALIBABA_CLOUD_ACCESS_KEY_SECRET=y"},
		}},
		{"the data directory, with a cloud account in the shell", command{
			args: []string{"--data", data}, env: []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=LTAIsomebody",
				"ALIBABA_CLOUD_ACCESS_KEY_SECRET=x", "ALIBABA_CLOUD_SECURITY_TOKEN=y"},
		}},
		{"the local service by its name, with a cloud account in the shell", command{
			args: []string{"--data", data, "--endpoint", strings.Replace(url, "127.0.0.1", "localhost", 1)},
			env:  []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=LTAIsomebody", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=x"},
		}},
		{"the environment before the data directory", command{
			args: []string{"--data", data},
			env: []string{"CHATCONF_ENDPOINT=" + url, "CHATCONF_ACCESS_KEY_ID=" + s.key.ID,
				"CHATCONF_ACCESS_KEY_SECRET=" + s.key.Secret},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.args = append([]string{"call", "GetChatConfiguration", "Name=ops"}, c.args...)
			c.run(t).ok(t)
		})
	}
	if store.name != storeFile {
		return
	}
	// With a key that is not the data directory's, what it may not do is refused and explained.
	r := command{args: []string{"call", "GetChatConfiguration", "Name=ops", "--data", data},
		env: []string{"CHATCONF_ACCESS_KEY_ID=" + limited.ID, "CHATCONF_ACCESS_KEY_SECRET=" + limited.Secret}}.run(t)
	r.fails(t, 1, "NoPermission (403)", "may not perform oos:GetChatConfiguration", "no policy of the caller",
		"access key: "+limited.ID+", from CHATCONF_ACCESS_KEY_ID")
}

func TestExitCodesTellMistakesFromFailures(t *testing.T) {
	t.Parallel()
	onlyFile(t, "most commands here open the file")
	data := newData(t)
	nowhere := t.TempDir()
	badPolicy := filepath.Join(nowhere, "policy.json")
	if err := os.WriteFile(badPolicy,
		[]byte(`{"Version":"1","Statement":[{"Effect":"Allow","Actoin":"*","Resource":"*"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
	t.Cleanup(plain.Close)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })
	key := "--access-key-id x --access-key-secret y "
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", 0, ""},
		{"--help", 0, ""},
		{"help keys", 0, ""},
		{"keys", 0, ""},
		{"call --help", 0, ""},
		{"completion bash", 0, ""},
		{"check --data " + data, 0, ""},
		{"keys list --data " + data, 0, ""},

		{"frobnicate", 2, "unknown command"},
		{"serv", 2, "serve"},
		{"keys frobnicate", 2, "frobnicate"},
		{"serve extra", 2, "extra"},
		{"serve --store ftp", 2, "use file, tablestore or dynamodb"},
		{"serve --store tablestore", 2, "TABLESTORE_ENDPOINT"},
		{"serve --store dynamodb", 2, "AWS_REGION"},
		{"tables", 2, "target"},
		{"tables --target local", 2, "use fc or lambda"},
		{"tables --target fc", 2, "TABLESTORE_ENDPOINT"},
		{"tables --target lambda", 2, "AWS_REGION"},
		{"tables extra --target fc", 2, "extra"},
		{"tables check", 2, "target"},
		{"tables check --target ftp", 2, "use fc or lambda"},
		{"tables check --target lambda --dry-run", 2, "--dry-run"},
		{"ots extra", 2, "extra"},
		{"serve --frobnicate", 2, "--frobnicate"},
		{"check extra --data " + data, 2, "extra"},
		{"check --data " + nowhere, 2, "no local service"},
		{"env --data " + nowhere, 2, "chatconf serve"},
		{"call", 2, "CreateChatConfiguration"},
		{"call GetChatConfiguration Name --data " + data, 2, "write Name=Value"},
		{"call GetChatConfiguration ops --data " + data, 2, "such as Name=ops"},
		{"call Explode --data " + data, 2, "use one of CreateChatConfiguration"},
		{"call GetChatConfiguration =ops --data " + data, 2, "Key=Value"},
		{"call GetChatConfiguration Name=a Name=b --data " + data, 2, "twice"},
		{"call GetChatConfiguration Name=@" + nowhere + "/none --data " + data, 2, "none"},
		{"call GetChatConfiguration --data " + nowhere, 2, "chatconf serve"},
		{"call GetChatConfiguration --endpoint http://127.0.0.1:1 --data " + nowhere, 2, "no access key"},
		{"call GetChatConfiguration --endpoint ftp://127.0.0.1 " + key, 2, "http"},
		{"call GetChatConfiguration --endpoint http://127.0.0.1/oos " + key, 2, "host"},
		{"call GetChatConfiguration --endpoint http://127.0.0.1:1 --access-key-id x", 2, "without --access-key-secret"},
		{"call GetChatConfiguration --timeout soon", 2, "soon"},
		{"keys create --admin --data " + data, 2, "name"},
		{"keys create --name x --data " + data, 2, "policy"},
		{"keys create --name x --admin --read-only --data " + data, 2, "read-only"},
		{"keys create --name x --policy " + nowhere + "/none --data " + data, 2, "none"},
		{"keys create --name x --policy " + badPolicy + " --data " + data, 2, "Actoin"},
		{"keys create --name x --admin -o xml --data " + data, 2, "xml"},
		{"keys list -o xml --data " + data, 2, "xml"},
		{"keys list --data " + nowhere, 2, "no local service"},
		{"keys disable --data " + data, 2, "1"},
		{"keys delete one two --data " + data, 2, "2"},

		{"keys disable CCKnobody --data " + data, 1, "CCKnobody"},
		{"keys enable CCKnobody --data " + data, 1, "CCKnobody"},
		{"keys delete CCKnobody --data " + data, 1, "CCKnobody"},
		{"keys create --name x --admin --account x7 --data " + data, 1, "AccountId"},
		{"call GetChatConfiguration --endpoint http://127.0.0.1:1 " + key,
			1, "refused; start the service with 'chatconf serve'"},
		{"call GetChatConfiguration --endpoint " + plain.URL + " " + key, 1, "not JSON"},
		{"serve --addr " + busy.Addr().String() + " --data " + data, 1,
			"in use; choose another address with --addr"},
		{"serve --addr " + busy.Addr().String() + " --target mars --data " + data, 2, "use local, fc or lambda"},
		{"serve --addr nowhere --data " + data, 2, "nowhere"},
		{"ots --addr " + busy.Addr().String() + " --data=", 1, "in use"},
	} {
		t.Run("chatconf "+strings.NewReplacer(data, "DATA", nowhere, "NOWHERE", plain.URL, "PLAIN",
			busy.Addr().String(), "BUSY").Replace(c.args), func(t *testing.T) {
			r := run(t, strings.Fields(c.args)...)
			if c.code == 0 {
				if r.ok(t) == "" {
					t.Error("nothing was printed")
				}
				return
			}
			r.fails(t, c.code, "Error: ", c.says)
		})
	}
	if entries, err := os.ReadDir(nowhere); err != nil || len(entries) != 1 {
		t.Errorf("mistakes left %v behind: %v", entries, err)
	}
}

func TestMistakesInSettingsAreReportedTogether(t *testing.T) {
	t.Parallel()
	names := []string{
		"CHATCONF_ACCOUNT_ID", "CHATCONF_HOSTS", "CHATCONF_MAX_CONFIGURATIONS",
		"CHATCONF_REQUESTS_PER_SECOND", "CHATCONF_ACCESS_KEY_ID",
	}
	data := filepath.Join(t.TempDir(), "data")
	r := command{args: []string{"serve", "--addr", "127.0.0.1:0", "--data", data}, env: []string{
		"CHATCONF_ACCOUNT_ID=me", "CHATCONF_HOSTS=https://example.com/", "CHATCONF_MAX_CONFIGURATIONS=many",
		"CHATCONF_REQUESTS_PER_SECOND=0",
		"CHATCONF_ACCESS_KEY_SECRET=planted-secret",
	}}.run(t)
	r.fails(t, 1, names...)
	if strings.Contains(r.stderr, "planted-secret") {
		t.Errorf("a secret is shown: %s", r.stderr)
	}
	for _, env := range []string{"CHATCONF_REGION=Nowhere!", "CHATCONF_WEBHOOK_BASE_URL=example.com",
		"CHATCONF_KEYRING=file:" + data + "/none", `CHATCONF_KEYRING={"planted-secret`} {
		r := command{args: []string{"serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")},
			env: []string{env}}.run(t)
		r.fails(t, 1)
		if strings.Contains(r.stderr, "planted-secret") {
			t.Errorf("a secret is shown: %s", r.stderr)
		}
	}
}

func TestKeysLiveTheirLife(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	r := run(t, "keys", "create", "--name", "ci", "--read-only", "--data", data)
	m := regexp.MustCompile(`^AccessKeyId      (CCK\w{20})\nAccessKeySecret  (\w{40})\n\nThe secret is not shown ` +
		`again\.\n$`).FindStringSubmatch(r.ok(t))
	if m == nil {
		t.Fatalf("keys create printed %q", r.stdout)
	}
	key := accessKey{m[1], m[2]}
	piped := command{args: []string{"keys", "create", "--name", "piped", "--policy", "-", "-o", "json", "--data", data},
		stdin: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:List*","Resource":"*"}]}`}
	var second struct{ AccessKeyId, AccessKeySecret, AccountId, Name string }
	if err := json.Unmarshal([]byte(piped.run(t).ok(t)), &second); err != nil ||
		second.AccountId != "1000000000000000" || second.Name != "piped" {
		t.Errorf("keys create -o json printed %+v: %v", second, err)
	}

	list := func() string {
		t.Helper()
		out := run(t, "keys", "list", "-o", "wide", "--data", data).ok(t) +
			run(t, "keys", "list", "-o", "json", "--data", data).ok(t)
		for _, secret := range []string{key.Secret, second.AccessKeySecret} {
			if strings.Contains(out, secret) {
				t.Error("keys list shows a secret")
			}
		}
		return out
	}
	if out := list(); !regexp.MustCompile(`(?m)^`+key.ID+
		`\s+ci\s+Active\s+never\s+-\s+1000000000000000\s+20\S+ \S+\s+\{.*\}$`).MatchString(out) ||
		strings.Count(out, "administrator") != 2 {
		t.Errorf("keys list printed %s", out)
	}

	get := func(s *service) error {
		_, err := s.clientOf(t, key).ListChatConfigurations(&oos.ListChatConfigurationsRequest{})
		return err
	}
	within := func(do func(*service)) {
		t.Helper()
		s := serveOn(t, data)
		do(s)
		s.stop()
	}
	within(func(s *service) {
		if err := get(s); err != nil {
			t.Error(err)
		}
	})
	if got, want := run(t, "keys", "disable", key.ID, "--data", data).ok(t), "disabled "+key.ID+"\n"; got != want {
		t.Errorf("keys disable printed %q, want %q", got, want)
	}
	if out := list(); !regexp.MustCompile(key.ID + `\s+ci\s+Inactive`).MatchString(out) {
		t.Errorf("keys list printed %s", out)
	}
	within(func(s *service) { wantSDKError(t, get(s), http.StatusBadRequest, "InvalidAccessKeyId.Inactive") })
	if got, want := run(t, "keys", "enable", key.ID, "--data", data).ok(t), "enabled "+key.ID+"\n"; got != want {
		t.Errorf("keys enable printed %q, want %q", got, want)
	}
	within(func(s *service) {
		if err := get(s); err != nil {
			t.Error(err)
		}
	})
	if got, want := run(t, "keys", "delete", key.ID, "--data", data).ok(t), "deleted "+key.ID+"\n"; got != want {
		t.Errorf("keys delete printed %q, want %q", got, want)
	}
	within(func(s *service) { wantSDKError(t, get(s), http.StatusNotFound, "InvalidAccessKeyId.NotFound") })
	run(t, "keys", "delete", key.ID, "--data", data).fails(t, 1, key.ID)
}

// The first start takes the key of the environment, and prints everything that a first call needs
// but the secret.
func TestTheFirstStartTakesAGivenKey(t *testing.T) {
	t.Parallel()
	secret := `it's "a" $ecret \ with; blanks`
	s := serve(t, "CHATCONF_ACCESS_KEY_ID=my-own.key", "CHATCONF_ACCESS_KEY_SECRET="+secret)
	if s.key.ID != "my-own.key" || s.key.Secret != secret {
		t.Errorf("access-key.json has %+v", s.key)
	}
	create(t, s.client(t), "ops")
	out := s.stdout.String()
	for _, want := range []string{"http://" + s.endpoint, "my-own.key", filepath.Join(s.data, "access-key.json"),
		"chatconf call --data " + s.data, "chatconf env --data " + s.data} {
		if !strings.Contains(out, want) {
			t.Errorf("serve printed %q, want it to have %q", out, want)
		}
	}
	if strings.Contains(out, "$ecret") {
		t.Errorf("serve printed the secret: %q", out)
	}

	// What env prints is what a shell understands, however odd the secret is.
	sh := exec.CommandContext(t.Context(), "sh", "-c",
		`eval "$("$1" env --data "$2")" && exec "$1" call GetChatConfiguration Name=ops --data /nowhere`,
		"sh", chatconf, s.data)
	sh.Env = cleanEnviron(t)
	if out, err := sh.CombinedOutput(); err != nil || !strings.Contains(string(out), `"Name": "ops"`) {
		t.Errorf("a shell with the variables of env: %v: %s", err, out)
	}
	env := run(t, "env", "--data", s.data).ok(t)
	if n := strings.Count(env, "export "); n != 3 || !strings.HasPrefix(env, "export CHATCONF_ENDPOINT=http://"+
		s.endpoint+"\nexport ALIBABA_CLOUD_ACCESS_KEY_ID=my-own.key\nexport ALIBABA_CLOUD_ACCESS_KEY_SECRET='") {
		t.Errorf("env printed %q", env)
	}
	s.stop()

	// Later starts have the key already; another one in the environment changes nothing.
	s = s.restart("CHATCONF_ACCESS_KEY_ID=another", "CHATCONF_ACCESS_KEY_SECRET=another-secret")
	if s.key.ID != "my-own.key" {
		t.Errorf("a second start made the key %s", s.key.ID)
	}
	get(t, s.client(t), "ops")
	_, err := s.clientOf(t, accessKey{"another", "another-secret"}).ListChatConfigurations(
		&oos.ListChatConfigurationsRequest{MaxResults: dara.Int32(1)})
	wantSDKError(t, err, http.StatusNotFound, "InvalidAccessKeyId.NotFound")
}

func TestTheFirstCallThatServePrintsWorks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, rest, ok := strings.Cut(s.stdout.String(), "A first call, from another shell:\n\n")
	first, _, end := strings.Cut(rest, "\n\n")
	if !ok || !end || !strings.Contains(first, chatconf+" call") {
		t.Fatalf("serve printed %q", s.stdout)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-c", first)
	sh.Env = cleanEnviron(t)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", first, err, out)
	}
	get(t, s.client(t), "ops")
}

func TestCheckCounts(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	for _, name := range []string{"one", "two", "three"} {
		create(t, client, name)
	}
	must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String("one"),
		RamRole: dara.String("Role")}))(t)
	must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("two")}))(t)
	// Two types and statuses, a role; three creates, an update and a delete.
	s.stop()
	wantEqual(t, "what check printed", dara.String(checkCommand(t, s.data).run(t).ok(t)),
		"1000000000000000/cn-hangzhou: 2 configurations, 5 index entries, 5 revisions, 0 problems\n")
}
