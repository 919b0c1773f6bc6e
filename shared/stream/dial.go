package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/dial"
	"chatconf/shared/invoke"
	"chatconf/shared/platform/callback"
)

// Limits of a connection. A gateway that does not answer a ping in time is gone. Only a ping finds
// that out: a half-open connection shows no error.
const (
	maxMessage = 1 << 20 // bytes of a message
	openTime   = 15 * time.Second
	pingEvery  = 30 * time.Second
	pongTime   = 15 * time.Second
	writeTime  = 10 * time.Second
	closeTime  = 2 * time.Second
)

// A dialer opens WebSocket connections.
type dialer struct{ http *http.Client }

// NewDialer returns a Dialer that connects as the transport does, by its proxy and with its roots.
// It follows no redirects.
func NewDialer(transport http.RoundTripper) callback.Dialer {
	return dialer{&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errHost is the error of an address of a platform to which chatconf does not connect.
var errHost = errors.New("the address is not wss at one of the platform's hosts")

// allows reports whether one of hosts is the host, or begins with a dot and is a parent of it.
func allows(hosts []string, host string) bool {
	return slices.ContainsFunc(hosts, func(allowed string) bool {
		return host == allowed || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed)
	})
}

// Dial implements callback.Dialer. It rejects a URL with a user, a fragment, a scheme other than
// wss, a port other than 443, or a host that is not in Hosts.
func (d dialer) Dial(ctx context.Context, to callback.Dial) (callback.Socket, error) {
	u, err := url.Parse(to.URL.Reveal())
	if err != nil || u.Scheme != "wss" || u.User != nil || u.Opaque != "" || u.Fragment != "" ||
		u.Port() != "" && u.Port() != "443" || !allows(to.Hosts, u.Hostname()) {
		return nil, fmt.Errorf("%s: %w", to.What, errHost) // url.Error would quote the URL
	}
	header := make(http.Header, len(to.Headers))
	for name, value := range to.Headers {
		header.Set(name, value.Reveal())
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, to.URL.Reveal(), &websocket.DialOptions{HTTPClient: d.http,
		HTTPHeader: header})
	switch {
	case err != nil && response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		if code := response.Header.Get(to.CodeHeader); code != "" {
			return nil, &callback.CallError{What: to.What, Code: code, Status: response.StatusCode, Again: true}
		}
		return nil, fmt.Errorf("%s: the answer has status %d and opens no WebSocket; a proxy or a firewall in between "+
			"may not let it through", to.What, response.StatusCode)
	case err != nil:
		return nil, dial.NewError(to.What, err)
	}
	conn.SetReadLimit(maxMessage)
	s := &socket{conn: conn, what: to.What, kind: websocket.MessageText, done: make(chan struct{})}
	if to.Binary {
		s.kind = websocket.MessageBinary
	}
	go s.watch()
	return s, nil
}

// A socket is a WebSocket connection that pings the other side.
type socket struct {
	conn *websocket.Conn
	what string
	kind websocket.MessageType
	once sync.Once
	done chan struct{} // closed by Close
}

// watch pings the other side until the connection ends, and closes it if there is no answer.
func (s *socket) watch() {
	var panicked error
	defer invoke.Recover("stream", &panicked)
	timer := time.NewTicker(pingEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), pongTime)
		err := s.conn.Ping(ctx)
		cancel()
		if err != nil {
			_ = s.conn.CloseNow()
			return
		}
	}
}

// Read implements callback.Socket.
func (s *socket) Read(ctx context.Context) ([]byte, error) {
	kind, message, err := s.conn.Read(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, s.ended(err)
	case kind != s.kind:
		return nil, &callback.Ended{Reason: fmt.Sprintf("%s: the platform sent a message of type %v, not %v", s.what,
			kind, s.kind)}
	}
	return message, nil
}

// ended returns why the connection ended.
func (s *socket) ended(err error) error {
	var closed websocket.CloseError
	var why string
	switch {
	case errors.As(err, &closed):
		why = fmt.Sprintf("the platform closed the connection with code %d", closed.Code)
	case errors.Is(err, websocket.ErrMessageTooBig):
		why = fmt.Sprintf("the platform sent a message of more than %d bytes", maxMessage)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		why = "the connection broke"
	default:
		why = dial.Why(err)
	}
	return &callback.Ended{Reason: s.what + ": " + why}
}

// Write implements callback.Socket.
func (s *socket) Write(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	if err := s.conn.Write(ctx, s.kind, message); err != nil {
		return s.ended(err)
	}
	return nil
}

// Close implements callback.Socket. It may be called more than once.
func (s *socket) Close() error {
	s.once.Do(func() {
		close(s.done)
		ended := time.AfterFunc(closeTime, func() { _ = s.conn.CloseNow() })
		defer ended.Stop()
		_ = s.conn.Close(websocket.StatusNormalClosure, "")
	})
	return nil
}
