package chat_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

// newTags returns an update of the tags of a configuration.
func newTags(name string, tags map[string]string) *chat.UpdateRequest {
	return &chat.UpdateRequest{Name: name, Tags: &tags}
}

// TestAnUpdateSetsTheTags holds that an update can replace all tags, in the one revision and the
// one write of its other changes, and that a check says so before.
func TestAnUpdateSetsTheTags(t *testing.T) {
	h, outbox := announcing(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Tags = map[string]string{"env": "dev", "team": "a", "old": ""}
	})
	h.take(outbox, "one")
	in := newTags("one", map[string]string{"env": "prod", "team": "a", "new": ""})
	in.Status, in.ClientToken = "Inactive", "token"
	check := *in
	check.CheckOnly = true
	h.Clock.Advance(time.Minute)
	before := h.Dump()
	checked := h.MustUpdate(&check)
	chattest.Equal(t, "the table after the check", h.Dump(), before)
	h.Spy.Reset()
	got := h.MustUpdate(in)
	chattest.Equal(t, "calls", h.Spy.Took(), "Get Query Write")
	chattest.Equal(t, "the revision", got.ChatConfiguration.Revision, int64(2))
	chattest.Equal(t, "the tags", h.MustGet("one").Tags, *in.Tags)
	list, _ := h.revisions(h.Ctx, "one", 50)
	const want = "2 of 1: Updated by UpdateChatConfiguration, compared with 1\n\tStatus: Active → Inactive\n" +
		"\tTags.env: dev → prod\n\tTags.old:  → -\n\tTags.new: - → \n"
	chattest.Equal(t, "the history", told(list[:1]), want)
	chattest.Equal(t, "the changes of the check", checked.Changes, list[0].Changes)
	events := h.take(outbox, "one")
	if len(events) != 1 {
		t.Fatalf("the events are %+v", events)
	}
	chattest.Equal(t, "the event", changesOf(events[0]), "Status: Active → Inactive; "+
		"Tags.env: dev → prod; Tags.old:  → -; Tags.new: - → ")
	h.MustAgree() // also of the indexes
	chattest.Equal(t, "repeated", h.MustUpdate(in).ChatConfiguration, got.ChatConfiguration)

	// Setting the tags that are there already makes no revision. Nor does removing all tags of a
	// configuration without tags.
	in.ClientToken = ""
	h.Spy.Reset()
	chattest.Equal(t, "of the same", h.MustUpdate(in).ChatConfiguration.Revision, int64(2))
	chattest.Equal(t, "calls for the same", h.Spy.Took(), "Get")
	h.MustUpdate(newTags("one", map[string]string{}))
	chattest.Equal(t, "no tags", len(h.MustGet("one").Tags), 0)
	chattest.Equal(t, "none again", h.MustUpdate(newTags("one", nil)).ChatConfiguration.Revision, int64(3))
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Active"})
	h.MustAgree()

	// A token is for one request: with other tags it is another one.
	in.ClientToken = "token"
	in.Tags = &map[string]string{}
	_, err := h.Update(h.Ctx, in)
	chattest.WantError(t, "other tags", err, fault.IdempotencyMismatch, "ClientToken")
}

// The limits are those of TagResources, and are said with all other mistakes.
func TestMistakesInTheTagsOfAnUpdate(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	before := h.Dump()
	in := newTags("one", map[string]string{"acs:x": "", "a": "http://b", "": "", "ok": ""})
	in.Status, in.Configuration = "Asleep", chattest.Ptr[secret.Text](`{"SlackTeam":"x"}`)
	for _, check := range []bool{true, false} {
		in.CheckOnly = check
		_, err := h.Update(h.Ctx, in)
		chattest.WantError(t, "several mistakes", err, fault.InvalidParameter, "Tags", `"acs:x"`, `"http://b"`,
			"has 0 characters", "Asleep", "SlackTeam")
	}
	many := make(map[string]string)
	for i := range chat.MaxTags + 1 {
		many[fmt.Sprintf("k%02d", i)] = ""
	}
	_, err := h.Update(h.Ctx, newTags("one", many))
	chattest.WantError(t, "too many", err, fault.InvalidParameter, "Tags", "There are 21 tags; the most is 20.")
	chattest.Equal(t, "the table", h.Dump(), before)
	delete(many, "k00")
	h.MustUpdate(newTags("one", many))
	other := make(map[string]string)
	for key := range many {
		other["other-"+key] = ""
	}
	h.MustUpdate(newTags("one", other)) // all at once, in one write
	h.MustAgree()
}

// TestTagsOfAnUpdateArePermitted holds that an update needs the permissions to tag and to untag for
// what it changes, with the tags before and after, and each other permission with both, too.
func TestTagsOfAnUpdateArePermitted(t *testing.T) {
	h := newHouse(t)
	for _, env := range []string{"dev", "prod"} {
		h.MustCreate(env, func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": env, "team": "a"} })
	}
	allow := func(actions, env string) string {
		condition := ""
		if env != "" {
			condition = `,"Condition":{"StringEquals":{"oos:tag/env":"` + env + `"}}`
		}
		return `{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"` + condition + `}`
	}
	as := func(statements ...string) context.Context {
		return chattest.As(t.Context(), callerOf(t, "CCKsome", statements...))
	}
	const update, tag, untag, group, pass = `"oos:UpdateChatConfiguration"`, `"oos:TagResources"`,
		`"oos:UntagResources"`, `"oos:ChangeResourceGroup"`, `"ram:PassRole"`
	type tags = map[string]string
	const would = " with the tags that it would have"
	on := func(action, name, with string) string {
		return strings.Trim(action, `"`) + " on acs:oos:cn-hangzhou:" + chattest.Account +
			":chatconfiguration/" + name + with
	}
	role := func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("Ops") }
	regroup := func(in *chat.UpdateRequest) { in.ResourceGroupID = chattest.Ptr("rg-1") }
	// A caller without permission is not told that this is wrong.
	asleep := func(in *chat.UpdateRequest) { in.Status = "Asleep" }
	for about, c := range map[string]struct {
		ctx     context.Context
		name    string
		tags    tags
		edit    func(*chat.UpdateRequest)
		missing []string // nil: it is allowed
	}{
		"a tag is added without Tag": {as(allow(update+","+untag, "")), "dev", tags{"env": "dev", "team": "a", "x": ""},
			asleep, []string{on(tag, "dev", "")}},
		"a tag is changed without Tag": {as(allow(update+","+untag, "")), "dev", tags{"env": "dev", "team": "b"}, nil,
			[]string{on(tag, "dev", "")}},
		"a tag is removed without Untag": {as(allow(update+","+tag, "")), "dev", tags{"env": "dev"}, asleep,
			[]string{on(untag, "dev", "")}},
		"all tags are removed without Untag": {as(allow(update+","+tag, "")), "dev", tags{}, nil,
			[]string{on(untag, "dev", "")}},
		"one tag takes another's place": {as(allow(update, "")), "dev", tags{"env": "dev", "x": ""}, nil,
			[]string{on(tag, "dev", ""), on(untag, "dev", "")}},
		"the tags stay": {as(allow(update, "")), "dev", tags{"env": "dev", "team": "a"}, nil, nil},
		"a tag is added with Tag": {as(allow(update+","+tag, "")), "dev", tags{"env": "dev", "team": "a", "x": ""}, nil,
			nil},
		"a tag goes with Untag": {as(allow(update+","+untag, "")), "dev", tags{"env": "dev"}, nil, nil},
		"dev takes prod in": {as(allow(`"oos:*"`, "dev")), "prod", tags{"env": "dev"}, asleep,
			[]string{on(update, "prod", ""), on(tag, "prod", "")}},
		"dev lets go": {as(allow(`"oos:*"`, "dev")), "dev", tags{"env": "prod", "team": "a"}, nil,
			[]string{on(tag, "dev", would), on(update, "dev", would)}},
		"dev lets go of all": {as(allow(`"oos:*"`, "dev")), "dev", tags{}, nil,
			[]string{on(untag, "dev", would), on(update, "dev", would)}},
		"dev changes another tag": {as(allow(`"oos:*"`, "dev")), "dev", tags{"env": "dev", "team": "b"}, nil, nil},
		"dev moves what it leaves": {as(allow(update, "dev"), allow(tag, "")), "dev",
			tags{"env": "prod", "team": "a"}, nil, []string{on(update, "dev", would)}},
		"a group with the new tags": {as(allow(update+","+tag, ""), allow(group, "dev")), "dev",
			tags{"env": "prod", "team": "a"}, regroup, []string{on(group, "dev", would)}},
		"a group with the present tags": {as(allow(update+","+tag, ""), allow(group, "prod")), "dev",
			tags{"env": "prod", "team": "a"}, regroup, []string{on(group, "dev", "")}},
		"a role with the new tags": {as(allow(update+","+tag, ""), allow(pass, "dev")), "dev",
			tags{"env": "prod", "team": "a"}, role, []string{"ram:PassRole on "}},
		"a role for the new tags": {as(allow(update+","+tag, ""), allow(pass, "prod")), "dev",
			tags{"env": "prod", "team": "a"}, role, nil},
		"without anything": {as(allow(`"oos:Get*"`, "")), "dev", tags{"x": ""}, asleep,
			[]string{on(update, "dev", ""), on(tag, "dev", "")}},
	} {
		t.Run(about, func(t *testing.T) {
			at := h.MustGet(c.name).Revision
			in := newTags(c.name, c.tags)
			if c.edit != nil {
				c.edit(in)
			}
			before := h.Dump()
			_, err := h.Update(c.ctx, in)
			if c.missing == nil {
				if err != nil {
					t.Fatal(err)
				}
				chattest.Equal(t, "the tags", h.MustGet(c.name).Tags, c.tags)
				h.mustRestore(h.Ctx, c.name, at)
				return
			}
			chattest.WantError(t, "the update", err, fault.NoPermission, "", c.missing...)
			if n := strings.Count(err.Error(), " on acs:"); n != len(c.missing) {
				t.Errorf("%d permissions are missing, want %d: %v", n, len(c.missing), err)
			}
			chattest.Equal(t, "the table", h.Dump(), before)
		})
	}
	// Nobody learns tags by trying revisions, and a check needs the same as the request.
	some := as(allow(update+`,"oos:GetChatConfiguration"`, ""))
	in := newTags("dev", nil)
	for _, in.CheckOnly = range []bool{true, false} {
		in.Revision = chattest.Ptr(h.MustGet("dev").Revision - 1)
		_, err := h.Update(some, in)
		chattest.WantError(t, "another revision", err, fault.Conflict, "Revision")
		in.Revision = nil
		_, err = h.Update(some, in)
		chattest.WantError(t, "no tags", err, fault.NoPermission, "", on(untag, "dev", ""))
	}
	_, err := h.Update(some, newTags("none", tags{"a": "b"}))
	chattest.WantError(t, "of nothing", err, fault.NotFound, "Name")
}
