package table_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"chatconf/shared/table"
)

var (
	longest = strings.Repeat("k", table.MaxKey)
	tooLong = longest + "k"
)

func TestCondition(t *testing.T) {
	for _, test := range []struct {
		condition      table.Condition
		always, absent bool
		revision       int64
		exact          bool
		text           string
	}{
		{condition: table.Condition{}, always: true, text: "always"},
		{condition: table.Absent(), absent: true, text: "absent"},
		{condition: table.AtRevision(0), exact: true, text: "at revision 0"},
		{condition: table.AtRevision(-7), revision: -7, exact: true, text: "at revision -7"},
	} {
		if got, want := test.condition.String(), test.text; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
		if got, want := test.condition.IsAlways(), test.always; got != want {
			t.Errorf("%v: IsAlways() = %v, want %v", test.condition, got, want)
		}
		if got, want := test.condition.IsAbsent(), test.absent; got != want {
			t.Errorf("%v: IsAbsent() = %v, want %v", test.condition, got, want)
		}
		if n, ok := test.condition.Revision(); n != test.revision || ok != test.exact {
			t.Errorf("%v: Revision() = %d, %v, want %d, %v", test.condition, n, ok, test.revision, test.exact)
		}
	}
	if table.AtRevision(1) == table.AtRevision(2) || table.AtRevision(0) == (table.Condition{}) {
		t.Error("different conditions are equal")
	}
}

func TestConditionErrorNamesTheItem(t *testing.T) {
	err := &table.ConditionError{Key: table.Key{Partition: "p", Sort: "c#\x00"}, If: table.AtRevision(3)}
	if got, want := err.Error(), `item "c#\x00" is not at revision 3`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestCheckGet(t *testing.T) {
	most := make([]table.Key, table.MaxGet+1)
	for i := range most {
		most[i] = table.Key{Partition: "p", Sort: fmt.Sprint(i)}
	}
	for name, test := range map[string]struct {
		keys  []table.Key
		valid bool
	}{
		"no keys":          {nil, true},
		"one key":          {most[:1], true},
		"the most keys":    {most[:table.MaxGet], true},
		"one key too many": {most, false},
		"the longest keys": {[]table.Key{{Partition: longest, Sort: longest}}, true},
		"one sort key in two partitions": {[]table.Key{{Partition: "p", Sort: "a"}, {Partition: "q", Sort: "a"}},
			true},
		"a partition beyond the longest":      {[]table.Key{{Partition: tooLong, Sort: "a"}}, false},
		"a sort key beyond the longest":       {[]table.Key{{Partition: "p", Sort: tooLong}}, false},
		"an empty partition":                  {[]table.Key{{Sort: "a"}}, false},
		"an empty sort key behind a good one": {[]table.Key{{Partition: "p", Sort: "a"}, {Partition: "p"}}, false},
		"the first key again at the end":      {[]table.Key{most[0], most[1], most[0]}, false},
		"keys that are not text":              {[]table.Key{{Partition: "\xff", Sort: "\x00"}}, true},
		"keys that are the same bytes, joined": {[]table.Key{{Partition: "a", Sort: "bc"},
			{Partition: "ab", Sort: "c"}}, true},
	} {
		checkValid(t, "CheckGet of "+name, table.CheckGet(test.keys), test.valid)
	}
}

func TestCheckQuery(t *testing.T) {
	for name, test := range map[string]struct {
		r     table.Range
		valid bool
	}{
		"the smallest range": {table.Range{Partition: "p", Limit: 1}, true},
		"the largest range": {table.Range{Partition: longest, Prefix: longest, After: longest,
			Limit: table.MaxQuery, Reverse: true}, true},
		"a cursor outside the prefix":    {table.Range{Partition: "p", Prefix: "a", After: "b", Limit: 1}, true},
		"an empty partition":             {table.Range{Limit: 1}, false},
		"a partition beyond the longest": {table.Range{Partition: tooLong, Limit: 1}, false},
		"a prefix beyond the longest":    {table.Range{Partition: "p", Prefix: tooLong, Limit: 1}, false},
		"a cursor beyond the longest":    {table.Range{Partition: "p", After: tooLong, Limit: 1}, false},
		"a limit of zero":                {table.Range{Partition: "p"}, false},
		"a limit below zero":             {table.Range{Partition: "p", Limit: -1}, false},
		"a limit beyond the most":        {table.Range{Partition: "p", Limit: table.MaxQuery + 1}, false},
	} {
		checkValid(t, "CheckQuery of "+name, table.CheckQuery(test.r), test.valid)
	}
}

func TestCheckWrite(t *testing.T) {
	puts := make([]table.Put, table.MaxWrite)
	for i := range puts {
		puts[i].Sort = fmt.Sprint(i)
	}
	for name, test := range map[string]struct {
		partition string
		change    table.Change
		valid     bool
	}{
		"a put":    {"p", table.Change{Puts: puts[:1]}, true},
		"a delete": {"p", table.Change{Deletes: []table.Delete{{Sort: "a"}}}, true},
		"a delete at a revision": {"p",
			table.Change{Deletes: []table.Delete{{Sort: "a", If: table.AtRevision(1)}}}, true},
		"an add": {"p", table.Change{Adds: []table.Add{{Sort: "a"}}}, true},
		"the most parts": {"p", table.Change{Puts: puts[:table.MaxWrite-2],
			Deletes: []table.Delete{{Sort: "a"}}, Adds: []table.Add{{Sort: "b"}}}, true},
		"the longest keys": {longest, table.Change{Puts: []table.Put{{Sort: longest}}}, true},
		"the largest value": {"p",
			table.Change{Puts: []table.Put{{Sort: "a", Value: make([]byte, table.MaxValue)}}}, true},
		"no parts":                       {"p", table.Change{}, false},
		"one part too many":              {"p", table.Change{Puts: puts, Adds: []table.Add{{Sort: "a"}}}, false},
		"an empty partition":             {"", table.Change{Puts: puts[:1]}, false},
		"a partition beyond the longest": {tooLong, table.Change{Puts: puts[:1]}, false},
		"a put of an empty key":          {"p", table.Change{Puts: []table.Put{{}}}, false},
		"a put of a key too long":        {"p", table.Change{Puts: []table.Put{{Sort: tooLong}}}, false},
		"a put of a value too large": {"p",
			table.Change{Puts: []table.Put{{Sort: "a", Value: make([]byte, table.MaxValue+1)}}}, false},
		"a delete of an empty key": {"p", table.Change{Deletes: []table.Delete{{}}}, false},
		"a delete if absent": {"p", table.Change{Deletes: []table.Delete{{Sort: "a", If: table.Absent()}}},
			false},
		"an add of a key too long": {"p", table.Change{Adds: []table.Add{{Sort: tooLong}}}, false},
		"a key in two puts":        {"p", table.Change{Puts: []table.Put{{Sort: "a"}, {Sort: "a"}}}, false},
		"a key in a put and a delete": {"p", table.Change{Puts: []table.Put{{Sort: "a"}},
			Deletes: []table.Delete{{Sort: "a"}}}, false},
		"a key in a put and an add": {"p", table.Change{Puts: []table.Put{{Sort: "a"}},
			Adds: []table.Add{{Sort: "a"}}}, false},
		"a key in a delete and an add": {"p", table.Change{Deletes: []table.Delete{{Sort: "a"}},
			Adds: []table.Add{{Sort: "a"}}}, false},
		"a key in two adds": {"p", table.Change{Adds: []table.Add{{Sort: "a"}, {Sort: "a"}}}, false},
		"a bad delete behind a good put": {"p", table.Change{Puts: puts[:1], Deletes: []table.Delete{{Sort: tooLong}}},
			false},
		"keys that differ in case only": {"p", table.Change{Adds: []table.Add{{Sort: "a"}, {Sort: "A"}}}, true},
		"a revision and a count below 0": {"p", table.Change{Puts: []table.Put{{Sort: "a", Revision: -1}},
			Adds: []table.Add{{Sort: "b", N: -1}}}, true},
		"a key that another's prefix is": {"p", table.Change{Adds: []table.Add{{Sort: "a"}, {Sort: "a\x00"}}}, true},
		"a key that is not text":         {"p", table.Change{Puts: []table.Put{{Sort: "\xff"}}}, true},
		"a put of what the partition is": {"p", table.Change{Puts: []table.Put{{Sort: "p"}}}, true},
		"a put if absent beside a delete": {"p", table.Change{Puts: []table.Put{{Sort: "a", If: table.Absent()}},
			Deletes: []table.Delete{{Sort: "b"}}}, true},
	} {
		checkValid(t, "CheckWrite of "+name, table.CheckWrite(test.partition, test.change), test.valid)
	}
}

func checkValid(t *testing.T, what string, err error, valid bool) {
	t.Helper()
	if valid && err != nil || !valid && !errors.Is(err, table.ErrInvalid) {
		t.Errorf("%s = %v, want valid: %v", what, err, valid)
	}
}

func TestAGateOfTextRefusesOtherKeys(t *testing.T) {
	bytes, text := new(table.Gate), &table.Gate{Text: true}
	enter := func(g *table.Gate, verb, key string) error {
		var err error
		switch verb {
		case "get":
			err = g.EnterGet(t.Context(), []table.Key{{Partition: "p", Sort: "a"}, {Partition: "p", Sort: key}})
		case "query":
			err = g.EnterQuery(t.Context(), table.Range{Partition: "p", After: key, Limit: 1})
		case "put":
			err = g.EnterWrite(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: key}}})
		case "delete":
			err = g.EnterWrite(t.Context(), "p", table.Change{Deletes: []table.Delete{{Sort: key}}})
		case "add":
			err = g.EnterWrite(t.Context(), key, table.Change{Adds: []table.Add{{Sort: "a"}}})
		}
		if err == nil {
			g.Leave()
		}
		return err
	}
	for _, verb := range []string{"get", "query", "put", "delete", "add"} {
		for _, good := range []string{"b", "\x00", "名", "\U0001f600", "\uffff"} {
			if err := enter(text, verb, good); err != nil {
				t.Errorf("%s %q = %v, want nil", verb, good, err)
			}
		}
		for _, bad := range []string{"\xff", "a\xc3", "\xed\xa0\x80", strings.Repeat("\x80", table.MaxKey)} {
			if err := enter(bytes, verb, bad); err != nil {
				t.Errorf("%s %q of bytes = %v, want nil", verb, bad, err)
			}
			if err := enter(text, verb, bad); !errors.Is(err, table.ErrInvalid) || len(err.Error()) > 500 {
				t.Errorf("%s %q = %v, want a short ErrInvalid", verb, bad, err)
			}
		}
		text.Close()
		if err := enter(text, verb, "b"); !errors.Is(err, table.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", verb, err)
		}
		text = &table.Gate{Text: true}
	}
}
