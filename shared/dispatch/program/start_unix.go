//go:build unix && !linux

package program

import (
	"os"
	"syscall"
)

// executable is the path of a program. Only root and the user of this process may write in its
// folder, so nobody else can replace the file between the check and the start.
func executable(file *os.File) string { return file.Name() }

// attributes make a process the leader of a session and a group without a terminal. If this process
// is killed, the program continues to its end.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// await reaps a process when it has ended, calls ended, and waits until its group was killed. This
// is safe as long as the system does not give the same id to a new group at once.
func await(p *os.Process, ended func(), killed <-chan struct{}) (*os.ProcessState, error) {
	state, err := p.Wait()
	ended()
	<-killed
	return state, err
}
