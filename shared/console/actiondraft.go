package console

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
)

// An actionDraft is one action of a bot while a person edits it.
type actionDraft struct {
	*draft
	Was                        string // the name of the action; empty for a new one
	action, target, parameters *itemList
	targets                    map[string][]string // by type: the keys of a target
}

// Names of the members of an action that have inputs of their own.
const (
	actionName       = "Name" // the key of the action; a draft has it as a member
	actionParameters = "Parameters"
	targetType       = "Type"
)

// The words that explain keys.
var (
	actionHelp = map[string]string{"Summary": "action.summaryhelp", "Aliases": "action.aliaseshelp",
		"RamRole": "action.rolehelp", "TimeoutSeconds": "action.timeouthelp", "DryRun": "action.dryhelp"}
	parameterHelp = map[string]string{"Name": "parameter.name", "Type": "parameter.type", "Values": "parameter.values",
		"Pattern": "parameter.pattern", "Min": "parameter.min", "Max": "parameter.max",
		"Required": "parameter.required", "Default": "parameter.default", "Fixed": "parameter.fixed",
		"Secret": "parameter.secret", "Help": "parameter.help"}
)

// newAction returns the draft of an action of settings, before anything is changed. An action that
// is not there is a new one.
func newAction(l language, p command.Platform, root *document.Node, name string) *actionDraft {
	d := &actionDraft{targets: make(map[string][]string)}
	declared := actionForm(p)
	action, target, parameters := object(), object(), &document.Node{Kind: document.Array}
	if all := root.Get(command.KeyActions); all != nil && all.Get(name) != nil {
		d.Was = name
		action.Members = append([]document.Member{{Key: actionName, Value: textNode(name)}}, all.Get(name).Members...)
		target = cmp.Or(action.Get(command.KeyTarget), target)
		parameters = cmp.Or(action.Get(actionParameters), parameters)
	}
	single := func(name, word string, n *document.Node, fields []field) *itemList {
		return &itemList{Name: name, Word: word, alone: true, inputs: inputs{fields: fields},
			base: &document.Node{Kind: document.Array, Items: []*document.Node{n}}}
	}
	d.action = single("a", "draft.a", action, append([]field{{Key: actionName, Kind: kindText,
		Help: "action.namehelp"}},
		inputsOf(declared.Fields, actionHelp, command.KeyTarget, actionParameters)...))
	var keys []chat.Field
	for _, kind := range formOf(declared, command.KeyTarget).Choice {
		name := kind.Fields[0].Form.Shape.Words[0] // the first key is Type
		for _, f := range kind.Fields {
			d.targets[name] = append(d.targets[name], f.Key)
		}
		keys = append(keys, kind.Fields...)
	}
	d.target = single("t", "draft.t", target, inputsOf(keys, nil))
	d.target.fields[0].Submits = true
	var ofParameter []chat.Field
	for _, kind := range formOf(declared, actionParameters).Items.Choice {
		ofParameter = append(ofParameter, kind.Fields...)
	}
	d.parameters = &itemList{Name: "v", Word: "draft.v", base: parameters, inputs: inputs{inputsOf(ofParameter,
		parameterHelp), object}}
	d.draft = newDraft(l, d.locate, d.action, d.target, d.parameters)
	return d
}

func object() *document.Node { return &document.Node{Kind: document.Object} }

// actionForm returns the form of an action of a platform's bot.
func actionForm(p command.Platform) chat.Form {
	for _, f := range chat.FormOf(p).Fields {
		if f.Key == command.KeyActions {
			return *f.Form.Values
		}
	}
	return chat.Form{}
}

func formOf(of chat.Form, key string) chat.Form {
	for _, f := range of.Fields {
		if f.Key == key {
			return f.Form
		}
	}
	return chat.Form{}
}

// inputsOf returns the inputs for keys, but for some. Fields with the same key are one input, with
// the choices of all; another one follows the key before it. words are the help of keys that the
// declaration does not explain.
func inputsOf(keys []chat.Field, words map[string]string, but ...string) (fields []field) {
	at := 0
	for _, key := range keys {
		if slices.Contains(but, key.Key) {
			continue
		}
		one := field{Key: key.Key, Help: cmp.Or(key.Help, words[key.Key])}
		one.shape(key.Form)
		i := slices.IndexFunc(fields, func(f field) bool { return f.Key == key.Key })
		switch {
		case i < 0:
			i = at
			fields = slices.Insert(fields, at, one)
		case one.Kind != fields[i].Kind: // of another type it is any text
			fields[i].Kind, fields[i].Choices = kindText, nil
		case one.Kind == kindChoice:
			for _, c := range one.Choices {
				if !slices.Contains(fields[i].Choices, c) {
					fields[i].Choices = append(fields[i].Choices, c)
				}
			}
		}
		at = i + 1
	}
	return fields
}

// Type is the type of the target; empty: that of the bot.
func (d *actionDraft) Type() string { return d.target.Items[0].Text(targetType) }

// Applies reports whether the target has a key.
func (d *actionDraft) Applies(key string) bool {
	keys, known := d.targets[d.Type()]
	return key == targetType || d.Type() != "" && (!known || slices.Contains(keys, key))
}

// TargetFields are the inputs for the type of the target.
func (d *actionDraft) TargetFields() (fields []*field) {
	for _, f := range d.Target().Fields {
		if d.Applies(f.Key) {
			fields = append(fields, f)
		}
	}
	return fields
}

// Action, Target and Parameters are for the template.
func (d *actionDraft) Action() *item         { return d.action.Items[0] }
func (d *actionDraft) Target() *item         { return d.target.Items[0] }
func (d *actionDraft) Parameters() *itemList { return d.parameters }
func (d *actionDraft) ActionBase() string    { return d.action.Base() }
func (d *actionDraft) TargetBase() string    { return d.target.Base() }

// node returns the name and the action as it would be saved. Mistakes are put at the inputs.
func (d *actionDraft) node() (name string, out *document.Node, ok bool) {
	n, ok := d.Action().node()
	parameters := &document.Node{Kind: document.Array}
	for _, one := range d.parameters.Items {
		p, right := one.node()
		parameters.Items = append(parameters.Items, p)
		ok = ok && right
	}
	target, right := d.targetNode()
	name, out = n.TextOf(actionName, ""), object()
	put := func(key string, value *document.Node) {
		if value != nil && out.Get(key) == nil {
			out.Members = append(out.Members, document.Member{Key: key, Value: value})
		}
	}
	if len(parameters.Items) == 0 && (n.Get(actionParameters) == nil || len(d.parameters.base.Items) > 0) {
		parameters = nil
	}
	for _, m := range n.Members {
		switch m.Key {
		case actionName:
		case command.KeyTarget:
			put(m.Key, target)
		case actionParameters:
			put(m.Key, parameters)
		default:
			put(m.Key, m.Value)
		}
	}
	put(actionParameters, parameters)
	put(command.KeyTarget, target)
	return name, out, ok && right
}

// targetNode returns the target, with only the keys of its type; nil for that of the bot.
func (d *actionDraft) targetNode() (n *document.Node, ok bool) {
	if d.Type() == "" {
		return nil, true
	}
	target := d.Target()
	given, ok := target.nodes()
	for key := range given {
		if !d.Applies(key) {
			delete(given, key)
		}
	}
	return target.object(given), ok
}

// settings returns settings with the action, and the rest as it is.
func (d *actionDraft) settings(root *document.Node) (out *document.Node, ok bool) {
	name, node, ok := d.node()
	actions, present := object(), root.Get(command.KeyActions)
	at := d.Action().Fields[0]
	if name == "" {
		at.say(d.language.say("action.noname"))
		ok = false
	}
	if present != nil {
		for _, m := range present.Members {
			switch {
			case m.Key == d.Was:
				m = document.Member{Key: name, Value: node}
			case m.Key == name:
				at.say(d.language.say("action.twice"))
				ok = false
				continue
			}
			actions.Members = append(actions.Members, m)
		}
	}
	if actions.Get(name) == nil {
		actions.Members = append(actions.Members, document.Member{Key: name, Value: node})
	}
	return withMember(root, command.KeyActions, actions), ok
}

// merge makes the draft go on after others changed the bot, of which now is the draft: an input
// that the person did not change is as others left it, and one that both changed shows both. An
// action that others removed is a new one.
func (d *actionDraft) merge(now *actionDraft) {
	if d.Was = now.Was; d.Was == "" {
		return
	}
	d.action.goOn(now.action)
	d.target.goOn(now.target)
	d.parameters.merge(now.parameters.base)
}

// goOn makes a list of one item that is always there go on with the present one.
func (of *itemList) goOn(now *itemList) {
	mine, theirs := of.Items[0], now.Items[0]
	for i, f := range theirs.Fields {
		was := mine.Fields[i] // both have the same inputs
		if f.Again = was.Again; was.Value == mine.shown[was.Name] || was.Value == f.Value {
			continue
		}
		if present := f.Value; present != mine.shown[was.Name] {
			f.Theirs = &present
		}
		f.Value = was.Value
		f.choose()
	}
	of.Items, of.base = now.Items, now.base
}

// withMember returns an object with another value of a member.
func withMember(root *document.Node, key string, value *document.Node) *document.Node {
	out := object()
	for _, m := range root.Members {
		if m.Key == key {
			m.Value = value
		}
		out.Members = append(out.Members, m)
	}
	if out.Get(key) == nil {
		out.Members = append(out.Members, document.Member{Key: key, Value: value})
	}
	return out
}

// inAction finds the parameter, the target, the key and the rest of a path in an action.
var inAction = regexp.MustCompile(`^(?:\.Parameters\[([0-9]+)\]|(\.Target))?(?:\.([A-Za-z]+))?(.*)$`)

// locate is a finder.
func (d *actionDraft) locate(path string) (one *item, key, rest string) {
	inside, ok := cutPath(path, document.Under("Configuration.Actions", d.Action().Text(actionName)))
	if !ok {
		return nil, "", ""
	}
	m := inAction.FindStringSubmatch(inside)
	switch i, err := strconv.Atoi(m[1]); {
	case m[1] != "" && err == nil && i < len(d.parameters.Items):
		return d.parameters.Items[i], m[3], m[4]
	case m[1] != "":
		return nil, "", ""
	case m[2] != "":
		return d.Target(), m[3], m[4]
	}
	return d.Action(), cmp.Or(m[3], actionName), m[4]
}

// cutPath returns the rest of a path in an object.
func cutPath(path, object string) (rest string, ok bool) {
	if len(path) < len(object) || path[:len(object)] != object {
		return "", false
	}
	rest = path[len(object):]
	return rest, rest == "" || rest[0] == '.' || rest[0] == '['
}
