// Package scratch makes folders for temporary files, and removes those that killed processes left
// behind.
package scratch

import (
	"errors"
	"os"
)

// A Folder is a folder for temporary files of this process. It is locked until Remove or the end of
// the process, so that no Sweep removes it.
type Folder struct {
	path string
	lock *os.File // nil on systems without locks that end with their process
}

// New makes a folder in parent; empty means the system's folder for temporary files. Its name
// begins with prefix, which no other program may use.
func New(parent, prefix string) (*Folder, error) {
	for range 10 { // a Sweep may take a new folder for one that was left behind
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		if lock, ok := hold(path); ok {
			return &Folder{path, lock}, nil
		}
	}
	return nil, errors.New("scratch: other processes remove each new folder")
}

// Path returns the path of the folder.
func (f *Folder) Path() string { return f.path }

// Remove removes the folder with all that is in it.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.path)
	f.lock.Close() // a nil file returns an error, which is harmless
	return err
}
