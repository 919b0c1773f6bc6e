// Package tablestore is the table adapter for Alibaba Cloud Tablestore, through its Go SDK.
//
// A table has two primary keys of type string, partition and sort, and keeps one version of each
// column. Its keys are text: what is not UTF-8 is ErrInvalid. The columns of a row are those of an
// item (value, revision, count, and written in milliseconds) and write, a random number of the
// Write that touched the row last. By that number an adapter that did not get an answer finds out
// whether its Write has happened.
//
// A Write of one part is a PutRow, UpdateRow or DeleteRow, which Tablestore does wholly or not at
// all. One of several parts is a BatchWriteRow with is_atomic. What that guarantees is little
// documented: the API reference says that the batch is then executed "as atomic operations"
// (https://www.alibabacloud.com/help/en/tablestore/developer-reference/batchwriterow), the SDK
// (BatchWriteRowRequest) that the rows of a table must share their partition key, and neither says
// what the failed condition of one row does to the others. The adapter takes atomic at its word:
// all or nothing. `chatconf tables check` puts that to the proof on a real instance.
//
// Reads are strongly consistent: Tablestore has no other kind on a table's own rows, and no request
// to ask for one.
package tablestore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// The columns of a table. The first two are its primary key.
const (
	partitionColumn = "partition"
	sortColumn      = "sort"
	valueColumn     = "value"    // blob; absent when it is empty
	revisionColumn  = "revision" // integer
	countColumn     = "count"    // integer; absent until an add
	writtenColumn   = "written"  // integer, milliseconds since 1970 by the writer's clock
	writeColumn     = "write"    // integer, the number of the Write that touched the row last
)

// Limits of the service, as far as they are narrower than the port's. 200 rows a batch, 100 a read,
// 2 MB a column and 1 KB of UTF-8 a key are wider, or the same.
// (https://help.aliyun.com/en/tablestore/product-overview/limits-on-widecolumn-model)
const (
	// maxBatch is the size in bytes of all rows of one request.
	maxBatch = 4 << 20
	// maxName is the length of a table's name: the service takes 255, the SDK 100.
	maxName = 100
	// minTTL is the shortest time to live of a table, in seconds: a day.
	minTTL = 24 * 60 * 60
)

// Options of a table. Endpoint and Instance are required.
type Options struct {
	// Endpoint is the instance's URL: scheme, host and port. Inside Alibaba Cloud it is the one of
	// the VPC.
	Endpoint string
	// Instance is the instance's name.
	Instance string
	// Credentials are used for calls whose context carries none (invoke.From).
	Credentials invoke.Credentials
	// TTL is how long after they were last written the table's items vanish, in steps of a
	// millisecond. Zero is never.
	TTL time.Duration
	// Now is the clock that items are written by, and come of age by. Nil is time.Now.
	Now func() time.Time
	// Transport carries the requests. Tables that share one share its connections. Nil is one of
	// NewTransport for this table.
	Transport http.RoundTripper
}

// A Table is one table of an instance.
type Table struct {
	name        string
	endpoint    string
	instance    string
	credentials func() invoke.Credentials // a function, so that they are not seen when the Table is printed
	ttl         time.Duration
	now         func() time.Time
	newID       func() int64 // of a Write
	transport   http.RoundTripper
	own         *http.Transport // the transport, if no other table shares it
	sessions    sync.Pool       // of *session

	gate table.Gate
}

var _ table.Table = (*Table)(nil)

// New returns the table with the given name. It sends nothing: whether there is such a table, the
// first call finds out.
func New(name string, o Options) (*Table, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	switch {
	case !isName(name):
		return nil, fmt.Errorf("tablestore: invalid table name %q; use 1 to %d letters, "+
			"digits or underscores, the first "+
			"not a digit: %w", name, maxName, table.ErrInvalid)
	case !isInstance(o.Instance):
		return nil, fmt.Errorf("tablestore: invalid instance name %q; use letters, digits and hyphens: %w",
			o.Instance, table.ErrInvalid)
	case o.TTL < 0, o.TTL%time.Millisecond != 0, o.TTL > math.MaxInt32/2*time.Second:
		return nil, fmt.Errorf("tablestore: invalid time to live %v; use whole milliseconds: %w",
			o.TTL, table.ErrInvalid)
	}
	t := &Table{
		name:        name,
		endpoint:    endpoint,
		instance:    o.Instance,
		credentials: func() invoke.Credentials { return o.Credentials },
		ttl:         o.TTL,
		now:         o.Now,
		newID:       rand.Int64,
		transport:   o.Transport,
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.transport == nil {
		t.own = NewTransport()
		t.transport = t.own
	}
	t.sessions.New = func() any { return newSession(t) }
	return t, nil
}

// NewTransport returns a transport that suits the service: HTTP/1.1 on connections that are kept,
// no proxy, no compression.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout: 3 * time.Second,
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 100,
		IdleConnTimeout:     25 * time.Second, // the SDK's own: the service closes what idles for longer
		DisableCompression:  true,
	}
}

// parseEndpoint returns the endpoint as the SDK wants it: no slash at its end.
func parseEndpoint(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		// the error would show a password in it
		return "", fmt.Errorf("tablestore: invalid endpoint; use an http or https URL with only a host: %w",
			table.ErrInvalid)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("tablestore: invalid endpoint %q; use an http or https URL with only a host: %w",
			u.Redacted(), table.ErrInvalid)
	}
	return u.Scheme + "://" + u.Host, nil
}

// isName reports whether s can be the name of a table.
func isName(s string) bool {
	for i := range len(s) {
		if digit := '0' <= s[i] && s[i] <= '9'; !isLetter(s[i]) && s[i] != '_' && (!digit || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// isInstance reports whether s can be the name of an instance, at least as far as a header can
// carry it.
func isInstance(s string) bool {
	for i := range len(s) {
		if digit := '0' <= s[i] && s[i] <= '9'; !isLetter(s[i]) && s[i] != '-' && !digit {
			return false
		}
	}
	return s != ""
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// Close implements table.Table.
func (t *Table) Close() error {
	t.gate.Close()
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	return nil
}

// engineTTL returns the time to live that the table in the instance must have, in seconds; -1 is
// none. It is an hour longer than that of the items, so that a writer whose clock is behind loses
// nothing early.
func (t *Table) engineTTL() int {
	if t.ttl == 0 {
		return -1
	}
	return max(minTTL, int((t.ttl+time.Hour+time.Second-1)/time.Second))
}
