package serve_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"chatconf/shared/serve"
)

// What reading and answering a request cost an invocation, with a handler that does nothing.
func BenchmarkDeliver(b *testing.B) {
	p := serve.Function{
		Handler: handler{
			http: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				io.WriteString(w, `{"RequestId":"request-1"}`)
			},
			event: func(context.Context, serve.Event) ([]byte, error) { return []byte(`{}`), nil },
		},
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, name := range []string{"http-fc", "http-apigw-v2", "http-function-url", "event-direct",
		"event-sqs", "event-eventbridge-aws"} {
		payload := fixtures(b, "")["testdata/"+name+".json"]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if _, err := serve.Deliver(b.Context(), p, call, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
