package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
	"chatconf/shared/stream"
)

// A platform that accepts each connection and gives it up at once is not called in a loop.
func TestConnectionsThatEndAtOnceAreOpenedWithPauses(t *testing.T) {
	for name, next := range map[string]any{
		"ended":    &callback.Ended{Reason: "closed"},
		"replaced": &callback.Ended{Reason: "replaced", Replaced: true},
		"renewed":  &callback.Delivery{Renew: "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.put("a", "s")
				w.greet = func(c *conn) {
					if len(w.conns["a"]) < 10_000 { // so that the test ends
						c.next <- next
					}
				}
				w.start()
				time.Sleep(time.Hour)
				if n := w.attempts("a"); n > 3600/5 {
					t.Errorf("%d connections were opened in an hour", n)
				}
				if n := len(w.open("a")); n > 8 {
					t.Errorf("%d connections are open", n)
				}
			})
		})
	}
}

// A connection that was open for long is replaced at once when its platform asks for it.
func TestASteadyConnectionIsRenewedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		for range 20 {
			time.Sleep(2 * time.Minute)
			old := w.only("a")
			old.next <- &callback.Delivery{Renew: "soon"}
			synctest.Wait()
			if n := len(w.open("a")); n != 2 {
				t.Fatalf("%d connections are open", n)
			}
		}
	})
}

// Wrong secrets of one owner leave the connections to others.
func TestARefusedConfigurationTakesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "wrong")
		w.start(func(o *stream.Options) { o.Max = 1 })
		time.Sleep(3 * time.Second)
		w.put("b", "s")
		time.Sleep(3 * time.Second)
		w.only("b")
		if n := w.lastNote("a"); n.State != journal.Refused {
			t.Errorf("noted %+v", n)
		}
		w.put("a", "right")
		time.Sleep(3 * time.Second)
		if n := w.lastNote("a"); n.State != journal.Excess {
			t.Errorf("noted %+v", n)
		}
		w.remove("b")
		time.Sleep(3 * time.Second)
		w.only("a")
		w.remove("a")
		time.Sleep(3 * time.Second)
		if n := w.lastNote("a"); n.State != journal.Released || len(w.open("a")) != 0 {
			t.Errorf("noted %+v", n)
		}
	})
}

// A refused configuration that is disabled or deleted is given back, with its lease.
func TestARefusedConfigurationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "wrong")
		w.start()
		time.Sleep(3 * time.Second)
		w.remove("a")
		time.Sleep(3 * time.Second)
		if n := w.lastNote("a"); n.State != journal.Released {
			t.Errorf("noted %+v", n)
		}
		w.put("a", "right")
		time.Sleep(3 * time.Second)
		w.only("a")
	})
}

// While one platform does not answer, connections to others are opened.
func TestAPlatformThatDoesNotAnswerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kinds = make(map[string]string)
		for i := range 100 {
			name := fmt.Sprint("other", i)
			w.put(name, "s")
			w.kinds[name] = "Other"
		}
		w.start(func(o *stream.Options) {
			o.Streams["Other"] = func(callback.Settings, *callback.Client) (callback.Stream, error) {
				return hanging{}, nil
			}
		})
		time.Sleep(5 * time.Second)
		w.put("a", "s")
		time.Sleep(3 * time.Second)
		w.only("a")
	})
}

// A hanging stream does not answer.
type hanging struct{ secret.Hidden }

// Open implements callback.Stream.
func (hanging) Open(ctx context.Context, _ callback.Dialer) (callback.Connection, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// WeCom tells the old connection of a new one that this process opens. If the new one is then not
// accepted, no other program is to blame.
func TestAConnectionThatWeReplacedBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		time.Sleep(2 * time.Minute)
		old := w.only("a")
		w.do(func() {
			w.refuse = func(string) error {
				w.do(func() { w.refuse = nil })
				old.next <- &callback.Ended{Reason: "another program", Replaced: true}
				return errors.New("no answer in time")
			}
		})
		old.next <- &callback.Delivery{Renew: "soon"}
		time.Sleep(5 * time.Second)
		if w.only("a") == old {
			t.Error("the connection is not opened again")
		}
		for _, n := range w.noted("a") {
			if n.Step == stream.StepReplaced {
				t.Errorf("noted %+v", n)
			}
		}
	})
}

// After a failed replacement a jump of the clock must not leave a bot without a connection and
// without the news of it.
func TestARefusedReplacementIsToldAfterAJumpOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		c := w.only("a")
		w.do(func() { w.refuse = func(string) error { return callback.Final("the secret was revoked") } })
		c.next <- &callback.Delivery{Renew: "soon"}
		time.Sleep(10 * time.Second)
		w.do(func() { w.skew = time.Hour })
		time.Sleep(10 * time.Second)
		if n := w.lastNote("a"); n.State != journal.Refused || n.Reason != "the secret was revoked" {
			t.Errorf("noted %+v", n)
		}
	})
}

// While the network is gone for hours, the log and health are told once, and health now and then.
func TestTheSameErrorIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.refuse = func(string) error { return errors.New("the host name was not found") }
		w.start()
		time.Sleep(2 * time.Hour)
		if n := strings.Count(w.logged(), "not connected"); n != 1 {
			t.Errorf("logged %d times in two hours", n)
		}
		if n := len(w.noted("a")); n < 50 || n > 70 {
			t.Errorf("noted %d times in two hours", n)
		}
		w.do(func() { w.refuse = func(string) error { return errors.New("the connection was refused") } })
		time.Sleep(time.Minute)
		if n := w.lastNote("a"); n.Reason != "the connection was refused" ||
			!strings.Contains(w.logged(), "the connection was refused") {
			t.Errorf("noted %+v", n)
		}
	})
}

// A platform's code that panics takes no place away from the others.
func TestAPanicTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kinds = make(map[string]string)
		for i := range 20 {
			name := fmt.Sprint("other", i)
			w.put(name, "s")
			w.kinds[name] = "Other"
		}
		w.start(func(o *stream.Options) {
			o.Streams["Other"] = func(callback.Settings, *callback.Client) (callback.Stream, error) {
				panic("in NewStream")
			}
		})
		time.Sleep(5 * time.Second)
		w.put("a", "s")
		time.Sleep(3 * time.Second)
		w.only("a")
	})
}
