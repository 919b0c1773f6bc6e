package command

import (
	"strconv"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// Keys of a Configuration that Actions are read from.
const (
	KeyActions       = "Actions"
	KeyStrictActions = "StrictActions"
)

// An Action is a declared command with typed parameters.
type Action struct {
	Name       string // as declared; FoldName of it is the command's name
	Summary    string // one line for people
	Aliases    []string
	Parameters []Parameter
	Target     *Target       // nil: the configuration's
	RamRole    string        // for commands that a statement without a RamRole allows; may be empty
	Timeout    time.Duration // 0: the target's default
	DryRun     bool          // --dry-run is accepted

	node *document.Node // with secrets masked
}

// A ParameterType is the type of a Parameter.
type ParameterType string

// The types of parameters.
const (
	TypeString  ParameterType = "String"
	TypeInteger ParameterType = "Integer"
	TypeBoolean ParameterType = "Boolean"
	TypeEnum    ParameterType = "Enum"
)

// Fold returns a value, or a pattern of values, in the form that values of the type are compared
// in. Case and width do not matter in an Enum.
func (t ParameterType) Fold(text string) string {
	if t == TypeEnum {
		return foldName(text)
	}
	return text
}

// A Parameter is a parameter of an Action, with the bounds of its values.
type Parameter struct {
	Name     string
	Type     ParameterType
	Values   []string // of an Enum
	Pattern  *Pattern // of a String
	Min, Max *int64   // of an Integer: its value; of a String: its length in characters
	Required bool
	Default  *string // canonical text of the value if none is given
	Fixed    *string // canonical text of the value that always applies; none can be given
	Secret   bool    // its values reach the target, but no record and no log
	Help     string  // one line for people
}

// Actions are the declared actions of one revision of a configuration. They are immutable. A nil
// Actions declares none.
type Actions struct {
	all      []*Action
	byName   map[string]*Action // names and aliases, folded
	strict   bool
	followed bool
}

// NewActions reads the actions of a valid Configuration; nil if it declares none. hidden returns
// the signing secrets of an action's target; nil means that no secret is needed.
func NewActions(root *document.Node, hidden func(action string) []secret.Text) *Actions {
	out := &Actions{byName: make(map[string]*Action), strict: root.TextOf(KeyStrictActions, "false") == "true"}
	actions := root.Get(KeyActions)
	switch {
	case actions == nil && !out.strict:
		return nil
	case actions == nil:
		return out
	}
	all := NewTarget(root.Get(KeyTarget))
	for _, m := range actions.Members {
		a := newAction(m.Key, m.Value)
		if n := m.Value.Get("Target"); n != nil {
			var signing []secret.Text
			if hidden != nil {
				signing = hidden(m.Key)
			}
			target := NewTarget(n, signing...)
			a.Target = &target
		}
		out.all = append(out.all, a)
		out.followed = out.followed || a.targetOr(all).Followed()
		for _, word := range append([]string{a.Name}, a.Aliases...) {
			out.byName[FoldName(word)] = a
		}
	}
	return out
}

func newAction(name string, n *document.Node) *Action {
	a := &Action{
		Name:    name,
		Summary: n.TextOf("Summary", ""),
		Aliases: texts(n.Get("Aliases")),
		RamRole: n.TextOf("RamRole", ""),
		DryRun:  n.TextOf("DryRun", "false") == "true",
		node:    n,
	}
	seconds, _ := strconv.ParseInt(n.TextOf("TimeoutSeconds", "0"), 10, 32)
	a.Timeout = time.Duration(seconds) * time.Second
	if list := n.Get("Parameters"); list != nil {
		for _, item := range list.Items {
			a.Parameters = append(a.Parameters, NewParameter(item))
		}
	}
	return a
}

// NewParameter reads a parameter of an action. The members must be valid by themselves.
func NewParameter(n *document.Node) Parameter {
	p := Parameter{
		Name:     n.TextOf("Name", ""),
		Type:     ParameterType(n.TextOf("Type", string(TypeString))),
		Values:   texts(n.Get("Values")),
		Min:      integerOf(n.Get("Min")),
		Max:      integerOf(n.Get("Max")),
		Required: n.TextOf("Required", "false") == "true",
		Default:  textOf(n.Get("Default")),
		Fixed:    textOf(n.Get("Fixed")),
		Secret:   n.TextOf("Secret", "false") == "true",
		Help:     n.TextOf("Help", ""),
	}
	if pattern := n.TextOf("Pattern", ""); pattern != "" {
		p.Pattern = &Pattern{text: pattern}
	}
	return p
}

func integerOf(n *document.Node) *int64 {
	if n == nil {
		return nil
	}
	i, err := strconv.ParseInt(n.Text, 10, 64)
	if err != nil {
		return nil
	}
	return &i
}

func textOf(n *document.Node) *string {
	if n == nil {
		return nil
	}
	return &n.Text
}

// All returns the actions in the order of the Configuration.
func (a *Actions) All() []*Action {
	if a == nil {
		return nil
	}
	return a.all
}

// Find returns the action with a name or an alias, as FoldName returns it; nil if none.
func (a *Actions) Find(word string) *Action {
	if a == nil {
		return nil
	}
	return a.byName[word]
}

// Strict reports whether only declared actions are commands.
func (a *Actions) Strict() bool { return a != nil && a.strict }

// IsBuiltIn reports whether a name, as Parse returns it, is of a built-in command. Status and
// Cancel are built in only if the target of an action is followed.
func (a *Actions) IsBuiltIn(name string) bool {
	return IsBuiltIn(name) || a != nil && a.followed && IsOperation(name)
}

// targetOr returns the target of the action, given the configuration's.
func (a *Action) targetOr(all Target) Target {
	if a.Target != nil {
		return *a.Target
	}
	return all
}
