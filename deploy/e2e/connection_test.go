package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// streamHosts are where connections go, and what is called for them, besides platformHosts.
var streamHosts = []string{"oapi.dingtalk.com", "wss-open-connection.dingtalk.com", "msg-frontier.feishu.cn",
	"slack.com", "wss-primary.slack.com", "openws.work.weixin.qq.com"}

// leads are the settings with which a service takes the gateway for the platform.
func (g *streamGateway) leads() []string {
	var addresses []string
	for _, host := range slices.Concat(platformHosts, streamHosts) {
		addresses = append(addresses, host+"="+g.address)
	}
	return []string{"CHATCONF_ROOTS=" + g.roots, "CHATCONF_PLATFORM_ADDRESSES=" + strings.Join(addresses, ",")}
}

// newStreamBot creates a bot whose messages come over a connection, and in which everyone may
// restart.
func newStreamBot(t *testing.T, s *service, name string, p streamPlatform) *bot {
	t.Helper()
	return newBotWith(t, s, p.name, name, p.settings, object{"Receive": "Stream", "Permissions": []object{{
		"Effect": "Allow", "Principals": []string{"*"}, "Commands": []string{"restart"}, "Conversations": []string{"*"},
	}}})
}

// restarts has somebody say restart to the bot of a gateway, and waits for the answer, in the
// acknowledgement or later.
func (g *streamGateway) restarts(t *testing.T, what string) {
	t.Helper()
	before := len(g.ask(t, object{"Do": "sent"}).Sent)
	r := g.ask(t, object{"Do": "push", "Message": object{"User": "U0ALICE", "Text": "restart " + what}})
	if strings.Contains(r.Pushed.Answer, "restart was accepted") {
		return
	}
	await(t, "restart "+what+" is answered", func() bool {
		sent := g.ask(t, object{"Do": "sent"}).Sent
		return len(sent) > before && strings.Contains(sent[len(sent)-1], "restart was accepted")
	})
}

// A bot of each platform answers over the connection that the service opens. When the connection
// breaks, and when the service is killed in the middle of a message, nothing that was acknowledged
// is lost and nothing is recorded twice, and the service connects again. Its health says so.
func TestBotsWorkOverConnections(t *testing.T) {
	onlyFile(t, "functions open no connections")
	t.Parallel()
	for _, p := range streamPlatforms {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			g := startStreamGateway(t, p)
			s := serve(t, g.leads()...)
			b := newStreamBot(t, s, "ops", p)
			g.restarts(t, "i-123")
			g.ask(t, object{"Do": "disturb", "How": "cut"})
			g.restarts(t, "i-124")
			b.awaitHealth(t, "the health tells of the connection", func(h health) bool {
				c := h.Connection
				return h.State == "Working" && c != nil && c.State == "Connected" && c.SinceDate != "" &&
					c.LastFrameDate != "" && c.Reconnects == 1 && c.LastError != nil && c.LastError.Reason != ""
			})
			acknowledged := map[string]bool{"i-123": true, "i-124": true}
			for round := range 5 {
				what := fmt.Sprintf("i-%d", 200+round)
				pushed := make(chan streamReport, 1)
				go func() {
					pushed <- g.tell(t, object{"Do": "push", "Settings": p.settings,
						"Message": object{"User": "U0ALICE", "Text": "restart " + what}})
				}()
				time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond) // in the middle of it, somewhere
				s.kill()
				s = s.restart(g.leads()...)
				r := <-pushed
				acknowledged[what] = r.Error == "" && !r.Pushed.Again
				b = b.moved(t, s)
			}
			g.restarts(t, "i-300")
			acknowledged["i-300"] = true
			seen := make(map[string]int)
			for _, r := range b.records(t) {
				seen[r.Arguments[0]]++
			}
			for what, safe := range acknowledged {
				if n := seen[what]; n > 1 || n == 0 && safe {
					t.Errorf("restart %s is recorded %d times; it was acknowledged: %v", what, n, safe)
				}
			}
		})
	}
}

// domains tell the hosts of a platform.
var domains = map[string]string{"DingTalk": "dingtalk", "Feishu": "feishu", "Slack": "slack", "WeChat": "weixin"}

// leadsToAll are the settings with which a service takes gateways for their platforms.
func leadsToAll(t *testing.T, gateways []*streamGateway) []string {
	t.Helper()
	var addresses []string
	var roots []byte
	for _, g := range gateways {
		for _, host := range slices.Concat(platformHosts, streamHosts) {
			if strings.Contains(host, domains[g.platform.name]) {
				addresses = append(addresses, host+"="+g.address)
			}
		}
		roots = append(roots, must(os.ReadFile(g.roots))(t)...)
	}
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"CHATCONF_ROOTS=" + file, "CHATCONF_PLATFORM_ADDRESSES=" + strings.Join(addresses, ",")}
}

// connect starts a process that holds the connections of bots of functions.
func connect(t *testing.T, s *service, env ...string) *service {
	t.Helper()
	c := command{args: []string{"connect", "--store", store.name}, env: slices.Concat(tableEnv(s.data), env,
		[]string{"CHATCONF_KEYRING=file:" + filepath.Join(s.data, "keyring.json")})}
	p := c.start(t, s.data)
	await(t, "connect has started", func() bool {
		return strings.Contains(p.stdout.String(), "chatconf holds the connections of bots")
	})
	return p
}

// Functions hold no connections, so a process does it for them. Another one takes over when it is
// killed, and when it is stopped. Every message is recorded once, where the functions show it.
func TestConnectForFunctions(t *testing.T) {
	if functions.target != targetLambda {
		t.Skip("only where the tables of functions outlive them")
	}
	t.Parallel()
	s := serve(t)
	var gateways []*streamGateway
	var bots []*bot
	for _, p := range streamPlatforms {
		gateways = append(gateways, startStreamGateway(t, p))
		bots = append(bots, newStreamBot(t, s, strings.ToLower(p.name), p))
	}
	env := leadsToAll(t, gateways)
	within := func(limit time.Duration, what string) {
		t.Helper()
		begun := time.Now()
		for _, g := range gateways {
			g.restarts(t, what)
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("restart %s is answered everywhere after %v, want at most %v", what, took, limit)
		} else {
			t.Logf("restart %s is answered everywhere after %v", what, took)
		}
	}
	first := connect(t, s, env...)
	within(30*time.Second, "i-1")
	second := connect(t, s, env...)
	within(10*time.Second, "i-2")
	first.kill()
	within(30*time.Second, "i-3")
	third := connect(t, s, env...)
	second.stop()
	within(15*time.Second, "i-4")
	for _, b := range bots {
		b.awaitHealth(t, "the third process has the connection", func(h health) bool {
			c := h.Connection
			return h.State == "Working" && c != nil &&
				strings.HasSuffix(c.Holder, fmt.Sprintf("/%d", third.cmd.Process.Pid))
		})
		var said []string
		for _, r := range b.records(t) {
			said = append(said, r.Arguments[0])
		}
		slices.Sort(said)
		if want := []string{"i-1", "i-2", "i-3", "i-4"}; !slices.Equal(said, want) {
			t.Errorf("%s has recorded %q, want %q", b.name, said, want)
		}
	}
	third.stop()
	for _, g := range gateways {
		if n := g.ask(t, object{"Do": "connections"}).Connections; n != 0 {
			t.Errorf("%s has %d connections after the end", g.platform.name, n)
		}
	}
}
