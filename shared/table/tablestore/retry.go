package tablestore

import (
	"context"
	"math/rand/v2"
	"time"

	"chatconf/shared/invoke"
)

const (
	// patience is how long a call goes on trying when its context sets no earlier end.
	patience = 10 * time.Second
	// firstPause and pauseDoublings bound the pauses between tries, which are random so that
	// contenders come apart: up to 10, 20, 40 … 320 ms, as in the SDK.
	firstPause     = 10 * time.Millisecond
	pauseDoublings = 5
)

// tries are those of one call.
type tries struct {
	n   int
	end time.Time
}

func newTries(ctx context.Context) *tries {
	end := time.Now().Add(patience)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	return &tries{end: end}
}

// again waits before the next try. It returns false at once if the call's time would be over by
// then, so that the caller learns what went wrong and not merely that it took too long, and as soon
// as ctx ends.
func (t *tries) again(ctx context.Context) bool {
	pause := rand.N(firstPause<<min(t.n, pauseDoublings)) + time.Millisecond
	t.n++
	if time.Until(t.end) <= pause {
		return false
	}
	return invoke.Sleep(ctx, pause) == nil
}
