package stream_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/dispatch"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/stream/streamtest"
	"chatconf/shared/webhook/webhooktest"
)

// overAll runs a test with the gateway of every platform to which chatconf opens connections, in a
// bubble.
func overAll(t *testing.T, test func(*testing.T, *streamtest.Gateway)) {
	for _, name := range streamable(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, startGateway(t, name)) })
		})
	}
}

// streamable returns the types of the platforms to which chatconf opens connections.
func streamable(t *testing.T) []string {
	t.Helper()
	types := slices.Sorted(maps.Keys(platform.All().Streams()))
	if len(types) == 0 {
		t.Fatal("there is no platform to connect to")
	}
	return types
}

// startGateway starts a gateway whose time begins when a webhooktest.World does.
func startGateway(t *testing.T, name string) *streamtest.Gateway {
	t.Helper()
	began := time.Now()
	return streamtest.Start(t, name, func() time.Time { return webhooktest.Start.Add(time.Since(began)) })
}

// again is a mode in which a platform delivers again what is not acknowledged, if its first one is
// not.
var again = map[string]string{"Slack": "event"}

// deliversOnce are the platforms that deliver a message once, whatever becomes of it.
var deliversOnce = map[string]bool{"WeChat": true}

// byBothWays is the mode of callbacks in which a platform also delivers over connections, if it is
// not the first one.
var byBothWays = map[string]string{"WeChat": "aibot"}

// An opened connection is read until it ends, since some answers to what is written come to Next.
type opened struct {
	callback.Connection
	deliveries chan *callback.Delivery
	err        error // why it ended; set when deliveries is closed
}

// openStream opens a connection with settings, by a dialer.
func openStream(t *testing.T, g *streamtest.Gateway, s callback.Settings, d callback.Dialer) (*opened, error) {
	t.Helper()
	made, err := platform.All().Streams()[g.Type](s, g.Client)
	if err != nil {
		t.Fatal(err)
	}
	c, err := made.Open(t.Context(), d)
	if err != nil {
		return nil, err
	}
	o := &opened{Connection: c, deliveries: make(chan *callback.Delivery, 16)}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		defer close(o.deliveries)
		for {
			delivered, err := c.Next(t.Context())
			if err != nil {
				o.err = err
				return
			}
			o.deliveries <- delivered
		}
	}()
	return o, nil
}

// mustOpen opens a connection with the right settings.
func mustOpen(t *testing.T, g *streamtest.Gateway) *opened {
	t.Helper()
	o, err := openStream(t, g, streamtest.Settings(g.Type), g.Dialer)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// patience is how long tests wait for what must come.
const patience = time.Hour

// A push is what came of a message.
type push struct {
	platformsim.Pushed
	err error
}

// startPush delivers a message to a bot.
func startPush(t *testing.T, g *streamtest.Gateway, m platformsim.Message) <-chan push {
	t.Helper()
	out := make(chan push, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p, err := g.Push(ctx, streamtest.Settings(g.Type), m)
		out <- push{p, err}
	}()
	return out
}

// message returns the next delivery, which must be a message.
func (o *opened) message(t *testing.T) *callback.Delivery {
	t.Helper()
	select {
	case d := <-o.deliveries:
		if d == nil || d.Refused != nil || d.Received == nil || d.Received.Message == nil || d.Acknowledge == nil {
			t.Fatalf("%+v, %v", d, o.err)
		}
		return d
	case <-time.After(patience):
		t.Fatal("nothing was delivered")
	}
	return nil
}

// answer answers a message.
func (o *opened) answer(t *testing.T, d *callback.Delivery) {
	t.Helper()
	r, err := o.Answer(d.Received, "done")
	if err == nil {
		err = d.Acknowledge(t.Context(), r)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAMessageComesOverAConnection(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		c := mustOpen(t, g)
		m := platformsim.Message{ID: "m1", User: "u1", Text: "restart i-1"}
		pushed := startPush(t, g, m)
		d := c.message(t)
		if got := d.Received.Message; got.Text != m.Text || got.User != m.User || got.Sent.IsZero() {
			t.Errorf("%+v", got)
		}
		answer, err := c.Answer(d.Received, "done")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Acknowledge(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		p := <-pushed
		if p.err != nil || p.Deliveries != 1 || p.Again {
			t.Errorf("%+v", p)
		}
		if answer.Carries != (p.Answer == "done") {
			t.Errorf("the answer carries the text: %v; the platform shows %q", answer.Carries, p.Answer)
		}
		if n := g.Connections(streamtest.Settings(g.Type)); n != 1 {
			t.Errorf("there are %d connections", n)
		}
	})
}

// A message has one identity, whether it comes to the webhook or over a connection.
func TestAMessageIsTheSameByBothWays(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		s := streamtest.Settings(g.Type)
		receiver, err := platform.All().Receivers()[g.Type](s)
		if err != nil {
			t.Fatal(err)
		}
		c := mustOpen(t, g)
		m := platformsim.Message{ID: "m1", User: "u1", Text: "restart i-1"}
		made, err := (&platformsim.Maker{Settings: s, Now: webhooktest.Start}).Make(g.Type, byBothWays[g.Type], m)
		if err != nil {
			t.Fatal(err)
		}
		byWebhook, err := receiver.Receive(made.Received(webhooktest.Start))
		if err != nil || byWebhook.Message == nil {
			t.Fatalf("%+v, %v", byWebhook, err)
		}
		pushed := startPush(t, g, m)
		d := c.message(t)
		want, got := byWebhook.Message, d.Received.Message
		if got.ID != want.ID || got.User != want.User || got.Conversation != want.Conversation ||
			got.Text != want.Text || got.Direct != want.Direct {
			t.Errorf("over the connection %+v, by webhook %+v", got, want)
		}
		if err := d.Acknowledge(t.Context(), callback.Acknowledge()); err != nil {
			t.Error(err)
		}
		if p := <-pushed; p.err != nil {
			t.Error(p.err)
		}
	})
}

func TestAPlatformThatRefusesTheSecretIsNotAskedAgain(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		_, err := openStream(t, g, streamtest.Wrong(g.Type), g.Dialer)
		if err == nil || dispatch.Retryable(err) {
			t.Errorf("%v", err)
		}
		for _, value := range streamtest.Wrong(g.Type) {
			if err != nil && len(value) > 8 && strings.Contains(value.Reveal(), "real") &&
				strings.Contains(err.Error(), value.Reveal()) {
				t.Errorf("the error has a secret: %v", err)
			}
		}
		if n := g.Connections(streamtest.Settings(g.Type)); n != 0 {
			t.Errorf("there are %d connections", n)
		}
		if open, _ := g.Sockets(); open != 0 {
			t.Errorf("%d sockets are open", open)
		}
	})
}

func TestAMessageThatWasNotRecordedComesAgain(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		if deliversOnce[g.Type] {
			t.Skip("the platform delivers a message once")
		}
		c := mustOpen(t, g)
		pushed := startPush(t, g, platformsim.Message{ID: "m1", User: "u1", Text: "help", Mode: again[g.Type]})
		d := c.message(t)
		if err := d.Acknowledge(t.Context(), &callback.Response{Status: http.StatusServiceUnavailable,
			Body: []byte("unavailable\n")}); err != nil {
			t.Fatal(err)
		}
		second := c.message(t)
		if second.Received.Message.ID != d.Received.Message.ID {
			t.Errorf("ids %q and %q", d.Received.Message.ID, second.Received.Message.ID)
		}
		if err := second.Acknowledge(t.Context(), callback.Acknowledge()); err != nil {
			t.Fatal(err)
		}
		if p := <-pushed; p.err != nil || p.Deliveries != 2 || p.Again {
			t.Errorf("%+v", p)
		}
	})
}

// An intruder is a dialer of connections over which the platform also sends a frame of the test.
type intruder struct {
	callback.Dialer
	frame chan []byte
}

type intruded struct {
	callback.Socket
	by *intruder
}

func (i *intruder) Dial(ctx context.Context, d callback.Dial) (callback.Socket, error) {
	s, err := i.Dialer.Dial(ctx, d)
	return intruded{s, i}, err
}

func (s intruded) Read(ctx context.Context) ([]byte, error) {
	select {
	case frame := <-s.by.frame:
		return frame, nil
	default:
		return s.Socket.Read(ctx)
	}
}

// Garbage is refused or ignored, or it ends the connection. It is no message, and holds up none.
func TestGarbageOverAConnection(t *testing.T) {
	garbage := []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "{", "null", "[]", "{}", `"x"`, "1",
		`{"type":1,"headers":[],"data":{}}`, `{"type":null,"payload":null,"envelope_id":"e"}`,
		`{"cmd":"x","headers":{"req_id":"x"},"body":"x"}`, strings.Repeat("[", 10_000),
		"\x2a\xff\xff\xff\xff\x0f", "\x08\x01\x10\x02\x18\x03\x20\x01\x42\x00"}
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		for n, frame := range garbage {
			i := &intruder{g.Dialer, make(chan []byte, 1)}
			c, err := openStream(t, g, streamtest.Settings(g.Type), i)
			if err != nil {
				t.Fatal(err)
			}
			i.frame <- []byte(frame) // it comes after the frame that is read now
			id := fmt.Sprint("m", n)
			first := startPush(t, g, platformsim.Message{ID: id, User: "u1", Text: "help", Mode: again[g.Type]})
			second := startPush(t, g, platformsim.Message{ID: id + "x", User: "u1", Text: "help", Mode: again[g.Type]})
			var results []push
			for len(results) < 2 {
				select {
				case p := <-first:
					results = append(results, p)
				case p := <-second:
					results = append(results, p)
				case d, ok := <-c.deliveries:
					if !ok {
						var ended *callback.Ended
						if !errors.As(c.err, &ended) {
							t.Errorf("%q: %v", frame, c.err)
						}
						_ = c.Close()
						c = mustOpen(t, g)
						continue
					}
					status := http.StatusOK
					if d.Refused != nil {
						status = http.StatusUnauthorized
					}
					if d.Received != nil && d.Received.Message != nil && d.Received.Message.Text != "help" {
						t.Errorf("%q is the message %+v", frame, d.Received.Message)
					}
					if d.Acknowledge != nil {
						// If this fails, the connection has ended, and what was said comes again.
						_ = d.Acknowledge(t.Context(), &callback.Response{Status: status})
					}
				}
			}
			for _, p := range results {
				if p.err != nil {
					t.Errorf("%q: %v", frame, p.err)
				}
			}
			if len(i.frame) > 0 {
				t.Errorf("%q was not read", frame)
			}
			_ = c.Close()
			synctest.Wait()
		}
	})
}

// A message comes in parts, where a platform does that, and in any order.
func TestAMessageInParts(t *testing.T) {
	tested := 0
	for _, how := range []platformsim.Disturbance{platformsim.Split, platformsim.Shuffle} {
		overAll(t, func(t *testing.T, g *streamtest.Gateway) {
			c := mustOpen(t, g)
			if g.Disturb(streamtest.Settings(g.Type), how) != nil {
				t.Skip("the platform sends a message in one frame")
			}
			tested++
			text := "restart " + strings.Repeat("重启", 100)
			pushed := startPush(t, g, platformsim.Message{ID: "m1", User: "u1", Text: text})
			d := c.message(t)
			if got := d.Received.Message.Text; got != text {
				t.Errorf("%q", got)
			}
			if err := d.Acknowledge(t.Context(), callback.Acknowledge()); err != nil {
				t.Fatal(err)
			}
			if p := <-pushed; p.err != nil || p.Deliveries != 1 {
				t.Errorf("%+v", p)
			}
		})
	}
	if tested == 0 {
		t.Error("no platform sends parts")
	}
}

// WeCom counts only the pings of its own protocol.
func TestWeComEndsAConnectionThatDoesNotPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startGateway(t, "WeChat")
		c := mustOpen(t, g)
		for range 10 {
			time.Sleep(c.PingEvery())
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := g.Connections(streamtest.Settings(g.Type)); n != 1 {
			t.Errorf("with pings there are %d connections", n)
		}
		time.Sleep(3 * c.PingEvery())
		synctest.Wait()
		if n := g.Connections(streamtest.Settings(g.Type)); n != 0 {
			t.Errorf("without pings there are %d connections", n)
		}
		if d, ok := <-c.deliveries; ok {
			t.Errorf("delivered: %+v", d)
		}
		var ended *callback.Ended
		if !errors.As(c.err, &ended) || ended.Replaced {
			t.Errorf("%v", c.err)
		}
	})
}

// The same way over TCP, by the addresses and the roots that the tool's settings give.
func TestConnectionsOverTCP(t *testing.T) {
	for _, name := range streamable(t) {
		t.Run(name, func(t *testing.T) {
			g := streamtest.StartTCP(t, name)
			c := mustOpen(t, g)
			pushed := startPush(t, g, platformsim.Message{ID: "m1", User: "u1", Text: "help"})
			c.answer(t, c.message(t)) // else WeCom would wait for the answer
			if p := <-pushed; p.err != nil || p.Deliveries != 1 {
				t.Errorf("%+v", p)
			}
			if _, err := openStream(t, g, streamtest.Wrong(name), g.Dialer); err == nil || dispatch.Retryable(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A proxy in between, as HTTPS_PROXY names it, is used for calls and for connections.
func TestAProxyInBetween(t *testing.T) {
	for _, name := range streamable(t) {
		t.Run(name, func(t *testing.T) {
			g, proxied := streamtest.StartBehindProxy(t, name)
			c := mustOpen(t, g)
			pushed := startPush(t, g, platformsim.Message{ID: "m1", User: "u1", Text: "help"})
			c.answer(t, c.message(t)) // else WeCom would wait for the answer
			if p := <-pushed; p.err != nil || p.Deliveries != 1 {
				t.Errorf("%+v", p)
			}
			if hosts := proxied(); len(hosts) == 0 {
				t.Error("the proxy was not used")
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			g.Transport.CloseIdleConnections()
		})
	}
}
