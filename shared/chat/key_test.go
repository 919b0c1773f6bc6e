package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"chatconf/shared/chat"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":         "",
		"prod-1_A": "prod-1_A",
		"tag:env":  "tag:env",
		"a#b":      "a%23b",
		"$":        "%24",
		"100%":     "100%25",
		" !\"":     "%20%21%22",
		"\x00\n":   "%00%0A",
		"&'":       "&'",
		"空\xff":    "空\xff",
		"%23":      "%2523",
	} {
		if got := chat.Escape(text); got != want {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want)
		}
		if got, err := chat.Unescape(want); err != nil || got != text {
			t.Errorf("Unescape(%q) = %q, %v, want %q", want, got, err, text)
		}
	}
	for _, text := range []string{"#", "$", " ", "%", "%2", "%zz", "%2f", "%23%", "%26", "%41", "%2G", "a%", "%%25", "%0a"} {
		if got, err := chat.Unescape(text); err == nil {
			t.Errorf("Unescape(%q) = %q, want an error", text, got)
		}
	}
}

func TestSortKeys(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{chat.ConfigurationKey("one"), "c#one"},
		{chat.HistoryKey("one", 7), "h#one#0000000007"},
		{chat.HistoryKey("one", 9999999999), "h#one#9999999999"},
		{chat.IndexKey("Type", "Slack", "one"), "i#Type#Slack#one"},
		{chat.IndexKey("tag:a#b", "", "one"), "i#tag:a%23b##one"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if a, b := chat.HistoryKey("one", 9), chat.HistoryKey("one", 10); a > b {
		t.Errorf("%q comes after %q", a, b)
	}
	counters := make(map[string]bool)
	for i := range 1000 {
		key := chat.CounterKey(fmt.Sprint("name-", i))
		if key < "c!00" || key > "c!15" || len(key) != 4 {
			t.Errorf("CounterKey = %q", key)
		}
		counters[key] = true
	}
	if len(counters) != 16 {
		t.Errorf("%d counters are in use, want 16", len(counters))
	}
	for _, key := range []string{"", "i#", "i#a", "i#a#b", "i#a#b#c#d", "c#a#b#c", "i#%#b#c", "i#a#%zz#c", "i#a#b#%", "i#a#$#c", "a#b#c"} {
		if a, v, n, err := chat.ParseIndexKey(key); err == nil {
			t.Errorf("ParseIndexKey(%q) = %q, %q, %q, want an error", key, a, v, n)
		}
	}
}

// FuzzEscape holds what sort keys rely on: escaping can be undone, keeps order and prefixes, and leaves the separators free.
func FuzzEscape(f *testing.F) {
	for _, seed := range [][2]string{{"", "a"}, {"a#b", "a$b"}, {"%23", "#"}, {"%", "%25"}, {"a", "a\x00"}, {"&", "%"}, {"空", "\xff\xfe"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := chat.Escape(a), chat.Escape(b)
		for _, text := range []string{x, y} {
			if strings.ContainsAny(text, "#$") || strings.ContainsFunc(text, func(r rune) bool { return r < '%' }) {
				t.Fatalf("escaped to %q", text)
			}
		}
		if back, err := chat.Unescape(x); err != nil || back != a {
			t.Fatalf("Unescape(%q) = %q, %v, want %q", x, back, err, a)
		}
		if strings.Compare(a, b) != strings.Compare(x, y) {
			t.Fatalf("%q and %q are in another order than %q and %q", x, y, a, b)
		}
		if strings.HasPrefix(a, b) != strings.HasPrefix(x, y) {
			t.Fatalf("prefix of %q and %q, %q and %q", a, b, x, y)
		}
		if c := chat.Escape(a + b); c != x+y {
			t.Fatalf("Escape(%q) = %q, want %q", a+b, c, x+y)
		}
		if raw, err := chat.Unescape(a); err == nil && chat.Escape(raw) != a {
			t.Fatalf("Unescape takes %q, which Escape does not return", a)
		}
	})
}

// FuzzIndexKey holds that an index entry's key gives back what it was made of, and that no other key parses.
func FuzzIndexKey(f *testing.F) {
	f.Add("Type", "Slack", "one", "i#Type#Slack#one")
	f.Add("tag:a#b", "", "x", "i#tag:a%23b##x")
	f.Add("", "#", "$%", "i#%##")
	f.Fuzz(func(t *testing.T, attribute, value, name, key string) {
		made := chat.IndexKey(attribute, value, name)
		if a, v, n, err := chat.ParseIndexKey(made); err != nil || a != attribute || v != value || n != name {
			t.Fatalf("ParseIndexKey(%q) = %q, %q, %q, %v", made, a, v, n, err)
		}
		if a, v, n, err := chat.ParseIndexKey(key); err == nil && chat.IndexKey(a, v, n) != key {
			t.Fatalf("ParseIndexKey takes %q, which IndexKey makes as %q", key, chat.IndexKey(a, v, n))
		}
	})
}
