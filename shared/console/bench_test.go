package console_test

import (
	"fmt"
	"net/http"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/console"
	"chatconf/shared/policy"
)

func consoleWords() map[string][2]string {
	out := make(map[string][2]string)
	for name, text := range console.Words() {
		out[name] = text
	}
	return out
}

// fill makes bots, and commands of the first hundred, and a hundred access keys.
func fill(s *site, bots, commands int) {
	s.T.Helper()
	var open []*command.Endpoint
	for i := range bots {
		name := fmt.Sprintf("bot-%05d", i)
		s.MustCreate(name, func(in *chat.CreateRequest) {
			in.Configuration = slack(chattest.OpenToAll)
			in.Tags = map[string]string{"env": "prod", "team": fmt.Sprint("team-", i%20)}
		})
		if i < 100 {
			open = append(open, s.Open(name))
		}
	}
	for i := range 100 {
		s.addKey(fmt.Sprintf("CCKfill%016d", i), policy.ReadOnly())
	}
	for i := range commands {
		e := open[i%len(open)]
		s.MustRecord(e, chattest.Arrival(s.T, e, fmt.Sprint("m", i), fmt.Sprint("u", i%50),
			fmt.Sprintf("restart i-%08d zone=cn-hangzhou-b", i)))
	}
}

func BenchmarkPages(b *testing.B) {
	s := newSite(b)
	fill(s, 10_000, 100_000)
	one := s.browser().signIn(owner)
	for _, path := range []string{"/console/", "/console/?tag=env%3Dprod&status=Active", "/console/bots/bot-00000",
		"/console/commands", "/console/bots/bot-00000/commands",
		"/console/bots/bot-00000/permissions?user=u1&conversation=c1&text=stop", "/console/bots/bot-00000/try",
		"/console/commands/chart", "/console/bots/bot-00000/history"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				if got := one.do(http.MethodGet, path, nil).StatusCode; got != http.StatusOK {
					b.Fatalf("GET %s: %d", path, got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
}
