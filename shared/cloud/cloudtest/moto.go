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
	// motoVariable names the environment variable with the path of moto's server; without it, it is
	// looked for in PATH.
	motoVariable = "CHATCONF_MOTO_SERVER"
	// requireVariable set to 1 makes it an error that programs which tests need are absent.
	requireVariable = "CHATCONF_REQUIRE_EXTERNAL"
)

// moto is the one server of a test binary.
var moto = sync.OnceValues(startMoto)

// Moto returns the address of moto's server, a stand-in for AWS that runs to the end of the test
// binary, whatever that is. It skips t, or fails it where it is required, if there is none.
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
	// A shell stands between, which ends the server when this process has ended, in any way, and
	// with it this end of a pipe.
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
