package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"testing"

	"chatconf/shared/platform/platformsim"
	"chatconf/shared/webhook"
	"chatconf/shared/webhook/webhooktest"
)

// slackSignature signs a callback again, after a change.
func slackSignature(bot *webhooktest.Bot, c *platformsim.Callback) string {
	mac := hmac.New(sha256.New, []byte(bot.Settings.Get("SlackSigningSecret")))
	mac.Write([]byte("v0:" + c.Header.Get("X-Slack-Request-Timestamp") + ":"))
	mac.Write(c.Body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

func TestIsPath(t *testing.T) {
	for path, want := range map[string]bool{
		"/webhook/1/cn-hangzhou/ops/token":           true,
		"/stage/webhook/1/cn-hangzhou/ops/token":     true,
		"/webhook/x/webhook/1/cn-hangzhou/ops/token": true,
		"/webhook/1/cn-hangzhou/webhook/token":       true,
		"/webhook/webhook/webhook/webhook/webhook":   true,
		"/webhook/1/cn-hangzhou/ops/token/":          false,
		"/webhook/1/cn-hangzhou/ops/":                false,
		"/webhook//cn-hangzhou/ops/token":            false,
		"/webhook/1/cn-hangzhou/ops":                 false,
		"/webhook/1/cn-hangzhou/ops/token/more":      false,
		"/Webhook/1/cn-hangzhou/ops/token":           false,
		"/webhook":                                   false,
		"/":                                          false,
		"":                                           false,
	} {
		if got := webhook.IsPath(path); got != want {
			t.Errorf("IsPath(%q) = %v, want %v", path, got, want)
		}
	}
}

var pathForm = regexp.MustCompile(`(?s)/webhook/[^/]+/[^/]+/[^/]+/[^/]+\z`)

// FuzzIsPath: what is taken for a path ends in /webhook/ and four parts, none of them empty,
// whatever they are.
func FuzzIsPath(f *testing.F) {
	f.Add("/webhook/1/cn-hangzhou/ops/token")
	f.Add("/a/webhook/webhook/1/2/3/4")
	f.Fuzz(func(t *testing.T, path string) {
		if got, want := webhook.IsPath(path), pathForm.MatchString(path); got != want {
			t.Errorf("IsPath(%q) = %v", path, got)
		}
	})
}
