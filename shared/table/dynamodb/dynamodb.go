// Package dynamodb is the table adapter for Amazon DynamoDB, through aws-sdk-go-v2.
//
// A table has a partition key p and a sort key s, both of type String, and needs no index. Ensure
// makes one.
//
//	p         S  partition key, UTF-8
//	s         S  sort key, UTF-8; DynamoDB orders by its bytes
//	value     B  left out when empty
//	revision  N
//	count     N  left out while nothing was added
//	written   N  milliseconds since 1970
//	ttl       N  seconds since 1970 at which DynamoDB may remove the item; only in tables with a time to live
//	mark      B  sixteen random bytes that tell one write of a single part from all others; see Table.Write
//
// Keys that are not UTF-8 are table.ErrInvalid. DynamoDB removes what is over age days late, so
// that the adapter hides it by its own clock from every read and every condition.
//
// A single part of a Write is a PutItem, UpdateItem or DeleteItem, at half the price and time of a
// transaction of one; several are one TransactWriteItems. The adapter sends again by itself, not
// through the SDK's retryer, because what is safe to send again is a matter of what is sent and of
// what became of it:
//
//   - what was not done (throttled, in conflict with another transaction, not sent) is sent again, with jitter, a bounded number
//     of times;
//   - a read, and a transaction, which carries a token, are also sent again when nobody knows whether they were done: DynamoDB
//     makes one of all requests with the same token for ten minutes;
//   - a write of a single part is not: sent again, it could trip over itself, or overwrite what somebody has put in the meantime.
//     It is read back; if the item bears its mark it was done, else the Write ends with table.ErrUnavailable.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// defaultTimeout is of one request. It is enough for the largest, and some hundred times what the
// usual one takes.
const defaultTimeout = 5 * time.Second

// Options of a table.
type Options struct {
	// Region is the AWS region that requests are signed for. It is required.
	Region string
	// Endpoint is the URL that requests go to. Empty is AWS's own of the region.
	Endpoint string
	// Credentials sign the requests. Environment makes them of what functions find in their
	// environment; any other provider of the SDK will do. They are asked before every request, and
	// a call that gets none fails at once. Nil is none.
	Credentials aws.CredentialsProvider
	// Transport carries the requests. Nil is one of the table's own.
	Transport http.RoundTripper
	// Timeout is how long one request may take before it counts as lost; a call may make several.
	// Zero is five seconds.
	Timeout time.Duration
	// TTL is how long after they were last written the table's items vanish. Zero is never.
	TTL time.Duration
	// Now is the clock. Nil is time.Now.
	Now func() time.Time
}

// A Table is one DynamoDB table.
type Table struct {
	name        string
	client      *dynamodb.Client
	http        *http.Client
	credentials aws.CredentialsProvider
	timeout     time.Duration
	ttl         time.Duration
	now         func() time.Time
	sleep       func(ctx context.Context, d time.Duration) error
	own         *http.Transport // to be closed with the table; nil if the transport is somebody else's

	invalidating chan struct{} // holds one token, for whoever compares the credentials with those that were refused

	gate table.Gate
}

var _ table.Table = (*Table)(nil)

// New returns the table with the given name. It does no I/O: what is wrong with the table shows in
// the first call.
func New(name string, o Options) (*Table, error) {
	if err := check(name, o); err != nil {
		return nil, fmt.Errorf("table: dynamodb: %w", err)
	}
	t := &Table{
		name:        name,
		credentials: o.Credentials,
		timeout:     o.Timeout,
		ttl:         o.TTL,
		now:         o.Now,
		sleep:       invoke.Sleep,

		invalidating: make(chan struct{}, 1),
	}
	if t.timeout == 0 {
		t.timeout = defaultTimeout
	}
	if t.now == nil {
		t.now = time.Now
	}
	if o.Transport == nil {
		t.own = NewTransport()
		o.Transport = t.own
	}
	t.http = newHTTPClient(o.Transport)
	options := dynamodb.Options{ // once adds the credentials
		Region:                o.Region,
		Retryer:               aws.NopRetryer{}, // see the package comment
		HTTPClient:            &exchange{client: t.http},
		AccountIDEndpointMode: aws.AccountIDEndpointModeDisabled,
		DefaultsMode:          aws.DefaultsModeLegacy,

		DisableValidateResponseChecksum: true, // readAnswer does
	}
	if o.Endpoint != "" {
		options.BaseEndpoint = &o.Endpoint
	}
	t.client = dynamodb.New(options)
	return t, nil
}

// check returns what is wrong with the arguments of New.
func check(name string, o Options) error {
	if !validName(name) {
		return fmt.Errorf("invalid table name %q; use 3 to 255 letters, digits, dots, dashes or underscores", name)
	}
	if o.Region == "" {
		return errors.New("set the region")
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("invalid endpoint; use an http or https URL")
		}
	}
	if o.TTL < 0 || o.Timeout < 0 {
		return fmt.Errorf("a time to live of %v and a timeout of %v: neither may be negative", o.TTL, o.Timeout)
	}
	return nil
}

// validName reports whether name may be a table's.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return len(name) >= 3 && len(name) <= 255
}

// newHTTPClient returns a client that follows no redirect: what is signed is for one host.
func newHTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewTransport returns a transport, which tables may share. It gives connections up before a server
// or a gateway does: a function is frozen between invocations; what it finds afterwards in a
// connection that the other side has long closed is a write with an unknown outcome. The transport
// compares idle times by the wall clock, which goes on.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   3 * time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   64,
		ExpectContinueTimeout: time.Second,
	}
}

// Close implements table.Table.
func (t *Table) Close() error {
	t.gate.Close()
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	return nil
}
