//go:build !race

package e2e_test

// raceEnabled says that the tests run without the race detector.
const raceEnabled = false
