package runtime

import (
	"sync"
	"time"
)

// A memory caches the peak memory of a process. Asking the system costs more than serving an
// invocation.
type memory struct {
	mu    sync.Mutex
	pid   int
	max   int64
	asked time.Time
}

// memoryAge is how long a cached value is valid.
const memoryAge = 100 * time.Millisecond

func (m *memory) peak() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); m.pid != 0 && now.Sub(m.asked) >= memoryAge {
		m.asked = now
		m.max = max(m.max, maxResident(m.pid))
	}
	return m.max
}

func (m *memory) of(pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pid = pid
}
