package invoke_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/invoke"
)

// A book collects log lines.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// take returns the new lines, each as its members without the time.
func (b *book) take(t *testing.T) (lines []string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		delete(m, "time")
		lines = append(lines, fmt.Sprint(m))
	}
	b.b.Reset()
	return lines
}

func TestCollapseRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		c := invoke.CollapseRepeats(slog.NewJSONHandler(&b, nil), time.Second)
		logger := slog.New(c).With("source", 1)
		refused := invoke.Repeatable(t.Context(), "refused")
		want := func(about string, lines ...string) {
			t.Helper()
			if got := b.take(t); fmt.Sprint(got) != fmt.Sprint(lines) {
				t.Errorf("%s:\n got %s\nwant %s", about, got, lines)
			}
		}
		for i := range 1000 {
			logger.WarnContext(refused, "callback", "id", i)
		}
		want("the first is written at once", "map[id:0 level:WARN msg:callback source:1]")
		logger.InfoContext(t.Context(), "callback", "id", "another")
		logger.WarnContext(invoke.Repeatable(t.Context(), "other"), "callback", "id", "other")
		want("others go through", "map[id:another level:INFO msg:callback source:1]",
			"map[id:other level:WARN msg:callback source:1]")
		time.Sleep(time.Second)
		synctest.Wait()
		want("after a second", "map[followed_by:999 id:0 level:WARN msg:callback source:1]")
		time.Sleep(time.Hour)
		synctest.Wait()
		want("later")

		logger.WithGroup("g").WarnContext(refused, "callback", "id", 1)
		want("the window is over, so the next is a first one", "map[g:map[id:1] level:WARN msg:callback source:1]")
		logger.WarnContext(refused, "callback", "id", 2)
		c.Flush()
		want("at the end", "map[g:map[followed_by:1 id:1] level:WARN msg:callback source:1]")
		c.Flush()
		time.Sleep(time.Hour)
		synctest.Wait()
		want("after the end")

		if logger.Enabled(t.Context(), slog.LevelDebug) {
			t.Error("it is enabled where what it writes to is not")
		}
	})
}

// The number of counted keys is limited; beyond it, every line is written.
func TestCollapseManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		logger := slog.New(invoke.CollapseRepeats(slog.NewJSONHandler(&b, nil), time.Second))
		for range 2 {
			for i := range 1100 {
				logger.InfoContext(invoke.Repeatable(context.Background(), strconv.Itoa(i)), "line")
			}
		}
		if got := len(b.take(t)); got != 1100+100 {
			t.Errorf("%d lines, want 1200", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(b.take(t)); got != 1000 {
			t.Errorf("%d lines with a number, want 1000", got)
		}
	})
}
