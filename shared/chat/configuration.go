package chat

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

const configurationParam = "Configuration"

// Keys that every platform's Configuration may have.
const (
	keyBotName        = "BotName"
	keyConversationID = "ConversationId" // one of ConversationIds
	keyTarget         = "Target"
)

var commonKeys = [...]string{keyBotName, command.KeyConversationIDs, command.KeyUserGroups, command.KeyPermissions,
	keyTarget, command.KeyLanguage}

// Paths of secrets within a record, besides the keys of a platform's secret settings.
const (
	fieldTargetSecret = "Target.Secret"
	fieldWebhookToken = "#WebhookToken" // cannot be a key's name in a declaration
)

// previousField is where the secret of a field is kept that a rotation replaced, while it is still
// good.
func previousField(field string) string {
	return "#" + strings.TrimPrefix(field, "#") + command.Previous
}

// mistakes are what is wrong in a Configuration, in the order in which it is found: where, and what
// would be right.
type mistakes struct {
	list    []string          // at most MaxMistakes sentences
	more    bool              // there are others
	written map[string]string // by our key: what the caller wrote in its place
}

// wrong adds a mistake.
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

// full reports whether no more mistakes need be looked for: what is left may cost as much as the
// document is large.
func (m *mistakes) full() bool { return m.more }

// err returns all mistakes as one error, nil if there are none.
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

// keyUnder returns the path of a key of the Configuration as the caller wrote it.
func (m *mistakes) under(key string) string {
	if written, ok := m.written[key]; ok {
		key = written
	}
	return document.Under(configurationParam, key)
}

// A settled Configuration is one that was found right, split into what may be seen and what may
// not.
type settled struct {
	mistakes
	text    string            // compact JSON, every secret masked, members in the caller's order
	secrets map[string]string // by field: the secrets that the caller gave or that were made up
	made    []string          // fields of secrets that were made up
	kept    []string          // fields whose mask the caller sent back
	targets dial.Networks     // that a Target may be in, in addition to the public Internet
}

// settle checks the Configuration of a platform. Its error is InvalidParameter, and names all
// mistakes by their JSON paths.
//
// keep reports whether a secret is stored under a field; a mask sent for it then means to keep it.
// A generated setting that is absent is kept when there is one, else made up from random. A Target
// may be in targets besides the public Internet.
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
		out.wrong(path, "is given twice; give it once")
	}
	p.rename(out, root)
	if err := p.settleObject(out, root, keep, random); err != nil {
		return nil, err
	}
	if err := out.err(); err != nil {
		return nil, err
	}
	// Measured again, so that what a read answers can be sent back: escapes and what was made up
	// may have made it longer.
	if out.text = root.String(); len(out.text) > MaxConfiguration {
		return nil, fault.Invalid(configurationParam, "Configuration has %d bytes as it is stored; the most is %d.",
			len(out.text), MaxConfiguration)
	}
	return out, nil
}

// parseConfiguration reads the text of a Configuration, and the paths of keys that are given twice.
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
		return nil, nil, fault.Invalid(configurationParam, "Configuration is %v; wanted a JSON object; %s.",
			root.Kind, form)
	}
	return root, twice, nil
}

// rename gives the settings our keys where the caller wrote those of the platform's console, and
// ConversationIds its list. A setting that is given under two names with the same value is given
// once; with different values it is a mistake.
func (p *platform) rename(out *settled, root *document.Node) {
	out.written = make(map[string]string)
	members := root.Members[:0]
	given := make(map[string]document.Member, len(root.Members)) // by our key: as the caller wrote it
	for _, m := range root.Members {
		key := m.Key
		if !out.full() { // beyond, nothing is stored any more
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
				out.wrong(path, "is the same setting as %s, with another value; give one of them", before.Key)
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
			out.checkText(path, m.Value, command.Text(256))
		case m.Key == command.KeyConversationIDs && out.written[m.Key] != "" && len(m.Value.Items) == 1:
			out.checkText(path, m.Value.Items[0], command.ID)
		case m.Key == command.KeyConversationIDs:
			out.checkStrings(path, m.Value, command.ID)
		case m.Key == command.KeyUserGroups:
			out.checkGroups(path, m.Value)
		case m.Key == command.KeyPermissions:
			out.checkPermissions(path, m.Value, root.Get(command.KeyUserGroups), root.Get(command.KeyConversationIDs))
		case m.Key == command.KeyLanguage:
			out.checkText(path, m.Value, command.OneOf(command.English, command.Chinese))
		case m.Key == keyTarget:
			out.target(path, m.Value, keep)
		default:
			out.wrong(path, "no such key for type %s; %s", p.Type, p.suggest(m.Key))
		}
	}
	for _, setting := range p.Settings {
		if root.Get(setting.Key) != nil {
			continue
		}
		switch {
		case setting.Required:
			out.wrong(out.under(setting.Key), "is missing; wanted %s (%s)", setting.Shape.Want, setting.Help)
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
	p.checkNeeds(out, root)
	return nil
}

// checkNeeds asks for the settings without which others are refused: half of what proves callbacks
// genuine proves none of them.
func (p *platform) checkNeeds(out *settled, root *document.Node) {
	for _, setting := range p.Settings {
		if root.Get(setting.Key) == nil {
			continue
		}
		for _, key := range needs(setting) {
			needed, _ := p.setting(key)
			if root.Get(key) == nil && !needed.Required { // one that is required is missing anyhow
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

// secret takes a secret out of the document and leaves the mask.
func (out *settled) secret(path, field string, shape command.Shape, n *document.Node, keep func(string) bool) {
	switch {
	case n.Kind != document.String:
		out.wrong(path, "is %v; wanted a string of %s", n.Kind, shape.Want)
	case n.Text == secret.Mask && keep(field):
		out.kept = append(out.kept, field)
	case n.Text == secret.Mask:
		out.wrong(path, "is masked, and there is no stored secret to keep; give the secret itself")
	case !shape.Fits(n.Text):
		out.wrong(path, "is not %s", shape.Want)
	default:
		out.secrets[field] = n.Text
		n.Text = secret.Mask
	}
}

// target checks where commands are handed on to.
func (out *settled) target(path string, n *document.Node, keep func(string) bool) {
	if n.Kind != document.Object {
		out.wrong(path, "is %v; wanted an object such as {\"Type\":\"Journal\"}", n.Kind)
		return
	}
	kind := n.Get("Type")
	if kind == nil || kind.Kind != document.String {
		out.wrong(document.Under(path, "Type"), "wanted Journal, Http or Function")
		return
	}
	switch kind.Text {
	case command.TargetJournal:
		out.checkKeys(path, n, "Type")
	case command.TargetHTTP:
		out.checkKeys(path, n, "Type", "Url", "Secret")
		if n.Get("Url") != nil {
			out.checkTargetURL(document.Under(path, "Url"), n.Get("Url"))
		}
		if n.Get("Secret") != nil {
			out.secret(document.Under(path, "Secret"), fieldTargetSecret, webhookSecret, n.Get("Secret"), keep)
		}
	case command.TargetFunction:
		out.checkKeys(path, n, "Type", "Name")
		if n.Get("Name") != nil {
			out.checkText(document.Under(path, "Name"), n.Get("Name"), command.Visible(1, 256))
		}
	default:
		out.wrong(document.Under(path, "Type"), "unknown type %s; use Journal, Http or Function",
			fault.Quote(kind.Text))
	}
}

// webhookSecret is the shape of a Standard Webhooks signing secret.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
var webhookSecret = command.Shape{
	Want: "24 to 64 bytes in base64, with or without whsec_ before it",
	Fits: func(s string) bool { return command.Base64(24, 64).Fits(strings.TrimPrefix(s, "whsec_")) },
}

func (out *settled) checkTargetURL(path string, n *document.Node) {
	u, err := url.Parse(n.Text)
	if err != nil || n.Kind != document.String || !command.Visible(1, 2048).Fits(n.Text) || u.Scheme != "https" ||
		u.Host == "" || u.User != nil || strings.Contains(n.Text, "#") {
		out.wrong(path, "wanted an https URL without user name and fragment") // not shown: its query may hold a secret
		return
	}
	if !out.targets.AllowHost(u.Hostname()) {
		more := ""
		if len(out.targets) == 0 {
			more = "; the settings of the service can allow others"
		}
		out.wrong(path, "wanted a host on %s%s", out.targets, more)
	} else if err := dial.CheckHost(u); err != nil {
		out.wrong(path, "%s", err)
	}
}

// checkKeys refuses keys other than the given ones, and asks for all of these.
func (m *mistakes) checkKeys(path string, n *document.Node, required ...string) {
	m.checkKnown(path, n, required, required)
}

// checkKnown refuses keys that are not known and asks for those that are required.
func (m *mistakes) checkKnown(path string, n *document.Node, known, required []string) {
	for _, member := range n.Members {
		if m.full() {
			return
		}
		if !slices.Contains(known, member.Key) {
			m.wrong(document.Under(path, member.Key), "no such key; %s", Suggestion(member.Key, known))
		}
	}
	for _, key := range required {
		if n.Get(key) == nil {
			m.wrong(document.Under(path, key), "is missing")
		}
	}
}

// checkText asks for a string, or a number where the shape takes one, that fits, and reports
// whether n is one.
func (m *mistakes) checkText(path string, n *document.Node, shape command.Shape) bool {
	bare := n.Kind == document.Number || n.Kind == document.Literal && n.Text != "null"
	switch {
	case n.Kind != document.String && !(shape.Number && n.Kind == document.Number):
		form := ""
		if bare && shape.Fits(n.Text) {
			form = "; write " + fault.Quote(n.Text)
		}
		m.wrong(path, "is %v; wanted a string of %s%s", n.Kind, shape.Want, form)
	case !shape.Fits(n.Text):
		m.wrong(path, "%s is not %s", fault.Quote(n.Text), shape.Want)
	default:
		return true
	}
	return false
}

// checkStrings asks for a list of one or more different strings that fit, and returns those that do
// by their places.
func (m *mistakes) checkStrings(path string, n *document.Node, shape command.Shape) map[int]string {
	const most = 1000
	if n.Kind != document.Array {
		form := `["…"]`
		if n.Kind == document.String && shape.Fits(n.Text) {
			form = "[" + fault.Quote(n.Text) + "]"
		}
		m.wrong(path, "is %v; wanted an array of strings such as %s", n.Kind, form)
		return nil
	}
	if len(n.Items) == 0 || len(n.Items) > most {
		m.wrong(path, "has %d entries; wanted 1 to %d", len(n.Items), most)
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

// checkGroups asks for an object of group names, each with a list of user ids as the platform
// writes them. That there are no groups is no mistake; a group of nobody is.
func (m *mistakes) checkGroups(path string, n *document.Node) {
	if n.Kind != document.Object {
		m.wrong(path, "is %v; wanted an object such as {\"sre\":[\"manager4220\"]}", n.Kind)
		return
	}
	for _, group := range n.Members {
		if m.full() {
			return
		}
		if !groupName.Fits(group.Key) {
			m.wrong(document.Under(path, group.Key), "is not a group's name; wanted %s", groupName.Want)
		}
		m.checkStrings(document.Under(path, group.Key), group.Value, command.ID)
	}
}

var groupName = command.Shape{
	Want: "1 to 64 letters, digits, '.', '-' and '_'",
	Fits: func(s string) bool {
		return s != "" && len(s) <= 64 && only(s, func(b byte) bool { return nameByte(b) || b == '.' })
	},
}

var (
	permissionKeys     = []string{"Effect", "Principals", "Commands", "Conversations", "RamRole"}
	permissionRequired = []string{"Effect", "Principals", "Commands"}
)

// checkPermissions asks for a list of statements about who may run what where; groups and
// conversations are the document's UserGroups and ConversationIds, nil if it has none. No
// statements at all say that nobody may anything.
func (m *mistakes) checkPermissions(path string, n, groups, conversations *document.Node) {
	const most = 100
	if n.Kind != document.Array {
		m.wrong(path, "is %v; wanted an array of statements", n.Kind)
		return
	}
	if len(n.Items) > most {
		m.wrong(path, "has %d statements; the most is %d", len(n.Items), most)
		return
	}
	for i, statement := range n.Items {
		if m.full() {
			return
		}
		m.checkPermission(document.At(path, i), statement, groups, conversations)
	}
}

func (m *mistakes) checkPermission(path string, n, groups, conversations *document.Node) {
	if n.Kind != document.Object {
		m.wrong(path, "is %v; wanted an object", n.Kind)
		return
	}
	m.checkKnown(path, n, permissionKeys, permissionRequired)
	effect := ""
	if e := n.Get("Effect"); e != nil && m.checkText(document.Under(path, "Effect"),
		e, command.OneOf("Allow", "Deny")) {
		effect = e.Text
	}
	if principals := n.Get("Principals"); principals != nil {
		at := document.Under(path, "Principals")
		texts := m.checkStrings(at, principals, principalText)
		for i := range principals.Items {
			if text, ok := texts[i]; ok {
				m.checkPrincipal(document.At(at, i), text, groups)
			}
		}
	}
	if commands := n.Get("Commands"); commands != nil {
		m.checkCommands(document.Under(path, "Commands"), commands, effect)
	}
	if patterns := n.Get("Conversations"); patterns != nil {
		m.checkPatterns(document.Under(path, "Conversations"), patterns, conversations)
	}
	role := n.Get("RamRole")
	switch {
	case role == nil:
	case effect == string(policy.Deny):
		m.wrong(document.Under(path, "RamRole"), "has no meaning in a Deny statement")
	case role.Kind != document.String || role.Text == "" || checkRole("RamRole", role.Text) != nil:
		m.wrong(document.Under(path, "RamRole"),
			"is not a role name; wanted 1 to 64 letters, digits, '.', '@', '-' and '_'")
	}
}

// checkCommands asks for patterns of commands. None of a denial may be a built-in command, which it
// would not deny; in an Allow one changes nothing, and what the statement says is so.
func (m *mistakes) checkCommands(path string, n *document.Node, effect string) {
	patterns := m.checkStrings(path, n, command.NamePattern)
	if effect != string(policy.Deny) {
		return
	}
	for i := range n.Items {
		if pattern, ok := patterns[i]; ok && command.IsBuiltIn(command.FoldName(pattern)) {
			m.wrong(document.At(path, i), "%s is always allowed, so it cannot be denied", fault.Quote(pattern))
		}
	}
}

// checkPatterns asks for patterns of conversations, each of which matches one where the bot
// listens.
func (m *mistakes) checkPatterns(path string, n, conversations *document.Node) {
	patterns := m.checkStrings(path, n, command.IDPattern)
	if conversations == nil || conversations.Kind != document.Array {
		return
	}
	for i := range n.Items {
		pattern, ok := patterns[i]
		matches := func(c *document.Node) bool { return policy.Match(pattern, c.Text) }
		if ok && !slices.ContainsFunc(conversations.Items, matches) {
			m.wrong(document.At(path, i), "%s matches none of ConversationIds, so it can match nothing",
				fault.Quote(pattern))
		}
	}
}

// principalText is the shape of any principal; checkPrincipal looks closer.
var principalText = command.Shape{Want: wantPrincipal, Fits: func(s string) bool { return s != "" }}

const wantPrincipal = "user:<id>, group:<name> or *"

func (m *mistakes) checkPrincipal(path, principal string, groups *document.Node) {
	kind, name, _ := strings.Cut(principal, ":")
	switch {
	case principal == "*":
	// a Deny that somebody relies on would deny nobody
	case kind == "user" && strings.ContainsAny(name, command.Wildcards):
		m.wrong(path, "%s names a user with '*' or '?', and users are no patterns; wanted %s",
			fault.Quote(principal), wantPrincipal)
	case kind == "user" && name != "" && !command.ID.Fits(name):
		m.wrong(path, "%s names a user whose id is not %s", fault.Quote(principal), command.ID.Want)
	case kind == "group" && name != "" && (groups == nil || groups.Get(name) == nil):
		m.wrong(path, "the group %s is not among UserGroups", fault.Quote(name))
	case kind != "user" && kind != "group" || name == "":
		m.wrong(path, "%s is not a principal; wanted %s", fault.Quote(principal), wantPrincipal)
	}
}

// suggest says which key was perhaps meant: one of ours, or the console's name of a setting.
func (p *platform) suggest(key string) string {
	known := make([]string, 0, len(p.Settings)+len(commonKeys))
	for _, s := range p.Settings {
		known = append(known, s.Key)
	}
	known = append(known, commonKeys[:]...)
	names := slices.Clone(known)
	for _, s := range p.Settings {
		names = append(names, p.consoleNames(s)...)
	}
	if name, ok := Nearest(key, names); ok {
		return "did you mean " + name + "?"
	}
	return Suggestion(key, known)
}

// Nearest returns the one of the known words that word is most likely a slip of: the same in
// another case, with other hyphens or underscores, or with one letter wrong, missing, added or
// exchanged with the next, of a long one up to three. Unlike Suggestion it takes nothing that may
// well be a word of its own.
func Nearest(word string, known []string) (nearest string, ok bool) {
	if len(word) > maxWord {
		return "", false
	}
	folded := consoleName(word)
	least := 0
	for _, k := range known {
		other := consoleName(k)
		limit := min(max(len(other)/5, 1), 3)
		d := slip(folded, other)
		if d <= limit && len(other) > 2 && (!ok || d < least) {
			nearest, least, ok = k, d, true
		}
	}
	return nearest, ok
}

// maxWord is the length of the longest word that is compared with known ones, in bytes.
const maxWord = 64

// slip is the number of letters that are wrong, missing, added or exchanged with the next, between
// a and b.
func slip(a, b string) int {
	if len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return 4
	}
	var rows [3][maxWord + 4]int // the last one, the one before it, and the one that is made
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	before, last, next := &rows[1], &rows[0], &rows[2]
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j-1]+cost, last[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}

// Suggestion names the nearest of the known words, if one is near, else all of them.
func Suggestion(word string, known []string) string {
	best, least := "", len(word)/2+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k), least); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

// distance is the number of single-character edits between a and b, or something over limit once it
// is clear that there are more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
