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
)

// A Target is where allowed commands are dispatched to.
type Target struct {
	Type   string
	URL    secret.Text // for Http; its query may hold a secret
	Secret secret.Text // for Http: the Standard Webhooks signing secret, with or without whsec_
	Name   string      // for Function
}

// String returns the target for the journal, with only the host of a URL.
func (t Target) String() string {
	switch t.Type {
	case TargetHTTP:
		if u, err := url.Parse(t.URL.Reveal()); err == nil {
			return t.Type + " " + u.Host
		}
	case TargetFunction:
		return t.Type + " " + t.Name
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
	}
}
