package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
)

// The settings that are not set are folded, but for those that must be set.
func TestSettingsThatAreNotSetAreFolded(t *testing.T) {
	s := newSite(t)
	s.Bot("ops", `"BotName":"the ops bot"`)
	page := s.browser().signIn(owner).page("/console/bots/ops")
	before, folded, found := strings.Cut(page, "<details>")
	if !found {
		t.Fatalf("nothing is folded:\n%s", page)
	}
	folded, _, _ = strings.Cut(folded, "</details>")
	wantText(t, before, ">BotName<", ">SlackSigningSecret<")
	wantText(t, folded, "<summary>Settings that are not set (", ">SlackTeamId<", "not set</span>")
	wantNoText(t, folded, "BotName", "SlackSigningSecret <")
	if n := strings.Count(folded, "<dt>"); !strings.Contains(folded, fmt.Sprintf("(%d)", n)) {
		t.Errorf("the number of folded settings is not %d:\n%s", n, folded)
	}
}

// A healthAPI answers with a health of its own.
type healthAPI struct {
	console.API
	health chat.Health
}

func (a *healthAPI) Call(ctx ctx, action string, params map[string]string, answer any) error {
	if out, ok := answer.(*chat.HealthResponse); ok && action == "GetChatConfigurationHealth" {
		out.Health = a.health
		return nil
	}
	return a.API.Call(ctx, action, params, answer)
}

// Each state of a connection has a sentence that says what it means.
func TestTheStateOfAConnectionIsSaid(t *testing.T) {
	for state, want := range map[string]string{
		chat.ConnectionConnected:  "The connection is open.",
		chat.ConnectionConnecting: "A process tries to open it.",
		chat.ConnectionRefused:    "The connection was refused.",
		chat.ConnectionLost:       "has reported nothing for some minutes.",
		chat.ConnectionAbsent:     "No process holds the connection.",
	} {
		s := newSite(t, func(o *console.Options) {
			api := o.API
			o.API = func(id string) console.API {
				return &healthAPI{api(id), chat.Health{State: chat.HealthWorking, Connection: &chat.HealthConnection{
					State: state, SinceDate: "2026-11-01T00:00:00Z", LastFrameDate: "2026-11-02T00:00:00Z",
					Reconnects: 4711, Holder: "host-<b>1"}}}
			}
		})
		s.Bot("ops")
		page := s.browser().signIn(owner).page("/console/bots/ops")
		wantText(t, page, strings.ReplaceAll(want, "'", "&#39;"), "4711", "host-&lt;b&gt;1", "2026-11-01 00:00:00 UTC",
			"2026-11-02 00:00:00 UTC")
	}
}

// The list has commands before a date, and keeps it on its next pages.
func TestCommandsUntilADate(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-1"))
	s.Clock.Advance(2 * time.Hour)
	s.MustRecord(e, chattest.Arrival(t, e, "m2", "u1", "stop i-2"))
	page := s.browser().signIn(owner).page("/console/bots/ops/commands?until=1h")
	wantText(t, page, "restart i-1", `name="until" value="1h"`)
	wantNoText(t, page, "stop i-2")
}

// A date is never broken, a table that is too wide scrolls by keyboard, and shows that it does.
func TestPagesFitNarrowScreens(t *testing.T) {
	css, err := os.ReadFile("asset/console.css")
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, string(css), "time, .chip { white-space: nowrap; }", "@media (max-width: 40rem)",
		"li, p, label { overflow-wrap: anywhere; }",
		"background-attachment: local, local, scroll, scroll;", "overflow-x: auto;")
	s := newSite(t)
	e := s.Bot("ops")
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	b := s.browser().signIn(owner)
	around := regexp.MustCompile(`<div class="scroll" tabindex="0" role="(region|group)" ` +
		`aria-label(ledby)?="[^"]+">\s*<table`)
	for _, path := range allPages("ops") {
		page := b.page(path)
		if tables, scrolled := strings.Count(page, "<table"), len(around.FindAllString(page, -1)); tables != scrolled {
			t.Errorf("%s has %d tables, %d of them scroll:\n%s", path, tables, scrolled, page)
		}
	}
}

// Where rows become cards, each cell has the name of its column.
func TestTheCellsOfCardsHaveNames(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	b := s.browser().signIn(owner)
	cells, heads := regexp.MustCompile(`<td[^>]*>`), regexp.MustCompile(`<th scope="col">([^<]*)</th>`)
	n := 0
	pages := make(map[string]string)
	for _, path := range allPages("ops") {
		pages[path] = b.page(path)
	}
	for path, page := range pages {
		for _, table := range strings.Split(page, `<table class="`)[1:] {
			class, table, _ := strings.Cut(table, `"`)
			if !strings.Contains(class, "cards") {
				continue
			}
			n++
			table, _, _ = strings.Cut(table, "</table>")
			names := make(map[string]bool)
			for _, m := range heads.FindAllStringSubmatch(table, -1) {
				names[m[1]] = true
			}
			for _, cell := range cells.FindAllString(table, -1) {
				_, name, _ := strings.Cut(cell, ` data-l="`)
				name, _, _ = strings.Cut(name, `"`)
				if !names[name] {
					t.Errorf("%s: %s has not the name of a column, which are %v", path, cell, names)
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d tables were found", n)
	}
}

// After a mistake the focus is on the sentence that says it.
func TestTheFocusIsOnTheMistake(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	const focused = `role="alert" tabindex="-1" autofocus>`
	form := b.form("ops")
	wantNoText(t, b.page("/console/bots/ops/edit"), " autofocus")
	form.Set("RamRole", "no role!")
	mistaken := b.refuse("/console/bots/ops/edit", form, http.StatusUnprocessableEntity)
	stale := b.form("ops")
	role := "OtherRole"
	if _, err := s.Update(s.Ctx, &chat.UpdateRequest{Name: "ops", RamRole: &role}); err != nil {
		t.Fatal(err)
	}
	stale.Set("RamRole", "MineRole")
	unconfirmed := url.Values{"Revision": {"2"}}
	_, simulated := b.get("/console/bots/ops/permissions?user=u1&conversation=c1&text=")
	for what, page := range map[string]string{
		"a mistake":      mistaken,
		"a conflict":     b.refuse("/console/bots/ops/edit", stale, http.StatusConflict),
		"a confirmation": b.refuse("/console/bots/ops/delete", unconfirmed, http.StatusUnprocessableEntity),
		"a simulation":   simulated,
	} {
		if n := strings.Count(page, " autofocus"); n != 1 || !strings.Contains(page, focused) {
			t.Errorf("after %s the focus is not on it alone:\n%s", what, page)
		}
	}
}

// Each part of a page that screen readers list has a name of its own.
func TestThePartsOfAPageHaveNamesOfTheirOwn(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	b := s.browser().signIn(owner)
	part := regexp.MustCompile(`<(?:section|nav|[a-z]+ [^>]*role="region")[^>]*>`)
	name := regexp.MustCompile(` aria-label(?:ledby)?="([^"]+)"`)
	for _, path := range allPages("ops") {
		page := b.page(path)
		seen := make(map[string]bool)
		for _, tag := range part.FindAllString(page, -1) {
			m := name.FindStringSubmatch(tag)
			if m == nil || seen[m[1]] {
				t.Errorf("%s: %s has no name of its own", path, tag)
				continue
			}
			seen[m[1]] = true
		}
		if len(seen) == 0 {
			t.Errorf("%s has no parts:\n%s", path, page)
		}
	}
}
