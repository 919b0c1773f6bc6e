package runtime

// Exported for the tests of checkPeer.
var (
	CheckPeer      = checkPeer
	FindSocket     = findSocket
	ErrStranger    = errStranger
	ErrUnknownPeer = errUnknownPeer
)
