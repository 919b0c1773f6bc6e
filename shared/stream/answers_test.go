package stream_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/stream/streamtest"
)

// Answers that are sent after the acknowledgement arrive: by the address that came with the
// message, and when that has expired.
func TestLateAnswersArrive(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		s := streamtest.Settings(g.Type)
		var want []string
		for _, direct := range []bool{false, true} {
			c := mustOpen(t, g)
			pushed := startPush(t, g, platformsim.Message{User: "u1", Text: "help", Direct: direct})
			d := c.message(t)
			if err := d.Acknowledge(t.Context(), callback.Acknowledge()); err != nil {
				t.Fatal(err)
			}
			if p := <-pushed; p.err != nil {
				t.Fatal(p.err)
			}
			answers := []string{"at once", "late"}
			sender, err := platform.All().Senders()[g.Type](s, g.Client)
			if over, ok := c.Connection.(callback.Sending); ok {
				answers, sender, err = answers[:1], over, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range answers {
				if err := sender.Send(t.Context(), d.Received.Message.ReplyTo, text); err != nil {
					t.Errorf("%s, direct %v: %v", text, direct, err)
				}
				want = append(want, text)
				time.Sleep(2 * time.Hour) // of the bubble: the address expires, and the connection may end
			}
			_ = c.Close()
			synctest.Wait() // until the gateway knows
		}
		if got := g.Sent(s); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

// The checks of a configuration pass, and its test message arrives.
func TestChecksPassAtTheGateways(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		s := streamtest.Settings(g.Type)
		delete(s, "DingTalkRobotCode") // the gateway does not know which code it has before it is used
		for _, d := range platform.All().Descriptions() {
			for _, setting := range d.Settings {
				if d.Type == g.Type && !setting.Applies(command.ReceiveStream) {
					delete(s, setting.Key)
				}
			}
		}
		open, ok := platform.All().Checkers()[g.Type]
		if !ok {
			t.Skip("the platform has no checks")
		}
		c, err := open(s, g.Client)
		if err != nil {
			t.Skip(err) // such as for a robot of WeCom, which has no calls
		}
		for name, found := range map[string]command.Finding{"Token": c.Token(t.Context()),
			"Scopes": c.Scopes(t.Context()), "Conversation": c.Conversation(t.Context(), "C0EXAMPLE"),
			"Send": c.Send(t.Context(), "C0EXAMPLE", "a test")} {
			if found.State == callback.Failed("").State {
				t.Errorf("%s: %+v", name, found)
			}
		}
		if got := g.Sent(s); !slices.Equal(got, []string{"a test"}) {
			t.Errorf("sent %q", got)
		}
	})
}
