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

// maxLogged is how much of a message's id the log shows, in bytes.
const maxLogged = 128

// An Event asks for one action without a request: no signature, no nonce, no headers. Whoever hands
// it over has proven its caller.
type Event struct {
	Door string // where it came from, for the log
	ID   string // the message's own id, the same when it is delivered again; empty if it has none
	Data []byte // a JSON object of the action's parameters, and perhaps Action and Version
}

// ServeEvent does what an event asks for, in the caller's name, and returns the answer as it would
// be over HTTP: the action's own, or the envelope of an error; always in JSON. It logs one line,
// without the parameters.
//
// A handler of one action does that one; of several, the member Action says which. A message's id
// stands for the ClientToken of an event that has none, where the action takes one, so that another
// delivery is given the first one's answer; tags and resource groups, which take none, are set to
// the same once more.
//
// The error says that the same event may succeed when it is delivered again; its text is what the
// answer says. See passing.
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
	if passing(err) {
		return answer, fmt.Errorf("%s: %s (request %s)", f.code, f.message, inv.RequestID)
	}
	return answer, nil
}

// passing reports whether the same event may succeed when it is delivered again. That is so for
// what went wrong on our side (a store that does not answer, and whatever is not known better), and
// for a change that lost against others all the time. Everything else is the event's own fault and
// would be answered the same for ever; a revision that is no longer the present one, too.
func passing(err error) bool {
	var e *fault.Error
	if errors.As(err, &e) && e.Code == fault.Conflict {
		return e.Param != "Revision"
	}
	return faultOf(err).status >= http.StatusInternalServerError
}

// serveEvent reads and does one event. It fills in c as far as it gets.
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

// actionOf returns the action that an event names. It need not where there is but one.
func (h *Handler) actionOf(p params) (Action, error) {
	name, ok := p.get("Action")
	if !ok && len(h.actions) == 1 {
		for _, only := range h.actions {
			return only, nil
		}
	}
	if name == "" {
		return Action{}, &fault.Error{Code: fault.MissingParameter, Param: "Action",
			Message: "Parameter Action is missing; it names what is to be done."}
	}
	action, ok := h.actions[name]
	if !ok {
		return Action{}, errNoAction
	}
	return action, nil
}

// eventToken begins the ClientToken of an event that has none, and no other.
const eventToken = "event:"

// clientToken returns what stands for an event that has no ClientToken: another one for each
// action, since one event may be handed to several functions.
func clientToken(action, id string) string {
	sum := sha256.Sum256([]byte(action + "\x00" + id))
	return eventToken + base64.RawURLEncoding.EncodeToString(sum[:])
}

// checkOwnToken returns an error if somebody gives a ClientToken that stands for an event. Ids can
// be known beforehand, such as those of timers: whoever may change anything at all could have the
// event refused by using its token first.
func (p params) checkOwnToken() error {
	if token, _ := p.get("ClientToken"); strings.HasPrefix(token, eventToken) {
		return invalidParam("ClientToken", "what begins with %s stands for an event; wanted another one.", eventToken)
	}
	return nil
}

// NewClosed returns a handler for when there is nothing to serve with: it answers every request and
// event with ServiceUnavailable, or finally where the store cannot do what the service relies on,
// which is worth another try, and logs why.
func NewClosed(why error) *Handler {
	code := fault.Unavailable
	if errors.Is(why, table.ErrUnsupported) {
		code = fault.Unsupported
	}
	return &Handler{closed: &fault.Error{Code: code, Err: why}, now: time.Now}
}

// identified returns ctx with an invocation that has a request id, and that invocation.
func identified(ctx context.Context) (context.Context, *invoke.Invocation) {
	inv := invoke.From(ctx)
	if inv.RequestID != "" {
		return ctx, inv
	}
	known := *inv
	known.RequestID = invoke.NewRequestID()
	return invoke.With(ctx, &known), &known
}
