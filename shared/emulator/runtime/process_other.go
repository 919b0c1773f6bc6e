//go:build !unix

package runtime

import "errors"

// Processes need groups and signals.

type spawner struct{}

func newSpawner() *spawner { return &spawner{} }

func (*spawner) close() {}

func (*spawner) start(*Function, []string, *output) (*process, error) {
	return nil, errors.ErrUnsupported
}

type process struct{ pid int }

func (*process) wait() string { return "" }

func (*process) terminate() {}

func (*process) kill() {}

func maxResident(int) int64 { return 0 }
