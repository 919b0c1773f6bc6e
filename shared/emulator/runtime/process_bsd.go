//go:build unix && !linux

package runtime

import "syscall"

// attributes make a process the leader of a group. When this process is killed, it is left behind.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// maxResident is not known while a process lives.
func maxResident(int) int64 { return 0 }
