package serve

// What tests see of the reader of JSON.
var (
	Parse        = parse
	AppendString = appendString[string]
)

// MaxDepth, MaxBody, MaxPayload and MaxRecords are limits that tests go up to.
const (
	MaxDepth   = maxDepth
	MaxBody    = maxBody
	MaxPayload = maxPayload
	MaxRecords = maxRecords
)

// A Value is what Parse returns.
type Value = value

// Members returns what the reader sees in an object, by key, the last of two.
func (v value) Members() map[string]string {
	all := make(map[string]string)
	for m := v.members(); m.next(); {
		all[string(m.key)] = string(m.value)
	}
	return all
}

// Items returns what the reader sees in a list.
func (v value) Items() (all []string) {
	for m := v.items(); m.next(); {
		all = append(all, string(m.value))
	}
	return all
}

// Text returns a string's text.
func (v value) Text() (string, bool) { return v.text() }
