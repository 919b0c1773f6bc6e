package console_test

import (
	"fmt"
	"os"
	"regexp"
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

var assetName = regexp.MustCompile(`/console/static/([a-z.]+)`)

// weight returns the size of a page with its assets, in bytes.
func weight(t testing.TB, page string) int {
	t.Helper()
	size := len(page)
	if css, err := os.Stat("asset/console.css"); err == nil {
		size += int(css.Size()) // the style of the page
	}
	for _, m := range assetName.FindAllStringSubmatch(page, -1) {
		info, err := os.Stat("asset/" + m[1])
		if err != nil {
			t.Fatal(err)
		}
		size += int(info.Size())
	}
	return size
}

func BenchmarkPages(b *testing.B) {
	s := newSite(b)
	fill(s, 10_000, 100_000)
	one := s.browser().signIn(owner)
	stranger := s.browser()
	paths := append(allPages("bot-00000"), "/console/?tag=env%3Dprod&status=Active",
		"/console/commands?user=u1&decision=Allowed", "/console/signin")
	for _, path := range paths {
		b.Run(path, func(b *testing.B) {
			size, by := 0, one
			if path == "/console/signin" {
				by = stranger
			}
			for b.Loop() {
				size = weight(b, by.page(path))
			}
			b.ReportMetric(float64(size)/1024, "KiB")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
}
