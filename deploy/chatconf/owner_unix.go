//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwn checks that a file belongs to root or to the user, and that other users have none of the
// given permissions.
func checkOwn(path string, info fs.FileInfo, refused fs.FileMode) error {
	if mode := info.Mode().Perm(); mode&refused != 0 {
		may, remedy := "read or write", "600"
		if refused == othersWrite {
			may, remedy = "write", "go-w"
		}
		return fmt.Errorf("other users may %s %s, its mode is %04o; run: chmod %s %s", may, path, mode, remedy,
			shellQuote(path))
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d; it must belong to root or to you, user %d", path, stat.Uid,
			os.Geteuid())
	}
	return nil
}
