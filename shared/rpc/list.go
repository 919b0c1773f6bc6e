package rpc

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// A list parameter can have every form that some client sends, under its name or its singular:
//
//	Tags=[…]            JSON: an array, an object, a string
//	Tags=env=prod       plain text: one entry
//	Tags.1.Key=env      flattened; an entry that is a string is Tags.1
//	Tags.Tag.1.Key=env  flattened, with both names
//
// A request may mix the forms. An element that is given twice counts once: Terraform sends two
// forms.

// An element is one entry of a list in a request.
type element struct {
	path string // for errors
	node *document.Node
	flat bool // not written as JSON
}

// A takeWhole returns the elements of a list that is JSON, but not an array.
type takeWhole func(path string, root *document.Node) ([]element, error)

// maxListMistakes is how many mistakes in one list are reported.
const maxListMistakes = 20

// namesOf returns the names of a list: its own and the singular.
func namesOf(name string) [2]string { return [2]string{name, strings.TrimSuffix(name, "s")} }

// readList reads a list of strings. The Go SDK sends a map as a JSON object; its values are the
// list, in the order of the keys. If all values are empty or true, the keys are the list.
func readList(v reflect.Value, name string, p params) error {
	const form = `write a JSON list such as ["ops"]`
	elements, err := elementsOf(name, form, p, func(path string, root *document.Node) ([]element, error) {
		return stringsFromJSON(name, path, root)
	})
	mistakes := []error{err}
	list := make([]string, 0, len(elements))
	seen := make(map[string]bool, len(elements))
	for _, e := range elements {
		if len(mistakes) > maxListMistakes {
			break
		}
		if e.node.Kind == document.Array || e.node.Kind == document.Object {
			mistakes = append(mistakes, invalidParam(name, "%s is %v; %s.", e.path, e.node.Kind, form))
			continue
		}
		text := textOf(e.node)
		if seen[text] || e.flat && text == "" {
			continue
		}
		seen[text] = true
		list = append(list, text)
	}
	if len(list) > 0 {
		v.Set(reflect.ValueOf(list))
	}
	return fault.Join(mistakes...)
}

// stringsFromJSON returns the strings of a list that is JSON, but not an array.
func stringsFromJSON(name, path string, root *document.Node) ([]element, error) {
	if root.Kind != document.Object {
		return []element{{path: path, node: root}}, nil
	}
	members := slices.Clone(root.Members)
	slices.SortStableFunc(members, func(a, b document.Member) int {
		return cmp.Or(cmp.Compare(len(a.Key), len(b.Key)), strings.Compare(a.Key, b.Key)) // numbers in their order
	})
	keys, values, useKeys := make([]element, len(members)), make([]element, len(members)), true
	for i, m := range members {
		at := document.Under(path, m.Key)
		keys[i] = element{path: at, node: &document.Node{Kind: document.String, Text: m.Key}}
		values[i] = element{path: at, node: m.Value}
		text := textOf(m.Value)
		useKeys = useKeys && m.Value.Kind < document.Array && (text == "" || text == "true")
	}
	if useKeys {
		return keys, nil
	}
	return values, nil
}

// parts describe the entries of a list of pairs.
type parts struct {
	first, second []string // names of the part, the usual one first
	form          string
}

var (
	filterParts = parts{[]string{"Name"}, []string{"Value"}, `write [{"Name":"Type","Value":"DingTalk"}]`}
	tagParts    = parts{[]string{"Key", "TagKey"}, []string{"Value", "TagValue"}, `write {"env":"prod"}`}
)

func readFilters(v reflect.Value, name string, p params) error {
	pairs, err := readPairs(name, filterParts, p)
	if len(pairs) == 0 {
		return err
	}
	filters := make([]chat.Filter, len(pairs))
	for i, pair := range pairs {
		filters[i] = chat.Filter{Name: pair[0], Value: pair[1]}
	}
	v.Set(reflect.ValueOf(filters))
	return err
}

// readTags reads a list of Key and Value. A key has one value.
func readTags(v reflect.Value, name string, p params) error {
	pairs, err := readPairs(name, tagParts, p)
	mistakes := []error{err}
	tags := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if before, twice := tags[pair[0]]; twice && before != pair[1] && len(mistakes) <= maxListMistakes {
			key := strconv.Quote(shown(pair[0]))
			mistakes = append(mistakes, invalidParam(name, "the key %s has two different values; give one.", key))
		}
		tags[pair[0]] = pair[1]
	}
	if len(tags) > 0 {
		v.Set(reflect.ValueOf(tags))
	}
	return fault.Join(mistakes...)
}

// readNewTags reads tags that replace all others. An empty object or array removes all. A text that
// is empty, or an entry that was sent empty, changes nothing.
func readNewTags(v reflect.Value, name string, p params) error {
	tags := make(map[string]string)
	err := readTags(reflect.ValueOf(&tags).Elem(), name, p)
	given := len(tags) > 0
	for _, alias := range namesOf(name) {
		text, _ := p.get(alias)
		given = given || strings.TrimSpace(text) != ""
	}
	if given {
		v.Set(reflect.ValueOf(&tags))
	}
	return err
}

// readPairs reads a list of pairs. A JSON object is one pair if its members have the names of the
// parts; else each member is a pair.
func readPairs(name string, parts parts, p params) ([][2]string, error) {
	elements, err := elementsOf(name, parts.form, p, func(path string, root *document.Node) ([]element, error) {
		if root.Kind != document.Object || parts.areNames(root) {
			return []element{{path: path, node: root}}, nil
		}
		list := make([]element, len(root.Members))
		for i, m := range root.Members {
			first := &document.Node{Kind: document.String, Text: m.Key}
			pair := []document.Member{{Key: parts.first[0], Value: first}, {Key: parts.second[0], Value: m.Value}}
			node := &document.Node{Kind: document.Object, Members: pair}
			list[i] = element{path: document.Under(path, m.Key), node: node}
		}
		return list, nil
	})
	mistakes := []error{err}
	var pairs [][2]string
	for _, e := range elements {
		if len(mistakes) > maxListMistakes {
			break
		}
		pair, ok, err := parts.read(name, e)
		switch {
		case err != nil:
			mistakes = append(mistakes, err)
		case ok:
			pairs = append(pairs, pair)
		}
	}
	return pairs, fault.Join(mistakes...)
}

// areNames reports whether an object is one pair: it has exactly the two parts.
func (p parts) areNames(n *document.Node) bool {
	first := slices.ContainsFunc(p.first, func(name string) bool { return n.Get(name) != nil })
	second := slices.ContainsFunc(p.second, func(name string) bool { return n.Get(name) != nil })
	return first && second && len(n.Members) == 2
}

// read returns an element as a pair; ok is false if it was sent empty.
func (p parts) read(name string, e element) (pair [2]string, ok bool, err error) {
	if e.node.Kind == document.String && strings.HasPrefix(strings.TrimSpace(e.node.Text), "{") {
		n, err := document.Parse(e.path, e.node.Text)
		if err != nil {
			return pair, false, invalidParam(name, "%v; %s.", err, p.form)
		}
		e.node, e.flat = n, false
	}
	switch e.node.Kind {
	case document.Object:
		return p.readObject(name, e)
	case document.String:
		if strings.TrimSpace(e.node.Text) == "" && e.flat {
			return pair, false, nil
		}
		first, second, ok := strings.Cut(e.node.Text, "=")
		if !ok || first == "" {
			return pair, false, invalidParam(name, "%s has no %s; %s.", e.path, p.first[0], p.form)
		}
		return [2]string{first, second}, true, nil
	}
	return pair, false, invalidParam(name, "%s is %v; %s.", e.path, e.node.Kind, p.form)
}

func (p parts) readObject(name string, e element) (pair [2]string, ok bool, err error) {
	var mistakes []error
	given := [2]bool{}
	for _, m := range e.node.Members {
		at := document.Under(e.path, m.Key)
		i := 0
		switch {
		case slices.Contains(p.first, m.Key):
		case slices.Contains(p.second, m.Key):
			i = 1
		default:
			mistakes = append(mistakes, invalidParam(name, "unknown member %s; use %s.%s and %s.%s.",
				at, e.path, p.first[0], e.path, p.second[0]))
			continue
		}
		switch {
		case m.Value.Kind == document.Array || m.Value.Kind == document.Object:
			mistakes = append(mistakes, invalidParam(name, "%s is %v; use a string.", at, m.Value.Kind))
		case given[i] && pair[i] != textOf(m.Value):
			mistakes = append(mistakes, invalidParam(name,
				"%s has two names in the request, with different values; give one.", at))
		}
		pair[i], given[i] = textOf(m.Value), true
		if len(mistakes) > maxListMistakes {
			break
		}
	}
	if len(mistakes) > 0 {
		return pair, false, fault.Join(mistakes...)
	}
	if pair[0] == "" && e.flat && pair[1] == "" {
		return pair, false, nil
	}
	if pair[0] == "" && (e.flat || !given[0]) {
		err := invalidParam(name, "%s has no %s; %s.", e.path, p.first[0], p.form)
		if e.flat {
			err = &fault.Error{Code: fault.MissingParameter, Param: name, Message: err.Error()}
		}
		return pair, false, err
	}
	return pair, true, nil
}

// elementsOf returns the elements of a list in all its forms, those in JSON first. whole splits a
// JSON text that is not an array.
func elementsOf(name, form string, p params, whole takeWhole) ([]element, error) {
	var list []element
	var mistakes []error
	for _, alias := range namesOf(name) {
		text, ok := p.get(alias)
		if ok = ok && strings.TrimSpace(text) != ""; !ok {
			continue
		}
		root, err := parseList(name, alias, text, form)
		switch {
		case err != nil:
			mistakes = append(mistakes, err)
		case root.Kind == document.Array:
			for i, item := range root.Items {
				list = append(list, element{path: document.At(alias, i), node: item})
			}
		default:
			more, err := whole(alias, root)
			list, mistakes = append(list, more...), append(mistakes, err)
		}
	}
	for _, alias := range namesOf(name) {
		flat, err := flattened(name, alias, p)
		list, mistakes = append(list, flat...), append(mistakes, err)
	}
	return list, fault.Join(mistakes...)
}

// parseList reads the text of a whole list: JSON, or one entry in plain text. A text that could be
// several entries is an error.
func parseList(name, alias, text, form string) (*document.Node, error) {
	trimmed := strings.TrimSpace(text)
	if !strings.ContainsAny(trimmed[:1], `[{"`) {
		switch {
		case trimmed == "null":
			return nil, invalidParam(name, "%s is null; leave the parameter out, or %s.", alias, form)
		case strings.ContainsAny(trimmed, ",;[]{}\"\n"):
			return nil, invalidParam(name, "%s could be one entry or several; %s.", strconv.Quote(shown(trimmed)), form)
		}
		return &document.Node{Kind: document.String, Text: trimmed}, nil
	}
	root, err := document.Parse(alias, text)
	if err != nil {
		return nil, invalidParam(name, "%v; %s.", err, form)
	}
	return root, nil
}

// flattened returns the elements of a list that are flattened under one name, in the order of their
// indexes. An index is 1 to 1000; there may be gaps.
func flattened(name, alias string, p params) ([]element, error) {
	var names []string
	for full := range p {
		if strings.HasPrefix(full, alias) && strings.HasPrefix(full[len(alias):], ".") {
			names = append(names, full)
		}
	}
	slices.Sort(names) // so that the same request always gets the same answer
	var list []element
	var mistakes []error
	byPath := make(map[string]*document.Node)
	indexes := make(map[string]int)
	for _, full := range names {
		if len(mistakes) > maxListMistakes {
			break
		}
		path, index, part, ok := splitFlat(name, alias, full)
		if !ok {
			const form = "%s has no index from 1 to 1000; write %s.1."
			mistakes = append(mistakes, invalidParam(name, form, strconv.Quote(shown(full)), name))
			continue
		}
		value := &document.Node{Kind: document.String, Text: p[full][0]}
		n := byPath[path]
		switch {
		case n != nil && (n.Kind == document.String || part == ""):
			mistakes = append(mistakes, invalidParam(name, "%s is given as a whole and in parts; give one of the two.",
				path))
			continue
		case part == "":
			n = value
		case n == nil:
			n = &document.Node{Kind: document.Object}
		}
		if part != "" {
			n.Members = append(n.Members, document.Member{Key: part, Value: value})
		}
		if byPath[path] == nil {
			byPath[path], indexes[path] = n, index
			list = append(list, element{path: path, node: n, flat: true})
		}
	}
	slices.SortStableFunc(list, func(a, b element) int { return cmp.Compare(indexes[a.path], indexes[b.path]) })
	return list, fault.Join(mistakes...)
}

// splitFlat splits the name of a flattened parameter into the path of the entry, its index and its
// part.
func splitFlat(name, alias, full string) (path string, index int, part string, ok bool) {
	path, rest := alias, full[len(alias)+1:]
	for _, inner := range namesOf(name) {
		if after, nested := strings.CutPrefix(rest, inner+"."); nested {
			path, rest = path+"."+inner, after
			break
		}
	}
	number, part, parted := strings.Cut(rest, ".")
	index, err := strconv.Atoi(number)
	if err != nil || index < 1 || index > 1000 || number[0] == '+' || number[0] == '0' || parted && part == "" {
		return "", 0, "", false
	}
	return path + "." + number, index, part, true
}

// textOf returns the text of a scalar; null is empty.
func textOf(n *document.Node) string {
	if n.Kind == document.Literal && n.Text == "null" {
		return ""
	}
	return n.Text
}
