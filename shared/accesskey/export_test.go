package accesskey

import (
	"strconv"
)

// KeyCacheSize is how many keys a process keeps.
const KeyCacheSize = cacheSize

// Cached returns how many keys are remembered.
func (k *Store) Cached() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.cache)
}

// FillCache makes k remember n keys that nobody asked for.
func FillCache(k *Store, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := 0; len(k.cache) < n; i++ {
		k.cache[strconv.Itoa(i)] = cacheEntry{key: new(Key), read: k.now()}
	}
}
