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
)

// params are the parameters of one request, from query, form and JSON body; every name has one value.
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

// readParams merges the parameters of query and form. A parameter given twice, wherever, is an error: two readers could take different ones.
// A JSON body is left for later: it is signed as a whole, so nobody need look into it before the signature is proven.
func readParams(r *http.Request, body []byte) (p params, isJSON bool, err error) {
	query, err := parseForm("query", r.URL.RawQuery)
	if err != nil {
		return nil, false, err
	}
	p = params(query)
	var form url.Values
	if len(body) > 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case err == nil && kind == formType:
			form, err = parseForm("body", string(body))
		case err == nil && kind == jsonType:
			isJSON = true
		default:
			return nil, false, &chat.Error{Code: chat.InvalidParameter, Message: "The body has a content type that is not served; wanted " + formType + " or " + jsonType + "."}
		}
		if err != nil {
			return nil, false, err
		}
	}
	return p, isJSON, p.merge(form)
}

// merge adds more parameters. One that is there twice then is an error.
func (p params) merge(more url.Values) error {
	for name, values := range more {
		p[name] = append(p[name], values...)
	}
	if name, twice := firstTwice(p); twice {
		return twiceError(name)
	}
	return nil
}

// firstTwice returns the first name by its bytes that has more than one value, so that the same request always has the same answer.
func firstTwice(p params) (first string, twice bool) {
	for name, values := range p {
		if len(values) > 1 && (!twice || name < first) {
			first, twice = name, true
		}
	}
	return first, twice
}

func twiceError(name string) error {
	return &chat.Error{Code: chat.InvalidParameter, Param: shown(name), Message: fmt.Sprintf("Parameter %s is given more than once.", strconv.Quote(shown(name)))}
}

// shown returns a parameter's name as it may stand in an answer: a long one is none of ours.
func shown(name string) string {
	if len(name) > 64 {
		return name[:64] + "…"
	}
	return name
}

// parseForm reads parameters in URL encoding, as url.ParseQuery does but with one slice behind all values.
func parseForm(where, text string) (url.Values, error) {
	n := min(strings.Count(text, "&")+1, 64) // a guess: whoever sends more ampersands than that gets no memory for them
	values, list := make(url.Values, n), make([]string, 0, n)
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil || strings.Contains(part, ";") { // err would quote the text
			return nil, &chat.Error{Code: chat.InvalidParameter, Message: "The " + where + " is not in URL encoding."}
		}
		if before, twice := values[name]; twice {
			values[name] = append(before, value)
			continue
		}
		list = append(list, value)
		values[name] = list[len(list)-1 : len(list) : len(list)]
	}
	return values, nil
}

// parseJSON reads a body that is an object of parameters. A string stands for itself, a number or a boolean for its text, null for nothing,
// and an array or an object for its JSON text, so that lists and a Configuration can be written as what they are.
func parseJSON(text string) (url.Values, error) {
	root, err := document.Parse("body", text)
	if err != nil {
		return nil, &chat.Error{Code: chat.InvalidParameter, Message: "The " + err.Error() + "."}
	}
	if root.Kind != document.Object {
		return nil, &chat.Error{Code: chat.InvalidParameter, Message: fmt.Sprintf("The body is %v; wanted a JSON object of parameters.", root.Kind)}
	}
	values := make(url.Values, len(root.Members))
	for _, m := range root.Members {
		switch {
		case m.Value.Kind == document.Array, m.Value.Kind == document.Object:
			values.Set(m.Key, m.Value.String())
		case m.Value.Kind != document.Literal || m.Value.Text != "null":
			values.Set(m.Key, m.Value.Text)
		}
	}
	return values, nil
}

// A plan says how the parameters of one request type are found and read. It is made once, so that a request costs no look at its type.
type plan struct {
	fields []planned
}

type planned struct {
	name   string // of the parameter
	secret bool   // its value must not be seen
	of     reflect.Type
	read   func(field reflect.Value, name string, p params) error
}

// newPlan returns the plan of a request type. A type with a field that cannot be read is a mistake in the program, and panics.
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
		secret := f.Type == reflect.TypeFor[chat.Secret]() || f.Type == reflect.TypeFor[*chat.Secret]()
		out.fields = append(out.fields, planned{name, secret, f.Type, read})
	}
	return out
}

// fill reads the parameters into in, a pointer to the plan's request type. Its error has all mistakes.
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
	return chat.Join(mistakes...)
}

// common are the parameters that clients send with any action. https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism
var common = map[string]bool{
	"AccessKeyId": true, "Action": true, "BearerToken": true, "Format": true, "RegionId": true, "SecureTransport": true, "SecurityToken": true,
	"Signature": true, "SignatureMethod": true, "SignatureNonce": true, "SignatureType": true, "SignatureVersion": true, "SourceIp": true,
	"Timestamp": true, "Version": true, "OwnerId": true, "OwnerAccount": true, "ResourceOwnerId": true, "ResourceOwnerAccount": true,
}

// misspelt refuses parameters that are nearly one of the action's: ignored, they would do something else than was asked. Others that
// the action does not know are ignored, as OOS does.
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
			mistakes = append(mistakes, &chat.Error{Code: chat.InvalidParameter, Param: shown(name), Message: message})
		}
	}
	return chat.Join(mistakes...)
}

// has reports whether name is a parameter.
func (pl plan) has(name string) bool {
	return slices.ContainsFunc(pl.fields, func(f planned) bool { return f.name == name })
}

// takes reports whether the parameter is read from one of this name: its own, or one in another form of a list.
func (f planned) takes(name string) bool {
	if !f.isList() {
		return name == f.name
	}
	head, _, _ := strings.Cut(name, ".")
	return head == f.name || head == spellings(f.name)[1]
}

// isList reports whether the parameter has several entries.
func (f planned) isList() bool { return f.of.Kind() == reflect.Slice || f.of.Kind() == reflect.Map }

// plain reports whether name is a parameter, or a part of a flattened one, whose value may be shown.
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
	return &chat.Error{Code: chat.InvalidParameter, Param: name, Message: "Parameter " + name + ": " + fmt.Sprintf(format, args...)}
}
