package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// A shownBot is a bot in full.
type shownBot struct {
	ChatConfiguration chat.Configuration
	Health            *chat.Health `json:",omitempty"`
}

func newShow() *cobra.Command {
	var showURL bool
	cmd := newVerb(&cobra.Command{
		Use:   "show NAME",
		Short: "Show a bot: settings, who may do what, health, and the steps to set it up",
		Long: `Show a bot: its settings, its actions, who may do what, its health with the step that fails, and the
steps in the platform's console.

Secrets are never shown. The URL of the webhook has a secret part, which is masked too. --show-url
shows it, and the other values to paste into the platform's console.`,
		Example: `  chatconf show ops
  chatconf show ops --show-url
  chatconf show ops -o yaml`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error {
		one, err := v.get(ctx, args[0])
		if err != nil {
			return err
		}
		if !showURL {
			if one.Outputs, err = maskOutputs(one.Outputs); err != nil {
				return v.client.notJSON("GetChatConfiguration")
			}
		}
		out, why := shownBot{ChatConfiguration: *one}, ""
		switch out.Health, err = v.health(ctx, args[0]); {
		case isUnknownAction(err):
			why = "The service does not show the health of bots."
		case isForbidden(err):
			why = "The access key may not see the health; it needs oos:GetChatConfigurationHealth."
		case err != nil:
			return err
		}
		if err := v.print(out, func() error { return v.printBot(&out) }); err != nil {
			return err
		}
		return v.note(why)
	})
	cmd.Flags().BoolVar(&showURL, "show-url", false, "show the webhook's URL with its token, and other values to paste")
	return cmd
}

// get returns a configuration.
func (v *verb) get(ctx context.Context, name string) (*chat.Configuration, error) {
	var answer chat.GetResponse
	if err := v.ask(ctx, "GetChatConfiguration", map[string]string{"Name": name}, "", &answer); err != nil {
		return nil, err
	}
	return &answer.ChatConfiguration, nil
}

// Members of Outputs.
const (
	outputURL   = "URL"
	outputSetup = "Setup"
)

// maskOutputs returns Outputs with every secret masked. Setup may have the URL in it.
func maskOutputs(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	root, err := document.Parse("Outputs", text)
	if err != nil {
		return "", err
	}
	url := root.TextOf(outputURL, "")
	token := url[strings.LastIndexByte(url, '/')+1:]
	for _, m := range root.Members {
		switch {
		case m.Value.Kind != document.String:
		case m.Key != outputURL && m.Key != outputSetup:
			m.Value.Text = secret.Mask
		case token != "":
			m.Value.Text = strings.ReplaceAll(m.Value.Text, token, secret.Mask)
		}
	}
	return root.String(), nil
}

// heading prints the title of a part.
func (v *verb) heading(title string) error {
	_, err := fmt.Fprintf(v.out, "\n%s\n", paint(v.out, title, bold))
	return err
}

// printBot prints a bot for people.
func (v *verb) printBot(b *shownBot) error {
	c := &b.ChatConfiguration
	root, err := document.Parse("Configuration", c.Configuration)
	if err != nil {
		return v.client.notJSON("GetChatConfiguration")
	}
	outputs := &document.Node{Kind: document.Object}
	if c.Outputs != "" {
		if outputs, err = document.Parse("Outputs", c.Outputs); err != nil {
			return v.client.notJSON("GetChatConfiguration")
		}
	}
	pairs := [][]string{{"NAME", c.Name}, {"Type", c.Type}, {"Status", c.Status}, {"Role", c.RamRole},
		{"Group", c.ResourceGroupId}, {"Tags", tagText(c.Tags)}, {"Revision", revisionText(c.Revision)},
		{"Created (UTC)", shortDate(c.CreatedDate)}, {"Updated (UTC)", shortDate(c.UpdatedDate)}}
	for _, m := range outputs.Members {
		if m.Key != outputSetup {
			pairs = append(pairs, []string{m.Key, m.Value.Text})
		}
	}
	for _, part := range []func() error{
		func() error { return printTable(v.out, pairs[0], pairs[1:]) },
		func() error { return v.printSettings(root, c.Secrets) },
		func() error { return v.printActions(command.NewActions(root, nil)) },
		func() error { return v.printStatements(root, c.RamRole) },
		func() error { return v.printHealth(b.Health) },
		func() error { return v.printSetup(outputs.TextOf(outputSetup, "")) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// printSettings prints the settings that have no part of their own.
func (v *verb) printSettings(root *document.Node, secrets []chat.SecretState) error {
	since := make(map[string]string)
	for _, s := range secrets {
		since[s.Key] = shortDate(s.SinceDate)
	}
	var rows [][]string
	add := func(key, value string) { rows = append(rows, []string{key, value, since[key]}) }
	for _, m := range root.Members {
		switch m.Key {
		case command.KeyPermissions, command.KeyActions:
		case command.KeyTarget, command.KeyUserGroups:
			for _, under := range m.Value.Members {
				add(m.Key+"."+under.Key, plainText(under.Value))
			}
		default:
			add(m.Key, plainText(m.Value))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := v.heading("Settings"); err != nil {
		return err
	}
	return printTable(v.out, []string{"KEY", "VALUE", "SINCE (UTC)"}, rows)
}

// plainText returns a value of a Configuration in one line: a text as it is, a list of texts with
// commas, and other values as JSON.
func plainText(n *document.Node) string {
	switch n.Kind {
	case document.String:
		return n.Text
	case document.Array:
		return strings.Join(textsOf(n), ", ")
	}
	return n.String()
}

// textsOf returns the items of a list in text; nil for nil.
func textsOf(n *document.Node) (texts []string) {
	if n == nil {
		return nil
	}
	for _, item := range n.Items {
		texts = append(texts, plainText(item))
	}
	return texts
}

// printActions prints the declared actions.
func (v *verb) printActions(actions *command.Actions) error {
	var rows [][]string
	for _, a := range actions.All() {
		target := ""
		if a.Target != nil {
			target = a.Target.Type
		}
		rows = append(rows, []string{a.Usage(), a.Summary, target, a.RamRole})
	}
	if len(rows) == 0 {
		return nil
	}
	if err := v.heading("Actions"); err != nil {
		return err
	}
	return printTable(v.out, []string{"ACTION", "SUMMARY", "TARGET", "ROLE"}, rows)
}

// printStatements prints who may do what.
func (v *verb) printStatements(root *document.Node, role string) error {
	if err := v.heading("Who may do what"); err != nil {
		return err
	}
	var statements []*document.Node
	if list := root.Get(command.KeyPermissions); list != nil {
		statements = list.Items
	}
	if len(statements) == 0 {
		return v.printf("Nobody may run a command: there are no Permissions.\n")
	}
	var rows [][]string
	for i, n := range statements {
		effect, roleOf := n.TextOf("Effect", ""), n.TextOf("RamRole", "")
		if effect == "Allow" {
			roleOf = cmp.Or(roleOf, role)
		}
		where := strings.Join(textsOf(n.Get("Conversations")), ", ")
		rows = append(rows, []string{strconv.Itoa(i), effect, strings.Join(textsOf(n.Get("Principals")), ", "),
			strings.Join(textsOf(n.Get("Commands")), ", "), cmp.Or(where, "*"), valuesText(n), roleOf})
	}
	header := []string{"STATEMENT", "EFFECT", "WHO", "COMMANDS", "CONVERSATIONS", "VALUES", "ROLE"}
	return printTable(v.out, header, rows)
}

// valuesText returns the values of parameters that a statement is for, in one line.
func valuesText(statement *document.Node) string {
	of := statement.Get("Parameters")
	if of == nil {
		return ""
	}
	var list []string
	for _, m := range of.Members {
		list = append(list, m.Key+"="+strings.Join(textsOf(m.Value), "|"))
	}
	return strings.Join(list, " ")
}

// connectionText says what the states of a connection mean.
var connectionText = map[string]string{
	chat.ConnectionConnecting: "the connection is not open; a process tries to open it",
	chat.ConnectionRefused:    "the connection was refused; chatconf tries again when the configuration changes",
	chat.ConnectionLost:       "the process that holds the connection has reported nothing for some minutes",
	chat.ConnectionAbsent:     "no process holds the connection; run 'chatconf serve' or 'chatconf connect'",
}

// printHealth prints the state of the webhook or the connection, and what failed last.
func (v *verb) printHealth(h *chat.Health) error {
	if h == nil {
		return nil
	}
	if err := v.heading("Health"); err != nil {
		return err
	}
	rows := [][]string{{"Last callback", shortDate(h.LastCallbackDate), "", ""},
		{"Last message", shortDate(h.LastCommandDate), "", ""}}
	says := map[string]string{
		chat.HealthWorking: "the last callback of the platform was genuine",
		chat.HealthFailing: "the last callback of the platform was refused",
		chat.HealthSilent:  "the platform has never called",
	}[h.State]
	if step := failingStep(h); step != "" {
		says += " at the step " + step
	}
	var connectionError *chat.HealthError
	if c := h.Connection; c != nil {
		connectionError = c.LastError
		note := count(int(c.Reconnects), "reconnect")
		if c.Holder != "" {
			note += ", held by " + c.Holder
		}
		rows = append(rows, []string{"Connection " + c.State, shortDate(c.SinceDate), "", note},
			[]string{"Last delivery", shortDate(c.LastFrameDate), "", ""})
		if text := connectionText[c.State]; text != "" {
			says = text
		} else if h.State == chat.HealthWorking {
			says = "the connection is open"
		}
	}
	for _, last := range []struct {
		what string
		of   *chat.HealthError
	}{{"Connection error", connectionError}, {"Refused callback", h.LastError},
		{"Undelivered command", h.LastDeliveryError},
		{"Mention of another name", h.LastMention}, {"Undelivered event", h.LastEventError}} {
		if last.of != nil {
			rows = append(rows, []string{last.what, shortDate(last.of.Date), last.of.Step, last.of.Reason})
		}
	}
	state := paint(v.out, oneLine(h.State), colorOf(h.State))
	if _, err := fmt.Fprintf(v.out, "%s: %s.\n", state, oneLine(says)); err != nil {
		return err
	}
	return printTable(v.out, []string{"WHAT", "DATE (UTC)", "STEP", "REASON"}, rows)
}

// printSetup prints the steps in the platform's console.
func (v *verb) printSetup(steps string) error {
	if steps == "" {
		return nil
	}
	if err := v.heading("Steps in the platform's console"); err != nil {
		return err
	}
	return v.printf("%s\n", strings.TrimRight(steps, "\n"))
}
