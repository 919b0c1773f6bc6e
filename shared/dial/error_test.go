package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"chatconf/shared/dial"
)

func TestWhy(t *testing.T) {
	failed := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://planted.example.com",
			Err: &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 255, 255, 53)}, Err: err}}
	}
	for want, errs := range map[string][]error{
		"the host name was not found": {
			failed(&net.DNSError{Err: "no such host", Name: "planted", Server: "10.255.255.53:53", IsNotFound: true})},
		"the host name could not be looked up": {
			failed(&net.DNSError{Err: "planted", Server: "10.255.255.53:53", IsTimeout: true})},
		"the connection was refused": {
			failed(&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED})},
		"there was no answer in time": {failed(os.ErrDeadlineExceeded),
			fmt.Errorf("planted: %w", context.DeadlineExceeded)},
		"the address is not a public one": {failed(dial.ErrForbidden)},
		"the call was canceled":           {failed(context.Canceled)},
		"the certificate is not valid for the host": {
			failed(&tls.CertificateVerificationError{Err: errors.New("planted")})},
		"the server does not speak TLS":                    {failed(tls.RecordHeaderError{Msg: "planted"})},
		"the connection broke, or the answer was not HTTP": {failed(syscall.ECONNRESET), io.EOF},
	} {
		for _, err := range errs {
			e := &dial.Error{What: "the endpoint", Err: err}
			if got := e.Error(); got != "the endpoint: "+want {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
			if !errors.Is(e, err) && err != nil {
				t.Errorf("%v is not in it", err)
			}
			wrapped := fmt.Errorf("the answer was not sent: %w", e)
			if got := dial.Cause(wrapped); got == "" || strings.Contains(wrapped.Error(), "planted") {
				t.Errorf("Cause = %q, and %q", got, wrapped)
			}
		}
	}
	for err, want := range map[error]bool{
		failed(os.ErrDeadlineExceeded): true,
		failed(dial.ErrForbidden):      true,
		&url.Error{Op: "Post", Err: &tls.CertificateVerificationError{Err: errors.New("x")}}: true,
		&url.Error{Op: "Post", Err: dial.ErrForbidden}:                                       true,
		&url.Error{Op: "Post", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}:       false,
		&url.Error{Op: "Post", Err: io.EOF}:                                                  false,
		context.DeadlineExceeded:                                                             false,
	} {
		if got := dial.Unsent(err); got != want {
			t.Errorf("Unsent(%v) = %v", err, got)
		}
	}
	quoted := &url.Error{Op: "Post", URL: "https://planted.example.com", Err: io.EOF}
	if e := dial.NewError("the endpoint", fmt.Errorf("more: %w", quoted)); e.Err != io.EOF || e.What != "the endpoint" {
		t.Errorf("NewError keeps %v, which quotes the URL", e.Err)
	}
	for _, err := range []error{errors.New("another"), &dial.Error{What: "the endpoint"},
		&dial.Error{What: "the endpoint", Err: errors.New(`malformed HTTP response "planted"`)}} {
		if got := dial.Cause(err); got != "" {
			t.Errorf("Cause of %v = %q, want nothing, as it may quote an answer", err, got)
		}
		if strings.Contains(err.Error(), "planted") {
			t.Errorf("%v quotes an answer", err)
		}
	}
}
