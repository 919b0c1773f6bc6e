//go:build unix

package runtime

import (
	"net"
	"syscall"
)

// isAlive reports whether the other end of a connection, which sends nothing, has not closed it. It
// does not wait.
func isAlive(conn net.Conn) bool {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = n > 0 || err == syscall.EAGAIN || err == syscall.EINTR
		return true
	})
	return err == nil && alive
}
