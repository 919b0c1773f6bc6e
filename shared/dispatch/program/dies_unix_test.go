//go:build unix && !linux

package program_test

const dies = false
