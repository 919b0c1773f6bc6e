package tablestore

import (
	"context"
	"math/rand/v2"
	"time"

	"chatconf/shared/invoke"
)

const (
	// patience bounds the retries of a call whose context ends later.
	patience = 10 * time.Second
	// firstPause and pauseDoublings bound the random pauses between tries: up to 10, 20, 40 …
	// 320 ms, as in the SDK.
	firstPause     = 10 * time.Millisecond
	pauseDoublings = 5
)

// tries counts the tries of one call.
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

// again waits before the next try. If the call's time would end during the pause, it returns false
// at once, so the caller gets the last error and not only a timeout. It also returns false when ctx
// ends.
func (t *tries) again(ctx context.Context) bool {
	pause := rand.N(firstPause<<min(t.n, pauseDoublings)) + time.Millisecond
	t.n++
	if time.Until(t.end) <= pause {
		return false
	}
	return invoke.Sleep(ctx, pause) == nil
}
