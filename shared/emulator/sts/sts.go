// Package sts emulates an Alibaba Cloud account for tests and demonstrations: its users, its roles,
// and the Security Token Service (STS, 2015-04-01) that issues sessions of roles.
//
// An Account verifies signed requests of both RPC dialects, issues credentials by AssumeRole, and
// evaluates policies: an action needs the role's policies and the session policy. Other emulators
// of the same account serve their APIs through Serve; package oos is one. The account keeps a log
// of every decision, and Unused lists what session policies allowed and nobody asked for.
//
// Everything is in memory. Clock, ids and faults are under the caller's control. All credentials
// are invalid outside of the emulator, and look so.
package sts

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// DefaultAccountID is the account that Options without an AccountID make.
const DefaultAccountID = "1234567890123456"

// Options configure an Account.
type Options struct {
	secret.Hidden

	// AccountID is the account's number. The default is DefaultAccountID.
	AccountID string
	// Users own the long-lived access keys.
	Users []User
	// Roles can be assumed.
	Roles []Role
	// Now is the clock for sessions, policies and whatever else is served. The default is time.Now.
	Now func() time.Time
	// Wall is the clock for the dates of requests and their nonces. The default is time.Now.
	Wall func() time.Time
	// NewID returns a new id; no two are the same. The default is random.
	NewID func() string
	// Fault, if not nil, is called for every request whose signature is proven, in that request's
	// goroutine.
	Fault func(Request) Fault
}

// A User has one access key. A User without a Name is the account itself, which may do everything
// but assume a role.
type User struct {
	secret.Hidden

	Name      string
	KeyID     string
	KeySecret string
	Policies  []string // JSON, as package policy reads it
}

// A Role can be assumed by the principals in its trust policy.
type Role struct {
	Name string
	// Trust is the trust policy, in JSON as RAM has it: principals RAM and Service, the actions
	// sts:AssumeRole and sts:SetSourceIdentity, and StringEquals, StringNotEquals and StringLike on
	// sts:ExternalId and sts:SourceIdentity. Anything else is an error.
	Trust    string
	Policies []string // JSON, as package policy reads it
	// MaxSession is the longest session. The default is one hour, the most twelve.
	MaxSession time.Duration
}

// An Account is an emulated account. Its methods may be called from many goroutines at once.
type Account struct {
	secret.Hidden

	id    string
	now   func() time.Time
	wall  func() time.Time
	newID func() string
	fault func(Request) Fault
	users map[string]*key  // by access key id
	roles map[string]*role // by name

	mu        sync.Mutex
	sessions  []*session
	byKey     map[string]*session // by access key id
	nonces    map[string]time.Time
	decisions []decision
	swept     time.Time // when old nonces were last forgotten
}

// A key is a user's access key.
type key struct {
	secret.Hidden

	keySecret string
	who       Identity
}

// A role is a Role, parsed.
type role struct {
	name       string
	arn        string
	id         string // RAM's number of it
	trust      *trust
	policies   []*policy.Policy
	maxSession time.Duration
}

// New returns an account. All mistakes in the options are errors, so that a policy that is not
// understood never allows or denies anything.
func New(o Options) (*Account, error) {
	a := &Account{
		id: o.AccountID, now: o.Now, wall: o.Wall, newID: o.NewID, fault: o.Fault,
		users: make(map[string]*key), roles: make(map[string]*role),
		byKey: make(map[string]*session), nonces: make(map[string]time.Time),
	}
	a.setDefaults()
	if len(o.Users) == 0 {
		return nil, errors.New("sts: no Users; nobody could sign a request")
	}
	for _, u := range o.Users {
		if err := a.addUser(u); err != nil {
			return nil, err
		}
	}
	for i, r := range o.Roles {
		if err := a.addRole(r, i); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Account) setDefaults() {
	if a.id == "" {
		a.id = DefaultAccountID
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.wall == nil {
		a.wall = time.Now
	}
	if a.newID == nil {
		a.newID = randomID
	}
	if a.fault == nil {
		a.fault = func(Request) Fault { return Fault{} }
	}
}

func (a *Account) addUser(u User) error {
	switch {
	case u.KeyID == "" || u.KeySecret == "":
		return fmt.Errorf("sts: user %q has an empty key id or secret", u.Name)
	case strings.HasPrefix(u.KeyID, temporary):
		return fmt.Errorf("sts: user %q has a key id that starts with %s, as temporary ones do", u.Name, temporary)
	case a.users[u.KeyID] != nil:
		return fmt.Errorf("sts: the key id %q is listed twice", u.KeyID)
	}
	k := &key{keySecret: u.KeySecret, who: Identity{arn: "acs:ram::" + a.id + ":root", root: true}}
	if u.Name != "" {
		policies, err := parsePolicies(u.Policies)
		if err != nil {
			return fmt.Errorf("sts: user %q: %w", u.Name, err)
		}
		k.who = Identity{arn: "acs:ram::" + a.id + ":user/" + u.Name, policies: policies}
	}
	a.users[u.KeyID] = k
	return nil
}

func (a *Account) addRole(r Role, i int) error {
	const hour = time.Hour
	if r.MaxSession == 0 {
		r.MaxSession = hour
	}
	switch {
	case r.Name == "" || strings.ContainsAny(r.Name, "/*?: "):
		return fmt.Errorf("sts: %q is no name of a role", r.Name)
	case a.roles[r.Name] != nil:
		return fmt.Errorf("sts: the role %q is listed twice", r.Name)
	case r.MaxSession < hour || r.MaxSession > 12*hour:
		return fmt.Errorf("sts: role %q: MaxSession is %v; use 1h to 12h", r.Name, r.MaxSession)
	}
	t, err := parseTrust(r.Trust)
	if err != nil {
		return fmt.Errorf("sts: role %q: trust policy: %w", r.Name, err)
	}
	policies, err := parsePolicies(r.Policies)
	if err != nil {
		return fmt.Errorf("sts: role %q: %w", r.Name, err)
	}
	a.roles[r.Name] = &role{
		name: r.Name, arn: "acs:ram::" + a.id + ":role/" + r.Name, id: fmt.Sprintf("30000000000%05d", i+1),
		trust: t, policies: policies, maxSession: r.MaxSession,
	}
	return nil
}

func parsePolicies(texts []string) ([]*policy.Policy, error) {
	out := make([]*policy.Policy, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = policy.Parse([]byte(text)); err != nil {
			return nil, fmt.Errorf("field Policies[%d]: %w", i, err)
		}
	}
	return out, nil
}

// ID returns the account's number.
func (a *Account) ID() string { return a.id }

// Now returns the account's time.
func (a *Account) Now() time.Time { return a.now() }

// NewID returns a new id.
func (a *Account) NewID() string { return a.newID() }

// Handler serves STS. Of its operations there is AssumeRole.
func (a *Account) Handler() http.Handler {
	return a.Serve(API{
		Product: "Sts", Version: "2015-04-01",
		Operations: map[string]func(*Call) (any, error){"AssumeRole": a.assumeRole},
	})
}

func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Sessions returns what AssumeRole has answered so far, in order, without the credentials.
func (a *Account) Sessions() []Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Session, len(a.sessions))
	for i, s := range a.sessions {
		out[i] = s.Session
	}
	return out
}

// Decisions returns what was asked so far and how it was decided, in order.
func (a *Account) Decisions() []Decision {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Decision, len(a.decisions))
	for i, d := range a.decisions {
		out[i] = d.Decision
	}
	return out
}
