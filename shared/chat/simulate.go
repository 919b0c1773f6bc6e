package chat

import (
	"context"
	"errors"
	"slices"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

const actionSimulate = "SimulateChatPermission"

// SimulateRequest are the parameters of SimulateChatPermission; all but RegionId are mandatory.
type SimulateRequest struct {
	RegionID       string `param:"RegionId"`
	Name           string `param:"Name"`
	UserID         string `param:"UserId"`
	ConversationID string `param:"ConversationId"`
	Command        string `param:"Command"` // the whole message, as typed in the chat
}

// SimulateResponse is the answer of SimulateChatPermission.
type SimulateResponse struct {
	Permission SimulatedPermission
}

// SimulatedPermission is the decision about a command, and the commands that the user may run
// there.
type SimulatedPermission struct {
	Command string // the name
	// What the message was understood as, if it is of a declared action. Secrets are masked.
	Action     string              `json:",omitempty"` // as declared
	Parameters command.TypedObject `json:",omitzero"`  // by name
	DryRun     bool                `json:",omitempty"`
	Problem    string              `json:",omitempty"` // what is wrong with its arguments, in the Language

	Allowed bool
	RamRole string // the role of the command
	// index into Permissions of the statement that decides; absent without one
	Statement     *int   `json:",omitempty"`
	StatementText string `json:",omitempty"`
	Cause         command.Cause
	Reason        string   // a sentence, in the configuration's Language
	Groups        []string // of the user
	Commands      []string // patterns of allowed commands, in addition to help and whoami
	Except        []string // patterns of denied commands, which take precedence
	More          bool     `json:",omitempty"` // the lists are incomplete
}

// checkCommand returns an error unless the message is a command.
func (in *SimulateRequest) checkCommand() error {
	if in.Command == "" {
		return fault.Missing("Command")
	}
	_, _, err := command.Parse(in.Command)
	var wrong *command.Error
	if errors.As(err, &wrong) {
		return fault.Invalid("Command", "%s", wrong.Sentence(command.English))
	}
	return err
}

// Simulate decides a command as the webhook does, without running it: SimulateChatPermission.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion.
func (s *Service) Simulate(ctx context.Context, in *SimulateRequest) (*SimulateResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	_, r, there, err := s.mayRead(ctx, in.RegionID, in.Name, actionSimulate)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, notFound(in.Name)
	}
	p, err := s.platforms.of(r)
	if err != nil {
		return nil, storeError(ctx, "simulate", err)
	}
	root, err := r.parse()
	if err != nil {
		return nil, storeError(ctx, "simulate", err)
	}
	permissions := permissionsOf(r, p, root)
	e := &command.Endpoint{Permissions: permissions, Actions: command.NewActions(root, nil),
		Language: root.TextOf(command.KeyLanguage, command.English)}
	c, err := e.Command(&command.Message{User: in.UserID, Conversation: in.ConversationID, Text: in.Command})
	d, may := e.Decide(c), permissions.Runnable(in.UserID, in.ConversationID)
	out := SimulatedPermission{
		Command:       c.Name,
		Action:        c.Action,
		Parameters:    masked(c.Parameters),
		DryRun:        c.DryRun,
		Allowed:       d.Allowed,
		RamRole:       d.RamRole,
		StatementText: d.Text,
		Cause:         d.Cause,
		Reason:        d.Reason,
		Groups:        list(permissions.Groups(in.UserID)),
		Commands:      list(may.Commands),
		Except:        list(may.Except),
		More:          may.More,
	}
	var wrong *command.Error
	if errors.As(err, &wrong) {
		out.Problem = wrong.Sentence(e.Language)
	}
	if d.Statement >= 0 {
		out.Statement = &d.Statement
	}
	return &SimulateResponse{out}, nil
}

// masked returns the values with secrets as text masks.
func masked(values []command.Value) command.TypedObject {
	out := slices.Clone(values)
	for i := range out {
		if v := &out[i]; v.Secret {
			v.Type, v.Text = command.TypeString, secret.Mask
		}
	}
	return out
}

// list returns an empty list for nil, which JSON would show as null.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
