// Package console serves the web console: HTML made by the server, over the actions of the API.
//
// A person signs in with an access key. Everything that a page shows or does is an action in the
// name of that key, so the policies of the API decide. Pages work without JavaScript, load nothing
// from elsewhere, and never have a secret in them.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
)

// Prefix is the path of the console; all its pages are under it.
const Prefix = "/console"

// maxForm is the size of a form that is sent, in bytes.
const maxForm = 16 << 10

// An API calls actions in the name of one access key. Parameters are as in a JSON body of the API;
// answer is a pointer to the type of the answer.
//
// Errors are those of package fault. KeyNotFound means that the key is not valid any more. An error
// of an action that the service does not have wraps ErrNoAction.
type API interface {
	Call(ctx context.Context, action string, params map[string]string, answer any) error
}

// ErrNoAction is the error of an action that the service does not have.
var ErrNoAction = errors.New("console: the service has no such action")

// Options are the parts of a Console.
type Options struct {
	Ring      *seal.Ring // seals sessions
	Platforms []command.Platform
	// Key finds an access key, with its secret. KeyNotFound: it does not exist.
	Key func(ctx context.Context, id string) (*accesskey.Key, error)
	// API returns the API that calls actions in the name of a key. Its answers must not contain
	// secrets, even if the key may reveal them.
	API func(id string) API
	// Admit counts a request of a key. If the key has sent too many, it returns how many seconds
	// to wait. Nil: there is no limit.
	Admit func(id string) (seconds int, ok bool)
	// NoteUse notes that a key was used; nil: nothing is noted.
	NoteUse func(ctx context.Context, id string)
	// LinkOnly makes a link the only way to sign in: there is no form for a key.
	LinkOnly bool
	About    About
	Now      func() time.Time // default time.Now
}

// A Console serves the pages under Prefix.
type Console struct {
	options  Options
	now      func() time.Time
	attempts *attempts
	ended    *endedSessions
	links    *links
	handler  http.Handler
}

var _ http.Handler = (*Console)(nil)

// New returns a console. It does no I/O.
func New(o Options) (*Console, error) {
	if o.Ring == nil || o.Key == nil || o.API == nil || len(o.Platforms) == 0 {
		return nil, errors.New("console: a console needs a key ring, access keys, an API and platforms")
	}
	c := &Console{options: o, now: o.Now}
	if c.now == nil {
		c.now = time.Now
	}
	c.attempts, c.ended, c.links = newAttempts(c.now), newEndedSessions(c.now), newLinks(c.now)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /console/static/{file}", c.static)
	open := func(pattern string, show func(*visit) error) { mux.Handle(pattern, c.serve(show, false)) }
	open("GET /console/signin", (*visit).showSignIn)
	if !o.LinkOnly {
		open("POST /console/signin", (*visit).signIn)
	}
	open("POST /console/signout", (*visit).signOut)
	open("GET /console/enter", (*visit).showLink)
	open("POST /console/enter", (*visit).useLink)
	closed := func(pattern string, show func(*visit) error) { mux.Handle(pattern, c.serve(show, true)) }
	closed("GET /console/{$}", (*visit).showBots)
	closed("GET /console/bots/{name}", (*visit).showBot)
	closed("GET /console/bots/{name}/commands", (*visit).showCommands)
	closed("GET /console/bots/{name}/history", (*visit).showHistory)
	closed("GET /console/bots/{name}/permissions", (*visit).showPermissions)
	closed("GET /console/bots/{name}/permissions/edit", (*visit).showDraft)
	closed("POST /console/bots/{name}/permissions/edit", (*visit).changeDraft)
	closed("GET /console/bots/{name}/actions/edit", (*visit).showAction)
	closed("POST /console/bots/{name}/actions/edit", (*visit).changeAction)
	closed("GET /console/bots/{name}/try", (*visit).showTry)
	closed("POST /console/bots/{name}/try", (*visit).try)
	closed("GET /console/bots/{name}/try/later", (*visit).showLater)
	closed("GET /console/bots/{name}/commands/chart", (*visit).showChart)
	closed("GET /console/commands/chart", (*visit).showChart)
	closed("GET /console/commands", (*visit).showCommands)
	closed("GET /console/new", (*visit).showNew)
	closed("POST /console/new", (*visit).create)
	closed("GET /console/bots/{name}/edit", (*visit).showEdit)
	closed("POST /console/bots/{name}/edit", (*visit).update)
	closed("GET /console/bots/{name}/manage", (*visit).showManage)
	closed("GET /console/bots/{name}/restore", (*visit).showRestore)
	closed("POST /console/bots/{name}/restore", (*visit).restore)
	closed("POST /console/bots/{name}/rotate", (*visit).rotate)
	closed("POST /console/bots/{name}/rotatesecret", (*visit).rotateSecret)
	closed("POST /console/bots/{name}/delete", (*visit).delete)
	closed("GET /console/about", (*visit).showAbout)
	closed("GET /console/keys", (*visit).showKeys)
	closed("GET /console/keys/new", (*visit).showNewKey)
	closed("POST /console/keys/new", (*visit).createKey)
	closed("GET /console/keys/{id}", (*visit).showKey)
	closed("POST /console/keys/{id}", (*visit).updateKey)
	closed("POST /console/keys/{id}/delete", (*visit).deleteKey)
	closed("/", func(*visit) error { return errNoPage })
	same := http.NewCrossOriginProtection()
	same.SetDenyHandler(c.serve(func(*visit) error { return errCrossOrigin }, false))
	c.handler = same.Handler(mux)
	return c, nil
}

// The errors of requests that no action has refused.
var (
	errNoPage      = &pageError{status: http.StatusNotFound, word: "error.page"}
	errCrossOrigin = &pageError{status: http.StatusForbidden, word: "error.crossorigin"}
	errTooMany     = &pageError{status: http.StatusTooManyRequests, word: "error.toomany"}
	errForm        = &pageError{status: http.StatusBadRequest, word: "error.form"}
)

// headers are those of every answer. The only style is that of the pages. A form posts only to this
// site, and no other site can show a page in a frame, nor load one: to browsers each port of this
// machine is the same site, and gets the cookies. The referrer stays within the site, so that
// browsers send the header Origin.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'self'; style-src '" + hashOf(style) + "'; object-src 'none'; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cache-Control":                "no-store",
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	if r.URL.Path == Prefix {
		http.Redirect(w, r, Prefix+"/", http.StatusSeeOther)
		return
	}
	c.handler.ServeHTTP(w, r)
}

// A visit is one request for a page.
type visit struct {
	console  *Console
	w        http.ResponseWriter
	r        *http.Request
	language language
	session  *session       // nil: not signed in
	key      *accesskey.Key // of the session, without its secret
	api      API            // in the name of the key
	status   int            // of the answer
}

// serve returns a handler that answers a visit and logs one line. A closed page is only for a
// person who is signed in.
func (c *Console) serve(show func(*visit) error, closed bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := c.now()
		v := &visit{console: c, w: w, r: r, language: chooseLanguage(w, r)}
		err := v.answer(show, closed)
		v.log(started, err)
	})
}

// answer shows a page, or why it cannot be shown. Its error is for the log.
func (v *visit) answer(show func(*visit) error, closed bool) error {
	err := guarded(func() error {
		signedIn, err := v.open()
		if err != nil {
			return err
		}
		if closed && !signedIn {
			return v.askToSignIn()
		}
		if signedIn && v.console.options.Admit != nil {
			if seconds, ok := v.console.options.Admit(v.key.ID); !ok {
				v.w.Header().Set("Retry-After", strconv.Itoa(seconds))
				return errTooMany
			}
		}
		return show(v)
	})
	switch {
	case err == nil:
		return nil
	case fault.CodeOf(err) == fault.KeyNotFound: // since the look at the session
		v.forget()
		return v.askToSignIn()
	}
	return v.showError(err)
}

// guarded calls show and returns a panic as an error.
func guarded(show func() error) (err error) {
	defer invoke.Recover("console", &err)
	return show()
}

// log writes the line of a visit, without the query, which may name people.
func (v *visit) log(started time.Time, err error) {
	ctx, level := v.r.Context(), slog.LevelInfo
	if v.status >= http.StatusInternalServerError || err != nil {
		level = slog.LevelError
	}
	caller := ""
	if v.key != nil {
		caller = v.key.ID
	} else {
		ctx = invoke.Repeatable(ctx, "console stranger "+http.StatusText(v.status))
	}
	inv := invoke.From(ctx)
	attrs := []slog.Attr{
		slog.String("method", v.r.Method),
		slog.String("path", v.r.URL.Path[:min(len(v.r.URL.Path), 256)]),
		slog.String("caller", caller),
		slog.Int("status", v.status),
		slog.Float64("duration_ms", float64(v.console.now().Sub(started).Microseconds())/1000),
		slog.String("request_id", inv.RequestID),
		slog.String("source_ip", inv.SourceIP),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	invoke.Logger(ctx).LogAttrs(ctx, level, "console", attrs...)
}

// source returns the address that attempts to sign in are counted by: of IPv6 the network. A peer
// on this machine or in a private network may be a proxy: then it is the address that the proxy put
// last into X-Forwarded-For. A client there that is no proxy can choose its source; the attempts of
// a key are bounded nevertheless.
func (v *visit) source() string {
	text := invoke.From(v.r.Context()).SourceIP
	if text == "" {
		text, _, _ = net.SplitHostPort(v.r.RemoteAddr)
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	if ip = ip.Unmap(); ip.IsLoopback() || ip.IsPrivate() {
		forwarded := strings.Join(v.r.Header.Values("X-Forwarded-For"), ",")
		last := strings.TrimSpace(forwarded[strings.LastIndexByte(forwarded, ',')+1:])
		if of, err := netip.ParseAddr(last); err == nil {
			ip = of.Unmap()
		}
	}
	if ip.Is6() {
		return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
	}
	return ip.String()
}

// isSecure reports whether the browser speaks TLS with this process.
func (v *visit) isSecure() bool { return v.r.TLS != nil || invoke.From(v.r.Context()).Secure }

// redirect sends the browser to another page of the console, with GET.
func (v *visit) redirect(path string) error {
	v.status = http.StatusSeeOther
	http.Redirect(v.w, v.r, path, v.status)
	return nil
}

// localPath returns the path of a page of the console, with its query. Any other path becomes that
// of the first page.
func localPath(text string) string {
	path, _, _ := strings.Cut(text, "?")
	if !strings.HasPrefix(path, Prefix+"/") || strings.Contains(path, "..") || strings.Contains(path, "//") ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }) {
		return Prefix + "/"
	}
	return text
}
