package app

import (
	"runtime/debug"
	"sync/atomic"
)

// A pause keeps the garbage collector from work until the second invocation of a function: nearly all that a start allocates stays, and
// looking through it takes a cold start some 5 % longer. Memory is bounded meanwhile, should the first invocation be a long one. The zero
// value is no pause.
type pause struct {
	calls   atomic.Uint32 // up to 2
	on      atomic.Bool
	percent int
	limit   int64
}

// pausedMemory is how much memory there may be until the garbage collector works all the same, in bytes.
const pausedMemory = 48 << 20

// begin begins the pause, unless the environment says how the garbage collector is to work.
func (p *pause) begin(getenv func(string) string) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return
	}
	p.percent, p.limit = debug.SetGCPercent(-1), debug.SetMemoryLimit(pausedMemory)
	p.on.Store(true)
}

// invoked ends the pause when it is called for the second time.
func (p *pause) invoked() {
	if p.calls.Load() < 2 && p.calls.Add(1) == 2 {
		p.end()
	}
}

func (p *pause) end() {
	if p.on.CompareAndSwap(true, false) {
		debug.SetGCPercent(p.percent)
		debug.SetMemoryLimit(p.limit)
	}
}
