//go:build !linux && !darwin

package main

import "errors"

// freeBytes returns how much space is left; this system has no call for it that Go's standard
// library knows.
func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }
