package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/stream"
)

func TestASupervisorNeedsItsOptions(t *testing.T) {
	if _, err := stream.New(stream.Options{}); err == nil {
		t.Error("a supervisor without options was made")
	}
	s, err := stream.New(newWorld(t).options())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close before the start: %v", err)
	}
}

func TestAMessageIsRecordedFirstAndAcknowledgedSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		c := w.only("a")
		c.deliver("m1")
		if got := c.acknowledged(); !slices.Equal(got, []string{"m1 200"}) {
			t.Errorf("acknowledged %v", got)
		}
		w.do(func() { w.arrive = func(_, id string) *callback.Response { return &callback.Response{Status: 503} } })
		c.deliver("m2")
		time.Sleep(time.Second) // it is tried again
		if got := c.acknowledged(); !slices.Equal(got, []string{"m1 200", "m2 503"}) || w.hasRecorded("a/m2") {
			t.Errorf("a failed record was acknowledged: %v", got)
		}
		failed := false
		w.do(func() {
			w.arrive = func(string, string) *callback.Response {
				if failed {
					return nil
				}
				failed = true
				return &callback.Response{Status: 503}
			}
		})
		c.deliver("m3")
		time.Sleep(time.Second)
		if got := c.acknowledged(); !slices.Equal(got, []string{"m1 200", "m2 503", "m3 200"}) {
			t.Errorf("what was recorded the second time was not acknowledged: %v", got)
		}
		var statuses []int
		for _, d := range []*callback.Delivery{{}, {Refused: errors.New("no")}} {
			d.Acknowledge = func(_ context.Context, r *callback.Response) error {
				statuses = append(statuses, r.Status)
				return errors.New("not sent")
			}
			c.next <- d
			synctest.Wait()
		}
		c.next <- &callback.Delivery{} // nothing to acknowledge
		if synctest.Wait(); !slices.Equal(statuses, []int{200, 401}) {
			t.Errorf("a notice and a refusal were acknowledged with %v", statuses)
		}
		if !strings.Contains(w.logged(), "not acknowledged") {
			t.Error("an acknowledgement that failed is not in the log")
		}
		if n := w.noted("a"); len(n) != 1 || n[0].State != journal.Connected {
			t.Errorf("notes: %+v", n)
		}
	})
}

// A slow table does not keep deliveries back, up to a limit for one connection.
func TestDeliveriesAreHandledConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.put("b", "s")
		hold := make(chan struct{})
		var held int
		w.arrive = func(bot, _ string) *callback.Response {
			if bot == "a" {
				w.do(func() { held++ })
				<-hold
			}
			return nil
		}
		w.start()
		a, b := w.only("a"), w.only("b")
		for i := range 100 {
			a.deliver(fmt.Sprint(i))
		}
		b.deliver("m")
		synctest.Wait()
		if w.do(func() {}); held != 32 {
			t.Errorf("%d deliveries of one connection are handled, want 32", held)
		}
		if got := b.acknowledged(); len(got) != 1 {
			t.Errorf("another connection waits: %v", got)
		}
		close(hold)
		if got := a.acknowledged(); len(got) != 100 {
			t.Errorf("%d of 100 acknowledged", len(got))
		}
	})
}

// All connections together handle a limited number of deliveries.
func TestDeliveriesOfAllConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hold := make(chan struct{})
		held := 0
		w.arrive = func(string, string) *callback.Response {
			w.do(func() { held++ })
			<-hold
			return nil
		}
		for i := range 10 {
			w.put(fmt.Sprint(i), "s")
		}
		w.start()
		for i := range 10 {
			c := w.only(fmt.Sprint(i))
			for j := range 40 {
				c.deliver(fmt.Sprint(j))
			}
		}
		if synctest.Wait(); held != 256 {
			t.Errorf("%d are handled, want 256", held)
		}
		close(hold)
		for i := range 10 {
			if got := w.only(fmt.Sprint(i)).acknowledged(); len(got) != 40 {
				t.Errorf("%d of 40 acknowledged", len(got))
			}
		}
	})
}

func TestAConnectionIsOpenedAgainWithLongerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		down := errors.New("the host name was not found")
		w.refuse = func(string) error { return down }
		w.start()
		time.Sleep(time.Hour)
		n := w.attempts("a")
		if n < 3600/30 || n > 3600/5 {
			t.Errorf("%d attempts in an hour", n)
		}
		var longest time.Duration
		for i, at := range w.opens["a"][1:] {
			pause := at.Sub(w.opens["a"][i])
			if longest = max(longest, pause); pause > time.Second<<i && i < 5 {
				t.Errorf("pause %d was %v", i, pause)
			}
		}
		if longest > 30*time.Second || longest < 10*time.Second {
			t.Errorf("the longest pause was %v", longest)
		}
		if n := w.lastNote("a"); n.State != journal.Failed || n.Step != stream.StepOpen || n.Reason != down.Error() {
			t.Errorf("noted %+v", n)
		}
		w.do(func() { w.refuse = nil })
		time.Sleep(30 * time.Second)
		c := w.only("a")
		time.Sleep(2 * time.Minute) // steady
		c.next <- &callback.Ended{Reason: "the platform closed the connection"}
		time.Sleep(time.Second)
		w.only("a")
		if lost := w.noted("a"); !slices.ContainsFunc(lost, func(n journal.Connection) bool {
			return n.State == journal.Lost && n.Step == stream.StepRead &&
				n.Reason == "the platform closed the connection"
		}) {
			t.Errorf("notes: %+v", lost)
		}
	})
}

// A wrong secret is tried once, until the configuration changes.
func TestRefusedSettingsAreFinalUntilTheyChange(t *testing.T) {
	for _, wrong := range []string{"wrong", ""} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.put("a", wrong)
			w.start()
			time.Sleep(2 * time.Hour)
			w.do(func() { w.skew = 3 * time.Hour }) // not after a sleep either
			time.Sleep(time.Minute)
			if n := w.attempts("a"); n > 1 {
				t.Errorf("%d attempts with wrong settings", n)
			}
			if n := w.lastNote("a"); n.State != journal.Refused || !strings.Contains(n.Reason, "Secret") {
				t.Errorf("noted %+v", n)
			}
			if n := len(w.noted("a")); n < 50 || n > 70 { // as signs of life
				t.Errorf("noted %d times in two hours", n)
			}
			w.put("a", "right")
			time.Sleep(3 * time.Second)
			w.only("a")
			if n := w.lastNote("a"); n.State != journal.Connected {
				t.Errorf("noted %+v", n)
			}
		})
	}
}

func TestAPlatformWithoutConnectionsIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start(func(o *stream.Options) { o.Streams = nil })
		if n := w.lastNote("a"); n.State != journal.Refused || n.Reason != "chatconf cannot open connections to Fake" {
			t.Errorf("noted %+v", n)
		}
	})
}

// Two programs with one bot would take turns without an end.
func TestAConnectionThatWasReplacedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		for i, least := range []time.Duration{1, 2, 4, 8, 16, 16} {
			least *= time.Minute
			c := w.only("a")
			c.next <- &callback.Ended{Reason: "another connection of the bot was opened", Replaced: true}
			time.Sleep(least - time.Millisecond)
			if n := w.attempts("a"); n != i+1 {
				t.Fatalf("opened again within %v", least)
			}
			if n := w.lastNote("a"); n.State != journal.Lost || n.Step != stream.StepReplaced {
				t.Errorf("noted %+v", n)
			}
			time.Sleep(least/4 + time.Millisecond)
		}
		time.Sleep(16 * time.Minute)
		w.only("a").next <- &callback.Ended{Replaced: true}
		time.Sleep(75 * time.Second) // after peace, the first pause
		w.only("a")
	})
}

func TestARenewedConnectionTakesThePlaceBeforeTheOldOneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		old := w.only("a")
		time.Sleep(time.Minute)
		for range 3 {
			old.next <- &callback.Delivery{Renew: "the platform asks for a new connection"}
		}
		synctest.Wait()
		open := w.open("a")
		if len(open) != 2 && len(open) != 3 {
			t.Fatalf("%d connections are open", len(open))
		}
		old.deliver("late")
		open[1].deliver("new")
		if !w.hasRecorded("a/late") || !w.hasRecorded("a/new") {
			t.Error("one of two connections is not read")
		}
		time.Sleep(16 * time.Second)
		if w.only("a") == old {
			t.Error("the old connection stays")
		}
		if got := old.acknowledged(); !slices.Equal(got, []string{"late 200"}) {
			t.Errorf("the old connection acknowledged %v", got)
		}
	})
}

// While no new connection can be opened, the old one is used.
func TestAConnectionStaysUntilItsSuccessorIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		old := w.only("a")
		w.do(func() { w.refuse = func(string) error { return errors.New("busy") } })
		old.next <- &callback.Delivery{Renew: "soon"}
		time.Sleep(time.Minute)
		old.deliver("m")
		if w.only("a") != old || !w.hasRecorded("a/m") {
			t.Error("the old connection is not used")
		}
		if n := w.lastNote("a"); n.State == journal.Failed {
			t.Errorf("noted %+v, while a connection is open", n)
		}
		w.do(func() { w.refuse = nil })
		time.Sleep(time.Minute)
		if w.only("a") == old {
			t.Error("the old connection stays")
		}
	})
}

func TestASilentConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		old := w.only("a")
		time.Sleep(20 * time.Minute)
		old.deliver("m")
		time.Sleep(29 * time.Minute)
		if w.only("a") != old {
			t.Error("replaced before it was silent for long enough")
		}
		time.Sleep(time.Minute + time.Second)
		if synctest.Wait(); len(w.open("a")) != 2 {
			t.Errorf("%d connections are open", len(w.open("a")))
		}
		time.Sleep(16 * time.Second)
		if w.only("a") == old {
			t.Error("a silent connection stays")
		}
	})
}

func TestAJumpOfTheClockOpensAllConnectionsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.put("b", "s")
		w.start()
		a, b := w.only("a"), w.only("b")
		w.do(func() { w.skew = 20 * time.Second })
		time.Sleep(6 * time.Second)
		if w.only("a") != a || w.only("b") != b {
			t.Error("a small correction of the clock ended a connection")
		}
		w.do(func() { w.skew = 2 * time.Hour })
		time.Sleep(6 * time.Second)
		if w.only("a") == a || w.only("b") == b {
			t.Error("a connection from before the sleep stays")
		}
		if n := w.noted("a"); len(n) != 3 || n[1].State != journal.Lost || !strings.Contains(n[1].Reason, "slept") {
			t.Errorf("notes: %+v", n)
		}
	})
}

func TestAConnectionWithoutPongEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		old := w.only("a")
		w.do(func() { old.unanswered = &callback.Ended{Reason: "two pings were not answered"} })
		time.Sleep(32 * time.Second)
		if w.only("a") == old {
			t.Error("a dead connection stays")
		}
		if !slices.ContainsFunc(w.noted("a"), func(n journal.Connection) bool {
			return n.Reason == "two pings were not answered"
		}) {
			t.Errorf("notes: %+v", w.noted("a"))
		}
	})
}

func TestConfigurationsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		time.Sleep(time.Second)
		w.put("a", "s")
		time.Sleep(2 * time.Second)
		first := w.only("a")

		w.put("a", "s") // another revision with the same settings
		time.Sleep(5 * time.Second)
		if w.only("a") != first {
			t.Error("a change of something else ended the connection")
		}
		w.put("a", "other")
		time.Sleep(3 * time.Second)
		if c := w.only("a"); c == first || c.secret != "other" {
			t.Error("new settings are not used")
		}

		w.do(func() { w.unread = errors.New("the table is down") })
		time.Sleep(10 * time.Second)
		w.only("a")
		if strings.Count(w.logged(), "the table is down") != 1 {
			t.Errorf("logged: %s", w.logged())
		}
		w.do(func() { w.unread = nil })

		w.remove("a") // disabled or deleted
		time.Sleep(3 * time.Second)
		if open := w.open("a"); len(open) != 0 {
			t.Errorf("%d connections of a disabled bot are open", len(open))
		}
		if n := w.lastNote("a"); n.State != journal.Released {
			t.Errorf("noted %+v", n)
		}

		w.put("a", "s")
		time.Sleep(3 * time.Second)
		before := w.only("a")
		w.do(func() { w.bots["a"].Ref.Life = "2" }) // deleted and created again
		time.Sleep(3 * time.Second)
		if w.only("a") == before {
			t.Error("the connection of a former life stays")
		}
	})
}

// A configuration that cannot be read keeps its connection, and is read again.
func TestAChangedConfigurationIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		first := w.only("a")
		w.do(func() { w.unopened = errors.New("the table is down") })
		w.put("a", "other")
		time.Sleep(10 * time.Second)
		if w.only("a") != first {
			t.Error("the connection ended")
		}
		first.next <- &callback.Ended{Reason: "gone"}
		time.Sleep(5 * time.Second)
		if n := w.lastNote("a"); n.State != journal.Failed || strings.Contains(n.Reason, "the table is down") ||
			!strings.Contains(n.Reason, "could not be read") || !strings.Contains(w.logged(), "the table is down") {
			t.Errorf("noted %+v", n)
		}
		w.do(func() { w.unopened = nil })
		time.Sleep(20 * time.Second)
		if w.only("a").secret != "other" {
			t.Error("the new settings are not used")
		}
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, name := range []string{"a", "b", "c"} {
			w.put(name, "s")
		}
		w.start(func(o *stream.Options) { o.Max = 2 })
		time.Sleep(5 * time.Second)
		var without string
		for _, name := range []string{"a", "b", "c"} {
			if len(w.open(name)) == 0 {
				without = without + name
			}
		}
		if len(without) != 1 {
			t.Fatalf("no connection: %q", without)
		}
		if n := w.lastNote(without); n.State != journal.Excess || n.Step != stream.StepLimit ||
			!strings.Contains(n.Reason, "at most 2 connections; raise CHATCONF_MAX_STREAMS") {
			t.Errorf("noted %+v", n)
		}
		w.remove(map[bool]string{true: "b", false: "a"}[without == "a"])
		time.Sleep(5 * time.Second)
		w.only(without)
	})
}

func TestFewConnectionsAreOpenedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow = time.Second
		for i := range 100 {
			w.put(fmt.Sprint(i), "s")
		}
		w.start()
		time.Sleep(10 * time.Second)
		for i := range 100 {
			w.only(fmt.Sprint(i))
		}
		if w.most != 16 {
			t.Errorf("%d were opened at once, want 16", w.most)
		}
	})
}

// A connection that is opened too slowly is given up.
func TestOpeningEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow = time.Hour
		w.put("a", "s")
		w.start()
		time.Sleep(29 * time.Second)
		if n := w.noted("a"); len(n) != 0 {
			t.Errorf("notes: %+v", n)
		}
		time.Sleep(2 * time.Second)
		if n := w.lastNote("a"); n.State != journal.Failed ||
			n.Reason != "the platform did not accept the connection in time" {
			t.Errorf("noted %+v", n)
		}
	})
}

func TestAPanicEndsOneConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.put("b", "s")
		broken := true
		w.refuse = func(bot string) error {
			if bot == "a" && broken {
				panic("secret of a")
			}
			return nil
		}
		w.start()
		b := w.only("b")
		if n := w.lastNote("a"); n.State != journal.Failed || strings.Contains(n.Reason, "secret of a") {
			t.Errorf("noted %+v", n)
		}
		w.do(func() { broken = false })
		time.Sleep(5 * time.Second)
		a := w.only("a")
		a.next <- func() { panic("in Next") }
		time.Sleep(5 * time.Second)
		if w.only("a") == a {
			t.Error("a connection goes on after a panic")
		}
		a = w.only("a")
		panics := func(context.Context, *callback.Response) error { panic("in Acknowledge") }
		a.next <- &callback.Delivery{Acknowledge: panics}
		a.deliver("m")
		if w.only("a") != a || !w.hasRecorded("a/m") {
			t.Error("a panic in one delivery ended the connection")
		}
		if w.only("b") != b {
			t.Error("a panic ended another connection")
		}
	})
}

func TestCloseAcknowledgesWhatIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.arrive = func(string, string) *callback.Response {
			time.Sleep(2 * time.Second)
			return nil
		}
		s := w.start()
		c := w.only("a")
		c.deliver("m1")
		synctest.Wait()
		closed := make(chan error)
		start := time.Now()
		go func() { closed <- s.Close() }()
		synctest.Wait()
		c.deliver("m2") // too late: the platform delivers it again
		if err := <-closed; err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("closed after %v: %v", time.Since(start), err)
		}
		if got := c.acknowledged(); !slices.Equal(got, []string{"m1 200"}) || !c.isClosed() || w.hasRecorded("a/m2") {
			t.Errorf("acknowledged %v", got)
		}
		if n := w.lastNote("a"); n.State != journal.Released {
			t.Errorf("noted %+v", n)
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		hold := make(chan struct{})
		w.arrive = func(string, string) *callback.Response {
			<-hold
			return nil
		}
		o := w.options()
		s, err := stream.New(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start(w.logging())
		c := w.only("a")
		c.deliver("m")
		synctest.Wait()
		start := time.Now()
		err = s.Close()
		if c.isClosed(); time.Since(start) > 10*time.Second {
			t.Errorf("closed after %v: %v", time.Since(start), err)
		}
		close(hold)
		synctest.Wait()
	})
}

func TestAnOpenConnectionIsNotedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		w.start()
		at := time.Now()
		w.only("a").deliver("m")
		time.Sleep(10*time.Minute + time.Second)
		notes := w.noted("a")
		if len(notes) != 6 || notes[5].State != journal.Alive || !notes[5].Frame.Equal(at) {
			t.Errorf("notes: %+v", notes)
		}
	})
}

func TestAnswersOverAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("a", "s")
		s := w.start()
		c := w.only("a")
		to := command.ReplyTo{Kind: command.ReplyStream, ID: "req-1"}
		err := s.Send(t.Context(), ref("a"), to, "done")
		if err != nil || !slices.Equal(c.sent, []string{"req-1: done"}) {
			t.Errorf("sent %v: %v", c.sent, err)
		}
		w.do(func() { w.refuse = func(string) error { return errors.New("down") } })
		other := ref("a")
		other.Life = "2"
		if err := s.Send(t.Context(), other, to, "done"); err == nil || len(c.sent) != 1 {
			t.Errorf("an answer of another life was sent: %v", err)
		}
		c.next <- &callback.Ended{Reason: "gone"}
		synctest.Wait()
		for _, name := range []string{"a", "unknown"} {
			err := s.Send(t.Context(), ref(name), to, "done")
			if err == nil || !strings.Contains(err.Error(), "only the process that holds it can send") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
