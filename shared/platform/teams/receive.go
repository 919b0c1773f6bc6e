package teams

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/webhook"
)

// maxText is how long an answer may be, in bytes: an activity has 28 KB with all that is around it.
const maxText = 12_000

type receiver struct {
	secrets  []string // decoded
	tenantID string
}

var _ webhook.Receiver = (*receiver)(nil)

// NewReceiver returns the receiver of a configuration of type Teams: the outgoing webhook of a team.
func NewReceiver(s webhook.Settings) (webhook.Receiver, error) {
	texts, err := callback.Secrets(s, "TeamsWebhookSecret")
	if err != nil {
		return nil, fmt.Errorf("teams: %w", err)
	}
	r := &receiver{tenantID: s.Get("TeamsTenantId")}
	for _, text := range texts {
		secret, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(secret) < minSecret {
			return nil, fmt.Errorf("teams: TeamsWebhookSecret is not %d bytes or more in base64", minSecret)
		}
		r.secrets = append(r.secrets, string(secret))
	}
	return r, nil
}

// Receive implements webhook.Receiver.
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
func (r *receiver) Receive(in *webhook.Request) (*webhook.Received, error) {
	if in.Method != "POST" {
		return nil, webhook.Refuse(webhook.StepRequest, "Teams calls by POST, not %s", callback.Cut(in.Method, 16))
	}
	authorization, err := callback.Header(in, "Authorization")
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(authorization, "HMAC ")
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(sum) != sha256.Size || len(text) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return nil, webhook.Refuse(webhook.StepSignature, "the header Authorization is not HMAC and base64 of %d bytes", sha256.Size)
	}
	_, ok = callback.Match(r.secrets, sum, func(secret string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(in.Body)
		return mac.Sum(nil)
	})
	if !ok {
		return nil, webhook.Refuse(webhook.StepSignature, "the header Authorization was not made with TeamsWebhookSecret")
	}
	f, err := callback.Object("the activity", string(in.Body))
	if err != nil {
		return nil, err
	}
	// No header tells the time, so the activity must: it is signed.
	at, err := time.Parse(time.RFC3339, f.Text("timestamp"))
	if f.Err() != nil {
		return nil, f.Err()
	}
	if err != nil {
		return nil, webhook.Refuse(webhook.StepFreshness, "the activity has no timestamp")
	}
	if err := callback.Fresh("the activity's timestamp", in.Now, at, callback.Skew); err != nil {
		return nil, err
	}
	return r.activity(f, at)
}

// activity reads an activity that is genuine.
func (r *receiver) activity(f callback.Fields, at time.Time) (*webhook.Received, error) {
	from, conversation := f.Object("from"), f.Object("conversation")
	tenant := conversation.Text("tenantId")
	if tenant == "" {
		tenant = f.Object("channelData").Object("tenant").Text("id")
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if r.tenantID != "" && !strings.EqualFold(tenant, r.tenantID) {
		return nil, webhook.Refuse(webhook.StepReceiver, "the activity is of the tenant %q, and this configuration is for %s", callback.Cut(tenant, 64), r.tenantID)
	}
	place, _, _ := strings.Cut(conversation.Text("id"), ";") // what follows is the thread
	m := &chat.Message{
		ID:           callback.Digest("teams", conversation.Text("id"), f.Text("id")),
		Conversation: place,
		Direct:       conversation.Text("conversationType") == "personal",
		User:         from.Text("aadObjectId"),
		UserName:     from.Text("name"),
		Text:         unmark(f.Text("text")),
		Sent:         at,
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if f.Text("type") != "message" || strings.HasPrefix(from.Text("id"), "28:") { // 28 is a bot
		return &webhook.Received{}, nil
	}
	if f.Text("id") == "" {
		return nil, webhook.Refuse(webhook.StepDecode, "the activity has no id")
	}
	return &webhook.Received{Message: m}, callback.Check(m)
}

// unmark makes what was typed of an activity's text. The first mention is the webhook's own, which it is called by; another leaves its name, as one word. Tags
// go, entities become what they stand for, and what only looks like a tag stays.
// https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations
func unmark(text string) string {
	var b strings.Builder
	called := false
	lastEnd := strings.LastIndex(text, mentionEnd) // looked for once: text may hold very many mentions that do not end
	for at := 0; at < len(text); {
		name, length := tag(text[at:])
		switch name {
		case "":
			i := strings.IndexByte(text[at+1:], '<') + 1
			if i == 0 {
				i = len(text) - at
			}
			b.WriteString(text[at : at+i])
			length = i
		case "at":
			if at+length <= lastEnd {
				inside, _, _ := strings.Cut(text[at+length:], mentionEnd)
				if called {
					b.WriteString("@" + callback.Word(html.UnescapeString(inside)))
				}
				called = true
				length += len(inside) + len(mentionEnd)
			}
		case "br", "/p", "/div":
			b.WriteByte('\n')
		}
		at += length
	}
	return callback.Fold(html.UnescapeString(b.String()))
}

// mentionEnd is what ends a mention.
const mentionEnd = "</at>"

// maxTag is how long a tag may be, in bytes; that of a link has an address in it.
const maxTag = 4096

// tag returns the name of the tag that text begins with, and its length: none if it is not one that Teams writes.
func tag(text string) (name string, length int) {
	if !strings.HasPrefix(text, "<") {
		return "", 0
	}
	text = text[:min(len(text), maxTag)]
	name = text[1:min(len(text), 1+len("/blockquote "))]
	if i := strings.IndexAny(name, " />"); i > 0 {
		name = name[:i]
	} else if i == 0 && name[0] == '/' {
		if i = strings.IndexAny(name, " >"); i > 0 {
			name = name[:i]
		}
	}
	name = strings.ToLower(name)
	switch strings.TrimPrefix(name, "/") {
	case "at", "br", "p", "div", "span", "b", "i", "u", "s", "strong", "em", "code", "pre", "a", "blockquote":
		if end := strings.IndexByte(text, '>'); end >= 0 {
			return name, end + 1
		}
	}
	return "", 0
}

// Answer implements webhook.Receiver. Teams wants a message always, and shows none that is empty.
//
// A space of no width breaks tags, as callback.Defuse does. An @ stays as it is: a mention is an <at> with an entity beside the text, and ids of conversations, which people copy into grants, have an @ in them.
func (r *receiver) Answer(_ *webhook.Received, text string) (*webhook.Response, error) {
	var b bytes.Buffer
	b.WriteString(`{"type":"message","textFormat":"plain","text":`)
	document.WriteString(&b, callback.Cut(strings.ReplaceAll(text, "<", "<\u200b"), maxText))
	b.WriteByte('}')
	response := callback.JSON(b.Bytes())
	response.Carries = text != ""
	return response, nil
}
