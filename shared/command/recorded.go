package command

import (
	"errors"
	"slices"
	"strings"

	"chatconf/shared/secret"
)

// OperationID returns the id that Status or Cancel names; empty if it names none.
func (c Command) OperationID() string {
	if len(c.Arguments) == 0 {
		return ""
	}
	return c.Arguments[0]
}

// errHidden is the error of RecordedCommand.
var errHidden = errors.New("command: a value of the recorded command is masked, and Permissions may name it")

// RecordedCommand returns the command of a record, with its name and arguments as Recorded returned
// them, and without its secrets. It is for MayOperate only.
func (e *Endpoint) RecordedCommand(name string, args []string) (Command, error) {
	out := Command{Account: e.Account, Region: e.Region, Configuration: e.Name, Platform: e.Type, Name: name,
		Action: name}
	a := e.Actions.Find(FoldName(name))
	for _, arg := range args {
		if arg == "--"+dryRun {
			out.DryRun = true
			continue
		}
		var v Value
		v.Name, v.Text, _ = strings.Cut(arg, "=")
		v.Type = TypeString
		if a != nil {
			if i := a.index(v.Name); i >= 0 {
				v.Type, v.Secret = a.Parameters[i].Type, a.Parameters[i].Secret
			}
		}
		if strings.Contains(v.Text, secret.Mask) && !v.Secret && e.Permissions.names(v.Name) {
			return Command{}, errHidden
		}
		out.Parameters = append(out.Parameters, v)
	}
	return out, nil
}

// names reports whether a statement names values of the parameter.
func (p *Permissions) names(parameter string) bool {
	return slices.ContainsFunc(p.statements, func(s permission) bool {
		return slices.ContainsFunc(s.values, func(of valuePatterns) bool {
			return strings.EqualFold(of.name, parameter)
		})
	})
}

// MayOperate reports whether the sender of a Status or Cancel may have the state of an operation,
// or cancel it. Those may who may run its command, with its values, in this conversation now.
func (e *Endpoint) MayOperate(c, operation Command) bool {
	operation.User, operation.Groups = c.User, c.Groups
	operation.Conversation, operation.Direct = c.Conversation, c.Direct
	operation.Problem = nil
	d := e.Decide(operation)
	return d.Allowed && d.Cause == CauseStatement
}
