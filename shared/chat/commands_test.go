package chat_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/table"
)

// say records a command of a bot, a second after the one before, and returns its id.
func (h *house) say(e *command.Endpoint, text string) string {
	h.T.Helper()
	h.Clock.Advance(time.Second)
	id := fmt.Sprint("m", h.Clock.Now().UnixNano())
	return h.MustRecord(e, chattest.Arrival(h.T, e, id, "u1", text)).ID
}

// listed returns the ids of all pages of a list of commands, and how many pages there were.
func (h *house) listed(ctx context.Context, in chat.ListCommandsRequest) (ids []string, pages int) {
	h.T.Helper()
	for pages = 1; ; pages++ {
		out, err := h.ListCommands(ctx, &in)
		if err != nil {
			h.T.Fatal(err)
		}
		for _, c := range out.ChatCommands {
			ids = append(ids, c.Id)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return ids, pages
		}
		if pages > 1000 {
			h.T.Fatal("the list has no end")
		}
	}
}

// TestCommandsOfAllBots checks that a list without a name has the commands of all bots in the order
// of time, with the same filters and pages, at the cost of one range and one Get in each table.
func TestCommandsOfAllBots(t *testing.T) {
	h := newHouse(t)
	bots := []*command.Endpoint{h.Bot("one"), h.Bot("two"), h.Bot("three")}
	var all []string
	for i := range 150 {
		all = append(all, h.say(bots[i*i%3], []string{"restart", "stop"}[i%2]))
	}
	want := func(keep func(i int) bool) (ids []string) {
		for i := range slices.Backward(all) {
			if keep(i) {
				ids = append(ids, all[i])
			}
		}
		return ids
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		keep  func(i int) bool
		pages int // at most
	}{
		"all":              {chat.ListCommandsRequest{}, func(int) bool { return true }, 4},
		"all, in sevens":   {chat.ListCommandsRequest{MaxResults: new(int64(7))}, func(int) bool { return true }, 22},
		"all, in hundreds": {chat.ListCommandsRequest{MaxResults: new(int64(100))}, func(int) bool { return true }, 2},
		"denied":           {chat.ListCommandsRequest{Decision: "Denied"}, func(i int) bool { return i%2 == 1 }, 2},
		"of a command":     {chat.ListCommandsRequest{Command: "re*"}, func(i int) bool { return i%2 == 0 }, 2},
		"of nobody":        {chat.ListCommandsRequest{User: "u2"}, func(int) bool { return false }, 1},
		"of the last 30s": {chat.ListCommandsRequest{Since: "2026-11-23T08:02:01Z"},
			func(i int) bool { return i >= 120 }, 1},
		"of the first 30s": {chat.ListCommandsRequest{Until: "2026-11-23T08:00:31Z"},
			func(i int) bool { return i < 30 }, 1},
		"of the last hours": {chat.ListCommandsRequest{Since: "2h"}, func(int) bool { return true }, 4},
	} {
		got, pages := h.listed(h.Ctx, c.in)
		chattest.Equal(t, about, got, want(c.keep))
		if pages > c.pages {
			t.Errorf("%s: %d pages, want at most %d", about, pages, c.pages)
		}
	}
	h.Spy.Reset()
	out, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{})
	if err != nil || len(out.ChatCommands) != 50 || out.ChatCommands[0].Name != bots[149*149%3].Name {
		t.Errorf("a page = %+v, %v", out, err)
	}
	if got := h.Spy.Took(); got != "Query Get Get" {
		t.Errorf("a page costs %s", got)
	}
	for _, in := range []chat.ListCommandsRequest{{Since: "1h", Until: "2h"}, {Since: "today", Until: "today"}} {
		_, err := h.ListCommands(h.Ctx, &in)
		chattest.WantError(t, "nothing is between "+in.Since+" and "+in.Until, err, fault.InvalidParameter, "Until")
	}
	_, err = h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", NextToken: out.NextToken})
	chattest.WantError(t, "the token of all bots, for one", err, fault.InvalidNextToken, "NextToken")
	h.Clock.Advance(journal.DefaultRetention + time.Minute)
	if got, _ := h.listed(h.Ctx, chat.ListCommandsRequest{}); len(got) > 0 {
		t.Errorf("after the retention: %v", got)
	}
}

// TestWhoSeesTheCommandsOfAllBots checks that the caller needs the permission for all names, and
// sees of each bot what it would see by its name.
func TestWhoSeesTheCommandsOfAllBots(t *testing.T) {
	h := newHouse(t)
	open := h.Bot("open")
	closed := h.Bot("closed")
	h.MustCreate("prod", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	prod := h.Open("prod")
	gone := h.Bot("gone")
	again := h.Bot("again")
	ids := make(map[string]string)
	for _, e := range []*command.Endpoint{open, closed, prod, gone, again} {
		ids[e.Name] = h.say(e, "restart")
	}
	h.MustDelete("gone")
	ids["again"] = h.say(h.again("again", nil), "restart") // and no longer that of its first life
	old := h.Bot("old")
	h.ofBefore("old")
	h.say(&command.Endpoint{Account: old.Account, Region: old.Region, Name: "old", Type: "Slack",
		Permissions: old.Permissions}, "restart")
	h.Clock.Advance(time.Minute)
	h.again("old", nil)
	ids["old"] = h.say(h.ofBefore("old"), "restart")
	allow := `{"Effect":"Allow","Action":"oos:List*","Resource":"*"}`
	deny := func(rest string) string { return `{"Effect":"Deny","Action":"oos:ListChatCommands",` + rest + `}` }
	for about, c := range map[string]struct {
		statements []string
		want       string
	}{
		"all": {[]string{allow}, "again closed gone old open prod"},
		"not one": {[]string{allow, deny(`"Resource":"acs:oos:*:*:chatconfiguration/closed"`)},
			"again gone old open prod"},
		"not one that was deleted": {[]string{allow, deny(`"Resource":"acs:oos:*:*:chatconfiguration/gone"`)},
			"again closed old open prod"},
		"not those with a tag": {[]string{allow, deny(`"Resource":"*",` +
			`"Condition":{"StringEquals":{"oos:tag/env":["prod"]}}`)}, "again closed gone old open"},
		"nothing by a pattern of names": {[]string{allow, deny(`"Resource":"acs:oos:*:*:chatconfiguration/?*"`)}, "!"},
		"nothing by one name": {[]string{`{"Effect":"Allow","Action":"oos:ListChatCommands",` +
			`"Resource":"acs:oos:*:*:chatconfiguration/open"}`}, "!"},
		"nothing by a tag": {[]string{`{"Effect":"Allow","Action":"oos:*","Resource":"*",` +
			`"Condition":{"StringEquals":{"oos:tag/env":["prod"]}}}`}, "!"},
		"nothing at all": {nil, "!"},
	} {
		ctx := chattest.As(h.Ctx, callerOf(t, "CCKsome", c.statements...))
		if c.want == "!" {
			_, err := h.ListCommands(ctx, &chat.ListCommandsRequest{})
			chattest.WantError(t, about, err, fault.NoPermission, "", "oos:ListChatCommands on acs:oos:")
			continue
		}
		got, _ := h.listed(ctx, chat.ListCommandsRequest{})
		var names []string
		for name, id := range ids {
			if slices.Contains(got, id) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if text := strings.Join(names, " "); text != c.want || len(got) != len(names) {
			t.Errorf("%s: %d commands, of %s, want %s", about, len(got), text, c.want)
		}
	}
}

// TestCommandsOfManyDeletedBots checks that a page looks up a bounded number of deleted bots.
func TestCommandsOfManyDeletedBots(t *testing.T) {
	h := newHouse(t)
	var all []string
	for i := range 45 {
		e := h.Bot(fmt.Sprint("gone-", i))
		all = append(all, h.say(e, "restart"), h.say(e, "stop"))
		h.MustDelete(e.Name)
	}
	slices.Reverse(all)
	h.Spy.Reset()
	if out, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{}); err != nil || len(out.ChatCommands) != 40 ||
		strings.Count(h.Spy.Took(), "Query") > 1+20 {
		t.Errorf("a page = %+v, %v", out, err)
	}
	got, pages := h.listed(h.Ctx, chat.ListCommandsRequest{})
	chattest.Equal(t, "all commands", got, all)
	if pages != 3 {
		t.Errorf("%d pages, want 3", pages)
	}
	deny := callerOf(t, "CCKsome", `{"Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"*","Resource":"acs:oos:*:*:chatconfiguration/gone-4*"}`)
	if got, _ := h.listed(chattest.As(h.Ctx, deny), chat.ListCommandsRequest{}); len(got) != 78 {
		t.Errorf("%d commands are shown, want 78", len(got))
	}
}

// TestCommandsOfAllBotsThatCannotBeRead checks every error of the tables, and that nothing is shown
// of what is damaged.
func TestCommandsOfAllBotsThatCannotBeRead(t *testing.T) {
	h := newHouse(t)
	e := h.Bot("one")
	gone := h.Bot("gone")
	first, second := h.say(e, "restart"), h.say(gone, "restart")
	h.MustDelete("gone")
	list := func(ctx context.Context) error {
		_, err := h.ListCommands(ctx, &chat.ListCommandsRequest{})
		return err
	}
	for about, f := range chattest.Faults {
		for n := 1; n <= 4; n++ { // the range, the records, the configurations, and history
			ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
			if err := list(ctx); err == nil {
				t.Errorf("when call %d is %s: no error", n, about)
			}
			calls()
			h.Spy.Reset()
		}
	}
	write := func(c table.Change) {
		if err := h.Pages.Table.Write(h.Ctx, chattest.Partition, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, value := range []string{"planted", `{"v":2,"name":"one","life":"planted"}`} {
		write(table.Change{Puts: []table.Put{{Sort: "l#" + first, Value: []byte(value), Revision: 1}}})
		err := list(h.Ctx)
		chattest.WantError(t, "an entry that is damaged", err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
	}
	// An entry whose record is gone, or of another key, shows nothing.
	write(table.Change{Puts: []table.Put{{Sort: "l#" + first, Value: []byte(`{"v":1,"name":"two"}`), Revision: 1}}})
	if got, _ := h.listed(h.Ctx, chat.ListCommandsRequest{}); !slices.Equal(got, []string{second}) {
		t.Errorf("%v, want only %s", got, second)
	}
	ref := gone.Ref()
	ref.ID = second
	write(table.Change{Puts: []table.Put{{Sort: journalKey("r#", ref, ""), Value: []byte("planted"), Revision: 1}}})
	chattest.WantError(t, "a record that is damaged", list(h.Ctx), fault.Internal, "")
	_, err := h.ServiceWith(chat.Options{}, h.Ring).ListCommands(h.Ctx, &chat.ListCommandsRequest{})
	chattest.WantError(t, "without a journal", err, fault.Unavailable, "", "keeps no journal")
}
