package accesskey_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestAccessKeyIsFoundAsItWasCreated(t *testing.T) {
	l := chattest.NewLocksmith(t)
	for _, key := range []accesskey.Key{
		chattest.SomeKey(),
		chattest.SomeKey(func(k *accesskey.Key) {
			k.ID, k.Secret = "LTAI.5t-_",
				secret.Text(strings.Repeat("\x00é", 85))
		}),
		chattest.SomeKey(func(k *accesskey.Key) {
			k.ID, k.Secret, k.Name = strings.Repeat("k", 128), "8 bytes.", strings.Repeat("名", 128)
		}),
		chattest.SomeKey(func(k *accesskey.Key) {
			k.ID, k.Policies = "two", []*policy.Policy{policy.Administrator(), policy.ReadOnly()}
		}),
	} {
		made := l.MustCreate(key)
		want := key
		want.Active, want.Created = true, time.Date(2026, 11, 23, 8, 0, 0, 123000000, time.UTC)
		for about, got := range map[string]*accesskey.Key{"Create": made, "Find": l.MustFind(key.ID),
			"Find again": l.MustFind(key.ID)} {
			got := *got
			if len(got.Policies) != len(want.Policies) {
				t.Fatalf("%s: %d policies, want %d", about, len(got.Policies), len(want.Policies))
			}
			for i := range got.Policies {
				chattest.Equal(t, about+": policy", got.Policies[i].String(), want.Policies[i].String())
			}
			got.Policies = want.Policies
			if got.Secret.Reveal() != want.Secret.Reveal() || got.ID != want.ID || got.Account != want.Account ||
				got.Name != want.Name || !got.Active || !got.Created.Equal(want.Created) {
				t.Errorf("%s = %+v, want %+v", about, got, want)
			}
		}
		_, err := l.Create(t.Context(), key)
		chattest.WantError(t, "Create of the same id", err, fault.AlreadyExists,
			"AccessKeyId", key.ID[:min(len(key.ID), 50)])
	}
	for _, item := range l.Dump() {
		if strings.Contains(string(item.Value), chattest.Planted) {
			t.Errorf("item %q holds a secret: %s", item.Sort, item.Value)
		}
	}
}

// setActive enables or disables a key.
func setActive(ctx context.Context, k *accesskey.Store, id string, active bool) error {
	_, err := k.Update(ctx, "", id, accesskey.Change{Active: &active})
	return err
}

func TestAccessKeyThatIsDrawn(t *testing.T) {
	seen := make(map[string]bool)
	for range 20 {
		id, secret, err := accesskey.Draw(rand.Reader)
		if err != nil || len(id) != 23 || !strings.HasPrefix(id, "CCK") || len(secret.Reveal()) != 40 {
			t.Errorf("drew %q with a secret of %d, %v", id, len(secret.Reveal()), err)
		}
		seen[id], seen[secret.Reveal()] = true, true
	}
	if len(seen) != 40 {
		t.Errorf("%d different ids and secrets of 40", len(seen))
	}
	_, _, err := accesskey.Draw(iotest.ErrReader(errors.New("planted")))
	chattest.WantError(t, "Draw without randomness", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
}

func TestAccessKeyIsRefused(t *testing.T) {
	l := chattest.NewLocksmith(t)
	for _, c := range []struct {
		about string
		edit  func(*accesskey.Key)
		code  fault.Code
		param string
		texts []string
	}{
		{"no id", func(k *accesskey.Key) { k.ID = "" }, fault.InvalidParameter, "AccessKeyId", []string{`""`}},
		{"an id of 129", func(k *accesskey.Key) { k.ID = strings.Repeat("k", 129) }, fault.InvalidParameter,
			"AccessKeyId", []string{"1 to 128"}},
		{"an id with a separator", func(k *accesskey.Key) { k.ID = "a#b" }, fault.InvalidParameter,
			"AccessKeyId", []string{`"a#b"`}},
		{"no secret", func(k *accesskey.Key) { k.Secret = "" }, fault.InvalidParameter,
			"AccessKeySecret", []string{"0 bytes"}},
		{"a secret of 7", func(k *accesskey.Key) { k.Secret = "planted" }, fault.InvalidParameter, "AccessKeySecret",
			[]string{"7 bytes; use 8 to 256"}},
		{"a secret of 257", func(k *accesskey.Key) { k.Secret = secret.Text(strings.Repeat("s", 257)) },
			fault.InvalidParameter, "AccessKeySecret", nil},
		{"no account", func(k *accesskey.Key) { k.Account = "" }, fault.InvalidParameter, "AccountId", []string{`""`}},
		{"an account with a slash", func(k *accesskey.Key) { k.Account = "1/2" }, fault.InvalidParameter,
			"AccountId", []string{`"1/2"`}},
		{"an account of 33 digits", func(k *accesskey.Key) { k.Account = strings.Repeat("1", 33) },
			fault.InvalidParameter, "AccountId", nil},
		{"no name", func(k *accesskey.Key) { k.Name = "" }, fault.InvalidParameter, "Name", nil},
		{"a name with a newline", func(k *accesskey.Key) { k.Name = "a\nb" },
			fault.InvalidParameter, "Name", []string{`"a\nb"`}},
		{"a name of 129", func(k *accesskey.Key) { k.Name = strings.Repeat("n", 129) },
			fault.InvalidParameter, "Name", nil},
		{"no policy", func(k *accesskey.Key) { k.Policies = nil }, fault.MissingParameter, "Policy", nil},
		{"a policy that was never parsed", func(k *accesskey.Key) { k.Policies = []*policy.Policy{{}} },
			fault.Internal, "", nil},
	} {
		key, err := l.Create(t.Context(), chattest.SomeKey(c.edit))
		chattest.WantError(t, c.about, err, c.code, c.param, c.texts...)
		if key != nil || strings.Contains(fmt.Sprint(err), chattest.Planted) {
			t.Errorf("%s: %v, %v", c.about, key, err)
		}
	}
	if got := l.Dump(); len(got) != 0 {
		t.Errorf("%d keys are stored", len(got))
	}
}

func TestUnknownAccessKey(t *testing.T) {
	l := chattest.NewLocksmith(t)
	for _, id := range []string{"", "CCKnone", "a#b", "\x00", strings.Repeat("k", 129), strings.Repeat("k", 100_000)} {
		_, err := l.Find(t.Context(), id)
		chattest.WantError(t, "Find", err, fault.KeyNotFound, "AccessKeyId")
		if len(fmt.Sprint(err)) > 500 {
			t.Errorf("Find of an id of %d bytes: an error of %d", len(id), len(fmt.Sprint(err)))
		}
		chattest.WantError(t, "SetActive", setActive(t.Context(), l.Store, id, false),
			fault.AccessKeyNotFound, "UserAccessKeyId")
		chattest.WantError(t, "Delete", l.Delete(t.Context(), "", id), fault.AccessKeyNotFound, "UserAccessKeyId")
	}
	if got := l.Cached(); got != 0 {
		t.Errorf("%d keys that are not there are remembered", got)
	}
	// A key that was not there a moment ago is found the moment it is.
	l.MustCreate(chattest.SomeKey(func(k *accesskey.Key) { k.ID = "CCKnone" }))
	l.MustFind("CCKnone")
}

// TestAccessKeyCache holds that a process uses what it read for CacheAge and no longer.
func TestAccessKeyCache(t *testing.T) {
	here := chattest.NewLocksmith(t)
	there := accesskey.New(here.Spy, nil, chattest.NewRing(t, 1), here.Clock.Now)
	here.MustCreate(chattest.SomeKey())
	here.Spy.Reset()
	calls := func(want string) {
		t.Helper()
		chattest.Equal(t, "calls", here.Spy.Took(), want)
	}
	here.MustFind("CCKsome")
	calls("Get")
	here.Clock.Advance(accesskey.CacheAge - time.Nanosecond)
	here.MustFind("CCKsome")
	calls("")
	here.Clock.Advance(time.Nanosecond)
	here.MustFind("CCKsome")
	calls("Get")

	if err := setActive(t.Context(), there, "CCKsome", false); err != nil {
		t.Fatal(err)
	}
	calls("Get Write")
	if !here.MustFind("CCKsome").Active {
		t.Error("a process that read the key a moment ago asked again")
	}
	here.Clock.Advance(accesskey.CacheAge)
	if here.MustFind("CCKsome").Active {
		t.Error("a key that was disabled KeyAge ago is active")
	}
	here.Spy.Reset()
	here.Clock.Advance(-time.Hour)
	here.MustFind("CCKsome")
	calls("Get") // for a clock that goes back must not make a key live for ever

	if err := setActive(t.Context(), here.Store, "CCKsome", true); err != nil {
		t.Fatal(err)
	}
	if !here.MustFind("CCKsome").Active {
		t.Error("the process that enabled the key does not know it")
	}
	if err := here.Delete(t.Context(), "", "CCKsome"); err != nil {
		t.Fatal(err)
	}
	_, err := here.Find(t.Context(), "CCKsome")
	chattest.WantError(t, "Find of a deleted key", err, fault.KeyNotFound, "AccessKeyId", `"CCKsome"`)
	here.MustCreate(chattest.SomeKey())
	if !here.MustFind("CCKsome").Active {
		t.Error("a key that was made again is not active")
	}
}

func TestAccessKeyThatGoesAwayWhileItIsCached(t *testing.T) {
	l := chattest.NewLocksmith(t)
	l.MustCreate(chattest.SomeKey())
	l.MustFind("CCKsome")
	if err := accesskey.New(l.Spy, nil, chattest.NewRing(t, 1), nil).Delete(t.Context(), "", "CCKsome"); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(accesskey.CacheAge)
	_, err := l.Find(t.Context(), "CCKsome")
	chattest.WantError(t, "Find", err, fault.KeyNotFound, "AccessKeyId")
	if got := l.Cached(); got != 0 {
		t.Errorf("%d keys are remembered", got)
	}
}

func TestAccessKeyCacheIsBounded(t *testing.T) {
	l := chattest.NewLocksmith(t)
	l.MustCreate(chattest.SomeKey())
	accesskey.FillCache(l.Store, accesskey.KeyCacheSize)
	l.MustFind("CCKsome")
	if got, want := l.Cached(), accesskey.KeyCacheSize; got != want {
		t.Errorf("%d keys are remembered, want %d", got, want)
	}
	l.Spy.Reset()
	l.MustFind("CCKsome")
	chattest.Equal(t, "calls for the key that came last", l.Spy.Took(), "")
}

func TestListOfAccessKeys(t *testing.T) {
	l := chattest.NewLocksmith(t)
	if keys, err := l.List(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("List of nothing = %v, %v", keys, err)
	}
	var want []string
	for i := range 201 {
		id := fmt.Sprintf("CCK%03d", i)
		want = append(want, id)
		l.MustCreate(chattest.SomeKey(func(k *accesskey.Key) { k.ID = id }))
	}
	if err := setActive(t.Context(), l.Store, "CCK007", false); err != nil {
		t.Fatal(err)
	}
	list, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range list {
		got = append(got, key.ID)
		if key.Secret != "" || key.Account != chattest.Account || key.Name != "some one" || len(key.Policies) != 1 ||
			key.Active == (key.ID == "CCK007") {
			t.Errorf("List shows %+v", key)
		}
	}
	chattest.Equal(t, "ids", got, want)
}

// TestAccessKeyRecordThatIsTampered holds that what somebody put into the table is noticed and told
// to nobody.
func TestAccessKeyRecordThatIsTampered(t *testing.T) {
	for about, edit := range map[string]func(*table.Item){
		"no record":        func(item *table.Item) { item.Value = []byte("planted") },
		"nothing":          func(item *table.Item) { item.Value = nil },
		"another id":       func(item *table.Item) { item.Sort = "k#CCKother" },
		"a malformed id":   func(item *table.Item) { item.Sort = "k#CCK%" },
		"another revision": func(item *table.Item) { item.Revision = 2 },
		"one bit flipped":  func(item *table.Item) { item.Value[len(item.Value)/2] ^= 1 },
		"its end missing":  func(item *table.Item) { item.Value = item.Value[:len(item.Value)-1] },
	} {
		l := chattest.NewLocksmith(t)
		l.MustCreate(chattest.SomeKey())
		item := raw(l, "CCKsome")
		edit(&item)
		put(l, item)
		if id := strings.TrimPrefix(item.Sort, "k#"); id != "CCK%" {
			_, err := l.Find(t.Context(), id)
			chattest.WantError(t, "Find of a record with "+about, err, fault.Internal, "")
			chattest.WantNoDetail(t, err)
			if got := l.Cached(); got != 0 {
				t.Errorf("%s: it is remembered", about)
			}
		}
		list, err := l.List(t.Context())
		chattest.WantError(t, "List of a record with "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
		if list != nil {
			t.Errorf("List of a record with %s = %v with its error", about, list)
		}
	}
}

func TestAccessKeysUnderAnotherRing(t *testing.T) {
	l := chattest.NewLocksmith(t)
	l.MustCreate(chattest.SomeKey())
	if key, err := accesskey.New(l.Spy, nil, chattest.NewRing(t, 2, 1), nil).Find(t.Context(), "CCKsome"); err != nil ||
		key.Secret.Reveal() != "planted-secret" {
		t.Errorf("Find after a rotation: %v", err)
	}
	_, err := accesskey.New(l.Spy, nil, chattest.NewRing(t, 2), nil).Find(t.Context(), "CCKsome")
	chattest.WantError(t, "Find under another ring", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
}

// TestAccessKeyThatIsChangedByTwo has somebody else change the key between read and write.
func TestAccessKeyThatIsChangedByTwo(t *testing.T) {
	for about, do := range map[string]func(*chattest.Locksmith) error{
		"SetActive": func(l *chattest.Locksmith) error { return setActive(t.Context(), l.Store, "CCKsome", false) },
		"Delete":    func(l *chattest.Locksmith) error { return l.Delete(t.Context(), "", "CCKsome") },
	} {
		l := chattest.NewLocksmith(t)
		l.MustCreate(chattest.SomeKey())
		once := false
		l.Spy.OnWrite = func(*table.Change) error {
			if once {
				return nil
			}
			once = true
			return setActive(t.Context(), l.Store, "CCKsome", true)
		}
		chattest.WantError(t, about, do(l), fault.Conflict, "UserAccessKeyId", `"CCKsome"`, "Try again")
	}
}

func TestAccessKeysWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		for action, call := range map[string]func(context.Context, *accesskey.Store) error{
			"Find": func(ctx context.Context, k *accesskey.Store) error {
				_,
					err := k.Find(ctx, "CCKsome")
				return err
			},
			"SetActive": func(ctx context.Context, k *accesskey.Store) error {
				return setActive(ctx,
					k, "CCKsome", false)
			},
			"Delete": func(ctx context.Context, k *accesskey.Store) error { return k.Delete(ctx, "", "CCKsome") },
			"List":   func(ctx context.Context, k *accesskey.Store) error { _, err := k.List(ctx); return err },
			"Create": func(ctx context.Context, k *accesskey.Store) error {
				_, err := k.Create(ctx, chattest.SomeKey(func(k *accesskey.Key) { k.ID = "new" }))
				return err
			},
		} {
			l := chattest.NewLocksmith(t)
			l.MustCreate(chattest.SomeKey())
			before := l.Dump()
			for n := 1; ; n++ {
				ctx, calls := l.Spy.FailAt(t.Context(), n, f)
				err := call(ctx, l.Store)
				made := calls()
				if made < n {
					if err != nil || n == 1 {
						t.Errorf("%s made %d calls and ended with %v", action, made, err)
					}
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				chattest.WantError(t, what, err, f.Code, "")
				chattest.WantNoDetail(t, err)
				chattest.Equal(t, "the keys after "+what, l.Dump(), before)
			}
		}
	}
}

// raw returns the stored record of a key.
func raw(l *chattest.Locksmith, id string) table.Item {
	l.T.Helper()
	items, err := l.Spy.Table.Get(l.T.Context(), table.Key{Partition: "keys", Sort: "k#" + table.Escape(id)})
	if err != nil || len(items) != 1 {
		l.T.Fatalf("key %q: %d items, %v", id, len(items), err)
	}
	return items[0]
}

func put(l *chattest.Locksmith, item table.Item) {
	l.T.Helper()
	err := l.Spy.Table.Write(l.T.Context(), "keys",
		table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}})
	if err != nil {
		l.T.Fatal(err)
	}
}
