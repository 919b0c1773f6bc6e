package stream

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
)

// A Bot is a configuration whose messages come over a connection.
type Bot struct {
	Ref      command.Ref // without an ID
	Revision int64
}

// Steps of news of a connection: where it failed.
const (
	StepOpen     = "open"
	StepRead     = "read"
	StepReplaced = "replaced" // another program has connected with the same bot
	StepLease    = "lease"    // the tables did not answer
	StepLimit    = "limit"
)

// Options are what a Supervisor needs.
type Options struct {
	// Bots returns all configurations whose messages come over connections.
	Bots func(context.Context) ([]Bot, error)
	// Open returns a configuration as it is now.
	Open func(context.Context, command.Ref) (*command.Endpoint, error)
	// Streams makes the stream of a configuration, by Type.
	Streams map[string]func(callback.Settings, *callback.Client) (callback.Stream, error)
	Client  *callback.Client // for the calls of streams
	Dialer  callback.Dialer
	// Arrive records a delivery, and returns what the platform is told of it.
	Arrive func(context.Context, command.Ref, callback.Answerer, *callback.Received, error) *callback.Response
	// Leases are those of the tables; nil: no other process uses the tables.
	Leases *Leases
	// Note takes news of a connection for health, without a Holder, and does not wait.
	Note func(context.Context, command.Ref, journal.Connection)
	Max  int           // connections of this process; default DefaultMax
	Poll time.Duration // between two calls of Bots; default DefaultPoll

	Now func() time.Time // the wall clock; default time.Now
}

// Defaults of Options.
const (
	DefaultMax  = 1000
	DefaultPoll = 2 * time.Second
)

const (
	// opening is how many connections to one platform are opened concurrently, and how many
	// configurations are read for that. atOnce is how many deliveries are handled concurrently,
	// each at most of them for one connection.
	opening = 16
	atOnce  = 256
	each    = 32
	// clockEvery is how often the wall clock is compared, and clockJump how much it may go faster
	// than that. A machine that slept longer has no connections any more.
	clockEvery = 5 * time.Second
	clockJump  = 30 * time.Second
	// DrainTime is how long Close waits for deliveries in hand.
	DrainTime = 5 * time.Second
	// cutTime is how long Close waits for what it has cut.
	cutTime = 5 * time.Second
)

// A Supervisor holds the connections of a process. It is safe for concurrent use.
type Supervisor struct {
	options Options
	turns   chan struct{}            // a place for each delivery that is handled
	loads   chan struct{}            // a place for each configuration that is being read
	opens   map[string]chan struct{} // by Type, a place for each connection that is being opened
	slots   chan struct{}            // a place for each connection

	context context.Context // of the bots; set by Start
	stop    context.CancelFunc
	group   sync.WaitGroup
	renewal sync.WaitGroup // of the leases, which last until the bots have ended
	expire  context.CancelFunc
	wake    chan struct{} // asks for the next call of Bots

	mu   sync.Mutex
	bots map[command.Ref]*bot // by account, region and name
}

// New returns a supervisor. It does no I/O before Start.
func New(o Options) (*Supervisor, error) {
	if o.Bots == nil || o.Open == nil || o.Client == nil || o.Dialer == nil || o.Arrive == nil || o.Note == nil {
		return nil, errors.New("stream: a supervisor needs Bots, Open, Client, Dialer, Arrive and Note")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Max, o.Poll = cmp.Or(o.Max, DefaultMax), cmp.Or(o.Poll, DefaultPoll)
	opens := make(map[string]chan struct{}, len(o.Streams))
	for kind := range o.Streams {
		opens[kind] = make(chan struct{}, opening)
	}
	return &Supervisor{
		options: o,
		turns:   make(chan struct{}, atOnce),
		loads:   make(chan struct{}, opening),
		opens:   opens,
		slots:   make(chan struct{}, o.Max),
		wake:    make(chan struct{}, 1),
		bots:    make(map[command.Ref]*bot),
	}, nil
}

// Start begins to follow the configurations, and logs to the logger of ctx's invocation. The
// supervisor works until it is closed, also after ctx ends.
func (s *Supervisor) Start(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	s.context, s.stop = context.WithCancel(ctx)
	if l := s.options.Leases; l != nil {
		l.now = s.options.Now
		var leased context.Context
		leased, s.expire = context.WithCancel(ctx)
		s.renewal.Go(func() { l.keep(leased) })
	}
	s.group.Go(s.follow)
	s.group.Go(s.watchClock)
}

// follow follows the configurations.
func (s *Supervisor) follow() {
	ticker := time.NewTicker(s.options.Poll)
	defer ticker.Stop()
	for failing := false; ; {
		err := s.round()
		if failed := err != nil && s.context.Err() == nil; failed != failing {
			if failing = failed; failed {
				invoke.Logger(s.context).ErrorContext(s.context, "the configurations with connections were not read",
					"error", err)
			}
		}
		select {
		case <-ticker.C:
		case <-s.wake:
		case <-s.context.Done():
			return
		}
	}
}

// round reads the configurations once. After an error those of the last round stay.
func (s *Supervisor) round() (err error) {
	defer invoke.Recover("stream", &err)
	ctx, cancel := context.WithTimeout(s.context, pollTime)
	defer cancel()
	bots, err := s.options.Bots(ctx)
	if err != nil {
		return err
	}
	wanted := make(map[command.Ref]Bot, len(bots))
	for _, b := range bots {
		wanted[named(b.Ref)] = b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range s.bots {
		w, ok := wanted[name]
		switch {
		case !ok || w.Ref != b.ref:
			b.stop() // a new life starts after the end of the old one
		case w.Revision != b.revision:
			b.revision = w.Revision
			b.changed.ring()
		}
	}
	for _, w := range slices.SortedFunc(maps.Values(wanted), byName) { // so that the same ones are beyond Max
		name := named(w.Ref)
		if _, ok := s.bots[name]; ok || s.context.Err() != nil {
			continue
		}
		b := s.newBot(w)
		s.bots[name] = b
		s.group.Go(func() {
			defer s.ended(name)
			b.run()
		})
	}
	return nil
}

// ended forgets a bot whose goroutine has ended.
func (s *Supervisor) ended(name command.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bots, name)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// watchClock compares the wall clock with the time that passes for the process. If it jumped, the
// machine slept, and the other sides have given up the connections.
func (s *Supervisor) watchClock() {
	ticker := time.NewTicker(clockEvery)
	defer ticker.Stop()
	for last := s.wall(); ; {
		select {
		case <-ticker.C:
		case <-s.context.Done():
			return
		}
		now := s.wall()
		jumped := now.Sub(last) > clockEvery+clockJump
		if last = now; !jumped {
			continue
		}
		invoke.Logger(s.context).WarnContext(s.context, "the clock jumped: this process opens all connections again")
		if s.options.Leases != nil {
			s.options.Leases.expire()
		}
		s.mu.Lock()
		for _, b := range s.bots {
			b.jumped.ring()
		}
		s.mu.Unlock()
	}
}

// wall returns the wall clock's time, without the time that passes for the process.
func (s *Supervisor) wall() time.Time { return s.options.Now().Round(0) }

// Send answers a message over the connection of a configuration. Its error says whether a retry can
// help, as that of a Sender.
func (s *Supervisor) Send(ctx context.Context, of command.Ref, to command.ReplyTo, text string) error {
	s.mu.Lock()
	b := s.bots[named(of)]
	s.mu.Unlock()
	if b == nil || b.ref.Life != of.Life {
		return errNotConnected
	}
	return b.send(ctx, to, text)
}

// errNotConnected is the error of an answer that cannot be sent now.
var errNotConnected = errors.New("the connection is not open here; only the process that holds it can send this answer")

// Close reads no further deliveries, acknowledges those in hand, closes the connections and gives
// the leases back. It returns an error if some connection does not end in time.
func (s *Supervisor) Close() error {
	if s.stop == nil {
		return nil // it was not started
	}
	s.stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.group.Wait()
	}()
	timer := time.NewTimer(DrainTime + cutTime)
	defer timer.Stop()
	var err error
	select {
	case <-ended:
	case <-timer.C:
		err = errors.New("stream: a connection did not end in time after it was closed")
	}
	if s.options.Leases != nil {
		s.expire()
		s.renewal.Wait()
		if err == nil {
			s.options.Leases.close(s.context)
		}
	}
	return err
}

func byName(a, b Bot) int {
	return cmp.Or(cmp.Compare(a.Ref.Account, b.Ref.Account), cmp.Compare(a.Ref.Region, b.Ref.Region),
		cmp.Compare(a.Ref.Name, b.Ref.Name))
}

// named returns a reference by account, region and name alone.
func named(ref command.Ref) command.Ref {
	return command.Ref{Account: ref.Account, Region: ref.Region, Name: ref.Name}
}
