package dynamodb_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"chatconf/shared/table"
)

// A fake is DynamoDB as an http.RoundTripper, as far as the adapter uses it: what its documentation says, with the mistakes
// refused that it refuses, and the capacity counted that it charges. It has one table, of any name.
type fake struct {
	mu       sync.Mutex
	items    map[table.Key]row
	tokens   map[string]string // of transactions that were done, and what they were
	requests map[string]int    // by operation
	read     float64           // capacity units
	write    float64
	batch    int // the most items of one BatchGetItem; zero is what 16 MB hold
}

// A row is an item, a value one attribute of it: {"S": "text"}.
type (
	value map[string]string
	row   map[string]value
)

// A request is any of those that the adapter sends.
type request struct {
	TableName, KeyConditionExpression, ConditionExpression, UpdateExpression, ProjectionExpression string

	Item, Key, ExclusiveStartKey row
	ExpressionAttributeNames     map[string]string
	ExpressionAttributeValues    map[string]value
	ConsistentRead               bool
	ScanIndexForward             *bool
	Limit                        int
	ClientRequestToken           string
	RequestItems                 map[string]struct {
		Keys           []row
		ConsistentRead bool
	}
	TransactItems []struct{ Put, Delete, Update *request }

	ReturnValuesOnConditionCheckFailure string
}

// A failure is an answer of status 400, but for the code InternalServerError.
type failure struct {
	Type    string   `json:"__type"`
	Message string   `json:"message"`
	Item    row      `json:",omitempty"`
	Reasons []reason `json:"CancellationReasons,omitempty"`
}

type reason struct {
	Code string
	Item row `json:",omitempty"`
}

func (f *failure) Error() string { return f.Type + ": " + f.Message }

func invalid(format string, args ...any) error {
	return &failure{Type: "com.amazon.coral.validate#ValidationException", Message: fmt.Sprintf(format, args...)}
}

func newFake() *fake {
	return &fake{items: make(map[table.Key]row), tokens: make(map[string]string), requests: make(map[string]int)}
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") {
		return answer(r, 400, failure{Type: "MissingAuthenticationTokenException"}), nil
	}
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	result, err := f.do(op, body)
	if err != nil {
		return answer(r, 400, err), nil
	}
	return answer(r, 200, result), nil
}

func answer(r *http.Request, status int, body any) *http.Response {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(b)), Request: r}
}

func (f *fake) do(op string, body []byte) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[op]++
	var in request
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, invalid("%v", err)
	}
	switch op {
	case "GetItem":
		return f.getLocked(in)
	case "BatchGetItem":
		return f.batchGetLocked(in)
	case "Query":
		return f.queryLocked(in)
	case "TransactWriteItems":
		return f.transactLocked(in, string(body))
	case "PutItem", "DeleteItem", "UpdateItem":
		k, after, err := f.changeLocked(in, op)
		if err == nil {
			f.applyLocked(k, after, 1)
		}
		return struct{}{}, err
	default:
		return nil, &failure{Type: "UnknownOperationException"}
	}
}

func (f *fake) getLocked(in request) (any, error) {
	k, err := keyOf(in.Key)
	if err != nil || !in.ConsistentRead {
		return nil, cmp.Or(err, invalid("not consistent"))
	}
	item := f.items[k]
	f.read += units(size(item), 4096)
	if in.ProjectionExpression != "" {
		item = row{in.ProjectionExpression: item[in.ProjectionExpression]}
		maps.DeleteFunc(item, func(_ string, v value) bool { return v == nil })
	}
	if len(item) == 0 {
		return struct{}{}, nil
	}
	return map[string]row{"Item": item}, nil
}

func (f *fake) batchGetLocked(in request) (any, error) {
	found, left := map[string][]row{}, map[string]any{}
	for name, of := range in.RequestItems {
		if len(of.Keys) == 0 || len(of.Keys) > 100 || !of.ConsistentRead {
			return nil, invalid("%d keys, consistent %v", len(of.Keys), of.ConsistentRead)
		}
		bytes, rest := 0, []row{}
		for i, key := range of.Keys {
			k, err := keyOf(key)
			if err != nil {
				return nil, err
			}
			item := f.items[k]
			if bytes += size(item); bytes > 16<<20 || f.batch > 0 && i >= f.batch {
				rest = append(rest, key)
				continue
			}
			f.read += units(size(item), 4096)
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

func (f *fake) queryLocked(in request) (any, error) {
	e, err := parse(in, in.KeyConditionExpression)
	if err != nil || !in.ConsistentRead || in.Limit < 0 {
		return nil, cmp.Or(err, invalid("not consistent, or limit %d", in.Limit))
	}
	forward := in.ScanIndexForward == nil || *in.ScanIndexForward
	var keys []table.Key
	for k, item := range f.items {
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
	page, bytes, last := []row{}, 0, row(nil)
	for _, k := range keys {
		item := f.items[k]
		if after && (forward && k.Sort <= start.Sort || !forward && k.Sort >= start.Sort) {
			continue
		}
		page = append(page, item)
		if bytes += size(item); bytes >= 1<<20 || len(page) == in.Limit {
			last = row{"p": item["p"], "s": item["s"]}
			break
		}
	}
	f.read += units(bytes, 4096)
	return map[string]any{"Items": page, "Count": len(page), "LastEvaluatedKey": last}, nil
}

// changeLocked returns what a PutItem, DeleteItem or UpdateItem makes of which item; nil is none.
func (f *fake) changeLocked(in request, op string) (table.Key, row, error) {
	key := in.Key
	if op == "PutItem" {
		key = row{"p": in.Item["p"], "s": in.Item["s"]}
	}
	k, err := keyOf(key)
	if err != nil {
		return k, nil, err
	}
	e, err := parse(in, cmp.Or(in.ConditionExpression, "p = p OR attribute_not_exists(p)"), in.UpdateExpression)
	if err != nil {
		return k, nil, err
	}
	old := f.items[k]
	if !e.holds(old) {
		failed := &failure{Type: "ConditionalCheckFailedException"}
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
		if err := e.update(in.UpdateExpression, after); err != nil {
			return k, nil, err
		}
	}
	if size(after) > 400<<10 {
		return k, nil, invalid("Item size has exceeded the maximum allowed size")
	}
	return k, after, nil
}

func (f *fake) applyLocked(k table.Key, after row, factor float64) {
	f.write += factor * units(max(size(f.items[k]), size(after)), 1024)
	if f.items[k] = after; after == nil {
		delete(f.items, k)
	}
}

func (f *fake) transactLocked(in request, body string) (any, error) {
	if was, ok := f.tokens[in.ClientRequestToken]; ok && in.ClientRequestToken != "" {
		if was != body {
			return nil, &failure{Type: "IdempotentParameterMismatchException"}
		}
		return struct{}{}, nil
	}
	changes, reasons, bytes, canceled := map[table.Key]row{}, []reason{}, 0, false
	for _, part := range in.TransactItems {
		op, one := "UpdateItem", part.Update
		switch {
		case part.Put != nil:
			op, one = "PutItem", part.Put
		case part.Delete != nil:
			op, one = "DeleteItem", part.Delete
		}
		k, after, err := f.changeLocked(*one, op)
		why := reason{Code: "None"}
		if failed, ok := err.(*failure); ok && failed.Type == "ConditionalCheckFailedException" {
			why, canceled = reason{Code: "ConditionalCheckFailed", Item: failed.Item}, true
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
		return nil, &failure{Type: "TransactionCanceledException", Reasons: reasons}
	}
	for k, after := range changes {
		f.applyLocked(k, after, 2)
	}
	f.tokens[in.ClientRequestToken] = body
	return struct{}{}, nil
}

func keyOf(r row) (table.Key, error) {
	k := table.Key{Partition: r["p"]["S"], Sort: r["s"]["S"]}
	if len(r) != 2 || k.Partition == "" || len(k.Partition) > 2048 || k.Sort == "" || len(k.Sort) > 1024 {
		return k, invalid("The provided key element does not match the schema")
	}
	return k, nil
}

func size(r row) int {
	n := 0
	for name, v := range r {
		n += len(name) + len(v["S"]) + len(v["N"])/2 + base64.StdEncoding.DecodedLen(len(v["B"]))
	}
	return n
}

func units(bytes, per int) float64 { return float64(max(1, (bytes+per-1)/per)) }

// An expression is what is left to read of one, and what its names and values stand for.
type expression struct {
	in     request
	source []string
	tokens []string
	item   row
}

var token = regexp.MustCompile(`[(),]|<=|>=|[<>=]|[#:]?\w+`)

// parse returns condition, once it is certain that the request's names and values are used, and no reserved word.
func parse(in request, condition string, others ...string) (*expression, error) {
	all := strings.Join(append(others, condition), " ")
	tokens := token.FindAllString(all, -1)
	for name := range in.ExpressionAttributeNames {
		if !slices.Contains(tokens, name) {
			return nil, invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for name := range in.ExpressionAttributeValues {
		if !slices.Contains(tokens, name) {
			return nil, invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	for _, word := range []string{"count", "ttl", "value"} {
		if slices.Contains(tokens, word) {
			return nil, invalid("Attribute name is a reserved keyword; reserved keyword: %s", word)
		}
	}
	return &expression{in: in, source: token.FindAllString(condition, -1)}, nil
}

// holds reports whether the expression holds for r. It panics when it has a wrong form.
func (e *expression) holds(r row) bool {
	e.tokens, e.item = e.source, r
	ok := e.or()
	if len(e.tokens) > 0 {
		panic("expression " + strings.Join(e.source, " "))
	}
	return ok
}

func (e *expression) next() (t string) {
	t, e.tokens = e.tokens[0], e.tokens[1:]
	return t
}

func (e *expression) take(t string) bool {
	if len(e.tokens) == 0 || e.tokens[0] != t {
		return false
	}
	e.tokens = e.tokens[1:]
	return true
}

func (e *expression) or() bool {
	ok := e.and()
	for e.take("OR") {
		right := e.and()
		ok = ok || right
	}
	return ok
}

func (e *expression) and() bool {
	ok := e.term()
	for e.take("AND") {
		right := e.term()
		ok = ok && right
	}
	return ok
}

func (e *expression) term() (ok bool) {
	switch {
	case e.take("("):
		ok = e.or()
		e.next()
	case e.take("attribute_not_exists"):
		e.next()
		ok = e.operand() == nil
		e.next()
	case e.take("begins_with"):
		e.next()
		a := e.operand()
		e.next()
		ok = strings.HasPrefix(a["S"], e.operand()["S"])
		e.next()
	default:
		a, op, b := e.operand(), e.next(), e.operand()
		if a == nil || b == nil {
			return false
		}
		c := strings.Compare(a["S"], b["S"])
		if a["N"] != "" {
			c = number(a).Cmp(number(b))
		}
		ok = op == "=" && c == 0 || op == "<" && c < 0 || op == "<=" && c <= 0 || op == ">" && c > 0 || op == ">=" && c >= 0
	}
	return ok
}

// operand returns what the next token stands for; nil is nothing.
func (e *expression) operand() value {
	t := e.next()
	if t[0] == ':' {
		v, ok := e.in.ExpressionAttributeValues[t]
		if !ok {
			panic("no value " + t)
		}
		return v
	}
	return e.item[e.name(t)]
}

func (e *expression) name(t string) string { return cmp.Or(e.in.ExpressionAttributeNames[t], t) }

func number(v value) *big.Int {
	n, ok := new(big.Int).SetString(cmp.Or(v["N"], "0"), 10)
	if !ok {
		panic("number " + v["N"])
	}
	return n
}

// update does the ADD and the SET of an update expression to r.
func (e *expression) update(source string, r row) error {
	e.tokens, e.item = token.FindAllString(source, -1), r
	for len(e.tokens) > 0 {
		switch verb := e.next(); verb {
		case "ADD":
			name := e.name(e.next())
			sum := new(big.Int).Add(number(r[name]), number(e.operand()))
			r[name] = value{"N": sum.String()}
		case "SET", ",":
			name := e.name(e.next())
			e.next()
			var v value
			if e.take("if_not_exists") {
				e.next()
				old := e.operand()
				e.next()
				if v = e.operand(); old != nil {
					v = old
				}
				e.next()
			} else {
				v = e.operand()
			}
			r[name] = v
		default:
			return invalid("update expression %s", source)
		}
	}
	return nil
}
