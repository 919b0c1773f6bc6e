package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Bots in files, as CI applies them: exit codes say whether there are changes, and no secret is in
// the list of processes while it is used.
func TestApplyInCI(t *testing.T) {
	t.Parallel()
	s := serve(t)
	dir := t.TempDir()
	seen := filepath.Join(dir, "processes")
	bot := "Name: ops\nType: Slack\nConfiguration:\n  SlackSigningSecret: ${env:OPS_SECRET}\n" +
		"  SlackSigningSecretPrevious: \"${command:cat /proc/[0-9]*/cmdline >>processes 2>/dev/null; " +
		"printf planted-previous}\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ops.yaml"), []byte(bot), 0o600); err != nil {
		t.Fatal(err)
	}
	chatconf := func(line string) result {
		t.Helper()
		r := command{args: append(strings.Fields(line), dir, "--data", s.data),
			env: []string{"OPS_SECRET=planted-secret"}}.run(t)
		if strings.Contains(r.stdout+r.stderr, "planted-") {
			t.Errorf("%s shows a secret: %s%s", line, r.stdout, r.stderr)
		}
		return r
	}
	for _, c := range []struct {
		line, says string
		code       int
	}{
		{"diff --exit-code", "Plan: 1 to create, 0 to change, 0 to delete, 0 unchanged\n", 3},
		{"apply --dry-run", "Plan: 1 to create, 0 to change, 0 to delete, 0 unchanged\n", 0},
		{"apply --dry-run --exit-code", "Plan: 1 to create, 0 to change, 0 to delete, 0 unchanged\n", 3},
		{"apply", "", 2},
		{"apply --yes --exit-code", "\nops: created\n", 3},
		{"apply --yes --exit-code", "Plan: 0 to create, 0 to change, 0 to delete, 1 unchanged\n", 0},
		{"export", "Exported 1 bot: 0 created, 0 changed, 1 unchanged\n", 0},
		{"apply --region ../x", "", 1},
	} {
		r := chatconf(c.line)
		if r.code != c.code || !strings.HasSuffix(r.stdout, c.says) || r.code == 3 && r.stderr != "" {
			t.Errorf("chatconf %s: exit code %d, want %d; %s%s", c.line, r.code, c.code, r.stdout, r.stderr)
		}
	}
	processes, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(processes), "apply\x00--yes") {
		t.Fatalf("the processes are %q, %v", processes, err)
	}
	text := strings.ReplaceAll(string(processes), "printf planted-previous", "")
	if strings.Contains(text, "planted-") {
		t.Errorf("a secret is in the list of processes: %q", text)
	}
}
