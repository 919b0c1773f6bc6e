//go:build !unix

// Package program runs executables of one folder of this machine as targets of commands. On this
// system it runs none.
package program

import (
	"context"
	"errors"
	"time"

	"chatconf/shared/dispatch"
)

// DefaultAtOnce is how many programs run at the same time if the options do not say it.
const DefaultAtOnce = 4

// Options are what a Folder needs.
type Options struct {
	Dir    string
	AtOnce int
	Temp   string
	Now    func() time.Time
}

// A Folder runs no programs.
type Folder struct{}

// Open returns an error: on this system nothing shows who may write a file, and nothing ends a
// program with all that it has started.
func Open(Options) (*Folder, error) {
	return nil, errors.New("the folder of programs: this system runs no programs; use Linux or macOS")
}

// Dir returns an empty path.
func (*Folder) Dir() string { return "" }

// Close does nothing.
func (*Folder) Close() error { return nil }

// Start implements dispatch.Target.
func (*Folder) Start(context.Context, *dispatch.Call) (dispatch.Progress, error) {
	return dispatch.Progress{}, errors.ErrUnsupported
}
