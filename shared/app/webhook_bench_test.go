package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
)

// BenchmarkWebhook is callbacks of WeCom, signed and encrypted, through the local server: proven,
// decided, recorded durably and acknowledged, from 16 clients. It reports how many a second, and
// the 99th percentile of how long one took in milliseconds; WeCom waits 5,000.
func BenchmarkWebhook(b *testing.B) {
	s, err := app.ReadSettings(env(map[string]string{"CHATCONF_DATA": b.TempDir(), "CHATCONF_ADDR": "127.0.0.1:0",
		"CHATCONF_WEBHOOK_BASE_URL": "https://chatconf.example.com",
		"CHATCONF_ACCESS_KEY_ID":    benchKey.ID, "CHATCONF_ACCESS_KEY_SECRET": benchKey.Secret}))
	if err != nil {
		b.Fatal(err)
	}
	settings := callback.Settings{"WeChatCorpId": "wwexample", "WeChatAgentId": "1000002",
		"WeChatSecret": "not-a-real-secret", "WeChatToken": "notarealtoken",
		"WeChatEncodingAesKey": "notarealkeynotarealkeynotarealkeynotarealke"}
	l, err := app.OpenLocal(b.Context(), s, app.Actions(rpc.Actions()...))
	if err != nil {
		b.Fatal(err)
	}
	text := `{"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`
	for key, value := range settings {
		text += `,"` + key + `":"` + value.Reveal() + `"`
	}
	ctx := caller(b.Context())
	if _, err := l.Service.Create(ctx, &chat.CreateRequest{Name: "ops", Type: "WeChat",
		Configuration: secret.Text(text + "}")}); err != nil {
		b.Fatal(err)
	}
	out, err := l.Service.Get(ctx, &chat.GetRequest{Name: "ops"})
	if err != nil {
		b.Fatal(err)
	}
	var outputs struct{ URL string }
	if err := json.Unmarshal([]byte(out.ChatConfiguration.Outputs), &outputs); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	quiet, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	loud := os.Stderr
	os.Stderr = quiet // a line for each callback is written all the same
	defer func() { os.Stderr = loud }()
	serving, stop := context.WithCancel(b.Context())
	ended, at := make(chan error, 1), make(chan string, 1)
	go func() {
		ended <- app.ServeLocal(serving, s, func(a app.Started) { at <- a.Endpoint }, app.Everything(rpc.Actions()...))
	}()
	url := <-at + outputs.URL[strings.Index(outputs.URL, "/webhook/"):]
	callbacks := make([]*platformsim.Callback, b.N)
	for i := range callbacks {
		if callbacks[i], err = (&platformsim.Maker{Settings: settings, Now: time.Now()}).Make("WeChat", "app",
			platformsim.Message{ID: strconv.Itoa(1_000_000 + i), User: "u1", Text: "restart i-1"}); err != nil {
			b.Fatal(err)
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	for range 16 {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				r, err := callbacks[i].Request(url)
				if err != nil {
					b.Error(err)
					return
				}
				began := time.Now()
				resp, err := client.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				took[i] = time.Since(began)
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "callbacks/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
