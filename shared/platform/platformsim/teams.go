package platformsim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"time"

	"chatconf/shared/platform/callback"
)

// teams simulates Microsoft Teams.
var teams = Simulator{
	Type:       "Teams",
	Modes:      []Mode{{Name: "webhook", Make: teamsWebhook, Receiver: []string{"TeamsTenantId"}, Carries: true}},
	Enclosures: map[string]func(*Maker, string) (*Callback, error){"activity": teamsOf},
	// not-a-real-secret-…
	Example: callback.Settings{"TeamsWebhookSecret": "bm90LWEtcmVhbC1zZWNyZXQtbm90LWEtcmVhbC1zZWM=",
		"TeamsTenantId": "00000000-0000-4000-8000-00000000000a"},
}

// teams signs an activity.
func (k *Maker) teams(body []byte) (*Callback, error) {
	secret, err := base64.StdEncoding.DecodeString(k.Settings.Get("TeamsWebhookSecret"))
	if err != nil || len(secret) == 0 {
		return nil, fmt.Errorf("TeamsWebhookSecret is not set")
	}
	return post(body, jsonUTF8, "Authorization", "HMAC "+mac64(string(secret), string(body))), nil
}

// teamsWebhook is a message to an outgoing webhook.
func teamsWebhook(k *Maker, m Message) (*Callback, error) {
	tenant := cmp.Or(k.Settings.Get("TeamsTenantId"), "00000000-0000-4000-8000-000000000000")
	kind, written := "channel", "<at>"+cmp.Or(k.Settings.Get("BotName"), "example")+
		"</at>&nbsp;"+html.EscapeString(m.Text)+"\n"
	if m.Direct {
		kind = "personal"
	}
	place := cmp.Or(m.Conversation, "19:example@thread.tacv2")
	body := object{"type": "message", "id": m.ID, "timestamp": k.Now.UTC().Format(time.RFC3339Nano),
		"channelId": "msteams",
		"from":      object{"id": "29:example", "name": cmp.Or(m.UserName, m.User), "aadObjectId": m.User},
		"conversation": object{"id": place + ";messageid=" + m.ID, "tenantId": tenant,
			"isGroup": !m.Direct, "conversationType": kind},
		"text": written, "textFormat": "plain", "channelData": object{"tenant": object{"id": tenant}}}.bytes()
	c, err := k.teams(body)
	if err != nil {
		return nil, err
	}
	return c.reading(func(body []byte) (string, error) {
		var a struct {
			Type   string `json:"type"`
			Format string `json:"textFormat"`
			Text   string `json:"text"`
		}
		if err := decode(body, &a); err != nil {
			return "", err
		}
		if a.Type != "message" || a.Format != "plain" {
			return "", fmt.Errorf("platformsim: the answer is not a plain message")
		}
		return callback.Plain(a.Text), nil
	}), nil
}

func teamsOf(k *Maker, text string) (*Callback, error) { return k.teams([]byte(text)) }
