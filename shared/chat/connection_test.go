package chat_test

import (
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// TestHealthOfAConnection goes through the life of a connection, as its process notes it, and holds
// what health and a check say.
func TestHealthOfAConnection(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(streamSlack, `"SlackSigningSecret":"signing-secret-0"`))
	})
	h.MustCreate("hook")
	if got := h.MustHealth("hook").Connection; got != nil {
		t.Errorf("the connection of a webhook: %v", got)
	}
	ref := h.Open("one").Ref()
	note := func(n journal.Note) {
		t.Helper()
		if err := h.Journal.Note(h.Ctx, ref, n); err != nil {
			t.Fatal(err)
		}
	}
	connection := func(state journal.ConnectionState, step, reason string) func() {
		return func() {
			note(journal.Note{Connection: journal.Connection{State: state, Step: step, Reason: reason,
				Holder: "host/1"}})
		}
	}
	at := func(minutes int) string {
		return time.Date(2026, 11, 23, 8, minutes, 0, 0, time.UTC).Format("2006-01-02T15:04:05+00:00")
	}
	failed := func(minutes int, step, reason string) *chat.HealthError {
		return &chat.HealthError{Date: at(minutes), Step: step, Reason: reason}
	}
	type connected = chat.HealthConnection
	for i, c := range []struct {
		about string
		do    func()
		state string
		want  connected
		check string
	}{
		{"nothing", func() {}, chat.HealthSilent, connected{State: "Absent"},
			"NotPossible no process has opened the connection yet; run 'chatconf serve' or 'chatconf connect'"},
		{"a callback by webhook", func() { note(journal.Note{Counter: journal.CountHandshakes}) }, chat.HealthSilent,
			connected{State: "Absent"}, "NotPossible no process has opened the connection yet"},
		{"a failure", connection(journal.Failed, "open", "the network is down"), chat.HealthFailing,
			connected{State: "Connecting", SinceDate: at(2), Holder: "host/1",
				LastError: failed(2, "open", "the network is down")},
			"Failed the connection is not open, and a process tries to open it; the last error was on " + at(2) +
				", at the step open: the network is down https://api.slack.com/apps"},
		{"success", connection(journal.Connected, "", ""), chat.HealthWorking,
			connected{State: "Connected", SinceDate: at(3), Holder: "host/1",
				LastError: failed(2, "open", "the network is down")},
			"Passed the connection has been open since " + at(3)},
		{"a delivery", func() {
			note(journal.Note{Connection: journal.Connection{State: journal.Alive, Holder: "host/1",
				Frame: h.Clock.Now().Add(-time.Minute)}})
		}, chat.HealthWorking, connected{State: "Connected", SinceDate: at(3), LastFrameDate: at(3), Holder: "host/1",
			LastError: failed(2, "open", "the network is down")},
			"Passed the connection has been open since " + at(3)},
		{"a delivery for another workspace", func() {
			note(journal.Note{Counter: journal.CountRefused, Step: "receive id", Reason: "another workspace"})
		}, chat.HealthFailing, connected{State: "Connected", SinceDate: at(3), LastFrameDate: at(3), Holder: "host/1",
			LastError: failed(2, "open", "the network is down")},
			"Failed the last callback was refused on " + at(5) + ", at the step receive id: another workspace"},
		{"its end", connection(journal.Lost, "replaced", "another program has connected"), chat.HealthFailing,
			connected{State: "Connecting", SinceDate: at(6), LastFrameDate: at(3), Holder: "host/1",
				LastError: failed(6, "replaced", "another program has connected")},
			"Failed the connection is not open, and a process tries to open it; the last error was on " + at(6)},
		{"a failure after that", connection(journal.Excess, "limit", "too many"), chat.HealthFailing,
			connected{State: "Connecting", SinceDate: at(6), LastFrameDate: at(3), Holder: "host/1",
				LastError: failed(7, "limit", "too many")}, "Failed the connection is not open"},
		{"success again", connection(journal.Connected, "", ""), chat.HealthFailing, // the last callback was refused
			connected{State: "Connected", SinceDate: at(8), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(7, "limit", "too many")}, "Failed the last callback was refused"},
		{"a command", func() {
			e := h.Open("one")
			h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
		}, chat.HealthWorking, connected{State: "Connected", SinceDate: at(8), LastFrameDate: at(3), Holder: "host/1",
			Reconnects: 1, LastError: failed(7, "limit", "too many")},
			"Passed the connection has been open since " + at(8)},
		{"silence", func() { h.Clock.Advance(5 * time.Minute) }, chat.HealthFailing,
			connected{State: "Lost", SinceDate: at(8), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(7, "limit", "too many")},
			"Failed the process that holds the connection has reported nothing since " + at(8) +
				"; run 'chatconf serve' or 'chatconf connect'"},
		{"a refusal", connection(journal.Refused, "open", "SlackAppToken is not valid"), chat.HealthFailing,
			connected{State: "Refused", SinceDate: at(16), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(16, "open", "SlackAppToken is not valid")},
			"Failed the connection was refused on " + at(16) + ", at the step open: SlackAppToken is not valid; " +
				"correct the configuration, or set Status to Inactive and then to Active to try again"},
		{"silence, which means nothing then", func() { h.Clock.Advance(5 * time.Minute) }, chat.HealthFailing,
			connected{State: "Refused", SinceDate: at(16), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(16, "open", "SlackAppToken is not valid")},
			"Failed the connection was refused on " + at(16)},
		{"another refusal", connection(journal.Refused, "open", "no"), chat.HealthFailing,
			connected{State: "Refused", SinceDate: at(23), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(23, "open", "no")}, "Failed the connection was refused on " + at(23)},
		{"a change", func() { h.Touch("one") }, chat.HealthFailing,
			connected{State: "Connecting", SinceDate: at(23), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(23, "open", "no")}, "Failed the connection is not open, and a process tries"},
		{"the end of the process", connection(journal.Released, "", ""), chat.HealthFailing,
			connected{State: "Absent", SinceDate: at(25), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(23, "open", "no")}, "Failed no process has held the connection since " + at(25) +
				"; run 'chatconf serve' or 'chatconf connect'"},
		{"a status", func() { h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"}) }, chat.HealthWorking,
			connected{State: "Absent", SinceDate: at(25), LastFrameDate: at(3), Holder: "host/1", Reconnects: 1,
				LastError: failed(23, "open", "no")}, "NotPossible no connection is open, because Status is Inactive"},
	} {
		if i > 0 {
			h.Clock.Advance(time.Minute)
		}
		c.do()
		got := h.MustHealth("one")
		chattest.Equal(t, "the connection after "+c.about, got.Connection, &c.want)
		if got.State != c.state {
			t.Errorf("after %s: State = %s, want %s", c.about, got.State, c.state)
		}
		checked, err := h.checkWith(h.Ctx, &scripted{}, "")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stepsOf(checked), "connection "+c.check) || strings.Contains(stepsOf(checked), "webhook") {
			t.Errorf("after %s: the check says\n%s\nand not %s", c.about, stepsOf(checked), c.check)
		}
	}
}

// An inactive configuration loses nothing when its process is gone, and without a journal nothing
// is known.
func TestHealthOfAConnectionThatIsNotWanted(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = streamSlack })
	if err := h.Journal.Note(h.Ctx, h.Open("one").Ref(),
		journal.Note{Connection: journal.Connection{State: journal.Connected}}); err != nil {
		t.Fatal(err)
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"})
	h.Clock.Advance(6 * time.Minute)
	got := h.MustHealth("one")
	chattest.Equal(t, "the connection", got.Connection,
		&chat.HealthConnection{State: "Absent", SinceDate: "2026-11-23T08:00:00+00:00"})
	chattest.Equal(t, "State", got.State, chat.HealthSilent)
	out, err := h.ServiceWith(chat.Options{}, h.Ring).CheckConfiguration(h.Ctx,
		&chat.CheckConfigurationRequest{Name: "one"})
	if err != nil || !strings.Contains(stepsOf(out.Check), "connection NotPossible this service keeps no journal") {
		t.Errorf("%v; %v", err, out)
	}
}

// A connection cannot be told from a webhook if the record is damaged.
func TestHealthOfATamperedConnection(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = streamSlack })
	item := h.Item("c#one")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chattest.Reencode(item.Value,
		func(m map[string]any) { m["configuration"] = `"Receive"planted` }), Revision: 1}}})
	_, err := h.Health(h.Ctx, &chat.HealthRequest{Name: "one"})
	chattest.WantError(t, "Health", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
}
