package sts

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// temporary is what the ids of temporary access keys start with.
const temporary = "STS."

// The limits of AssumeRole:
// https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole
const (
	minDuration     = 900 * time.Second
	defaultDuration = time.Hour
	maxPolicy       = 2048 // characters
)

func (a *Account) assumeRole(c *Call) (any, error) {
	s, r, err := a.readAssumeRole(c)
	if err != nil {
		return nil, err
	}
	if c.Caller.root {
		return nil, &Error{Status: http.StatusForbidden, Code: "NoPermission",
			Message: "Roles may not be assumed by root accounts."}
	}
	if err := a.mayAssume(c, s, r); err != nil {
		return nil, err
	}
	id, keySecret, token := plain(a.newID()), plain(a.newID()), plain(a.newID())
	s.accessKeyID, s.keySecret, s.token = temporary+"FAKE"+id, "fake-secret-"+keySecret, "fake-token-"+token
	s.who = Identity{arn: s.ARN, policies: r.policies, session: s}
	a.mu.Lock()
	a.sessions = append(a.sessions, s)
	a.byKey[s.accessKeyID] = s
	a.mu.Unlock()
	type user struct{ AssumedRoleId, Arn string }
	return struct {
		AssumedRoleUser user
		Credentials     wireCredentials
		SourceIdentity  string `json:",omitempty"`
	}{
		user{r.id + ":" + s.Name, s.ARN},
		wireCredentials{s.accessKeyID, s.keySecret, s.token, s.Expires.UTC().Format("2006-01-02T15:04:05Z")},
		s.SourceIdentity,
	}, nil
}

// wireCredentials are a session's credentials in an answer. They print as a mask everywhere else.
type wireCredentials struct{ AccessKeyId, AccessKeySecret, SecurityToken, Expiration string }

// Format writes the mask, whatever the verb.
func (wireCredentials) Format(s fmt.State, _ rune) { io.WriteString(s, secret.Mask) }

// plain returns an id without what may not be in an access key id.
func plain(id string) string {
	return strings.Map(func(r rune) rune {
		if isWord(r, "") {
			return r
		}
		return -1
	}, id)
}

// readAssumeRole checks the parameters, and returns the session that they ask for and its role.
func (a *Account) readAssumeRole(c *Call) (*session, *role, error) {
	s := &session{Session: Session{
		Name: c.Get("RoleSessionName"), Principal: c.Caller.arn, ExternalID: c.Get("ExternalId"),
		SourceIdentity: c.Get("SourceIdentity"), Policy: c.Get("Policy"),
	}}
	arn := c.Get("RoleArn")
	switch {
	case arn == "":
		return nil, nil, Missing("RoleArn")
	case s.Name == "":
		return nil, nil, Missing("RoleSessionName")
	case !isText(s.Name, 2, 64, ".@-_"):
		return nil, nil, malformed("RoleSessionName")
	case s.ExternalID != "" && !isText(s.ExternalID, 2, 1224, "+=,.@:/-_"):
		return nil, nil, malformed("ExternalId")
	case s.SourceIdentity != "" && !isText(s.SourceIdentity, 2, 64, "+=,.@-_"):
		return nil, nil, malformed("SourceIdentity")
	case utf8.RuneCountInString(s.Policy) > maxPolicy:
		return nil, nil, Errorf("InvalidParameter.PolicySize", "The size of Policy must be smaller than 2048 bytes.")
	}
	account, name, ok := strings.Cut(strings.TrimPrefix(arn, "acs:ram::"), ":role/")
	if !strings.HasPrefix(arn, "acs:ram::") || !ok || account == "" || name == "" {
		return nil, nil, malformed("RoleArn")
	}
	if s.Policy != "" {
		var err error
		if s.policy, err = policy.Parse([]byte(s.Policy)); err != nil {
			return nil, nil, Errorf("InvalidParameter.PolicyGrammar",
				"The parameter Policy has not passed grammar check: %v.", err)
		}
	}
	r := a.roles[name]
	if r == nil || account != a.id {
		return nil, nil, &Error{Status: http.StatusNotFound, Code: "EntityNotExist.Role",
			Message: "The specified Role not exists ."}
	}
	duration := defaultDuration
	if text := c.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if duration = time.Duration(seconds) * time.Second; err != nil || seconds > 12*3600 ||
			duration < minDuration || duration > r.maxSession {
			return nil, nil, Errorf("InvalidParameter.DurationSeconds",
				"The Min/Max value of DurationSeconds is 15min/%dhr.", int(r.maxSession.Hours()))
		}
	}
	s.Role, s.ARN, s.Expires = name, r.arn+"/"+s.Name, c.Time.Add(duration)
	return s, r, nil
}

// mayAssume returns an error unless the caller's policies and the role's trust policy both allow
// the session. A SourceIdentity stays for all sessions of a chain, and needs a permission of its
// own.
func (a *Account) mayAssume(c *Call, s *session, r *role) error {
	if before := c.Caller.SourceIdentity(); before != "" {
		if s.SourceIdentity != "" && s.SourceIdentity != before {
			return a.denied(c.Caller, actionSetSourceIdentity, r.arn, trustPolicy, false)
		}
		s.SourceIdentity = before
	}
	request := trustRequest{principals: c.Caller.principals(a.id), values: make(map[string]string)}
	actions := []string{actionAssumeRole}
	if s.ExternalID != "" {
		request.values[keyExternalID] = s.ExternalID
	}
	if s.SourceIdentity != "" {
		request.values[keySourceIdentity] = s.SourceIdentity
		actions = append(actions, actionSetSourceIdentity)
	}
	for _, action := range actions {
		if err := c.Authorize(action, r.arn); err != nil {
			return err
		}
		if request.action = action; !r.trust.allows(request) {
			return a.denied(c.Caller, action, r.arn, trustPolicy, false)
		}
	}
	return nil
}

// principals returns the ARNs that a trust policy may name an identity by: its own, its role's, and
// its account's.
func (i *Identity) principals(account string) []string {
	out := []string{i.arn, "acs:ram::" + account + ":root"}
	if i.session != nil {
		out = append(out, strings.TrimSuffix(i.arn, "/"+i.session.Name))
	}
	return out
}

func malformed(name string) *Error {
	return Errorf("InvalidParameter."+name, "The parameter %s is wrongly formed.", name)
}

// isText reports whether s has from least to most characters, all ASCII letters, digits or in more.
func isText(s string, least, most int, more string) bool {
	return len(s) >= least && len(s) <= most &&
		strings.IndexFunc(s, func(r rune) bool { return !isWord(r, more) }) < 0
}

func isWord(r rune, more string) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(more, r)
}
