package slack

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// maxEditAge is how old a message may be when an edit makes it a command. It is shorter than the
// journal is kept, so the journal still knows a message that was a command before.
const maxEditAge = 24 * time.Hour

// event reads what the Events API sends. at is when it was sent, zero if only the event tells.
// https://docs.slack.dev/apis/events-api
func (r *reader) event(body string, at, now time.Time) (*callback.Received, error) {
	f, err := callback.Object("the body", body)
	if err != nil {
		return nil, err
	}
	switch kind := f.Text("type"); {
	case f.Err() != nil:
		return nil, f.Err()
	case kind == "url_verification":
		challenge := f.Text("challenge")
		if err := f.Err(); err != nil || challenge == "" {
			return nil, callback.Refuse(callback.StepDecode, "the challenge is missing")
		}
		return &callback.Received{Handshake: &callback.Response{Status: 200, ContentType: "text/plain; charset=utf-8",
			Body: []byte(challenge)}}, nil
	case kind != "event_callback":
		return &callback.Received{Kind: cmp.Or(kind, "event without a type")}, nil // app_rate_limited, say
	}
	e := newEvent(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	if err := r.team(e.teams...); err != nil {
		return nil, err
	}
	if kind := e.ignored(); kind != "" {
		return &callback.Received{Kind: kind}, f.Err()
	}
	return r.message(e, at, now)
}

// An event is one of the Events API.
type event struct {
	body    callback.Fields
	event   callback.Fields
	message callback.Fields // the message as it is now: the event itself, or the message that it is about
	kind    string          // its type, and behind a slash its subtype
	home    home
	teams   []string        // that the app may be in
	bots    map[string]bool // users that are this app
}

func newEvent(f callback.Fields) *event {
	e := &event{body: f, event: f.Object("event"), bots: make(map[string]bool)}
	team, organisation := f.Text("team_id"), f.Text("enterprise_id")
	context, contextOrganisation := f.Text("context_team_id"), f.Text("context_enterprise_id")
	e.teams = []string{team, context, contextOrganisation}
	// In a shared channel the event may be of another workspace than the one that this app gets it
	// through, which context_team_id names then.
	e.home = home{cmp.Or(context, team), contextOrganisation}
	for _, a := range f.Items("authorizations") {
		if a.Is("is_bot") {
			e.bots[a.Text("user_id")] = true
		}
		e.home.organisation = cmp.Or(e.home.organisation, a.Text("enterprise_id"))
	}
	if e.home.team == team {
		e.home.organisation = cmp.Or(e.home.organisation, organisation)
	}
	e.teams = append(e.teams, e.home.organisation)
	e.message, e.kind = e.event, e.event.Text("type")
	if subtype := e.event.Text("subtype"); subtype != "" {
		e.kind += "/" + subtype
		if subtype == "message_changed" {
			e.message = e.event.Object("message")
		}
	}
	return e
}

// subtypes are those of messages that a person wrote.
// https://docs.slack.dev/reference/events/message
var subtypes = map[string]bool{"": true, "file_share": true, "thread_broadcast": true, "me_message": true}

// ignored returns the kind of an event that is not a message of a person to the app, empty if it is
// one. A change that is not an edit is made by Slack, for example to show a preview of a link.
func (e *event) ignored() string {
	kind, subtype := e.event.Text("type"), e.event.Text("subtype")
	switch {
	case kind == "":
		return "event without a type"
	case kind != "app_mention" && kind != "message":
		return e.kind
	case subtype == "message_changed" && (!e.message.Has("edited") || !subtypes[e.message.Text("subtype")]):
		return e.kind
	case subtype != "message_changed" && !subtypes[subtype]:
		return e.kind
	case e.message.Has("bot_id") || e.message.Has("bot_profile") || e.isApp(e.message.Text("user")):
		return kind + "/bot"
	case e.edited() != "" && e.edited() != e.message.Text("user"): // so it is not what that person said
		return kind + "/edited"
	case kind == "message" && !e.direct() && !e.called():
		return kind + "/" + cmp.Or(e.event.Text("channel_type"), "channel")
	}
	return ""
}

// isApp reports whether a user is this app, or Slack itself.
func (e *event) isApp(user string) bool { return e.bots[user] || user == "USLACKBOT" }

// edited returns the id of the person who edited the message, empty if it was not edited or the
// editor is not known.
func (e *event) edited() string { return e.message.Object("edited").Text("user") }

func (e *event) direct() bool {
	kind := e.event.Text("channel_type")
	return kind == "im" || kind == "app_home" || kind == "" && isDirect(e.event.Text("channel"))
}

// called reports whether a message in a channel mentions the app. Then there is an app_mention of
// the same message, too, if the app subscribes to those.
func (e *event) called() bool {
	for bot := range e.bots {
		if text := e.message.Text("text"); strings.Contains(text, "<@"+bot+">") ||
			strings.Contains(text, "<@"+bot+"|") {
			return true
		}
	}
	return false
}

// person returns the id of the writer of the message. The event names the writer's workspace, or
// the organisation if that is another one in Enterprise Grid.
func (e *event) person() string {
	team, organisation := e.body.Text("team_id"), e.body.Text("enterprise_id")
	of := cmp.Or(e.message.Text("user_team"), e.message.Text("source_team"), e.event.Text("user_team"),
		e.event.Text("source_team"), team)
	grid := e.home.organisation != ""
	switch {
	case grid && !e.body.Is("is_ext_shared_channel"): // only people of the organisation are in the channel
		of = e.home.organisation
	case grid && of == team && organisation == e.home.organisation:
		of = organisation
	case of == organisation && of != e.home.organisation: // as a button of the same person says it
		of = cmp.Or(team, of)
	}
	return e.home.person(e.message.Text("user"), of)
}

// message reads a message to the app.
func (r *reader) message(e *event, at, now time.Time) (*callback.Received, error) {
	channel, ts := e.event.Text("channel"), e.message.Text("ts")
	m := &command.Message{
		ID:           e.body.Text("event_id"),
		EventID:      e.body.Text("event_id"),
		Conversation: channel,
		Direct:       e.direct(),
		User:         e.person(),
		Sent:         at,
		ReplyTo:      command.ReplyTo{Kind: toChannel, ID: channel},
	}
	if ts != "" { // the message's name: edited, or told of by another event, it is the same
		m.ID = channel + "/" + ts
	}
	if thread := e.message.Text("thread_ts"); thread != "" {
		m.ReplyTo.ID += ":" + thread
	}
	c := read(e.message, e.bots)
	way := callback.Called
	if m.Direct {
		way = callback.Addressed
	}
	heard := callback.Hear(c.parts, r.botName, way)
	m.Text, m.Unread = heard.Text, cmp.Or(c.unread, heard.Unread)
	if m.Text == "" {
		m.Unread = cmp.Or(m.Unread, beside(e.message))
	}
	if c.quoted && (m.Text == "" || !m.Direct && !e.mentioned(c.parts)) { // the bot is called in the quotation only
		m.Unread = cmp.Or(m.Unread, command.UnreadQuotation)
	}
	if e.message.Has("edited") {
		m.Edit = cmp.Or(e.message.Object("edited").Text("ts"), "0")
		if age(ts, now) > maxEditAge {
			m.Unread = command.UnreadEdit
		}
	}
	if err := e.body.Err(); err != nil {
		return nil, err
	}
	if at.IsZero() { // read here, so that a strange time changes nothing else
		m.Sent = e.time(now)
	}
	return &callback.Received{Message: m, Mention: heard.Name}, callback.Check(m)
}

// time returns when the event was, or now if it does not say.
func (e *event) time(now time.Time) time.Time {
	at, err := callback.Seconds(e.body.NumberOrText("event_time"))
	if err != nil {
		return now
	}
	return at
}

// mentioned reports whether the app is mentioned, or may be.
func (e *event) mentioned(parts []callback.Part) bool {
	return slices.ContainsFunc(parts, func(p callback.Part) bool {
		return p.Mention && (p.Whose == callback.ThisBot || p.Whose == callback.Unknown)
	})
}

// age returns how old a message is by its ts: seconds, a point and a number. It is zero for another
// ts.
func age(ts string, now time.Time) time.Duration {
	text, _, _ := strings.Cut(ts, ".")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return 0
	}
	return now.Sub(time.Unix(seconds, 0))
}

// beside returns what a message without a text contains, empty if it contains nothing.
func beside(message callback.Fields) string {
	files := message.Items("files")
	if len(files) == 0 {
		if len(message.Items("attachments")) > 0 {
			return command.UnreadForward
		}
		return ""
	}
	kind, _, _ := strings.Cut(files[0].Text("mimetype"), "/")
	switch {
	case kind == "image":
		return command.UnreadPicture
	case kind == "audio" || files[0].Text("subtype") == "slack_audio":
		return command.UnreadVoice
	case kind == "video":
		return command.UnreadVideo
	}
	return command.UnreadFile
}
