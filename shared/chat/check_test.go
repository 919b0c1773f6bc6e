package chat_test

import (
	"fmt"
	"slices"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/table"
)

// TestCheckReportsExactlyWhatIsBroken breaks the table in each way and looks for the report.
func TestCheckReportsExactlyWhatIsBroken(t *testing.T) {
	type change = table.Change
	drop := func(sort string) change { return change{Deletes: []table.Delete{{Sort: sort}}} }
	put := func(sort, value string, revision int64) change {
		return change{Puts: []table.Put{{Sort: sort, Value: []byte(value), Revision: revision}}}
	}
	edit := func(h *house, sort string, f func(map[string]any)) change {
		item := h.Item(sort)
		return change{Puts: []table.Put{{Sort: sort, Value: chattest.Reencode(item.Value, f), Revision: item.Revision}}}
	}
	set := func(h *house, sort, field string, value any) change {
		return edit(h, sort, func(m map[string]any) { m[field] = value })
	}
	counter := chat.CounterKey("one")
	entries := func(name string) []string {
		return []string{"i#RamRole#Ops#" + name, "i#Status#Active#" + name, "i#Type#Slack#" +
			name, "i#tag:env#prod%231#" + name}
	}
	missing := func(name string) (list []string) {
		for _, entry := range entries(name) {
			list = append(list, fmt.Sprintf("index entry %q is missing", entry))
		}
		return list
	}
	standsForNone := func(name string) (list []string) {
		for _, entry := range entries(name) {
			list = append(list, fmt.Sprintf("index entry %q stands for no configuration", entry))
		}
		return list
	}
	for _, c := range []struct {
		about string
		how   func(h *house) change
		want  []string
	}{
		{"nothing is broken", func(*house) change {
			return put("h#gone#0000000001", `{"v":1,"name":"gone","revision":1,"deleted":true}`, 1)
		}, nil},
		{"an index entry is dropped", func(*house) change { return drop("i#Status#Active#one") },
			[]string{`index entry "i#Status#Active#one" is missing`}},
		{"a tag's index entry is dropped", func(*house) change { return drop(entries("one")[3]) },
			[]string{`index entry "i#tag:env#prod%231#one" is missing`}},
		{"an index entry of nothing", func(*house) change { return put("i#Type#Slack#none", "", 0) },
			[]string{`index entry "i#Type#Slack#none" stands for no configuration`}},
		{"an index entry of another value", func(*house) change { return put("i#Type#Teams#one", "", 0) },
			[]string{`index entry "i#Type#Teams#one" stands for no configuration`}},
		{"an index entry that is malformed", func(*house) change { return put("i#x", "", 0) },
			[]string{`index entry "i#x" stands for no configuration`}},
		{"a counter too high", func(*house) change { return change{Adds: []table.Add{{Sort: counter, N: 2}}} },
			[]string{`counter "` + counter + `" is off by 2`}},
		{"a counter too low", func(*house) change { return change{Adds: []table.Add{{Sort: counter, N: -1}}} },
			[]string{`counter "` + counter + `" is off by -1`}},
		{"a counter that is dropped", func(*house) change { return drop(counter) },
			[]string{`counter "` + counter + `" is off by -1`}},
		{"a counter of nothing", func(*house) change { return change{Adds: []table.Add{{Sort: "c!99", N: 5}}} },
			[]string{`item "c!99" is of no kind`}},
		{"the latest history is dropped", func(*house) change { return drop("h#one#0000000002") },
			[]string{`history of "one" lacks its revision 2`}},
		{"history that is ahead", func(*house) change {
			return put("h#one#0000000003",
				`{"v":1,"name":"one","revision":3}`, 3)
		},
			[]string{`history of "one" has revision 3; the configuration is at 2`}},
		{"history that says it is gone", func(h *house) change { return set(h, "h#one#0000000002", "deleted", true) },
			[]string{`history of "one" lacks its revision 2`,
				`history of "one" says that revision 2 deleted it; the configuration is there`}},
		{"history that cannot be decoded", func(*house) change { return put("h#one#0000000001", "planted", 1) },
			[]string{`chat: item "h#one#0000000001": invalid character 'p' looking for beginning of value`}},
		{"history of another version", func(h *house) change { return set(h, "h#one#0000000001", "v", 2) },
			[]string{`chat: item "h#one#0000000001" has record version 2; this program reads version 1`}},
		{"history of another name", func(h *house) change { return set(h, "h#one#0000000001", "name", "two") },
			[]string{`chat: item "h#one#0000000001" at revision 1 holds the record of "two" at revision 1`}},
		{"an item of no kind", func(*house) change { return put("x#one", "", 0) },
			[]string{`item "x#one" is of no kind`}},
		{"an item with the least of keys", func(*house) change { return put("\x00", "", 0) },
			[]string{`item "\x00" is of no kind`}},
		{"a client token that cannot be decoded", func(*house) change { return put("t#planted", "x", 0) },
			[]string{`chat: item "t#planted": invalid character 'x' looking for beginning of value`}},
		{"a tampered secret", func(h *house) change {
			return edit(h, "c#one", func(m map[string]any) {
				m["secrets"].(map[string]any)["SlackSigningSecret"] = "AAAA"
			})
		}, []string{`chat: open SlackSigningSecret of "one": seal: open: cannot open the sealed value`}},
		{"a secret of another configuration", func(h *house) change {
			var other map[string]any
			chattest.Reencode(h.Item("c#two").Value, func(m map[string]any) { other = m["secrets"].(map[string]any) })
			return edit(h, "c#one", func(m map[string]any) {
				m["secrets"].(map[string]any)[chat.FieldWebhookToken] = other[chat.FieldWebhookToken]
			})
		}, []string{`chat: open #WebhookToken of "one": seal: open with key "key-1": cannot open the sealed value`}},
		{"a type that is not known", func(h *house) change { return set(h, "c#one", "type", "Matrix") },
			[]string{`chat: "one" is of type "Matrix", which this service does not know`,
				`index entry "i#Type#Matrix#one" is missing`,
				`index entry "i#Type#Slack#one" stands for no configuration`}},
		{"a record that cannot be decoded", func(*house) change { return put("c#one", "planted", 2) },
			append(standsForNone("one"), `chat: item "c#one": invalid character 'p' looking for beginning of value`,
				`counter "`+counter+`" is off by 1`)},
		{"a record of another revision", func(h *house) change {
			return put("c#one",
				string(h.Item("c#one").Value), 3)
		},
			append(standsForNone("one"), `chat: item "c#one" at revision 3 holds the record of "one" at revision 2`,
				`counter "`+counter+`" is off by 1`)},
		{"a record that is dropped", func(*house) change { return drop("c#one") },
			append(standsForNone("one"), `counter "`+counter+`" is off by 1`)},
		{"a record that was copied", func(h *house) change {
			item := h.Item("c#one")
			return put("c#four", string(chattest.Reencode(item.Value,
				func(m map[string]any) { m["name"], m["secrets"] = "four", nil })), item.Revision)
		}, append(missing("four"), `counter "`+chat.CounterKey("four")+`" is off by -1`,
			`history of "four" lacks its revision 2`,
			`"four" has no #WebhookToken`, `"four" has no SlackSigningSecret`)},
		{"a stream that is dropped", func(*house) change { return drop("s#two") },
			[]string{`stream "s#two" is missing`}},
		{"a stream of a configuration without one", func(*house) change { return put("s#one", "", 2) },
			[]string{`stream "s#one" belongs to no active configuration with Receive Stream`}},
		{"a stream of another revision", func(*house) change { return put("s#two", "", 1) },
			[]string{`stream "s#two" has revision 1; the configuration is at 2`}},
		{"a stream of another life", func(*house) change { return put("s#two", "1-1", 2) },
			[]string{`stream "s#two" is of another life`}},
		{"a stream whose secret is gone", func(h *house) change {
			return edit(h, "c#two", func(m map[string]any) {
				delete(m["secrets"].(map[string]any), "SlackAppToken")
			})
		}, []string{`"two" has no SlackAppToken`}},
		{"a record without its webhook token", func(h *house) change {
			return edit(h, "c#one", func(m map[string]any) {
				delete(m["secrets"].(map[string]any),
					chat.FieldWebhookToken)
			})
		}, []string{`"one" has no #WebhookToken`}},
	} {
		h := newHouse(t)
		for _, name := range []string{"one", "two"} {
			h.MustCreate(name, func(in *chat.CreateRequest) {
				in.RamRole, in.Tags = "Old",
					map[string]string{"env": "prod#1"}
				if name == "two" {
					in.Configuration = streamSlack
				}
			})
			h.MustUpdate(&chat.UpdateRequest{Name: name, RamRole: chattest.Ptr("Ops"), ClientToken: name})
		}
		h.Tamper(c.how(h))
		report, err := h.Check(h.Ctx, chattest.Account, chattest.Region)
		if err != nil {
			t.Fatalf("%s: %v", c.about, err)
		}
		slices.Sort(c.want)
		chattest.Equal(t, c.about, report.Problems, c.want)
	}
}

func TestCheckCounts(t *testing.T) {
	h := newHouse(t)
	list := numberedNames(150)
	h.createNamed(list, func(i int, in *chat.CreateRequest) { in.Tags = map[string]string{"n": fmt.Sprint(i)} })
	h.MustDelete(list[0])
	chattest.Equal(t, "Check", h.MustAgree(), &chat.Report{Configurations: 149, IndexEntries: 3 * 149, Revisions: 151})
	other, err := h.Check(h.Ctx, chattest.Account, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "Check of a region without any", other, &chat.Report{})
	_, err = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2)).Check(h.Ctx, chattest.Account, chattest.Region)
	if err != nil {
		t.Fatalf("Check under another ring: %v", err)
	}
}
