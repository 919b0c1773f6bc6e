// Package rpc serves Alibaba Cloud's RPC protocol: signed requests, parameters in, JSON or XML out,
// errors in an envelope.
//
// One URL serves both dialects. In ACS3, action and version are headers; in V1, everything is a
// parameter. Parameters come from the query, a form or a JSON object; lists are flattened or JSON.
// Official clients put secrets into the query, so no log line and no error contains a raw query or
// body.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/table"
)

// Limits of a request.
const (
	// Version is the version of the API.
	Version = "2019-06-01"
	// MaxBody is the size of a request's body, in bytes.
	MaxBody = 256 << 10
	// MaxParams is the number of parameters of a request, in query, form and JSON together. The
	// largest useful request has a few hundred: flattened tags.
	MaxParams = 1000
	// MaxHead is the size of a request's URL and headers together, in bytes.
	MaxHead = 32 << 10
)

// Options are the parts of a Handler.
type Options struct {
	Service *chat.Service
	Keys    *accesskey.Store
	Tickets table.Table      // the used nonces of changing requests; its time to live is NonceAge or longer
	Hosts   []string         // host names accepted in signatures, with the request's own
	Rate    float64          // requests per second and access key; 0 is no limit
	Now     func() time.Time // default time.Now
}

// A Handler serves actions at the path "/".
type Handler struct {
	actions map[string]Action
	service *chat.Service
	keys    *accesskey.Store
	tickets table.Table
	hosts   []string
	now     func() time.Time
	closed  error // if set, the answer to every request

	seen     nonces
	throttle throttle
}

var _ http.Handler = (*Handler)(nil)

// NewHandler returns a handler that serves the given actions and no others.
func NewHandler(o Options, actions ...Action) (*Handler, error) {
	if o.Service == nil || o.Keys == nil || o.Tickets == nil || len(actions) == 0 {
		return nil, errors.New("rpc: a handler needs a service, access keys, a ticket table and at least one action")
	}
	h := &Handler{
		actions:  make(map[string]Action, len(actions)),
		service:  o.Service,
		keys:     o.Keys,
		tickets:  o.Tickets,
		hosts:    o.Hosts,
		now:      o.Now,
		throttle: throttle{rate: o.Rate},
	}
	if h.now == nil {
		h.now = time.Now
	}
	for _, a := range actions {
		h.actions[a.Name] = a
	}
	return h, nil
}

// A call is one request or event while the handler serves it.
type call struct {
	action    Action
	signature *sign.Signature
	params    params
	as        format
	caller    *chat.Caller
	ticket    *ticket
	event     *Event // nil: a request
	cut       bool   // the answer ends in the middle
}

// ServeHTTP answers one request. It logs one line, without the query and the body.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := h.now()
	ctx, inv := identified(r.Context())
	if h.closed == nil && (isHealthCheck(r) || isUnsigned(r)) {
		w.Header().Set("X-Acs-Request-Id", inv.RequestID)
		h.hint(w, r)
		return
	}
	var c call
	status, code, err := h.answer(ctx, w, r, &c)
	h.log(ctx, &c, status, code, started, err)
	if c.cut {
		panic(http.ErrAbortHandler) // so that the client sees no end
	}
}

// answer serves a request and writes the answer. Its results are for the log.
func (h *Handler) answer(ctx context.Context, w http.ResponseWriter, r *http.Request,
	c *call) (status int, code string, err error) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	b.Reset()
	requestID := invoke.From(ctx).RequestID
	headers := newHeaders(w)
	headers.set("X-Acs-Request-Id", requestID)
	status = http.StatusOK
	var body []byte
	out, err := guarded(func() (any, error) { return h.serve(ctx, r, c) })
	if answer, ok := out.(streamed); ok && err == nil {
		if c.cut, err = stream(ctx, w, headers, answer); err == nil || c.cut {
			c.cut = err != nil
			return status, code, err
		}
	} else if err == nil {
		body, err = encodeAnswer(b, c.action.Name, c.as, requestID, out)
	}
	if err == nil {
		headers.setAnswer(out)
	} else {
		f := faultOf(err)
		status, code = f.status, f.code
		headers.setFault(f)
		body, err = encodeFault(b, r.Host, c.as, requestID, f)
		err = errors.Join(f.err, err)
	}
	return status, code, errors.Join(err, write(w, headers, status, c.as, body))
}

func (h *Handler) log(ctx context.Context, c *call, status int, code string, started time.Time, err error) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError || err != nil {
		level = slog.LevelError
	}
	logger := invoke.Logger(ctx)
	if !logger.Enabled(ctx, level) {
		return
	}
	inv := invoke.From(ctx)
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("action", c.action.Name),
		slog.String("caller", c.callerID()),
		slog.Int("status", status),
		slog.String("code", code),
		slog.Float64("duration_ms", float64(h.now().Sub(started).Microseconds())/1000),
		slog.String("request_id", inv.RequestID),
		slog.String("source_ip", inv.SourceIP))
	if c.event != nil {
		attrs = append(attrs, slog.String("source", c.event.Source),
			slog.String("message_id", c.event.ID[:min(len(c.event.ID), maxLogged)]))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if key, ok := c.repeats(status, code); ok {
		ctx = invoke.Repeatable(ctx, key)
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}

// repeats returns a key that log lines of the same meaning share. It reports whether there may be
// very many such lines: refusals of unauthenticated clients and of throttled callers.
func (c *call) repeats(status int, code string) (key string, ok bool) {
	switch {
	case c.event != nil:
		return "", false
	case status == http.StatusTooManyRequests:
		return "throttled " + c.callerID(), true
	case c.caller == nil && status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		code, _, _ = strings.Cut(code, ".") // a parameter's name may follow, which the client chooses
		return fmt.Sprintf("refused %d %s", status, code), true
	}
	return "", false
}

// callerID returns the authenticated caller of a request, or the caller of an event.
func (c *call) callerID() string {
	switch {
	case c.caller == nil:
		return ""
	case c.event != nil:
		return c.caller.Name
	}
	return c.caller.AccessKeyID
}

func isHealthCheck(r *http.Request) bool {
	return r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// isUnsigned reports whether r is a plain GET or HEAD of the service's URL without a signature,
// such as from a browser.
func isUnsigned(r *http.Request) bool {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	return read && r.URL.Path == "/" && r.URL.RawQuery == "" && r.ContentLength == 0 &&
		r.Header.Get("Authorization") == ""
}

// hint answers health checks and unsigned requests.
func (h *Handler) hint(w http.ResponseWriter, r *http.Request) {
	text := "ok\n"
	if r.URL.Path == "/" {
		text = "chatconf: the chat-configuration API of OOS, version " + Version +
			". Requests are signed; send them with an Alibaba Cloud SDK or the aliyun CLI.\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(w, text)
}

// guarded calls serve and returns a panic as an error: the caller gets an answer, and the log the
// stack.
func guarded(serve func() (any, error)) (out any, err error) {
	defer invoke.Recover("rpc", &err)
	return serve()
}

// serve reads, authenticates and executes one request. It fills in c as far as it gets.
func (h *Handler) serve(ctx context.Context, r *http.Request, c *call) (any, error) {
	c.as = likelyFormat(r.URL.RawQuery)
	if h.closed != nil {
		return nil, h.closed
	}
	if r.URL.Path != "/" && r.URL.Path != "" {
		return nil, errNoAction
	}
	if headSize(r) > MaxHead {
		return nil, errHeadTooLarge
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	var isJSON bool
	if c.params, isJSON, err = readParams(r, body); err != nil {
		return nil, err
	}
	if c.as, err = readFormat(c.params); err != nil {
		return nil, err
	}
	if c.signature, err = sign.Parse(r, c.params.values(), body); err != nil {
		return nil, err
	}
	if c.signature.Version != Version {
		return nil, errVersion
	}
	action, ok := h.actions[c.signature.Action]
	if !ok {
		return nil, errNoAction
	}
	c.action = action
	if r.Method != http.MethodPost && !(r.Method == http.MethodGet && action.TakesGet()) {
		return nil, errMethod
	}
	if err := h.authenticate(ctx, c); err != nil {
		return nil, err
	}
	if isJSON {
		more, err := parseJSON(string(body), MaxParams-len(c.params))
		if err == nil {
			err = c.params.merge(more)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := c.params.checkOwnToken(); err != nil {
		return nil, err
	}
	if err := readIfMatch(r, action, c.params); err != nil {
		return nil, err
	}
	return h.do(ctx, c)
}

// authenticate verifies the caller, and that this process has not seen the request before.
func (h *Handler) authenticate(ctx context.Context, c *call) error {
	s := c.signature
	if s.SecurityToken != "" {
		return errSecurityToken
	}
	key, err := h.keys.Find(ctx, s.AccessKeyID)
	if err != nil {
		return err
	}
	if err := s.Verify(key.Secret.Reveal(), h.hosts...); err != nil {
		return signatureFault(err, c.action.plan.plain)
	}
	now := h.now()
	if err := s.CheckTime(now); err != nil {
		return err
	}
	if !key.Active {
		return errKeyInactive
	}
	if key.Expired(now) {
		return errKeyExpired
	}
	c.caller = &chat.Caller{Account: key.Account, AccessKeyID: key.ID, Name: key.Name, Policies: key.Policies}
	if !h.seen.use(now, key.ID, s.Nonce) {
		return errNonceUsed
	}
	if seconds, ok := h.throttle.take(now, key.ID); !ok {
		return &wireError{
			status:  http.StatusTooManyRequests,
			code:    "Throttling.User",
			message: "Request was denied due to user flow control.",
			retry:   &retryAfter{limit: int(math.Ceil(h.throttle.rate)), seconds: seconds},
		}
	}
	h.keys.NoteUse(ctx, key.ID)
	return nil
}

// do executes the action. A changing action also writes its nonce durably, while the domain does
// its first read; the domain waits for that write before its first change. The answer to a replay
// is always SignatureNonceUsed.
func (h *Handler) do(ctx context.Context, c *call) (any, error) {
	if c.action.ReadOnly() {
		return c.action.do(chat.WithCaller(ctx, c.caller), h.service, c.params)
	}
	c.ticket = startTicket(ctx, h.tickets, c.caller.AccessKeyID, c.signature.Nonce)
	c.caller.Confirm = c.ticket.wait
	out, err := c.action.do(chat.WithCaller(ctx, c.caller), h.service, c.params)
	if refused := c.ticket.wait(ctx); refused != nil {
		return nil, refused
	}
	return out, err
}

func headSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value) + len(": \r\n")
		}
	}
	return n
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > MaxBody {
		return nil, errBodyTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case len(body) > MaxBody:
		return nil, errBodyTooLarge
	case err != nil:
		broken := *errBodyBroken
		broken.err = err
		return nil, &broken
	}
	return body, nil
}

// likelyFormat returns the format of errors that are found before the parameters are read.
func likelyFormat(query string) format {
	if pairs(query) > MaxParams {
		return asJSON
	}
	for pair := range strings.SplitSeq(query, "&") {
		if strings.EqualFold(pair, "Format=XML") {
			return asXML
		}
	}
	return asJSON
}

func readFormat(p params) (format, error) {
	text, _ := p.get("Format")
	switch {
	case text == "" || strings.EqualFold(text, "JSON"):
		return asJSON, nil
	case strings.EqualFold(text, "XML"):
		return asXML, nil
	}
	return asJSON, errFormat
}

// readIfMatch reads the header If-Match as the parameter for the expected revision: "3", or 3,
// which is easier to write with the CLI. An asterisk changes nothing. An action without such a
// parameter refuses the header: ignored, it would protect nothing.
func readIfMatch(r *http.Request, action Action, p params) error {
	values := r.Header.Values("If-Match")
	if len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "*" {
		return nil
	}
	param := action.expected()
	if param == "" {
		return invalidParam("If-Match", "this action has no revision; leave the header out.")
	}
	text := strings.TrimSpace(values[0])
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	if _, err := strconv.ParseInt(text, 10, 64); err != nil || len(values) > 1 {
		return invalidParam("If-Match", `use one revision, as the header ETag of an answer has it, such as "3".`)
	}
	if given, _ := p.get(param); given != "" && given != text {
		return invalidParam(param, "it differs from the header If-Match; give one of the two.")
	}
	p[param] = []string{text}
	return nil
}
