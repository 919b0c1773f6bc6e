package lambda_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/serve/lambda"
)

// A platform that answers a registration otherwise than it should is an error, and leaves no connection behind.
func TestRegister(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{"as it should", "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: e-1\r\nContent-Length: 2\r\n\r\n{}", ""},
		{"with a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"},
		{"without an identifier", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "identifier"},
		{"with an identifier that is none", "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: a b\r\nContent-Length: 0\r\n\r\n", "identifier"},
		{"with an identifier that is too long", "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: " + strings.Repeat("a", 129) + "\r\nContent-Length: 0\r\n\r\n", "identifier"},
		{"and closes", "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: e-1\r\nConnection: close\r\n\r\n", "closes"},
		{"half", "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: e-1\r\nContent-Length: 9\r\n\r\n{}", "EOF"},
		{"in another protocol", "220 mail.example ESMTP\r\n", "malformed"},
		{"not at all", "", "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			next := make(chan string, 1)
			go func() {
				next <- platform(l, test.answer, test.want != "")
			}()
			conn, err := lambda.Register(t.Context(), l.Addr().String())
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || conn != nil {
					t.Errorf("Register = %v, %v, want an error with %q", conn, err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := <-next, "GET /2020-01-01/extension/event/next as e-1"; got != want {
				t.Errorf("asked for %q, want %q", got, want)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// platform answers one registration, and returns what it is asked next on the same connection.
func platform(l net.Listener, answer string, last bool) string {
	conn, err := l.Accept()
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	b := bufio.NewReader(conn)
	r, err := http.ReadRequest(b)
	if err != nil {
		return err.Error()
	}
	io.Copy(io.Discard, r.Body)
	io.WriteString(conn, answer)
	if last {
		return ""
	}
	if r, err = http.ReadRequest(b); err != nil {
		return err.Error()
	}
	return r.Method + " " + r.URL.Path + " as " + r.Header.Get("Lambda-Extension-Identifier")
}

// Whoever waits for a registration in vain can give up; where nobody listens there is nothing to wait for.
func TestRegisterInVain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 1))
		cancel()
		io.Copy(io.Discard, conn)
	}()
	if conn, err := lambda.Register(ctx, l.Addr().String()); err == nil {
		t.Errorf("Register = %v, want an error", conn)
	}
	l.Close()
	if conn, err := lambda.Register(t.Context(), l.Addr().String()); err == nil || !strings.HasPrefix(err.Error(), "extension: ") {
		t.Errorf("Register where nobody listens = %v, %v, want an error", conn, err)
	}
}

// What is taken for an identifier can stand in a header as it is.
func FuzzRegistered(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: e-1\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: \x01\r\nContent-Length: 0\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		id, err := lambda.Registered(strings.NewReader(answer))
		if err != nil {
			return
		}
		if id == "" || len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("the identifier is %q", id)
		}
	})
}
