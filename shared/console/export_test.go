package console

// Words are all texts of the pages.
func Words() map[string][languages]string { return words }

// CountLinks returns how many links a console keeps.
func CountLinks(c *Console) int { return len(c.links.all) }

// CountEnded returns how many sessions a console remembers that were signed out.
func CountEnded(c *Console) (n int) {
	for _, of := range c.ended.keys {
		n += len(of.ids)
	}
	return n
}

// Differing is differing.
func Differing(a, b string) (string, string) { return differing(a, b) }

// StepPart is stepPart.
type StepPart = stepPart

// PartsOf is partsOf.
func PartsOf(step string) []StepPart { return partsOf(step) }

// Said returns a text as a page in Chinese or in English shows it.
func Said(text string, inChinese bool) (shown, lang, original string) {
	l := english
	if inChinese {
		l = chinese
	}
	out := l.said(text)
	return out.Text, out.Lang, out.Original
}

// The translations of texts that the pages do not have of their own.
var (
	HelpChinese   = helpChinese
	StatesChinese = statesChinese
	StepsChinese  = stepsChinese
)

// Clauses returns the clauses of the API in English and Chinese.
func Clauses() (out [][2]string) {
	for _, p := range clauses {
		out = append(out, p)
	}
	return out
}

// Translated returns the sentences that are translated, in English and Chinese.
func Translated() [][2]string {
	out := Clauses()
	for _, p := range fragments {
		out = append(out, p)
	}
	return out
}
