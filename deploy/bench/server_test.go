package bench_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/ots"
)

const (
	keyID     = "test-key"
	keySecret = "test-secret"
)

// emulatorFile names the file of the emulator that this program is to be. It makes the test's program the emulator.
const emulatorFile = "CHATCONF_BENCH_EMULATOR"

func TestMain(m *testing.M) {
	if path := os.Getenv(emulatorFile); path != "" {
		if err := serveEmulator(path); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// serveEmulator serves the emulator over a file, and prints its process and its address, until standard input ends.
func serveEmulator(path string) error {
	server, err := ots.New(ots.Options{Path: path, AccessKeys: map[string]string{keyID: keySecret}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(os.Getpid(), l.Addr())
	go http.Serve(l, server)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, l.Close(), server.Close())
}

// A server is a process that is measured.
type server struct {
	url string
	pid int
}

// startEmulator starts the emulator over a file in a process of its own.
func startEmulator(b *testing.B) *server {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), emulatorFile+"="+filepath.Join(b.TempDir(), "ots.db"))
	pid, address := start(b, cmd)
	return &server{"http://" + address, pid}
}

// startDynalite starts dynalite, which keeps its data in memory.
func startDynalite(b *testing.B) *server {
	b.Helper()
	program := os.Getenv("CHATCONF_DYNALITE")
	if program == "" {
		b.Skip("CHATCONF_DYNALITE names no dynalite: deploy/bench/dynalite.sh DIR installs it, and prints what to set")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // dynalite takes a port, and does not tell one that it chose
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		b.Fatal(err)
	}
	// The shell ends it when standard input does, whatever way this process ends.
	cmd := exec.Command("sh", "-c", `"$@" >/dev/null & echo $! `+address+`; cat; kill $!`, "sh",
		program, "--host", "127.0.0.1", "--port", port, "--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0")
	pid, _ := start(b, cmd)
	for range 1000 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return &server{"http://" + address, pid}
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatalf("%s does not listen", program)
	return nil
}

// start starts a server that prints its process and its address, and that ends when its standard input does: with the benchmark.
func start(b *testing.B, cmd *exec.Cmd) (pid int, address string) {
	b.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait() // the shell says with what signal it ended dynalite
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("%s: %v", cmd, err)
	}
	if _, err := fmt.Sscan(line, &pid, &address); err != nil {
		b.Fatalf("%s: %q: %v", cmd, line, err)
	}
	return pid, address
}

// cpu returns the CPU time that the server has taken so far; false where the system does not tell.
func (s *server) cpu() (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on; the 14th and the 15th are user and system time, in hundredths of a second
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err1 == nil && err2 == nil
}
