package command

import (
	"net/url"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// The types of targets.
const (
	TargetJournal  = "Journal"  // commands are recorded, and that is all
	TargetHTTP     = "Http"     // they are posted to an https URL, signed
	TargetFunction = "Function" // they are handed to a function of the cloud
)

// A Target is where allowed commands are handed on to.
type Target struct {
	Type   string
	URL    secret.Text // of Http; its query may hold a secret
	Secret secret.Text // of Http: the Standard Webhooks signing secret, perhaps with whsec_ before it
	Name   string      // of Function
}

// String returns the target as the journal shows it: of a URL only the host.
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

// NewTarget reads the Target of a Configuration, nil if it has none, whose signing secret is given.
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
