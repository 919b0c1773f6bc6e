package cloudtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// motoVariable is the environment variable with the path of moto's server. Without it, the
	// server is searched in PATH.
	motoVariable = "CHATCONF_MOTO_SERVER"
	// requireVariable set to 1 makes a test fail if a program that it needs is absent.
	requireVariable = "CHATCONF_REQUIRE_EXTERNAL"
)

// moto is the one server of a test binary.
var moto = sync.OnceValues(startMoto)

// Moto returns the address of moto's server, an emulator of AWS. It runs until the test binary
// ends, even if that is killed. Without moto, t is skipped, or fails where moto is required.
func Moto(t testing.TB) string {
	t.Helper()
	endpoint, err := moto()
	if err != nil {
		if os.Getenv(requireVariable) == "1" {
			t.Fatalf("moto's server is required: %v", err)
		}
		t.Skipf("no moto server, which %s may name: %v", motoVariable, err)
	}
	return endpoint
}

var running = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)

func startMoto() (endpoint string, err error) {
	program := os.Getenv(motoVariable)
	if program == "" {
		program = "moto_server"
	}
	if program, err = exec.LookPath(program); err != nil {
		return "", err
	}
	// A shell ends the server when the pipe to this process closes. So the server ends with this
	// process, even if that is killed.
	const script = `exec 3<&0; "$@" 3<&- & server=$!; { cat <&3; kill $server; } >/dev/null 2>&1 & wait $server`
	cmd := exec.Command("sh", "-c", script, "sh", program, "-H", "127.0.0.1", "-p", "0")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var said strings.Builder
	found := make(chan string, 1)
	go func() {
		defer close(found)
		defer stdin.Close() // the server ends with it, so it must not be collected before
		for lines := bufio.NewScanner(io.TeeReader(stderr, &said)); lines.Scan(); {
			if match := running.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
				io.Copy(io.Discard, stderr)
				return
			}
		}
	}()
	select {
	case endpoint = <-found:
	case <-time.After(time.Minute):
	}
	if endpoint == "" {
		stdin.Close()
		cmd.Wait()
		return "", fmt.Errorf("%s did not start: %.500s", program, said.String())
	}
	return endpoint, nil
}
