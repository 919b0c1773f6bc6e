//go:build unix && !linux

package runtime

import "syscall"

// attributes make a process the leader of a group. It keeps running if the host is killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// maxResident cannot be read while a process lives.
func maxResident(int) int64 { return 0 }
