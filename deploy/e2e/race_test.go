//go:build race

package e2e_test

// raceEnabled says that the tests run with the race detector, and so shall the program.
const raceEnabled = true
