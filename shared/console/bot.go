package console

import (
	"fmt"
	"net/http"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

// A botPage is what the page of one bot shows.
type botPage struct {
	Name     string
	Settings settingsPart
	Health   healthPart
}

// A settingsPart is what the settings of a bot say.
type settingsPart struct {
	part
	chat.Configuration
	Tags        []string
	Rows, Unset []settingRow
	Statements  []statementRow
	Others      []namedText  // members of Outputs but the steps
	Steps       [][]stepPart // of the set-up
	ConsoleURL  string       // of the platform
	MaskedParts bool         // a value of Outputs has a masked part
}

// A settingRow is one key of the settings.
type settingRow struct {
	Key, Help, Value, Since string
	Required, Secret, Set   bool
}

// A statementRow is one statement of Permissions.
type statementRow struct {
	Effect, Principals, Commands, Conversations, Role, Rest string
}

type namedText struct{ Name, Text string }

// A healthPart is the health of a bot.
type healthPart struct {
	part
	chat.Health
	Says    string        // what the state of the connection means; empty without one
	Moments []namedText   // name and date
	Errors  []healthError // the failing one first
}

// A healthError is the last error of a kind.
type healthError struct {
	chat.HealthError
	What    string
	Advice  string // empty if the step needs none
	Failing bool
}

func (v *visit) showBot() error {
	name := v.r.PathValue("name")
	page := botPage{Name: name}
	var answer chat.GetResponse
	err := v.api.Call(v.r.Context(), "GetChatConfiguration", map[string]string{"Name": name}, &answer)
	if page.Settings.part, err = partOf(err); err != nil {
		return err
	}
	if page.Settings.Lacks == "" {
		if page.Settings, err = v.settingsOf(&answer.ChatConfiguration); err != nil {
			return err
		}
	}
	var health chat.HealthResponse
	err = v.api.Call(v.r.Context(), "GetChatConfigurationHealth", map[string]string{"Name": name}, &health)
	if page.Health.part, err = partOf(err); err != nil {
		return err
	}
	if page.Health.Lacks == "" {
		page.Health = v.healthOf(&health.Health)
	}
	if page.Settings.Lacks != "" && page.Health.Lacks != "" { // so the page must not show that the bot exists
		return &fault.Error{Code: fault.NoPermission,
			Denied: &fault.AccessDenied{AuthAction: page.Settings.Lacks}}
	}
	return v.show(http.StatusOK, "bot", "bot", page, visible(name))
}

// settingsOf returns the settings of a bot, in the order of its platform's declaration.
func (v *visit) settingsOf(c *chat.Configuration) (settingsPart, error) {
	out := settingsPart{Configuration: *c, Tags: tagsOf(c.Tags)}
	root, err := document.Parse("Configuration", c.Configuration)
	if err != nil {
		return settingsPart{}, fmt.Errorf("console: %q: %w", c.Name, err)
	}
	since := make(map[string]string)
	for _, state := range c.Secrets {
		since[state.Key] = state.SinceDate
	}
	p, _ := v.platformOf(c.Type)
	out.ConsoleURL = p.Console
	for _, row := range settingRows(p, root, since) {
		if row.Set || row.Required {
			out.Rows = append(out.Rows, row)
		} else {
			out.Unset = append(out.Unset, row)
		}
	}
	out.Statements = statementsOf(root)
	out.readOutputs(c.Outputs, p, v.language)
	return out, nil
}

// settingRows returns the keys that a platform declares, and what a bot has of them. Permissions
// are left out: they have a table of their own.
func settingRows(p command.Platform, root *document.Node, since map[string]string) (rows []settingRow) {
	for _, f := range chat.FormOf(p).Fields {
		node := root.Get(f.Key)
		if f.Key == command.KeyPermissions || node == nil && f.Common {
			continue
		}
		row := settingRow{Key: f.Key, Help: f.Help, Required: f.Required, Secret: f.Form.Secret, Set: node != nil,
			Since: since[f.Key]}
		if node != nil && !row.Secret {
			row.Value = valueOf(node)
		}
		rows = append(rows, row)
	}
	return rows
}

// valueOf returns a value of the settings as text.
func valueOf(n *document.Node) string {
	switch n.Kind {
	case document.Object, document.Array:
		return n.String()
	}
	return n.Text
}

// statementsOf returns the statements of Permissions.
func statementsOf(root *document.Node) (rows []statementRow) {
	list := root.Get(command.KeyPermissions)
	if list == nil {
		return nil
	}
	for _, n := range list.Items {
		row := statementRow{Effect: n.TextOf("Effect", "Deny"), Role: n.TextOf("RamRole", "")}
		var rest []string
		for _, m := range n.Members {
			switch m.Key {
			case "Effect", "RamRole":
			case "Principals":
				row.Principals = listed(m.Value)
			case "Commands":
				row.Commands = listed(m.Value)
			case "Conversations":
				row.Conversations = listed(m.Value)
			case "Parameters":
				rest = append(rest, strings.ReplaceAll(written(kindValues, m.Value), "\n", ", "))
			default:
				rest = append(rest, m.Key+": "+valueOf(m.Value))
			}
		}
		row.Rest = strings.Join(rest, "; ")
		rows = append(rows, row)
	}
	return rows
}

// listed returns the texts of a list, or one text.
func listed(n *document.Node) string {
	if n.Kind != document.Array {
		return valueOf(n)
	}
	texts := make([]string, len(n.Items))
	for i, item := range n.Items {
		texts[i] = valueOf(item)
	}
	return strings.Join(texts, ", ")
}

// afterLinks removes the space between an address and a Chinese mark, which no link needs.
var afterLinks = strings.NewReplacer(" ，", "，", " ）", "）")

// readOutputs reads the Outputs of a bot. Without the right form there are none.
func (s *settingsPart) readOutputs(text string, p command.Platform, l language) {
	root, err := document.Parse("Outputs", text)
	if err != nil {
		return
	}
	url := root.TextOf("URL", "")
	for _, m := range root.Members {
		value := valueOf(m.Value)
		s.MaskedParts = s.MaskedParts || strings.Contains(value, secret.Mask)
		if m.Key == "Setup" {
			for _, step := range l.setup(p, url, strings.Split(value, "\n")) {
				s.Steps = append(s.Steps, partsOf(afterLinks.Replace(step)))
			}
		} else {
			s.Others = append(s.Others, namedText{m.Key, value})
		}
	}
}

// connectionWords say what the states of a connection mean.
var connectionWords = map[string]string{
	chat.ConnectionConnected:  "connection.connected",
	chat.ConnectionConnecting: "connection.connecting",
	chat.ConnectionRefused:    "connection.refused",
	chat.ConnectionLost:       "connection.lost",
	chat.ConnectionAbsent:     "connection.absent",
}

// healthOf returns the health of a bot, with what to do.
func (v *visit) healthOf(h *chat.Health) healthPart {
	out := healthPart{Health: *h}
	moments := []namedText{{"health.callback", h.LastCallbackDate}, {"health.success", h.LastSuccessDate},
		{"health.command", h.LastCommandDate}}
	if h.Connection != nil {
		out.Says = v.word(connectionWords[h.Connection.State])
		moments = append(moments, namedText{"health.frame", h.Connection.LastFrameDate})
	}
	for _, moment := range moments {
		out.Moments = append(out.Moments, namedText{v.word(moment.Name), moment.Text})
	}
	failing := failureOf(h)
	add := func(what, advice string, e *chat.HealthError) {
		if e == nil {
			return
		}
		one := healthError{HealthError: *e, What: v.word(what), Failing: e == failing}
		if hasWord(advice) {
			one.Advice = v.word(advice)
		}
		out.Errors = append(out.Errors, one)
	}
	if h.Connection != nil && h.Connection.LastError != nil {
		add("health.connerror", "step."+h.Connection.LastError.Step, h.Connection.LastError)
	}
	if h.LastError != nil {
		add("health.error", "step."+h.LastError.Step, h.LastError)
	}
	add("health.delivery", "advice.delivery", h.LastDeliveryError)
	add("health.mention", "advice.mention", h.LastMention)
	add("health.event", "advice.event", h.LastEventError)
	return out
}
