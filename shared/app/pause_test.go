package app_test

import (
	"runtime/debug"
	"testing"

	"chatconf/shared/app"
)

// collector returns how the garbage collector works, and leaves it so.
func collector() (percent int, limit int64) {
	percent = debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent, debug.SetMemoryLimit(-1)
}

// The garbage collector rests until the second invocation, under a bound of memory, unless somebody has said how it is to work.
func TestTheCollectorRestsDuringAStart(t *testing.T) {
	percent, limit := collector()
	none := new(app.Pause)
	none.Invoked()
	none.Invoked()
	p := new(app.Pause)
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		p.Begin(env(map[string]string{name: "1"}))
		if now, bound := collector(); now != percent || bound != limit {
			t.Errorf("with %s: %d%%, %d bytes, want %d%%, %d", name, now, bound, percent, limit)
		}
	}
	p.Begin(env(nil))
	p.Invoked()
	if now, bound := collector(); now != -1 || bound > 64<<20 {
		t.Errorf("during the first invocation: %d%%, %d bytes", now, bound)
	}
	for range 3 {
		p.Invoked()
		p.End()
		if now, bound := collector(); now != percent || bound != limit {
			t.Errorf("from the second on: %d%%, %d bytes, want %d%%, %d", now, bound, percent, limit)
		}
	}
}
