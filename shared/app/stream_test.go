package app_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/rpc"
)

// streams are connections that a test sees.
type streams struct {
	app.StreamParts
	started bool
	closed  bool
	sent    chan string
	broken  error // of Close
}

// Start implements app.Streams.
func (s *streams) Start(context.Context) { s.started = true }

// Send implements app.Streams.
func (s *streams) Send(_ context.Context, of command.Ref, to command.ReplyTo, text string) error {
	s.sent <- of.Name + " " + to.ID + " " + text
	return nil
}

// Close implements app.Streams.
func (s *streams) Close() error {
	_, err := s.Service.OpenConfiguration(context.Background(), command.Ref{Account: app.DefaultAccountID,
		Region: app.DefaultRegion, Name: "ops"})
	s.closed = err == nil // the tables are still open
	return s.broken
}

// An answerer cannot carry an answer.
type answerer struct{}

// Answer implements callback.Answerer.
func (answerer) Answer(*callback.Received, string) (*callback.Response, error) {
	return &callback.Response{Status: http.StatusOK}, nil
}

func TestARoleWithConnections(t *testing.T) {
	s := settings(t)
	s.MaxStreams = 7
	opened := &streams{sent: make(chan string, 1), broken: errors.New("one did not end")}
	l, err := app.OpenLocal(t.Context(), s, app.Everything(rpc.Actions()...).Streaming(
		func(p app.StreamParts) (app.Streams, error) {
			opened.StreamParts = p
			return opened, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	if !opened.started || !opened.Alone || opened.Max != 7 || opened.Transport == nil || opened.Client == nil {
		t.Errorf("opened with %+v", opened)
	}
	_, err = l.Service.Create(caller(t.Context()), &chat.CreateRequest{Name: "ops", Type: "WeChat",
		Configuration: `{"Receive":"Stream","WeChatBotId":"aibexample","WeChatBotSecret":"not-a-real-secret"}`})
	if err != nil {
		t.Fatal(err)
	}
	bots, err := opened.Service.Streams(t.Context())
	if err != nil || len(bots) != 1 {
		t.Fatalf("%+v: %v", bots, err)
	}
	of := bots[0].Ref
	message := &command.Message{ID: "m1", Conversation: "c1", User: "u1", Text: "restart i-1", Sent: time.Now(),
		ReplyTo: command.ReplyTo{Kind: command.ReplyStream, ID: "user/u1"}}
	response := opened.Arrive(t.Context(), of, answerer{}, &callback.Received{Message: message}, nil)
	if response.Status != http.StatusOK {
		t.Fatalf("a message was answered with %d", response.Status)
	}
	if got := <-opened.sent; len(got) < 20 || got[:12] != "ops user/u1 " {
		t.Errorf("sent over the connection: %q", got)
	}
	if err := l.Close(); !errors.Is(err, opened.broken) || !opened.closed {
		t.Errorf("closed %v with the tables open: %v", opened.closed, err)
	}
}

func TestConnectionsThatCannotBeOpened(t *testing.T) {
	broken := errors.New("no connections")
	_, err := app.OpenLocal(t.Context(), settings(t), app.Everything(rpc.Actions()...).Streaming(
		func(app.StreamParts) (app.Streams, error) { return nil, broken }))
	if !errors.Is(err, broken) {
		t.Errorf("opened: %v", err)
	}
}
