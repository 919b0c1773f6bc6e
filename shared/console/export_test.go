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
