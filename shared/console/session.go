package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"hash/maphash"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

const (
	// sessionAge is how long a session lasts.
	sessionAge = 12 * time.Hour
	// sessionCookie is the name of the cookie with the session; see cookieName.
	sessionCookie = "chatconf_session"
)

// sessionPlace is where sessions are sealed. No configuration and no access key has such a place.
var sessionPlace = seal.Place{Account: "#Console", Region: "#Console", Name: "#Console", Field: "Session"}

// A session is what the cookie of a person says, sealed.
type session struct {
	ID      string    `json:"id"`
	Key     string    `json:"key"`    // the access key's id
	Digest  []byte    `json:"digest"` // of the key's secret: a key with another secret has no session
	Expires time.Time `json:"expires"`
}

// digest returns the digest of a secret.
func digest(s secret.Text) []byte {
	sum := sha256.Sum256([]byte("chatconf/console/v1\x00" + s.Reveal()))
	return sum[:]
}

// open finds the session of the visit's cookie, and its key. A session of a key that is revoked,
// expired or has another secret is over. Several cookies are no session: only another site, on a
// port of this machine or in a domain above, can have set one of them, and it may be the session of
// somebody else.
func (v *visit) open() (signedIn bool, err error) {
	cookies := v.r.CookiesNamed(v.cookieName())
	if len(cookies) != 1 {
		if len(cookies) > 1 {
			ctx := invoke.Repeatable(v.r.Context(), "console cookies")
			invoke.Logger(ctx).WarnContext(ctx, "the browser sent several cookies of a session; remove them there")
		}
		return false, nil
	}
	s, ok := v.console.readSession(cookies[0].Value)
	if !ok {
		return false, nil
	}
	key, err := v.console.validKey(v.r.Context(), s.Key)
	switch {
	case err != nil:
		return false, err
	case key == nil || subtle.ConstantTimeCompare(digest(key.Secret), s.Digest) != 1:
		v.console.ended.end(s) // also if the key is enabled again
		return false, nil
	}
	v.enter(s, key)
	return true, nil
}

// enter makes a visit that of a person who is signed in.
func (v *visit) enter(s *session, key *accesskey.Key) {
	shown := *key
	shown.Secret = ""
	v.session, v.key, v.api = s, &shown, v.console.options.API(key.ID)
	if v.console.options.NoteUse != nil {
		v.console.options.NoteUse(v.r.Context(), key.ID)
	}
}

// forget makes a visit that of a stranger.
func (v *visit) forget() { v.session, v.key, v.api = nil, nil, nil }

// validKey returns an access key that may be used now, nil without one.
func (c *Console) validKey(ctx context.Context, id string) (*accesskey.Key, error) {
	key, err := c.options.Key(ctx, id)
	switch {
	case err != nil && fault.CodeOf(err) == fault.KeyNotFound:
		return nil, nil
	case err != nil:
		return nil, err
	case !key.Active || key.Expired(c.now()) || key.Secret == "":
		return nil, nil
	}
	return key, nil
}

// readSession returns the session of a cookie, if this service sealed it and it is not over.
func (c *Console) readSession(text string) (*session, bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	plain, err := c.options.Ring.Open(sessionPlace, sealed)
	if err != nil {
		return nil, false
	}
	s := new(session)
	if json.Unmarshal(plain, s) != nil || !c.now().Before(s.Expires) || c.ended.has(s) {
		return nil, false
	}
	return s, true
}

// start signs a person in with a key. It ends the session before: the browser forgets its cookie.
func (v *visit) start(key *accesskey.Key) error {
	if v.session != nil {
		v.console.ended.end(v.session)
	}
	s := &session{ID: rand.Text(), Key: key.ID, Digest: digest(key.Secret), Expires: v.console.now().Add(sessionAge)}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	sealed, err := v.console.options.Ring.Seal(sessionPlace, text)
	if err != nil {
		return err
	}
	v.setSession(base64.RawURLEncoding.EncodeToString(sealed), int(sessionAge/time.Second))
	v.enter(s, key)
	return nil
}

// cookieName returns the name of the cookie with the session. It has the port, if the address has
// one: browsers send a cookie to every port of a host, so that the sessions of two services on one
// machine would take each other's place.
func (v *visit) cookieName() string {
	_, port, err := net.SplitHostPort(v.r.Host)
	if err != nil || port == "" || strings.Trim(port, "0123456789") != "" {
		return sessionCookie
	}
	return sessionCookie + "_" + port
}

// setSession sets the cookie of the session. A negative age removes it.
func (v *visit) setSession(value string, age int) {
	http.SetCookie(v.w, &http.Cookie{Name: v.cookieName(), Value: value, Path: Prefix, MaxAge: age,
		HttpOnly: true, Secure: v.isSecure() || v.saysSecure(), SameSite: http.SameSiteStrictMode})
}

// saysSecure reports whether the browser tells that it speaks TLS, maybe with a proxy. It is only
// for what concerns this browser alone.
func (v *visit) saysSecure() bool { return strings.HasPrefix(v.r.Header.Get("Origin"), "https://") }

// maxEnded is how many sessions of a key are remembered that were signed out.
const maxEnded = 1000

// endedSessions are the sessions that were signed out or refused, and are not expired. Only this
// process knows them: after a restart a copy of such a cookie is valid again until it expires. If
// there are too many of one key, all its sessions end, so that nobody can fill the memory.
type endedSessions struct {
	now  func() time.Time
	mu   sync.Mutex
	keys map[string]*endedOfKey
}

// endedOfKey are the ended sessions of one key.
type endedOfKey struct {
	ids   map[string]time.Time // when they expire
	until time.Time            // all sessions that do not expire later are over, too
}

func newEndedSessions(now func() time.Time) *endedSessions {
	return &endedSessions{now: now, keys: make(map[string]*endedOfKey)}
}

// end ends a session. Only the holder of a key can have one, so the keys are few.
func (e *endedSessions) end(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := e.keys[s.Key]
	if of == nil {
		of = &endedOfKey{ids: make(map[string]time.Time)}
		e.keys[s.Key] = of
	}
	now := e.now()
	if len(of.ids) >= maxEnded {
		maps.DeleteFunc(of.ids, func(_ string, expires time.Time) bool { return !now.Before(expires) })
	}
	if len(of.ids) >= maxEnded {
		of.until = now.Add(sessionAge)
		clear(of.ids)
		return
	}
	of.ids[s.ID] = s.Expires
}

func (e *endedSessions) has(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := e.keys[s.Key]
	if of == nil {
		return false
	}
	_, ok := of.ids[s.ID]
	return ok || !s.Expires.After(of.until)
}

// Attempts to sign in that may fail within attemptWindow. Those of a key are more than those of a
// source, so that one source alone cannot keep the holder of a key out.
const (
	attemptsPerKey    = 100
	attemptsPerSource = 30
	attemptWindow     = 5 * time.Minute
)

// attempts counts failed attempts to sign in, by key and by source. Names share counters by their
// hash, so strangers cannot fill memory, nor push a counter out.
type attempts struct {
	now  func() time.Time
	seed maphash.Seed

	mu   sync.Mutex
	keys [4096]attemptCounter
	from [4096]attemptCounter
}

type attemptCounter struct {
	began  time.Time
	failed int
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, seed: maphash.MakeSeed()}
}

// begin reports whether an attempt may be made, and counts it as failed. If it succeeds, call undo.
func (a *attempts) begin(id, source string) (undo func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := &a.keys[maphash.String(a.seed, id)%uint64(len(a.keys))]
	from := &a.from[maphash.String(a.seed, source)%uint64(len(a.from))]
	now := a.now()
	for _, counter := range []*attemptCounter{key, from} {
		if now.Sub(counter.began) >= attemptWindow {
			*counter = attemptCounter{began: now}
		}
	}
	if key.failed >= attemptsPerKey || from.failed >= attemptsPerSource {
		return nil, false
	}
	key.failed++
	from.failed++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		key.failed, from.failed = max(0, key.failed-1), max(0, from.failed-1)
	}, true
}

// A signInPage is what the page for signing in shows.
type signInPage struct {
	Next  string // where to go then
	ID    string // the access key id that was typed
	Wrong string // why it was refused; empty at first
}

// askToSignIn sends a stranger to the page for signing in, and from there back.
func (v *visit) askToSignIn() error {
	to := Prefix + "/signin"
	if v.r.Method == http.MethodGet && v.r.URL.RequestURI() != Prefix+"/" {
		to += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	return v.redirect(to)
}

func (v *visit) showSignIn() error {
	next := localPath(v.r.URL.Query().Get("next"))
	if v.key != nil {
		return v.redirect(next)
	}
	if v.console.options.LinkOnly {
		return errLinkOnly
	}
	return v.show(http.StatusOK, "signin", "signin.title", signInPage{Next: next})
}

// signIn starts a session for the holder of a key. Every refusal has the same sentence, so that it
// does not say which ids exist.
func (v *visit) signIn() error {
	if err := v.readForm(); err != nil {
		return err
	}
	id, typed := v.r.PostForm.Get("id"), secret.Text(v.r.PostForm.Get("secret"))
	page := signInPage{Next: localPath(v.r.PostForm.Get("next")), ID: id[:min(len(id), 128)]}
	undo, ok := v.console.attempts.begin(id, v.source())
	if !ok {
		page.Wrong = v.word("signin.toomany")
		v.w.Header().Set("Retry-After", "300")
		return v.show(http.StatusTooManyRequests, "signin", "signin.title", page)
	}
	key, err := v.console.validKey(v.r.Context(), id)
	if err != nil {
		undo()
		return err
	}
	var known secret.Text // empty for an unknown key; no key has an empty secret
	if key != nil {
		known = key.Secret
	}
	if same := subtle.ConstantTimeCompare(digest(typed), digest(known)); same != 1 || key == nil {
		invoke.Logger(v.r.Context()).WarnContext(invoke.Repeatable(v.r.Context(), "console sign-in refused"),
			"sign-in refused", "source_ip", v.source())
		page.Wrong = v.word("signin.wrong")
		return v.show(http.StatusUnauthorized, "signin", "signin.title", page)
	}
	undo()
	if err := v.start(key); err != nil {
		return err
	}
	return v.redirect(page.Next)
}

// signOut ends the session.
func (v *visit) signOut() error {
	if v.session != nil {
		v.console.ended.end(v.session)
	}
	v.setSession("", -1)
	return v.redirect(Prefix + "/signin")
}

// readForm reads a form that was posted.
func (v *visit) readForm() error { return v.readFormOf(maxForm) }

// readFormOf reads a form of at most so many bytes.
func (v *visit) readFormOf(most int64) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	if err := v.r.ParseForm(); err != nil {
		return errForm
	}
	return nil
}
