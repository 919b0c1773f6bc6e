package app

// ServeFunction is serveFunction.
var ServeFunction = serveFunction

// A Pause is a pause.
type Pause struct{ pause }

// Its methods.
func (p *Pause) Begin(getenv func(string) string) { p.begin(getenv) }
func (p *Pause) Invoked()                         { p.invoked() }
func (p *Pause) End()                             { p.end() }

// Reachable and WarnOpen are of listeners.
var (
	Reachable = reachable
	WarnOpen  = warnOpen
)
