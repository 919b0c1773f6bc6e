package tablestore

// The arithmetic of keys.
var (
	Beyond = beyond
	After  = after
	Before = before
)
