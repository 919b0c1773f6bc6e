package stream

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/platform/callback"
)

// A link is one connection of a bot, with the goroutines that read it.
type link struct {
	bot    *bot
	term   *term
	conn   callback.Connection
	opened time.Time

	context context.Context // of reads and acknowledgements
	cancel  context.CancelFunc
	ended   chan error    // why it ended, once
	renew   chan string   // why it will end soon
	over    chan struct{} // closed when reading has ended
	leave   chan struct{} // closed by retire
	overlap bool          // read on for a while after leave
	rival   bool          // this process tried to replace it; of the goroutine of the bot
	once    sync.Once
	last    atomic.Pointer[time.Time] // when the last delivery came; nil: none did

	turns chan struct{} // a place for each delivery that is handled
	mu    sync.Mutex
	deaf  bool           // further deliveries are dropped
	work  sync.WaitGroup // deliveries that are handled
}

// newLink begins to read a connection.
func (b *bot) newLink(conn callback.Connection, t *term) *link {
	l := &link{bot: b, term: t, conn: conn, opened: time.Now(), ended: make(chan error, 1),
		renew: make(chan string, 1), over: make(chan struct{}), leave: make(chan struct{}),
		turns: make(chan struct{}, each)}
	l.context, l.cancel = context.WithCancel(context.WithoutCancel(b.context))
	b.links.Go(l.keep)
	b.links.Go(l.read)
	if every := conn.PingEvery(); every > 0 {
		b.links.Go(func() { l.ping(every) })
	}
	return l
}

// keep closes the connection when it has ended, is not needed any more, or may not be held.
func (l *link) keep() {
	drain := false
	select {
	case <-l.over:
	case <-l.term.Done():
	case <-l.context.Done():
	case <-l.bot.context.Done():
		drain = true
	case <-l.leave:
		drain = true
		if !l.overlap {
			break
		}
		timer := time.NewTimer(overlap)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.over:
		case <-l.term.Done():
		case <-l.context.Done():
		case <-l.bot.context.Done():
		}
	}
	l.mu.Lock()
	l.deaf = true
	l.mu.Unlock()
	if drain {
		l.drain()
	}
	l.cancel()
	_ = l.conn.Close()
}

// drain waits until the deliveries in hand are acknowledged.
func (l *link) drain() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.work.Wait()
	}()
	timer := time.NewTimer(DrainTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-l.over:
	case <-l.term.Done():
	case <-l.context.Done():
	}
}

// retire ends the connection after the deliveries in hand; if on, it is read for a while before.
func (l *link) retire(on bool) {
	l.once.Do(func() {
		l.overlap = on
		close(l.leave)
	})
}

// cut ends the connection at once.
func (l *link) cut() { l.cancel() }

// end says why the connection ended. The first reason counts.
func (l *link) end(err error) {
	select {
	case l.ended <- err:
	default:
	}
}

// read reads deliveries until the connection ends.
func (l *link) read() {
	defer close(l.over)
	l.end(l.bot.safely(l.deliveries))
}

// ping sends the platform's heartbeat until the connection ends.
func (l *link) ping(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-l.context.Done():
			return
		}
		if err := l.bot.safely(func() error { return l.conn.Ping(l.context) }); err != nil {
			l.end(err)
			l.cancel()
			return
		}
	}
}

// deliveries handles what is delivered. It returns why there is no more.
func (l *link) deliveries() error {
	for {
		d, err := l.conn.Next(l.context)
		switch {
		case err != nil:
			return err
		case !l.bot.options.Leases.valid(l.term):
			l.cancel() // the process was paused: another one may hold the connection now
			return errOver
		case d.Renew != "":
			select {
			case l.renew <- d.Renew:
			default:
			}
			continue
		}
		now := time.Now()
		l.last.Store(&now)
		if !l.turn() {
			return l.context.Err()
		}
		if !l.begin() {
			l.done()
			continue // it is not acknowledged, so the platform delivers it again
		}
		go l.handle(d)
	}
}

// turn takes a place for a delivery.
func (l *link) turn() bool {
	select {
	case l.turns <- struct{}{}:
	case <-l.context.Done():
		return false
	}
	select {
	case l.bot.turns <- struct{}{}:
		return true
	case <-l.context.Done():
		<-l.turns
		return false
	}
}

// done gives the place of a delivery back.
func (l *link) done() {
	<-l.bot.turns
	<-l.turns
}

// begin reports whether a delivery may be handled: the connection is not being closed.
func (l *link) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.deaf {
		l.work.Add(1)
	}
	return !l.deaf
}

// handle records a delivery first, and acknowledges it second.
func (l *link) handle(d *callback.Delivery) {
	defer l.work.Done()
	defer l.done()
	err := l.bot.safely(func() error {
		response := &callback.Response{Status: http.StatusOK}
		if d.Received != nil || d.Refused != nil {
			response = l.arrive(d)
		}
		if d.Acknowledge == nil {
			return nil
		}
		return d.Acknowledge(l.context, response)
	})
	if err != nil {
		invoke.Logger(l.context).WarnContext(l.context, "a delivery was not acknowledged", "name", l.bot.ref.Name,
			"error", err)
	}
}

// retries are the pauses before chatconf tries again to record a delivery. WeCom, and perhaps
// DingTalk, deliver a message only once. The other platforms wait three seconds.
var retries = [...]time.Duration{200 * time.Millisecond, 600 * time.Millisecond}

// arrive has a delivery recorded, with retries. If an earlier try had recorded it, the delivery
// counts as a duplicate.
func (l *link) arrive(d *callback.Delivery) *callback.Response {
	for i := 0; ; i++ {
		response := l.bot.options.Arrive(l.context, l.bot.ref, l.conn, d.Received, d.Refused)
		if response.Status < 500 || i == len(retries) || invoke.Sleep(l.context, retries[i]) != nil {
			return response
		}
	}
}

// frame returns when the last delivery came; zero if none did.
func (l *link) frame() time.Time {
	if at := l.last.Load(); at != nil {
		return at.UTC()
	}
	return time.Time{}
}

// quiet returns how long nothing was delivered.
func (l *link) quiet() time.Duration {
	if at := l.last.Load(); at != nil {
		return time.Since(*at)
	}
	return time.Since(l.opened)
}
