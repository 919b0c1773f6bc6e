package dispatch

import (
	"fmt"
	"time"

	"chatconf/shared/command"
)

// SetTimers sets n timers of a worker for a time, each twice, and closes them. It returns how many
// were set, and how many were set or called after the end.
func SetTimers(n int, after time.Duration) (set, late int) {
	var t timers
	for range 2 {
		for i := range n {
			t.set(command.Ref{ID: fmt.Sprint(i)}, after, func() { late++ })
		}
	}
	set = len(t.of)
	t.close()
	t.set(command.Ref{}, after, func() { late++ })
	time.Sleep(2 * after)
	return set, late + len(t.of)
}
