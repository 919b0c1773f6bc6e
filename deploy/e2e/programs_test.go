package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// awaitCommand waits until the latest record of a bot has a state.
func awaitCommand(t *testing.T, s *service, name, state string) (execution, text string) {
	t.Helper()
	tick, limit := time.NewTicker(50*time.Millisecond), time.After(90*time.Second)
	defer tick.Stop()
	for {
		text = run(t, "call", "--data", s.data, "ListChatCommands", "Name="+name, "MaxResults=1").ok(t)
		var answer struct {
			ChatCommands []struct{ State, ExecutionId string }
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.ChatCommands) > 0 && answer.ChatCommands[0].State == state {
			return answer.ChatCommands[0].ExecutionId, text
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the command is not %s: %s", state, text)
		}
	}
}

// The service is killed while a program runs. The program dies with it, is not started again, and
// its state is Unknown. The program's secret is in no list of processes, no record and no log.
func TestKillDuringAProgram(t *testing.T) {
	t.Parallel()
	if !oneProcess {
		t.Skip("functions run no programs")
	}
	dir, notes := t.TempDir(), filepath.Join(t.TempDir(), "notes")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho $$ >>" + notes + "\nsleep 300\n"
	if err := os.WriteFile(filepath.Join(dir, "slow"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	const planted = "planted-" + "token"
	s := serve(t, "CHATCONF_PROGRAMS="+dir)
	run(t, "call", "--data", s.data, "CreateChatConfiguration", "Name=ops", "Type=Slack", "Configuration="+
		`{"SlackSigningSecret":"not-a-real-secret",
		"Actions":{"slow":{"Parameters":[{"Name":"token","Secret":true}],"Target":{"Type":"Program","Name":"slow"}}},
		"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]}`).ok(t)
	// The tool's own arguments have the secret, so it must have ended before processes are listed.
	run(t, "send", "--data", s.data, "--wait", "0s", "ops", "--user", "U1", "slow token="+planted).ok(t)
	execution, _ := awaitCommand(t, s, "ops", "Running")
	pid, _, _ := strings.Cut(execution, ".")
	started := func() string {
		text, err := os.ReadFile(notes)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	if got := started(); got != pid {
		t.Errorf("the processes %q were started, and the execution is %s", got, execution)
	}
	processes, err := exec.Command("ps", "axeww").CombinedOutput()
	if err != nil || !strings.Contains(string(processes), "CHATCONF_COMMAND_ID=") {
		t.Errorf("ps does not show the environment of the program: %v", err)
	}
	if strings.Contains(string(processes), planted) {
		t.Error("the secret is in the list of processes")
	}
	alive := func() bool { return exec.Command("kill", "-0", pid).Run() == nil }
	if !alive() {
		t.Error("the program does not run")
	}
	// Until Start no longer waits, and the program is followed. A kill before that is seen when the
	// lease of the command ends.
	time.Sleep(3 * time.Second)
	s.kill()
	for limit := time.Now().Add(20 * time.Second); alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the program outlives the service")
		}
	}
	time.Sleep(4 * time.Second) // until the program is to be followed again; else that takes a minute
	again := s.restart("CHATCONF_PROGRAMS=" + dir)
	if _, record := awaitCommand(t, again, "ops", "Unknown"); strings.Contains(record, planted) ||
		!strings.Contains(record, "the service stopped while the program was running") {
		t.Errorf("the record is %s", record)
	}
	if got := started(); got != pid {
		t.Errorf("the program was started again: %q", got)
	}
	if strings.Contains(s.stderr.String()+again.stderr.String(), planted) {
		t.Error("the secret is in the log")
	}
}
