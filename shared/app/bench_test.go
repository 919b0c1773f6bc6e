package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
)

// benchKey signs every request of the benchmarks.
var benchKey = sign.Key{ID: "benchmark-key", Secret: "not-a-real-secret"}

const benchConfiguration = `{"DingTalkClientId":"dingbenchmark","DingTalkClientSecret":"not-a-real-secret"}`

// newBench opens a service on a fresh file and serves it on loopback, with its log thrown away.
func newBench(b *testing.B) (local *app.Local, endpoint string) {
	b.Helper()
	local, err := app.OpenLocal(b.Context(), app.Settings{
		Table:             app.DefaultTable,
		TicketTable:       app.DefaultTickets,
		AccountID:         app.DefaultAccountID,
		Region:            app.DefaultRegion,
		MaxConfigurations: 1_000_000,
		AccessKeyID:       benchKey.ID,
		AccessKeySecret:   secret.Text(benchKey.Secret),
		Data:              b.TempDir(),
	}, app.Actions(rpc.Actions()...))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { local.Close() })
	return local, serveBench(b, local.Handler)
}

func serveBench(b *testing.B, h http.Handler) (endpoint string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve.HTTP(ctx, l, h, slog.New(slog.NewJSONHandler(io.Discard, nil)), serve.Limits{})
	}()
	b.Cleanup(func() { stop(); <-done })
	return "http://" + l.Addr().String()
}

// newClient returns a client that keeps as many connections as it has goroutines.
func newClient(b *testing.B, goroutines int) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: goroutines, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// send makes one signed request and returns its body.
func send(client *http.Client, endpoint, action string, params url.Values) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, endpoint+"/?"+params.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Acs-Action", action)
	req.Header.Set("X-Acs-Version", rpc.Version)
	if err := benchKey.SignACS3(req, nil, time.Now(), invoke.NewRequestID()); err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}

// spread runs do n times on so many goroutines and returns how long that took. do is told which
// turn it has.
func spread(b *testing.B, goroutines, n int, do func(turn int) error) time.Duration {
	b.Helper()
	var turn atomic.Int64
	var wg sync.WaitGroup
	started := time.Now()
	for range goroutines {
		wg.Go(func() {
			for {
				i := int(turn.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(started)
}

// BenchmarkGetOverHTTP is the rate of signed GetChatConfiguration over loopback, 16 clients, as a
// part of the rate of a bare net/http handler that returns the same bytes to the same client. The
// two take turns, so that the machine's moods meet both.
func BenchmarkGetOverHTTP(b *testing.B) {
	const clients, round = 16, 500
	_, endpoint := newBench(b)
	client := newClient(b, clients)
	params := url.Values{"Name": {"ops"}, "RegionId": {app.DefaultRegion}}
	if _, err := send(client, endpoint, "CreateChatConfiguration",
		url.Values{"Name": {"ops"}, "Type": {"DingTalk"}, "Configuration": {benchConfiguration}}); err != nil {
		b.Fatal(err)
	}
	answer, err := send(client, endpoint, "GetChatConfiguration", params)
	if err != nil {
		b.Fatal(err)
	}
	bare := serveBench(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Write(answer)
	}))
	var ours, theirs time.Duration
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n += round
		theirs += spread(b, clients, round, func(int) error {
			_, err := send(client, bare, "GetChatConfiguration", params)
			return err
		})
		ours += spread(b, clients, round, func(int) error {
			body, err := send(client, endpoint, "GetChatConfiguration", params)
			if err == nil && len(body) != len(answer) {
				err = fmt.Errorf("answer of %d bytes, want %d", len(body), len(answer))
			}
			return err
		})
	}
	b.ReportMetric(float64(n)/ours.Seconds(), "gets/s")
	b.ReportMetric(float64(n)/theirs.Seconds(), "bare/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-bare")
}

// BenchmarkCreateOverHTTP is the rate of durable CreateChatConfiguration over loopback with 16
// clients, in multiples of the rate of one.
func BenchmarkCreateOverHTTP(b *testing.B) {
	const clients, round = 16, 50
	_, endpoint := newBench(b)
	client := newClient(b, clients)
	var last atomic.Int64
	create := func(int) error {
		_, err := send(client, endpoint, "CreateChatConfiguration", url.Values{
			"Name":          {"bench-" + strconv.FormatInt(last.Add(1), 10)},
			"Type":          {"DingTalk"},
			"Configuration": {benchConfiguration},
		})
		return err
	}
	var one, many time.Duration
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n++
		one += spread(b, 1, round, create)
		many += spread(b, clients, round*clients, create)
	}
	oneRate, manyRate := float64(n*round)/one.Seconds(), float64(n*round*clients)/many.Seconds()
	b.ReportMetric(oneRate, "creates/s-1")
	b.ReportMetric(manyRate, "creates/s-16")
	b.ReportMetric(manyRate/oneRate, "x-one-client")
}

// BenchmarkListBySize is the time of a page of 50 at 100,000 configurations, in multiples of the
// time at 1,000: without a filter and with one that selects a fifth of them, from the first page
// and from the middle.
func BenchmarkListBySize(b *testing.B) {
	small, large := newFilled(b, 1_000), newFilled(b, 100_000)
	for _, filters := range [][]chat.Filter{nil, {{Name: "Type", Value: "Slack"}}} {
		for _, from := range []string{"first", "middle"} {
			b.Run(fmt.Sprintf("filters=%d/%s", len(filters), from), func(b *testing.B) {
				var took [2]time.Duration
				var pages [2]func() error
				for i, f := range []*filled{small, large} {
					pages[i] = f.page(b, filters, from == "middle")
				}
				n := 0
				for b.Loop() {
					n++
					for i, page := range pages {
						started := time.Now()
						if err := page(); err != nil {
							b.Fatal(err)
						}
						took[i] += time.Since(started)
					}
				}
				b.ReportMetric(float64(took[0].Microseconds())/float64(n), "µs-at-1000")
				b.ReportMetric(float64(took[1].Microseconds())/float64(n), "µs-at-100000")
				b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "x-at-1000")
			})
		}
	}
}

// A filled is a service with many configurations, of the five types by turns.
type filled struct {
	service *chat.Service
	ctx     context.Context
	size    int
}

func newFilled(b *testing.B, size int) *filled {
	b.Helper()
	local, _ := newBench(b)
	f := &filled{service: local.Service, size: size, ctx: chat.WithCaller(b.Context(), &chat.Caller{
		Account:  app.DefaultAccountID,
		Name:     "benchmark",
		Policies: []*policy.Policy{policy.Administrator()},
	})}
	kinds := []struct{ kind, configuration string }{
		{"DingTalk", benchConfiguration},
		{"WeChat", `{"WeChatCorpId":"ww-benchmark","WeChatAgentId":"1000002","WeChatSecret":"not-a-real-secret"}`},
		{"Feishu", `{"FeishuAppId":"cli_benchmark","FeishuAppSecret":"not-a-real-secret",` +
			`"FeishuEncryptKey":"not-a-real-secret"}`},
		{"Slack", `{"SlackSigningSecret":"not-a-real-secret"}`},
		{"Teams", `{"TeamsWebhookSecret":"bm90LWEtcmVhbC1zZWNyZXQ="}`},
	}
	spread(b, 128, size, func(i int) error {
		kind := kinds[i%len(kinds)]
		_, err := f.service.Create(f.ctx, &chat.CreateRequest{Name: fmt.Sprintf("bench-%07d", i), Type: kind.kind,
			Configuration: secret.Text(kind.configuration)})
		return err
	})
	return f
}

// page returns a function that lists one page of 50: the first, or one in the middle.
func (f *filled) page(b *testing.B, filters []chat.Filter, middle bool) func() error {
	b.Helper()
	request := &chat.ListRequest{Filters: filters}
	if middle {
		most := int64(chat.MaxResults)
		for range f.size / chat.MaxResults / 10 { // well inside even a fifth of them
			out, err := f.service.List(f.ctx, &chat.ListRequest{Filters: filters,
				MaxResults: &most, NextToken: request.NextToken})
			if err != nil {
				b.Fatal(err)
			}
			request.NextToken = out.NextToken
		}
	}
	return func() error {
		out, err := f.service.List(f.ctx, request)
		if err == nil && len(out.ChatConfigurations) != chat.DefaultResults {
			err = fmt.Errorf("page of %d, want %d", len(out.ChatConfigurations), chat.DefaultResults)
		}
		return err
	}
}
