package e2e_test

import (
	"fmt"
	"math/rand/v2"
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
func newStreamBot(t *testing.T, s *service, p streamPlatform) *bot {
	t.Helper()
	return newBotWith(t, s, p.name, "ops", p.settings, object{"Receive": "Stream", "Permissions": []object{{
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
			b := newStreamBot(t, s, p)
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
