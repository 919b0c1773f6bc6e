//go:build !race

package app_test

// underRace says that the race detector is on, under which code allocates more and takes longer.
const underRace = false
