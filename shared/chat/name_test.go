package chat_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
)

func TestNameOfAConfiguration(t *testing.T) {
	h := newHouse(t)
	for i, name := range []string{
		"a", "7", "-", "_", "chatOps-qiwei", "TestChatConfig-9be97b40", strings.Repeat("n", 200),
		"al", "alibab", "my-aliyun", "ac", "ali-cloud", "xacs",
	} {
		h.MustCreate(name)
		if got, want := h.MustGet(name).Name, name; got != want {
			t.Errorf("name %d: Get = %q, want %q", i, got, want)
		}
	}
	for _, c := range []struct {
		about, name string
		code        fault.Code
		texts       []string
	}{
		{"no name", "", fault.MissingParameter, []string{"Name is mandatory"}},
		{"a name one too long", strings.Repeat("n", 201), fault.InvalidParameter,
			[]string{"201", "the most is 200", `"nnn`}},
		{"a name that is far too long is cut in the message", strings.Repeat("n", 100_000),
			fault.InvalidParameter, []string{"100000", "…"}},
		{"a name with a dot", "a.b", fault.InvalidParameter, []string{`"a.b"`}},
		{"a name with a slash", "a/b", fault.InvalidParameter, []string{`"a/b"`}},
		{"a name with the separator of sort keys", "a#b", fault.InvalidParameter, []string{`"a#b"`}},
		{"a name with a blank", "a b", fault.InvalidParameter, []string{`"a b"`}},
		{"a name with a final newline", "a\n", fault.InvalidParameter, []string{`"a\n"`}},
		{"a name with a zero byte", "a\x00", fault.InvalidParameter, []string{`"a\x00"`}},
		{"a name of letters beyond ASCII", "钉钉-ops", fault.InvalidParameter, []string{`"钉钉-ops"`}},
		{"a name that is not UTF-8", "a\xff", fault.InvalidParameter, []string{`"a\xff"`}},
		{"a name that begins with aliyun", "aliyun1", fault.InvalidParameter,
			[]string{`"aliyun1"`, "starts with aliyun"}},
		{"a name that is a reserved word", "acs", fault.InvalidParameter, []string{"starts with acs"}},
		{"a reserved word in mixed case", "AliBaba-x", fault.InvalidParameter, []string{"starts with alibaba"}},
		{"another reserved word in upper case", "ALICLOUD_", fault.InvalidParameter, []string{"starts with alicloud"}},
	} {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: c.name, Type: "Slack", Configuration: chattest.Slack})
		chattest.WantError(t, "Create of "+c.about, err, c.code, "Name", c.texts...)
		var e *fault.Error
		if errors.As(err, &e) && len(e.Message) > 400 {
			t.Errorf("Create of %s: a message of %d bytes", c.about, len(e.Message))
		}
		_, err = h.Get(h.Ctx, &chat.GetRequest{Name: c.name})
		chattest.WantError(t, "Get of "+c.about, err, c.code, "Name", c.texts...)
		_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: c.name})
		chattest.WantError(t, "Update of "+c.about, err, c.code, "Name", c.texts...)
		_, err = h.Delete(h.Ctx, &chat.DeleteRequest{Name: c.name})
		chattest.WantError(t, "Delete of "+c.about, err, c.code, "Name", c.texts...)
	}
	h.MustAgree()
}

// TestWordParameters holds the rules of the parameters that are one word, on create and on update.
func TestWordParameters(t *testing.T) {
	const bad = fault.InvalidParameter
	for _, c := range []struct {
		about string
		in    chat.CreateRequest
		code  fault.Code // Internal: it is taken
		param string
		texts []string
	}{
		{about: "nothing beyond what is mandatory"},
		{about: "a role of 64 of all characters", in: chat.CreateRequest{RamRole: "AZaz09.@-_" +
			strings.Repeat("r", 54)}},
		{"a role of 65", chat.CreateRequest{RamRole: strings.Repeat("r", 65)}, bad,
			"RamRole", []string{`"rrr`, "1 to 64"}},
		{"a role's ARN", chat.CreateRequest{RamRole: "acs:ram::1:role/Ops"}, bad, "RamRole",
			[]string{`"acs:ram::1:role/Ops"`, "without acs:ram:"}},
		{"a role with a blank", chat.CreateRequest{RamRole: "a b"}, bad, "RamRole", []string{`"a b"`}},

		{about: "a group of 64", in: chat.CreateRequest{ResourceGroupID: "rg-" + strings.Repeat("a", 61)}},
		{about: "a group of one letter, as in the official example", in: chat.CreateRequest{ResourceGroupID: "s"}},
		{"a group of 65", chat.CreateRequest{ResourceGroupID: strings.Repeat("g", 65)}, bad,
			"ResourceGroupId", []string{`"ggg`}},
		{"a group with a separator", chat.CreateRequest{ResourceGroupID: "rg#1"}, bad, "ResourceGroupId",
			[]string{`"rg#1"`, "rg-acfmxh4em5jncda"}},

		{about: "a status in any case", in: chat.CreateRequest{Status: "iNACTIVE"}},
		{"an unknown status", chat.CreateRequest{Status: "Paused"}, bad, "Status",
			[]string{`"Paused"`, "Active or Inactive"}},

		{about: "the longest client token", in: chat.CreateRequest{ClientToken: "!~" + strings.Repeat("c", 62)}},
		{"a client token that is too long", chat.CreateRequest{ClientToken: strings.Repeat("c", 65)}, bad,
			"ClientToken", []string{"1 to 64"}},
		{"a client token with a blank", chat.CreateRequest{ClientToken: "a b"}, bad, "ClientToken", nil},
		{"a client token beyond ASCII", chat.CreateRequest{ClientToken: "é"}, bad, "ClientToken", nil},

		{about: "a type in another case", in: chat.CreateRequest{Type: "sLACK"}},
		{"an unknown type", chat.CreateRequest{Type: "Matrix"}, bad, "Type",
			[]string{`"Matrix"`, "DingTalk, WeChat, Feishu, Slack, Teams"}},
	} {
		h := newHouse(t)
		in := c.in
		in.Name, in.Configuration = "created", chattest.Slack
		if in.Type == "" {
			in.Type = "Slack"
		}
		_, createErr := h.Create(h.Ctx, &in)
		h.MustCreate("updated")
		up := &chat.UpdateRequest{Name: "updated", Type: in.Type, RamRole: &in.RamRole,
			ResourceGroupID: &in.ResourceGroupID, Status: in.Status}
		if up.ClientToken = in.ClientToken; c.code == fault.Internal && in.ClientToken != "" {
			up.ClientToken = in.ClientToken[1:] + "u" // another, of the same length
		}
		_, updateErr := h.Update(h.Ctx, up)
		if c.code != fault.Internal {
			chattest.WantError(t, "Create with "+c.about, createErr, c.code, c.param, c.texts...)
			chattest.WantError(t, "Update with "+c.about, updateErr, c.code, c.param, c.texts...)
			continue
		}
		if createErr != nil || updateErr != nil {
			t.Errorf("with %s: Create: %v, Update: %v", c.about, createErr, updateErr)
			continue
		}
		created, updated := h.MustGet("created"), h.MustGet("updated")
		if created.RamRole != in.RamRole || created.ResourceGroupId != in.ResourceGroupID ||
			!strings.EqualFold(created.Status, cmp.Or(in.Status, "Active")) {
			t.Errorf("with %s: created %+v", c.about, created)
		}
		if updated.RamRole != in.RamRole || updated.ResourceGroupId != in.ResourceGroupID ||
			updated.Status != created.Status || updated.Type != "Slack" {
			t.Errorf("with %s: updated %+v", c.about, updated)
		}
		h.MustAgree()
	}
}

func TestTypeIsMandatoryOnCreate(t *testing.T) {
	h := newHouse(t)
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Configuration: chattest.Slack})
	chattest.WantError(t, "Create without type", err, fault.MissingParameter, "Type", "Type is mandatory")
}

func TestRegions(t *testing.T) {
	h := newHouse(t)
	for _, id := range []string{"us-east-1", "a-1", "cn-" + strings.Repeat("a", 37)} {
		h.MustCreate("one", func(in *chat.CreateRequest) { in.RegionID = id })
		out, err := h.Get(h.Ctx, &chat.GetRequest{RegionID: id, Name: "one"})
		if err != nil || !strings.Contains(out.ChatConfiguration.Outputs, "/"+id+"/one/") {
			t.Errorf("Get in %s: %+v, %v", id, out, err)
		}
	}
	_, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
	chattest.WantError(t, "Get in the default region of what is in others", err, fault.NotFound, "Name")

	for about, id := range map[string]string{
		"a region in upper case":                     "CN-hangzhou",
		"a region without a dash":                    "hangzhou",
		"a region that leads out of its partition":   "cn-a/../b",
		"a region that begins with a dash":           "-cn",
		"a region that ends in a dash":               "cn-",
		"a region of 41 characters":                  "cn-" + strings.Repeat("a", 38),
		"a region with a separator":                  "cn-#",
		"a region that is too short":                 "a-",
		"the partition of another account":           "cn-a/1",
		"a region that is the partition of the keys": "keys",
	} {
		for action, call := range everyAction(h.Service, func() string { return id }) {
			chattest.WantError(t, action+" in "+about, call(h.Ctx), fault.InvalidRegion, "RegionId",
				"is not a region", strconv.Quote(id))
		}
	}
}

// MustPrepare makes what the calls of everyAction change. Its first revision is another one.
func (h *house) MustPrepare() {
	h.T.Helper()
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Status, in.Tags = "Inactive", map[string]string{"env": "prod", "a": "b"}
	})
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Active"})
}

// everyAction returns a call of each action in a region, right in everything else.
func everyAction(s *chat.Service, region func() string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"CreateChatConfiguration": func(ctx context.Context) error {
			_, err := s.Create(ctx, &chat.CreateRequest{RegionID: region(), Name: "new",
				Type: "Slack", Configuration: chattest.Slack})
			return err
		},
		"CopyChatConfiguration": func(ctx context.Context) error {
			_, err := s.Copy(ctx, &chat.CopyRequest{RegionID: region(), Name: "one", DestinationName: "new"})
			return err
		},
		"GetChatConfiguration": func(ctx context.Context) error {
			_, err := s.Get(ctx, &chat.GetRequest{RegionID: region(), Name: "one"})
			return err
		},
		"ListChatConfigurations": func(ctx context.Context) error {
			_, err := s.List(ctx, &chat.ListRequest{RegionID: region()})
			return err
		},
		"UpdateChatConfiguration": func(ctx context.Context) error {
			_, err := s.Update(ctx, &chat.UpdateRequest{RegionID: region(), Name: "one", Status: "Inactive"})
			return err
		},
		"DeleteChatConfiguration": func(ctx context.Context) error {
			_, err := s.Delete(ctx, &chat.DeleteRequest{RegionID: region(), Name: "one"})
			return err
		},
		"TagResources": func(ctx context.Context) error {
			_, err := s.Tag(ctx, &chat.TagRequest{RegionID: region(), ResourceType: "chatconfiguration",
				ResourceIDs: []string{"one"}, Tags: map[string]string{"new": "tag"}})
			return err
		},
		"UntagResources": func(ctx context.Context) error {
			_, err := s.Untag(ctx, &chat.UntagRequest{RegionID: region(), ResourceType: "chatconfiguration",
				ResourceIDs: []string{"one"}, All: true})
			return err
		},
		"ListTagResources": func(ctx context.Context) error {
			_, err := s.ListTagResources(ctx, &chat.ListTagResourcesRequest{RegionID: region(),
				ResourceType: "chatconfiguration"})
			return err
		},
		"ListTagKeys": func(ctx context.Context) error {
			_, err := s.ListTagKeys(ctx, &chat.ListTagKeysRequest{RegionID: region(),
				ResourceType: "chatconfiguration"})
			return err
		},
		"ListTagValues": func(ctx context.Context) error {
			_, err := s.ListTagValues(ctx, &chat.ListTagValuesRequest{RegionID: region(),
				ResourceType: "chatconfiguration", Key: "env"})
			return err
		},
		"ChangeResourceGroup": func(ctx context.Context) error {
			_, err := s.ChangeResourceGroup(ctx, &chat.ChangeResourceGroupRequest{RegionID: region(),
				ResourceType: "chatconfiguration", ResourceID: "one", NewResourceGroupID: "rg-new"})
			return err
		},
		"RotateChatWebhook": func(ctx context.Context) error {
			_, err := s.Rotate(ctx, &chat.RotateRequest{RegionID: region(), Name: "one"})
			return err
		},
		"RotateChatSecret": func(ctx context.Context) error {
			_, err := s.RotateSecret(ctx, &chat.RotateSecretRequest{RegionID: region(), Name: "one",
				Key: "SlackSigningSecret", Value: "signing-secret-1"})
			return err
		},
		"SimulateChatPermission": func(ctx context.Context) error {
			_, err := s.Simulate(ctx, &chat.SimulateRequest{RegionID: region(), Name: "one", UserID: "u",
				ConversationID: "c", Command: "restart"})
			return err
		},
		"CheckChatConfiguration": func(ctx context.Context) error {
			_, err := s.CheckConfiguration(ctx, &chat.CheckConfigurationRequest{RegionID: region(), Name: "one"})
			return err
		},
		"ListChatCommands": func(ctx context.Context) error {
			_, err := s.ListCommands(ctx, &chat.ListCommandsRequest{RegionID: region(), Name: "one"})
			return err
		},
		"ListChatConfigurationRevisions": func(ctx context.Context) error {
			_, err := s.ListRevisions(ctx, &chat.ListRevisionsRequest{RegionID: region(), Name: "one"})
			return err
		},
		"GetChatConfigurationRevision": func(ctx context.Context) error {
			_, err := s.GetRevision(ctx, &chat.GetRevisionRequest{RegionID: region(), Name: "one",
				Revision: chattest.Ptr[int64](1)})
			return err
		},
		"RestoreChatConfiguration": func(ctx context.Context) error {
			_, err := s.Restore(ctx, &chat.RestoreRequest{RegionID: region(), Name: "one",
				Revision: chattest.Ptr[int64](1)})
			return err
		},
		"GetChatConfigurationHealth": func(ctx context.Context) error {
			_, err := s.Health(ctx, &chat.HealthRequest{RegionID: region(), Name: "one"})
			return err
		},
	}
}

func here() string { return "" }

func TestTagRules(t *testing.T) {
	h := newHouse(t)
	wide, emoji := strings.Repeat("é", 128), strings.Repeat("😀", 96)
	for about, tags := range map[string]map[string]string{
		"a tag without value":                     {"k": ""},
		"the longest ASCII tag":                   {strings.Repeat("k", 128): strings.Repeat("v", 128)},
		"a tag of 128 letters of two bytes":       {wide: wide},
		"a tag of 96 runes of four bytes":         {emoji: emoji},
		"a tag of 128 of what escaping makes 3":   {strings.Repeat("%", 128): strings.Repeat("#", 128)},
		"a tag of separators":                     {"#": "$", "!": " ", "a#b#c": "%23", "\"": "'"},
		"reserved words that are not at the head": {"my-aliyun": "acs:x", "acs": "1"},
		"a value that begins as a reserved word":  {"k": "aliyun"},
		"twenty tags":                             manyTags(20),
	} {
		name := fmt.Sprintf("tagged-%x", sha256.Sum256([]byte(about)))
		h.MustCreate(name, func(in *chat.CreateRequest) { in.Tags = tags })
		if got := h.MustGet(name).Tags; !maps.Equal(got, tags) {
			t.Errorf("%s: Get shows %q", about, got)
		}
		h.MustDelete(name)
		h.MustCreate(name)
		if _, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "ChatConfiguration",
			ResourceIDs: []string{name}, Tags: tags}); err != nil {
			t.Errorf("%s: Tag: %v", about, err)
		}
		if got := h.MustGet(name).Tags; !maps.Equal(got, tags) {
			t.Errorf("%s: after Tag, Get shows %q", about, got)
		}
	}
	h.MustCreate("one")
	for _, c := range []struct {
		about string
		tags  map[string]string
		texts []string
	}{
		{"an empty key", map[string]string{"": "v"}, []string{`key ""`, "0 characters"}},
		{"a key of 129 runes", map[string]string{strings.Repeat("é", 129): "v"}, []string{"key", "129 characters"}},
		{"a value of 129 runes", map[string]string{"k": strings.Repeat("é", 129)}, []string{"value", "129 characters"}},
		{"97 runes of four bytes in a key", map[string]string{strings.Repeat("😀", 97): ""},
			[]string{"key", "384 bytes"}},
		{"97 runes of four bytes in a value", map[string]string{"k": strings.Repeat("😀", 97)},
			[]string{"value", "384 bytes"}},
		{"a key that begins with aliyun", map[string]string{"AliYun-x": ""},
			[]string{`"AliYun-x"`, "starts with aliyun"}},
		{"a key that begins with acs:", map[string]string{"acs:x": ""}, []string{`"acs:x"`, "starts with acs:"}},
		{"a URL in a key", map[string]string{"see-http://x": ""}, []string{`"see-http://x"`, "URL"}},
		{"a URL in a value", map[string]string{"k": "https://x"}, []string{`"https://x"`, "URL"}},
		{"a control character in a key", map[string]string{"a\x00": ""}, []string{`"a\x00"`, "control"}},
		{"a newline in a value", map[string]string{"k": "a\n"}, []string{`"a\n"`, "control"}},
		{"a delete character in a value", map[string]string{"k": "a\x7f"}, []string{`"a\x7f"`, "control"}},
		{"a key that is not UTF-8", map[string]string{"\xff": ""}, []string{`"\xff"`, "UTF-8"}},
		{"a value that is not UTF-8", map[string]string{"k": "\xff"}, []string{`"\xff"`, "UTF-8"}},
		{"21 tags", manyTags(21), []string{"21 tags", "the most is 20"}},
	} {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: "Slack",
			Configuration: chattest.Slack, Tags: c.tags})
		chattest.WantError(t, "Create with "+c.about, err, fault.InvalidParameter, "Tags", c.texts...)
		_, err = h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "chatconfiguration",
			ResourceIDs: []string{"one"}, Tags: c.tags})
		chattest.WantError(t, "Tag with "+c.about, err, fault.InvalidParameter, "Tags", c.texts...)
		_, err = h.ListTagResources(h.Ctx, &chat.ListTagResourcesRequest{ResourceType: "chatconfiguration",
			Tags: c.tags})
		chattest.WantError(t, "ListTagResources with "+c.about, err, fault.InvalidParameter, "Tags", c.texts...)
	}
	h.MustAgree()
}

func manyTags(n int) map[string]string {
	tags := make(map[string]string, n)
	for i := range n {
		tags[fmt.Sprintf("key-%02d", i)] = fmt.Sprint("value-", i)
	}
	return tags
}

// TestLongestIndexEntry holds that every configuration that the rules take also fits into the sort
// keys of the store.
func TestLongestIndexEntry(t *testing.T) {
	h := newHouse(t)
	longest := strings.Repeat("n", 200)
	tags := make(map[string]string)
	for i := range 20 {
		tags[strings.Repeat("%", 127)+string(rune('!'+i))] = strings.Repeat("#", 128)
	}
	h.MustCreate(longest, func(in *chat.CreateRequest) {
		in.Tags, in.RamRole, in.ResourceGroupID = tags, strings.Repeat("r", 64), strings.Repeat("g", 64)
	})
	h.MustAgree()
	for key, value := range tags {
		out, err := h.List(h.Ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "tag:" + key, Value: value},
			{Name: "Name", Value: longest + "*"}}})
		if err != nil || len(out.ChatConfigurations) != 1 {
			t.Fatalf("List by %q: %+v, %v", key, out, err)
		}
	}
}
