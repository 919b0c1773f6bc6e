package chat

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// actionReveal is the permission to see the secrets in Outputs: the token in the webhook's URL, and
// the generated secrets.
const actionReveal = "RevealChatConfigurationOutputs"

// outputs makes the Outputs of configurations.
type outputs struct {
	vault     *vault
	platforms platforms
	baseURL   string // of webhooks, without a slash at its end
}

// text returns the text of Outputs: the webhook's URL, other values that the platform's console
// asks for, and with setup the steps in that console. Secrets are replaced by Mask unless reveal is
// set; secrets from the caller always are.
func (o *outputs) text(c scope, r *record, setup, reveal bool) (string, error) {
	webhook, err := o.url(c, r, reveal)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	size := 256
	if setup {
		size = 2 << 10
	}
	b.Grow(size)
	write := func(name, text string) {
		b.WriteString(name)
		document.WriteString(&b, text)
	}
	b.WriteString(`{"URL": "`)
	b.WriteString(webhook) // CheckBaseURL allows no characters that need escaping
	b.WriteByte('"')
	p, err := o.platforms.of(r)
	if err != nil {
		return "", err
	}
	receive, err := r.receive()
	if err != nil {
		return "", err
	}
	for _, setting := range p.Settings {
		_, ok := r.Secrets[setting.Key]
		if setting.Output == "" || !ok && !setting.Applies(receive) {
			continue
		}
		value := []byte(secret.Mask)
		if !ok || reveal && slices.Contains(r.Generated, setting.Key) {
			if value, err = o.vault.open(c, r, setting.Key); err != nil {
				return "", err
			}
		}
		write(`, "`+setting.Output+`": `, string(value))
	}
	if setup && p.Setup != nil {
		language, err := r.language()
		if err != nil {
			return "", err
		}
		var steps []string
		if receive == command.ReceiveStream && p.StreamSetup != nil {
			steps = p.StreamSetup(language)
		} else {
			steps = p.Setup(webhook, language)
		}
		// A single string, since some clients read Outputs as a map of strings.
		write(`, "Setup": `, strings.Join(steps, "\n"))
	}
	b.WriteByte('}')
	return b.String(), nil
}

// url returns the URL of a configuration's webhook. Its token is Mask unless reveal is set.
func (o *outputs) url(c scope, r *record, reveal bool) (string, error) {
	token := []byte(secret.Mask)
	if reveal {
		var err error
		if token, err = o.vault.open(c, r, fieldWebhookToken); err != nil {
			return "", err
		}
		if len(token) == 0 {
			return "", fmt.Errorf("chat: %q has no webhook token", r.Name)
		}
	}
	return o.baseURL + "/webhook/" + c.account + "/" + c.region + "/" + r.Name + "/" + string(token), nil
}
