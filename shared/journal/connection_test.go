package journal_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/table"
)

func connectionNote(state journal.ConnectionState) journal.Note {
	return journal.Note{Connection: journal.Connection{State: state, Step: "open",
		Reason: strings.Repeat("r", 2000), Holder: "host/1"}}
}

// News of a connection are no callbacks, and no counter of a webhook.
func TestNewsOfAConnectionAreNoCallbacks(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	for _, state := range []journal.ConnectionState{journal.Connected, journal.Alive, journal.Lost, journal.Failed,
		journal.Excess, journal.Refused, journal.Connected, journal.Released} {
		h.Clock.Advance(10 * time.Second)
		if err := h.Journal.Note(h.Ctx, e.Ref(), connectionNote(state)); err != nil {
			t.Fatal(err)
		}
	}
	chattest.Equal(t, "the health of the webhook", h.MustHealth("one"), chat.Health{Name: "one", Type: "Slack",
		Status: "Active", State: chat.HealthSilent, Counters: chattest.Counters(nil)})
	got, err := h.Journal.Health(h.Ctx, e.Ref(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Connection(time.Time{})
	if c.State != journal.Released || c.Reconnects != 1 || len(c.Error.Reason) > 1100 || c.Error.At.IsZero() {
		t.Errorf("the connection: %+v", c)
	}
}

// Of two notes at the same time, the one of an open connection counts.
func TestNewsAtTheSameTime(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	for _, state := range []journal.ConnectionState{journal.Connected, journal.Lost, journal.Connected} {
		if err := h.Journal.Note(h.Ctx, e.Ref(), connectionNote(state)); err != nil {
			t.Fatal(err)
		}
	}
	h.MustHealth("one") // writes them
	got, err := h.Journal.Health(h.Ctx, e.Ref(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Connection(time.Time{}); c.State != journal.Connected || c.Reconnects != 1 {
		t.Errorf("the connection: %+v", c)
	}
}

// A countedTable takes every write, and fails the first ones.
type countedTable struct {
	table.Table
	mu     sync.Mutex
	fails  int
	writes []table.Change
}

func (c *countedTable) Write(_ context.Context, _ string, change table.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails > 0 {
		c.fails--
		return errors.New("the disk is on fire")
	}
	c.writes = append(c.writes, change)
	return nil
}

// taken returns the writes so far.
func (c *countedTable) taken() []table.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// fail lets the next writes fail.
func (c *countedTable) fail(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = n
}

// News that come soon after other ones are written without a third note or a reader.
func TestNewsAreWrittenSoon(t *testing.T) {
	ref := command.Ref{Account: "1", Region: "r-1", Name: "n", Life: "1-1"}
	for about, fails := range map[string]int{"a table that works": 0, "one that fails": 1} {
		synctest.Test(t, func(t *testing.T) {
			counted := &countedTable{}
			j, err := journal.New(counted, chattest.NewRing(t, 1), journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			j.NoteLater(t.Context(), ref, connectionNote(journal.Connected))
			synctest.Wait()
			if len(counted.taken()) != 1 {
				t.Fatalf("%s: %d writes at first", about, len(counted.taken()))
			}
			counted.fail(fails)
			j.NoteLater(t.Context(), ref, connectionNote(journal.Lost))
			j.NoteLater(t.Context(), ref, connectionNote(journal.Connected))
			synctest.Wait()
			if len(counted.taken()) != 1 {
				t.Errorf("%s: %d writes at once", about, len(counted.taken()))
			}
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if len(counted.taken()) != 2-fails {
				t.Errorf("%s: %d writes after %v", about, len(counted.taken()), time.Since(begun))
			}
			j.NoteLater(t.Context(), ref, connectionNote(journal.Alive))
			time.Sleep(6 * time.Second)
			synctest.Wait()
			writes := counted.taken()
			last := writes[len(writes)-1]
			if want := 1 + 2*fails; len(last.Puts) != want || len(last.Adds) != fails {
				t.Errorf("%s: the last write has %d puts and %d adds", about, len(last.Puts), len(last.Adds))
			}
		})
	}
}
