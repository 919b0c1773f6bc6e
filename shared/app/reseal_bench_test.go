package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime/metrics"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// BenchmarkReseal seals 100,000 configurations with one revision each again, on the file. Memory is
// what the process has from the system, without the mapped file, at its peak.
func BenchmarkReseal(b *testing.B) {
	const n = 100_000
	s := app.Settings{Table: app.DefaultTable, TicketTable: app.DefaultTickets, AccountID: app.DefaultAccountID,
		Region: app.DefaultRegion, MaxConfigurations: 1_000_000, Data: b.TempDir()}
	open := func(ids ...string) *app.Local {
		s.KeyRing = ringText(b, ids...)
		l, err := app.OpenLocal(b.Context(), s, app.Actions(rpc.Actions()...).Resealing())
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	l := open("one")
	ctx := chat.WithCaller(b.Context(), &chat.Caller{Account: s.AccountID, Name: "benchmark",
		Policies: []*policy.Policy{policy.Owner()}})
	_, err := l.Service.Create(ctx, &chat.CreateRequest{Name: "first", Type: "DingTalk",
		Configuration: benchConfiguration})
	if err != nil {
		b.Fatal(err)
	}
	l.Close()
	multiply(b, s, n-1)
	ids := []string{"two", "one"}
	for b.Loop() {
		l := open(ids...)
		peak, took := walkAll(b, l)
		l.Close()
		ids[0], ids[1] = ids[1], ids[0]
		b.ReportMetric(2*n/took.Seconds(), "items/s")
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// walkAll seals everything again, and returns how long that took and the most memory at the end of
// a step.
func walkAll(b *testing.B, l *app.Local) (peak uint64, took time.Duration) {
	b.Helper()
	memory := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	started := time.Now()
	for {
		at, err := l.Service.ResealStep(b.Context(), false)
		if err != nil {
			b.Fatal(err)
		}
		metrics.Read(memory)
		peak = max(peak, memory[0].Value.Uint64()-memory[1].Value.Uint64())
		if at.Done {
			if at.Unreadable > 0 || at.Resealed != at.Seen {
				b.Fatalf("the walk ended with %+v", at)
			}
			return peak, time.Since(started)
		}
	}
}

// multiply copies the only configuration of a service n times, with its history, under other names.
func multiply(b *testing.B, s app.Settings, n int) {
	b.Helper()
	ring, err := seal.ParseRing([]byte(s.KeyRing.Reveal()))
	if err != nil {
		b.Fatal(err)
	}
	db, err := file.Open(filepath.Join(s.Data, app.TableFile), file.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tb := db.Table(s.Table, file.TableOptions{})
	partition := s.AccountID + "/" + s.Region
	items, err := tb.Get(b.Context(), table.Key{Partition: partition, Sort: "c#first"},
		table.Key{Partition: partition, Sort: "h#first#0000000001"})
	if err != nil || len(items) != 2 {
		b.Fatalf("%d items, %v", len(items), err)
	}
	var change table.Change
	for i := range n {
		name := fmt.Sprintf("bot-%06d", i)
		for j, sort := range []string{"c#" + name, "h#" + name + "#0000000001"} {
			var record map[string]any
			if err := json.Unmarshal(items[j].Value, &record); err != nil {
				b.Fatal(err)
			}
			record["name"] = name
			secrets := record["secrets"].(map[string]any)
			for field := range secrets {
				secrets[field], err = ring.Seal(seal.Place{Account: s.AccountID, Region: s.Region, Name: name,
					Field: field}, []byte("not-a-real-secret"))
				if err != nil {
					b.Fatal(err)
				}
			}
			value, err := json.Marshal(record)
			if err != nil {
				b.Fatal(err)
			}
			change.Puts = append(change.Puts, table.Put{Sort: sort, Value: value, Revision: 1})
		}
		if len(change.Puts) == table.MaxWrite || i == n-1 {
			if err := tb.Write(context.Background(), partition, change); err != nil {
				b.Fatal(err)
			}
			change.Puts = nil
		}
	}
}
