package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A command runs a program of the folder, with the parameters of its action, and its output is the
// answer.
func TestServeRunsPrograms(t *testing.T) {
	noEnv(t)
	data, dir := t.TempDir(), t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n" +
		"echo \"$CHATCONF_PARAM_INSTANCE is restarted [$CHATCONF_ACCESS_KEY_SECRET$HOME$CHATCONF_PARAM_TOKEN]\"\n" +
		"grep -c '\"token\":\"s3cr3t-token\"'\n"
	if err := os.WriteFile(filepath.Join(dir, "restart.sh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "CCKplanted")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", planted)
	t.Setenv("HOME", planted)
	said, stop := runs(t, "For SDKs", "serve", "--data", data, "--addr", "127.0.0.1:0", "--programs", dir)
	defer stop()
	if !strings.Contains(said, "  programs         in "+dir+"\n") {
		t.Errorf("serve said %s", said)
	}
	mustRun(t, "call", "--data", data, "CreateChatConfiguration", "Name=ops", "Type=Slack",
		`Configuration={"SlackSigningSecret":"not-a-real-secret",
			"Actions":{"restart":{"Parameters":[{"Name":"instance","Required":true},{"Name":"token","Secret":true}],
				"Target":{"Type":"Program","Name":"restart.sh"}}},
			"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]}`)
	answer := mustRun(t, "send", "--data", data, "--wait", "20s", "ops", "--user", "U1",
		"restart i-123 token=s3cr3t-token")
	if !strings.Contains(answer, "i-123 is restarted []\n  1\n") || strings.Contains(answer, planted) {
		t.Errorf("send printed %s", answer)
	}
	if records := mustRun(t, "call", "--data", data, "ListChatCommands", "Name=ops"); !strings.Contains(records,
		`"Target": "Program restart.sh"`) || strings.Contains(records, "s3cr3t") {
		t.Errorf("the records are %s", records)
	}
}

func TestServeRefusesProgramsOfOthers(t *testing.T) {
	noEnv(t)
	data, dir := t.TempDir(), t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want  string
		usage bool
		args  []string
	}{
		{"run: chmod go-w " + dir, false, []string{"--programs", dir}},
		{"no such file", false, []string{"--programs", filepath.Join(dir, "missing")}},
		{"functions run no programs", true, []string{"--programs", dir, "--target", "fc"}},
	} {
		_, err := run(t, "", append([]string{"serve", "--data", data, "--addr", "127.0.0.1:0"}, test.args...)...)
		if err == nil || !strings.Contains(err.Error(), test.want) || isUsage(err) != test.usage {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("the data directory has %v, %v", left, err)
	}
}
