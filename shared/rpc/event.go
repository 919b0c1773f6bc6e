package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// maxLogged is how many bytes of a message's id the log shows.
const maxLogged = 128

// An Event asks for one action, without signature, nonce and headers. The code that passes it in
// has authenticated its caller.
type Event struct {
	Source string // for the log
	ID     string // of the message, the same when it is delivered again; may be empty
	Data   []byte // a JSON object: the action's parameters, and optionally Action and Version
}

// ServeEvent executes the action of an event in the name of a caller. It returns the answer as over
// HTTP, always in JSON: that of the action, or the envelope of an error. It logs one line, without
// the parameters.
//
// The member Action selects the action, if the handler has several. The message's id is the default
// of the parameter ClientToken, so a duplicate gets the answer to the first delivery. Tags and
// resource groups have no ClientToken; a duplicate sets them to the same value again.
//
// The error is not nil if the event may succeed when it is delivered again; see retryable.
func (h *Handler) ServeEvent(ctx context.Context, caller chat.Caller, e Event) (answer []byte, err error) {
	started := h.now()
	ctx, inv := identified(ctx)
	c := call{caller: &caller, event: &e}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	b.Reset()
	out, err := guarded(func() (any, error) { return h.serveEvent(ctx, &c) })
	var body []byte
	if err == nil {
		body, err = encodeAnswer(b, c.action.Name, asJSON, inv.RequestID, out)
	}
	if err == nil {
		h.log(ctx, &c, http.StatusOK, "", started, nil)
		return append([]byte(nil), body...), nil
	}
	f := faultOf(err)
	body, broken := encodeFault(b, "", asJSON, inv.RequestID, f)
	h.log(ctx, &c, f.status, f.code, started, errors.Join(f.err, broken))
	answer = append([]byte(nil), body...)
	if retryable(err) {
		return answer, fmt.Errorf("%s: %s (request %s)", f.code, f.message, inv.RequestID)
	}
	return answer, nil
}

// retryable reports whether the same event may succeed when it is delivered again. That is so for
// errors of the service, and for a change that lost against other changes. All other errors, an
// outdated revision included, would be the same again.
func retryable(err error) bool {
	var e *fault.Error
	if errors.As(err, &e) && e.Code == fault.Conflict {
		return e.Param != "Revision"
	}
	return faultOf(err).status >= http.StatusInternalServerError
}

// serveEvent reads and executes one event. It fills in c as far as it gets.
func (h *Handler) serveEvent(ctx context.Context, c *call) (any, error) {
	if h.closed != nil {
		return nil, h.closed
	}
	if len(c.event.Data) > MaxBody {
		return nil, errBodyTooLarge
	}
	members, err := parseJSON(string(c.event.Data), MaxParams)
	if err != nil {
		return nil, err
	}
	c.params = make(params, len(members))
	if err := c.params.merge(members); err != nil {
		return nil, err
	}
	if c.action, err = h.actionOf(c.params); err != nil {
		return nil, err
	}
	if version, ok := c.params.get("Version"); ok && version != Version {
		return nil, errVersion
	}
	if err := c.params.checkOwnToken(); err != nil {
		return nil, err
	}
	if token, _ := c.params.get("ClientToken"); token == "" && c.event.ID != "" && c.action.plan.has("ClientToken") {
		c.params["ClientToken"] = []string{clientToken(c.action.Name, c.event.ID)}
	}
	return c.action.do(chat.WithCaller(ctx, c.caller), h.service, c.params)
}

func (h *Handler) actionOf(p params) (Action, error) {
	name, ok := p.get("Action")
	if !ok && len(h.actions) == 1 {
		for _, only := range h.actions {
			return only, nil
		}
	}
	if name == "" {
		return Action{}, &fault.Error{Code: fault.MissingParameter, Param: "Action",
			Message: "Parameter Action is missing; set it to the name of an action."}
	}
	action, ok := h.actions[name]
	if !ok {
		return Action{}, errNoAction
	}
	return action, nil
}

// eventToken is the prefix of the ClientTokens that clientToken makes, and of no others.
const eventToken = "event:"

// clientToken returns the ClientToken of an event that has none. It differs between actions, since
// one event may reach several functions.
func clientToken(action, id string) string {
	sum := sha256.Sum256([]byte(action + "\x00" + id))
	return eventToken + base64.RawURLEncoding.EncodeToString(sum[:])
}

// checkOwnToken refuses a ClientToken with the prefix of events. Ids such as those of timers can be
// known beforehand; with the token of an event, a caller could make that event fail.
func (p params) checkOwnToken() error {
	if token, _ := p.get("ClientToken"); strings.HasPrefix(token, eventToken) {
		return invalidParam("ClientToken", "the prefix %s is reserved for events; use another token.", eventToken)
	}
	return nil
}

// NewClosed returns a handler for a service that could not start. It answers every request and
// event with ServiceUnavailable, and logs why. If the store lacks an operation, the answer is
// UnsupportedStore, which clients do not retry.
func NewClosed(why error) *Handler {
	code := fault.Unavailable
	if errors.Is(why, table.ErrUnsupported) {
		code = fault.Unsupported
	}
	return &Handler{closed: &fault.Error{Code: code, Err: why}, now: time.Now}
}

// identified returns a context whose invocation has a request id, and that invocation.
func identified(ctx context.Context) (context.Context, *invoke.Invocation) {
	inv := invoke.From(ctx)
	if inv.RequestID != "" {
		return ctx, inv
	}
	known := *inv
	known.RequestID = invoke.NewRequestID()
	return invoke.With(ctx, &known), &known
}
