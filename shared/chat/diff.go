package chat

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// A Change is one value that differs between two revisions.
type Change struct {
	Path string // such as Status, Tags.env or Configuration.Permissions[0].Commands
	// The value before and after; absent if there is no value. A string is written as it is, any
	// other value as JSON, a secret as "digest:" and its keyed digest. A secret that the service
	// would make is "generated".
	Before *string `json:",omitempty"`
	After  *string `json:",omitempty"`
}

// size returns the size of the text in bytes.
func (ch Change) size() int {
	n := len(ch.Path)
	for _, text := range [...]*string{ch.Before, ch.After} {
		if text != nil {
			n += len(*text)
		}
	}
	return n
}

// MaxChanges is the maximum number of changes shown of one revision. Another Change, with the path
// MoreChanges, then says how many more there are.
const (
	MaxChanges  = 100
	MoreChanges = "…"
)

// pathWebhook is the path of the secret part of the webhook's URL. It is not in the Configuration.
const pathWebhook = "Webhook"

// changes returns what differs between two records of one name. A record from before digests were
// kept gets them first.
func (s *Service) changes(c scope, before, after *record) ([]Change, error) {
	return diff(s.vault.withDigests(c, before, after))
}

// diff returns what differs between two records of one name; nil is no configuration. It compares
// secrets by their digests in Set. It does not compare the order of members, the previous values of
// secrets, the revision and the dates.
func diff(before, after *record) ([]Change, error) {
	d := &difference{most: MaxChanges}
	d.members("", before.plain(), after.plain())
	d.members("Tags", tagged(before.tags()), tagged(after.tags()))
	if before.document() != after.document() || !maps.EqualFunc(before.digests(), after.digests(), sameDigest) {
		a, err := before.configuration()
		if err != nil {
			return nil, err
		}
		b, err := after.configuration()
		if err != nil {
			return nil, err
		}
		d.members(configurationParam, a, b)
	}
	if d.more > 0 {
		d.list = append(d.list, moreChanges(d.more))
	}
	return d.list, nil
}

// Differences returns what differs between two objects, as Changes, however many there are.
func Differences(before, after *document.Node) []Change {
	d := difference{most: math.MaxInt}
	d.members("", before, after)
	return d.list
}

// moreChanges returns the Change that says how many changes are not shown.
func moreChanges(n int) Change {
	text := strconv.Itoa(n) + " more changes"
	return Change{Path: MoreChanges, After: &text}
}

func sameDigest(a, b set) bool { return a.Digest == b.Digest }

// plain returns the values of a record, except its tags and its Configuration.
func (r *record) plain() *document.Node {
	if r == nil {
		return texts()
	}
	webhook := ""
	if s, ok := r.Set[fieldWebhookToken]; ok {
		webhook = digestText(s)
	}
	return texts("Type", r.Type, "Status", r.Status, roleParam, r.RamRole, "ResourceGroupId", r.ResourceGroupID,
		pathWebhook, webhook)
}

// texts returns an object of strings, without the empty ones: keys and values in turn.
func texts(list ...string) *document.Node {
	out := &document.Node{Kind: document.Object}
	for ; len(list) > 0; list = list[2:] {
		if list[1] != "" {
			out.Members = append(out.Members, member(list[0], list[1]))
		}
	}
	return out
}

// tagged returns tags as an object.
func tagged(tags map[string]string) *document.Node {
	out := &document.Node{Kind: document.Object}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out.Members = append(out.Members, member(key, tags[key]))
	}
	return out
}

func member(key, text string) document.Member {
	return document.Member{Key: key, Value: &document.Node{Kind: document.String, Text: text}}
}

func digestText(s set) string {
	if s.Digest == "" {
		return generatedText
	}
	return "digest:" + s.Digest
}

// configuration returns the Configuration of a record with the digests of its secrets. It parses
// only once: in a page of revisions, each is compared with the one before and the one after.
func (r *record) configuration() (*document.Node, error) {
	switch {
	case r == nil:
		return &document.Node{Kind: document.Object}, nil
	case r.shown != nil:
		return r.shown, nil
	}
	var err error
	r.shown, err = r.fill(func(field string) string {
		if s, ok := r.Set[field]; ok {
			return digestText(s)
		}
		return ""
	})
	return r.shown, err
}

// fill returns the Configuration of a record with a text in place of each mask. Where text returns
// an empty one for the field of a secret, the mask stays.
func (r *record) fill(text func(field string) string) (*document.Node, error) {
	root, err := r.parse()
	if err != nil {
		return nil, err
	}
	put := func(n *document.Node, field string) {
		if n != nil && n.Kind == document.String && n.Text == secret.Mask {
			n.Text = cmp.Or(text(field), n.Text)
		}
	}
	putIn := func(target *document.Node, field string) {
		if target != nil {
			put(target.Get(keySecret), field)
		}
	}
	for _, m := range root.Members {
		put(m.Value, m.Key)
	}
	putIn(root.Get(keyTarget), fieldTargetSecret)
	if actions := root.Get(command.KeyActions); actions != nil {
		for _, m := range actions.Members {
			putIn(m.Value.Get(keyTarget), actionSecretField(m.Key))
		}
	}
	return root, nil
}

// document returns the text of a record's Configuration; empty for nil.
func (r *record) document() string {
	if r == nil {
		return ""
	}
	return r.Configuration
}

// digests returns the digests of a record's secrets; nil for nil.
func (r *record) digests() map[string]set {
	if r == nil {
		return nil
	}
	return r.Set
}

// A difference collects changes.
type difference struct {
	list []Change
	most int // of list
	more int // the number of changes beyond most
}

// add adds a change; nil is no value.
func (d *difference) add(path string, a, b *document.Node) {
	if len(d.list) == d.most {
		d.more++
		return
	}
	ch := Change{Path: path, Before: textOf(a, false), After: textOf(b, false)}
	if a != nil && b != nil && *ch.Before == *ch.After { // such as 5 and "5"
		ch.Before, ch.After = textOf(a, true), textOf(b, true)
	}
	d.list = append(d.list, ch)
}

// textOf returns the text of a value in a Change. It quotes a string only if it has to.
func textOf(n *document.Node, quoted bool) *string {
	if n == nil {
		return nil
	}
	text := n.Text
	if quoted || n.Kind != document.String {
		text = n.String()
	}
	return &text
}

// values compares two values at a path.
func (d *difference) values(path string, a, b *document.Node) {
	switch {
	case a.Kind == document.Object && b.Kind == document.Object:
		d.members(path, a, b)
	case a.Kind == document.Array && b.Kind == document.Array:
		d.items(path, a.Items, b.Items)
	case !document.Same(a, b):
		d.add(path, a, b)
	}
}

// members compares two objects: those of a in their order, then those that only b has.
func (d *difference) members(path string, a, b *document.Node) {
	under := func(key string) string { return strings.TrimPrefix(document.Under(path, key), ".") }
	only := make(map[string]*document.Node, len(b.Members))
	for _, m := range b.Members {
		only[m.Key] = m.Value
	}
	for _, m := range a.Members {
		other, ok := only[m.Key]
		if !ok {
			d.add(under(m.Key), m.Value, nil)
			continue
		}
		delete(only, m.Key)
		d.values(under(m.Key), m.Value, other)
	}
	for _, m := range b.Members {
		if value, ok := only[m.Key]; ok {
			d.add(under(m.Key), nil, value)
		}
	}
}

// items compares two arrays. Equal items at the beginning and at the end are left out. The rest is
// compared one by one; what the longer array has in addition is removed or added, in this order.
// The path of a removed item has its index before the change, that of an added item its index after
// it.
func (d *difference) items(path string, a, b []*document.Node) {
	at := 0
	for len(a) > 0 && len(b) > 0 && document.Same(a[0], b[0]) {
		a, b, at = a[1:], b[1:], at+1
	}
	for len(a) > 0 && len(b) > 0 && document.Same(a[len(a)-1], b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	for i := range max(len(a), len(b)) {
		here := document.At(path, at+i)
		switch {
		case i >= len(b):
			d.add(here, a[i], nil)
		case i >= len(a):
			d.add(here, nil, b[i])
		default:
			d.values(here, a[i], b[i])
		}
	}
}
