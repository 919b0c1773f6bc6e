package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// cannedFile names the file of the answers that this program is to give. It makes the test's
// program a server of them.
const cannedFile = "CHATCONF_BENCH_CANNED"

// startCanned starts a server that gives every request the emulator's answer to an earlier one of
// the same operation, at once: it verifies nothing, reads no row and signs nothing. No Tablestore
// server can cost its clients less, whatever it is.
func startCanned(b *testing.B) *server {
	b.Helper()
	taker := &answerTaker{Transport: newTransport(b), answers: map[string][]byte{}}
	c := newTablestore(startEmulator(b).url, taker)
	fill(b, c)
	for _, work := range works {
		if err := work.do(c, 0); err != nil {
			b.Fatal(err)
		}
	}
	answers, err := json.Marshal(taker.answers)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "answers.json")
	if err := os.WriteFile(path, answers, 0o600); err != nil {
		b.Fatal(err)
	}
	return startSelf(b, cannedFile+"="+path)
}

// An answerTaker is an SDK's transport, and keeps the last answer of each operation.
type answerTaker struct {
	*http.Transport

	mu      sync.Mutex
	answers map[string][]byte // by path
}

// RoundTrip implements http.RoundTripper.
func (t *answerTaker) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := httputil.DumpResponse(resp, true)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.answers[req.URL.Path] = answer
	t.mu.Unlock()
	return resp, nil
}

// serveCanned serves the answers in a file, and prints its process and its address, until standard
// input ends.
func serveCanned(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var answers map[string][]byte
	if err := json.Unmarshal(text, &answers); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(os.Getpid(), l.Addr())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn, answers)
		}
	}()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return l.Close()
}

// answer answers the requests of one connection. Of a request it reads the path and the length.
func answer(conn net.Conn, answers map[string][]byte) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		_, path, _ := bytes.Cut(line, []byte(" "))
		path, _, _ = bytes.Cut(path, []byte(" "))
		out := answers[string(path)]
		length := 0
		for len(bytes.TrimSpace(line)) > 0 {
			if line, err = in.ReadSlice('\n'); err != nil {
				return
			}
			if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(n))); err != nil {
					return
				}
			}
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// startSelf starts this program as one of its servers: which, and over which file, the environment
// says.
func startSelf(b *testing.B, environment string) *server {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), environment)
	pid, address := start(b, cmd)
	return &server{"http://" + address, pid}
}
