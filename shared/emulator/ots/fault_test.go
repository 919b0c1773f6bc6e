package ots_test

import (
	"strings"
	"sync"
	"testing"

	"chatconf/shared/emulator/ots"
)

func TestFaults(t *testing.T) {
	busy := &ots.Error{Code: "OTSServerBusy", Message: "Server is busy."}
	for _, test := range []struct {
		what    string
		fault   ots.Fault
		want    string // the start of the client's error
		applied bool
	}{
		{"none", ots.Fault{}, "ok", true},
		{"an error before it is applied", ots.Fault{Err: busy}, "OTSServerBusy: Server is busy.", false},
		{"an error after it was applied", ots.Fault{Err: busy, Applied: true}, "OTSServerBusy: Server is busy.", true},
		{"a connection that breaks before", ots.Fault{Drop: true}, "Post ", false},
		{"a connection that breaks after", ots.Fault{Drop: true, Applied: true}, "Post ", true},
	} {
		c := run(t)
		c.create("t", "p:string")
		c.in.SetFault(func(r ots.Request) ots.Fault {
			if r.Operation != "PutRow" || r.Instance != c.in.Name || len(r.Body) == 0 {
				return ots.Fault{}
			}
			return test.fault
		})
		if got := codeOf(c.write(put("t", key("p", "k"), cols("a", 1)))); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
		if applied := c.get("t", key("p", "k")) == "a=1"; applied != test.applied {
			t.Errorf("%s: applied %v, want %v", test.what, applied, test.applied)
		}
		c.in.SetFault(nil)
		c.must(put("t", key("p", "k"), nil))
	}
}

func TestFaultsThatWait(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	before, after, asked := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.in.SetFault(func(r ots.Request) ots.Fault {
		if r.Operation != "PutRow" {
			return ots.Fault{}
		}
		close(asked)
		return ots.Fault{Before: before, After: after}
	})
	var wait sync.WaitGroup
	var err error
	wait.Go(func() { err = c.write(put("t", key("p", "k"), cols("a", 1))) })
	<-asked
	if got := c.get("t", key("p", "k")); got != "-" {
		t.Errorf("a row whose write is held back: %s", got)
	}
	close(before)
	for c.get("t", key("p", "k")) != "a=1" {
	}
	close(after)
	wait.Wait()
	if err != nil {
		t.Error(err)
	}
}

func TestFaultsOfRows(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	c.in.SetFault(func(ots.Request) ots.Fault {
		return ots.Fault{Row: func(table string, row int) *ots.Error {
			if table == "t" && row == 1 {
				return &ots.Error{Code: "OTSServerBusy", Message: "Server is busy."}
			}
			return nil
		}}
	})
	got, err := c.batch(false, put("t", key("p", "a"), nil), put("t", key("p", "b"), nil), put("t", key("p", "c"), nil))
	if err != nil || strings.Join(got["t"], ", ") != "ok, OTSServerBusy: Server is busy., ok" {
		t.Errorf("BatchWriteRow: %q, %v", got["t"], err)
	}
	if rows := strings.Join(c.dump("t", "p"), " "); rows != "a c" {
		t.Errorf("rows: %s", rows)
	}
}
