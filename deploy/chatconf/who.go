package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
)

// The people and places that Permissions do not name.
const (
	anyoneElse = "anyone else" // has blanks, as no id has
	anywhere   = "anywhere else"
	everywhere = "*"
)

// A right is what one person may do with one bot, or everybody whom the bot's Permissions do not
// name.
type right struct {
	Bot           string
	User          string
	Groups        []string `json:",omitempty"`
	Commands      []string
	Except        []string `json:",omitempty"`
	Conversations []string // "*" means all
	Allowed       bool
	SomeValues    bool `json:",omitempty"` // only with some values of the parameters
	RamRole       string
	Statement     int    // index into Permissions of the one that decides
	StatementText string // that statement
}

func newWhoCan() *cobra.Command {
	var in string
	cmd := newVerb(&cobra.Command{
		Use:   "who-can COMMAND [--in CONVERSATION]",
		Short: "Show who may run a command, of all bots",
		Long: `Show who may run a command, with which bot, where, under which role, and which statement of
Permissions allows it. COMMAND is the name of a command, or a whole message in quotes: the values of
an action's parameters may matter. People who are denied what everyone else may do are listed, too.

Permissions are read from the bots, and decided here as the service decides them. The answer is
about people and conversations that Permissions name, and "anyone else" and "anywhere else".`,
		Example: `  chatconf who-can restart
  chatconf who-can 'scale env=prod count=3' --in cidexample`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error {
		if _, _, err := command.Parse(args[0]); err != nil {
			return usagef("the command: %w", err)
		}
		return v.rights(ctx, func(b *ruled) []right { return b.whoCan(args[0], in) }, "Nobody may run "+args[0])
	})
	cmd.Flags().StringVar(&in, "in", "", "only in this conversation")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func newCan() *cobra.Command {
	var in string
	cmd := newVerb(&cobra.Command{
		Use:   "can USER [--in CONVERSATION]",
		Short: "Show what a person may do, with all bots",
		Long: `Show what a person may do: with which bot, which commands, where, and under which role. USER is the
id that the platform gives the person, as Permissions write it; the command whoami tells it in chat.

Permissions are read from the bots, and decided here as the service decides them. The built-in
commands help and whoami are not listed: everyone may run them where the bot listens.`,
		Example: `  chatconf can manager4220
  chatconf can manager4220 --in cidexample -o wide`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error {
		user := strings.TrimPrefix(args[0], "user:")
		if !command.ID.Fits(user) {
			return usagef("user %q is invalid; write %s", user, command.ID.Want)
		}
		return v.rights(ctx, func(b *ruled) []right { return b.can(user, in) },
			user+" may run no command but help and whoami")
	})
	cmd.Flags().StringVar(&in, "in", "", "only in this conversation")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// A ruled bot is a bot with its Permissions.
type ruled struct {
	name          string
	active        bool
	endpoint      *command.Endpoint
	users         []string // that are named
	conversations []string // that are named: ids and patterns
	closed        bool     // the bot listens nowhere else
	problem       string   // why a message is not one of the bot's commands
}

// rights prints what find finds for each bot that the access key may read.
func (v *verb) rights(ctx context.Context, find func(*ruled) []right, none string) error {
	all, unread, err := v.ruled(ctx)
	if err != nil {
		return err
	}
	found, inactive := []right{}, 0
	var notes []string
	for _, b := range all {
		if found = append(found, find(b)...); !b.active {
			inactive++
		}
		if b.problem != "" {
			notes = append(notes, b.name+": "+b.problem)
		}
	}
	if unread > 0 {
		none += " with a bot that the access key may read"
	}
	if err := v.print(found, func() error { return v.printRights(found, none) }); err != nil {
		return err
	}
	if inactive > 0 {
		notes = append(notes, count(inactive, "inactive bot")+" left out: nobody may run a command there.")
	}
	if unread > 0 {
		notes = append(notes, fmt.Sprintf("The access key may not read %s; it needs oos:GetChatConfiguration.",
			count(unread, "other bot")))
	}
	return v.note(strings.Join(notes, "\n"))
}

// ruled returns all bots with their Permissions, and how many the access key may not read.
func (v *verb) ruled(ctx context.Context) (all []*ruled, unread int, err error) {
	list, err := v.bots(ctx, true)
	if err != nil {
		return nil, 0, err
	}
	read := make([]*ruled, len(list))
	err = inParallel(ctx, len(list), func(ctx context.Context, i int) error {
		c := &chat.Configuration{Name: list[i].Name, Type: list[i].Type, Status: list[i].Status,
			RamRole: list[i].RamRole, Configuration: list[i].Configuration}
		if c.Configuration == "" { // another service, many large ones, or no permission
			var err error
			if c, err = v.get(ctx, c.Name); isForbidden(err) || isGone(err) {
				return nil
			} else if err != nil {
				return err
			}
		}
		var err error
		read[i], err = ruledOf(c)
		return err
	})
	for _, b := range read {
		if b == nil {
			unread++
		} else {
			all = append(all, b)
		}
	}
	return all, unread, err
}

// ruledOf returns a bot with its Permissions.
func ruledOf(c *chat.Configuration) (*ruled, error) {
	d, err := draftOf(c)
	if err != nil {
		return nil, err
	}
	active := cmp.Or(c.Status, chat.StatusActive) == chat.StatusActive
	out := &ruled{name: c.Name, active: active, endpoint: &command.Endpoint{
		Actions: command.NewActions(d.root, nil),
		Permissions: command.NewPermissions(command.PermissionOptions{Name: c.Name, Active: active, RamRole: c.RamRole,
			FoldUsers: d.platform.FoldUsers}, d.root),
		Language: command.English,
	}}
	if list := d.root.Get(command.KeyPermissions); list != nil {
		for _, statement := range list.Items {
			for _, principal := range textsOf(statement.Get("Principals")) {
				if user, ok := strings.CutPrefix(principal, "user:"); ok {
					out.users = append(out.users, user)
				}
			}
			out.conversations = append(out.conversations, textsOf(statement.Get("Conversations"))...)
		}
	}
	if groups := d.root.Get(command.KeyUserGroups); groups != nil && groups.Kind == document.Object {
		for _, m := range groups.Members {
			out.users = append(out.users, textsOf(m.Value)...)
		}
	}
	if list := d.root.Get(command.KeyConversationIDs); list != nil {
		out.conversations, out.closed = textsOf(list), true
	}
	out.conversations = slices.DeleteFunc(out.conversations, func(c string) bool { return c == everywhere })
	for _, list := range []*[]string{&out.users, &out.conversations} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out, nil
}

// places returns the conversations to decide for: one, or those that are named, and any other. A
// pattern represents the conversations that only it matches.
func (b *ruled) places(in string) []string {
	switch {
	case in != "":
		return []string{in}
	case b.closed:
		return b.conversations
	}
	return append(slices.Clone(b.conversations), anywhere)
}

// whoCan returns who may run a command, and who may not although everyone else may.
func (b *ruled) whoCan(text, in string) (found []right) {
	places := b.places(in)
	rest := b.rightsOf(anyoneElse, text, places, nil)
	for _, user := range b.users {
		found = append(found, b.rightsOf(user, text, places, rest)...)
	}
	return b.everywhere(append(found, rest...), places)
}

// everywhere marks rights that hold in all conversations.
func (b *ruled) everywhere(found []right, places []string) []right {
	for i := range found {
		if slices.Contains(places, anywhere) && len(found[i].Conversations) == len(places) {
			found[i].Conversations = []string{everywhere}
		}
	}
	return found
}

// rightsOf returns what a person may do with one command. What everyone may do in the same way is
// left out.
func (b *ruled) rightsOf(user, text string, places []string, everyone []right) (found []right) {
	for _, place := range places {
		one := b.decide(user, place, text)
		shared := slices.IndexFunc(everyone, func(r right) bool { return slices.Contains(r.Conversations, place) })
		switch {
		case !one.Allowed && shared < 0:
			continue
		case shared >= 0 && one.Allowed && one.Statement == everyone[shared].Statement:
			continue
		}
		found = addRight(found, one)
	}
	return found
}

// addRight adds a right in one conversation to others of the same statement.
func addRight(found []right, one right) []right {
	i := slices.IndexFunc(found, func(r right) bool {
		return r.Allowed == one.Allowed && r.Statement == one.Statement && r.RamRole == one.RamRole &&
			r.SomeValues == one.SomeValues && slices.Equal(r.Commands, one.Commands) &&
			slices.Equal(r.Except, one.Except)
	})
	if i < 0 {
		return append(found, one)
	}
	found[i].Conversations = append(found[i].Conversations, one.Conversations...)
	return found
}

// decide decides a message of a person in a conversation. Of a command without arguments only the
// name counts.
func (b *ruled) decide(user, place, text string) right {
	p := b.endpoint.Permissions
	c, _ := b.endpoint.Command(&command.Message{User: user, Conversation: place, Text: text})
	d, some := b.endpoint.Decide(c), false
	if len(c.Arguments) == 0 {
		d, some = p.DecideName(user, place, c.Name)
	}
	name := c.Name
	if len(c.Arguments) > 0 {
		name = text
	}
	var wrong *command.Error
	if len(c.Arguments) > 0 && errors.As(c.Problem, &wrong) {
		b.problem = wrong.Sentence(command.English)
	}
	return right{Bot: b.name, User: user, Groups: p.Groups(user), Commands: []string{name},
		Conversations: []string{place}, Allowed: d.Allowed, SomeValues: some, RamRole: d.RamRole,
		Statement: d.Statement, StatementText: d.Text}
}

// can returns what a person may do.
func (b *ruled) can(user, in string) (found []right) {
	p := b.endpoint.Permissions
	places := b.places(in)
	for _, place := range places {
		may := p.Runnable(user, place)
		var here []right
		for _, name := range may.Commands {
			d, some := p.DecideName(user, place, name)
			one := right{Bot: b.name, User: user, Groups: p.Groups(user), Commands: []string{name},
				Except: may.Except, Conversations: []string{place}, Allowed: true, SomeValues: some, RamRole: d.RamRole,
				Statement: d.Statement, StatementText: d.Text}
			i := slices.IndexFunc(here, func(r right) bool {
				return r.Statement == one.Statement && r.RamRole == one.RamRole && r.SomeValues == one.SomeValues
			})
			if i < 0 {
				here = append(here, one)
			} else {
				here[i].Commands = append(here[i].Commands, name)
			}
		}
		for _, one := range here {
			found = addRight(found, one)
		}
	}
	return b.everywhere(found, places)
}

// printRights prints rights as a table.
func (v *verb) printRights(found []right, none string) error {
	if len(found) == 0 {
		return v.printf("%s.\n", none)
	}
	header := []string{"BOT", "WHO", "MAY RUN", "CONVERSATIONS", "ROLE", "STATEMENT"}
	if v.output == outputWide {
		header = append(header, "GROUPS", "TEXT")
	}
	rows := make([][]string, len(found))
	for i, r := range found {
		what := strings.Join(r.Commands, ", ")
		switch {
		case !r.Allowed:
			what = "Denied"
		case r.SomeValues:
			what += " with some values"
		}
		if len(r.Except) > 0 {
			what += " except " + strings.Join(r.Except, ", ")
		}
		statement := ""
		if r.Statement >= 0 {
			statement = strconv.Itoa(r.Statement)
		}
		rows[i] = []string{r.Bot, r.User, what, strings.Join(r.Conversations, ", "), r.RamRole, statement}
		if v.output == outputWide {
			rows[i] = append(rows[i], strings.Join(r.Groups, ", "), r.StatementText)
		}
	}
	return printTable(v.out, header, rows)
}
