package accesskey_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// lastUse returns the last use of a key, once it is written; the empty text after a while.
func lastUse(t *testing.T, k *accesskey.Store, id, not string) string {
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
	l := chattest.NewLocksmith(t)
	var processes []*accesskey.Store
	for range 3 {
		processes = append(processes, accesskey.New(l.Spy, uses, chattest.NewRing(t, 1), l.Clock.Now))
	}
	key := l.MustCreate(chattest.SomeKey())
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
		l.Clock.Advance(24 * time.Hour)
		if want == "2026-11-24" {
			l.Clock.Advance(6 * 24 * time.Hour)
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
	l := chattest.NewLocksmith(t)
	uses := chattest.NewSpy(t)
	k := accesskey.New(l.Spy, uses, chattest.NewRing(t, 1), l.Clock.Now)
	tried := make(chan bool, 100)
	uses.Before = func(verb string, _ int) error {
		tried <- true
		return chattest.Faults["the store is out of reach"].Err
	}
	for range 10 {
		k.NoteUse(t.Context(), "CCKsome")
	}
	<-tried
	l.Clock.Advance(10*time.Minute - time.Nanosecond)
	k.NoteUse(t.Context(), "CCKsome")
	select {
	case <-tried:
		t.Error("it was tried again at once")
	case <-time.After(20 * time.Millisecond):
	}
	uses.Mu.Lock()
	uses.Before = nil
	uses.Mu.Unlock()
	l.Clock.Advance(time.Nanosecond)
	k.NoteUse(t.Context(), "CCKsome")
	if got := lastUse(t, k, "CCKsome", ""); got != "2026-11-23" {
		t.Errorf("last use = %q after the store came back", got)
	}
	if days, err := accesskey.New(l.Spy, nil, chattest.NewRing(t, 1), nil).LastUses(t.Context(),
		"CCKsome"); err != nil || len(days) != 0 {
		t.Errorf("LastUses without a table = %v, %v", days, err)
	}
	uses.Before = func(string, int) error { return chattest.Faults["the store is out of reach"].Err }
	_, err := k.LastUses(t.Context(), "CCKsome")
	chattest.WantError(t, "LastUses", err, fault.Unavailable, "")
}

// A moveHouse is a store whose access keys are in the table of configurations.
type moveHouse struct {
	*chattest.Locksmith
	old  *chattest.Spy
	want []string
}

func newMoveHouse(t *testing.T, n int) *moveHouse {
	t.Helper()
	m := &moveHouse{Locksmith: chattest.NewLocksmith(t), old: chattest.NewSpy(t), want: []string{}}
	before := accesskey.New(m.old, nil, chattest.NewRing(t, 1), m.Clock.Now)
	for i := range n {
		key := chattest.SomeKey(func(k *accesskey.Key) { k.ID = fmt.Sprintf("CCK%03d", i) })
		if _, err := before.Create(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		m.want = append(m.want, key.ID)
	}
	return m
}

func (m *moveHouse) ids() []string {
	m.T.Helper()
	ids := []string{}
	keys, err := m.List(m.T.Context())
	if err != nil {
		m.T.Fatal(err)
	}
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// left returns how many keys are still in the old table.
func (m *moveHouse) left() int {
	m.T.Helper()
	keys, err := accesskey.New(m.old, nil, chattest.NewRing(m.T, 1), m.Clock.Now).List(m.T.Context())
	if err != nil {
		m.T.Fatal(err)
	}
	return len(keys)
}

func (m *moveHouse) move() bool {
	m.T.Helper()
	moved, err := m.Move(m.T.Context(), m.old)
	if err != nil {
		m.T.Fatal(err)
	}
	return moved
}

// Keys of before are moved once, in any number; the old rows go a day later, and what is put there
// afterwards never becomes a key.
func TestAccessKeysAreMoved(t *testing.T) {
	for _, n := range []int{0, 1, 98, 99, 100, 230} {
		m := newMoveHouse(t, n)
		if !m.move() || m.move() {
			t.Errorf("%d keys: Move does not tell who moved", n)
		}
		chattest.Equal(t, "moved", m.ids(), m.want)
		if n > 0 && m.MustFind("CCK000").Secret.Reveal() != "planted-secret" {
			t.Error("a moved key has another secret")
		}
		if got := m.left(); got != n {
			t.Errorf("%d old rows right after the move, want %d", got, n)
		}
		if _, err := accesskey.New(m.old, nil, chattest.NewRing(t, 1), m.Clock.Now).Create(t.Context(),
			chattest.SomeKey(func(k *accesskey.Key) { k.ID = "CCKplanted" })); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			if err := m.Delete(t.Context(), "", "CCK000"); err != nil {
				t.Fatal(err)
			}
			m.want = m.want[1:]
		}
		m.Clock.Advance(24*time.Hour + time.Hour*24*366) // the file's own clock is the real one
		m.move()
		chattest.Equal(t, "keys a day later", m.ids(), m.want)
		if got := m.left(); got != 0 {
			t.Errorf("%d old rows a day later", got)
		}
	}
}

// A move that is cut short at any call is finished by the next; none is lost, and none that was
// deleted in between comes back.
func TestAMoveIsCutShort(t *testing.T) {
	for _, which := range []string{"old", "new"} {
		for n := 1; ; n++ {
			m := newMoveHouse(t, 120)
			failing := m.old
			if which == "new" {
				failing = m.Spy
			}
			ctx, calls := failing.FailAt(t.Context(), n, chattest.Faults["the store is out of reach"])
			_, err := m.Move(ctx, m.old)
			if calls() < n {
				if err != nil || n == 1 {
					t.Errorf("Move made no call %d of the %s table and ended with %v", n, which, err)
				}
				break
			}
			chattest.WantError(t, fmt.Sprintf("Move whose call %d to the %s table fails", n, which),
				err, fault.Unavailable, "")
			var gone string
			if ids := m.ids(); len(ids) > 0 {
				gone = ids[0]
				if err := m.Delete(t.Context(), "", gone); err != nil {
					t.Fatal(err)
				}
			}
			m.move()
			want := slices.DeleteFunc(slices.Clone(m.want), func(id string) bool { return id == gone })
			chattest.Equal(t, "moved", m.ids(), want)
		}
	}
}

// Of several that move at once each key is moved once, and a key that is in the new table already
// stays.
func TestMovesAtOnce(t *testing.T) {
	m := newMoveHouse(t, 150)
	mine := m.MustCreate(chattest.SomeKey(func(k *accesskey.Key) { k.ID, k.Name = "CCK007", "made there" }))
	errs := make(chan error)
	for range 6 {
		go func() {
			_, err := accesskey.New(m.Spy, nil, chattest.NewRing(t, 1), m.Clock.Now).Move(t.Context(), m.old)
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	chattest.Equal(t, "moved", m.ids(), m.want)
	if got := m.MustFind(mine.ID).Name; got != "made there" {
		t.Errorf("the key that was there is %q now", got)
	}
}
