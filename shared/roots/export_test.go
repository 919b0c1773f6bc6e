package roots

import "strings"

// The embedded texts.
var (
	AmazonPEM  = amazonPEM
	AlibabaPEM = alibabaPEM
)

// Lazy returns a set that parses text when it is used.
func Lazy(text string) *Set { return newSet(strings.Clone(text)) }

// Covers is covers.
func (s *Set) Covers(host string) bool { return s.covers(host) }
