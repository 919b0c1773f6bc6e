package alibaba

// Exported for tests.
var (
	ReadPlaintext = readPlaintext
	RootsPEM      = rootsPEM
)
