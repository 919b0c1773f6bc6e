package app

import "os"

// Reachable and WarnOpen are of listeners.
var (
	Reachable = reachable
	WarnOpen  = warnOpen
)

// SetReached calls f after each step of a backup and of a restore, until the function that it
// returns is called.
func SetReached(f func(step string)) (restore func()) {
	before := reached
	reached = f
	return func() { reached = before }
}

// SetCreateTemp puts create in the place of os.CreateTemp until the function that it returns is
// called.
func SetCreateTemp(create func(dir, pattern string) (*os.File, error)) (restore func()) {
	createTemp = create
	return func() { createTemp = os.CreateTemp }
}
