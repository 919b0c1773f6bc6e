package chat

import (
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"context"
	"errors"
)

const actionSimulate = "SimulateChatPermission"

// SimulateRequest are the parameters of SimulateChatPermission; all but RegionId are mandatory.
type SimulateRequest struct {
	RegionID       string `param:"RegionId"`
	Name           string `param:"Name"`
	UserID         string `param:"UserId"`
	ConversationID string `param:"ConversationId"`
	Command        string `param:"Command"` // as it would be typed; arguments do not matter
}

// SimulateResponse is the answer of SimulateChatPermission.
type SimulateResponse struct {
	Permission SimulatedPermission
}

// SimulatedPermission is how a command would be decided now, and what the user may run there.
type SimulatedPermission struct {
	Command string // the name
	Allowed bool
	RamRole string // that the command would run as
	// index into Permissions of the statement that decides; absent if none does
	Statement     *int   `json:",omitempty"`
	StatementText string `json:",omitempty"`
	Cause         command.Cause
	Reason        string   // a sentence, in the configuration's Language
	Groups        []string // of the user
	Commands      []string // patterns of what the user may run in the conversation, besides help and whoami
	Except        []string // patterns of what is denied all the same
	More          bool     `json:",omitempty"` // there are more of them than are listed
}

// command returns the name of the command that is asked about.
func (in *SimulateRequest) command() (string, error) {
	if in.Command == "" {
		return "", fault.Missing("Command")
	}
	name, _, err := command.Parse(in.Command)
	var wrong *command.Error
	if errors.As(err, &wrong) {
		return "", fault.Invalid("Command", "%s", wrong.Sentence(command.English))
	}
	return name, err
}

// Simulate tells how a command would be decided, by the evaluator that decides:
// SimulateChatPermission.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion.
func (s *Service) Simulate(ctx context.Context, in *SimulateRequest) (*SimulateResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	name, err := in.command()
	if err != nil {
		return nil, err
	}
	_, r, there, err := s.mayRead(ctx, in.RegionID, in.Name, actionSimulate)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, notFound(in.Name)
	}
	p, err := s.platformOf(r)
	if err != nil {
		return nil, storeError(ctx, "simulate", err)
	}
	root, err := r.parse()
	if err != nil {
		return nil, storeError(ctx, "simulate", err)
	}
	permissions := permissionsOf(r, p, root)
	d, may := permissions.Decide(in.UserID, in.ConversationID, name), permissions.Runnable(in.UserID, in.ConversationID)
	out := SimulatedPermission{
		Command:       name,
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
	if d.Statement >= 0 {
		out.Statement = &d.Statement
	}
	return &SimulateResponse{out}, nil
}

// list returns a list that is shown as one even where it is empty.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
