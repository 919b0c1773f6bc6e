package chat_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/command"
)

// BenchmarkCommand is what the domain does for one message: open the webhook, parse, decide, and record durably, 16 at a time.
func BenchmarkCommand(b *testing.B) {
	h := newHouse(b)
	e := h.bot("one")
	token := strings.Split(h.url("one"), "/")[7]
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e, err := h.OpenWebhook(h.ctx, e.Account, e.Region, e.Name, token)
			if err != nil {
				b.Error(err)
				return
			}
			c, err := e.Command(&command.Message{ID: fmt.Sprint(n.Add(1)), User: "u1", Conversation: "c1", Text: "restart i-123 --now"})
			if err != nil {
				b.Error(err)
				return
			}
			a := chat.Arrival{Command: c, Decision: e.Decide(c), Guards: []string{c.MessageID}, Handover: &chat.Handover{}}
			if _, verdict, err := h.journal.Record(h.ctx, e, a); err != nil || verdict != chat.Fresh {
				b.Errorf("%v, %v", verdict, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

func BenchmarkDecide(b *testing.B) {
	h := newHouse(b)
	e := h.bot("one")
	b.ReportAllocs()
	for b.Loop() {
		e.Permissions.Decide("u1", "c1", "restart")
	}
}
