package rpc

import (
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

// params are the parameters of one request, from query, form and JSON body; every name has one
// value.
type params url.Values

// get returns the value of a parameter and whether it was given.
func (p params) get(name string) (string, bool) {
	values, ok := p[name]
	if !ok || len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// values returns the parameters as the signature is made over them.
func (p params) values() url.Values { return url.Values(p) }

// The ways in which a body carries parameters.
const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// readParams reads the parameters of query and form. A parameter given twice is an error: two
// readers could take different ones. One that is given in both with the same value is one: some
// SDKs put RegionId into the query whatever the form has. A JSON body is left for later: it is
// signed as a whole, so nobody need look into it before the signature is proven.
//
// All of this is done for strangers too. More than MaxParams are refused before anything is
// allocated for one of them.
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
				Message: "The body has a content type that is not served; wanted " + formType + " or " + jsonType + "."}
		}
	}
	n := pairs(r.URL.RawQuery) + pairs(form)
	if n > MaxParams {
		return nil, false, errTooManyParams
	}
	p = make(params, pairs(r.URL.RawQuery))
	list := make([]string, 0, n) // of all values in one piece
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

// over adds the parameters of a query to those of a body. One that both have must have the same
// value.
func (p params) over(query params, twice *twiceNamed) params {
	for name, values := range query {
		if given, there := p[name]; there && given[0] != values[0] {
			twice.add(name)
		}
		p[name] = values
	}
	return p
}

// maxContentType is how long a content type may be, in bytes.
const maxContentType = 256

// contentType returns the type of the body, without its parameters; nothing for one that cannot be
// read.
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

// pairs returns how many parameters a text in URL encoding can have: as many as there are
// ampersands, and one more.
func pairs(text string) int {
	if text == "" {
		return 0
	}
	return strings.Count(text, "&") + 1
}

// A twiceNamed is the first by its bytes of the parameters that are given more than once, so that
// the same request always has the same answer.
type twiceNamed struct {
	name  string
	found bool
}

func (t *twiceNamed) add(name string) {
	if !t.found || name < t.name {
		t.name, t.found = name, true
	}
}

// err returns the error of a parameter that is given twice, if there is one.
func (t *twiceNamed) err() error {
	if !t.found {
		return nil
	}
	return twiceError(t.name)
}

// merge adds the members of a JSON body. One that is there already must have the same value.
func (p params) merge(more []document.Member) error {
	var twice twiceNamed
	for _, m := range more {
		text, ok := memberText(m.Value)
		if before, there := p[m.Key]; there && ok && before[0] != text {
			twice.add(m.Key)
		}
		if ok {
			p[m.Key] = []string{text}
		}
	}
	return twice.err()
}

func twiceError(name string) error {
	return &fault.Error{Code: fault.InvalidParameter, Param: shown(name),
		Message: fmt.Sprintf("Parameter %s is given more than once.", strconv.Quote(shown(name)))}
}

// shown returns a parameter's name as it may stand in an answer: a long one is none of ours.
func shown(name string) string {
	if len(name) > 64 {
		return name[:64] + "…"
	}
	return name
}

// split reads parameters in URL encoding into p, as url.ParseQuery does. Their values go to the end
// of list, which has room for them.
func (p params) split(where, text string, list []string, twice *twiceNamed) ([]string, error) {
	var decoded strings.Builder // of all in one piece
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
			return nil, &fault.Error{Code: fault.InvalidParameter, Message: "The " + where + " is not in URL encoding."}
		}
		if _, there := p[name]; there {
			twice.add(name)
			continue
		}
		list = append(list, value)
		p[name] = list[len(list)-1 : len(list) : len(list)]
	}
	return list, nil
}

// unescape returns what text in URL encoding stands for, and whether it is that. What it decodes
// goes to the end of b, which has room for it.
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
			if i+2 >= len(text) {
				return "", false
			}
			high, low := digit(text[i+1]), digit(text[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			b.WriteByte(byte(high<<4 | low))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()[from:], true
}

// digit returns the value of a hexadecimal digit, -1 of anything else.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parseJSON reads a body that is an object of at most so many parameters.
func parseJSON(text string, most int) ([]document.Member, error) {
	if membersAtLeast(text) > most {
		return nil, errTooManyParams
	}
	root, err := document.Parse("body", text)
	if err != nil {
		return nil, &fault.Error{Code: fault.InvalidParameter, Message: "The " + err.Error() + "."}
	}
	if root.Kind != document.Object {
		return nil, &fault.Error{Code: fault.InvalidParameter,
			Message: fmt.Sprintf("The body is %v; wanted a JSON object of parameters.", root.Kind)}
	}
	return root.Members, nil
}

// memberText returns the value of a parameter in JSON, and whether it has one. A string stands for
// itself, a number or a boolean for its text, null for nothing, and an array or an object for its
// JSON text, so that lists and a Configuration can be written as what they are.
func memberText(n *document.Node) (text string, ok bool) {
	switch n.Kind {
	case document.Array, document.Object:
		return n.String(), true
	case document.Literal:
		return n.Text, n.Text != "null"
	}
	return n.Text, true
}

// membersAtLeast returns how many members the object of a JSON text has: the commas right inside of
// it, and one more. Of what is not JSON it returns anything.
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

// A plan says how the parameters of one request type are found and read. It is made once, so that a
// request costs no look at its type.
type plan struct {
	fields []planned
}

type planned struct {
	name   string // of the parameter
	secret bool   // its value must not be seen
	of     reflect.Type
	read   func(field reflect.Value, name string, p params) error
}

// newPlan returns the plan of a request type. A type with a field that cannot be read is a mistake
// in the program, and panics.
func newPlan[Req any]() plan {
	t := reflect.TypeFor[Req]()
	var out plan
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("param")
		read := reader(f.Type)
		if name == "" || read == nil {
			panic("rpc: field " + f.Name + " of " + t.String() + " is no parameter")
		}
		secret := f.Type == reflect.TypeFor[secret.Text]() || f.Type == reflect.TypeFor[*secret.Text]()
		out.fields = append(out.fields, planned{name, secret, f.Type, read})
	}
	return out
}

// fill reads the parameters into in, a pointer to the plan's request type. Its error has all
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

// misspelt refuses parameters that are nearly one of the action's: ignored, they would do something
// else than was asked. Others that the action does not know are ignored, as OOS does.
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
			known = append(known, spellings(f.name)[1])
		}
	}
	slices.Sort(unknown) // so that the same request always has the same answer
	var mistakes []error
	for _, name := range unknown {
		head, _, _ := strings.Cut(name, ".")
		if nearest, ok := chat.Nearest(head, known); ok {
			message := fmt.Sprintf("Unknown parameter %s; did you mean %s?", strconv.Quote(shown(name)), nearest)
			mistakes = append(mistakes, &fault.Error{Code: fault.InvalidParameter,
				Param: shown(name), Message: message})
		}
	}
	return fault.Join(mistakes...)
}

// has reports whether name is a parameter.
func (pl plan) has(name string) bool {
	return slices.ContainsFunc(pl.fields, func(f planned) bool { return f.name == name })
}

// takes reports whether the parameter is read from one of this name: its own, or one in another
// form of a list.
func (f planned) takes(name string) bool {
	if !f.isList() {
		return name == f.name
	}
	head, _, _ := strings.Cut(name, ".")
	return head == f.name || head == spellings(f.name)[1]
}

// isList reports whether the parameter has several entries.
func (f planned) isList() bool { return f.of.Kind() == reflect.Slice || f.of.Kind() == reflect.Map }

// plain reports whether name is a parameter, or a part of a flattened one, whose value may be
// shown.
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
	case t.Kind() == reflect.Pointer && scalar(t.Elem()):
		return func(v reflect.Value, name string, p params) error {
			// Only of a string it may mean something that it is empty: to take away what was set.
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
			return invalidParam(name, "%s is not true or false.", strconv.Quote(shown(text)))
		}
	}
	return nil
}

func invalidParam(name, format string, args ...any) error {
	return &fault.Error{Code: fault.InvalidParameter, Param: name, Message: "Parameter " + name +
		": " + fmt.Sprintf(format, args...)}
}
