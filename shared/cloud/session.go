package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/secret"
)

// A Session describes one use of a role. It has no secret.
type Session struct {
	Role    string // a name, or the ARN of a role of any account
	Account string // of the configuration; a role that is a name is of this account
	// Name and SourceIdentity say who asked, in the audit logs of a cloud; see SessionName.
	Name           string
	SourceIdentity string
	// ExternalID is the resource name of the configuration. A trust policy can require it, so that
	// no other configuration can use the role.
	ExternalID string
	Tags       map[string]string // session tags; only AWS has them
	Policy     string            // JSON; the session may do only what this and the role both allow
	Duration   time.Duration     // how long the credentials must be valid
}

// The limits of a session's duration. Clouds accept 15 minutes or more. A caller that is itself a
// role's session, such as a function, gets at most one hour.
const (
	minDuration = 15 * time.Minute
	maxDuration = time.Hour
)

// skew is how long before their expiration credentials are no longer used.
const skew = 30 * time.Second

// Seconds returns the duration to ask a cloud for: the shortest possible one that is long enough.
func (s Session) Seconds() int {
	d := min(max(s.Duration+skew, minDuration), maxDuration)
	return int((d + time.Second - 1) / time.Second)
}

// RoleAccount returns the account of a role: that of its ARN, or else the given one.
func RoleAccount(role, account string) string {
	fields := strings.Split(role, ":")
	switch {
	case len(fields) == 5 && fields[0] == "acs": // acs:ram::<account>:role/<name>
		return fields[3]
	case len(fields) == 6 && fields[0] == "arn": // arn:aws:iam::<account>:role/<name>
		return fields[4]
	}
	return account
}

// maxName is the maximum length of a session name and of a source identity on both clouds.
const maxName = 64

// SessionName returns a name for the sessions of a sender, which is also a source identity: 2 to 64
// letters, digits, '.', '-', '_' and '@', as both clouds accept. Two senders never have the same
// name. Any other byte becomes '@' and two hexadecimal digits. A name that would be too long
// ends in "@-" and a hash of the whole name.
func SessionName(platform, sender string) string {
	var b strings.Builder
	for i, part := range []string{platform, sender} {
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range []byte(part) {
			letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
			if letter || c == '-' || c == '_' || c == '.' && i > 0 { // the first '.' ends the platform
				b.WriteByte(c)
				continue
			}
			fmt.Fprintf(&b, "@%02X", c)
		}
	}
	name := b.String()
	if name == "." {
		return "@-"
	}
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := "@-" + hex.EncodeToString(sum[:10])
	return name[:maxName-len(end)] + end
}

// A Lease is a role's session: its credentials, and when they expire.
type Lease struct {
	secret.Hidden

	Credentials invoke.Credentials
	Expires     time.Time
}

// An Assumer asks a cloud for a role's session. Its error is a *RoleError.
type Assumer func(context.Context, Session) (Lease, error)

// A RoleError says why a role's session was not obtained.
type RoleError struct {
	Role  string
	Why   string // for people, with the fix; it has no secret and no host
	Again bool   // another attempt may succeed
	Err   error  // for the log
}

// Error returns the role and the reason.
func (e *RoleError) Error() string {
	return fmt.Sprintf("the role %q could not be assumed: %s", e.Role, e.Why)
}

// Unwrap returns the cause.
func (e *RoleError) Unwrap() error { return e.Err }

// maxLeases is the maximum number of leases that Sessions keep.
const maxLeases = 512

// Sessions gets sessions of roles from the cloud and caches them. Uses with the same role, policy,
// sender and configuration share a lease while it is valid for long enough. Only one request for
// such a lease is sent at a time. Sessions is safe for concurrent use.
type Sessions struct {
	assume Assumer
	now    func() time.Time

	mu     sync.Mutex
	leases map[string]kept
	asking map[string]*asking
}

// A kept is a cached lease, and the time of its last use.
type kept struct {
	Lease
	used time.Time
}

// An asking is a request to the cloud that is in progress. Other calls wait for its result.
type asking struct {
	secret.Hidden

	done  chan struct{} // closed at the end
	lease Lease
	err   error
	left  bool // its caller ended before there was an answer
}

// NewSessions returns the sessions of roles that assume asks for. Nil now is time.Now. It does no
// I/O.
func NewSessions(assume Assumer, now func() time.Time) *Sessions {
	if now == nil {
		now = time.Now
	}
	return &Sessions{assume: assume, now: now, leases: make(map[string]kept), asking: make(map[string]*asking)}
}

// Format writes a placeholder, whatever the verb.
func (*Sessions) Format(s fmt.State, _ rune) { io.WriteString(s, "[sessions]") }

// With returns a context whose invocation has the credentials of a role's session, which then sign
// all calls of the cloud. Its error is a *RoleError, or that of ctx.
func (s *Sessions) With(ctx context.Context, want Session) (context.Context, error) {
	lease, err := s.lease(ctx, want)
	if err != nil {
		return nil, err
	}
	own := *invoke.From(ctx)
	own.Credentials = lease.Credentials
	return invoke.With(ctx, &own), nil
}

func (s *Sessions) lease(ctx context.Context, want Session) (Lease, error) {
	key := want.key(invoke.From(ctx).Credentials.AccessKeyID)
	for {
		s.mu.Lock()
		if lease, ok := s.findLocked(key, want.Duration); ok {
			s.mu.Unlock()
			return lease, nil
		}
		a := s.asking[key]
		if a == nil {
			a = &asking{done: make(chan struct{})}
			s.asking[key] = a
			s.mu.Unlock()
			return s.ask(ctx, key, want, a)
		}
		s.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			return Lease{}, ctx.Err()
		}
		if !a.left {
			return a.lease, a.err
		}
	}
}

// ask asks the cloud for a lease, and keeps it. If it panics, the calls that wait send their own
// request.
func (s *Sessions) ask(ctx context.Context, key string, want Session, a *asking) (Lease, error) {
	a.left = true
	defer func() {
		s.mu.Lock()
		delete(s.asking, key)
		if a.err == nil && !a.left {
			s.keepLocked(key, a.lease)
		}
		s.mu.Unlock()
		close(a.done)
	}()
	a.lease, a.err = s.assume(ctx, want)
	a.left = a.err != nil && ctx.Err() != nil
	return a.lease, a.err
}

// findLocked returns a kept lease that is valid for long enough.
func (s *Sessions) findLocked(key string, duration time.Duration) (Lease, bool) {
	k, ok := s.leases[key]
	now := s.now()
	if !ok || k.Expires.Sub(now) < duration+skew {
		return Lease{}, false
	}
	k.used = now
	s.leases[key] = k
	return k.Lease, true
}

// keepLocked keeps a lease. If there are too many, it drops those that have expired, or else the
// one that was not used for the longest time.
func (s *Sessions) keepLocked(key string, lease Lease) {
	now := s.now()
	if len(s.leases) >= maxLeases {
		oldest := ""
		for other, k := range s.leases {
			if !k.Expires.After(now) {
				delete(s.leases, other)
			} else if oldest == "" || k.used.Before(s.leases[oldest].used) {
				oldest = other
			}
		}
		if len(s.leases) >= maxLeases {
			delete(s.leases, oldest)
		}
	}
	s.leases[key] = kept{lease, now}
}

// key returns a text that is equal only for equal sessions; the duration does not count. asker is
// the id of the credentials that sign the request: after they change, which happens a few times a
// day, old leases are not used again.
func (s Session) key(asker string) string {
	return string(document.Marshal([]any{asker, s.Role, s.Account, s.Name, s.SourceIdentity, s.ExternalID, s.Policy,
		s.Tags}))
}

// NewRoleError returns the error of a refused session. The first of the cloud's reasons with the
// code of the refusal is its text.
func NewRoleError(s Session, err error, refused *Refusal, reasons []Reason) *RoleError {
	e := &RoleError{Role: s.Role, Err: err}
	if refused == nil {
		e.Why, e.Again = "the security token service could not be reached", true
		return e
	}
	if reason, ok := refused.Reason(reasons); ok {
		e.Why, e.Again = reason.Why, reason.Again
		return e
	}
	e.Why = fmt.Sprintf("the security token service answered %s, status %d", refused.PlainCode(), refused.Status)
	e.Again = refused.Retryable
	return e
}
