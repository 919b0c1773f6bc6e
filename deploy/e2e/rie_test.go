package e2e_test

import (
	"archive/zip"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// underRIE starts AWS's own runtime emulator around a function as it is deployed, on the tables
// of a service, and returns how to invoke it.
func underRIE(t *testing.T, s *service, function string) (invoke func(payload string) []byte) {
	t.Helper()
	program, err := exec.LookPath("aws-lambda-rie")
	if err != nil {
		if requireExternal {
			t.Fatal("aws-lambda-rie is not in PATH; make peers installs it")
		}
		t.Skip("aws-lambda-rie, AWS's own runtime emulator, is not in PATH; make peers installs it")
	}
	folder := filepath.Join(functions.dist, targetLambda)
	if runtime.GOARCH != "arm64" {
		folder = filepath.Join(folder, runtime.GOARCH)
	}
	dir := t.TempDir()
	bootstrap := filepath.Join(dir, "bootstrap")
	archive, err := zip.OpenReader(filepath.Join(folder, function+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	file, err := fs.ReadFile(archive, "bootstrap")
	if err == nil {
		err = os.WriteFile(bootstrap, file, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	var addrs [2]string
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = l.Addr().String()
		defer l.Close() // once both are known
	}
	out := newOutput()
	cmd := exec.Command(program, "--runtime-interface-emulator-address", addrs[0], "--runtime-api-address", addrs[1],
		bootstrap)
	cmd.Dir = dir
	cmd.Env = append(tableEnv(s.data), "PATH="+os.Getenv("PATH"), "AWS_LAMBDA_FUNCTION_TIMEOUT=60",
		"AWS_LAMBDA_FUNCTION_NAME="+function,
		"CHATCONF_KEYRING=file:"+filepath.Join(s.data, "keyring.json"),
		"CHATCONF_WEBHOOK_BASE_URL=https://bots.example.com")
	cmd.Stdout, cmd.Stderr = out, out
	start := func() {
		t.Helper()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
	}
	started := false
	return func(payload string) []byte {
		t.Helper()
		if !started {
			started = true
			start()
		}
		var resp *http.Response
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			resp, err = http.Post("http://"+addrs[0]+"/2015-03-31/functions/function/invocations", "application/json",
				strings.NewReader(payload))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v\n%s", err, out.String())
			}
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s, %v\n%s", function, resp.Status, body, err, out.String())
		}
		return body
	}
}

// What is deployed to Lambda runs under AWS's own emulator: direct invocations, queue events that
// are delivered twice, and HTTP.
func TestZipsRunUnderAWSsEmulator(t *testing.T) {
	t.Parallel()
	onlyFunctions(t, targetLambda)
	s := serve(t)
	create, get := underRIE(t, s, "create-chat-configuration"), underRIE(t, s, "get-chat-configuration")
	if c := readCreated(t, create(creation(t, "direct"))); c.ChatConfiguration.Name != "direct" {
		t.Errorf("create = %+v", c)
	}
	if c := readCreated(t, create(creation(t, "direct"))); c.Code == "" {
		t.Errorf("the same name again: %+v", c)
	}
	sqs := eventSources[slices.IndexFunc(eventSources, func(d eventSource) bool { return d.name == "SQS" })]
	queue := text(t, sqs.event(message{"m1", creation(t, "one")}, message{"m2", creation(t, "two")}, message{"m3",
		"nonsense"}))
	for range 2 {
		if got, want := string(create(queue)), `{"batchItemFailures":[]}`; got != want {
			t.Errorf("queue: %s, want %s", got, want)
		}
	}
	for _, name := range []string{"direct", "one", "two"} {
		if c := readCreated(t, get(text(t, object{"Name": name}))); c.ChatConfiguration.Name != name {
			t.Errorf("get %s = %+v", name, c)
		}
	}
	var unsigned struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	request := `{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"",
		"headers":{"x-acs-action":"GetChatConfiguration","x-acs-version":"2019-06-01"},
		"requestContext":{"http":{"method":"POST","path":"/","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"},
		"requestId":"r","stage":"$default","timeEpoch":1795406706007},"isBase64Encoded":false}`
	if err := json.Unmarshal(get(request), &unsigned); err != nil || unsigned.StatusCode != http.StatusBadRequest &&
		unsigned.StatusCode != http.StatusForbidden || !strings.Contains(unsigned.Body, `"Code"`) {
		t.Errorf("a request without a signature: %+v, %v", unsigned, err)
	}
	s.check(": 3 configurations, ")
}
