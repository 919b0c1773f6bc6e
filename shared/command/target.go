package command

import (
	"net/url"

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
)

// KeyTarget is the key of the configuration's Target.
const KeyTarget = "Target"

// A Target is where allowed commands are dispatched to.
type Target struct {
	Type   string
	URL    secret.Text // for Http; its query may hold a secret
	Secret secret.Text // for Http: the Standard Webhooks signing secret, with or without whsec_
	Name   string      // for Function and Program

	TemplateName    string // for Oos
	TemplateVersion string // for Oos; empty: the latest
	SafetyCheck     string // for Oos; empty: the template's
	DocumentName    string // for Ssm
	StateMachineArn string // for StepFunctions

	// Parameters is an object with what the target's template gets; nil: every parameter of the
	// action under its own name. Expand reads it.
	Parameters *document.Node
}

// Followed reports whether the target starts an execution that is followed to its end.
func (t Target) Followed() bool {
	switch t.Type {
	case TargetOOS, TargetSSM, TargetStepFunctions:
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
	}
	return t.Type
}

// NewTarget reads the Target of a Configuration; nil means Journal. hidden is its signing secret.
func NewTarget(n *document.Node, hidden secret.Text) Target {
	if n == nil {
		return Target{Type: TargetJournal}
	}
	return Target{
		Type:   n.TextOf("Type", TargetJournal),
		URL:    secret.Text(n.TextOf("Url", "")),
		Secret: hidden,
		Name:   n.TextOf("Name", ""),

		TemplateName:    n.TextOf("TemplateName", ""),
		TemplateVersion: n.TextOf("TemplateVersion", ""),
		SafetyCheck:     n.TextOf("SafetyCheck", ""),
		DocumentName:    n.TextOf("DocumentName", ""),
		StateMachineArn: n.TextOf("StateMachineArn", ""),
		Parameters:      n.Get("Parameters"),
	}
}
