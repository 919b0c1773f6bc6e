package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/secret"
)

// Any two revisions can be compared, from the list and from the page of one.
func TestAnyTwoRevisionsAreCompared(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(chattest.OpenToAll) })
	b := s.browser().signIn(owner)
	wantNoText(t, b.page("/console/bots/ops/history"), `name="compared"`)
	for _, role := range []string{"RoleOne", "RoleTwo", "RoleThree"} {
		if _, err := s.Update(s.Ctx, &chat.UpdateRequest{Name: "ops", RamRole: &role}); err != nil {
			t.Fatal(err)
		}
	}
	form := func(page string, from, to int) {
		t.Helper()
		wantText(t, page, fmt.Sprintf(`name="compared" type="number" min="1" required value="%d"`, from),
			fmt.Sprintf(`name="revision" type="number" min="1" required value="%d"`, to),
			`method="get" action="/console/bots/ops/history"`)
	}
	form(b.page("/console/bots/ops/history"), 3, 4)
	page := b.page("/console/bots/ops/history?compared=2&revision=4")
	form(page, 2, 4)
	wantText(t, page, `href="/console/bots/ops/restore?revision=4">Restore this revision`,
		`href="/console/bots/ops/restore?revision=2">Restore revision 2, as it was before`)
	wantText(t, page, "Compared with revision 2.", "<del><bdi>RoleOne</bdi></del>", "<ins><bdi>RoleThree</bdi></ins>")
	wantText(t, b.page("/console/bots/ops/history"), "Open a revision to see what it changed, or to restore it.")
	wantNoText(t, b.page("/console/bots/ops/history?revision=1"), "as it was before")
	wantText(t, b.page("/console/bots/ops/history?compared=4&revision=2"), "<del><bdi>RoleThree</bdi></del>",
		"<ins><bdi>RoleOne</bdi></ins>")
	if status, page := b.get("/console/bots/ops/history?compared=99&revision=2"); status != http.StatusNotFound {
		t.Errorf("an absent revision: %d\n%s", status, page)
	}
}

// Of two long values the page shows where they differ.
func TestLongValuesShowWhereTheyDiffer(t *testing.T) {
	s := newSite(t)
	begin := strings.Repeat("x", 300)
	settings := func(end string) secret.Text {
		return slack(`"Actions":{"stop":{"Summary":"` + begin[:150] + `","Parameters":[{"Name":"a","Help":"` +
			begin[:150] + end + `"}]}}`)
	}
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = settings("OLD") })
	changed := settings("NEW")
	if _, err := s.Update(s.Ctx, &chat.UpdateRequest{Name: "ops", Configuration: &changed}); err != nil {
		t.Fatal(err)
	}
	wantText(t, s.browser().signIn(owner).page("/console/bots/ops/history?revision=2"), "OLD", "NEW")
	for _, c := range [][4]string{
		{"short", "other", "short", "other"},
		{"a" + begin, "b" + begin, "a" + begin, "b" + begin},
		{begin + "OLD", begin, "…" + begin[:60] + "OLD", "…" + begin[:60]},
		{begin + "锁", begin + "钥", "…" + begin[:60] + "锁", "…" + begin[:60] + "钥"},
	} {
		if a, b := console.Differing(c[0], c[1]); a != c[2] || b != c[3] {
			t.Errorf("differing(%q, %q) = %q, %q; want %q, %q", c[0], c[1], a, b, c[2], c[3])
		}
	}
}
