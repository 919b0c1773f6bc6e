package slack

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The ways to answer later.
const (
	toURL     = "response_url" // ReplyTo.URL, for half an hour; ReplyTo.ID is the channel, a colon and the user
	toChannel = "channel"      // ReplyTo.ID is a channel, and behind a colon the thread in it if there is one
)

// urlLives is how long a response_url may be used, and urlUses how often.
// https://docs.slack.dev/interactivity/handling-user-interaction
const (
	urlLives = 30 * time.Minute
	urlUses  = 5
)

// maxText is how long an answer may be, in bytes.
const maxText = 12_000

// The headers that prove a request.
const (
	headerSignature = "X-Slack-Signature"
	headerTimestamp = "X-Slack-Request-Timestamp"
)

type receiver struct {
	secret.Hidden
	secrets []string
	reader
}

// A reader reads what is proven to come from Slack.
type reader struct {
	teamID  string
	botName string
}

func newReader(s callback.Settings) reader {
	return reader{teamID: s.Get("SlackTeamId"), botName: s.Get("BotName")}
}

var _ callback.Receiver = (*receiver)(nil)

// NewReceiver returns the receiver of a configuration of type Slack: slash commands, the Events API
// and interactive components.
func (Platform) NewReceiver(s callback.Settings) (callback.Receiver, error) {
	secrets, err := callback.Secrets(s, "SlackSigningSecret")
	if err != nil {
		return nil, fmt.Errorf("slack: %w", err)
	}
	return &receiver{secrets: secrets, reader: newReader(s)}, nil
}

// Receive implements callback.Receiver. All that Slack sends is signed alike, but for the probe of
// the certificate. Whether it is an event or a form is told by its first byte, which the signature
// covers, and not by its content type, which it does not.
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func (r *receiver) Receive(in *callback.Request) (*callback.Received, error) {
	if isProbe(in) {
		return &callback.Received{Kind: kindProbe, Unproven: true}, nil
	}
	if in.Method != "POST" {
		return nil, callback.Refuse(callback.StepRequest, "Slack calls by POST, not %s", callback.Cut(in.Method, 16))
	}
	signature, err := callback.Header(in, headerSignature)
	if err != nil {
		return nil, err
	}
	timestamp, err := callback.Header(in, headerTimestamp)
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
		return nil, callback.Refuse(callback.StepSignature,
			"the header X-Slack-Signature is not v0= and 64 lower-case hexadecimal digits")
	}
	_, ok = callback.Match(r.secrets, sum, func(secret string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("v0:" + timestamp + ":"))
		mac.Write(in.Body)
		return mac.Sum(nil)
	})
	if !ok {
		return nil, callback.Refuse(callback.StepSignature,
			"the header X-Slack-Signature was not made with SlackSigningSecret")
	}
	if err := callback.Fresh("the header X-Slack-Request-Timestamp", in.Now, at, callback.Skew); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(in.Body, []byte("{")) {
		return r.event(string(in.Body), at, in.Now)
	}
	form, err := parseForm(string(in.Body))
	switch {
	case err != nil:
		return nil, err
	case form["ssl_check"] == "1":
		return &callback.Received{Kind: kindProbe}, nil
	case form["payload"] != "":
		return r.interaction(form["payload"], at)
	default:
		return r.command(func(name string) string { return form[name] }, string(in.Body), at)
	}
}

const (
	kindProbe = "ssl_check"
	// maxProbe is how long the body of a probe may be, in bytes.
	maxProbe = 4 << 10
)

// isProbe reports whether a request is Slack's probe of the certificate, which is not signed:
// ssl_check=1 and a token, as a form or in the query. It is answered and does nothing, whatever
// else is in it.
// https://docs.slack.dev/interactivity/implementing-slash-commands
func isProbe(in *callback.Request) bool {
	if in.Method != "GET" && in.Method != "POST" || callback.HasHeader(in, headerSignature) {
		return false
	}
	if checks := in.Query["ssl_check"]; len(checks) == 1 && checks[0] == "1" {
		return true
	}
	if in.Method == "GET" || len(in.Body) > maxProbe {
		return false
	}
	for pair := range bytes.SplitSeq(in.Body, []byte("&")) {
		if string(pair) == "ssl_check=1" {
			return true
		}
	}
	return false
}

// parseForm reads a form strictly: no field twice, and UTF-8.
func parseForm(text string) (map[string]string, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, callback.Refuse(callback.StepDecode,
			"the body is neither JSON nor a form") // the error would quote it
	}
	form := make(map[string]string, len(values))
	for key, all := range values {
		if len(all) != 1 || !utf8.ValidString(key) || !utf8.ValidString(all[0]) {
			return nil, callback.Refuse(callback.StepDecode, "the form has a field twice, or one that is not UTF-8")
		}
		form[key] = all[0]
	}
	return form, nil
}

// command reads a slash command, by its fields and as it came. What stands behind the slash is the
// app's; the command is the text.
// https://docs.slack.dev/interactivity/implementing-slash-commands
func (r *reader) command(field func(name string) string, body string, at time.Time) (*callback.Received, error) {
	if err := r.team(field("team_id"), field("enterprise_id")); err != nil {
		return nil, err
	}
	if field("command") == "" {
		return nil, callback.Refuse(callback.StepDecode, "there is neither a command nor a payload")
	}
	var text strings.Builder
	for _, p := range split(field("text"), nil) {
		text.WriteString(p.Text) // nobody needs to be mentioned
	}
	m := &command.Message{
		ID:           field("trigger_id"),
		Conversation: field("channel_id"),
		Direct:       isDirect(field("channel_id")),
		User:         field("user_id"),
		UserName:     field("user_name"),
		Text:         callback.Fold(text.String()),
		Sent:         at,
		ReplyTo:      byURL(field("response_url"), at, field("channel_id"), field("user_id")),
	}
	if m.ID == "" {
		m.ID = callback.Digest("slack command", at.UTC().String(), body)
	}
	return &callback.Received{Message: m, State: shows}, callback.Check(m)
}

// isDirect reports whether a channel is one to one with the app.
func isDirect(channel string) bool { return strings.HasPrefix(channel, "D") }

// byURL returns the way to answer by a response URL, and later to the person in the channel.
func byURL(address string, at time.Time, channel, user string) command.ReplyTo {
	if address == "" {
		return command.ReplyTo{}
	}
	return command.ReplyTo{Kind: toURL, URL: secret.Text(address), ID: channel + ":" + user,
		Expires: at.Add(urlLives), Uses: urlUses}
}

// What Received.State says.
type kind int

const shows kind = 1 // Slack shows the answer's text, which it does for slash commands only

// Answer implements callback.Answerer.
func (*reader) Answer(in *callback.Received, text string) (*callback.Response, error) {
	if in.State != any(shows) || text == "" {
		return callback.Acknowledge(), nil
	}
	response := callback.JSON(struct {
		ResponseType string `json:"response_type"`
		message
	}{ephemeral, messageOf(text)})
	response.Carries = true
	return response, nil
}

// ephemeral is the response_type of an answer that only the sender of the command sees.
const ephemeral = "ephemeral"

// A message is a text without markup, behind other members.
type message struct {
	Markdown  bool   `json:"mrkdwn"`
	Parse     string `json:"parse"`
	LinkNames bool   `json:"link_names"`
	Text      string `json:"text"`
}

func messageOf(text string) message {
	return message{Parse: "none", Text: escape.Replace(callback.Cut(text, maxText))}
}
