package program

import (
	"os"
	"syscall"
)

// executable is the path of a program whose file is the fourth of the process. The kernel executes
// the very file that was checked. The interpreter of a script reads it from this path.
func executable(*os.File) string { return "/proc/self/fd/3" }

// attributes make a process the leader of a session and a group without a terminal, and end it when
// this process dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// await waits until a process has ended, calls ended, waits until its group was killed, and reaps
// the process. Until then no other group can have the same id.
func await(p *os.Process, ended func(), killed <-chan struct{}) (*os.ProcessState, error) {
	const byID = 1 // P_PID
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byID, uintptr(p.Pid), 0, syscall.WEXITED|syscall.WNOWAIT,
			0, 0)
		if errno != syscall.EINTR {
			break // after another error Wait returns it
		}
	}
	ended()
	<-killed
	return p.Wait()
}
