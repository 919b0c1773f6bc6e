package runtime

import (
	"sync"
	"time"
)

// A memory knows the peak of a process. To ask the system costs more than to serve an invocation,
// so it asks seldom.
type memory struct {
	mu    sync.Mutex
	pid   int
	max   int64
	asked time.Time
}

// memoryAge is how old what memory knows may be.
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

// of makes m that of a process.
func (m *memory) of(pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pid = pid
}
