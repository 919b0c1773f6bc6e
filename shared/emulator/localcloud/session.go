package localcloud

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/emulator/runtime"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// ForwardSTS starts a server that forwards to AWS's security token service at an endpoint on this
// machine, such as moto's, and returns its endpoint. It accepts requests that are signed with one
// of the keys: moto accepts any. The sessions of roles that are issued through it may invoke
// functions, as far as their session policies allow. The roles' own policies are not known here.
func (c *Cloud) ForwardSTS(endpoint string, keys ...runtime.Credentials) (string, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	guard := &invokeAPI{keys: byID(keys), sessions: new(sessions), now: time.Now} // no chain of sessions
	forward := &httputil.ReverseProxy{
		// The host stays, since it is signed.
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: c.sessions.learn,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			c.logger.Error("cannot forward a request to the security token service", "err", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return c.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAssumeRole))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if _, err := verifyV4(guard, r, body); err != nil {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Header.Del("Accept-Encoding") // the answer is read here; it is not signed
		forward.ServeHTTP(w, r)
	}))
}

// maxAssumeRole is the maximum size of a request to STS, and of its answer, in bytes.
const maxAssumeRole = 64 << 10

// sessions are the sessions of roles that AWS's STS has issued.
type sessions struct {
	secret.Hidden

	mu    sync.Mutex
	byKey map[string]session
}

// A session is the credentials of a role, and what it may do.
type session struct {
	secret.Hidden

	credentials runtime.Credentials
	expires     time.Time
	role        string // its ARN
	limited     bool   // by rights
	rights      []right
}

// A right is a statement of a session policy, in the form that this service makes.
type right struct {
	Effect           string
	Action, Resource []string
}

// rightsOf returns the statements of a session policy. A policy in another form allows nothing.
func rightsOf(text string) []right {
	var p struct {
		Version   string
		Statement []right
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || slices.ContainsFunc(p.Statement, func(r right) bool { return r.Effect != "Allow" }) {
		return nil
	}
	return p.Statement
}

// may reports whether the session policy allows an action on a resource.
func (s *session) may(action, resource string) bool {
	matches := func(value string) func(string) bool {
		return func(pattern string) bool { return policy.Match(pattern, value) }
	}
	return !s.limited || slices.ContainsFunc(s.rights, func(r right) bool {
		return slices.ContainsFunc(r.Action, matches(action)) && slices.ContainsFunc(r.Resource, matches(resource))
	})
}

// learn keeps the session in an answer to AssumeRole.
func (s *sessions) learn(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || resp.Request.GetBody == nil {
		return nil
	}
	asked, err := resp.Request.GetBody()
	if err != nil {
		return err
	}
	form, err := io.ReadAll(asked)
	if err != nil {
		return err
	}
	params, err := url.ParseQuery(string(form))
	if err != nil {
		return nil // STS has answered; it is no AssumeRole
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAssumeRole))
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), resp.Body))
	var answer struct {
		XMLName     xml.Name `xml:"AssumeRoleResponse"`
		Credentials struct {
			AccessKeyId, SecretAccessKey, SessionToken string
			Expiration                                 time.Time
		} `xml:"AssumeRoleResult>Credentials"`
	}
	if xml.Unmarshal(body, &answer) != nil {
		return nil
	}
	c := answer.Credentials
	one := session{expires: c.Expiration, role: params.Get("RoleArn"), limited: params.Has("Policy"),
		credentials: runtime.Credentials{AccessKeyID: c.AccessKeyId, AccessKeySecret: c.SecretAccessKey,
			SecurityToken: c.SessionToken},
		rights: rightsOf(params.Get("Policy"))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byKey[c.AccessKeyId] = one
	return nil
}

// find returns the credentials of a session by its access key id, and its permission.
func (s *sessions) find(id, region string, now time.Time) (_ runtime.Credentials, may permission, ok bool) {
	s.mu.Lock()
	one, ok := s.byKey[id]
	s.mu.Unlock()
	if !ok || !now.Before(one.expires) {
		return runtime.Credentials{}, nil, false
	}
	return one.credentials, func(name string) error {
		const action = "lambda:InvokeFunction"
		fields := strings.Split(one.role, ":") // arn:aws:iam::<account>:role/<name>
		if len(fields) != 6 {
			return fmt.Errorf("the session is of no role: %.80q", one.role)
		}
		resource := "arn:" + fields[1] + ":lambda:" + region + ":" + fields[4] + ":function:" + name
		if !one.may(action, resource) {
			return fmt.Errorf("the session policy does not allow %s on %s", action, resource)
		}
		return nil
	}, true
}
