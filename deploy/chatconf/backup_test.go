package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/rpc"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// withBot makes a bot in a service.
func withBot(t *testing.T, data, name string) {
	t.Helper()
	mustRun(t, "call", "CreateChatConfiguration", "Name="+name, "Type=Slack",
		`Configuration={"SlackSigningSecret":"not-a-real-secret"}`, "--data", data)
}

// A backup is made of a running and of a stopped service, into a file and into a pipe, and is
// restored.
func TestBackupAndRestore(t *testing.T) {
	data := newData(t)
	fresh := t.TempDir()
	listens(t, data, newService(t, data, backupActions()...))
	withBot(t, data, "ops")
	running := filepath.Join(fresh, "running.db")
	out := mustRun(t, "backup", running, "--data", data)
	for _, want := range []string{running + " has access keys: 1, commands: 0, commands to do: 0, configurations: 1, " +
		"revisions: 1, bytes: ", "The key ring is not in it. Keep a copy of " + filepath.Join(data, app.KeyRingFile)} {
		if !strings.Contains(out, want) {
			t.Errorf("backup prints %s, want %q", out, want)
		}
	}
	if info, err := os.Stat(running); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	piped := mustRun(t, "backup", "-", "--data", data)

	stopped := newData(t)
	mustRun(t, "keys", "create", "--name", "second", "--owner", "--data", stopped)
	direct := filepath.Join(fresh, "direct.db")
	if out := mustRun(t, "backup", direct, "--data", stopped); !strings.Contains(out, "access keys: 2") {
		t.Errorf("a backup of a stopped service prints %s", out)
	}

	restored := filepath.Join(fresh, "restored")
	if _, err := run(t, "", "restore-backup", running, "--data", restored); err == nil ||
		!strings.Contains(err.Error(), "the backup needs the key ring with the key "+
			ringIn(t, filepath.Join(data, app.KeyRingFile)).Current()) {
		t.Errorf("a restore without a ring = %v", err)
	}
	for _, c := range []struct{ file, stdin string }{{running, ""}, {"-", piped}} {
		if err := os.RemoveAll(restored); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(restored, 0o700); err != nil {
			t.Fatal(err)
		}
		ring, err := os.ReadFile(filepath.Join(data, app.KeyRingFile))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(restored, app.KeyRingFile), ring)
		out, err := run(t, c.stdin, "restore-backup", c.file, "--data", restored)
		if err != nil || !strings.Contains(out, restored+" has access keys: 1,") ||
			!strings.Contains(out, "the key ring opens it") {
			t.Errorf("restore-backup %s prints %s, %v", c.file, out, err)
		}
		if out := mustRun(t, "check", "--data", restored); !strings.Contains(out, ": 1 configuration, ") ||
			!strings.Contains(out, " 0 problems") {
			t.Errorf("check prints %s", out)
		}
		if _, err := run(t, c.stdin, "restore-backup", c.file, "--data", restored); err == nil ||
			!strings.Contains(err.Error(), "is not empty") {
			t.Errorf("a second restore = %v", err)
		}
	}
}

// A context names the service, even where a stopped service has left its data.
func TestBackupOfAContext(t *testing.T) {
	data := newData(t)
	endpoint := newService(t, data, backupActions()...)
	listens(t, data, endpoint)
	withBot(t, data, "ops")
	key, err := localKey(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	other := newData(t)
	t.Setenv("CHATCONF_ACCESS_KEY_ID", key.ID)
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", key.Secret)
	mustRun(t, "context", "set", "prod", "--endpoint", endpoint)
	mustRun(t, "context", "set", "gone", "--endpoint", "http://127.0.0.1:1")
	if err := os.Rename(other, app.DefaultData); err != nil {
		t.Fatal(err)
	}
	for i, args := range [][]string{nil, {"--context", "prod"}} {
		path := fmt.Sprint(i, ".db")
		out := mustRun(t, append([]string{"backup", path}, args...)...)
		if !strings.Contains(out, " configurations: 1,") {
			t.Errorf("backup %v is of another service: %s", args, out)
		}
	}
	for name, want := range map[string]string{"gone": "127.0.0.1:1", "none": "there is no context"} {
		if _, err := run(t, "", "backup", "x.db", "--context", name); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("a backup of the context %s: %v", name, err)
		}
	}
}

// A reader that ends early leaves no copy of the data behind.
func TestBackupIntoAPipeThatEnds(t *testing.T) {
	data, temp := newData(t), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `"$0" backup - --data "$1" | :`, self, data)
	cmd.Env = []string{asTool + "=1", "HOME=" + temp, "TMPDIR=" + temp}
	out, err := cmd.CombinedOutput()
	if files, globbed := filepath.Glob(filepath.Join(temp, "*", "*")); err != nil || globbed != nil || len(files) > 0 {
		t.Errorf("%v are left; %v, %s", files, err, out)
	}
}

// A key needs a policy that names the operation, and is told so.
func TestBackupOfAKeyThatMayNot(t *testing.T) {
	data := newData(t)
	endpoint := newService(t, data, slices.Concat(backupActions(), rpc.KeyActions())...)
	listens(t, data, endpoint)
	path := filepath.Join(t.TempDir(), "backup.db")
	policies := t.TempDir()
	named := filepath.Join(policies, "named.json")
	writeFile(t, named, []byte(`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:BackupService",`+
		`"Resource":"*"}]}`))
	for _, c := range []struct {
		policy []string
		may    bool
	}{{[]string{"--admin"}, false}, {[]string{"--read-only"}, false}, {[]string{"--owner"}, true},
		{[]string{"--policy", named}, true}} {
		var key struct{ AccessKeyId, AccessKeySecret string }
		args := []string{"keys", "create", "--name", "x", "--data", data, "-o", "json"}
		out := mustRun(t, append(args, c.policy...)...)
		if err := json.Unmarshal([]byte(out), &key); err != nil {
			t.Fatal(err)
		}
		_, err := run(t, "", "backup", path, "--endpoint", endpoint, "--access-key-id", key.AccessKeyId,
			"--access-key-secret", key.AccessKeySecret)
		if c.may {
			if err != nil {
				t.Errorf("%q: %v", c.policy, err)
			}
			os.Remove(path)
			continue
		}
		const says = "A policy has to name oos:BackupService; no pattern allows it."
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), key.AccessKeySecret) {
			t.Errorf("%q: %v", c.policy, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q leaves a file: %v", c.policy, err)
		}
	}
}

// Whatever else fails is told with what to do, and leaves no file.
func TestBackupsThatFail(t *testing.T) {
	data := newData(t)
	functionsData := newData(t)
	functions := newService(t, functionsData, rpc.KeyActions()...)
	admin, err := app.ReadAccessKey(functionsData)
	if err != nil {
		t.Fatal(err)
	}
	key, err := app.ReadAccessKey(data)
	if err != nil {
		t.Fatal(err)
	}
	// A service on the tables of a store.
	settings, err := localSettings(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := file.Open(filepath.Join(t.TempDir(), "store.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	settings.AccessKeyID, settings.AccessKeySecret = key.ID, key.Secret
	onStore := func(name string) table.Table { return db.Table(name, file.TableOptions{}) }
	l, err := app.OpenTables(t.Context(), settings, app.Tables{Configurations: onStore("c"), Keys: onStore("k"),
		KeyUses: onStore("u"), Tickets: onStore("t"), Where: "a store"}, app.Actions(backupActions()...))
	if err != nil {
		t.Fatal(err)
	}
	store := httptest.NewServer(quiet(l.Handler))
	t.Cleanup(func() { store.Close(); l.Close() })
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(bytes.Repeat([]byte("part"), 10_000))
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(cut.Close)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(`{"Code":"ServiceUnavailable","Message":"The request has failed."}`))
	}))
	t.Cleanup(busy.Close)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("hello"))
	}))
	t.Cleanup(other.Close)
	fresh := t.TempDir()
	for about, c := range map[string]struct{ endpoint, want string }{
		"functions":         {functions, "for functions use the backup of their cloud"},
		"a store":           {store.URL, "use the backup of that store"},
		"a cut answer":      {cut.URL, "the service ended the copy early"},
		"another backup":    {busy.URL, "another backup may be running"},
		"not a service":     {other.URL, "not a valid backup"},
		"no service at all": {"http://127.0.0.1:1", "start the service with"},
		"no valid endpoint": {"ftp://x", "endpoint"},
		"no such directory": {"", "no such file or directory"},
	} {
		path := filepath.Join(fresh, "backup.db")
		args := []string{"--endpoint", c.endpoint, "--access-key-id", key.ID,
			"--access-key-secret", key.Secret.Reveal()}
		if c.endpoint == functions {
			args[3], args[5] = admin.ID, admin.Secret.Reveal()
		}
		if c.endpoint == "" {
			path, args = filepath.Join(fresh, "none", "backup.db"), []string{"--data", data}
		}
		for _, target := range []string{path, "-"} {
			if c.endpoint == "" && target == "-" {
				continue
			}
			out, err := run(t, "", append([]string{"backup", target}, args...)...)
			if err == nil || out != "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %q, %v, want %q", about, out, err, c.want)
			}
		}
	}
	if entries, err := os.ReadDir(fresh); err != nil || len(entries) > 0 {
		t.Errorf("they leave %v, %v", entries, err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	if _, err := run(t, "", "backup", filepath.Join(fresh, "b.db"), "--data", nowhere); !isUsage(err) ||
		!strings.Contains(err.Error(), "no local service in "+nowhere) {
		t.Errorf("a backup of nothing = %v", err)
	}
	if _, err := run(t, "", "restore-backup", nowhere, "--data", nowhere); !isUsage(err) {
		t.Errorf("a restore of nothing = %v", err)
	}
	if _, err := run(t, "", "restore-backup", nowhere); !isUsage(err) || !strings.Contains(err.Error(), "data") {
		t.Errorf("a restore into nothing = %v", err)
	}
}
