package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A forgery is a callback that is not what the platform would send.
type forgery struct {
	name string
	step string // that GetChatConfigurationHealth must name
	make func(t *testing.T, b *bot, s saying) *http.Request
}

// onWire changes a genuine callback on its way.
func onWire(p peer, change func(req *http.Request)) func(*testing.T, *bot, saying) *http.Request {
	return func(t *testing.T, b *bot, s saying) *http.Request {
		t.Helper()
		req := p.say(t, b, s).request(t, b)
		change(req)
		return req
	}
}

// inBody changes the body of a genuine callback on its way.
func inBody(p peer, change func(body string) string) func(*testing.T, *bot, saying) *http.Request {
	return func(t *testing.T, b *bot, s saying) *http.Request {
		t.Helper()
		c := p.say(t, b, s)
		body := change(c.body)
		if body == c.body {
			t.Fatal("the body is the same")
		}
		c.body = body
		return c.request(t, b)
	}
}

// byAnother makes a callback of somebody whose settings are others.
func byAnother(p peer, key, value string) func(*testing.T, *bot, saying) *http.Request {
	return func(t *testing.T, b *bot, s saying) *http.Request {
		t.Helper()
		other := *b
		other.settings = maps.Clone(b.settings)
		if other.settings[key] == value {
			t.Fatalf("%s is %q", key, value)
		}
		other.settings[key] = value
		return p.say(t, &other, s).request(t, b)
	}
}

// delivered makes a genuine callback at another time than now.
func delivered(p peer, after time.Duration) func(*testing.T, *bot, saying) *http.Request {
	return func(t *testing.T, b *bot, s saying) *http.Request {
		t.Helper()
		s.at = time.Now().Add(after)
		return p.say(t, b, s).request(t, b)
	}
}

// setHeader and setQuery change what is signed with.
func setHeader(name string, values ...string) func(*http.Request) {
	return func(req *http.Request) { req.Header[http.CanonicalHeaderKey(name)] = values }
}

func addHeader(name string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Add(name, req.Header.Get(name)) }
}

func editQuery(edit func(url.Values)) func(*http.Request) {
	return func(req *http.Request) {
		q := req.URL.Query()
		edit(q)
		req.URL.RawQuery = q.Encode()
	}
}

// flip changes one hexadecimal digit or letter of base64, at the start.
func flip(text string) string {
	if text[0] == 'a' {
		return "b" + text[1:]
	}
	return "a" + text[1:]
}

// forgeries are what is tried on every platform, and then what only one has.
func forgeries(p peer) []forgery {
	signature, secret := map[string]string{
		"DingTalk": "sign", "Feishu": "X-Lark-Signature", "Slack": "X-Slack-Signature", "Teams": "Authorization",
	}[p.typ], map[string]string{
		"DingTalk": "DingTalkClientSecret", "WeChat": "WeChatToken", "Feishu": "FeishuEncryptKey",
		"Slack": "SlackSigningSecret", "Teams": "TeamsWebhookSecret",
	}[p.typ]
	receiver, whose := map[string]string{
		"DingTalk": "DingTalkCorpId", "WeChat": "WeChatCorpId", "Feishu": "FeishuAppId",
		"Slack": "SlackTeamId", "Teams": "TeamsTenantId",
	}[p.typ], "another"
	joined, joinedQuery := "request", "request" // where what stands there twice is noticed
	// gateways join the values of a header: what they make of two signatures is none
	if !oneProcess {
		joined = "signature"
	}
	if functions.target == targetFC { // which does the same to parameters
		joinedQuery = "signature"
	}
	all := []forgery{
		{"another's secret", "signature", byAnother(p, secret, "YW5vdGhlci1ub3QtcmVhbC1zZWNyZXQ=")},
		{"meant for another", "receive id", byAnother(p, receiver, whose)},
		{"six minutes old", "freshness", delivered(p, -6*time.Minute)},
		{"from the future", "freshness", delivered(p, 6*time.Minute)},
		{"by DELETE", "request", onWire(p, func(req *http.Request) { req.Method = http.MethodDelete })},
		{"the URL's token is another", "token",
			onWire(p, func(req *http.Request) { req.URL.Path = req.URL.Path[:len(req.URL.Path)-4] + "AAAA" })},
		{"one byte over the limit", "request", inBody(p, func(body string) string {
			return body +
				strings.Repeat(" ", 1<<20+1-len(body))
		})},
		{"compressed by a gateway", "request", func(t *testing.T, b *bot, s saying) *http.Request {
			req := inBody(p, func(body string) string { return compressed(t, body) })(t, b, s)
			req.Header.Set("Content-Encoding", "gzip")
			return req
		}},
	}
	if functions.target != targetFC { // whose functions see one that nobody signed or reads
		all = append(all, forgery{"an unknown parameter twice", "request",
			onWire(p, editQuery(func(q url.Values) { q["x"] = []string{"1", "2"} }))})
	}
	if p.typ != "WeChat" {
		all = append(all,
			forgery{"no signature", "request", onWire(p, func(req *http.Request) { req.Header.Del(signature) })},
			forgery{"an empty signature", "request", onWire(p, setHeader(signature, ""))},
			forgery{"the signature twice", joined, onWire(p, addHeader(signature))},
			forgery{"an invalid signature", "signature", onWire(p, setHeader(signature, "none"))},
		)
	}
	if p.typ != "DingTalk" { // whose robots sign the time alone
		all = append(all, forgery{"the body cut off", map[string]string{"WeChat": "decode"}[p.typ],
			inBody(p, func(body string) string { return body[:len(body)-1] })})
		if all[len(all)-1].step == "" {
			all[len(all)-1].step = "signature"
		}
	}
	switch p.typ {
	case "DingTalk":
		all = append(all,
			forgery{"signed with nothing", "signature", onWire(p, func(req *http.Request) {
				at := req.Header.Get("timestamp")
				req.Header.Set("sign", base64.StdEncoding.EncodeToString(goHMAC(nil, []byte(""), at+"\n")))
			})},
			forgery{"another robot's", "receive id", byAnother(p, "DingTalkClientId", "dinganother")},
			forgery{"the time in seconds", "request", func(t *testing.T, b *bot, s saying) *http.Request {
				req, secret := p.say(t, b, s).request(t, b), b.settings["DingTalkClientSecret"]
				req.Header.Set("timestamp", s.seconds())
				req.Header.Set("sign", base64.StdEncoding.EncodeToString(
					goHMAC(t, []byte(secret), s.seconds()+"\n"+secret)))
				return req
			}},
			forgery{"the time twice", "request", onWire(p, addHeader("timestamp"))},
			forgery{"no time", "request", onWire(p, func(req *http.Request) { req.Header.Del("timestamp") })},
			forgery{"the body is no JSON", "decode", inBody(p, func(string) string { return "restart" })},
			forgery{"a member twice", "decode",
				inBody(p, func(body string) string { return strings.Replace(body, "{", `{"msgId":"1",`, 1) })},
			forgery{"something behind the body", "decode", inBody(p, func(body string) string { return body + "{}" })},
			forgery{"a card's signature besides", "request", onWire(p, setHeader("x-ddpaas-signature", "x"))},
			forgery{"base64 without its gateway's word", "decode",
				inBody(p, func(body string) string { return base64.StdEncoding.EncodeToString([]byte(body)) })},
		)
	case "WeChat":
		all = append(all,
			forgery{"a signature with one digit changed", "signature",
				onWire(p, editQuery(func(q url.Values) { q.Set("msg_signature", flip(q.Get("msg_signature"))) }))},
			forgery{"a signature in capitals", "signature",
				onWire(p, editQuery(func(q url.Values) {
					q.Set("msg_signature",
						strings.ToUpper(q.Get("msg_signature")))
				}))},
			forgery{"no signature", "request", onWire(p, editQuery(func(q url.Values) { q.Del("msg_signature") }))},
			forgery{"the signature twice", joinedQuery,
				onWire(p, editQuery(func(q url.Values) { q.Add("msg_signature", q.Get("msg_signature")) }))},
			forgery{"the time twice", "request",
				onWire(p, editQuery(func(q url.Values) { q.Add("timestamp", q.Get("timestamp")) }))},
			forgery{"the nonce twice", joinedQuery, onWire(p, editQuery(func(q url.Values) { q.Add("nonce", "1") }))},
			forgery{"another nonce", "signature",
				onWire(p, editQuery(func(q url.Values) { q.Set("nonce", "1372623148") }))},
			forgery{"a digit moved from the nonce to the time", "request",
				onWire(p, editQuery(func(q url.Values) { moveDigit(q, 1) }))},
			forgery{"a digit moved from the time to the nonce", "request",
				onWire(p, editQuery(func(q url.Values) { moveDigit(q, -1) }))},
			forgery{"a ciphertext that was changed", "signature", inBody(p, func(body string) string {
				return strings.Replace(body, "<Encrypt><![CDATA[", "<Encrypt><![CDATA[AAAA", 1)
			})},
			forgery{"another's key", "decrypt", byAnother(p, "WeChatEncodingAesKey",
				strings.Repeat("anotherK", 5)+"Key")},
			forgery{"another app's", "receive id", byAnother(p, "WeChatAgentId", "1000003")},
			forgery{"a document type", "decode",
				inBody(p, func(body string) string { return `<!DOCTYPE xml [<!ENTITY x "y">]>` + body })},
			forgery{"no envelope", "request", onWire(p, func(req *http.Request) { req.URL.RawQuery = "" })},
		)
	case "Feishu":
		all = append(all,
			forgery{"no time", "request",
				onWire(p, func(req *http.Request) { req.Header.Del("X-Lark-Request-Timestamp") })},
			forgery{"a digit moved from the nonce to the time", "request", onWire(p, func(req *http.Request) {
				at, nonce := req.Header.Get("X-Lark-Request-Timestamp"), req.Header.Get("X-Lark-Request-Nonce")
				req.Header.Set("X-Lark-Request-Timestamp", at+nonce[:1])
				req.Header.Set("X-Lark-Request-Nonce", nonce[1:])
			})},
			forgery{"the nonce twice", joined, onWire(p, addHeader("X-Lark-Request-Nonce"))},
			forgery{"another's verification token", "signature", byAnother(p, "FeishuVerificationToken", "another")},
			forgery{"in the clear", "request", func(t *testing.T, b *bot, s saying) *http.Request {
				return callback{body: `{"schema":"2.0","header":{"event_type":"im.message.receive_v1",` +
					`"token":"not-a-real-verification-token","app_id":"cli_example"},"event":{}}`}.request(t, b)
			}},
			forgery{"something behind the body", "signature",
				inBody(p, func(body string) string { return body + " " })},
		)
	case "Slack":
		all = append(all,
			forgery{"another version of the signature", "signature", onWire(p, func(req *http.Request) {
				req.Header.Set("X-Slack-Signature", "v1"+strings.TrimPrefix(req.Header.Get("X-Slack-Signature"), "v0"))
			})},
			forgery{"another time", "signature", onWire(p, func(req *http.Request) {
				n, _ := strconv.Atoi(req.Header.Get("X-Slack-Request-Timestamp"))
				req.Header.Set("X-Slack-Request-Timestamp", strconv.Itoa(n+1))
			})},
			forgery{"the time with a sign", "request", onWire(p, func(req *http.Request) {
				req.Header.Set("X-Slack-Request-Timestamp", "+"+req.Header.Get("X-Slack-Request-Timestamp"))
			})},
			forgery{"the time twice", "request", onWire(p, addHeader("X-Slack-Request-Timestamp"))},
			forgery{"a field twice", "decode", func(t *testing.T, b *bot, s saying) *http.Request {
				body := p.say(t, b, s).body + "&user_id=U0ADMIN"
				return slackSigned(t, goHMAC, b, s, body, "application/x-www-form-urlencoded").request(t, b)
			}},
			forgery{"a field more", "signature", inBody(p, func(body string) string { return body + "&x=1" })},
		)
	case "Teams":
		all = append(all,
			forgery{"another scheme", "signature", onWire(p, func(req *http.Request) {
				req.Header.Set("Authorization", "Bearer"+strings.TrimPrefix(req.Header.Get("Authorization"), "HMAC"))
			})},
			forgery{"one byte changed", "signature",
				inBody(p, func(body string) string {
					return strings.Replace(body,
						`"channelId":"m`, `"channelId":"n`, 1)
				})},
			forgery{"no time", "freshness", func(t *testing.T, b *bot, s saying) *http.Request {
				c := p.say(t, b, s)
				c.body = strings.Replace(c.body, `"timestamp":"`, `"then":"`, 1)
				c.header["Authorization"] = teamsAuthorization(t, goHMAC, b, c.body)
				return c.request(t, b)
			}},
		)
	}
	return all
}

// moveDigit moves a digit between the end of the time and the start of the nonce. The signature,
// which is over both without anything between them, stays good.
func moveDigit(q url.Values, by int) {
	at, nonce := q.Get("timestamp"), q.Get("nonce")
	both := at + nonce
	q.Set("timestamp", both[:len(at)+by])
	q.Set("nonce", both[len(at)+by:])
}

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Whatever is wrong with a callback, its sender is told the same, nothing is recorded, and the
// owner finds the step in the health.
func TestAForgedCallbackIsRefusedLikeEveryOther(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		user := users[p.typ]
		for i, f := range forgeries(p) {
			t.Run(p.typ+"/"+f.name, func(t *testing.T) {
				b := newBot(t, s, p.typ, fmt.Sprintf("%s-%d", p.typ, i), permissions(allow(user.grants, "*")))
				refused, _ := deliver(t, f.make(t, b, said(user.writes, p.place(user.grants), "restart i-1")))
				wantUnauthorized(t, refused)
				h := b.awaitHealth(t, "the refusal is in the health", func(h health) bool { return h.LastError != nil })
				if h.LastError.Step != f.step || h.LastError.Reason == "" ||
					h.State != "Failing" || h.Counters["Refused"] != 1 {
					t.Errorf("health = %+v with last error %+v, want step %q", h, h.LastError, f.step)
				}
				if all := b.records(t); len(all) != 0 {
					t.Errorf("recorded was %+v, want nothing", all)
				}
				// It was not refused for another reason: the same, as the platform sends it, is
				// taken, and then all is well again.
				c := p.say(t, b, said(user.writes, p.place(user.grants), "restart i-1"))
				a, first := deliver(t, c.request(t, b)) // a second delivery may be answered with nothing
				if a.status != http.StatusOK || c.read != nil && first &&
					visible(c.read(t, a)) != "restart was accepted." {
					t.Errorf("a genuine one is answered %d %s", a.status, a.body)
				}
				if h := b.health(t); h.State != "Working" {
					t.Errorf("after a genuine one the state is %s, want Working", h.State)
				}
			})
		}
	}
}

// Peers that verify refuse what is refused here for its signature or its age, as far as they look
// at it.
func TestTheVerifiersOfOthersRefuseTheSame(t *testing.T) {
	t.Parallel()
	startNode(t)
	s := serveCrowd(t)
	slack, feishu := newBot(t, s, "Slack", "slack", nil), newBot(t, s, "Feishu", "feishu", nil)
	say := func(typ string, b *bot, at time.Duration) callback {
		return ofType(typ).say(t, b, saying{id: newNonce(), user: users[typ].writes, conversation: "C1",
			text: "restart", at: time.Now().Add(at)})
	}
	for name, change := range map[string]func(callback) callback{
		"another body": func(c callback) callback { c.body = strings.Replace(c.body, "a", "b", 1); return c },
		"another time": func(c callback) callback {
			for _, header := range []string{"X-Slack-Request-Timestamp", "X-Lark-Request-Timestamp"} {
				if at, ok := c.header[header]; ok {
					c.header[header] = at[:9] + string('0'+'9'-at[9])
				}
			}
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := change(say("Slack", slack, 0))
			if err := boltVerifies(t, slack, c); err == nil {
				t.Error("@slack/bolt takes it")
			}
			slack.refused(t, c)
			c = change(say("Feishu", feishu, 0))
			if text := feishuNodeReads(t, feishu, c); text != nil {
				t.Errorf("the SDK of Node's reads %q", *text)
			}
			feishu.refused(t, c)
		})
	}
	old := say("Slack", slack, -6*time.Minute)
	if err := boltVerifies(t, slack, old); err == nil {
		t.Error("@slack/bolt takes an old one")
	}
	slack.refused(t, old)
}

// Who does not have the URL cannot find out which configurations there are.
func TestAURLThatIsNobodysLooksLikeAWrongToken(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	p := ofType("Slack")
	b := newBot(t, s, p.typ, "ops", nil)
	other := newBot(t, s, p.typ, "other", nil)
	c := p.say(t, b, said("U1", "C1", "whoami"))
	path := must(url.Parse(b.url))(t).Path
	token := path[strings.LastIndex(path, "/")+1:]
	otherToken := other.url[strings.LastIndex(other.url, "/")+1:]
	var first string
	for _, way := range []string{
		strings.Replace(path, token, otherToken, 1),
		strings.Replace(path, token, token[:len(token)-1], 1),
		strings.Replace(path, token, token+"A", 1),
		strings.Replace(path, token, strings.ToLower(token)+"-", 1),
		strings.Replace(path, "/ops/", "/nobody/", 1),
		strings.Replace(path, "/ops/", "/OPS/", 1),
		strings.Replace(path, "/ops/", "/acs-ops/", 1),
		strings.Replace(path, "/ops/", "/o%70s%00/", 1),
		strings.Replace(path, "/1000000000000000/", "/1000000000000001/", 1),
		strings.Replace(path, "/1000000000000000/", "/keys/", 1),
		strings.Replace(path, "/cn-hangzhou/", "/cn-beijing/", 1),
	} {
		req := c.request(t, b)
		req.URL = must(url.Parse("http://" + req.URL.Host + way))(t)
		a, _ := deliver(t, req)
		wantUnauthorized(t, a)
		a.header.Del("Date")
		for _, id := range []string{"X-Acs-Request-Id", "X-Fc-Request-Id", "X-Amzn-Requestid"} { // each has its own
			a.header.Del(id)
		}
		if looks := jsonText(a.header); first == "" {
			first = looks
		} else if looks != first {
			t.Errorf("%s is answered with the headers %s, and others with %s", way, looks, first)
		}
	}
	b.shows(t, c)
	if n := len(b.records(t)) + len(other.records(t)); n != 1 {
		t.Errorf("there are %d records, want 1", n)
	}
}

// A platform's signature is over the body's bytes. What a header says of them changes nothing.
func TestACallbackIsTakenWhateverItsContentType(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		user := users[p.typ]
		b := newBot(t, s, p.typ, "ops-"+p.typ, permissions(allow(user.grants, "*")))
		for i, kind := range []string{"", "text/plain", "application/json", "application/x-www-form-urlencoded",
			"multipart/form-data; boundary=x", "nonsense"} {
			c := p.say(t, b, said(user.writes, p.place(user.grants), "restart "+strconv.Itoa(i)))
			delete(c.header, "Content-Type")
			if kind != "" {
				c.header = maps.Clone(c.header)
				if c.header == nil {
					c.header = make(map[string]string)
				}
				c.header["Content-Type"] = kind
			}
			if got := b.shows(t, c); c.read != nil && got != "restart was accepted." {
				t.Errorf("%s as %q: answer = %q", p.typ, kind, got)
			}
		}
		if n := len(b.records(t)); n != 6 {
			t.Errorf("%s: there are %d records, want 6", p.typ, n)
		}
	}
}

// A body of exactly the limit is taken, also without its length told.
func TestABodyMayBeAMebibyte(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	b := newBot(t, s, "Slack", "ops", nil)
	for _, more := range []int{0, 1} {
		now := said("U1", "C1", "whoami")
		body := ofType("Slack").say(t, b, now).body + "&pad="
		body += strings.Repeat("x", 1<<20-len(body)+more)
		for _, chunked := range []bool{false, true} {
			req := slackSigned(t, goHMAC, b, now, body, "application/x-www-form-urlencoded").request(t, b)
			if chunked {
				req.ContentLength = -1
			}
			if a := do(t, req); (a.status == http.StatusOK) != (more == 0) {
				t.Errorf("%d bytes, chunked %v: status = %d", len(body), chunked, a.status)
			}
		}
	}
	if n := len(b.records(t)); n != 1 {
		t.Errorf("there are %d records, want 1", n)
	}
}
