package runtime

// Exported for the tests of checkPeer.
var (
	CheckPeer      = checkPeer
	AskSocket      = askSocket
	FindSocket     = findSocket
	ErrStranger    = errStranger
	ErrUnknownPeer = errUnknownPeer
)
