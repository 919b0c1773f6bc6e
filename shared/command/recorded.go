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
// them, without its secrets, its sender and its conversation. It is for MayOperate only.
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

// MayOperate reports whether the sender of a Status or Cancel may see or cancel an operation that
// runs under a role. The sender must now be allowed to run its command with its values, both in its
// conversation and in the sender's. Unless it is the sender's own, the role must be the same too.
func (e *Endpoint) MayOperate(c, operation Command, role string) bool {
	own := c.User == operation.User
	operation.User, operation.Groups, operation.Problem = c.User, c.Groups, nil
	for _, conversation := range []string{operation.Conversation, c.Conversation} {
		operation.Conversation = conversation
		d := e.Decide(operation)
		if !d.Allowed || d.Cause != CauseStatement || d.RamRole != role && !own {
			return false
		}
	}
	return true
}
