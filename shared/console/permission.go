package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
)

// The bounds of a matrix, and of the comparisons that it takes.
const (
	maxRows          = 30
	maxColumns       = 16
	maxConversations = 20
	maxMatched       = 2_000_000
)

// A permissionsPage is what the page of the permissions of a bot shows.
type permissionsPage struct {
	Name       string
	Status     string
	Matrix     matrix
	Statements []statementRow
	Decides    int // index of the statement that decides what is simulated; -1 without one
	Actions    []actionRow
	Simulation simulation
}

// Decides returns that no statement is marked on the page of the settings.
func (settingsPart) Decides() int { return -1 }

// A matrix says which people may run which commands.
type matrix struct {
	Who, What string // what is in the names of its people and commands; empty: anything
	Columns   []string
	Rows      []matrixRow
	Cut       bool // there are more rows, columns or conversations
	Draft     bool // it shows what is not saved
}

// Patterns reports whether a column is of a pattern.
func (m matrix) Patterns() bool {
	return strings.ContainsAny(strings.Join(m.Columns, ""), command.Wildcards)
}

// A matrixRow is a person, a group, or anyone else.
type matrixRow struct {
	Kind, ID string
	Cells    []matrixCell
	user     string
}

// A matrixCell says whether the people of a row may run the command of a column.
type matrixCell struct {
	Class  string
	Text   string
	Detail string // the roles, and the conversations if it is only some
	To     string // address of its simulation
}

// rules are the permissions of a bot's settings, as they are on a page.
type rules struct {
	bot         *chat.Configuration
	platform    command.Platform
	root        *document.Node
	permissions *command.Permissions
	actions     *command.Actions
}

// rulesOf reads the permissions of a bot.
func (v *visit) rulesOf(bot *chat.Configuration) (*rules, error) {
	root, err := document.Parse("Configuration", bot.Configuration)
	if err != nil {
		return nil, fmt.Errorf("console: %q: %w", bot.Name, err)
	}
	out := &rules{bot: bot, root: root, actions: command.NewActions(root, nil)}
	for _, p := range v.console.options.Platforms {
		if p.Type == bot.Type {
			out.platform = p
		}
	}
	out.permissions = out.read(root, bot.Status == chat.StatusActive)
	return out, nil
}

func (r *rules) read(root *document.Node, active bool) *command.Permissions {
	return command.NewPermissions(command.PermissionOptions{Name: r.bot.Name, Active: active,
		RamRole: r.bot.RamRole, FoldUsers: r.platform.FoldUsers}, root)
}

// fold returns a user id in the form that ids are compared in.
func (r *rules) fold(user string) string {
	if r.platform.FoldUsers {
		return strings.ToLower(user)
	}
	return user
}

func (v *visit) showPermissions() error {
	name, query := v.r.PathValue("name"), v.r.URL.Query()
	var answer chat.GetResponse
	if err := v.api.Call(v.r.Context(), "GetChatConfiguration", map[string]string{"Name": name}, &answer); err != nil {
		return err
	}
	r, err := v.rulesOf(&answer.ChatConfiguration)
	if err != nil {
		return err
	}
	page := permissionsPage{Name: name, Status: r.bot.Status, Statements: statementsOf(r.root),
		Decides: -1}
	page.Matrix = v.matrixOf(r, strings.TrimSpace(query.Get("who")), strings.TrimSpace(query.Get("what")))
	page.Actions = v.actionRows(r)
	status := http.StatusOK
	if page.Simulation, status, err = v.simulate(r); err != nil {
		return err
	}
	if a := page.Simulation.Answer; a != nil && a.Statement != nil {
		page.Decides = *a.Statement
	}
	return v.show(status, "permissions", "permissions.of", page, visible(name))
}

// matrixOf decides every command of a row's people in every conversation that a statement may
// treat differently. An inactive bot is decided as if it were active.
func (v *visit) matrixOf(r *rules, who, what string) matrix {
	out := matrix{Who: who, What: what}
	rows, columns := v.rowsOf(r), columnsOf(r)
	contains := func(text, part string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(part)) }
	rows = slices.DeleteFunc(rows, func(row matrixRow) bool { return !contains(row.Kind+" "+row.ID, who) })
	columns = slices.DeleteFunc(columns, func(name string) bool { return !contains(name, what) })
	root, conversations := withMembers(r.root), v.conversationsOf(r.root)
	if len(columns) > maxColumns {
		columns, out.Cut = columns[:maxColumns], true
	}
	if len(conversations) > maxConversations {
		conversations, out.Cut = conversations[:maxConversations], true
	}
	most := maxMatched / max(1, len(columns)*len(conversations)*max(1, patternsOf(r.root)))
	if most = min(max(most, 1), maxRows); len(rows) > most {
		rows, out.Cut = rows[:most], true
	}
	out.Columns = columns
	permissions := r.read(root, true)
	for _, row := range rows {
		for _, name := range columns {
			cell, where := v.cell(permissions, row.user, name, conversations)
			cell.To = simulationOf(r.bot.Name, r.exampleUser(row), exampleConversation(where), r.exampleText(name))
			row.Cells = append(row.Cells, cell)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// cell decides one command of one user in some conversations. It returns one of these, where the
// command is allowed if there is such a one.
func (v *visit) cell(p *command.Permissions, user, name string, conversations []namedText) (matrixCell, string) {
	var where, roles []string
	at := conversations[0].Text
	values := false
	for _, conversation := range conversations {
		d, some := p.DecideName(user, conversation.Text, name)
		if !d.Allowed {
			continue
		}
		if where == nil {
			at = conversation.Text
		}
		where, values = append(where, conversation.Name), values || some
		if d.RamRole != "" && !slices.Contains(roles, d.RamRole) {
			roles = append(roles, d.RamRole)
		}
	}
	if where == nil {
		return matrixCell{Class: "quiet", Text: v.word("matrix.denied")}, at
	}
	out := matrixCell{Class: "good", Text: v.word("matrix.allowed"), Detail: strings.Join(roles, ", ")}
	limited := len(where) < len(conversations)
	switch {
	case limited && values:
		out.Class, out.Text = "busy", v.word("matrix.both")
	case limited:
		out.Class, out.Text = "busy", v.word("matrix.some")
	case values:
		out.Class, out.Text = "busy", v.word("matrix.values")
	}
	if limited {
		if len(where) > 3 {
			where = append(where[:3], "…")
		}
		out.Detail = strings.Trim(strings.Join(where, ", ")+" · "+out.Detail, "· ")
	}
	return out, at
}

// exampleUser returns someone whom a row of a matrix is about.
func (r *rules) exampleUser(row matrixRow) string {
	if row.ID == "" {
		return "anyone"
	}
	for _, m := range groupsOf(r.root) {
		if m.Key != row.ID || row.user == row.ID {
			continue
		}
		for _, item := range m.Value.Items {
			if len(r.permissions.Groups(item.Text)) == 1 {
				return item.Text
			}
		}
		if len(m.Value.Items) > 0 {
			return m.Value.Items[0].Text
		}
	}
	return row.ID
}

// exampleConversation returns a conversation that a pattern of a statement matches.
func exampleConversation(pattern string) string {
	if pattern == "\x00" {
		return "elsewhere"
	}
	return examplePattern.Replace(pattern)
}

// examplePattern makes a text that a pattern matches.
var examplePattern = strings.NewReplacer("*", "x", "?", "x")

// exampleText returns a message with a command of a name, or of one that a pattern matches.
func (r *rules) exampleText(name string) string {
	a := r.actions.Find(command.FoldName(name))
	if a == nil {
		return command.Format(examplePattern.Replace(name), nil)
	}
	return a.Example()
}

// member is the id of someone who is only in the group with a number; -1: in none. No platform has
// such an id.
func member(group int) string { return "\x00" + strconv.Itoa(group) }

// groupsOf returns the members of UserGroups.
func groupsOf(root *document.Node) []document.Member {
	if groups := root.Get(command.KeyUserGroups); groups != nil {
		return groups.Members
	}
	return nil
}

// withMembers returns settings in which each group has a member more, who is in no other group.
func withMembers(root *document.Node) *document.Node {
	out, groups := object(), object()
	for i, m := range groupsOf(root) {
		items := append(slices.Clone(m.Value.Items), &document.Node{Kind: document.String, Text: member(i)})
		groups.Members = append(groups.Members, document.Member{Key: m.Key,
			Value: &document.Node{Kind: document.Array, Items: items}})
	}
	for _, m := range root.Members {
		if m.Key != command.KeyUserGroups {
			out.Members = append(out.Members, m)
		}
	}
	out.Members = append(out.Members, document.Member{Key: command.KeyUserGroups, Value: groups})
	return out
}

// rowsOf returns the groups, the people whom statements name or who are in several groups, and
// anyone else.
func (v *visit) rowsOf(r *rules) (rows []matrixRow) {
	for i, m := range groupsOf(r.root) {
		rows = append(rows, matrixRow{Kind: v.word("matrix.group"), ID: m.Key, user: member(i)})
	}
	seen := make(map[string]bool)
	add := func(user string) {
		if folded := r.fold(user); !seen[folded] {
			seen[folded] = true
			rows = append(rows, matrixRow{Kind: v.word("matrix.user"), ID: user, user: user})
		}
	}
	for principal := range everyText(r.root, "Principals") {
		if user, ok := strings.CutPrefix(principal, "user:"); ok {
			add(user)
		}
	}
	for _, m := range groupsOf(r.root) {
		for _, item := range m.Value.Items {
			if len(r.permissions.Groups(item.Text)) > 1 {
				add(item.Text)
			}
		}
	}
	return append(rows, matrixRow{Kind: v.word("matrix.anyone"), user: member(-1)})
}

// columnsOf returns the actions, and the commands and patterns of the statements.
func columnsOf(r *rules) (columns []string) {
	for _, a := range r.actions.All() {
		columns = append(columns, a.Name)
	}
	if r.actions.Strict() {
		return columns
	}
	seen := make(map[string]bool)
	for pattern := range everyText(r.root, "Commands") {
		folded := command.FoldName(pattern)
		if !seen[folded] && r.actions.Find(folded) == nil && !r.actions.IsBuiltIn(folded) {
			columns = append(columns, pattern)
		}
		seen[folded] = true
	}
	return columns
}

// conversationsOf returns the conversations that statements may treat differently, with their
// names for people. A pattern stands for the conversations that it matches.
func (v *visit) conversationsOf(root *document.Node) (out []namedText) {
	named := make(map[string]bool)
	wild := false
	for pattern := range everyText(root, "Conversations") {
		wild = wild || pattern != "*" && strings.ContainsAny(pattern, command.Wildcards)
		if named[pattern] {
			continue
		}
		named[pattern] = true
		if root.Get(command.KeyConversationIDs) == nil && pattern != "*" {
			out = append(out, namedText{pattern, pattern})
		}
	}
	others := namedText{v.word("matrix.elsewhere"), "\x00"}
	list := root.Get(command.KeyConversationIDs)
	if list == nil {
		return append(out, others)
	}
	for _, item := range list.Items {
		switch {
		case named[item.Text] || wild:
			out = append(out, namedText{item.Text, item.Text})
		case others.Text == "\x00": // one for all that no statement names
			others.Text = item.Text
		}
	}
	if others.Text != "\x00" {
		out = append(out, others)
	}
	return out
}

// patternsOf returns how many texts the statements have.
func patternsOf(root *document.Node) (n int) {
	for _, key := range []string{"Principals", "Commands", "Conversations"} {
		for range everyText(root, key) {
			n++
		}
	}
	return n
}

// everyText returns the texts of a list in all statements.
func everyText(root *document.Node, key string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		list := root.Get(command.KeyPermissions)
		if list == nil {
			return
		}
		for _, statement := range list.Items {
			texts := statement.Get(key)
			if texts == nil {
				continue
			}
			for _, item := range texts.Items {
				if !yield(item.Text) {
					return
				}
			}
		}
	}
}
