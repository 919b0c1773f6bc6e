package rpc

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"chatconf/shared/fault"
)

// NoncesKept and MaxBuckets are the bounds of what a process remembers.
const (
	NoncesKept = noncesKept
	MaxBuckets = maxBuckets
)

// Nonces are what a process remembers of nonces.
type Nonces struct{ nonces }

// Use is use.
func (n *Nonces) Use(now time.Time, accessKeyID, nonce string) bool {
	return n.use(now, accessKeyID, nonce)
}

// Kept returns how many nonces are remembered.
func (n *Nonces) Kept() int { return len(n.young) + len(n.old) }

// A Throttle is a throttle at some rate.
type Throttle struct{ throttle }

// NewThrottle returns a throttle of so many requests per second.
func NewThrottle(rate float64) *Throttle { return &Throttle{throttle{rate: rate}} }

// Take is take.
func (t *Throttle) Take(now time.Time, key string) (seconds int, ok bool) { return t.take(now, key) }

// Buckets returns how many buckets there are.
func (t *Throttle) Buckets() int { return len(t.buckets) }

// Fill reads parameters into a new request.
func Fill[Req any](p url.Values) (*Req, error) {
	in := new(Req)
	if err := newPlan(reflect.TypeFor[Req]()).fill(in, params(p)); err != nil {
		return nil, err
	}
	return in, nil
}

// ParseJSON returns the parameters of a JSON body.
func ParseJSON(text string) (url.Values, error) {
	members, err := parseJSON(text, MaxParams)
	if err != nil {
		return nil, err
	}
	p := make(params)
	return p.values(), p.merge(members)
}

// MembersAtLeast is membersAtLeast.
var MembersAtLeast = membersAtLeast

// ReadParams returns the parameters of query and form.
func ReadParams(r *http.Request, body []byte) (url.Values, error) {
	p, _, err := readParams(r, body)
	return p.values(), err
}

// WireCodes returns the codes of the domain and of the gateway, as they go over the wire.
func WireCodes() []string {
	var codes []string
	for _, row := range onWire {
		codes = append(codes, row.code)
	}
	for _, f := range []*wireError{errNoAction, errVersion, errMethod, errKeyInactive, errNonceUsed,
		errBodyTooLarge, errHeadTooLarge} {
		codes = append(codes, f.code)
	}
	return codes
}

// Stream is stream.
func Stream(ctx context.Context, w http.ResponseWriter, out streamed) (begun bool, err error) {
	return stream(ctx, w, newHeaders(w), out)
}

// OnWire returns the status and the code of an error of the domain.
func OnWire(e *fault.Error) (status int, code string) {
	f := faultOf(e)
	return f.status, f.code
}
