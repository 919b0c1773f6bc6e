package webhook_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
	"chatconf/shared/webhook/webhooktest"
)

// otherCase returns a secret of the same shape.
func otherCase(value secret.Text) secret.Text {
	text := value.Reveal()
	return secret.Text(strings.ToUpper(text[:1]) + text[1:])
}

// Each secret of each platform that proves callbacks is rotated alone, while callbacks arrive. In
// the grace time both values prove them, in every mode.
func TestARotatedSecretIsAcceptedWithTheOneBefore(t *testing.T) {
	const grace = 60
	for _, p := range platform.All().Descriptions() {
		proven := 0
		for _, setting := range p.Settings {
			key, ok := strings.CutSuffix(setting.Key, command.Previous)
			if !ok {
				continue
			}
			for _, mode := range platformsim.Of(p.Type).Modes {
				name := p.Type + ", " + key + ", " + mode.Name
				w := webhooktest.New(t)
				process := w.Process()
				bot := process.Create("ops", p.Type, platformtest.Settings(p.Type), webhooktest.Open)
				next := *bot
				next.Settings = platformtest.With(p.Type, key, otherCase(bot.Settings[key]).Reveal())
				h := process.Handler(nobody)
				accepts := func(b *webhooktest.Bot) bool {
					t.Helper()
					w.Advance(time.Millisecond) // two signatures of one time may be the same
					out := b.Post(h, b.Say(mode.Name, platformsim.Message{Text: "restart i-1"}))
					if out.Code != http.StatusOK && out.Code != http.StatusUnauthorized {
						t.Errorf("%s: status %d", name, out.Code)
					}
					return out.Code == http.StatusOK
				}
				if !accepts(bot) {
					t.Errorf("%s: the callback is refused before the rotation", name)
				}
				if accepts(&next) { // the mode does not use the secret
					continue
				}
				proven++
				seconds := int64(grace)
				if _, err := process.Service.RotateSecret(process.As(), &chat.RotateSecretRequest{Name: "ops", Key: key,
					Value: next.Settings[key], GraceSeconds: &seconds}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !accepts(bot) || !accepts(&next) {
					t.Errorf("%s: in the grace time the one before is accepted: %v, the new one: %v", name,
						accepts(bot), accepts(&next))
				}
				w.Advance(grace * time.Second)
				if accepts(bot) || !accepts(&next) {
					t.Errorf("%s: after the grace time the one before is accepted: %v, the new one: %v", name,
						accepts(bot), accepts(&next))
				}
			}
		}
		if proven == 0 {
			t.Errorf("%s: no secret was rotated", p.Type)
		}
	}
}
