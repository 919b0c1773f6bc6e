package ots_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

// benchRows is the number of rows in the benchmarks' table, all in one partition, each about 560
// bytes.
const benchRows = 10000

// newBench returns a client of an emulator over a file with a table full of rows.
func newBench(b *testing.B) *client {
	b.Helper()
	in := otstest.RunT(b, func(o *ots.Options) { o.Path = filepath.Join(b.TempDir(), "ots.db") })
	c := newClient(b, in)
	c.create("bench", "p:string s:string")
	for i := 0; i < benchRows; i += 200 {
		batch := &tablestore.BatchWriteRowRequest{}
		for j := i; j < i+200; j++ {
			batch.AddRowChange(benchPut(fmt.Sprintf("row-%06d", j)))
		}
		if _, err := c.BatchWriteRow(batch); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

func benchPut(sort string) *tablestore.PutRowChange {
	return put("bench", key("p", "account/region", "s", sort),
		cols("count", int64(1), "revision", int64(7), "value", []byte(strings.Repeat("v", 500)), "written",
			int64(1700000000000)))
}

// spread runs fn b.N times, in the given number of goroutines.
func spread(b *testing.B, clients int, fn func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	var wait sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := fn(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkGetRow(b *testing.B) {
	c := newBench(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			spread(b, clients, func(i int) error {
				out, err := c.GetRow(&tablestore.GetRowRequest{
					SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{
						TableName: "bench", PrimaryKey: key("p", "account/region", "s",
							fmt.Sprintf("row-%06d", i*7919%benchRows)), MaxVersion: 1,
					}})
				if err == nil && len(out.Columns) != 4 {
					return fmt.Errorf("%d columns", len(out.Columns))
				}
				return err
			})
		})
	}
}

func BenchmarkGetRange50(b *testing.B) {
	c := newBench(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			spread(b, clients, func(i int) error {
				out, err := c.GetRange(&tablestore.GetRangeRequest{
					RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
						TableName: "bench", MaxVersion: 1, Limit: 50,
						StartPrimaryKey: key("p", "account/region", "s",
							fmt.Sprintf("row-%06d", i*7919%(benchRows-100))),
						EndPrimaryKey: key("p", "account/region", "s", infMax),
					}})
				if err == nil && len(out.Rows) != 50 {
					return fmt.Errorf("%d rows", len(out.Rows))
				}
				return err
			})
		})
	}
}

func BenchmarkPutRow(b *testing.B) {
	c := newBench(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			spread(b, clients, func(i int) error {
				_, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: benchPut(fmt.Sprintf("new-%06d", i))})
				return err
			})
		})
	}
}

// BenchmarkServe measures the server alone, from a signed request to the answer, without net/http
// and the SDK.
func BenchmarkServe(b *testing.B) {
	var captured sync.Map
	c := newBench(b)
	c.in.SetFault(func(r ots.Request) ots.Fault {
		captured.Store(r.Operation, bytes.Clone(r.Body))
		return ots.Fault{}
	})
	c.must(benchPut("row-000000"))
	c.get("bench", key("p", "account/region", "s", "row-000000"))
	c.page(&tablestore.RangeRowQueryCriteria{
		TableName: "bench", StartPrimaryKey: key("p", "account/region", "s", infMin),
		EndPrimaryKey: key("p", "account/region", "s", infMax), Limit: 50,
	})
	c.in.SetFault(nil)
	for _, operation := range []string{"GetRow", "GetRange", "PutRow"} {
		b.Run(operation, func(b *testing.B) {
			body, _ := captured.Load(operation)
			signed := newRaw(c.in, operation, body.([]byte)).sign(c.in.KeySecret)
			r := httptest.NewRequest(http.MethodPost, "/"+operation, nil)
			for name, value := range signed.headers {
				r.Header.Set(name, value)
			}
			r.ContentLength = int64(len(signed.body))
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(bytes.NewReader(signed.body))
				w := discard{http.Header{}}
				c.in.Server.ServeHTTP(w, r)
			}
		})
	}
}

// discard is an http.ResponseWriter that discards everything.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(status int) {
	if status != http.StatusOK {
		panic(status)
	}
}
