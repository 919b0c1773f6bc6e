package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
)

// A simulation is the form of the simulator, and its answer.
type simulation struct {
	part
	User, Conversation, Text string
	Mistake                  string // in the form; empty if the form is right
	Answer                   *chat.SimulatedPermission
	Values                   []namedText // of the parameters of the action
	Change                   string      // what would have to change; empty if the command is allowed
	Grant                    string      // the statement that would allow the command
}

// simulationOf returns the address of the simulator with its form filled.
func simulationOf(bot, user, conversation, text string) string {
	return Prefix + "/bots/" + url.PathEscape(bot) + "/permissions?" + url.Values{"user": {user},
		"conversation": {conversation}, "text": {text}}.Encode() + "#simulate"
}

// simulate asks the service what it would decide, if the form is sent. It returns the status of the
// page too.
func (v *visit) simulate(r *rules) (simulation, int, error) {
	query := v.r.URL.Query()
	out := simulation{User: query.Get("user"), Conversation: query.Get("conversation"), Text: query.Get("text")}
	if !query.Has("text") {
		return out, http.StatusOK, nil
	}
	var answer struct {
		Permission struct {
			chat.SimulatedPermission
			Parameters json.RawMessage
		}
	}
	err := v.api.Call(v.r.Context(), "SimulateChatPermission", map[string]string{"Name": r.bot.Name,
		"UserId": out.User, "ConversationId": out.Conversation, "Command": out.Text}, &answer)
	if out.Mistake = mistakeOf(err); out.Mistake != "" {
		return out, http.StatusBadRequest, nil
	}
	if out.part, err = partOf(err); err != nil || out.Lacks != "" {
		return out, http.StatusOK, err
	}
	out.Answer = &answer.Permission.SimulatedPermission
	if text := answer.Permission.Parameters; text != nil {
		values, err := document.Parse("Parameters", string(text))
		if err != nil {
			return out, 0, fmt.Errorf("console: what %q is understood as: %w", r.bot.Name, err)
		}
		for _, m := range values.Members {
			out.Values = append(out.Values, namedText{m.Key, valueOf(m.Value)})
		}
	}
	out.Change = v.changeOf(out.Answer)
	if out.Answer.Cause == command.CauseDefault {
		out.Grant = r.grant(out.User, out.Conversation, out.Text)
	}
	return out, http.StatusOK, nil
}

// changeOf returns what would have to change for a command to be allowed.
func (v *visit) changeOf(p *chat.SimulatedPermission) string {
	switch {
	case p.Allowed:
		return ""
	case p.Cause == command.CauseStatement && p.Statement != nil:
		return v.word("simulate.statement", *p.Statement)
	case p.Cause == command.CauseInactive:
		return v.word("simulate.inactive")
	case p.Cause == command.CauseConversation:
		return v.word("simulate.conversation")
	case p.Cause == command.CauseDefault:
		return v.word("simulate.default")
	}
	return v.word("simulate.message")
}

// grant returns the statement that would allow a command.
func (r *rules) grant(user, conversation, text string) string {
	e := &command.Endpoint{Permissions: r.permissions, Actions: r.actions, Name: r.bot.Name}
	c, err := e.Command(&command.Message{User: user, Conversation: conversation, Text: text})
	if err != nil { // there is no statement for a message that is not understood
		return ""
	}
	return e.Grant(c)
}
