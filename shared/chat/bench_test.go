package chat_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
)

// BenchmarkCommand is what the domain does for one message: open the webhook, parse, decide, and
// record durably, 16 at a time.
func BenchmarkCommand(b *testing.B) {
	h := newHouse(b)
	e := h.Bot("one")
	token := strings.Split(h.URL("one"), "/")[7]
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e, err := h.OpenWebhook(h.Ctx, e.Account, e.Region, e.Name, token)
			if err != nil {
				b.Error(err)
				return
			}
			c, err := e.Command(&command.Message{ID: fmt.Sprint(n.Add(1)), User: "u1",
				Conversation: "c1", Text: "restart i-123 --now"})
			if err != nil {
				b.Error(err)
				return
			}
			a := journal.Arrival{Command: c, Decision: e.Decide(c), Guards: []string{c.MessageID},
				Pending: &journal.Pending{}}
			if _, verdict, err := h.Journal.Record(h.Ctx, e, a); err != nil || verdict != journal.Fresh {
				b.Errorf("%v, %v", verdict, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

// BenchmarkListRevisions reads a page of 50 revisions with their changes: of configurations that a
// person writes, and of the largest ones, of which each revision changes one statement.
func BenchmarkListRevisions(b *testing.B) {
	for about, size := range map[string]struct{ statements, principals int }{"2KB": {3, 40}, "60KB": {100, 40}} {
		b.Run(about, func(b *testing.B) {
			h := newHouse(b)
			h.MustCreate("one")
			for i := range chat.DefaultHistory {
				list := make([]string, size.statements)
				for j := range list {
					list[j] = `{"Effect":"Allow","Commands":["restart","status"],"Principals":[` +
						repeat(size.principals, `"user:u%d"`) + `]}`
				}
				list[i%size.statements] = fmt.Sprintf(`{"Effect":"Deny","Principals":["user:u%d"],"Commands":["*"]}`, i)
				h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(
					chattest.With(chattest.Slack, `"Permissions":[`+strings.Join(list, ",")+`]`)))})
			}
			b.ReportAllocs()
			for b.Loop() {
				out, err := h.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "one"})
				if err != nil || len(out.ChatConfigurationRevisions) != chat.DefaultResults {
					b.Fatalf("%d revisions, %v", len(out.ChatConfigurationRevisions), err)
				}
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	h := newHouse(b)
	e := h.Bot("one")
	b.ReportAllocs()
	for b.Loop() {
		e.Permissions.Decide(command.Command{User: "u1", Conversation: "c1", Name: "restart"})
	}
}
