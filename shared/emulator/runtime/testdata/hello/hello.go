// Package hello is a function that follows orders in its event, for tests of the runtimes.
package hello

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// An order selects what an invocation does.
type order struct {
	Do   string
	Arg  string
	Size int

	RawPath string
	Body    string
	Base64  bool `json:"isBase64Encoded"`
}

// Handle executes one order. Without an order it returns hello.
func Handle(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) <= 2 || payload[0] == '[' {
		return []byte(`"hello"`), nil
	}
	var o order
	if err := json.Unmarshal(payload, &o); err != nil {
		return nil, err
	}
	if o.RawPath != "" {
		return serve(o, payload)
	}
	switch o.Do {
	case "echo":
		return payload, nil
	case "error":
		return nil, errors.New(o.Arg)
	case "panic":
		panic(o.Arg)
	case "exit":
		os.Exit(o.Size)
	case "wait": // until the connection ends
		conn, err := net.Dial("tcp", o.Arg)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(conn, os.Getpid())
		io.Copy(io.Discard, conn)
		return []byte(`"waited"`), nil
	case "child": // which outlives the function unless it is killed
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return fmt.Appendf(nil, "%d", cmd.Process.Pid), nil
	case "print":
		fmt.Print(o.Arg)
		fmt.Fprint(os.Stderr, "err:", o.Arg)
		return []byte(`"printed"`), nil
	case "big":
		return json.Marshal(strings.Repeat("x", o.Size-2))
	case "length":
		return fmt.Appendf(nil, "%d", len(payload)), nil
	case "fail-once": // fails until a file exists
		if _, err := os.Stat(o.Arg); err != nil {
			os.WriteFile(o.Arg, nil, 0o600)
			return nil, errors.New("not yet")
		}
		return []byte(`"at last"`), nil
	case "about":
		deadline, _ := ctx.Deadline()
		dir, _ := os.Getwd()
		return json.Marshal(map[string]any{
			"pid": os.Getpid(), "dir": dir, "env": os.Environ(), "left": time.Until(deadline).Milliseconds(),
			"procs": runtime.GOMAXPROCS(0),
		})
	}
	return []byte(`"hello"`), nil
}

// serve answers HTTP with the event itself, or with what the body requests.
func serve(o order, payload []byte) ([]byte, error) {
	if o.RawPath == "/event" {
		return json.Marshal(map[string]any{"statusCode": 200,
			"headers": map[string]string{"Content-Type": "application/json"}, "body": string(payload)})
	}
	if o.RawPath == "/panic" {
		panic("in HTTP")
	}
	if o.Base64 {
		return base64.StdEncoding.DecodeString(o.Body)
	}
	return []byte(o.Body), nil
}

// Start does what the environment requests for the start of a process.
func Start() {
	switch os.Getenv("HELLO_START") {
	case "exit":
		fmt.Println("cannot start")
		os.Exit(7)
	case "hang":
		select {}
	}
	if path := os.Getenv("HELLO_TERM"); path != "" { // ignores SIGTERM
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		go func() {
			<-signals
			Note("SIGTERM")
		}()
	}
}

// Note appends a word to the file of HELLO_NOTES.
func Note(word string) {
	f, err := os.OpenFile(os.Getenv("HELLO_NOTES"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintln(f, word)
}

// A Broken is a stream that ends in an error.
func Broken(text string) io.Reader {
	return io.MultiReader(bytes.NewBufferString(text), broken{})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the stream broke") }
