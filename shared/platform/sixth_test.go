package platform_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/document"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
	"chatconf/shared/webhook/webhooktest"
)

// pigeon is a sixth platform, made up: this value is all that there is of it.
type pigeon struct{}

const (
	pigeonSecret = "not-a-real-pigeon-secret"
	pigeonHost   = "api.pigeon.example"
)

func (pigeon) Description() command.Platform {
	return command.Platform{Type: "Pigeon", Aliases: []string{"Dove"},
		Title: "Carrier pigeon", Settings: []command.Setting{
			{Key: "PigeonSecret", Required: true, Secret: true, Shape: command.Visible(8, 64),
				Names: []string{"LoftSecret"}, Help: "secret of the loft"},
			{Key: "PigeonToken", Secret: true, Generate: true, Output: "Token",
				Shape: command.Alphanumeric(1, 32), Help: "token of the loft"},
		}}
}

func (pigeon) NewReceiver(s callback.Settings) (callback.Receiver, error) {
	secrets, err := callback.Secrets(s, "PigeonSecret")
	return pigeonReceiver(secrets), err
}

func (pigeon) NewSender(s callback.Settings, client *callback.Client) (callback.Sender, error) {
	return pigeonSender{client, s["PigeonSecret"]}, nil
}

type pigeonReceiver []string

func (r pigeonReceiver) Receive(in *callback.Request) (*callback.Received, error) {
	text, err := callback.Header(in, "X-Pigeon-Signature")
	if err != nil {
		return nil, err
	}
	signature, _ := callback.Hex(text, sha256.Size)
	if _, ok := callback.Match(r, signature, func(secret string) []byte { return pigeonMAC(secret, in.Body) }); !ok {
		return nil, callback.Refuse(callback.StepSignature, "the ring is another loft's")
	}
	f, err := callback.Object("the body", string(in.Body))
	if err != nil {
		return nil, err
	}
	m := &command.Message{ID: f.Text("id"), Conversation: f.Text("loft"), User: f.Text("from"), Text: f.Text("text"),
		ReplyTo: command.ReplyTo{Kind: "loft", ID: f.Text("loft")}}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &callback.Received{Message: m}, callback.Check(m)
}

func (pigeonReceiver) Answer(*callback.Received, string) (*callback.Response, error) {
	return callback.Acknowledge(), nil // the answer flies back by a Sender
}

type pigeonSender struct {
	client *callback.Client
	secret secret.Text
}

func (s pigeonSender) Send(ctx context.Context, to command.ReplyTo, text string) error {
	body := document.Marshal(struct{ Loft, Text string }{to.ID, text})
	answer, err := s.client.Do(ctx, callback.Call{What: "pigeon: send", URL: "https://" + pigeonHost + "/send",
		Hosts: []string{pigeonHost}, Body: body,
		Headers: map[string]secret.Text{"X-Pigeon-Signature": secret.Text(
			hex.EncodeToString(pigeonMAC(s.secret.Reveal(), body)))}})
	if err != nil {
		return err
	}
	if !answer.Is("ok") {
		return answer.Refused("pigeon: send", answer.Text("error"), false)
	}
	return nil
}

func pigeonMAC(secret string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return h.Sum(nil)
}

// A sixth platform needs nothing but its value in the list: a configuration of it is created and
// masked, its callbacks are proven, decided and recorded, and its answers are sent.
func TestASixthPlatformIsOneValue(t *testing.T) {
	w := webhooktest.New(t)
	w.Platforms = append(platform.All(), pigeon{})
	p := w.Process()
	// by its other names
	bot := p.Create("ops", "dove", callback.Settings{"LoftSecret": pigeonSecret}, webhooktest.Open)
	out, err := p.Service.Get(p.As(), &chat.GetRequest{Name: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	if c := out.ChatConfiguration; c.Type != "Pigeon" || !strings.Contains(c.Configuration,
		`"PigeonSecret":"******"`) || strings.Contains(c.Configuration, pigeonSecret) {
		t.Errorf("the configuration is of type %s: %s", c.Type, c.Configuration)
	}
	if _, err := p.Service.Create(p.As(), &chat.CreateRequest{Name: "bad", Type: "Pigeon",
		Configuration: `{"PigeonTokn":"x"}`}); err == nil ||
		!strings.Contains(err.Error(), "PigeonSecret") || !strings.Contains(err.Error(), "PigeonToken") {
		t.Errorf("a configuration that lacks the secret and has a misspelt key: %v", err)
	}

	var pending []command.Ref
	h := p.Handler(func(_ context.Context, ref command.Ref) error {
		pending = append(pending, ref)
		return nil
	})
	server := platformtest.NewServer(t, webhooktest.Start, []string{pigeonHost},
		func(platformtest.Request) (int, string) { return 200, `{"ok":true}` })
	senders := w.Platforms.Senders()
	d, err := dispatch.New(dispatch.Options{Open: p.Service.OpenConfiguration, Journal: p.Journal, Now: p.Now,
		Sender: func(e *command.Endpoint) (dispatch.Sender, error) {
			return senders[e.Type](callback.Settings(e.Settings), server.Client)
		}})
	if err != nil {
		t.Fatal(err)
	}
	post := func(secret, id, text string) int {
		body := document.Marshal(map[string]string{"id": id, "loft": "loft-1", "from": "u1", "text": text})
		r, err := http.NewRequest("POST", bot.URL, strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Pigeon-Signature", hex.EncodeToString(pigeonMAC(secret, body)))
		return w.Do(h, r).Code
	}
	if code := post("another-secret", "m0", "whoami"); code != http.StatusUnauthorized {
		t.Errorf("a callback with another signature: status %d", code)
	}
	for _, m := range []struct{ id, text string }{{"m1", "whoami"}, {"m2", "stop i-1"}, {"m1", "whoami"}} {
		if code := post(pigeonSecret, m.id, m.text); code != http.StatusOK {
			t.Errorf("%s: status %d", m.text, code)
		}
		w.Advance(time.Second)
	}
	commands := p.Commands("ops")
	if len(commands) != 2 || commands[0].Command != "stop" || commands[0].Decision != "Denied" ||
		commands[1].Command != "whoami" || commands[1].Decision != "Allowed" {
		t.Errorf("recorded is %+v", commands)
	}
	for _, ref := range pending {
		if err := d.Dispatch(p.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	sent := server.Requests()
	if len(sent) != 2 || !strings.HasPrefix(sent[0].Body, `{"Loft":"loft-1","Text":"`) ||
		!strings.Contains(sent[0].Body, "user:u1") || !strings.Contains(sent[1].Body, "stop") {
		t.Errorf("sent is %+v", sent)
	}
}
