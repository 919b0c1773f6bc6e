package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"chatconf/shared/invoke"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Where AWS's runtimes put credentials. https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
const (
	envAccessKeyID     = "AWS_ACCESS_KEY_ID"
	envAccessKeySecret = "AWS_SECRET_ACCESS_KEY"
	envSessionToken    = "AWS_SESSION_TOKEN"
	envRelativeURI     = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	envFullURI         = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	envToken           = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	envTokenFile       = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

	containerHost = "http://169.254.170.2" // what a relative URI is relative to
)

const (
	// refreshBefore is how long before they expire credentials are fetched anew; of a short life it is the last quarter.
	refreshBefore = 5 * time.Minute
	// fetchTimeout is of one fetch. The other side is on the same machine.
	fetchTimeout = 2 * time.Second
	// fetchPause is how long after a fetch that failed the next begins, while there are credentials that are good.
	fetchPause = 10 * time.Second
	// maxCredentials is the size in bytes of the largest answer, and of the largest token, that is read.
	maxCredentials = 64 << 10
)

// Environment returns the credentials of the environment that getenv reads: an access key, else those of the container's
// endpoint, which are fetched on the first use and again, in the background, before they expire.
func Environment(getenv func(name string) string) (aws.CredentialsProvider, error) {
	if id := getenv(envAccessKeyID); id != "" {
		secret := getenv(envAccessKeySecret)
		if secret == "" {
			return nil, fmt.Errorf("table: dynamodb: %s is set, %s is not", envAccessKeyID, envAccessKeySecret)
		}
		return static{AccessKeyID: id, SecretAccessKey: secret, SessionToken: getenv(envSessionToken), Source: "environment"}, nil
	}
	address := getenv(envFullURI)
	if relative := getenv(envRelativeURI); relative != "" {
		address = containerHost + relative
	}
	if address == "" {
		return nil, fmt.Errorf("table: dynamodb: no credentials: none of %s, %s and %s is set", envAccessKeyID, envRelativeURI, envFullURI)
	}
	if err := checkContainer(address); err != nil {
		return nil, fmt.Errorf("table: dynamodb: the container's credentials: %w", err)
	}
	return newContainer(address, getenv(envToken), getenv(envTokenFile)), nil
}

// static are credentials that stay as they are.
type static aws.Credentials

// Retrieve implements aws.CredentialsProvider.
func (s static) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials(s), nil }

// sourceInvocation is the source of credentials that the invocation carries.
const sourceInvocation = "invocation"

// A signer provides one request with the credentials that the invocation carries, else with the table's own.
type signer struct {
	own  aws.CredentialsProvider
	used aws.Credentials // what it has provided
}

// Retrieve implements aws.CredentialsProvider. Without credentials the request is refused: those who provide them have tried.
func (s *signer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c := invoke.From(ctx).Credentials; c.AccessKeyID != "" {
		s.used = aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.AccessKeySecret, SessionToken: c.SecurityToken, Source: sourceInvocation}
		return s.used, nil
	}
	if s.own == nil {
		return aws.Credentials{}, &verdict{refused, errors.New("no credentials: the invocation carries none, and the table has none")}
	}
	own, err := s.own.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &verdict{refused, err}
	}
	s.used = own
	return own, nil
}

// checkContainer returns an error unless address is one that credentials may come from: TLS to anywhere, or this machine.
func checkContainer(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("the address is not a URL")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if allowedHost(u.Hostname()) {
			return nil
		}
		return fmt.Errorf("host %q is neither this machine nor asked by https", u.Hostname())
	default:
		return fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	}
}

// allowedHost reports whether host is the loopback interface, or the address of ECS or EKS on this machine.
func allowedHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	switch ip.String() {
	case "169.254.170.2", "169.254.170.23", "fd00:ec2::23":
		return true
	}
	return ip.IsLoopback()
}

// A container is the endpoint that ECS, EKS and Lambda give a container its role's credentials by.
type container struct {
	address   string
	token     string
	tokenFile string // read at every fetch: the token in it is renewed
	http      *http.Client
	now       func() time.Time

	mu      sync.Mutex
	current aws.Credentials
	refresh time.Time // when to fetch current anew
	under   *fetch    // the fetch under way; nil if there is none
}

// A fetch is one request to the endpoint, for all who wait for it.
type fetch struct {
	done  chan struct{} // closed when the rest is set
	fresh aws.Credentials
	err   error
}

func newContainer(address, token, tokenFile string) *container {
	return &container{
		address:   address,
		token:     token,
		tokenFile: tokenFile,
		http: newHTTPClient(&http.Transport{ // no proxy: what is fetched is nobody else's
			DialContext:       (&net.Dialer{Timeout: time.Second}).DialContext,
			DisableKeepAlives: true, // it is hours to the next fetch
		}),
		now: time.Now,
	}
}

// Retrieve implements aws.CredentialsProvider. Credentials that are due to be fetched anew are handed out while that goes on, as
// long as they are good; those who find none that are wait for the one fetch.
func (c *container) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c.mu.Lock()
	now, current := c.now(), c.current
	good := current.AccessKeyID != "" && (!current.CanExpire || now.Before(current.Expires))
	if c.under == nil && (!good || current.CanExpire && !now.Before(c.refresh)) {
		c.under = &fetch{done: make(chan struct{})}
		go c.renew(context.WithoutCancel(ctx), c.under) // it ends by fetchTimeout
	}
	under := c.under
	c.mu.Unlock()
	if good {
		return current, nil
	}
	select {
	case <-under.done:
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
	if under.err != nil {
		return aws.Credentials{}, fmt.Errorf("the container's credentials: %w", under.err)
	}
	return under.fresh, nil
}

// renew carries a fetch out.
func (c *container) renew(ctx context.Context, f *fetch) {
	f.fresh, f.err = c.fetch(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if f.err != nil {
		c.refresh = now.Add(fetchPause)
	} else {
		c.current = f.fresh
		c.refresh = f.fresh.Expires.Add(-min(refreshBefore, f.fresh.Expires.Sub(now)/4))
	}
	c.under = nil
	close(f.done)
}

// Invalidate makes the next Retrieve fetch anew, unless the credentials with the given access key id have already been replaced.
func (c *container) Invalidate(accessKeyID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.AccessKeyID == accessKeyID {
		c.current = aws.Credentials{}
	}
}

// fetch asks the endpoint. No error shows a token or what the endpoint sent.
func (c *container) fetch(ctx context.Context) (_ aws.Credentials, err error) {
	defer invoke.Recover("dynamodb", &err)
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address, nil)
	if err != nil {
		return aws.Credentials{}, errors.New("the address is not a URL")
	}
	token, err := c.authorization()
	if err != nil {
		return aws.Credentials{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return aws.Credentials{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return aws.Credentials{}, fmt.Errorf("the endpoint answers %d", resp.StatusCode)
	}
	return c.decode(io.LimitReader(resp.Body, maxCredentials))
}

func (c *container) decode(r io.Reader) (aws.Credentials, error) {
	var answer struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      *time.Time
	}
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return aws.Credentials{}, errors.New("the endpoint's answer is not what it should be")
	}
	if answer.AccessKeyID == "" || answer.SecretAccessKey == "" {
		return aws.Credentials{}, errors.New("the endpoint's answer has no access key")
	}
	fresh := aws.Credentials{AccessKeyID: answer.AccessKeyID, SecretAccessKey: answer.SecretAccessKey, SessionToken: answer.Token, Source: "container"}
	if answer.Expiration != nil {
		fresh.CanExpire, fresh.Expires = true, *answer.Expiration
		if !c.now().Before(fresh.Expires) {
			return aws.Credentials{}, errors.New("the endpoint's credentials have expired")
		}
	}
	return fresh, nil
}

// authorization returns the token that the endpoint wants; empty if it wants none.
func (c *container) authorization() (string, error) {
	token := c.token
	if c.tokenFile != "" {
		f, err := os.Open(c.tokenFile)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxCredentials))
		if err != nil {
			return "", err
		}
		token = string(bytes.TrimSpace(b))
	}
	if strings.ContainsAny(token, "\r\n") {
		return "", errors.New("the authorization token has a line break")
	}
	return token, nil
}
