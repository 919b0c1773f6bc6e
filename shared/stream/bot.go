package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

const (
	// pollTime bounds one call of Bots or Open.
	pollTime = 10 * time.Second
	// signInTime bounds the opening of a connection, with the calls before it.
	signInTime = 30 * time.Second
	// overlap is how long a connection is still read after another one has taken its place.
	overlap = 15 * time.Second
	// silence is how long a connection may deliver nothing before another one replaces it. A
	// connection can answer pings and still deliver nothing.
	silence = 30 * time.Minute
	// aliveEvery is how often news is noted again, to show that this process is alive.
	aliveEvery = 2 * time.Minute
)

// Pauses before a connection is opened again. Each is drawn up to a limit that doubles, so that
// connections that broke together are not opened together.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// steady is how long a connection must be open to start again with the first pause.
	steady = time.Minute
	// replacedPause is the first pause after another program has connected with the same bot. With
	// short pauses, the two programs would disconnect each other again and again.
	replacedPause   = time.Minute
	longestReplaced = 16 * time.Minute
)

// A bell is rung by one goroutine to wake another one. Rings that are not yet heard are one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// A bot holds the connection of one configuration.
type bot struct {
	secret.Hidden
	*Supervisor
	ref      command.Ref
	revision int64 // as in the last round; of follow
	context  context.Context
	stop     context.CancelFunc
	changed  bell // the configuration has another revision
	jumped   bell // the machine slept
	links    sync.WaitGroup

	// Of the goroutine of run.
	kind     string // the platform's
	settings callback.Settings
	stream   callback.Stream    // made with settings; nil: none yet
	attempts int                // in a row that failed
	replaced int                // ends in a row by another program
	last     journal.Connection // the last news

	mu  sync.Mutex
	now *link // the connection in use; nil: none
}

func (s *Supervisor) newBot(of Bot) *bot {
	b := &bot{Supervisor: s, ref: of.Ref, revision: of.Revision, changed: newBell(), jumped: newBell()}
	b.context, b.stop = context.WithCancel(s.context)
	return b
}

// run holds the connection of the bot while this process has the lease for it.
func (b *bot) run() {
	defer b.stop()
	for b.options.Leases.free(b.context, b.ref) == nil {
		if !b.takeSlot() {
			continue // another process has taken it, or the bot stops
		}
		t := b.options.Leases.claim(b.context, b.ref)
		refused := t != nil && b.hold(t)
		if <-b.slots; refused {
			b.waitForChange()
		}
	}
}

// waitForChange waits until the settings, which were refused, may be other ones. The bot keeps its
// lease, so that no other process tries them too, and leaves its slot to others. If this process
// loses the lease, it waits no longer.
func (b *bot) waitForChange() {
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		select {
		case <-b.changed:
			b.attempts, b.replaced = 0, 0
			return
		case <-alive.C:
			if !b.options.Leases.holds(b.ref) {
				return
			}
			b.note(b.last)
		case <-b.context.Done():
			b.release()
			return
		}
	}
}

// release gives the lease back.
func (b *bot) release() {
	b.options.Leases.release(b.context, b.ref)
	b.note(journal.Connection{State: journal.Released})
}

// takeSlot waits until this process may hold one more connection. It returns false if the bot
// stops, or if another process has taken its connection.
func (b *bot) takeSlot() bool {
	select {
	case b.slots <- struct{}{}:
		return true
	default:
	}
	const reason = "this process holds at most %d connections; raise CHATCONF_MAX_STREAMS, or start another process"
	b.note(journal.Connection{State: journal.Excess, Step: StepLimit, Reason: fmt.Sprintf(reason, b.options.Max)})
	defer b.options.Leases.look()()
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		select {
		case b.slots <- struct{}{}:
			return true
		case <-alive.C:
			if !b.options.Leases.isFree(b.ref) {
				return false
			}
			b.note(b.last)
		case <-b.context.Done():
			return false
		}
	}
}

// hold holds the connection until the bot stops, the term is over, or its settings are refused. It
// reports whether they are. After a panic it starts again.
func (b *bot) hold(t *term) (refused bool) {
	for {
		err := b.safely(func() error { return b.serve(t) })
		b.setLink(nil)
		b.links.Wait()
		switch {
		case b.context.Err() != nil:
			b.release()
			return false
		case errors.Is(err, errRefused):
			return true
		case err == nil: // the term is over
			b.note(journal.Connection{State: journal.Lost, Step: StepLease, Reason: "the tables did not answer this " +
				"process in time, so this process closed the connection; another process may open it"})
			return false
		}
		b.note(journal.Connection{State: journal.Failed, Step: StepOpen, Reason: err.Error()})
		b.stream = nil
		_ = invoke.Sleep(b.context, b.pause())
	}
}

// errInside is the error of a panic. The log has the stack.
var errInside = errors.New("chatconf has an internal error; its log has the details")

// safely calls do. A panic in it ends no other connection.
func (b *bot) safely(do func() error) (err error) {
	var panicked error
	defer func() {
		if panicked != nil {
			b.log(slog.LevelError, "a connection failed", "error", panicked)
			err = errInside
		}
	}()
	defer invoke.Recover("stream", &panicked)
	return do()
}

// errRefused is the error of settings with which no connection can be opened.
var errRefused = errors.New("the platform refused the settings")

// serve opens a connection whenever one is due. It returns when the bot stops or the term is over,
// and errRefused.
func (b *bot) serve(t *term) error {
	ctx := b.context
	due := time.NewTimer(0)
	defer due.Stop()
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		now := b.link()
		var ended <-chan error
		var renew <-chan string
		if now != nil {
			ended, renew = now.ended, now.renew
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.Done():
			return nil
		case <-due.C:
			wait, err := b.connect(ctx, t)
			switch {
			case err != nil && !isFinal(err):
				due.Reset(wait)
			case err != nil && b.link() == nil:
				return errRefused
			}
			quiet.Reset(silence)
		case err := <-ended:
			b.setLink(nil)
			due.Reset(b.lost(now, err))
		case reason := <-renew:
			b.log(slog.LevelInfo, "a connection is replaced", "reason", reason)
			due.Reset(b.renewal(now))
		case <-quiet.C:
			if now == nil {
				continue
			}
			if since := now.quiet(); since < silence {
				quiet.Reset(silence - since)
				continue
			}
			b.log(slog.LevelInfo, "a connection is replaced", "reason", "nothing came over it for a long time")
			due.Reset(0)
		case <-b.changed:
			if b.follows(ctx, now) {
				continue
			}
			b.setLink(nil)
			b.attempts, b.replaced = 0, 0
			due.Reset(0)
		case <-b.jumped:
			if now != nil {
				b.setLink(nil)
				now.cut()
				b.note(journal.Connection{State: journal.Lost, Step: StepRead, Frame: now.frame(),
					Reason: "this machine slept, so the platform has given up the connection"})
			}
			due.Reset(0)
		case <-alive.C:
			if now != nil {
				b.note(journal.Connection{State: journal.Alive, Frame: now.frame()})
			} else if b.last.State != "" {
				b.note(b.last)
			}
		}
	}
}

// follows reports whether the connection in use is that of the present settings. If they cannot be
// read, it is asked again.
func (b *bot) follows(ctx context.Context, now *link) bool {
	if now == nil {
		return false
	}
	before := b.stream
	if err := b.load(ctx); errors.Is(err, errUnread) {
		time.AfterFunc(clockEvery, b.changed.ring)
		return true
	}
	return b.stream == before
}

// errUnread is the error of a configuration that could not be read.
var errUnread = errors.New("the configuration could not be read from its table; the log of chatconf has the error")

// load reads the configuration, and makes a new stream of it if its settings have changed.
func (b *bot) load(ctx context.Context) error {
	if err := enter(ctx, b.loads); err != nil {
		return err
	}
	defer func() { <-b.loads }()
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	e, err := b.options.Open(ctx, b.ref)
	if err != nil {
		b.log(slog.LevelWarn, "a configuration was not read", "error", err)
		return errUnread // health must not show what the table says
	}
	settings := callback.Settings(e.Settings)
	if b.stream != nil && b.kind == e.Type && maps.Equal(b.settings, settings) {
		return nil
	}
	b.stream = nil
	newStream := b.options.Streams[e.Type]
	if newStream == nil {
		return callback.Final("chatconf cannot open connections to %s", e.Type)
	}
	stream, err := newStream(settings, b.options.Client)
	if err != nil {
		return callback.Final("%v", err) // a setting is missing
	}
	b.stream, b.kind, b.settings = stream, e.Type, settings
	return nil
}

// connect opens a connection, which takes the place of the one in use. After an error that is not
// final it is to be tried again after a time. What came too late is no error.
func (b *bot) connect(ctx context.Context, t *term) (wait time.Duration, err error) {
	before := b.link()
	opened, err := b.open(ctx, t)
	switch {
	case err == nil:
		b.setLink(opened)
		b.note(journal.Connection{State: journal.Connected})
		b.log(slog.LevelInfo, "connected")
		return 0, nil
	case ctx.Err() != nil || t.Err() != nil:
		return 0, nil
	}
	n := journal.Connection{State: journal.Failed, Step: StepOpen, Reason: err.Error()}
	if isFinal(err) {
		n.State = journal.Refused
	}
	if n != b.last { // the same is noted now and then anyway
		b.log(slog.LevelWarn, "not connected", "error", err, "again", !isFinal(err))
		if before == nil { // else the one in use still delivers
			b.note(n)
		}
	}
	if before != nil {
		before.rival = true
	}
	return b.pause(), err
}

// isFinal reports whether an error says that no retry can help.
func isFinal(err error) bool {
	var known interface{ Retryable() bool }
	return errors.As(err, &known) && !known.Retryable()
}

// errOver is the error of a connection that this process may not hold, since its term is over.
var errOver = errors.New("this process could not renew its lease in time")

// errSlow is the error of a connection that is not opened within signInTime.
var errSlow = errors.New("the platform did not accept the connection in time")

// enter waits for a place.
func enter(ctx context.Context, places chan<- struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open opens a connection.
func (b *bot) open(ctx context.Context, t *term) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t, cancel)()
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	opens := b.opens[b.kind]
	if err := enter(ctx, opens); err != nil {
		return nil, err
	}
	defer func() { <-opens }()
	ctx, cancel = context.WithTimeout(ctx, signInTime)
	defer cancel()
	if !b.options.Leases.valid(t) {
		return nil, errOver
	}
	conn, err := b.stream.Open(ctx, b.options.Dialer)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, errSlow
	case err != nil:
		return nil, err
	}
	return b.newLink(conn, t), nil
}

// renewal returns when another connection is opened after one: at once, or if this one was not open
// for long, after a pause. A platform may give each connection up as soon as it is open.
func (b *bot) renewal(l *link) time.Duration {
	if time.Since(l.opened) >= steady {
		b.attempts = 0
		return 0
	}
	return b.pause()
}

// lost says why a connection ended, and returns when another one is opened.
func (b *bot) lost(l *link, err error) time.Duration {
	if time.Since(l.opened) >= steady {
		b.attempts = 0
	}
	wait := b.pause()
	if time.Since(l.opened) >= longestReplaced {
		b.replaced = 0
	}
	n := journal.Connection{State: journal.Lost, Step: StepRead, Reason: err.Error(), Frame: l.frame()}
	var ended *callback.Ended
	if errors.As(err, &ended) && ended.Replaced && !l.rival {
		n.Step = StepReplaced
		wait = min(replacedPause<<min(b.replaced, 10), longestReplaced)
		wait += rand.N(wait / 4)
		b.replaced++
	}
	b.note(n)
	b.log(slog.LevelWarn, "a connection ended", "reason", n.Reason, "step", n.Step, "wait", wait)
	return wait
}

// pause returns a pause before the next attempt, and counts it.
func (b *bot) pause() time.Duration {
	longest := min(firstPause<<min(b.attempts, 10), longestPause)
	b.attempts++
	return rand.N(longest)
}

// note writes news of the connection to health, and remembers it to repeat it.
func (b *bot) note(c journal.Connection) {
	b.last = c
	b.options.Note(b.context, b.ref, c)
}

func (b *bot) log(level slog.Level, message string, args ...any) {
	args = append([]any{"account", b.ref.Account, "region", b.ref.Region, "name", b.ref.Name}, args...)
	invoke.Logger(b.context).Log(b.context, level, message, args...)
}

// link returns the connection in use, or nil.
func (b *bot) link() *link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// setLink takes a connection into use; nil: none. If it replaces another one, that one is still
// read for a while, since the platform may deliver over both.
func (b *bot) setLink(l *link) {
	b.mu.Lock()
	before := b.now
	b.now = l
	b.mu.Unlock()
	if before != nil {
		before.retire(l != nil)
	}
}

// send answers a message over the connection in use.
func (b *bot) send(ctx context.Context, to command.ReplyTo, text string) error {
	l := b.link()
	if l == nil {
		return errNotConnected
	}
	sending, ok := l.conn.(callback.Sending)
	if !ok {
		return callback.Final("an answer cannot be sent later over this connection")
	}
	return sending.Send(ctx, to, text)
}
