package runtime

// What tests see of how a peer is checked.
var (
	CheckPeer      = checkPeer
	AskSocket      = askSocket
	FindSocket     = findSocket
	ErrStranger    = errStranger
	ErrUnknownPeer = errUnknownPeer
)
