package tablestore_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"
)

func TestKeysBesideKeys(t *testing.T) {
	most := func(prefix string) string { return prefix + strings.Repeat("\U0010ffff", (table.MaxKey-len(prefix))/4) }
	full := strings.Repeat("k", table.MaxKey)
	for _, test := range []struct{ key, beyond, after, before string }{
		{"a", "b", "a\x00", most("`") + "\uffff"},
		{"a\x00", "a\x01", "a\x00\x00", "a"},
		{"\x00", "\x01", "\x00\x00", ""},
		{"a\x7f", "a\u0080", "a\x7f\x00", most("a~") + "\u07ff"},
		{"\ud7ff", "\ue000", "\ud7ff\x00", most("\ud7fe") + "\x7f"},
		{"\ue000", "\ue001", "\ue000\x00", most("\ud7ff") + "\x7f"},
		{"a\U0010ffff", "b", "a\U0010ffff\x00", most("a\U0010fffe") + "\uffff"},
		{"\U0010ffff", "", "\U0010ffff\x00", most("\U0010fffe")},
		{full, full[1:] + "l", full[1:] + "l", full[1:] + "j"},
		{full[1:] + "\x7f", full[2:] + "l", full[2:] + "l", full[1:] + "~"}, // the letter after DEL takes two bytes
	} {
		if got := tablestore.Beyond(test.key); got != test.beyond {
			t.Errorf("beyond(%.20q) = %.20q, want %.20q", test.key, got, test.beyond)
		}
		if got := tablestore.After(test.key); got != test.after {
			t.Errorf("after(%.20q) = %.20q, want %.20q", test.key, got, test.after)
		}
		if got := tablestore.Before(test.key); got != test.before {
			t.Errorf("before(%.20q) = %.20q…, want %.20q…", test.key, got, test.before)
		}
	}
}

// FuzzKey holds that before and after are each other's reverse, that what they return are keys, and
// that beyond a prefix begins where what has the prefix ends.
func FuzzKey(f *testing.F) {
	for _, k := range []string{"a", "\x00", "a\x00", "\x7f", "\u07ff", "\ud7ff", "\ue000", "\uffff", "\U0010ffff",
		"c#名", strings.Repeat("k", table.MaxKey), strings.Repeat("\U0010ffff", table.MaxKey/4),
		strings.Repeat("k", table.MaxKey-1) + "\x7f"} {
		f.Add(k, "suffix")
		f.Add(k, "\U0010ffff\U0010ffff")
	}
	f.Fuzz(func(t *testing.T, k, suffix string) {
		if !utf8.ValidString(k) || k == "" || len(k) > table.MaxKey {
			t.Skip("no key")
		}
		is := func(what, key string) {
			if key != "" && (!utf8.ValidString(key) || len(key) > table.MaxKey) {
				t.Errorf("%s %q is no key: %q", what, k, key)
			}
		}
		after, before, beyond := tablestore.After(k), tablestore.Before(k), tablestore.Beyond(k)
		is("after", after)
		is("before", before)
		is("beyond", beyond)
		if after != "" && (after <= k || tablestore.Before(after) != k) {
			t.Errorf("after(%q) = %q, before which is %q", k, after, tablestore.Before(after))
		}
		if before >= k || before != "" && tablestore.After(before) != k {
			t.Errorf("before(%q) = %q, after which is %q", k, before, tablestore.After(before))
		}
		if longer := k + suffix; utf8.ValidString(longer) && len(longer) <= table.MaxKey &&
			beyond != "" && longer >= beyond {
			t.Errorf("beyond(%q) = %q, but there is %q", k, beyond, longer)
		}
		if beyond != "" && !strings.HasPrefix(tablestore.Before(beyond), k) {
			t.Errorf("beyond(%q) = %q, and what is before that does not begin so", k, beyond)
		}
	})
}
