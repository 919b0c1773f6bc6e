package ots_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/google/go-cmp/cmp"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

func TestRecordsOfEveryWrite(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string n:integer", streamed(24), transactional, versions(3))
	it := c.iterate("t")
	read := func(what string, want ...string) {
		t.Helper()
		var got []string
		got, it = c.records(it)
		checkRecords(t, what, got, want...)
	}
	read("a new stream")
	c.must(put("t", key("p", "a", "n", 1), cols("x", 1, "y", "why", "z", true)))
	read("a put", "put a/1 x=1 y=why z=true")
	u := update("t", key("p", "a", "n", 1))
	u.DeleteColumnWithTimestamp("z", now.ms())
	u.DeleteColumn("y")
	u.IncrementColumn("x", 41)
	u.PutColumn("w", 2.5)
	c.must(u)
	read("an update", fmt.Sprintf("update a/1 -z@%d -y x=42 w=2.5", now.ms()))
	c.must(remove("t", key("p", "a", "n", 1)))
	read("a delete", "delete a/1")

	fails(t, "a condition that is not met", c.write(expecting(put("t", key("p", "a", "n", 1), nil), exist)), condition)
	c.batch(false, put("t", key("p", "a", "n", 1), nil), expecting(put("t", key("p", "a", "n", 2), nil), exist),
		put("t", key("p", "a", "n", 3), cols("v", 1)), remove("t", key("p", "a", "n", 3)))
	read("a batch", "put a/1", "put a/3 v=1", "delete a/3")
	b := func(n int) tablestore.RowChange { return put("t", key("p", "b", "n", n), nil) }
	c.batch(true, b(9), b(3), b(5))
	read("an atomic batch", "put b/9", "put b/3", "put b/5")
	c.batch(true, put("t", key("p", "b", "n", 1), nil), expecting(put("t", key("p", "b", "n", 2), nil), exist))
	read("an atomic batch that fails")
	c.bulk("t", bulkPut(key("p", "c", "n", 1), cols("v", 7)), bulkPut(key("p", "c", "n", 2), nil))
	read("a bulk import", "put c/1 v=7", "put c/2")

	id := c.mustStart("t", key("p", "d"))
	for _, n := range []int{7, 2, 5} {
		c.must(putIn(id, key("p", "d", "n", n), cols("v", n)))
	}
	read("a transaction under way")
	c.must(put("t", key("p", "e", "n", 1), nil))
	if err := c.commit(id); err != nil {
		t.Fatal(err)
	}
	read("its commit", "put e/1", "put d/7 v=7", "put d/2 v=2", "put d/5 v=5")
	id = c.mustStart("t", key("p", "d"))
	c.must(putIn(id, key("p", "d", "n", 1), nil))
	if err := c.abort(id); err != nil {
		t.Fatal(err)
	}
	read("an aborted transaction")
}

func TestRecordsHaveColumnsOfTheRowBefore(t *testing.T) {
	c := run(t)
	c.create("t", "p:string", streamed(1, "x", "none"))
	it := c.iterate("t")
	c.must(put("t", key("p", "a"), cols("x", 1, "y", 1)), put("t", key("p", "a"), cols("x", 2)))
	u := update("t", key("p", "a"))
	u.DeleteColumn("x")
	c.must(u, put("t", key("p", "a"), cols("x", 3)), remove("t", key("p", "a")), remove("t", key("p", "a")))
	got, _ := c.records(it)
	checkRecords(t, "all", got, "put a x=1 y=1", "put a x=2 was x=1", "update a -x was x=2", "put a x=3",
		"delete a was x=3", "delete a")
}

func TestRecordsExpire(t *testing.T) {
	now := newClock()
	path := filepath.Join(t.TempDir(), "ots.db")
	var id string
	stored := func() (n int) {
		s, err := ots.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.View(func(tx *bolt.Tx) error {
			c := tx.Bucket("stream/" + otstest.Name + "/" + id).Cursor()
			for k, _ := c.Seek([]byte{0}); k != nil; k, _ = c.Next() {
				n++
			}
			return nil
		})
		return n
	}
	set := func(o *ots.Options) { o.Path, o.Now, o.NewID = path, now.Now, func() string { return "id" } }
	t.Run("run", func(t *testing.T) {
		c := run(t, set)
		c.create("t", "p:integer", streamed(0)) // 24 hours
		first := c.iterate("t")
		id = string(*c.stream("t"))
		for n := range 5 {
			c.must(put("t", key("p", n), nil))
			now.advance(time.Hour)
		}
		now.advance(19*time.Hour - time.Microsecond)
		got, _ := c.records(first)
		checkRecords(t, "a moment before they expire", got, "put 0", "put 1", "put 2", "put 3", "put 4")
		now.advance(time.Microsecond)
		fails(t, "the first record has expired", c.recordError(first), trimmed)
		got, last := c.records(c.iterate("t"))
		checkRecords(t, "a new iterator", got, "put 1", "put 2", "put 3", "put 4")
		now.advance(24 * time.Hour)
		got, _ = c.records(c.iterate("t"))
		checkRecords(t, "all have expired", got)
		c.must(put("t", key("p", 5), nil))
		fails(t, "records that were removed", c.recordError(first), trimmed)
		got, _ = c.records(last)
		checkRecords(t, "an iterator that missed nothing", got, "put 5")
		for n := range 4 {
			c.must(put("t", key("p", n), nil))
		}
		fails(t, "records that were removed", c.recordError(first), trimmed)
	})
	if n := stored(); n != 5 {
		t.Errorf("%d records are stored, want the 5 that have not expired", n)
	}
	t.Run("the clock is set back", func(t *testing.T) {
		c := run(t, set)
		it := c.iterate("t")
		_, it = c.records(it)
		now.advance(-100 * time.Hour)
		c.must(put("t", key("p", 9), nil))
		got, _ := c.records(it)
		checkRecords(t, "a record after that", got, "put 9")
	})
}

func TestFaultsAndRecords(t *testing.T) {
	c := run(t)
	c.create("t", "p:string", streamed(24))
	it := c.iterate("t")
	for i, fault := range []ots.Fault{
		{Drop: true}, {Drop: true, Applied: true},
		{Row: func(_ string, row int) *ots.Error {
			if row == 1 {
				return &ots.Error{Code: "OTSServerBusy", Message: "Server is busy."}
			}
			return nil
		}},
	} {
		c.in.SetFault(func(r ots.Request) ots.Fault { return fault })
		c.batch(false, put("t", key("p", fmt.Sprint("a", i)), nil), put("t", key("p", "b"), nil))
		c.in.SetFault(nil)
	}
	got, _ := c.records(it)
	checkRecords(t, "applied, and some rows", got, "put a1", "put b", "put a2")
}

// TestKillKeepsRowsAndRecordsTogether kills a server under writes. Afterwards each row must have
// one record, and each record a row.
func TestKillKeepsRowsAndRecordsTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ots.db")
	c, cmd := startChild(t, path)
	c.create("t", "p:string", streamed(24))
	var acknowledged sync.Map
	killUnderWrites(t, cmd, func(writer, n int) error {
		k := fmt.Sprintf("%d-%d", writer, n)
		err := c.write(put("t", key("p", k), nil))
		if err == nil {
			acknowledged.Store("put "+k, true)
		}
		return err
	})

	c, _ = startChild(t, path)
	records, _ := c.records(c.iterate("t"))
	var rows []string
	for _, k := range c.dump("t", "p") {
		rows = append(rows, "put "+k)
	}
	slices.Sort(records)
	if diff := cmp.Diff(rows, records); diff != "" {
		t.Errorf("rows and records (-rows +records):\n%s", diff)
	}
	acknowledged.Range(func(k, _ any) bool {
		if _, found := slices.BinarySearch(records, k.(string)); !found {
			t.Errorf("the record of the acknowledged %q is lost", k)
		}
		return true
	})
}

func TestAPageOfRecordsEnds(t *testing.T) {
	c := run(t)
	c.create("t", "p:integer", streamed(24))
	blob := bytes.Repeat([]byte{1}, 3<<19)
	for n := range 5 {
		c.must(put("t", key("p", n), cols("v", blob)))
	}
	for i := range 6 {
		var changes []tablestore.RowChange
		for n := range 200 {
			changes = append(changes, put("t", key("p", 200*i+n), nil))
		}
		if _, err := c.batch(false, changes...); err != nil {
			t.Fatal(err)
		}
	}
	var pages []int
	for it := c.iterate("t"); ; {
		out, err := c.GetStreamRecord(&tablestore.GetStreamRecordRequest{ShardIterator: it})
		if err != nil {
			t.Fatal(err)
		}
		if *out.NextShardIterator == *it {
			break
		}
		it, pages = out.NextShardIterator, append(pages, len(out.Records))
	}
	if got, want := fmt.Sprint(pages), "[3 1000 202]"; got != want {
		t.Errorf("pages of 4 MB and of 1000 records: %s, want %s", got, want)
	}
}
