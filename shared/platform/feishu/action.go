package feishu

import (
	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// action reads the action of a person on a card into m. The button's value is the command, and what
// was chosen or filled in are its arguments.
// https://open.feishu.cn/document/uAjLw4CM/ukzMukzMukzM/feishu-cards/card-callback-communication
func action(m *command.Message, e callback.Fields) *callback.Received {
	context := e.Object("context")
	return acted(m, e, place{
		user:         e.Object("operator").Text("open_id"),
		conversation: context.Text("open_chat_id"),
		message:      context.Text("open_message_id"),
		kind:         "card.action.trigger",
	})
}

// flatAction is action for the cards' older callback, which is flat.
func flatAction(m *command.Message, e callback.Fields) *callback.Received {
	return acted(m, e, place{
		user:         e.Text("open_id"),
		conversation: e.Text("open_chat_id"),
		message:      e.Text("open_message_id"),
		kind:         "card.action.trigger_v1",
	})
}

// A place says where an action happened, and whose it is.
type place struct{ user, conversation, message, kind string }

func acted(m *command.Message, e callback.Fields, at place) *callback.Received {
	a := e.Object("action")
	m.User, m.Conversation = at.user, at.conversation
	m.ReplyTo = command.ReplyTo{Kind: toMessage, ID: at.message}
	if m.Conversation == "" {
		m.Conversation = at.message
	}
	if m.Text, m.Unread = said(a); m.Text == "" && m.Unread == "" {
		return &callback.Received{Kind: at.kind + "/" + a.Text("tag")}
	}
	// The token belongs to this one action, even if several events report it.
	if token := e.Text("token"); token != "" {
		m.ID = callback.Digest("feishu act", token, at.message, at.user, m.Text)
	}
	return &callback.Received{Message: m, State: toasts}
}

// said returns the command of an action, empty if it has none.
func said(a callback.Fields) (text, unread string) {
	cmd := ""
	switch {
	case a.IsText("value"):
		cmd = a.Text("value")
	case a.Has("value"):
		cmd = a.Object("value").Text("command")
	}
	var choices []callback.Choice
	for _, option := range append([]string{a.Text("option")}, a.Texts("options")...) {
		if option != "" {
			choices = append(choices, callback.Choice{Value: option})
		}
	}
	if input := a.Text("input_value"); input != "" {
		choices = append(choices, callback.Choice{Name: a.Text("name"), Value: input})
	}
	if a.Text("tag") == "checker" {
		checked := "false"
		if a.Is("checked") {
			checked = "true"
		}
		choices = append(choices, callback.Choice{Name: a.Text("name"), Value: checked})
	}
	filled, whole := a.Object("form_value").Choices()
	if !whole {
		unread = command.UnreadElement("form_value")
	}
	choices = append(choices, filled...)
	if cmd == "" && a.Text("tag") == "checker" {
		choices = nil // that a box was ticked says no command
	}
	return callback.Act(cmd, choices), unread
}

// menu reads a choice from the bot's own menu, whose keys the administrator wrote. It is one to one
// and names no conversation, so the conversation is the user's id.
// https://open.feishu.cn/document/client-docs/bot-v3/events/menu
func menu(m *command.Message, e callback.Fields) *callback.Received {
	m.User = e.Object("operator").Object("operator_id").Text("open_id")
	m.Conversation, m.Direct = m.User, true
	m.ReplyTo = command.ReplyTo{Kind: toPerson, ID: m.User}
	if m.Text = callback.Fold(e.Text("event_key")); m.Text == "" {
		return &callback.Received{Kind: "application.bot.menu_v6"}
	}
	if at := e.NumberOrText("timestamp"); at != "" {
		m.ID = callback.Digest("feishu menu", m.User, m.Text, at)
	}
	return &callback.Received{Message: m}
}
