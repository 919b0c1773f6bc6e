package fc

import (
	"context"
	"net"
	"time"
)

// SetTimes makes the runtime API gone earlier, and the end patient, for a machine that is busy.
func SetTimes(gone, send time.Duration) { goneTime, sendTime = gone, send }

// A Watchdog is the one of watch, with a network and a clock of the test's.
type Watchdog struct {
	w *watchdog
}

// NewWatchdog returns a watchdog over address.
func NewWatchdog(address string, dial func(ctx context.Context, network, address string) (net.Conn, error),
	now func() time.Time, pause func(time.Duration)) *Watchdog {
	return &Watchdog{&watchdog{
		address: address, limit: GoneTime, dial: dial, now: now, gone: make(chan struct{}),
		pause: func(_ context.Context, d time.Duration) error { pause(d); return nil },
	}}
}

// Dial dials through the watchdog.
func (w *Watchdog) Dial(ctx context.Context, address string) (net.Conn, error) {
	return w.w.dialContext(ctx, "tcp", address)
}

// Gone is closed when the address is.
func (w *Watchdog) Gone() <-chan struct{} { return w.w.gone }
