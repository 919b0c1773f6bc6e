package chat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// A keyHouse is a service that manages access keys.
type keyHouse struct {
	*house
	keys *locksmith
}

func newKeyHouse(t testing.TB) *keyHouse {
	t.Helper()
	h := &keyHouse{house: newHouse(t), keys: newLocksmith(t)}
	h.keys.clock = h.clock
	h.keys.Keys = chat.NewKeys(h.keys.spy, h.keys.spy, h.ring, h.clock.Now)
	h.Service = h.serviceWith(chat.Options{Keys: h.keys.Keys}, h.ring)
	h.ctx = as(t.Context(), &chat.Caller{Account: account, AccessKeyID: "CCKowner", Name: "owner", Policies: []*policy.Policy{policy.Owner()}})
	return h
}

func (h *keyHouse) createKey(edit ...func(*chat.CreateAccessKeyRequest)) chat.AccessKeyInfo {
	h.t.Helper()
	in := &chat.CreateAccessKeyRequest{Name: "ci", Policy: "ReadOnly"}
	for _, e := range edit {
		e(in)
	}
	out, err := h.CreateAccessKey(h.ctx, in)
	if err != nil {
		h.t.Fatalf("CreateAccessKey: %v", err)
	}
	return out.AccessKey
}

func TestAccessKeysAreManaged(t *testing.T) {
	h := newKeyHouse(t)
	made := h.createKey(func(in *chat.CreateAccessKeyRequest) {
		in.Description, in.ExpireDate = "of the pipeline", "2027-01-31T02:00:00+02:00"
		in.Policy, in.PolicyDocument = "", `{ "Version": "1", "Statement": [{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}] }`
	})
	secret := made.AccessKeySecret
	if len(secret) != 40 || !strings.HasPrefix(made.AccessKeyId, "CCK") {
		t.Errorf("CreateAccessKey = %+v", made)
	}
	want := chat.AccessKeyInfo{
		AccessKeyId: made.AccessKeyId, AccessKeySecret: secret, AccountId: account, Name: "ci", Description: "of the pipeline", Status: "Active",
		Policies:   []string{`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}]}`},
		CreateDate: "2026-11-23T08:00:00+00:00", CreatedBy: made.CreatedBy, ExpireDate: "2027-01-31T00:00:00+00:00",
	}
	equal(t, "CreateAccessKey", made, want)
	if made.CreatedBy == "" {
		t.Error("it is not known who made the key")
	}
	key := h.keys.find(made.AccessKeyId)
	if key.Secret.Reveal() != secret || !key.Active || key.Account != account {
		t.Errorf("stored is %+v", key)
	}
	if at := want.ExpireDate; key.Expired(time.Date(2027, 1, 30, 23, 59, 59, 999, time.UTC)) || !key.Expired(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the key does not expire at %s", at)
	}
	want.AccessKeySecret = ""
	list, err := h.ListAccessKeys(h.ctx, new(chat.ListAccessKeysRequest))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "ListAccessKeys", list, &chat.ListAccessKeysResponse{AccessKeys: []chat.AccessKeyInfo{want}, MaxResults: 50})

	out, err := h.UpdateAccessKey(h.ctx, &chat.UpdateAccessKeyRequest{AccessKeyID: made.AccessKeyId, Status: "inactive"})
	if err != nil {
		t.Fatal(err)
	}
	want.Status = "Inactive"
	equal(t, "UpdateAccessKey", out.AccessKey, want)
	out, err = h.UpdateAccessKey(h.ctx, &chat.UpdateAccessKeyRequest{
		AccessKeyID: made.AccessKeyId, Status: "Active", Policy: "Administrator", ExpireDate: "Never", Description: ptr(""),
	})
	if err != nil {
		t.Fatal(err)
	}
	want.Status, want.Policies, want.ExpireDate, want.Description = "Active", []string{policy.Administrator().String()}, "", ""
	equal(t, "UpdateAccessKey of all", out.AccessKey, want)
	if key := h.keys.find(made.AccessKeyId); key.Secret.Reveal() != secret {
		t.Error("an update changed the secret")
	}
	if _, err := h.DeleteAccessKey(h.ctx, &chat.DeleteAccessKeyRequest{AccessKeyID: made.AccessKeyId}); err != nil {
		t.Fatal(err)
	}
	_, err = h.keys.Find(t.Context(), made.AccessKeyId)
	wantError(t, "Find after DeleteAccessKey", err, chat.KeyNotFound, "AccessKeyId")
}

func TestAccessKeyActionsRefuse(t *testing.T) {
	h := newKeyHouse(t)
	made := h.createKey()
	create := func(edit func(*chat.CreateAccessKeyRequest)) error {
		in := &chat.CreateAccessKeyRequest{Name: "ci", Policy: "ReadOnly"}
		edit(in)
		_, err := h.CreateAccessKey(h.ctx, in)
		return err
	}
	update := func(in chat.UpdateAccessKeyRequest) error {
		if in.AccessKeyID == "" {
			in.AccessKeyID = made.AccessKeyId
		}
		_, err := h.UpdateAccessKey(h.ctx, &in)
		return err
	}
	list := func(in chat.ListAccessKeysRequest) error { _, err := h.ListAccessKeys(h.ctx, &in); return err }
	type createIn = chat.CreateAccessKeyRequest
	for about, c := range map[string]struct {
		err   error
		code  chat.Code
		param string
		says  string
	}{
		"no name":               {create(func(in *createIn) { in.Name = "" }), chat.MissingParameter, "Name", ""},
		"a long name":           {create(func(in *createIn) { in.Name = strings.Repeat("x", 129) }), chat.InvalidParameter, "Name", "128"},
		"a long description":    {create(func(in *createIn) { in.Description = strings.Repeat("x", 257) }), chat.InvalidParameter, "Description", "256"},
		"no policy":             {create(func(in *createIn) { in.Policy = "" }), chat.MissingParameter, "Policy", "ReadOnly"},
		"an unknown policy":     {create(func(in *createIn) { in.Policy = "Root" }), chat.InvalidParameter, "Policy", `"Root"; write Owner, Administrator, ReadOnly`},
		"two policies":          {create(func(in *createIn) { in.PolicyDocument = "{}" }), chat.InvalidParameter, "Policy", "one of them"},
		"a broken policy":       {create(func(in *createIn) { in.Policy = `{"Version":"1"` }), chat.InvalidParameter, "Policy", ""},
		"a broken document":     {create(func(in *createIn) { in.Policy, in.PolicyDocument = "", `{"Version":"2"}` }), chat.InvalidParameter, "PolicyDocument", ""},
		"a date that is none":   {create(func(in *createIn) { in.ExpireDate = "soon" }), chat.InvalidParameter, "ExpireDate", `"soon" is not a date; write one such as`},
		"a date in the past":    {create(func(in *createIn) { in.ExpireDate = "2026-11-23T08:00:00Z" }), chat.InvalidParameter, "ExpireDate", "has passed"},
		"no key":                {func() error { _, err := h.UpdateAccessKey(h.ctx, new(chat.UpdateAccessKeyRequest)); return err }(), chat.MissingParameter, "UserAccessKeyId", ""},
		"no key to delete":      {func() error { _, err := h.DeleteAccessKey(h.ctx, new(chat.DeleteAccessKeyRequest)); return err }(), chat.MissingParameter, "UserAccessKeyId", ""},
		"nothing to change":     {update(chat.UpdateAccessKeyRequest{}), chat.MissingParameter, "Status", "nothing to change"},
		"an unknown status":     {update(chat.UpdateAccessKeyRequest{Status: "Off"}), chat.InvalidParameter, "Status", `"Off"`},
		"an update to a past":   {update(chat.UpdateAccessKeyRequest{ExpireDate: "2020-01-01T00:00:00Z"}), chat.InvalidParameter, "ExpireDate", "has passed"},
		"an update to no date":  {update(chat.UpdateAccessKeyRequest{ExpireDate: "30d"}), chat.InvalidParameter, "ExpireDate", "never"},
		"a bad update":          {update(chat.UpdateAccessKeyRequest{Policy: "none"}), chat.InvalidParameter, "Policy", ""},
		"a long update":         {update(chat.UpdateAccessKeyRequest{Description: ptr(strings.Repeat("x", 257))}), chat.InvalidParameter, "Description", ""},
		"an unknown key":        {update(chat.UpdateAccessKeyRequest{AccessKeyID: "CCKnone", Status: "Active"}), chat.AccessKeyNotFound, "UserAccessKeyId", `"CCKnone"`},
		"a page of none":        {list(chat.ListAccessKeysRequest{MaxResults: ptr[int64](0)}), chat.InvalidParameter, "MaxResults", ""},
		"a token of nobody":     {list(chat.ListAccessKeysRequest{NextToken: "x"}), chat.InvalidNextToken, "NextToken", ""},
		"a region that is none": {list(chat.ListAccessKeysRequest{RegionID: "!"}), chat.InvalidRegion, "RegionId", ""},
	} {
		wantError(t, about, c.err, c.code, c.param, c.says)
	}
	bare := newHouse(t)
	_, err := bare.ListAccessKeys(bare.ctx, new(chat.ListAccessKeysRequest))
	wantError(t, "ListAccessKeys without keys", err, chat.Unavailable, "")
}

// keyActions are the actions on one key, and what a policy must name to allow each.
var keyActions = map[string]func(context.Context, *chat.Service, string) error{
	"CreateAccessKey": func(ctx context.Context, s *chat.Service, _ string) error {
		_, err := s.CreateAccessKey(ctx, &chat.CreateAccessKeyRequest{Name: "x", Policy: "Administrator"})
		return err
	},
	"ListAccessKeys": func(ctx context.Context, s *chat.Service, _ string) error {
		_, err := s.ListAccessKeys(ctx, new(chat.ListAccessKeysRequest))
		return err
	},
	"UpdateAccessKey": func(ctx context.Context, s *chat.Service, id string) error {
		_, err := s.UpdateAccessKey(ctx, &chat.UpdateAccessKeyRequest{AccessKeyID: id, Policy: "Administrator"})
		return err
	},
	"DeleteAccessKey": func(ctx context.Context, s *chat.Service, id string) error {
		_, err := s.DeleteAccessKey(ctx, &chat.DeleteAccessKeyRequest{AccessKeyID: id})
		return err
	},
}

// Whoever can make or change keys can have any right, so that a policy must name each of these actions: no pattern will do.
func TestAccessKeyActionsMustBeNamed(t *testing.T) {
	h := newKeyHouse(t)
	statement := func(effect, action, resource string) string {
		return fmt.Sprintf(`{"Effect":%q,"Action":%q,"Resource":%q}`, effect, action, resource)
	}
	for action, do := range keyActions {
		for _, c := range []struct {
			statements []string
			want       bool
		}{
			{[]string{statement("Allow", "oos:"+action, "*")}, true},
			{[]string{statement("Allow", strings.ToUpper("oos:"+action), "acs:oos:*:"+account+":accesskey/*")}, true},
			{[]string{statement("Allow", "*", "*")}, false},
			{[]string{statement("Allow", "oos:*", "*")}, false},
			{[]string{statement("Allow", "oos:"+action[:len(action)-1]+"?", "*")}, false},
			{[]string{statement("Allow", "oos:"+action+"*", "*")}, false},
			{[]string{statement("Allow", "oos:"+action, "acs:oos:*:*:chatconfiguration/*")}, false},
			{[]string{statement("Allow", "oos:"+action, "acs:oos:*:2:accesskey/*")}, false},
			{[]string{statement("Allow", "oos:"+action, "acs:oos:*:*:accesskey/?")}, false},
			{[]string{statement("Allow", "oos:"+action, "*"), statement("Deny", "oos:*AccessKey*", "*")}, false},
			{[]string{statement("Allow", "oos:"+action, "*"), statement("Deny", "*", "*")}, false},
		} {
			id := h.createKey().AccessKeyId
			p, err := policy.Parse([]byte(`{"Version":"1","Statement":[` + strings.Join(c.statements, ",") + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			before := len(h.keys.dump())
			err = do(as(t.Context(), &chat.Caller{Account: account, Name: "some one", Policies: []*policy.Policy{p}}), h.Service, id)
			if c.want && err != nil {
				t.Errorf("%s with %q = %v", action, c.statements, err)
			}
			if !c.want {
				wantError(t, fmt.Sprintf("%s with %q", action, c.statements), err, chat.NoPermission, "", "oos:"+action, ":accesskey/")
				if after := len(h.keys.dump()); after != before {
					t.Errorf("%s with %q: %d items, and before it %d", action, c.statements, after, before)
				}
			}
		}
	}
}

// The keys of another account are not there, whoever asks.
func TestAccessKeysBelongToAnAccount(t *testing.T) {
	h := newKeyHouse(t)
	other := as(t.Context(), &chat.Caller{Account: "42", Name: "other", Policies: []*policy.Policy{policy.Owner()}})
	mine := h.createKey().AccessKeyId
	for range 3 {
		if _, err := h.CreateAccessKey(other, &chat.CreateAccessKeyRequest{Name: "theirs", Policy: "ReadOnly"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, action := range []string{"UpdateAccessKey", "DeleteAccessKey"} {
		err := keyActions[action](other, h.Service, mine)
		wantError(t, action+" of another account's key", err, chat.AccessKeyNotFound, "UserAccessKeyId", mine)
	}
	list, err := h.ListAccessKeys(other, new(chat.ListAccessKeysRequest))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range list.AccessKeys {
		if key.AccountId != "42" || key.AccessKeyId == mine {
			t.Errorf("listed is %+v", key)
		}
	}
	if len(list.AccessKeys) != 3 {
		t.Errorf("%d keys are listed, want 3", len(list.AccessKeys))
	}
}

// Pages of every size show each key of the account once, though most of the table is another's.
func TestPagesOfAccessKeys(t *testing.T) {
	h := newKeyHouse(t)
	var want []string
	for i := range 230 {
		key := someKey(func(k *chat.AccessKey) { k.ID = fmt.Sprintf("CCK%03d", i) })
		if i%10 != 0 {
			key.Account = "42"
		} else {
			want = append(want, key.ID)
		}
		h.keys.create(key)
	}
	for _, size := range []int64{1, 2, 7, 23, 100} {
		var got []string
		token, pages := "", 0
		for {
			out, err := h.ListAccessKeys(h.ctx, &chat.ListAccessKeysRequest{MaxResults: &size, NextToken: token})
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(out.AccessKeys)) > size || out.NextPageToken() != out.NextToken {
				t.Errorf("a page of %d has %d keys", size, len(out.AccessKeys))
			}
			for _, key := range out.AccessKeys {
				got = append(got, key.AccessKeyId)
			}
			if token = out.NextToken; token == "" {
				break
			}
			if pages++; pages > 1000 {
				t.Fatal("the list does not end")
			}
			_, err = h.ListAccessKeys(as(t.Context(), &chat.Caller{Account: "42", Policies: []*policy.Policy{policy.Owner()}}), &chat.ListAccessKeysRequest{NextToken: token})
			wantError(t, "another account's token", err, chat.InvalidNextToken, "NextToken")
		}
		equal(t, fmt.Sprintf("keys in pages of %d", size), got, want)
	}
}

// A request that may be a replay changes no key.
func TestAccessKeyActionsAskForReplays(t *testing.T) {
	h := newKeyHouse(t)
	made := h.createKey()
	replay := errors.New("replay")
	ctx := as(t.Context(), &chat.Caller{
		Account: account, Policies: []*policy.Policy{policy.Owner()}, Confirm: func(context.Context) error { return replay },
	})
	before := h.keys.dump()
	for action, do := range keyActions {
		err := do(ctx, h.Service, made.AccessKeyId)
		if want := action != "ListAccessKeys"; errors.Is(err, replay) != want {
			t.Errorf("%s of a replay = %v", action, err)
		}
	}
	equal(t, "the keys", h.keys.dump(), before)
}

func TestAccessKeyActionsWhenTheStoreFails(t *testing.T) {
	for about, f := range faults {
		for action, do := range keyActions {
			h := newKeyHouse(t)
			id := h.createKey().AccessKeyId
			before := h.keys.dump()
			for n := 1; ; n++ {
				ctx, calls := h.keys.spy.failAt(h.ctx, n, f)
				err := do(ctx, h.Service, id)
				if calls() < n {
					if err != nil || n == 1 {
						t.Errorf("%s made no call %d and ended with %v", action, n, err)
					}
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				wantError(t, what, err, f.code, "")
				wantNoDetail(t, err)
				equal(t, "the keys after "+what, h.keys.dump(), before)
			}
		}
	}
}

// lastUse returns the last use of a key, once it is written; the empty text after a while.
func lastUse(t *testing.T, k *chat.Keys, id, not string) string {
	t.Helper()
	for range 10_000 {
		days, err := k.LastUses(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if days[id] != not {
			return days[id]
		}
		time.Sleep(time.Millisecond)
	}
	return not
}

// The day of a key's last use is written once a day, however many requests and processes there are.
func TestTheLastUseOfAccessKeys(t *testing.T) {
	db, err := file.Open(t.TempDir()+"/table.db", file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	uses := &written{Table: db.Table("uses", file.TableOptions{})}
	l := newLocksmith(t)
	var processes []*chat.Keys
	for range 3 {
		processes = append(processes, chat.NewKeys(l.spy, uses, newRing(t, 1), l.clock.Now))
	}
	key := l.create(someKey())
	for _, want := range []string{"2026-11-23", "2026-11-24", "2026-12-01"} {
		for _, k := range processes {
			for range 5 {
				k.NoteUse(t.Context(), key.ID)
			}
			lastUse(t, k, key.ID, "")
		}
		day := lastUse(t, processes[0], key.ID, "")
		if day != want {
			// The first of a later day is written in the background.
			day = lastUse(t, processes[0], key.ID, day)
		}
		if day != want {
			t.Errorf("last use = %q, want %q", day, want)
		}
		l.clock.advance(24 * time.Hour)
		if want == "2026-11-24" {
			l.clock.advance(6 * 24 * time.Hour)
		}
	}
	for wait := 0; uses.n.Load() < 3 && wait < 1000; wait++ { // it is counted a moment after it can be read
		time.Sleep(time.Millisecond)
	}
	if got := uses.n.Load(); got != 3 {
		t.Errorf("%d writes on three days", got)
	}
}

// A written counts the writes that were made.
type written struct {
	table.Table
	n atomic.Int64
}

func (w *written) Write(ctx context.Context, partition string, c table.Change) error {
	err := w.Table.Write(ctx, partition, c)
	if err == nil {
		w.n.Add(1)
	}
	return err
}

// That a use cannot be written fails no request, and is not tried again with each.
func TestTheLastUseWhenTheStoreFails(t *testing.T) {
	l := newLocksmith(t)
	uses := newSpy(t)
	k := chat.NewKeys(l.spy, uses, newRing(t, 1), l.clock.Now)
	tried := make(chan bool, 100)
	uses.before = func(verb string, _ int) error {
		tried <- true
		return faults["the store is out of reach"].err
	}
	for range 10 {
		k.NoteUse(t.Context(), "CCKsome")
	}
	<-tried
	l.clock.advance(10*time.Minute - time.Nanosecond)
	k.NoteUse(t.Context(), "CCKsome")
	select {
	case <-tried:
		t.Error("it was tried again at once")
	case <-time.After(20 * time.Millisecond):
	}
	uses.mu.Lock()
	uses.before = nil
	uses.mu.Unlock()
	l.clock.advance(time.Nanosecond)
	k.NoteUse(t.Context(), "CCKsome")
	if got := lastUse(t, k, "CCKsome", ""); got != "2026-11-23" {
		t.Errorf("last use = %q after the store came back", got)
	}
	if days, err := chat.NewKeys(l.spy, nil, newRing(t, 1), nil).LastUses(t.Context(), "CCKsome"); err != nil || len(days) != 0 {
		t.Errorf("LastUses without a table = %v, %v", days, err)
	}
	uses.before = func(string, int) error { return faults["the store is out of reach"].err }
	_, err := k.LastUses(t.Context(), "CCKsome")
	wantError(t, "LastUses", err, chat.Unavailable, "")
}

// A moveHouse is a store whose access keys are in the table of configurations.
type moveHouse struct {
	*locksmith
	old  *spy
	want []string
}

func newMoveHouse(t *testing.T, n int) *moveHouse {
	t.Helper()
	m := &moveHouse{locksmith: newLocksmith(t), old: newSpy(t), want: []string{}}
	before := chat.NewKeys(m.old, nil, newRing(t, 1), m.clock.Now)
	for i := range n {
		key := someKey(func(k *chat.AccessKey) { k.ID = fmt.Sprintf("CCK%03d", i) })
		if _, err := before.Create(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		m.want = append(m.want, key.ID)
	}
	return m
}

func (m *moveHouse) ids() []string {
	m.t.Helper()
	ids := []string{}
	keys, err := m.List(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// left returns how many keys are still in the old table.
func (m *moveHouse) left() int {
	m.t.Helper()
	keys, err := chat.NewKeys(m.old, nil, newRing(m.t, 1), m.clock.Now).List(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return len(keys)
}

func (m *moveHouse) move() bool {
	m.t.Helper()
	moved, err := m.Move(m.t.Context(), m.old)
	if err != nil {
		m.t.Fatal(err)
	}
	return moved
}

// Keys of before are moved once, in any number; the old rows go a day later, and what is put there afterwards never
// becomes a key.
func TestAccessKeysAreMoved(t *testing.T) {
	for _, n := range []int{0, 1, 98, 99, 100, 230} {
		m := newMoveHouse(t, n)
		if !m.move() || m.move() {
			t.Errorf("%d keys: Move does not tell who moved", n)
		}
		equal(t, "moved", m.ids(), m.want)
		if n > 0 && m.find("CCK000").Secret.Reveal() != "planted-secret" {
			t.Error("a moved key has another secret")
		}
		if got := m.left(); got != n {
			t.Errorf("%d old rows right after the move, want %d", got, n)
		}
		if _, err := chat.NewKeys(m.old, nil, newRing(t, 1), m.clock.Now).Create(t.Context(), someKey(func(k *chat.AccessKey) { k.ID = "CCKplanted" })); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			if err := m.Delete(t.Context(), "", "CCK000"); err != nil {
				t.Fatal(err)
			}
			m.want = m.want[1:]
		}
		m.clock.advance(24*time.Hour + time.Hour*24*366) // the file's own clock is the real one
		m.move()
		equal(t, "keys a day later", m.ids(), m.want)
		if got := m.left(); got != 0 {
			t.Errorf("%d old rows a day later", got)
		}
	}
}

// A move that is cut short at any call is finished by the next; none is lost, and none that was deleted in between comes back.
func TestAMoveIsCutShort(t *testing.T) {
	for _, which := range []string{"old", "new"} {
		for n := 1; ; n++ {
			m := newMoveHouse(t, 120)
			failing := m.old
			if which == "new" {
				failing = m.spy
			}
			ctx, calls := failing.failAt(t.Context(), n, faults["the store is out of reach"])
			_, err := m.Move(ctx, m.old)
			if calls() < n {
				if err != nil || n == 1 {
					t.Errorf("Move made no call %d of the %s table and ended with %v", n, which, err)
				}
				break
			}
			wantError(t, fmt.Sprintf("Move whose call %d to the %s table fails", n, which), err, chat.Unavailable, "")
			var gone string
			if ids := m.ids(); len(ids) > 0 {
				gone = ids[0]
				if err := m.Delete(t.Context(), "", gone); err != nil {
					t.Fatal(err)
				}
			}
			m.move()
			want := slices.DeleteFunc(slices.Clone(m.want), func(id string) bool { return id == gone })
			equal(t, "moved", m.ids(), want)
		}
	}
}

// Of several that move at once each key is moved once, and a key that is in the new table already stays.
func TestMovesAtOnce(t *testing.T) {
	m := newMoveHouse(t, 150)
	mine := m.create(someKey(func(k *chat.AccessKey) { k.ID, k.Name = "CCK007", "made there" }))
	errs := make(chan error)
	for range 6 {
		go func() {
			_, err := chat.NewKeys(m.spy, nil, newRing(t, 1), m.clock.Now).Move(t.Context(), m.old)
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	equal(t, "moved", m.ids(), m.want)
	if got := m.find(mine.ID).Name; got != "made there" {
		t.Errorf("the key that was there is %q now", got)
	}
}
