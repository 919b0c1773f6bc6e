package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// oneProcess says that actions and webhooks are one process, and so what that has noted and not
// written yet counts as well.
var oneProcess = os.Getenv("CHATCONF_E2E_TARGET") == ""

// A bot is a chat configuration together with what its platform knows of it: where to call, and
// what to sign and encrypt with.
type bot struct {
	s        *service
	name     string
	typ      string
	settings map[string]string // secrets too
	url      string

	seen map[string]bool // ids of the records that latest has seen
	last record
}

// botSettings are the Configurations of bots, by type. WeCom's Token and EncodingAESKey are the
// service's to make.
var botSettings = map[string]map[string]string{
	"DingTalk": {
		"DingTalkClientId":       "dingexample",
		"DingTalkClientSecret":   "not-a-real-secret-of-dingtalk",
		"DingTalkCorpId":         "dingcorpexample",
		"DingTalkToken":          "notarealtoken",
		"DingTalkEncodingAesKey": strings.Repeat("not4Real", 5) + "Key",
		"DingTalkCardSecret":     "not-a-real-secret-of-cards",
	},
	"WeChat": {"WeChatCorpId": "wwexample", "WeChatAgentId": "1000002",
		"WeChatSecret": "not-a-real-secret-of-wecom", "WeChatAibot": "true"},
	"Feishu": {
		"FeishuAppId":             "cli_example",
		"FeishuAppSecret":         "not-a-real-secret-of-feishu",
		"FeishuEncryptKey":        "not-a-real-encrypt-key",
		"FeishuVerificationToken": "not-a-real-verification-token",
	},
	"Slack": {"SlackSigningSecret": "not-a-real-signing-secret", "SlackTeamId": "T0EXAMPLE"},
	"Teams": {"TeamsWebhookSecret": "bm90LWEtcmVhbC1zZWNyZXQtb2YtdGVhbXMtMzJiPz8=",
		"TeamsTenantId": "00000000-0000-4000-8000-000000000000"},
}

// newBot creates a configuration of a type with the SDK, with more in its Configuration than the
// platform's settings, and reads where its platform is to call.
func newBot(t *testing.T, s *service, typ, name string, more object) *bot {
	t.Helper()
	return newBotWith(t, s, typ, name, botSettings[typ], more)
}

// newBotWith is newBot with other settings of the platform.
func newBotWith(t *testing.T, s *service, typ, name string, settings map[string]string, more object) *bot {
	t.Helper()
	b := &bot{s: s, name: name, typ: typ, settings: maps.Clone(settings)}
	must(s.ownClient(t).CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		Name:          dara.String(name),
		Type:          dara.String(typ),
		Configuration: dara.String(b.configuration(more)),
	}))(t)
	b.readOutputs(t)
	return b
}

// configuration returns the text of the bot's Configuration.
func (b *bot) configuration(more object) string {
	c := make(object)
	for key, value := range b.settings {
		if key != "WeChatToken" && key != "WeChatEncodingAesKey" {
			c[key] = value
		}
	}
	maps.Copy(c, more)
	return jsonText(c)
}

// update changes what is in the Configuration besides the platform's settings.
func (b *bot) update(t *testing.T, more object) {
	t.Helper()
	must(b.s.ownClient(t).UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{
		Name:          dara.String(b.name),
		Configuration: dara.String(b.configuration(more)),
	}))(t)
}

// readOutputs takes over what Outputs says today.
func (b *bot) readOutputs(t *testing.T) {
	t.Helper()
	b.take(t, dara.StringValue(get(t, b.s.ownClient(t), b.name).Body.ChatConfiguration.Outputs))
}

func (b *bot) take(t *testing.T, text string) {
	t.Helper()
	var outputs struct{ URL, Token, AesKey string }
	makes := b.typ == "WeChat" && b.settings["WeChatBotId"] == "" // a connection needs neither
	if err := json.Unmarshal([]byte(text), &outputs); err != nil || outputs.URL == "" ||
		(outputs.Token == "" || outputs.AesKey == "") == makes {
		t.Fatalf("Outputs of %s = %s: %v", b.typ, text, err)
	}
	b.settings, b.url = maps.Clone(b.settings), outputs.URL
	if makes {
		b.settings["WeChatToken"], b.settings["WeChatEncodingAesKey"] = outputs.Token, outputs.AesKey
	}
}

// moved returns the bot on a service that was started again on the same data, and so listens
// elsewhere.
func (b *bot) moved(t *testing.T, s *service) *bot {
	t.Helper()
	other := *b
	other.s = s
	other.readOutputs(t)
	return &other
}

// A saying is what a person types to a bot.
type saying struct {
	id, user, conversation, text string
	at                           time.Time // when it is delivered
}

// said returns a saying that was not said before. No two are of the same millisecond, since a
// signature of DingTalk's is of one, and proves one message.
func said(user, conversation, text string) saying {
	for {
		now, last := time.Now().UnixMilli(), lastSaid.Load()
		if now = max(now, last+1); lastSaid.CompareAndSwap(last, now) {
			return saying{id: rand.Text(), user: user, conversation: conversation, text: text, at: time.UnixMilli(now)}
		}
	}
}

// lastSaid is when the last saying was said, in milliseconds.
var lastSaid atomic.Int64

func (s saying) seconds() string { return strconv.FormatInt(s.at.Unix(), 10) }
func (s saying) millis() string  { return strconv.FormatInt(s.at.UnixMilli(), 10) }

// current says that the time is one that every platform's verifier takes.
func (s saying) current() bool { return time.Since(s.at).Abs() < time.Minute }

// A callback is a request of a platform's.
type callback struct {
	method string // POST if empty
	query  url.Values
	header map[string]string
	body   string
	// read returns the text that the platform would show of the answer; nil if it shows nothing of
	// any.
	read func(t *testing.T, a answer) string
}

// clone returns a copy that may be changed.
func (c callback) clone() callback {
	c.query, c.header = maps.Clone(c.query), maps.Clone(c.header)
	for name, values := range c.query {
		c.query[name] = slices.Clone(values)
	}
	return c
}

// request returns the callback as a request to the webhook of a bot.
func (c callback) request(t *testing.T, b *bot) *http.Request {
	t.Helper()
	method, target := c.method, b.url
	if method == "" {
		method = http.MethodPost
	}
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req := newRequest(t, method, target, c.body, "")
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	return req
}

// call sends a callback to the bot.
func (b *bot) call(t *testing.T, c callback) answer {
	t.Helper()
	a, _ := deliver(t, c.request(t, b))
	return a
}

// deliver sends a callback until the service has time for it, as the platforms do: it gives up on
// tables that take longer than those have patience. It reports whether it was the first time.
func deliver(t *testing.T, req *http.Request) (a answer, first bool) {
	t.Helper()
	first = true
	for limit := time.Now().Add(20 * time.Second); ; first = false {
		resp, err := transport.RoundTrip(req.Clone(t.Context()))
		if err != nil {
			t.Error(err)
			return answer{}, first
		}
		a = readAnswer(t, resp)
		if a.status != http.StatusServiceUnavailable || time.Now().After(limit) {
			return a, first
		}
		if req.Body, err = req.GetBody(); err != nil {
			t.Error(err)
			return answer{}, first
		}
	}
}

// shows asks that a callback is taken, and returns what the platform shows of the answer.
func (b *bot) shows(t *testing.T, c callback) string {
	t.Helper()
	a := b.call(t, c)
	if a.status != http.StatusOK {
		t.Fatalf("status = %d, want 200: %s", a.status, a.body)
	}
	if c.read == nil {
		if text := strings.TrimSpace(string(a.body)); text != "" && text != "{}" {
			t.Errorf("answer = %s, want none", text)
		}
		return ""
	}
	return visible(c.read(t, a))
}

// visible takes off the spaces without width that keep a text from mentioning anybody.
func visible(text string) string { return strings.ReplaceAll(text, "\u200b", "") }

// refused asks that a callback is refused as every other.
func (b *bot) refused(t *testing.T, c callback) {
	t.Helper()
	wantUnauthorized(t, b.call(t, c))
}

// wantUnauthorized asks for the one answer that all get who are not proven.
func wantUnauthorized(t *testing.T, a answer) {
	t.Helper()
	if got, want := string(a.body), "unauthorized\n"; a.status != http.StatusUnauthorized || got != want {
		t.Errorf("answer = %d %q, want 401 %q", a.status, got, want)
	}
}

// A record is what ListChatCommands shows of a command.
type record struct {
	Id, Date, Name, Platform, ConversationId, UserId, UserName, Command, Decision, StatementText, Reason, RamRole,
	Target, Outcome, Detail, SettledDate, MessageId string
	Direct, Answered bool
	Arguments        []string
	Statement        *int
	Revision, Attempts,
	Latency int64
}

// records returns all that was recorded of the bot, the latest first, read in pages.
func (b *bot) records(t *testing.T, pairs ...string) []record {
	t.Helper()
	var all []record
	token := ""
	for {
		var page struct {
			ChatCommands []record
			NextToken    string
		}
		params := append([]string{"Name", b.name, "MaxResults", "100"}, pairs...)
		if token != "" {
			params = append(params, "NextToken", token)
		}
		b.s.send(t, newACS3(b.s.key, "ListChatCommands", params...)).ok(t, &page)
		all = append(all, page.ChatCommands...)
		if token = page.NextToken; token == "" {
			return all
		}
	}
}

// latest returns the record that is there since it was last asked, else the one before. Of records
// of the same millisecond, the order does not tell which is the latest.
func (b *bot) latest(t *testing.T) record {
	t.Helper()
	all := b.records(t)
	if b.seen == nil {
		b.seen = make(map[string]bool)
	}
	for _, r := range slices.Backward(all) {
		if !b.seen[r.Id] {
			b.seen[r.Id], b.last = true, r
		}
	}
	return b.last
}

// A simulated is the answer of SimulateChatPermission.
type simulated struct {
	Permission struct {
		Command, RamRole, StatementText, Cause, Reason string
		Allowed, DryRun                                bool
		Action, Problem                                string
		Parameters                                     json.RawMessage
		Statement                                      *int
		Groups, Commands, Except                       []string
	}
}

// simulate asks what would become of a command.
func (b *bot) simulate(t *testing.T, user, conversation, text string) simulated {
	t.Helper()
	var out simulated
	b.s.send(t, newACS3(b.s.key, "SimulateChatPermission", "Name", b.name, "UserId", user, "ConversationId",
		conversation, "Command", text)).ok(t, &out)
	return out
}

// A health is what GetChatConfigurationHealth says.
type health struct {
	State, LastCallbackDate, LastSuccessDate, LastCommandDate, LastHandshakeDate string
	LastError, LastDeliveryError                                                 *struct{ Date, Step, Reason string }
	Counters                                                                     map[string]int64
	Connection                                                                   *struct {
		State, SinceDate, LastFrameDate, Holder string
		Reconnects                              int64
		LastError                               *struct{ Date, Step, Reason string }
	}
}

func (b *bot) health(t *testing.T) health {
	t.Helper()
	var out struct{ Health health }
	b.s.send(t, newACS3(b.s.key, "GetChatConfigurationHealth", "Name", b.name)).ok(t, &out)
	return out.Health
}

// awaitHealth returns the bot's health once it is as wanted: what is only noted is written beside
// the answer.
func (b *bot) awaitHealth(t *testing.T, what string, wanted func(health) bool) health {
	t.Helper()
	var h health
	await(t, what, func() bool {
		h = b.health(t)
		return wanted(h)
	})
	return h
}

// await returns once something is so, for which the service has ten seconds.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	awaitLong(t, 10*time.Second, what, so)
}

// awaitLong is await with another time.
func awaitLong(t *testing.T, within time.Duration, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(within); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("after %v it is still not so: %s", within, what)
		}
	}
}

// allow is a statement of Permissions.
func allow(user, command string) object {
	return object{"Effect": "Allow", "Principals": []string{"user:" + user}, "Commands": []string{command}}
}

// permissions is a Configuration's part with statements.
func permissions(statements ...object) object { return object{"Permissions": statements} }

// changed returns a text in which one part, which must be there once, is another.
func changed(t *testing.T, text, before, after string) string {
	t.Helper()
	if strings.Count(text, before) != 1 {
		t.Fatalf("%q is there %d times in %q", before, strings.Count(text, before), text)
	}
	return strings.Replace(text, before, after, 1)
}
