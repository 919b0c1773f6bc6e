package serve

import "time"

// Parse is parse.
var Parse = parse

// DefaultLimitsFor is defaultLimits.
var DefaultLimitsFor = defaultLimits

// MaxHeaderLines is a limit that tests go up to.
const MaxHeaderLines = maxHeaderLines

// TooLongHead reports whether a head that is read in these pieces has too many lines, and whether
// it has ended.
func TooLongHead(pieces ...string) (tooLong, over bool) {
	var h headCount
	for _, p := range pieces {
		tooLong = tooLong || h.tooLong([]byte(p))
	}
	return tooLong, h.over
}

// MaxDepth, MaxMembers, MaxBody, MaxPayload and MaxRecords are limits that tests go up to.
const (
	MaxDepth   = maxDepth
	MaxMembers = maxMembers
	MaxBody    = maxBody
	MaxPayload = maxPayload
	MaxRecords = maxRecords
)

// A Value is what Parse returns.
type Value = value

// Members returns what the reader sees in an object, by key, the last of two.
func (v value) Members() map[string]string {
	all := make(map[string]string)
	for m := v.members(); m.next(); {
		all[string(m.key)] = string(m.value)
	}
	return all
}

// Items returns what the reader sees in a list.
func (v value) Items() (all []string) {
	for m := v.items(); m.next(); {
		all = append(all, string(m.value))
	}
	return all
}

// Text returns a string's text.
func (v value) Text() (string, bool) { return v.text() }

// SetCertificateClock has a certificate read the time elsewhere.
func SetCertificateClock(c *Certificate, now func() time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}
