package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	wecom "github.com/silenceper/wechat/v2/util"
)

// many is how many callbacks come at once.
const many = 100

// atOnce calls a bot from many goroutines at the same moment. It returns the answers, and whether
// each was the first.
func (b *bot) atOnce(t *testing.T, make func(i int) callback) (list []answer, first bool) {
	t.Helper()
	requests, answers := [many]*http.Request{}, [many]answer{}
	var again atomic.Bool
	for i := range requests {
		requests[i] = make(i).request(t, b)
	}
	var senders sync.WaitGroup
	start := new(sync.RWMutex)
	start.Lock()
	for i := range requests {
		senders.Go(func() {
			start.RLock()
			defer start.RUnlock()
			var once bool
			if answers[i], once = deliver(t, requests[i]); !once {
				again.Store(true)
			}
		})
	}
	start.Unlock()
	senders.Wait()
	return answers[:], !again.Load()
}

// A platform that is not sure of its delivery delivers again. A hundred times the same at once is
// recorded once, answered once, and acknowledged always.
func TestTheSameAtOnceIsOneCommand(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for i, p := range everyPeer() {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			user := users[p.typ]
			b := newBot(t, s, p.typ, fmt.Sprintf("ops-%d", i), permissions(allow(user.grants, "*")))
			c := p.say(t, b, said(user.writes, p.place(user.grants), "restart i-1"))
			answered := 0
			answers, first := b.atOnce(t, func(int) callback { return c })
			for _, a := range answers {
				if a.status != http.StatusOK {
					t.Fatalf("status = %d, want 200: %s", a.status, a.body)
				}
				if c.read != nil && c.read(t, a) != "" {
					answered++
				}
			}
			if c.read != nil && (answered > 1 || first && answered == 0) {
				t.Errorf("%d were answered, want 1", answered)
			}
			if all := b.records(t); len(all) != 1 {
				t.Errorf("there are %d records, want 1", len(all))
			}
			h := b.awaitHealth(t, "others are counted as duplicates",
				func(h health) bool { return h.Counters["Duplicates"] > 0 })
			if n := h.Counters["Duplicates"]; h.Counters["Allowed"] != 1 || h.Counters["Refused"] != 0 || first &&
				(n >= many || oneProcess && n != many-1) {
				t.Errorf("counters = %v, want one that was allowed, and all others duplicates", h.Counters)
			}
		})
	}
}

// A platform signs what it delivers again anew, later. It is still the same message.
func TestAMessageDeliveredAgainIsNoOther(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		t.Run(p.typ, func(t *testing.T) {
			user := users[p.typ]
			b := newBot(t, s, p.typ, "ops-"+p.typ, permissions(allow(user.grants, "*")))
			message := said(user.writes, p.place(user.grants), "restart i-1")
			for i := range 3 {
				message.at = message.at.Add(time.Duration(i) * time.Second)
				c := p.say(t, b, message)
				if got := b.shows(t, c); c.read != nil && (got != "") != (i == 0) {
					t.Errorf("delivery %d is answered %q", i+1, got)
				}
			}
			s.kill()
			s = s.restart()
			b = b.moved(t, s)
			b.shows(t, p.say(t, b, message))
			if all := b.records(t); len(all) != 1 {
				t.Errorf("there are %d records, want 1", len(all))
			}
		})
	}
}

// DingTalk signs the time and not the body. Who got hold of one signature may say nothing with it
// but what was said.
func TestASignatureThatCoversNoBodyProvesOneMessage(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range []peer{ofType("DingTalk"), nodePeers[1]} {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			b := newBot(t, s, p.typ, fmt.Sprintf("ops-%t", p.node),
				permissions(object{"Effect": "Allow", "Principals": []string{"*"}, "Commands": []string{"*"}}))
			genuine := p.say(t, b, said("li", "cidhere==", "restart i-1"))
			b.shows(t, genuine)
			forged := p.say(t, b, said("admin", "cidhere==", "destroy everything"))
			forged.header = genuine.header
			b.refused(t, forged)
			h := b.awaitHealth(t, "the refusal is in the health", func(h health) bool { return h.LastError != nil })
			if h.LastError.Step != "replay" {
				t.Errorf("the step is %q, want replay", h.LastError.Step)
			}
			b.shows(t, genuine) // the platform's second delivery
			if all := b.records(t); len(all) != 1 || all[0].UserId != "li" {
				t.Errorf("recorded was %+v, want the genuine one alone", all)
			}

			// Many at once with one signature: whichever comes first is all that it proves.
			first := p.say(t, b, said("li", "cidhere==", "restart 0"))
			taken := 0
			answers, _ := b.atOnce(t, func(i int) callback {
				c := p.say(t, b, said("li", "cidhere==", fmt.Sprintf("restart %d", i)))
				c.header = first.header
				return c
			})
			for _, a := range answers {
				if a.status == http.StatusOK {
					taken++
				} else {
					wantUnauthorized(t, a)
				}
			}
			if n := len(b.records(t)); taken != 1 || n != 2 {
				t.Errorf("%d were taken and %d recorded, want one more", taken, n-1)
			}
		})
	}
}

// WeCom and DingTalk sign time, nonce and ciphertext sorted and joined without anything between
// them, so a signature is good for other times and nonces too. None of them makes an old message
// fresh, or a message two.
func TestTimeAndNonceCannotBeExchanged(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	b := newBot(t, s, "WeChat", "ops", permissions(allow("li", "*")))
	say := func(at time.Time, nonce string) callback {
		message := said("li", "li", "restart i-1")
		message.at = at
		c := wecomApp(wecomGo{})(t, b, message)
		encrypt := strings.TrimSuffix(strings.SplitAfterN(c.body, "<Encrypt><![CDATA[", 2)[1],
			"]]></Encrypt><AgentID><![CDATA[1000002]]></AgentID></xml>")
		c.query = url.Values{
			"timestamp": {message.seconds()}, "nonce": {nonce},
			"msg_signature": {wecom.Signature(b.settings["WeChatToken"], message.seconds(), nonce, encrypt)},
		}
		return c
	}
	exchange := func(c callback) callback {
		c = c.clone()
		at, nonce := c.query.Get("timestamp"), c.query.Get("nonce")
		c.query.Set("timestamp", nonce)
		c.query.Set("nonce", at)
		return c
	}
	now := saying{at: time.Now()}

	// A message of an hour ago, whose nonce passes for a time of now.
	old := say(now.at.Add(-time.Hour), now.seconds())
	b.refused(t, exchange(old))
	h := b.awaitHealth(t, "the refusal is in the health", func(h health) bool { return h.LastError != nil })
	if h.LastError.Step != "freshness" || !strings.Contains(h.LastError.Reason, "CreateTime") {
		t.Errorf("the last error is %+v, want the message's own time", h.LastError)
	}
	b.refused(t, old)
	if all := b.records(t); len(all) != 0 {
		t.Errorf("recorded was %+v, want nothing", all)
	}

	// One of now, delivered in every way that its signature is good for.
	fresh := say(now.at, now.seconds()[:9]+"0")
	b.shows(t, fresh)
	ways := 0
	both := fresh.query.Get("timestamp") + fresh.query.Get("nonce")
	for _, text := range []string{both, fresh.query.Get("nonce") + fresh.query.Get("timestamp")} {
		for i := range len(text) + 1 {
			c := fresh.clone()
			c.query.Set("timestamp", text[:i])
			c.query.Set("nonce", text[i:])
			if a := b.call(t, c); a.status == http.StatusOK && len(a.body) == 0 {
				ways++
			} else {
				wantUnauthorized(t, a)
			}
		}
	}
	if all := b.records(t); len(all) != 1 || ways == 0 {
		t.Errorf("%d ways were acknowledged and %d commands recorded, want 1", ways, len(all))
	}
}

// A card of DingTalk's is signed by its time alone too, with the cards' own secret and no other.
func TestOneKindOfSignatureDoesNotPassForAnother(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	p := ofType("DingTalk")
	b := newBot(t, s, p.typ, "ops", permissions(allow("li", "*")))
	robot := p.say(t, b, said("li", "cidhere==", "restart i-1"))
	at := robot.header["timestamp"]
	secret, cards := b.settings["DingTalkClientSecret"], b.settings["DingTalkCardSecret"]
	sign := func(key, message string) string {
		return base64.StdEncoding.EncodeToString(goHMAC(t, []byte(key), message))
	}
	for name, header := range map[string]map[string]string{
		"a robot's with the cards' secret": {"timestamp": at, "sign": sign(cards, at+"\n"+cards)},
		"a robot's over the time alone":    {"timestamp": at, "sign": sign(secret, at)},
		"a card's with the robot's secret": {"x-ddpaas-signature-timestamp": at,
			"x-ddpaas-signature": sign(secret, at)},
		"a card's signed like a robot's": {"x-ddpaas-signature-timestamp": at,
			"x-ddpaas-signature": sign(cards, at+"\n"+cards)},
		"a robot's signature on a card": {"x-ddpaas-signature-timestamp": at,
			"x-ddpaas-signature": robot.header["sign"]},
		"both, the robot's and the card's": {"timestamp": at, "sign": robot.header["sign"],
			"x-ddpaas-signature-timestamp": at, "x-ddpaas-signature": sign(cards, at)},
		"the time of one for the other":       {"x-ddpaas-signature-timestamp": at, "sign": robot.header["sign"]},
		"a signature under a name of its own": {"timestamp": at, "x-sign": robot.header["sign"]},
	} {
		t.Run(name, func(t *testing.T) {
			c := robot.clone()
			c.header = header
			b.refused(t, c)
		})
	}
	b.shows(t, robot)
	if n := len(b.records(t)); n != 1 {
		t.Errorf("there are %d records, want 1", n)
	}
}

// A name that is deleted and created again begins a new life: nothing of the one before shows in
// it, and a message that came then is another now.
func TestANameThatIsCreatedAgainHasALifeOfItsOwn(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		user := users[p.typ]
		may := permissions(allow(user.grants, "restart"))
		b := newBot(t, s, p.typ, "life-"+p.typ, may)
		message := said(user.writes, p.place(user.grants), "restart i-1")
		b.shows(t, p.say(t, b, message))
		if n := len(b.records(t)); n != 1 {
			t.Fatalf("%s: there are %d records, want 1", p.typ, n)
		}
		must(s.client(t).DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String(b.name)}))(t)
		if n := len(b.records(t)); n != 1 {
			t.Errorf("%s: of what was deleted %d records are shown, want 1", p.typ, n)
		}
		again := newBot(t, s, p.typ, b.name, may)
		h := again.health(t)
		if n := len(again.records(t)); n != 0 || h.Counters["Allowed"] != 0 || h.State != "Silent" {
			t.Errorf("%s: in its new life there are %d records, and health is %+v", p.typ, n, h)
		}
		again.shows(t, p.say(t, again, message))
		if n := len(again.records(t)); n != 1 {
			t.Errorf("%s: in its new life there are %d records, want 1", p.typ, n)
		}
	}
}
