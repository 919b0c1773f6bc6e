package tablestore_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// BenchmarkCalls measures what the adapter and the SDK do in the process: the answers are ready.
func BenchmarkCalls(b *testing.B) {
	s := local(b)
	tb := s.table(b, "items")
	for i := range 50 {
		if err := tb.Write(b.Context(), "p",
			table.Change{Puts: []table.Put{{Sort: fmt.Sprintf("%02d", i),
				Value: make([]byte, 560), Revision: 1}}}); err != nil {
			b.Fatal(err)
		}
	}
	key := table.Key{Partition: "p", Sort: "07"}
	for name, call := range map[string]func() error{
		"Get": func() error { _, err := tb.Get(b.Context(), key); return err },
		"QueryOf50": func() error {
			_, err := tb.Query(b.Context(),
				table.Range{Partition: "p", Limit: 50})
			return err
		},
		"Put": func() error {
			return tb.Write(b.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a", Value: make([]byte, 560)}}})
		},
		"SDK/GetRow": sdkGet(s),
	} {
		b.Run(name, func(b *testing.B) {
			replay(b, s, call)
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// replay makes the wire answer from now on as it does to call now.
func replay(b *testing.B, s *service, call func() error) {
	var body string
	s.wire.set(func(e *exchange) (*http.Response, error) {
		resp, err := e.send()
		if err != nil {
			return nil, err
		}
		got, err := io.ReadAll(resp.Body)
		body = string(got)
		return answer(200, body), err
	})
	if err := call(); err != nil {
		b.Fatal(err)
	}
	s.wire.set(nil)
	s.wire.canned = func() *http.Response { return answer(200, body) }
	b.Cleanup(func() { s.wire.canned = nil })
}

// sdkGet returns the same read by the SDK alone.
func sdkGet(s *service) func() error {
	client := sdk.NewClientWithConfig(s.Endpoint, s.Instance, otstest.KeyID, otstest.KeySecret, "",
		&sdk.TableStoreConfig{Transport: s.wire})
	return func() error {
		key := new(sdk.PrimaryKey)
		key.AddPrimaryKeyColumn("partition", "p")
		key.AddPrimaryKeyColumn("sort", "07")
		_, err := client.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
			TableName: "items", PrimaryKey: key, MaxVersion: 1}})
		return err
	}
}
