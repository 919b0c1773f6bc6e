package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/dial"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
)

// A client calls a service.
type client struct {
	secret.Hidden
	endpoint string // with http:// or https://
	context  string // the name of its context; empty without one
	key      credential
	http     *http.Client
}

// A credential is an access key and its origin, for people.
type credential struct {
	sign.Key
	from string
}

// clientFlags are the flags of the service to call and of the access key to sign with.
type clientFlags struct {
	secret.Hidden
	context, endpoint, id, secret, data, caCert string

	contextRegion string // of the context that applies; resolve sets it
	completes     bool   // a word is completed
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.context, "context", "",
		"context with the endpoint, the region and the access key (default the current one)")
	cmd.RegisterFlagCompletionFunc("context", completeContexts)
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "",
		"URL of the service (default CHATCONF_ENDPOINT, else the local service)")
	cmd.Flags().StringVar(&f.id, "access-key-id", "",
		"access key id (default CHATCONF_ACCESS_KEY_ID; else for the local service its own key, "+
			"and for a named endpoint ALIBABA_CLOUD_ACCESS_KEY_ID)")
	cmd.Flags().StringVar(&f.secret, "access-key-secret", "",
		"its secret (default from the place of the id; other users of the machine can see a flag)")
	cmd.Flags().StringVar(&f.caCert, "ca-cert", "",
		"PEM file with certificates to trust in addition to this machine's (default CHATCONF_ROOTS)")
	cmd.MarkFlagsMutuallyExclusive("context", "endpoint")
	dataFlag(cmd, &f.data)
}

// resolve finds the endpoint by flag, environment, current context or data directory, in this
// order, and the access key that belongs to it.
func (f *clientFlags) resolve(getenv func(string) string) (*client, error) {
	name, at, err := f.useContext(getenv)
	if err != nil {
		return nil, err
	}
	if name != "" {
		return f.resolveContext(getenv, name, &at)
	}
	data := cmp.Or(f.data, getenv("CHATCONF_DATA"), app.DefaultData)
	named := cmp.Or(f.endpoint, getenv("CHATCONF_ENDPOINT"))
	local, err := app.ReadEndpoint(data)
	switch {
	case named == "" && errors.Is(err, fs.ErrNotExist):
		return nil, usagef("no service in %s; start one with 'chatconf serve', "+
			"or use --endpoint or CHATCONF_ENDPOINT", data)
	case named == "" && err != nil:
		return nil, err
	}
	endpoint, err := parseEndpoint(cmp.Or(named, local))
	if err != nil {
		return nil, err
	}
	// If the data directory is named and no service ran on it, 'chatconf keyring claim' made its
	// key: it is the first key of a service elsewhere.
	isLocal := named == "" || sameService(endpoint, local) || local == "" &&
		cmp.Or(f.data, getenv("CHATCONF_DATA")) != ""
	key, err := f.findKey(getenv, data, endpoint, named != "", isLocal)
	if err != nil {
		return nil, err
	}
	return newClient(endpoint, key, cmp.Or(f.caCert, getenv("CHATCONF_ROOTS")))
}

// resolveContext returns a client of the service of a context. The key of another place is used if
// the context has none.
func (f *clientFlags) resolveContext(getenv func(string) string, name string, at *place) (*client, error) {
	endpoint, err := parseEndpoint(at.Endpoint)
	if err != nil {
		return nil, err
	}
	f.contextRegion = at.Region
	key, err := wholeKey("--access-key-id", f.id, "--access-key-secret", f.secret)
	if err == nil && key.ID == "" {
		key, err = at.key(name, f.completes)
	}
	if err == nil && key.ID == "" {
		data := cmp.Or(f.data, getenv("CHATCONF_DATA"), app.DefaultData)
		local, unknown := app.ReadEndpoint(data)
		key, err = f.findKey(getenv, data, endpoint, true, unknown == nil && sameService(endpoint, local))
	}
	if err != nil {
		return nil, err
	}
	client, err := newClient(endpoint, key, cmp.Or(f.caCert, at.CACert, getenv("CHATCONF_ROOTS")))
	if err == nil {
		client.context = name
	}
	return client, err
}

// newClient returns a client that trusts the certificates in a file too.
func newClient(endpoint string, key credential, file string) (*client, error) {
	client := &client{endpoint: endpoint, key: key, http: httpClient}
	if file != "" && strings.HasPrefix(endpoint, "https:") {
		var err error
		if client.http, err = trusting(file); err != nil {
			return nil, usagef("--ca-cert or CHATCONF_ROOTS: %w", err)
		}
	}
	return client, nil
}

// parseEndpoint returns the scheme and host of an endpoint. Without a scheme it is https.
func parseEndpoint(endpoint string) (string, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", usagef("endpoint %q is invalid; write http:// or https:// and a host, such as http://%s",
			endpoint, app.DefaultAddr)
	}
	return u.Scheme + "://" + u.Host, nil
}

// sameService reports whether an endpoint is that of the local service, under any name of this
// machine. 'chatconf serve --target' also serves its functions at http://<function>.localhost.
func sameService(endpoint, local string) bool {
	a, err := url.Parse(endpoint)
	b, failed := url.Parse(local)
	if err != nil || failed != nil || a.Scheme != b.Scheme || portOf(a) != portOf(b) {
		return false
	}
	return strings.EqualFold(a.Hostname(), b.Hostname()) || isLoopbackHost(a.Hostname()) && isLoopbackHost(b.Hostname())
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// isLoopbackHost reports whether a host is this machine under any resolver.
// https://www.rfc-editor.org/rfc/rfc6761#section-6.3
func isLoopbackHost(host string) bool {
	return dial.Loopback(host) || strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost")
}

// The names of access keys in the environment, without ID and SECRET, and of the security token of
// a temporary key.
const (
	ours          = "CHATCONF_ACCESS_KEY_"
	official      = "ALIBABA_CLOUD_ACCESS_KEY_"
	securityToken = "ALIBABA_CLOUD_SECURITY_TOKEN"
)

// findKey returns the access key for an endpoint: from the flags, else from CHATCONF_…, else for
// the local service its own, and for a named endpoint from ALIBABA_CLOUD_…. So a key of the user's
// cloud account is used only for an endpoint that the user named, and the key of a local service
// only for that service.
func (f *clientFlags) findKey(getenv func(string) string, data, endpoint string, isNamed,
	isLocal bool) (credential, error) {
	key, err := wholeKey("--access-key-id", f.id, "--access-key-secret", f.secret)
	if err != nil || key.ID != "" {
		return key, err
	}
	key, err = wholeKey(ours+"ID", getenv(ours+"ID"), ours+"SECRET", getenv(ours+"SECRET"))
	if err != nil || key.ID != "" {
		return key, err
	}
	local, notLocal := localKey(data)
	if isLocal && !errors.Is(notLocal, fs.ErrNotExist) {
		return local, notLocal
	}
	if isNamed {
		key, err = wholeKey(official+"ID", getenv(official+"ID"), official+"SECRET", getenv(official+"SECRET"))
		if err != nil || key.ID != "" {
			key.SecurityToken = getenv(securityToken)
			return key, err
		}
	}
	var why string
	switch {
	case isLocal:
		why = " (" + data + " has none)"
	case notLocal == nil:
		why = " (the key in " + data + " is only for the service there)"
	}
	if !isNamed && getenv(official+"ID") != "" {
		why += "; " + official + "ID is used only with --endpoint or CHATCONF_ENDPOINT"
	}
	return credential{}, usagef("no access key for %s; use --access-key-id and --access-key-secret, or set %sID "+
		"and %sSECRET%s", endpoint, ours, ours, why)
}

// wholeKey returns the access key from one place, an empty one if both halves are absent. Half a
// key is an error, so that halves of two keys are never combined.
func wholeKey(idName, id, secretName, secret string) (credential, error) {
	switch {
	case id != "" && secret == "":
		return credential{}, usagef("%s is given without %s; give both", idName, secretName)
	case id == "" && secret != "":
		return credential{}, usagef("%s is given without %s; give both", secretName, idName)
	}
	return credential{sign.Key{ID: id, Secret: secret}, idName}, nil
}

// localKey returns the access key of the local service. The error is fs.ErrNotExist if there is no
// key.
func localKey(data string) (credential, error) {
	key, err := app.ReadAccessKey(data)
	return credential{sign.Key{ID: key.ID, Secret: key.Secret.Reveal()}, "the local service in " + data}, err
}

// httpClient follows no redirects: the body may contain secrets, and the signature is for one host.
var httpClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// trusting returns a client like httpClient that trusts the certificates in PEM files too.
func trusting(files ...string) (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s contains no certificate in PEM", file)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport, CheckRedirect: httpClient.CheckRedirect}, nil
}

// explain adds advice to an error of a call.
func explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w; start the service with 'chatconf serve'", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; if you trust it, set --ca-cert or CHATCONF_ROOTS to its certificate's file", err)
	case errors.As(err, &hostname):
		return fmt.Errorf("%w; use a host name of the certificate in --endpoint or CHATCONF_ENDPOINT", err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w; if the service has no TLS, use an endpoint that begins with http://", err)
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF):
		return fmt.Errorf("%w; if the service has TLS, use an endpoint that begins with https://", err)
	}
	return err
}

// do sends one action and returns its answer. If the service refuses it, the error is a
// *refusedError.
func (c *client) do(ctx context.Context, action string, params map[string]string, ifMatch string) ([]byte, error) {
	body, err := c.open(ctx, action, params, ifMatch)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	answer, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, err)
	}
	return answer, nil
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 16 << 20

// open is do with an answer for the caller to read and close.
func (c *client) open(ctx context.Context, action string, params map[string]string,
	ifMatch string) (io.ReadCloser, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Acs-Action", action)
	req.Header.Set("X-Acs-Version", rpc.Version)
	if ifMatch != "" {
		req.Header.Set("If-Match", ifMatch)
	}
	if err := c.key.SignACS3(req, body, time.Now(), invoke.NewRequestID()); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, explain(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, err)
	}
	err = answerError(resp, answer)
	var refused *refusedError
	switch {
	case !errors.As(err, &refused):
	case refused.isOfKey():
		refused.text += fmt.Sprintf("\n  access key: %s, from %s", c.key.ID, c.key.from)
	case refused.isUnknownBot():
		refused.text += "\n  region: " + cmp.Or(params["RegionId"], "that of the service")
		if c.context != "" {
			refused.text += "\n  context: " + c.context
		}
	}
	return nil, err
}

// ask calls an action and reads its answer, unless answer is nil. Empty parameters are left out.
func (c *client) ask(ctx context.Context, action string, params map[string]string, ifMatch string, answer any) error {
	given := make(map[string]string, len(params))
	for name, value := range params {
		if value != "" {
			given[name] = value
		}
	}
	return c.send(ctx, action, given, ifMatch, answer)
}

// send is ask with empty parameters, which remove a value.
func (c *client) send(ctx context.Context, action string, params map[string]string, ifMatch string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	text, err := c.do(ctx, action, params, ifMatch)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return c.notJSON(action)
	}
	return nil
}

// pages follows the pages of a list to its end.
type pages struct {
	seen  map[string]bool // the tokens so far
	empty int             // how many pages without an entry came last
}

// maxEmpty is how many pages may have no entry, one after the other. A search may need some: the
// service reads at least 100 bots for each page.
const maxEmpty = 1000

// next puts the token of the next page into the parameters, and reports whether there is one. n is
// how many entries the last page has. A list that would never end is an error.
func (p *pages) next(params map[string]string, token string, n int) (bool, error) {
	if p.empty++; n > 0 {
		p.empty = 0
	}
	if token == "" {
		return false, nil
	}
	if p.seen[token] || p.empty > maxEmpty {
		return false, errors.New("the service repeats the pages of the list without end; " +
			"check that it is a chatconf service")
	}
	if p.seen == nil {
		p.seen = make(map[string]bool)
	}
	p.seen[token], params["NextToken"] = true, token
	return true, nil
}

// A refusedError is an error that the service answered.
type refusedError struct {
	code   string // of the API
	status int    // of HTTP
	text   string // the whole error, for people

	message string
	denied  json.RawMessage // why a caller was refused; empty for another error
}

func (e *refusedError) Error() string { return e.text }

// isOfKey reports whether the error is about the access key or its rights.
func (e *refusedError) isOfKey() bool {
	return slices.ContainsFunc([]string{"InvalidAccessKeyId", "InvalidSecurityToken", "SignatureDoesNotMatch",
		"IncompleteSignature", "NoPermission", "Forbidden"},
		func(of string) bool { return strings.HasPrefix(e.code, of) })
}

// isUnknownBot reports whether there is no bot with the name in the request. It may be in another
// region.
func (e *refusedError) isUnknownBot() bool {
	return strings.HasPrefix(e.code, "EntityNotExists.ChatConfiguration") ||
		strings.HasPrefix(e.code, "InvalidResourceId")
}

// answerError returns the error that the service answered.
func answerError(resp *http.Response, answer []byte) error {
	var fault struct {
		RequestId, Code, Message string
		AccessDeniedDetail       json.RawMessage
	}
	if err := json.Unmarshal(answer, &fault); err != nil || fault.Code == "" {
		return fmt.Errorf("the endpoint answered %s, without an error of the API; "+
			"check that it is a chatconf service", resp.Status)
	}
	detail := deniedText(fault.AccessDeniedDetail)
	message := " " + fault.Message
	mistakes := strings.HasPrefix(fault.Code, "InvalidParameter") || strings.HasPrefix(fault.Code, "MissingParameter")
	if lines := sentences(fault.Message); mistakes && len(lines) > 1 {
		message = "\n    " + strings.Join(lines, "\n    ")
	}
	text := fmt.Sprintf("%s (%d):%s%s\n  request id: %s", fault.Code, resp.StatusCode, message, detail, fault.RequestId)
	return &refusedError{fault.Code, resp.StatusCode, text, fault.Message, fault.AccessDeniedDetail}
}

// deniedText returns the lines that say why a caller was refused. An unknown detail is shown as the
// service sent it.
func deniedText(detail json.RawMessage) string {
	if len(detail) == 0 {
		return ""
	}
	var of struct{ AuthPrincipalDisplayName, NoPermissionType string }
	if err := json.Unmarshal(detail, &of); err == nil && of.AuthPrincipalDisplayName != "" {
		switch of.NoPermissionType {
		case "ImplicitDeny":
			return fmt.Sprintf("\n  reason: no policy of the caller %q allows it", of.AuthPrincipalDisplayName)
		case "ExplicitDeny":
			return fmt.Sprintf("\n  reason: a policy of the caller %q denies it", of.AuthPrincipalDisplayName)
		}
	}
	return "\n  detail: " + string(detail)
}

// sentences returns the sentences of a message. The service joins all mistakes of a request, each a
// sentence, with a space. What is in quotation marks is a value of the caller.
func sentences(message string) (out []string) {
	from, quoted := 0, false
	for i := 0; i+2 < len(message); i++ {
		switch c := message[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case (c == '.' || c == '?') && !quoted && message[i+1] == ' ' && 'A' <= message[i+2] && message[i+2] <= 'Z':
			out = append(out, message[from:i+1])
			from = i + 2
		}
	}
	return append(out, message[from:])
}
