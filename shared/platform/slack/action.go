package slack

import (
	"cmp"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// interaction reads the action of a person on an element of the app. The value of the button is the
// command. For an element without such a value, such as a date or the form of a modal, the kind is
// returned.
// https://docs.slack.dev/reference/interaction-payloads
func (r *reader) interaction(payload string, at time.Time) (*callback.Received, error) {
	f, err := callback.Object("the payload", payload)
	if err != nil {
		return nil, err
	}
	user, team := f.Object("user"), f.Object("team")
	place := home{team.Text("id"), cmp.Or(f.Object("enterprise").Text("id"), team.Text("enterprise_id"))}
	if err := r.team(cmp.Or(place.team, user.Text("team_id")), place.organisation); err != nil {
		return nil, err
	}
	kind := cmp.Or(f.Text("type"), "payload without a type")
	said := act{}
	switch kind {
	case "block_actions":
		said = blockAct(f.Items("actions"))
	case "interactive_message":
		said = attachmentAct(f.Items("actions"))
	}
	if said.kind != "" {
		kind += "/" + said.kind
	}
	// A button in a message that the app sent for itself alone names the channel in the container.
	container := f.Object("container")
	m := &command.Message{
		ID: callback.Digest("slack action", f.Text("trigger_id"), said.id,
			cmp.Or(said.ts, f.Text("action_ts")), user.Text("id")),
		Conversation: cmp.Or(f.Object("channel").Text("id"), container.Text("channel_id")),
		User:         user.Text("id"),
		UserName:     cmp.Or(user.Text("username"), user.Text("name")),
		Text:         callback.Fold(said.text), // as the app wrote it, so not marked up
		Sent:         at,
	}
	m.ReplyTo = byURL(f.Text("response_url"), at, m.Conversation, m.User)
	m.Direct = isDirect(m.Conversation)
	// In Enterprise Grid, another workspace of the organisation looks like a foreign one. The first
	// is the common case, and as far as is known, ids are unique.
	if place.organisation == "" && place.team != "" {
		m.User = place.person(m.User, user.Text("team_id"))
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if m.Conversation == "" || m.Text == "" { // in a modal or on the home tab, or a link
		return &callback.Received{Kind: kind}, nil
	}
	return &callback.Received{Message: m}, callback.Check(m)
}

// An act is the action of a person on one element of a message.
type act struct {
	kind   string // of the element
	id, ts string
	text   string // what it says; empty if it has no text that the app wrote, or somebody typed
}

// blockAct reads an action on an element of a block. An element that chooses several things, a
// date, a person or a channel has no command.
// https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
func blockAct(actions []callback.Fields) act {
	if len(actions) != 1 {
		return act{}
	}
	a := actions[0]
	out := act{kind: a.Text("type"), id: a.Text("action_id"), ts: a.Text("action_ts")}
	switch out.kind {
	case "", "button", "icon_button", "static_select", "external_select", "overflow",
		"radio_buttons", "plain_text_input":
		out.text = a.Text("value")
		if a.Has("selected_option") {
			out.text = a.Object("selected_option").Text("value")
		}
	}
	return out
}

// attachmentAct reads an action on an attachment, as messages had before blocks.
// https://docs.slack.dev/legacy/legacy-messaging/legacy-making-messages-interactive
func attachmentAct(actions []callback.Fields) act {
	if len(actions) != 1 {
		return act{}
	}
	a := actions[0]
	out := act{kind: a.Text("type"), id: a.Text("name"), text: a.Text("value")}
	if options := a.Items("selected_options"); len(options) == 1 && out.kind == "select" {
		out.text = options[0].Text("value")
	}
	return out
}
