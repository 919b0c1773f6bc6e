package teams

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// maxText is the maximum length of an answer in bytes. An activity has at most 28 KB with its other
// members.
const maxText = 12_000

type receiver struct {
	secret.Hidden
	secrets  []string // decoded
	tenantID string
	botName  string
}

var _ callback.Receiver = (*receiver)(nil)

// NewReceiver returns the receiver of a configuration of type Teams: the outgoing webhook of a
// team.
func (Platform) NewReceiver(s callback.Settings) (callback.Receiver, error) {
	texts, err := callback.Secrets(s, "TeamsWebhookSecret")
	if err != nil {
		return nil, fmt.Errorf("teams: %w", err)
	}
	r := &receiver{tenantID: s.Get("TeamsTenantId"), botName: s.Get("BotName")}
	for _, text := range texts {
		secret, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(secret) < minSecret {
			return nil, fmt.Errorf("teams: TeamsWebhookSecret is invalid; write base64 of at least %d bytes", minSecret)
		}
		r.secrets = append(r.secrets, string(secret))
	}
	return r, nil
}

// NewSender fails: Teams accepts no late answer to an outgoing webhook.
func (Platform) NewSender(callback.Settings, *callback.Client) (callback.Sender, error) {
	return nil, callback.Final("teams: late answers are not possible; Teams accepts only the answer to the callback")
}

// Receive implements callback.Receiver.
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
func (r *receiver) Receive(in *callback.Request) (*callback.Received, error) {
	if in.Method != "POST" {
		return nil, callback.Refuse(callback.StepRequest, "the method is %s, and Teams uses POST",
			callback.Cut(in.Method, 16))
	}
	authorization, err := callback.Header(in, "Authorization")
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(authorization, "HMAC ")
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(sum) != sha256.Size || len(text) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return nil, callback.Refuse(callback.StepSignature,
			"the header Authorization is malformed: it must be HMAC and base64 of %d bytes", sha256.Size)
	}
	_, ok = callback.Match(r.secrets, sum, func(secret string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(in.Body)
		return mac.Sum(nil)
	})
	if !ok {
		return nil, callback.Refuse(callback.StepSignature,
			"the header Authorization was not made with TeamsWebhookSecret")
	}
	f, err := callback.Object("the activity", string(in.Body))
	if err != nil {
		return nil, err
	}
	// No header has the time, so the signed activity must have it.
	at, err := time.Parse(time.RFC3339, f.Text("timestamp"))
	if f.Err() != nil {
		return nil, f.Err()
	}
	if err != nil {
		return nil, callback.Refuse(callback.StepFreshness, "the activity has no timestamp")
	}
	if err := callback.Fresh("the activity's timestamp", in.Now, at, callback.Skew); err != nil {
		return nil, err
	}
	return r.activity(f, at)
}

// maxEditAge is the maximum age of a message that becomes a command by an edit. The journal is kept
// for longer, so it shows whether the message was already a command.
const maxEditAge = 24 * time.Hour

// activity returns the message in a genuine activity, or the kind of an ignored one.
// https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
func (r *receiver) activity(f callback.Fields, at time.Time) (*callback.Received, error) {
	from, conversation := f.Object("from"), f.Object("conversation")
	tenant := conversation.Text("tenantId")
	if tenant == "" {
		tenant = f.Object("channelData").Object("tenant").Text("id")
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if r.tenantID != "" && !strings.EqualFold(tenant, r.tenantID) {
		return nil, callback.Refuse(callback.StepReceiver,
			"the activity is from tenant %q, and this configuration is for %s", callback.Cut(tenant, 64), r.tenantID)
	}
	if kind := ignored(f); kind != "" {
		return &callback.Received{Kind: kind}, f.Err()
	}
	place, _, _ := strings.Cut(conversation.Text("id"), ";") // the rest is the thread
	m := &command.Message{
		ID:           callback.Digest("teams", conversation.Text("id"), f.Text("id")),
		Conversation: place,
		Direct:       conversation.Text("conversationType") == "personal",
		User:         from.Text("aadObjectId"),
		UserName:     from.Text("name"),
		Sent:         at,
	}
	said := read(f)
	way := callback.Called
	if m.Direct {
		way = callback.Addressed
	}
	heard := callback.Hear(said.parts, r.botName, way)
	m.Text, m.Unread = heard.Text, cmp.Or(said.unread, heard.Unread)
	if m.Text == "" && m.Unread == "" {
		m.Text, m.Unread = withoutText(f, said)
	}
	if said.quoted && !m.Direct && !slices.ContainsFunc(said.parts, func(p callback.Part) bool { return p.Mention }) {
		m.Unread = cmp.Or(m.Unread, command.UnreadQuotation) // only the quotation mentions the bot
	}
	if edited(f) {
		m.Edit = at.UTC().Format("20060102150405.000000000")
		if at.Sub(sent(f.Text("id"))) > maxEditAge {
			m.Unread = command.UnreadEdit
		}
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if f.Text("id") == "" {
		return nil, callback.Refuse(callback.StepDecode, "the activity has no id")
	}
	return &callback.Received{Message: m, Mention: heard.Name}, callback.Check(m)
}

// ignored returns the kind of an activity that is not a person's message, empty for such a message.
func ignored(f callback.Fields) string {
	kind := f.Text("type")
	switch {
	case kind == "":
		return "activity without a type"
	case kind == "message" || edited(f):
		if strings.HasPrefix(f.Object("from").Text("id"), "28:") { // a bot
			return kind + "/bot"
		}
		return ""
	case kind == "messageUpdate" || kind == "messageDelete":
		return strings.TrimSuffix(kind+"/"+f.Object("channelData").Text("eventType"), "/")
	case f.IsText("name"): // an invoke or an event
		return kind + "/" + f.Text("name")
	}
	return kind
}

// edited reports whether an activity is an edited message. It has the id of the original message.
func edited(f callback.Fields) bool {
	return f.Text("type") == "messageUpdate" && f.Object("channelData").Text("eventType") == "editMessage"
}

// sent returns the time of a message: its id is the milliseconds since 1970.
func sent(id string) time.Time {
	at, err := callback.Millis(id)
	if err != nil {
		return time.Time{}
	}
	return at
}

// withoutText returns the content of a message without text: the command of a card's button, or the
// kind of content that cannot be read.
// https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-actions
func withoutText(f callback.Fields, said content) (text, unread string) {
	switch {
	case f.IsText("value"):
		return callback.Fold(f.Text("value")), ""
	case f.IsObject("value"):
		if value := f.Object("value"); value.IsText("command") {
			return callback.Fold(value.Text("command")), ""
		}
		return "", "a form"
	case f.Has("value"):
		return "", "a form"
	case said.picture:
		return "", command.UnreadPicture
	}
	for _, a := range f.Items("attachments") {
		kind := strings.ToLower(a.Text("contentType"))
		major, _, _ := strings.Cut(kind, "/")
		switch {
		case kind == "text/html": // a copy of the text
		case major == "image":
			return "", command.UnreadPicture
		case major == "audio":
			return "", command.UnreadVoice
		case major == "video":
			return "", command.UnreadVideo
		case kind == "messagereference", kind == "forwardedmessagereference":
			return "", command.UnreadForward
		case strings.HasPrefix(kind, "application/vnd.microsoft.card."):
			return "", command.UnreadCard
		default:
			return "", command.UnreadFile
		}
	}
	if said.quoted {
		return "", command.UnreadQuotation
	}
	return "", ""
}

// Answer implements callback.Receiver. Teams requires a message in every answer, and does not show
// an empty one.
//
// A zero-width space breaks tags, as in callback.Defuse. An @ needs no change: a mention is an <at>
// with an entity in addition to the text. Conversation ids, which people copy into Permissions,
// contain an @.
func (r *receiver) Answer(_ *callback.Received, text string) (*callback.Response, error) {
	response := callback.JSON(struct {
		Type   string `json:"type"`
		Format string `json:"textFormat"`
		Text   string `json:"text"`
	}{"message", "plain", callback.Cut(strings.ReplaceAll(text, "<", "<\u200b"), maxText)})
	response.Carries = text != ""
	return response, nil
}
