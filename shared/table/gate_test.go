package table_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/table"
)

func TestGateLetsInWhileItIsOpen(t *testing.T) {
	var g table.Gate
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: ended, context.DeadlineExceeded: late} {
		if err := g.Enter(ctx); !errors.Is(err, want) {
			t.Errorf("Enter = %v, want %v", err, want)
		}
	}
	for range 2 { // calls run concurrently
		if err := g.Enter(t.Context()); err != nil {
			t.Fatalf("Enter: %v", err)
		}
	}
	g.Leave()
	g.Leave()
	for range 2 {
		g.Close() // returns: no call is in progress, refused ones do not count
		if err := g.Enter(t.Context()); !errors.Is(err, table.ErrClosed) {
			t.Errorf("Enter after Close = %v, want ErrClosed", err)
		}
	}
	if err := g.Enter(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Enter after Close, with a context that has ended = %v, want the context's error", err)
	}
}

// Close waits for the call in progress. Meanwhile other calls are refused without waiting.
func TestGateWaitsForCalls(t *testing.T) {
	var g table.Gate
	if err := g.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left atomic.Bool
	var closers sync.WaitGroup
	for range 2 {
		closers.Go(func() {
			if g.Close(); !left.Load() {
				t.Error("Close returned before the call had left")
			}
		})
	}
	for {
		err := g.Enter(t.Context())
		if errors.Is(err, table.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatalf("Enter = %v, want success or ErrClosed", err)
		}
		g.Leave()
		runtime.Gosched()
	}
	left.Store(true)
	g.Leave()
	closers.Wait()
}

// With any number of concurrent calls, none is in progress after Close has returned.
func TestGateUnderLoad(t *testing.T) {
	for range 50 {
		var g table.Gate
		var shut atomic.Bool
		var callers sync.WaitGroup
		begun := make(chan struct{}, 8)
		for range cap(begun) {
			callers.Go(func() {
				begun <- struct{}{}
				for g.Enter(t.Context()) == nil {
					if shut.Load() {
						t.Error("a call was let in after Close had returned")
					}
					runtime.Gosched()
					if shut.Load() {
						t.Error("Close has returned during a call")
					}
					g.Leave()
				}
			})
		}
		<-begun
		g.Close()
		shut.Store(true)
		callers.Wait()
	}
}
