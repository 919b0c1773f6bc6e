package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

// Kinds of inputs.
const (
	kindText   = "text"
	kindChoice = "choice"
	kindSecret = "secret" // always empty in a page; empty means unchanged
	kindLines  = "lines"  // a list, one item per line
	kindTags   = "tags"   // lines such as env=prod
	kindJSON   = "json"
	kindValues = "values" // lists by name: lines such as env=dev-*
)

// underConfiguration is what the names of inputs for keys of the Configuration begin with. Other
// names are those of parameters of the API. So errors of the service lead to their inputs.
const underConfiguration = "Configuration."

// A field is one input of the form of a bot.
type field struct {
	Name, Help string
	Key        string // of the value in the object that the form is about; empty for a parameter
	Word       string // the word of its label; empty if the label is the key
	Kind       string
	Value      string   // as it is written in the input
	Base       string   // digest of the value that the person began with
	Choices    []choice // of kindChoice
	Required   bool
	Receive    string // the only Receive that uses it; empty: every one
	Rare       bool   // it is neither required nor set
	Stored     bool   // a secret is stored
	Remove     bool   // it is to be removed
	Submits    bool   // another value changes which inputs there are
	Again      bool   // a secret that was typed has to be typed again
	Focus      bool   // it has the focus at first
	Wrong      []wrong
	Theirs     *string // what somebody else wrote meanwhile, if the person changed the field too
}

// A wrong is a mistake in an input.
type wrong struct {
	Line int // of a list, from 1; 0: the whole input
	Text string
}

// IsSecret and the others tell a template which input to make.
func (f *field) IsSecret() bool { return f.Kind == kindSecret }

// IsArea reports whether the input has several lines.
func (f *field) IsArea() bool { return slices.Contains(areas, f.Kind) }

var areas = []string{kindLines, kindTags, kindJSON, kindValues}

// IsUnused reports whether the field can be left out of sight while another Receive is chosen.
func (f *field) IsUnused() bool {
	return f.Receive != "" && f.Value == "" && !f.Stored && !f.IsTouched("")
}

// IsTouched reports whether the person has something to see at the field. shown is its first value.
func (f *field) IsTouched(shown string) bool {
	return f.Value != shown || f.Remove || f.Again || f.Theirs != nil || len(f.Wrong) > 0
}

// IsChoice reports whether the input is a list of words.
func (f *field) IsChoice() bool { return f.Kind == kindChoice }

// Rows is the height of an area.
func (f *field) Rows() int { return min(max(strings.Count(f.Value, "\n")+2, 3), 24) }

// A form is the inputs for a bot, with the values that it has.
type form struct {
	secret.Hidden
	Fields []*field
	Wrong  []string // mistakes of no input

	root  *document.Node      // the present Configuration; an empty object of a new bot
	tags  map[string]string   // the present ones
	shown map[string]string   // by name of the field: the present value as it is written in the input
	typed map[string][]string // what was sent; nil at first
}

// newForm returns the form of a bot; c is nil for a new one.
func newForm(p command.Platform, c *chat.Configuration) (*form, error) {
	f := &form{root: object(), shown: make(map[string]string)}
	params := chat.Configuration{Status: chat.StatusActive}
	states := make(map[string]string)
	if c == nil {
		f.Fields = append(f.Fields, &field{Name: "Name", Word: "name", Kind: kindText, Required: true,
			Help: "edit.namehelp"})
	} else {
		root, err := document.Parse("Configuration", c.Configuration)
		if err != nil {
			return nil, fmt.Errorf("console: %q: %w", c.Name, err)
		}
		f.root, params = root, *c
		for _, s := range c.Secrets {
			states[s.Key] = s.SinceDate + s.Digest
		}
	}
	f.tags = params.Tags
	f.Fields = append(f.Fields,
		&field{Name: "Status", Word: "status", Kind: kindChoice, Value: params.Status, Rare: c == nil,
			Choices: []choice{{Value: chat.StatusActive}, {Value: chat.StatusInactive}}},
		&field{Name: "RamRole", Word: "role", Kind: kindText, Value: visible(params.RamRole)},
		&field{Name: "Tags", Word: "tags", Kind: kindTags, Value: visible(strings.Join(tagsOf(params.Tags), "\n"))},
		&field{Name: "ResourceGroupId", Word: "group", Kind: kindText, Value: visible(params.ResourceGroupId)})
	declared := chat.FormOf(p).Fields
	first := slices.IndexFunc(declared, func(d chat.Field) bool { return d.Key == command.KeyReceive })
	declared = slices.Insert(slices.Delete(slices.Clone(declared), first, first+1), 0, declared[first])
	for _, d := range declared {
		one := fieldOf(p, d)
		node := f.root.Get(d.Key)
		if one.Kind == kindSecret {
			one.Stored = node != nil
			one.Base = digestOf(states[d.Key])
		} else if node != nil {
			one.Value = written(one.Kind, node)
		}
		f.Fields = append(f.Fields, one)
	}
	f.begin()
	return f, nil
}

// A group is a part of a form.
type group struct {
	Word   string // of its heading, which folds it; empty: it is always in sight
	Open   bool
	Fields []*field
}

// Groups are the parts of the form: what is required or set, what is not, and what is JSON.
func (f *form) Groups() []*group {
	all := []*group{{}, {Word: "edit.more"}, {Word: "edit.raw"}}
	for _, one := range f.Fields {
		in := all[0]
		switch {
		case one.Kind == kindJSON:
			in = all[2]
		case one.Rare:
			in = all[1]
		}
		in.Fields = append(in.Fields, one)
		in.Open = in.Open || one.IsTouched(f.shown[one.Name])
	}
	return all
}

// begin notes the values that the person begins with.
func (f *form) begin() {
	for _, one := range f.Fields {
		one.Value = strings.TrimSpace(one.Value) // as it is sent
		f.shown[one.Name] = one.Value
		if one.Base == "" {
			one.Base = digestOf(one.Value)
		}
		one.Rare = one.Rare || !one.Required && one.Value == "" && !one.Stored && one.Key != command.KeyReceive
		one.choose()
	}
}

// fieldOf returns the input for a key that a platform declares.
func fieldOf(p command.Platform, d chat.Field) *field {
	out := &field{Name: underConfiguration + d.Key, Key: d.Key, Help: d.Help, Required: d.Required}
	for _, s := range p.Settings {
		if s.Key == d.Key {
			out.Receive, out.Required = s.For, s.Required
		}
	}
	out.shape(d.Form)
	return out
}

// shape makes an input one for a form of values.
func (f *field) shape(form chat.Form) {
	switch shape := form.Shape; {
	case form.Secret:
		f.Kind = kindSecret
	case shape.Words != nil:
		f.Kind = kindChoice
		f.Choices = []choice{{}}
		for _, word := range shape.Words {
			f.Choices = append(f.Choices, choice{Value: word})
		}
	case !shape.IsZero() || form.Scalar:
		f.Kind = kindText
	case form.Items != nil && !form.Items.Shape.IsZero():
		f.Kind = kindLines
	default:
		f.Kind = kindJSON
	}
}

// choose marks the chosen word of a choice. A value that is not a word is offered too, so that
// nothing is changed unseen.
func (f *field) choose() {
	if f.Kind != kindChoice {
		return
	}
	known := false
	for i := range f.Choices {
		f.Choices[i].Text = f.Choices[i].Value
		f.Choices[i].Chosen = f.Choices[i].Value == f.Value
		known = known || f.Choices[i].Chosen
	}
	if !known {
		f.Choices = append(f.Choices, choice{Value: visible(f.Value), Text: visible(f.Value), Chosen: true})
	}
}

// written returns a value of the Configuration as it is written in an input.
func written(kind string, n *document.Node) string {
	switch kind {
	case kindJSON:
		return indented(n)
	case kindLines:
		lines := make([]string, len(n.Items))
		for i, item := range n.Items {
			lines[i] = inLine(valueOf(item))
		}
		return strings.Join(lines, "\n")
	case kindValues:
		var lines []string
		for line := range eachValue(n) {
			lines = append(lines, line)
		}
		return strings.Join(lines, "\n")
	}
	return inLine(valueOf(n))
}

// inLine returns visible text in one line: a browser drops the ends of lines in an input, and in a
// list each line is an item.
func inLine(text string) string { return strings.ReplaceAll(visible(text), "\n", `\u000a`) }

// eachValue yields the lines of lists by name, with the name and the value of each.
func eachValue(n *document.Node) func(yield func(line string, of [2]string) bool) {
	return func(yield func(string, [2]string) bool) {
		for _, m := range n.Members {
			for _, item := range m.Value.Items {
				if !yield(inLine(m.Key+"="+valueOf(item)), [2]string{m.Key, valueOf(item)}) {
					return
				}
			}
		}
	}
}

// indented returns JSON in lines, with invisible characters escaped as JSON does.
func indented(n *document.Node) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(n.String()), "", "  "); err != nil { // it is valid
		return n.String()
	}
	return visible(out.String())
}

// digestOf returns a short digest of a value, to find out later who changed it.
func digestOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}

// Faulty are the inputs with mistakes.
func (f *form) Faulty() (faulty []*field) {
	for _, one := range f.Fields {
		if len(one.Wrong) > 0 {
			faulty = append(faulty, one)
		}
	}
	return faulty
}

// read puts what was sent into the form.
func (f *form) read(values map[string][]string) {
	f.typed = values
	get := func(name string) string {
		if given := values[name]; len(given) > 0 {
			return strings.TrimSpace(strings.ReplaceAll(given[0], "\r\n", "\n"))
		}
		return ""
	}
	for _, one := range f.Fields {
		if one.Kind == kindSecret {
			one.Remove = get("Remove."+one.Name) != ""
			one.Again = get(one.Name) != "" || get("Again."+one.Name) != ""
			continue
		}
		if _, sent := values[one.Name]; sent {
			one.Value = get(one.Name)
		}
		one.choose()
	}
}

// merge makes the form go on after somebody else changed the bot: a value that the person did not
// change is the present one, and one that both changed shows both. It returns what others changed.
func (f *form) merge() (changed []*field) {
	for _, one := range f.Fields {
		base := ""
		if given := f.typed["Base."+one.Name]; len(given) > 0 {
			base = given[0]
		}
		theirs, now := base != one.Base, f.shown[one.Name]
		if theirs {
			changed = append(changed, one)
		}
		mine := digestOf(one.Value) != base
		if one.Kind == kindSecret {
			mine = one.Again || one.Remove
		}
		switch {
		case one.Kind == kindSecret:
			if mine && theirs {
				one.Theirs = &now
			}
		case !mine:
			one.Value = now
		case theirs && one.Value != now:
			one.Theirs = &now
		}
		one.choose()
	}
	return changed
}

// params returns the parameters of the API. It puts mistakes that only the form can have at their
// inputs, and reports whether it found none. With mistakes the parameters leave out all JSON, so
// that the service can be asked for its mistakes in the rest.
func (f *form) params() (params map[string]string, ok bool) {
	params = make(map[string]string)
	given, ok := f.nodes()
	for _, one := range f.Fields {
		switch {
		case one.Key != "":
		case one.Value == f.shown[one.Name]:
			if one.Name == "Status" { // of a new bot, too
				params[one.Name] = one.Value
			}
		case one.Kind == kindTags:
			list, mistakes := f.tagList(one.Value)
			for _, mistake := range mistakes {
				one.say(mistake)
			}
			if ok = ok && len(mistakes) == 0; len(mistakes) > 0 {
				continue
			}
			params[one.Name] = list
		default:
			params[one.Name] = one.Value
		}
	}
	if !ok {
		for _, one := range f.Fields {
			if one.Kind == kindJSON {
				delete(given, one.Key)
			}
		}
	}
	params["Configuration"] = f.object(given).String()
	return params, ok
}

// nodes returns the values of all keys. It puts mistakes at their inputs, and reports whether it
// found none.
func (f *form) nodes() (given map[string]*document.Node, ok bool) {
	given, ok = make(map[string]*document.Node), true
	for _, one := range f.Fields {
		if one.Key == "" {
			continue
		}
		node, err := f.node(one)
		if err != nil {
			one.say(err.Error())
			ok = false
		}
		given[one.Key] = node
	}
	return given, ok
}

// say puts a mistake at an input, once.
func (f *field) say(mistake string) {
	if one := (wrong{Text: mistake}); !slices.Contains(f.Wrong, one) {
		f.Wrong = append(f.Wrong, one)
	}
}

// object returns the object that the form is about with the given values, in the order that it has,
// and with what the form does not know.
func (f *form) object(given map[string]*document.Node) *document.Node {
	out := object()
	add := func(key string, n *document.Node) {
		if n != nil && out.Get(key) == nil {
			out.Members = append(out.Members, document.Member{Key: key, Value: n})
		}
	}
	known := make(map[string]bool)
	for _, one := range f.Fields {
		known[one.Key] = true
	}
	for _, m := range f.root.Members {
		if known[m.Key] {
			add(m.Key, given[m.Key])
		} else {
			add(m.Key, m.Value)
		}
	}
	for _, one := range f.Fields {
		add(one.Key, given[one.Key])
	}
	return out
}

// errAgain is the mistake of a secret that was typed before a page that does not show it again.
var errAgain = errors.New("the secret that was typed is not kept; type it again")

// node returns the value of a key; nil if it has none.
func (f *form) node(one *field) (*document.Node, error) {
	present := f.root.Get(one.Key)
	if one.Kind == kindSecret {
		typed := ""
		if given := f.typed[one.Name]; len(given) > 0 {
			typed = strings.TrimSpace(given[0])
		}
		switch {
		case typed != "":
			return textNode(typed), nil
		case one.Remove:
			return nil, nil
		case one.Again:
			return present, errAgain
		}
		return present, nil
	}
	switch {
	case one.Value == f.shown[one.Name]:
		return present, nil
	case one.Value == "":
		return nil, nil
	case one.Kind == kindLines:
		return listOf(one.Value, present), nil
	case one.Kind == kindValues:
		return valuesOf(one.Value, present)
	case one.Kind == kindJSON:
		n, err := document.Parse(one.Key, one.Value)
		if err != nil {
			return nil, fmt.Errorf("%w; write JSON", err)
		}
		return n, nil
	}
	return textNode(typed(one.Value)), nil
}

func textNode(text string) *document.Node { return &document.Node{Kind: document.String, Text: text} }

// linesOf yields the lines of a text that are not empty, with their numbers from 1.
func linesOf(text string) func(yield func(n int, line string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.SplitSeq(text, "\n") {
			n++
			if line = strings.TrimSpace(line); line != "" && !yield(n, line) {
				return
			}
		}
	}
}

// listOf returns a list of the lines of a text. A line of an item that is present is that item.
func listOf(text string, present *document.Node) *document.Node {
	known := make(map[string]*document.Node)
	if present != nil {
		for _, item := range present.Items {
			known[strings.TrimSpace(inLine(valueOf(item)))] = item
		}
	}
	out := &document.Node{Kind: document.Array}
	for _, line := range linesOf(text) {
		item, ok := known[line]
		if !ok {
			item = textNode(typed(line))
		}
		out.Items = append(out.Items, item)
	}
	return out
}

// valuesOf returns lists by name of lines such as env=dev-*. Several lines of a name are one list.
func valuesOf(text string, present *document.Node) (*document.Node, error) {
	known := make(map[string][2]string)
	if present != nil {
		for line, of := range eachValue(present) {
			known[strings.TrimSpace(line)] = of
		}
	}
	out := object()
	for _, line := range linesOf(text) {
		of, ok := known[line]
		if !ok {
			of[0], of[1], ok = strings.Cut(typed(line), "=")
		}
		if !ok {
			return nil, fmt.Errorf("%s has no value; write name=value, such as env=dev-*", fault.Quote(line))
		}
		list := out.Get(of[0])
		if list == nil {
			list = &document.Node{Kind: document.Array}
			out.Members = append(out.Members, document.Member{Key: of[0], Value: list})
		}
		list.Items = append(list.Items, textNode(of[1]))
	}
	return out, nil
}

// tagList returns tags as the API takes them, and the mistakes in them.
func (f *form) tagList(value string) (text string, wrong []string) {
	known := make(map[string][2]string)
	for key, value := range f.tags {
		known[visible(key+"="+value)] = [2]string{key, value}
	}
	type tag struct{ Key, Value string }
	list := []tag{}
	seen := make(map[string]bool)
	for line := range strings.SplitSeq(value, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, text, ok := strings.Cut(typed(line), "=")
		if same, known := known[line]; known {
			key, text, ok = same[0], same[1], true
		}
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("tag %s has no value; write key=value", fault.Quote(line)))
		case seen[key]:
			wrong = append(wrong, fmt.Sprintf("tag %s is listed twice", fault.Quote(key)))
		}
		seen[key] = true
		list = append(list, tag{key, text})
	}
	out, err := json.Marshal(list)
	if err != nil { // it has only texts
		wrong = append(wrong, err.Error())
	}
	return string(out), wrong
}

// mistake finds where a sentence about a path of the Configuration begins.
var mistake = regexp.MustCompile(`(?:^|[.?] )(Configuration\.([A-Za-z]+)` +
	`(?:\.[A-Za-z0-9_-]+|\[(?:[0-9]+|"(?:[^"\\]|\\.)*"…?)\])*: )`)

// place puts the mistakes of an error at their inputs. It reports whether the error is one that a
// person can correct in the form.
func (f *form) place(err error) bool { return place(err, f.put, &f.Wrong) }

// place calls put with each mistake of an error that a person can correct in a form; others are
// added to general. It reports whether there are only such.
func place(err error, put func(param, message string), general *[]string) bool {
	parts := fault.Parts(err)
	for _, part := range parts {
		switch part.Code {
		case fault.MissingParameter, fault.InvalidParameter, fault.AlreadyExists, fault.QuotaExceeded:
			put(part.Param, part.Message)
		case fault.NoPermission:
			*general = append(*general, part.Message)
		default:
			return false
		}
	}
	return len(parts) > 0
}

// A saying is a part of a message that is about one value.
type saying struct {
	path string // of a value of the Configuration; empty: of none
	key  string // of the Configuration
	text string // without the path
}

// sayings returns the parts of a message, which may tell of several values of the Configuration.
func sayings(message string) (out []saying) {
	add := func(path, key, text string) {
		if text = strings.TrimSpace(text); text != "" {
			out = append(out, saying{path, key, text})
		}
	}
	starts := mistake.FindAllStringSubmatchIndex(message, -1)
	if len(starts) == 0 {
		add("", "", message)
		return out
	}
	add("", "", message[:starts[0][2]])
	for i, m := range starts {
		end := len(message)
		if i+1 < len(starts) {
			end = starts[i+1][2]
		}
		add(strings.TrimSuffix(message[m[2]:m[3]], ": "), message[m[4]:m[5]], message[m[3]:end])
	}
	return out
}

// put puts a message at the inputs that it is about.
func (f *form) put(param, message string) {
	for _, one := range sayings(message) {
		name, sentence := param, one.text
		if one.path != "" {
			name, sentence = underConfiguration+one.key, strings.TrimPrefix(one.path, underConfiguration)+": "+one.text
		}
		if i := slices.IndexFunc(f.Fields, func(at *field) bool { return at.Name == name }); i >= 0 {
			f.Fields[i].Wrong = append(f.Fields[i].Wrong, wrong{Text: sentence})
		} else {
			f.Wrong = append(f.Wrong, sentence)
		}
	}
}

// conceal takes secrets that were typed out of what the form shows again. That one has to be typed
// again is a mistake once: the person may leave it as it is.
func (f *form) conceal() {
	for _, one := range f.Fields {
		one.Again = one.Again && !slices.Contains(one.Wrong, wrong{Text: errAgain.Error()})
		if one.Kind != kindJSON || one.Value == f.shown[one.Name] {
			continue
		}
		one.Value, one.Again = concealed(one.Value)
	}
}

// secretMember finds a member Secret and its value in text that is not JSON: a text in quotation
// marks, all that follows a bracket, or the rest of a member.
var secretMember = regexp.MustCompile(`(?is)(secret(?:\\*["']\s*[:=]?|\s*[:=])[\s\\]*)` +
	`("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[\[{].*|[^\s"',}\]:=][^,}\]\n]*)`)

// concealed returns the text of JSON without the secrets in it, and whether there were any.
func concealed(text string) (out string, had bool) {
	if n, err := document.Parse("", text); err == nil {
		if had = concealIn(n); had {
			return indented(n), true
		}
		return text, false
	}
	out = secretMember.ReplaceAllStringFunc(text, func(found string) string {
		m := secretMember.FindStringSubmatch(found)
		if isNoSecret(strings.Trim(m[2], "\"' \t\r")) {
			return found
		}
		had = true
		return m[1] + `""`
	})
	return out, had
}

// isNoSecret reports whether a value of a member Secret may be shown: a parameter's is true or
// false.
func isNoSecret(text string) bool {
	return slices.Contains([]string{secret.Mask, "true", "false", "null", ""}, text)
}

// concealIn empties the members Secret.
func concealIn(n *document.Node) (had bool) {
	for _, item := range n.Items {
		had = concealIn(item) || had
	}
	for i, m := range n.Members {
		if strings.EqualFold(m.Key, "Secret") && (m.Value.Kind >= document.Array || !isNoSecret(m.Value.Text)) {
			n.Members[i].Value, had = &document.Node{Kind: document.String}, true
			continue
		}
		had = concealIn(m.Value) || had
	}
	return had
}
