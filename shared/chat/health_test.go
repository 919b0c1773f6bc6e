package chat_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestHealthIsRefused(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	for about, c := range map[string]struct {
		in    chat.HealthRequest
		code  chat.Code
		param string
	}{
		"no name":          {chat.HealthRequest{}, chat.MissingParameter, "Name"},
		"a bad name":       {chat.HealthRequest{Name: "a b"}, chat.InvalidParameter, "Name"},
		"none of the name": {chat.HealthRequest{Name: "two"}, chat.NotFound, "Name"},
		"a bad region":     {chat.HealthRequest{Name: "one", RegionID: "x"}, chat.InvalidRegion, "RegionId"},
	} {
		_, err := h.Health(h.ctx, &c.in)
		wantError(t, "Health with "+about, err, c.code, c.param)
	}
	_, err := h.serviceWith(chat.Options{}, h.ring).Health(h.ctx, &chat.HealthRequest{Name: "one"})
	wantError(t, "Health without a journal", err, chat.Unavailable, "", "keeps no journal")
	if err := h.pages.Table.Write(h.ctx, partition, table.Change{Puts: []table.Put{{Sort: chat.HealthKey(h.open("one").Ref(), "last#error"), Value: []byte("planted")}}}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Health(h.ctx, &chat.HealthRequest{Name: "one"})
	wantError(t, "Health that is tampered", err, chat.Internal, "")
	wantNoDetail(t, err)
}

func TestListCommands(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	h.bot("one-1")
	// A command a minute, of three users, every fourth of them stop.
	var all []string
	for i := range 240 {
		text := []string{"restart i", "scale-out", "stop", "Help"}[i%4]
		ref := h.record(e, arrival(t, e, fmt.Sprint("m", i), fmt.Sprint("U", i%3), text))
		all = append(all, ref.ID)
		h.clock.advance(time.Minute)
	}
	list := func(in chat.ListCommandsRequest) (ids []string, calls int) {
		t.Helper()
		in.Name = "one"
		for calls = 1; ; calls++ {
			out, err := h.ListCommands(h.ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range out.ChatCommands {
				ids = append(ids, c.Id)
			}
			if in.NextToken = out.NextPageToken(); in.NextToken == "" {
				return ids, calls
			}
			if calls > 1000 {
				t.Fatal("the list has no end")
			}
		}
	}
	want := func(keep func(i int) bool) (ids []string) {
		for i := len(all) - 1; i >= 0; i-- {
			if keep(i) {
				ids = append(ids, all[i])
			}
		}
		return ids
	}
	at := func(minutes int) string {
		return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		keep  func(i int) bool
		calls int // at most
	}{
		"all":                           {chat.ListCommandsRequest{}, func(int) bool { return true }, 5},
		"all, one by one":               {chat.ListCommandsRequest{MaxResults: ptr[int64](1)}, func(int) bool { return true }, 240},
		"all, in full pages":            {chat.ListCommandsRequest{MaxResults: ptr[int64](80)}, func(int) bool { return true }, 3},
		"of a user":                     {chat.ListCommandsRequest{User: "u1"}, func(i int) bool { return i%3 == 1 }, 3},
		"of nobody":                     {chat.ListCommandsRequest{User: "u9"}, func(int) bool { return false }, 1},
		"a command":                     {chat.ListCommandsRequest{Command: "Restart"}, func(i int) bool { return i%4 == 0 }, 3},
		"a pattern":                     {chat.ListCommandsRequest{Command: "s*"}, func(i int) bool { return i%4 == 1 || i%4 == 2 }, 4},
		"denied":                        {chat.ListCommandsRequest{Decision: "denied"}, func(i int) bool { return i%4 == 2 }, 3},
		"allowed":                       {chat.ListCommandsRequest{Decision: "Allowed"}, func(i int) bool { return i%4 != 2 }, 5},
		"since":                         {chat.ListCommandsRequest{Since: at(200)}, func(i int) bool { return i >= 200 }, 1},
		"until":                         {chat.ListCommandsRequest{Until: at(30)}, func(i int) bool { return i < 30 }, 1},
		"since and until":               {chat.ListCommandsRequest{Since: at(10), Until: at(20)}, func(i int) bool { return i >= 10 && i < 20 }, 1},
		"since and until, by fives":     {chat.ListCommandsRequest{Since: at(10), Until: at(20), MaxResults: ptr[int64](5)}, func(i int) bool { return i >= 10 && i < 20 }, 3},
		"until a part of a millisecond": {chat.ListCommandsRequest{Until: "2026-11-23T08:01:00.0005Z"}, func(i int) bool { return i < 2 }, 1},
		"nothing between":               {chat.ListCommandsRequest{Since: at(20), Until: at(10)}, func(int) bool { return false }, 1},
		"long ago":                      {chat.ListCommandsRequest{Until: "1960-01-01T00:00:00Z"}, func(int) bool { return false }, 1},
		"in another zone":               {chat.ListCommandsRequest{Since: "2026-11-23T19:50:00+08:00"}, func(i int) bool { return i >= 230 }, 1},
		"all filters":                   {chat.ListCommandsRequest{Since: at(100), Until: at(200), User: "U2", Command: "stop", Decision: "Denied"}, func(i int) bool { return i >= 100 && i < 200 && i%3 == 2 && i%4 == 2 }, 1},
	} {
		got, calls := list(c.in)
		equal(t, about, got, want(c.keep))
		if calls > c.calls {
			t.Errorf("%s: %d calls, want at most %d", about, calls, c.calls)
		}
	}
	h.delete("one")
	if got, _ := list(chat.ListCommandsRequest{}); len(got) != 240 {
		t.Errorf("of a configuration that was deleted, %d are shown", len(got))
	}
	if out, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one-1"}); err != nil || len(out.ChatCommands) != 0 || out.ChatCommands == nil || out.MaxResults != 50 {
		t.Errorf("of a bot that nobody asked: %+v, %v", out, err)
	}
}

// What was asked of a configuration that was deleted is as closed as it was: its tags count on.
func TestListCommandsOfWhatWasDeletedKeepsItsTags(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	e := h.open("one")
	h.record(e, arrival(t, e, "m1", "u1", "restart"))
	tags := []string{`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`, `{"Effect":"Deny","Action":"oos:ListChatCommands","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":["prod"]}}}`}
	closed := as(h.ctx, caller(t, "CCKclosed", tags...))
	list := func(ctx context.Context, name string) error {
		_, err := h.ListCommands(ctx, &chat.ListCommandsRequest{Name: name})
		return err
	}
	wantError(t, "while it is there", list(closed, "one"), chat.NoPermission, "")
	if _, err := h.Delete(h.ctx, &chat.DeleteRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "when it is gone", list(closed, "one"), chat.NoPermission, "")
	if err := list(h.ctx, "one"); err != nil {
		t.Errorf("when it is gone, by who may: %v", err)
	}
	wantError(t, "of one that never was", list(closed, "never"), chat.NotFound, "Name")

	h.spy.fail("Query", 1, table.ErrUnavailable)
	wantError(t, "when the history cannot be read", list(h.ctx, "one"), chat.Unavailable, "")
	h.spy.reset()
	item := h.item("h#one#0000000002")
	h.tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: []byte("planted"), Revision: item.Revision}}})
	wantError(t, "when the history is damaged", list(h.ctx, "one"), chat.Internal, "")
}

// TestListCommandsIsBounded holds that one call reads a bounded number of records, however few it selects.
func TestListCommandsIsBounded(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	inParallel(t, 1100, func(i int) error {
		_, _, err := h.journal.Record(h.ctx, e, arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
		return err
	})
	in := &chat.ListCommandsRequest{Name: "one", User: "nobody"}
	for call := 1; ; call++ {
		h.spy.reset()
		out, err := h.ListCommands(h.ctx, in)
		if err != nil || len(out.ChatCommands) != 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		if got := len(strings.Fields(h.spy.took())); got > 6 {
			t.Errorf("call %d made %d calls", call, got)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			if call != 3 {
				t.Errorf("%d calls", call)
			}
			return
		}
	}
}

func TestListCommandsIsRefused(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	h.bot("two")
	for i := range 3 {
		h.record(e, arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
	}
	first, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](1)})
	if err != nil || first.NextToken == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		code  chat.Code
		param string
	}{
		"no name":                           {chat.ListCommandsRequest{}, chat.MissingParameter, "Name"},
		"a bad name":                        {chat.ListCommandsRequest{Name: "a b"}, chat.InvalidParameter, "Name"},
		"none of the name":                  {chat.ListCommandsRequest{Name: "three"}, chat.NotFound, "Name"},
		"a bad region":                      {chat.ListCommandsRequest{Name: "one", RegionID: "x"}, chat.InvalidRegion, "RegionId"},
		"a page of none":                    {chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](0)}, chat.InvalidParameter, "MaxResults"},
		"a decision that is none":           {chat.ListCommandsRequest{Name: "one", Decision: "Maybe"}, chat.InvalidParameter, "Decision"},
		"a command that is none":            {chat.ListCommandsRequest{Name: "one", Command: "a b"}, chat.InvalidParameter, "Command"},
		"a date that is none":               {chat.ListCommandsRequest{Name: "one", Since: "yesterday"}, chat.InvalidParameter, "Since"},
		"another":                           {chat.ListCommandsRequest{Name: "one", Until: "2026-11-23"}, chat.InvalidParameter, "Until"},
		"a token that is none":              {chat.ListCommandsRequest{Name: "one", NextToken: "x"}, chat.InvalidNextToken, "NextToken"},
		"a token of another configuration":  {chat.ListCommandsRequest{Name: "two", NextToken: first.NextToken}, chat.InvalidNextToken, "NextToken"},
		"a token of another filter":         {chat.ListCommandsRequest{Name: "one", User: "u1", NextToken: first.NextToken}, chat.InvalidNextToken, "NextToken"},
		"a token of another filter's value": {chat.ListCommandsRequest{Name: "one", Since: "2026-11-23T00:00:00Z", NextToken: first.NextToken}, chat.InvalidNextToken, "NextToken"},
	} {
		_, err := h.ListCommands(h.ctx, &c.in)
		wantError(t, "ListCommands with "+about, err, c.code, c.param)
	}
	_, err = h.serviceWith(chat.Options{}, h.ring).ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one"})
	wantError(t, "ListCommands without a journal", err, chat.Unavailable, "", "keeps no journal")
	// A token goes on where it stands, after its record is gone too.
	gone := h.open("one").Ref()
	gone.ID = first.ChatCommands[0].Id
	if err := h.pages.Table.Write(h.ctx, partition, table.Change{Deletes: []table.Delete{{Sort: chat.EntryKey(gone)}}}); err != nil {
		t.Fatal(err)
	}
	rest, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", NextToken: first.NextToken})
	if err != nil || len(rest.ChatCommands) != 2 || rest.NextToken != "" {
		t.Errorf("the rest = %+v, %v", rest, err)
	}
}

func TestSimulate(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(with(slack, `"UserGroups":{"sre":["u1"]},"Permissions":[
			{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"],"RamRole":"OpsRole"},{"Effect":"Deny","Principals":["*"],"Commands":["scale-in"]}]`))
	})
	simulate := func(user, command string) chat.SimulatedPermission {
		t.Helper()
		out, err := h.Simulate(h.ctx, &chat.SimulateRequest{Name: "one", UserID: user, ConversationID: "c1", Command: command})
		if err != nil {
			t.Fatal(err)
		}
		return out.Permission
	}
	h.spy.reset()
	equal(t, "what is allowed", simulate("u1", `Restart "i 1"`), chat.SimulatedPermission{
		Command: "restart", Allowed: true, RamRole: "OpsRole", Statement: ptr(0), StatementText: `{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"],"RamRole":"OpsRole"}`,
		Cause: command.CauseStatement, Reason: "Permissions[0] allows restart.", Groups: []string{"sre"}, Commands: []string{"restart", "scale-*"}, Except: []string{"scale-in"},
	})
	if got := h.spy.took(); got != "Get" {
		t.Errorf("calls = %s", got)
	}
	equal(t, "what is not", simulate("u2", "restart"), chat.SimulatedPermission{
		Command: "restart", Cause: command.CauseDefault, Reason: "No statement of Permissions allows restart for the user u2 in the conversation c1.", Groups: []string{}, Commands: []string{}, Except: []string{},
	})
	// It says what will be decided.
	e := h.open("one")
	for _, user := range []string{"u1", "u2"} {
		for _, command := range []string{"restart", "scale-out", "scale-in", "help", "whoami", "x"} {
			a, got := arrival(t, e, "m", user, command), simulate(user, command)
			if d := a.Decision; d.Allowed != got.Allowed || d.Reason != got.Reason || d.RamRole != got.RamRole || d.Cause != got.Cause {
				t.Errorf("%s by %s: simulated %+v, decided %+v", command, user, got, d)
			}
		}
	}
	// And it reads a command as it is read in the chat.
	for _, command := range []string{
		"`restart i-1`", "`restart` i-1", "**restart i-1**", "*restart* i-1", "_Restart_", "/restart i-1", "'/restart'", "```sh\nrestart i-1\n```", "restart —force",
	} {
		if got := simulate("u1", command); got.Command != "restart" || !got.Allowed {
			t.Errorf("%s: simulated %+v", command, got)
		}
	}
	in := chat.SimulateRequest{Name: "one", UserID: "u", ConversationID: "c", Command: "x"}
	for about, c := range map[string]struct {
		edit  func(*chat.SimulateRequest)
		code  chat.Code
		param string
	}{
		"no name":          {func(in *chat.SimulateRequest) { in.Name = "" }, chat.MissingParameter, "Name"},
		"no user":          {func(in *chat.SimulateRequest) { in.UserID = "" }, chat.MissingParameter, "UserId"},
		"no conversation":  {func(in *chat.SimulateRequest) { in.ConversationID = "" }, chat.MissingParameter, "ConversationId"},
		"no command":       {func(in *chat.SimulateRequest) { in.Command = "" }, chat.MissingParameter, "Command"},
		"a broken command": {func(in *chat.SimulateRequest) { in.Command = "x 'y" }, chat.InvalidParameter, "Command"},
		"a stray backtick": {func(in *chat.SimulateRequest) { in.Command = "x `y" }, chat.InvalidParameter, "Command"},
		"none of the name": {func(in *chat.SimulateRequest) { in.Name = "two" }, chat.NotFound, "Name"},
		"a bad region":     {func(in *chat.SimulateRequest) { in.RegionID = "x" }, chat.InvalidRegion, "RegionId"},
	} {
		in := in
		c.edit(&in)
		_, err := h.Simulate(h.ctx, &in)
		wantError(t, "Simulate with "+about, err, c.code, c.param)
	}
	for about, edit := range map[string]func(map[string]any){
		"a type that is not known":     func(m map[string]any) { m["type"] = "Matrix" },
		"a configuration that is none": func(m map[string]any) { m["configuration"] = "planted" },
	} {
		item := h.item("c#one")
		h.tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chat.Reencode(item.Value, edit), Revision: item.Revision}}})
		_, err := h.Simulate(h.ctx, &in)
		wantError(t, "Simulate of a record with "+about, err, chat.Internal, "")
		wantNoDetail(t, err)
		h.tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: item.Value, Revision: item.Revision}}})
	}
}
