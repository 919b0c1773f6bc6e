package rpc

import (
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

// params are the parameters of one request, from query, form and JSON body. Every name has one
// value.
type params url.Values

func (p params) get(name string) (string, bool) {
	values, ok := p[name]
	if !ok || len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func (p params) values() url.Values { return url.Values(p) }

// The content types of a body.
const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// readParams reads the parameters of query and form. A parameter that is given twice is an error:
// two readers could use different values. Query and form may have the same parameter with the same
// value; some SDKs repeat RegionId. The JSON body is read after the signature is verified, because
// it is signed as a whole.
//
// Unauthenticated clients can call this. More than MaxParams are refused before any allocation for
// them.
func readParams(r *http.Request, body []byte) (p params, isJSON bool, err error) {
	var form string
	if len(body) > 0 {
		switch contentType(r.Header) {
		case formType:
			form = string(body)
		case jsonType:
			isJSON = true
		default:
			return nil, false, &fault.Error{Code: fault.InvalidParameter,
				Message: "Unknown Content-Type of the body; use " + formType + " or " + jsonType + "."}
		}
	}
	n := pairs(r.URL.RawQuery) + pairs(form)
	if n > MaxParams {
		return nil, false, errTooManyParams
	}
	p = make(params, pairs(r.URL.RawQuery))
	list := make([]string, 0, n) // one allocation for all values
	var twice twiceNamed
	list, err = p.split("query", r.URL.RawQuery, list, &twice)
	if err == nil && form != "" {
		inBody := make(params, pairs(form))
		if _, err = inBody.split("body", form, list, &twice); err == nil {
			p = inBody.over(p, &twice)
		}
	}
	if err == nil {
		err = twice.err()
	}
	return p, isJSON, err
}

// over adds the parameters of a query to those of a body. A parameter in both must have the same
// value.
func (p params) over(query params, twice *twiceNamed) params {
	for name, values := range query {
		if given, there := p[name]; there && given[0] != values[0] {
			*twice = append(*twice, name)
		}
		p[name] = values
	}
	return p
}

const maxContentType = 256

// contentType returns the media type of the body; empty if it is invalid.
func contentType(h http.Header) string {
	text := h.Get("Content-Type")
	if len(text) > maxContentType {
		return ""
	}
	kind, _, err := mime.ParseMediaType(text)
	if err != nil {
		return ""
	}
	return kind
}

// pairs returns the largest number of parameters that a URL-encoded text can have.
func pairs(text string) int {
	if text == "" {
		return 0
	}
	return strings.Count(text, "&") + 1
}

// twiceNamed are parameters that are given more than once.
type twiceNamed []string

// err names the first in byte order, so that the answer to a request is always the same.
func (t twiceNamed) err() error {
	if len(t) == 0 {
		return nil
	}
	name := shown(slices.Min(t))
	return fault.Invalid(name, "Parameter %q is given more than once; give it once.", name)
}

// merge adds the members of a JSON body. A parameter that exists must have the same value.
func (p params) merge(more []document.Member) error {
	var twice twiceNamed
	for _, m := range more {
		text, ok := memberText(m.Value)
		if before, there := p[m.Key]; there && ok && before[0] != text {
			twice = append(twice, m.Key)
		}
		if ok {
			p[m.Key] = []string{text}
		}
	}
	return twice.err()
}

// shown returns the name of a parameter for an answer, cut if it is long.
func shown(name string) string {
	if len(name) > 64 {
		return name[:64] + "…"
	}
	return name
}

// split reads URL-encoded parameters into p, as url.ParseQuery does. It appends their values to
// list, which has room for them.
func (p params) split(where, text string, list []string, twice *twiceNamed) ([]string, error) {
	var decoded strings.Builder // one allocation for all, since the request is unproven
	if strings.ContainsAny(text, "%+") {
		decoded.Grow(len(text))
	}
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, ok := unescape(&decoded, name)
		if ok {
			value, ok = unescape(&decoded, value)
		}
		if !ok || strings.Contains(part, ";") {
			return nil, &fault.Error{Code: fault.InvalidParameter, Message: "The " + where + " is not URL-encoded."}
		}
		if _, there := p[name]; there {
			*twice = append(*twice, name)
			continue
		}
		list = append(list, value)
		p[name] = list[len(list)-1 : len(list) : len(list)]
	}
	return list, nil
}

// unescape decodes URL-encoded text, and reports whether it is valid. It decodes into b, which has
// room.
func unescape(b *strings.Builder, text string) (string, bool) {
	if !strings.ContainsAny(text, "%+") {
		return text, true
	}
	from := b.Len()
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			b.WriteByte(' ')
		case '%':
			var decoded [1]byte
			digits := text[i+1 : min(i+3, len(text))]
			if _, err := hex.Decode(decoded[:], []byte(digits)); err != nil || len(digits) != 2 {
				return "", false
			}
			b.WriteByte(decoded[0])
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()[from:], true
}

// parseJSON reads a body that is an object with at most the given number of members.
func parseJSON(text string, most int) ([]document.Member, error) {
	if membersAtLeast(text) > most {
		return nil, errTooManyParams
	}
	root, err := document.Parse("body", text)
	if err != nil {
		return nil, &fault.Error{Code: fault.InvalidParameter, Message: "The " + err.Error() + "."}
	}
	if root.Kind != document.Object {
		return nil, fault.Invalid("", "The body is %v; write a JSON object of parameters.", root.Kind)
	}
	return root.Members, nil
}

// memberText returns the value of a parameter in JSON, and whether it has one. Null is no value.
// The value of an array or object is its JSON text, so lists and a Configuration can be plain JSON.
func memberText(n *document.Node) (text string, ok bool) {
	switch n.Kind {
	case document.Array, document.Object:
		return n.String(), true
	case document.Literal:
		return n.Text, n.Text != "null"
	}
	return n.Text, true
}

// membersAtLeast returns how many members the outermost object of a JSON text has. For other text
// the result has no meaning.
func membersAtLeast(text string) int {
	n, depth, quoted := 1, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 1:
			n++
		}
	}
	return n
}

// A plan tells how to read the parameters of one request type. It is made once, so that requests
// need not inspect the type.
type plan struct {
	fields []planned
}

type planned struct {
	name   string       // of the parameter
	secret bool         // its value must not be shown
	of     reflect.Type // without a pointer
	read   func(field reflect.Value, name string, p params) error
}

// newPlan returns the plan of a request type. It panics if a field has a type that no reader knows.
// It has no type parameter: a function would link it once for each request.
func newPlan(t reflect.Type) plan {
	var out plan
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("param")
		read := reader(f.Type)
		if name == "" || read == nil {
			panic("rpc: field " + f.Name + " of " + t.String() + " is not a parameter")
		}
		secret := f.Type == reflect.TypeFor[secret.Text]() || f.Type == reflect.TypeFor[*secret.Text]()
		of := f.Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		out.fields = append(out.fields, planned{name, secret, of, read})
	}
	return out
}

// fill reads the parameters into in, a pointer to the plan's request type. Its error lists all
// mistakes.
func (pl plan) fill(in any, p params) error {
	v := reflect.ValueOf(in).Elem()
	var mistakes []error
	for i, f := range pl.fields {
		if err := f.read(v.Field(i), f.name, p); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if err := pl.misspelt(p); err != nil {
		mistakes = append(mistakes, err)
	}
	return fault.Join(mistakes...)
}

// common are the parameters that clients send with any action.
// https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism
var common = map[string]bool{
	"AccessKeyId": true, "Action": true, "BearerToken": true, "Format": true, "RegionId": true,
	"SecureTransport": true, "SecurityToken": true, "Signature": true, "SignatureMethod": true,
	"SignatureNonce": true, "SignatureType": true, "SignatureVersion": true, "SourceIp": true,
	"Timestamp": true, "Version": true, "OwnerId": true, "OwnerAccount": true,
	"ResourceOwnerId": true, "ResourceOwnerAccount": true,
}

// misspelt refuses unknown parameters with a name similar to one of the action's: ignored, the
// request would do something else. Other unknown parameters are ignored, as OOS does.
func (pl plan) misspelt(p params) error {
	var unknown []string
	for name := range p {
		if !common[name] && !slices.ContainsFunc(pl.fields, func(f planned) bool { return f.takes(name) }) {
			unknown = append(unknown, name)
		}
	}
	if unknown == nil {
		return nil
	}
	known := make([]string, 0, 2*len(pl.fields))
	for _, f := range pl.fields {
		known = append(known, f.name)
		if f.isList() {
			known = append(known, namesOf(f.name)[1])
		}
	}
	slices.Sort(unknown) // so that the same request always has the same answer
	var mistakes []error
	for _, name := range unknown {
		head, _, _ := strings.Cut(name, ".")
		if nearest, ok := chat.Nearest(head, known); ok {
			mistakes = append(mistakes, fault.Invalid(shown(name), "Unknown parameter %q; did you mean %s?",
				shown(name), nearest))
		}
	}
	return fault.Join(mistakes...)
}

func (pl plan) has(name string) bool {
	return slices.ContainsFunc(pl.fields, func(f planned) bool { return f.name == name })
}

// takes reports whether name is the parameter, or a part of a flattened list.
func (f planned) takes(name string) bool {
	if !f.isList() {
		return name == f.name
	}
	head, _, _ := strings.Cut(name, ".")
	return head == f.name || head == namesOf(f.name)[1]
}

func (f planned) isList() bool { return f.of.Kind() == reflect.Slice || f.of.Kind() == reflect.Map }

// plain reports whether name is a parameter, or a part of a flattened list, whose value is not
// secret.
func (pl plan) plain(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	for _, f := range pl.fields {
		if name == f.name || name == strings.TrimSuffix(f.name, "s") {
			return !f.secret
		}
	}
	return false
}

func reader(t reflect.Type) func(reflect.Value, string, params) error {
	switch {
	case t == reflect.TypeFor[[]chat.Filter]():
		return readFilters
	case t == reflect.TypeFor[[]string]():
		return readList
	case t == reflect.TypeFor[map[string]string]():
		return readTags
	case t == reflect.TypeFor[*map[string]string]():
		return readNewTags
	case t.Kind() == reflect.Pointer && scalar(t.Elem()):
		return func(v reflect.Value, name string, p params) error {
			// Only an empty string has a meaning: it removes the value.
			if text, ok := p.get(name); !ok || text == "" && t.Elem() != reflect.TypeFor[string]() {
				return nil
			}
			v.Set(reflect.New(t.Elem()))
			return readScalar(v.Elem(), name, p)
		}
	case scalar(t):
		return readScalar
	}
	return nil
}

func scalar(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Int64 || t.Kind() == reflect.Bool
}

func readScalar(v reflect.Value, name string, p params) error {
	text, _ := p.get(name)
	if text == "" {
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return invalidParam(name, "%s is not a whole number; write one such as 10.", strconv.Quote(shown(text)))
		}
		v.SetInt(n)
	case reflect.Bool:
		switch {
		case strings.EqualFold(text, "true"):
			v.SetBool(true)
		case !strings.EqualFold(text, "false"):
			return invalidParam(name, "%s is not a boolean; write true or false.", strconv.Quote(shown(text)))
		}
	}
	return nil
}

func invalidParam(name, format string, args ...any) error {
	return fault.Invalid(name, "Parameter %s: %s", name, fmt.Sprintf(format, args...))
}
