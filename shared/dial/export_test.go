package dial

import "strings"

// The embedded texts.
var (
	AmazonPEM  = amazonPEM
	AlibabaPEM = alibabaPEM
)

// Lazy returns a set that parses text when it is used.
func Lazy(text string) *Roots { return newRoots(strings.Clone(text)) }

// Covers is covers.
func (s *Roots) Covers(host string) bool { return s.covers(host) }
