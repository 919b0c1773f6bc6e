//go:build race

package stream_test

// underRace says that the race detector is on, under which code takes longer.
const underRace = true
