package console

import (
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// An actionRow is a declared action in the table of actions.
type actionRow struct {
	Name, Summary, Usage string
	Aliases              []string
	Parameters           []string // each in a line
	Target               string   // its type; empty: that of the bot
	Settings             []namedText
	Secret               bool // the target has a secret
	Role                 string
	Seconds              int // until it times out; 0: the target's default
	DryRun               bool
}

// actionRows returns the rows of the table of actions. Secrets are not in it.
func (v *visit) actionRows(r *rules) (rows []actionRow) {
	for _, a := range r.actions.All() {
		row := actionRow{Name: a.Name, Summary: a.Summary, Usage: a.Usage(), Aliases: a.Aliases, Role: a.RamRole,
			Seconds: int(a.Timeout.Seconds()), DryRun: a.DryRun}
		for i := range a.Parameters {
			row.Parameters = append(row.Parameters, a.Parameters[i].Describe(v.language.chat()))
		}
		row.read(r.root.Get(command.KeyActions).Get(a.Name).Get(command.KeyTarget))
		rows = append(rows, row)
	}
	return rows
}

// read reads a Target; nil is that of the bot.
func (row *actionRow) read(target *document.Node) {
	if target == nil {
		return
	}
	for _, m := range target.Members {
		switch {
		case m.Key == "Type":
			row.Target = m.Value.Text
		case strings.EqualFold(m.Key, "Secret"):
			row.Secret = true
		default:
			row.Settings = append(row.Settings, namedText{m.Key, valueOf(m.Value)})
		}
	}
}
