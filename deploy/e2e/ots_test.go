package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// An emulator is a running "chatconf ots" of a test's own.
type emulator struct {
	t      *testing.T
	data   string
	addr   string
	env    []string // of its clients
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	ended  chan struct{}
}

// startOTS starts an emulator on a directory and waits until it listens. It is killed at the end of
// the test at the latest.
func startOTS(t *testing.T, data, addr string, env ...string) *emulator {
	t.Helper()
	onlyOn(t, "it is about Tablestore's emulator", storeTablestore)
	e := &emulator{t: t, data: data, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	e.cmd = exec.Command(chatconf, "ots", "--addr", addr, "--data", data)
	e.cmd.Env = append(cleanEnviron(t), env...)
	e.cmd.Stdout, e.cmd.Stderr = e.stdout, e.stderr
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		e.cmd.Wait()
		close(e.ended)
	}()
	t.Cleanup(func() {
		e.kill()
		reportCrash(t, e.stderr.String())
	})
	limit := time.After(20 * time.Second)
	for e.addr == "" {
		if m := otsListens.FindStringSubmatch(e.stdout.String()); m != nil {
			e.addr = m[1]
			continue
		}
		select {
		case <-e.stdout.written:
		case <-e.ended:
			t.Fatalf("ots ended with exit code %d:\n%s%s", e.cmd.ProcessState.ExitCode(), e.stdout, e.stderr)
		case <-limit:
			t.Fatalf("ots does not listen:\n%s%s", e.stdout, e.stderr)
		}
	}
	e.env = otsEnv(e.stdout.String())
	return e
}

// otsListens matches all that ots prints.
var otsListens = regexp.MustCompile(`^Tablestore emulator on http://(127\.0\.0\.1:\d+)\n  instance           any ` +
	`name\n  access key id      \S+\n  access key secret  .+\n$`)

// kill ends the emulator as a power cut does.
func (e *emulator) kill() {
	e.cmd.Process.Kill()
	<-e.ended
}

// restart starts an emulator where one has ended, on the same data.
func (e *emulator) restart(env ...string) *emulator {
	e.t.Helper()
	return startOTS(e.t, e.data, e.addr, env...)
}

// key returns the access key that the emulator printed.
func (e *emulator) key() accessKey {
	return accessKey{lookup(e.env, "TABLESTORE_ACCESS_KEY_ID"), lookup(e.env, "TABLESTORE_ACCESS_KEY_SECRET")}
}

// newTablestore returns the official SDK's client of a Tablestore. It does not try again.
func newTablestore(env []string) *tablestore.TableStoreClient {
	config := tablestore.NewDefaultTableStoreConfig()
	config.RetryTimes = 0
	config.MaxRetryTime = time.Millisecond
	config.Transport = &http.Transport{MaxIdleConnsPerHost: 16}
	return tablestore.NewClientWithConfig(lookup(env, "TABLESTORE_ENDPOINT"), lookup(env, "TABLESTORE_INSTANCE"),
		lookup(env, "TABLESTORE_ACCESS_KEY_ID"), lookup(env, "TABLESTORE_ACCESS_KEY_SECRET"), "", config)
}

// createOTSTable makes a table whose primary key is strings.
func createOTSTable(client *tablestore.TableStoreClient, name string, keys ...string) error {
	meta := &tablestore.TableMeta{TableName: name}
	for _, key := range keys {
		meta.AddPrimaryKeyColumn(key, tablestore.PrimaryKeyType_STRING)
	}
	_, err := client.CreateTable(&tablestore.CreateTableRequest{
		TableMeta: meta, TableOption: &tablestore.TableOption{TimeToAlive: -1, MaxVersion: 1},
		ReservedThroughput: &tablestore.ReservedThroughput{},
	})
	return err
}

// otsRows reads a whole table whose primary key is strings, as the last column's value by the key's
// columns, joined.
func otsRows(t *testing.T, client *tablestore.TableStoreClient, name string, keys ...string) map[string]any {
	t.Helper()
	start, end := &tablestore.PrimaryKey{}, &tablestore.PrimaryKey{}
	for _, key := range keys {
		start.AddPrimaryKeyColumnWithMinValue(key)
		end.AddPrimaryKeyColumnWithMaxValue(key)
	}
	rows := make(map[string]any)
	for start != nil {
		page, err := client.GetRange(&tablestore.GetRangeRequest{
			RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
				TableName: name, StartPrimaryKey: start, EndPrimaryKey: end,
				MaxVersion: 1, Direction: tablestore.FORWARD,
			}})
		if err != nil {
			t.Fatalf("range of %s: %v", name, err)
		}
		for _, row := range page.Rows {
			var key []string
			for _, column := range row.PrimaryKey.PrimaryKeys {
				key = append(key, fmt.Sprint(column.Value))
			}
			rows[strings.Join(key, "/")] = row.Columns[len(row.Columns)-1].Value
		}
		start = page.NextStartPrimaryKey
	}
	return rows
}

func TestOTSMakesOneKeyAndKeepsIt(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	e := startOTS(t, data, "127.0.0.1:0")
	first := e.key()
	if !regexp.MustCompile(`^CCK\w{20}$`).MatchString(first.ID) ||
		!regexp.MustCompile(`^\w{40}$`).MatchString(first.Secret) {
		t.Errorf("the key is %+v", first)
	}
	if err := createOTSTable(newTablestore(e.env), "rows", "k"); err != nil {
		t.Fatalf("create a table with the printed key: %v", err)
	}
	for _, name := range []string{".", "access-key.json", "ots.db"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("mode of %s = %v, want it to be its owner's only: %v", name, info, err)
		}
	}
	if strings.Contains(e.stderr.String(), first.Secret) {
		t.Error("the log has the secret")
	}
	e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("ots does not stop")
	}
	if code := e.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code = %d, want 0:\n%s", code, e.stderr)
	}

	e = e.restart()
	if again := e.key(); again != first {
		t.Errorf("a second start made the key %s after %s", again.ID, first.ID)
	}
	if tables, err := newTablestore(e.env).ListTable(); err != nil || len(tables.TableNames) != 1 ||
		tables.TableNames[0] != "rows" {
		t.Errorf("after a restart the tables are %v: %v", tables, err)
	}

	// One process owns the data, and says so.
	command{args: []string{"ots", "--addr", "127.0.0.1:0", "--data", data}}.run(t).fails(t,
		1, filepath.Join(data, "ots.db"))

	// A key of the environment is taken instead, and the other one kept.
	e.kill()
	own := accessKey{"my-own.key", "not-a-real-secret"}
	e = e.restart("CHATCONF_ACCESS_KEY_ID="+own.ID, "CHATCONF_ACCESS_KEY_SECRET="+own.Secret)
	if out := e.stdout.String(); !strings.Contains(out, "key id      "+own.ID+"\n") ||
		strings.Contains(out, own.Secret) {
		t.Errorf("ots printed %q, want the key of the environment without its secret", out)
	}
	if _, err := newTablestore(append(e.env, "TABLESTORE_ACCESS_KEY_SECRET="+own.Secret)).ListTable(); err != nil {
		t.Errorf("with the key of the environment: %v", err)
	}
	e.kill()
	if again := e.restart().key(); again != first {
		t.Errorf("a later start has the key %s, want %s", again.ID, first.ID)
	}
}

func TestOTSInMemoryLeavesNothing(t *testing.T) {
	t.Parallel()
	e := startOTS(t, "", "127.0.0.1:0")
	if err := createOTSTable(newTablestore(e.env), "rows", "k"); err != nil {
		t.Fatal(err)
	}
	key := e.key()
	e.kill()
	e = e.restart()
	if e.key() == key {
		t.Error("the key outlived the process")
	}
	if tables, err := newTablestore(e.env).ListTable(); err != nil || len(tables.TableNames) != 0 {
		t.Errorf("after a restart the tables are %v, want none: %v", tables, err)
	}
}

func TestOTSRefusesAWrongKey(t *testing.T) {
	t.Parallel()
	e := startOTS(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	for _, wrong := range []string{"TABLESTORE_ACCESS_KEY_SECRET=wrong-secret", "TABLESTORE_ACCESS_KEY_ID=nobody"} {
		env := append(e.env[:len(e.env):len(e.env)], wrong)
		if _, err := newTablestore(env).ListTable(); err == nil || !strings.Contains(err.Error(), "OTSAuthFailed") {
			t.Errorf("list tables with %s = %v, want OTSAuthFailed", wrong, err)
		}
		command{args: []string{"tables", "--target", "fc"}, env: env}.run(t).fails(t, 1, "OTSAuthFailed")
	}
	if tables, err := newTablestore(e.env).ListTable(); err != nil || len(tables.TableNames) != 0 {
		t.Errorf("wrong keys made the tables %v: %v", tables, err)
	}
	if strings.Contains(e.stderr.String(), e.key().Secret) {
		t.Error("the log has the secret")
	}
}

// A program that knows nothing but Tablestore's official SDK works against the emulator.
func TestOTSQuickstart(t *testing.T) {
	t.Parallel()
	e := startOTS(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	for _, first := range []string{"created table orders", "table orders exists"} {
		out := command{env: e.env}.runProgram(t, otsQuickstart).ok(t)
		want := first + `
range 1 100 玉露
range 2 200 玉露
range 3 300 玉露
range 4 400 玉露
filter 3 300 玉露
filter 4 400 玉露
`
		if out != want {
			t.Errorf("otsquickstart printed\n%s\nwant\n%s", out, want)
		}
		e.kill()
		e = e.restart()
	}
	command{env: append(e.env, "TABLESTORE_ACCESS_KEY_SECRET=wrong")}.runProgram(t,
		otsQuickstart).fails(t, 1, "OTSAuthFailed")
}

// Writers through the SDK are cut off in the middle, time and again. Each row that was acknowledged
// is there.
func TestOTSKillLosesNoAcknowledgedRow(t *testing.T) {
	t.Parallel()
	e := startOTS(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	if err := createOTSTable(newTablestore(e.env), "rows", "k"); err != nil {
		t.Fatal(err)
	}
	const rounds, writers = 4, 8
	acknowledged := make(map[string]any)
	for round := range rounds {
		client := newTablestore(e.env)
		keys := make(chan string, 10_000)
		var open sync.WaitGroup
		for w := range writers {
			open.Go(func() {
				for i := range 1000 {
					key := fmt.Sprintf("%d-%d-%d", round, w, i)
					row := &tablestore.PutRowChange{TableName: "rows", PrimaryKey: &tablestore.PrimaryKey{}}
					row.PrimaryKey.AddPrimaryKeyColumn("k", key)
					row.AddColumn("value", strings.Repeat(key, 50))
					row.SetCondition(tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST)
					if _, err := client.PutRow(&tablestore.PutRowRequest{PutRowChange: row}); err != nil {
						return // killed
					}
					keys <- key
				}
			})
		}
		for range 50 * (round + 1) {
			key := <-keys
			acknowledged[key] = strings.Repeat(key, 50)
		}
		e.kill()
		open.Wait()
		close(keys)
		for key := range keys {
			acknowledged[key] = strings.Repeat(key, 50)
		}
		e = e.restart()
		found := otsRows(t, newTablestore(e.env), "rows", "k")
		for key, want := range acknowledged {
			if found[key] != want {
				t.Errorf("round %d: row %s was acknowledged and is now %v", round, key, found[key])
			}
		}
	}
}

// The service goes on when its store comes back. What was acknowledged before, during and after is
// there, by every index.
func TestKillOfTheStoreLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	e := startOTS(t, filepath.Join(t.TempDir(), "ots"), "127.0.0.1:0")
	s := serve(t, e.env...)
	const rounds, writers = 3, 4
	acknowledged := make(map[string]bool)
	for round := range rounds {
		names := make(chan string, 1000)
		stop := make(chan struct{})
		var open sync.WaitGroup
		for w := range writers {
			open.Go(func() {
				for i := range 200 {
					select {
					case <-stop:
						return
					default:
					}
					name := fmt.Sprintf("bot-%d-%d-%d", round, w, i)
					in := newACS3(s.key, "CreateChatConfiguration", "Name", name, "Type", "DingTalk", "Configuration",
						dingTalk(name), "Tags", `{"a":"b"}`)
					status, err := try(in.request(t, s.endpoint))
					switch {
					case err == nil && status == http.StatusOK:
						names <- name
					case err == nil && status < http.StatusInternalServerError:
						t.Errorf("a create while the store is away was answered %d", status)
					case err != nil:
						return // the service was killed as well
					}
				}
			})
		}
		for range 10 * (round + 1) {
			acknowledged[<-names] = true
		}
		e.kill()
		if round == rounds-1 { // both at once
			s.kill()
		}
		e = e.restart()
		close(stop)
		open.Wait()
		close(names)
		for name := range names {
			acknowledged[name] = true
		}
		if round == rounds-1 {
			s = s.restart(e.env...)
		}
		all, _ := walk(t, s.client(t), 100, nil)
		tagged, _ := walk(t, s.client(t), 100, filters("tag:a", "b"))
		found := make(map[string]bool)
		for _, name := range all {
			found[name] = true
		}
		for name := range acknowledged {
			if !found[name] {
				t.Errorf("round %d: %s was acknowledged and is gone", round, name)
			}
		}
		if got, want := strings.Join(tagged, " "), strings.Join(all, " "); got != want {
			t.Errorf("round %d: by tag there are %q, want %q: nothing is there by half", round, got, want)
		}
		var list struct{ TotalCount int }
		s.send(t, newACS3(s.key, "ListChatConfigurations")).ok(t, &list)
		if list.TotalCount != len(all) {
			t.Errorf("round %d: TotalCount = %d, want %d", round, list.TotalCount, len(all))
		}
	}
	s.stop()
}
