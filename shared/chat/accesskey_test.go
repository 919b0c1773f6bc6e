package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestAccessKeyIsFoundAsItWasCreated(t *testing.T) {
	l := newLocksmith(t)
	for _, key := range []chat.AccessKey{
		someKey(),
		someKey(func(k *chat.AccessKey) { k.ID, k.Secret = "LTAI.5t-_", secret.Text(strings.Repeat("\x00é", 85)) }),
		someKey(func(k *chat.AccessKey) {
			k.ID, k.Secret, k.Name = strings.Repeat("k", 128), "8 bytes.", strings.Repeat("名", 128)
		}),
		someKey(func(k *chat.AccessKey) {
			k.ID, k.Policies = "two", []*policy.Policy{policy.Administrator(), policy.ReadOnly()}
		}),
	} {
		made := l.create(key)
		want := key
		want.Active, want.Created = true, time.Date(2026, 11, 23, 8, 0, 0, 123000000, time.UTC)
		for about, got := range map[string]*chat.AccessKey{"Create": made, "Find": l.find(key.ID), "Find again": l.find(key.ID)} {
			got := *got
			if len(got.Policies) != len(want.Policies) {
				t.Fatalf("%s: %d policies, want %d", about, len(got.Policies), len(want.Policies))
			}
			for i := range got.Policies {
				equal(t, about+": policy", got.Policies[i].String(), want.Policies[i].String())
			}
			got.Policies = want.Policies
			if got.Secret.Reveal() != want.Secret.Reveal() || got.ID != want.ID || got.Account != want.Account || got.Name != want.Name || !got.Active || !got.Created.Equal(want.Created) {
				t.Errorf("%s = %+v, want %+v", about, got, want)
			}
		}
		_, err := l.Create(t.Context(), key)
		wantError(t, "Create of the same id", err, chat.AlreadyExists, "AccessKeyId", key.ID[:min(len(key.ID), 50)])
	}
	for _, item := range l.dump() {
		if strings.Contains(string(item.Value), planted) {
			t.Errorf("item %q holds a secret: %s", item.Sort, item.Value)
		}
	}
}

// setActive enables or disables a key.
func setActive(ctx context.Context, k *chat.Keys, id string, active bool) error {
	_, err := k.Update(ctx, "", id, chat.KeyChange{Active: &active})
	return err
}

func TestAccessKeyThatIsDrawn(t *testing.T) {
	l := newLocksmith(t)
	seen := make(map[string]bool)
	for range 20 {
		key := l.create(someKey(func(k *chat.AccessKey) { k.ID, k.Secret = "", "" }))
		if len(key.ID) != 23 || !strings.HasPrefix(key.ID, "CCK") || len(key.Secret.Reveal()) != 40 {
			t.Errorf("drew %q with a secret of %d", key.ID, len(key.Secret.Reveal()))
		}
		seen[key.ID], seen[key.Secret.Reveal()] = true, true
	}
	if len(seen) != 40 {
		t.Errorf("%d different ids and secrets of 40", len(seen))
	}
	l.SetRandom(iotest.ErrReader(errors.New("planted")))
	_, err := l.Create(t.Context(), someKey(func(k *chat.AccessKey) { k.ID, k.Secret = "", "" }))
	wantError(t, "Create without randomness", err, chat.Internal, "")
	wantNoDetail(t, err)
}

func TestAccessKeyIsRefused(t *testing.T) {
	l := newLocksmith(t)
	for _, c := range []struct {
		about string
		edit  func(*chat.AccessKey)
		code  chat.Code
		param string
		texts []string
	}{
		{"no id", func(k *chat.AccessKey) { k.ID = "" }, chat.InvalidParameter, "AccessKeyId", []string{`""`}},
		{"an id of 129", func(k *chat.AccessKey) { k.ID = strings.Repeat("k", 129) }, chat.InvalidParameter, "AccessKeyId", []string{"1 to 128"}},
		{"an id with a separator", func(k *chat.AccessKey) { k.ID = "a#b" }, chat.InvalidParameter, "AccessKeyId", []string{`"a#b"`}},
		{"no secret", func(k *chat.AccessKey) { k.Secret = "" }, chat.InvalidParameter, "AccessKeySecret", []string{"0 bytes"}},
		{"a secret of 7", func(k *chat.AccessKey) { k.Secret = "planted" }, chat.InvalidParameter, "AccessKeySecret", []string{"7 bytes; wanted 8 to 256"}},
		{"a secret of 257", func(k *chat.AccessKey) { k.Secret = secret.Text(strings.Repeat("s", 257)) }, chat.InvalidParameter, "AccessKeySecret", nil},
		{"no account", func(k *chat.AccessKey) { k.Account = "" }, chat.InvalidParameter, "AccountId", []string{`""`}},
		{"an account with a slash", func(k *chat.AccessKey) { k.Account = "1/2" }, chat.InvalidParameter, "AccountId", []string{`"1/2"`}},
		{"an account of 33 digits", func(k *chat.AccessKey) { k.Account = strings.Repeat("1", 33) }, chat.InvalidParameter, "AccountId", nil},
		{"no name", func(k *chat.AccessKey) { k.Name = "" }, chat.InvalidParameter, "Name", nil},
		{"a name with a newline", func(k *chat.AccessKey) { k.Name = "a\nb" }, chat.InvalidParameter, "Name", []string{`"a\nb"`}},
		{"a name of 129", func(k *chat.AccessKey) { k.Name = strings.Repeat("n", 129) }, chat.InvalidParameter, "Name", nil},
		{"no policy", func(k *chat.AccessKey) { k.Policies = nil }, chat.MissingParameter, "Policy", nil},
		{"a policy that was never parsed", func(k *chat.AccessKey) { k.Policies = []*policy.Policy{{}} }, chat.Internal, "", nil},
	} {
		key, err := l.Create(t.Context(), someKey(c.edit))
		wantError(t, c.about, err, c.code, c.param, c.texts...)
		if key != nil || strings.Contains(fmt.Sprint(err), planted) {
			t.Errorf("%s: %v, %v", c.about, key, err)
		}
	}
	if got := l.dump(); len(got) != 0 {
		t.Errorf("%d keys are stored", len(got))
	}
}

func TestUnknownAccessKey(t *testing.T) {
	l := newLocksmith(t)
	for _, id := range []string{"", "CCKnone", "a#b", "\x00", strings.Repeat("k", 129), strings.Repeat("k", 100_000)} {
		_, err := l.Find(t.Context(), id)
		wantError(t, "Find", err, chat.KeyNotFound, "AccessKeyId")
		if len(fmt.Sprint(err)) > 500 {
			t.Errorf("Find of an id of %d bytes: an error of %d", len(id), len(fmt.Sprint(err)))
		}
		wantError(t, "SetActive", setActive(t.Context(), l.Keys, id, false), chat.AccessKeyNotFound, "UserAccessKeyId")
		wantError(t, "Delete", l.Delete(t.Context(), "", id), chat.AccessKeyNotFound, "UserAccessKeyId")
	}
	if got := l.Cached(); got != 0 {
		t.Errorf("%d keys that are not there are remembered", got)
	}
	// A key that was not there a moment ago is found the moment it is.
	l.create(someKey(func(k *chat.AccessKey) { k.ID = "CCKnone" }))
	l.find("CCKnone")
}

// TestAccessKeyCache holds that a process uses what it read for KeyAge and no longer.
func TestAccessKeyCache(t *testing.T) {
	here := newLocksmith(t)
	there := chat.NewKeys(here.spy, nil, newRing(t, 1), here.clock.Now)
	here.create(someKey())
	here.spy.reset()
	calls := func(want string) {
		t.Helper()
		equal(t, "calls", here.spy.took(), want)
	}
	here.find("CCKsome")
	calls("Get")
	here.clock.advance(chat.KeyAge - time.Nanosecond)
	here.find("CCKsome")
	calls("")
	here.clock.advance(time.Nanosecond)
	here.find("CCKsome")
	calls("Get")

	if err := setActive(t.Context(), there, "CCKsome", false); err != nil {
		t.Fatal(err)
	}
	calls("Get Write")
	if !here.find("CCKsome").Active {
		t.Error("a process that read the key a moment ago asked again")
	}
	here.clock.advance(chat.KeyAge)
	if here.find("CCKsome").Active {
		t.Error("a key that was disabled KeyAge ago is active")
	}
	here.spy.reset()
	here.clock.advance(-time.Hour)
	here.find("CCKsome")
	calls("Get") // for a clock that goes back must not make a key live for ever

	if err := setActive(t.Context(), here.Keys, "CCKsome", true); err != nil {
		t.Fatal(err)
	}
	if !here.find("CCKsome").Active {
		t.Error("the process that enabled the key does not know it")
	}
	if err := here.Delete(t.Context(), "", "CCKsome"); err != nil {
		t.Fatal(err)
	}
	_, err := here.Find(t.Context(), "CCKsome")
	wantError(t, "Find of a deleted key", err, chat.KeyNotFound, "AccessKeyId", `"CCKsome"`)
	here.create(someKey())
	if !here.find("CCKsome").Active {
		t.Error("a key that was made again is not active")
	}
}

func TestAccessKeyThatGoesAwayWhileItIsCached(t *testing.T) {
	l := newLocksmith(t)
	l.create(someKey())
	l.find("CCKsome")
	if err := chat.NewKeys(l.spy, nil, newRing(t, 1), nil).Delete(t.Context(), "", "CCKsome"); err != nil {
		t.Fatal(err)
	}
	l.clock.advance(chat.KeyAge)
	_, err := l.Find(t.Context(), "CCKsome")
	wantError(t, "Find", err, chat.KeyNotFound, "AccessKeyId")
	if got := l.Cached(); got != 0 {
		t.Errorf("%d keys are remembered", got)
	}
}

func TestAccessKeyCacheIsBounded(t *testing.T) {
	l := newLocksmith(t)
	l.create(someKey())
	chat.FillCache(l.Keys, chat.KeyCacheSize)
	l.find("CCKsome")
	if got, want := l.Cached(), chat.KeyCacheSize; got != want {
		t.Errorf("%d keys are remembered, want %d", got, want)
	}
	l.spy.reset()
	l.find("CCKsome")
	equal(t, "calls for the key that came last", l.spy.took(), "")
}

func TestListOfAccessKeys(t *testing.T) {
	l := newLocksmith(t)
	if keys, err := l.List(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("List of nothing = %v, %v", keys, err)
	}
	var want []string
	for i := range 201 {
		id := fmt.Sprintf("CCK%03d", i)
		want = append(want, id)
		l.create(someKey(func(k *chat.AccessKey) { k.ID = id }))
	}
	if err := setActive(t.Context(), l.Keys, "CCK007", false); err != nil {
		t.Fatal(err)
	}
	list, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range list {
		got = append(got, key.ID)
		if key.Secret != "" || key.Account != account || key.Name != "some one" || len(key.Policies) != 1 || key.Active == (key.ID == "CCK007") {
			t.Errorf("List shows %+v", key)
		}
	}
	equal(t, "ids", got, want)
}

// TestAccessKeyRecordThatIsTampered holds that what somebody put into the table is noticed and told to nobody.
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
		l := newLocksmith(t)
		l.create(someKey())
		item := l.raw("CCKsome")
		edit(&item)
		l.put(item)
		if id := strings.TrimPrefix(item.Sort, "k#"); id != "CCK%" {
			_, err := l.Find(t.Context(), id)
			wantError(t, "Find of a record with "+about, err, chat.Internal, "")
			wantNoDetail(t, err)
			if got := l.Cached(); got != 0 {
				t.Errorf("%s: it is remembered", about)
			}
		}
		list, err := l.List(t.Context())
		wantError(t, "List of a record with "+about, err, chat.Internal, "")
		wantNoDetail(t, err)
		if list != nil {
			t.Errorf("List of a record with %s = %v with its error", about, list)
		}
	}
}

func TestAccessKeysUnderAnotherRing(t *testing.T) {
	l := newLocksmith(t)
	l.create(someKey())
	if key, err := chat.NewKeys(l.spy, nil, newRing(t, 2, 1), nil).Find(t.Context(), "CCKsome"); err != nil || key.Secret.Reveal() != "planted-secret" {
		t.Errorf("Find after a rotation: %v", err)
	}
	_, err := chat.NewKeys(l.spy, nil, newRing(t, 2), nil).Find(t.Context(), "CCKsome")
	wantError(t, "Find under another ring", err, chat.Internal, "")
	wantNoDetail(t, err)
}

// TestAccessKeyThatIsChangedByTwo has somebody else change the key between read and write.
func TestAccessKeyThatIsChangedByTwo(t *testing.T) {
	for about, do := range map[string]func(*locksmith) error{
		"SetActive": func(l *locksmith) error { return setActive(t.Context(), l.Keys, "CCKsome", false) },
		"Delete":    func(l *locksmith) error { return l.Delete(t.Context(), "", "CCKsome") },
	} {
		l := newLocksmith(t)
		l.create(someKey())
		once := false
		l.spy.write = func(*table.Change) error {
			if once {
				return nil
			}
			once = true
			return setActive(t.Context(), l.Keys, "CCKsome", true)
		}
		wantError(t, about, do(l), chat.Conflict, "UserAccessKeyId", `"CCKsome"`, "Try again")
	}
}

func TestAccessKeysWhenTheStoreFails(t *testing.T) {
	for about, f := range faults {
		for action, call := range map[string]func(context.Context, *chat.Keys) error{
			"Find":      func(ctx context.Context, k *chat.Keys) error { _, err := k.Find(ctx, "CCKsome"); return err },
			"SetActive": func(ctx context.Context, k *chat.Keys) error { return setActive(ctx, k, "CCKsome", false) },
			"Delete":    func(ctx context.Context, k *chat.Keys) error { return k.Delete(ctx, "", "CCKsome") },
			"List":      func(ctx context.Context, k *chat.Keys) error { _, err := k.List(ctx); return err },
			"Create": func(ctx context.Context, k *chat.Keys) error {
				_, err := k.Create(ctx, someKey(func(k *chat.AccessKey) { k.ID = "new" }))
				return err
			},
		} {
			l := newLocksmith(t)
			l.create(someKey())
			before := l.dump()
			for n := 1; ; n++ {
				ctx, calls := l.spy.failAt(t.Context(), n, f)
				err := call(ctx, l.Keys)
				made := calls()
				if made < n {
					if err != nil || n == 1 {
						t.Errorf("%s made %d calls and ended with %v", action, made, err)
					}
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				wantError(t, what, err, f.code, "")
				wantNoDetail(t, err)
				equal(t, "the keys after "+what, l.dump(), before)
			}
		}
	}
}
