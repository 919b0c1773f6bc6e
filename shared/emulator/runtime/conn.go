package runtime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"runtime/debug"
	"strconv"
	"strings"
)

// A server implements the part of HTTP/1.1 that runtimes use. With net/http's server an invocation
// takes twice the CPU time in the host.
type server struct {
	serve    func(*message) reply
	admit    func(net.Conn) bool       // reports whether a connection is served
	limit    int                       // of a body
	panicked func(v any, stack []byte) // called after a panic of serve, which ends only its connection
}

// A message is one request to the API.
type message struct {
	method, path                            string
	contentType, extensionName, extensionID string
	httpParams                              string // of an HTTP function of FC
	body                                    []byte
	tooLong                                 bool   // the body is over the limit and was not read
	brokenType, brokenBody                  string // of the trailers
	length                                  int64  // -1 if not announced
	chunked, closing, continued             bool
	err                                     error
	isAlive                                 func() bool // reports whether the client still waits for the reply
}

// A reply is the answer to a message.
type reply struct {
	status int
	header func([]byte) []byte // appends header lines; may be nil
	body   []byte
	failed func() // called if the reply cannot be sent; may be nil
	silent bool   // no reply: the connection ends
}

// run serves the connections of l until l is closed, and then closes them.
func (s *server) run(l net.Listener, halt <-chan struct{}) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			over := make(chan struct{})
			go func() {
				select {
				case <-halt:
				case <-over:
				}
				conn.Close()
			}()
			defer close(over)
			defer func() {
				if v := recover(); v != nil {
					s.panicked(v, debug.Stack())
				}
			}()
			if s.admit(conn) {
				s.converse(conn)
			}
		}()
	}
}

// converse answers the messages of one connection in order.
func (s *server) converse(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 4<<10)
	var out []byte
	alive := func() bool { return isAlive(conn) }
	for {
		m, err := s.read(r, conn)
		if err != nil {
			return
		}
		m.isAlive = alive
		a := s.serve(m)
		if a.silent {
			return
		}
		closing := m.closing || m.tooLong
		out = appendHead(out[:0], &a, closing)
		if len(a.body) <= 64<<10 {
			out = append(out, a.body...)
			_, err = conn.Write(out)
		} else {
			_, err = (&net.Buffers{out, a.body}).WriteTo(conn)
		}
		if err != nil && a.failed != nil {
			a.failed()
		}
		if err != nil || closing {
			return
		}
	}
}

func appendHead(b []byte, a *reply, closing bool) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(a.status)...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(a.body)), 10)
	b = append(b, "\r\n"...)
	if closing {
		b = append(b, "Connection: close\r\n"...)
	}
	if a.header != nil {
		b = a.header(b)
	}
	return append(b, "\r\n"...)
}

// appendHeader appends a header line. A value with a line break is left out.
func appendHeader(b []byte, name, value string) []byte {
	if !plainHeader(value) {
		return b
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// maxHead limits the head of a request. aws-lambda-go sends errors of up to 1 MiB in one header.
const maxHead = 2 << 20

var errHead = errors.New("the request head is invalid or too long; use HTTP/1.1")

// read reads one message.
func (s *server) read(r *bufio.Reader, w io.Writer) (*message, error) {
	left := maxHead
	line, err := readLine(r, &left)
	if err != nil {
		return nil, err
	}
	m := &message{length: -1}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || string(version) != "HTTP/1.1" {
		return nil, errHead
	}
	m.method = string(method)
	path, _, _ := bytes.Cut(target, []byte("?"))
	m.path = string(path)
	if err := readFields(r, &left, m.field); err != nil {
		return nil, err
	}
	if m.err != nil {
		return nil, m.err
	}
	if m.continued && m.length <= int64(s.limit) {
		if _, err := io.WriteString(w, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return nil, err
		}
	}
	return m, s.readBody(r, m)
}

// field handles a header line.
func (m *message) field(name, value []byte) {
	switch {
	case is(name, "content-length"):
		n, err := strconv.ParseUint(string(value), 10, 62)
		if err != nil || m.length >= 0 && m.length != int64(n) {
			m.err = errHead
		}
		m.length = int64(n)
	case is(name, "transfer-encoding"):
		if m.chunked = is(value, "chunked"); !m.chunked {
			m.err = errHead
		}
	case is(name, "connection"):
		m.closing = is(value, "close")
	case is(name, "expect"):
		m.continued = is(value, "100-continue")
	case is(name, "content-type"):
		m.contentType = string(value)
	case is(name, "x-fc-http-params"):
		m.httpParams = string(value)
	case is(name, "lambda-extension-name"):
		m.extensionName = string(value)
	case is(name, "lambda-extension-identifier"):
		m.extensionID = string(value)
	}
	if m.chunked && m.length >= 0 { // RFC 9112, section 6.1: request smuggling
		m.err = errHead
	}
}

// trailer handles a line after a body.
func (m *message) trailer(name, value []byte) {
	switch {
	case is(name, "lambda-runtime-function-error-type"):
		m.brokenType = string(value)
	case is(name, "lambda-runtime-function-error-body"):
		m.brokenBody = string(value)
	}
}

// is compares with a lower-case word, ignoring case.
func is(b []byte, word string) bool {
	return len(b) == len(word) && strings.EqualFold(string(b), word)
}

// readBody reads the body of a message, at most up to the limit.
func (s *server) readBody(r *bufio.Reader, m *message) error {
	if !m.chunked {
		if m.length <= 0 {
			return nil
		}
		if m.length > int64(s.limit) {
			m.tooLong = true
			return nil
		}
		m.body = make([]byte, m.length)
		_, err := io.ReadFull(r, m.body)
		return err
	}
	body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(r), int64(s.limit)+1))
	if err != nil {
		return err
	}
	if m.body = body; len(body) > s.limit {
		m.body, m.length, m.tooLong = nil, int64(len(body)), true
		return nil
	}
	left := maxHead
	return readFields(r, &left, m.trailer)
}

// readFields reads lines of name and value up to an empty line.
func readFields(r *bufio.Reader, left *int, take func(name, value []byte)) error {
	for {
		line, err := readLine(r, left)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || line[0] == ' ' || line[0] == '\t' || bytes.ContainsAny(name, " \t") {
			return errHead
		}
		take(name, bytes.Trim(value, " \t"))
	}
}

// readLine reads and counts a line. The line is valid until the next read.
func readLine(r *bufio.Reader, left *int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := bytes.Clone(line)
		for err == bufio.ErrBufferFull && len(long) <= *left {
			line, err = r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if err != nil {
		return nil, err
	}
	if *left -= len(line); *left < 0 {
		return nil, errHead
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}
