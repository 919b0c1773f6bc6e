package chat_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// revisions returns the whole history of a name, in pages of n.
func (h *house) revisions(ctx context.Context, name string, n int64) (list []chat.Revision, pages int) {
	h.T.Helper()
	in := &chat.ListRevisionsRequest{Name: name, MaxResults: &n}
	for {
		out, err := h.ListRevisions(ctx, in)
		if err != nil {
			h.T.Fatalf("ListRevisions(%q): %v", name, err)
		}
		if len(out.ChatConfigurationRevisions) > int(n) || out.MaxResults != n {
			h.T.Fatalf("a page of %d of at most %d, MaxResults = %d", len(out.ChatConfigurationRevisions), n,
				out.MaxResults)
		}
		list, pages = append(list, out.ChatConfigurationRevisions...), pages+1
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return list, pages
		}
	}
}

// told returns a history as text, one line per entry with its changes behind it.
func told(list []chat.Revision) string {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%d of %d: %s by %s", r.Revision, r.Life, r.Operation, r.Action)
		if r.RestoredRevision != 0 {
			fmt.Fprintf(&b, " of %d", r.RestoredRevision)
		}
		fmt.Fprintf(&b, ", compared with %d", r.Compared)
		if r.Deleted {
			b.WriteString(", deleted")
		}
		b.WriteString("\n")
		for line := range strings.Lines(lines(r.Changes)) {
			b.WriteString("\t" + line)
		}
	}
	return b.String()
}

// withSecret returns the Configuration of a Slack bot that opens to all, with the given secret.
func withSecret(fill string) *secret.Text {
	return chattest.Ptr(secret.Text(chattest.With(
		`{"SlackSigningSecret":"`+strings.Repeat(fill, 32)+`"}`, chattest.OpenToAll)))
}

// TestHistoryTellsWhatChanged holds that every kind of change has an entry that says by whom, when
// and what, with secrets as digests only.
func TestHistoryTellsWhatChanged(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "a"} })
	start := h.Clock.Now()
	h.Clock.Advance(time.Minute)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), Status: "Inactive"})
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: withSecret("b")})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	kind := "chatconfiguration"
	must(h.Tag(h.Ctx, &chat.TagRequest{ResourceType: kind, ResourceIDs: []string{"one"},
		Tags: map[string]string{"team": "b", "env": "test"}}))
	must(h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: kind, ResourceIDs: []string{"one"}, TagKeys: []string{"env"}}))
	must(h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: kind, ResourceID: "one",
		NewResourceGroupID: "rg-1"}))
	must(h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}))
	_, err := h.Delete(from(h.Ctx, "the request", "192.0.2.1"), &chat.DeleteRequest{Name: "one"})
	must(nil, err)
	list, _ := h.revisions(h.Ctx, "one", 50)
	digest := func(path string, changes []chat.Change) (before, after string) {
		for _, c := range changes {
			if c.Path != path {
				continue
			}
			if c.Before != nil {
				before = *c.Before
			}
			if c.After != nil {
				after = *c.After
			}
		}
		for _, d := range []string{before, after} {
			if d != "" && (len(d) != len("digest:")+16 || !strings.HasPrefix(d, "digest:")) {
				t.Errorf("%s: digest = %q", path, d)
			}
		}
		return before, after
	}
	if len(list) != 8 {
		t.Fatalf("%d entries", len(list))
	}
	_, first := digest("Configuration.SlackSigningSecret", list[7].Changes)
	before, second := digest("Configuration.SlackSigningSecret", list[5].Changes)
	_, token := digest("Webhook", list[7].Changes)
	rotatedFrom, rotated := digest("Webhook", list[1].Changes)
	if first == "" || before != first || second == first || second == "" || token == "" || rotatedFrom != token ||
		rotated == token {
		t.Errorf("digests: %s, %s → %s; %s, %s → %s", first, before, second, token, rotatedFrom, rotated)
	}
	chattest.Equal(t, "the history", told(list), strings.NewReplacer("{1}", first, "{2}", second, "{3}", token,
		"{4}", rotated, "{5}", strings.TrimPrefix(chattest.OpenToAll, `"Permissions":`)).Replace(
		`8 of 1: Deleted by DeleteChatConfiguration, compared with 7, deleted
7 of 1: Rotated by RotateChatWebhook, compared with 6
	Webhook: {3} → {4}
6 of 1: Updated by ChangeResourceGroup, compared with 5
	ResourceGroupId: - → rg-1
5 of 1: Updated by UntagResources, compared with 4
	Tags.env: test → -
4 of 1: Updated by TagResources, compared with 3
	Tags.team: a → b
	Tags.env: - → test
3 of 1: Updated by UpdateChatConfiguration, compared with 2
	Configuration.SlackSigningSecret: {1} → {2}
	Configuration.Permissions: - → {5}
2 of 1: Updated by UpdateChatConfiguration, compared with 1
	Status: Active → Inactive
	RamRole: - → Ops
1 of 1: Created by CreateChatConfiguration, compared with 0
	Type: - → Slack
	Status: - → Active
	Webhook: - → {3}
	Tags.team: - → a
	Configuration.SlackSigningSecret: - → {1}
`))
	last := list[0]
	last.Changes = nil
	chattest.Equal(t, "the deletion", last, chat.Revision{Revision: 8, Life: 1, Deleted: true, Compared: 7,
		Date:      start.Add(time.Minute).UTC().Format("2006-01-02T15:04:05+00:00"),
		Operation: chat.OperationDeleted, Action: "DeleteChatConfiguration", Caller: chattest.Administrator.AccessKeyID,
		RequestId: "the request", SourceAddress: "192.0.2.1"})

	// The same entries, one by one.
	for _, want := range list {
		out, err := h.GetRevision(h.Ctx, &chat.GetRevisionRequest{Name: "one", Revision: &want.Revision})
		if err != nil {
			t.Fatal(err)
		}
		chattest.Equal(t, "the entry alone", out.ChatConfigurationRevision, want)
		if got := out.ChatConfiguration; got.Revision != want.Revision || got.Outputs != "" ||
			!strings.Contains(got.Configuration, `"SlackSigningSecret":"******"`) {
			t.Errorf("the configuration then: %+v", got)
		}
	}
}

// TestPagesOfHistory holds that pages of every size give the same entries, and what each costs.
func TestPagesOfHistory(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for i := range 119 {
		h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr(fmt.Sprintf("Ops%d", i))})
	}
	all, pages := h.revisions(h.Ctx, "one", 100)
	if len(all) != chat.DefaultHistory || pages != 1 || all[0].Revision != 120 || all[98].Revision != 22 ||
		all[99].Revision != 1 || all[98].Compared != 1 {
		t.Errorf("%d entries on %d pages: %s", len(all), pages, told(all))
	}
	for _, n := range []int64{1, 2, 7, 33, 50, 99} {
		list, pages := h.revisions(h.Ctx, "one", n)
		if want := (len(all) + int(n) - 1) / int(n); pages != want {
			t.Errorf("%d pages of %d, want %d", pages, n, want)
		}
		chattest.Equal(t, fmt.Sprintf("in pages of %d", n), list, all)
	}
	h.Spy.Reset()
	costs := func(what, want string, err error) {
		t.Helper()
		if got := h.Spy.Took(); err != nil || got != want {
			t.Errorf("%s costs %s, want %s; %v", what, got, want, err)
		}
		h.Spy.Reset()
	}
	page, err := h.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "one"})
	costs("a page of 50", "Get Query", err)
	_, err = h.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "one", NextToken: page.NextToken})
	costs("the next page", "Get Query", err)
	_, err = h.GetRevision(h.Ctx, &chat.GetRevisionRequest{Name: "one", Revision: new(int64(22))})
	costs("one entry", "Get Get", err)
	_, err = h.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "one", NextToken: "x"})
	chattest.WantError(t, "a forged token", err, fault.InvalidNextToken, "NextToken")
	h.MustCreate("two")
	_, err = h.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "two", NextToken: page.NextToken})
	chattest.WantError(t, "the token of another name", err, fault.InvalidNextToken, "NextToken")
}

// TestAPageOfHistoryHasABoundedSize holds that large changes make short pages.
func TestAPageOfHistoryHasABoundedSize(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for i := range 30 {
		names := make([]string, 900)
		for j := range names {
			names[j] = fmt.Sprintf(`"%s-%d-%d"`, strings.Repeat("u", 50), i, j)
		}
		h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(
			chattest.With(chattest.Slack, `"UserGroups":{"g`+fmt.Sprint(i)+`":[`+strings.Join(names, ",")+`]}`)))})
	}
	list, pages := h.revisions(h.Ctx, "one", 100)
	if len(list) != 31 || pages < 2 || pages > 5 {
		t.Errorf("%d entries on %d pages", len(list), pages)
	}
}

// TestHistoryOfAnEarlierLife holds that entries of an earlier life are for callers with the
// permission by the tags that it had at its end, that others see nothing of it, and that neither is
// another life's.
func TestHistoryOfAnEarlierLife(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "b"} })
	kind := "chatconfiguration"
	if _, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: kind, ResourceIDs: []string{"one"},
		Tags: map[string]string{"team": "a"}}); err != nil {
		t.Fatal(err)
	}
	h.MustDelete("one")
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "b"} })
	h.MustDelete("one")
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "b"} })
	team := func(name string) context.Context {
		return chattest.As(t.Context(), callerOf(t, "CCK"+name,
			`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/team":"`+
				name+`"}}}`))
	}
	numbers := func(list []chat.Revision) (out []int64) {
		for _, r := range list {
			out = append(out, r.Revision)
			if r.Operation == chat.OperationCreated && (r.Compared != 0 || r.Life != r.Revision) {
				t.Errorf("the beginning of a life: %+v", r)
			}
		}
		return out
	}
	get := func(ctx context.Context, n int64) error {
		_, err := h.GetRevision(ctx, &chat.GetRevisionRequest{Name: "one", Revision: &n})
		return err
	}
	for _, n := range []int64{1, 2, 3, 100} {
		all, pages := h.revisions(h.Ctx, "one", n)
		if got := numbers(all); !slices.Equal(got, []int64{6, 5, 4, 3, 2, 1}) {
			t.Errorf("an administrator sees %v", got)
		}
		if want := (6 + int(n) - 1) / int(n); pages != want {
			t.Errorf("an administrator has %d pages of %d, want %d", pages, n, want)
		}
		own, pages := h.revisions(team("b"), "one", n)
		if got := numbers(own); !slices.Equal(got, []int64{6, 5, 4}) {
			t.Errorf("team b sees %v", got)
		}
		if want := (3 + int(n) - 1) / int(n); pages != want {
			t.Errorf("team b has %d pages of %d, want %d: an empty page would tell of what is hidden", pages, n, want)
		}
	}
	for n := range int64(8) {
		err := get(h.Ctx, n)
		switch {
		case n == 0:
			chattest.WantError(t, "revision 0", err, fault.InvalidParameter, "Revision", "use 1 or more")
		case n == 7:
			chattest.WantError(t, "revision 7", err, fault.NotFound, "Revision", `has no revision 7`)
		case err != nil:
			t.Errorf("revision %d: %v", n, err)
		}
		if n > 0 && n < 4 { // as if there were none
			chattest.WantError(t, "team b gets what is hidden", get(team("b"), n), fault.NotFound, "Revision",
				fmt.Sprintf(`Chat configuration "one" has no revision %d that the caller may read`, n))
		} else if n > 3 && n < 7 && get(team("b"), n) != nil {
			t.Errorf("team b, revision %d: %v", n, get(team("b"), n))
		}
	}
	chattest.WantError(t, "team a gets a revision", get(team("a"), 2), fault.NoPermission, "")
	_, err := h.ListRevisions(team("a"), &chat.ListRevisionsRequest{Name: "one"})
	chattest.WantError(t, "team a lists", err, fault.NoPermission, "")

	// A page that begins within an earlier life is for those who may read that life.
	page, err := h.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "one", MaxResults: new(int64(4))})
	if err != nil || page.NextToken == "" {
		t.Fatal(err)
	}
	rest, err := h.ListRevisions(team("b"), &chat.ListRevisionsRequest{Name: "one", MaxResults: new(int64(4)),
		NextToken: page.NextToken})
	if err != nil || len(rest.ChatConfigurationRevisions) > 0 || rest.NextToken != "" {
		t.Errorf("team b with another caller's token: %+v, %v", rest, err)
	}
	// After its deletion the last tags count.
	h.MustDelete("one")
	if list, _ := h.revisions(team("b"), "one", 100); !slices.Equal(numbers(list), []int64{7, 6, 5, 4}) {
		t.Errorf("team b sees %v", numbers(list))
	}
	h.Tamper(table.Change{Deletes: []table.Delete{{Sort: chat.HistoryKey("one", 3)}}})
	rest, err = h.ListRevisions(team("b"), &chat.ListRevisionsRequest{Name: "one", MaxResults: new(int64(4)),
		NextToken: page.NextToken})
	if err != nil || len(rest.ChatConfigurationRevisions) > 0 {
		t.Errorf("without the end of the life, team b: %+v, %v", rest, err)
	}
}

// TestRevisionsAreRefused checks the errors of both actions.
func TestRevisionsAreRefused(t *testing.T) {
	h := newHouse(t)
	for about, c := range map[string]struct {
		list  chat.ListRevisionsRequest
		code  fault.Code
		param string
	}{
		"no name":         {chat.ListRevisionsRequest{}, fault.MissingParameter, "Name"},
		"a bad name":      {chat.ListRevisionsRequest{Name: "a b"}, fault.InvalidParameter, "Name"},
		"an unknown name": {chat.ListRevisionsRequest{Name: "two"}, fault.NotFound, "Name"},
		"a bad region":    {chat.ListRevisionsRequest{Name: "one", RegionID: "x"}, fault.InvalidRegion, "RegionId"},
		"a page too large": {chat.ListRevisionsRequest{Name: "one", MaxResults: new(int64(101))},
			fault.InvalidParameter, "MaxResults"},
	} {
		_, err := h.ListRevisions(h.Ctx, &c.list)
		chattest.WantError(t, "ListRevisions with "+about, err, c.code, c.param)
		if c.param == "MaxResults" {
			continue
		}
		_, err = h.GetRevision(h.Ctx, &chat.GetRevisionRequest{RegionID: c.list.RegionID, Name: c.list.Name,
			Revision: new(int64(1))})
		chattest.WantError(t, "GetRevision with "+about, err, c.code, c.param)
	}
	_, err := h.GetRevision(h.Ctx, &chat.GetRevisionRequest{Name: "one"})
	chattest.WantError(t, "GetRevision without one", err, fault.MissingParameter, "Revision")
}

// TestHistoryOfBefore holds that records from before digests were kept are compared by their
// secrets, also after the ring was rotated.
func TestHistoryOfBefore(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for _, sort := range []string{"c#one", chat.HistoryKey("one", 1)} {
		item := h.Item(sort)
		h.Tamper(table.Change{Puts: []table.Put{{Sort: sort, Revision: 1,
			Value: chattest.Reencode(item.Value, func(m map[string]any) { delete(m, "set") })}}})
	}
	s := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1)) // the key 1 is no longer current
	for _, in := range []*chat.UpdateRequest{{Name: "one", RamRole: chattest.Ptr("Ops")},
		{Name: "one", Configuration: withSecret("b")}} {
		if _, err := s.Update(h.Ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	s = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 3, 2, 1))
	out, err := s.ListRevisions(h.Ctx, &chat.ListRevisionsRequest{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	list := out.ChatConfigurationRevisions
	chattest.Equal(t, "an update of a record from before", lines(list[1].Changes), "RamRole: - → Ops\n")
	if got := list[0].Changes; len(got) != 2 || got[0].Path != "Configuration.SlackSigningSecret" ||
		got[0].Before == nil {
		t.Errorf("a new secret: %s", lines(got))
	}
	if got := lines(list[2].Changes); !strings.Contains(got, "Configuration.SlackSigningSecret: - → digest:") {
		t.Errorf("the creation: %s", got)
	}
	// Without the old key, its secrets stay masked.
	lost := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 3, 2))
	got, err := lost.GetRevision(h.Ctx, &chat.GetRevisionRequest{Name: "one", Revision: new(int64(1))})
	if err != nil || !strings.Contains(lines(got.ChatConfigurationRevision.Changes),
		"Configuration.SlackSigningSecret: - → ******") {
		t.Errorf("without its key: %+v, %v", got, err)
	}
}
