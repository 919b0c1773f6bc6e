package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// ringIn returns the ring in a file.
func ringIn(t *testing.T, path string) *seal.Ring {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(text))
}

func TestTheRingOfALocalServiceIsRotated(t *testing.T) {
	for _, running := range []bool{false, true} {
		data := newData(t)
		path := filepath.Join(data, app.KeyRingFile)
		old := ringIn(t, path).Current()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out := mustRun(t, "keyring", "rotate", "--data", data, "--id", "new"); !lineHas(out, path, "new") ||
			!lineHas(out, "chatconf keyring reseal") {
			t.Errorf("rotate prints %s", out)
		}
		if got, want := ringIn(t, path).IDs(), []string{"new", old}; !slices.Equal(got, want) {
			t.Errorf("the ring has %q, want %q", got, want)
		}
		for _, name := range []string{path, path + ".previous"} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		if kept, err := os.ReadFile(path + ".previous"); err != nil || string(kept) != string(before) {
			t.Errorf("the ring before was not kept: %v", err)
		}
		if running {
			listens(t, data, newService(t, data, slices.Concat(rpc.KeyActions(), rpc.ResealActions())...))
		}
		// The first access key and the claim.
		if out := mustRun(t, "keyring", "reseal", "--data", data); !lineHas(out, "2 of 2 items", "new") ||
			!lineHas(out, "new", "2") || !lineHas(out, old, "0") {
			t.Errorf("reseal prints %s", out)
		}
		if out := mustRun(t, "keyring", "reseal", "--data", data, "--restart"); !lineHas(out, "0 of 2 items") {
			t.Errorf("a second reseal prints %s", out)
		}
		if ids := ringIn(t, path).IDs(); running {
			// A service that has not read the ring since then.
			if err := rotateRing(io.Discard, path, "newer"); err != nil {
				t.Fatal(err)
			}
			if _, err := run(t, "", "keyring", "reseal", "--data", data); err == nil ||
				!strings.Contains(err.Error(), "still encrypts with the key new") ||
				!strings.Contains(err.Error(), "has the current key newer; restart the service") {
				t.Errorf("reseal before the restart = %v", err)
			}
			mustRun(t, "keyring", "retire", "newer", "--data", data)
			if got := ringIn(t, path).IDs(); !slices.Equal(got, ids) {
				t.Errorf("the ring has %q, want %q", got, ids)
			}
		}
		if _, err := run(t, "", "keyring", "retire", "new", "--data", data); err == nil ||
			!strings.Contains(err.Error(), "still encrypts with the key new") {
			t.Errorf("retire of the current key = %v", err)
		}
		if out := mustRun(t, "keyring", "retire", old, "--data", data); !lineHas(out, path, old) {
			t.Errorf("retire prints %s", out)
		}
		if got := ringIn(t, path).IDs(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("the ring has %q, want the new key alone", got)
		}
		if _, err := os.Stat(path + ".previous"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the ring before is still there: %v", err)
		}
		if !running { // with the new key alone
			mustRun(t, "keys", "list", "--data", data)
		}
	}
}

// A ring that is rotated while its old key is retired keeps its new key.
func TestARingThatChangesMeanwhileIsNotWritten(t *testing.T) {
	data := newData(t)
	path := filepath.Join(data, app.KeyRingFile)
	old := ringIn(t, path).Current()
	mustRun(t, "keyring", "rotate", "--data", data, "--id", "new")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mustRun(t, "keyring", "rotate", "--data", data, "--id", "newer")
		io.WriteString(w, `{"Key":"new","Done":true,"Keys":[{"Id":"new","Uses":2},{"Id":"`+old+`","Uses":0}]}`)
	}))
	defer s.Close()
	if _, err := run(t, "", "keyring", "retire", old, "--data", data, "--endpoint", s.URL); err == nil ||
		!strings.Contains(err.Error(), "has changed meanwhile") {
		t.Errorf("retire = %v", err)
	}
	if got, want := ringIn(t, path).IDs(), []string{"newer", "new", old}; !slices.Equal(got, want) {
		t.Errorf("the ring has %q, want %q", got, want)
	}
}

// Functions get their rings one by one: add, promote and retire print the next ring.
func TestTheRingOfFunctionsIsRotated(t *testing.T) {
	data := newData(t)
	dir := t.TempDir()
	file := func(n string) string { return filepath.Join(dir, n) }
	text, err := os.ReadFile(filepath.Join(data, app.KeyRingFile))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("1"), text)
	old := ringIn(t, file("1")).Current()
	deploy := func(name string) { t.Setenv("CHATCONF_KEYRING", "file:"+file(name)) }
	mustRun(t, "keyring", "add", "--last", file("1"), "--id", "new", "--out", file("2"))
	if got := ringIn(t, file("2")).IDs(); !slices.Equal(got, []string{old, "new"}) {
		t.Errorf("add --last makes %q", got)
	}
	deploy("2")
	mustRun(t, "keyring", "promote", "new", file("2"), "--out", file("3"))
	if got := ringIn(t, file("3")).IDs(); !slices.Equal(got, []string{"new", old}) {
		t.Errorf("promote makes %q", got)
	}
	if _, err := run(t, "", "keyring", "retire", old, file("3"), "--data", data, "--out", file("4")); err == nil ||
		!strings.Contains(err.Error(), "still encrypts with the key "+old) {
		t.Errorf("retire before the promoted ring is deployed = %v", err)
	}
	deploy("3")
	mustRun(t, "keyring", "retire", old, file("3"), "--data", data, "--out", file("4"))
	if got := ringIn(t, file("4")).IDs(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("retire makes %q", got)
	}
	deploy("4")
	mustRun(t, "keys", "list", "--data", data)
	if _, err := os.Stat(file("3")); err != nil {
		t.Errorf("retire to another file changed its own: %v", err)
	}
}

// An item is left that needs the key.
func TestAKeyInUseIsNotRetired(t *testing.T) {
	data := newData(t)
	path := filepath.Join(data, app.KeyRingFile)
	both := filepath.Join(t.TempDir(), "both.json")
	mustRun(t, "keyring", "add", "--last", path, "--id", "lost", "--out", both)
	lost, err := os.ReadFile(both)
	if err != nil {
		t.Fatal(err)
	}
	_, keys, err := splitRing(lost)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := makeRing(keys[1:])
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := parsed(t, string(alone)).Seal(seal.Place{Account: "keys"}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := file.Open(filepath.Join(data, app.TableFile), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Table(app.DefaultKeys, file.TableOptions{}).Write(t.Context(), "keys",
		table.Change{Puts: []table.Put{{Sort: "k#left", Value: sealed}}})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "", "keyring", "retire", "lost", both, "--data", data); err == nil || out != "" ||
		!strings.Contains(err.Error(), "1 values are still encrypted with the key lost") {
		t.Errorf("retire of a key in use = %q, %v", out, err)
	}
	// With the key in its ring, the service opens the item, which is not one that it has made.
	t.Setenv("CHATCONF_KEYRING", "file:"+both)
	if out, err := run(t, "", "keyring", "retire", "lost", both, "--data", data); err == nil || out != "" ||
		!strings.Contains(err.Error(), "1 items cannot be read") {
		t.Errorf("retire with an unreadable item = %q, %v", out, err)
	}
	if out, err := run(t, "", "keyring", "reseal", "--data", data); err == nil || !lineHas(out, "VALUES") ||
		!strings.Contains(err.Error(), "1 items cannot be read") {
		t.Errorf("reseal with an unreadable item = %q, %v", out, err)
	}
}

func TestWhichKeysMayBeRetired(t *testing.T) {
	ring := []byte(mustRun(t, "keyring", "new", "--id", "new"))
	for _, test := range []struct {
		name string
		at   chat.ResealSecretsResponse
		want string
	}{
		{"nothing uses it", chat.ResealSecretsResponse{Key: "new", Keys: []chat.SealingKey{{Id: "new", Uses: 9},
			{Id: "old"}}}, ""},
		{"it is current", chat.ResealSecretsResponse{Key: "old"}, "still encrypts with the key old"},
		{"it is in use", chat.ResealSecretsResponse{Key: "new", Keys: []chat.SealingKey{{Id: "old", Uses: 7}}},
			"7 values are still encrypted with the key old"},
		{"another ring", chat.ResealSecretsResponse{Key: "other"}, "the ring has new"},
		{"a key is missing", chat.ResealSecretsResponse{Key: "new", Keys: []chat.SealingKey{{Id: "gone", Uses: 3}}},
			"3 values are encrypted with the key gone, which is not in this ring"},
		{"an item is unreadable", chat.ResealSecretsResponse{Key: "new", Unreadable: 2}, "2 items cannot be read"},
	} {
		err := mayRetire(&test.at, "old", ring)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if err := mayRetire(&chat.ResealSecretsResponse{Key: "new"}, "old", nil); err == nil {
		t.Error("without a ring: no error")
	}
}

func TestWalkEndsWithItsError(t *testing.T) {
	want := errors.New("refused")
	n := 0
	step := func(_ context.Context, restart bool) (*chat.ResealSecretsResponse, error) {
		if n++; restart != (n == 1) {
			t.Errorf("step %d: restart %v", n, restart)
		}
		if n == 3 {
			return nil, want
		}
		return &chat.ResealSecretsResponse{}, nil
	}
	if _, err := walk(t.Context(), step, true, io.Discard); !errors.Is(err, want) {
		t.Errorf("walk = %v, want %v", err, want)
	}
}

func TestKeyRingMistakes(t *testing.T) {
	data := newData(t)
	path := filepath.Join(data, app.KeyRingFile)
	old := ringIn(t, path).Current()
	bad := filepath.Join(t.TempDir(), "bad.json")
	writeFile(t, bad, []byte(`{"keys":"not-a-real-secret"}`))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"rotate", path, "more"}, "arg"},
		{[]string{"rotate", path + ".none"}, "there is no key ring"},
		{[]string{"rotate", path, "--id", "/"}, "--id"},
		{[]string{"rotate", path, "--id", old}, "same id"},
		{[]string{"rotate", bad}, "keys"},
		{[]string{"promote", "none", path}, "its keys are " + old},
		{[]string{"promote", "none", path + ".none"}, "no such file"},
		{[]string{"promote", "none", bad}, "keys"},
		{[]string{"retire", old, "--data", data}, "the only one"},
		{[]string{"retire", "none", path}, "its keys are " + old},
		{[]string{"retire", "none", path + ".none"}, "no such file"},
		{[]string{"retire", "none", "--out", path, "--data", data}, "--out needs FILE"},
		{[]string{"retire"}, "arg"},
	} {
		out, err := run(t, "", append([]string{"keyring"}, test.args...)...)
		if !isUsage(err) || out != "" || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "not-a-real-secret") {
			t.Errorf("keyring %q = %q, %v, want a usage error with %q", test.args, out, err, test.want)
		}
	}
	if got := ringIn(t, path).IDs(); !slices.Equal(got, []string{old}) {
		t.Errorf("a mistake changed the ring to %q", got)
	}
	t.Setenv("CHATCONF_KEYRING", "kms:AAAA")
	if _, err := run(t, "", "keyring", "rotate"); !isUsage(err) || !strings.Contains(err.Error(), "FILE") {
		t.Errorf("rotate with the ring in the settings = %v", err)
	}
}

// The same directly in the tables of both clouds.
func TestTheRingOfAStoreIsRotated(t *testing.T) {
	for store, on := range map[string]func(*testing.T){
		storeTablestore: func(t *testing.T) { onEmulator(t) }, storeDynamoDB: onDynamo,
	} {
		t.Run(store, func(t *testing.T) {
			on(t)
			dir := t.TempDir()
			data := filepath.Join(dir, "data")
			file := func(n string) string { return filepath.Join(dir, n) }
			deploy := func(name string) { t.Setenv("CHATCONF_KEYRING", "file:"+file(name)) }
			mustRun(t, "keyring", "new", "--id", "old", "--out", file("1"))
			deploy("1")
			mustRun(t, "tables", "--target", map[string]string{storeTablestore: "fc", storeDynamoDB: "lambda"}[store])
			mustRun(t, "keyring", "claim", "--store", store, "--data", data)
			mustRun(t, "keyring", "add", file("1"), "--id", "new", "--out", file("2"))
			deploy("2")
			err := withStore(t.Context(), store, mustSettings(t, data), func(l *app.Local, s app.Settings) error {
				ctx := chat.WithCaller(t.Context(), &chat.Caller{Account: s.AccountID, Name: "test",
					Policies: []*policy.Policy{policy.Owner()}})
				for _, region := range []string{"cn-hangzhou", "eu-central-1"} {
					if _, err := l.Service.Create(ctx, &chat.CreateRequest{RegionID: region, Name: "ops", Type: "Slack",
						Configuration: `{"SlackSigningSecret":"not-a-real-secret"}`}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			// In two regions a configuration and its revision, which have two secrets each and are
			// current; the access key and the claim.
			out := mustRun(t, "keyring", "reseal", "--store", store, "--data", data)
			if !lineHas(out, "2 of 6 items", "new") || !lineHas(out, "new", "10") || !lineHas(out, "old", "0") {
				t.Errorf("reseal prints %s", out)
			}
			mustRun(t, "keyring", "retire", "old", file("2"), "--out", file("3"), "--store", store, "--data", data)
			deploy("3")
			if out := mustRun(t, "keys", "list", "--store", store, "--data", data); !lineHas(out, "administrator") {
				t.Errorf("with the new key alone, the keys are %s", out)
			}
		})
	}
}

func mustSettings(t *testing.T, data string) app.Settings {
	t.Helper()
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}
