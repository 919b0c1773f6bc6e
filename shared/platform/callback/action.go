package callback

import (
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// A Choice is what a person filled in or chose on a card, with the name of the field.
type Choice struct{ Name, Value string }

// Choices returns the members of an object as choices, except the named ones. A text, a number,
// true or false is one choice, and a list of them is several. Empty values are left out. It reports
// false if a member is of another kind.
func (f Fields) Choices(except ...string) (choices []Choice, whole bool) {
	whole = true
	for _, member := range f.node.Members {
		if slices.Contains(except, member.Key) {
			continue
		}
		items := []*document.Node{member.Value}
		if member.Value.Kind == document.Array {
			items = member.Value.Items
		}
		for _, item := range items {
			switch {
			case item.Kind == document.Object || item.Kind == document.Array:
				whole = false
			case item.Text != "" && (item.Kind != document.Literal || item.Text != "null"):
				choices = append(choices, Choice{member.Key, item.Text})
			}
		}
	}
	return choices, whole
}

// Act returns the command of a button or a menu: the one that the button carries, with each choice
// of the person as one argument. A single choice is its value; several named choices are name=value
// each. If the button carries no command, the first choice is the command.
func Act(cmd string, choices []Choice) string {
	cmd = Fold(cmd)
	if cmd == "" && len(choices) > 0 {
		cmd, choices = Fold(choices[0].Value), choices[1:]
	}
	var args []string
	for _, c := range choices {
		value := Fold(c.Value)
		if len(choices) > 1 && c.Name != "" {
			value = c.Name + "=" + value
		}
		args = append(args, value)
	}
	return cmd + strings.TrimPrefix(command.Format("x", args), "x")
}
