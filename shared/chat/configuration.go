package chat

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/policy"
)

const configurationParam = "Configuration"

// Keys that every platform's Configuration may have.
const (
	keyBotName         = "BotName"
	keyConversationIDs = "ConversationIds"
	keyUserGroups      = "UserGroups"
	keyPermissions     = "Permissions"
	keyTarget          = "Target"
	keyLanguage        = "Language"
)

var commonKeys = [...]string{keyBotName, keyConversationIDs, keyUserGroups, keyPermissions, keyTarget, keyLanguage}

// Paths of secrets within a record, besides the keys of a platform's secret settings.
const (
	fieldTargetSecret = "Target.Secret"
	fieldWebhookToken = "#WebhookToken" // cannot be a key's name in a declaration
)

// previousField is where the secret of a field is kept that a rotation replaced, while it is still good.
func previousField(field string) string { return "#" + strings.TrimPrefix(field, "#") + Previous }

// Previous follows a setting's key: the secret that is taken besides it while the two sides change over.
const Previous = "Previous"

// An issue is something wrong in a Configuration: where, and what would be right.
type issue struct {
	path, message string
}

func (e *issue) Error() string { return e.path + ": " + e.message }

func wrong(path, format string, args ...any) error {
	return &issue{path, fmt.Sprintf(format, args...)}
}

// A settled Configuration is one that was found right, split into what may be seen and what may not.
type settled struct {
	text    string            // compact JSON, every secret masked, members in the caller's order
	secrets map[string]string // by field: the secrets that the caller gave or that were made up
	kept    []string          // fields whose mask the caller sent back
	targets Networks          // that a Target may be in besides the public Internet
}

// settle checks the Configuration of a platform. An error in it is InvalidParameter and names the JSON path.
//
// keep reports whether a secret is stored under a field; a mask sent for it then means to keep it. A generated setting that
// is absent is kept when there is one, else made up from random. A Target may be in targets besides the public Internet.
func (p *Platform) settle(text string, keep func(field string) bool, random io.Reader, targets Networks) (*settled, error) {
	if text == "" {
		return nil, missing(configurationParam)
	}
	if len(text) > MaxConfiguration {
		return nil, invalid(configurationParam, "Configuration has %d bytes; the most is %d.", len(text), MaxConfiguration)
	}
	root, err := document.Parse(configurationParam, text)
	if err != nil {
		return nil, invalid(configurationParam, "%v.", err)
	}
	if root.Kind != document.Object {
		return nil, invalid(configurationParam, "Configuration is %v; wanted a JSON object.", root.Kind)
	}
	out := &settled{secrets: make(map[string]string), targets: targets}
	if err := p.settleObject(out, root, keep, random); err != nil {
		var found *issue
		if !errors.As(err, &found) {
			return nil, err
		}
		return nil, invalid(configurationParam, "%s", sentence(found))
	}
	// Measured again, so that what a read answers can be sent back: escapes and what was made up may have made it longer.
	if out.text = root.String(); len(out.text) > MaxConfiguration {
		return nil, invalid(configurationParam, "Configuration has %d bytes as it is stored; the most is %d.", len(out.text), MaxConfiguration)
	}
	return out, nil
}

func (p *Platform) settleObject(out *settled, root *document.Node, keep func(string) bool, random io.Reader) error {
	for _, m := range root.Members {
		path := document.Under(configurationParam, m.Key)
		setting, ok := p.setting(m.Key)
		var err error
		switch {
		case ok:
			err = out.setting(path, setting, m.Value, keep)
		case m.Key == keyBotName:
			err = checkText(path, m.Value, Text(256))
		case m.Key == keyConversationIDs:
			_, err = checkStrings(path, m.Value, ID)
		case m.Key == keyUserGroups:
			err = checkGroups(path, m.Value)
		case m.Key == keyPermissions:
			err = checkPermissions(path, m.Value, root.Get(keyUserGroups), root.Get(keyConversationIDs))
		case m.Key == keyLanguage:
			err = checkText(path, m.Value, OneOf(English, Chinese))
		case m.Key == keyTarget:
			err = out.target(path, m.Value, keep)
		default:
			err = wrong(path, "no such key for type %s; %s", p.Type, p.suggest(m.Key))
		}
		if err != nil {
			return err
		}
	}
	for _, setting := range p.Settings {
		if root.Get(setting.Key) != nil {
			continue
		}
		path := document.Under(configurationParam, setting.Key)
		switch {
		case setting.Required:
			return wrong(path, "is missing; wanted %s (%s)", setting.Shape.Want, setting.Help)
		case setting.Generate && keep(setting.Key):
			out.kept = append(out.kept, setting.Key)
			root.Members = append(root.Members, document.Member{Key: setting.Key, Value: &document.Node{Kind: document.String, Text: Mask}})
		case setting.Generate:
			var b [32]byte
			if _, err := io.ReadFull(random, b[:]); err != nil {
				return fmt.Errorf("chat: make %s: %w", setting.Key, err)
			}
			out.secrets[setting.Key] = setting.Shape.Make(b[:])
			root.Members = append(root.Members, document.Member{Key: setting.Key, Value: &document.Node{Kind: document.String, Text: Mask}})
		}
	}
	return p.checkNeeds(root)
}

// checkNeeds asks for the settings without which others are refused: half of what proves callbacks genuine proves none of them.
func (p *Platform) checkNeeds(root *document.Node) error {
	for _, setting := range p.Settings {
		if root.Get(setting.Key) == nil {
			continue
		}
		for _, key := range setting.needs() {
			if root.Get(key) == nil {
				return wrong(document.Under(configurationParam, key), "is missing; %s needs it", setting.Key)
			}
		}
	}
	return nil
}

// sentence ends the text of an error as a sentence.
func sentence(err error) string {
	if text := err.Error(); strings.HasSuffix(text, "?") {
		return text
	}
	return err.Error() + "."
}

// setting checks the value of one of the platform's settings, and masks it in place if it is secret.
func (out *settled) setting(path string, s Setting, n *document.Node, keep func(string) bool) error {
	if s.Secret {
		return out.secret(path, s.Key, s.Shape, n, keep)
	}
	return checkText(path, n, s.Shape)
}

// secret takes a secret out of the document and leaves the mask.
func (out *settled) secret(path, field string, shape Shape, n *document.Node, keep func(string) bool) error {
	if n.Kind != document.String {
		return wrong(path, "is %v; wanted a string of %s", n.Kind, shape.Want)
	}
	if n.Text == Mask {
		if !keep(field) {
			return wrong(path, "is masked, and there is no stored secret to keep; give the secret itself")
		}
		out.kept = append(out.kept, field)
		return nil
	}
	if !shape.Fits(n.Text) {
		return wrong(path, "is not %s", shape.Want)
	}
	out.secrets[field] = n.Text
	n.Text = Mask
	return nil
}

// target checks where commands are handed on to.
func (out *settled) target(path string, n *document.Node, keep func(string) bool) error {
	if n.Kind != document.Object {
		return wrong(path, "is %v; wanted an object such as {\"Type\":\"Journal\"}", n.Kind)
	}
	kind := n.Get("Type")
	if kind == nil || kind.Kind != document.String {
		return wrong(document.Under(path, "Type"), "wanted Journal, Http or Function")
	}
	var keys []string
	switch kind.Text {
	case TargetJournal:
		keys = []string{"Type"}
	case TargetHTTP:
		keys = []string{"Type", "Url", "Secret"}
	case TargetFunction:
		keys = []string{"Type", "Name"}
	default:
		return wrong(document.Under(path, "Type"), "%s is none; wanted Journal, Http or Function", quote(kind.Text))
	}
	if err := checkKeys(path, n, keys, keys); err != nil {
		return err
	}
	switch kind.Text {
	case TargetHTTP:
		if err := checkTargetURL(document.Under(path, "Url"), n.Get("Url"), out.targets); err != nil {
			return err
		}
		return out.secret(document.Under(path, "Secret"), fieldTargetSecret, webhookSecret, n.Get("Secret"), keep)
	case TargetFunction:
		return checkText(document.Under(path, "Name"), n.Get("Name"), Visible(1, 256))
	}
	return nil
}

// webhookSecret is the shape of a Standard Webhooks signing secret. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
var webhookSecret = Shape{
	Want: "24 to 64 bytes in base64, with or without whsec_ before it",
	Fits: func(s string) bool { return Base64(24, 64).Fits(strings.TrimPrefix(s, "whsec_")) },
}

func checkTargetURL(path string, n *document.Node, targets Networks) error {
	u, err := url.Parse(n.Text)
	if err != nil || n.Kind != document.String || !Visible(1, 2048).Fits(n.Text) || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return wrong(path, "wanted an https URL without user name and fragment") // not shown: its query may hold a secret
	}
	if !targets.allowHost(u.Hostname()) {
		return wrong(path, "wanted a host on the public Internet%s", targets.more())
	}
	return nil
}

// checkKeys refuses keys that are not known and asks for those that are required.
func checkKeys(path string, n *document.Node, known, required []string) error {
	for _, m := range n.Members {
		if !slices.Contains(known, m.Key) {
			return wrong(document.Under(path, m.Key), "no such key; %s", Suggestion(m.Key, known))
		}
	}
	for _, key := range required {
		if n.Get(key) == nil {
			return wrong(document.Under(path, key), "is missing")
		}
	}
	return nil
}

// checkText asks for a string, or a number where the shape takes one, that fits.
func checkText(path string, n *document.Node, shape Shape) error {
	if n.Kind != document.String && !(shape.Number && n.Kind == document.Number) {
		return wrong(path, "is %v; wanted a string of %s", n.Kind, shape.Want)
	}
	if !shape.Fits(n.Text) {
		return wrong(path, "%s is not %s", quote(n.Text), shape.Want)
	}
	return nil
}

// checkStrings asks for a list of one or more different strings that fit, and returns them.
func checkStrings(path string, n *document.Node, shape Shape) ([]string, error) {
	const most = 1000
	if n.Kind != document.Array {
		return nil, wrong(path, "is %v; wanted an array of strings", n.Kind)
	}
	if len(n.Items) == 0 || len(n.Items) > most {
		return nil, wrong(path, "has %d entries; wanted 1 to %d", len(n.Items), most)
	}
	texts := make([]string, len(n.Items))
	seen := make(map[string]struct{}, len(n.Items))
	for i, item := range n.Items {
		if err := checkText(document.At(path, i), item, shape); err != nil {
			return nil, err
		}
		if _, twice := seen[item.Text]; twice {
			return nil, wrong(document.At(path, i), "%s stands there twice", quote(item.Text))
		}
		seen[item.Text] = struct{}{}
		texts[i] = item.Text
	}
	return texts, nil
}

// checkGroups asks for an object of group names, each with a list of user ids as the platform writes them. That there are no
// groups is no mistake; a group of nobody is.
func checkGroups(path string, n *document.Node) error {
	if n.Kind != document.Object {
		return wrong(path, "is %v; wanted an object such as {\"sre\":[\"manager4220\"]}", n.Kind)
	}
	for _, m := range n.Members {
		if !groupName.Fits(m.Key) {
			return wrong(document.Under(path, m.Key), "is not a group's name; wanted %s", groupName.Want)
		}
		if _, err := checkStrings(document.Under(path, m.Key), m.Value, ID); err != nil {
			return err
		}
	}
	return nil
}

var groupName = Shape{
	Want: "1 to 64 letters, digits, '.', '-' and '_'",
	Fits: func(s string) bool {
		return s != "" && len(s) <= 64 && only(s, func(b byte) bool { return nameByte(b) || b == '.' })
	},
}

var (
	permissionKeys     = []string{"Effect", "Principals", "Commands", "Conversations", "RamRole"}
	permissionRequired = []string{"Effect", "Principals", "Commands"}
)

// checkPermissions asks for a list of statements about who may run what where; groups and conversations are the document's UserGroups
// and ConversationIds, nil if it has none. No statements at all say that nobody may anything.
func checkPermissions(path string, n, groups, conversations *document.Node) error {
	const most = 100
	if n.Kind != document.Array {
		return wrong(path, "is %v; wanted an array of statements", n.Kind)
	}
	if len(n.Items) > most {
		return wrong(path, "has %d statements; the most is %d", len(n.Items), most)
	}
	for i, statement := range n.Items {
		if err := checkPermission(document.At(path, i), statement, groups, conversations); err != nil {
			return err
		}
	}
	return nil
}

func checkPermission(path string, n, groups, conversations *document.Node) error {
	if n.Kind != document.Object {
		return wrong(path, "is %v; wanted an object", n.Kind)
	}
	if err := checkKeys(path, n, permissionKeys, permissionRequired); err != nil {
		return err
	}
	if err := checkText(document.Under(path, "Effect"), n.Get("Effect"), OneOf("Allow", "Deny")); err != nil {
		return err
	}
	principals, err := checkStrings(document.Under(path, "Principals"), n.Get("Principals"), principalText)
	if err != nil {
		return err
	}
	for i, principal := range principals {
		if err := checkPrincipal(document.At(document.Under(path, "Principals"), i), principal, groups); err != nil {
			return err
		}
	}
	if err := checkCommands(document.Under(path, "Commands"), n.Get("Commands"), n.Get("Effect").Text); err != nil {
		return err
	}
	if patterns := n.Get("Conversations"); patterns != nil {
		if err := checkPatterns(document.Under(path, "Conversations"), patterns, conversations); err != nil {
			return err
		}
	}
	role := n.Get("RamRole")
	if role == nil {
		return nil
	}
	if n.Get("Effect").Text == "Deny" {
		return wrong(document.Under(path, "RamRole"), "has no meaning in a Deny statement")
	}
	if role.Kind != document.String || role.Text == "" || checkRole("RamRole", role.Text) != nil {
		return wrong(document.Under(path, "RamRole"), "is not a role name; wanted 1 to 64 letters, digits, '.', '@', '-' and '_'")
	}
	return nil
}

// checkCommands asks for patterns of commands. None of a denial may be a built-in command, which it would not deny; in an Allow one changes
// nothing, and what the statement says is so.
func checkCommands(path string, n *document.Node, effect string) error {
	patterns, err := checkStrings(path, n, commandWord)
	if err != nil || effect != string(policy.Deny) {
		return err
	}
	for i, pattern := range patterns {
		if builtIn(foldName(pattern)) {
			return wrong(document.At(path, i), "%s is always allowed, so it cannot be denied", quote(pattern))
		}
	}
	return nil
}

// checkPatterns asks for patterns of conversations, each of which matches one where the bot listens.
func checkPatterns(path string, n, conversations *document.Node) error {
	patterns, err := checkStrings(path, n, idPattern)
	if err != nil || conversations == nil {
		return err
	}
	for i, pattern := range patterns {
		if !slices.ContainsFunc(conversations.Items, func(c *document.Node) bool { return policy.Match(pattern, c.Text) }) {
			return wrong(document.At(path, i), "%s matches none of ConversationIds, so it can match nothing", quote(pattern))
		}
	}
	return nil
}

// principalText is the shape of any principal; checkPrincipal looks closer.
var principalText = Shape{Want: wantPrincipal, Fits: func(s string) bool { return s != "" }}

const wantPrincipal = "user:<id>, group:<name> or *"

func checkPrincipal(path, principal string, groups *document.Node) error {
	kind, name, _ := strings.Cut(principal, ":")
	switch {
	case principal == "*":
		return nil
	case kind == "user" && name != "":
		if strings.ContainsAny(name, wildcards) { // a Deny that somebody relies on would deny nobody
			return wrong(path, "%s names a user with '*' or '?', and users are no patterns; wanted %s", quote(principal), wantPrincipal)
		}
		if !ID.Fits(name) {
			return wrong(path, "%s names a user whose id is not %s", quote(principal), ID.Want)
		}
		return nil
	case kind == "group" && name != "":
		if groups == nil || groups.Get(name) == nil {
			return wrong(path, "the group %s is not among UserGroups", quote(name))
		}
		return nil
	}
	return wrong(path, "%s is not a principal; wanted %s", quote(principal), wantPrincipal)
}

// suggest says which key was perhaps meant.
func (p *Platform) suggest(key string) string {
	known := make([]string, 0, len(p.Settings)+len(commonKeys))
	for _, s := range p.Settings {
		known = append(known, s.Key)
	}
	return Suggestion(key, append(known, commonKeys[:]...))
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

// distance is the number of single-character edits between a and b, or something over limit once it is clear that there are more.
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

// makeAlphanumeric returns n letters and digits drawn from 32 random bytes.
func makeAlphanumeric(random []byte, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	// The bytes are one large number, of which each letter is a digit in base 62: 43 letters hold 256 bits, so none is wasted.
	number := append([]byte(nil), random...)
	out := make([]byte, n)
	for i := range out {
		remainder := 0
		for j := range number {
			value := remainder<<8 | int(number[j])
			number[j], remainder = byte(value/len(letters)), value%len(letters)
		}
		out[i] = letters[remainder]
	}
	return string(out)
}
