// Package dynamotest replaces DynamoDB in tests: the operations that the adapter uses, as
// documented, with DynamoDB's errors and the capacity that it charges.
package dynamotest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"chatconf/shared/table"
)

// A Server is DynamoDB with one table, of any name, in memory. It is an http.Handler, and an
// http.RoundTripper that needs no network.
type Server struct {
	// Batch limits the items of one BatchGetItem. Zero: only the limit of 16 MB. Set it before
	// the first request.
	Batch int

	mu     sync.Mutex
	items  map[table.Key]Row
	tokens map[string]string // of completed transactions, with their bodies
	cost   Cost
}

// A Cost is the cost of requests.
type Cost struct {
	Requests    map[string]int // by operation
	Read, Write float64        // capacity units
}

// A Row is an item, a Value one attribute, such as {"S": "text"}.
type (
	Value map[string]string
	Row   map[string]Value
)

type request struct {
	TableName, KeyConditionExpression, ConditionExpression, UpdateExpression, ProjectionExpression string

	Item, Key, ExclusiveStartKey Row
	ExpressionAttributeNames     map[string]string
	ExpressionAttributeValues    map[string]Value
	ConsistentRead               bool
	ScanIndexForward             *bool
	Limit                        int
	ClientRequestToken           string
	RequestItems                 map[string]struct {
		Keys           []Row
		ConsistentRead bool
	}
	TransactItems []struct{ Put, Delete, Update *request }

	ReturnValuesOnConditionCheckFailure string
}

// A Failure is the body of an error.
type Failure struct {
	Type    string   `json:"__type"`
	Message string   `json:"message"`
	Item    Row      `json:",omitempty"`
	Reasons []Reason `json:"CancellationReasons,omitempty"`
}

// A Reason is why one part of a transaction failed; Code is None if it did not.
type Reason struct {
	Code string
	Item Row `json:",omitempty"`
}

// Error returns the type and the message.
func (f *Failure) Error() string { return f.Type + ": " + f.Message }

func invalid(format string, args ...any) error {
	return &Failure{Type: "com.amazon.coral.validate#ValidationException", Message: fmt.Sprintf(format, args...)}
}

// New returns a Server without items.
func New() *Server {
	return &Server{items: make(map[table.Key]Row), tokens: make(map[string]string),
		cost: Cost{Requests: make(map[string]int)}}
}

// Cost returns the cost since the last Reset. Refused requests count, but cost no units.
func (s *Server) Cost() Cost {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cost
	c.Requests = maps.Clone(c.Requests)
	return c
}

// Reset sets Cost to zero.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost = Cost{Requests: make(map[string]int)}
}

// Item returns the item under a key; nil if none. Do not change it.
func (s *Server) Item(k table.Key) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[k]
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := s.RoundTrip(r)
	if err != nil { // the request broke off
		panic(http.ErrAbortHandler)
	}
	send(w, resp)
}

func send(w http.ResponseWriter, resp *http.Response) {
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body) // the client may be gone
}

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") {
		return Answer(r, 400, Failure{Type: "MissingAuthenticationTokenException"}), nil
	}
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	result, err := s.do(op, body)
	if err != nil {
		return Answer(r, 400, err), nil
	}
	return Answer(r, 200, result), nil
}

// Answer returns an answer to r with a JSON body.
func Answer(r *http.Request, status int, body any) *http.Response {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(bytes.NewReader(b)), Request: r}
}

func (s *Server) do(op string, body []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost.Requests[op]++
	var in request
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, invalid("%v", err)
	}
	switch op {
	case "GetItem":
		return s.getLocked(in)
	case "BatchGetItem":
		return s.batchGetLocked(in)
	case "Query":
		return s.queryLocked(in)
	case "Scan":
		return s.scanLocked(in)
	case "TransactWriteItems":
		return s.transactLocked(in, string(body))
	case "PutItem", "DeleteItem", "UpdateItem":
		k, after, err := s.changeLocked(in, op)
		if err == nil {
			s.applyLocked(k, after, 1)
		}
		return struct{}{}, err
	default:
		return nil, &Failure{Type: "UnknownOperationException"}
	}
}

func (s *Server) getLocked(in request) (any, error) {
	k, err := keyOf(in.Key)
	if err != nil || !in.ConsistentRead {
		return nil, cmp.Or(err, invalid("not consistent"))
	}
	item := s.items[k]
	s.cost.Read += units(size(item), 4096)
	if in.ProjectionExpression != "" {
		item = Row{in.ProjectionExpression: item[in.ProjectionExpression]}
		maps.DeleteFunc(item, func(_ string, v Value) bool { return v == nil })
	}
	if len(item) == 0 {
		return struct{}{}, nil
	}
	return map[string]Row{"Item": item}, nil
}

func (s *Server) batchGetLocked(in request) (any, error) {
	found, left := map[string][]Row{}, map[string]any{}
	for name, of := range in.RequestItems {
		if len(of.Keys) == 0 || len(of.Keys) > 100 || !of.ConsistentRead {
			return nil, invalid("%d keys, consistent %v", len(of.Keys), of.ConsistentRead)
		}
		bytes, rest := 0, []Row{}
		for i, key := range of.Keys {
			k, err := keyOf(key)
			if err != nil {
				return nil, err
			}
			item := s.items[k]
			if bytes += size(item); bytes > 16<<20 || s.Batch > 0 && i >= s.Batch {
				rest = append(rest, key)
				continue
			}
			s.cost.Read += units(size(item), 4096)
			if item != nil {
				found[name] = append(found[name], item)
			}
		}
		if len(rest) > 0 {
			left[name] = map[string]any{"Keys": rest, "ConsistentRead": true}
		}
	}
	return map[string]any{"Responses": found, "UnprocessedKeys": left}, nil
}

func (s *Server) queryLocked(in request) (any, error) {
	e, err := parse(in, in.KeyConditionExpression, "")
	if err != nil || !in.ConsistentRead || in.Limit < 0 {
		return nil, cmp.Or(err, invalid("not consistent, or limit %d", in.Limit))
	}
	forward := in.ScanIndexForward == nil || *in.ScanIndexForward
	var keys []table.Key
	for k, item := range s.items {
		if e.holds(item) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b table.Key) int { return strings.Compare(a.Sort, b.Sort) })
	if !forward {
		slices.Reverse(keys)
	}
	start, after := table.Key{}, in.ExclusiveStartKey != nil
	if after {
		if start, err = keyOf(in.ExclusiveStartKey); err != nil {
			return nil, err
		}
		if !e.holds(in.ExclusiveStartKey) {
			return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
		}
	}
	page, bytes, last := []Row{}, 0, Row(nil)
	for _, k := range keys {
		item := s.items[k]
		if after && (forward && k.Sort <= start.Sort || !forward && k.Sort >= start.Sort) {
			continue
		}
		page = append(page, item)
		if bytes += size(item); bytes >= 1<<20 || len(page) == in.Limit {
			last = Row{"p": item["p"], "s": item["s"]}
			break
		}
	}
	s.cost.Read += units(bytes, 4096)
	return map[string]any{"Items": page, "Count": len(page), "LastEvaluatedKey": last}, nil
}

// scanLocked scans in the order of a hash of the partition, as DynamoDB does.
func (s *Server) scanLocked(in request) (any, error) {
	if !in.ConsistentRead || in.Limit < 0 || in.ProjectionExpression != "p, s" {
		return nil, invalid("not consistent, limit %d, or projection %q", in.Limit, in.ProjectionExpression)
	}
	compare := func(a, b table.Key) int {
		hashA, hashB := sha256.Sum256([]byte(a.Partition)), sha256.Sum256([]byte(b.Partition))
		return cmp.Or(bytes.Compare(hashA[:], hashB[:]), strings.Compare(a.Sort, b.Sort))
	}
	keys := slices.SortedFunc(maps.Keys(s.items), compare)
	if in.ExclusiveStartKey != nil {
		start, err := keyOf(in.ExclusiveStartKey)
		if err != nil {
			return nil, err
		}
		keys = slices.DeleteFunc(keys, func(k table.Key) bool { return compare(k, start) <= 0 })
	}
	page, bytes, last := []Row{}, 0, Row(nil)
	for _, k := range keys {
		item := s.items[k]
		key := Row{"p": item["p"], "s": item["s"]}
		page = append(page, key)
		if bytes += size(item); bytes >= 1<<20 || len(page) == in.Limit {
			last = key
			break
		}
	}
	s.cost.Read += units(bytes, 4096)
	return map[string]any{"Items": page, "Count": len(page), "LastEvaluatedKey": last}, nil
}

// changeLocked returns the key and the new item of a PutItem, DeleteItem or UpdateItem; nil:
// deleted.
func (s *Server) changeLocked(in request, op string) (table.Key, Row, error) {
	key := in.Key
	if op == "PutItem" {
		key = Row{"p": in.Item["p"], "s": in.Item["s"]}
	}
	k, err := keyOf(key)
	if err != nil {
		return k, nil, err
	}
	e, err := parse(in, cmp.Or(in.ConditionExpression, "p = p OR attribute_not_exists(p)"), in.UpdateExpression)
	if err != nil {
		return k, nil, err
	}
	old := s.items[k]
	if !e.holds(old) {
		failed := &Failure{Type: "ConditionalCheckFailedException"}
		if in.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
			failed.Item = old
		}
		return k, nil, failed
	}
	after := in.Item
	switch op {
	case "DeleteItem":
		return k, nil, nil
	case "UpdateItem":
		if after = maps.Clone(old); after == nil {
			after = maps.Clone(in.Key)
		}
		e.update(in.UpdateExpression, after)
	}
	if size(after) > 400<<10 {
		return k, nil, invalid("Item size has exceeded the maximum allowed size")
	}
	return k, after, nil
}

func (s *Server) applyLocked(k table.Key, after Row, factor float64) {
	s.cost.Write += factor * units(max(size(s.items[k]), size(after)), 1024)
	if s.items[k] = after; after == nil {
		delete(s.items, k)
	}
}

func (s *Server) transactLocked(in request, body string) (any, error) {
	if was, ok := s.tokens[in.ClientRequestToken]; ok && in.ClientRequestToken != "" {
		if was != body {
			return nil, &Failure{Type: "IdempotentParameterMismatchException"}
		}
		return struct{}{}, nil
	}
	changes, reasons, bytes, canceled := map[table.Key]Row{}, []Reason{}, 0, false
	for _, part := range in.TransactItems {
		op, one := "UpdateItem", part.Update
		switch {
		case part.Put != nil:
			op, one = "PutItem", part.Put
		case part.Delete != nil:
			op, one = "DeleteItem", part.Delete
		}
		k, after, err := s.changeLocked(*one, op)
		why := Reason{Code: "None"}
		if failed, ok := err.(*Failure); ok && failed.Type == "ConditionalCheckFailedException" {
			why, canceled = Reason{Code: "ConditionalCheckFailed", Item: failed.Item}, true
		} else if err != nil {
			return nil, err
		}
		if _, twice := changes[k]; twice {
			return nil, invalid("Transaction request cannot include multiple operations on one item")
		}
		changes[k] = after
		bytes += size(after)
		reasons = append(reasons, why)
	}
	switch {
	case len(reasons) == 0 || len(reasons) > 100 || bytes > 4<<20:
		return nil, invalid("%d parts of %d bytes", len(reasons), bytes)
	case canceled:
		return nil, &Failure{Type: "TransactionCanceledException", Reasons: reasons}
	}
	for k, after := range changes {
		s.applyLocked(k, after, 2)
	}
	s.tokens[in.ClientRequestToken] = body
	return struct{}{}, nil
}

func keyOf(r Row) (table.Key, error) {
	k := table.Key{Partition: r["p"]["S"], Sort: r["s"]["S"]}
	if len(r) != 2 || k.Partition == "" || len(k.Partition) > 2048 || k.Sort == "" || len(k.Sort) > 1024 {
		return k, invalid("The provided key element does not match the schema")
	}
	return k, nil
}

func size(r Row) int {
	n := 0
	for name, v := range r {
		n += len(name) + len(v["S"]) + len(v["N"])/2 + base64.StdEncoding.DecodedLen(len(v["B"]))
	}
	return n
}

func units(bytes, per int) float64 { return float64(max(1, (bytes+per-1)/per)) }
