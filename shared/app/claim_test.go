package app_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// storeName is what the tests call the store that services share.
const storeName = "the shared store"

// claimKey is where the claim of the key ring lies.
var claimKey = table.Key{Partition: "service", Sort: "keyring"}

// newStore opens a store that several services use at once.
func newStore(t *testing.T) *file.DB {
	t.Helper()
	db, err := file.Open(filepath.Join(t.TempDir(), "store.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// tablesOf returns the tables of a store as one service sees them, and what happens to its calls to
// the first two.
func tablesOf(db *file.DB) (app.Tables, *faulty) {
	f := &faulty{Table: db.Table("chatconf", file.TableOptions{}), faults: new(faults)}
	keys := &faulty{Table: db.Table("keys", file.TableOptions{}), faults: f.faults}
	return app.Tables{Configurations: f, Keys: keys, Tickets: db.Table("tickets",
		file.TableOptions{TTL: app.TicketAge}), Where: storeName}, f
}

// A faulty is a table of which one call fails, or finds that something has happened before it.
type faulty struct {
	table.Table
	*faults
}

// faults are what happens to the calls to one or more tables.
type faults struct {
	at      int  // the number of the call, from one; zero is none
	applied bool // a Write that fails is done nevertheless
	// returns the error; nil has the call go on. Without it the call fails as on a store that is
	// out of reach
	instead func(write bool) error
	calls   int
	closed  bool
}

// meet returns what the next call meets.
func (f *faults) meet(write bool) error {
	if f.calls++; f.calls != f.at {
		return nil
	}
	if f.instead != nil {
		return f.instead(write)
	}
	return fmt.Errorf("call %d: %w", f.calls, table.ErrUnavailable)
}

func (f *faulty) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := f.meet(false); err != nil {
		return nil, err
	}
	return f.Table.Get(ctx, keys...)
}

func (f *faulty) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := f.meet(false); err != nil {
		return nil, err
	}
	return f.Table.Query(ctx, r)
}

func (f *faulty) Write(ctx context.Context, partition string, c table.Change) error {
	err := f.meet(true)
	if err == nil || f.applied {
		err = errors.Join(f.Table.Write(ctx, partition, c), err)
	}
	return err
}

func (f *faulty) Close() error {
	f.closed = true
	return f.Table.Close()
}

// start opens a service on tables; it is closed when the test ends.
func start(t *testing.T, s app.Settings, tables app.Tables) *app.Local {
	t.Helper()
	l, err := app.OpenTables(t.Context(), s, tables, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatalf("OpenTables: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// turnedAway reports the error of a start that must fail, and close its tables.
func turnedAway(t *testing.T, s app.Settings, tables app.Tables) error {
	t.Helper()
	l, err := app.OpenTables(t.Context(), s, tables, app.Actions(rpc.Actions()...))
	if err == nil {
		l.Close()
		t.Fatal("OpenTables: no error")
	}
	if f := tables.Configurations.(*faulty); !f.closed {
		t.Error("a start that failed left its table open")
	}
	if _, err := tables.Tickets.Get(t.Context(), claimKey); !errors.Is(err, table.ErrClosed) {
		t.Errorf("a start that failed left its ticket table open: %v", err)
	}
	return err
}

// contents returns every item of a store's tables of configurations and of keys.
func contents(t *testing.T, db *file.DB) []table.Item {
	t.Helper()
	var all []table.Item
	for _, name := range []string{"chatconf", "keys"} {
		tb := db.Table(name, file.TableOptions{})
		partitions, err := table.AllPartitions(t.Context(), tb)
		if err != nil {
			t.Fatal(err)
		}
		for _, partition := range partitions {
			items, err := tb.Query(t.Context(), table.Range{Partition: partition, Limit: table.MaxQuery})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, items...)
		}
	}
	return all
}

// wantUnchanged reports what differs from what a store held before.
func wantUnchanged(t *testing.T, db *file.DB, before []table.Item) {
	t.Helper()
	if diff := cmp.Diff(before, contents(t, db)); diff != "" {
		t.Errorf("the store was changed (-before +after):\n%s", diff)
	}
}

// wantSettled wants a service whose access key is the only one, lies in its key file, and can be
// used.
func wantSettled(t *testing.T, s app.Settings, l *app.Local) {
	t.Helper()
	key := readKey(t, s)
	if got, want := keys(t, l), []string{key.ID}; !cmp.Equal(got, want) || l.AccessKeyID != key.ID {
		t.Errorf("the keys are %q and that of the service is %q, want %q alone", got, l.AccessKeyID, want)
	}
	if stored, err := l.Keys.Find(t.Context(), key.ID); err != nil || stored.Secret != key.Secret {
		t.Errorf("the key file does not hold the stored key: %v", err)
	}
}

// wantNoKeyFile wants that a service which was turned away left no access key that nobody knows.
func wantNoKeyFile(t *testing.T, s app.Settings) {
	t.Helper()
	if _, err := app.ReadAccessKey(s.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file is there: %v", err)
	}
}

// ringOf returns the key ring of a data directory.
func ringOf(t *testing.T, s app.Settings) *seal.Ring {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Data, "keyring.json"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Between the moments when a service finds the tables empty and when it claims them, another one
// starts. That one has them.
func TestStartThatAnotherOvertakes(t *testing.T) {
	db := newStore(t)
	winner, loser := settings(t), settings(t)
	var before []table.Item
	tables, f := tablesOf(db)
	f.at = 2 // the claim
	f.instead = func(write bool) error {
		if !write {
			t.Error("the second call of a first start is no Write")
		}
		others, _ := tablesOf(db)
		if l := start(t, winner, others); !l.First {
			t.Error("the one that overtakes is not the first")
		}
		before = contents(t, db)
		return nil
	}
	err := turnedAway(t, loser, tables)
	for _, part := range []string{"key ring is not the one", storeName} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the one that was overtaken is told %q, want %q in it", err, part)
		}
	}
	wantUnchanged(t, db, before)
	wantNoKeyFile(t, loser)

	// It stays so: the wrong ring opens nothing later either, and leaves everything as it is.
	for range 2 {
		tables, _ := tablesOf(db)
		if err := turnedAway(t, loser, tables); !strings.Contains(err.Error(), "key ring is not the one") {
			t.Errorf("the next start with the wrong ring is told %q", err)
		}
	}
	wantUnchanged(t, db, before)
	wantNoKeyFile(t, loser)

	// A key file that is left there from elsewhere does not get in.
	text, err := os.ReadFile(filepath.Join(winner.Data, "access-key.json"))
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.ReplaceAll(string(text), readKey(t, winner).ID, "left-over"))
	if err := os.WriteFile(filepath.Join(loser.Data, "access-key.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	tables, _ = tablesOf(db)
	turnedAway(t, loser, tables)
	wantUnchanged(t, db, before)

	// With the right ring, from the settings, it serves the same.
	ring, err := os.ReadFile(filepath.Join(winner.Data, "keyring.json"))
	if err != nil {
		t.Fatal(err)
	}
	late := settings(t)
	late.KeyRing = secret.Text(ring)
	tables, _ = tablesOf(db)
	if l := start(t, late, tables); l.First || l.AccessKeyID != "" {
		t.Errorf("a later start with the right ring: first %v, access key %q", l.First, l.AccessKeyID)
	}
	wantNoKeyFile(t, late)
	wantUnchanged(t, db, before)

	// Without any ring it is told so, and none is made.
	bare := settings(t)
	tables, _ = tablesOf(db)
	if err := turnedAway(t, bare, tables); !strings.Contains(err.Error(), "keyring.json is missing") {
		t.Errorf("a later start without a ring is told %q", err)
	}
	if entries, err := os.ReadDir(bare.Data); err != nil || len(entries) > 0 {
		t.Errorf("a later start without a ring left %v, %v", entries, err)
	}
}

// Of many that start at once, each with a ring of its own, one has the tables, and nothing in them
// is another's.
func TestFirstStartsAtOnce(t *testing.T) {
	const services = 8
	db := newStore(t)
	var all [services]app.Settings
	var locals [services]*app.Local
	var errs [services]error
	var ready, done sync.WaitGroup
	ready.Add(services)
	for i := range services {
		all[i] = settings(t)
		tables, f := tablesOf(db)
		f.at = 2
		f.instead = func(bool) error { // all have found the tables empty
			ready.Done()
			ready.Wait()
			return nil
		}
		done.Go(func() {
			locals[i], errs[i] = app.OpenTables(t.Context(), all[i], tables, app.Actions(rpc.Actions()...))
		})
	}
	done.Wait()
	winners := 0
	for i, l := range locals {
		switch {
		case errs[i] == nil:
			winners++
			wantSettled(t, all[i], l)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		case !strings.Contains(errs[i].Error(), "key ring is not the one"):
			t.Errorf("one of the others is told %q", errs[i])
		default:
			wantNoKeyFile(t, all[i])
		}
	}
	if winners != 1 {
		t.Errorf("%d services have the tables, want one", winners)
	}
	if items := contents(t, db); len(items) != 3 {
		t.Errorf("the tables hold %d items, want a claim, an access key, and that there is none to move", len(items))
	}
}

// Of two that start at once with the same ring each is the first, and has an access key that can be
// used.
func TestFirstStartsAtOnceWithOneRing(t *testing.T) {
	db := newStore(t)
	ring, err := seal.GenerateRing("shared")
	if err != nil {
		t.Fatal(err)
	}
	one, other := settings(t), settings(t)
	one.KeyRing, other.KeyRing = secret.Text(ring), secret.Text(ring)
	tables, f := tablesOf(db)
	f.at = 3 // it has claimed the tables, and made no access key yet
	var second *app.Local
	f.instead = func(bool) error {
		tables, _ := tablesOf(db)
		second = start(t, other, tables)
		return nil
	}
	first := start(t, one, tables)
	if !first.First || !second.First {
		t.Errorf("first: %v and %v, want both", first.First, second.First)
	}
	for _, s := range []app.Settings{one, other} {
		key := readKey(t, s)
		for _, l := range []*app.Local{first, second} {
			if stored, err := l.Keys.Find(t.Context(), key.ID); err != nil || stored.Secret != key.Secret {
				t.Errorf("a key file holds what the tables do not: %v", err)
			}
		}
	}
}

// Each call of a first start to the store fails once, done or not. The next start finishes it: one
// access key, and the one that the key file holds.
func TestFirstStartOnAStoreThatFails(t *testing.T) {
	for _, applied := range []bool{false, true} {
		steps := 0
		for at := 1; ; at++ {
			db, s := newStore(t), settings(t)
			tables, f := tablesOf(db)
			f.at, f.applied = at, applied
			l, err := app.OpenTables(t.Context(), s, tables, app.Actions(rpc.Actions()...))
			if f.calls < at { // one call more than there are
				if err != nil {
					t.Fatal(err)
				}
				f.at = 0
				wantSettled(t, s, l)
				l.Close()
				break
			}
			steps++
			if !errors.Is(err, table.ErrUnavailable) || !f.closed {
				t.Errorf("call %d fails, applied %v: OpenTables = %v, closed %v, want ErrUnavailable",
					at, applied, err, f.closed)
			}
			settled := slices.ContainsFunc(contents(t, db),
				func(item table.Item) bool { return item.Key == claimKey && item.Revision == 2 })
			tables, _ = tablesOf(db)
			l = start(t, s, tables)
			if l.First == settled {
				t.Errorf("after call %d failed, applied %v: first %v, but settled %v", at, applied, l.First, settled)
			}
			wantSettled(t, s, l)
			l.Close()
			before := contents(t, db)
			tables, _ = tablesOf(db)
			l = start(t, s, tables)
			if l.First {
				t.Errorf("the second start after call %d failed is the first again", at)
			}
			wantSettled(t, s, l)
			wantUnchanged(t, db, before)
		}
		if steps < 4 {
			t.Errorf("a first start makes %d calls, want at least those of looking, claiming, the key and settling",
				steps)
		}
	}
}

// So for a later start: it changes nothing, whatever fails.
func TestLaterStartOnAStoreThatFails(t *testing.T) {
	db, s := newStore(t), settings(t)
	tables, _ := tablesOf(db)
	start(t, s, tables).Close()
	before := contents(t, db)
	steps := 0
	for at := 1; ; at++ {
		tables, f := tablesOf(db)
		f.at = at
		l, err := app.OpenTables(t.Context(), s, tables, app.Actions(rpc.Actions()...))
		if f.calls < at {
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			break
		}
		steps++
		if !errors.Is(err, table.ErrUnavailable) || !strings.Contains(err.Error(), storeName) || !f.closed {
			t.Errorf("call %d fails: OpenTables = %v, closed %v, want ErrUnavailable that names the store",
				at, err, f.closed)
		}
	}
	if steps < 2 {
		t.Errorf("a later start makes %d calls, want at least two", steps)
	}
	wantUnchanged(t, db, before)
}

// A claim that is not what a service wrote ends the start, and nothing is changed.
func TestBrokenClaim(t *testing.T) {
	db, s := newStore(t), settings(t)
	tables, _ := tablesOf(db)
	start(t, s, tables).Close()
	ring := ringOf(t, s)
	tb := db.Table("chatconf", file.TableOptions{})
	items, err := tb.Get(t.Context(), claimKey)
	if err != nil || len(items) != 1 {
		t.Fatalf("the claim: %v, %v", items, err)
	}
	good := items[0].Value
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)-1] ^= 1
	elsewhere, err := ring.Seal(seal.Place{Account: "service", Region: "service", Name: "another", Field: "claim"},
		[]byte("keyring"))
	if err != nil {
		t.Fatal(err)
	}
	const notTheOne = "key ring is not the one"
	for name, claim := range map[string]struct {
		value    []byte
		revision int64
		says     string
	}{
		"empty":                       {nil, 2, notTheOne},
		"text":                        {[]byte(planted), 2, notTheOne},
		"cut short":                   {good[:len(good)-1], 2, notTheOne},
		"one bit other":               {flipped, 1, notTheOne},
		"sealed for another place":    {elsewhere, 2, notTheOne},
		"from before all revisions":   {good, 0, "revision 0"},
		"of a revision still to come": {good, 3, "revision 3"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tb.Write(t.Context(), claimKey.Partition,
				table.Change{Puts: []table.Put{{Sort: claimKey.Sort, Value: claim.value, Revision: claim.revision}}})
			if err != nil {
				t.Fatal(err)
			}
			before := contents(t, db)
			tables, _ := tablesOf(db)
			err = turnedAway(t, s, tables)
			if !strings.Contains(err.Error(), claim.says) || !strings.Contains(err.Error(), storeName) ||
				strings.Contains(err.Error(), planted) {
				t.Errorf("OpenTables = %v, want an error that says %q of %s", err, claim.says, storeName)
			}
			wantUnchanged(t, db, before)
		})
	}
	t.Run("gone when it is looked at", func(t *testing.T) {
		tables, f := tablesOf(db)
		if err := tb.Write(t.Context(), claimKey.Partition,
			table.Change{Deletes: []table.Delete{{Sort: claimKey.Sort}}}); err != nil {
			t.Fatal(err)
		}
		f.at = 2 // the claim, which another has put meanwhile
		f.instead = func(bool) error { return &table.ConditionError{Key: claimKey, If: table.Absent()} }
		if err := turnedAway(t, s, tables); !strings.Contains(err.Error(), "has vanished") {
			t.Errorf("OpenTables = %v, want an error that says that it has vanished", err)
		}
	})
}

// An access key of the settings that an earlier start has stored with another secret is not said to
// be the one in the key file.
func TestFirstKeyWithAnotherSecret(t *testing.T) {
	db, s := newStore(t), settings(t)
	s.AccessKeyID, s.AccessKeySecret = "mine", planted
	tables, f := tablesOf(db)
	f.at = 8 // the claim is to be settled
	turnedAway(t, s, tables)
	before := contents(t, db)

	changed := s
	changed.AccessKeySecret = "another-secret-of-the-same-key"
	tables, _ = tablesOf(db)
	err := turnedAway(t, changed, tables)
	for _, part := range []string{"mine", "another secret", "access-key.json"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("OpenTables = %v, want %q in it", err, part)
		}
	}
	if strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), changed.AccessKeySecret.Reveal()) {
		t.Errorf("the error shows a secret: %v", err)
	}
	wantUnchanged(t, db, before)
	tables, f = tablesOf(db)
	f.at = 6 // the key is looked at
	if err := turnedAway(t, s, tables); err == nil {
		t.Error("a key that cannot be looked at: no error")
	}
	tables, _ = tablesOf(db)
	wantSettled(t, s, start(t, s, tables))
}

// A directory in which nothing can be written ends the start before the tables are touched.
func TestDataDirectoryThatIsAFile(t *testing.T) {
	db, s := newStore(t), settings(t)
	if err := os.WriteFile(s.Data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tables, f := tablesOf(db)
	turnedAway(t, s, tables)
	if f.calls > 0 || len(contents(t, db)) > 0 {
		t.Errorf("%d calls were made", f.calls)
	}
}

// A process ends in time though the journal's table hangs.
func TestCloseDoesNotWaitForAJournalThatHangs(t *testing.T) {
	tables, _ := tablesOf(newStore(t))
	tables.Journal = hung{}
	l, err := app.OpenTables(t.Context(), settings(t), tables, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		l.Journal.NoteLater(t.Context(), command.Ref{Account: "1", Region: "r-1", Name: fmt.Sprint("n", i)},
			journal.Note{Counter: journal.CountIgnored})
	}
	began := time.Now()
	l.Close()
	if took := time.Since(began); took > 2*time.Second { // 250 ms, on a machine that is not busy
		t.Errorf("Close took %v", took)
	}
}

// A hung table answers nothing until the context ends.
type hung struct{}

func (hung) Get(ctx context.Context, _ ...table.Key) ([]table.Item, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hung) Query(ctx context.Context, _ table.Range) ([]table.Item, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hung) Write(ctx context.Context, _ string, _ table.Change) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hung) Close() error { return nil }

// A disk that is full, or read-only, takes no write. A later start needs none: it serves reads, and
// what would change something is refused as something that may succeed later.
func TestStartOnTablesThatTakeNoWrite(t *testing.T) {
	db, s := newStore(t), settings(t)
	full := func() app.Tables {
		tables, _ := tablesOf(db)
		tables.Configurations = noWrites{tables.Configurations}
		tables.Tickets = noWrites{tables.Tickets}
		return tables
	}
	if l, err := app.OpenTables(t.Context(), s, full(), app.Actions(rpc.Actions()...)); err == nil ||
		!strings.Contains(err.Error(), "no space left") {
		l.Close()
		t.Fatalf("a first start: %v", err)
	}
	tables, _ := tablesOf(db)
	l := start(t, s, tables)
	create := func(l *app.Local, name string) error {
		_, err := l.Service.Create(administrator(t, s), &chat.CreateRequest{Name: name,
			Type: "Slack", Configuration: slackSettings})
		return err
	}
	if err := create(l, "one"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	before := contents(t, db)
	l = start(t, s, full())
	if out, err := l.Service.Get(administrator(t, s), &chat.GetRequest{Name: "one"}); err != nil ||
		out.ChatConfiguration.Name != "one" {
		t.Errorf("Get = %+v, %v", out, err)
	}
	if err := create(l, "two"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Create = %v, want Unavailable", err)
	}
	l.Close()
	wantUnchanged(t, db, before)
}

const slackSettings = `{"SlackSigningSecret":"not-a-real-secret-not-a-real-secret"}`

// administrator returns a context in which the administrator of a service calls.
func administrator(t *testing.T, s app.Settings) context.Context {
	return chat.WithCaller(t.Context(), &chat.Caller{Account: s.AccountID, AccessKeyID: "CCKadmin",
		Policies: []*policy.Policy{policy.Administrator()}})
}

// noWrites is a table on a disk that is full.
type noWrites struct{ table.Table }

func (noWrites) Write(context.Context, string, table.Change) error {
	return fmt.Errorf("%w: write: no space left on device", table.ErrUnavailable)
}
