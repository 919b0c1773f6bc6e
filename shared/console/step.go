package console

import (
	"regexp"
	"strings"

	"chatconf/shared/secret"
)

// A stepPart is a part of a step of the set-up.
type stepPart struct {
	Text string
	Link bool // an address of the platform
	Copy bool // a name that the platform's console takes as it is
}

// stepWord finds what is more than text in a step: an address, the path of an API, and a name such
// as im.message.receive_v1, im:message or aes_key.
var stepWord = regexp.MustCompile(`https?://[!-~]+|(?:/[a-z0-9.]+){2,}|\b[a-z][a-z0-9]*(?:[._:][a-z0-9_]+)+\b`)

// partsOf returns the parts of a step. An address with a masked token is text: nobody can use it.
func partsOf(step string) (parts []stepPart) {
	at := 0
	for _, found := range stepWord.FindAllStringIndex(step, -1) {
		word := step[found[0]:found[1]]
		part := stepPart{Text: word, Link: strings.HasPrefix(word, "https://")}
		part.Copy = !part.Link && !strings.HasPrefix(word, "http://")
		if strings.Contains(word, secret.Mask) {
			continue
		}
		parts = append(parts, stepPart{Text: step[at:found[0]]}, part)
		at = found[1]
	}
	return append(parts, stepPart{Text: step[at:]})
}
