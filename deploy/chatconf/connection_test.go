package main

import (
	"bytes"
	"strings"
	"testing"

	"chatconf/shared/chat"
)

// Each state of a connection has its words, and the step that fails.
func TestHealthOfAConnection(t *testing.T) {
	const date = "2026-11-23T08:00:00+00:00"
	down := &chat.HealthError{Date: date, Step: "open", Reason: "the network is down"}
	refused := &chat.HealthError{Date: date, Step: "receive id", Reason: "another workspace"}
	for _, c := range []struct {
		state       string
		last        *chat.HealthError
		connection  chat.HealthConnection
		says, row   string
		failingStep string
	}{
		{chat.HealthWorking, nil, chat.HealthConnection{State: "Connected", SinceDate: date, Holder: "host/1"},
			"Working: the connection is open.",
			"Connection Connected 2026-11-23 08:00:00 - 0 reconnects, held by host/1", ""},
		{chat.HealthFailing, refused, chat.HealthConnection{State: "Connected", SinceDate: date, Reconnects: 1},
			"Failing: the last callback of the platform was refused at the step receive id.",
			"Connection Connected 2026-11-23 08:00:00 - 1 reconnect", "receive id"},
		{chat.HealthFailing, refused, chat.HealthConnection{State: "Connecting", LastError: down},
			"Failing: the connection is not open; a process tries to open it.",
			"Connection error 2026-11-23 08:00:00 open the network is down", "open"},
		{chat.HealthFailing, nil, chat.HealthConnection{State: "Refused", LastError: down},
			"Failing: the connection was refused; chatconf tries again when the configuration changes.",
			"Connection Refused - - 0 reconnects", "open"},
		{chat.HealthFailing, refused, chat.HealthConnection{State: "Lost", LastError: down},
			"Failing: the process that holds the connection has reported nothing for some minutes.",
			"Refused callback 2026-11-23 08:00:00 receive id another workspace", "connection"},
		{chat.HealthSilent, nil, chat.HealthConnection{State: "Absent"},
			"Silent: no process holds the connection; run 'chatconf serve' or 'chatconf connect'.",
			"Last delivery - - -", ""},
	} {
		var out bytes.Buffer
		h := &chat.Health{State: c.state, LastError: c.last, Connection: &c.connection}
		if err := (&verb{out: &out}).printHealth(h); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, c.says+"\n") || rowOf(got, c.row) == "" {
			t.Errorf("%s:\n%s\nand not %s\n%s", c.connection.State, got, c.says, c.row)
		}
		if got := failingStep(h); got != c.failingStep {
			t.Errorf("%s: the step is %q, want %q", c.connection.State, got, c.failingStep)
		}
	}
}
