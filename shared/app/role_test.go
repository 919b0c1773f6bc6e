package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/serve"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
)

// A stage is the functions of the data plane in a cloud, with its API for invoking functions.
type stage struct {
	*cloud
	mu      sync.Mutex
	started [][]byte // what dispatch-command was invoked with
	called  [][]byte // what the target was
	fails   bool     // whoever asks the API
	log     bytes.Buffer
}

const dispatchName, targetName = "chatconf-dispatch-command", "restart-bot"

// onStage sets a cloud up.
func onStage(c *cloud) *stage {
	s := &stage{cloud: c}
	server := httptest.NewServer(s)
	c.Cleanup(server.Close)
	c.env["AWS_ENDPOINT_URL_LAMBDA"], c.env["CHATCONF_FC_ENDPOINT"] = server.URL, server.URL
	c.env["CHATCONF_OWN_RIGHTS"] = "Function"
	c.env["CHATCONF_DISPATCH_FUNCTION"], c.env["CHATCONF_WEBHOOK_BASE_URL"] = dispatchName,
		"https://chatconf.example.com"
	c.claim(c.ring)
	return s
}

// ServeHTTP is the cloud's API.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := r.Header.Get("X-Amz-Invocation-Type") + r.Header.Get("X-Fc-Invocation-Type")
	name := strings.Split(r.URL.Path, "/")[3]
	switch {
	case s.fails:
		w.WriteHeader(http.StatusInternalServerError)
	case name == dispatchName && (kind == "Event" || kind == "Async"):
		s.started = append(s.started, body)
		w.WriteHeader(http.StatusAccepted)
	case name == targetName && (kind == "RequestResponse" || kind == "Sync"):
		s.called = append(s.called, body)
		io.WriteString(w, `{"text":"done"}`)
	default:
		s.Errorf("invoked is %s, %s", name, kind)
	}
}

// Write takes what is logged.
func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *stage) context() context.Context {
	return invoke.With(s.Context(), &invoke.Invocation{RequestID: "request-1",
		Logger: slog.New(slog.NewJSONHandler(s, nil))})
}

// function returns a function of the stage.
func (s *stage) function(r app.Role) *app.Function {
	s.Helper()
	f, err := app.NewFunction(env(s.env), s.read, r)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := f.Close(); err != nil {
			s.Error(err)
		}
	})
	return f
}

// do does an action in the settings' name and returns its answer.
func (s *stage) do(a rpc.Action, params string) []byte {
	s.Helper()
	answer, err := s.function(app.Actions(a)).ServeEvent(s.context(),
		serve.Event{Source: serve.Direct, ID: a.Name + params[:min(len(params), 20)], Data: []byte(params)})
	if err != nil || bytes.Contains(answer, []byte(`"Code"`)) {
		s.Fatalf("%s: %s %v", a.Name, answer, err)
	}
	return answer
}

// bot makes a configuration and returns its webhook's URL.
func (s *stage) bot() string {
	s.Helper()
	s.env["CHATCONF_EVENT_POLICY"] = policy.Administrator().String() // which reveals the URL
	s.do(rpc.NewAction("CreateChatConfiguration", (*chat.Service).Create), `{"Name":"ops","Type":"Slack",
		"Configuration":{"SlackSigningSecret":"not-a-real-secret",
		"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}],
		"Target":{"Type":"Function","Name":"`+targetName+`"}}}`)
	return urlOf(s, s.do(rpc.NewAction("GetChatConfiguration", (*chat.Service).Get), `{"Name":"ops"}`))
}

// urlOf returns the webhook's URL of an answer of GetChatConfiguration.
func urlOf(t testing.TB, answer []byte) string {
	t.Helper()
	var got struct{ ChatConfiguration struct{ Outputs string } }
	var outputs struct{ URL string }
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got.ChatConfiguration.Outputs), &outputs); err != nil {
		t.Fatal(err)
	}
	return outputs.URL
}

// say returns a callback of Slack.
func say(t testing.TB, url, text string) (*platformsim.Callback, *http.Request) {
	t.Helper()
	c, err := (&platformsim.Maker{Settings: callback.Settings{"SlackSigningSecret": "not-a-real-secret"},
		Now: time.Now()}).Make("Slack", "command", platformsim.Message{User: "u1", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Request(url)
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// A message goes through the functions of either cloud: received, recorded, dispatched by invoking
// the next function, delivered to a third, answered, listed.
func TestTheDataPlane(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		s := onStage(c)
		url := s.bot()
		hooks := s.function(app.CloudWebhook())
		callback, r := say(t, url, "restart i-1")
		out := httptest.NewRecorder()
		hooks.ServeHTTP(out, r.WithContext(s.context()))
		if text, err := callback.ReadAnswer(out.Body.Bytes()); out.Code != http.StatusOK ||
			err != nil || text != "restart was accepted." {
			t.Fatalf("the answer is %d %q, %v\n%s", out.Code, text, err, s.log.String())
		}
		if len(s.started) != 1 {
			t.Fatalf("dispatch-command was invoked %d times", len(s.started))
		}
		answer, err := s.function(app.DispatchIn(s.targets)).ServeEvent(s.context(),
			serve.Event{Source: serve.Direct, ID: "1", Data: s.started[0]})
		if err != nil || string(answer) != "{}" || len(s.called) != 1 ||
			!bytes.Contains(s.called[0], []byte(`"type":"chatconf.command.v1"`)) {
			t.Errorf("dispatch: %s %v, the target got %q", answer, err, s.called)
		}
		list := s.do(rpc.NewAction("ListChatCommands", (*chat.Service).ListCommands), `{"Name":"ops"}`)
		if !bytes.Contains(list, []byte(`"Outcome":"Delivered"`)) ||
			!bytes.Contains(list, []byte(`"Command":"restart"`)) {
			t.Errorf("ListChatCommands: %s", list)
		}
		for _, source := range []serve.Source{serve.Timer, serve.CloudEvent, serve.Direct} {
			answer, err = s.function(app.RedriveIn(s.targets)).ServeEvent(s.context(),
				serve.Event{Source: source, ID: "1", Data: []byte(`{"ExecutionId":"x","Status":"Success"}`)})
			if err != nil || string(answer) != `{"Found":0}` {
				t.Errorf("redrive, by %s: %s %v", source, answer, err)
			}
		}
		if log := s.log.String(); strings.Contains(log, url[strings.LastIndex(url, "/")+1:]) ||
			strings.Contains(log, "not-a-real-secret") {
			t.Errorf("the log shows a secret: %s", log)
		}
	})
}

// A change goes through the functions of either cloud: made, announced by the next timer, and then
// no more.
func TestChangesAreAnnounced(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		s := onStage(c)
		s.env["CHATCONF_EVENTS"] = `{"Type":"Function","Name":"` + targetName + `"}`
		s.bot()
		timer := func(want string) {
			t.Helper()
			answer, err := s.function(app.RedriveIn(s.targets)).ServeEvent(s.context(),
				serve.Event{Source: serve.Timer, ID: "1", Data: []byte(`{}`)})
			if err != nil || string(answer) != want {
				t.Errorf("redrive: %s %v, want %s", answer, err, want)
			}
		}
		timer(`{"Found":0,"Announced":1}`)
		timer(`{"Found":0,"Announced":0}`)
		if len(s.called) != 1 || !bytes.Contains(s.called[0], []byte(`"type":"chatconf.configuration.created.v1"`)) ||
			bytes.Contains(s.called[0], []byte("not-a-real-secret")) {
			t.Errorf("the target got %q", s.called)
		}
	})
}

// A function that announces changes says at once that it cannot reach their target.
func TestATargetOfEventsThatIsNotThere(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		s := onStage(c)
		s.env["CHATCONF_EVENTS"] = `{"Type":"Function","Name":"audit"}`
		_, err := s.function(app.RedriveIn(nil)).ServeEvent(s.context(), serve.Event{Source: serve.Timer, ID: "1"})
		const want = "CHATCONF_EVENTS: this service does not run in a cloud; start it with --cloud"
		if err == nil || err.Error() != want {
			t.Errorf("redrive without targets: %v", err)
		}
		foreign := "arn:aws:sns:eu-west-1:123456789012:t"
		if s.env["AWS_REGION"] != "" {
			foreign = "acs:mns:cn-hangzhou:1:/topics/t"
		}
		s.env["CHATCONF_EVENTS"] = `{"Type":"Topic","TopicArn":"` + foreign + `"}`
		_, err = s.function(app.RedriveIn(s.targets)).ServeEvent(s.context(), serve.Event{Source: serve.Timer, ID: "1"})
		if err == nil || !strings.HasPrefix(err.Error(), "CHATCONF_EVENTS: ") ||
			!strings.Contains(err.Error(), "is not the ARN of a topic of") {
			t.Errorf("redrive with a topic of another cloud: %v", err)
		}
	})
	s := app.Settings{Data: t.TempDir(), Events: command.Target{Type: command.TargetTopic}}
	if _, err := app.OpenLocal(t.Context(), s, app.LocalWebhook()); err == nil ||
		!strings.Contains(err.Error(), "CHATCONF_EVENTS: this service does not run in a cloud") {
		t.Errorf("a local service without a cloud: %v", err)
	}
}

// The answer to an event shows the secrets in Outputs only where the policy of events says so.
// Without one, events may do all else.
func TestEventsRevealOutputsByTheirPolicy(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		s := onStage(c)
		url := s.bot()
		token := url[strings.LastIndex(url, "/")+1:]
		for about, test := range map[string]struct {
			policy string
			reveal bool
		}{
			"no policy":           {"", false},
			"the reader's":        {policy.ReadOnly().String(), false},
			"the administrator's": {policy.Administrator().String(), true},
			"one that names the action": {
				`{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:Get*","oos:List*",` +
					`"oos:RevealChatConfigurationOutputs"],"Resource":"*"}]}`, true},
		} {
			s.env["CHATCONF_EVENT_POLICY"] = test.policy
			for _, answer := range [][]byte{
				s.do(rpc.NewAction("GetChatConfiguration", (*chat.Service).Get), `{"Name":"ops"}`),
				s.do(rpc.NewAction("ListChatConfigurations", (*chat.Service).List), `{}`),
			} {
				if got := bytes.Contains(answer, []byte(token)); got != test.reveal ||
					got == bytes.Contains(answer, []byte("/ops/******")) {
					t.Errorf("%s: %s", about, answer)
				}
			}
		}
		s.env["CHATCONF_EVENT_POLICY"] = ""
		if answer := s.do(rpc.NewAction("RotateChatWebhook", (*chat.Service).Rotate),
			`{"Name":"ops"}`); !bytes.Contains(answer, []byte("/ops/******")) {
			t.Errorf("without a policy, RotateChatWebhook: %s", answer)
		}
		s.do(rpc.NewAction("TagResources", (*chat.Service).Tag),
			`{"ResourceType":"chatconfiguration","ResourceIds":["ops"],"Tags":{"a":"b"}}`)
	})
}

// A slowJournal is a store on which it takes a while to write to the journal.
type slowJournal struct {
	mu      sync.Mutex
	engines map[string]*dynamotest.Server // by table
}

const writeTime = 50 * time.Millisecond

// read is the target that has it.
func (s *slowJournal) read(func(string) string) (clouds.Cloud, error) {
	return clouds.Cloud{
		OpenTable: func(name string, ttl time.Duration) (table.Table, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			engine := s.engines[name]
			if engine == nil {
				engine = dynamotest.New()
				s.engines[name] = engine
			}
			return dynamodb.New(name, dynamodb.Options{
				Region: "eu-central-1", TTL: ttl,
				Transport: local{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, call, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
					if name == app.DefaultJournal && call != "GetItem" && call != "BatchGetItem" && call != "Query" {
						time.Sleep(writeTime)
					}
					engine.ServeHTTP(w, r)
				})},
				Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "not-a-real-secret"}, nil
				}),
			})
		},
		Close: func() {},
	}, nil
}

// A function rests once it has answered: what is to be known of a callback that it refused is in
// the table by then, for whoever looks.
func TestTheHealthIsWrittenBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{TB: t, ring: filepath.Join(t.TempDir(), "keyring.json"),
			read: (&slowJournal{engines: make(map[string]*dynamotest.Server)}).read}
		c.newRing(c.ring)
		c.env = map[string]string{"CHATCONF_KEYRING": "file:" + c.ring, "CHATCONF_DISPATCH_FUNCTION": dispatchName,
			"CHATCONF_WEBHOOK_BASE_URL": "https://chatconf.example.com"}
		c.claim(c.ring)
		s := &stage{cloud: c}
		url := s.bot()
		hooks := s.function(app.CloudWebhook())
		for _, test := range []struct {
			step string
			edit func(*http.Request)
		}{
			{"token", func(r *http.Request) {
				r.URL.Path = r.URL.Path[:strings.LastIndex(r.URL.Path, "/")+1] + strings.Repeat("A", 22)
			}},
			{"request", func(r *http.Request) { r.Method = http.MethodPut }},
		} {
			_, r := say(t, url, "restart i-1")
			test.edit(r)
			out := httptest.NewRecorder()
			hooks.ServeHTTP(out, r.WithContext(s.context()))
			health := s.do(rpc.NewAction("GetChatConfigurationHealth", (*chat.Service).Health), `{"Name":"ops"}`)
			if out.Code != http.StatusUnauthorized || !bytes.Contains(health, []byte(`"Step":"`+test.step+`"`)) {
				t.Errorf("%s: %d, and when it is answered the health is %s", test.step, out.Code, health)
			}
			time.Sleep(time.Minute) // notes are not written more often than every few seconds
		}
	})
}

// That the next function cannot be invoked delays nobody and loses nothing.
func TestTheNextFunctionIsAway(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		s := onStage(c)
		url := s.bot()
		s.fails = true
		callback, r := say(t, url, "restart i-1")
		out := httptest.NewRecorder()
		s.function(app.CloudWebhook()).ServeHTTP(out, r.WithContext(s.context()))
		if text, err := callback.ReadAnswer(out.Body.Bytes()); out.Code != http.StatusOK ||
			err != nil || text != "restart was accepted." {
			t.Errorf("the answer is %d %q, %v", out.Code, text, err)
		}
		if log := s.log.String(); !strings.Contains(log, "not_dispatched") {
			t.Errorf("log = %s", log)
		}
		list := s.do(rpc.NewAction("ListChatCommands", (*chat.Service).ListCommands), `{"Name":"ops"}`)
		if !bytes.Contains(list, []byte(`"Outcome":"Pending"`)) {
			t.Errorf("ListChatCommands: %s", list)
		}
	})
}

// Each function takes what it is there for, refuses all else for good, and says that it may be
// tried again when it cannot be opened.
func TestRolesRefuse(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		s := onStage(c)
		hooks, dispatching, redriving := s.function(app.CloudWebhook()),
			s.function(app.DispatchIn(s.targets)), s.function(app.RedriveIn(s.targets))
		answer, err := hooks.ServeEvent(s.context(), serve.Event{Source: serve.SQS, ID: "1", Data: []byte(`{}`)})
		if err != nil || string(answer) != `{"RequestId":"request-1","Code":"InvalidEvent","Message":"this function `+
			`serves HTTP requests of chat platforms and takes no events"}` {
			t.Errorf("webhook, an event: %s %v", answer, err)
		}
		for _, data := range []string{`{}`, `[]`, ``, `{"Account":"1","Region":"r","Name":"n"}`,
			`{"Account":"1","Region":"r","Name":"n","ID":"i","More":1}`,
			`{"Account":"1","Region":"r","Name":"n","ID":"i"} x`} {
			answer, err := dispatching.ServeEvent(s.context(),
				serve.Event{Source: serve.Direct, ID: "1", Data: []byte(data)})
			if err != nil || !bytes.Contains(answer, []byte(`"Code":"InvalidEvent"`)) {
				t.Errorf("dispatch of %s: %s %v", data, answer, err)
			}
		}
		answer, err = dispatching.ServeEvent(s.context(), serve.Event{Source: serve.Direct, ID: "1",
			Data: []byte(`{"Account":"1","Region":"cn-hangzhou","Name":"n","ID":"1795420800000-0123456789abcdef"}`)})
		if err != nil || string(answer) != "{}" {
			t.Errorf("dispatch of nothing: %s %v", answer, err)
		}
		for about, f := range map[string]*app.Function{"dispatch": dispatching, "redrive": redriving} {
			out := httptest.NewRecorder()
			f.ServeHTTP(out, httptest.NewRequest(http.MethodPost, "/", nil).WithContext(s.context()))
			if out.Code != http.StatusNotFound {
				t.Errorf("%s, a request: %d", about, out.Code)
			}
		}

		c.broken.Store(true) // the key service
		_, r := say(t, "https://chatconf.example.com/webhook/1/cn-hangzhou/ops/token", "help")
		out := httptest.NewRecorder()
		s.function(app.CloudWebhook()).ServeHTTP(out, r.WithContext(s.context()))
		if out.Code != http.StatusServiceUnavailable || strings.TrimSpace(out.Body.String()) != "unavailable" {
			t.Errorf("webhook, closed: %d %s", out.Code, out.Body)
		}
		if answer, err := s.function(app.DispatchIn(s.targets)).ServeEvent(s.context(),
			serve.Event{Source: serve.Direct, ID: "1", Data: []byte(`{}`)}); err == nil {
			t.Errorf("dispatch, closed: %s", answer)
		}
	})
}

// The function webhook needs to know which function dispatches commands.
func TestWebhookWantsTheNextFunction(t *testing.T) {
	eachCloud(t, func(t *testing.T, c *cloud) {
		for about, test := range map[string]struct {
			role  app.Role
			fails bool
		}{"webhook": {app.CloudWebhook(), true}, "dispatch": {app.DispatchIn(c.targets), false},
			"actions": {app.Actions(rpc.Actions()...), false}} {
			f, err := app.NewFunction(env(c.env), c.read, test.role)
			if (err != nil) != test.fails || err != nil &&
				!strings.Contains(err.Error(), "CHATCONF_DISPATCH_FUNCTION") {
				t.Errorf("%s: %v", about, err)
			}
			if err == nil {
				f.Close()
			}
		}
	})
}

// A service on one port has the webhooks beside the API, hands commands on itself, and at its end
// finishes what it has begun.
func TestServeLocalWithWebhooks(t *testing.T) {
	s := settings(t)
	s.Addr = "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	endpoint := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- app.ServeLocal(ctx, s, func(a app.Started) { endpoint <- a.Endpoint },
			app.Everything(rpc.Actions()...))
	}()
	var at string
	select {
	case at = <-endpoint:
	case err := <-ended:
		t.Fatal(err)
	}
	key := readKey(t, s)
	call := func(action, params string) []byte {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, at+"/", strings.NewReader(params))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Acs-Action", action)
		r.Header.Set("X-Acs-Version", rpc.Version)
		if err := (sign.Key{ID: key.ID, Secret: key.Secret.Reveal()}).SignACS3(r, []byte(params), time.Now(),
			invoke.NewRequestID()); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s %v", action, resp.StatusCode, body, err)
		}
		return body
	}
	call("CreateChatConfiguration",
		`{"Name":"ops","Type":"Slack","Configuration":"{\"SlackSigningSecret\":\"not-a-real-secret\",`+
			`\"Permissions\":[{\"Effect\":\"Allow\",\"Principals\":[\"*\"],\"Commands\":[\"*\"]}],`+
			`\"Target\":{\"Type\":\"Function\",\"Name\":\"f\"}}"}`)
	url := urlOf(t, call("GetChatConfiguration", `{"Name":"ops"}`))
	if !strings.HasPrefix(url, at+"/webhook/") {
		t.Fatalf("the webhook is at another address than %s", at)
	}
	callback, r := say(t, url, "restart i-1")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := callback.ReadAnswer(body); err != nil || resp.StatusCode != http.StatusOK ||
		text != "restart was accepted." {
		t.Errorf("the answer is %d %q, %v", resp.StatusCode, text, err)
	}
	_, r = say(t, at+"/webhook/1/cn-hangzhou/ops/token", "restart")
	resp, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a URL that is nobody's: %d", resp.StatusCode)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// There is no cloud around it, so the command was given up, and not left behind.
	l := open(t, s)
	list, err := l.Service.ListCommands(caller(t.Context()), &chat.ListCommandsRequest{Name: "ops"})
	if err != nil || len(list.ChatCommands) != 1 || list.ChatCommands[0].Outcome != "Failed" ||
		!strings.Contains(list.ChatCommands[0].Detail, "does not run in a cloud") {
		t.Errorf("commands = %+v, %v", list, err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://")); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}
