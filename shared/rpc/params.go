package rpc

import (
	"cmp"
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

// fill reads the parameters into in, a pointer to the plan's request type.
func (pl plan) fill(in any, p params) error {
	v := reflect.ValueOf(in).Elem()
	for i, f := range pl.fields {
		if err := f.read(v.Field(i), f.name, p); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether name is a parameter.
func (pl plan) has(name string) bool {
	return slices.ContainsFunc(pl.fields, func(f planned) bool { return f.name == name })
}

// takes reports whether the parameter is read from one of this name: its own, or a part of it where it is a list or tags, as the
// readers of these spell it.
func (f planned) takes(name string) bool {
	list, _, flattened := strings.Cut(name, ".")
	singular := list == strings.TrimSuffix(f.name, "s")
	switch f.of {
	case reflect.TypeFor[[]chat.Filter]():
		return list == f.name
	case reflect.TypeFor[[]string]():
		return list == f.name || singular && flattened
	case reflect.TypeFor[map[string]string]():
		return list == f.name || singular
	}
	return name == f.name
}

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
			if _, ok := p.get(name); !ok {
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
	text, ok := p.get(name)
	if !ok {
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return invalidParam(name, "%s is not a whole number.", strconv.Quote(shown(text)))
		}
		v.SetInt(n)
	case reflect.Bool:
		switch {
		case strings.EqualFold(text, "true"):
			v.SetBool(true)
		case text != "" && !strings.EqualFold(text, "false"):
			return invalidParam(name, "%s is not true or false.", strconv.Quote(shown(text)))
		}
	}
	return nil
}

// readFilters reads a list of Name and Value: flattened, or as the JSON that the CLI passes through.
func readFilters(v reflect.Value, name string, p params) error {
	pairs, err := readPairs(name, "Name", p)
	if err != nil || pairs == nil {
		return err
	}
	filters := make([]chat.Filter, len(pairs))
	for i, pair := range pairs {
		filters[i] = chat.Filter{Name: pair[0], Value: pair[1]}
	}
	v.Set(reflect.ValueOf(filters))
	return nil
}

// readTags reads tags: a JSON object, a JSON list of Key and Value, or flattened as Tags.1.Key or Tag.1.Key.
func readTags(v reflect.Value, name string, p params) error {
	tags := make(map[string]string)
	add := func(key, value string) error {
		if _, twice := tags[key]; twice {
			return invalidParam(name, "the key %s stands there twice.", strconv.Quote(shown(key)))
		}
		tags[key] = value
		return nil
	}
	text, _ := p.get(name)
	isObject := strings.HasPrefix(strings.TrimSpace(text), "{")
	if isObject {
		root, err := document.Parse(name, text)
		if err != nil {
			return invalidParam(name, "%v.", err)
		}
		for _, m := range root.Members {
			value, err := scalarText(name+"."+shown(m.Key), m.Value)
			if err != nil {
				return err
			}
			if err := add(m.Key, value); err != nil {
				return err
			}
		}
	}
	for _, spelling := range [...]string{name, strings.TrimSuffix(name, "s")} {
		read := readPairs
		if isObject && spelling == name {
			read = flattenedPairs // what else there is
		}
		pairs, err := read(spelling, "Key", p)
		if err != nil {
			return err
		}
		for _, pair := range pairs {
			if err := add(pair[0], pair[1]); err != nil {
				return err
			}
		}
	}
	if len(tags) > 0 {
		v.Set(reflect.ValueOf(tags))
	}
	return nil
}

// readPairs reads a list of pairs, each of a first part (Name or Key) and a Value: name.1.Name, name.1.Value, …, or one parameter
// with a JSON array of objects, or some of them this way and some that.
func readPairs(name, first string, p params) ([][2]string, error) {
	text, ok := p.get(name)
	if !ok || text == "" {
		return flattenedPairs(name, first, p)
	}
	pairs, err := pairsFromJSON(name, first, text)
	if err != nil {
		return nil, err
	}
	more, err := flattenedPairs(name, first, p)
	return append(pairs, more...), err
}

func flattenedPairs(name, first string, p params) ([][2]string, error) {
	flat, err := flattened(name, p)
	if err != nil {
		return nil, err
	}
	var pairs [][2]string
	last := 0
	for _, f := range flat {
		if f.index != last {
			pairs, last = append(pairs, [2]string{}), f.index
		}
		pair := &pairs[len(pairs)-1]
		switch f.rest {
		case "." + first:
			pair[0] = f.value
		case ".Value":
			pair[1] = f.value
		default:
			return nil, invalidParam(name, "%s is not a part of it; wanted %s.%d.%s and %s.%d.Value.", strconv.Quote(shown(f.name)), name, f.index, first, name, f.index)
		}
	}
	for i, pair := range pairs {
		if pair[0] == "" {
			return nil, &chat.Error{Code: chat.MissingParameter, Param: name, Message: fmt.Sprintf("Entry %d of %s has no %s.", i+1, name, first)}
		}
	}
	return pairs, nil
}

func pairsFromJSON(name, first, text string) ([][2]string, error) {
	root, err := document.Parse(name, text)
	if err != nil {
		return nil, invalidParam(name, "%v.", err)
	}
	if root.Kind != document.Array {
		return nil, invalidParam(name, "it is %v; wanted an array of objects with %s and Value.", root.Kind, first)
	}
	pairs := make([][2]string, len(root.Items))
	for i, item := range root.Items {
		path := document.At(name, i)
		for _, m := range item.Members {
			value, err := scalarText(document.Under(path, m.Key), m.Value)
			if err != nil {
				return nil, err
			}
			switch m.Key {
			case first:
				pairs[i][0] = value
			case "Value":
				pairs[i][1] = value
			default:
				return nil, invalidParam(name, "%s is not a part of it; wanted %s and Value.", document.Under(path, m.Key), first)
			}
		}
		if pairs[i][0] == "" {
			return nil, invalidParam(name, "%s has no %s.", path, first)
		}
	}
	return pairs, nil
}

// readList reads a list of strings: a JSON array, a JSON object as the Go SDK makes it of a map, or flattened with the plural or the
// singular name (TagKeys.1, TagKey.1). Of an object the values count, in the order of its keys; where they are all empty or true, the keys.
func readList(v reflect.Value, name string, p params) error {
	var list []string
	if text, ok := p.get(name); ok && text != "" {
		root, err := document.Parse(name, text)
		if err != nil {
			return invalidParam(name, "%v.", err)
		}
		if list, err = listFromJSON(name, root); err != nil {
			return err
		}
	}
	for _, spelling := range [...]string{name, strings.TrimSuffix(name, "s")} {
		flat, err := flattened(spelling, p)
		if err != nil {
			return err
		}
		for _, f := range flat {
			if f.rest != "" {
				return invalidParam(name, "%s is not a part of it; wanted %s.%d.", strconv.Quote(shown(f.name)), name, f.index)
			}
			if !slices.Contains(list, f.value) { // Terraform sends TagKeys and TagKey.1 with the same content
				list = append(list, f.value)
			}
		}
	}
	if len(list) > 0 {
		v.Set(reflect.ValueOf(list))
	}
	return nil
}

func listFromJSON(name string, root *document.Node) ([]string, error) {
	switch root.Kind {
	case document.Array:
		list := make([]string, len(root.Items))
		for i, item := range root.Items {
			text, err := scalarText(document.At(name, i), item)
			if err != nil {
				return nil, err
			}
			list[i] = text
		}
		return list, nil
	case document.Object:
		members := slices.Clone(root.Members)
		slices.SortStableFunc(members, func(a, b document.Member) int {
			return cmp.Or(cmp.Compare(len(a.Key), len(b.Key)), strings.Compare(a.Key, b.Key)) // numbers in their order
		})
		keys, values, useKeys := make([]string, len(members)), make([]string, len(members)), true
		for i, m := range members {
			text, err := scalarText(document.Under(name, m.Key), m.Value)
			if err != nil {
				return nil, err
			}
			keys[i], values[i] = m.Key, text
			useKeys = useKeys && (text == "" || text == "true")
		}
		if useKeys {
			return keys, nil
		}
		return values, nil
	}
	return nil, invalidParam(name, "it is %v; wanted an array of strings.", root.Kind)
}

func scalarText(path string, n *document.Node) (string, error) {
	switch {
	case n.Kind == document.Literal && n.Text == "null":
		return "", nil
	case n.Kind == document.Array, n.Kind == document.Object:
		name, _, _ := strings.Cut(path, ".")
		name, _, _ = strings.Cut(name, "[")
		return "", invalidParam(name, "%s is %v; wanted a string.", path, n.Kind)
	}
	return n.Text, nil
}

// A flat is one parameter of a flattened list: name.index or name.index.rest.
type flat struct {
	name  string // all of it
	index int
	rest  string // with its dot, empty if there is none
	value string
}

// flattened returns the parameters that are parts of the list name, in the order of their indexes. An index is 1 to 1000; gaps are taken as they are.
func flattened(name string, p params) ([]flat, error) {
	var names []string
	for full := range p {
		if tail, ok := strings.CutPrefix(full, name); ok && strings.HasPrefix(tail, ".") {
			names = append(names, full)
		}
	}
	slices.Sort(names) // so that of several mistakes it is always the same one that is answered
	var out []flat
	for _, full := range names {
		number, rest := full[len(name)+1:], ""
		if i := strings.IndexByte(number, '.'); i >= 0 {
			number, rest = number[:i], number[i:]
		}
		index, err := strconv.Atoi(number)
		if err != nil || index < 1 || index > 1000 || number[0] == '+' || number[0] == '0' {
			return nil, invalidParam(name, "%s has no index of 1 to 1000.", strconv.Quote(shown(full)))
		}
		out = append(out, flat{full, index, rest, p[full][0]})
	}
	slices.SortFunc(out, func(a, b flat) int {
		return cmp.Or(cmp.Compare(a.index, b.index), strings.Compare(a.rest, b.rest))
	})
	return out, nil
}

func invalidParam(name, format string, args ...any) error {
	return &chat.Error{Code: chat.InvalidParameter, Param: name, Message: "Parameter " + name + ": " + fmt.Sprintf(format, args...)}
}
