package command

import "strings"

// RedactArguments is redact.
var RedactArguments = redact

// Distance is distance.
var Distance = distance

// Sentences returns every phrase in English and Chinese, and how many there are to be.
func Sentences() ([][2]string, int) { return sentences[1:], int(phrases) - 1 }

// TokenPrefixes returns how well-known secrets begin.
func TokenPrefixes() (prefixes []string) {
	for _, shape := range tokenShapes {
		prefixes = append(prefixes, strings.Split(shape.prefixes, " ")...)
	}
	return prefixes
}
