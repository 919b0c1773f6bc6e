package app

// ServeFunction is serveFunction.
var ServeFunction = serveFunction

// Reachable and WarnOpen are of listeners.
var (
	Reachable = reachable
	WarnOpen  = warnOpen
)
