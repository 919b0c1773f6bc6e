//go:build unix

package program_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/program"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

// A folder is a folder of programs under test.
type folder struct {
	*program.Folder
	t    *testing.T
	dir  string
	temp string
	log  *bytes.Buffer
}

// open opens an empty folder. The options may be changed before.
func open(t *testing.T, change ...func(*program.Options)) *folder {
	t.Helper()
	f := &folder{t: t, dir: t.TempDir(), temp: t.TempDir(), log: new(bytes.Buffer)}
	if err := os.Chmod(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o := program.Options{Dir: f.dir, Temp: f.temp}
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.Folder, err = program.Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(f.temp); err != nil || len(left) > 0 {
			t.Errorf("folders of runs are left: %v, %v", left, err)
		}
	})
	return f
}

// add adds a shell script, and returns its name.
func (f *folder) add(name, script string) string {
	f.t.Helper()
	f.write(name, "#!/bin/sh\n"+script, 0o755)
	return name
}

func (f *folder) write(name, text string, mode os.FileMode) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	// Without forks meanwhile: a child would hold the file open for writing, and then the system
	// does not execute it.
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte(text), 0o600)
	syscall.ForkLock.RUnlock()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) ctx() context.Context {
	return invoke.With(f.t.Context(), &invoke.Invocation{Logger: slog.New(slog.NewTextHandler(f.log, nil))})
}

// call returns a call of a program.
func call(name, id string, parameters ...command.Value) *dispatch.Call {
	return &dispatch.Call{
		ID: id,
		Event: &command.Event{ID: id, Source: "acs:oos:cn-hangzhou:1:chatconfiguration/ops", Data: command.EventData{
			Command: "restart", Arguments: []string{"i-123"}, Action: "restart", Parameters: parameters,
		}},
		Command: command.Command{Parameters: parameters},
		Target:  command.Target{Type: command.TargetProgram, Name: name},
		Timeout: time.Minute,
	}
}

// finish starts a call and follows it to its end.
func (f *folder) finish(c *dispatch.Call) dispatch.Progress {
	f.t.Helper()
	p, err := f.Start(f.ctx(), c)
	if err != nil {
		f.t.Fatalf("Start: %v", err)
	}
	return f.follow(c, p)
}

func (f *folder) follow(c *dispatch.Call, p dispatch.Progress) dispatch.Progress {
	f.t.Helper()
	c.Execution = p.Execution
	until := time.Now().Add(30 * time.Second)
	for p.State == journal.StateRunning && time.Now().Before(until) {
		time.Sleep(10 * time.Millisecond)
		var err error
		if p, err = f.Follow(f.ctx(), c); err != nil {
			f.t.Fatalf("Follow: %v", err)
		}
	}
	return p
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	until := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(until) {
			t.Fatalf("%s: not within 20 seconds", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && len(out) > 0 && out[0] != 'Z'
}

// pidIn returns the number in a file, 0 if it is not there yet.
func pidIn(path string) int {
	text, _ := os.ReadFile(path)
	if !bytes.HasSuffix(text, []byte("\n")) {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func TestAProgramGetsTheEventAndAFewVariables(t *testing.T) {
	t.Setenv("CHATCONF_KEYRING", "planted")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "planted")
	t.Setenv("HOME", "/planted")
	f := open(t)
	f.add("show", `/usr/bin/env | sort; echo "arguments: $#"; pwd; ls -A | wc -l; cat`)
	c := call("show", "id-1",
		command.Value{Name: "instance", Type: command.TypeString, Text: "i-1 $(reboot)\n`id`"},
		command.Value{Name: "count-of", Type: command.TypeInteger, Text: "3"},
		command.Value{Name: "password", Type: command.TypeString, Text: "s3cr3t", Secret: true})
	c.Command.DryRun = true
	p := f.finish(c)
	if p.State != journal.StateSucceeded || p.Execution == "" {
		t.Fatalf("%+v", p)
	}
	before, event, _ := strings.Cut(p.Text, "\n{")
	scratch := ""
	for line := range strings.Lines(before) {
		if after, ok := strings.CutPrefix(line, "TMPDIR="); ok {
			scratch = strings.TrimSpace(after)
		}
	}
	want := fmt.Sprintf("CHATCONF_COMMAND_ID=id-1\nCHATCONF_DRY_RUN=true\nCHATCONF_PARAM_COUNT_OF=3\n"+
		"CHATCONF_PARAM_INSTANCE=i-1 $(reboot)\nCHATCONF_PROGRAMS=%s\nLANG=C.UTF-8\n"+
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=%s\nTMPDIR=%[2]s\n`id`\n"+
		"arguments: 0\n%[2]s\n0", f.Dir(), scratch)
	// The shell itself sets some.
	before = strings.NewReplacer("_=/usr/bin/env\n", "", "SHLVL=0\n", "", "SHLVL=1\n", "").Replace(before)
	if before != want {
		t.Errorf("the program had\n%s\nwant\n%s", before, want)
	}
	if filepath.Dir(scratch) != f.temp {
		t.Errorf("it ran in %s, want a folder in %s", scratch, f.temp)
	}
	var got struct {
		ID   string
		Data struct{ Parameters map[string]any }
	}
	if err := json.Unmarshal([]byte("{"+event), &got); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	if got.ID != "id-1" || got.Data.Parameters["count-of"] != 3.0 || got.Data.Parameters["password"] != "******" {
		t.Errorf("the event, with secrets masked in the answer, is %s", event)
	}
}

// A secret reaches the standard input and nothing else: not the environment, and no answer and no
// log, whatever the program writes.
func TestSecretsAreMasked(t *testing.T) {
	f := open(t)
	f.add("leak", `event=$(cat); printf '%s' "$event" | wc -c; printf 's3cr'; sleep 0.1; printf '3t-planted.'
		echo s3cr3t-planted >&2; echo s3cr3t-planted
		cat /proc/$$/environ /proc/$$/cmdline 2>/dev/null | grep -c 3t-planted; env | grep -c 3t-planted; exit 3`)
	secret := command.Value{Name: "password", Type: command.TypeString, Text: "s3cr3t-planted", Secret: true}
	c := call("leak", "1", secret)
	event, err := c.Event.MarshalJSON()
	if err != nil || !bytes.Contains(event, []byte("s3cr3t-planted")) {
		t.Fatalf("%s, %v", event, err)
	}
	p := f.finish(c)
	if want := fmt.Sprintf("%d\n******.******\n0\n0", len(event)); p.Text != want || p.State != journal.StateFailed {
		t.Errorf("got %q, want %q", p.Text, want)
	}
	if log := f.log.String(); strings.Contains(log, "planted") || !strings.Contains(log, "stderr=******") ||
		!strings.Contains(log, "level=WARN") {
		t.Errorf("the log is %s", log)
	}
}

func TestResults(t *testing.T) {
	f := open(t)
	long := strings.Repeat("é", program.MaxAnswer)
	for _, test := range []struct {
		name, script string
		state        journal.State
		text, detail string
	}{
		{"says something", `printf 'one\r\ntwo\n\n'; echo hidden >&2`, journal.StateSucceeded, "one\ntwo", ""},
		{"says nothing", `:`, journal.StateSucceeded, "", ""},
		{"writes colours and bytes", `printf '\033[31mred\033[0m \033]0;title\007a\007b \342\200\256c \377d'`,
			journal.StateSucceeded, "red a�b �c �d", ""},
		{"fails", `seq 1 20; exit 3`, journal.StateFailed, "11\n12\n13\n14\n15\n16\n17\n18\n19\n20",
			"it ended with the exit code 3"},
		{"is killed", `echo before; kill -KILL $$`, journal.StateFailed, "before", "it ended with the signal killed"},
		{"writes too much", `printf x; i=0; while [ $i -lt 16384 ]; do printf 'é'; i=$((i+1)); done`,
			journal.StateSucceeded, "x" + long[:program.MaxAnswer-2] + "\n… (16384 of 32769 bytes)", ""},
		{"fails after a long line", `i=0; while [ $i -lt 5000 ]; do printf '0123456789'; i=$((i+1)); done; exit 1`,
			journal.StateFailed, strings.Repeat("0123456789", 205)[2:], "it ended with the exit code 1"},
		{"fails after many long lines", `i=0; while [ $i -lt 100 ]; do printf '%0500d\n' $i; i=$((i+1)); done; exit 1`,
			journal.StateFailed, fmt.Sprintf("%0500d\n%0500d\n%0500d\n%0500d", 96, 97, 98, 99),
			"it ended with the exit code 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := f.add(strings.ReplaceAll(test.name, " ", "-"), test.script)
			p := f.finish(call(name, test.name))
			if p.State != test.state || p.Text != test.text || p.Detail != test.detail {
				t.Errorf("got %+v\nwant %s, %q, %q", p, test.state, test.text, test.detail)
			}
		})
	}
	if log := f.log.String(); strings.Count(log, "hidden") != 1 {
		t.Errorf("the standard error is not in the log once: %s", log)
	}
}

// refusal starts a call that must be refused, and returns why.
func (f *folder) refusal(c *dispatch.Call) *dispatch.Error {
	f.t.Helper()
	p, err := f.Start(f.ctx(), c)
	var refused *dispatch.Error
	if !errors.As(err, &refused) || !refused.Refused {
		f.t.Fatalf("Start = %+v, %v, want a refusal", p, err)
	}
	if strings.Contains(refused.Why, f.dir) {
		f.t.Errorf("people are told the path: %s", refused.Why)
	}
	return refused
}

func TestProgramsThatAreRefused(t *testing.T) {
	f := open(t)
	ran := filepath.Join(t.TempDir(), "ran")
	script := "touch " + ran
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	f.add("good", script)
	f.add(".hidden", script)
	f.add("-option", script)
	f.write("plain", "#!/bin/sh\n"+script, 0o644)
	f.write("group", "#!/bin/sh\n"+script, 0o775)
	f.write("others", "#!/bin/sh\n"+script, 0o757)
	f.write("setuid", "#!/bin/sh\n"+script, 0o755|os.ModeSetuid)
	f.write("setgid", "#!/bin/sh\n"+script, 0o755|os.ModeSetgid)
	f.write("noline", "touch "+ran, 0o755)
	f.write("interpreter", "#!/no/such/interpreter\n"+script, 0o755)
	for link, to := range map[string]string{"inside": "good", "out": outside, "dangling": "nothing"} {
		if err := os.Symlink(to, filepath.Join(f.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(f.dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(f.dir, "pipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("folder/nested", "#!/bin/sh\n"+script, 0o755)
	long := strings.Repeat("x", program.MaxName+1)
	for name, want := range map[string]string{
		"missing": "no program with the name \"missing\"",
		"inside":  "not a regular file", "out": "not a regular file",
		"dangling": "not a regular file", "folder": "not a regular file", "pipe": "not a regular file",
		"plain": "not executable", "group": "writable by its group or by others",
		"others": "writable by its group or by others", "setuid": "as another user", "setgid": "as another user",
		"noline": "first line such as #!/bin/sh", "interpreter": "interpreter in the first line",
		".hidden": "plain file name", "-option": "plain file name", "": "plain file name",
		".":  "plain file name",
		"..": "plain file name", "folder/nested": "plain file name", "../good": "plain file name",
		outside: "plain file name", "go od": "plain file name", "good\x00": "plain file name",
		"göod":    "plain file name",
		`..\good`: "plain file name", long: "plain file name",
	} {
		if e := f.refusal(call(name, "refused")); !strings.Contains(e.Why, want) || e.Again {
			t.Errorf("%q: %+v, want %q", name, e, want)
		}
	}
	if _, err := os.Stat(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused program ran: %v", err)
	}
	// The same calls would run the good one, so the table tests what it says.
	if p := f.finish(call("good", "refused")); p.State != journal.StateSucceeded {
		t.Errorf("good: %+v", p)
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	f := open(t)
	f.add("good", ":")
	text := func(name, text string) command.Value {
		return command.Value{Name: name, Type: command.TypeString, Text: text}
	}
	if e := f.refusal(call("good", "1", text("a-b", "1"), text("A_B", "2"))); !strings.Contains(e.Why,
		"two parameters have the environment variable CHATCONF_PARAM_A_B") {
		t.Errorf("%+v", e)
	}
	if e := f.refusal(call("good", "1", text("a", "x\x00y"))); !strings.Contains(e.Why, "NUL") {
		t.Errorf("%+v", e)
	}
	if e := f.refusal(call("good", "1", text("a", strings.Repeat("x", 4<<20)))); !strings.Contains(e.Why, "too long") {
		t.Errorf("%+v", e)
	}
}

// The folder and its parents are checked when it is opened and at each start.
func TestFoldersThatAreRefused(t *testing.T) {
	f := open(t)
	f.add("good", ":")
	real, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	parent := filepath.Join(real, "parent")
	dir := filepath.Join(parent, "programs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what, dir string
		mode      map[string]os.FileMode
		want      string
	}{
		{"others can write", dir, map[string]os.FileMode{dir: 0o757}, dir + " is writable"},
		{"the group can write", dir, map[string]os.FileMode{dir: 0o775}, "run: chmod go-w " + dir},
		{"others can write, with the sticky bit", dir, map[string]os.FileMode{dir: 0o777 | os.ModeSticky}, dir},
		{"others can rename it", dir, map[string]os.FileMode{parent: 0o777}, parent + " is writable"},
		{"by a link", link, map[string]os.FileMode{parent: 0o777}, parent + " is writable"},
		{"a link that others can replace", link, map[string]os.FileMode{filepath.Dir(link): 0o777},
			filepath.Dir(link) + " is writable"},
		{"a parent with the sticky bit", dir, map[string]os.FileMode{parent: 0o777 | os.ModeSticky}, ""},
		{"a good one by a link", link, nil, ""},
		{"a missing one", dir + "x", nil, "no such file"},
		{"a file", filepath.Join(f.dir, "good"), nil, "not a directory"},
	} {
		for path, mode := range map[string]os.FileMode{dir: 0o755, parent: 0o755, filepath.Dir(link): 0o755} {
			if m, ok := test.mode[path]; ok {
				mode = m
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		opened, err := program.Open(program.Options{Dir: test.dir})
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.what, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.what, err, test.want)
		}
		if err == nil && opened.Dir() != dir {
			t.Errorf("%s: the folder is %s", test.what, opened.Dir())
		}
	}
	if err := os.Chmod(f.dir, 0o757); err != nil {
		t.Fatal(err)
	}
	if e := f.refusal(call("good", "1")); e.Why != "the folder of programs is not safe" ||
		!strings.Contains(e.Cause, "chmod go-w "+f.dir) {
		t.Errorf("%+v", e)
	}
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	if e := f.refusal(call("good", "1")); !strings.Contains(e.Cause, "no such file") {
		t.Errorf("%+v", e)
	}
}

// What belongs to another user is refused: the program, its folder and a parent of that.
func TestOthersOwnNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	f := open(t)
	program, parent := filepath.Join(f.dir, f.add("good", ":")), filepath.Dir(f.dir)
	for path, want := range map[string]string{
		program: "the owner of the program is neither root nor the user of this service",
		f.dir:   "the folder of programs is not safe",
		parent:  "the folder of programs is not safe",
	} {
		if err := os.Chown(path, 65533, -1); err != nil {
			t.Fatal(err)
		}
		e := f.refusal(call("good", "1"))
		if err := os.Chown(path, 0, -1); err != nil {
			t.Fatal(err)
		}
		if e.Why != want || !strings.Contains(e.Cause, path+" belongs to user 65533") {
			t.Errorf("%s: %+v, want %q", path, e, want)
		}
	}
	if p := f.finish(call("good", "1")); p.State != journal.StateSucceeded {
		t.Errorf("%+v", p)
	}
}

func TestAFolderToRunInIsNeeded(t *testing.T) {
	f := open(t, func(o *program.Options) { o.Temp = filepath.Join(o.Temp, "missing") })
	f.add("good", ":")
	if e := f.refusal(call("good", "1")); !e.Again || e.Why != "the program has no folder to run in" {
		t.Errorf("%+v", e)
	}
}

// Start tells the id once the program runs, and before it has ended.
func TestTheIDIsToldBeforeTheEnd(t *testing.T) {
	t.Parallel()
	f := open(t)
	end := filepath.Join(t.TempDir(), "end")
	f.add("wait", `while [ ! -e `+end+` ]; do sleep 0.02; done; echo done`)
	c := call("wait", "1")
	told := ""
	c.Began = func(execution string) {
		told = execution
		again := *c
		again.Execution = execution
		if p, err := f.Follow(f.ctx(), &again); err != nil || p.State != journal.StateRunning {
			t.Errorf("it is %+v, %v", p, err)
		}
		if err := os.WriteFile(end, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	if p := f.finish(c); p.State != journal.StateSucceeded || p.Text != "done" || told == "" || p.Execution != told {
		t.Errorf("%+v, told %q", p, told)
	}
	c.Target.Name, c.ID, told = "missing", "2", ""
	if e := f.refusal(c); e.Again || told != "" {
		t.Errorf("%+v, told %q", e, told)
	}
}

// A program that ignores SIGTERM, and its children, are killed after the time-out.
func TestATimeOutEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	f := open(t)
	pids := filepath.Join(t.TempDir(), "pid")
	f.add("stubborn", `trap '' TERM; echo ready; sh -c 'trap "" TERM; echo $$ > `+pids+
		`; while :; do sleep 0.2; done' & while :; do sleep 0.2; done`)
	c := call("stubborn", "1")
	c.Timeout = 2 * time.Second // the child has begun
	began := time.Now()
	p := f.finish(c)
	if took := time.Since(began); p.State != journal.StateTimedOut || p.Text != "ready" || took < 3*time.Second ||
		took > 10*time.Second {
		t.Errorf("%+v after %v", p, took)
	}
	if pid := pidIn(pids); pid == 0 || alive(pid) {
		t.Errorf("the child %d lives", pid)
	}
}

// A program may clean up after SIGTERM, and so may its children.
func TestATimeOutLetsTheGroupCleanUp(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.add("tidy", `echo began; (trap 'sleep 0.3; echo cleaned; exit' TERM; while :; do sleep 0.1; done) & sleep 60`)
	c := call("tidy", "1")
	c.Timeout = 2 * time.Second
	p := f.finish(c)
	if p.State != journal.StateTimedOut || !strings.Contains(p.Text, "began") || !strings.Contains(p.Text, "cleaned") {
		t.Errorf("%+v", p)
	}
}

// A program that ends leaves nothing of its group running. A child that has left the group delays
// the end only a little.
func TestChildrenEndWithTheProgram(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("this system has no command that leaves a group")
	}
	t.Parallel()
	f := open(t)
	pids := t.TempDir()
	f.add("parent", `cd `+pids+`; sleep 300 & echo $! > child; setsid sh -c 'echo $$ > stranger; exec sleep 300' &
		while [ ! -s stranger ]; do sleep 0.01; done; echo done`)
	began := time.Now()
	p := f.finish(call("parent", "1"))
	if took := time.Since(began); p.State != journal.StateSucceeded || p.Text != "done" || took > 8*time.Second {
		t.Errorf("%+v after %v", p, took)
	}
	child, stranger := pidIn(filepath.Join(pids, "child")), pidIn(filepath.Join(pids, "stranger"))
	if child == 0 || alive(child) {
		t.Errorf("the child %d lives", child)
	}
	if stranger == 0 || !alive(stranger) {
		t.Errorf("the process %d of another group does not live", stranger)
	}
	syscall.Kill(stranger, syscall.SIGKILL)
}

func TestAProgramThatWritesWithoutEnd(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.add("yes", `exec yes 0123456789`)
	c := call("yes", "1", command.Value{Name: "p", Text: "3456", Secret: true})
	c.Timeout = time.Second
	p := f.finish(c)
	if p.State != journal.StateTimedOut || !strings.HasPrefix(p.Text, "012******789\n") || len(p.Text) > 4<<10 {
		t.Errorf("%+v", p)
	}
}

func TestAProgramThatDoesNotReadItsInput(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.add("deaf", `echo heard nothing`)
	f.add("idle", `sleep 0.3; echo idle`)
	for _, name := range []string{"deaf", "idle"} {
		c := call(name, name)
		c.Event.Data.Text = strings.Repeat("x", 1<<20) // more than a pipe holds
		if p := f.finish(c); p.State != journal.StateSucceeded {
			t.Errorf("%+v", p)
		}
	}
}

func TestABinaryThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.write("true", string(text), 0o555)
	for i := range 20 {
		if p := f.finish(call("true", strconv.Itoa(i))); p.State != journal.StateSucceeded {
			t.Fatalf("%+v", p)
		}
	}
}

func TestAtMostNAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t, func(o *program.Options) { o.AtOnce = 2 })
	running := t.TempDir()
	f.add("count", `cd `+running+`; touch $$; ls | wc -l; sleep 0.1; rm $$`)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			c := call("count", strconv.Itoa(i))
			p, err := f.Start(t.Context(), c)
			if p = f.follow(c, p); err != nil || p.Text != "1" && p.Text != "2" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	wait.Wait()
}

func TestAPlaceMayNotBeFreeInTime(t *testing.T) {
	t.Parallel()
	f := open(t, func(o *program.Options) { o.AtOnce = 1 })
	f.add("slow", `sleep 60`)
	f.add("good", `:`)
	slow := call("slow", "1")
	p, err := f.Start(f.ctx(), slow)
	if err != nil || p.State != journal.StateRunning {
		t.Fatalf("%+v, %v", p, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var refused *dispatch.Error
	if _, err := f.Start(ctx, call("good", "2")); !errors.As(err, &refused) || !refused.Again || !refused.Refused ||
		refused.Why != "too many programs are running" {
		t.Errorf("%v", err)
	}
	began := time.Now()
	if _, err := f.Start(f.ctx(), call("good", "2")); !errors.As(err, &refused) || !refused.Again ||
		time.Since(began) > 30*time.Second { // far less than the time of a dispatch
		t.Errorf("%v after %v", err, time.Since(began))
	}
	slow.Execution = p.Execution
	if err := f.Cancel(f.ctx(), slow); err != nil {
		t.Fatal(err)
	}
	if p = f.follow(slow, p); p.State != journal.StateCancelled {
		t.Errorf("%+v", p)
	}
	if err := f.Cancel(f.ctx(), slow); err != nil {
		t.Errorf("Cancel of an execution that has ended: %v", err)
	}
	if p := f.finish(call("good", "2")); p.State != journal.StateSucceeded {
		t.Errorf("%+v", p)
	}
}

// A call with the same id starts nothing while the process lives, whether the program runs or not.
func TestTheSameIDStartsOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	f := open(t, func(o *program.Options) { o.Now = func() time.Time { return now } })
	starts := filepath.Join(t.TempDir(), "starts")
	f.add("append", `echo x >> `+starts+`; sleep 0.3; wc -l < `+starts)
	var wait sync.WaitGroup
	ctx := f.ctx()
	for range 4 {
		wait.Go(func() {
			c := call("append", "1")
			p, err := f.Start(ctx, c)
			if p = f.follow(c, p); err != nil || p.Text != "1" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	wait.Wait()
	if p := f.finish(call("append", "1")); p.Text != "1" {
		t.Errorf("after the end: %+v", p)
	}
	// The result is kept for an hour.
	c := call("append", "1")
	c.Execution = f.finish(c).Execution
	now = now.Add(time.Hour + time.Second)
	if p := f.finish(call("append", "2")); p.Text != "2" {
		t.Errorf("another one: %+v", p)
	}
	if p, err := f.Follow(t.Context(), c); err != nil || p.State != journal.StateUnknown || p.Execution != c.Execution {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAnExecutionOfAnEarlierProcessIsUnknown(t *testing.T) {
	f := open(t)
	f.add("good", `:`)
	c := call("good", "1")
	c.Execution = "1.1"
	p, err := f.Follow(t.Context(), c)
	if err != nil || p.State != journal.StateUnknown ||
		p.Detail != "the service stopped while the program was running" {
		t.Errorf("%+v, %v", p, err)
	}
	if err := f.Cancel(t.Context(), c); err != nil {
		t.Error(err)
	}
	f.finish(call("good", "1"))
	if p, _ := f.Follow(t.Context(), c); p.State != journal.StateUnknown {
		t.Errorf("of another execution of the call: %+v", p)
	}
}

func TestCloseEndsPrograms(t *testing.T) {
	t.Parallel()
	f := open(t, func(o *program.Options) { o.AtOnce = 1 })
	pids := filepath.Join(t.TempDir(), "pid")
	f.add("slow", `echo $$ > `+pids+`; echo begun; exec sleep 300`)
	c := call("slow", "1")
	ended := make(chan error)
	ctx := f.ctx()
	go func() {
		_, err := f.Start(ctx, c)
		ended <- err
	}()
	eventually(t, "the program runs", func() bool { return pidIn(pids) != 0 })
	go func() { // waits for the place
		_, err := f.Start(ctx, call("slow", "2"))
		ended <- err
	}()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var refusals int
	for range 2 {
		var refused *dispatch.Error
		if err := <-ended; errors.As(err, &refused) && refused.Again && refused.Why == "the service is stopping" {
			refusals++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refusals != 1 {
		t.Errorf("%d calls were refused, want the one that waited", refusals)
	}
	if pid := pidIn(pids); alive(pid) {
		t.Errorf("the program %d lives", pid)
	}
	if e := f.refusal(call("slow", "3")); !e.Again {
		t.Errorf("%+v", e)
	}
	if p, err := f.Start(f.ctx(), c); err == nil {
		t.Errorf("%+v", p)
	}
}

// When the service is killed, the kernel kills its programs. The next service removes what is left.
func TestProgramsEndWithTheService(t *testing.T) {
	if dir := os.Getenv("CHATCONF_TEST_PROGRAMS"); dir != "" {
		f, err := program.Open(program.Options{Dir: dir})
		if err == nil {
			_, err = f.Start(t.Context(), call("slow", "1"))
		}
		fmt.Println(err)
		select {}
	}
	if !dies {
		t.Skip("only Linux tells a process that its parent has died")
	}
	t.Parallel()
	f := open(t)
	pids := filepath.Join(t.TempDir(), "pid")
	f.add("slow", `echo $$ > `+pids+`; exec sleep 300`)
	service := exec.Command(os.Args[0], "-test.run=^TestProgramsEndWithTheService$")
	temp := t.TempDir()
	service.Env = append(os.Environ(), "CHATCONF_TEST_PROGRAMS="+f.dir, "TMPDIR="+temp)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program runs", func() bool { return pidIn(pids) != 0 })
	pid := pidIn(pids)
	if !alive(pid) {
		t.Error("the program does not live")
	}
	next := func() []os.DirEntry {
		t.Helper()
		if _, err := program.Open(program.Options{Dir: f.dir, Temp: temp}); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(temp)
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	if left := next(); len(left) != 1 {
		t.Errorf("the folder of a program that runs is gone: %v", left)
	}
	service.Process.Kill()
	service.Wait()
	eventually(t, "the program is dead", func() bool { return !alive(pid) })
	if left := next(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
