package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"chatconf/shared/table"
)

// A prober tests on a real table the guarantees that the service needs, in a partition of its own.
type prober struct {
	table     table.Table
	other     table.Table // the same table through a client with separate connections, as in two functions
	partition string
}

// probe runs every test and prints a line for each. It leaves the table unchanged.
func probe(ctx context.Context, w io.Writer, name string, t, other table.Table) (err error) {
	var b [12]byte
	rand.Read(b[:]) // never fails
	p := &prober{t, other, "chatconf-check/" + hex.EncodeToString(b[:])}
	defer func() { err = errors.Join(err, p.clear(context.WithoutCancel(ctx))) }()
	failed := 0
	for _, proof := range []struct {
		promise string
		prove   func(context.Context) error
	}{
		{"a write with a failed condition changes nothing", p.atomic},
		{"reads are strongly consistent", p.strong},
		{"items are in byte order, forward and reverse", p.order},
		{"counters are exact under concurrent additions", p.adds},
		{"of many conditional writes exactly one succeeds", p.race},
	} {
		if err := p.clear(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := proof.prove(ctx); err != nil {
			fmt.Fprintf(w, "%s: FAILED  %s: %s\n", name, proof.promise, printable(err.Error()))
			failed++
			continue
		}
		fmt.Fprintf(w, "%s: ok      %s\n", name, proof.promise)
	}
	if failed > 0 {
		return fmt.Errorf("%s: %d guarantee(s) do not hold", name, failed)
	}
	return nil
}

func (p *prober) write(ctx context.Context, c table.Change) error {
	return p.table.Write(ctx, p.partition, c)
}

// all returns the items of the partition.
func (p *prober) all(ctx context.Context, reverse bool) ([]table.Item, error) {
	return p.table.Query(ctx, table.Range{Partition: p.partition, Limit: table.MaxQuery, Reverse: reverse})
}

// clear empties the partition.
func (p *prober) clear(ctx context.Context) error {
	items, err := p.all(ctx, false)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(items, table.MaxWrite) {
		var c table.Change
		for _, item := range chunk {
			c.Deletes = append(c.Deletes, table.Delete{Sort: item.Sort})
		}
		if err := p.write(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// atomic writes several items with one failed condition, a different one each time, and checks that
// nothing was written.
func (p *prober) atomic(ctx context.Context) error {
	if err := p.write(ctx, table.Change{Puts: []table.Put{{Sort: "there",
		Value: []byte("before"), Revision: 1}}}); err != nil {
		return err
	}
	for broken := range 4 {
		c := table.Change{
			Puts: []table.Put{{Sort: "a", If: table.Absent()}, {Sort: "b", If: table.Absent()},
				{Sort: "c", If: table.Absent()}},
			Deletes: []table.Delete{{Sort: "there"}},
			Adds:    []table.Add{{Sort: "counter", N: 1}},
		}
		culprit := "there"
		if broken < len(c.Puts) {
			culprit, c.Puts[broken].If = c.Puts[broken].Sort, table.AtRevision(7)
		} else {
			c.Deletes[0].If = table.AtRevision(7)
		}
		var condition *table.ConditionError
		if err := p.write(ctx, c); !errors.As(err, &condition) {
			return fmt.Errorf("the write returned %v, not the error of a failed condition", err)
		} else if condition.Key.Sort != culprit {
			return fmt.Errorf("the error names the condition of %q, not that of %q", condition.Key.Sort, culprit)
		}
		items, err := p.all(ctx, false)
		if err != nil {
			return err
		}
		if len(items) != 1 || items[0].Sort != "there" || string(items[0].Value) != "before" {
			return fmt.Errorf("the write left %d items, not only the earlier one", len(items))
		}
	}
	return nil
}

// strong writes with one client while the other reads, and then the other way round.
func (p *prober) strong(ctx context.Context) error {
	return cmp.Or(p.follow(ctx, "forth", p.table, p.other), p.follow(ctx, "back", p.other, p.table))
}

// follow writes an item repeatedly. The writer reads it after each write, and others read it all
// the time, with Get and with Query. A read must see the last write that finished before it began,
// or a later one that began before the read finished.
func (p *prober) follow(ctx context.Context, sort string, writer, reader table.Table) error {
	const writes, clients = 25, 4
	var begun, done atomic.Int64
	var ended atomic.Bool
	write := func(n int64) error {
		begun.Store(n)
		c := table.Change{Puts: []table.Put{{Sort: sort, Value: fmt.Appendf(nil, "%d", n), Revision: n}}}
		if err := writer.Write(ctx, p.partition, c); err != nil {
			return err
		}
		done.Store(n)
		return nil
	}
	read := func(byQuery bool) error {
		least := done.Load()
		items, err := p.read(ctx, reader, sort, byQuery)
		switch most := begun.Load(); {
		case err != nil:
			return err
		case len(items) != 1:
			return fmt.Errorf("a read after write %d saw %d items, not one", least, len(items))
		case items[0].Revision < least || items[0].Revision > most:
			return fmt.Errorf("a read between writes %d and %d saw write %d", least, most, items[0].Revision)
		case string(items[0].Value) != strconv.FormatInt(items[0].Revision, 10):
			return fmt.Errorf("a read saw the value and the revision of different writes")
		}
		return nil
	}
	if err := write(0); err != nil {
		return err
	}
	return cmp.Or(together(clients, func(i int) error {
		if i > 0 {
			for !ended.Load() {
				if err := read(i%2 == 1); err != nil {
					return err
				}
			}
			return nil
		}
		defer ended.Store(true)
		for n := range int64(writes) {
			if err := errors.Join(write(n+1), read(n%2 == 1)); err != nil {
				return err
			}
		}
		return nil
	})...)
}

// read returns the items under a sort key: at most one.
func (p *prober) read(ctx context.Context, t table.Table, sort string, byQuery bool) ([]table.Item, error) {
	if byQuery {
		return t.Query(ctx, table.Range{Partition: p.partition, Prefix: sort, Limit: 2})
	}
	return t.Get(ctx, table.Key{Partition: p.partition, Sort: sort})
}

// order stores keys that some engines sort differently.
func (p *prober) order(ctx context.Context) error {
	keys := []string{"a", "B", "A", "b", "a#", "a$", "a%23", "aa", "a\x7f", "é", "e\u0301", "名", "\U0001f600",
		"\uffff", "10", "9", "-", "_", "~", " "}
	var c table.Change
	for _, key := range keys {
		c.Puts = append(c.Puts, table.Put{Sort: key})
	}
	if err := p.write(ctx, c); err != nil {
		return err
	}
	slices.Sort(keys)
	for _, reverse := range []bool{false, true} {
		items, err := p.all(ctx, reverse)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(items, keys, func(item table.Item, key string) bool { return item.Sort == key }) {
			return fmt.Errorf("%d keys are not in byte order (reverse: %v)", len(items), reverse)
		}
		slices.Reverse(keys)
	}
	return nil
}

// contenders is the number of concurrent writers in a test.
const contenders = 16

// client returns the client of one writer: half of them use the other client.
func (p *prober) client(i int) table.Table {
	if i%2 == 1 {
		return p.other
	}
	return p.table
}

// adds has many writers add to one counter at once. If an addition ends without an outcome, the
// counter is not checked.
func (p *prober) adds(ctx context.Context) error {
	const each = 10
	unknown := 0
	for _, err := range together(contenders, func(i int) error {
		for range each {
			c := table.Change{Adds: []table.Add{{Sort: "counter", N: 1}}}
			if err := p.client(i).Write(ctx, p.partition, c); err != nil {
				return err
			}
		}
		return nil
	}) {
		switch {
		case errors.Is(err, table.ErrUnavailable):
			unknown++
		case err != nil:
			return err
		}
	}
	if unknown > 0 {
		return fmt.Errorf("%d of %d writers ended without an outcome; run the check again", unknown, contenders)
	}
	items, err := p.all(ctx, false)
	if err != nil {
		return err
	}
	if len(items) != 1 || items[0].Count != contenders*each {
		return fmt.Errorf("the counter is not at %d", contenders*each)
	}
	return nil
}

// race has many writers replace the same revision at once, repeatedly.
func (p *prober) race(ctx context.Context) error {
	for revision := range int64(5) {
		condition := table.AtRevision(revision)
		if revision == 0 {
			condition = table.Absent()
		}
		won := 0
		for _, err := range together(contenders, func(i int) error {
			return p.client(i).Write(ctx, p.partition,
				table.Change{Puts: []table.Put{{Sort: "k", Revision: revision + 1, If: condition}}})
		}) {
			var broken *table.ConditionError
			switch {
			case err == nil:
				won++
			case !errors.As(err, &broken):
				return err
			}
		}
		if won != 1 {
			return fmt.Errorf("%d of %d writers succeeded, not one", won, contenders)
		}
	}
	return nil
}

// together runs do on n goroutines at once and returns their errors.
func together(n int, do func(i int) error) []error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	return errs
}
