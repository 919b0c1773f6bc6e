package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat/chattest"
)

func TestTheChartCountsCommandsByOutcome(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	other := s.Bot("other")
	s.MustRecord(e, chattest.Arrival(t, e, "old", "u1", "restart i-0"))
	s.Clock.Advance(26 * time.Hour)
	s.Pending(e, "m1")
	s.MustRecord(e, chattest.Arrival(t, e, "m2", "u1", "stop i-1"))
	s.MustRecord(e, chattest.Arrival(t, e, "m3", "u1", "help"))
	s.Clock.Advance(time.Hour)
	s.MustRecord(other, chattest.Arrival(t, other, "m4", "u1", "stop i-1"))
	b := s.browser().signIn(owner)
	counts := func(page string) (out []string) {
		hours := regexp.MustCompile(`</time></th>(.*)</tr>`).FindAllStringSubmatch(page, -1)
		if len(hours) != 24 {
			t.Fatalf("%d hours:\n%s", len(hours), page)
		}
		for _, h := range hours {
			text := strings.TrimSpace(strings.NewReplacer("<td>", " ", "</td>", "").Replace(h[1]))
			if text != "0 0 0 0" {
				out = append(out, text)
			}
		}
		return out
	}
	page := b.page("/console/bots/ops/commands/chart")
	chattest.Equal(t, "of a bot", counts(page), []string{"1 1 0 1"})
	wantText(t, page, "Commands: 3; the busiest hour had 3", `<svg class="chart"`, `href="/console/bots/ops/commands"`,
		`class="good" x="440" y="80" width="16" height="40"`, `class="busy" x="440" y="40" width="16" height="40"`,
		`class="quiet" x="440" y="0" width="16" height="40"`)
	wantNoText(t, page, "latest commands only")
	all := b.page("/console/commands/chart")
	chattest.Equal(t, "of all", counts(all), []string{"1 1 0 1", "0 0 0 1"})
	wantText(t, all, `href="/console/commands"`)
	wantText(t, b.page("/console/bots/ops/commands"), `href="/console/bots/ops/commands/chart"`)
	s.Clock.Advance(30 * time.Hour)
	late := s.browser().signIn(owner).page("/console/commands/chart")
	wantText(t, late, "There was no command in the last 24 hours")
	wantNoText(t, late, "<svg")
}

// A chart of very many commands counts the latest ones, and says so.
func TestTheChartSaysWhenItIsCut(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	for i := range 501 {
		s.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", i), "u1", "stop"))
	}
	wantText(t, s.browser().signIn(owner).page("/console/bots/ops/commands/chart"), "Commands: 500",
		"latest commands only")
}

func TestTheChartNeedsItsPermission(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.addKey("CCKget", mustPolicy(t, `{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"*"}`))
	status, page := s.browser().signIn("CCKget").get("/console/bots/ops/commands/chart")
	if status != http.StatusForbidden {
		t.Errorf("status = %d, want 403", status)
	}
	wantText(t, page, "It needs the permission oos:ListChatCommands.")
}

// The legend says what the colours are and how many commands there were; the table is folded.
func TestTheChartHasALegend(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	s.Pending(e, "m1")
	s.MustRecord(e, chattest.Arrival(t, e, "m2", "u1", "stop i-1"))
	page := s.browser().signIn(owner).page("/console/commands/chart")
	before, after, _ := strings.Cut(page, "<details>")
	wantText(t, before, `<span class="key good"></span> done: 0`, `<span class="key busy"></span> not finished: 1`,
		`<span class="key quiet"></span> denied: 1`, "<svg", `aria-describedby="total legend"`)
	wantNoText(t, before, "<table")
	wantText(t, after, "<table")
}
