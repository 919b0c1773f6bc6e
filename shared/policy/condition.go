package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The condition keys, and the values that Request.Value returns for them. The caller must provide
// the first three whenever they are known, because a Deny that uses one does not match without it.
const (
	// the caller's address, IPv4 or IPv6, without a port; no value if the call has none
	KeySourceIP        = "acs:SourceIp"
	KeyCurrentTime     = "acs:CurrentTime"     // the time of the request in RFC 3339
	KeySecureTransport = "acs:SecureTransport" // "true" for a call over TLS, else "false"
	// followed by a tag's key: the tag's value; no value if there is no such tag
	KeyTagPrefix = "oos:tag/"
)

// The operators of a condition. The values of one key are combined with OR; different keys and
// different operators with AND.
//
// If a key has no value, StringNotEquals holds and every other operator does not, as in RAM. So an
// Allow with any other operator is safe. A Deny is not safe: to deny everything not tagged env=dev,
// deny with StringNotEquals. Instead of denying some addresses, allow the others. If a value has
// the wrong form, such as an invalid address, an Allow does not match and a Deny does.
const (
	opStringEquals    = "StringEquals"    // equals one of the values
	opStringNotEquals = "StringNotEquals" // equals none of the values
	opNotStringEquals = "NotStringEquals" // another name of StringNotEquals
	opStringLike      = "StringLike"      // matches one of the patterns, as in Match
	opIPAddress       = "IpAddress"       // is one of the addresses, or in one of the networks
	opBool            = "Bool"            // is one of true and false
	opDateGreaterThan = "DateGreaterThan" // is later than one of the times
	opDateLessThan    = "DateLessThan"    // is earlier than one of the times
)

// operatorKeys lists the keys of each operator, in the order of error messages. A key that ends in
// '/' is a prefix.
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
	networks []netip.Prefix // of IpAddress; a single address is a network with one address
	times    []time.Time    // of the Date operators
	bools    []bool         // of Bool
}

// A verdict is the result of a condition for a request.
type verdict uint8

const (
	fails verdict = iota
	holds
	unreadable // the value has the wrong type for its key
)

func verdictOf(ok bool) verdict {
	if ok {
		return holds
	}
	return fails
}

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
	addr = addr.Unmap().WithZone("") // an IPv4 client may connect to an IPv6 socket; a zone is local to this host
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

// checkOperator returns an error for an unknown operator.
func checkOperator(operator string) error {
	known := make([]string, 0, len(operatorKeys))
	for _, ok := range operatorKeys {
		if ok.operator == operator {
			return nil
		}
		known = append(known, ok.operator)
	}
	return fmt.Errorf("unknown operator; use %s", strings.Join(known, ", "))
}

// checkKey returns an error for an unknown key, or one that the operator does not support.
func checkKey(operator, key string) error {
	needed, known := "", false
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
			needed = ok.key
		}
	}
	if !known {
		return fmt.Errorf("unknown condition key; use %s, %s, %s or %s<key>", KeySourceIP, KeyCurrentTime,
			KeySecureTransport, KeyTagPrefix)
	}
	if needed == KeyTagPrefix {
		needed += "<key>"
	}
	return fmt.Errorf("%s needs the key %s", operator, needed)
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
			return errors.New("write true or false")
		}
		c.bools = append(c.bools, text == "true")
	case KeyCurrentTime:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return errors.New("write a time such as 2026-11-30T17:00:00Z or 2026-11-30T17:00:00+08:00")
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
			return netip.Prefix{}, errors.New("write an address or a network such as 192.0.2.1, 192.0.2.0/24 or " +
				"2001:db8::/32")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("write an address or a network such as 192.0.2.1, 192.0.2.0/24 " +
			"or 2001:db8::/32")
	case n.Addr().Is4In6():
		// It would match nothing, because IPv4 callers are compared by their IPv4 address.
		return netip.Prefix{}, errors.New("this IPv4 network is written as IPv6; write it like 192.0.2.0/24")
	case n != n.Masked():
		return netip.Prefix{}, fmt.Errorf("the address has bits after the prefix; write %v", n.Masked())
	}
	return n, nil
}
