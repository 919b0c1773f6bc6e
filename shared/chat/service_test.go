package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/platform"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestNewRefuses(t *testing.T) {
	spy, ring, all := chattest.NewSpy(t), chattest.NewRing(t, 1), platform.All().Descriptions()
	for about, build := range map[string]func() (*chat.Service, error){
		"no table":     func() (*chat.Service, error) { return chat.New(nil, ring, all, chat.Options{}) },
		"no ring":      func() (*chat.Service, error) { return chat.New(spy, nil, all, chat.Options{}) },
		"no platforms": func() (*chat.Service, error) { return chat.New(spy, ring, nil, chat.Options{}) },
		"a bad region": func() (*chat.Service, error) { return chat.New(spy, ring, all, chat.Options{Region: "Here"}) },
		"a quota below zero": func() (*chat.Service, error) {
			return chat.New(spy, ring, all, chat.Options{Quota: -1})
		},
		"a platform without type": func() (*chat.Service, error) {
			return chat.New(spy, ring, []command.Platform{{Title: "x"}}, chat.Options{})
		},
		"a setting without help": func() (*chat.Service, error) {
			return chat.New(spy, ring, []command.Platform{{Type: "X",
				Settings: []command.Setting{{Key: "K", Shape: command.Text(1)}}}}, chat.Options{})
		},
		"a generated setting whose shape makes nothing": func() (*chat.Service, error) {
			return chat.New(spy, ring, []command.Platform{{Type: "X", Settings: []command.Setting{
				{Key: "K", Secret: true, Generate: true, Help: "h", Shape: command.Text(1)},
			}}}, chat.Options{})
		},
		"an invalid setting that needs one": func() (*chat.Service, error) {
			return chat.New(spy, ring, []command.Platform{{Type: "X",
				Settings: []command.Setting{{Key: "K", Needs: "Other", Help: "h", Shape: command.Text(1)}}}},
				chat.Options{})
		},
		"a secret of before without the one of now": func() (*chat.Service, error) {
			return chat.New(spy, ring, []command.Platform{{Type: "X",
				Settings: []command.Setting{{Key: "KPrevious", Secret: true, Help: "h", Shape: command.Text(1)}}}},
				chat.Options{})
		},
		"an output that is not secret": func() (*chat.Service, error) {
			return chat.New(spy, ring, []command.Platform{{Type: "X",
				Settings: []command.Setting{{Key: "K", Output: "K", Help: "h", Shape: command.Text(1)}}}},
				chat.Options{})
		},
	} {
		if s, err := build(); err == nil || s != nil || !strings.HasPrefix(err.Error(), "chat: ") {
			t.Errorf("New with %s = %v, %v, want an error", about, s, err)
		}
	}
	for _, url := range []string{"example.com", "ftp://h", "https://", "https://u:planted@h", "https://h?planted",
		"https://h?", "https://h#planted", "https://h#", "https://%planted", "//h", `https://h/"planted`,
		`https://h/\planted`, "https://h/planted\xff"} {
		if s, err := chat.New(spy, ring, all, chat.Options{BaseURL: url}); err == nil || s != nil ||
			strings.Contains(err.Error(), "planted") {
			t.Errorf("New with base URL %q = %v, %v, want an error that does not show it", url, s, err)
		}
	}
	h := newHouseWith(t, chat.Options{BaseURL: "https://bots.example.com:8443/in/", Region: "us-east-1"})
	h.MustCreate("one")
	if got, want := h.MustGet("one").Outputs, `{"URL": "https://bots.example.com:8443/in/webhook/`+chattest.Account+
		`/us-east-1/one/`; !strings.HasPrefix(got, want) {
		t.Errorf("Outputs = %s, want it to begin with %s", got, want)
	}
}

func TestWhatCreateStoresIsWhatGetShows(t *testing.T) {
	h := newHouse(t)
	h.Clock.Advance(123456789 * time.Nanosecond)
	out := h.MustCreate("one", func(in *chat.CreateRequest) {
		in.RamRole, in.ResourceGroupID, in.Status, in.Tags = "Ops", "rg-1", "inactive",
			map[string]string{"env": "prod", "空": ""}
	})
	wantWritten := chat.Written{Name: "one", CreatedDate: "2026-11-23T08:00:00+00:00",
		UpdatedDate: "2026-11-23T08:00:00+00:00", Revision: 1}
	chattest.Equal(t, "Create", out.ChatConfiguration, wantWritten)
	chattest.Equal(t, "ETag of Create", out.ETag(), `"1"`)
	got, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	outputs := got.ChatConfiguration.Outputs
	chattest.Equal(t, "Get", got.ChatConfiguration, chat.Configuration{
		Name: "one", Type: "Slack", RamRole: "Ops", Configuration: `{"SlackSigningSecret":"******"}`,
		ResourceGroupId: "rg-1",
		CreatedDate:     "2026-11-23T08:00:00+00:00", UpdatedDate: "2026-11-23T08:00:00+00:00",
		Outputs: outputs, Status: "Inactive", Tags: map[string]string{"env": "prod", "空": ""}, Revision: 1,
		Secrets: []chat.SecretState{
			{Key: "SlackSigningSecret", SinceDate: "2026-11-23T08:00:00+00:00",
				Digest: h.raw("one").Set["SlackSigningSecret"].Digest},
			{Key: "Webhook", SinceDate: "2026-11-23T08:00:00+00:00"}},
	})
	chattest.Equal(t, "ETag of Get", got.ETag(), `"1"`)
	_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack})
	chattest.WantError(t, "Create of the same name", err, fault.AlreadyExists, "Name", `"one"`)
	chattest.Equal(t, "Get after the second Create", h.MustGet("one").Outputs, outputs)
	h.MustCreate("ONE") // is another name
	for _, name := range []string{"on", "onee", "two"} {
		_, err = h.Get(h.Ctx, &chat.GetRequest{Name: name})
		chattest.WantError(t, "Get of "+name, err, fault.NotFound, "Name", fmt.Sprintf("%q", name))
	}
	h.MustAgree()
}

func TestUpdateChangesOnlyWhatItIsGiven(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.RamRole, in.ResourceGroupID, in.Status, in.Tags = "Ops", "rg-1", "Inactive", map[string]string{"env": "prod"}
	})
	want := h.stored("one")
	for _, c := range []struct {
		about string
		in    chat.UpdateRequest
		edit  func(*chat.Stored) // nil: nothing changes, which makes no revision
	}{
		{"nothing", chat.UpdateRequest{}, nil},
		{"its own type", chat.UpdateRequest{Type: "slack"}, nil},
		{"all that it is", chat.UpdateRequest{RamRole: chattest.Ptr("Ops"), ResourceGroupID: chattest.Ptr("rg-1"),
			Status: "inactive", Configuration: chattest.Ptr[secret.Text](`{"SlackSigningSecret":"******"}`)}, nil},
		{"its secret", chat.UpdateRequest{Configuration: chattest.Ptr[secret.Text](chattest.Slack)}, nil},
		{"a role", chat.UpdateRequest{RamRole: chattest.Ptr("Dev")}, func(r *chat.Stored) { r.RamRole = "Dev" }},
		{"an empty role", chat.UpdateRequest{RamRole: chattest.Ptr("")}, func(r *chat.Stored) { r.RamRole = "" }},
		{"a group", chat.UpdateRequest{ResourceGroupID: chattest.Ptr("rg-2")},
			func(r *chat.Stored) { r.ResourceGroupID = "rg-2" }},
		{"an empty group", chat.UpdateRequest{ResourceGroupID: chattest.Ptr("")},
			func(r *chat.Stored) { r.ResourceGroupID = "" }},
		{"a status", chat.UpdateRequest{Status: "ACTIVE"}, func(r *chat.Stored) { r.Status = "Active" }},
		{"the configuration with its mask",
			chat.UpdateRequest{Configuration: chattest.Ptr[secret.Text](
				`{"BotName":"b","SlackSigningSecret":"******"}`)},
			func(r *chat.Stored) { r.Configuration = `{"BotName":"b","SlackSigningSecret":"******"}` }},
		{"a role at the right revision", chat.UpdateRequest{Revision: chattest.Ptr[int64](7),
			RamRole: chattest.Ptr("Ops")}, func(r *chat.Stored) { r.RamRole = "Ops" }},
		{"nothing at the right revision", chat.UpdateRequest{Revision: chattest.Ptr[int64](8)}, nil},
	} {
		h.Clock.Advance(1500 * time.Millisecond)
		c.in.Name = "one"
		out := h.MustUpdate(&c.in)
		if c.edit != nil {
			c.edit(want)
			want.Revision++
			want.Updated = h.Clock.Now()
		}
		got := h.stored("one")
		chattest.Equal(t, "after an update of "+c.about, got, want)
		chattest.Equal(t, "answer to an update of "+c.about, out.ChatConfiguration, chat.Written{
			Name: "one", CreatedDate: "2026-11-23T08:00:00+00:00",
			UpdatedDate: want.Updated.Format("2006-01-02T15:04:05") + "+00:00", Revision: want.Revision,
		})
		h.MustAgree()
	}
	h.Clock.Advance(-time.Hour)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Late")})
	if got := h.stored("one").Updated; !got.Equal(want.Updated) {
		t.Errorf("the clock went back, and so did Updated: %v, want %v", got, want.Updated)
	}
	_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Type: "Teams"})
	chattest.WantError(t, "Update to another type", err, fault.InvalidParameter, "Type", `"Teams"`,
		`"one"`, "cannot be changed", "Slack")
	_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: "none", Status: "Active"})
	chattest.WantError(t, "Update of what is not there", err, fault.NotFound, "Name", `"none"`)
}

func TestRevisionGuardsUpdateAndDelete(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.Touch("one")
	for _, stale := range []int64{-1, 0, 1, 3, 1 << 62} {
		_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Revision: &stale, Status: "Inactive"})
		chattest.WantError(t, fmt.Sprint("Update at revision ", stale), err, fault.Conflict, "Revision",
			`"one" is at revision 2`, fmt.Sprint("not ", stale))
		_, err = h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one", Revision: &stale})
		chattest.WantError(t, fmt.Sprint("Delete at revision ", stale), err, fault.Conflict, "Revision")
	}
	if got := h.MustGet("one"); got.Status != "Active" || got.Revision != 2 {
		t.Errorf("after refused updates: %+v", got)
	}
	if _, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one", Revision: chattest.Ptr[int64](2)}); err != nil {
		t.Errorf("Delete at the right revision: %v", err)
	}
	_, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one"})
	chattest.WantError(t, "Delete of what is not there", err, fault.NotFound, "Name", `"one"`)
	_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Revision: chattest.Ptr[int64](2)})
	chattest.WantError(t, "Update of what was deleted", err, fault.NotFound, "Name")
	h.MustAgree()
}

func TestDeleteLeavesNothingButHistory(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Tags, in.RamRole,
			in.ResourceGroupID = manyTags(20), "Ops", "rg"
	})
	out, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one"})
	if err != nil || out.Content != "Chat configuration deleted successfully." {
		t.Fatalf("Delete = %+v, %v", out, err)
	}
	for _, item := range h.Dump() {
		if !strings.HasPrefix(item.Sort, "h#") && !strings.HasPrefix(item.Sort, "c!") {
			t.Errorf("item %q is left", item.Sort)
		}
	}
	report := h.MustAgree()
	chattest.Equal(t, "Check", report, &chat.Report{Revisions: 2})
}

func TestHistory(t *testing.T) {
	h := newHouse(t)
	start := h.Clock.Now()
	ctx := from(h.Ctx, "REQ-1", "192.0.2.1")
	if _, err := h.Create(ctx, &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack,
		Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Second)
	event := callerOf(t, "", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	event.Name = "event"
	if _, err := h.Update(from(chattest.As(t.Context(), event), "REQ-2", ""),
		&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"),
			Configuration: chattest.Ptr(secret.Text(fullSlack))}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Tag(from(h.Ctx, "REQ-3", "::1"), &chat.TagRequest{ResourceType: "chatconfiguration",
		ResourceIDs: []string{"one"}, Tags: map[string]string{"c": "d"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Untag(from(h.Ctx, "REQ-4", "::1"), &chat.UntagRequest{ResourceType: "chatconfiguration",
		ResourceIDs: []string{"one"}, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ChangeResourceGroup(from(h.Ctx, "REQ-5", "::1"),
		&chat.ChangeResourceGroupRequest{ResourceType: "chatconfiguration", ResourceID: "one",
			NewResourceGroupID: "rg"}); err != nil {
		t.Fatal(err)
	}
	last := h.stored("one")
	if _, err := h.Delete(from(h.Ctx, "REQ-6", "::1"), &chat.DeleteRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	list := h.history("one")
	type line struct {
		Revision                                        int64
		Deleted                                         bool
		Action, Actor, IP, Request, Role, Group, Secret string
		Tags                                            map[string]string
		At                                              time.Duration
	}
	var got []line
	for _, e := range list {
		got = append(got, line{e.Stored.Revision, e.Deleted, e.Action, e.Actor, e.SourceIP, e.RequestID,
			e.Stored.RamRole, e.Stored.ResourceGroupID,
			e.Stored.Secrets["SlackSigningSecret"], e.Stored.Tags, e.At.Sub(start)})
	}
	ab, cd := map[string]string{"a": "b"}, map[string]string{"c": "d"}
	chattest.Equal(t, "history", got, []line{
		{1, false, "CreateChatConfiguration", "CCKadmin", "192.0.2.1", "REQ-1", "", "", "signing-secret-0", ab, 0},
		{2, false, "UpdateChatConfiguration", "event", "", "REQ-2", "Ops", "", "planted-1", ab, time.Second},
		{3, false, "TagResources", "CCKadmin", "::1", "REQ-3", "Ops", "", "planted-1",
			map[string]string{"a": "b", "c": "d"}, time.Second},
		{4, false, "UntagResources", "CCKadmin", "::1", "REQ-4", "Ops", "", "planted-1", cd, time.Second},
		{5, false, "ChangeResourceGroup", "CCKadmin", "::1", "REQ-5", "Ops", "rg", "planted-1", cd, time.Second},
		{6, true, "DeleteChatConfiguration", "CCKadmin", "::1", "REQ-6", "Ops", "rg", "planted-1", cd, time.Second},
	})
	last.Revision = 6
	chattest.Equal(t, "what history says was deleted", list[5].Stored, last)
}

// TestHistoryIsBounded holds that history keeps the first and the latest revisions, DefaultHistory
// of them, over all lives of a name.
func TestHistoryIsBounded(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.MustCreate("one-more") // whose history must not be touched
	for range 2*chat.DefaultHistory - 2 {
		h.Touch("one")
	}
	revisions := func() (list []int64) {
		for _, e := range h.history("one") {
			list = append(list, e.Stored.Revision)
		}
		return list
	}
	want := []int64{1}
	for n := int64(chat.DefaultHistory + 1); n < 2*chat.DefaultHistory; n++ {
		want = append(want, n)
	}
	chattest.Equal(t, "revisions kept", revisions(), want)
	chattest.Equal(t, "revisions kept of the neighbour", len(h.history("one-more")), 1)

	// A name that comes back goes on where it ended, even where most of its history is gone.
	h.MustDelete("one")
	h.Spy.Reset()
	if got, want := h.MustCreate("one").ChatConfiguration.Revision, int64(2*chat.DefaultHistory+1); got != want {
		t.Fatalf("the revision after a life of %d revisions is %d, want %d", 2*chat.DefaultHistory, got, want)
	}
	chattest.Equal(t, "calls of the create", h.Spy.Took(), "Query Write Query Query Write")
	_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Revision: chattest.Ptr[int64](1)})
	chattest.WantError(t, "Update at the first revision of the life before", err, fault.Conflict, "Revision")
	for range chat.DefaultHistory + 10 {
		h.Touch("one")
	}
	chattest.Equal(t, "number of revisions kept", len(revisions()), chat.DefaultHistory)
	h.MustAgree()
}

// TestHistoryFollowsItsSetting holds that history grows and shrinks with the number to keep, by a
// few deletions with each write, over all lives of a name, and loses none in between.
func TestHistoryFollowsItsSetting(t *testing.T) {
	h := newHouse(t)
	keeping := func(n int) {
		t.Helper()
		h.Service = h.ServiceWith(chat.Options{History: n}, h.Ring)
	}
	deleted := 0
	h.Spy.OnWrite = func(c *table.Change) error {
		deleted = 0
		for _, d := range c.Deletes {
			if strings.HasPrefix(d.Sort, "h#") {
				deleted++
			}
		}
		if deleted > 3 {
			t.Errorf("a write deletes %d revisions", deleted)
		}
		return nil
	}
	want := func(about string, n int) {
		t.Helper()
		list := h.history("one")
		last := list[len(list)-1].Stored.Revision
		for i, e := range list[1:] {
			if want := last - int64(len(list)-2-i); e.Stored.Revision != want {
				t.Fatalf("%s: entry %d has revision %d, want %d", about, i, e.Stored.Revision, want)
			}
		}
		if len(list) != n || list[0].Stored.Revision != 1 {
			t.Errorf("%s: %d revisions from %d on, want %d", about, len(list), list[0].Stored.Revision, n)
		}
	}
	touch := func(n int) {
		for range n {
			h.Touch("one")
		}
	}
	keeping(2)
	h.MustCreate("one")
	want("the first", 1)
	touch(9)
	want("two of ten", 2)
	keeping(6)
	touch(3)
	want("growing", 5)
	touch(9)
	want("six", 6)
	h.Service = h.ServiceWith(chat.Options{}, h.Ring)
	touch(120)
	want("the default", chat.DefaultHistory)
	keeping(110)
	touch(5)
	want("more than the default", 105)
	keeping(20)
	touch(10)
	want("shrinking", 85)
	h.MustDelete("one")
	h.MustCreate("one")
	want("shrinking, over a life's end", 81)
	h.MustDelete("one")
	h.mustRestore(h.Ctx, "one", 1)
	if err := h.tag(map[string]string{"a": "b"}, "one"); err != nil {
		t.Fatal(err)
	}
	want("shrinking, over a restore", 75)
	touch(28)
	want("twenty", 20)
	touch(1)
	if want("still twenty", 20); deleted != 1 {
		t.Errorf("a write deletes %d revisions", deleted)
	}
	h.MustAgree()
	for _, n := range []int{-1, 1, chat.MaxHistory + 1} {
		if _, err := chat.New(h.Spy, h.Ring, platform.All().Descriptions(), chat.Options{History: n}); err == nil {
			t.Errorf("history may keep %d revisions", n)
		}
	}
}

func TestRecreateContinuesRevisions(t *testing.T) {
	h := newHouse(t)
	var last int64
	for life := range 4 {
		got := h.MustCreate("one").ChatConfiguration.Revision
		if got != last+1 {
			t.Errorf("life %d begins at revision %d, want %d", life, got, last+1)
		}
		h.Touch("one")
		h.MustDelete("one")
		last = got + 2
	}
	first, second := h.history("one")[0].Stored.Secrets, h.history("one")[3].Stored.Secrets
	if first[chat.FieldWebhookToken] == second[chat.FieldWebhookToken] {
		t.Error("the webhook token of a former life came back")
	}
	h.MustAgree()
}

func TestQuota(t *testing.T) {
	h := newHouseWith(t, chat.Options{Quota: 3})
	for i := range 3 {
		h.MustCreate(fmt.Sprint("one-", i))
	}
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "over", Type: "Slack", Configuration: chattest.Slack})
	chattest.WantError(t, "Create over the quota", err, fault.QuotaExceeded, "ChatConfiguration",
		"There are 3", "cn-hangzhou", "the quota is 3")
	h.MustUpdate(&chat.UpdateRequest{Name: "one-0"})
	h.MustCreate("elsewhere", func(in *chat.CreateRequest) { in.RegionID = "us-east-1" })
	h.MustDelete("one-1")
	h.MustCreate("over")
	other := *chattest.Administrator
	other.Account = "9"
	if _, err := h.Create(chattest.As(t.Context(), &other), &chat.CreateRequest{Name: "over", Type: "Slack",
		Configuration: chattest.Slack}); err != nil {
		t.Errorf("Create in another account: %v", err)
	}
	h.MustAgree()
}

// TestQuotaIsSoft holds that creates at once may go over the quota, each by what was under way, and
// that the counters stay exact.
func TestQuotaIsSoft(t *testing.T) {
	const quota, callers = 10, 32
	h := newHouseWith(t, chat.Options{Quota: quota})
	var mu sync.Mutex
	var made int
	chattest.InParallel(t, 4*callers, func(i int) error {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: fmt.Sprint("one-", i),
			Type: "Slack", Configuration: chattest.Slack})
		if err == nil {
			mu.Lock()
			made++
			mu.Unlock()
		} else if fault.CodeOf(err) != fault.QuotaExceeded {
			return err
		}
		return nil
	})
	if made < quota || made > quota+callers {
		t.Errorf("%d were made, want %d to %d", made, quota, quota+callers)
	}
	if got := h.MustAgree().Configurations; got != made {
		t.Errorf("%d are there, want %d", got, made)
	}
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "over", Type: "Slack", Configuration: chattest.Slack})
	chattest.WantError(t, "Create over the quota", err, fault.QuotaExceeded, "ChatConfiguration")
}

func TestAccountsAndRegionsAreApart(t *testing.T) {
	h := newHouse(t)
	other := *chattest.Administrator
	other.Account = "9"
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"k": "v"} })
	for about, c := range map[string]struct {
		ctx    context.Context
		region string
	}{
		"another account": {chattest.As(t.Context(), &other), ""},
		"another region":  {h.Ctx, "us-east-1"},
	} {
		_, err := h.Get(c.ctx, &chat.GetRequest{RegionID: c.region, Name: "one"})
		chattest.WantError(t, "Get from "+about, err, fault.NotFound, "Name")
		list, err := h.List(c.ctx, &chat.ListRequest{RegionID: c.region})
		if err != nil || len(list.ChatConfigurations) != 0 || *list.TotalCount != 0 {
			t.Errorf("List from %s = %+v, %v", about, list, err)
		}
		tags, err := h.ListTagKeys(c.ctx, &chat.ListTagKeysRequest{RegionID: c.region,
			ResourceType: "chatconfiguration"})
		if err != nil || len(tags.Keys) != 0 {
			t.Errorf("ListTagKeys from %s = %+v, %v", about, tags, err)
		}
	}
}

// TestCallsOnTheTable pins what each action costs.
func TestCallsOnTheTable(t *testing.T) {
	h := newHouse(t)
	for i := range 120 {
		h.MustCreate(fmt.Sprintf("one-%03d", i), func(in *chat.CreateRequest) {
			in.Tags = map[string]string{"env": "prod", "n": fmt.Sprint(i % 2)}
			in.RamRole = "Ops"
		})
	}
	list := func(filters ...chat.Filter) func() error {
		return func() error {
			_, err := h.List(h.Ctx, &chat.ListRequest{Filters: filters})
			return err
		}
	}
	filter := func(name, value string) chat.Filter { return chat.Filter{Name: name, Value: value} }
	for _, c := range []struct {
		about, calls string
		call         func() error
	}{
		{"Get", "Get", func() error { _, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one-000"}); return err }},
		{"Create", "Query Write", func() error {
			h.MustCreate("new",
				func(in *chat.CreateRequest) { in.Tags = manyTags(20) })
			return nil
		}},
		{"Create with a ClientToken", "Query Query Write", func() error {
			h.MustCreate("new-2", func(in *chat.CreateRequest) { in.ClientToken = "t" })
			return nil
		}},
		{"a repeated Create", "Query Query", func() error {
			h.MustCreate("new-2", func(in *chat.CreateRequest) { in.ClientToken = "t" })
			return nil
		}},
		{"Update", "Get Write", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "one-000", Status: "Inactive"})
			return nil
		}},
		{"Update with a ClientToken", "Get Query Write", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "one-000", Status: "Active", ClientToken: "u"})
			return nil
		}},
		{"Update that changes nothing", "Get", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "one-000", Status: "Active"})
			return nil
		}},
		{"Update that changes nothing, with a ClientToken", "Get Query Write", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "one-000", Status: "Active", ClientToken: "v"})
			return nil
		}},
		{"Delete", "Get Write", func() error { h.MustDelete("new"); return nil }},
		{"a page of all", "Query", list()},
		{"a page by type", "Query Get", list(filter("Type", "Slack"))},
		{"a page by tag", "Query Get", list(filter("tag:env", "prod"))},
		{"a page by names", "Get", list(filter("Name", "one-001"), filter("Name", "one-002"))},
		{"a page by prefix", "Query", list(filter("Name", "one-*"))},
		{"a page by tag and prefix", "Query Get", list(filter("tag:env", "prod"), filter("Name", "one-*"))},
		{"a page by role of which all have the type", "Query Get",
			list(filter("RamRole", "Ops"), filter("Type", "Slack"))},
		{"nothing by type", "Query", list(filter("Type", "Teams"))},
		{"a page whose candidates are half right, the last rounds with a wider window", "Query Get Query Get Query Get",
			list(filter("tag:env", "prod"), filter("tag:n", "1"))},
		{"Tag of one", "Get Write", func() error {
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{"one-000"},
				Tags: map[string]string{"x": "y"}})
			return err
		}},
		{"Tag that changes nothing", "Get", func() error {
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{"one-000"},
				Tags: map[string]string{"x": "y"}})
			return err
		}},
		{"ChangeResourceGroup", "Get Write", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: "chatconfiguration",
				ResourceID: "one-000", NewResourceGroupID: "rg"})
			return err
		}},
		{"ChangeResourceGroup that changes nothing", "Get", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: "chatconfiguration",
				ResourceID: "one-000", NewResourceGroupID: "rg"})
			return err
		}},
		{"ListTagKeys", "Query Query Query", func() error {
			_, err := h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{ResourceType: "chatconfiguration"})
			return err
		}},
	} {
		h.Spy.Reset()
		if err := c.call(); err != nil {
			t.Errorf("%s: %v", c.about, err)
		}
		chattest.Equal(t, "calls of "+c.about, h.Spy.Took(), c.calls)
	}
}

// TestNoUpdateIsLost has 32 callers change one configuration at once.
func TestNoUpdateIsLost(t *testing.T) {
	const callers, each = 32, 4
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"BotName":"0"`))
	})
	text := func(n int) *secret.Text {
		return chattest.Ptr(secret.Text(fmt.Sprintf(`{"SlackSigningSecret":"******","BotName":"%d"}`, n)))
	}
	chattest.InParallel(t, callers, func(int) error {
		for done := 0; done < each; {
			// One more, by compare and set; who comes late reads again.
			got, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
			if err != nil {
				return err
			}
			var n int
			if _, err := fmt.Sscanf(got.ChatConfiguration.Configuration,
				`{"SlackSigningSecret":"******","BotName":"%d"}`, &n); err != nil {
				return err
			}
			_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Configuration: text(n + 1),
				Revision: &got.ChatConfiguration.Revision})
			switch {
			case err == nil:
				done++
			case fault.CodeOf(err) != fault.Conflict:
				return err
			}
		}
		return nil
	})
	got := h.MustGet("one")
	if want := fmt.Sprintf(`{"SlackSigningSecret":"******","BotName":"%d"}`, callers*each); got.Configuration != want {
		t.Errorf("Configuration = %s, want %s", got.Configuration, want)
	}
	if want := int64(1 + callers*each); got.Revision != want {
		t.Errorf("revision = %d, want %d", got.Revision, want)
	}
	if got := h.stored("one").Secrets["SlackSigningSecret"]; got != "signing-secret-0" {
		t.Errorf("the secret is %q", got)
	}
	h.MustAgree()
}

// TestBlindUpdatesAllHappen has 32 callers change one configuration at once without asking for a
// revision: each happens once.
func TestBlindUpdatesAllHappen(t *testing.T) {
	const callers = 32
	h := newHouse(t)
	h.MustCreate("one")
	chattest.InParallel(t, callers, func(i int) error {
		_, err := h.Tag(from(h.Ctx, fmt.Sprint("REQ-", i), ""), &chat.TagRequest{
			ResourceType: "chatconfiguration", ResourceIDs: []string{"one"},
			Tags: map[string]string{fmt.Sprint("k", i%16): fmt.Sprint(i)},
		})
		if err != nil {
			return err
		}
		_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr(fmt.Sprint("role-", i))})
		return err
	})
	got := h.MustGet("one")
	if len(got.Tags) != 16 || got.Revision != 1+2*callers {
		t.Errorf("%d tags at revision %d, want 16 at %d", len(got.Tags), got.Revision, 1+2*callers)
	}
	h.MustAgree()
}

// TestCreateOfOneNameByMany holds that of creates of one name at once exactly one happens.
func TestCreateOfOneNameByMany(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.MustDelete("one") // so that all trip over its history too
	var mu sync.Mutex
	codes := make(map[fault.Code]int)
	chattest.InParallel(t, 32, func(int) error {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			codes[-1]++
		} else {
			codes[fault.CodeOf(err)]++
		}
		return nil
	})
	chattest.Equal(t, "outcomes", codes, map[fault.Code]int{-1: 1, fault.AlreadyExists: 31})
	h.MustAgree()
}

// TestRaceBeforeWrite has somebody else act right before the first write of an action.
func TestRaceBeforeWrite(t *testing.T) {
	updateOne := func(ctx context.Context, s *chat.Service) error {
		_, err := s.Update(ctx, &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Late")})
		return err
	}
	for _, c := range []struct {
		about  string
		call   func(context.Context, *chat.Service) error
		meddle func(h *house)
		code   fault.Code
		param  string
	}{
		{"updated under an update that asks for a revision", func(ctx context.Context, s *chat.Service) error {
			_, err := s.Update(ctx, &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Late"),
				Revision: chattest.Ptr[int64](1)})
			return err
		}, func(h *house) { h.Touch("one") }, fault.Conflict, "Revision"},
		{"deleted under an update", updateOne, func(h *house) { h.MustDelete("one") }, fault.NotFound, "Name"},
		{"deleted under a delete", func(ctx context.Context, s *chat.Service) error {
			_, err := s.Delete(ctx, &chat.DeleteRequest{Name: "one"})
			return err
		}, func(h *house) { h.MustDelete("one") }, fault.NotFound, "Name"},
		{"deleted under a change of its group", func(ctx context.Context, s *chat.Service) error {
			_, err := s.ChangeResourceGroup(ctx, &chat.ChangeResourceGroupRequest{ResourceType: "chatconfiguration",
				ResourceID: "one", NewResourceGroupID: "g"})
			return err
		}, func(h *house) { h.MustDelete("one") }, fault.ResourceNotFound, "ResourceIds"},
		{"deleted under a tag", func(ctx context.Context, s *chat.Service) error {
			_, err := s.Tag(ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{"one"},
				Tags: map[string]string{"a": "b"}})
			return err
		}, func(h *house) { h.MustDelete("one") }, fault.ResourceNotFound, "ResourceIds"},
		{"deleted and made again under an update", updateOne,
			func(h *house) { h.MustDelete("one"); h.MustCreate("one") }, fault.Internal, ""},
		{"made under a create", func(ctx context.Context, s *chat.Service) error {
			_, err := s.Create(ctx, &chat.CreateRequest{Name: "two", Type: "Slack", Configuration: chattest.Slack})
			return err
		}, func(h *house) { h.MustCreate("two") }, fault.AlreadyExists, "Name"},
		{"made and deleted under a create", func(ctx context.Context, s *chat.Service) error {
			_, err := s.Create(ctx, &chat.CreateRequest{Name: "two", Type: "Slack", Configuration: chattest.Slack})
			return err
		}, func(h *house) { h.MustCreate("two"); h.MustDelete("two") }, fault.Internal, ""},
	} {
		h := newHouse(t)
		h.MustCreate("one")
		once := false
		h.Spy.OnWrite = func(*table.Change) error {
			if !once {
				once = true
				c.meddle(h)
			}
			return nil
		}
		err := c.call(h.Ctx, h.Service)
		if c.code != fault.Internal {
			chattest.WantError(t, c.about, err, c.code, c.param)
		} else if err != nil {
			t.Errorf("%s: %v", c.about, err)
		}
		h.MustAgree()
	}
}

// TestConflictWithoutEnd holds that an action gives up at last, and says that others are at it. It
// waits between its tries, by a clock that runs when nobody works.
func TestConflictWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.MustCreate("one")
		tries := 0
		h.Spy.OnWrite = func(*table.Change) error {
			tries++
			return fmt.Errorf("table: write: %w", &table.ConditionError{Key: table.Key{Partition: chattest.Partition,
				Sort: "c#one"}, If: table.AtRevision(1)})
		}
		start := time.Now()
		_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Status: "Inactive"})
		chattest.WantError(t, "Update against a wall", err, fault.Conflict, "", "Try again")
		if took := time.Since(start); tries != 100 || took > 100*32*time.Millisecond {
			t.Errorf("%d tries in %v, want 100 in 3.2 s at most", tries, took)
		}

		ctx, cancel := context.WithCancel(h.Ctx)
		h.Spy.OnWrite = func(*table.Change) error {
			cancel()
			return &table.ConditionError{Key: table.Key{Partition: chattest.Partition, Sort: "c#one"}}
		}
		_, err = h.Update(ctx, &chat.UpdateRequest{Name: "one", Status: "Inactive"})
		chattest.WantError(t, "Update that is cancelled while it waits", err, fault.Unavailable, "")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Update that is cancelled while it waits: %v", err)
		}
	})
}

// TestConfirm holds that nothing is written before Confirm agrees, by any action, and nothing at
// all when it does not.
func TestConfirm(t *testing.T) {
	replayed := errors.New("planted: nonce was used")
	for action := range everyAction(nil, here) {
		h := newHouse(t)
		h.MustPrepare()
		do := everyAction(h.Service, here)[action]
		before := h.Dump()
		h.Spy.Reset()
		asked := 0
		refusing := *chattest.Administrator
		refusing.Confirm = func(context.Context) error { asked++; return replayed }
		err := do(chattest.As(t.Context(), &refusing))
		if strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") ||
			strings.HasPrefix(action, "Simulate") {
			if err != nil || asked != 0 {
				t.Errorf("%s: asked %d times, %v; want a read not to ask", action, asked, err)
			}
			continue
		}
		chattest.WantError(t, action+" of a replay", err, fault.Internal, "")
		if !errors.Is(err, replayed) || asked != 1 {
			t.Errorf("%s: asked %d times, %v", action, asked, err)
		}
		if calls := h.Spy.Took(); strings.Contains(calls, "Write") {
			t.Errorf("%s of a replay made the calls %s", action, calls)
		}
		if diff := cmp.Diff(before, h.Dump()); diff != "" {
			t.Errorf("%s of a replay changed the table: %s", action, diff)
		}

		refusing.Confirm = func(context.Context) error {
			return &fault.Error{Code: fault.Conflict,
				Param: "p", Message: "No."}
		}
		chattest.WantError(t, action+" with an error of the domain", do(chattest.As(t.Context(), &refusing)),
			fault.Conflict, "p", "No.")

		agreeing := *chattest.Administrator
		agreeing.Confirm = func(context.Context) error {
			if strings.Contains(h.Spy.Took(), "Write") {
				t.Errorf("%s wrote before it asked", action)
			}
			return nil
		}
		if err := do(chattest.As(t.Context(), &agreeing)); err != nil {
			t.Errorf("%s of a request that is new: %v", action, err)
		}
	}
}
