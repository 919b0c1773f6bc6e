//go:build unix

package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"chatconf/shared/dispatch"
)

// writable are the permissions to write for the group and for others. An access control list that
// lets others write shows as a permission of the group.
const writable = 0o022

// realFolder returns the absolute path of a folder without symbolic links. The folder, its parents
// and those of the path as it was given must pass checkFolder and checkParent.
func realFolder(dir string) (string, error) {
	given, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(given)
	if err != nil {
		return "", err
	}
	if err := checkParents(given); err != nil {
		return "", err
	}
	root, err := openFolder(real)
	if err != nil {
		return "", err
	}
	return real, root.Close()
}

// openFolder opens the folder with a real path, and checks it and its parents.
func openFolder(dir string) (*os.Root, error) {
	if err := checkParents(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		err = checkOwner(dir, info)
	}
	if err == nil && info.Mode()&writable != 0 {
		err = fmt.Errorf("%s is writable by its group or by others; run: chmod go-w %[1]s", dir)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// checkParents checks that nobody but root and the user of this process can rename or replace the
// parents of a path. In a folder with the sticky bit, such as /tmp, others cannot.
func checkParents(path string) error {
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := checkOwner(path, info); err != nil {
			return err
		}
		if info.Mode()&writable != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("%s is writable by its group or by others; run: chmod go-w %[1]s", path)
		}
	}
	return nil
}

// checkOwner checks that a file belongs to root or to the user of this process.
func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("%s: this system does not tell the owner", path)
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d; it must belong to root or to user %d, who runs this service",
			path, stat.Uid, os.Geteuid())
	}
	return nil
}

// openProgram opens a program and checks the file that was opened. A later change of the folder
// does not change what startProcess executes.
func openProgram(dir, name string) (*os.File, *dispatch.Error) {
	if !isName(name) {
		return nil, &dispatch.Error{Why: "the name of the program is not a plain file name"}
	}
	root, err := openFolder(dir)
	if err != nil {
		return nil, &dispatch.Error{Why: "the folder of programs is not safe", Cause: err.Error()}
	}
	defer root.Close()
	switch info, err := root.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &dispatch.Error{Why: "this service has no program with the name " + strconv.Quote(name)}
	case err != nil:
		return nil, &dispatch.Error{Why: "the program cannot be read", Cause: err.Error()}
	case !info.Mode().IsRegular():
		return nil, &dispatch.Error{Why: "the program is not a regular file"} // a symbolic link may lead anywhere
	}
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would block
	if err != nil {
		return nil, &dispatch.Error{Why: "this service cannot read the program", Cause: err.Error()}
	}
	if failed := checkProgram(filepath.Join(dir, name), file); failed != nil {
		file.Close()
		return nil, failed
	}
	return file, nil
}

// checkProgram checks the file of a program.
func checkProgram(path string, file *os.File) *dispatch.Error {
	info, err := file.Stat()
	if err != nil {
		return &dispatch.Error{Why: "the program cannot be read", Cause: err.Error()}
	}
	mode := info.Mode()
	if err := checkOwner(path, info); err != nil {
		return &dispatch.Error{Why: "the owner of the program is neither root nor the user of this service",
			Cause: err.Error()}
	}
	switch {
	case !mode.IsRegular():
		return &dispatch.Error{Why: "the program is not a regular file"}
	case mode&writable != 0:
		return &dispatch.Error{Why: "the program is writable by its group or by others",
			Cause: "run: chmod go-w " + path}
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return &dispatch.Error{Why: "the program would run as another user", Cause: "run: chmod u-s,g-s " + path}
	case mode&0o111 == 0:
		return &dispatch.Error{Why: "the program is not executable", Cause: "run: chmod +x " + path}
	}
	return nil
}

// isName reports whether a program may have this name: letters, digits, '.', '_' and '-', not
// hidden, and not like an option.
func isName(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return name != "" && len(name) <= MaxName && name[0] != '.' && name[0] != '-' &&
		strings.Trim(name, allowed) == ""
}
