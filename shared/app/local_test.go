package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func settings(t *testing.T) app.Settings {
	t.Helper()
	s, err := app.ReadSettings(env(map[string]string{"CHATCONF_DATA": filepath.Join(t.TempDir(), "data")}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, s app.Settings) *app.Local {
	t.Helper()
	l, err := app.OpenLocal(t.Context(), s, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatalf("OpenLocal: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// refused reports the error of an open that must fail, and that the file is let go of.
func refused(t *testing.T, s app.Settings) error {
	t.Helper()
	l, err := app.OpenLocal(t.Context(), s, app.Actions(rpc.Actions()...))
	if err == nil {
		l.Close()
		t.Fatal("OpenLocal: no error")
	}
	return err
}

func keys(t *testing.T, l *app.Local) []string {
	t.Helper()
	list, err := l.Keys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range list {
		ids = append(ids, k.ID)
	}
	return ids
}

func readKey(t *testing.T, s app.Settings) app.AccessKey {
	t.Helper()
	key, err := app.ReadAccessKey(s.Data)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func caller(ctx context.Context) context.Context {
	return chat.WithCaller(ctx, &chat.Caller{Account: app.DefaultAccountID, Name: "test",
		Policies: []*policy.Policy{policy.Administrator()}})
}

func TestFirstAndSecondStart(t *testing.T) {
	s := settings(t)
	l := open(t, s)
	key := readKey(t, s)
	if !l.First || l.AccessKeyID != key.ID || len(key.Secret.Reveal()) < 40 {
		t.Errorf("first start: %+v, key %q", l, key.ID)
	}
	stored, err := l.Keys.Find(t.Context(), key.ID)
	if err != nil || stored.Secret.Reveal() != key.Secret.Reveal() || !stored.Active || stored.Account != s.AccountID {
		t.Errorf("stored key: %+v, %v", stored, err)
	}
	_, err = l.Service.Create(caller(t.Context()), &chat.CreateRequest{Name: "ops", Type: "Slack",
		Configuration: `{"SlackSigningSecret":"not-a-real-secret"}`})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "chatconf.db", "keyring.json", "access-key.json"} {
		info, err := os.Stat(filepath.Join(s.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		want := fs.FileMode(0o600)
		if name == "" {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %q = %o, want %o", name, got, want)
		}
	}
	entries, err := os.ReadDir(s.Data)
	if err != nil || len(entries) != 3 {
		t.Errorf("the directory holds %v, want three files and no leavings: %v", entries, err)
	}
	if err := refused(t, s); !errors.Is(err, bolt.ErrInUse) {
		t.Errorf("a second process: %v, want ErrInUse", err)
	}
	before := map[string]string{}
	for _, name := range []string{"keyring.json", "access-key.json"} {
		text, _ := os.ReadFile(filepath.Join(s.Data, name))
		before[name] = string(text)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	s.AccessKeyID, s.AccessKeySecret = "too-late", planted // only counts at the first start
	l = open(t, s)
	if l.First || l.AccessKeyID != key.ID || !slices.Equal(keys(t, l), []string{key.ID}) {
		t.Errorf("second start: %+v, keys %v", l, keys(t, l))
	}
	for name, want := range before {
		if text, _ := os.ReadFile(filepath.Join(s.Data, name)); string(text) != want {
			t.Errorf("the second start changed %s", name)
		}
	}
	if out, err := l.Service.Get(caller(t.Context()), &chat.GetRequest{Name: "ops"}); err != nil ||
		!strings.Contains(out.ChatConfiguration.Outputs, "/ops/") {
		t.Errorf("Get after the second start: %v, %v", out, err)
	}
}

func TestFirstKeyFromTheSettings(t *testing.T) {
	s := settings(t)
	s.AccessKeyID, s.AccessKeySecret = "mine", planted
	l := open(t, s)
	if key := readKey(t, s); key.ID != "mine" || key.Secret.Reveal() != planted ||
		!slices.Equal(keys(t, l), []string{"mine"}) {
		t.Errorf("key file: %v, keys: %v", key.ID, keys(t, l))
	}
	for _, bad := range []app.Settings{{AccessKeyID: "short", AccessKeySecret: "PLANTED"},
		{AccessKeyID: "no slash/", AccessKeySecret: planted}} {
		s := settings(t)
		s.AccessKeyID, s.AccessKeySecret = bad.AccessKeyID, bad.AccessKeySecret
		err := refused(t, s)
		if strings.Contains(err.Error(), "PLANTED") {
			t.Errorf("the error shows the secret: %v", err)
		}
		if _, err := app.ReadAccessKey(s.Data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key that was refused lies in the key file: %v", err)
		}
		s.AccessKeyID, s.AccessKeySecret = "good", planted
		if l := open(t, s); !l.First { // what was half begun is finished
			t.Error("the next start is not the first")
		}
	}
}

// A first start that was cut short at any step is finished by the next, with what is there already.
func TestStartThatWasCutShort(t *testing.T) {
	whole := settings(t)
	l := open(t, whole)
	l.Close()
	key := readKey(t, whole)
	copyTo := func(t *testing.T, s app.Settings, names ...string) {
		t.Helper()
		if err := os.MkdirAll(s.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(whole.Data, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(s.Data, name), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, files := range map[string][]string{
		"nothing":               nil,
		"the key ring":          {"keyring.json"},
		"key ring and key file": {"keyring.json", "access-key.json"},
		"the key file alone":    {"access-key.json"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			copyTo(t, s, files...)
			l := open(t, s)
			got := readKey(t, s)
			if !l.First || !slices.Equal(keys(t, l), []string{got.ID}) || l.AccessKeyID != got.ID {
				t.Errorf("start: %+v, keys %v", l, keys(t, l))
			}
			if had := slices.Contains(files, "access-key.json"); (got.ID == key.ID &&
				got.Secret.Reveal() == key.Secret.Reveal()) != had {
				t.Errorf("the key that was there is used: %v, want %v", !had, had)
			}
			for _, file := range files {
				a, _ := os.ReadFile(filepath.Join(whole.Data, file))
				b, _ := os.ReadFile(filepath.Join(s.Data, file))
				if string(a) != string(b) {
					t.Errorf("%s was changed", file)
				}
			}
			if stored, err := l.Keys.Find(t.Context(), got.ID); err != nil ||
				stored.Secret.Reveal() != got.Secret.Reveal() {
				t.Errorf("the key file does not hold the stored key: %v", err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l = open(t, s); l.First {
				t.Error("the next start is the first again")
			}
		})
	}
	t.Run("the table alone", func(t *testing.T) {
		s := settings(t)
		copyTo(t, s, "chatconf.db")
		err := refused(t, s)
		for _, part := range []string{"keyring.json", "put it back", "CHATCONF_KEYRING"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error does not say %q: %v", part, err)
			}
		}
		if _, err := os.Stat(filepath.Join(s.Data, "keyring.json")); err == nil {
			t.Error("a new key ring was made, which opens nothing")
		}
		copyTo(t, s, "keyring.json")
		if l := open(t, s); l.First || l.AccessKeyID != "" {
			t.Errorf("with the key ring back: %+v", l)
		}
	})
}

func TestBrokenFilesAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ file, text string }{
		"a key ring that is no JSON":  {"keyring.json", planted},
		"a key ring with a bad key":   {"keyring.json", `{"keys":[{"id":"a","key":"` + planted + `"}]}`},
		"an empty key ring":           {"keyring.json", ``},
		"a key file that is no JSON":  {"access-key.json", planted},
		"a key file without a secret": {"access-key.json", `{"AccessKeyId":"` + planted + `"}`},
		"a foreign table file":        {"chatconf.db", planted},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			l := open(t, s)
			l.Close()
			path := filepath.Join(s.Data, test.file)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := refused(t, s)
			if !strings.Contains(err.Error(), test.file) || strings.Contains(err.Error(), planted) {
				t.Errorf("error = %v, want one that names %s and nothing of what it holds", err, test.file)
			}
			if text, _ := os.ReadFile(path); string(text) != test.text {
				t.Error("the file was changed")
			}
		})
	}
}

func TestKeyRingFromTheSettings(t *testing.T) {
	text, err := seal.GenerateRing("test")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ring")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ring := range []string{string(text), "file:" + path} {
		s := settings(t)
		s.KeyRing = secret.Text(ring)
		l := open(t, s)
		if _, err := os.Stat(filepath.Join(s.Data, "keyring.json")); err == nil {
			t.Error("a key ring of its own was made")
		}
		l.Close()
		l = open(t, s)
		if _, err := l.Keys.Find(t.Context(), l.AccessKeyID); err != nil {
			t.Errorf("the key cannot be opened with the same ring: %v", err)
		}
		l.Close()
	}
	for _, ring := range []string{planted, "file:" + path + ".missing", "{}", `{"keys":[]}`, "kms:AAAA"} {
		s := settings(t)
		s.KeyRing = secret.Text(ring)
		if err := refused(t, s); !strings.Contains(err.Error(), "CHATCONF_KEYRING") ||
			strings.Contains(err.Error(), planted) {
			t.Errorf("ring %q: %v", ring, err)
		}
	}
}

// What was asked of a bot is kept for 90 days, or as many as the settings say, and no longer.
func TestTheJournalIsTrimmed(t *testing.T) {
	for days, kept := range map[string]time.Duration{"": 90 * 24 * time.Hour, "3": 3 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s, err := app.ReadSettings(env(map[string]string{"CHATCONF_DATA": filepath.Join(t.TempDir(), "data"),
				"CHATCONF_JOURNAL_DAYS": days}))
			if err != nil {
				t.Fatal(err)
			}
			l := open(t, s)
			if _, err := l.Service.Create(caller(t.Context()), &chat.CreateRequest{Name: "ops", Type: "Slack",
				Configuration: `{"SlackSigningSecret":"not-a-real-secret"}`}); err != nil {
				t.Fatal(err)
			}
			e, err := l.Service.OpenConfiguration(t.Context(),
				command.Ref{Account: app.DefaultAccountID, Region: s.Region, Name: "ops"})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = l.Journal.Record(t.Context(), e,
				journal.Arrival{Command: command.Command{MessageID: "m1", Name: "restart"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range []struct {
				wait time.Duration
				want int
			}{{kept - time.Minute, 1}, {2 * time.Minute, 0}} {
				time.Sleep(step.wait)
				list, err := l.Service.ListCommands(caller(t.Context()), &chat.ListCommandsRequest{Name: "ops"})
				if err != nil {
					t.Fatal(err)
				}
				if got := len(list.ChatCommands); got != step.want {
					t.Errorf("CHATCONF_JOURNAL_DAYS=%s: %d commands, want %d", days, got, step.want)
				}
			}
		})
	}
}

// A key that was deleted does not come back with the next start.
func TestDeletedKeyStaysDeleted(t *testing.T) {
	s := settings(t)
	l := open(t, s)
	old := readKey(t, s)
	if err := l.Keys.Delete(t.Context(), "", old.ID); err != nil {
		t.Fatal(err)
	}
	if err := app.ForgetAccessKey(s.Data, "another"); err != nil {
		t.Errorf("ForgetAccessKey of another: %v", err)
	}
	if still := readKey(t, s); still.ID != old.ID {
		t.Errorf("ForgetAccessKey of another: the file holds %q", still.ID)
	}
	for range 2 {
		if err := app.ForgetAccessKey(s.Data, old.ID); err != nil {
			t.Errorf("ForgetAccessKey: %v", err)
		}
	}
	l.Close()
	l = open(t, s)
	if ids := keys(t, l); slices.Contains(ids, old.ID) {
		t.Errorf("keys = %v, and %s was deleted", ids, old.ID)
	}
}

func TestServeLocal(t *testing.T) {
	s := settings(t)
	s.Addr = "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	started, done := make(chan app.Started, 1), make(chan error, 1)
	go func() {
		done <- app.ServeLocal(ctx, s, func(st app.Started) { started <- st }, app.Everything(rpc.Actions()...))
	}()
	st := <-started
	if !st.First || st.AccessKeyID != readKey(t, s).ID || st.KeyFile != filepath.Join(s.Data, "access-key.json") {
		t.Errorf("started = %+v", st)
	}
	if got, err := app.ReadEndpoint(s.Data); got != st.Endpoint || err != nil {
		t.Errorf("endpoint file = %q, %v, want %q", got, err, st.Endpoint)
	}
	other := settings(t)
	other.Addr = strings.TrimPrefix(st.Endpoint, "http://")
	if err := app.ServeLocal(t.Context(), other, func(app.Started) { t.Error("started on a port that is taken") },
		app.Everything(rpc.Actions()...)); err == nil {
		t.Error("a port that is taken: no error")
	}
	if _, err := os.Stat(other.Data); err == nil {
		t.Error("a start that failed left a data directory")
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("ServeLocal = %v", err)
	}
	l := open(t, s) // the file was let go of
	if _, err := l.Table.Get(t.Context(), table.Key{Partition: "keys", Sort: "k#" + st.AccessKeyID}); err != nil {
		t.Error(err)
	}
}

// The tables of a store are closed at the end, however early that is.
func TestServeTables(t *testing.T) {
	db := newStore(t)
	s := settings(t)
	s.Addr = "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	tables, f := tablesOf(db)
	started, done := make(chan app.Started, 1), make(chan error, 1)
	go func() {
		done <- app.ServeTables(ctx, s, tables, func(st app.Started) { started <- st },
			app.Everything(rpc.Actions()...))
	}()
	st := <-started
	if !st.First || st.AccessKeyID != readKey(t, s).ID {
		t.Errorf("started = %+v", st)
	}
	taken := settings(t)
	taken.Addr = strings.TrimPrefix(st.Endpoint, "http://")
	for why, bad := range map[string]app.Settings{"a port that is taken": taken, "another key ring": settings(t)} {
		if bad.Addr != taken.Addr {
			bad.Addr = s.Addr
		}
		tables, f := tablesOf(db)
		if err := app.ServeTables(t.Context(), bad, tables, func(app.Started) { t.Errorf("started with %s", why) },
			app.Everything(rpc.Actions()...)); err == nil || !f.closed {
			t.Errorf("%s: ServeTables = %v, closed %v, want an error and closed tables", why, err, f.closed)
		}
		if _, err := tables.Tickets.Get(t.Context(), claimKey); !errors.Is(err, table.ErrClosed) {
			t.Errorf("%s: the ticket table is open: %v", why, err)
		}
	}
	stop()
	if err := <-done; err != nil || !f.closed {
		t.Errorf("ServeTables = %v, closed %v", err, f.closed)
	}
	if _, err := tables.Tickets.Get(t.Context(), claimKey); !errors.Is(err, table.ErrClosed) {
		t.Errorf("the ticket table is open: %v", err)
	}
}

func TestReadAccessKey(t *testing.T) {
	data := t.TempDir()
	if _, err := app.ReadAccessKey(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want ErrNotExist", err)
	}
	text, err := json.Marshal(map[string]string{"AccessKeyId": "a", "AccessKeySecret": planted})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "access-key.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := app.ReadAccessKey(data); err != nil || key.ID != "a" || key.Secret.Reveal() != planted {
		t.Errorf("ReadAccessKey = %v, %v", key.ID, err)
	}
}

// A key ring, roots and an access key that cannot be used are told together, and nothing is made.
func TestFilesThatCannotBeUsed(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s, err := app.ReadSettings(env(map[string]string{"CHATCONF_DATA": data, "CHATCONF_KEYRING": "file:" + data +
		"/none.json", "CHATCONF_ROOTS": data + "/none.pem",
		"CHATCONF_ACCESS_KEY_ID": "a b", "CHATCONF_ACCESS_KEY_SECRET": planted}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.OpenLocal(t.Context(), s, app.Actions())
	for _, name := range []string{"CHATCONF_KEYRING: ", "CHATCONF_ROOTS: ", "CHATCONF_ACCESS_KEY_ID, "} {
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), planted) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data directory was made")
	}
}

// A file that others may read was not written by a service. A checkout of a repository has such
// files.
func TestAnEndpointOfAnotherProgramIsRefused(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, "endpoint")
	if _, err := app.ReadEndpoint(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadEndpoint without a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("http://127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := app.ReadEndpoint(data); got != "http://127.0.0.1:1" || err != nil {
		t.Errorf("ReadEndpoint = %q, %v", got, err)
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o620, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got, err := app.ReadEndpoint(data)
		if got != "" || err == nil || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), "--endpoint") {
			t.Errorf("ReadEndpoint of a file with the mode %#o = %q, %v", mode, got, err)
		}
	}
}

// The file that says where the service listens is a convenience: where it cannot be written, the
// service serves.
func TestServeWithoutItsEndpointFile(t *testing.T) {
	s := settings(t)
	open(t, s).Close()
	if err := os.MkdirAll(filepath.Join(s.Data, "endpoint", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Addr = "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	answered := make(chan int, 1)
	err := app.ServeLocal(ctx, s, func(started app.Started) {
		go func() {
			defer stop()
			client := &http.Client{Timeout: 10 * time.Second}
			resp, err := client.Get(started.Endpoint + "/healthz")
			if err != nil {
				t.Error(err)
				answered <- 0
				return
			}
			resp.Body.Close()
			answered <- resp.StatusCode
		}()
	}, app.Everything(rpc.Actions()...))
	if status := <-answered; err != nil || status != http.StatusOK {
		t.Errorf("ServeLocal = %v, /healthz answers %d", err, status)
	}
}
