package command

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// The types of targets.
const (
	TargetJournal  = "Journal"  // commands are only recorded
	TargetHTTP     = "Http"     // commands are posted to an https URL, signed
	TargetFunction = "Function" // a function of the cloud is invoked
	TargetProgram  = "Program"  // an executable of this machine is run

	TargetOOS           = "Oos"           // an execution of an OOS template is started
	TargetSSM           = "Ssm"           // an execution of a Systems Manager runbook is started
	TargetStepFunctions = "StepFunctions" // an execution of a state machine is started

	TargetTopic = "Topic" // a message is published to a topic; only for the events of changes
)

// KeyTarget is the key of the configuration's Target.
const KeyTarget = "Target"

// A Target is where allowed commands are dispatched to.
type Target struct {
	Type string
	URL  secret.Text // for Http; its query may hold a secret
	Name string      // for Function and Program

	// Secrets are the Standard Webhooks signing secrets for Http, with or without whsec_: the
	// present one, and the previous one during the grace time after a rotation. Each of them signs.
	Secrets []secret.Text

	TemplateName    string // for Oos
	TemplateVersion string // for Oos; empty: the latest
	SafetyCheck     string // for Oos; empty: the template's
	DocumentName    string // for Ssm
	StateMachineArn string // for StepFunctions
	TopicArn        string // for Topic

	// Parameters is an object with what the target's template gets; nil: every parameter of the
	// action under its own name. Expand reads it.
	Parameters *document.Node

	// Allow is an array of what the steps of a template do with the session of the role, for Oos
	// and Ssm. In a resource, {name} stands for a parameter of the action. Rights reads it.
	Allow *document.Node
}

// A Right is a statement of a session policy: actions that are allowed on resources.
type Right struct {
	Action   []string
	Resource []string
}

// Followed reports whether the target starts an execution that is followed to its end.
func (t Target) Followed() bool {
	switch t.Type {
	case TargetOOS, TargetSSM, TargetStepFunctions, TargetProgram:
		return true
	}
	return false
}

// String returns the target for the journal, with only the host of a URL.
func (t Target) String() string {
	switch t.Type {
	case TargetHTTP:
		if u, err := url.Parse(t.URL.Reveal()); err == nil {
			return t.Type + " " + u.Host
		}
	case TargetFunction, TargetProgram:
		return t.Type + " " + t.Name
	case TargetOOS:
		return t.Type + " " + t.TemplateName
	case TargetSSM:
		return t.Type + " " + t.DocumentName
	case TargetStepFunctions:
		return t.Type + " " + t.StateMachineArn
	case TargetTopic:
		return t.Type + " " + t.TopicArn
	}
	return t.Type
}

// NewTarget reads the Target of a Configuration; nil means Journal. hidden are its signing secrets.
func NewTarget(n *document.Node, hidden ...secret.Text) Target {
	if n == nil {
		return Target{Type: TargetJournal}
	}
	return Target{
		Type:    n.TextOf("Type", TargetJournal),
		URL:     secret.Text(n.TextOf("Url", "")),
		Secrets: hidden,
		Name:    n.TextOf("Name", ""),

		TemplateName:    n.TextOf("TemplateName", ""),
		TemplateVersion: n.TextOf("TemplateVersion", ""),
		SafetyCheck:     n.TextOf("SafetyCheck", ""),
		DocumentName:    n.TextOf("DocumentName", ""),
		StateMachineArn: n.TextOf("StateMachineArn", ""),
		TopicArn:        n.TextOf("TopicArn", ""),
		Parameters:      n.Get("Parameters"),
		Allow:           n.Get("Allow"),
	}
}

// oneOrMore returns a text, or the texts of an array.
func oneOrMore(n *document.Node) []string {
	if n != nil && n.Kind == document.String {
		return []string{n.Text}
	}
	return texts(n)
}

// Rights returns Allow for the values of an action. A resource that names a value which is not
// given is left out. A value with '*', '?' or '$' is an error: in a policy these are wildcards
// and variables, and would allow more than the value.
func (t Target) Rights(values []Value) ([]Right, error) {
	if t.Allow == nil {
		return nil, nil
	}
	var rights []Right
	for _, item := range t.Allow.Items {
		var resources []string
		for _, resource := range oneOrMore(item.Get("Resource")) {
			for _, name := range Placeholders(resource) {
				i := slices.IndexFunc(values, func(v Value) bool { return strings.EqualFold(v.Name, name) })
				if i >= 0 && strings.ContainsAny(values[i].Text, "*?$") {
					return nil, fmt.Errorf("the value of %s must not contain '*', '?' or '$', "+
						"since the target's Allow uses it", values[i].Name)
				}
			}
			if text, ok := expand(resource, values); ok {
				resources = append(resources, fmt.Sprint(text))
			}
		}
		if len(resources) > 0 {
			rights = append(rights, Right{oneOrMore(item.Get("Action")), resources})
		}
	}
	return rights, nil
}

// Expand returns what the target's template gets, by name, as json.Marshal writes it. It holds
// secrets.
//
// In a text of Parameters, {name} stands for the text of an action's value. The text "{name}" alone
// is the typed value. A text that names a value which is not given is left out.
func (t Target) Expand(values []Value) map[string]any {
	out := make(map[string]any)
	if t.Parameters == nil {
		for _, v := range values {
			out[v.Name] = v.Any()
		}
		return out
	}
	for _, m := range t.Parameters.Members {
		if m.Value.Kind != document.Array {
			if value, ok := expand(m.Value.Text, values); ok {
				out[m.Key] = value
			}
			continue
		}
		list := make([]any, 0, len(m.Value.Items))
		for _, item := range m.Value.Items {
			if value, ok := expand(item.Text, values); ok {
				list = append(list, value)
			}
		}
		out[m.Key] = list
	}
	return out
}

// expand returns a text with values for names. It reports whether all of them are given.
func expand(text string, values []Value) (value any, ok bool) {
	var b strings.Builder
	for rest := text; ; {
		before, name, after := cutPlaceholder(rest)
		b.WriteString(before)
		if name == "" {
			return b.String(), true
		}
		i := slices.IndexFunc(values, func(v Value) bool { return strings.EqualFold(v.Name, name) })
		switch {
		case i < 0:
			return nil, false
		case len(name)+len("{}") == len(text):
			return values[i].Any(), true
		}
		b.WriteString(values[i].Text)
		rest = after
	}
}

// Placeholders returns the names that a text of a Target's Parameters has in braces.
func Placeholders(text string) []string {
	var names []string
	for {
		_, name, after := cutPlaceholder(text)
		if name == "" {
			return names
		}
		names, text = append(names, name), after
	}
}

// cutPlaceholder splits a text at its first {name}. Without one, before is the text and name is
// empty.
func cutPlaceholder(text string) (before, name, after string) {
	for i := 0; ; i++ {
		open := strings.IndexByte(text[i:], '{')
		if open < 0 {
			return text, "", ""
		}
		i += open
		end := strings.IndexByte(text[i:min(len(text), i+maxParameterName+2)], '}')
		if end > 0 && ParameterName.Fits(text[i+1:i+end]) {
			return text[:i], text[i+1 : i+end], text[i+end+1:]
		}
	}
}
