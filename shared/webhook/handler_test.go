package webhook_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
	"chatconf/shared/webhook"
	"chatconf/shared/webhook/webhooktest"
)

// nobody hands nothing on.
func nobody(context.Context, command.Ref) error { return nil }

// dispatched remembers what was dispatched.
type dispatched struct {
	mu   sync.Mutex
	refs []command.Ref
}

func (h *dispatched) add(_ context.Context, ref command.Ref) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refs = append(h.refs, ref)
	return nil
}

const toHTTP = `"Target":{"Type":"Http","Url":"https://target.example.com/commands",` +
	`"Secret":"whsec_bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM="}`

// line returns the one line that was logged.
func line(t *testing.T, w *webhooktest.World) map[string]any {
	t.Helper()
	text := w.Log()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("wanted one line in the log: %v\n%s", err, text)
	}
	return out
}

// Every kind of callback that the platforms send to a bot goes through: decided, recorded,
// dispatched and answered, and refused for who has no grant.
func TestEveryPlatform(t *testing.T) {
	for _, p := range platform.All().Descriptions() {
		messages, checks := platformsim.Modes(p.Type)
		for _, mode := range messages {
			t.Run(p.Type+" "+mode, func(t *testing.T) {
				w := webhooktest.New(t)
				process := w.Process()
				bot := process.Create("ops", p.Type, platformtest.Settings(p.Type), webhooktest.Open, toHTTP)
				var handed dispatched
				h := process.Handler(handed.add)
				c := bot.Say(mode, platformsim.Message{Text: "restart i-1"})
				out := bot.Post(h, c)
				if out.Code != http.StatusOK {
					t.Fatalf("restart: %d %s\n%s", out.Code, out.Body, w.Log())
				}
				if _, err := c.ReadAnswer(out.Body.Bytes()); err != nil {
					t.Errorf("restart: %v: %s", err, out.Body)
				}
				w.Advance(time.Second)
				bot.Post(h, bot.Say(mode, platformsim.Message{Text: "stop"}))
				list := process.Commands("ops")
				if len(list) != 2 || list[1].Command != "restart" || list[1].Decision != "Allowed" ||
					list[1].Outcome != "Pending" || list[1].Target != "Http target.example.com" ||
					list[0].Command != "stop" || list[0].Decision != "Denied" {
					t.Errorf("commands = %+v", list)
				}
				if len(handed.refs) == 0 || handed.refs[0].ID != list[1].Id {
					t.Errorf("dispatched = %v, want %s", handed.refs, list[1].Id)
				}
				if health := process.Health("ops").Health; health.State != chat.HealthWorking ||
					health.Counters["Allowed"] != 1 || health.Counters["Denied"] != 1 {
					t.Errorf("health = %+v", health)
				}
			})
		}
		for _, mode := range checks {
			t.Run(p.Type+" "+mode, func(t *testing.T) {
				w := webhooktest.New(t)
				process := w.Process()
				bot := process.Create("ops", p.Type, platformtest.Settings(p.Type))
				c := bot.Say(mode, platformsim.Message{})
				w.Calls()
				out := bot.Post(process.Handler(nobody), c)
				if text := w.Read(c, out); text == "" {
					t.Error("the answer has no challenge")
				}
				if got := w.Calls(); got != "Get" && got != "Get Write" { // the health is written beside it
					t.Errorf("calls = %s", got)
				}
				if health := process.Health("ops").Health; health.Counters["Handshakes"] != 1 ||
					health.LastHandshakeDate == "" {
					t.Errorf("health = %+v", health)
				}
			})
		}
	}
}

// What people read: of what is built in, of what is denied, of what is no command, of a bot that is
// off, of a conversation that is not listened to.
func TestAnswers(t *testing.T) {
	for about, test := range map[string]struct {
		members []string
		text    string
		want    []string
	}{
		"help": {nil, "help", []string{"You may run here: *.", "Except: stop.",
			"Always allowed: help, whoami."}},
		"whoami":                   {nil, "WhoAmI", []string{"user:u1", "c1"}},
		"an accepted command":      {nil, "restart i-1", []string{"restart was accepted."}},
		"a denied command":         {nil, "stop", []string{"You may not run stop here.", "user:u1"}},
		"no command":               {nil, "", []string{"The message has no command."}},
		"an open quote":            {nil, "restart 'i-1", []string{"A quotation mark is not closed."}},
		"an open quote in Chinese": {[]string{`"Language":"zh"`}, "restart 'i-1", []string{"引号没有闭合。"}},
		"another conversation": {[]string{`"ConversationIds":["c2"]`}, "restart",
			[]string{"The conversation c1 is not in ConversationIds."}},
	} {
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), append(test.members, webhooktest.Open)...)
		c := bot.Say("command", platformsim.Message{Conversation: "c1", Text: test.text})
		text := w.Read(c, bot.Post(process.Handler(nobody), c))
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the answer is %q, want %q in it", about, text, want)
			}
		}
		if list := process.Commands("ops"); len(list) != 1 || list[0].Outcome != "Recorded" || !list[0].Answered {
			t.Errorf("%s: commands = %+v", about, list)
		}
	}
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	if _, err := process.Service.Update(w.As(), &chat.UpdateRequest{Name: "ops",
		Status: chat.StatusInactive}); err != nil {
		t.Fatal(err)
	}
	c := bot.Say("command", platformsim.Message{Text: "restart"})
	if text := w.Read(c, bot.Post(process.Handler(nobody), c)); text != "The chat configuration ops is inactive." {
		t.Errorf("of a bot that is off: %q", text)
	}
}

// An answer that the platform's own response cannot carry is left to be sent, and nothing goes to a
// target with it.
func TestAnswersThatComeLater(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Feishu", platformtest.Settings("Feishu"), webhooktest.Open, toHTTP)
	var handed dispatched
	h := process.Handler(handed.add)
	c := bot.Say("message", platformsim.Message{Text: "help"})
	if text := w.Read(c, bot.Post(h, c)); text != "" {
		t.Errorf("the answer is %q", text)
	}
	if len(handed.refs) != 1 {
		t.Fatalf("dispatched = %v", handed.refs)
	}
	job, err := process.Journal.Claim(w.Context(), handed.refs[0], time.Minute)
	if err != nil || !strings.Contains(job.Answer, "Always allowed: help, whoami.") ||
		job.ReplyTo.Kind == "" || job.Answered {
		t.Errorf("left is %+v, %v", job, err)
	}
}

// A thing that is wrong with a callback, and how the log and the configuration's health call it.
// Whoever sent it learns nothing of that.
type wrong struct {
	about string
	step  string // as the health has it, if it is told
	send  func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder
}

func wrongs() []wrong {
	to := func(edit func(path string) string) func(*webhooktest.Bot, http.Handler) *httptest.ResponseRecorder {
		return func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			return bot.PostTo(h, edit(bot.URL), bot.Say("", platformsim.Message{Text: "restart"}))
		}
	}
	changed := func(edit func(c *platformsim.Callback)) func(*webhooktest.Bot,
		http.Handler) *httptest.ResponseRecorder {
		return func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			c := bot.Say("", platformsim.Message{Text: "restart"})
			edit(c)
			return bot.Post(h, c)
		}
	}
	return []wrong{
		{"there is no such configuration", "",
			to(func(u string) string { return strings.Replace(u, "/ops/", "/other/", 1) })},
		{"the account is another", "",
			to(func(u string) string { return strings.Replace(u, "/"+webhooktest.Account+"/", "/1/", 1) })},
		{"the path is none", "", to(func(string) string { return "https://chatconf.example.com/webhook/x" })},
		{"the path has no webhook", "", to(func(string) string { return "https://chatconf.example.com/a/b/c/d" })},
		{"the token is missing", "", to(func(u string) string { return u[:strings.LastIndex(u, "/")+1] })},
		{"the token is wrong", "token", to(func(u string) string {
			return u[:strings.LastIndex(u, "/")+1] +
				strings.Repeat("A", 22)
		})},
		{"the body was changed", "signature",
			changed(func(c *platformsim.Callback) {
				c.Body = bytes.Replace(c.Body,
					[]byte("restart"), []byte("destroy"), 1)
			})},
		{"the body was cut", "signature", changed(func(c *platformsim.Callback) { c.Body = c.Body[:len(c.Body)-1] })},
		{"there is no body", "signature", changed(func(c *platformsim.Callback) { c.Body = nil })},
		{"the body is too large", "request",
			changed(func(c *platformsim.Callback) { c.Body = append(c.Body, make([]byte, webhook.MaxBody)...) })},
		{"the signature is missing", "request",
			changed(func(c *platformsim.Callback) { c.Header.Del("X-Slack-Signature") })},
		{"the signature is there twice", "request",
			changed(func(c *platformsim.Callback) {
				c.Header.Add("X-Slack-Signature",
					c.Header.Get("X-Slack-Signature"))
			})},
		{"a parameter is there twice", "request",
			changed(func(c *platformsim.Callback) { c.Query = url.Values{"signature": {"a", "a"}} })},
		{"a gateway has packed the body", "request", changed(func(c *platformsim.Callback) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(c.Body)
			z.Close()
			c.Body = b.Bytes()
			c.Header.Set("Content-Encoding", "gzip")
		})},
		{"the method is another", "request", changed(func(c *platformsim.Callback) { c.Method = http.MethodPut })},
		{"it is too old", "freshness", func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			c := bot.Say("", platformsim.Message{Text: "restart"})
			bot.Advance(time.Hour)
			return bot.Post(h, c)
		}},
		{"it is from the future", "freshness", func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			bot.Advance(time.Hour)
			c := bot.Say("", platformsim.Message{Text: "restart"})
			bot.Advance(-time.Hour)
			return bot.Post(h, c)
		}},
		{"it is for another team", "receive id", func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			other := *bot
			other.Settings = maps.Clone(bot.Settings)
			other.Settings["SlackTeamId"] = "T0OTHER"
			return bot.Post(h, other.Say("", platformsim.Message{Text: "restart"}))
		}},
		{"it was signed with another secret", "signature",
			func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
				other := *bot
				other.Settings = maps.Clone(bot.Settings)
				other.Settings["SlackSigningSecret"] = "another-secret"
				return bot.Post(h, other.Say("", platformsim.Message{Text: "restart"}))
			}},
		{"there are more parameters than any platform sends", "request", changed(func(c *platformsim.Callback) {
			c.Query = make(url.Values)
			for i := range 64 {
				c.Query.Set(fmt.Sprint("p", i), "")
			}
			c.Query.Set("q", "")
		})},
		{"the query is longer than any platform's", "request",
			changed(func(c *platformsim.Callback) { c.Query = url.Values{"a": {strings.Repeat("a", 16<<10)}} })},
		{"there are more headers than any platform sends", "request", changed(func(c *platformsim.Callback) {
			for i := range 129 {
				c.Header.Add("X-Many", fmt.Sprint(i))
			}
		})},
		{"the query is none", "request", func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			r, err := bot.Say("", platformsim.Message{Text: "restart"}).Request(bot.URL)
			if err != nil {
				bot.Fatal(err)
			}
			r.URL.RawQuery = "a;b=%zz"
			return bot.Do(h, r)
		}},
		{"the body breaks off", "request", func(bot *webhooktest.Bot, h http.Handler) *httptest.ResponseRecorder {
			r, err := bot.Say("", platformsim.Message{Text: "restart"}).Request(bot.URL)
			if err != nil {
				bot.Fatal(err)
			}
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("text="), brokenReader{}))
			return bot.Do(h, r)
		}},
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Whatever is wrong, the answer is the same to the byte; the reason is in the log, and in the
// configuration's health where the URL was right. Nothing is recorded or dispatched, and no secret
// shows.
func TestRefusalsAreAlike(t *testing.T) {
	var first string
	for _, test := range wrongs() {
		t.Run(test.about, func(t *testing.T) {
			w := webhooktest.New(t)
			process := w.Process()
			bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
			token := bot.URL[strings.LastIndex(bot.URL, "/")+1:]
			h := process.Handler(func(context.Context, command.Ref) error { t.Error("it was dispatched"); return nil })
			w.Calls()
			out := test.send(bot, h)
			if err := process.Journal.Flush(w.Context()); err != nil {
				t.Fatal(err)
			}
			// One Get, none for a path that is no webhook's; and where the health says something,
			// one Write, for which the answer does not wait.
			want := "Get"
			switch {
			case test.step != "":
				want = "Get Write"
			case strings.HasPrefix(test.about, "the path") || test.about == "the token is missing":
				want = ""
			}
			if got := w.Calls(); got != want {
				t.Errorf("calls = %s, want %s", got, want)
			}
			answer := fmt.Sprint(out.Code, out.Header(), out.Body)
			if first == "" {
				first = answer
			}
			if answer != first || out.Code != http.StatusUnauthorized {
				t.Errorf("the answer is %s, want %s", answer, first)
			}
			said := line(t, w)
			if said["outcome"] != "refused" || said["level"] != "WARN" ||
				said["reason"] == "" || said["status"] != 401.0 {
				t.Errorf("logged is %v", said)
			}
			health := process.Health("ops").Health
			switch {
			case test.step == "" && (health.LastError != nil || health.State != chat.HealthSilent):
				t.Errorf("health = %+v, want nothing", health)
			case test.step != "" && (health.LastError == nil || health.LastError.Step != test.step ||
				health.LastError.Reason == "" || health.Counters["Refused"] != 1):
				t.Errorf("health = %+v, want the step %s", health.LastError, test.step)
			}
			if list := process.Commands("ops"); len(list) > 0 {
				t.Errorf("recorded is %+v", list)
			}
			for _, secret := range []string{token, "not-a-real-secret", strings.Repeat("A", 22)} {
				if text := fmt.Sprint(said, answer, health.LastError); strings.Contains(text, secret) {
					t.Errorf("a secret shows: %s", text)
				}
			}
		})
	}
}

// A process that rests once it has answered has written before what is to be known of the health.
// That it could not costs nothing but the news.
func TestFrozen(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	h, err := webhook.NewHandler(webhook.Options{Service: process.Service, Journal: process.Journal,
		Receivers: platform.All().Receivers(), Dispatch: nobody, Frozen: true, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := bot.Say("", platformsim.Message{Text: "restart"})
	c.Body = nil
	w.Calls()
	if out := bot.Post(h, c); out.Code != http.StatusUnauthorized || w.Calls() != "Get Write" {
		t.Errorf("refused: %d", out.Code)
	}
	if health := w.Process().Health("ops").Health; health.LastError == nil || health.LastError.Step != "signature" {
		t.Errorf("health as another process sees it = %+v", health)
	}
	w.Log()
	w.Advance(time.Minute)
	w.FailAt(2, webhooktest.Fault{})
	if out := bot.Post(h, c); out.Code != http.StatusUnauthorized || out.Body.String() != "unauthorized\n" {
		t.Errorf("with tables that fail: %d %s", out.Code, out.Body)
	}
	if log := w.Log(); strings.Count(log, "\n") != 2 || !strings.Contains(log,
		"the health of a webhook was not written") {
		t.Errorf("log = %s", log)
	}
}

// That a receiver cannot be made is the owner's to know, and nobody else's.
func TestSettingsThatMakeNoReceiver(t *testing.T) {
	for about, receivers := range map[string]map[string]func(callback.Settings) (callback.Receiver, error){
		"its settings lack something": {"Slack": func(callback.Settings) (callback.Receiver, error) {
			return nil,
				errors.New("slack: no secret")
		}},
		"no such type": {"Teams": platform.All().Receivers()["Teams"]},
	} {
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", "Slack", platformtest.Settings("Slack"))
		h, err := webhook.NewHandler(webhook.Options{Service: process.Service, Journal: process.Journal,
			Receivers: receivers, Dispatch: nobody})
		if err != nil {
			t.Fatal(err)
		}
		if out := bot.Post(h, bot.Say("", platformsim.Message{Text: "help"})); out.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", about, out.Code)
		}
		if health := process.Health("ops").Health; health.LastError == nil || health.LastError.Step != "configuration" {
			t.Errorf("%s: health = %+v", about, health.LastError)
		}
	}
}

// A hundred identical callbacks at once make one record and one delivery. All are acknowledged, one
// is answered.
func TestAHundredAtOnce(t *testing.T) {
	w := webhooktest.New(t)
	first := w.Process()
	bot := first.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	var handed dispatched
	handlers := []http.Handler{first.Handler(handed.add), w.Process().Handler(handed.add),
		w.Process().Handler(handed.add)}
	c := bot.Say("command", platformsim.Message{Text: "restart i-1"})
	var answered atomic.Int64
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			out := bot.Post(handlers[i%len(handlers)], c)
			if text := w.Read(c, out); text != "" {
				answered.Add(1)
			}
		})
	}
	group.Wait()
	if list := first.Commands("ops"); len(list) != 1 || len(handed.refs) != 1 ||
		handed.refs[0].ID != list[0].Id || answered.Load() != 1 {
		t.Errorf("%d records, %v dispatched, %d answered; want one of each", len(list), handed.refs, answered.Load())
	}
}

// Where the signature does not cover the message, the same signature with another one is refused
// like any forgery, and noted.
func TestReplay(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "DingTalk", platformtest.Settings("DingTalk"), webhooktest.Open)
	var handed dispatched
	h := process.Handler(handed.add)
	c := bot.Say("robot", platformsim.Message{ID: "m1", Text: "help"})
	w.Read(c, bot.Post(h, c))
	w.Log()
	if text := w.Read(c, bot.Post(h, c)); text != "" {
		t.Errorf("delivered again: the answer is %q", text)
	}
	if said := line(t, w); said["outcome"] != "duplicate" || said["level"] != "INFO" {
		t.Errorf("delivered again: logged is %v", said)
	}
	forged := bot.Say("robot", platformsim.Message{ID: "m2", Text: "destroy all"})
	forged.Header = c.Header
	if out := bot.Post(h, forged); out.Code != http.StatusUnauthorized || out.Body.String() != "unauthorized\n" {
		t.Errorf("forged: %d %s", out.Code, out.Body)
	}
	if said := line(t, w); said["outcome"] != "refused" || said["step"] != "replay" {
		t.Errorf("forged: logged is %v", said)
	}
	health := process.Health("ops").Health
	if health.LastError == nil || health.LastError.Step != "replay" || health.Counters["Duplicates"] != 1 ||
		health.Counters["Refused"] != 1 {
		t.Errorf("health = %+v", health)
	}
	if list := process.Commands("ops"); len(list) != 1 {
		t.Errorf("recorded is %+v", list)
	}
}

// A signature that came with what is no message, such as the notice of an exceeded quota, is spent
// as well. The notice itself may come again.
func TestReplayOfWhatIsNoMessage(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "DingTalk", platformtest.Settings("DingTalk"), webhooktest.Open)
	h := process.Handler(nobody)
	c := bot.Say("robot", platformsim.Message{ID: "m1", Text: "destroy all"})
	notice := *c
	if notice.Body = bytes.Replace(c.Body, []byte(`"msgtype":"text"`), []byte(`"msgtype":"text","errorCode":20001`),
		1); bytes.Equal(notice.Body, c.Body) {
		t.Fatal("the message is another than it was")
	}
	w.FailAt(2, webhooktest.Fault{})
	if out := bot.Post(h, &notice); out.Code != http.StatusServiceUnavailable || !w.Failed() {
		t.Errorf("a notice, when the journal is out of reach: %d %s", out.Code, out.Body)
	}
	w.FailAt(0, webhooktest.Fault{})
	for range 2 {
		if text := w.Read(&notice, bot.Post(h, &notice)); text != "" {
			t.Errorf("a notice: the answer is %q", text)
		}
	}
	w.Log()
	if out := bot.Post(h, c); out.Code != http.StatusUnauthorized {
		t.Errorf("forged: %d %s", out.Code, out.Body)
	}
	if said := line(t, w); said["outcome"] != "refused" || said["step"] != "replay" {
		t.Errorf("forged: logged is %v", said)
	}
	if list := process.Commands("ops"); len(list) > 0 {
		t.Errorf("recorded is %+v", list)
	}
}

// A configuration may be called what the path of every URL has in it.
func TestAConfigurationCalledWebhook(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("webhook", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	c := bot.Say("command", platformsim.Message{Text: "whoami"})
	if text := w.Read(c, bot.Post(process.Handler(nobody), c)); !strings.Contains(text, "user:u1") {
		t.Errorf("the answer is %q", text)
	}
}

// The wire says no more when the tables are out of reach, wherever that is.
func TestWhenTheTablesFail(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	h := process.Handler(nobody)
	// that the partition holds something is written only once
	bot.Post(h, bot.Say("", platformsim.Message{Text: "help"}))
	w.Log()
	for n := 1; ; n++ {
		w.FailAt(n, webhooktest.Fault{})
		out := bot.Post(h, bot.Say("", platformsim.Message{Text: "help"}))
		if !w.Failed() {
			if n != 3 || out.Code != http.StatusOK {
				t.Errorf("%d calls, %d", n-1, out.Code)
			}
			break
		}
		if out.Code != http.StatusServiceUnavailable || out.Body.String() != "unavailable\n" {
			t.Errorf("call %d: %d %s", n, out.Code, out.Body)
		}
		if said := line(t, w); said["outcome"] != "failed" || said["level"] != "ERROR" || said["error"] == nil {
			t.Errorf("call %d: logged is %v", n, said)
		}
	}
}

// Dispatch may fail or hang: the platform has its answer, and the command is due in a minute.
func TestHandingOnFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
		h := process.Handler(func(ctx context.Context, _ command.Ref) error { <-ctx.Done(); return ctx.Err() })
		c := bot.Say("command", platformsim.Message{Text: "restart"})
		began := time.Now()
		if text := w.Read(c, bot.Post(h, c)); text != "restart was accepted." {
			t.Errorf("the answer is %q", text)
		}
		if took := time.Since(began); took != webhook.DispatchTime {
			t.Errorf("the answer took %v", took)
		}
		if said := line(t, w); said["outcome"] != "recorded" || said["level"] != "WARN" ||
			said["not_dispatched"] == nil {
			t.Errorf("logged is %v", said)
		}
		w.Advance(time.Minute)
		if due, err := process.Journal.Due(w.Context(), 10, 10); err != nil || len(due) != 1 {
			t.Errorf("due = %v, %v", due, err)
		}
	})
}

// A cancel hands on its own answer and the operation; together that takes no longer.
func TestHandingOnACancelFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", "Feishu", platformtest.Settings("Feishu"), webhooktest.Open,
			`"Actions":{"restart":{"Target":{"Type":"Program","Name":"restart"}}}`)
		var refs []command.Ref
		h := process.Handler(func(ctx context.Context, ref command.Ref) error {
			refs = append(refs, ref)
			<-ctx.Done()
			return ctx.Err()
		})
		for n, text := range []string{"restart", "cancel"} {
			began := time.Now()
			message := bot.Say("message", platformsim.Message{ID: text, Text: text})
			if out := bot.Post(h, message); out.Code != http.StatusOK {
				t.Fatalf("%s: %d", text, out.Code)
			}
			if took := time.Since(began); took != webhook.DispatchTime {
				t.Errorf("the answer to %s took %v", text, took)
			}
			if want := []int{1, 3}[n]; len(refs) != want {
				t.Errorf("after %s, %d were handed on, want %d", text, len(refs), want)
			}
		}
	})
}

// How long platforms wait for an answer to a message, and to the check of a URL.
var patience = map[string]struct{ message, check time.Duration }{
	"DingTalk": {1500 * time.Millisecond, 1500 * time.Millisecond},
	"WeChat":   {5 * time.Second, time.Second},
	"Feishu":   {3 * time.Second, time.Second},
	"Slack":    {3 * time.Second, 3 * time.Second},
	"Teams":    {5 * time.Second, 5 * time.Second},
}

// Whatever call of the tables hangs, and if all are slow, and handing on hangs besides, a platform
// has its answer to every kind of callback in time, and who forges one waits no longer.
func TestAnswersAreInTime(t *testing.T) {
	const margin = 200 * time.Millisecond // for the network and the gateway
	for _, p := range platform.All().Descriptions() {
		waits, ok := patience[p.Type]
		if !ok {
			t.Fatalf("how long does %s wait?", p.Type)
		}
		messages, checks := platformsim.Modes(p.Type)
		for _, mode := range append(slices.Clone(messages), checks...) {
			limit := waits.message
			if slices.Contains(checks, mode) {
				limit = waits.check
			}
			synctest.Test(t, func(t *testing.T) {
				w := webhooktest.New(t)
				process := w.Process()
				bot := process.Create("ops", p.Type, platformtest.Settings(p.Type), webhooktest.Open, toHTTP)
				for about, edit := range map[string]func(*platformsim.Callback){
					"genuine": func(*platformsim.Callback) {},
					"refused": func(c *platformsim.Callback) { c.Body, c.Query = nil, nil },
				} {
					for _, takes := range []time.Duration{time.Hour, 700 * time.Millisecond} {
						for n := 1; n <= 4; n++ {
							w.Advance(time.Minute)
							h := frozen(w.Process(),
								func(ctx context.Context, _ command.Ref) error { <-ctx.Done(); return ctx.Err() })
							c := bot.Say(mode, platformsim.Message{Text: "restart"})
							edit(c)
							w.FailAt(n, webhooktest.Fault{Takes: takes})
							began := time.Now()
							out := bot.Post(h, c)
							if took := time.Since(began); took > limit-margin {
								t.Errorf("%s %s, %s, calls that take %v from the %d. on: the answer %d took %v", p.Type,
									mode, about, takes, n, out.Code, took)
							}
						}
					}
				}
			})
		}
	}
}

// frozen returns the handler of a process that rests once it has answered.
func frozen(p *webhooktest.Process, dispatch func(context.Context, command.Ref) error) *webhook.Handler {
	p.Helper()
	h, err := webhook.NewHandler(webhook.Options{Service: p.Service, Journal: p.Journal,
		Receivers: platform.All().Receivers(), Dispatch: dispatch, Frozen: true, Now: p.Now})
	if err != nil {
		p.Fatal(err)
	}
	return h
}

// What each part of an answer may take at most: the tables, handing on, and a note, which is given
// up before the tables are.
func TestBounds(t *testing.T) {
	const tables, dispatch, note = 800 * time.Millisecond, 400 * time.Millisecond, 300 * time.Millisecond
	check := func(w *webhooktest.Bot) *platformsim.Callback { return w.Say("check", platformsim.Message{}) }
	message := func(w *webhooktest.Bot) *platformsim.Callback { return w.Say("", platformsim.Message{Text: "restart"}) }
	for about, test := range map[string]struct {
		kind    string
		say     func(*webhooktest.Bot) *platformsim.Callback
		hangsAt int // call of the tables
		status  int
		want    time.Duration
	}{
		"a message, until it is found":       {"Slack", message, 1, 503, tables},
		"a message, until it is recorded":    {"Slack", message, 2, 503, tables},
		"a message, after it is recorded":    {"Slack", message, 9, 200, dispatch},
		"a check, until it is found":         {"Slack", check, 1, 503, tables},
		"a check, of which a note is made":   {"Slack", check, 2, 200, note},
		"a notice, until it is found":        {"DingTalk", notice, 1, 503, tables},
		"a notice, until it is guarded":      {"DingTalk", notice, 2, 503, tables},
		"a notice, of which a note is made":  {"DingTalk", notice, 3, 200, note},
		"a refusal, until it is found":       {"Slack", forged, 1, 503, tables},
		"a refusal, of which a note is made": {"Slack", forged, 2, 401, note},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := webhooktest.New(t)
			process := w.Process()
			bot := process.Create("ops", test.kind, platformtest.Settings(test.kind), webhooktest.Open, toHTTP)
			h := frozen(process, func(ctx context.Context, _ command.Ref) error { <-ctx.Done(); return ctx.Err() })
			c := test.say(bot)
			w.FailAt(test.hangsAt, webhooktest.Fault{Takes: time.Hour})
			began := time.Now()
			out := bot.Post(h, c)
			if took := time.Since(began); took != test.want || out.Code != test.status {
				t.Errorf("%s: %d after %v, want %d after %v", about, out.Code, took, test.status, test.want)
			}
		})
	}
}

// notice is a genuine callback of DingTalk without a message for the bot.
func notice(bot *webhooktest.Bot) *platformsim.Callback {
	bot.Helper()
	c := bot.Say("robot", platformsim.Message{Text: "restart"})
	body := bytes.Replace(c.Body, []byte(`"msgtype":"text"`), []byte(`"msgtype":"text","errorCode":20001`), 1)
	if bytes.Equal(body, c.Body) {
		bot.Fatal("the message is another than it was")
	}
	c.Body = body
	return c
}

// forged is a callback with the right URL whose body was changed.
func forged(bot *webhooktest.Bot) *platformsim.Callback {
	bot.Helper()
	c := bot.Say("", platformsim.Message{Text: "restart"})
	c.Body = bytes.Replace(c.Body, []byte("restart"), []byte("destroy"), 1)
	return c
}

// A slowBody comes only after a while.
type slowBody struct {
	io.Reader
	once sync.Once
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.once.Do(func() { time.Sleep(10 * time.Second) })
	return b.Reader.Read(p)
}

// A body that comes slowly is none of the tables' time: its sender is told what everybody is.
func TestASlowBody(t *testing.T) {
	for about, test := range map[string]struct {
		token  string // "" is the right one
		status int
		level  string
	}{
		"of a message":           {"", http.StatusOK, "INFO"},
		"behind a token of none": {strings.Repeat("A", 22), http.StatusUnauthorized, "WARN"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := webhooktest.New(t)
			process := w.Process()
			bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
			url := bot.URL
			if test.token != "" {
				url = url[:strings.LastIndex(url, "/")+1] + test.token
			}
			r, err := bot.Say("", platformsim.Message{Text: "restart"}).Request(url)
			if err != nil {
				t.Fatal(err)
			}
			r.Body = io.NopCloser(&slowBody{Reader: r.Body})
			out := w.Do(process.Handler(nobody), r)
			if said := line(t, w); out.Code != test.status || said["level"] != test.level {
				t.Errorf("%s: %d, logged is %v", about, out.Code, said)
			}
			if err := process.Journal.Flush(w.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A process that rests once it has answered has written before that somebody came with a wrong
// token. Of a name without a configuration it writes nothing, and the answer is the same.
func TestFrozenWithAWrongToken(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	h := frozen(process, nobody)
	wrong := bot.URL[:strings.LastIndex(bot.URL, "/")+1] + strings.Repeat("A", 22)
	w.Calls()
	known := bot.PostTo(h, wrong, bot.Say("", platformsim.Message{Text: "restart"}))
	if got := w.Calls(); known.Code != http.StatusUnauthorized || got != "Get Write" {
		t.Errorf("a wrong token: %d, calls = %s", known.Code, got)
	}
	if health := w.Process().Health("ops").Health; health.LastError == nil || health.LastError.Step != "token" {
		t.Errorf("health as another process sees it = %+v", health.LastError)
	}
	w.Calls()
	unknown := bot.PostTo(h, strings.Replace(wrong, "/ops/", "/other/", 1),
		bot.Say("", platformsim.Message{Text: "restart"}))
	if got := w.Calls(); unknown.Code != known.Code || unknown.Body.String() != known.Body.String() || got != "Get" {
		t.Errorf("an unknown name: %d %s, calls = %s", unknown.Code, unknown.Body, got)
	}
	if unknown, known := unknown.Header(), known.Header(); !maps.EqualFunc(unknown, known, slices.Equal) {
		t.Errorf("an unknown name is answered with the headers %v, a wrong token with %v", unknown, known)
	}
}

// A platform that hangs up while its callback is worked at does not leave it half done.
func TestThePlatformHangsUp(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	var handed dispatched
	r, err := bot.Say("command", platformsim.Message{Text: "restart"}).Request(bot.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(w.Context())
	hangUp()
	process.Handler(handed.add).ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	if list := process.Commands("ops"); len(list) != 1 || len(handed.refs) != 1 {
		t.Errorf("recorded is %+v, dispatched %v", list, handed.refs)
	}
}

// faulty is a receiver that does as a test says.
type faulty struct {
	receive func(*callback.Request) (*callback.Received, error)
	answer  func(*callback.Received, string) (*callback.Response, error)
}

func (f faulty) Receive(r *callback.Request) (*callback.Received, error) { return f.receive(r) }

func (f faulty) Answer(in *callback.Received, text string) (*callback.Response, error) {
	return f.answer(in, text)
}

// A receiver that panics or cannot answer costs one callback and nothing else, and nothing was
// recorded that nobody knows of.
func TestReceiversThatBreak(t *testing.T) {
	message := func(*callback.Request) (*callback.Received, error) {
		return &callback.Received{Message: &command.Message{ID: "m", User: "u", Conversation: "c", Text: "help"}}, nil
	}
	for about, receiver := range map[string]faulty{
		"it panics as it receives": {receive: func(*callback.Request) (*callback.Received, error) { panic("broken") }},
		"it panics as it answers": {message,
			func(*callback.Received, string) (*callback.Response, error) { panic("broken") }},
		"it has no answer": {message,
			func(*callback.Received, string) (*callback.Response, error) { return nil, errors.New("broken") }},
		"it has no acknowledgement": {func(*callback.Request) (*callback.Received, error) {
			return new(
				callback.Received), nil
		}, func(*callback.Received, string) (*callback.Response, error) { return nil, errors.New("broken") }},
		"it has nothing": {receive: func(*callback.Request) (*callback.Received, error) { return nil, nil }},
		"it has a message without id": {func(*callback.Request) (*callback.Received, error) {
			return &callback.Received{Message: &command.Message{User: "u"}}, nil
		}, func(*callback.Received, string) (*callback.Response, error) {
			return &callback.Response{Status: 200}, nil
		}},
		"it has a great deal of guards": {func(r *callback.Request) (*callback.Received, error) {
			in, _ := message(r)
			in.Guards = make([]string, 100)
			return in, nil
		}, func(*callback.Received, string) (*callback.Response, error) {
			return &callback.Response{Status: 200}, nil
		}},
	} {
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", "Slack", platformtest.Settings("Slack"))
		h, err := webhook.NewHandler(webhook.Options{Service: process.Service, Journal: process.Journal,
			Dispatch: nobody, Now: w.Now,
			Receivers: map[string]func(callback.Settings) (callback.Receiver,
				error){"Slack": func(callback.Settings) (callback.Receiver, error) { return receiver, nil }}})
		if err != nil {
			t.Fatal(err)
		}
		out := bot.Post(h, bot.Say("", platformsim.Message{Text: "help"}))
		if out.Code < 500 || !slices.Contains([]string{"internal error\n", "unavailable\n"}, out.Body.String()) {
			t.Errorf("%s: %d %s", about, out.Code, out.Body)
		}
		if said := line(t, w); said["outcome"] != "failed" || said["level"] != "ERROR" ||
			!strings.Contains(about, "panics") == strings.Contains(fmt.Sprint(said["error"]), "panic: broken\n") {
			t.Errorf("%s: logged is %v", about, said)
		}
		if list := process.Commands("ops"); len(list) > 0 {
			t.Errorf("%s: recorded is %+v", about, list)
		}
	}
}

// What is no message is acknowledged, and counted.
func TestIgnored(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	h := process.Handler(nobody)
	c := bot.Say("event", platformsim.Message{Text: "help"})
	// The bot's own message, signed as Slack would.
	body := bytes.Replace(c.Body, []byte(`"user":"u1"`), []byte(`"bot_id":"B1","user":"u1"`), 1)
	if bytes.Equal(body, c.Body) {
		t.Fatal("the message is another than it was")
	}
	c.Body = body
	c.Header.Set("X-Slack-Signature", slackSignature(bot, c))
	if text := w.Read(c, bot.Post(h, c)); text != "" {
		t.Errorf("the answer is %q", text)
	}
	if said := line(t, w); said["outcome"] != "ignored" {
		t.Errorf("logged is %v", said)
	}
	if health := process.Health("ops").Health; health.Counters["Ignored"] != 1 || len(process.Commands("ops")) > 0 {
		t.Errorf("health = %+v", health)
	}
}

// Whatever a platform sends is heard and recorded, or recorded as what could not be read, or
// counted by its kind.
func TestNothingIsDroppedInSilence(t *testing.T) {
	for _, listed := range platform.All() {
		p := listed.Description()
		kinds, err := platformtest.ReadKinds(os.DirFS("../platform/" + platformtest.Folder(listed)))
		if err != nil {
			t.Fatal(err)
		}
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", p.Type, platformtest.With(p.Type, "BotName", "ops"),
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`, toHTTP)
		h := process.Handler(nobody)
		// Counters has no reading of one callback alone, since a process writes what it notes now
		// and then.
		counted := make(map[string]int64)
		before := len(process.Commands("ops"))
		for _, k := range kinds {
			w.Advance(time.Second)
			c := tell(bot, k.Enclosure, k.Text)
			if out := bot.Post(h, c); out.Code != http.StatusOK {
				t.Errorf("%s: %s: %d %s", p.Type, k.About, out.Code, w.Log())
				continue
			}
			outcome, what, _ := strings.Cut(k.Outcome, " ")
			list := process.Commands("ops")
			var last chat.ChatCommand
			if len(list) > before {
				last = list[0]
			}
			switch {
			case outcome == "counted":
				counted[strings.ReplaceAll(what, " ", "_")]++
				if len(list) != before {
					t.Errorf("%s: %s: %+v", p.Type, k.About, last)
				}
			case len(list) != before+1:
				t.Errorf("%s: %s: %d more commands", p.Type, k.About, len(list)-before)
			case outcome == "heard" && last.Decision != "Allowed":
				t.Errorf("%s: %s: %+v", p.Type, k.About, last)
			case outcome == "heard" && what == "restart i-1" &&
				(last.Command != "restart" || !slices.Equal(last.Arguments, []string{"i-1"})):
				t.Errorf("%s: %s: %+v", p.Type, k.About, last)
			case outcome == "answered" && (last.Decision != "Denied" || last.Command != "" || last.Reason == ""):
				t.Errorf("%s: %s: %+v", p.Type, k.About, last)
			}
			before = len(list)
			// The same again is a duplicate.
			bot.Post(h, c)
			if again := process.Commands("ops"); len(again) != before {
				t.Errorf("%s: %s: it counts twice", p.Type, k.About)
			}
			if outcome == "counted" {
				counted[strings.ReplaceAll(what, " ", "_")]++
			}
		}
		health := process.Health("ops").Health
		var sum int64
		for kind, n := range counted {
			sum += n
			if got := health.Ignored[kind]; got != n && len(health.Ignored) < 50 {
				t.Errorf("%s: %d of %s are counted, want %d", p.Type, got, kind, n)
			}
		}
		if health.Counters["Ignored"] != sum || health.Counters["Refused"] != 0 {
			t.Errorf("%s: counters = %v, want %d ignored", p.Type, health.Counters, sum)
		}
	}
}

// A Slack message that is edited, and one that two events tell of, runs once; one that is edited to
// call the bot runs then.
func TestSlackMessageRunsOnce(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	h := process.Handler(nobody)
	tell := func(id, event string) {
		t.Helper()
		w.Advance(time.Second)
		c := tell(bot, "event", `{"type":"event_callback","team_id":"T0EXAMPLE","event_id":"`+
			id+`","authorizations":[{"user_id":"U0BOT","is_bot":true}],"event":`+event+`}`)
		if out := bot.Post(h, c); out.Code != http.StatusOK {
			t.Errorf("%s: %d %s", id, out.Code, out.Body)
		}
	}
	mention := func(text, ts, rest string) string {
		return `{"type":"app_mention","user":"U1","channel":"C1","text":"` + text + `","ts":"` + ts + `"` + rest + `}`
	}
	ts := fmt.Sprintf("%d.000100", w.Now().Unix())
	tell("Ev1", mention("<@U0BOT> restart i-1", ts, ""))
	tell("Ev2", mention("<@U0BOT> restart i-1", ts, `,"edited":{"user":"U1","ts":"1.0"}`))
	tell("Ev3", mention("<@U0BOT> stop i-1", ts, `,"edited":{"user":"U1","ts":"2.0"}`))
	tell("Ev4", `{"type":"message","channel_type":"channel","user":"U1","channel":"C1","text":"<@U0BOT> `+
		`restart i-1","ts":"`+ts+`"}`)
	list := process.Commands("ops")
	if len(list) != 1 || list[0].Command != "restart" || list[0].MessageId != "C1/"+ts || list[0].EventId != "Ev1" {
		t.Errorf("commands = %+v", list)
	}
	if health := process.Health("ops").Health; health.Counters["Duplicates"] != 3 {
		t.Errorf("health = %+v", health)
	}
	other := fmt.Sprintf("%d.000200", w.Now().Unix())
	tell("Ev5", `{"type":"message","channel_type":"channel","user":"U1","channel":"C1","text":"restart i-2","ts":"`+
		other+`"}`)
	tell("Ev6", mention("<@U0BOT> restart i-2", other, `,"edited":{"user":"U1","ts":"3.0"}`))
	if list := process.Commands("ops"); len(list) != 2 || list[0].EventId != "Ev6" || list[0].Decision != "Allowed" {
		t.Errorf("edited to call the bot: %+v", list)
	}
	// One that was mistyped can be corrected where it is, once.
	third := fmt.Sprintf("%d.000300", w.Now().Unix())
	for i, text := range []string{"stop i-3", "restart i-3", "restart i-4"} {
		rest := ""
		if i > 0 {
			rest = fmt.Sprintf(`,"edited":{"user":"U1","ts":"%d.0"}`, 10+i)
		}
		tell(fmt.Sprint("Ev1", i), mention("<@U0BOT> "+text, third, rest))
	}
	if list := process.Commands("ops"); len(list) != 4 || list[0].Decision != "Allowed" ||
		list[0].Arguments[0] != "i-3" || list[1].Decision != "Denied" {
		t.Errorf("corrected: %+v", list)
	}
	// In another channel the same ts is another message.
	tell("Ev7", strings.Replace(mention("<@U0BOT> restart i-1", ts, ""), "C1", "C2", 1))
	if list := process.Commands("ops"); len(list) != 5 {
		t.Errorf("in another channel: %+v", list)
	}
}

// Slack's probe of the certificate is answered through the whole handler, with no write, and only
// at the configuration's own URL.
func TestSlackProbe(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	h := process.Handler(nobody)
	probe := &platformsim.Callback{Method: "POST", Query: url.Values{},
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte("ssl_check=1&token=example&command=%2Fops&text=restart")}
	w.Calls()
	if out := bot.Post(h, probe); out.Code != http.StatusOK || out.Body.Len() > 0 || w.Calls() != "Get" {
		t.Errorf("%d %s", out.Code, out.Body)
	}
	if out := w.PostTo(h, bot.URL+"x", probe); out.Code != http.StatusUnauthorized {
		t.Errorf("with another token: %d %s", out.Code, out.Body)
	}
	if list := process.Commands("ops"); len(list) > 0 {
		t.Errorf("commands = %+v", list)
	}
}

// A receiverFunc is a receiver that gives back what a test wants.
type receiverFunc func(*callback.Request) (*callback.Received, error)

func (f receiverFunc) Receive(r *callback.Request) (*callback.Received, error) { return f(r) }

func (f receiverFunc) Answer(*callback.Received, string) (*callback.Response, error) {
	return &callback.Response{Status: 200}, nil
}

// Of what is no message the kind is counted and logged; what is sent without a proof leaves nothing
// but the log; and a name that is not BotName is noted, of a message that is recorded as of one
// that is not for the bot.
func TestKinds(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	var next *callback.Received
	h, err := webhook.NewHandler(webhook.Options{Service: process.Service,
		Journal: process.Journal, Dispatch: nobody, Now: w.Now,
		Receivers: map[string]func(callback.Settings) (callback.Receiver,
			error){"Slack": func(callback.Settings) (callback.Receiver, error) {
			return receiverFunc(func(*callback.Request) (*callback.Received, error) { return next, nil }), nil
		}}})
	if err != nil {
		t.Fatal(err)
	}
	give := func(received *callback.Received) map[string]any {
		t.Helper()
		next = received
		if out := bot.Post(h, bot.Say("", platformsim.Message{})); out.Code != http.StatusOK || out.Body.Len() > 0 {
			t.Errorf("%+v: %d %s", received, out.Code, out.Body)
		}
		return line(t, w)
	}
	w.Calls()
	if said := give(&callback.Received{Kind: "ssl_check", Unproven: true}); said["outcome"] != "ignored" ||
		said["kind"] != "ssl_check" || w.Calls() != "Get" {
		t.Errorf("logged is %v", said)
	}
	if health := process.Health("ops").Health; health.State != chat.HealthSilent || health.Counters["Ignored"] != 0 ||
		health.LastCallbackDate != "" {
		t.Errorf("what is not proven shows in health: %+v", health)
	}
	if said := give(&callback.Received{Kind: "reaction_added"}); said["outcome"] != "ignored" ||
		said["kind"] != "reaction_added" {
		t.Errorf("logged is %v", said)
	}
	give(&callback.Received{Kind: "message/group", Mention: "Other Bot"})
	health := process.Health("ops").Health
	if health.Ignored["reaction_added"] != 1 || health.Ignored["message/group"] != 1 || health.LastMention == nil ||
		!strings.Contains(health.LastMention.Reason, `"Other Bot"`) {
		t.Errorf("health = %+v", health)
	}
	give(&callback.Received{Mention: "Third Bot", Message: &command.Message{ID: "m1", Conversation: "c1",
		User: "u1", Unread: command.UnreadPicture}})
	if list := process.Commands("ops"); len(list) != 1 || list[0].Decision != "Denied" ||
		!strings.HasPrefix(list[0].Reason, "I can read only text, and this message contains a picture.") {
		t.Errorf("commands = %+v", list)
	}
	if health := process.Health("ops").Health; !strings.Contains(health.LastMention.Reason, `"Third Bot"`) ||
		health.Counters["Denied"] != 1 {
		t.Errorf("health = %+v", health)
	}
}

// A receiver is made once for a configuration, and again when that changes. The old one is not
// kept.
func TestReceiversAreKept(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open)
	made := 0
	h, err := webhook.NewHandler(webhook.Options{Service: process.Service,
		Journal: process.Journal, Dispatch: nobody, Now: w.Now,
		Receivers: map[string]func(callback.Settings) (callback.Receiver,
			error){"Slack": func(s callback.Settings) (callback.Receiver, error) {
			made++
			return platform.All().Receivers()["Slack"](s)
		}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		bot.Post(h, bot.Say("", platformsim.Message{Text: "help"}))
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	secret := secret.Text(`{"SlackSigningSecret":"another-secret","SlackTeamId":"T0EXAMPLE"}`)
	if _, err := process.Service.Update(w.As(), &chat.UpdateRequest{Name: "ops", Configuration: &secret}); err != nil {
		t.Fatal(err)
	}
	if out := bot.Post(h, bot.Say("", platformsim.Message{Text: "help"})); out.Code != http.StatusUnauthorized ||
		made != 2 {
		t.Errorf("with the old secret: %d, made %d times", out.Code, made)
	}
	bot.Settings["SlackSigningSecret"] = "another-secret"
	if out := bot.Post(h, bot.Say("", platformsim.Message{Text: "help"})); out.Code != http.StatusOK || made != 2 {
		t.Errorf("with the new secret: %d, made %d times", out.Code, made)
	}
}

func TestReceiversAreBounded(t *testing.T) {
	if got := webhook.KeptReceivers(webhook.MaxReceivers + 10); got != webhook.MaxReceivers {
		t.Errorf("%d receivers are kept, want %d", got, webhook.MaxReceivers)
	}
}

// What is typed after a secret's name, and the secrets of configuration and platform, show in no
// line of the log.
func TestSecretsDoNotShow(t *testing.T) {
	for _, p := range platform.All().Descriptions() {
		w := webhooktest.New(t)
		process := w.Process()
		bot := process.Create("ops", p.Type, platformtest.Settings(p.Type), webhooktest.Open, toHTTP)
		h := process.Handler(func(context.Context, command.Ref) error { return errBusy })
		messages, _ := platformsim.Modes(p.Type)
		for _, mode := range messages {
			c := bot.Say(mode, platformsim.Message{Text: "login --password PLANTED",
				ReplyURL: "https://hooks.slack.com/PLANTED"})
			c.Query.Set("planted", "PLANTED")
			bot.Post(h, c)
			bot.Post(h, bot.Say(mode, platformsim.Message{Text: "login 'PLANTED"}))
			bot.Post(h, bot.Say(mode, platformsim.Message{Text: "password=PLANTED"}))
		}
		logged := w.Log()
		if !strings.Contains(logged, `"outcome":"recorded"`) || !strings.Contains(logged, "not_dispatched") {
			t.Errorf("%s: nothing was recorded: %s", p.Type, logged)
		}
		shown := []string{"PLANTED", bot.URL[strings.LastIndex(bot.URL, "/")+1:], "bm90IGEgcmVhbCBzZWNyZXQ"}
		for _, s := range p.Settings {
			if secret := bot.Settings.Get(s.Key); s.Secret && secret != "" {
				shown = append(shown, secret)
			}
		}
		for _, secret := range shown {
			if strings.Contains(strings.ToLower(logged), strings.ToLower(secret)) { // a command's name is in lower case
				t.Errorf("%s: the log shows %s", p.Type, secret)
			}
		}
	}
}

var errBusy = errors.New("busy")

func TestNewHandlerWantsItsParts(t *testing.T) {
	process := webhooktest.New(t).Process()
	full := webhook.Options{Service: process.Service, Journal: process.Journal,
		Receivers: platform.All().Receivers(), Dispatch: nobody}
	for about, take := range map[string]func(*webhook.Options){
		"a service":   func(o *webhook.Options) { o.Service = nil },
		"a journal":   func(o *webhook.Options) { o.Journal = nil },
		"receivers":   func(o *webhook.Options) { o.Receivers = nil },
		"Dispatch":    func(o *webhook.Options) { o.Dispatch = nil },
		"nothing yet": func(o *webhook.Options) { *o = webhook.Options{} },
	} {
		o := full
		take(&o)
		if _, err := webhook.NewHandler(o); err == nil {
			t.Errorf("without %s: no error", about)
		}
	}
}

// Only a callback that SendChatMessage made, and the very same one, has its answers kept. Whatever
// else is in the header changes nothing: the message is decided, recorded once, and answered by the
// platform's API.
func TestWhatSendChatMessageMade(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Feishu", platformtest.Settings("Feishu"), webhooktest.Open)
	other := process.Create("other", "Feishu", platformtest.Settings("Feishu"), webhooktest.Open)
	prove := func(of *webhooktest.Bot, c *platformsim.Callback) string {
		e, _, err := process.Service.OpenToSend(process.As(), "", of.Name, false)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := process.Service.ProveSent(e, c.Received(w.Now()).Digest())
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	before := bot.Say("message", platformsim.Message{ID: "before", Text: "restart"})
	for about, test := range map[string]struct {
		proof func(c *platformsim.Callback) string
		kept  bool
	}{
		"nothing":                         {func(*platformsim.Callback) string { return "" }, false},
		"its proof":                       {func(c *platformsim.Callback) string { return prove(bot, c) }, true},
		"a word":                          {func(*platformsim.Callback) string { return "true" }, false},
		"the proof of another message":    {func(*platformsim.Callback) string { return prove(bot, before) }, false},
		"the proof for another's webhook": {func(c *platformsim.Callback) string { return prove(other, c) }, false},
		"a proof with one letter replaced": {func(c *platformsim.Callback) string {
			p := prove(bot, c)
			return "A" +
				p[1:20] + "AAAA" + p[24:]
		}, false},
	} {
		var handed dispatched
		h := process.Handler(handed.add)
		c := bot.Say("message", platformsim.Message{ID: strings.ReplaceAll(about, " ", "-"), Text: "restart i-1"})
		c.Header.Set(chat.SentHeader, test.proof(c))
		for range 2 {
			if out := bot.Post(h, c); out.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", about, out.Code, w.Log())
			}
		}
		log := w.Log()
		if got := strings.Count(log, `"made_by":"SendChatMessage"`); got != map[bool]int{true: 2}[test.kept] ||
			strings.Count(log, `"outcome":"duplicate"`) != 1 {
			t.Errorf("%s: the log is %s", about, log)
		}
		if len(handed.refs) != 1 {
			t.Fatalf("%s: dispatched %d times", about, len(handed.refs))
		}
		job, err := process.Journal.Claim(w.Context(), handed.refs[0], time.Minute)
		if err != nil || job.KeepsAnswers() != test.kept || job.Answer == "" || (job.ReplyTo.ID == "") != test.kept {
			t.Errorf("%s: kept is %v, reply to %q, %v; want %v", about, job.KeepsAnswers(),
				job.ReplyTo.Kind, err, test.kept)
		}
	}
	// The proof proves nothing to those who look at the signature.
	c := bot.Say("message", platformsim.Message{ID: "forged", Text: "restart"})
	c.Header.Set(chat.SentHeader, prove(bot, c))
	c.Header.Set("X-Lark-Signature", strings.Repeat("0", 64))
	if out := bot.Post(process.Handler(nobody), c); out.Code != http.StatusUnauthorized {
		t.Errorf("a callback with a proof and a forged signature: %d", out.Code)
	}
}

// A digest tells every part of a callback, and where one ends.
func TestDigest(t *testing.T) {
	seen := make(map[string]string)
	for about, r := range map[string]*callback.Request{
		"one":              {Method: "POST", Query: url.Values{"a": {"1"}}, Body: []byte("body")},
		"another method":   {Method: "GET", Query: url.Values{"a": {"1"}}, Body: []byte("body")},
		"another query":    {Method: "POST", Query: url.Values{"a": {"2"}}, Body: []byte("body")},
		"another body":     {Method: "POST", Query: url.Values{"a": {"1"}}, Body: []byte("bodz")},
		"another border":   {Method: "POST", Query: url.Values{}, Body: []byte("a=1body")},
		"nothing at all":   {},
		"query and body 1": {Method: "POST", Query: url.Values{"a": {"1b"}}, Body: []byte("ody")},
	} {
		digest := string(r.Digest())
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s have the same digest", about, other)
		}
		seen[digest] = about
	}
	a := &callback.Request{Method: "POST", Query: url.Values{"a": {"1"}, "b": {"2"}}}
	b := &callback.Request{Method: "POST", Query: url.Values{"b": {"2"}, "a": {"1"}}, Header: http.Header{"X": {"y"}}}
	if !bytes.Equal(a.Digest(), b.Digest()) {
		t.Error("the order of parameters, or a header, makes another digest")
	}
}

// tell makes a callback of what the platform says, as it is, in an enclosure of package
// platformsim.
func tell(b *webhooktest.Bot, enclosure, text string) *platformsim.Callback {
	b.Helper()
	c, err := (&platformsim.Maker{Settings: b.Settings, Now: b.Now()}).Enclose(b.Type, enclosure, text)
	if err != nil {
		b.Fatal(err)
	}
	return c
}
