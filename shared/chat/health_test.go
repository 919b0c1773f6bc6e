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
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestHealthIsRefused(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for about, c := range map[string]struct {
		in    chat.HealthRequest
		code  fault.Code
		param string
	}{
		"no name":          {chat.HealthRequest{}, fault.MissingParameter, "Name"},
		"a bad name":       {chat.HealthRequest{Name: "a b"}, fault.InvalidParameter, "Name"},
		"none of the name": {chat.HealthRequest{Name: "two"}, fault.NotFound, "Name"},
		"a bad region":     {chat.HealthRequest{Name: "one", RegionID: "x"}, fault.InvalidRegion, "RegionId"},
	} {
		_, err := h.Health(h.Ctx, &c.in)
		chattest.WantError(t, "Health with "+about, err, c.code, c.param)
	}
	_, err := h.ServiceWith(chat.Options{}, h.Ring).Health(h.Ctx, &chat.HealthRequest{Name: "one"})
	chattest.WantError(t, "Health without a journal", err, fault.Unavailable, "", "keeps no journal")
	if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
		table.Change{Puts: []table.Put{{Sort: journalKey("h#", h.Open("one").Ref(), "last#error"),
			Value: []byte("planted")}}}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Health(h.Ctx, &chat.HealthRequest{Name: "one"})
	chattest.WantError(t, "Health that is tampered", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
}

func TestListCommands(t *testing.T) {
	h := newHouse(t)
	e := h.Bot("one")
	h.Bot("one-1")
	// A command a minute, of three users, every fourth of them stop.
	var all []string
	for i := range 240 {
		text := []string{"restart i", "scale-out", "stop", "Help"}[i%4]
		ref := h.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", i), fmt.Sprint("U", i%3), text))
		all = append(all, ref.ID)
		h.Clock.Advance(time.Minute)
	}
	list := func(in chat.ListCommandsRequest) (ids []string, calls int) {
		t.Helper()
		in.Name = "one"
		for calls = 1; ; calls++ {
			out, err := h.ListCommands(h.Ctx, &in)
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
		return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(
			time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		keep  func(i int) bool
		calls int // at most
	}{
		"all": {chat.ListCommandsRequest{}, func(int) bool { return true }, 5},
		"all, one by one": {chat.ListCommandsRequest{MaxResults: chattest.Ptr[int64](1)},
			func(int) bool { return true }, 240},
		"all, in full pages": {chat.ListCommandsRequest{MaxResults: chattest.Ptr[int64](80)},
			func(int) bool { return true }, 3},
		"of a user": {chat.ListCommandsRequest{User: "u1"},
			func(i int) bool { return i%3 == 1 }, 3},
		"of nobody": {chat.ListCommandsRequest{User: "u9"}, func(int) bool { return false }, 1},
		"a command": {chat.ListCommandsRequest{Command: "Restart"},
			func(i int) bool { return i%4 == 0 }, 3},
		"a pattern": {chat.ListCommandsRequest{Command: "s*"},
			func(i int) bool { return i%4 == 1 || i%4 == 2 }, 4},
		"denied": {chat.ListCommandsRequest{Decision: "denied"},
			func(i int) bool { return i%4 == 2 }, 3},
		"allowed": {chat.ListCommandsRequest{Decision: "Allowed"},
			func(i int) bool { return i%4 != 2 }, 5},
		"since": {chat.ListCommandsRequest{Since: at(200)},
			func(i int) bool { return i >= 200 }, 1},
		"until": {chat.ListCommandsRequest{Until: at(30)},
			func(i int) bool { return i < 30 }, 1},
		"since and until": {chat.ListCommandsRequest{Since: at(10), Until: at(20)},
			func(i int) bool { return i >= 10 && i < 20 }, 1},
		"since and until, by fives": {chat.ListCommandsRequest{Since: at(10), Until: at(20),
			MaxResults: chattest.Ptr[int64](5)}, func(i int) bool { return i >= 10 && i < 20 }, 3},
		"until a part of a millisecond": {chat.ListCommandsRequest{Until: "2026-11-23T08:01:00.0005Z"},
			func(i int) bool { return i < 2 }, 1},
		"long ago": {chat.ListCommandsRequest{Until: "1960-01-01T00:00:00Z"},
			func(int) bool { return false }, 1},
		"in another zone": {chat.ListCommandsRequest{Since: "2026-11-23T19:50:00+08:00"},
			func(i int) bool { return i >= 230 }, 1},
		"since a time ago": {chat.ListCommandsRequest{Since: "40m"}, func(i int) bool { return i >= 200 }, 1},
		"since hours ago, by tens": {chat.ListCommandsRequest{Since: "1H", MaxResults: chattest.Ptr[int64](10)},
			func(i int) bool { return i >= 180 }, 7},
		"until a time ago": {chat.ListCommandsRequest{Since: "7d", Until: "3h"},
			func(i int) bool { return i < 60 }, 2},
		"until a time ago, by tens": {chat.ListCommandsRequest{Until: "3h", MaxResults: chattest.Ptr[int64](10)},
			func(i int) bool { return i < 60 }, 6},
		"of today": {chat.ListCommandsRequest{Since: "Today"}, func(int) bool { return true }, 5},
		"of yesterday": {chat.ListCommandsRequest{Since: "yesterday", Until: "today"},
			func(int) bool { return false }, 1},
		"since a day":        {chat.ListCommandsRequest{Since: "2026-11-23"}, func(int) bool { return true }, 5},
		"until a day":        {chat.ListCommandsRequest{Until: "2026-11-23"}, func(int) bool { return false }, 1},
		"until the next":     {chat.ListCommandsRequest{Until: "2026-11-24"}, func(int) bool { return true }, 5},
		"of a target":        {chat.ListCommandsRequest{Target: "journal"}, func(i int) bool { return i%4 < 2 }, 5},
		"of any target":      {chat.ListCommandsRequest{Target: "*"}, func(i int) bool { return i%4 < 2 }, 5},
		"of a target's name": {chat.ListCommandsRequest{Target: "Journal x"}, func(i int) bool { return false }, 3},
		"of another target":  {chat.ListCommandsRequest{Target: "Oos"}, func(i int) bool { return false }, 3},
		"all filters": {chat.ListCommandsRequest{Since: at(100), Until: at(200), User: "U2",
			Command: "stop", Decision: "Denied"}, func(i int) bool {
			return i >= 100 &&
				i < 200 && i%3 == 2 && i%4 == 2
		}, 1},
	} {
		got, calls := list(c.in)
		chattest.Equal(t, about, got, want(c.keep))
		if calls > c.calls {
			t.Errorf("%s: %d calls, want at most %d", about, calls, c.calls)
		}
	}
	h.MustDelete("one")
	if got, _ := list(chat.ListCommandsRequest{}); len(got) != 240 {
		t.Errorf("of a configuration that was deleted, %d are shown", len(got))
	}
	if out, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one-1"}); err != nil ||
		len(out.ChatCommands) != 0 || out.ChatCommands == nil || out.MaxResults != 50 {
		t.Errorf("of a bot that nobody asked: %+v, %v", out, err)
	}
}

// What was asked of a configuration that was deleted is as closed as it was: its tags count on.
func TestListCommandsOfWhatWasDeletedKeepsItsTags(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	e := h.Open("one")
	h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
	tags := []string{`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"oos:ListChatCommands","Resource":"*",` +
			`"Condition":{"StringEquals":{"oos:tag/env":["prod"]}}}`}
	closed := chattest.As(h.Ctx, callerOf(t, "CCKclosed", tags...))
	list := func(ctx context.Context, name string) error {
		_, err := h.ListCommands(ctx, &chat.ListCommandsRequest{Name: name})
		return err
	}
	chattest.WantError(t, "while it is there", list(closed, "one"), fault.NoPermission, "")
	if _, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	chattest.WantError(t, "when it is gone", list(closed, "one"), fault.NoPermission, "")
	if err := list(h.Ctx, "one"); err != nil {
		t.Errorf("when it is gone, by who may: %v", err)
	}
	chattest.WantError(t, "of one that never was", list(closed, "never"), fault.NotFound, "Name")

	h.Spy.Fail("Query", 1, table.ErrUnavailable)
	chattest.WantError(t, "when the history cannot be read", list(h.Ctx, "one"), fault.Unavailable, "")
	h.Spy.Reset()
	item := h.Item("h#one#0000000002")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: []byte("planted"), Revision: item.Revision}}})
	chattest.WantError(t, "when the history is damaged", list(h.Ctx, "one"), fault.Internal, "")
}

// TestListCommandsIsBounded holds that one call reads a bounded number of records, however few it
// selects.
func TestListCommandsIsBounded(t *testing.T) {
	h := newHouse(t)
	e := h.Bot("one")
	chattest.InParallel(t, 1100, func(i int) error {
		_, _, err := h.Journal.Record(h.Ctx, e, chattest.Arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
		return err
	})
	in := &chat.ListCommandsRequest{Name: "one", User: "nobody"}
	for call := 1; ; call++ {
		h.Spy.Reset()
		out, err := h.ListCommands(h.Ctx, in)
		if err != nil || len(out.ChatCommands) != 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		if got := len(strings.Fields(h.Spy.Took())); got > 6 {
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

// TestARelativeTimeIsResolvedOnce checks that the pages of a list have one beginning, however much
// time its reader takes, and that they are asked for in the words of the first.
func TestARelativeTimeIsResolvedOnce(t *testing.T) {
	h := newHouse(t)
	e := h.Bot("one")
	var all []string
	for i := range 4 {
		all = append(all, h.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", i), "u1", "restart")).ID)
		h.Clock.Advance(time.Minute)
	}
	in := &chat.ListCommandsRequest{Name: "one", Since: "3m", MaxResults: chattest.Ptr[int64](1)}
	var got []string
	for {
		out, err := h.ListCommands(h.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.ChatCommands {
			got = append(got, c.Id)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
		h.Clock.Advance(time.Hour)
	}
	if want := []string{all[3], all[2], all[1]}; !slices.Equal(got, want) {
		t.Errorf("since 3m: %v, want %v", got, want)
	}
	first, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: chattest.Ptr[int64](1),
		Since: "1d"})
	if err != nil || first.NextToken == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	_, err = h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", Since: "2d", NextToken: first.NextToken})
	chattest.WantError(t, "a token of another time ago", err, fault.InvalidNextToken, "NextToken")
}

func TestListCommandsIsRefused(t *testing.T) {
	h := newHouse(t)
	e := h.Bot("one")
	h.Bot("two")
	for i := range 3 {
		h.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
	}
	first, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: chattest.Ptr[int64](1)})
	if err != nil || first.NextToken == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		code  fault.Code
		param string
	}{
		"a bad name":       {chat.ListCommandsRequest{Name: "a b"}, fault.InvalidParameter, "Name"},
		"none of the name": {chat.ListCommandsRequest{Name: "three"}, fault.NotFound, "Name"},
		"a bad region": {chat.ListCommandsRequest{Name: "one", RegionID: "x"},
			fault.InvalidRegion, "RegionId"},
		"a page of none": {chat.ListCommandsRequest{Name: "one", MaxResults: chattest.Ptr[int64](0)},
			fault.InvalidParameter, "MaxResults"},
		"an invalid decision": {chat.ListCommandsRequest{Name: "one", Decision: "Maybe"},
			fault.InvalidParameter, "Decision"},
		"an invalid command": {chat.ListCommandsRequest{Name: "one", Command: "a b"},
			fault.InvalidParameter, "Command"},
		"an invalid date": {chat.ListCommandsRequest{Name: "one", Since: "tomorrow"},
			fault.InvalidParameter, "Since"},
		"another": {chat.ListCommandsRequest{Name: "one", Until: "2026-11-31"},
			fault.InvalidParameter, "Until"},
		"a time ago without a unit": {chat.ListCommandsRequest{Name: "one", Since: "90"},
			fault.InvalidParameter, "Since"},
		"a time ago of another unit": {chat.ListCommandsRequest{Name: "one", Since: "90s"},
			fault.InvalidParameter, "Since"},
		"a time to come": {chat.ListCommandsRequest{Name: "one", Since: "-1d"},
			fault.InvalidParameter, "Since"},
		"a time too long ago": {chat.ListCommandsRequest{Name: "one", Since: "3651d"},
			fault.InvalidParameter, "Since"},
		"an unknown target": {chat.ListCommandsRequest{Name: "one", Target: "Cron nightly"},
			fault.InvalidParameter, "Target"},
		"an invalid token": {chat.ListCommandsRequest{Name: "one", NextToken: "x"},
			fault.InvalidNextToken, "NextToken"},
		"a token of another configuration": {chat.ListCommandsRequest{Name: "two", NextToken: first.NextToken},
			fault.InvalidNextToken, "NextToken"},
		"a token of another filter": {chat.ListCommandsRequest{Name: "one", User: "u1",
			NextToken: first.NextToken}, fault.InvalidNextToken, "NextToken"},
		"a token of another filter's value": {chat.ListCommandsRequest{Name: "one", Since: "2026-11-23T00:00:00Z",
			NextToken: first.NextToken}, fault.InvalidNextToken, "NextToken"},
	} {
		_, err := h.ListCommands(h.Ctx, &c.in)
		chattest.WantError(t, "ListCommands with "+about, err, c.code, c.param)
	}
	_, err = h.ServiceWith(chat.Options{}, h.Ring).ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one"})
	chattest.WantError(t, "ListCommands without a journal", err, fault.Unavailable, "", "keeps no journal")
	// A token goes on where it stands, after its record is gone too.
	gone := h.Open("one").Ref()
	gone.ID = first.ChatCommands[0].Id
	if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
		table.Change{Deletes: []table.Delete{{Sort: journalKey("r#", gone, "")}}}); err != nil {
		t.Fatal(err)
	}
	rest, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", NextToken: first.NextToken})
	if err != nil || len(rest.ChatCommands) != 2 || rest.NextToken != "" {
		t.Errorf("the rest = %+v, %v", rest, err)
	}
}

func TestSimulate(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"UserGroups":{"sre":["u1"]},"Permissions":[
			{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"],"RamRole":"OpsRole"},
			{"Effect":"Deny","Principals":["*"],"Commands":["scale-in"]}]`))
	})
	simulate := func(user, command string) chat.SimulatedPermission {
		t.Helper()
		out, err := h.Simulate(h.Ctx, &chat.SimulateRequest{Name: "one", UserID: user,
			ConversationID: "c1", Command: command})
		if err != nil {
			t.Fatal(err)
		}
		return out.Permission
	}
	h.Spy.Reset()
	chattest.Equal(t, "what is allowed", simulate("u1", `Restart "i 1"`), chat.SimulatedPermission{
		Command: "restart", Allowed: true, RamRole: "OpsRole", Statement: chattest.Ptr(0),
		StatementText: `{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart",` +
			`"scale-*"],"RamRole":"OpsRole"}`,
		Cause: command.CauseStatement, Reason: "Permissions[0] allows restart.", Groups: []string{"sre"},
		Commands: []string{"restart", "scale-*"}, Except: []string{"scale-in"},
	})
	if got := h.Spy.Took(); got != "Get" {
		t.Errorf("calls = %s", got)
	}
	chattest.Equal(t, "what is not", simulate("u2", "restart"), chat.SimulatedPermission{
		Command: "restart", Cause: command.CauseDefault,
		Reason: "No statement of Permissions allows restart for the user u2 in the conversation c1.",
		Groups: []string{}, Commands: []string{}, Except: []string{},
	})
	// It says what will be decided.
	e := h.Open("one")
	for _, user := range []string{"u1", "u2"} {
		for _, command := range []string{"restart", "scale-out", "scale-in", "help", "whoami", "x"} {
			a, got := chattest.Arrival(t, e, "m", user, command), simulate(user, command)
			if d := a.Decision; d.Allowed != got.Allowed || d.Reason != got.Reason ||
				d.RamRole != got.RamRole || d.Cause != got.Cause {
				t.Errorf("%s by %s: simulated %+v, decided %+v", command, user, got, d)
			}
		}
	}
	// And it reads a command as it is read in the chat.
	for _, command := range []string{
		"`restart i-1`", "`restart` i-1", "**restart i-1**", "*restart* i-1", "_Restart_", "/restart i-1", "'/restart'",
		"```sh\nrestart i-1\n```", "restart —force",
	} {
		if got := simulate("u1", command); got.Command != "restart" || !got.Allowed {
			t.Errorf("%s: simulated %+v", command, got)
		}
	}
	in := chat.SimulateRequest{Name: "one", UserID: "u", ConversationID: "c", Command: "x"}
	for about, c := range map[string]struct {
		edit  func(*chat.SimulateRequest)
		code  fault.Code
		param string
	}{
		"no name": {func(in *chat.SimulateRequest) { in.Name = "" }, fault.MissingParameter, "Name"},
		"no user": {func(in *chat.SimulateRequest) { in.UserID = "" }, fault.MissingParameter, "UserId"},
		"no conversation": {func(in *chat.SimulateRequest) { in.ConversationID = "" },
			fault.MissingParameter, "ConversationId"},
		"no command":       {func(in *chat.SimulateRequest) { in.Command = "" }, fault.MissingParameter, "Command"},
		"a broken command": {func(in *chat.SimulateRequest) { in.Command = "x 'y" }, fault.InvalidParameter, "Command"},
		"a stray backtick": {func(in *chat.SimulateRequest) { in.Command = "x `y" }, fault.InvalidParameter, "Command"},
		"none of the name": {func(in *chat.SimulateRequest) { in.Name = "two" }, fault.NotFound, "Name"},
		"a bad region":     {func(in *chat.SimulateRequest) { in.RegionID = "x" }, fault.InvalidRegion, "RegionId"},
	} {
		in := in
		c.edit(&in)
		_, err := h.Simulate(h.Ctx, &in)
		chattest.WantError(t, "Simulate with "+about, err, c.code, c.param)
	}
	for about, edit := range map[string]func(map[string]any){
		"a type that is not known": func(m map[string]any) { m["type"] = "Matrix" },
		"an invalid configuration": func(m map[string]any) { m["configuration"] = "planted" },
	} {
		item := h.Item("c#one")
		h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chattest.Reencode(item.Value, edit),
			Revision: item.Revision}}})
		_, err := h.Simulate(h.Ctx, &in)
		chattest.WantError(t, "Simulate of a record with "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
		h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: item.Value, Revision: item.Revision}}})
	}
}

// journalKey returns a sort key of the journal.
func journalKey(prefix string, ref command.Ref, what string) string {
	return prefix + ref.Name + "$" + ref.Life + "#" + ref.ID + what
}
