package app_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	awscloud "chatconf/shared/cloud/aws"
	"chatconf/shared/dispatch"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	"chatconf/shared/serve/fc"
	"chatconf/shared/serve/lambda"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tablestore"
	alibabatarget "chatconf/shared/target/alibaba"
	awstarget "chatconf/shared/target/aws"
)

// A cloud is a target on this machine: a store, a key service with one sealed ring, and the
// environment that leads to them.
type cloud struct {
	testing.TB
	store string
	env   map[string]string
	read  func(getenv func(string) string) (clouds.Cloud, error)
	ring  string // a file

	targets dispatch.CloudReader // of functions that dispatch commands

	asked  atomic.Int64 // how often the key service was
	broken atomic.Bool  // the key service refuses
	opens  []byte       // what the key service opens, if not the ring
}

// sealedText is what the key service sealed, as the settings hold it.
var sealedText = base64.StdEncoding.EncodeToString([]byte("the sealed ring"))

// eachCloud runs test on each, with tables that nobody has claimed.
func eachCloud(t *testing.T, test func(*testing.T, *cloud)) {
	for name, open := range map[string]func(*testing.T, *cloud){"fc": openFC, "lambda": openLambda} {
		t.Run(name, func(t *testing.T) {
			c := &cloud{TB: t, ring: filepath.Join(t.TempDir(), "keyring.json")}
			c.newRing(c.ring)
			open(t, c)
			c.env["CHATCONF_KEYRING"] = "kms:" + sealedText
			test(t, c)
		})
	}
}

// newRing writes a fresh ring.
func (c *cloud) newRing(path string) {
	c.Helper()
	text, err := seal.GenerateRing("test")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// keys returns a key service, whose answers are made by the given functions. What it is sent is
// proven by the tests of kms.
func (c *cloud) keys(t *testing.T, sealed func(*http.Request) string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		if c.broken.Load() || sealed(r) != sealedText {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"__type":"AccessDeniedException","Code":"Forbidden.NoPermission"}`)
			return
		}
		text := c.opens
		if text == nil {
			var err error
			if text, err = os.ReadFile(c.ring); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprintf(w, `{"Plaintext":%q}`, base64.StdEncoding.EncodeToString(text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func openFC(t *testing.T, c *cloud) {
	instance := otstest.RunT(t)
	c.store, c.read, c.targets = "tablestore", alibaba.Read, alibabatarget.Read
	c.env = map[string]string{
		"TABLESTORE_ENDPOINT": instance.Endpoint, "TABLESTORE_INSTANCE": instance.Name,
		"TABLESTORE_ACCESS_KEY_ID": instance.KeyID, "TABLESTORE_ACCESS_KEY_SECRET": instance.KeySecret,
		"CHATCONF_KMS_ENDPOINT": c.keys(t, func(r *http.Request) string { return r.FormValue("CiphertextBlob") }),
	}
	for name, ttl := range map[string]time.Duration{app.DefaultTable: 0, app.DefaultTickets: app.TicketAge,
		app.DefaultJournal: journal.DefaultRetention, app.DefaultKeys: 0, app.DefaultKeyUses: accesskey.UseAge} {
		tb, err := tablestore.New(name, tablestore.Options{
			Endpoint: instance.Endpoint, Instance: instance.Name, TTL: ttl,
			Credentials: invoke.Credentials{AccessKeyID: instance.KeyID, AccessKeySecret: instance.KeySecret},
		})
		if err == nil {
			_, err = tablestore.Ensure(t.Context(), tb)
		}
		if err != nil {
			t.Fatal(err)
		}
		tb.Close()
	}
}

func openLambda(t *testing.T, c *cloud) {
	tables := make(map[string]*dynamotest.Server)
	for _, name := range []string{app.DefaultTable, app.DefaultTickets, app.DefaultJournal,
		app.DefaultKeys, app.DefaultKeyUses} {
		tables[name] = dynamotest.New()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for name, table := range tables {
			probe := name == app.DefaultTable && bytes.Contains(body, []byte(`"TransactItems":[]`)) // which names none
			// no request names two
			if probe || bytes.Contains(body, []byte(`"`+name+`"`)) {
				r.Body = io.NopCloser(bytes.NewReader(body))
				table.ServeHTTP(w, r)
				return
			}
		}
		t.Errorf("a request to no table: %s", body)
	}))
	t.Cleanup(server.Close)
	c.store, c.read, c.targets = "dynamodb", awscloud.Read, awstarget.Read
	c.env = map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
		"AWS_ENDPOINT_URL_DYNAMODB": server.URL,
		"AWS_ENDPOINT_URL_KMS": c.keys(t, func(r *http.Request) string {
			var in struct{ CiphertextBlob string }
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
			return in.CiphertextBlob
		}),
	}
}

// claim does what the command-line tool does with the ring in a file: it claims the tables, and
// makes the first key.
func (c *cloud) claim(ring string) {
	c.Helper()
	engine, err := c.read(env(c.env))
	if err != nil {
		c.Fatal(err)
	}
	open := func(name string, ttl time.Duration) table.Table {
		tb, err := engine.OpenTable(name, ttl)
		if err != nil {
			c.Fatal(err)
		}
		return tb
	}
	s, err := app.ReadSettings(env(map[string]string{
		"CHATCONF_KEYRING": "file:" + ring, "CHATCONF_DATA": filepath.Join(c.TempDir(), "data"),
		"CHATCONF_ACCESS_KEY_ID": benchKey.ID, "CHATCONF_ACCESS_KEY_SECRET": benchKey.Secret,
	}))
	if err != nil {
		c.Fatal(err)
	}
	l, err := app.OpenTables(c.Context(), s, app.Tables{
		Configurations: open(s.Table, 0), Keys: open(s.KeyTable, 0),
		Tickets: open(s.TicketTable, app.TicketAge), Where: engine.Where,
	}, app.Actions(rpc.Actions()...))
	if err != nil {
		c.Fatal(err)
	}
	if err := l.Close(); err != nil {
		c.Error(err)
	}
}

// function returns the function of the environment.
func (c *cloud) function(actions ...rpc.Action) *app.Function {
	c.Helper()
	if len(actions) == 0 {
		actions = rpc.Actions()
	}
	f, err := app.NewFunction(env(c.env), c.read, app.Actions(actions...))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		if err := f.Close(); err != nil {
			c.Error(err)
		}
	})
	return f
}

// A said is an answer, and the log that it left.
type said struct {
	status int
	Code   string
	body   string
	log    string
}

// list makes a signed request.
func list(tb testing.TB, h http.Handler) said {
	tb.Helper()
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	req.Header.Set("X-Acs-Action", "ListChatConfigurations")
	req.Header.Set("X-Acs-Version", rpc.Version)
	if err := benchKey.SignACS3(req, nil, time.Now(), invoke.NewRequestID()); err != nil {
		tb.Fatal(err)
	}
	rec := httptest.NewRecorder()
	var log bytes.Buffer
	h.ServeHTTP(rec, req.WithContext(invoke.With(tb.Context(),
		&invoke.Invocation{Logger: slog.New(slog.NewTextHandler(&log, nil))})))
	s := said{status: rec.Code, body: rec.Body.String(), log: log.String()}
	if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil {
		tb.Errorf("the answer is %s: %v", rec.Body, err)
	}
	return s
}

// event hands over an event.
func event(tb testing.TB, h serve.Handler, e serve.Event) (said, error) {
	tb.Helper()
	var log bytes.Buffer
	body, again := h.ServeEvent(invoke.With(tb.Context(),
		&invoke.Invocation{Logger: slog.New(slog.NewTextHandler(&log, nil))}), e)
	s := said{body: string(body), log: log.String()}
	if err := json.Unmarshal(body, &s); err != nil {
		tb.Errorf("the answer is %s: %v", body, err)
	}
	return s, again
}

func TestAFunctionServes(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		c.claim(c.ring)
		c.env["CHATCONF_EVENT_POLICY"] = policy.Administrator().String()
		f := c.function()
		for range 3 {
			if got := list(t, f); got.status != http.StatusOK ||
				!strings.Contains(got.body, `"ChatConfigurations":[]`) {
				t.Errorf("list = %+v", got)
			}
		}
		create := `{"Action":"CreateChatConfiguration","Name":"ops","Type":"DingTalk","Configuration":` +
			benchConfiguration + `}`
		for range 2 { // the second is another delivery
			got, again := event(t, f, serve.Event{Source: serve.SQS, ID: "m-1", Data: []byte(create)})
			if got.Code != "" || again != nil || !strings.Contains(got.log, "caller=event:sqs ") ||
				!strings.Contains(got.log, "source=sqs message_id=m-1") {
				t.Errorf("create = %+v, %v", got, again)
			}
		}
		if got := list(t, f); !strings.Contains(got.body, `"Name":"ops"`) {
			t.Errorf("list after an event = %+v", got)
		}
		if got := c.asked.Load(); got != 1 {
			t.Errorf("the key service was asked %d times, want once", got)
		}
	})
}

// Warm does all that an invocation would have to, so that it finds nothing left to do.
func TestAFunctionThatIsWarm(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		c.claim(c.ring)
		f := c.function()
		if err := f.Warm(t.Context()); err != nil || c.asked.Load() != 1 {
			t.Fatalf("Warm = %v after %d requests to the key service", err, c.asked.Load())
		}
		c.broken.Store(true) // nobody asks again
		if got := list(t, f); got.status != http.StatusOK || c.asked.Load() != 1 {
			t.Errorf("list = %+v after %d requests", got, c.asked.Load())
		}
		if err := f.Warm(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// If the service cannot be opened, HTTP and events get that error. The next invocation tries again.
func TestAFunctionThatCannotOpen(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		f := c.function()
		closed := func(why ...string) {
			t.Helper()
			got := list(t, f)
			if got.status != http.StatusServiceUnavailable || got.Code != "ServiceUnavailable" {
				t.Errorf("list = %+v, want ServiceUnavailable", got)
			}
			other, again := event(t, f, serve.Event{Source: serve.Timer, ID: "m",
				Data: []byte(`{"Action":"ListChatConfigurations"}`)})
			if other.Code != "ServiceUnavailable" || again == nil {
				t.Errorf("event = %+v, %v, want ServiceUnavailable", other, again)
			}
			warm := f.Warm(t.Context())
			for _, part := range why {
				for way, text := range map[string]string{"http": got.log,
					"event": other.log, "warm": fmt.Sprint(warm)} {
					if !strings.Contains(text, part) {
						t.Errorf("%s says %s, want %q", way, text, part)
					}
				}
				if strings.Contains(got.body+other.body, part) {
					t.Errorf("the caller sees %q", part)
				}
			}
		}
		closed("not claimed by a key ring", "chatconf keyring claim --store "+c.store)
		c.broken.Store(true)
		closed("CHATCONF_KEYRING: kms: Decrypt: ", "status 403")
		c.broken.Store(false)
		c.opens = []byte(`{"keys":[]}`)
		closed("the text from the key service")
		c.opens = nil
		other := filepath.Join(t.TempDir(), "other.json")
		c.newRing(other)
		c.claim(other)
		closed("CHATCONF_KEYRING: the key ring is not the one that ")
		c.ring = other
		if got := list(t, f); got.status != http.StatusOK {
			t.Errorf("list with the right ring = %+v", got)
		}
		c.env["CHATCONF_TABLE"] = "nowhere"
		if c.store == "tablestore" { // the other stand-in has one table of any name
			f = c.function()
			closed("table nowhere in instance")
		}
	})
}

// A replacement for DynamoDB that has no transactions is detected at the start. Every HTTP request
// and every event then gets that error.
func TestAFunctionOnAStoreWithoutTransactions(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		endpoint, other := c.env["AWS_ENDPOINT_URL_DYNAMODB"]
		if !other {
			t.Skip("Tablestore has them")
		}
		c.claim(c.ring)
		to, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(to)
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"__type":"com.amazon.coral.service#UnknownOperationException"}`)
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(front.Close)
		c.env["AWS_ENDPOINT_URL_DYNAMODB"] = front.URL
		f := c.function()
		const why = "it lacks transactions"
		if err := f.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), why) ||
			!strings.Contains(err.Error(), "table chatconf in region") {
			t.Errorf("Warm = %v, want that the store has no transactions", err)
		}
		if got := list(t, f); got.status != http.StatusBadRequest || got.Code != "UnsupportedStore" ||
			!strings.Contains(got.log, why) {
			t.Errorf("list = %+v", got)
		}
		got, again := event(t, f, serve.Event{Source: serve.Timer, ID: "m",
			Data: []byte(`{"Action":"ListChatConfigurations"}`)})
		if got.Code != "UnsupportedStore" || again != nil || !strings.Contains(got.log, why) {
			t.Errorf("event = %+v, %v", got, again)
		}
	})
}

// A ring that is not sealed is there from the start.
func TestAFunctionWithAPlainRing(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		c.claim(c.ring)
		text, err := os.ReadFile(c.ring)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"file:" + c.ring, string(text)} {
			c.env["CHATCONF_KEYRING"] = value
			if got := list(t, c.function()); got.status != http.StatusOK || c.asked.Load() != 0 {
				t.Errorf("list = %+v after %d requests to the key service", got, c.asked.Load())
			}
		}
	})
}

func TestEventsDoWhatThePolicyAllows(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		c.claim(c.ring)
		c.env["CHATCONF_EVENT_POLICY"] = `{"Version":"1","Statement":[{"Effect":"Allow",` +
			`"Action":"oos:List*","Resource":"*"}]}`
		c.env["CHATCONF_ACCOUNT_ID"] = "42"
		f := c.function()
		if got, again := event(t, f,
			serve.Event{Data: []byte(`{"Action":"ListChatConfigurations"}`)}); got.Code != "" || again != nil {
			t.Errorf("list = %+v, %v", got, again)
		}
		if got, again := event(t, f,
			serve.Event{Data: []byte(
				`{"Action":"DeleteChatConfiguration","Name":"ops"}`)}); got.Code != "NoPermission" || again != nil ||
			!strings.Contains(got.body, ":42:") {
			t.Errorf("delete = %+v, %v", got, again)
		}
	})
}

// All mistakes are reported at once, those of the target among them, and no secret is shown.
func TestMistakesInAFunctionsSettings(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	common := map[string]string{"CHATCONF_MAX_CONFIGURATIONS": "many", "CHATCONF_EVENT_POLICY": `{"Version":"2"}`,
		"CHATCONF_ROOTS": filepath.Join(dir, "none")}
	for _, test := range []struct {
		name  string
		read  func(func(string) string) (clouds.Cloud, error)
		env   map[string]string
		wants []string
	}{
		{"nothing is set for fc", alibaba.Read, nil, []string{"CHATCONF_KEYRING",
			"TABLESTORE_ENDPOINT", "TABLESTORE_INSTANCE"}},
		{"nothing is set for lambda", awscloud.Read, nil, []string{"CHATCONF_KEYRING",
			"AWS_REGION", "AWS_ACCESS_KEY_ID"}},
		{"all is wrong for fc", alibaba.Read, map[string]string{
			"CHATCONF_KEYRING": "kms:" + planted + "!", "TABLESTORE_ENDPOINT": "https://user:" + planted +
				"@host", "TABLESTORE_INSTANCE": "a b",
			"TABLESTORE_ACCESS_KEY_SECRET": planted, "CHATCONF_KMS_ENDPOINT": "https://user:" + planted + "@host",
		}, []string{"CHATCONF_KEYRING", "TABLESTORE_ENDPOINT", "TABLESTORE_INSTANCE",
			"TABLESTORE_ACCESS_KEY_ID", "CHATCONF_KMS_ENDPOINT"}},
		{"all is wrong for lambda", awscloud.Read, map[string]string{
			"CHATCONF_KEYRING": `{"keys":"` + planted + `"}`, "AWS_ENDPOINT_URL_DYNAMODB": "ftp://" + planted,
			"AWS_ACCESS_KEY_ID": "id", "AWS_ENDPOINT_URL_KMS": "ftp://" + planted,
		}, []string{"CHATCONF_KEYRING", "AWS_REGION", "AWS_ENDPOINT_URL_DYNAMODB",
			"AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_KMS"}},
		{"an access key of the platform has no secret", alibaba.Read,
			map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "id"}, []string{"ALIBABA_CLOUD_ACCESS_KEY_SECRET"}},
		{"the ring's file is not there", alibaba.Read, map[string]string{"CHATCONF_KEYRING": "file:" +
			filepath.Join(dir, "none.json")}, []string{"CHATCONF_KEYRING", "none.json"}},
		{"the sealed ring is none", alibaba.Read, map[string]string{"CHATCONF_KEYRING": "kms:"},
			[]string{"CHATCONF_KEYRING"}},
		{"the roots are none", awscloud.Read, map[string]string{"CHATCONF_ROOTS": empty},
			[]string{"CHATCONF_ROOTS", "no certificate"}},
	} {
		environment := maps.Clone(common)
		maps.Copy(environment, test.env)
		_, err := app.NewFunction(env(environment), test.read, app.Actions(rpc.Actions()...))
		for _, want := range slices.Concat(test.wants, []string{"CHATCONF_MAX_CONFIGURATIONS",
			"CHATCONF_EVENT_POLICY", "CHATCONF_ROOTS"}) {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), planted) {
				t.Errorf("%s: %v, want %s", test.name, err, want)
			}
		}
	}
	eachCloud(t, func(t *testing.T, c *cloud) {
		c.env["CHATCONF_TABLE"], c.env["CHATCONF_TICKET_TABLE"] = "a b", "c/d"
		_, err := app.NewFunction(env(c.env), c.read, app.Actions(rpc.Actions()...))
		if err == nil || !strings.Contains(err.Error(), "CHATCONF_TABLE: ") ||
			!strings.Contains(err.Error(), "CHATCONF_TICKET_TABLE: ") {
			t.Errorf("NewFunction with names that are none = %v", err)
		}
		c.env["CHATCONF_EVENT_POLCY"] = planted
		_, err = app.NewFunction(env(c.env), c.read, app.CloudWebhook(), slices.Collect(maps.Keys(c.env))...)
		for _, want := range []string{"CHATCONF_EVENT_POLCY: unknown setting; did you mean CHATCONF_EVENT_POLICY?",
			"CHATCONF_TABLE: ", "CHATCONF_DISPATCH_FUNCTION: "} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), planted) {
				t.Errorf("NewFunction with a misspelt name = %v, want %s", err, want)
			}
		}
	})
}

// The platform's own access key has a security token; Tablestore's own, which comes first, has
// none.
func TestCredentialsOfFC(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("X-Acs-Accesskey-Id") + " " + r.Header.Get("X-Acs-Security-Token")
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	environment := map[string]string{
		"TABLESTORE_ENDPOINT": "https://i.example", "TABLESTORE_INSTANCE": "i", "CHATCONF_KMS_ENDPOINT": server.URL,
		"ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.platform", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": planted,
		"ALIBABA_CLOUD_SECURITY_TOKEN": "token",
	}
	for _, want := range []string{"STS.platform token", " "} {
		engine, err := alibaba.Read(env(environment))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Unseal(t.Context(), "AAAA"); err == nil {
			t.Error("Unseal: no error")
		}
		if got := <-got; got != want {
			t.Errorf("the request is signed by %q, want %q", got, want)
		}
		environment["TABLESTORE_ACCESS_KEY_ID"], environment["TABLESTORE_ACCESS_KEY_SECRET"] = "own", planted
	}
}

// An endpoint whose certificate the machine does not know is reached with the roots of the
// settings, and with no others.
func TestRootsOfTheSettings(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"Plaintext":"cmluZw=="}`) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is to fail
	server.StartTLS()
	defer server.Close()
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(func(string) string) (clouds.Cloud, error){"fc": alibaba.Read,
		"lambda": awscloud.Read} {
		environment := map[string]string{
			"TABLESTORE_ENDPOINT": server.URL, "TABLESTORE_INSTANCE": "i", "TABLESTORE_ACCESS_KEY_ID": "id",
			"TABLESTORE_ACCESS_KEY_SECRET": planted, "CHATCONF_KMS_ENDPOINT": server.URL,
			"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": planted,
			"AWS_ENDPOINT_URL": server.URL, "CHATCONF_ROOTS": file,
		}
		engine, err := read(env(environment))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := engine.Unseal(t.Context(), "AAAA"); string(text) != "ring" || err != nil {
			t.Errorf("%s: Unseal with the roots = %q, %v", name, text, err)
		}
		engine.Close()
		delete(environment, "CHATCONF_ROOTS")
		if engine, err = read(env(environment)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		var unknown x509.UnknownAuthorityError
		if _, err := engine.Unseal(ctx, "AAAA"); !errors.As(err, &unknown) {
			t.Errorf("%s: Unseal without the roots = %v, want an unknown authority", name, err)
		}
		cancel()
	}
}

// A sealer is a target whose key service the test answers for, on tables in memory that are
// claimed.
type sealer struct {
	testing.TB
	asked  int
	answer func(ctx context.Context, turn int) ([]byte, error)
}

const sealerRing = `{"keys":[{"id":"test","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}`

// newSealer returns it, and the function on it, in a bubble.
func newSealer(t *testing.T) (*sealer, *app.Function) {
	s, engine := &sealer{TB: t}, dynamotest.New()
	read := func(func(string) string) (clouds.Cloud, error) {
		return clouds.Cloud{
			OpenTable: func(name string, ttl time.Duration) (table.Table, error) {
				return dynamodb.New(name, dynamodb.Options{
					Region: "eu-central-1", TTL: ttl, Transport: local{engine},
					Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
						return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "not-a-real-secret"}, nil
					}),
				})
			},
			Unseal: func(ctx context.Context, sealed string) ([]byte, error) {
				s.asked++ // one at a time
				return s.answer(ctx, s.asked)
			},
			Close: func() {},
		}, nil
	}
	ring := filepath.Join(t.TempDir(), "ring.json")
	if err := os.WriteFile(ring, []byte(sealerRing), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &cloud{TB: t, read: read, env: map[string]string{"CHATCONF_KEYRING": "kms:AAAA"}}
	c.claim(ring)
	return s, c.function()
}

// Of many invocations at once one opens the function for all.
func TestOneOpensForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newSealer(t)
		s.answer = func(context.Context, int) ([]byte, error) {
			time.Sleep(time.Second)
			return []byte(sealerRing), nil
		}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if err := f.Warm(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		if all.Wait(); s.asked != 1 {
			t.Errorf("the key service was asked %d times, want once", s.asked)
		}
	})
}

// Those who wait for an attempt share its failure; who comes later tries again at once.
func TestAFailureIsSharedAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newSealer(t)
		s.answer = func(_ context.Context, turn int) ([]byte, error) {
			time.Sleep(time.Second)
			if turn < 3 {
				return nil, fmt.Errorf("attempt %d", turn)
			}
			return []byte(sealerRing), nil
		}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if err := f.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), "attempt 1") {
					t.Errorf("Warm = %v, want the first attempt's error", err)
				}
			})
		}
		if all.Wait(); s.asked != 1 {
			t.Fatalf("the key service was asked %d times, want once", s.asked)
		}
		if err := f.Warm(t.Context()); err == nil || s.asked != 2 {
			t.Errorf("Warm = %v after %d requests, want the second's error", err, s.asked)
		}
		if err := f.Warm(t.Context()); err != nil || s.asked != 3 {
			t.Errorf("Warm = %v after %d requests, want none", err, s.asked)
		}
	})
}

// That one invocation runs out of its time is not the failure of those who wait for it.
func TestOneThatRunsOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newSealer(t)
		s.answer = func(ctx context.Context, turn int) ([]byte, error) {
			if turn > 1 {
				return []byte(sealerRing), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		shorter, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if err := f.Warm(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first = %v, want that its time has ended", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if err := f.Warm(shorter); !errors.Is(err, context.DeadlineExceeded) ||
				!strings.Contains(err.Error(), "not opened in time") {
				t.Errorf("one that waits for less = %v, want that its time has ended", err)
			}
		})
		all.Go(func() {
			if err := f.Warm(t.Context()); err != nil {
				t.Errorf("one that waits = %v, want none", err)
			}
		})
		if all.Wait(); s.asked != 2 {
			t.Errorf("the key service was asked %d times, want twice", s.asked)
		}
	})
}

// Who has no deadline does not wait for ever.
func TestOpeningEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newSealer(t)
		s.answer = func(ctx context.Context, _ int) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		if err := f.Warm(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Minute {
			t.Errorf("Warm = %v after %v", err, time.Since(began))
		}
	})
}

// Where no runtime is there, a function is served over HTTP if it is told where.
func TestAFunctionOverHTTP(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		c.claim(c.ring)
		l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		c.env["CHATCONF_ADDR"] = addr
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		runtimes := map[string]serve.Runtime{"tablestore": fc.Runtime, "dynamodb": lambda.Runtime}
		go func() {
			done <- serveFunction(ctx, c, runtimes[c.store])
		}()
		client := newTestClient(t)
		for {
			body, err := send(client, "http://"+addr, "ListChatConfigurations", url.Values{})
			var refused *net.OpError
			if errors.As(err, &refused) && refused.Op == "dial" {
				continue // not yet
			}
			if err != nil || !strings.Contains(string(body), `"ChatConfigurations":[]`) {
				t.Errorf("list = %s, %v", body, err)
			}
			break
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		delete(c.env, "CHATCONF_ADDR")
		if err := serveFunction(t.Context(), c, runtimes[c.store]); err == nil ||
			!strings.Contains(err.Error(), "_RUNTIME_API") {
			t.Errorf("without a runtime = %v, want what was looked for", err)
		}
		delete(c.env, "CHATCONF_KEYRING")
		if err := serveFunction(t.Context(), c, runtimes[c.store]); err == nil ||
			!strings.Contains(err.Error(), "CHATCONF_KEYRING") {
			t.Errorf("without a ring = %v", err)
		}
	})
}

// serveFunction serves every action on a cloud until ctx ends.
func serveFunction(ctx context.Context, c *cloud, runtime serve.Runtime) error {
	f, err := app.NewFunction(env(c.env), c.read, app.Actions(rpc.Actions()...))
	if err != nil {
		return err
	}
	return f.Serve(ctx, env(c.env), runtime)
}

func newTestClient(t *testing.T) *http.Client {
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A service on a laptop does not open what a key service sealed, and says what it wants instead.
func TestASealedRingIsForFunctions(t *testing.T) {
	s := settings(t)
	s.KeyRing = secret.Text("kms:" + sealedText)
	if err := refused(t, s); !strings.Contains(err.Error(), "CHATCONF_KEYRING: kms: is for functions") {
		t.Errorf("OpenLocal = %v", err)
	}
}

// A local service has no way of its own to receive events. A program that embeds it can pass them.
func TestEventsOfALocalService(t *testing.T) {
	s := settings(t)
	s.EventPolicy = policy.ReadOnly()
	l := open(t, s)
	if got, again := event(t, l.Handler,
		serve.Event{Data: []byte(`{"Action":"ListChatConfigurations"}`)}); got.Code != "" || again != nil {
		t.Errorf("list = %+v, %v", got, again)
	}
}

// A panic while the key ring is opened fails the invocation that it happened in, and the next tries
// again.
func TestAPanicWhileTheRingIsOpened(t *testing.T) {
	s, f := newSealer(t)
	s.answer = func(_ context.Context, turn int) ([]byte, error) {
		if turn == 1 {
			panic("planted")
		}
		return []byte(sealerRing), nil
	}
	if err := f.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), "app: panic: planted\ngoroutine ") {
		t.Errorf("Warm = %v", err)
	}
	if err := f.Warm(t.Context()); err != nil {
		t.Errorf("Warm for the second time: %v", err)
	}
}
