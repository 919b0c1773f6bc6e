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
	Command        string `param:"Command"` // as typed in the chat; arguments are ignored
}

// SimulateResponse is the answer of SimulateChatPermission.
type SimulateResponse struct {
	Permission SimulatedPermission
}

// SimulatedPermission is the decision about a command, and the commands that the user may run
// there.
type SimulatedPermission struct {
	Command string // the name
	Allowed bool
	RamRole string // the role of the command
	// index into Permissions of the statement that decides; absent if there is none
	Statement     *int   `json:",omitempty"`
	StatementText string `json:",omitempty"`
	Cause         command.Cause
	Reason        string   // a sentence, in the configuration's Language
	Groups        []string // of the user
	Commands      []string // patterns of allowed commands, in addition to help and whoami
	Except        []string // patterns of denied commands, which take precedence
	More          bool     `json:",omitempty"` // the lists are incomplete
}

// command returns the name of the command.
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

// Simulate decides a command as the webhook does, without running it: SimulateChatPermission.
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
	p, err := s.platforms.of(r)
	if err != nil {
		return nil, storeError(ctx, "simulate", err)
	}
	root, err := r.parse()
	if err != nil {
		return nil, storeError(ctx, "simulate", err)
	}
	permissions := permissionsOf(r, p, root)
	d := permissions.Decide(command.Command{User: in.UserID, Conversation: in.ConversationID, Name: name})
	may := permissions.Runnable(in.UserID, in.ConversationID)
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

// list returns an empty list for nil, which JSON would show as null.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
