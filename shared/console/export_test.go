package console

// Words are all texts of the pages.
func Words() map[string][languages]string { return words }
