// Package dynamodb is the table adapter for Amazon DynamoDB, through aws-sdk-go-v2.
//
// A table has a partition key p and a sort key s, both of type String, and no index. Ensure creates
// it.
//
//	p         S  partition key, UTF-8
//	s         S  sort key, UTF-8; DynamoDB orders by its bytes
//	value     B  left out when empty
//	revision  N
//	count     N  left out while nothing was added
//	written   N  milliseconds since 1970
//	ttl       N  seconds since 1970, when DynamoDB may delete the item; only with a time to live
//	mark      B  sixteen random bytes that identify a write of a single part
//
// Keys that are not UTF-8 are table.ErrInvalid. DynamoDB deletes expired items days late, so the
// adapter hides them, by its own clock, from every read and condition.
//
// A Write of a single part is a PutItem, UpdateItem or DeleteItem, at half the price and time of a
// transaction; several parts are one TransactWriteItems. The adapter retries by itself, not with
// the SDK's retryer:
//
//   - it retries a request that was not done (throttled, in conflict, not sent), with jitter, a
//     limited number of times;
//   - it also retries a read or a transaction with an unknown result: for ten minutes, DynamoDB
//     treats transactions with the same token as one;
//   - it does not retry a write of a single part with an unknown result, which could overwrite a
//     later write. It reads the item: if that has the mark of the write, the write was done, else
//     the error is table.ErrUnavailable.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// defaultTimeout bounds one request. The largest takes less; the usual one takes a hundredth.
const defaultTimeout = 5 * time.Second

// Options of a table.
type Options struct {
	// Region is the AWS region. It is required.
	Region string
	// Endpoint is the URL for requests. Default: AWS's endpoint of the region.
	Endpoint string
	// Credentials sign the requests: those of Environment, or of any provider of the SDK. They
	// are retrieved before every request; without credentials a call fails at once.
	Credentials aws.CredentialsProvider
	// Transport sends the requests. Default: a separate one.
	Transport http.RoundTripper
	// Timeout bounds one request; a call may make several. Default: five seconds.
	Timeout time.Duration
	// TTL is the time from the last write of an item until it expires. Zero: never.
	TTL time.Duration
	// Now is the clock. Default: time.Now.
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
	own         *http.Transport // closed with the table; nil if the caller gave one

	invalidating chan struct{} // holds one token; see invalidate

	gate table.Gate
}

var _ table.Table = (*Table)(nil)

// New returns the table with the given name. It does no I/O: the first call finds a missing table.
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

		gate: table.Gate{Text: true},
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

// validName reports whether name is a valid table name.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
func validName(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return len(name) >= 3 && len(name) <= 255 && strings.Trim(name, allowed) == ""
}

// newHTTPClient returns a client that follows no redirects: a signature is for one host.
func newHTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewTransport returns a transport, which tables may share. A function is frozen between
// invocations; a write on a connection that the server has closed meanwhile has an unknown result.
// So the transport closes idle connections before a server or gateway does, by the wall clock,
// which continues while the function is frozen.
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
