package rpc

import (
	"math"
	"sync"
	"time"
)

// A throttle has a token bucket for each access key: a steady rate, and bursts of one second's
// requests.
type throttle struct {
	rate float64 // requests per second; 0 is no limit

	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// maxBuckets bounds the memory. Full buckets are dropped first, which changes nothing for their
// callers.
const maxBuckets = 10_000

// take takes a token of the key. Without one, it returns the whole seconds until the next.
func (t *throttle) take(now time.Time, key string) (seconds int, ok bool) {
	if t.rate <= 0 {
		return 0, true
	}
	most := max(t.rate, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buckets == nil {
		t.buckets = make(map[string]bucket)
	}
	b, known := t.buckets[key]
	if !known {
		if len(t.buckets) >= maxBuckets {
			t.forgetLocked(now, most)
		}
		b = bucket{tokens: most, at: now}
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.tokens = min(most, b.tokens+passed*t.rate)
		b.at = now
	}
	if b.tokens < 1 {
		t.buckets[key] = b
		return max(1, int(math.Ceil((1-b.tokens)/t.rate))), false
	}
	b.tokens--
	t.buckets[key] = b
	return 0, true
}

// forgetLocked drops the full buckets, or all of them if none is full.
func (t *throttle) forgetLocked(now time.Time, most float64) {
	for key, b := range t.buckets {
		if b.tokens+now.Sub(b.at).Seconds()*t.rate >= most {
			delete(t.buckets, key)
		}
	}
	if len(t.buckets) >= maxBuckets {
		clear(t.buckets)
	}
}
