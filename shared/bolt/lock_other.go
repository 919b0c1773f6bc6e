//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package bolt

import (
	"errors"
	"os"
)

// lock is an error where a file cannot be locked before bbolt opens it: two processes with one file
// would destroy it.
func lock(*os.File, bool) (bool, error) { return false, errors.ErrUnsupported }
