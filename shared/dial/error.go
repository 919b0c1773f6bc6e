package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"syscall"
)

// An Error says that a call failed. Its text reveals nothing of the network: no address, no
// resolver. Cause returns more, for a log.
type Error struct {
	What string // what was called or done
	Err  error
}

// NewError returns the Error of a call by net/http. It takes off the *url.Error, which quotes the
// URL.
func NewError(what string, err error) *Error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return &Error{what, err}
}

// Error returns what was called and the kind of the error.
func (e *Error) Error() string { return e.What + ": " + Why(e.Err) }

// Unwrap returns the error of the call.
func (e *Error) Unwrap() error { return e.Err }

// Why returns the kind of an error of the network or of TLS, in words.
func Why(err error) string {
	var lookup *net.DNSError
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var network net.Error
	var proxy *net.OpError
	var refused proxyRefused
	switch {
	case errors.Is(err, ErrForbidden):
		return ErrForbidden.Error()
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &proxy) && proxy.Op == "proxyconnect":
		return "the proxy of HTTPS_PROXY: " + Why(proxy.Err)
	case errors.Is(err, context.Canceled):
		return "the call was canceled"
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "the host name was not found"
	case errors.As(err, &lookup):
		return "the host name could not be looked up"
	case errors.As(err, &unverified):
		return "the certificate is not valid for the host"
	case errors.As(err, &noTLS):
		return "the server does not speak TLS"
	case errors.As(err, &network) && network.Timeout():
		return "there was no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	}
	return "the connection broke, or the answer was not HTTP"
}

// Unsent reports whether an error of a request proves that nothing of it was sent: no connection
// was made, or the certificate of the server was refused.
func Unsent(err error) bool {
	var connect *net.OpError
	var unverified *tls.CertificateVerificationError
	return errors.As(err, &connect) && connect.Op == "dial" || errors.As(err, &unverified) ||
		errors.Is(err, ErrForbidden)
}

// Cause returns the text of the error inside the Error in err, for a log; empty if none.
// net/http quotes a part of an answer that is not HTTP, and an answer may contain anything. So only
// the errors of the network and of TLS are returned.
func Cause(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	var network net.Error
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(e.Err, &network), errors.As(e.Err, &unverified), errors.As(e.Err, &noTLS),
		errors.Is(e.Err, io.EOF), errors.Is(e.Err, context.Canceled), errors.Is(e.Err, syscall.ECONNREFUSED):
		return e.Err.Error()
	}
	return ""
}
