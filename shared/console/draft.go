package console

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// A draft is lists of objects while a person edits them. The form in the page has all of it, with
// what the person began with, so nothing is stored before it is saved.
type draft struct {
	secret.Hidden
	Wrong    []string // mistakes of no input
	Focus    string   // id of the element that gets the focus
	lists    []*itemList
	language language
	find     finder
}

// A finder returns the item that a path of the Configuration is in, the key of its input, and the
// rest of the path; nil without one.
type finder func(path string) (one *item, key, rest string)

// An itemList is a list of objects that a person edits, adds, removes and moves.
type itemList struct {
	Name  string // begins the names of inputs, such as p
	Word  string // of the title of an item
	Items []*item
	inputs
	base  *document.Node // the list that the person began with
	alone bool           // there is always one item
}

// An item is one object of a list. Its form keeps what it does not know.
type item struct {
	*form
	ID   string // such as p2; the names of its inputs begin with it
	From string // index in the list that the person began with; empty for a new one
	Mark string // the word of what became of it; empty if it is as it was
	Open bool   // the inputs are shown
	// Brief leaves the inputs out of the page: the item stays as it is. The pages of long lists
	// would be too large otherwise.
	Brief bool
}

// inputs are what the items of a list have.
type inputs struct {
	fields []field
	fresh  func() *document.Node // a new item
}

// newDraft returns a draft of lists, before anything is changed.
func newDraft(l language, find finder, lists ...*itemList) *draft {
	for _, of := range lists {
		for i, n := range of.base.Items {
			of.add(len(of.Items), strconv.Itoa(i), n)
		}
	}
	return &draft{language: l, find: find, lists: lists}
}

// read reads the draft from a form that was sent.
func (d *draft) read(values url.Values) error {
	parse := func(name string, kind document.Kind) (*document.Node, error) {
		n, err := document.Parse(name, values.Get(name))
		if err != nil || n.Kind != kind {
			return nil, errForm
		}
		return n, nil
	}
	for _, of := range d.lists {
		base, err := parse("Base."+of.Name, document.Array)
		if err != nil {
			return err
		}
		of.base, of.Items = base, nil
		taken := make(map[int]bool)
		for values.Has(of.idOf(len(of.Items)) + ".From") {
			id := of.idOf(len(of.Items))
			from, root := values.Get(id+".From"), (*document.Node)(nil)
			if i, err := strconv.Atoi(from); err == nil && i >= 0 && i < len(base.Items) && !taken[i] {
				root, taken[i] = base.Items[i], true
			} else if root, err = parse(id+".Root", document.Object); from != "" || err != nil {
				return errForm
			}
			of.add(len(of.Items), from, root)
		}
		for _, one := range of.Items {
			one.read(values)
		}
	}
	return nil
}

// The most items of a list that are all open, and of which all have inputs in the page. Those with
// a mistake or a change are open, too.
const (
	maxOpen  = 2
	maxWhole = 12
)

// Base is the list that the person began with, for an input.
func (of *itemList) Base() string { return visible(of.base.String()) }

// Last is the index of the last item.
func (of *itemList) Last() int { return len(of.Items) - 1 }

// Root is what a new item began with, for an input.
func (one *item) Root() string { return visible(one.root.String()) }

func (of *itemList) idOf(i int) string { return of.Name + strconv.Itoa(i) }

// add puts an item at an index. from is the index in the list that the person began with.
func (of *itemList) add(at int, from string, root *document.Node) *item {
	one := &item{From: from, form: &form{root: root, shown: make(map[string]string)}}
	for _, f := range of.fields {
		f.Choices = slices.Clone(f.Choices)
		switch node := root.Get(f.Key); {
		case node == nil:
		case f.Kind == kindSecret:
			f.Stored = true
		default:
			f.Value = written(f.Kind, node)
		}
		one.Fields = append(one.Fields, &f)
	}
	one.name(of.idOf(at))
	one.begin()
	of.Items = slices.Insert(of.Items, at, one)
	of.number(at + 1)
	return one
}

// number gives the items from an index on their ids.
func (of *itemList) number(first int) {
	for i, one := range of.Items[first:] {
		one.name(of.idOf(first + i))
	}
}

// name gives an item its id, and the inputs their names.
func (one *item) name(id string) {
	shown := make(map[string]string)
	for _, f := range one.Fields {
		name := id + "." + f.Key
		shown[name], f.Name = one.shown[f.Name], name
	}
	one.ID, one.shown = id, shown
}

// isChanged reports whether an item differs from what the person began with.
func (one *item) isChanged() bool {
	return one.From == "" || slices.ContainsFunc(one.Fields,
		func(f *field) bool { return f.Value != one.shown[f.Name] })
}

// Text returns the value of an input.
func (one *item) Text(key string) string {
	for _, f := range one.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// node returns an item as it would be saved. Mistakes are put at the inputs.
func (one *item) node() (n *document.Node, ok bool) {
	if !one.isChanged() {
		return one.root, true
	}
	given, ok := one.nodes()
	return one.object(given), ok
}

// place puts the mistakes of an error at their inputs. It reports whether a person can correct all
// of them.
func (d *draft) place(err error) bool {
	return place(err, func(_, message string) {
		for _, s := range sayings(message) {
			d.put(s)
		}
	}, &d.Wrong)
}

func (d *draft) put(s saying) {
	one, key, rest := d.find(s.path)
	if one == nil {
		text := s.text
		if s.path != "" {
			text = strings.TrimPrefix(s.path, underConfiguration) + ": " + text
		}
		d.Wrong = append(d.Wrong, text)
		return
	}
	for _, f := range one.Fields {
		if f.Key == key && f.Value == "" && len(f.Wrong) > 0 {
			return // it is known that it is missing
		}
		if f.Key == key {
			f.Wrong = append(f.Wrong, wrong{f.lineOf(rest), s.text})
			return
		}
	}
	one.Wrong = append(one.Wrong, strings.TrimPrefix(key+rest+": "+s.text, ": "))
}

// atIndex finds the index at the end of a path.
var atIndex = regexp.MustCompile(`^(.*)\[([0-9]+)\]$`)

// lineOf returns the number of the line that a path in the value of an input is about; 0 without
// one.
func (f *field) lineOf(path string) int {
	if !f.IsArea() || path == "" {
		return 0
	}
	index := 0
	if m := atIndex.FindStringSubmatch(path); m != nil {
		path = m[1]
		index, _ = strconv.Atoi(m[2]) // a number that is too large is of no line
	}
	for n, line := range linesOf(f.Value) {
		if f.Kind == kindValues {
			name, _, _ := strings.Cut(line, "=")
			if document.Under("", name) != path {
				continue
			}
		}
		if index == 0 {
			return n
		}
		index--
	}
	return 0
}

// edit does what a button of the form says, such as up.p2. It reports whether there is such a
// button.
func (d *draft) edit(button string) bool {
	what, id, _ := strings.Cut(button, ".")
	for _, of := range d.lists {
		if of.alone {
			continue
		}
		if what == "add" && id == of.Name {
			one := of.add(len(of.Items), "", of.fresh())
			one.Open, d.Focus = true, one.Fields[0].Name
			return true
		}
		for i, one := range of.Items {
			if one.ID != id {
				continue
			}
			to := i + map[string]int{"up": -1, "down": 1}[what]
			switch {
			case what == "open":
				one.Open, d.Focus = true, one.Fields[0].Name
			case what == "remove":
				of.Items = slices.Delete(of.Items, i, i+1)
				d.Focus = "checked"
			case to == i || to < 0 || to == len(of.Items):
				return false
			default:
				of.Items[i], of.Items[to] = of.Items[to], one
				one.Open, d.Focus = true, what+"."+of.idOf(to)
				if to == 0 || to == len(of.Items)-1 { // there is no such button then
					d.Focus = of.idOf(to) + ".sum"
				}
			}
			of.number(0)
			return true
		}
	}
	return false
}

// merge makes a list go on after others changed it to now. What the person changed exactly as
// others did is theirs. The order is that of others, unless the person moved an item.
func (of *itemList) merge(now *document.Node) {
	// Which items of the list are in the one that the person began with, and the reverse.
	index := make(map[string][]int)
	for i, n := range of.base.Items {
		index[n.String()] = append(index[n.String()], i)
	}
	kept := make(map[int]int)            // by index in the old list: the one in the new list
	seen := make([]bool, len(now.Items)) // by index in the new list: the person knows of it
	for i, n := range now.Items {
		if same := index[n.String()]; len(same) > 0 {
			kept[same[0]], seen[i] = i, true
			index[n.String()] = same[1:]
		}
	}
	mine := of.Items
	of.Items, of.base = nil, now
	var order []int // of the items that stay, in the old list
	for _, one := range mine {
		was := one.from()
		to, there := kept[was]
		switch {
		case there:
			one.From = strconv.Itoa(to)
			order = append(order, was)
		case !one.isChanged():
			continue
		default:
			n, ok := one.node()
			same := slices.IndexFunc(now.Items, func(theirs *document.Node) bool {
				return ok && document.Same(theirs, n)
			})
			if same >= 0 && !seen[same] {
				seen[same] = true
				of.add(len(of.Items), strconv.Itoa(same), now.Items[same])
				continue
			}
			if was >= 0 {
				one.From, one.Mark, one.Open = "", "draft.both", true
			}
		}
		of.Items = append(of.Items, one)
	}
	if slices.IsSorted(order) {
		of.order()
	}
	for i := range now.Items {
		if seen[i] {
			continue
		}
		// after the one that it follows, if that is still there
		at := 0
		for j, one := range of.Items {
			if one.From != "" && one.from() < i {
				at = j + 1
			}
		}
		one := of.add(at, strconv.Itoa(i), now.Items[i])
		one.Mark, one.Open = "draft.theirs", true
	}
	of.number(0)
}

// order puts the items into the order of the list that they are from. A new one stays behind the
// one that it follows.
func (of *itemList) order() {
	var runs [][]*item
	for _, one := range of.Items {
		if one.From != "" || len(runs) == 0 {
			runs = append(runs, nil)
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], one)
	}
	slices.SortStableFunc(runs, func(a, b []*item) int { return cmp.Compare(a[0].from(), b[0].from()) })
	of.Items = slices.Concat(runs...)
}

// from is the index in the list that the person began with; -1 for a new item.
func (one *item) from() int {
	if i, err := strconv.Atoi(one.From); err == nil {
		return i
	}
	return -1
}

// finish decides what is open, marks what is changed, and puts the focus on the first mistake.
// Before the person asks for the mistakes, an input that was empty and still is empty has none.
// left tells that there are no others.
func (d *draft) finish(asked bool) (left bool) {
	if !asked {
		left = d.spare() && len(d.Mistakes())+len(d.Wrong) == 0
	}
	first := ""
	for _, of := range d.lists {
		for _, one := range of.Items {
			switch {
			case one.Mark != "":
			case one.From == "":
				one.Mark = "draft.new"
			case one.isChanged():
				one.Mark = "draft.changed"
			}
			faulty := one.Faulty()
			one.Open = one.Open || len(of.Items) <= maxOpen || one.Mark != "" || len(faulty)+len(one.Wrong) > 0
			one.Brief = !one.Open && len(of.Items) > maxWhole
			if first == "" && len(one.Wrong) > 0 {
				first = one.ID + ".sum"
			} else if first == "" && len(faulty) > 0 {
				first = faulty[0].Name
			}
		}
	}
	d.focusOn(cmp.Or(first, d.Focus))
	if len(d.Wrong) > 0 { // they have it
		d.focusOn("")
	}
	return left
}

// spare removes the mistakes of inputs that were empty and still are. It reports whether there were
// any.
func (d *draft) spare() (spared bool) {
	for _, of := range d.lists {
		for _, one := range of.Items {
			for _, f := range one.Fields {
				if f.Value == "" && one.shown[f.Name] == "" && len(f.Wrong) > 0 {
					f.Wrong, spared = nil, true
				}
			}
		}
	}
	return spared
}

// The questions of the form of a draft. The buttons to check and to save ask for all mistakes. The
// script asks only for those in what is written.
const (
	askCheck = "check"
	askLook  = "look"
	askSave  = "save"
)

// asksFor reports whether a form asks for all mistakes. Once they are shown, they stay until they
// are corrected.
func asksFor(form url.Values) bool {
	do := form.Get("do")
	return do == askCheck || do == askSave || do == askLook && form.Has("Asked")
}

// isEdited reports whether a button changed the draft, which is not checked since.
func isEdited(do string) bool { return do != "" && do != askCheck && do != askLook && do != askSave }

// focusOn puts the focus on the element with an id.
func (d *draft) focusOn(id string) {
	d.Focus = id
	for _, of := range d.lists {
		for _, one := range of.Items {
			for _, f := range one.Fields {
				f.Focus = f.Name == d.Focus
			}
		}
	}
}

// A mistakeLink leads to an input with mistakes.
type mistakeLink struct{ To, Item, Word string }

// Mistakes are where the draft has mistakes.
func (d *draft) Mistakes() (links []mistakeLink) {
	for _, of := range d.lists {
		for i, one := range of.Items {
			what := d.language.say(of.Word)
			if !of.alone {
				what = d.language.say(of.Word, i)
			}
			if len(one.Wrong) > 0 {
				links = append(links, mistakeLink{To: one.ID + ".sum", Item: what})
			}
			for _, f := range one.Faulty() {
				links = append(links, mistakeLink{f.Name, what, cmp.Or(f.Word, f.Key)})
			}
		}
	}
	return links
}

// Line returns the value of an input in one line.
func (one *item) Line(key string) string {
	var lines []string
	for _, line := range linesOf(one.Text(key)) {
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}
