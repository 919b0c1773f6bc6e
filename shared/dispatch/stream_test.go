package dispatch_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/webhook/webhooktest"
)

// silent is a connection that carries no answer.
type silent struct{}

// Answer implements callback.Answerer.
func (silent) Answer(*callback.Received, string) (*callback.Response, error) {
	return callback.Acknowledge(), nil
}

// beginStream is begin for a message over a connection, which is closed then.
func beginStream(t *testing.T, text string) *scene {
	t.Helper()
	p := webhooktest.New(t).Process()
	s := &scene{Process: p, outside: new(outside)}
	p.Create("ops", "WeChat", platformtest.Settings("WeChat"), `"Receive":"Stream"`, `"WeChatBotId":"aibexample"`,
		`"WeChatBotSecret":"not-a-real-secret"`, toHTTP, webhooktest.Open)
	s.d = s.dispatcher(p)
	s.refuses = errors.New("only the process that holds the connection can send this answer")
	bots, err := p.Service.Streams(p.As())
	if err != nil || len(bots) != 1 {
		t.Fatalf("%+v: %v", bots, err)
	}
	m := &command.Message{ID: "m1", Conversation: "u1", User: "u1", Direct: true, Text: text, Sent: p.Now(),
		ReplyTo: command.ReplyTo{Kind: command.ReplyStream, ID: "user/u1"}}
	h := p.Handler(func(_ context.Context, ref command.Ref) error { s.ref = ref; return nil })
	if out := h.Arrive(p.Context(), bots[0].Ref, silent{}, &callback.Received{Message: m}, nil); out.Status !=
		http.StatusOK || s.ref.ID == "" {
		t.Fatalf("%d %s", out.Status, p.Log())
	}
	p.Log()
	s.dispatch()
	return s
}

// redrive redrives once a minute.
func (s *scene) redrive(minutes int) {
	s.Helper()
	for range minutes {
		s.Advance(time.Minute)
		if _, err := s.d.Redrive(s.Context()); err != nil {
			s.Error(err)
		}
	}
}

// Functions and other processes also try an answer that only one process can send, and WeCom's
// connection may be away for minutes. That must not use the attempts up.
func TestAnAnswerWaitsForItsConnection(t *testing.T) {
	for _, text := range []string{"help", "restart i-1"} {
		s := beginStream(t, text)
		s.redrive(15)
		if c := s.command(); c.Outcome != "Pending" || len(s.sent) > 0 {
			t.Errorf("%s: record = %+v, sent = %q", text, c, s.sent)
		}
		s.refuses = nil
		s.redrive(1)
		if c := s.command(); c.Outcome != "Delivered" || !c.Answered || len(s.sent) != 1 || len(s.events) > 1 {
			t.Errorf("%s: record = %+v, sent = %q, events = %v", text, c, s.sent, s.events)
		}
		s = beginStream(t, text)
		s.redrive(60)
		c := s.command()
		if want := map[string]string{"help": "Failed", "restart i-1": "Delivered"}[text]; string(c.Outcome) != want ||
			c.Answered || len(s.sent) > 0 || len(s.events) > 1 {
			t.Errorf("%s: in the end: record = %+v, events = %v", text, c, s.events)
		}
	}
}
