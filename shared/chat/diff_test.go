package chat_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/document"
)

// lines returns changes as text, one per line.
func lines(changes []chat.Change) string {
	var b strings.Builder
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	for _, c := range changes {
		fmt.Fprintf(&b, "%s: %s → %s\n", c.Path, text(c.Before), text(c.After))
	}
	return b.String()
}

// TestDiff checks the changes between two versions of a configuration, one case per rule.
func TestDiff(t *testing.T) {
	of := func(text string) *chat.Version { return &chat.Version{Configuration: text} }
	for _, c := range []struct {
		name          string
		before, after *chat.Version
		want          string
	}{
		{"two that are equal", of(`{"a":[1,{"b":"c"}]}`), of(`{"a":[1,{"b":"c"}]}`), ""},
		{"the order of members", of(`{"a":1,"b":{"c":1,"d":2}}`), of(`{"b":{"d":2,"c":1},"a":1}`), ""},
		{"a new configuration", nil, &chat.Version{Type: "Slack", Status: "Active", RamRole: "Ops",
			Tags:          map[string]string{"team": "a"},
			Configuration: `{"SigningSecret":"******","Permissions":[{"Effect":"Allow"}]}`,
			Digests:       map[string]string{"SigningSecret": "01", chat.FieldWebhookToken: "02"}},
			"Type: - → Slack\nStatus: - → Active\nRamRole: - → Ops\nWebhook: - → digest:02\nTags.team: - → a\n" +
				"Configuration.SigningSecret: - → digest:01\n" +
				"Configuration.Permissions: - → [{\"Effect\":\"Allow\"}]\n"},
		{"none after it", of(`{"a":1}`), nil, "Configuration.a: 1 → -\n"},
		{"the values beside the Configuration",
			&chat.Version{Status: "Active", RamRole: "Ops", Tags: map[string]string{"a": "1", "b": "2", "a b": "3"},
				Configuration: `{}`},
			&chat.Version{Status: "Inactive", ResourceGroupID: "rg-1", Tags: map[string]string{"b": "3", "c": ""},
				Configuration: `{}`},
			"Status: Active → Inactive\nRamRole: Ops → -\nResourceGroupId: - → rg-1\nTags.a: 1 → -\n" +
				"Tags[\"a b\"]: 3 → -\nTags.b: 2 → 3\nTags.c: - → \n"},
		{"secrets, of Targets too",
			&chat.Version{Digests: map[string]string{"Key": "01", "Old": "02", "Target.Secret": "03",
				"Actions.restart.Target.Secret": "04", chat.FieldWebhookToken: "05", "Same": "06"},
				Configuration: `{"Key":"******","Old":"******","Same":"******","Target":{"Secret":"******"},` +
					`"Actions":{"Restart":{"Target":{"Secret":"******"}}}}`},
			&chat.Version{Digests: map[string]string{"Key": "11", "New": "12", "Target.Secret": "13",
				"Actions.restart.Target.Secret": "14", chat.FieldWebhookToken: "15", "Same": "06"},
				Configuration: `{"Key":"******","New":"******","Same":"******","Target":{"Secret":"******"},` +
					`"Actions":{"Restart":{"Target":{"Secret":"******"}}}}`},
			"Webhook: digest:05 → digest:15\nConfiguration.Key: digest:01 → digest:11\n" +
				"Configuration.Old: digest:02 → -\nConfiguration.Target.Secret: digest:03 → digest:13\n" +
				"Configuration.Actions.Restart.Target.Secret: digest:04 → digest:14\n" +
				"Configuration.New: - → digest:12\n"},
		{"an item in the middle", of(`{"a":["x","y","z"]}`), of(`{"a":["x","n","y","z"]}`),
			"Configuration.a[1]: - → n\n"},
		{"an item less", of(`{"a":["x","x","x"]}`), of(`{"a":["x","x"]}`), "Configuration.a[2]: x → -\n"},
		{"items in pairs", of(`{"a":[{"b":1,"c":2},{"b":3},"end"]}`), of(`{"a":[{"b":1,"c":4},"end"]}`),
			"Configuration.a[0].c: 2 → 4\nConfiguration.a[1]: {\"b\":3} → -\n"},
		{"an item of another kind", of(`{"a":[[1],2]}`), of(`{"a":[{"b":1},2]}`),
			"Configuration.a[0]: [1] → {\"b\":1}\n"},
		{"a number and its string", of(`{"a":5,"b":"true"}`), of(`{"a":"5","b":true}`),
			"Configuration.a: 5 → \"5\"\nConfiguration.b: \"true\" → true\n"},
		{"a key in quotes", of(`{"Actions":{"a b":{"x":[1]}}}`), of(`{"Actions":{"a b":{"x":[2]}}}`),
			"Configuration.Actions[\"a b\"].x[0]: 1 → 2\n"},
	} {
		got, err := chat.Diff(c.before, c.after)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		chattest.Equal(t, c.name, lines(got), c.want)
	}
}

// TestDiffShowsABoundedNumber holds that a long list of changes ends with how many more there are.
func TestDiffShowsABoundedNumber(t *testing.T) {
	members := make([]string, chat.MaxChanges+7)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	all := &chat.Version{Configuration: "{" + strings.Join(members, ",") + "}"}
	got, err := chat.Diff(&chat.Version{Configuration: "{}"}, all)
	if err != nil || len(got) != chat.MaxChanges+1 {
		t.Fatalf("%d changes, %v", len(got), err)
	}
	chattest.Equal(t, "the last", lines(got[chat.MaxChanges:]), "…: - → 7 more changes\n")
	if _, err := chat.Diff(all, &chat.Version{Configuration: "["}); err == nil {
		t.Error("a stored Configuration that is not JSON has a difference")
	}
	if _, err := chat.Diff(&chat.Version{Configuration: "["}, all); err == nil {
		t.Error("a stored Configuration that is not JSON has a difference")
	}
}

// FuzzDiff holds that applying the changes to what was before gives what is after.
func FuzzDiff(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"a":1}`, `{"a":"1"}`}, {`{}`, `{"":{"x":[]}}`}, {`{"a":[1,2,3,4]}`, `{"a":[1,3]}`},
		{`{"a":[[1,2],[3],{"b":[]}],"c d":null}`, `{"a":[[2],[3,4],{"b":{}},5],"c d":{"e":"\""}}`},
		{string(chattest.Slack), chattest.With(chattest.Slack, chattest.OpenToAll)},
		{`{"a":["1","1","2"]}`, `{"a":["1","2","1",2]}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		a, errA := document.Parse("Configuration", before)
		b, errB := document.Parse("Configuration", after)
		if errA != nil || errB != nil || a.Kind != document.Object || b.Kind != document.Object ||
			longKey(a) || longKey(b) {
			return
		}
		got, err := chat.Diff(&chat.Version{Configuration: before}, &chat.Version{Configuration: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > chat.MaxChanges {
			return
		}
		if (len(got) == 0) != document.Same(a, b) {
			t.Errorf("changes = %s", lines(got))
		}
		root := &document.Node{Kind: document.Object, Members: []document.Member{{Key: "Configuration", Value: a}}}
		var removed []chat.Change // last, and from the end, so that no index moves before its turn
		for _, c := range got {
			if c.After == nil {
				removed = append(removed, c)
			} else {
				apply(t, root, c)
			}
		}
		slices.Reverse(removed)
		for _, c := range removed {
			apply(t, root, c)
		}
		if !alike(a, b) {
			t.Errorf("from %s by\n%s= %s, want %s", before, lines(got), a, b)
		}
	})
}

// longKey reports whether a key is so long that a path shortens it.
func longKey(n *document.Node) bool {
	return slices.ContainsFunc(n.Items, longKey) || slices.ContainsFunc(n.Members, func(m document.Member) bool {
		return len(m.Key) > 100 || longKey(m.Value)
	})
}

// alike is Same, but a string is equal to the value whose text it is.
func alike(a, b *document.Node) bool {
	text := func(n *document.Node) string {
		if n.Kind == document.String {
			return n.Text
		}
		return n.String()
	}
	switch {
	case a.Kind == document.String || b.Kind == document.String:
		return text(a) == text(b) || a.Text == b.String() || b.Text == a.String()
	case a.Kind != b.Kind || len(a.Members) != len(b.Members):
		return false
	}
	for _, m := range a.Members {
		if other := b.Get(m.Key); other == nil || !alike(m.Value, other) {
			return false
		}
	}
	return a.Text == b.Text && slices.EqualFunc(a.Items, b.Items, alike)
}

// apply makes one change in a document.
func apply(t *testing.T, root *document.Node, c chat.Change) {
	t.Helper()
	at, path := root, "."+c.Path
	for {
		var key string
		index, inArray := 0, false
		switch {
		case path[0] == '.':
			end := strings.IndexAny(path[1:]+".", ".[") + 1
			key, path = path[1:end], path[end:]
		case path[1] == '"':
			quoted, err := strconv.QuotedPrefix(path[1:])
			if err != nil {
				t.Fatalf("path %s: %v", c.Path, err)
			}
			if key, err = strconv.Unquote(quoted); err != nil {
				t.Fatalf("path %s: %v", c.Path, err)
			}
			path = path[len(quoted)+2:]
		default:
			number, rest, _ := strings.Cut(path[1:], "]")
			var err error
			if index, err = strconv.Atoi(number); err != nil {
				t.Fatalf("path %s: %v", c.Path, err)
			}
			inArray, path = true, rest
		}
		if path != "" {
			if inArray {
				at = at.Items[index]
			} else {
				at = at.Get(key)
			}
			continue
		}
		edit(at, key, index, inArray, c)
		return
	}
}

// edit gives an object a member, or an array an item, or removes it.
func edit(at *document.Node, key string, index int, inArray bool, c chat.Change) {
	is := func(m document.Member) bool { return m.Key == key }
	if c.After == nil && inArray {
		at.Items = slices.Delete(at.Items, index, index+1)
		return
	}
	if c.After == nil {
		at.Members = slices.DeleteFunc(at.Members, is)
		return
	}
	value := &document.Node{Kind: document.String, Text: *c.After}
	switch {
	case inArray && c.Before == nil:
		at.Items = slices.Insert(at.Items, index, value)
	case inArray:
		at.Items[index] = value
	case c.Before == nil:
		at.Members = append(at.Members, document.Member{Key: key, Value: value})
	default:
		at.Members[slices.IndexFunc(at.Members, is)].Value = value
	}
}
