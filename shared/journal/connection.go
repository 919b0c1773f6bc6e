package journal

import (
	"slices"
	"time"
)

// A Connection is news of a connection that chatconf opens for a configuration. The process that
// holds the connection, or tries to, notes it with NoteLater when the State changes, and again at
// least every two minutes: Alive while the connection is open, else the last State. Without news
// for Quiet, health says that the process is gone.
//
//	j.NoteLater(ctx, ref, journal.Note{Connection: journal.Connection{State: journal.Connected,
//		Holder: "host-1/4711"}})
//
// ref must have the Life of the configuration, as that of a chat.StreamBot has.
type Connection struct {
	State  ConnectionState
	Step   string    // where it failed: open, read, replaced, lease or limit
	Reason string    // why it is not open: what is wrong and what would be right; no secret and no address
	Holder string    // the process, for people, such as <host>/<process id>
	Frame  time.Time // when the last delivery came over it; zero if none
}

// Quiet is how long the holder of a connection may be silent.
const Quiet = 5 * time.Minute

// A ConnectionState is what became of a connection.
type ConnectionState string

// The states. Of two at the same time, the later one in this list counts.
const (
	Lost      ConnectionState = "Lost"      // it ended, and another one is opened
	Failed    ConnectionState = "Failed"    // it could not be opened, and this is tried again
	Excess    ConnectionState = "Excess"    // it is not opened: the process holds as many as it may
	Refused   ConnectionState = "Refused"   // it was refused; it is tried again when the configuration changes
	Released  ConnectionState = "Released"  // the process has closed it for good
	Connected ConnectionState = "Connected" // the platform has accepted it
	Alive     ConnectionState = "Alive"     // it is still open
)

var connectionStates = [...]ConnectionState{Lost, Failed, Excess, Refused, Released, Connected, Alive}

const (
	// lastConnection is before a ConnectionState in the sort keys of health.
	lastConnection = "last#connection#"
	// countConnected counts how often a connection was opened. It is no counter of a webhook.
	countConnected Counter = "Connected"
)

// at returns the moment of a connection, as it is stored.
func (c Connection) at(now time.Time) Moment {
	return Moment{At: now, Step: cut(c.Step, 64), Reason: cut(c.Reason, 1024), Holder: cut(c.Holder, 256),
		Frame: c.Frame.UTC()}
}

// A ConnectionHealth is what is known of the connection of a configuration.
type ConnectionHealth struct {
	State      ConnectionState // the last one; Connected for Alive; empty if there was none
	Since      time.Time       // the beginning of State; failed attempts after a loss do not change it
	Seen       time.Time       // the last news
	Frame      time.Time       // the last delivery; zero if none
	Holder     string          // the process that had the last news
	Reconnects int64           // how often it was opened again
	Error      Moment          // why it was last not open
}

// Connection returns what is known of the connection of a configuration. changed is when the
// configuration was last changed. A connection that was Refused before has Failed, since it is
// tried again.
func (h *Health) Connection(changed time.Time) ConnectionHealth {
	out := ConnectionHealth{Reconnects: max(h.Count[countConnected]-1, 0)}
	for _, state := range connectionStates {
		m, ok := h.Last[lastConnection+string(state)]
		if !ok {
			continue
		}
		if !slices.Contains(connected, state) && state != Released && !m.At.Before(out.Error.At) {
			out.Error = m
		}
		if m.Frame.After(out.Frame) {
			out.Frame = m.Frame
		}
		if state == Refused && m.At.Before(changed) {
			state = Failed
		}
		if !m.At.Before(out.Seen) {
			out.State, out.Since, out.Seen, out.Holder = state, m.At, m.At, m.Holder
		}
	}
	opened, lost := h.Last[lastConnection+string(Connected)].At, h.Last[lastConnection+string(Lost)].At
	switch out.State {
	case Alive:
		out.State, out.Since = Connected, opened
	case Failed, Excess:
		if lost.After(opened) {
			out.Since = lost
		}
	}
	return out
}

// connected are the states of an open connection.
var connected = []ConnectionState{Connected, Alive}
