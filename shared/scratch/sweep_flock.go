//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package scratch

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hold locks a new folder. It reports false if a Sweep was faster. A file system without locks is
// no mistake: Sweep cannot lock there either, and removes nothing.
func hold(path string) (*os.File, bool) {
	f, info := open(path)
	if f == nil {
		return nil, false
	}
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if now, gone := os.Lstat(path); gone != nil || !os.SameFile(info, now) || errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, false
	}
	return f, true
}

// open opens a folder of the user of this process; nil if it is not one.
func open(path string) (*os.File, os.FileInfo) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil
	}
	if info, err := f.Stat(); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) == os.Geteuid() {
			return f, info
		}
	}
	f.Close()
	return nil, nil
}

// Sweep removes the folders that New made with the same arguments, in processes that were killed.
// It removes nothing of a process that lives, and nothing of other users. What it cannot remove
// stays for the next Sweep.
func Sweep(parent, prefix string) {
	parent = cmp.Or(parent, os.TempDir())
	entries, _ := os.ReadDir(parent) // those read before an error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			sweep(filepath.Join(parent, e.Name()))
		}
	}
}

func sweep(path string) {
	f, _ := open(path)
	if f == nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		os.RemoveAll(path)
	}
}
