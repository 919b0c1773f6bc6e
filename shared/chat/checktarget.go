package chat

import (
	"net/url"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// target checks the target of commands.
func (out *settled) target(path string, n *document.Node, keep func(string) bool) {
	if n.Kind != document.Object {
		out.wrong(path, "is %v; write an object such as {\"Type\":\"Journal\"}", n.Kind)
		return
	}
	kind := n.Get("Type")
	if kind == nil || kind.Kind != document.String {
		out.wrong(document.Under(path, "Type"), "use Journal, Http or Function")
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
		out.wrong(path, "write an https URL without user name and fragment") // its query may hold a secret
		return
	}
	if !out.targets.AllowHost(u.Hostname()) {
		more := ""
		if len(out.targets) == 0 {
			more = "; the service's settings can allow other networks"
		}
		out.wrong(path, "use a host on %s%s", out.targets, more)
	} else if err := dial.CheckHost(u); err != nil {
		out.wrong(path, "%s", err)
	}
}
