package chat

import (
	"net/url"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// A targetKind is what a Target of a type may be.
type targetKind struct {
	name       string
	required   []string // besides Type
	optional   []string
	timeout    int  // the maximum of an action's TimeoutSeconds; 0: not allowed
	actionOnly bool // it can only be the Target of an action
	noDryRun   bool
}

var targetKinds = []targetKind{
	{name: command.TargetJournal},
	{name: command.TargetHTTP, required: []string{keyURL, keySecret}, timeout: 40},
	{name: command.TargetFunction, required: []string{"Name"}, timeout: 40},
	{name: command.TargetProgram, required: []string{"Name"}, timeout: 10 * 60},
	{name: command.TargetOOS, required: []string{"TemplateName"},
		optional: []string{"TemplateVersion", keyParameters, "SafetyCheck", keyAllow},
		timeout:  24 * 60 * 60, actionOnly: true, noDryRun: true},
	{name: command.TargetSSM, required: []string{"DocumentName"}, optional: []string{keyParameters, keyAllow},
		timeout: 24 * 60 * 60, actionOnly: true, noDryRun: true},
	{name: command.TargetStepFunctions, required: []string{"StateMachineArn"}, optional: []string{keyParameters},
		timeout: 24 * 60 * 60, actionOnly: true, noDryRun: true},
}

// targetKindOf returns the kind of a type; ok is false for an unknown type.
func targetKindOf(name string) (kind targetKind, ok bool) {
	i := slices.IndexFunc(targetKinds, func(k targetKind) bool { return k.name == name })
	if i < 0 {
		return targetKind{}, false
	}
	return targetKinds[i], true
}

// targetTypes returns the types for an error.
func targetTypes(ofAction bool) string {
	var names []string
	for _, k := range targetKinds {
		if ofAction || !k.actionOnly {
			names = append(names, k.name)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// target checks a Target and seals its secret into field. action is the action that it belongs to,
// nil for the Target of the Configuration.
func (out *settled) target(path, field string, n, action *document.Node, keep func(string) bool) {
	if n.Kind != document.Object {
		out.wrong(path, "is %v; write an object such as {\"Type\":\"Journal\"}", n.Kind)
		return
	}
	typePath := document.Under(path, keyType)
	name := n.Get(keyType)
	if name == nil || name.Kind != document.String {
		out.wrong(typePath, "use %s", targetTypes(action != nil))
		return
	}
	kind, ok := targetKindOf(name.Text)
	switch {
	case !ok:
		out.wrong(typePath, "unknown type %s; use %s", fault.Quote(name.Text), targetTypes(action != nil))
		return
	case kind.actionOnly && action == nil:
		out.wrong(typePath, "%s is only for the Target of an action; write it in %s, or use %s", kind.name,
			command.KeyActions, targetTypes(false))
		return
	}
	out.targetOf(kind, path, field, n, action, keep)
}

// targetOf checks a Target of a kind.
func (out *settled) targetOf(kind targetKind, path, field string, n, action *document.Node, keep func(string) bool) {
	required := append([]string{keyType}, kind.required...)
	out.checkKnown(path, n, append(slices.Clip(required), kind.optional...), required)
	for _, m := range n.Members {
		if !slices.Contains(kind.required, m.Key) && !slices.Contains(kind.optional, m.Key) {
			continue
		}
		at := document.Under(path, m.Key)
		switch m.Key {
		case keyURL:
			out.checkTargetURL(at, m.Value)
		case keySecret:
			out.secret(at, field, webhookSecret, m.Value, keep)
		case keyParameters:
			out.checkTemplate(at, m.Value, action)
		case keyAllow:
			out.checkAllow(at, m.Value, action)
		default:
			out.checkText(at, m.Value, targetShape(kind.name, m.Key))
		}
	}
}

// targetShape returns the shape of a text in a Target.
func targetShape(kind, key string) command.Shape {
	switch {
	case kind == command.TargetProgram:
		return programName
	case kind == command.TargetFunction:
		return resourceName
	case key == "TemplateName":
		return templateName
	case key == "DocumentName":
		return documentName
	case key == "StateMachineArn":
		return stateMachine
	case key == keyTopic:
		return topic
	case key == "SafetyCheck":
		return command.OneOf("Skip", "ConfirmEveryHighRiskAction")
	}
	return aName
}

var (
	// programName is the shape of a file's name, without a folder.
	programName = command.Shape{
		Want:  "the name of a file: 1 to 64 letters, digits, '.', '-' and '_' that do not begin with '.' or '-'",
		Least: 1, Most: 64,
		First: func(r rune) bool { return r != '.' && r != '-' },
		Each:  command.Among(nameBytes + "."),
	}

	// https://help.aliyun.com/en/oos/developer-reference/api-oos-2019-06-01-createtemplate
	templateName = command.Shape{
		Want:  "1 to 200 letters, digits, '-' and '_'",
		Least: 1, Most: 200,
		Each: command.Among(nameBytes),
	}

	// A name, or the ARN of a document that is shared with the account.
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html
	documentName = command.Shape{
		Want:  "1 to 256 letters, digits, '.', '-', '_', ':' and '/'",
		Least: 1, Most: 256,
		Each: command.Among(nameBytes + ".:/"),
	}
)

// stateMachine is the shape of the ARN of a state machine.
var stateMachine = command.Shape{
	Want:  "the ARN of a state machine, such as arn:aws:states:eu-west-1:123456789012:stateMachine:restart",
	Least: 1, Most: resourceName.Most,
	Each: resourceName.Each,
	Also: func(s string) bool {
		fields := strings.Split(s, ":")
		return len(fields) >= 7 && fields[0] == "arn" && fields[2] == "states" && fields[5] == "stateMachine" &&
			resourceName.Also(s)
	},
}

// aName is the shape of a name in a cloud.
var aName = command.Visible(1, 256)

// resourceName is the shape of a name that becomes a resource of a session policy. There '*', '?'
// and "${" would match more than that name.
var resourceName = command.Shape{
	Want:  aName.Want + ", '*', '?' and \"${\"",
	Least: aName.Least, Most: aName.Most,
	Each: func(r rune) bool { return aName.Each(r) && !strings.ContainsRune(command.Wildcards, r) },
	Also: func(s string) bool { return !strings.Contains(s, "${") },
}

const signingPrefix = "whsec_"

var signingKey = command.Base64(24, 64)

// webhookSecret is the shape of a Standard Webhooks signing secret.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
var webhookSecret = command.Shape{
	Want:  "24 to 64 bytes in base64, with or without whsec_ before it",
	Least: signingKey.Least, Most: len(signingPrefix) + signingKey.Most,
	Each: func(r rune) bool { return r == '_' || signingKey.Each(r) },
	Also: func(s string) bool { return signingKey.Fits(strings.TrimPrefix(s, signingPrefix)) },
}

// targetURL is the shape of the Url of a Target; checkTargetURL checks the details.
var targetURL = command.Shape{
	Want:  "an https URL without user name and fragment",
	Least: 1, Most: 2048,
	Each: func(r rune) bool { return aName.Each(r) && r != '#' },
}

func (out *settled) checkTargetURL(path string, n *document.Node) {
	u, err := url.Parse(n.Text)
	if err != nil || n.Kind != document.String || !targetURL.Fits(n.Text) || u.Scheme != "https" || u.Host == "" ||
		u.User != nil {
		out.wrong(path, "write %s", targetURL.Want) // its query may hold a secret
		return
	}
	if !out.targets.AllowHost(u.Hostname()) {
		more := dial.HowToAllow(u.Hostname())
		if more != "" {
			more = "; " + more
		}
		out.wrong(path, "use a host on %s%s", out.targets, more)
	} else if err := dial.CheckHost(u); err != nil {
		out.wrong(path, "%s", err)
	}
}

// targetSecrets returns the fields of the secrets of all Targets in a valid Configuration.
func targetSecrets(root *document.Node) []string {
	var fields []string
	if target := root.Get(keyTarget); target != nil && target.Get(keySecret) != nil {
		fields = append(fields, fieldTargetSecret)
	}
	actions := root.Get(command.KeyActions)
	if actions == nil {
		return fields
	}
	for _, m := range actions.Members {
		if target := m.Value.Get(keyTarget); target != nil && target.Get(keySecret) != nil {
			fields = append(fields, actionSecretField(m.Key))
		}
	}
	return fields
}

// maxTemplate is the maximum number of Parameters of a Target, and of the items of a list in them.
const maxTemplate = 200

// checkTemplate checks the Parameters of a Target: texts and lists of texts, in which {name} stands
// for a parameter of the action.
func (m *mistakes) checkTemplate(path string, n, action *document.Node) {
	if n.Kind != document.Object {
		m.wrong(path, "is %v; write an object such as {\"InstanceId\":\"{instance}\"}", n.Kind)
		return
	}
	if len(n.Members) > maxTemplate {
		m.wrong(path, "has %d parameters; the most is %d", len(n.Members), maxTemplate)
		return
	}
	declared := declare(action)
	for _, member := range n.Members {
		if m.full() {
			return
		}
		at := document.Under(path, member.Key)
		if !templateKey.Fits(member.Key) {
			m.wrong(at, "is not the name of a parameter; write %s", templateKey.Want)
		}
		if member.Value.Kind != document.Array {
			m.checkTemplateText(at, member.Value, declared)
			continue
		}
		if len(member.Value.Items) > maxTemplate {
			m.wrong(at, "has %d entries; the most is %d", len(member.Value.Items), maxTemplate)
			continue
		}
		for i, item := range member.Value.Items {
			m.checkTemplateText(document.At(at, i), item, declared)
		}
	}
}

var templateKey = command.Text(200)

// Keys of an Http Target, and of a statement of Allow.
const (
	keyURL      = "Url"
	keyAction   = "Action"
	keyResource = "Resource"
)

var allowKeys = []string{keyAction, keyResource}

const (
	keyAllow = "Allow"
	// maxAllow is the maximum number of statements in Allow, and of texts in a list of them. A
	// session policy has at most 2,048 characters.
	maxAllow = 20
)

// allowText is the shape of an action and of a resource of Allow.
var allowText = command.Visible(1, 512)

// checkAllow checks the Allow of a Target: statements of Action and Resource. In a resource, {name}
// stands for a parameter of the action that is not secret.
func (m *mistakes) checkAllow(path string, n, action *document.Node) {
	const example = `{"Action":"ecs:RebootInstance","Resource":"acs:ecs:*:*:instance/{instance}"}`
	if n.Kind != document.Array || len(n.Items) == 0 || len(n.Items) > maxAllow {
		m.wrong(path, "write an array of 1 to %d statements such as %s", maxAllow, example)
		return
	}
	declared := declare(action)
	for i, item := range n.Items {
		at := document.At(path, i)
		if item.Kind != document.Object {
			m.wrong(at, "is %v; write an object such as %s", item.Kind, example)
			continue
		}
		m.checkKnown(at, item, allowKeys, allowKeys)
		for _, member := range item.Members {
			if slices.Contains(allowKeys, member.Key) {
				m.checkAllowed(document.Under(at, member.Key), member.Key, member.Value, declared)
			}
		}
	}
}

// checkAllowed checks the Action or the Resource of a statement: a text or an array of texts.
func (m *mistakes) checkAllowed(path, key string, n *document.Node, declared map[string][]*document.Node) {
	items := n.Items
	if n.Kind != document.Array {
		items = []*document.Node{n}
	}
	if len(items) == 0 || len(items) > maxAllow {
		m.wrong(path, "write a string or an array of 1 to %d strings", maxAllow)
		return
	}
	for _, item := range items {
		m.checkText(path, item, allowText)
		if key != keyResource {
			continue
		}
		for _, name := range command.Placeholders(item.Text) {
			parameters, ok := declared[strings.ToLower(name)]
			if !ok {
				m.wrong(path, "{%s} is not a parameter of the action; %s", name, suggestParameter(name, declared))
			} else if slices.ContainsFunc(parameters, isSecret) {
				m.wrong(path, "{%s} is a Secret, which must not be in a policy", name)
			}
		}
	}
}

// isSecret reports whether a declared parameter is secret.
func isSecret(n *document.Node) bool { return n.TextOf("Secret", "false") == "true" }

func (m *mistakes) checkTemplateText(path string, n *document.Node, declared map[string][]*document.Node) {
	if n.Kind != document.String {
		m.wrong(path, "is %v; write a string or an array of strings", n.Kind)
		return
	}
	for _, name := range command.Placeholders(n.Text) {
		if _, ok := declared[strings.ToLower(name)]; !ok {
			m.wrong(path, "{%s} is not a parameter of the action; %s", name, suggestParameter(name, declared))
		}
	}
}
