package callback

import (
	"chatconf/shared/document"
)

// Fields are the members of a JSON object. A key is exact and occurs once; null counts as absent.
// If a member has another kind than the one it is read as, Err returns the first such mistake, for
// all fields of the same text.
type Fields struct {
	node *document.Node
	path string
	bad  *error
}

// Object reads a JSON object. Its error is a *Refusal of StepDecode.
func Object(path, text string) (Fields, error) {
	node, err := document.Parse(path, text)
	if err != nil {
		return Fields{}, Refuse(StepDecode, "%v", err)
	}
	if node.Kind != document.Object {
		return Fields{}, Refuse(StepDecode, "%s is %s; it must be an object", path, node.Kind)
	}
	return Fields{node, path, new(error)}, nil
}

// Err returns the first thing that was wrong.
func (f Fields) Err() error { return *f.bad }

// Has reports whether there is a member of this name that is not null.
func (f Fields) Has(key string) bool { return f.get(key) != nil }

// Keys returns how many members there are.
func (f Fields) Keys() int { return len(f.node.Members) }

// Text returns a string, empty if it is absent.
func (f Fields) Text(key string) string { return f.literal(key, document.String, document.String) }

// Number returns the text of a number, empty if it is absent.
func (f Fields) Number(key string) string { return f.literal(key, document.Number, document.Number) }

// NumberOrText returns the text of a number, or a string, for members whose kind differs between
// the platform's documents and samples.
func (f Fields) NumberOrText(key string) string {
	return f.literal(key, document.Number, document.String)
}

// Is reports whether a member is true.
func (f Fields) Is(key string) bool {
	return f.literal(key, document.Literal, document.Literal) == "true"
}

// IsText reports whether a member is a string.
func (f Fields) IsText(key string) bool {
	n := f.get(key)
	return n != nil && n.Kind == document.String
}

// IsObject reports whether a member is an object.
func (f Fields) IsObject(key string) bool {
	n := f.get(key)
	return n != nil && n.Kind == document.Object
}

// Object returns an object, one without members if it is absent.
func (f Fields) Object(key string) Fields {
	under := Fields{&document.Node{Kind: document.Object}, document.Under(f.path, key), f.bad}
	n := f.get(key)
	switch {
	case n == nil:
	case n.Kind != document.Object:
		f.wrong(key, n.Kind, document.Object)
	default:
		under.node = n
	}
	return under
}

// Objects returns the members that are objects, in their order.
func (f Fields) Objects() []Fields {
	var objects []Fields
	for _, member := range f.node.Members {
		if member.Value.Kind == document.Object {
			objects = append(objects, f.Object(member.Key))
		}
	}
	return objects
}

// Inner returns the object that a string holds as JSON, one without members if the string is
// absent.
func (f Fields) Inner(key string) Fields {
	path := document.Under(f.path, key)
	under := Fields{&document.Node{Kind: document.Object}, path, f.bad}
	text := f.Text(key)
	if text == "" && !f.IsText(key) {
		return under
	}
	inner, err := Object(path, text)
	if err != nil {
		if *f.bad == nil {
			*f.bad = err
		}
		return under
	}
	under.node = inner.node
	return under
}

// Items returns the objects of an array, none if it is absent.
func (f Fields) Items(key string) []Fields {
	return f.objects(document.Under(f.path, key), f.array(key))
}

// objects returns the items of the array at path, all of which must be objects.
func (f Fields) objects(path string, items []*document.Node) []Fields {
	var objects []Fields
	for i, n := range items {
		path := document.At(path, i)
		if n.Kind != document.Object {
			f.refuse(path, n.Kind, document.Object)
			return nil
		}
		objects = append(objects, Fields{n, path, f.bad})
	}
	return objects
}

// Each is Items, but also accepts one object in place of an array.
func (f Fields) Each(key string) []Fields {
	if n := f.get(key); n != nil && n.Kind == document.Object {
		return []Fields{f.Object(key)}
	}
	return f.Items(key)
}

// EachText is Texts, but also accepts one string in place of an array.
func (f Fields) EachText(key string) []string {
	if f.IsText(key) {
		return []string{f.Text(key)}
	}
	return f.Texts(key)
}

// Lines returns the arrays of objects of an array, none if it is absent.
func (f Fields) Lines(key string) [][]Fields {
	var lines [][]Fields
	for i, n := range f.array(key) {
		path := document.At(document.Under(f.path, key), i)
		if n.Kind != document.Array {
			f.refuse(path, n.Kind, document.Array)
			return nil
		}
		lines = append(lines, f.objects(path, n.Items))
	}
	return lines
}

// Texts returns the strings of an array, none if it is absent.
func (f Fields) Texts(key string) []string {
	var texts []string
	for i, n := range f.array(key) {
		if n.Kind != document.String {
			f.refuse(document.At(document.Under(f.path, key), i), n.Kind, document.String)
			return nil
		}
		texts = append(texts, n.Text)
	}
	return texts
}

func (f Fields) array(key string) []*document.Node {
	n := f.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != document.Array {
		f.wrong(key, n.Kind, document.Array)
		return nil
	}
	return n.Items
}

func (f Fields) get(key string) *document.Node {
	n := f.node.Get(key)
	if n == nil || n.Kind == document.Literal && n.Text == "null" {
		return nil
	}
	return n
}

func (f Fields) literal(key string, kind, or document.Kind) string {
	n := f.get(key)
	switch {
	case n == nil:
		return ""
	case n.Kind != kind && n.Kind != or:
		f.wrong(key, n.Kind, kind)
		return ""
	}
	return n.Text
}

func (f Fields) wrong(key string, got, want document.Kind) {
	f.refuse(document.Under(f.path, key), got, want)
}

func (f Fields) refuse(path string, got, want document.Kind) {
	if *f.bad == nil {
		*f.bad = Refuse(StepDecode, "%s is %s; it must be %s", path, got, want)
	}
}
