package aws

// What tests of this package use of it.
var (
	ReadPlaintext = readPlaintext
	RootsPEM      = rootsPEM
)
