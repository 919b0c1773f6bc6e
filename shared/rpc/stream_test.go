package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
)

// A writing is a streamed answer that some function writes.
type writing struct {
	before error // instead of an answer
	write  func(context.Context, io.Writer) error
	cancel context.CancelFunc // ends the context of send
}

func (s *writing) Stream(ctx context.Context, send func(context.Context, io.WriterTo) error) error {
	if s.before != nil {
		return s.before
	}
	ctx, s.cancel = context.WithCancel(ctx)
	defer s.cancel()
	return send(ctx, writerTo(func(w io.Writer) (int64, error) { return 0, s.write(ctx, w) }))
}

type writerTo func(io.Writer) (int64, error)

func (f writerTo) WriteTo(w io.Writer) (int64, error) { return f(w) }

// streams returns the answer to an action that streams, over a real connection, and what the
// service logged.
func streams(t *testing.T, s *writing) (resp *http.Response, body []byte, log *logBook, err error) {
	t.Helper()
	w := newWorld(t, nil, rpc.NewAction("BackupService",
		func(*chat.Service, context.Context, *struct{}) (*writing, error) { return s, nil }))
	log = new(logBook)
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.handler.ServeHTTP(rw, r.WithContext(invoke.With(r.Context(),
			&invoke.Invocation{RequestID: "request-1", Logger: slog.New(slog.NewTextHandler(log, nil))})))
	}))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Acs-Action", "BackupService")
	req.Header.Set("X-Acs-Version", rpc.Version)
	if err := admin.SignACS3(req, []byte("{}"), w.clock.Now(), w.nonce()); err != nil {
		t.Fatal(err)
	}
	resp, err = server.Client().Do(req)
	if err != nil {
		return nil, nil, log, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	<-ended
	return resp, body, log, err
}

// A streamed answer is sent as it is, in pieces and without the envelope.
func TestStreamedAnswer(t *testing.T) {
	piece := bytes.Repeat([]byte("piece"), 10_000)
	resp, body, log, err := streams(t, &writing{write: func(_ context.Context, w io.Writer) error {
		for range 20 {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil || !bytes.Equal(body, bytes.Repeat(piece, 20)) {
		t.Errorf("the answer has %d bytes, %v", len(body), err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/octet-stream" ||
		resp.Header.Get("X-Acs-Request-Id") == "" {
		t.Errorf("the answer is %d with %v", resp.StatusCode, resp.Header)
	}
	if !strings.Contains(log.String(), "status=200") || strings.Contains(log.String(), "error") {
		t.Errorf("the log has %s", log)
	}
}

// If it ends in the middle, the client sees that, and the log says why.
func TestStreamedAnswerThatFails(t *testing.T) {
	failed := errors.New("the disk failed")
	for about, write := range map[string]func(context.Context, io.Writer) error{
		"at once": func(context.Context, io.Writer) error { return failed },
		"after a piece": func(_ context.Context, w io.Writer) error {
			w.Write(make([]byte, 100_000))
			return failed
		},
	} {
		_, body, log, err := streams(t, &writing{write: write})
		if err == nil {
			t.Errorf("%s: the client got %d bytes and no error", about, len(body))
		}
		if about != "at once" && !strings.Contains(log.String(), failed.Error()) {
			t.Errorf("%s: the log has %s", about, log)
		}
	}
	resp, body, _, err := streams(t, &writing{before: &fault.Error{Code: fault.Unavailable, Err: failed}})
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(body,
		[]byte(`"Code":"ServiceUnavailable"`)) || bytes.Contains(body, []byte("disk")) {
		t.Errorf("an error before the answer = %s, %v", body, err)
	}
}

// A client that reads nothing does not keep the answer open when the context of the copy ends.
func TestStreamedAnswerToAClientThatDoesNotRead(t *testing.T) {
	w := &stuck{header: make(http.Header), released: make(chan struct{})}
	out := new(writing)
	out.write = func(_ context.Context, to io.Writer) error {
		w.cancel = out.cancel
		_, err := to.Write([]byte("piece"))
		return err
	}
	if begun, err := rpc.Stream(t.Context(), w, out); !begun || err != errReleased {
		t.Errorf("Stream = %v, %v", begun, err)
	}
}

var errReleased = errors.New("the deadline has passed")

// stuck is a connection whose client reads nothing: a write ends at its deadline.
type stuck struct {
	header   http.Header
	released chan struct{}
	once     sync.Once
	cancel   context.CancelFunc
}

func (s *stuck) Header() http.Header { return s.header }
func (s *stuck) WriteHeader(int)     {}
func (s *stuck) Write([]byte) (int, error) {
	s.cancel()
	<-s.released
	return 0, errReleased
}
func (s *stuck) SetWriteDeadline(at time.Time) error {
	if !at.IsZero() {
		s.once.Do(func() { close(s.released) })
	}
	return nil
}
