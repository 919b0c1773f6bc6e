package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The condition keys, and what a Request's Value gives for each. Whoever makes the Request gives
// the first three whenever they are known, for a Deny that asks for one does not match without it.
const (
	// the caller's address, IPv4 or IPv6, without a port; no value for a call that has none
	KeySourceIP        = "acs:SourceIp"
	KeyCurrentTime     = "acs:CurrentTime"     // the time of the request, as RFC 3339 writes it
	KeySecureTransport = "acs:SecureTransport" // "true" when the call came by TLS, else "false"
	// followed by the key of a tag: that tag's value; no value when there is no such tag
	KeyTagPrefix = "oos:tag/"
)

// The operators of a condition. The values of one key are alternatives; different keys and
// different operators must all hold.
//
// A key without a value: StringNotEquals holds, every other operator does not, as in RAM. An Allow
// with any of the others is thus on the safe side by itself. A Deny is not: to deny whatever is not
// tagged env=dev, deny with StringNotEquals, and rather than deny some addresses, allow the others.
// What a value of the wrong form means, such as an address that is none, is not left to the
// operator: an Allow does not match, a Deny does.
const (
	opStringEquals    = "StringEquals"    // is one of the values, exactly
	opStringNotEquals = "StringNotEquals" // is none of the values
	opNotStringEquals = "NotStringEquals" // the same operator by another name
	opStringLike      = "StringLike"      // matches one of the patterns, as Match does
	opIPAddress       = "IpAddress"       // is one of the addresses or in one of the networks
	opBool            = "Bool"            // is one of true and false
	opDateGreaterThan = "DateGreaterThan" // is later than one of the times
	opDateLessThan    = "DateLessThan"    // is earlier than one of the times
)

// operatorKeys says which keys each operator goes with: a key ending in '/' is a prefix. In the
// order errors list them.
var operatorKeys = []struct{ operator, key string }{
	{opStringEquals, KeyTagPrefix},
	{opStringNotEquals, KeyTagPrefix},
	{opNotStringEquals, KeyTagPrefix},
	{opStringLike, KeyTagPrefix},
	{opIPAddress, KeySourceIP},
	{opBool, KeySecureTransport},
	{opDateGreaterThan, KeyCurrentTime},
	{opDateLessThan, KeyCurrentTime},
}

// A condition is one operator on one key.
type condition struct {
	operator string
	key      string
	strings  []string       // of the String operators
	networks []netip.Prefix // of IpAddress; a single address is a network of its own
	times    []time.Time    // of the Date operators
	bools    []bool         // of Bool
}

// A verdict is what a condition says of a request.
type verdict uint8

const (
	fails verdict = iota
	holds
	unreadable // the value is not of the type of its key
)

func verdictOf(ok bool) verdict {
	if ok {
		return holds
	}
	return fails
}

// test returns what c says of req.
func (c *condition) test(req *Request) verdict {
	var value string
	known := false
	if req.Value != nil {
		value, known = req.Value(c.key)
	}
	negative := c.operator == opStringNotEquals || c.operator == opNotStringEquals
	if !known {
		return verdictOf(negative)
	}
	switch c.operator {
	case opStringEquals:
		return verdictOf(slices.Contains(c.strings, value))
	case opStringNotEquals, opNotStringEquals:
		return verdictOf(!slices.Contains(c.strings, value))
	case opStringLike:
		return verdictOf(anyMatches(c.strings, value, exactCase))
	case opIPAddress:
		return c.testAddress(value)
	case opBool:
		if value != "true" && value != "false" {
			return unreadable
		}
		return verdictOf(slices.Contains(c.bools, value == "true"))
	case opDateGreaterThan, opDateLessThan:
		return c.testTime(value)
	default:
		return unreadable
	}
}

func (c *condition) testAddress(value string) verdict {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return unreadable
	}
	addr = addr.Unmap().WithZone("") // An IPv4 caller may reach an IPv6 socket; a zone is of this host only.
	for _, n := range c.networks {
		if n.Contains(addr) {
			return holds
		}
	}
	return fails
}

func (c *condition) testTime(value string) verdict {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return unreadable
	}
	for _, t := range c.times {
		if c.operator == opDateGreaterThan && at.After(t) || c.operator == opDateLessThan && at.Before(t) {
			return holds
		}
	}
	return fails
}

// checkOperator returns an error when there is no such operator.
func checkOperator(operator string) error {
	known := make([]string, 0, len(operatorKeys))
	for _, ok := range operatorKeys {
		if ok.operator == operator {
			return nil
		}
		known = append(known, ok.operator)
	}
	return fmt.Errorf("unknown operator, known are %s", strings.Join(known, ", "))
}

// checkKey returns an error when there is no such key, or it is not one that operator goes with.
func checkKey(operator, key string) error {
	wanted, known := "", false
	for _, ok := range operatorKeys {
		is := key == ok.key
		if strings.HasSuffix(ok.key, "/") {
			is = strings.HasPrefix(key, ok.key) && key != ok.key
		}
		known = known || is
		if ok.operator == operator {
			if is {
				return nil
			}
			wanted = ok.key
		}
	}
	if !known {
		return fmt.Errorf("unknown condition key, known are %s, %s, %s and %s<key>", KeySourceIP, KeyCurrentTime,
			KeySecureTransport, KeyTagPrefix)
	}
	if wanted == KeyTagPrefix {
		wanted += "<key>"
	}
	return fmt.Errorf("%s goes with %s only", operator, wanted)
}

// add parses text as one more value of c.
func (c *condition) add(text string) error {
	switch c.key {
	case KeySourceIP:
		n, err := parseNetwork(text)
		if err != nil {
			return err
		}
		c.networks = append(c.networks, n)
	case KeySecureTransport:
		if text != "true" && text != "false" {
			return errors.New("wanted true or false")
		}
		c.bools = append(c.bools, text == "true")
	case KeyCurrentTime:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return errors.New("wanted a time such as 2026-11-30T17:00:00Z or 2026-11-30T17:00:00+08:00")
		}
		c.times = append(c.times, t)
	default:
		c.strings = append(c.strings, text)
	}
	return nil
}

// parseNetwork parses an address, or a network in CIDR notation.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, errors.New("wanted an address or a network such as 192.0.2.1, 192.0.2.0/24 or " +
				"2001:db8::/32")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("wanted an address or a network such as 192.0.2.1, 192.0.2.0/24 " +
			"or 2001:db8::/32")
	case n.Addr().Is4In6():
		// It would match nothing, because callers are compared by their IPv4 address.
		return netip.Prefix{}, errors.New("network of IPv4 addresses written as IPv6, wanted one such as 192.0.2.0/24")
	case n != n.Masked():
		return netip.Prefix{}, fmt.Errorf("address has bits beyond the prefix, the network is %v", n.Masked())
	}
	return n, nil
}
