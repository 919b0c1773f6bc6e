package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// A statementDraft is the statements and the groups of a bot while a person edits them.
type statementDraft struct {
	*draft
	Groups, Statements *itemList
}

// The inputs of a statement and of a group. A group is a member of an object; a draft has it as an
// object with these keys.
var (
	statementInputs = inputs{[]field{
		{Key: "Effect", Word: "bot.effect", Kind: kindChoice, Choices: []choice{{Value: "Allow"}, {Value: "Deny"}}},
		{Key: "Principals", Word: "draft.who", Kind: kindLines, Help: "draft.whohelp"},
		{Key: "Commands", Word: "bot.mayrun", Kind: kindLines, Help: "draft.whathelp"},
		{Key: "Conversations", Word: "bot.where", Kind: kindLines, Help: "draft.wherehelp"},
		{Key: "Parameters", Word: "draft.values", Kind: kindValues, Help: "draft.valueshelp"},
		{Key: "RamRole", Word: "role", Kind: kindText, Help: "draft.rolehelp"},
	}, func() *document.Node {
		return &document.Node{Kind: document.Object, Members: []document.Member{{Key: "Effect",
			Value: textNode("Allow")}}}
	}}
	groupInputs = inputs{[]field{
		{Key: "Name", Word: "name", Kind: kindText, Help: "draft.namehelp"},
		{Key: "Members", Word: "draft.members", Kind: kindLines, Help: "draft.membershelp"},
	}, object}
)

// newStatements returns the draft of settings, before anything is changed.
func newStatements(l language, root *document.Node) *statementDraft {
	list := root.Get(command.KeyPermissions)
	if list == nil {
		list = &document.Node{Kind: document.Array}
	}
	d := &statementDraft{Statements: &itemList{Name: "p", Word: "draft.p", inputs: statementInputs, base: list},
		Groups: &itemList{Name: "g", Word: "draft.g", inputs: groupInputs, base: groupList(root)}}
	d.draft = newDraft(l, d.find, d.Statements, d.Groups)
	return d
}

// groupList returns the groups of settings as a list.
func groupList(root *document.Node) *document.Node {
	out := &document.Node{Kind: document.Array}
	for _, m := range groupsOf(root) {
		out.Items = append(out.Items, &document.Node{Kind: document.Object,
			Members: []document.Member{{Key: "Name", Value: textNode(m.Key)}, {Key: "Members", Value: m.Value}}})
	}
	return out
}

// settings returns settings with the statements and the groups of the draft, and the rest as it is.
// It puts mistakes that only a draft can have at their inputs, and reports whether it found none.
func (d *statementDraft) settings(root *document.Node) (out *document.Node, ok bool) {
	ok = true
	statements := &document.Node{Kind: document.Array}
	for _, one := range d.Statements.Items {
		n, right := one.node()
		statements.Items = append(statements.Items, n)
		ok = ok && right
	}
	groups, right := d.groups()
	out = object()
	put := func(key string, n *document.Node, empty bool) {
		if present := root.Get(key); out.Get(key) == nil && (!empty || present != nil && document.Same(present, n)) {
			out.Members = append(out.Members, document.Member{Key: key, Value: n})
		}
	}
	for _, m := range root.Members {
		switch m.Key {
		case command.KeyPermissions:
			put(m.Key, statements, len(statements.Items) == 0)
		case command.KeyUserGroups:
			put(m.Key, groups, len(groups.Members) == 0)
		default:
			out.Members = append(out.Members, m)
		}
	}
	put(command.KeyUserGroups, groups, len(groups.Members) == 0)
	put(command.KeyPermissions, statements, len(statements.Items) == 0)
	return out, ok && right
}

// groups returns the groups as an object. A group without a name and members is left out.
func (d *statementDraft) groups() (out *document.Node, ok bool) {
	out, ok = object(), true
	for _, one := range d.Groups.Items {
		n, _ := one.node() // it has no kind of input with mistakes
		name, members := n.TextOf("Name", ""), n.Get("Members")
		at, wrong := one.Fields[0], ""
		switch {
		case name == "" && members == nil:
			continue
		case name == "":
			wrong = d.language.say("draft.noname")
		case out.Get(name) != nil:
			wrong = d.language.say("draft.twice")
		case members == nil:
			at, wrong = one.Fields[1], d.language.say("draft.nomembers")
		}
		if wrong != "" {
			at.say(wrong)
			ok = false
		}
		if name == "" || out.Get(name) != nil {
			continue
		}
		if members == nil { // its name can be used
			members = &document.Node{Kind: document.Array, Items: []*document.Node{textNode("-")}}
		}
		out.Members = append(out.Members, document.Member{Key: name, Value: members})
	}
	return out, ok
}

// inStatement finds the statement, the key and the rest of a path.
var inStatement = regexp.MustCompile(`^Configuration\.Permissions\[([0-9]+)\](?:\.([A-Za-z]+))?(.*)$`)

// find returns the item that a path is in, the key of its input, and the rest of the path; nil
// without one.
func (d *statementDraft) find(path string) (one *item, key, rest string) {
	if m := inStatement.FindStringSubmatch(path); m != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(d.Statements.Items) {
			return d.Statements.Items[i], m[2], m[3]
		}
		return nil, "", ""
	}
	for _, group := range d.Groups.Items {
		rest, ok := strings.CutPrefix(path, document.Under("Configuration.UserGroups", group.Text("Name")))
		switch {
		case ok && rest == "":
			return group, "Name", ""
		case ok && rest[0] == '[':
			return group, "Members", rest
		}
	}
	return nil, "", ""
}

// grant adds a statement, which is JSON.
func (d *statementDraft) grant(text string) error {
	n, err := document.Parse("Permissions", text)
	if err != nil {
		return fmt.Errorf("console: the statement that allows a command: %w", err)
	}
	one := d.Statements.add(len(d.Statements.Items), "", n)
	one.Open, d.Focus = true, one.ID+".sum"
	return nil
}

// merge makes the draft go on after others changed the bot to settings. What the person did not
// change is as others left it. Where both changed an item, the draft has both.
func (d *statementDraft) merge(root *document.Node) {
	now := newStatements(d.language, root)
	d.Statements.merge(now.Statements.base)
	d.Groups.merge(now.Groups.base)
}
