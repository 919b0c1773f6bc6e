package aws

// Exported for tests.
var (
	ReadPlaintext = readPlaintext
	RootsPEM      = rootsPEM
	TagValue      = tagValue
)
