package slack

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/webhook"
)

// The ways to answer later.
const (
	toURL     = "response_url" // ReplyTo.URL, for half an hour
	toChannel = "channel"      // ReplyTo.ID is a channel, and behind a colon the thread in it if there is one
)

// urlLives is how long a response_url may be used. https://docs.slack.dev/interactivity/handling-user-interaction
const urlLives = 30 * time.Minute

// maxText is how long an answer may be, in bytes.
const maxText = 12_000

type receiver struct {
	secrets []string
	teamID  string
}

var _ webhook.Receiver = (*receiver)(nil)

// NewReceiver returns the receiver of a configuration of type Slack: slash commands, the Events API and interactive components.
func NewReceiver(s webhook.Settings) (webhook.Receiver, error) {
	secrets, err := callback.Secrets(s, "SlackSigningSecret")
	if err != nil {
		return nil, fmt.Errorf("slack: %w", err)
	}
	return &receiver{secrets, s.Get("SlackTeamId")}, nil
}

// Receive implements webhook.Receiver. All that Slack sends is signed alike; whether it is an event or a form is told by its first byte, which
// the signature covers, and not by its content type, which it does not.
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func (r *receiver) Receive(in *webhook.Request) (*webhook.Received, error) {
	if in.Method != "POST" {
		return nil, webhook.Refuse(webhook.StepRequest, "Slack calls by POST, not %s", callback.Cut(in.Method, 16))
	}
	signature, err := callback.Header(in, "X-Slack-Signature")
	if err != nil {
		return nil, err
	}
	timestamp, err := callback.Header(in, "X-Slack-Request-Timestamp")
	if err != nil {
		return nil, err
	}
	at, err := callback.Seconds(timestamp)
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(signature, "v0=")
	sum, fits := callback.Hex(text, sha256.Size)
	if !ok || !fits {
		return nil, webhook.Refuse(webhook.StepSignature, "the header X-Slack-Signature is not v0= and 64 lower-case hexadecimal digits")
	}
	_, ok = callback.Match(r.secrets, sum, func(secret string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("v0:" + timestamp + ":"))
		mac.Write(in.Body)
		return mac.Sum(nil)
	})
	if !ok {
		return nil, webhook.Refuse(webhook.StepSignature, "the header X-Slack-Signature was not made with SlackSigningSecret")
	}
	if err := callback.Fresh("the header X-Slack-Request-Timestamp", in.Now, at, callback.Skew); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(in.Body, []byte("{")) {
		return r.event(in, at)
	}
	form, err := parseForm(string(in.Body))
	switch {
	case err != nil:
		return nil, err
	case form["payload"] != "":
		return r.action(form["payload"], at)
	case form["ssl_check"] == "1":
		return &webhook.Received{}, nil
	default:
		return r.command(form, in, at)
	}
}

// parseForm reads a form strictly: no field twice, and UTF-8.
func parseForm(text string) (map[string]string, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, webhook.Refuse(webhook.StepDecode, "the body is neither JSON nor a form") // the error would quote it
	}
	form := make(map[string]string, len(values))
	for key, all := range values {
		if len(all) != 1 || !utf8.ValidString(key) || !utf8.ValidString(all[0]) {
			return nil, webhook.Refuse(webhook.StepDecode, "the form has a field twice, or one that is not UTF-8")
		}
		form[key] = all[0]
	}
	return form, nil
}

// team refuses what is of another workspace, if the configuration names one: the ids may be of the workspace or the organisation it is of.
func (r *receiver) team(ids ...string) error {
	if r.teamID == "" {
		return nil
	}
	for _, id := range ids {
		if id == r.teamID {
			return nil
		}
	}
	return webhook.Refuse(webhook.StepReceiver, "the message is of the workspace %q, and this configuration is for %s", callback.Cut(ids[0], 64), r.teamID)
}

// command reads a slash command. What stands behind the slash is the app's; the command is the text.
// https://docs.slack.dev/interactivity/implementing-slash-commands
func (r *receiver) command(form map[string]string, in *webhook.Request, at time.Time) (*webhook.Received, error) {
	if err := r.team(form["team_id"], form["enterprise_id"]); err != nil {
		return nil, err
	}
	if form["command"] == "" {
		return nil, webhook.Refuse(webhook.StepDecode, "the form has neither a command nor a payload")
	}
	m := &chat.Message{
		ID:           form["trigger_id"],
		Conversation: form["channel_id"],
		Direct:       strings.HasPrefix(form["channel_id"], "D"),
		User:         form["user_id"],
		UserName:     form["user_name"],
		Text:         callback.Fold(unmark(form["text"])),
		Sent:         at,
		ReplyTo:      byURL(form["response_url"], at),
	}
	if m.ID == "" {
		m.ID = callback.Digest("slack command", at.UTC().String(), string(in.Body))
	}
	return &webhook.Received{Message: m, State: shows}, callback.Check(m)
}

func byURL(address string, at time.Time) chat.ReplyTo {
	if address == "" {
		return chat.ReplyTo{}
	}
	return chat.ReplyTo{Kind: toURL, URL: chat.Secret(address), Expires: at.Add(urlLives)}
}

// event reads what the Events API sends.
// https://docs.slack.dev/apis/events-api
func (r *receiver) event(in *webhook.Request, at time.Time) (*webhook.Received, error) {
	f, err := callback.Object("the body", string(in.Body))
	if err != nil {
		return nil, err
	}
	switch kind := f.Text("type"); {
	case f.Err() != nil:
		return nil, f.Err()
	case kind == "url_verification":
		challenge := f.Text("challenge")
		if err := f.Err(); err != nil || challenge == "" {
			return nil, webhook.Refuse(webhook.StepDecode, "the challenge is missing")
		}
		return &webhook.Received{Handshake: &webhook.Response{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}}, nil
	case kind != "event_callback":
		return &webhook.Received{}, nil // app_rate_limited, say
	}
	bots := make(map[string]bool) // users that are this app
	organisation := f.Text("enterprise_id")
	for _, a := range f.Items("authorizations") {
		if a.Is("is_bot") {
			bots[a.Text("user_id")] = true
		}
		organisation = cmp.Or(organisation, a.Text("enterprise_id"))
	}
	team := f.Text("team_id")
	e := f.Object("event")
	m := &chat.Message{
		ID:           f.Text("event_id"),
		Conversation: e.Text("channel"),
		Direct:       e.Text("channel_type") == "im",
		User:         e.Text("user"),
		Sent:         at,
	}
	// In a shared channel the event may be of another workspace than the one that this app gets it through, which context_team_id names then.
	home := cmp.Or(f.Text("context_team_id"), team)
	if other := cmp.Or(e.Text("user_team"), e.Text("source_team"), team); other != home && m.User != "" {
		m.User = other + "/" + m.User // of another workspace in a shared channel, where ids are its own
	}
	m.Text = callback.Fold(unmark(unmention(e.Text("text"), bots)))
	m.ReplyTo = chat.ReplyTo{Kind: toChannel, ID: m.Conversation}
	if thread := e.Text("thread_ts"); thread != "" {
		m.ReplyTo.ID += ":" + thread
	}
	said := e.Text("type") == "app_mention" || e.Text("type") == "message" && m.Direct
	// Bots, this one among them, and edits, joins and the like, which are messages with a subtype.
	passed := e.Has("bot_id") || e.Has("bot_profile") || e.Has("subtype") || bots[e.Text("user")]
	if err := f.Err(); err != nil {
		return nil, err
	}
	if err := r.team(team, organisation, f.Text("context_team_id")); err != nil {
		return nil, err
	}
	if !said || passed {
		return &webhook.Received{}, nil
	}
	return &webhook.Received{Message: m}, callback.Check(m)
}

// action reads what somebody did to a message's buttons: the value of the one used is what was said.
// https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
func (r *receiver) action(payload string, at time.Time) (*webhook.Received, error) {
	f, err := callback.Object("the payload", payload)
	if err != nil {
		return nil, err
	}
	user, team := f.Object("user"), f.Object("team")
	if err := r.team(cmp.Or(team.Text("id"), user.Text("team_id")), f.Object("enterprise").Text("id")); err != nil {
		return nil, err
	}
	actions := f.Items("actions")
	if err := f.Err(); err != nil || f.Text("type") != "block_actions" || len(actions) != 1 {
		return &webhook.Received{}, err
	}
	a := actions[0]
	text := a.Text("value")
	if a.Has("selected_option") {
		text = a.Object("selected_option").Text("value")
	}
	m := &chat.Message{
		ID:           callback.Digest("slack action", f.Text("trigger_id"), a.Text("action_id"), a.Text("action_ts"), user.Text("id")),
		Conversation: f.Object("channel").Text("id"),
		User:         user.Text("id"),
		UserName:     cmp.Or(user.Text("username"), user.Text("name")),
		Text:         callback.Fold(text), // as the app wrote it, so not marked up
		Sent:         at,
		ReplyTo:      byURL(f.Text("response_url"), at),
	}
	m.Direct = strings.HasPrefix(m.Conversation, "D")
	if home := user.Text("team_id"); home != "" && team.Text("id") != "" && home != team.Text("id") {
		m.User = home + "/" + m.User
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if m.Conversation == "" || m.Text == "" { // in a modal or on the home tab, or a link
		return &webhook.Received{}, nil
	}
	return &webhook.Received{Message: m}, callback.Check(m)
}

// unmention takes the mentions of this app off a message. Where the event does not say who that is, it is the first word if that is a mention.
func unmention(text string, bots map[string]bool) string {
	if len(bots) == 0 {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(text, " \n"), "<@"); ok {
			if _, after, ok := strings.Cut(rest, ">"); ok {
				return after
			}
		}
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(text, "<@")
		if i < 0 {
			break
		}
		end := strings.IndexByte(text[i:], '>')
		if end < 0 {
			break
		}
		id, _, _ := strings.Cut(text[i+2:i+end], "|")
		b.WriteString(text[:i])
		if bots[id] {
			text = strings.TrimLeft(text[i+end+1:], " ")
			continue
		}
		b.WriteString(text[i : i+end+1])
		text = text[i+end+1:]
	}
	b.WriteString(text)
	return b.String()
}

// unmark makes what was typed of Slack's markup: a mention its id, a link its address, or its label where Slack made the address of it, and the
// entities &amp; &lt; and &gt; what they stand for.
// https://docs.slack.dev/messaging/formatting-message-text
func unmark(text string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '<')
		if i < 0 {
			break
		}
		end := strings.IndexByte(text[i:], '>')
		if end < 0 {
			break
		}
		b.WriteString(text[:i])
		b.WriteString(unmarkOne(text[i+1 : i+end]))
		text = text[i+end+1:]
	}
	b.WriteString(text)
	return entities.Replace(b.String())
}

func unmarkOne(mark string) string {
	target, label, _ := strings.Cut(mark, "|")
	switch {
	case strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"):
		return target
	case strings.HasPrefix(target, "!subteam^"):
		return "@" + target[len("!subteam^"):]
	case strings.HasPrefix(target, "!"):
		return "@" + target[1:]
	}
	for _, scheme := range []string{"http://", "https://", "mailto:", "tel:"} {
		if label != "" && strings.TrimSuffix(target, "/") == scheme+strings.TrimSuffix(label, "/") {
			return label
		}
	}
	return target
}

// entities decodes in one pass, so &amp;lt; is &lt; and not <.
var entities = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")

// What Received.State says.
type kind int

const shows kind = 1 // Slack shows the answer's text, which it does for slash commands only

// Answer implements webhook.Receiver.
func (r *receiver) Answer(in *webhook.Received, text string) (*webhook.Response, error) {
	if in.State != any(shows) || text == "" {
		return callback.Acknowledge(), nil
	}
	response := callback.JSON(message(`"response_type":"ephemeral",`, text))
	response.Carries = true
	return response, nil
}

// message is a message of text with nothing marked up, behind other members.
func message(members, text string) []byte {
	var b bytes.Buffer
	b.WriteString("{" + members + `"mrkdwn":false,"parse":"none","link_names":false,"text":`)
	document.WriteString(&b, escape.Replace(callback.Cut(text, maxText)))
	b.WriteByte('}')
	return b.Bytes()
}

// escape takes from text what mentions, links and entities begin with.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
