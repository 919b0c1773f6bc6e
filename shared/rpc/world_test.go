package rpc_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// planted is in every secret of these tests. Whatever answer or log line holds it has told a
// secret.
const planted = "PLANTED"

const (
	account       = "1000000000000000"
	configuration = `{"DingTalkClientId":"dingtest","DingTalkClientSecret":"` + planted + `-client"}`
	ringText      = `{"keys":[{"id":"test","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}`
)

// admin may do everything, reader may only read; off is disabled.
var (
	admin  = sign.Key{ID: "CCKadmin", Secret: planted + "-admin-secret"}
	reader = sign.Key{ID: "CCKreader", Secret: planted + "-reader-secret"}
	off    = sign.Key{ID: "CCKoff", Secret: planted + "-off-secret"}
)

// A world is a handler on a real file, with its clock and its log under the test's hand.
type world struct {
	testing.TB
	handler *rpc.Handler
	options rpc.Options
	table   table.Table
	keys    table.Table
	clock   *clock
	log     *logBook

	mu     sync.Mutex
	nonces int
}

// newWorld returns a world whose handler serves all actions of the API and the given ones; adjust
// may change its options.
func newWorld(tb testing.TB, adjust func(*rpc.Options), actions ...rpc.Action) *world {
	tb.Helper()
	w := &world{TB: tb, clock: &clock{now: time.Date(2026, 11, 22, 18, 46, 16, 0, time.UTC)}, log: new(logBook)}
	db, err := file.Open(filepath.Join(tb.TempDir(), "test.db"), file.Options{Now: w.clock.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	ring, err := seal.ParseRing([]byte(ringText))
	if err != nil {
		tb.Fatal(err)
	}
	w.table = db.Table("chatconf", file.TableOptions{})
	w.keys = db.Table("keys", file.TableOptions{})
	keys := accesskey.New(w.keys, db.Table("uses", file.TableOptions{}), ring, w.clock.Now)
	service, err := chat.New(w.table, ring, platform.All().Descriptions(),
		chat.Options{Now: w.clock.Now, Random: rand.NewChaCha8([32]byte{1}), Keys: keys})
	if err != nil {
		tb.Fatal(err)
	}
	w.options = rpc.Options{
		Service: service,
		Keys:    keys,
		Tickets: db.Table("tickets", file.TableOptions{TTL: rpc.NonceAge}),
		Now:     w.clock.Now,
	}
	if adjust != nil {
		adjust(&w.options)
	}
	w.addKey(admin, "administrator", policy.Owner())
	w.addKey(reader, "reader", policy.ReadOnly())
	w.addKey(off, "former administrator", policy.Administrator())
	inactive := false
	if _, err := w.options.Keys.Update(tb.Context(), "", off.ID, accesskey.Change{Active: &inactive}); err != nil {
		tb.Fatal(err)
	}
	w.handler = w.newHandler(actions...)
	return w
}

func (w *world) addKey(key sign.Key, name string, p *policy.Policy) {
	w.Helper()
	_, err := w.options.Keys.Create(w.Context(), accesskey.Key{
		ID: key.ID, Secret: secret.Text(key.Secret), Account: account, Name: name, Policies: []*policy.Policy{p},
	})
	if err != nil {
		w.Fatal(err)
	}
}

// newHandler returns another handler on the same tables: another process, as it were.
func (w *world) newHandler(actions ...rpc.Action) *rpc.Handler {
	w.Helper()
	h, err := rpc.NewHandler(w.options, append(rpc.Actions(), actions...)...)
	if err != nil {
		w.Fatal(err)
	}
	return h
}

// A clock stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A logBook keeps log lines.
type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

// of returns the lines of one request, which is among the last.
func (b *logBook) of(requestID string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, line := range b.lines[max(0, len(b.lines)-100):] {
		if strings.Contains(line, requestID) {
			out = append(out, line)
		}
	}
	return out
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "")
}

// A request is one call as a client makes it. The zero values are what is usual: ACS3, POST, the
// administrator, now, a new nonce.
type request struct {
	v1      bool
	method  string
	path    string
	action  string
	version string
	query   url.Values
	form    url.Values // the body, as a form
	json    string     // the body, as JSON
	chunked bool
	header  map[string]string // signed where the dialect signs it
	key     sign.Key
	nonce   string
	at      time.Time
	change  func(*http.Request) // after it was signed
}

// get, create and del are calls that succeed, once each.
func get(name string) request {
	return request{action: "GetChatConfiguration", query: url.Values{"Name": {name}}}
}

func create(name string) request {
	return request{action: "CreateChatConfiguration", form: url.Values{"Name": {name}, "Type": {"DingTalk"},
		"Configuration": {configuration}}}
}

func del(name string) request {
	return request{action: "DeleteChatConfiguration", form: url.Values{"Name": {name}}}
}

// nonce returns a new nonce.
func (w *world) nonce() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nonces++
	return fmt.Sprintf("nonce-%08d", w.nonces)
}

// build returns the request, signed.
func (w *world) build(r request) *http.Request {
	w.Helper()
	or := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	or(&r.method, http.MethodPost)
	or(&r.path, "/")
	or(&r.version, rpc.Version)
	or(&r.nonce, w.nonce())
	if r.key.ID == "" {
		r.key = admin
	}
	if r.at.IsZero() {
		r.at = w.clock.Now()
	}
	query, form := clone(r.query), clone(r.form)
	if r.v1 {
		all := clone(query)
		for name, values := range form {
			all[name] = values
		}
		all.Set("Action", r.action)
		all.Set("Version", r.version)
		all.Set("SignatureType", "")
		if err := r.key.SignV1(r.method, all, r.at, r.nonce); err != nil {
			w.Fatalf("SignV1: %v", err)
		}
		for name, values := range all {
			switch {
			case form.Has(name), query.Has(name):
			case r.form != nil:
				form[name] = values
			default:
				query[name] = values
			}
		}
	}
	kind, body := "", ""
	switch {
	case r.form != nil:
		kind, body = "application/x-www-form-urlencoded", form.Encode()
	case r.json != "":
		kind, body = "application/json", r.json
	}
	target := r.path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req := httptest.NewRequest(r.method, target, strings.NewReader(body))
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if r.chunked {
		req.Body = io.NopCloser(iotest.HalfReader(strings.NewReader(body)))
		req.ContentLength, req.TransferEncoding = -1, []string{"chunked"}
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if !r.v1 {
		req.Header.Set("X-Acs-Action", r.action)
		req.Header.Set("X-Acs-Version", r.version)
		if err := r.key.SignACS3(req, []byte(body), r.at, r.nonce); err != nil {
			w.Fatalf("SignACS3: %v", err)
		}
	}
	if r.change != nil {
		r.change(req)
	}
	return req
}

func clone(v url.Values) url.Values {
	out := make(url.Values, len(v))
	for name, values := range v {
		out[name] = values
	}
	return out
}

// An answer is what came back.
type answer struct {
	status    int
	header    http.Header
	body      string
	RequestId string
	HostId    string
	Code      string
	Message   string
	Recommend string
	log       string
}

// String returns what matters of it in a failed test.
func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// do makes a request and checks what holds for every answer.
func (w *world) do(r request) answer {
	w.Helper()
	return w.serve(w.handler, w.build(r))
}

func (w *world) serve(h http.Handler, req *http.Request) answer {
	w.Helper()
	return w.serveAs(h, req, invoke.NewRequestID())
}

func (w *world) serveAs(h http.Handler, req *http.Request, requestID string) answer {
	w.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req.WithContext(invoke.With(req.Context(), &invoke.Invocation{
		RequestID: requestID,
		SourceIP:  "192.0.2.1",
		Logger:    slog.New(slog.NewJSONHandler(w.log, nil)),
	})))
	a := answer{status: rec.Code, header: rec.Result().Header, body: rec.Body.String()}
	w.check(&a, requestID)
	return a
}

// check reads the envelope of a, and reports what must not be in any answer, and what is not in its
// log.
func (w *world) check(a *answer, requestID string) {
	w.Helper()
	var err error
	switch kind := a.header.Get("Content-Type"); kind {
	case "application/json;charset=utf-8":
		err = json.Unmarshal([]byte(a.body), a)
	case "text/xml;charset=utf-8":
		err = xml.Unmarshal([]byte(a.body), a)
	default:
		w.Errorf("Content-Type = %q\n%v", kind, a)
	}
	if err != nil {
		w.Errorf("the answer is not in its format: %v\n%v", err, a)
	}
	if got, want := a.header.Get("X-Acs-Request-Id"), requestID; got != want || a.RequestId != want {
		w.Errorf("request id in header = %q, in body = %q, want %q", got, a.RequestId, want)
	}
	if got, want := a.header.Get("Content-Length"), strconv.Itoa(len(a.body)); got != want {
		w.Errorf("Content-Length = %q, want %q", got, want)
	}
	if (a.status == http.StatusOK) != (a.Code == "") {
		w.Errorf("status and code do not agree: %v", a)
	}
	if strings.Contains(a.body, planted) || strings.Contains(fmt.Sprint(a.header), planted) {
		w.Errorf("the answer holds a secret: %v", a)
	}
	w.checkMessage(a)
	w.checkLog(a, requestID)
}

// checkMessage reports a message that names a code: clients look for codes in the whole text.
func (w *world) checkMessage(a *answer) {
	w.Helper()
	for _, code := range wireCodes {
		if strings.Contains(a.Message, strings.TrimSuffix(code, ".")) {
			w.Errorf("the message of %s holds the code %s: %q", a.Code, code, a.Message)
		}
	}
}

// checkLog reports when a request did not leave exactly one line that says what it must, and
// nothing of its parameters.
func (w *world) checkLog(a *answer, requestID string) {
	w.Helper()
	lines := w.log.of(requestID)
	if len(lines) != 1 {
		w.Fatalf("the request left %d log lines, want one:\n%s", len(lines), strings.Join(lines, ""))
	}
	a.log = lines[0]
	if strings.Contains(a.log, planted) {
		w.Errorf("the log holds a secret: %s", a.log)
	}
	var line map[string]any
	d := json.NewDecoder(strings.NewReader(a.log))
	if err := d.Decode(&line); err != nil {
		w.Fatalf("log line: %v\n%s", err, a.log)
	}
	if line["msg"] != "request" || line["status"] != float64(a.status) || line["code"] != a.Code ||
		line["request_id"] != requestID || line["source_ip"] != "192.0.2.1" {
		w.Errorf("the log does not say what was answered, %v:\n%s", a, a.log)
	}
	for _, name := range []string{"time", "level", "msg", "action", "caller", "status", "code", "duration_ms",
		"request_id", "source_ip", "error"} {
		if _, ok := line[name]; !ok && name != "error" {
			w.Errorf("the log line has no %s: %s", name, a.log)
		}
		delete(line, name)
	}
	if len(line) > 0 {
		w.Errorf("the log line has more than it should: %v", line)
	}
}

// want reports when a is not an error of the given status and code; code "" is success.
func (w *world) want(a answer, status int, code string) {
	w.Helper()
	if a.status != status || a.Code != code {
		w.Errorf("answer = %v, want %d %s", a, status, code)
	}
}

func (w *world) wantOK(a answer) {
	w.Helper()
	w.want(a, http.StatusOK, "")
}

// exists reports whether there is a configuration of that name.
func (w *world) exists(name string) bool {
	w.Helper()
	switch a := w.serve(w.newHandler(), w.build(get(name))); a.status {
	case http.StatusOK:
		return true
	case http.StatusNotFound:
		return false
	default:
		w.Fatalf("get %s: %v", name, a)
		return false
	}
}

// An echo is an action that answers its parameters, which shows what was read of them.
type echo struct {
	Name        *string           `param:"Name"`
	Text        string            `param:"Text"`
	Number      *int64            `param:"Number"`
	All         bool              `param:"All"`
	Secret      secret.Text       `param:"Secret"`
	Filters     []chat.Filter     `param:"Filters"`
	Tags        map[string]string `param:"Tags"`
	ResourceIDs []string          `param:"ResourceIds"`
	TagKeys     []string          `param:"TagKeys"`
	Revision    *int64            `param:"Revision"`
}

// echoed returns a world whose action GetEcho leaves its parameters in *echo.
func echoed(tb testing.TB) (*world, *echo) {
	tb.Helper()
	got := new(echo)
	action := rpc.NewAction("GetEcho", func(_ *chat.Service, _ context.Context, in *echo) (*chat.Empty, error) {
		*got = *in
		return new(chat.Empty), nil
	})
	return newWorld(tb, nil, action), got
}

// slow returns a method that calls wait and answers nothing.
func slow(wait func()) func(*chat.Service, context.Context, *echo) (*chat.Empty, error) {
	return func(*chat.Service, context.Context, *echo) (*chat.Empty, error) {
		wait()
		return new(chat.Empty), nil
	}
}
