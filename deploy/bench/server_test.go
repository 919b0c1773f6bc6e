package bench_test

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	keyID     = "test-key"
	keySecret = "test-secret"
)

// Nearly all that the clients of this program have in memory is their requests, and so Go's default
// would have the collector run more often than in a program that has something of its own.
const gcPercent = 400

func TestMain(m *testing.M) {
	debug.SetGCPercent(gcPercent)
	if path := os.Getenv(cannedFile); path != "" {
		if err := serveCanned(path); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// A server is a process that is measured.
type server struct {
	url string
	pid int
}

// startEmulator starts the emulator as people do, over a new directory.
func startEmulator(b *testing.B) *server {
	b.Helper()
	dir := b.TempDir()
	program := filepath.Join(dir, "chatconf")
	if out, err := exec.Command("go", "build", "-o", program, "chatconf/deploy/chatconf").CombinedOutput(); err != nil {
		b.Fatalf("build chatconf: %v\n%s", err, out)
	}
	host, port := freePort(b)
	return startProgram(b, host, port, []string{"CHATCONF_ACCESS_KEY_ID=" + keyID,
		"CHATCONF_ACCESS_KEY_SECRET=" + keySecret},
		program, "ots", "--addr", net.JoinHostPort(host, port), "--data", filepath.Join(dir, "data"))
}

// startDynalite starts dynalite, which keeps its data in memory.
func startDynalite(b *testing.B) *server {
	b.Helper()
	program := os.Getenv("CHATCONF_DYNALITE")
	if program == "" {
		b.Skip("CHATCONF_DYNALITE names no dynalite: deploy/bench/dynalite.sh DIR installs it, and prints what to set")
	}
	host, port := freePort(b)
	return startProgram(b, host, port, nil,
		program, "--host", host, "--port", port, "--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0")
}

// freePort returns a port that nobody listens on: dynalite does not tell one that it chose.
func freePort(b *testing.B) (host, port string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	host, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return host, port
}

// startProgram starts a program that is to listen on a port, and waits until it does.
func startProgram(b *testing.B, host, port string, environment []string, program ...string) *server {
	b.Helper()
	address := net.JoinHostPort(host, port)
	// The shell ends it when standard input does, whatever way this process ends.
	cmd := exec.Command("sh", append([]string{"-c", `"$@" >/dev/null & echo $! ` + address +
		`; cat; kill $!; wait`, "sh"}, program...)...)
	cmd.Env = append(os.Environ(), environment...)
	pid, _ := start(b, cmd)
	for range 1000 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return &server{"http://" + address, pid}
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatalf("%s does not listen", program[0])
	return nil
}

// start starts a server that prints its process and its address, and that ends when its standard
// input does: with the benchmark.
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
	// from the third on; the 14th and the 15th are user and system time, in hundredths of a second
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err1 == nil && err2 == nil
}
