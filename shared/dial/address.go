package dial

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// notPublic are networks whose addresses are not public, in addition to those that netip knows: for
// this network, shared with providers (the metadata service of Alibaba Cloud is 100.100.100.200),
// for protocols, documentation, benchmarks and future use, and those that contain an IPv4 address,
// which would have to be checked itself.
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
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

// Public reports whether an address is of the public Internet: not private, loopback, link-local,
// multicast or reserved.
func Public(a netip.Addr) bool {
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

// Loopback reports whether a host is this machine: localhost, or an address of the loopback
// interface.
func Loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// Networks are the networks that connections may lead into in addition to the public Internet.
// Anyone who may save a URL can send requests into them.
type Networks []netip.Prefix

// Allow reports whether an address may be connected to.
func (n Networks) Allow(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return Public(a) || slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) })
}

// AllowHost reports whether the host of a URL may be saved. It does not look up a name, whose
// address may be another one later: Allow is asked again before each connection.
func (n Networks) AllowHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return n.Allow(a)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	// A name whose last part is a number is an old way to write an address, such as 127.1 or
	// 0x7f000001. https://url.spec.whatwg.org/#ends-in-a-number-checker
	if last == "" || strings.HasPrefix(last, "0x") || strings.Trim(last, "0123456789") == "" {
		return false
	}
	return len(n) > 0 || last != "localhost" && last != "internal" && last != "local"
}

// String returns where connections may lead, such as "the public Internet or 10.0.0.0/8".
func (n Networks) String() string {
	text := "the public Internet"
	for i, p := range n {
		text += [...]string{" or ", ", "}[min(i, 1)] + p.String()
	}
	return text
}

// HowToAllow says how the service can be told to connect to a host of a private network or of this
// machine. It is empty for every other host. An address such as that of a metadata service is not
// one to allow.
func HowToAllow(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	network := ""
	switch a, err := netip.ParseAddr(host); {
	case err == nil:
		if a = a.Unmap().WithZone(""); a.IsPrivate() || a.IsLoopback() {
			network = netip.PrefixFrom(a, a.BitLen()).String()
		}
	case Loopback(host):
		network = "127.0.0.0/8"
	case strings.HasSuffix(host, ".internal"), strings.HasSuffix(host, ".local"):
		network = "its network, such as 10.1.0.0/16,"
	}
	if network == "" {
		return ""
	}
	return "to allow it, add " + network + " to CHATCONF_TARGET_NETWORKS of the service"
}

// CheckHost returns an error if no client could ever connect to the host and the port of a URL.
// Names are checked as package net and the verification of certificates do: by RFC 1123, and with
// '_'. https://www.rfc-editor.org/rfc/rfc1123#section-2.1
func CheckHost(u *url.URL) error {
	port := u.Port()
	n, err := strconv.Atoi(port)
	if port != "" && (err != nil || n < 1 || n > 65535) || port == "" && strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("invalid port %.100q; use a number from 1 to 65535, or none", port)
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return fmt.Errorf("host %.100q has a zone; use an address without one", host)
		}
		return nil
	}
	name := strings.TrimSuffix(host, ".")
	if len(name) > 253 {
		return fmt.Errorf("host %.100q has %d characters; the limit is 253", name, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return fmt.Errorf("host %.100q %w", name, err)
		}
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "" || len(label) > 63:
		return fmt.Errorf("has a part of %d characters between its dots; use 1 to 63", len(label))
	case strings.ContainsFunc(label, func(r rune) bool { return !isNameRune(r) }):
		return errors.New("has a character other than letters, digits, '-' and '_'; write other letters as xn--…")
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a part that starts or ends with '-'")
	}
	return nil
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}
