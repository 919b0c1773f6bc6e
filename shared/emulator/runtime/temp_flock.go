//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package runtime

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// tempAge is the minimum age of a folder that sweepTemps removes. A younger one may not be locked
// yet.
const tempAge = time.Minute

// holdTemp locks a folder until this process ends or the file is closed, so that sweepTemps keeps
// the folder. If locking fails, it also fails in sweepTemps.
func holdTemp(dir string) *os.File {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return f
}

// sweepTemps removes the folders of hosts that were killed. It ignores errors.
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
