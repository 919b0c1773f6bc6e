//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package bolt

import (
	"errors"
	"os"
)

// lock returns an error: this system cannot lock the file, and two processes would destroy it.
func lock(*os.File, bool) (bool, error) { return false, errors.ErrUnsupported }
