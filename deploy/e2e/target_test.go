package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// An outside is what a service calls besides its tables: the targets of configurations, and the
// platforms, to which late answers go. It is one server on this machine, which has certificates for
// all of them.
type outside struct {
	*httptest.Server
	env []string // the settings with which a service takes it for them

	mu    sync.Mutex
	hooks map[string]func(r *http.Request, event []byte) (int, string) // of targets, by path
	texts map[string][]string                                          // what was said late, by who it was said to
	wrong []string                                                     // calls that no platform would take
}

// targetSecret is what events are signed with.
const targetSecret = "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2YtdGhlLXRhcmdldA=="

// accessToken is what platforms give for the secrets of apps.
const accessToken = "not-a-real-access-token"

// platformHosts are where answers go.
var platformHosts = []string{"api.dingtalk.com", "qyapi.weixin.qq.com", "open.feishu.cn", "hooks.slack.com"}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{hooks: make(map[string]func(*http.Request, []byte) (int, string)), texts: make(map[string][]string)}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(o.serve))
	o.Config.ErrorLog = log.New(io.Discard, "", 0) // a service is killed while it calls
	certificate, authority := certify(t)
	o.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	o.StartTLS()
	t.Cleanup(func() {
		o.CloseClientConnections()
		o.Close()
		for _, w := range o.wrong {
			t.Error(w)
		}
	})
	roots := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(roots, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, host := range platformHosts {
		addresses = append(addresses, host+"="+o.Listener.Addr().String())
	}
	o.env = []string{"CHATCONF_ROOTS=" + roots, "CHATCONF_TARGET_NETWORKS=127.0.0.0/8", "CHATCONF_PLATFORM_ADDRESSES=" +
		strings.Join(addresses, ",")}
	return o
}

// certify returns a certificate for this machine and the hosts of the platforms, and whom it is by.
func certify(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, // which Python 3.13 asks for
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    slices.Concat(platformHosts, streamHosts),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// hook has events to a path answered, and returns the Target that they come to by. Its URL has a
// secret in the query.
func (o *outside) hook(path string, answer func(r *http.Request, event []byte) (int, string)) object {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hooks[path] = answer
	return object{"Type": "Http", "Url": o.URL + path + "?key=planted-in-the-url", "Secret": targetSecret}
}

// said returns what was said late to somebody.
func (o *outside) said(to string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.texts[to])
}

func (o *outside) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its service was killed
	}
	o.mu.Lock()
	hook := o.hooks[r.URL.Path]
	o.mu.Unlock()
	status, answer := 0, ""
	if hook != nil {
		status, answer = hook(r, body)
	} else {
		status, answer = o.platform(r, body)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

// platform answers as the platforms document it.
func (o *outside) platform(r *http.Request, body []byte) (int, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	in := make(object)
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		o.wrong = append(o.wrong, fmt.Sprintf("%s%s got %s, want JSON", r.Host, r.URL.Path, body))
	}
	member := func(o any, path ...string) string {
		for _, name := range path {
			members, _ := o.(map[string]any)
			o = members[name]
		}
		text, _ := o.(string)
		return text
	}
	say := func(to, text string) { o.texts[to] = append(o.texts[to], text) }
	refuse := func(what string) (int, string) {
		o.wrong = append(o.wrong, fmt.Sprintf("%s%s: %s in %s", r.Host, r.URL.Path, what, body))
		return http.StatusForbidden, "{}"
	}
	switch call := r.Method + " " + r.Host + r.URL.Path; {
	case call == "POST api.dingtalk.com/v1.0/oauth2/accessToken":
		if member(in, "appKey") != botSettings["DingTalk"]["DingTalkClientId"] ||
			member(in, "appSecret") != botSettings["DingTalk"]["DingTalkClientSecret"] {
			return refuse("another app or secret")
		}
		return http.StatusOK, jsonText(object{"accessToken": accessToken, "expireIn": 7200})
	case call == "POST api.dingtalk.com/v1.0/robot/groupMessages/send":
		var message struct{ Content string }
		if err := json.Unmarshal([]byte(member(in, "msgParam")), &message); err != nil ||
			r.Header.Get("x-acs-dingtalk-access-token") != accessToken {
			return refuse("another token, or no message")
		}
		say(member(in, "openConversationId"), message.Content)
		return http.StatusOK, jsonText(object{"processQueryKey": "query-key"})
	case call == "GET qyapi.weixin.qq.com/cgi-bin/gettoken":
		if q := r.URL.Query(); q.Get("corpid") != botSettings["WeChat"]["WeChatCorpId"] ||
			q.Get("corpsecret") != botSettings["WeChat"]["WeChatSecret"] {
			return refuse("another corporation or secret")
		}
		return http.StatusOK, jsonText(object{"errcode": 0, "errmsg": "ok",
			"access_token": accessToken, "expires_in": 7200})
	case call == "POST qyapi.weixin.qq.com/cgi-bin/message/send":
		if r.URL.Query().Get("access_token") != accessToken {
			return refuse("another token")
		}
		say(strings.ToLower(member(in, "touser")), member(in, "text", "content"))
		return http.StatusOK, jsonText(object{"errcode": 0, "errmsg": "ok", "msgid": "1"})
	case call == "POST open.feishu.cn/open-apis/auth/v3/tenant_access_token/internal":
		if member(in, "app_id") != botSettings["Feishu"]["FeishuAppId"] ||
			member(in, "app_secret") != botSettings["Feishu"]["FeishuAppSecret"] {
			return refuse("another app or secret")
		}
		return http.StatusOK, jsonText(object{"code": 0, "msg": "ok",
			"tenant_access_token": accessToken, "expire": 7200})
	case strings.HasPrefix(call, "POST open.feishu.cn/open-apis/im/v1/messages/om_") &&
		strings.HasSuffix(call, "/reply"):
		var post struct {
			Chinese struct {
				Content [][]struct{ Tag, Text string }
			} `json:"zh_cn"`
		}
		if err := json.Unmarshal([]byte(member(in, "content")), &post); err != nil ||
			member(in, "msg_type") != "post" || r.Header.Get("Authorization") != "Bearer "+accessToken {
			return refuse("another token, or no message")
		}
		var lines []string
		for _, paragraph := range post.Chinese.Content {
			for _, element := range paragraph {
				if element.Tag != "text" {
					return refuse("markup")
				}
				lines = append(lines, element.Text)
			}
		}
		say(strings.Split(r.URL.Path, "/")[5], strings.Join(lines, "\n"))
		return http.StatusOK, jsonText(object{"code": 0, "msg": "ok", "data": object{}})
	case call == "POST hooks.slack.com/commands/T0EXAMPLE/1/example":
		say("response_url", member(in, "text"))
		return http.StatusOK, "ok"
	}
	return refuse("no such call")
}

// lateTo returns to whom the late answer to a saying goes, as the outside has it; empty if the
// platform has no way.
func lateTo(p peer, s saying) string {
	switch p.typ {
	case "WeChat":
		return strings.ToLower(s.user)
	case "Feishu":
		return "om_" + s.id
	case "Slack":
		return "response_url"
	case "Teams":
		return ""
	}
	return s.conversation
}

// An Http target gets each allowed command once, as an event that the libraries of Standard
// Webhooks and CloudEvents take for genuine and whole. What it answers is said in the chat, as text
// and no markup.
func TestATargetsAnswerIsSaid(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	s := serveCrowd(t, o.env...)
	verifier := must(standardwebhooks.NewWebhook(targetSecret))(t)
	for _, p := range goPeers {
		t.Run(p.typ, func(t *testing.T) {
			type delivery struct {
				r     *http.Request
				event []byte
			}
			deliveries := make(chan delivery, 10)
			target := o.hook("/"+p.typ, func(r *http.Request, event []byte) (int, string) {
				deliveries <- delivery{r, event}
				return http.StatusOK,
					jsonText(object{"text": "restarted i-123\n<!channel> <@U1> <a " +
						"href=\"https://example.com\">here</a>", "unknown": 1})
			})
			user := users[p.typ]
			grant := permissions(object{"Effect": "Allow", "Principals": []string{"group:sre"},
				"Commands": []string{"restart"}, "RamRole": "OpsRole"})
			grant["UserGroups"], grant["Target"] = object{"sre": []string{user.grants}}, target
			b := newBot(t, s, p.typ, "ops-"+p.typ, grant)
			message := said(user.writes, p.place(user.grants), `Restart "i-123 4" --now`)
			b.shows(t, p.say(t, b, message))

			var got delivery
			select {
			case got = <-deliveries:
			case <-time.After(20 * time.Second):
				t.Fatal("the target gets nothing")
			}
			if err := verifier.Verify(got.event, got.r.Header); err != nil {
				t.Errorf("Standard Webhooks: %v", err)
			}
			if kind := got.r.Header.Get("Content-Type"); got.r.Method != http.MethodPost ||
				kind != "application/cloudevents+json" || got.r.URL.Query().Get("key") == "" {
				t.Errorf("it comes as %s %s, %s", got.r.Method, got.r.URL, kind)
			}
			var all []record
			await(t, "it is delivered", func() bool {
				all = b.records(t)
				return len(all) == 1 && all[0].Outcome == "Delivered"
			})
			to, detail := lateTo(p, message), ""
			if to == "" {
				detail = "the target's answer was not sent: this conversation has no way to answer later"
			}
			if r := all[0]; r.Attempts != 1 || r.Target != "Http "+o.Listener.Addr().String() ||
				!r.Answered || r.Detail != detail {
				t.Errorf("record = %+v, want it delivered and answered", r)
			}
			wantEvent(t, got.event, all[0], p, message, user.grants)
			if id := got.r.Header.Get("Webhook-Id"); id != all[0].Id {
				t.Errorf("Webhook-Id = %q, want the record's id %q", id, all[0].Id)
			}

			if to != "" {
				texts := o.said(to)
				answer := texts[len(texts)-1]
				if !strings.Contains(visible(answer), "restarted i-123") {
					t.Errorf("said was %q, want what the target answered", texts)
				}
				// what is none elsewhere
				for _, markup := range map[string][]string{"Slack": {"<!channel>", "<@U1>", "<a"},
					"WeChat": {"<a"}}[p.typ] {
					if strings.Contains(answer, markup) {
						t.Errorf("the answer %q has %s in it", answer, markup)
					}
				}
			}
			if n := len(deliveries); n != 0 {
				t.Errorf("the target got %d deliveries more", n)
			}
			for _, text := range []string{jsonText(all), jsonText(b.health(t)), s.stderr.String()} {
				for _, secret := range []string{"planted-in-the-url", accessToken, targetSecret[len("whsec_"):]} {
					if strings.Contains(text, secret) {
						t.Errorf("%s is in %s", secret, text)
					}
				}
			}
		})
	}
}

// wantEvent compares an event with what was recorded of its command.
func wantEvent(t *testing.T, text []byte, r record, p peer, said saying, user string) {
	t.Helper()
	var e cloudevent.Event
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("CloudEvents: %v in %s", err, text)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("CloudEvents: %v", err)
	}
	if e.SpecVersion() != "1.0" || e.Type() != "chatconf.command.v1" || e.ID() != r.Id || e.Subject() != "restart" ||
		e.DataContentType() != "application/json" ||
		!strings.HasSuffix(e.Source(), "chatconfiguration/"+r.Name) || time.Since(e.Time()).Abs() > time.Minute {
		t.Errorf("event = %v", e)
	}
	var data object
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	for _, varies := range []string{"accountId", "regionId", "userName", "direct", "sentDate", "messageId"} {
		delete(data, varies)
	}
	want := object{
		"configuration": r.Name, "platform": p.typ, "conversationId": p.place(user),
		"userId": user, "groups": []any{"sre"},
		"text": said.text, "command": "restart", "arguments": []any{"i-123 4", "--now"}, "ramRole": "OpsRole",
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("the event's data differ (-want +got):\n%s", diff)
	}
}

// A target that is busy gets the very same event again, signed anew; one that refuses gets it once,
// and who asked is told.
func TestABusyTargetIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	s := serveCrowd(t, o.env...)
	p, verifier := ofType("DingTalk"), must(standardwebhooks.NewWebhook(targetSecret))(t)
	for path, c := range map[string]struct {
		answers    []int
		outcome    string
		deliveries int
		told       string
	}{
		"/busy": {[]int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusAccepted},
			"Delivered", 3, ""},
		"/refuses": {[]int{http.StatusForbidden}, "Failed", 1, "restart could not be delivered."},
		"/moved":   {[]int{http.StatusTemporaryRedirect}, "Failed", 1, "restart could not be delivered."},
	} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var ids, events []string
			grant := permissions(allow("li", "restart"))
			grant["Target"] = o.hook(path, func(r *http.Request, event []byte) (int, string) {
				if err := verifier.Verify(event, r.Header); err != nil {
					t.Errorf("Standard Webhooks: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids, events = append(ids, r.Header.Get("Webhook-Id")), append(events, string(event))
				return c.answers[min(len(ids), len(c.answers))-1], ""
			})
			b := newBot(t, s, p.typ, "ops-"+path[1:], grant)
			conversation := "cid" + path[1:]
			b.shows(t, p.say(t, b, said("li", conversation, "restart i-1")))
			var all []record
			awaitLong(t, 30*time.Second, "it is settled", func() bool {
				all = b.records(t)
				return len(all) == 1 && all[0].SettledDate != ""
			})
			if r := all[0]; r.Outcome != c.outcome || r.Attempts != 1 || !r.Answered {
				t.Errorf("record = %+v, want it %s", r, c.outcome)
			}
			if texts := strings.Join(o.said(conversation), "\n"); !strings.Contains(texts, c.told) ||
				c.told == "" && texts != "" {
				t.Errorf("said was %q, want %q", texts, c.told)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(ids) != c.deliveries || len(slices.Compact(ids)) != 1 || len(slices.Compact(events)) != 1 {
				t.Errorf("the target got %q with ids %q, want one event %d times", events, ids, c.deliveries)
			}
		})
	}
}

// The service is killed while a target is at work on a command. The command is delivered once more,
// a lease later, as the same event, and settled: what the target has done it can recognise.
func TestKillWhileATargetIsAtWork(t *testing.T) {
	t.Parallel()
	onlyFile(t, "it takes two minutes")
	o := newOutside(t)
	s := serveCrowd(t, o.env...)
	p, killed := ofType("DingTalk"), make(chan struct{})
	var mu sync.Mutex
	var ids []string
	arrived := make(chan struct{}, 10)
	grant := permissions(allow("li", "restart"))
	grant["Target"] = o.hook("/kill", func(r *http.Request, _ []byte) (int, string) {
		mu.Lock()
		ids = append(ids, r.Header.Get("Webhook-Id"))
		mu.Unlock()
		arrived <- struct{}{}
		<-killed
		return http.StatusOK, jsonText(object{"text": "restarted i-1"})
	})
	b := newBot(t, s, p.typ, "ops", grant)
	b.shows(t, p.say(t, b, said("li", "cidhere==", "restart i-1")))
	<-arrived
	s.kill()
	close(killed)
	s = s.restart(o.env...)
	b = b.moved(t, s)
	if all := b.records(t); len(all) != 1 || all[0].Outcome != "Pending" {
		t.Errorf("after the kill the record is %+v, want it pending", all)
	}
	awaitLong(t, 4*time.Minute, "it is delivered", func() bool {
		time.Sleep(time.Second)
		all := b.records(t)
		return len(all) == 1 && all[0].Outcome == "Delivered" && all[0].Attempts == 2 && all[0].Answered
	})
	if texts := o.said("cidhere=="); !slices.Equal(texts, []string{"restarted i-1"}) {
		t.Errorf("said was %q, want the target's answer once", texts)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the target got ids %q, want one twice", ids)
	}
	s.check()
}
