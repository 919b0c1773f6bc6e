package runtime_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

func benchmarkInvoke(b *testing.B, kind runtime.Kind, callers int) {
	h := runtime.RunT(b, runtime.Options{}, hello(b, kind))
	warm(b, h, callers)
	var n, lost atomic.Int64
	var wg sync.WaitGroup
	n.Store(int64(b.N))
	b.ResetTimer()
	began := time.Now()
	for range callers {
		wg.Go(func() {
			for n.Add(-1) >= 0 {
				r, err := h.Invoke(b.Context(), "hello", runtime.Request{})
				if err != nil || string(r.Payload) != `"hello"` || r.Failure != runtime.Answered {
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if lost.Load() > 0 {
		b.Errorf("%d of %d invocations were lost", lost.Load(), b.N)
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "invocations/s")
}

// warm makes a host start a process for each caller, up to its limit.
func warm(b testing.TB, h *runtime.Host, callers int) {
	b.Helper()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range 20 {
				if _, err := h.Invoke(b.Context(), "hello", runtime.Request{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkInvoke(b *testing.B) {
	for _, kind := range []runtime.Kind{runtime.FC, runtime.Lambda} {
		b.Run(kind.String()+"/callers=1", func(b *testing.B) { benchmarkInvoke(b, kind, 1) })
		b.Run(kind.String()+"/callers=16", func(b *testing.B) { benchmarkInvoke(b, kind, 16) })
	}
}

// BenchmarkCold measures an invocation for which a process must be started.
func BenchmarkCold(b *testing.B) {
	for _, kind := range []runtime.Kind{runtime.FC, runtime.Lambda} {
		b.Run(kind.String(), func(b *testing.B) {
			f := hello(b, kind)
			f.Initializer = kind == runtime.FC
			var took []time.Duration
			for b.Loop() {
				h := runtime.New(runtime.Options{})
				if err := h.Add(f); err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				invoke(b, h, `{}`)
				took = append(took, time.Since(began))
				b.StopTimer()
				if err := h.Close(b.Context()); err != nil {
					b.Error(err)
				}
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		})
	}
}

// BenchmarkWarm measures an invocation that finds a process.
func BenchmarkWarm(b *testing.B) {
	for _, kind := range []runtime.Kind{runtime.FC, runtime.Lambda} {
		b.Run(kind.String(), func(b *testing.B) {
			h := runtime.RunT(b, runtime.Options{}, hello(b, kind))
			warm(b, h, 1)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				invoke(b, h, `{}`)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}
