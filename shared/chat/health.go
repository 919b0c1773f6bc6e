package chat

import (
	"context"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const actionHealth = "GetChatConfigurationHealth"

// flushWait is how long a reader of health waits until pending notes are written.
const flushWait = 250 * time.Millisecond

// HealthRequest are the parameters of GetChatConfigurationHealth.
type HealthRequest struct {
	RegionID string `param:"RegionId"`
	Name     string `param:"Name"`
}

// HealthResponse is the answer of GetChatConfigurationHealth.
type HealthResponse struct {
	Health Health
}

// States of a webhook, and of a connection.
const (
	HealthSilent  = "Silent"  // the platform has never called; the connection was never opened
	HealthWorking = "Working" // the last callback that could be told was genuine; the connection is open
	HealthFailing = "Failing" // it was refused; the connection is not open
)

// States of the connection of a configuration whose Receive is Stream.
const (
	ConnectionConnected  = "Connected"  // it is open
	ConnectionConnecting = "Connecting" // a process tries to open it
	ConnectionRefused    = "Refused"    // it was refused; it is tried again when the configuration changes
	ConnectionLost       = "Lost"       // the process that holds it has reported nothing for journal.Quiet
	ConnectionAbsent     = "Absent"     // no process holds it
)

// A HealthConnection is the state of the connection that chatconf opens for a configuration. The
// date of an event that never happened is empty.
type HealthConnection struct {
	State         string // Connected, Connecting, Refused, Lost or Absent
	SinceDate     string // since when it has this state
	LastFrameDate string // of the last delivery over it
	Reconnects    int64  // how often it was opened again
	// LastError is why it was last not open. Its step is open, read, replaced, lease or limit.
	LastError *HealthError `json:",omitempty"`
	Holder    string       `json:",omitempty"` // the process that holds it, or held it last
}

// Health is the state of a configuration's webhook and its connection. The date of an event that
// never happened is empty.
type Health struct {
	Name              string
	Type              string
	Status            string
	State             string
	LastCallbackDate  string
	LastSuccessDate   string // of a command or a handshake
	LastCommandDate   string
	LastHandshakeDate string
	LastError         *HealthError `json:",omitempty"` // of a callback that was refused
	LastDeliveryError *HealthError `json:",omitempty"` // of a command that could not be dispatched
	// LastMention is the last message that mentions another name than BotName, and not the bot.
	LastMention *HealthError `json:",omitempty"`
	// LastEventError is of the event of a change, whose delivery was given up.
	LastEventError *HealthError `json:",omitempty"`
	Counters       map[string]int64
	// Ignored counts ignored callbacks by the platform's name of their kind, such as
	// reaction_added.
	Ignored map[string]int64 `json:",omitempty"`
	// Connection is only in the health of a configuration whose Receive is Stream. State then
	// depends on it, too.
	Connection *HealthConnection `json:",omitempty"`
}

// HealthError is the last error of a kind: step, date and reason.
type HealthError struct {
	Date string
	// token, request, configuration, signature, freshness, decrypt, receive id, decode, replay,
	// deliver, mention or announce; of a connection: open, read, replaced, lease or limit
	Step   string
	Reason string
}

// Health returns the state of a chat configuration's webhook and connection in its present life:
// GetChatConfigurationHealth. A counter that does not change expires with the journal's retention.
// For a configuration from before lives had ids, the counters include earlier lives.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion, Unavailable
// without a journal.
func (s *Service) Health(ctx context.Context, in *HealthRequest) (*HealthResponse, error) {
	c, r, there, err := s.mayRead(ctx, in.RegionID, in.Name, actionHealth)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, notFound(in.Name)
	}
	if s.journal == nil {
		return nil, noJournal()
	}
	h, err := s.health(ctx, c, r)
	if err != nil {
		return nil, storeError(ctx, "get health", err)
	}
	return &HealthResponse{h}, nil
}

// health returns the health of a configuration's webhook. There is a journal.
func (s *Service) health(ctx context.Context, c scope, r *record) (Health, error) {
	ref := c.ref(r)
	// Notes of this process that are not written yet count too. If they cannot be written, the
	// answer is still given.
	flushing, cancel := context.WithTimeout(ctx, flushWait)
	err := s.journal.FlushOf(flushing, ref)
	cancel()
	if err != nil {
		invoke.Logger(ctx).WarnContext(ctx, "the health of a webhook was not written",
			"configuration", r.Name, "error", err)
	}
	h, err := s.journal.Health(ctx, ref, r.begun())
	if err != nil {
		return Health{}, err
	}
	out := showHealth(h, r)
	if receive, err := r.receive(); err != nil || receive != command.ReceiveStream {
		return out, err
	}
	connection := showConnection(h.Connection(r.Updated), r.Status, s.now())
	out.Connection = &connection
	switch {
	case connection.State == ConnectionConnected && out.State == HealthSilent:
		out.State = HealthWorking
	case connection.State == ConnectionAbsent && r.Status != StatusActive:
	case connection.State == ConnectionAbsent && connection.SinceDate == "":
		if out.State == HealthWorking { // by a webhook that it was before
			out.State = HealthSilent
		}
	case connection.State != ConnectionConnected:
		out.State = HealthFailing
	}
	return out, nil
}

// showConnection returns the state of a connection at a time. status is the configuration's.
func showConnection(h journal.ConnectionHealth, status string, now time.Time) HealthConnection {
	out := HealthConnection{SinceDate: dateOf(h.Since), LastFrameDate: dateOf(h.Frame), Reconnects: h.Reconnects,
		LastError: showMoment(h.Error), Holder: h.Holder}
	switch {
	case h.State == "" || h.State == journal.Released:
		out.State = ConnectionAbsent
	case h.State == journal.Refused:
		out.State = ConnectionRefused
	case now.Sub(h.Seen) > journal.Quiet:
		out.State, out.SinceDate = ConnectionLost, date(h.Seen)
		if status != StatusActive {
			out.State = ConnectionAbsent
		}
	case h.State == journal.Connected:
		out.State = ConnectionConnected
	default:
		out.State = ConnectionConnecting
	}
	return out
}

func showHealth(h *journal.Health, r *record) Health {
	out := Health{Name: r.Name, Type: r.Type, Status: r.Status, State: HealthSilent,
		Counters: make(map[string]int64, len(journal.Counters))}
	for _, c := range journal.Counters {
		out.Counters[string(c)] = h.Count[c]
	}
	var command time.Time
	if h.Record != nil {
		command = h.Record.Time
	}
	success, failure := later(command, h.Last[journal.LastHandshake].At), h.Last[journal.LastError].At
	// A record has the time of its command in milliseconds.
	failing := failure.Truncate(time.Millisecond).After(success)
	out.LastCallbackDate = dateOf(later(h.Last[journal.LastCallback].At, later(success, failure)))
	out.LastSuccessDate = dateOf(success)
	out.LastCommandDate = dateOf(command)
	out.LastHandshakeDate = dateOf(h.Last[journal.LastHandshake].At)
	out.LastError = showMoment(h.Last[journal.LastError])
	// Any client can guess a name and call a URL with a wrong token. It counts as the last error
	// only if there is no other, and as a failure only if the platform never succeeded.
	stranger := h.Last[journal.LastToken].At
	if stranger.After(failure) && !failing {
		out.LastError = showMoment(h.Last[journal.LastToken])
	}
	out.LastDeliveryError = showMoment(h.Last[journal.LastDelivery])
	out.LastMention = showMoment(h.Last[journal.LastMention])
	out.LastEventError = showMoment(h.Last[journal.LastEvent])
	out.Ignored = h.Ignored()
	switch {
	case failing, success.IsZero() && !stranger.IsZero():
		out.State = HealthFailing
	case out.LastCallbackDate != "":
		out.State = HealthWorking
	}
	return out
}

func showMoment(m journal.Moment) *HealthError {
	if m.At.IsZero() {
		return nil
	}
	return &HealthError{Date: date(m.At), Step: m.Step, Reason: m.Reason}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dateOf is date, but empty for the zero time.
func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return date(t)
}

// mayRead is the common part of actions that read one configuration. It returns the last life of
// the name, and whether it still exists. The caller needs the permission for every action; the
// first is the action of the request. Policies may depend on tags. The journal outlives a
// configuration, so after its deletion its last tags count.
func (s *Service) mayRead(ctx context.Context, regionID, name string,
	actions ...string) (c scope, r *record, there bool, err error) {
	c, err = s.scope(ctx, regionID)
	if err := fault.Join(err, checkName(name)); err != nil {
		return scope{}, nil, false, err
	}
	if r, there, err = s.store.lastLife(ctx, c, name); err != nil {
		return scope{}, nil, false, storeError(ctx, actions[0], err)
	}
	of := c.request(ctx, name, r.tags())
	needs := make([]need, len(actions))
	for i, action := range actions {
		needs[i] = need{action: actionPrefix + action, of: of}
	}
	return c, r, there, c.require(needs...)
}

func noJournal() error {
	return &fault.Error{Code: fault.Unavailable, Message: "This service keeps no journal."}
}
