package chat

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

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

// newTarget reads the Target of a Configuration, whose signing secret is given.
func newTarget(root *document.Node, hidden secret.Text) Target {
	n := root.Get(keyTarget)
	if n == nil {
		return Target{Type: TargetJournal}
	}
	return Target{
		Type:   textOf(n, "Type", TargetJournal),
		URL:    secret.Text(textOf(n, "Url", "")),
		Secret: hidden,
		Name:   textOf(n, "Name", ""),
	}
}

// notPublic are networks whose addresses are not of the public Internet, besides those that netip knows: of this network, shared with
// providers (Alibaba Cloud's metadata service is at 100.100.100.200), for protocols, documentation, benchmarks and the future, and
// those that carry an IPv4 address which would have to be looked at itself.
// https://www.iana.org/assignments/iana-ipv4-special-registry https://www.iana.org/assignments/iana-ipv6-special-registry
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("::ffff:0:0:0/96"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// Networks are those that a target may be in besides the public Internet, which is a way into them for whoever may save a configuration.
type Networks []netip.Prefix

// Allow reports whether a target may have an address. A target's URL must not name another, and whoever connects to a target asks this of
// the address that its name stands for.
func (n Networks) Allow(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return PublicAddress(a) || slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) })
}

// more says which they are, behind "on the public Internet".
func (n Networks) more() string {
	if len(n) == 0 {
		return "; others are for the service's settings to allow"
	}
	text := make([]string, len(n))
	for i, p := range n {
		text[i] = p.String()
	}
	return " or in " + strings.Join(text, ", ")
}

// PublicAddress reports whether an address is of the public Internet: not private, loopback, link-local, multicast, or reserved.
func PublicAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, n := range notPublic {
		if n.Contains(a) {
			return false
		}
	}
	return true
}

// checkHost returns what is wrong with the host and the port of a URL that nobody could ever
// connect to; empty if nothing is. The names are those that the resolvers of package net and of
// certificates take: https://www.rfc-editor.org/rfc/rfc1123#section-2.1, and '_'.
func checkHost(u *url.URL) string {
	port := u.Port()
	n, err := strconv.Atoi(port)
	if port != "" && (err != nil || n < 1 || n > 65535) || port == "" && strings.HasSuffix(u.Host, ":") {
		return fmt.Sprintf("port %s is not one; wanted a port from 1 to 65535, or none", quote(port))
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return fmt.Sprintf("host %s has a zone; wanted an address without one", quote(host))
		}
		return ""
	}
	name := strings.TrimSuffix(host, ".")
	if len(name) > 253 {
		return fmt.Sprintf("host %s has %d characters; the most is 253", quote(name), len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "" || len(label) > 63:
			const wanted = "host %s has a part of %d characters between its dots; wanted 1 to 63"
			return fmt.Sprintf(wanted, quote(name), len(label))
		case !only(label, nameByte):
			const wanted = "host %s has a character other than letters, digits, '-' and '_'; write other letters as xn--…"
			return fmt.Sprintf(wanted, quote(name))
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Sprintf("host %s has a part that starts or ends with '-'", quote(name))
		}
	}
	return ""
}

// allowHost reports whether the host of a URL may be a target's. What a name stands for is not looked up: it may be another address
// by the time it is used.
func (n Networks) allowHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return n.Allow(a)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	// A name whose last part is a number is one of the old ways to write an address, such as 127.1 or 0x7f000001.
	// https://url.spec.whatwg.org/#ends-in-a-number-checker
	if last == "" || strings.HasPrefix(last, "0x") || only(last, func(b byte) bool { return '0' <= b && b <= '9' }) {
		return false
	}
	return len(n) > 0 || last != "localhost" && last != "internal" && last != "local"
}
