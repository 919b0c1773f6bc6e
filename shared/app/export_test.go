package app

// Reachable and WarnOpen are of listeners.
var (
	Reachable = reachable
	WarnOpen  = warnOpen
)
