package console

// Words are all texts of the pages.
func Words() map[string][languages]string { return words }

// CountLinks returns how many links a console keeps.
func CountLinks(c *Console) int { return len(c.links.all) }

// Differing is differing.
func Differing(a, b string) (string, string) { return differing(a, b) }

// StepPart is stepPart.
type StepPart = stepPart

// PartsOf is partsOf.
func PartsOf(step string) []StepPart { return partsOf(step) }
