package tabletest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/table"
)

func testVerbs(t *testing.T, s *suite) {
	now := newClock()
	tb := s.table(t, Options{Now: now.Now})
	p, other := partition(), partition()
	a, b := table.Key{Partition: p, Sort: "a"}, table.Key{Partition: p, Sort: "b"}
	item := func(k table.Key, value string, revision, count int64) table.Item {
		return table.Item{Key: k, Value: []byte(value), Revision: revision, Count: count, Written: now.written()}
	}

	wantItems(t, "an empty partition", list(t, tb, p), nil)
	if _, ok := get(t, tb, p, "a"); ok {
		t.Error("Get of nothing returned an item")
	}
	if items, err := tb.Get(t.Context()); err != nil || len(items) != 0 {
		t.Errorf("Get of no keys = %v, %v, want no items and no error", items, err)
	}

	put(t, tb, p, table.Put{Sort: "a", Value: []byte("one"), Revision: 7}, table.Put{Sort: "b"})
	put(t, tb, other, table.Put{Sort: "a", Value: []byte("elsewhere"), Revision: 1})
	wantItems(t, "after two puts", list(t, tb, p), []table.Item{item(a, "one", 7, 0), item(b, "", 0, 0)})

	got, err := tb.Get(t.Context(), b, table.Key{Partition: p, Sort: "missing"}, table.Key{Partition: other, Sort: "a"},
		a)
	if err != nil {
		t.Fatalf("Get of four keys: %v", err)
	}
	want := []table.Item{item(a, "one", 7, 0), item(b, "", 0, 0),
		item(table.Key{Partition: other, Sort: "a"}, "elsewhere", 1, 0)}
	wantItems(t, "a Get of three items in two partitions and one missing", byKey(got), byKey(want))

	then := now.written()
	now.advance(3 * time.Millisecond)
	write(t, tb, p, table.Change{Adds: []table.Add{{Sort: "a", N: 5}, {Sort: "c", N: -2}}})
	c := table.Key{Partition: p, Sort: "c"}
	untouched := item(b, "", 0, 0)
	untouched.Written = then
	wantItems(t, "after adds to an item and to none", list(t, tb, p),
		[]table.Item{item(a, "one", 7, 5), untouched, item(c, "", 0, -2)})

	write(t, tb, p, table.Change{Adds: []table.Add{{Sort: "a", N: -8}, {Sort: "c", N: 0}}})
	wantItems(t, "after more adds", list(t, tb, p), []table.Item{item(a, "one", 7, -3), untouched, item(c, "", 0, -2)})

	write(t, tb, p, table.Change{
		Puts:    []table.Put{{Sort: "a", Value: []byte("two"), Revision: -1 << 63}},
		Deletes: []table.Delete{{Sort: "b"}, {Sort: "missing"}},
		Adds:    []table.Add{{Sort: "d", N: 1<<63 - 1}},
	})
	d := table.Key{Partition: p, Sort: "d"}
	wantItems(t, "after a put, two deletes and an add in one", list(t, tb, p),
		[]table.Item{item(a, "two", -1<<63, 0), item(c, "", 0, -2), item(d, "", 0, 1<<63-1)})
	wantItems(t, "another partition", list(t, tb, other),
		[]table.Item{{Key: table.Key{Partition: other, Sort: "a"}, Value: []byte("elsewhere"), Revision: 1,
			Written: then}})

	write(t, tb, p, table.Change{Deletes: []table.Delete{{Sort: "a"}, {Sort: "c"}, {Sort: "d"}}})
	wantItems(t, "after all is deleted", list(t, tb, p), nil)

	var most table.Change
	for i := range table.MaxWrite {
		most.Puts = append(most.Puts, table.Put{Sort: fmt.Sprintf("%03d", i), Value: []byte{byte(i)}})
	}
	write(t, tb, p, most)
	if got, want := len(list(t, tb, p)), table.MaxWrite; got != want {
		t.Errorf("after the largest Write there are %d items, want %d", got, want)
	}
	var keys []table.Key
	for i := range table.MaxGet {
		keys = append(keys, table.Key{Partition: p, Sort: fmt.Sprintf("%03d", i)})
	}
	if got, err := tb.Get(t.Context(), keys...); err != nil || len(got) != table.MaxGet {
		t.Errorf("the largest Get = %d items, %v, want %d", len(got), err, table.MaxGet)
	}
}

func testInvalid(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	long := strings.Repeat("k", table.MaxKey+1)
	key := table.Key{Partition: p, Sort: "a"}
	put := func(sort string) table.Put { return table.Put{Sort: sort} }
	tooMany := make([]table.Put, table.MaxWrite+1)
	for i := range tooMany {
		tooMany[i] = put(fmt.Sprint(i))
	}
	tooManyKeys := make([]table.Key, table.MaxGet+1)
	for i := range tooManyKeys {
		tooManyKeys[i] = table.Key{Partition: p, Sort: fmt.Sprint(i)}
	}

	for name, keys := range map[string][]table.Key{
		"a key with no partition":                {{Sort: "a"}},
		"a key with no sort key":                 {{Partition: p}},
		"a key with a partition that is too big": {{Partition: long, Sort: "a"}},
		"a key with a sort key that is too big":  {key, {Partition: p, Sort: long}},
		"one key twice":                          {key, {Partition: p, Sort: "b"}, key},
		"too many keys":                          tooManyKeys,
	} {
		if items, err := tb.Get(t.Context(), keys...); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("Get of %s = %d items, %v, want ErrInvalid", name, len(items), err)
		}
	}

	for name, r := range map[string]table.Range{
		"no partition":                {Limit: 1},
		"a partition that is too big": {Partition: long, Limit: 1},
		"a prefix that is too big":    {Partition: p, Prefix: long, Limit: 1},
		"a cursor that is too big":    {Partition: p, After: long, Limit: 1},
		"no limit":                    {Partition: p},
		"a negative limit":            {Partition: p, Limit: -1},
		"a limit that is too big":     {Partition: p, Limit: table.MaxQuery + 1},
	} {
		if items, err := tb.Query(t.Context(), r); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("Query with %s = %d items, %v, want ErrInvalid", name, len(items), err)
		}
	}

	type change = table.Change
	for name, c := range map[string]change{
		"no parts":                      {},
		"too many parts":                {Puts: tooMany},
		"a put with no sort key":        {Puts: []table.Put{put("good"), put("")}},
		"a put with a sort key too big": {Puts: []table.Put{put("good"), put(long)}},
		"a put with a value too big": {Puts: []table.Put{put("good"),
			{Sort: "a", Value: make([]byte, table.MaxValue+1)}}},
		"a delete with no sort key":   {Puts: []table.Put{put("good")}, Deletes: []table.Delete{{}}},
		"a delete with a key too big": {Puts: []table.Put{put("good")}, Deletes: []table.Delete{{Sort: long}}},
		"a delete that asks for absence": {Puts: []table.Put{put("good")},
			Deletes: []table.Delete{{Sort: "a", If: table.Absent()}}},
		"an add with no sort key":        {Puts: []table.Put{put("good")}, Adds: []table.Add{{N: 1}}},
		"an add with a sort key too big": {Puts: []table.Put{put("good")}, Adds: []table.Add{{Sort: long, N: 1}}},
		"two puts of one key":            {Puts: []table.Put{put("good"), put("good")}},
		"a put and a delete of one key":  {Puts: []table.Put{put("good")}, Deletes: []table.Delete{{Sort: "good"}}},
		"a put and an add of one key":    {Puts: []table.Put{put("good")}, Adds: []table.Add{{Sort: "good"}}},
		"a delete and an add of one key": {Deletes: []table.Delete{{Sort: "a"}}, Adds: []table.Add{{Sort: "a"}}},
	} {
		if err := tb.Write(t.Context(), p, c); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("Write with %s = %v, want ErrInvalid", name, err)
		}
	}
	for name, bad := range map[string]string{"no partition": "", "a partition that is too big": long} {
		if err := tb.Write(t.Context(), bad, change{Puts: []table.Put{put("good")}}); !errors.Is(err,
			table.ErrInvalid) {
			t.Errorf("Write with %s = %v, want ErrInvalid", name, err)
		}
	}
	wantItems(t, "after invalid calls only", list(t, tb, p), nil)
}

// testClosed closes a table during calls, and then again.
func testClosed(t *testing.T, s *suite) {
	tb := s.open(t, Options{})
	p := partition()
	var calls sync.WaitGroup
	first := make(chan struct{}, 1)
	for g := range 4 {
		calls.Go(func() {
			for i := 0; ; i++ {
				err := tb.Write(t.Context(), p, table.Change{Puts: []table.Put{{Sort: fmt.Sprint(g, i)}}})
				if err == nil {
					_, err = tb.Get(t.Context(), table.Key{Partition: p, Sort: fmt.Sprint(g, i)})
				}
				if err != nil || i > 10_000 {
					if !errors.Is(err, table.ErrClosed) {
						t.Errorf("a call beside Close = %v, want success or ErrClosed", err)
					}
					return
				}
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		calls.Wait()
		close(ended)
	}()
	select {
	case <-first:
	case <-ended: // none succeeded
	}
	var closers sync.WaitGroup
	for range 2 {
		closers.Go(func() {
			if err := tb.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	closers.Wait()
	if err := tb.Close(); err != nil {
		t.Errorf("Close for the third time: %v", err)
	}
	key := table.Key{Partition: p, Sort: "a"}
	if _, err := tb.Get(t.Context(), key); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Get after Close = %v, want ErrClosed", err)
	}
	if _, err := tb.Query(t.Context(), table.Range{Partition: p, Limit: 1}); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Query after Close = %v, want ErrClosed", err)
	}
	if err := tb.Write(t.Context(), p, table.Change{Puts: []table.Put{{Sort: "a"}}}); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Write after Close = %v, want ErrClosed", err)
	}
	<-ended
}

// testContext ends contexts before and during calls.
func testContext(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	key := table.Key{Partition: p, Sort: "a"}
	put(t, tb, p, table.Put{Sort: "a", Revision: 1})

	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: canceled(), context.DeadlineExceeded: late} {
		if _, err := tb.Get(ctx, key); !errors.Is(err, want) {
			t.Errorf("Get = %v, want %v", err, want)
		}
		if _, err := tb.Query(ctx, table.Range{Partition: p, Limit: 1}); !errors.Is(err, want) {
			t.Errorf("Query = %v, want %v", err, want)
		}
		if err := tb.Write(ctx, p, table.Change{Deletes: []table.Delete{{Sort: "a"}}}); !errors.Is(err, want) {
			t.Errorf("Write = %v, want %v", err, want)
		}
	}
	if _, ok := get(t, tb, p, "a"); !ok {
		t.Error("a Write whose context had ended has happened")
	}

	// A Write whose context ends in progress happens completely or not at all. If it returns nil,
	// it has happened.
	var writers sync.WaitGroup
	for g := range 4 {
		writers.Go(func() {
			for i := range s.fewer(50, 5) {
				ctx, cancel := context.WithCancel(t.Context())
				var canceler sync.WaitGroup
				canceler.Go(cancel)
				sort := fmt.Sprintf("during/%d/%d/", g, i)
				err := tb.Write(ctx, p, table.Change{Puts: []table.Put{{Sort: sort + "a"}, {Sort: sort + "b"}}})
				canceler.Wait()
				items := query(t, tb, table.Range{Partition: p, Prefix: sort, Limit: 3})
				switch {
				case err != nil && !errors.Is(err, context.Canceled):
					t.Errorf("Write canceled in progress = %v, want success or Canceled", err)
				case err == nil && len(items) != 2, len(items) == 1:
					t.Errorf("Write canceled in progress = %v, and left %d of 2 items", err, len(items))
				}
			}
		})
	}
	writers.Wait()
}

func testConditions(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	states := map[string]func(p string){
		"no item":               func(string) {},
		"an item at revision 3": func(p string) { put(t, tb, p, table.Put{Sort: "a", Revision: 3}) },
		"an item at revision 0": func(p string) { put(t, tb, p, table.Put{Sort: "a"}) },
		"an item that was added": func(p string) {
			write(t, tb, p,
				table.Change{Adds: []table.Add{{Sort: "a", N: 3}}})
		},
		"an item put and added to": func(p string) {
			put(t, tb, p, table.Put{Sort: "a", Revision: 3})
			add(t, tb, p,
				"a", 1)
		},
		"an item that was deleted": func(p string) {
			put(t, tb, p, table.Put{Sort: "a", Revision: 3})
			write(t, tb, p, table.Change{Deletes: []table.Delete{{Sort: "a"}}})
		},
	}
	there := map[string]int64{"an item at revision 3": 3, "an item at revision 0": 0, "an item that was added": 0,
		"an item put and added to": 3}
	for state, prepare := range states {
		revision, exists := there[state]
		for _, want := range []struct {
			condition table.Condition
			holds     bool
		}{
			{table.Condition{}, true},
			{table.Absent(), !exists},
			{table.AtRevision(3), exists && revision == 3},
			{table.AtRevision(0), exists && revision == 0},
			{table.AtRevision(-3), false},
		} {
			changes := map[string]table.Change{"put": {Puts: []table.Put{{Sort: "a", Revision: 9, If: want.condition}}}}
			if !want.condition.IsAbsent() {
				changes["delete"] = table.Change{Deletes: []table.Delete{{Sort: "a", If: want.condition}}}
			}
			for verb, c := range changes {
				p := partition()
				prepare(p)
				before := list(t, tb, p)
				err := tb.Write(t.Context(), p, c)
				what := fmt.Sprintf("%s of %s if %v", verb, state, want.condition)
				if want.holds {
					if err != nil {
						t.Errorf("%s = %v, want success", what, err)
					}
					item, ok := get(t, tb, p, "a")
					if ok != (verb == "put") || ok && item.Revision != 9 {
						t.Errorf("%s left %v, %v", what, item, ok)
					}
					continue
				}
				wantCondition(t, what, err, table.Key{Partition: p, Sort: "a"}, want.condition)
				wantItems(t, what, list(t, tb, p), before)
			}
		}
	}
}

func add(t *testing.T, tb table.Table, partition, sort string, n int64) {
	t.Helper()
	write(t, tb, partition, table.Change{Adds: []table.Add{{Sort: sort, N: n}}})
}

// wantCondition fails unless err is a *table.ConditionError for the given part, and no other error
// of the port.
func wantCondition(t *testing.T, what string, err error, key table.Key, condition table.Condition) {
	t.Helper()
	var failed *table.ConditionError
	if !errors.As(err, &failed) {
		t.Errorf("%s = %v, want a ConditionError", what, err)
		return
	}
	if failed.Key != key || failed.If != condition {
		t.Errorf("%s names %q, %v, want %q, %v", what, failed.Key, failed.If, key, condition)
	}
	for _, other := range []error{table.ErrInvalid, table.ErrClosed, table.ErrUnavailable, table.ErrUnsupported} {
		if errors.Is(err, other) {
			t.Errorf("%s = %v, which is also %v", what, err, other)
		}
	}
}

// testAtomic makes changes of many parts of which some conditions fail. The first must be in the
// error, and nothing may change.
func testAtomic(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	put(t, tb, p, table.Put{Sort: "a", Value: []byte("a"), Revision: 1},
		table.Put{Sort: "b", Value: []byte("b"), Revision: 2}, table.Put{Sort: "m", Revision: 5})
	add(t, tb, p, "n", 10)
	before := list(t, tb, p)

	good := []table.Put{{Sort: "new", If: table.Absent()}, {Sort: "a", Value: []byte("changed"), Revision: 3,
		If: table.AtRevision(1)}}
	for name, test := range map[string]struct {
		change table.Change
		sort   string
		want   table.Condition
	}{
		"the last of several puts": {
			change: table.Change{Puts: append(good[:2:2], table.Put{Sort: "b", If: table.Absent()}),
				Adds: []table.Add{{Sort: "n", N: 1}}},
			sort: "b", want: table.Absent(),
		},
		"the first of several puts": {
			change: table.Change{Puts: append([]table.Put{{Sort: "b", If: table.AtRevision(7)}}, good...)},
			sort:   "b", want: table.AtRevision(7),
		},
		"two puts": {
			change: table.Change{Puts: []table.Put{good[0], {Sort: "m", If: table.AtRevision(6)},
				{Sort: "b", If: table.Absent()}}},
			sort: "m", want: table.AtRevision(6),
		},
		"a delete behind puts and before adds": {
			change: table.Change{Puts: good, Deletes: []table.Delete{{Sort: "m"}, {Sort: "b", If: table.AtRevision(1)}},
				Adds: []table.Add{{Sort: "n", N: 1}, {Sort: "o", N: 1}}},
			sort: "b", want: table.AtRevision(1),
		},
		"a delete of nothing": {
			change: table.Change{Puts: good, Deletes: []table.Delete{{Sort: "zero", If: table.AtRevision(0)}}},
			sort:   "zero", want: table.AtRevision(0),
		},
		"a put and a delete with a smaller key": {
			change: table.Change{Deletes: []table.Delete{{Sort: "a", If: table.AtRevision(9)}},
				Puts: []table.Put{{Sort: "m", If: table.Absent()}}},
			sort: "m", want: table.Absent(),
		},
	} {
		err := tb.Write(t.Context(), p, test.change)
		wantCondition(t, "a Write that fails in "+name, err, table.Key{Partition: p, Sort: test.sort}, test.want)
		wantItems(t, "after a Write that fails in "+name, list(t, tb, p), before)
	}
}
