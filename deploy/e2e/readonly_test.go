//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is a user who may read what all may, and write nothing.
const nobody = 65534

// TestReadOnlyCopy uses a copy of a data directory as somebody who may read it and no more. Modes
// do not bind root, so when the tests run as root the program runs as nobody.
func TestReadOnlyCopy(t *testing.T) {
	onlyFile(t, "the store is a file that may be copied")
	s := serve(t)
	s.stop()
	dir, err := os.MkdirTemp("", "chatconf-readonly-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	t.Cleanup(func() {
		os.Chmod(data, 0o700)
		os.RemoveAll(dir)
	})
	program := filepath.Join(dir, "chatconf")
	copyFile(t, chatconf, program, 0o555)
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.data)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files in the data directory, %v", len(entries), err)
	}
	for _, entry := range entries {
		copyFile(t, filepath.Join(s.data, entry.Name()), filepath.Join(data, entry.Name()), 0o444)
	}
	for path, mode := range map[string]os.FileMode{data: 0o555, dir: 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	start := func(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
		stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
		cmd = exec.CommandContext(t.Context(), program, append(args, "--data", data)...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, []string{"HOME=" + dir}, stdout, stderr
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd, stdout, stderr
	}
	for about, want := range map[string]string{"check": "0 problems", "keys list": "administrator"} {
		cmd, stdout, stderr := start(strings.Fields(about)...)
		if err := cmd.Run(); err != nil || !strings.Contains(stdout.String(), want) {
			t.Errorf("%s = %v, %s, want %q; stderr:\n%s", about, err, stdout, want, stderr)
		}
	}
	cmd, _, stderr := start("keys", "create", "--name", "x", "--admin")
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "the file is read-only") {
		t.Errorf("keys create = %v, stderr:\n%s", err, stderr)
	}
	cmd, _, stderr = start("serve", "--addr", "127.0.0.1:0")
	out := newOutput()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve ended with %v; stderr:\n%s", err, stderr)
		}
		for _, want := range []string{"the data cannot be written", "--endpoint"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("serve said nothing of %q:\n%s", want, stderr)
			}
		}
	}()
	endpoint := ""
	for until := time.Now().Add(10 * time.Second); endpoint == "" &&
		time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if m := regexp.MustCompile(`listens on (http://\S+)`).FindStringSubmatch(out.String()); m != nil {
			endpoint = m[1]
		}
	}
	text, err := os.ReadFile(filepath.Join(data, "access-key.json"))
	if err != nil {
		t.Fatal(err)
	}
	var key accessKey
	if err := json.Unmarshal(text, &key); err != nil {
		t.Fatal(err)
	}
	call := func(args ...string) result {
		return command{
			args: append([]string{"call", "--endpoint", endpoint}, args...),
			env:  []string{"CHATCONF_ACCESS_KEY_ID=" + key.ID, "CHATCONF_ACCESS_KEY_SECRET=" + key.Secret},
		}.run(t)
	}
	if got := call("ListChatConfigurations").ok(t); !strings.Contains(got, `"TotalCount"`) {
		t.Errorf("ListChatConfigurations = %s", got)
	}
	call("CreateChatConfiguration", "Name=x", "Type=Slack",
		`Configuration={"SlackSigningSecret":"0123456789abcdef0123456789abcdef"}`).
		fails(t, 1, "ServiceUnavailable", "503")
}

// copyFile copies a file.
func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err == nil {
		err = os.Chmod(to, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
