package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/rpc"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/file"
)

// onEmulator has the commands of a test find a Tablestore emulator.
func onEmulator(t *testing.T) *otstest.Instance {
	t.Helper()
	instance := otstest.RunT(t)
	atTablestore(t, instance.Endpoint)
	return instance
}

func atTablestore(t *testing.T, endpoint string) {
	t.Helper()
	noEnv(t)
	t.Setenv("TABLESTORE_ENDPOINT", endpoint)
	t.Setenv("TABLESTORE_INSTANCE", otstest.Name)
	t.Setenv("TABLESTORE_ACCESS_KEY_ID", otstest.KeyID)
	t.Setenv("TABLESTORE_ACCESS_KEY_SECRET", otstest.KeySecret)
}

// onDynamo has the commands of a test find what stands in for DynamoDB.
func onDynamo(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(new(dynamotest.Tables))
	t.Cleanup(server.Close)
	noEnv(t)
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-secret")
}

// What stands in for DynamoDB and has no transactions is refused at the start of a service, with
// the reason.
func TestServeOnAStoreWithoutTransactions(t *testing.T) {
	onDynamo(t)
	mustRun(t, "tables", "--target", "lambda")
	to, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
			http.Error(w, `{"__type":"UnknownOperationException"}`, http.StatusBadRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", front.URL)
	out, err := run(t, "", "serve", "--store", "dynamodb", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "it lacks transactions") ||
		!strings.Contains(err.Error(), "DynamoDB table chatconf") {
		t.Errorf("serve = %v\n%s", err, out)
	}
}

func TestTables(t *testing.T) {
	onEmulator(t)
	step := func(want string, args ...string) {
		t.Helper()
		out, err := run(t, "", append([]string{"tables", "--target", "fc"}, args...)...)
		if err != nil || strings.Count(out, want) != 5 {
			t.Errorf("tables %q = %v, want %q of all five tables:\n%s", args, err, want, out)
		}
	}
	step("create table", "--dry-run")
	step("create table", "--dry-run") // the first did nothing
	step("created table")
	step("nothing to do", "--dry-run")
	step("nothing to do")

	out, err := run(t, "", "tables", "check", "--target", "fc")
	if err != nil || strings.Count(out, ": ok ") != 25 {
		t.Errorf("tables check = %v, want 25 lines:\n%s", err, out)
	}
	onDynamo(t)
	mustRun(t, "tables", "--target", "lambda")
	if out := mustRun(t, "tables", "--target", "lambda"); strings.Count(out, "nothing to do") != 5 {
		t.Errorf("tables that are there: %s", out)
	}
	if out, err := run(t, "", "tables", "check", "--target", "lambda"); err != nil ||
		strings.Count(out, ": ok ") != 25 {
		t.Errorf("tables check on DynamoDB = %v, want 25 lines:\n%s", err, out)
	}

	t.Setenv("CHATCONF_TICKET_TABLE", "chatconf_2")
	t.Setenv("CHATCONF_TABLE", "chatconf_tickets") // which has a time to live
	if out, err := run(t, "", "tables", "--target", "fc"); err == nil || isUsage(err) {
		t.Errorf("tables with a table that differs = %v:\n%s", err, out)
	}
}

func TestTablesNeedToKnowWhere(t *testing.T) {
	for _, name := range []string{"TABLESTORE_ENDPOINT", "TABLESTORE_INSTANCE", "TABLESTORE_ACCESS_KEY_ID",
		"TABLESTORE_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ACCESS_KEY_ID",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	for _, step := range []struct {
		set, to string // before
		says    string
		args    []string
	}{
		{"", "", "TABLESTORE_ENDPOINT", []string{"tables", "--target", "fc"}},
		{"", "", "TABLESTORE_ENDPOINT", []string{"serve", "--store", "tablestore"}},
		{"TABLESTORE_ENDPOINT", "http://127.0.0.1:1", "TABLESTORE_INSTANCE",
			[]string{"tables", "check", "--target", "fc"}},
		{"TABLESTORE_INSTANCE", "local", "TABLESTORE_ACCESS_KEY_ID", []string{"tables", "--target", "fc"}},
		{"", "", "AWS_REGION", []string{"tables", "--target", "lambda"}},
		{"", "", "AWS_REGION", []string{"serve", "--store", "dynamodb"}},
		{"", "", "floppy", []string{"serve", "--store", "floppy"}},
		{"", "", "laptop", []string{"tables", "--target", "laptop"}},
		{"", "", "target", []string{"tables"}},
	} {
		if step.set != "" {
			t.Setenv(step.set, step.to)
		}
		if _, err := run(t, "", step.args...); !isUsage(err) || !strings.Contains(err.Error(), step.says) {
			t.Errorf("%q = %v, want a usage error that names %s", step.args, err, step.says)
		}
	}
}

// All that is missing is said at once.
func TestAllOfTablestoreIsAskedFor(t *testing.T) {
	atTablestore(t, "")
	t.Setenv("TABLESTORE_INSTANCE", "")
	t.Setenv("TABLESTORE_ACCESS_KEY_ID", "")
	t.Setenv("TABLESTORE_ENDPOINT", "")
	_, err := run(t, "", "tables", "--target", "fc")
	if err == nil || strings.Contains(err.Error(), "invalid") {
		t.Errorf("%v, want what to set", err)
	}
	for _, name := range []string{"TABLESTORE_ENDPOINT: set it to", "TABLESTORE_INSTANCE: set it to",
		"TABLESTORE_ACCESS_KEY_SECRET is set without TABLESTORE_ACCESS_KEY_ID"} {
		if !isUsage(err) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

// A key of Tablestore is all of one kind of names, and an error of authentication says which.
func TestTheKeyOfTablestore(t *testing.T) {
	onEmulator(t)
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIsomebody")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", planted)
	mustRun(t, "tables", "--target", "fc")
	t.Setenv("TABLESTORE_ACCESS_KEY_SECRET", "")
	if _, err := run(t, "", "tables", "--target", "fc"); !isUsage(err) ||
		!strings.Contains(err.Error(), "TABLESTORE_ACCESS_KEY_ID is set without TABLESTORE_ACCESS_KEY_SECRET") {
		t.Errorf("half a key: %v", err)
	}
	t.Setenv("TABLESTORE_ACCESS_KEY_ID", "")
	for _, args := range [][]string{{"tables", "--target", "fc", "--dry-run"},
		{"keys", "list", "--store", "tablestore", "--data", t.TempDir()}} {
		_, err := run(t, "", args...)
		if err == nil || isUsage(err) || !strings.Contains(err.Error(),
			"access key LTAIsomebody of ALIBABA_CLOUD_ACCESS_KEY_ID") || strings.Contains(err.Error(), planted) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestServeNeedsItsTables(t *testing.T) {
	onEmulator(t)
	_, err := run(t, "", "serve", "--store", "tablestore", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	if err == nil || isUsage(err) || !strings.Contains(err.Error(), "Tablestore table chatconf in instance ") {
		t.Errorf("serve without tables = %v, want an error that names the table", err)
	}
}

// A liar is a table that does not keep one of its promises.
type liar struct {
	table.Table
	get   func([]table.Item) []table.Item
	write func(table.Table, context.Context, string, table.Change) error
	query func([]table.Item) []table.Item
}

func (l liar) Write(ctx context.Context, partition string, c table.Change) error {
	if l.write == nil {
		return l.Table.Write(ctx, partition, c)
	}
	return l.write(l.Table, ctx, partition, c)
}

func (l liar) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	items, err := l.Table.Get(ctx, keys...)
	if l.get != nil {
		items = l.get(items)
	}
	return items, err
}

func (l liar) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	items, err := l.Table.Query(ctx, r)
	if l.query != nil {
		items = l.query(items)
	}
	return items, err
}

func TestProbeFindsBrokenPromises(t *testing.T) {
	for says, broken := range map[string]liar{
		"changes nothing": {
			write: func(t table.Table, ctx context.Context, partition string, c table.Change) error {
				for _, add := range c.Adds { // each by itself
					if err := t.Write(ctx, partition, table.Change{Adds: []table.Add{add}}); err != nil {
						return err
					}
				}
				if c.Adds = nil; len(c.Puts)+len(c.Deletes) == 0 {
					return nil
				}
				return t.Write(ctx, partition, c)
			}},
		"reads are strong": {query: func(items []table.Item) []table.Item {
			for i := range items {
				items[i].Revision = 0
			}
			return items
		}},
		"byte order": {query: func(items []table.Item) []table.Item {
			if n := len(items); n > 1 {
				items[0], items[n-1] = items[n-1], items[0]
			}
			return items
		}},
		"counters are exact": {write: func(t table.Table, ctx context.Context, partition string, c table.Change) error {
			if len(c.Adds) == 1 && len(c.Puts) == 0 {
				c.Puts, c.Adds = []table.Put{{Sort: c.Adds[0].Sort}}, nil
			}
			return t.Write(ctx, partition, c)
		}},
		"exactly one succeeds": {
			write: func(t table.Table, ctx context.Context, partition string, c table.Change) error {
				if len(c.Puts) == 1 {
					c.Puts[0].If = table.Condition{}
				}
				return t.Write(ctx, partition, c)
			}},
	} {
		db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
		if err != nil {
			t.Fatal(err)
		}
		broken.Table = db.Table("t", file.TableOptions{})
		var out strings.Builder
		err = probe(t.Context(), &out, "t", broken, broken)
		if err == nil || strings.Count(out.String(), "FAILED") != 1 || !lineHas(out.String(), "FAILED", says) {
			t.Errorf("probe of a table of which %q does not hold = %v:\n%s", says, err, &out)
		}
		if partitions, err := db.Table("t", file.TableOptions{}).Partitions(t.Context(), "", 1); err != nil ||
			len(partitions) > 0 {
			t.Errorf("probe left %q behind, %v", partitions, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Reads are not strong when another client sees a write late, in part or not at all, whatever the
// writer itself sees.
func TestProbeReadsThroughAnotherClient(t *testing.T) {
	for says, stale := range map[string]liar{
		"saw write": {get: func(items []table.Item) []table.Item {
			for i := range items {
				items[i].Revision = max(0, items[i].Revision-1)
			}
			return items
		}},
		"saw 0 items": {query: func(items []table.Item) []table.Item {
			if len(items) == 1 && items[0].Revision > 1 { // not of the other proofs, which have none beyond
				return nil
			}
			return items
		}},
		"of different writes": {get: func(items []table.Item) []table.Item {
			for i := range items {
				items[i].Value = []byte("0")
			}
			return items
		}},
	} {
		for _, swapped := range []bool{false, true} {
			db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
			if err != nil {
				t.Fatal(err)
			}
			stale.Table = db.Table("t", file.TableOptions{})
			clients := []table.Table{db.Table("t", file.TableOptions{}), stale}
			if swapped {
				clients[0], clients[1] = clients[1], clients[0]
			}
			var out strings.Builder
			p := &prober{clients[0], clients[1], "scratch"}
			if err := p.strong(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("strong, where another client tells otherwise = %v, want %q:\n%s", err, says, &out)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A flaky is a table of which one call fails.
type flaky struct {
	table.Table
	at    int64
	calls *atomic.Int64 // of all clients together
}

func (f flaky) meet() error {
	if f.calls.Add(1) == f.at {
		return fmt.Errorf("injected: %w", table.ErrUnavailable)
	}
	return nil
}

func (f flaky) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := f.meet(); err != nil {
		return nil, err
	}
	return f.Table.Get(ctx, keys...)
}

func (f flaky) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := f.meet(); err != nil {
		return nil, err
	}
	return f.Table.Query(ctx, r)
}

func (f flaky) Write(ctx context.Context, partition string, c table.Change) error {
	if err := f.meet(); err != nil {
		return err
	}
	return f.Table.Write(ctx, partition, c)
}

// A call that fails, whichever it is, is told, and what is in the partition is removed
// nevertheless.
func TestProbeOfATableThatFails(t *testing.T) {
	onEmulator(t)
	mustRun(t, "tables", "--target", targetFC)
	engine, err := openStore(storeTablestore, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	tb, err := engine.OpenTable(app.DefaultTable, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tb.Close()
	for _, at := range []int64{1, 2, 3, 4, 5, 6, 10, 14, 15, 16, 17, 18, 25, 40, 120} {
		var calls atomic.Int64
		var partition atomic.Value
		client := watched{flaky{tb, at, &calls}, &partition}
		var out strings.Builder
		if err := probe(t.Context(), &out, "t", client, client); err == nil || calls.Load() < at {
			t.Errorf("probe whose call %d of %d fails = %v:\n%s", at, calls.Load(), err, &out)
		}
		if partition.Load() == nil {
			continue // it did not come as far as a Write
		}
		items, err := tb.Query(t.Context(), table.Range{Partition: partition.Load().(string), Limit: 10})
		if err != nil || len(items) > 0 {
			t.Errorf("probe whose call %d fails left %d items, %v", at, len(items), err)
		}
	}
}

// A watched is a table that tells which partition was written to.
type watched struct {
	flaky
	partition *atomic.Value
}

func (w watched) Write(ctx context.Context, partition string, c table.Change) error {
	w.partition.Store(partition)
	return w.flaky.Write(ctx, partition, c)
}

// What the commands open they close, to the last connection.
func TestTablesCloseTheirConnections(t *testing.T) {
	emulator, err := ots.New(ots.Options{AccessKeys: map[string]string{otstest.KeyID: otstest.KeySecret}})
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Close()
	var mu sync.Mutex
	changed := sync.NewCond(&mu)
	opened, open := 0, 0
	server := httptest.NewUnstartedServer(emulator)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			opened++
			open++
		case http.StateClosed:
			open--
		}
		changed.Broadcast()
	}
	server.Start()
	defer server.Close()
	atTablestore(t, server.URL)
	data := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{
		{"tables", "--target", "fc"},
		{"tables", "check", "--target", "fc"},
		{"check", "--store", "tablestore", "--data", data},
		{"keys", "list", "--store", "tablestore", "--data", data},
	} {
		mu.Lock()
		opened = 0
		mu.Unlock()
		if out, err := run(t, "", args...); err != nil && !isUsage(err) { // no service was started there
			t.Errorf("%q = %v:\n%s", args, err, out)
		}
		mu.Lock()
		if opened == 0 {
			t.Errorf("%q opened no connection", args)
		}
		for open > 0 { // for ever, if it leaks: the client keeps them for half a minute, and the server for longer
			changed.Wait()
		}
		mu.Unlock()
	}
}

// openOn opens the service on the tables of a store, which have been made, and claims them at the
// first time.
func openOn(t *testing.T, store, data string) (*app.Local, app.Tables) {
	t.Helper()
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := openTables(store, settings, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenTables(t.Context(), settings, tables, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	return l, tables
}

// eachStore runs a test on the tables of every cloud store, which have been made.
func eachStore(t *testing.T, test func(t *testing.T, store string)) {
	t.Run(storeTablestore, func(t *testing.T) {
		onEmulator(t)
		mustRun(t, "tables", "--target", targetFC)
		test(t, storeTablestore)
	})
	t.Run(storeDynamoDB, func(t *testing.T) {
		onDynamo(t)
		mustRun(t, "tables", "--target", targetLambda)
		test(t, storeDynamoDB)
	})
}

func TestCheckOfAStore(t *testing.T) {
	eachStore(t, func(t *testing.T, name string) {
		const home = app.DefaultAccountID + "/" + app.DefaultRegion
		data := filepath.Join(t.TempDir(), "data")
		check := func(args ...string) (string, error) {
			return run(t, "", append([]string{"check", "--store", name, "--data", data}, args...)...)
		}
		for _, args := range [][]string{{"check"}, {"keys", "list"}, {"keys", "create", "--name", "x", "--admin"}} {
			out, err := run(t, "", append(args, "--store", name, "--data", data)...)
			if !isUsage(err) || !strings.Contains(err.Error(), "has no service yet") {
				t.Errorf("%q before the first start = %v, want a usage error:\n%s", args, err, out)
			}
		}
		if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("looking at what there is not has made %s: %v", data, err)
		}
		wants := func(out string, err error, lines ...string) {
			t.Helper()
			if err != nil || out != strings.Join(lines, "\n")+"\n" {
				t.Errorf("check = %v, want success and %q:\n%s", err, lines, out)
			}
		}
		const nothing = ": 0 configurations, 0 index entries, 0 revisions, 0 problems"

		l, tables := openOn(t, name, data)
		defer l.Close()
		out, err := check()
		wants(out, err, home+nothing)

		service := httptest.NewServer(quiet(l.Handler))
		defer service.Close()
		const many = 120 // more than one page of everything
		ctx := asAdministrator(t)
		for n := range many {
			_, err := l.Service.Create(ctx, &chat.CreateRequest{
				Name: fmt.Sprintf("ops-%03d", n), Type: "Slack",
				Configuration: `{"SlackSigningSecret":"` + planted + `"}`,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		mustRun(t, "call", "CreateChatConfiguration", "Name=far", "RegionId=eu-central-1", "Type=Slack",
			`Configuration={"SlackSigningSecret":"`+planted+`"}`, "--endpoint", service.URL, "--data", data)
		full := home + ": 120 configurations, 240 index entries, 120 revisions, 0 problems"
		far := app.DefaultAccountID + "/eu-central-1"
		one := far + ": 1 configuration, 2 index entries, 1 revision, 0 problems"
		out, err = check()
		wants(out, err, full, one)
		out, err = check("--partition", far)
		wants(out, err, one)
		out, err = check("--partition", far, "--partition", home)
		wants(out, err, one, full)

		broken := func(what string, in table.Table, partition string, c table.Change, says string, args ...string) {
			t.Helper()
			if err := in.Write(t.Context(), partition, c); err != nil {
				t.Fatal(err)
			}
			out, err := check(args...)
			if err == nil || isUsage(err) || !strings.Contains(out, says) || strings.Contains(out, planted) {
				t.Errorf("check with %s = %v, want an error and %q:\n%s", what, err, says, out)
			}
		}
		broken("an index entry that is gone", tables.Configurations, home,
			table.Change{Deletes: []table.Delete{{Sort: "i#Type#Slack#ops-119"}}},
			`index entry "i#Type#Slack#ops-119" is missing`)
		broken("a counter that is off, elsewhere", tables.Configurations,
			far, table.Change{Adds: []table.Add{{Sort: "n#00", N: 1}}}, far+": ", "--partition", far)
		broken("an access key that does not open", tables.Keys, "keys",
			table.Change{Puts: []table.Put{{Sort: "k#" + l.AccessKeyID, Value: []byte(planted), Revision: 1}}},
			"access keys: ")
	})
}

// Whoever has not made the tables is told by what they are made.
func TestNoTables(t *testing.T) {
	for store, on := range map[string]func(){storeTablestore: func() { onEmulator(t) },
		storeDynamoDB: func() { onDynamo(t) }} {
		on()
		t.Setenv("CHATCONF_KEYRING", mustRun(t, "keyring", "new"))
		for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"keys", "list"},
			{"check"}, {"keyring", "claim"}} {
			args = append(args, "--store", store, "--data", t.TempDir())
			if out, err := run(t, "", args...); err == nil || isUsage(err) || out != "" ||
				!errors.Is(err, table.ErrUnavailable) || !strings.Contains(err.Error(), "'chatconf tables'") {
				t.Errorf("%q = %q, %v, want an error that names 'chatconf tables'", args, out, err)
			}
		}
	}
}

func TestCheckIsToldItsPartitions(t *testing.T) {
	data := newData(t)
	for _, bad := range []string{"", "1000000000000000", "/cn-hangzhou", "1000000000000000/", "a/b/c"} {
		if _, err := run(t, "", "check", "--data", data, "--partition", bad); !isUsage(err) ||
			!strings.Contains(err.Error(), "ACCOUNT/REGION") {
			t.Errorf("check --partition %q = %v, want a usage error", bad, err)
		}
	}
	if out := mustRun(t, "check", "--data", data, "--partition", "1/eu-central-1"); !strings.HasPrefix(out,
		"1/eu-central-1: 0 configurations") || strings.Count(out, "\n") != 1 {
		t.Errorf("check of one partition of a file: %s", out)
	}
	if _, err := run(t, "", "check", "--data", data, "--store", "floppy"); !isUsage(err) {
		t.Errorf("check --store floppy = %v, want a usage error", err)
	}
}

// A store that fails while it is checked is not a problem of what it holds.
func TestCheckOfAStoreThatFails(t *testing.T) {
	instance := onEmulator(t)
	mustRun(t, "tables", "--target", targetFC)
	data := filepath.Join(t.TempDir(), "data")
	l, _ := openOn(t, storeTablestore, data)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for at := int64(1); ; at++ {
		var calls atomic.Int64
		instance.SetFault(func(ots.Request) ots.Fault {
			if calls.Add(1) == at {
				return ots.Fault{Err: &ots.Error{Code: "OTSNoPermissionAccess", Message: "injected"}}
			}
			return ots.Fault{}
		})
		out, err := run(t, "", "check", "--store", storeTablestore, "--data", data)
		if calls.Load() < at {
			if err != nil {
				t.Errorf("check = %v:\n%s", err, out)
			}
			break
		}
		steps++
		if err == nil || isUsage(err) || strings.Contains(out, "problems") {
			t.Errorf("check whose call %d fails = %v, want an error and no verdict:\n%s", at, err, out)
		}
	}
	if steps < 5 {
		t.Errorf("check makes %d calls, want several", steps)
	}
}

// lineHas reports whether one line of text has all parts.
func lineHas(text string, parts ...string) bool {
	for line := range strings.Lines(text) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestOTSKeyIsMadeOnce(t *testing.T) {
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", "")
	data := filepath.Join(t.TempDir(), "new")
	first, err := otsKey(data)
	if err != nil || first.ID == "" || len(first.Secret) < 40 {
		t.Fatalf("otsKey = %v, %v", first.ID, err)
	}
	if again, err := otsKey(data); again != first || err != nil {
		t.Errorf("otsKey again = %v, %v, want %v", again.ID, err, first.ID)
	}
	if other, err := otsKey(""); other.ID == first.ID || err != nil {
		t.Errorf("otsKey in memory = %v, %v, want another", other.ID, err)
	}
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "mine")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", "not-a-real-secret")
	if mine, err := otsKey(data); mine.ID != "mine" || mine.Secret.Reveal() != "not-a-real-secret" || err != nil {
		t.Errorf("otsKey with a key in the environment = %v, %v", mine.ID, err)
	}
}
