package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// An Error is why a call came to nothing. Its text is made of what it does not know of the network; of what it wraps, Cause is for a log.
type Error struct {
	What string // that was called, or done
	Err  error
}

// Error returns what was called and why that came to nothing.
func (e *Error) Error() string { return e.What + ": " + Why(e.Err) }

// Unwrap returns the error of the call.
func (e *Error) Unwrap() error { return e.Err }

// Why returns the kind of a network's or TLS's error, in words.
func Why(err error) string {
	var lookup *net.DNSError
	var stranger *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "the call was cut off"
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "the host name was not found"
	case errors.As(err, &lookup):
		return "the host name could not be looked up"
	case errors.As(err, &stranger):
		return "the certificate does not prove that it is the host"
	case errors.As(err, &noTLS):
		return "what answered does not speak TLS"
	case errors.As(err, &network) && network.Timeout():
		return "there was no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	}
	return "the connection broke, or what answered was not HTTP"
}

// Cause returns the text of what the Error in err wraps, for a log; empty if there is none. Of an answer that is none net/http would quote some,
// and an answer may hold anything: only what the network and TLS say is returned.
func Cause(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	var network net.Error
	var stranger *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(e.Err, &network), errors.As(e.Err, &stranger), errors.As(e.Err, &noTLS),
		errors.Is(e.Err, io.EOF), errors.Is(e.Err, context.Canceled), errors.Is(e.Err, syscall.ECONNREFUSED):
		return e.Err.Error()
	}
	return ""
}
