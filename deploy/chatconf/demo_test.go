package main

import (
	"bytes"
	"crypto/tls"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	targethttp "chatconf/shared/dispatch/http"
)

var update = flag.Bool("update", false, "write the golden files again")

// varying is what differs between two runs of the demo.
var varying = []struct {
	pattern *regexp.Regexp
	in      string
}{
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`in \S*/chatconf-demo-[0-9]+`), "in TEMPORARY"},
	{regexp.MustCompile(`[0-9]{13}-[0-9a-f]{16}`), "RECORD"},
	{regexp.MustCompile(`[0-9]+\.[0-9]{19}`), "PID.TIME"},
	{regexp.MustCompile(`exec-[0-9a-z]+`), "exec-ID"},
	{regexp.MustCompile(`after [0-9]+ ms`), "after N ms"},
	{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`), "DATE"},
	{regexp.MustCompile(`[0-9]+% of the disk`), "N% of the disk"},
	{regexp.MustCompile(`CCK[0-9A-Za-z]+`), "KEY"},
}

// The demo is a real service, so this tests every kind of action and every refusal end to end.
func TestDemo(t *testing.T) {
	noEnv(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("CHATCONF_DATA", "/nowhere") // the demo ignores settings
	got := mustRun(t, "demo")
	for _, v := range varying {
		if !v.pattern.MatchString(got) {
			t.Errorf("the demo does not print %s", v.in)
		}
		got = v.pattern.ReplaceAllString(got, v.in)
	}
	golden := filepath.Join("testdata", "demo.golden")
	if *update {
		writeFile(t, golden, []byte(got))
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the demo prints, -want +got\n%s", diff)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v, %v", left, err)
	}
}

// With --data the bot, the program and the log are kept, and nothing is overwritten.
func TestDemoKeepsItsData(t *testing.T) {
	noEnv(t)
	data := filepath.Join(t.TempDir(), "demo")
	if out := mustRun(t, "demo", "--data", data); !strings.Contains(out, "Its data is in "+data+".\n") ||
		!strings.Contains(out, "--data "+data) {
		t.Errorf("the demo prints %s", out)
	}
	log, err := os.ReadFile(filepath.Join(data, "log"))
	if err != nil || !bytes.Contains(log, []byte(`"msg":"dispatched"`)) {
		t.Errorf("the log is %s, %v", log, err)
	}
	_, stop := runs(t, "For SDKs", "serve", "--data", data, "--addr", "127.0.0.1:0", "--emulate", "oos,sts",
		"--programs", filepath.Join(data, "programs"))
	answer := mustRun(t, "send", "--data", data, "--wait", "20s", "ops", "--user", "alice", "restart i-77")
	records := mustRun(t, "call", "--data", data, "ListChatCommands", "Name=ops", "MaxResults=1")
	stop()
	if !strings.Contains(answer, "i-77 has been restarted") {
		t.Errorf("send prints %s", answer)
	}
	for _, want := range []string{`"State": "Succeeded"`, `"RamRole": "chatconf-operator"`,
		`"SessionName": "DingTalk.alice"`, `"ExecutionId": "exec-`} {
		if !strings.Contains(records, want) {
			t.Errorf("the record lacks %s: %s", want, records)
		}
	}
	if _, err := run(t, "", "demo", "--data", data); !isUsage(err) || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a second demo: %v", err)
	}
	if _, err := run(t, "", "demo", "--data", filepath.Join(data, "log")); err == nil || isUsage(err) {
		t.Errorf("a file in place of the directory: %v", err)
	}
}

// The endpoint of the demo answers only what is signed for it.
func TestEcho(t *testing.T) {
	dir := t.TempDir()
	e, roots, err := openEcho(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client, err := trusting(roots)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for _, test := range []struct {
		body, key string
		status    int
		says      string
	}{
		{`{"data":{"userId":"bob","action":"echo","parameters":{"text":"x"}}}`, string(e.key), 200,
			`bob sent echo with {\"text\":\"x\"}`},
		{`{"data":{}}`, "another key", 401, "invalid signature"},
		{`[]`, string(e.key), 400, "no event"},
		{strings.Repeat("x", 2<<20), string(e.key), 413, "too large"},
	} {
		req, err := http.NewRequest(http.MethodPost, e.url, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Webhook-Id", "1")
		req.Header.Set("Webhook-Timestamp", "2")
		req.Header.Set("Webhook-Signature", targethttp.Sign([]byte(test.key), "1", "2", []byte(test.body)))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != test.status || !strings.Contains(string(said), test.says) {
			t.Errorf("%.50s: %d %s, %v", test.body, resp.StatusCode, said, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if c, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(e.url, "https://"), "/echo"), nil); err == nil {
		c.Close()
		t.Error("the endpoint listens after its end")
	}
}
