package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestContexts(t *testing.T) {
	at := team(t)
	key, err := localKey(at[3])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	hidden, shared := filepath.Join(dir, "secret"), filepath.Join(dir, "shared")
	writeFile(t, hidden, []byte(key.Secret+"\n"))
	writeFile(t, shared, []byte(key.Secret))
	if err := os.Chmod(shared, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(hidden, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "key.json")
	text, _ := json.Marshal(map[string]string{"AccessKeyId": key.ID, "AccessKeySecret": key.Secret})
	writeFile(t, whole, text)
	do := func(args ...string) (string, error) {
		t.Helper()
		out, _, err := runBoth(t, "", args...)
		if strings.Contains(out, key.Secret) || err != nil && strings.Contains(err.Error(), key.Secret) {
			t.Errorf("%q shows the secret: %s, %v", args, out, err)
		}
		return out, err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := do(args...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return masked(at, strings.ReplaceAll(screen(out), dir, "DIR"))
	}
	t.Chdir(dir) // no local service here
	if got := must("context", "list"); !strings.HasPrefix(got, "No contexts. ") {
		t.Errorf("no contexts: %s", got)
	}
	if got := must("context", "set", "prod", "--endpoint", at[1], "--access-key-id", key.ID, "--secret-file",
		"secret"); got != "Made the context prod. It is the current one.\n" {
		t.Errorf("the first: %s", got)
	}
	must("context", "set", "east", "--endpoint", at[1], "--region", "cn-beijing", "--credential-process", "cat "+whole)
	if got := must("bots", "--no-health"); !strings.Contains(got, "\nops ") {
		t.Errorf("bots of the current context: %s", got)
	}
	if got := must("bots", "--context", "east"); !strings.HasPrefix(got, "No bots in cn-") {
		t.Errorf("bots of another region: %s", got)
	}
	for context, want := range map[string]string{"prod": "\n  region: that of the service\n  context: prod",
		"east": "\n  region: cn-beijing\n  context: east", "east --region cn-shanghai": "\n  region: cn-shanghai\n"} {
		if _, err := do(strings.Fields("show none --context " + context)...); err == nil ||
			!strings.Contains(err.Error(), `There is no chat configuration "none".`) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("an unknown bot of %s: %v, want %q", context, err, want)
		}
	}
	if got := must("keys", "list"); !strings.HasPrefix(got, "ACCESS KEY ID ") {
		t.Errorf("keys of the current context: %s", got)
	}
	if got := must("context", "use", "east"); got != "east is current now: http://SERVICE\n" {
		t.Errorf("use: %s", got)
	}
	golden(t, "context-list", must("context", "list"))
	golden(t, "context-list-yaml", must("context", "list", "-o", "yaml"))
	for _, args := range []string{"context use ", "bots --context "} {
		if got, err := completeLine(t, strings.Split(args, " ")...); err != nil || got != "east\nprod\n:4\n" {
			t.Errorf("completion of %s: %q, %v", args, got, err)
		}
	}
	if got, err := completeLine(t, "show", "--context", "prod", "o"); err != nil || got != "old\nops\n:4\n" {
		t.Errorf("completion with a context: %q, %v", got, err)
	}
	// Flags and the environment win over the current context.
	stranger := httptest.NewServer(nil)
	defer stranger.Close()
	t.Setenv("CHATCONF_ENDPOINT", stranger.URL)
	if _, err := do("bots", "--access-key-id", "a", "--access-key-secret", "b"); err == nil ||
		!strings.Contains(err.Error(), "check that it is a chatconf service") {
		t.Errorf("the environment: %v", err)
	}
	if got := must("bots", "--no-health", "--context", "prod"); !strings.Contains(got, "\nops ") {
		t.Errorf("a context that is named: %s", got)
	}
	t.Setenv("CHATCONF_ENDPOINT", "")
	if _, err := do("bots", "--context", "prod", "--access-key-id", "a", "--access-key-secret", "b"); err == nil ||
		!strings.Contains(err.Error(), "from --access-key-id") {
		t.Errorf("a key by flags: %v", err)
	}
	must("context", "set", "prod", "--region", "cn-shanghai", "--access-key-id", "", "--secret-file", "")
	if _, err := do("bots", "--context", "prod"); !isUsage(err) || !strings.Contains(err.Error(), "no access key") {
		t.Errorf("a context without a key: %v", err)
	}
	t.Setenv("CHATCONF_ACCESS_KEY_ID", key.ID)
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", key.Secret)
	if got := must("bots", "--context", "prod"); !strings.HasPrefix(got, "No bots in cn-") {
		t.Errorf("a key of the environment: %s", got)
	}
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", "")
	for line, want := range map[string]string{
		"context use nowhere": "did you mean", "context delete nowhere": "did you mean", "bots --context est": "east",
		"context set a/b --endpoint http://x": "letters",
		"context set new":                     "--endpoint", "context use": "argument",
		"context set new --endpoint ftp://x": "endpoint", "context use --none x": "no arguments",
		"context bogus": "bogus",
		"context set new --endpoint http://x --access-key-id a":                              "needs its secret",
		"context set new --endpoint http://x --secret-file secret":                           "--access-key-id",
		"context set new --endpoint http://x --access-key-id a --secret-file shared":         "chmod 600",
		"context set new --endpoint http://x --access-key-id a --secret-file none":           "none",
		"context set new --endpoint http://x --secret-file secret --credential-process true": "credential-process",
		"bots --context prod --endpoint http://x":                                            "endpoint",
		"context list -o xml": "xml",
	} {
		want = strings.Replace(want, "did you mean", "use one of", 1)
		if out, err := do(strings.Fields(line)...); !isUsage(err) || out != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %s, want %q", line, err, out, want)
		}
	}
	for process, want := range map[string]string{"echo " + planted + "; exit 3": "exit status 3",
		"echo " + planted: "did not print",
		"echo '{}'":       "did not print", "echo '{\"AccessKeyId\":\"a\"}'": "did not print"} {
		must("context", "set", "bad", "--endpoint", at[1], "--credential-process", process)
		if out, err := do("bots", "--context", "bad"); err == nil || out != "" ||
			!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), planted) {
			t.Errorf("the process %s: %v, %s", process, err, out)
		}
	}
	must("context", "set", "bad", "--access-key-id", key.ID, "--secret-file", hidden)
	for about, break_ := range map[string]func() error{
		"open to others": func() error { return os.Chmod(hidden, 0o644) },
		"empty":          func() error { return os.WriteFile(hidden, nil, 0o600) },
		"gone":           func() error { return os.Remove(hidden) },
	} {
		if err := break_(); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if out, err := do("bots", "--context", "bad"); !isUsage(err) || out != "" {
			t.Errorf("a secret file that is %s: %v, %s", about, err, out)
		}
	}
	must("context", "delete", "east")
	if _, err := do("bots"); !isUsage(err) || !strings.Contains(err.Error(), "no service in") {
		t.Errorf("after the current one was deleted: %v", err)
	}
	must("context", "use", "prod")
	if got := must("context", "use", "--none"); got != "No context is current now.\n" {
		t.Errorf("use --none: %s", got)
	}
	path, err := configPath()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the config file: %v, %v", info, err)
	}
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o620: true, 0o602: true, 0o666: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"context list", "bots --context prod", "context set prod --region cn-beijing"} {
			_, err := do(strings.Fields(line)...)
			if got := err != nil && strings.Contains(err.Error(), "other users may write "+path) &&
				strings.Contains(err.Error(), "run: chmod go-w "); got != refused {
				t.Errorf("%s with a config file of the mode %04o: %v, want refused %v", line, mode, err, refused)
			}
		}
		if info, err := os.Stat(path); err != nil || refused && info.Mode().Perm() != mode {
			t.Errorf("the config file that others may write was written again: %v, %v", info, err)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, []byte("contexts: "+planted))
	for _, line := range []string{"context list", "bots", "context use x", "context set x --endpoint http://x",
		"context delete x", "keys list"} {
		if out, err := do(strings.Fields(line)...); err == nil || out != "" || strings.Contains(err.Error(), planted) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s with a broken file: %v, %s", line, err, out)
		}
	}
}

// A shell that completes a word does not wait for a person, nor for what a command has started.
func TestCompletionDoesNotAskForAKey(t *testing.T) {
	noEnv(t)
	dir := t.TempDir()
	before := completeTimeout
	completeTimeout = 200 * time.Millisecond
	defer func() { completeTimeout = before }()
	mustRun(t, "context", "set", "slow", "--endpoint", "http://127.0.0.1:1", "--credential-process",
		"cat; (sleep 4; touch "+dir+"/ended); true")
	got, err := completeLine(t, "show", "")
	if err != nil || got != ":4\n" {
		t.Errorf("completion: %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ended")); err == nil {
		t.Error("completion has waited for the end of the command")
	}
}
