package chat

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

const configurationParam = "Configuration"

// Keys that every platform's Configuration may have.
const (
	keyBotName        = "BotName"
	keyConversationID = "ConversationId" // one of ConversationIds
	keyTarget         = command.KeyTarget
)

var commonKeys = [...]string{keyBotName, command.KeyConversationIDs, command.KeyUserGroups, command.KeyPermissions,
	command.KeyActions, command.KeyStrictActions, keyTarget, command.KeyReceive, command.KeyLanguage}

// Fields of secrets in a record, in addition to the keys of a platform's secret settings.
const (
	fieldTargetSecret = "Target.Secret" // of the Configuration; an action's is in actionSecretField
	fieldWebhookToken = managedPrefix + "WebhookToken"
	managedPrefix     = "#" // of secrets that the service manages; cannot be in a key's name in a declaration
)

// actionSecretField returns the field of the secret in the Target of an action. The same name in
// another case has the same field.
func actionSecretField(action string) string {
	return command.KeyActions + "." + command.FoldName(action) + "." + fieldTargetSecret
}

// previousField is the field of the secret that a rotation replaced. That secret stays valid for
// the grace time.
func previousField(field string) string {
	return managedPrefix + strings.TrimPrefix(field, managedPrefix) + command.Previous
}

// mistakes are the errors in a Configuration, in the order in which they are found: JSON path and
// correction.
type mistakes struct {
	list    []string          // at most MaxMistakes sentences
	more    bool              // there are more mistakes
	written map[string]string // by our key: the key that the caller wrote

	patterns int // size of the patterns of parameters so far
}

func (m *mistakes) wrong(path, format string, args ...any) {
	if len(m.list) == fault.MaxMistakes {
		m.more = true
		return
	}
	text := path + ": " + fmt.Sprintf(format, args...)
	if !strings.HasSuffix(text, "?") {
		text += "."
	}
	m.list = append(m.list, text)
}

// full reports whether the search for mistakes can end. The rest of a large document may take long.
func (m *mistakes) full() bool { return m.more }

func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	texts := slices.Clone(m.list)
	if m.more {
		texts = append(texts, "There are more mistakes.")
	}
	return fault.Invalid(configurationParam, "%s", strings.Join(texts, " "))
}

// under returns the path of a key of the Configuration as the caller wrote it.
func (m *mistakes) under(key string) string {
	if written, ok := m.written[key]; ok {
		key = written
	}
	return document.Under(configurationParam, key)
}

// A settled Configuration is valid; its secrets are separated from its text.
type settled struct {
	secret.Hidden
	mistakes
	text    string            // compact JSON, every secret masked, members in the caller's order
	secrets map[string]string // by field: the secrets from the caller and the generated ones
	made    []string          // fields of generated secrets
	kept    []string          // fields for which the caller sent a mask
	targets dial.Networks     // allowed for a Target, in addition to the public Internet
}

// settle checks the Configuration of a platform. Its error is InvalidParameter; it names all
// mistakes by their JSON paths.
//
// keep reports whether a secret is stored under a field; a mask in the request then keeps it. If a
// generated setting is absent, its stored value is kept, or a new one is made from random. A Target
// may be in targets, in addition to the public Internet.
func (p *platform) settle(text string, keep func(field string) bool, random io.Reader,
	targets dial.Networks) (*settled, error) {
	if text == "" {
		return nil, fault.Missing(configurationParam)
	}
	root, twice, err := parseConfiguration(text)
	if err != nil {
		return nil, err
	}
	out := &settled{secrets: make(map[string]string), targets: targets}
	for _, path := range twice {
		out.wrong(path, "is given twice; write it once")
	}
	p.rename(out, root)
	if err := p.settleObject(out, root, keep, random); err != nil {
		return nil, err
	}
	if err := out.err(); err != nil {
		return nil, err
	}
	// Check the size again: escapes and generated values may have made the text longer, and a
	// caller must be able to send back what a read returns.
	if out.text = root.String(); len(out.text) > MaxConfiguration {
		return nil, fault.Invalid(configurationParam, "Configuration has %d bytes as it is stored; the most is %d.",
			len(out.text), MaxConfiguration)
	}
	return out, nil
}

// parseConfiguration parses the text of a Configuration and returns the paths of duplicate keys.
func parseConfiguration(text string) (root *document.Node, twice []string, err error) {
	const form = `write a JSON object such as {"BotName":"ops"}`
	if len(text) > MaxConfiguration {
		return nil, nil, fault.Invalid(configurationParam, "Configuration has %d bytes; the most is %d.",
			len(text), MaxConfiguration)
	}
	root, twice, err = document.ParseRepeated(configurationParam, text)
	if err != nil {
		return nil, nil, fault.Invalid(configurationParam, "%v; %s.", err, form)
	}
	if root.Kind != document.Object {
		return nil, nil, fault.Invalid(configurationParam, "Configuration is %v; %s.",
			root.Kind, form)
	}
	return root, twice, nil
}

// rename replaces the names that the platform's console uses for settings with our keys. A setting
// may be given under two names only with the same value.
func (p *platform) rename(out *settled, root *document.Node) {
	out.written = make(map[string]string)
	members := root.Members[:0]
	given := make(map[string]document.Member, len(root.Members)) // by our key: the member as the caller wrote it
	for _, m := range root.Members {
		key := m.Key
		if !out.full() { // no further mistakes are stored
			if ours, ok := p.keyOf(m.Key); ok {
				key = ours
			}
		}
		value := m.Value
		if key == command.KeyConversationIDs && key != m.Key && value.Kind != document.Array {
			value = &document.Node{Kind: document.Array, Items: []*document.Node{value}}
		}
		if before, twice := given[key]; twice {
			if before.Value.String() != value.String() {
				path := document.Under(configurationParam, m.Key)
				out.wrong(path, "is the same setting as %s, with another value; write only one of them", before.Key)
			}
			continue
		}
		given[key] = document.Member{Key: m.Key, Value: value}
		if key != m.Key {
			out.written[key] = m.Key
		}
		members = append(members, document.Member{Key: key, Value: value})
	}
	root.Members = members
}

func (p *platform) settleObject(out *settled, root *document.Node, keep func(string) bool, random io.Reader) error {
	for _, m := range root.Members {
		if out.full() {
			return nil
		}
		path := out.under(m.Key)
		setting, ok := p.setting(m.Key)
		switch {
		case ok:
			out.setting(path, setting, m.Value, keep)
		case m.Key == keyBotName:
			out.checkText(path, m.Value, botName)
		case m.Key == command.KeyConversationIDs && out.written[m.Key] != "" && len(m.Value.Items) == 1:
			out.checkText(path, m.Value.Items[0], command.ID)
		case m.Key == command.KeyConversationIDs:
			out.checkStrings(path, m.Value, command.ID)
		case m.Key == command.KeyUserGroups:
			out.checkGroups(path, m.Value)
		case m.Key == command.KeyPermissions:
			out.checkPermissions(path, m.Value, root)
		case m.Key == command.KeyReceive:
			out.checkReceive(path, m.Value, p)
		case m.Key == command.KeyLanguage:
			out.checkText(path, m.Value, language)
		case m.Key == keyTarget:
			out.target(path, fieldTargetSecret, m.Value, nil, keep)
		case m.Key == command.KeyActions:
			out.actions(path, m.Value, root, keep)
		case m.Key == command.KeyStrictActions:
			out.checkTruth(path, m.Value)
		default:
			out.wrong(path, "unknown key for type %s; %s", p.Type, p.suggest(m.Key))
		}
	}
	receive := command.ReceiveOf(root)
	for _, setting := range p.Settings {
		if root.Get(setting.Key) != nil || !setting.Applies(receive) {
			continue
		}
		switch {
		case setting.Required && setting.For != "":
			out.wrong(out.under(setting.Key), "is missing, and Receive %s needs it; write %s (%s)", receive,
				setting.Shape.Want, setting.Help)
		case setting.Required:
			out.wrong(out.under(setting.Key), "is missing; write %s (%s)", setting.Shape.Want, setting.Help)
		case setting.Generate && keep(setting.Key):
			out.kept = append(out.kept, setting.Key)
			root.Members = append(root.Members, document.Member{Key: setting.Key,
				Value: &document.Node{Kind: document.String, Text: secret.Mask}})
		case setting.Generate:
			var b [32]byte
			if _, err := io.ReadFull(random, b[:]); err != nil {
				return fmt.Errorf("chat: make %s: %w", setting.Key, err)
			}
			out.secrets[setting.Key] = setting.Shape.Make(b[:])
			out.made = append(out.made, setting.Key)
			root.Members = append(root.Members, document.Member{Key: setting.Key,
				Value: &document.Node{Kind: document.String, Text: secret.Mask}})
		}
	}
	p.checkNeeds(out, root, receive)
	return nil
}

// checkNeeds checks that settings which depend on each other are all present. Half of the settings
// that verify callbacks verify none.
func (p *platform) checkNeeds(out *settled, root *document.Node, receive string) {
	for _, setting := range p.Settings {
		if root.Get(setting.Key) == nil {
			continue
		}
		for _, key := range needs(setting) {
			needed, _ := p.setting(key)
			// A missing required setting is reported elsewhere.
			if root.Get(key) == nil && !(needed.Required && needed.Applies(receive)) {
				by := setting.Key
				if written, ok := out.written[by]; ok {
					by = written
				}
				out.wrong(out.under(key), "is missing; %s needs it", by)
			}
		}
	}
}

// setting checks the value of one of the platform's settings, and masks it in place if it is
// secret.
func (out *settled) setting(path string, s command.Setting, n *document.Node, keep func(string) bool) {
	if s.Secret {
		out.secret(path, s.Key, s.Shape, n, keep)
		return
	}
	if s.Shape.Truth && n.Kind == document.Literal && n.Text != "null" {
		n.Kind = document.String
	}
	out.checkText(path, n, s.Shape)
}

// secret moves a secret out of the document and leaves the mask.
func (out *settled) secret(path, field string, shape command.Shape, n *document.Node, keep func(string) bool) {
	switch {
	case n.Kind != document.String:
		out.wrong(path, "is %v; write a string of %s", n.Kind, shape.Want)
	case n.Text == secret.Mask && keep(field):
		out.kept = append(out.kept, field)
	case n.Text == secret.Mask:
		out.wrong(path, "is masked, and no stored secret exists; write the secret itself")
	case !shape.Fits(n.Text):
		out.wrong(path, "is not %s", shape.Want)
	default:
		out.secrets[field] = n.Text
		n.Text = secret.Mask
	}
}

// checkKnown rejects unknown keys and reports missing required ones.
func (m *mistakes) checkKnown(path string, n *document.Node, known, required []string) {
	for _, member := range n.Members {
		if m.full() {
			return
		}
		if !slices.Contains(known, member.Key) {
			m.wrong(document.Under(path, member.Key), "unknown key; %s", Suggestion(member.Key, known))
		}
	}
	for _, key := range required {
		if n.Get(key) == nil {
			m.wrong(document.Under(path, key), "is missing")
		}
	}
}

// checkText checks for a string of the given shape, or a number where the shape allows one, and
// reports whether n is one of these.
func (m *mistakes) checkText(path string, n *document.Node, shape command.Shape) bool {
	bare := n.Kind == document.Number || n.Kind == document.Literal && n.Text != "null"
	switch {
	case n.Kind != document.String && !(shape.Number && n.Kind == document.Number):
		form := ""
		if bare && shape.Fits(n.Text) {
			form = "; write " + fault.Quote(n.Text)
		}
		m.wrong(path, "is %v; write a string of %s%s", n.Kind, shape.Want, form)
	case !shape.Fits(n.Text):
		m.wrong(path, "%s is not %s%s", fault.Quote(n.Text), shape.Want, inItsCase(n.Text, shape.Words))
	default:
		return true
	}
	return false
}

// inItsCase says how to write a text that is one of some words in another case.
func inItsCase(text string, words []string) string {
	for _, word := range words {
		if strings.EqualFold(text, word) {
			return "; write " + word
		}
	}
	return ""
}

// checkReceive checks for a way in which messages of the platform can come.
func (m *mistakes) checkReceive(path string, n *document.Node, p *platform) {
	if m.checkText(path, n, receives) && n.Text == command.ReceiveStream && p.StreamSetup == nil {
		m.wrong(path, "%s has no connections that chatconf can open; write %s, or leave it out", p.Title,
			command.ReceiveWebhook)
	}
}

// maxStrings is the maximum number of strings in a list.
const maxStrings = 1000

// checkStrings checks for a list of one or more different strings of the given shape. It returns
// the valid ones by index.
func (m *mistakes) checkStrings(path string, n *document.Node, shape command.Shape) map[int]string {
	if n.Kind != document.Array {
		form := `["…"]`
		if n.Kind == document.String && shape.Fits(n.Text) {
			form = "[" + fault.Quote(n.Text) + "]"
		}
		m.wrong(path, "is %v; write an array of strings such as %s", n.Kind, form)
		return nil
	}
	if len(n.Items) == 0 || len(n.Items) > maxStrings {
		m.wrong(path, "has %d entries; use 1 to %d", len(n.Items), maxStrings)
		return nil
	}
	texts := make(map[int]string, len(n.Items))
	seen := make(map[string]struct{}, len(n.Items))
	for i, item := range n.Items {
		if m.full() {
			return nil
		}
		if !m.checkText(document.At(path, i), item, shape) {
			continue
		}
		if _, twice := seen[item.Text]; twice {
			m.wrong(document.At(path, i), "%s is listed twice", fault.Quote(item.Text))
			continue
		}
		seen[item.Text] = struct{}{}
		texts[i] = item.Text
	}
	return texts
}

// checkGroups checks for an object of group names, each with a list of the platform's user ids. The
// object may be empty; a group may not.
func (m *mistakes) checkGroups(path string, n *document.Node) {
	if n.Kind != document.Object {
		m.wrong(path, "is %v; write an object such as {\"sre\":[\"manager4220\"]}", n.Kind)
		return
	}
	for _, group := range n.Members {
		if m.full() {
			return
		}
		if !groupName.Fits(group.Key) {
			m.wrong(document.Under(path, group.Key), "is not a group's name; write %s", groupName.Want)
		}
		m.checkStrings(document.Under(path, group.Key), group.Value, command.ID)
	}
}

// Shapes of values that every platform's Configuration may have.
var (
	botName  = command.Text(256)
	language = command.OneOf(command.English, command.Chinese)
	receives = command.OneOf(command.ReceiveWebhook, command.ReceiveStream)
)

// groupName is the shape of the name of a group.
var groupName = command.Shape{
	Want:  "1 to 64 letters, digits, '.', '-' and '_'",
	Least: 1, Most: 64,
	Each: command.Among(nameBytes + "."),
}
