package e2e_test

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The service is killed at a random moment while every platform delivers, time and again, and what
// it had not acknowledged is delivered again, as the platforms do. What was acknowledged is
// recorded, nothing is recorded twice, and in the end all is recorded.
func TestKillBetweenCallbacksLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	const rounds, each, atOnce = 4, 60, 32
	s := serveCrowd(t)
	bots := make(map[string]*bot)
	for _, p := range goPeers {
		bots[p.typ] = newBot(t, s, p.typ, "ops-"+p.typ, permissions(allow(users[p.typ].grants, "*")))
	}
	due := make(map[string]map[string]saying) // that were not acknowledged yet, by type and text
	all := make(map[string]map[string]bool)
	for _, p := range goPeers {
		due[p.typ], all[p.typ] = make(map[string]saying), make(map[string]bool)
	}
	// deliver delivers what is due, and kills the service once it has acknowledged so much.
	deliver := func(s *service, fatal int) (acknowledged int) {
		type delivery struct {
			typ, text string
			req       *http.Request
		}
		var deliveries []delivery
		for _, p := range goPeers {
			for _, text := range slices.Sorted(maps.Keys(due[p.typ])) {
				deliveries = append(deliveries, delivery{p.typ, text,
					p.say(t, bots[p.typ], due[p.typ][text]).request(t, bots[p.typ])})
			}
		}
		var mu sync.Mutex
		var senders sync.WaitGroup
		next := make(chan delivery)
		for range atOnce {
			senders.Go(func() {
				for d := range next {
					status, err := try(d.req)
					if err != nil || status == http.StatusServiceUnavailable {
						continue // killed, or with too much to do; the platform delivers again
					}
					if status != http.StatusOK {
						t.Errorf("%s: status = %d, want 200", d.typ, status)
						continue
					}
					mu.Lock()
					delete(due[d.typ], d.text)
					if acknowledged++; acknowledged == fatal {
						s.cmd.Process.Kill()
					}
					mu.Unlock()
				}
			})
		}
		for _, i := range rand.Perm(len(deliveries)) {
			next <- deliveries[i]
		}
		close(next)
		senders.Wait()
		return acknowledged
	}
	check := func(round string) {
		t.Helper()
		for _, p := range goPeers {
			seen := make(map[string]int)
			for _, r := range bots[p.typ].records(t) {
				seen[r.Arguments[0]]++
			}
			for text := range all[p.typ] {
				_, open := due[p.typ][text]
				if n := seen[text]; n > 1 || n == 0 && !open {
					t.Errorf("%s: %s: %q is recorded %d times, acknowledged %v", round, p.typ, text, n, !open)
				}
			}
			if len(seen) > len(all[p.typ]) {
				t.Errorf("%s: %s: there are %d records of %d messages", round, p.typ, len(seen), len(all[p.typ]))
			}
		}
	}
	for round := range rounds {
		for _, p := range goPeers {
			for i := range each {
				text := fmt.Sprintf("i-%d-%d", round, i)
				due[p.typ][text] = said(users[p.typ].writes, p.place(users[p.typ].grants), "restart "+text)
				all[p.typ][text] = true
			}
		}
		fatal := 1 + rand.IntN(len(goPeers)*each/2)
		t.Logf("round %d: the kill comes after %d, and %d were acknowledged", round+1, fatal, deliver(s, fatal))
		s.kill()
		s = s.restart()
		for typ, b := range bots {
			bots[typ] = b.moved(t, s)
		}
		check(fmt.Sprintf("round %d", round+1))
	}
	// functions start anew, one for each that comes at once
	awaitLong(t, time.Minute, "all is acknowledged", func() bool {
		deliver(s, 0)
		open := 0
		for _, p := range goPeers {
			open += len(due[p.typ])
		}
		return open == 0
	})
	check("in the end")
	for _, p := range goPeers {
		if n := len(bots[p.typ].records(t)); n != rounds*each {
			t.Errorf("%s: there are %d records, want %d", p.typ, n, rounds*each)
		}
	}
	s.check()
}

// What the target of a configuration cannot be given is given up or kept, is said to be so, and
// nothing of it is done twice.
func TestWhatCannotBeDispatchedIsNotForgotten(t *testing.T) {
	t.Parallel()
	onlyFile(t, "the clouds have functions")
	s := serveCrowd(t)
	p := ofType("DingTalk")

	// Here are no functions, and so it is given up at once.
	grant := permissions(allow("li", "*"))
	grant["Target"] = object{"Type": "Function", "Name": "no-such-function"}
	b := newBot(t, s, p.typ, "function", grant)
	c := p.say(t, b, said("li", "cidhere==", "restart i-1"))
	answers, _ := b.atOnce(t, func(int) callback { return c })
	for _, a := range answers {
		if a.status != http.StatusOK {
			t.Errorf("status = %d, want 200", a.status)
		}
	}
	var all []record
	await(t, "it is given up", func() bool {
		all = b.records(t)
		return len(all) == 1 && all[0].Outcome == "Failed"
	})
	if r := all[0]; r.Attempts != 1 || r.Target != "Function no-such-function" ||
		r.Detail == "" || r.SettledDate == "" {
		t.Errorf("record = %+v, want one attempt, and why it failed", r)
	}
	h := b.awaitHealth(t, "the failure is in the health", func(h health) bool { return h.LastDeliveryError != nil })
	if h.Counters["Failed"] != 1 || h.LastDeliveryError.Step != "deliver" || h.LastDeliveryError.Reason == "" {
		t.Errorf("health = %+v", h)
	}

	// A host that cannot be found may be found later.
	grant["Target"] = object{"Type": "Http", "Url": "https://chatconf.invalid/hook?key=planted-in-the-url",
		"Secret": "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2YtdGhlLXRhcmdldA=="}
	b = newBot(t, s, p.typ, "http", grant)
	if got := b.shows(t, p.say(t, b, said("li", "cidhere==", "restart i-2"))); got != "restart was accepted." {
		t.Errorf("answer = %q", got)
	}
	await(t, "it was tried", func() bool {
		all = b.records(t)
		return len(all) == 1 && all[0].Attempts == 1 && all[0].Detail != ""
	})
	if r := all[0]; r.Outcome != "Pending" || r.Target != "Http chatconf.invalid" {
		t.Errorf("record = %+v, want it pending", r)
	}
	for _, text := range []string{jsonText(all), jsonText(b.health(t)), s.stderr.String()} {
		if strings.Contains(text, "planted-in-the-url") || strings.Contains(text, "bm90LWEtcmVhbC1") {
			t.Errorf("the target's secret is in %s", text)
		}
	}
	s.kill()
	s = s.restart()
	if all = b.moved(t, s).records(t); len(all) != 1 || all[0].Outcome != "Pending" {
		t.Errorf("after kill -9 the record is %+v, want it pending", all)
	}
}

// In a cloud, the function that receives a callback invokes another to dispatch it, which calls a
// third. A timer starts one that retries.
func TestFunctionsDispatch(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	p := ofType("DingTalk")
	for _, c := range []struct{ function, outcome string }{
		{"list-chat-configurations", "Delivered"}, // which answers that it takes no such thing
		{"no-such-function", "Failed"},
	} {
		grant := permissions(allow("li", "*"))
		grant["Target"] = object{"Type": "Function", "Name": c.function}
		b := newBot(t, s, p.typ, "ops-"+c.function, grant)
		b.shows(t, p.say(t, b, said("li", "cidhere==", "restart i-1")))
		var all []record
		await(t, "it is settled", func() bool {
			all = b.records(t)
			return len(all) == 1 && all[0].SettledDate != ""
		})
		if r := all[0]; r.Outcome != c.outcome || r.Attempts != 1 || r.Target != "Function "+c.function {
			t.Errorf("record = %+v, want it %s with one attempt", r, c.outcome)
		}
		if got := string(s.redrive(t)); got != `{"Found":0}` {
			t.Errorf("when all is settled, redrive-commands answers %s", got)
		}
	}
}

// Targets are https, and not of this machine or its network.
func TestTargetsInsideAreRefused(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, target := range []string{
		"http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/",
		"https://169.254.169.254/latest/meta-data", "https://100.100.100.200/",
		"https://10.1.2.3/", "https://192.168.0.1:8443/", "https://[fd00::1]/", "https://[::ffff:127.0.0.1]/",
		"https://2130706433/", "https://0x7f.1/", "https://user:pw@example.com/",
		"https://metadata.google.internal/", "https:///x", "//example.com/",
	} {
		c := object{"DingTalkClientId": "ding", "DingTalkClientSecret": "not-a-real-secret",
			"Target": object{"Type": "Http", "Url": target,
				"Secret": "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2YtdGhlLXRhcmdldA=="}}
		s.send(t, newACS3(s.key, "CreateChatConfiguration", "Name", "ops", "Type", "DingTalk", "Configuration",
			jsonText(c))).wantFault(t, http.StatusBadRequest, "InvalidParameter.Configuration")
	}
}

// A connection that ends before the body does delivers nothing.
func TestATruncatedCallbackIsRefused(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		b := newBot(t, s, p.typ, "ops-"+p.typ, nil)
		c := p.say(t, b, said(users[p.typ].writes, p.place(users[p.typ].grants), "whoami"))
		req := c.request(t, b)
		conn := must(net.Dial("tcp", req.URL.Host))(t)
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n",
			req.URL.RequestURI(), req.URL.Host, len(c.body))
		for name, values := range req.Header {
			fmt.Fprintf(conn, "%s: %s\r\n", name, values[0])
		}
		fmt.Fprintf(conn, "\r\n%s", c.body[:len(c.body)-1])
		conn.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err == nil { // it may as well hang up
			if a := readAnswer(t, resp); a.status < 400 {
				t.Errorf("%s: half a callback is answered %d %s", p.typ, a.status, a.body)
			}
		}
		if n := len(b.records(t)); n != 0 {
			t.Errorf("%s: half a callback made %d records", p.typ, n)
		}
		b.shows(t, c)
	}
}

// Secrets of a configuration, of its URL, of people's messages and of the platforms' requests are
// planted in callbacks that are taken and in callbacks that are refused. Then all that the service
// said or wrote is searched.
func TestAPlantedSecretOfACallbackIsNowhere(t *testing.T) {
	t.Parallel()
	find := &searcher{t, make(map[string][]string)}
	s := serveCrowd(t)
	for _, p := range goPeers {
		user := users[p.typ]
		b := newBot(t, s, p.typ, "ops-"+p.typ, permissions(allow(user.grants, "*")))
		find.add("the token of "+p.typ, b.url[strings.LastIndex(b.url, "/")+1:])
		for key, value := range b.settings {
			if strings.Contains(key, "Secret") || strings.Contains(key, "Key") || strings.Contains(key, "Token") {
				find.add(key, value)
			}
		}
		planted := "planted" + p.typ + newNonce()
		find.add("an argument of "+p.typ, planted)
		place := p.place(user.grants)
		texts := []string{"login --password " + planted, "login token=" + planted, "whoami " + planted, `"` + planted}
		for _, text := range texts[:2] {
			c := p.say(t, b, said(user.writes, place, text))
			for _, name := range []string{"sign", "X-Lark-Signature", "X-Slack-Signature", "Authorization"} {
				if value, ok := c.header[name]; ok {
					find.add(name+" of "+text, strings.TrimPrefix(strings.TrimPrefix(value, "v0="), "HMAC "))
				}
			}
			if value := c.query.Get("msg_signature"); value != "" {
				find.add("msg_signature of "+text, value)
			}
			find.search("an answer", b.call(t, c).body)
			find.search("an answer to a duplicate", b.call(t, c).body)
		}
		for _, record := range b.records(t) {
			find.search("a record", []byte(jsonText(record)))
		}
		for _, text := range texts {
			for _, f := range forgeries(p) {
				a := do(t, f.make(t, b, said(user.writes, place, text)))
				find.search("a refusal", a.body)
				find.search("a refusal's headers", []byte(jsonText(a.header)))
			}
		}
		// A denial repeats the command's name and never its arguments.
		find.search("a denial", b.call(t, p.say(t, b, said("U0STRANGER", place, "login --password "+planted))).body)
		find.search("the health", []byte(jsonText(b.health(t))))
		find.search("the simulation", []byte(jsonText(b.simulate(t, user.grants, place, "login --password "+planted))))
	}
	s.stop()
	find.search("the log", []byte(s.stderr.String()))
	find.search("what serve printed", []byte(s.stdout.String()))
	s.requestLog() // every line is JSON
	find.everywhere(s.data)
}
