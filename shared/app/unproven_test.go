package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/command"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/invoke"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	"chatconf/shared/webhook/webhooktest"
)

// An unproven is a reader that anybody can have run, because it runs before a signature is
// compared, or a cloud has said who called.
type unproven struct {
	reader string
	worst  func()  // reads the worst that may come
	wrong  func()  // reads something usual of the same size, whose signature is wrong
	most   float64 // how often the worst may allocate
}

// discard takes an answer and forgets it.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

// requests returns a function that has a handler answer the same request again and again.
func requests(h http.Handler, r *http.Request, body []byte) func() {
	inv := &invoke.Invocation{RequestID: invoke.NewRequestID(), SourceIP: "192.0.2.1",
		Logger: slog.New(slog.DiscardHandler)}
	r = r.WithContext(invoke.With(context.Background(), inv))
	w := discard{make(http.Header)}
	return func() {
		clear(w.header)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		h.ServeHTTP(w, r)
	}
}

const formType = "application/x-www-form-urlencoded"

// stranger knows whose key to try.
var stranger = sign.Key{ID: benchKey.ID, Secret: "another"}

// openAPI returns a handler of the API.
func openAPI(tb testing.TB) http.Handler {
	l, err := app.OpenLocal(tb.Context(), app.Settings{AccountID: app.DefaultAccountID, Table: "c",
		TicketTable: "t", AccessKeyID: benchKey.ID,
		AccessKeySecret: secret.Text(benchKey.Secret), Data: tb.TempDir()}, app.Actions(rpc.Actions()...))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l.Handler
}

// rpcLines are the readers of the API: parameters, and both signatures.
func rpcLines(tb testing.TB) []unproven {
	handler := openAPI(tb)
	// v1 is a request by V1 with more parameters in its query or form, signed by the wrong secret.
	v1 := func(inForm bool, more url.Values, raw string) func() {
		all := url.Values{"Action": {"GetChatConfiguration"}, "Version": {rpc.Version}}
		maps.Copy(all, more)
		if err := stranger.SignV1(http.MethodPost, all, time.Now(), invoke.NewRequestID()); err != nil {
			tb.Fatal(err)
		}
		text := all.Encode() + raw
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if inForm {
			r.Header.Set("Content-Type", formType)
			return requests(handler, r, []byte(text))
		}
		r.URL.RawQuery, r.RequestURI = text, "/?"+text
		return requests(handler, r, nil)
	}
	acs3 := func(more url.Values, contentType string, body []byte, headers http.Header) func() {
		r := httptest.NewRequest(http.MethodPost, "/?"+more.Encode(), nil)
		maps.Copy(r.Header, headers)
		r.Header.Set("X-Acs-Action", "GetChatConfiguration")
		r.Header.Set("X-Acs-Version", rpc.Version)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if err := stranger.SignACS3(r, body, time.Now(), invoke.NewRequestID()); err != nil {
			tb.Fatal(err)
		}
		return requests(handler, r, body)
	}
	many := func(n, size int) url.Values { // each in percent-encoding
		v := make(url.Values, n)
		for i := range n {
			v[fmt.Sprintf("p%03d%%", i)] = []string{strings.Repeat("\xff", size)}
		}
		return v
	}
	// one is one parameter that takes so many bytes in percent-encoding: a Configuration, as the
	// SDKs send it.
	one := func(size int) url.Values {
		const member = `"Key":"some value", `
		return url.Values{"Configuration": {strings.Repeat(member, size/len(url.QueryEscape(member)))}}
	}
	short := make(url.Values, 980)
	for i := range 980 {
		short[strconv.FormatInt(int64(i), 36)] = []string{""}
	}
	const size = 200 << 10
	headers := make(http.Header)
	for i := range 100 {
		headers.Set(fmt.Sprintf("X-Other-%d", i), "x")
	}
	acsHeaders := make(http.Header)
	for i := range 50 {
		acsHeaders.Set(fmt.Sprintf("X-Acs-Other-%d", i), "x")
	}
	json := []byte(`{"a":[` + strings.TrimSuffix(strings.Repeat("[],", size/3), ",") + `]}`)
	return []unproven{
		{"rpc: a form of 1,000 parameters in percent-encoding", v1(true, many(980, 60), ""),
			v1(true, one(size), ""), 2200},
		{"rpc: a form of 40,000 parameters", v1(true, nil, strings.Repeat("&a=b", 40_000)),
			v1(true, one(160_000), ""), 60},
		{"rpc: a form of 60,000 ampersands", v1(true, nil, strings.Repeat("&", 60_000)), v1(true, one(60_000), ""), 60},
		{"rpc: a form of one parameter, 900 times", v1(true, nil,
			strings.Repeat("&Name="+strings.Repeat("%41", 60), 900)), v1(true, one(165_000), ""), 2000},
		{"rpc: a query of 1,000 parameters", v1(false, many(980, 5), ""), v1(false, one(24_000), ""), 2200},
		{"rpc: a query of 1,000 short parameters", v1(false, short, ""), v1(false, one(7_000), ""), 200},
		{"rpc: a query of 1,000 parameters, ACS3", acs3(many(980, 5), "", nil, nil),
			acs3(one(24_000), "", nil, nil), 4300},
		{"rpc: a query of 20,000 parameters", v1(false, nil, strings.Repeat("&", 20_000)),
			v1(false, one(20_000), ""), 60},
		{"rpc: a body of JSON", acs3(nil, "application/json", json, nil),
			acs3(nil, "application/json", bytes.Repeat([]byte(" "), len(json)), nil), 60},
		{"rpc: a content type of 30 KiB", acs3(nil, formType+strings.Repeat(`;a="b"`, 5000), []byte("Name=a"), nil),
			acs3(one(30_000), "", nil, nil), 80},
		{"sign: 100 headers that are not signed", acs3(nil, "", nil, headers), acs3(one(1500), "", nil, nil), 80},
		{"sign: 60 headers that are signed", acs3(nil, "", nil, acsHeaders), acs3(one(1000), "", nil, nil), 80},
		{"sign: a value that V1 encodes twice", v1(true, url.Values{"Name": {strings.Repeat("\xff", 80_000)}}, ""),
			v1(true, url.Values{"Name": {strings.Repeat("+", 80_000)}}, ""), 80},
	}
}

// webhookLines are the readers of the platforms. Bodies are filled up to size.
func webhookLines(tb testing.TB) (all []unproven) {
	const size = 250 << 10
	w := webhooktest.New(tb)
	process := w.Process()
	h := process.Handler(func(context.Context, command.Ref) error {
		tb.Error(
			"a stranger's command was recorded")
		return nil
	})
	type change func(*platformsim.Callback)
	body := func(text string) change { return func(c *platformsim.Callback) { c.Body = []byte(text) } }
	fill := func(c *platformsim.Callback) { c.Body = append(c.Body, bytes.Repeat([]byte(" "), size-len(c.Body))...) }
	elements, members, nested := new(strings.Builder), new(strings.Builder), strings.Repeat("[],", size/3)
	elements.WriteString("<xml>")
	for i := 0; elements.Len() < size; i++ {
		fmt.Fprintf(elements, "<e%d></e%d>", i, i)
	}
	members.WriteString(`{"a":1`)
	for i := 0; members.Len() < size; i++ {
		fmt.Fprintf(members, `,"e%d":""`, i)
	}
	query := func(c *platformsim.Callback) {
		for i := range 60 {
			c.Query.Set(fmt.Sprintf("p%d%%", i), strings.Repeat("\xff", 50))
		}
	}
	queryOf := func(n int) change {
		return func(c *platformsim.Callback) { c.Query = url.Values{"a": make([]string, n)} }
	}
	headers := func(c *platformsim.Callback) {
		for i := range 110 {
			c.Header.Set(fmt.Sprintf("X-Other-%d", i), "x")
		}
	}
	unsigned := func(c *platformsim.Callback) { c.Header.Del("X-Lark-Signature") }
	for _, p := range []struct {
		platform, mode string
		wrong          map[string]string // settings
		worst          map[string][]change
		most           float64
	}{
		{"Slack", "command", map[string]string{"SlackSigningSecret": "another"}, map[string][]change{
			"a form": {body(strings.Repeat("a=%41&", size/6))}, "JSON": {body(`{"a":[` + nested)},
			"headers": {headers, fill}, "a query": {query, fill}, "a query of 20,000": {queryOf(20_000), fill}}, 300},
		{"Teams", "", map[string]string{"TeamsWebhookSecret": base64.StdEncoding.EncodeToString(make([]byte, 32))},
			map[string][]change{
				"JSON": {body(`{"a":[` + nested)}, "headers": {headers, fill}}, 150},
		{"DingTalk", "robot", map[string]string{"DingTalkClientSecret": "another"},
			map[string][]change{"JSON": {body(`{"a":[` + nested)}, "headers": {headers, fill}}, 150},
		{"DingTalk", "check", map[string]string{"DingTalkToken": "another"}, map[string][]change{
			"JSON of many members": {body(members.String() + "}")}, "JSON that is nested": {body(`{"a":[` + nested)},
			"a ciphertext of escapes": {body(`{"encrypt":"` + strings.Repeat(`\u0041`, size/6) + `"}`)}}, 150},
		{"Feishu", "message", map[string]string{"FeishuEncryptKey": "another"}, map[string][]change{
			"JSON": {body(`{"a":[` + nested)}, "JSON without a signature": {unsigned, body(`{"a":[` + nested)},
			"headers": {headers, fill}}, 150},
		{"WeChat", "app", map[string]string{"WeChatToken": "another"}, map[string][]change{
			"XML of many elements": {body(elements.String() + "</xml>")},
			"XML that is nested":   {body("<xml>" + strings.Repeat("<a>", size/3))},
			"XML of entities":      {body("<xml><Encrypt>" + strings.Repeat("&amp;", size/5) + "</Encrypt></xml>")},
			"JSON of many members": {body(members.String() + "}")}, "JSON that is nested": {body(`{"a":[` + nested)},
			"a ciphertext of escapes": {body(`{"tousername":"x","encrypt":"` + strings.Repeat(`\u0041`, size/6) +
				`"}`)}, "a query": {query, fill}}, 300},
	} {
		bot := process.Create(strings.ToLower(p.platform+p.mode), p.platform,
			platformtest.Settings(p.platform), webhooktest.Open)
		make := func(changes ...change) func() {
			other := *bot
			other.Settings = maps.Clone(bot.Settings)
			for key, value := range p.wrong {
				other.Settings[key] = secret.Text(value)
			}
			c := other.Say(p.mode, platformsim.Message{Text: "restart"})
			for _, change := range changes {
				change(c)
			}
			r, err := c.Request(bot.URL)
			if err != nil {
				tb.Fatal(err)
			}
			return requests(h, r, c.Body)
		}
		for name, changes := range p.worst {
			all = append(all, unproven{strings.TrimSpace(p.platform+" "+p.mode) + ": " + name,
				make(changes...), make(fill), p.most})
		}
	}
	return all
}

// A nobody is a function that does nothing.
type nobody struct{}

func (nobody) ServeHTTP(http.ResponseWriter, *http.Request)            {}
func (nobody) ServeEvent(context.Context, serve.Event) ([]byte, error) { return nil, nil }

// An api serves requests, and no events.
type api struct {
	nobody
	requests http.Handler
}

func (a api) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.requests.ServeHTTP(w, r) }

// serveLines are the readers of what clouds deliver. What is usual there is a form of the same size
// whose signature is wrong.
func serveLines(tb testing.TB) []unproven {
	p := serve.Function{Handler: api{requests: openAPI(tb)}, Logger: slog.New(slog.DiscardHandler)}
	deliver := func(payload string) func() {
		b := []byte(payload)
		return func() { serve.Deliver(context.Background(), p, serve.Call{RequestID: "r"}, b) }
	}
	const requestContext = `,"requestContext":{"domainName":"d","http":{"method":"POST",` +
		`"protocol":"HTTP/1.1","sourceIp":"192.0.2.1"}}`
	request := func(version, more string) string {
		return `{"version":"` + version + `","rawPath":"/","headers":{"host":"h"}` + requestContext + more + `}`
	}
	usual := func(size int) func() {
		all := url.Values{"Action": {"GetChatConfiguration"}, "Version": {rpc.Version},
			"Name": {strings.Repeat("a", min(size, 200<<10))}}
		if err := stranger.SignV1(http.MethodPost, all, time.Now(), invoke.NewRequestID()); err != nil {
			tb.Fatal(err)
		}
		fill := strings.Repeat(" ", size-min(size, 200<<10)) // more than a handler reads stands beside it
		return deliver(`{"version":"2.0","rawPath":"/","headers":{"host":"h","content-type":"` + formType + `"}` +
			requestContext + `,"body":"` + all.Encode() + `"` + fill + `}`)
	}
	object := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	const size = 1 << 20
	batch := "[" + strings.TrimSuffix(strings.Repeat(
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{}},`, 10_000), ",") + "]"
	return []unproven{
		{"FC: a query of 1,000 parameters", deliver(request("v1", `,"queryParameters":`+object(1000, `,"p%d":"%%"`))),
			usual(12_000), 3100},
		{"FC: a query of 100,000 parameters", deliver(request("v1", `,"queryParameters":`+
			object(100_000, `,"p%d":""`))), usual(1_200_000), 30},
		{"Lambda: 100 headers", deliver(`{"version":"2.0","rawPath":"/","headers":` + object(100, `,"x-%d":"a"`) +
			requestContext + `}`), usual(4000), 500},
		{"Lambda: 100,000 headers", deliver(`{"version":"2.0","rawPath":"/","headers":` +
			object(100_000, `,"x-%d":"a"`) + requestContext + `}`), usual(1_400_000), 30},
		{"a body of escapes", deliver(request("2.0", `,"body":"`+strings.Repeat(`\u0041`, size/6)+`"`)),
			usual(size), 80},
		{"a body in Base64", deliver(request("2.0", `,"isBase64Encoded":true,"body":"`+
			strings.Repeat("AAAA", size/4)+`"`)), usual(size), 60},
		{"a body of 15 MiB", deliver(request("2.0", `,"body":"`+strings.Repeat("\\n", 15<<19)+`"`)),
			usual(15 << 20), 60},
		{"a payload of 17 MiB", deliver(strings.Repeat("[", 17<<20)), usual(17 << 20), 60},
		{"a payload that is nested", deliver(strings.Repeat("[", size)), usual(size), 60},
		{"a CloudEvent of many members", deliver(`{"specversion":"1.0","data":{}` + object(100_000, `,"p%d":""`)[1:]),
			usual(1_200_000), 30},
		{"a batch of 10,000 events", deliver(batch), deliver(batch), 120_000}, // from whom the cloud lets invoke it
		{"a batch of 20,000 events", deliver(batch[:len(batch)-1] + "," + batch[1:]), deliver(batch), 120_000},
	}
}

// otsLines are the readers of the Tablestore emulator: headers only, since the body comes after the
// signature, with which it is signed.
func otsLines(tb testing.TB) []unproven {
	s, err := ots.New(ots.Options{AccessKeys: map[string]string{"id": "secret"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	request := func(more http.Header, body []byte) func() {
		r := httptest.NewRequest(http.MethodPost, "/PutRow", nil)
		r.Header = http.Header{"X-Ots-Date": {time.Now().UTC().Format("2006-01-02T15:04:05.000Z")},
			"X-Ots-Apiversion": {"2015-12-31"}, "X-Ots-Accesskeyid": {"id"},
			"X-Ots-Contentmd5": {"x"}, "X-Ots-Instancename": {"i"}, "X-Ots-Signature": {"x"}}
		maps.Copy(r.Header, more)
		return requests(s, r, body)
	}
	headers := make(http.Header)
	for i := range 120 {
		headers.Set(fmt.Sprintf("X-Ots-Other-%d", i), "x")
	}
	// Groups of protobuf without end, and what looks like a row of plainbuffer.
	deep := bytes.Repeat([]byte{0x0b}, 4<<20)
	return []unproven{
		{"ots: 120 headers that are signed", request(headers, nil),
			request(http.Header{"X-Ots-Other": {strings.Repeat("a", 2000)}}, nil), 60},
		{"ots: a body of nested messages", request(nil, deep), request(nil, nil), 60},
		{"ots: a body of plainbuffer", request(nil, bytes.Repeat([]byte{0x75, 0, 0, 0, 1, 3, 4}, 600_000)),
			request(nil, nil), 60},
	}
}

// listenerLines are the readers of the HTTP listener. What is usual there is a head of one long
// line.
func listenerLines(tb testing.TB) []unproven {
	ctx, stop := context.WithCancel(context.Background())
	l := pipes{make(chan net.Conn), ctx.Done()}
	done := make(chan error, 1)
	go func() { done <- serve.HTTP(ctx, l, nobody{}, slog.New(slog.DiscardHandler), serve.Limits{}) }()
	tb.Cleanup(func() { stop(); <-done })
	head := func(lines string) func() {
		text := []byte("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + lines + "\r\n")
		return func() {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			go ours.Write(text)
			http.ReadResponse(bufio.NewReader(ours), nil)
			ours.Close()
		}
	}
	long := func(size int) string { return "X: " + strings.Repeat("a", size) + "\r\n" }
	short := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%x:\r\n", i)
		}
		return b.String()
	}
	return []unproven{
		{"listener: 125 headers", head(short(125)), head(long(700)), 500},
		{"listener: 8,000 headers", head(short(8000)), head(long(44 << 10)), 500},
		{"listener: a header 10,000 times", head(strings.Repeat("a:\r\n", 10_000)), head(long(40 << 10)), 500},
		{"listener: a head of 1 MiB", head(long(1 << 20)), head(long(44 << 10)), 500},
	}
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	done  <-chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func unprovenLines(tb testing.TB) (all []unproven) {
	for _, lines := range []func(testing.TB) []unproven{rpcLines, serveLines, otsLines, listenerLines} {
		all = append(all, lines(tb)...)
	}
	return append(all, webhookLines(tb)...)
}

// BenchmarkUnproven is what strangers can have done. It reports how much longer the worst takes
// than a wrong signature of the same size; 3 times is the bound, which 1,000 short parameters miss:
// they are to be sorted, and take 6 times as long.
func BenchmarkUnproven(b *testing.B) {
	for _, line := range unprovenLines(b) {
		b.Run(line.reader, func(b *testing.B) {
			// The shortest of each, in turns: what else the machine does makes the others longer.
			worst, wrong := time.Hour, time.Hour
			for b.Loop() {
				began := time.Now()
				line.worst()
				between := time.Now()
				line.wrong()
				worst, wrong = min(worst, between.Sub(began)), min(wrong, time.Since(between))
			}
			b.ReportMetric(float64(worst)/float64(wrong), "ratio")
			b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
			b.ReportMetric(float64(wrong.Microseconds()), "wrong-µs")
		})
	}
}

// What strangers can have done allocates as little as it says, however much they send.
func TestNothingUnprovenAllocatesMuch(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates too")
	}
	for _, line := range unprovenLines(t) {
		got := testing.AllocsPerRun(5, line.worst)
		for range 3 { // the allocations of other goroutines count too
			if got > line.most {
				got = min(got, testing.AllocsPerRun(5, line.worst))
			}
		}
		if got > line.most {
			t.Errorf("%s: %v allocations, want at most %v", line.reader, got, line.most)
		}
	}
}
