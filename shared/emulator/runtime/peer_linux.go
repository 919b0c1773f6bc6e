package runtime

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// errStranger is the reason for refusing a connection to a runtime API.
var errStranger = errors.New("the connection is from another process than the function's")

// checkPeer returns an error unless the other end of a loopback connection is a socket of the
// process pid or of its process group. It returns errUnknownPeer if the system does not identify
// the process.
func checkPeer(conn net.Conn, pid int) error {
	ours, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return fmt.Errorf("%w: %w", errUnknownPeer, err)
	}
	theirs, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return fmt.Errorf("%w: %w", errUnknownPeer, err)
	}
	inode, err := socketOf(theirs, ours)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnknownPeer, err)
	case inode == 0: // it was closed meanwhile
		return errStranger
	}
	link := fmt.Sprintf("socket:[%d]", inode)
	if hasFile(pid, link) {
		return nil
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("%w: %w", errUnknownPeer, err)
	}
	for _, p := range processes { // the processes that the function started
		other, err := strconv.Atoi(p.Name())
		if err == nil && other != pid && groupOf(other) == pid && hasFile(other, link) {
			return nil
		}
	}
	return errStranger
}

// hasFile reports whether a process has an open file with this name in /proc.
func hasFile(pid int, link string) bool {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
	files, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, f := range files {
		if to, err := os.Readlink(dir + f.Name()); err == nil && to == link {
			return true
		}
	}
	return false
}

// groupOf returns the process group of a process, or 0 if there is no such process. It is the fifth
// field of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; the second one is a name in
// parentheses that may contain any character.
func groupOf(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 3 {
		return 0
	}
	group, _ := strconv.Atoi(string(fields[2]))
	return group
}

// socketOf returns the inode of the TCP socket with these addresses, or 0.
func socketOf(local, remote netip.AddrPort) (inode uint32, err error) {
	inode, err = findSocket("/proc/net/tcp", local, remote)
	if err != nil || inode != 0 {
		return inode, err
	}
	inode, err = findSocket("/proc/net/tcp6", local, remote) // a socket of version 6 can have addresses of version 4
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return inode, err
}

// findSocket searches one of the kernel's tables for a socket:
// https://docs.kernel.org/networking/proc_net_tcp.html.
func findSocket(path string, local, remote netip.AddrPort) (inode uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	six := strings.HasSuffix(path, "6")
	from, to := tableAddress(local, six), tableAddress(remote, six)
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) > 9 && fields[1] == from && fields[2] == to {
			n, err := strconv.ParseUint(fields[9], 10, 32)
			return uint32(n), err
		}
	}
	return 0, nil
}

// tableAddress returns an address in the format of the kernel's tables: words of four bytes in the
// machine's byte order.
func tableAddress(a netip.AddrPort, six bool) string {
	bytes := a.Addr().AsSlice()
	if six {
		all := a.Addr().As16()
		bytes = all[:]
	}
	var b strings.Builder
	for i := 0; i < len(bytes); i += 4 {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(bytes[i:]))
	}
	fmt.Fprintf(&b, ":%04X", a.Port())
	return b.String()
}
