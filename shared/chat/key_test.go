package chat_test

import (
	"fmt"
	"testing"

	"chatconf/shared/chat"
)

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
	for _, key := range []string{"", "i#", "i#a", "i#a#b", "i#a#b#c#d", "c#a#b#c", "i#%#b#c",
		"i#a#%zz#c", "i#a#b#%", "i#a#$#c", "a#b#c"} {
		if a, v, n, err := chat.ParseIndexKey(key); err == nil {
			t.Errorf("ParseIndexKey(%q) = %q, %q, %q, want an error", key, a, v, n)
		}
	}
}

// FuzzIndexKey holds that an index entry's key gives back what it was made of, and that no other
// key parses.
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
