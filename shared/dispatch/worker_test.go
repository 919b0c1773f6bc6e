package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/webhook/webhooktest"
)

// many makes a bot and says n things to it.
func many(p *webhooktest.Process, n int, start func(context.Context, command.Ref) error) {
	p.Helper()
	bot := p.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	h := p.Handler(start)
	for i := range n {
		c := bot.Say("command", platformsim.Message{ID: fmt.Sprint("m", i), Text: "restart"})
		if text := p.Read(c, bot.Post(h, c)); text != "restart was accepted." {
			p.Errorf("the answer is %q", text)
		}
	}
}

// outcomes counts the records by what became of them.
func outcomes(p *webhooktest.Process) map[string]int {
	p.Helper()
	out := make(map[string]int)
	for _, c := range p.Commands("ops") {
		out[string(c.Outcome)]++
	}
	return out
}

// A worker that is closed finishes what it has.
func TestAWorkerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		o.answer = func(context.Context, int) ([]byte, error) { time.Sleep(dispatch.DrainTime / 10); return nil, nil }
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		many(p, 30, w.Start) // of which 4 are worked at once
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := outcomes(p); got["Delivered"] != 30 {
			t.Errorf("outcomes = %v", got)
		}
		if err := w.Start(p.Context(), command.Ref{}); !errors.Is(err, dispatch.ErrBusy) {
			t.Errorf("after its end: Start = %v", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

// What a worker cannot finish is cut off, given back, and done by the next.
func TestAWorkerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		o.answer = func(ctx context.Context, _ int) ([]byte, error) {
			<-ctx.Done()
			return nil, &dispatch.Error{Again: true}
		}
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		many(p, 30, w.Start)
		synctest.Wait()
		began := time.Now()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != dispatch.DrainTime {
			t.Errorf("closing took %v", took)
		}
		if got := outcomes(p); got["Pending"] != 30 {
			t.Errorf("outcomes = %v", got)
		}
		p.Advance(time.Minute)
		o.answer = nil
		next := p.World.Process()
		w = dispatch.NewWorker(next.Context(), o.dispatcher(next)) // it looks at once
		synctest.Wait()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := outcomes(next); got["Delivered"] != 30 {
			t.Errorf("outcomes of the next = %v", got)
		}
	})
}

// A target that hangs holds up the commands of its own configuration. What is beyond those that
// wait for their turn is found a minute later.
func TestATargetThatHangsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		release := make(chan struct{})
		o.answer = func(_ context.Context, n int) ([]byte, error) {
			if n <= 4 {
				<-release
			}
			return nil, nil
		}
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		many(p, 100, w.Start)
		synctest.Wait()
		if len(o.events) != 4 {
			t.Errorf("%d are worked at, want 4", len(o.events))
		}
		oneMore(p, w.Start)
		synctest.Wait()
		if list := p.Commands("more"); len(list) != 1 || list[0].Outcome != "Delivered" {
			t.Errorf("another's: %+v", list)
		}
		close(release)
		synctest.Wait()
		if got := outcomes(p); got["Delivered"] != 4+64 || got["Pending"] != 100-4-64 {
			t.Errorf("when it hangs no more, outcomes = %v", got)
		}
		p.Advance(2 * time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := outcomes(p); got["Delivered"] != 100 {
			t.Errorf("two minutes later, outcomes = %v", got)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A worker remembers so much and no more. What is beyond it finds by itself, a minute later.
func TestAWorkerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		release := make(chan struct{})
		o.answer = func(context.Context, int) ([]byte, error) { <-release; return nil, nil }
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		for i := range 16 {
			bot := p.Create(fmt.Sprint("ops-", i), "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
			for k := range 4 {
				bot.Post(p.Handler(w.Start), bot.Say("command",
					platformsim.Message{ID: fmt.Sprint("m", k), Text: "restart"}))
			}
		}
		synctest.Wait()
		if len(o.events) != 64 {
			t.Errorf("%d are worked at, want 64", len(o.events))
		}
		busy := 0
		for range 1100 {
			if err := w.Start(p.Context(), command.Ref{Account: "1", Region: "r", Name: "n", ID: "i"}); errors.Is(err,
				dispatch.ErrBusy) {
				busy++
			}
		}
		if busy != 1100-1024 {
			t.Errorf("%d were too much", busy)
		}
		close(release)
		synctest.Wait()
		oneMore(p, func(context.Context, command.Ref) error { return dispatch.ErrBusy })
		p.Advance(2 * time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		if list := p.Commands("more"); len(list) != 1 || list[0].Outcome != "Delivered" {
			t.Errorf("what it was not told of: %+v", list)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// oneMore says one more thing, to another bot.
func oneMore(p *webhooktest.Process, start func(context.Context, command.Ref) error) {
	p.Helper()
	bot := p.Create("more", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	bot.Post(p.Handler(start), bot.Say("command", platformsim.Message{ID: "more", Text: "restart"}))
}

// Whatever goes wrong with one command, and with looking for what is due, the worker goes on and
// says so.
func TestAWorkerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		o.answer = func(_ context.Context, n int) ([]byte, error) {
			if n == 1 {
				panic("broken")
			}
			return nil, nil
		}
		p.FailAt(1, webhooktest.Fault{})
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		synctest.Wait()
		if log := p.Log(); !strings.Contains(log, "not all that is due was dispatched") {
			t.Errorf("log = %s", log)
		}
		many(p, 5, w.Start)
		synctest.Wait()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := outcomes(p); got["Delivered"] != 4 || got["Pending"] != 1 {
			t.Errorf("outcomes = %v", got)
		}
		if log := p.Log(); !strings.Contains(log, `"error":"dispatch: panic: broken\ngoroutine `) {
			t.Errorf("log = %s", log)
		}
	})
}

// A panic while what is due is looked for ends one round, and the next is made.
func TestAWorkerOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		p.FailAt(1, webhooktest.Fault{Panics: true})
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		synctest.Wait()
		if log := p.Log(); !strings.Contains(log, `"error":"dispatch: panic: planted\ngoroutine `) ||
			!strings.Contains(log, "webhooktest.go") {
			t.Errorf("log = %s", log)
		}
		oneMore(p, func(context.Context, command.Ref) error { return dispatch.ErrBusy })
		p.Advance(2 * time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		if list := p.Commands("more"); len(list) != 1 || list[0].Outcome != "Delivered" {
			t.Errorf("a minute later: %+v", list)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Work that does not heed the end of its context is left behind in the end.
func TestAWorkerLeavesBehindWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		release := make(chan struct{})
		o.answer = func(context.Context, int) ([]byte, error) { <-release; return nil, nil }
		w := dispatch.NewWorker(p.Context(), o.dispatcher(p))
		many(p, 1, w.Start)
		synctest.Wait()
		began := time.Now()
		err := w.Close()
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "did not end") ||
			took != dispatch.DrainTime+dispatch.CutTime {
			t.Errorf("closing took %v: %v", took, err)
		}
		close(release)
	})
}

// A round whose context ends while its work does not begins no more.
func TestARoundEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := webhooktest.New(t).Process(), new(outside)
		for i := range 5 {
			bot := p.Create(fmt.Sprint("ops-", i), "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
			for k := range 4 {
				bot.Post(p.Handler(func(context.Context, command.Ref) error { return dispatch.ErrBusy }),
					bot.Say("command", platformsim.Message{ID: fmt.Sprint("m", k), Text: "restart"}))
			}
		}
		p.Advance(2 * time.Minute)
		o.answer = func(ctx context.Context, _ int) ([]byte, error) { time.Sleep(time.Hour); return nil, nil }
		ctx, cancel := context.WithTimeout(p.Context(), 2*time.Minute)
		defer cancel()
		if _, err := o.dispatcher(p).Redrive(ctx); len(o.events) != 16 {
			t.Errorf("%d were begun, want 16: %v", len(o.events), err)
		}
	})
}
