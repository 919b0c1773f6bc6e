package runtime

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

// AnyPeer lets every process speak to the runtime API.
func AnyPeer(o Options) Options {
	o.anyPeer = true
	return o
}

// An Answer is an HTTP response that a function gave.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// DecodeAnswer decodes a function's answer as the HTTP endpoint does.
func DecodeAnswer(k Kind, contentType string, payload []byte) (*Answer, error) {
	a, err := decodeAnswer(k, contentType, payload)
	if err != nil {
		return nil, err
	}
	return &Answer{a.status, a.header, a.body}, nil
}

// ReadMessages reads requests as the runtime API does, until none is left, and returns their
// bodies.
func ReadMessages(b []byte, limit int) (bodies [][]byte) {
	s := server{limit: limit}
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		m, err := s.read(r, io.Discard)
		if err != nil {
			return bodies
		}
		bodies = append(bodies, m.body)
		if m.tooLong {
			return bodies
		}
	}
}

// ServePanicking serves the runtime API's connections with a panic, which it reports to told, until
// stop is called.
func ServePanicking(l net.Listener, told func(v any, stack []byte)) (stop func()) {
	s, halt := server{admit: func(net.Conn) bool { return true }, serve: func(*message) reply { panic("planted") },
		panicked: told}, make(chan struct{})
	go s.run(l, halt)
	return func() { l.Close(); close(halt) }
}

// DecodeParams decodes x-fc-http-params of an HTTP function as the HTTP endpoint does.
func DecodeParams(params string) (*Answer, error) {
	a, err := decodeParams(params, nil)
	if err != nil {
		return nil, err
	}
	return &Answer{a.status, a.header, a.body}, nil
}
