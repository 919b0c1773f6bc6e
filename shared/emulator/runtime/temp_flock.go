//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package runtime

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// tempAge is how old a folder must be to be swept: one that is younger may not have its lock yet.
const tempAge = time.Minute

// holdTemp locks a folder for as long as this process lives or until the file is closed, so that
// sweepTemps leaves it alone. The lock is of no use to anybody else: where it cannot be had,
// sweepTemps does not get it either.
func holdTemp(dir string) *os.File {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return f
}

// sweepTemps removes the folders that hosts have left which were killed. It is a courtesy: what
// cannot be removed stays.
func sweepTemps(now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*")) // the pattern is well-formed
	for _, dir := range dirs {
		sweepTemp(dir, now)
	}
}

func sweepTemp(dir string, now time.Time) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || now.Sub(info.ModTime()) < tempAge {
		return
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		os.RemoveAll(dir)
	}
}
