package chat

import (
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// A SecretState is what each caller that may read a configuration may know of a secret.
type SecretState struct {
	Key           string // as in the Configuration, such as Target.Secret; or Webhook, for the token of its URL
	SinceDate     string `json:",omitempty"` // when it got this value; absent if an older version stored it
	Digest        string `json:",omitempty"` // keyed: it changes with the value, and reveals nothing; not of Webhook
	PreviousUntil string `json:",omitempty"` // until when the value before is valid, too
}

// A secretKey is a place of a secret in a Configuration.
type secretKey struct {
	key   string // as in SecretState
	field string // of the record
	shape command.Shape
	made  bool // the service can make the secret, and Outputs show it
	grace bool // the other side has it, too, so that the previous value may stay valid for a time
}

// generated reports whether the service can make the secret of a setting: Outputs then show it, for
// the platform's console.
func generated(s command.Setting) bool { return s.Generate && s.Output != "" }

// secretKeys returns the places of all secrets of a record: first those of the platform's settings,
// then those of Targets.
func (p *platform) secretKeys(r *record) ([]secretKey, error) {
	var list []secretKey
	for _, s := range p.Settings {
		if _, ok := r.Secrets[s.Key]; ok {
			_, grace := p.setting(s.Key + command.Previous)
			list = append(list, secretKey{key: s.Key, field: s.Key, shape: s.Shape, made: generated(s), grace: grace})
		}
	}
	targets := false
	for field := range r.Secrets {
		targets = targets || strings.HasSuffix(field, fieldTargetSecret)
	}
	if !targets { // the usual case, without parsing
		return list, nil
	}
	root, err := r.parse()
	if err != nil {
		return nil, err
	}
	add := func(path, field string) {
		if _, ok := r.Secrets[field]; ok {
			path = document.Under(document.Under(path, keyTarget), keySecret)
			list = append(list, secretKey{key: path[len("."):], field: field, shape: webhookSecret, grace: true})
		}
	}
	add("", fieldTargetSecret)
	if actions := root.Get(command.KeyActions); actions != nil {
		for _, m := range actions.Members {
			add(document.Under(document.Under("", command.KeyActions), m.Key), actionSecretField(m.Key))
		}
	}
	return list, nil
}

// states returns what may be known of each secret of a record.
func (v *vault) states(c scope, p *platform, r *record) ([]SecretState, error) {
	keys, err := p.secretKeys(r)
	if err != nil {
		return nil, err
	}
	r, _ = v.withDigests(c, r, nil)
	list := make([]SecretState, 0, len(keys)+1)
	for _, k := range keys {
		list = append(list, v.state(r, k.key, k.field))
	}
	webhook := v.state(r, pathWebhook, fieldWebhookToken)
	webhook.Digest = ""
	return append(list, webhook), nil
}

// state returns what may be known of the secret in a field.
func (v *vault) state(r *record, key, field string) SecretState {
	out := SecretState{Key: key, SinceDate: dateOf(r.Set[field].Since), Digest: r.Set[field].Digest}
	if r.hasPrevious(field, v.now()) {
		out.PreviousUntil = date(r.Previous[field])
	}
	return out
}

// secretKey returns the place of the secret that a caller names, in a record with it.
func (p *platform) secretKey(param, name string, r *record) (secretKey, error) {
	list, err := p.secretKeys(r)
	if err != nil {
		return secretKey{}, err
	}
	key := strings.TrimPrefix(name, configurationParam+".")
	if ours, ok := p.keyOf(key); ok {
		key = ours
	}
	setting, known := p.setting(key)
	current, previous := strings.CutSuffix(key, command.Previous)
	i := slices.IndexFunc(list, func(k secretKey) bool { return k.key == key })
	switch {
	case key == pathWebhook:
		return secretKey{}, fault.Invalid(param, "%s %s is the token of the webhook's URL; use %s.", param, key,
			actionRotate)
	case known && previous:
		return secretKey{}, fault.Invalid(param, "%s %s is a previous value; rotate %s.", param, key, current)
	case i >= 0:
		return list[i], nil
	case known && !setting.Secret:
		return secretKey{}, fault.Invalid(param, "%s %s is not secret; change it with %s.", param, key, actionUpdate)
	case known:
		return secretKey{}, fault.Invalid(param, "%s has no %s; set it with %s.", fault.Quote(r.Name), key,
			actionUpdate)
	}
	var names []string
	for _, k := range list {
		if _, ok := strings.CutSuffix(k.key, command.Previous); !ok {
			names = append(names, k.key)
		}
	}
	message := "Unknown " + param + " " + fault.Quote(name) + "; " + Suggestion(key, names)
	if !strings.HasSuffix(message, "?") {
		message += "."
	}
	return secretKey{}, fault.Invalid(param, "%s", message)
}
