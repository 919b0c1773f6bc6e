package ots_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

const conflict = "OTSRowOperationConflict: Data is being modified by the other request."

// transactions enables or disables local transactions of a table.
func transactions(enabled bool) func(*tablestore.CreateTableRequest) {
	return func(r *tablestore.CreateTableRequest) { r.EnableLocalTxn = &enabled }
}

func transactional(r *tablestore.CreateTableRequest) { transactions(true)(r) }

func (c *client) start(table string, pk *tablestore.PrimaryKey) (string, error) {
	out, err := c.StartLocalTransaction(&tablestore.StartLocalTransactionRequest{TableName: table, PrimaryKey: pk})
	if err != nil {
		return "", err
	}
	return *out.TransactionId, nil
}

func (c *client) mustStart(table string, pk *tablestore.PrimaryKey) string {
	c.t.Helper()
	id, err := c.start(table, pk)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *client) commit(id string) error {
	return errorOf(c.CommitTransaction(&tablestore.CommitTransactionRequest{TransactionId: &id}))
}

func (c *client) abort(id string) error {
	return errorOf(c.AbortTransaction(&tablestore.AbortTransactionRequest{TransactionId: &id}))
}

func putIn(id string, pk *tablestore.PrimaryKey, cells []cell) *tablestore.PutRowChange {
	p := put("t", pk, cells)
	p.TransactionId = &id
	return p
}

func within(id string) func(*tablestore.SingleRowQueryCriteria) {
	return func(q *tablestore.SingleRowQueryCriteria) { q.TransactionId = &id }
}

func TestTransaction(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", transactional, withDefined, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("by_age", false, "age"))
	})
	pk := func(n int) *tablestore.PrimaryKey { return key("p", "a", "n", n) }
	c.must(put("t", pk(1), cols("age", 1)), put("t", pk(3), cols("age", 3)))
	id := c.mustStart("t", key("p", "a"))
	gone := remove("t", pk(3))
	gone.TransactionId = &id
	changed := update("t", pk(1))
	changed.TransactionId = &id
	changed.IncrementColumn("age", 10)
	c.must(putIn(id, pk(2), cols("age", 2)), gone, changed, putIn(id, pk(5), nil))

	inside := fmt.Sprint(c.get("t", pk(1), within(id)), c.get("t", pk(2), within(id)), c.get("t", pk(3), within(id)))
	if want := "age=11age=2-"; inside != want {
		t.Errorf("rows as the transaction sees them: %s, want %s", inside, want)
	}
	outside := fmt.Sprint(c.get("t", pk(1)), c.get("t", pk(2)), c.get("t", pk(3)))
	if want := "age=1-age=3"; outside != want {
		t.Errorf("rows as others see them: %s, want %s", outside, want)
	}
	for _, back := range []bool{false, true} {
		q := &tablestore.RangeRowQueryCriteria{TableName: "t", StartPrimaryKey: key("p", "a", "n", infMin),
			EndPrimaryKey: key("p", "a", "n", infMax), TransactionId: &id}
		want := "[a/1 a/2 a/5] -"
		if back {
			q, want = reversed(q), "[a/5 a/2 a/1] -"
			q.TransactionId = &id
		}
		keys, next := c.page(q)
		if got := fmt.Sprint(keys, " ", next); got != want {
			t.Errorf("range as the transaction sees it: %s, want %s", got, want)
		}
	}
	fails(t, "a write from outside", c.write(put("t", pk(7), nil)), conflict)
	_, err := c.start("t", key("p", "a"))
	fails(t, "a second transaction on the partition", err, conflict)
	results, err := c.batch(false, put("t", pk(7), nil), put("t", key("p", "b", "n", 1), nil))
	if got, want := fmt.Sprint(results["t"], err), fmt.Sprint([]string{conflict, "ok"}, nil); got != want {
		t.Errorf("a batch from outside: %s, want %s", got, want)
	}
	fails(t, "a write to another partition", c.write(putIn(id, key("p", "b", "n", 1), nil)),
		"OTSDataOutOfRange: Data out of scope of transaction. Transaction PartKey:a. Data PartKey:b")

	if err := c.commit(id); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.dump("t", "p", "n")), "[a/1 age=11 a/2 age=2 a/5 b/1]"; got != want {
		t.Errorf("after the commit: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(c.dump("by_age", "age", "p", "n")), "[2/a/2 11/a/1]"; got != want {
		t.Errorf("the index after the commit: %s, want %s", got, want)
	}
	c.must(put("t", pk(7), nil))
	fails(t, "a second commit", c.commit(id), "OTSSessionNotExist: Session not exist or may be timeout.")
	fails(t, "a write after the commit", c.write(putIn(id, pk(1), nil)), "OTSSessionNotExist: ")
}

func TestAWriteThatMeetsTheCommitIsInItOrRefused(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", transactional)
	for round := range 20 {
		partition := fmt.Sprint(round)
		id := c.mustStart("t", key("p", partition))
		first := make(chan struct{})
		acknowledged := 0
		var wait sync.WaitGroup
		wait.Go(func() {
			for n := 0; c.write(putIn(id, key("p", partition, "n", n), nil)) == nil; n++ {
				if acknowledged++; n == 0 {
					close(first)
				}
			}
		})
		<-first
		if err := c.commit(id); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
		q := &tablestore.RangeRowQueryCriteria{TableName: "t", StartPrimaryKey: key("p", partition, "n", infMin),
			EndPrimaryKey: key("p", partition, "n", infMax)}
		if keys, _ := c.page(q); len(keys) != acknowledged {
			t.Errorf("round %d: %d writes were acknowledged, but %d rows exist", round, acknowledged, len(keys))
		}
	}
}

func TestAbort(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", transactional)
	id := c.mustStart("t", key("p", "a"))
	c.must(putIn(id, key("p", "a", "n", 1), nil))
	if err := c.abort(id); err != nil {
		t.Fatal(err)
	}
	if got := c.get("t", key("p", "a", "n", 1)); got != "-" {
		t.Errorf("a row of an aborted transaction: %s", got)
	}
	c.must(put("t", key("p", "a", "n", 2), nil))
	fails(t, "a second abort", c.abort(id), "OTSSessionNotExist: ")
}

func TestTransactionEndsByItself(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string n:integer", transactional)
	id := c.mustStart("t", key("p", "a"))
	c.must(putIn(id, key("p", "a", "n", 1), nil))
	now.advance(59 * time.Second)
	fails(t, "a write from outside within its time", c.write(put("t", key("p", "a", "n", 2), nil)), conflict)
	now.advance(time.Second)
	c.must(put("t", key("p", "a", "n", 2), nil))
	fails(t, "its commit after its time", c.commit(id), "OTSSessionNotExist: ")
	if got := c.get("t", key("p", "a", "n", 1)); got != "-" {
		t.Errorf("a row of a transaction whose time is over: %s", got)
	}
}

func TestTransactionRefusals(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", transactional)
	c.create("plain", "p:string n:integer", transactions(false))
	c.create("unsaid", "p:string n:integer")
	start := func(table string, pk *tablestore.PrimaryKey) error { return errorOf(c.start(table, pk)) }
	fails(t, "a table without transactions", start("plain", key("p", "a")),
		"OTSParameterInvalid: Try to call method using explicit transaction on explicit-transaction-disabled table.")
	fails(t, "a table without a setting for transactions", start("unsaid", key("p", "a")), "ok")
	fails(t, "two columns", start("t", key("p", "a", "n", 1)),
		"OTSParameterInvalid: StartLocalTransaction support only one primary key.")
	fails(t, "no name", start("", key("p", "a")), "OTSParameterInvalid: Invalid table name: ''.")
	fails(t, "another column", start("t", key("n", 1)), "OTSInvalidPK: Validate PK name fail.")
	fails(t, "an empty id", c.commit(""), "OTSParameterInvalid: TransactionID is invalid.")
	fails(t, "an empty id", c.abort(""), "OTSParameterInvalid: TransactionID is invalid.")
	fails(t, "an invalid id", c.write(putIn("no such transaction", key("p", "a", "n", 1), nil)),
		"OTSParameterInvalid: TransactionID is invalid.")
	fails(t, "an unknown id", c.write(putIn("x", key("p", "a", "n", 1), nil)), "OTSSessionNotExist: ")
	id := c.mustStart("t", key("p", "a"))
	blob := strings.Repeat("x", 3<<19)
	c.must(putIn(id, key("p", "a", "n", 1), cols("v", blob)), putIn(id, key("p", "a", "n", 2), cols("v", blob)))
	fails(t, "more than 4 MB", c.write(putIn(id, key("p", "a", "n", 3), cols("v", blob))), "OTSParameterInvalid: ")
	if _, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"}); err != nil {
		t.Fatal(err)
	}
	fails(t, "a commit after the table has gone", c.commit(id), "OTSSessionNotExist: ")
}
