package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"sync"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/secret"
)

const (
	// LinkAge is how long a link for signing in is valid.
	LinkAge = 5 * time.Minute
	// linksPerKey is how many links of a key are valid at most; the oldest ends first.
	linksPerKey = 10
)

// errLink is the error of a link that is unknown, used or expired, and of one whose key changed.
var errLink = &pageError{status: http.StatusForbidden, word: "link.again"}

// errLinkOnly is the answer to a stranger where a link is the only way in.
var errLinkOnly = &pageError{status: http.StatusForbidden, word: "link.only"}

// A Link leads to a page that signs a person in, once.
type Link struct {
	Path    secret.Text // with the query, which has the token
	Expires time.Time
}

// NewLink makes a link that signs its first user in with an access key. Only this process knows it.
//
// Errors: KeyNotFound, also of a key that is not active or has expired.
func (c *Console) NewLink(ctx context.Context, keyID string) (*Link, error) {
	key, err := c.validKey(ctx, keyID)
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		return nil, &fault.Error{Code: fault.KeyNotFound, Param: "AccessKeyId",
			Message: "The access key is not active."}
	}
	token := secret.Text(rand.Text())
	expires := c.links.add(token, key)
	return &Link{secret.Text(Prefix + "/enter?token=" + url.QueryEscape(token.Reveal())), expires}, nil
}

// links are the links that are valid, by the digest of their token.
type links struct {
	now func() time.Time
	mu  sync.Mutex
	all map[[sha256.Size]byte]*link
}

// A link says whom it signs in.
type link struct {
	key     string // the access key's id
	digest  []byte // of the key's secret
	expires time.Time
}

func newLinks(now func() time.Time) *links {
	return &links{now: now, all: make(map[[sha256.Size]byte]*link)}
}

// add adds a link for a key. Only holders of a key make links, so they are few.
func (l *links) add(token secret.Text, key *accesskey.Key) (expires time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var oldest [sha256.Size]byte
	count := 0
	for at, other := range l.all {
		switch {
		case !now.Before(other.expires):
			delete(l.all, at)
		case other.key == key.ID:
			if count == 0 || other.expires.Before(l.all[oldest].expires) {
				oldest = at
			}
			count++
		}
	}
	if count >= linksPerKey {
		delete(l.all, oldest)
	}
	expires = now.Add(LinkAge)
	l.all[sha256.Sum256([]byte(token))] = &link{key.ID, digest(key.Secret), expires}
	return expires
}

// find returns a link that is valid, nil without one. It does not use it up.
func (l *links) find(token secret.Text) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.findLocked(token)
}

func (l *links) findLocked(token secret.Text) *link {
	found := l.all[sha256.Sum256([]byte(token))]
	if found == nil || !l.now().Before(found.expires) {
		return nil
	}
	return found
}

// use uses a link up, and reports whether it was valid. Only the first caller is told so.
func (l *links) use(token secret.Text) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	valid := l.findLocked(token) != nil
	delete(l.all, sha256.Sum256([]byte(token)))
	return valid
}

// A linkPage is what the page behind a link shows.
type linkPage struct {
	Token secret.Text
	Name  string // of the access key
	ID    string
}

// keyOf returns the access key of a link that is valid.
func (v *visit) keyOf(token secret.Text) (*accesskey.Key, error) {
	found := v.console.links.find(token)
	if found == nil {
		return nil, errLink
	}
	key, err := v.console.validKey(v.r.Context(), found.key)
	if err != nil {
		return nil, err
	}
	if key == nil || subtle.ConstantTimeCompare(digest(key.Secret), found.digest) != 1 {
		return nil, errLink
	}
	return key, nil
}

// showLink shows the page behind a link. It has a button, so that a program that looks at the link,
// such as the preview of a chat, does not use it up. It names the key, so that a person notices a
// link with the key of somebody else.
func (v *visit) showLink() error {
	v.hideToken()
	token := secret.Text(v.r.URL.Query().Get("token"))
	key, err := v.keyOf(token)
	if err != nil {
		return v.refuseLink(err)
	}
	return v.show(http.StatusOK, "link", "signin.title", linkPage{token, key.Name, key.ID})
}

// useLink signs in the person who presses the button.
func (v *visit) useLink() error {
	v.hideToken()
	if err := v.readForm(); err != nil {
		return err
	}
	token := secret.Text(v.r.PostForm.Get("token"))
	key, err := v.keyOf(token)
	if err == nil && !v.console.links.use(token) {
		err = errLink // another request was faster
	}
	if err != nil {
		return v.refuseLink(err)
	}
	if err := v.start(key); err != nil {
		return err
	}
	return v.redirect(Prefix + "/")
}

// hideToken keeps the address of this page, which has a token, out of the header Referer. Browsers
// send the header Origin nevertheless.
func (v *visit) hideToken() { v.w.Header().Set("Referrer-Policy", "strict-origin") }

// refuseLink logs that a link was refused, without it, and shows what to do next. A person who is
// signed in needs no link: they have pressed the button twice, or have loaded its page again.
func (v *visit) refuseLink(err error) error {
	if err != errLink {
		return err
	}
	invoke.Logger(v.r.Context()).WarnContext(invoke.Repeatable(v.r.Context(), "console link refused"),
		"sign-in link refused", "source_ip", v.source())
	switch {
	case v.session != nil:
		return v.redirect(Prefix + "/")
	case v.console.options.LinkOnly:
		return err
	}
	return v.show(errLink.status, "signin", "signin.title", signInPage{Next: Prefix + "/", Wrong: v.word("link.wrong")})
}
