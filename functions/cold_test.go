package functions_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	awscloud "chatconf/shared/cloud/aws"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tablestore"
)

// coldKey signs the requests of these benchmarks.
var coldKey = sign.Key{ID: "benchmark-key", Secret: "not-a-real-secret"}

// A cloud is one on this machine: tables with a configuration in them, which answer at once, and
// the environment that leads there.
type cloud struct {
	kind runtime.Kind
	env  map[string]string // of the function
	tls  map[string]string // what is other over TLS
	url  string            // of the webhook of a configuration of WeCom

	messages int // that the webhook got
}

// eachCloud runs the benchmark on each.
func eachCloud(b *testing.B, run func(*testing.B, *cloud)) {
	b.Run("fc", func(b *testing.B) {
		instance := otstest.RunT(b)
		c := &cloud{kind: runtime.FC, env: map[string]string{
			"TABLESTORE_ENDPOINT": instance.Endpoint, "TABLESTORE_INSTANCE": instance.Name,
			"TABLESTORE_ACCESS_KEY_ID": instance.KeyID, "TABLESTORE_ACCESS_KEY_SECRET": instance.KeySecret,
		}}
		c.fill(b, alibaba.Read, "TABLESTORE_ENDPOINT", instance.Server.ServeHTTP)
		run(b, c)
	})
	b.Run("lambda", func(b *testing.B) {
		server := httptest.NewServer(dynamotest.New())
		b.Cleanup(server.Close)
		c := &cloud{kind: runtime.Lambda, env: map[string]string{
			"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
			"AWS_SECRET_ACCESS_KEY": "not-a-real-secret", "AWS_ENDPOINT_URL_DYNAMODB": server.URL,
		}}
		c.fill(b, awscloud.Read, "AWS_ENDPOINT_URL_DYNAMODB", server.Config.Handler.ServeHTTP)
		run(b, c)
	})
}

// fill claims the tables, makes a key and a configuration, and puts servers in front that know the
// answers of h by heart, at the address that the given variable has.
func (c *cloud) fill(b *testing.B, read func(getenv func(string) string) (clouds.Cloud, error),
	endpoint string, h http.HandlerFunc) {
	b.Helper()
	engine, err := read(func(name string) string { return c.env[name] })
	if err != nil {
		b.Fatal(err)
	}
	open := func(name string, ttl time.Duration) table.Table {
		t, err := engine.OpenTable(name, ttl)
		if err == nil {
			if t, ok := t.(*tablestore.Table); ok {
				_, err = tablestore.Ensure(b.Context(), t)
			}
		}
		if err != nil {
			b.Fatal(err)
		}
		return t
	}
	data, configurations := b.TempDir(), open(app.DefaultTable, 0)
	l, err := app.OpenTables(b.Context(), app.Settings{
		Table: app.DefaultTable, TicketTable: app.DefaultTickets, AccountID: app.DefaultAccountID,
		Region: app.DefaultRegion,
		Data:   data, AccessKeyID: coldKey.ID, AccessKeySecret: secret.Text(coldKey.Secret),
	}, app.Tables{
		Configurations: configurations, Keys: open(app.DefaultKeys, 0),
		KeyUses: open(app.DefaultKeyUses, accesskey.UseAge), Tickets: open(app.DefaultTickets, app.TicketAge),
		Journal: open(app.DefaultJournal, journal.DefaultRetention), Where: engine.Where,
	}, app.Actions(rpc.Actions()...))
	if err != nil {
		b.Fatal(err)
	}
	body, err := os.ReadFile("create-chat-configuration/event.json")
	if err != nil {
		b.Fatal(err)
	}
	do(b, l.Handler, "CreateChatConfiguration", body)
	bot, err := json.Marshal(map[string]any{"Name": "bot", "Type": "WeChat", "Configuration": wecom})
	if err != nil {
		b.Fatal(err)
	}
	do(b, l.Handler, "CreateChatConfiguration", bot)
	c.url = webhookURL(b, do(b, l.Handler, "GetChatConfiguration", []byte(`{"Name":"bot"}`)))
	if err := configurations.Write(b.Context(), "peer",
		table.Change{Puts: []table.Put{{Sort: "hello", Revision: 1}}}); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	ring, err := os.ReadFile(filepath.Join(data, app.KeyRingFile))
	if err != nil {
		b.Fatal(err)
	}
	c.env["CHATCONF_KEYRING"] = string(ring)
	front := &replay{next: h}
	plain, secure := httptest.NewServer(front), httptest.NewUnstartedServer(front)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(b)}}
	secure.StartTLS()
	b.Cleanup(plain.Close)
	b.Cleanup(secure.Close)
	c.env[endpoint] = plain.URL
	authority := filepath.Join(data, "authority.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		b.Fatal(err)
	}
	c.tls = map[string]string{endpoint: secure.URL, "CHATCONF_ROOTS": authority}
}

// wecom is the Configuration of a bot, which anybody may have restart something.
var wecom = map[string]any{
	"WeChatCorpId": "wwexample", "WeChatAgentId": "1000002", "WeChatSecret": "not-a-real-secret",
	"WeChatToken":          "notarealtoken",
	"WeChatEncodingAesKey": "notarealkeynotarealkeynotarealkeynotarealke",
	"Permissions": []any{map[string]any{"Effect": "Allow", "Principals": []string{"*"},
		"Commands": []string{"restart"}}},
}

// do has an action done and returns its answer.
func do(b *testing.B, h http.Handler, action string, body []byte) []byte {
	b.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, signed(b, action, body))
	if rec.Code != http.StatusOK {
		b.Fatalf("%s: %s", action, rec.Body)
	}
	return rec.Body.Bytes()
}

// webhookURL returns the one in the Outputs of an answer of GetChatConfiguration.
func webhookURL(b *testing.B, answer []byte) string {
	b.Helper()
	var got struct{ ChatConfiguration struct{ Outputs string } }
	var outputs struct{ URL string }
	err := json.Unmarshal(answer, &got)
	if err == nil {
		err = json.Unmarshal([]byte(got.ChatConfiguration.Outputs), &outputs)
	}
	if err != nil || outputs.URL == "" {
		b.Fatalf("%s: %v", answer, err)
	}
	return outputs.URL
}

// certificate returns one of loopback that is its own root. Its key is on a curve, so that what the
// other side has to compute does not count.
func certificate(b *testing.B) tls.Certificate {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// signed returns a request of an action.
func signed(b *testing.B, action string, body []byte) *http.Request {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Acs-Action", action)
	r.Header.Set("X-Acs-Version", rpc.Version)
	if err := coldKey.SignACS3(r, body, time.Now(), invoke.NewRequestID()); err != nil {
		b.Fatal(err)
	}
	return r.WithContext(invoke.With(r.Context(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)}))
}

// A replay answers requests as next has answered the same before, but for those about the journal,
// which changes.
type replay struct {
	next    http.HandlerFunc
	answers sync.Map // of *httptest.ResponseRecorder, by what was sent
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	asked := r.URL.Path + " " + r.Header.Get("X-Amz-Target") + " " + body.String()
	r.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
	if strings.Contains(asked, app.DefaultJournal) || strings.Contains(asked, app.DefaultKeyUses) {
		p.next(w, r)
		return
	}
	known, ok := p.answers.Load(asked)
	if !ok {
		rec := httptest.NewRecorder()
		p.next(rec, r)
		known, _ = p.answers.LoadOrStore(asked, rec)
	}
	rec := known.(*httptest.ResponseRecorder)
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// A subject is a function to be measured, and what it is invoked with.
type subject struct {
	runtime.Function
	payload func() []byte
	answer  string // is in the answer
}

// functionAt returns the function of the package at path, built for the cloud, and invoked with
// what payload returns.
func (c *cloud) functionAt(b *testing.B, path string, env map[string]string) runtime.Function {
	b.Helper()
	tags := ""
	for _, t := range targets {
		if t.name == c.kind.String() {
			tags = t.tags
		}
	}
	dir := b.TempDir()
	run(b, nil, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", tags,
		"-o", filepath.Join(dir, "main"), path)
	return runtime.Function{Name: "f", Kind: c.kind, Dir: dir, Binary: "main", Env: env,
		Initializer: c.kind == runtime.FC, InitTimeout: time.Minute, Timeout: time.Minute}
}

// hello is the function that ours is measured against.
func (c *cloud) hello(b *testing.B) *subject {
	return &subject{
		Function: c.functionAt(b, "chatconf/shared/emulator/runtime/testdata/"+c.kind.String(), nil),
		payload:  func() []byte { return []byte(`{}`) },
		answer:   "hello",
	}
}

// get is GetChatConfiguration by a signed request.
func (c *cloud) get(b *testing.B, more map[string]string) *subject {
	env := maps.Clone(c.env)
	maps.Copy(env, more)
	return &subject{
		Function: c.functionAt(b, "./get-chat-configuration", env),
		payload: func() []byte {
			return c.payload(b, signed(b, "GetChatConfiguration", []byte(`{"Name":"ops"}`)), `{"Name":"ops"}`)
		},
		answer: "dingexample",
	}
}

// webhook is the function that chat platforms call, by a callback of WeCom, signed and encrypted,
// each with a message of its own: proven, decided, recorded and answered.
func (c *cloud) webhook(b *testing.B) *subject {
	env := maps.Clone(c.env)
	env["CHATCONF_DISPATCH_FUNCTION"] = "dispatch-command"
	settings := make(callback.Settings)
	for key, value := range wecom {
		if text, ok := value.(string); ok {
			settings[key] = secret.Text(text)
		}
	}
	return &subject{
		Function: c.functionAt(b, "./webhook", env),
		payload: func() []byte {
			c.messages++
			m := platformsim.Message{ID: strconv.Itoa(c.messages), User: "alice", Text: "restart i-123"}
			callback, err := (&platformsim.Maker{Settings: settings, Now: time.Now()}).Make("WeChat", "app", m)
			if err != nil {
				b.Fatal(err)
			}
			r, err := callback.Request(c.url)
			if err != nil {
				b.Fatal(err)
			}
			return c.payload(b, r, string(callback.Body))
		},
		answer: "MsgSignature",
	}
}

// peer is the least that reads as much as ours; see testdata/peer.
func (c *cloud) peer(b *testing.B) *subject {
	return &subject{
		Function: c.functionAt(b, "./testdata/peer/"+c.kind.String(), c.env),
		payload:  func() []byte { return []byte(`{}`) },
		answer:   "hello",
	}
}

// payload is a request as the cloud hands it to a function.
func (c *cloud) payload(b *testing.B, r *http.Request, body string) []byte {
	b.Helper()
	headers, query := map[string]string{"Host": r.Host}, make(map[string]string)
	for name := range r.URL.Query() {
		query[name] = r.URL.Query().Get(name)
	}
	for name, values := range r.Header {
		headers[name] = strings.Join(values, ",")
	}
	p, err := json.Marshal(map[string]any{
		"version": map[runtime.Kind]string{runtime.FC: "v1", runtime.Lambda: "2.0"}[c.kind],
		// the one is Lambda's, the other FC's
		"rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery, "queryParameters": query,
		"headers": headers, "body": body, "isBase64Encoded": false,
		"requestContext": map[string]any{"domainName": r.Host, "http": map[string]string{
			"method": r.Method, "path": r.URL.Path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// start starts the function anew and returns how long it takes to its first answer.
func (s *subject) start(b *testing.B) time.Duration {
	b.Helper()
	h := runtime.New(runtime.Options{Grace: 10 * time.Second})
	if err := h.Add(s.Function); err != nil {
		b.Fatal(err)
	}
	took := s.invoke(b, h)
	if err := h.Close(context.WithoutCancel(b.Context())); err != nil {
		b.Error(err)
	}
	return took
}

// invoke returns how long an invocation takes.
func (s *subject) invoke(b *testing.B, h *runtime.Host) time.Duration {
	b.Helper()
	r := runtime.Request{Payload: s.payload()}
	began := time.Now()
	result, err := h.Invoke(b.Context(), s.Name, r)
	took := time.Since(began)
	if err != nil || result.Failure != runtime.Answered || !bytes.Contains(result.Payload, []byte(s.answer)) {
		b.Fatalf("%s\n%s\n%v", result.Payload, result.Log, err)
	}
	return took
}

// A side is one of those that are measured.
type side struct {
	name string
	run  func() time.Duration
}

// race measures some sides in turns, and reports the medians in the given unit, and all but the
// first in multiples of the first.
func race(b *testing.B, unit time.Duration, name string, sides ...side) {
	b.Helper()
	took := make([][]time.Duration, len(sides))
	for b.Loop() {
		for i, s := range sides {
			took[i] = append(took[i], s.run())
		}
	}
	first := float64(median(took[0]))
	for i, s := range sides {
		b.ReportMetric(float64(median(took[i]))/float64(unit), s.name+"-"+name)
		if i > 0 {
			b.ReportMetric(float64(median(took[i]))/first, s.name+"-x-"+sides[0].name)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkColdStart is the time from exec to the first answer of GetChatConfiguration to a signed
// request, in multiples of that of a hello function on the same SDK: with the table on loopback in
// the clear, and over TLS, where the machine has all its roots. The peer is the least function that
// reads as many items from the same table through the same SDK, in the clear: what is between hello
// and it is no work of ours. The webhook is the function that chat platforms call, to the answer of
// its first message, which it has recorded; the journal is not canned.
func BenchmarkColdStart(b *testing.B) {
	eachCloud(b, func(b *testing.B, c *cloud) {
		sides := []side{}
		for _, s := range []struct {
			name    string
			subject *subject
		}{{"hello", c.hello(b)}, {"peer", c.peer(b)}, {"clear", c.get(b, nil)},
			{"tls", c.get(b, c.tls)}, {"webhook", c.webhook(b)}} {
			for range 3 {
				s.subject.start(b) // so that the binary is in memory, and the answers known
			}
			sides = append(sides, side{s.name, func() time.Duration { return s.subject.start(b) }})
		}
		b.Run("start", func(b *testing.B) { race(b, time.Millisecond, "ms", sides...) })
	})
}

// BenchmarkWarmInvocation is the time of an invocation that finds its process and does not ask the
// table, in multiples of hello's, after a thousand that did ask; and the memory that those took at
// most.
func BenchmarkWarmInvocation(b *testing.B) {
	eachCloud(b, func(b *testing.B, c *cloud) {
		hello, get := c.hello(b), c.get(b, nil)
		unsigned := *get
		unsigned.answer = "chat-configuration API"
		unsigned.payload = func() []byte { return c.payload(b, httptest.NewRequest(http.MethodGet, "/", nil), "") }
		theirs, ours := runtime.RunT(b, runtime.Options{}, hello.Function),
			runtime.RunT(b, runtime.Options{}, get.Function)
		for range 1000 {
			hello.invoke(b, theirs)
			get.invoke(b, ours)
		}
		b.Run("invocation", func(b *testing.B) {
			race(b, time.Microsecond, "us",
				side{"hello", func() time.Duration { return hello.invoke(b, theirs) }},
				side{"ours", func() time.Duration { return unsigned.invoke(b, ours) }})
			r, err := ours.Invoke(b.Context(), get.Name, runtime.Request{Payload: get.payload()})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(r.Report.MaxMemory)/(1<<20), "peak-MiB")
		})
	})
}
