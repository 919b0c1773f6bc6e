package e2e_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// repository is the root of the repository, seen from this folder.
const repository = "../.."

// Programs that TestMain builds.
var (
	chatconf      string // deploy/chatconf
	quickstart    string // quickstart
	otsQuickstart string // otsquickstart
)

func TestMain(m *testing.M) {
	name, moto := cmp.Or(os.Getenv(storeVariable), storeFile), os.Getenv(motoVariable)
	target, dist := os.Getenv(targetVariable), os.Getenv(distVariable)
	// The SDK would send requests through a proxy, and the program would take settings that are not
	// the test's.
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		upper := strings.ToUpper(name)
		if strings.HasSuffix(upper, "_PROXY") || strings.HasPrefix(upper, "CHATCONF_") ||
			strings.HasPrefix(upper, "ALIBABA_CLOUD_") ||
			strings.HasPrefix(upper, "TABLESTORE_") || strings.HasPrefix(upper, "AWS_") {
			os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "chatconf-e2e-")
	if err == nil && target != "" {
		name, err = openFunctions(target, dist)
	}
	if err == nil {
		chatconf, err = build(dir, "chatconf", repository, "./deploy/chatconf")
	}
	if err == nil {
		quickstart, err = build(dir, "quickstart", ".", "./quickstart")
	}
	if err == nil {
		otsQuickstart, err = build(dir, "otsquickstart", ".", "./otsquickstart")
	}
	if err == nil {
		err = openStore(name, moto, dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // also if the store that was asked for is absent
	} else {
		code = m.Run()
	}
	if browser.close != nil {
		browser.close()
	}
	for _, s := range []*server{store.server, store.crowd} {
		if s == nil {
			continue
		}
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// build builds a package, seen from the folder from, and returns the path of the program.
func build(dir, name, from, pkg string) (string, error) {
	program := filepath.Join(dir, name)
	args := []string{"build", "-o", program}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = from
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}

// A result is what a program that has ended left behind.
type result struct {
	stdout, stderr string
	code           int
}

// A command is one run of the program.
type command struct {
	args  []string
	env   []string // besides PATH and HOME
	stdin string
}

// run runs chatconf with the given arguments.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return command{args: args}.run(t)
}

// run runs the program to its end, which must come within 20 seconds.
func (c command) run(t *testing.T) result {
	t.Helper()
	return c.runProgram(t, chatconf)
}

func (c command) runProgram(t *testing.T, program string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, c.args...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(cleanEnviron(t), c.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer limit.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", filepath.Base(program), c.args, err)
	}
	reportCrash(t, stderr.String())
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// cleanEnviron returns an environment without any setting of the program. HOME, and where temporary
// files go, are folders of the test's: a service that is killed leaves what it had unpacked. A
// program with the race detector would wait a second before it ends.
func cleanEnviron(t *testing.T) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" +
		t.TempDir(), "GORACE=atexit_sleep_ms=10"}
}

// ok asks for exit code 0 and returns what was printed.
func (r result) ok(t *testing.T) string {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code = %d, want 0; stdout:\n%s\nstderr:\n%s", r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// fails asks for an exit code, for nothing on standard output, and for words on standard error.
func (r result) fails(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code = %d, want %d; stderr:\n%s", r.code, code, r.stderr)
	}
	if r.stdout != "" {
		t.Errorf("stdout = %q, want nothing", r.stdout)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("stderr lacks %q:\n%s", word, r.stderr)
		}
	}
}

// reportCrash fails the test for a race or a panic that a program reported.
func reportCrash(t *testing.T, stderr string) {
	t.Helper()
	if sign := crash(stderr); sign != "" {
		t.Errorf("the program reported %q:\n%s", sign, stderr)
	}
}

// crash returns the sign of a race or a panic in what a program printed; empty if none.
func crash(said string) string {
	for _, sign := range [...]string{"WARNING: DATA RACE", "panic:", "goroutine 1 ["} {
		if strings.Contains(said, sign) {
			return sign
		}
	}
	return ""
}
