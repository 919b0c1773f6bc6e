// Package tablestore is the table adapter for Alibaba Cloud Tablestore, through its Go SDK.
//
// A table has two primary keys of type string, partition and sort, and one version of each column.
// Keys that are not UTF-8 are table.ErrInvalid. The columns of a row are value, revision, count,
// written (in milliseconds) and write, a random number of the last Write of the row. After a lost
// answer, this number tells the adapter whether its Write was done.
//
// A Write of one part is a PutRow, UpdateRow or DeleteRow, each of which is atomic. A Write of
// several parts is a BatchWriteRow with is_atomic. Its guarantee is poorly documented. The API
// reference says that the batch is executed "as atomic operations"
// (https://www.alibabacloud.com/help/en/tablestore/developer-reference/batchwriterow); the SDK
// (BatchWriteRowRequest) says that the rows of a table must share their partition key. Neither says
// how the failed condition of one row affects the others. The adapter relies on all or nothing;
// `chatconf tables check` tests that on a real instance.
//
// Reads are strongly consistent: Tablestore has no other reads of a table.
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
	"chatconf/shared/secret"
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

// Limits of the service that are narrower than the port's. The others are 200 rows in a batch, 100
// in a read, 2 MB in a column and 1 KB in a key.
// (https://help.aliyun.com/en/tablestore/product-overview/limits-on-widecolumn-model)
const (
	// maxBatch is the size of all rows of one request, in bytes.
	maxBatch = 4 << 20
	// maxName is the length of a table's name: the service takes 255, the SDK 100.
	maxName = 100
	// minTTL is the shortest time to live of a table, in seconds: a day.
	minTTL = 24 * 60 * 60
)

// Options of a table. Endpoint and Instance are required.
type Options struct {
	secret.Hidden

	// Endpoint is the URL of the instance: scheme, host and port. Inside Alibaba Cloud, use the
	// VPC endpoint.
	Endpoint string
	// Instance is the name of the instance.
	Instance string
	// Credentials are used if the context of a call has none (invoke.From).
	Credentials invoke.Credentials
	// TTL is the time from the last write of an item until it expires, in whole milliseconds.
	// Zero: never.
	TTL time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Transport sends the requests. Tables can share one and its connections. Default: a
	// separate one.
	Transport http.RoundTripper
}

// A Table is one table of an instance.
type Table struct {
	name        string
	endpoint    string
	instance    string
	credentials func() invoke.Credentials // a function, so that printing the Table does not show them
	ttl         time.Duration
	now         func() time.Time
	newID       func() int64 // for the column write
	transport   http.RoundTripper
	own         *http.Transport // the transport, if no other table shares it
	sessions    sync.Pool       // of *session

	gate table.Gate
}

var _ table.Table = (*Table)(nil)

// New returns the table with the given name. It does no I/O: the first call finds a missing table.
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
		gate:        table.Gate{Text: true},
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

// NewTransport returns a transport for the service: HTTP/1.1, persistent connections, no proxy, no
// compression.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout: 3 * time.Second,
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 100,
		IdleConnTimeout:     25 * time.Second, // as in the SDK: the service closes idle connections later
		DisableCompression:  true,
	}
}

// parseEndpoint returns the endpoint in the SDK's form, without a slash at its end.
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

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func isName(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, alphanumeric+"_") == "" && (s[0] < '0' || s[0] > '9')
}

// isInstance reports whether s can be the name of an instance, at least as far as a header can
// carry it.
func isInstance(s string) bool { return s != "" && strings.Trim(s, alphanumeric+"-") == "" }

// Close implements table.Table.
func (t *Table) Close() error {
	t.gate.Close()
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	return nil
}

// engineTTL returns the time to live of the table in the instance, in seconds; -1: none. It is an
// hour longer than that of the items, so a writer with a slow clock loses nothing too early.
func (t *Table) engineTTL() int {
	if t.ttl == 0 {
		return -1
	}
	return max(minTTL, int((t.ttl+time.Hour+time.Second-1)/time.Second))
}
