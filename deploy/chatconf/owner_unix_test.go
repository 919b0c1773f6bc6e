//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An owned is a file of some user.
type owned struct {
	fs.FileInfo
	uid int
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: uint32(o.uid)} }

// A file of another user is refused whatever its mode is: its owner may change both.
func TestAFileOfAnotherUserIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, path, []byte("x"))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[int]string{0: "", os.Geteuid(): "", os.Geteuid() + 7: path + " belongs to user "} {
		err := checkOwn(path, owned{info, uid}, othersWrite)
		if (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("of user %d: %v, want %q", uid, err, want)
		}
	}
}
