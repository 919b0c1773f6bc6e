package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
)

// Time limits for one callback, the same for all platforms. WeCom and Feishu wait one second for
// the check of a URL. DingTalk waits two seconds for a card and 1.5 for its own check; its limit
// for a robot is not documented. Slack and Feishu wait three seconds for a message, WeCom and Teams
// five. The rest of that time is for the network and the gateway.
const (
	// Timeout bounds all table calls of one callback, from the end of its body to the record, or to
	// the answer without one.
	Timeout = 800 * time.Millisecond
	// DispatchTime bounds Dispatch after that. A command that takes longer is redriven later.
	DispatchTime = 400 * time.Millisecond
	// noteTime bounds the writing of a note before the answer.
	noteTime = 300 * time.Millisecond
)

// Options are what a Handler needs.
type Options struct {
	Service *chat.Service // with the Journal in its own options
	Journal *journal.Journal
	// Receivers makes the receiver of a configuration, by Type.
	Receivers map[string]func(callback.Settings) (callback.Receiver, error)
	// Dispatch starts the dispatch of a command and does not wait for its end. After an error, the
	// command is redriven a minute later.
	Dispatch func(context.Context, command.Ref) error
	// Frozen says that the process stops between answers, as functions do. Notes for health are
	// then written before the answer.
	Frozen bool
	Now    func() time.Time // default time.Now
}

// A Handler serves the callbacks of chat platforms, at …/webhook/<account>/<region>/<name>/<token>.
//
// A callback is verified before it is used. The handler finds the configuration and compares the
// token. The platform's receiver checks signature, freshness, ciphertext and receive id. If a check
// fails, the answer is always the same 401; the reason is in the log, and in the health of the
// configuration. A verified message is decided and recorded in one write, which also detects
// duplicates. Then it is dispatched and answered.
type Handler struct {
	service   *chat.Service
	journal   *journal.Journal
	receivers receivers
	dispatch  func(context.Context, command.Ref) error
	frozen    bool
	now       func() time.Time
}

var _ http.Handler = (*Handler)(nil)

// NewHandler returns a handler. It does no input or output.
func NewHandler(o Options) (*Handler, error) {
	if o.Service == nil || o.Journal == nil || len(o.Receivers) == 0 || o.Dispatch == nil {
		return nil, errors.New("webhook: a handler needs a Service, a Journal, Receivers and Dispatch")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Handler{
		service:   o.Service,
		journal:   o.Journal,
		receivers: receivers{make: o.Receivers},
		dispatch:  o.Dispatch,
		frozen:    o.Frozen,
		now:       o.Now,
	}, nil
}

// Answers that do not come from a receiver. They are the same for every client.
var (
	unauthorized = &callback.Response{Status: http.StatusUnauthorized, ContentType: plainText,
		Body: []byte("unauthorized\n")}
	unavailable = &callback.Response{Status: http.StatusServiceUnavailable,
		ContentType: plainText, Body: []byte("unavailable\n")}
	internalError = &callback.Response{Status: http.StatusInternalServerError, ContentType: plainText,
		Body: []byte("internal error\n")}
)

const plainText = "text/plain; charset=utf-8"

// ServeHTTP answers one callback. It logs one line, without token, query and body.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &entry{started: h.now()}
	// If the platform closes the connection, it delivers again. The work is completed anyway, so
	// that the second delivery is a duplicate.
	ctx := context.WithoutCancel(r.Context())
	out := c.guarded(func() *callback.Response { return h.serve(ctx, r, c) })
	c.status = out.Status
	if err := write(w, out); err != nil && c.err == nil {
		c.err = fmt.Errorf("webhook: write the answer: %w", err)
	}
	c.log(ctx, h.now())
}

// guarded calls do, and answers after a panic. The platform delivers again, and the log has the
// stack.
func (c *entry) guarded(do func() *callback.Response) (out *callback.Response) {
	var panicked error
	defer func() {
		if panicked != nil {
			out = c.fail(panicked, internalError)
		}
	}()
	defer invoke.Recover("webhook", &panicked)
	return do()
}

// serve handles a callback. Timeout starts after the body is read, so a slow client leaves the
// tables no less time. The server limits the time for the body.
func (h *Handler) serve(ctx context.Context, r *http.Request, c *entry) *callback.Response {
	in, flaw := read(r, h.now)
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	ref, token, ok := parsePath(r.URL.Path)
	if ok {
		c.ref = ref
	}
	e, err := h.service.OpenWebhook(ctx, ref.Account, ref.Region, ref.Name, token)
	var unproven *chat.Unproven
	switch {
	case errors.As(err, &unproven):
		if unproven.Of != (command.Ref{}) {
			n := journal.Note{Counter: journal.CountRefused, Step: journal.StepToken,
				Reason: "the token in the URL is wrong"}
			h.note(ctx, unproven.Of, n)
		}
		return c.refuse(callback.StepFind, unproven.Reason)
	case err != nil:
		return c.fail(err, unavailable)
	}
	c.platform = e.Type
	if flaw != nil {
		return h.refuse(ctx, e, c, flaw)
	}
	receiver, err := h.receivers.of(e)
	if err != nil {
		return h.refuse(ctx, e, c, err)
	}
	received, err := receiver.Receive(in)
	if proof := in.Header.Get(chat.SentHeader); err == nil && received.Message != nil && proof != "" {
		c.sent = h.service.IsSent(e, proof, in.Digest())
	}
	return h.handle(ctx, e, receiver, received, err, c)
}

// Arrive handles a delivery that came over a connection that chatconf opened. The connection proves
// it; it is decided, recorded and dispatched as a callback is. ref names the configuration, which
// must still be of the life for which the connection was opened. If the delivery could not be read,
// refused says why; else received is not nil.
//
// The answer has the status 200 if the delivery is done, 401 if it was refused, and another status
// if it failed and must be delivered again.
func (h *Handler) Arrive(ctx context.Context, ref command.Ref, a callback.Answerer, received *callback.Received,
	refused error) *callback.Response {
	c := &entry{started: h.now(), ref: ref, stream: true}
	ctx = invoke.With(context.WithoutCancel(ctx), &invoke.Invocation{Logger: invoke.Logger(ctx),
		RequestID: invoke.NewRequestID()})
	out := c.guarded(func() *callback.Response { return h.arrive(ctx, a, received, refused, c) })
	c.status = out.Status
	c.log(ctx, h.now())
	return out
}

// arrive is Arrive without its line in the log.
func (h *Handler) arrive(ctx context.Context, a callback.Answerer, received *callback.Received, refused error,
	c *entry) *callback.Response {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	e, err := h.service.OpenConfiguration(ctx, c.ref)
	switch {
	case fault.CodeOf(err) == fault.NotFound, err == nil && e.Life != c.ref.Life:
		return c.refuse(callback.StepFind, "the configuration of this connection was deleted")
	case err != nil:
		return c.fail(err, unavailable)
	}
	c.platform = e.Type
	return h.handle(ctx, e, a, received, refused, c)
}

// handle handles what was received for a configuration. err is the reason if it was refused.
func (h *Handler) handle(ctx context.Context, e *command.Endpoint, receiver callback.Answerer,
	received *callback.Received, err error, c *entry) *callback.Response {
	switch {
	case err != nil:
		return h.refuse(ctx, e, c, err)
	case received.Handshake != nil:
		c.outcome = outcomeHandshake
		h.note(ctx, e.Ref(), journal.Note{Counter: journal.CountHandshakes})
		return received.Handshake
	case received.Unproven:
		c.outcome, c.kind = outcomeIgnored, received.Kind
		return c.acknowledge(receiver, received)
	case received.Message == nil:
		// Guard it like a message: its signature may be valid for another body, too.
		if err := h.journal.Guard(ctx, e, received.Guards); err != nil {
			return c.fail(err, unavailable)
		}
		c.outcome, c.kind = outcomeIgnored, received.Kind
		h.note(ctx, e.Ref(), journal.Note{Counter: journal.CountIgnored, Kind: received.Kind})
		h.mention(ctx, e, received)
		return c.acknowledge(receiver, received)
	}
	if c.sent {
		received.Message.ReplyTo = received.Message.ReplyTo.Kept()
	}
	return h.command(ctx, e, receiver, received, c)
}

// command decides a message, records it, dispatches it and returns the answer. The answer is made
// before the record, since nothing may fail after it.
func (h *Handler) command(ctx context.Context, e *command.Endpoint, receiver callback.Answerer,
	received *callback.Received,
	c *entry) *callback.Response {
	m := received.Message
	said, _ := e.Command(m) // text that is not a command is decided and recorded, too
	decision := e.Decide(said)
	c.command, c.allowed = said, decision.Allowed
	text, cancels := e.Reply(said, decision), ""
	if decision.Cause == command.CauseBuiltIn && command.IsOperation(said.Name) {
		var err error
		if text, cancels, err = h.operate(ctx, e, said); err != nil {
			return c.fail(err, unavailable)
		}
	}
	out, err := receiver.Answer(received, text)
	if err != nil {
		return c.fail(err, internalError)
	}
	a := journal.Arrival{
		Command:  said,
		Decision: decision,
		Cancels:  cancels,
		Guards:   received.Guards,
		Received: c.started,
		Answered: out.Carries,
		Pending:  pending(e, m, said, decision, text, out.Carries),
	}
	id, verdict, err := h.journal.Record(ctx, e, a)
	c.id = id.ID
	switch {
	case err != nil:
		return c.fail(err, unavailable)
	case verdict == journal.Replayed:
		return h.refuse(ctx, e, c, callback.Refuse(callback.StepReplay,
			"the same signature came with another message before; "+
				"it does not cover the message, so this message may be forged"))
	case verdict == journal.Duplicate:
		c.outcome = outcomeDuplicate
		h.note(ctx, e.Ref(), journal.Note{Counter: journal.CountDuplicates})
		return c.acknowledge(receiver, received)
	}
	c.outcome = outcomeRecorded
	h.mention(ctx, e, received)
	var due []command.Ref
	if a.Pending != nil {
		due = append(due, id)
	}
	if id.ID = cancels; cancels != "" {
		due = append(due, id)
	}
	h.startDispatch(ctx, c, due...)
	return out
}

// pending returns the work after a command is recorded: to dispatch it, or to send an answer that
// the response cannot carry; nil if none.
func pending(e *command.Endpoint, m *command.Message, c command.Command, d command.Decision,
	text string, carried bool) *journal.Pending {
	switch {
	case d.Allowed && d.Cause != command.CauseBuiltIn && e.TargetOf(c).Type != command.TargetJournal:
		return &journal.Pending{ReplyTo: m.ReplyTo}
	case !carried && m.ReplyTo.Kind != "" && text != "":
		return &journal.Pending{ReplyTo: m.ReplyTo, Answer: text}
	}
	return nil
}

// startDispatch calls Dispatch for what is due, within DispatchTime together. After an error the
// platform gets the same answer: the command is recorded, and due in a minute.
func (h *Handler) startDispatch(ctx context.Context, c *entry, due ...command.Ref) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), DispatchTime)
	defer cancel()
	for _, ref := range due {
		if err := h.dispatch(ctx, ref); err != nil {
			c.late = err
		}
	}
}

// mention notes that a message mentions another name than BotName.
func (h *Handler) mention(ctx context.Context, e *command.Endpoint, received *callback.Received) {
	if received.Mention != "" {
		h.note(ctx, e.Ref(), journal.Note{Mention: received.Mention})
	}
}

// note adds a note to the health of a configuration.
func (h *Handler) note(ctx context.Context, ref command.Ref, n journal.Note) {
	if !h.frozen {
		h.journal.NoteLater(ctx, ref, n)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	if err := h.journal.Note(ctx, ref, n); err != nil {
		// The next write includes this note.
		invoke.Logger(ctx).WarnContext(ctx, "the health of a webhook was not written", "name", ref.Name, "error", err)
	}
}

// refuse returns the answer to a callback with a valid URL that is not genuine. It is always the
// same.
func (h *Handler) refuse(ctx context.Context, e *command.Endpoint, c *entry, err error) *callback.Response {
	var why *callback.Refusal
	if !errors.As(err, &why) {
		why = &callback.Refusal{Step: callback.StepConfiguration, Reason: err.Error()}
	}
	h.note(ctx, e.Ref(), journal.Note{Counter: journal.CountRefused, Step: string(why.Step), Reason: why.Reason})
	return c.refuse(why.Step, why.Reason)
}

// An entry is the log line of one callback.
type entry struct {
	started  time.Time
	ref      command.Ref // as in the URL; the configuration may not exist
	platform string
	stream   bool // it came over a connection that chatconf opened
	status   int
	outcome  string
	kind     string // of an ignored callback
	step     callback.Step
	reason   string
	id       string // of the record
	command  command.Command
	allowed  bool
	sent     bool  // SendChatMessage made it
	late     error // of Dispatch
	err      error
}

// The outcomes in the log.
const (
	outcomeRefused   = "refused"
	outcomeHandshake = "handshake"
	outcomeIgnored   = "ignored"
	outcomeDuplicate = "duplicate"
	outcomeRecorded  = "recorded"
	outcomeFailed    = "failed"
)

func (c *entry) refuse(step callback.Step, reason string) *callback.Response {
	c.outcome, c.step, c.reason = outcomeRefused, step, reason
	return unauthorized
}

func (c *entry) fail(err error, out *callback.Response) *callback.Response {
	c.outcome, c.err = outcomeFailed, err
	return out
}

// acknowledge returns the answer to a callback that needs no other.
func (c *entry) acknowledge(receiver callback.Answerer, received *callback.Received) *callback.Response {
	out, err := receiver.Answer(received, "")
	if err != nil {
		return c.fail(err, internalError)
	}
	return out
}

// maxLogged is the maximum length of a client's text in the log, in bytes.
const maxLogged = 256

// log writes the log line of the callback.
func (c *entry) log(ctx context.Context, now time.Time) {
	level := slog.LevelInfo
	switch {
	case c.err != nil:
		level = slog.LevelError
	case c.outcome == outcomeRefused || c.late != nil:
		level = slog.LevelWarn
	}
	logger := invoke.Logger(ctx)
	if !logger.Enabled(ctx, level) {
		return
	}
	inv := invoke.From(ctx)
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("account", cut(c.ref.Account)),
		slog.String("region", cut(c.ref.Region)),
		slog.String("name", cut(c.ref.Name)),
		slog.String("platform", c.platform),
		slog.Int("status", c.status),
		slog.String("outcome", c.outcome))
	if c.outcome == outcomeRefused {
		attrs = append(attrs, slog.String("step", string(c.step)), slog.String("reason", cut(c.reason)))
	}
	if c.stream {
		attrs = append(attrs, slog.String("receive", command.ReceiveStream))
	}
	if c.kind != "" {
		attrs = append(attrs, slog.String("kind", cut(c.kind)))
	}
	if c.command.MessageID != "" {
		attrs = append(attrs,
			slog.String("command_id", c.id),
			slog.String("command", cut(c.command.Shown())),
			slog.String("user", cut(c.command.User)),
			slog.String("conversation", cut(c.command.Conversation)),
			slog.Bool("allowed", c.allowed))
	}
	if c.sent {
		attrs = append(attrs, slog.String("made_by", "SendChatMessage"))
	}
	attrs = append(attrs,
		slog.Float64("duration_ms", float64(now.Sub(c.started).Microseconds())/1000),
		slog.String("request_id", inv.RequestID),
		slog.String("source_ip", inv.SourceIP))
	if c.late != nil {
		attrs = append(attrs, slog.String("not_dispatched", c.late.Error()))
	}
	if c.err != nil {
		attrs = append(attrs, slog.Any("error", c.err))
	}
	if c.outcome == outcomeRefused {
		key := "callback " + string(c.step)
		if c.platform != "" { // the configuration exists; otherwise its name may be any text
			key += fmt.Sprintf(" %q", c.ref)
		}
		ctx = invoke.Repeatable(ctx, key)
	}
	logger.LogAttrs(ctx, level, "callback", attrs...)
}

func cut(s string) string { return s[:min(len(s), maxLogged)] }

func write(w http.ResponseWriter, out *callback.Response) error {
	header := w.Header()
	if out.ContentType != "" {
		header.Set("Content-Type", out.ContentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(out.Body)))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(out.Status)
	_, err := w.Write(out.Body)
	return err
}
