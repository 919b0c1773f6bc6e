package e2e_test

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The environment of the tests.
const (
	// storeVariable says where the services of the run keep their data, as serve's flag --store
	// does.
	storeVariable = "CHATCONF_E2E_STORE"
	// targetVariable has the services of the run be the functions of a target, as serve's flag
	// --target does, on the target's store.
	targetVariable = "CHATCONF_E2E_TARGET"
	// distVariable names the folder of the functions' zip files, which "make zips" makes.
	distVariable = "CHATCONF_E2E_DIST"
	// motoVariable names moto's server, which stands in for DynamoDB; without it, it is looked for
	// in PATH.
	motoVariable = "CHATCONF_MOTO_SERVER"
)

// Stores.
const (
	storeFile       = "file"
	storeTablestore = "tablestore"
	storeDynamoDB   = "dynamodb"
)

// Targets.
const (
	targetFC     = "fc"
	targetLambda = "lambda"
)

// functions say which functions the services of this run are.
var functions struct {
	target string // empty: none, a service is one process
	dist   string
}

// store is the store of this run.
var store = struct {
	name   string
	target string   // whose tables "chatconf tables" makes
	env    []string // where it is, and the keys to it
	server *server  // nil for the file
	data   string   // the directory of the emulator; empty if none
	crowd  *server  // where services of serveCrowd have their tables instead; nil if that is server
}{}

// crowds are the data directories of services of serveCrowd.
var crowds sync.Map

// openFunctions returns the store of the functions of a target.
func openFunctions(target, dist string) (name string, err error) {
	name = map[string]string{targetFC: storeTablestore, targetLambda: storeDynamoDB}[target]
	if name == "" {
		return "", fmt.Errorf("%s=%q is none; wanted %s or %s", targetVariable, target, targetFC, targetLambda)
	}
	if dist == "" {
		dist = filepath.Join(repository, "dist")
	}
	if dist, err = filepath.Abs(dist); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dist, target, "api.zip")); err != nil {
		return "", fmt.Errorf("the functions, which \"make zips\" makes and %s may name: %w", distVariable, err)
	}
	functions.target, functions.dist = target, dist
	return name, nil
}

// openStore starts the store of the run. What it writes goes to dir.
func openStore(name, moto, dir string) (err error) {
	store.name = name
	switch name {
	case storeFile:
		return nil
	case storeTablestore:
		store.target, store.data = "fc", filepath.Join(dir, "ots")
		store.server, err = startServer(`Tablestore emulator on (\S+)\n(?s:.*)secret  .*\n`, chatconf, "ots", "--addr",
			"127.0.0.1:0", "--data", store.data)
		if err == nil {
			store.env = otsEnv(store.server.said)
		}
		return err
	case storeDynamoDB:
		store.target = "lambda"
		program, err := exec.LookPath(cmp.Or(moto, "moto_server"))
		if err != nil {
			return fmt.Errorf("moto's server, which %s may name: %w", motoVariable, err)
		}
		store.server, err = startServer(`Running on (http://127\.0\.0\.1:\d+)`, program, "-H", "127.0.0.1", "-p", "0")
		if err == nil {
			store.env = []string{
				"AWS_REGION=eu-central-1", "AWS_ENDPOINT_URL_DYNAMODB=" + store.server.url,
				"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-real-secret",
			}
			store.crowd, err = startCrowd(dir)
		}
		return err
	}
	return fmt.Errorf("%s=%q is none; wanted %s, %s or %s", storeVariable, name,
		storeFile, storeTablestore, storeDynamoDB)
}

// startCrowd starts the project's own stand-in for DynamoDB. Moto does not isolate transactions: a
// cancelled one puts the whole table back to what it was when the transaction began.
func startCrowd(dir string) (*server, error) {
	program, err := build(dir, "dynamotest", repository, "./shared/table/dynamodb/dynamotest/serve")
	if err != nil {
		return nil, err
	}
	return startServer(`Running on (http://127\.0\.0\.1:\d+)`, program)
}

// otsEnv returns the environment of a client of the emulator, from what that printed.
func otsEnv(said string) []string {
	var env []string
	for name, pattern := range map[string]*regexp.Regexp{
		"TABLESTORE_ENDPOINT":          regexp.MustCompile(`emulator on (\S+)`),
		"TABLESTORE_ACCESS_KEY_ID":     regexp.MustCompile(`access key id +(\S+)`),
		"TABLESTORE_ACCESS_KEY_SECRET": regexp.MustCompile(`access key secret +(\S+)`),
	} {
		if m := pattern.FindStringSubmatch(said); m != nil {
			env = append(env, name+"="+m[1])
		}
	}
	slices.Sort(env)
	return append(env, "TABLESTORE_INSTANCE=e2e")
}

// lookup returns the value of a variable in an environment, which the last one sets.
func lookup(env []string, name string) string {
	for _, setting := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			return value
		}
	}
	return ""
}

// A server is a process that lives as long as the tests, whatever ends them.
type server struct {
	url  string
	said string // what it had printed when it was ready
	cmd  *exec.Cmd
	end  io.Closer
	more chan string // what it printed after that, once it has ended
}

// startServer starts a program and waits until what it prints matches a pattern, the first group of
// which is its address.
func startServer(ready, program string, args ...string) (*server, error) {
	// A shell stands between, which ends the server when this process has ended, in any way, and
	// with it this end of a pipe.
	const script = `exec 3<&0; "$@" 3<&- 2>&1 & server=$!; { cat <&3; kill $server; } >/dev/null 2>&1 & wait $server`
	s := &server{cmd: exec.Command("sh", append([]string{"-c", script, "sh", program}, args...)...),
		more: make(chan string, 1)}
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=10"}
	var err error
	if s.end, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(time.Minute, func() { s.end.Close() })
	pattern, lines := regexp.MustCompile(ready), bufio.NewReader(stdout)
	for {
		line, err := lines.ReadString('\n')
		s.said += line
		if m := pattern.FindStringSubmatch(s.said); m != nil {
			late.Stop()
			s.url = m[1]
			break
		}
		if err != nil {
			s.end.Close()
			s.cmd.Wait()
			return nil, fmt.Errorf("%s did not start: %.2000s", program, s.said)
		}
	}
	go func() {
		more, _ := io.ReadAll(lines)
		s.more <- string(more)
	}()
	return s, nil
}

// stop ends the server and returns an error for what it should not have printed.
func (s *server) stop() error {
	s.end.Close()
	said := <-s.more
	s.cmd.Wait()
	if sign := crash(said); sign != "" {
		return fmt.Errorf("%s reported %q:\n%s", s.cmd.Args[4], sign, said)
	}
	return nil
}

// onlyOn skips a test that is about some stores only, in a run on another. Each test runs in one of
// the three runs at least.
func onlyOn(t *testing.T, reason string, stores ...string) {
	t.Helper()
	if !slices.Contains(stores, store.name) {
		t.Skipf("not on %s: %s", store.name, reason)
	}
}

// onlyFile skips a test that is about the file or about what opens it.
func onlyFile(t *testing.T, reason string) {
	t.Helper()
	onlyOn(t, reason, storeFile)
}

// tableEnv returns the settings with which a service on a data directory finds its store. The names
// of its tables are its own.
func tableEnv(data string) []string {
	if store.name == storeFile {
		return nil
	}
	sum := sha256.Sum256([]byte(data))
	name := hex.EncodeToString(sum[:6])
	env := slices.Clone(store.env)
	if _, ok := crowds.Load(data); ok && store.crowd != nil {
		env = append(env, "AWS_ENDPOINT_URL_DYNAMODB="+store.crowd.url)
	}
	return append(env,
		"TABLESTORE_INSTANCE=e2e-"+name, // an instance has 64 tables at most
		"CHATCONF_TABLE=e2e_"+name,      // Tablestore allows letters, digits and underscores
		"CHATCONF_TICKET_TABLE=e2e_"+name+"_tickets",
		"CHATCONF_JOURNAL_TABLE=e2e_"+name+"_journal",
		"CHATCONF_KEY_TABLE=e2e_"+name+"_keys",
		"CHATCONF_KEY_USE_TABLE=e2e_"+name+"_key_uses")
}

// serveCommand returns the command that serves a data directory.
func serveCommand(data string, env ...string) command {
	if functions.target == "" {
		return storeCommand(data, env...)
	}
	c := command{args: []string{"serve", "--addr", "127.0.0.1:0", "--data", data, "--target",
		functions.target, "--dist", functions.dist}}
	if functions.target != targetFC { // which has an emulator of its own
		c.env = tableEnv(data)
	}
	c.env = append(c.env, env...)
	return c
}

// storeCommand returns the command that serves a data directory in one process on the store of the
// run.
func storeCommand(data string, env ...string) command {
	return command{
		args: []string{"serve", "--addr", "127.0.0.1:0", "--data", data, "--store", store.name},
		env:  append(tableEnv(data), env...),
	}
}

// checkCommand returns the command that checks what a service on a data directory has stored.
func checkCommand(t *testing.T, data string) command {
	t.Helper()
	return command{args: []string{"check", "--data", data, "--store", store.name}, env: leftEnv(t, data)}
}

// leftEnv returns the settings with which a single process finds the tables of a service that has
// ended.
func leftEnv(t *testing.T, data string) []string {
	t.Helper()
	if functions.target == targetFC {
		return emulate(t, data)
	}
	return tableEnv(data)
}

// emulate starts the Tablestore emulator on the data that functions of Function Compute have left,
// and returns the environment of its clients.
func emulate(t *testing.T, data string) []string {
	t.Helper()
	emulator, err := startServer(`Tablestore emulator on (\S+)\n(?s:.*)secret  .*\n`, chatconf, "ots",
		"--addr", "127.0.0.1:0", "--data", data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := emulator.stop(); err != nil {
			t.Error(err)
		}
	})
	return append(otsEnv(emulator.said), "TABLESTORE_INSTANCE=local")
}

// makeTables makes the tables of a service whose data directory is not there yet.
func makeTables(t *testing.T, data string, env []string) {
	t.Helper()
	if store.name == storeFile || functions.target != "" { // functions' tables are made for them
		return
	}
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	command{args: []string{"tables", "--target", store.target}, env: env}.run(t).ok(t)
}
