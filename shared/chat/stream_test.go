package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// Configurations whose Receive is Stream.
const (
	streamSlack  = `{"Receive":"Stream","SlackAppToken":"xapp-planted-1"}`
	streamWeChat = `{"Receive":"Stream","WeChatBotId":"aib-1","WeChatBotSecret":"planted-1"}`
	streamFeishu = `{"Receive":"Stream","FeishuAppId":"cli_a1","FeishuAppSecret":"planted-1"}`
)

// TestReceive holds which settings each Receive needs, and what is said if they are missing.
func TestReceive(t *testing.T) {
	const aes = `"WeChatEncodingAesKey":"plantedAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3"`
	webhook := func(text string) string { return chattest.With(text, `"Receive":"Webhook"`) }
	stream := func(text string) string { return chattest.With(text, `"Receive":"Stream"`) }
	for _, c := range []struct {
		about, as, text string
		want            string // of the error; empty: accepted
	}{
		{"DingTalk by webhook", "DingTalk", webhook(minDingTalk), ""},
		{"DingTalk by stream, with the same settings", "DingTalk", stream(minDingTalk), ""},
		{"Feishu by stream, without a key", "Feishu", streamFeishu, ""},
		{"Feishu by stream, with the key of webhooks", "Feishu", stream(minFeishu), ""},
		{"Slack by stream, without a signing secret", "Slack", streamSlack, ""},
		{"Slack by webhook, with the token of streams", "Slack", chattest.With(chattest.Slack,
			`"SlackAppToken":"xapp-1"`), ""},
		{"WeCom by stream, without an app", "WeChat", streamWeChat, ""},
		{"WeCom by stream, with the app of webhooks", "WeChat", chattest.With(streamWeChat,
			`"WeChatCorpId":"ww1","WeChatAgentId":1,"WeChatSecret":"planted","WeChatToken":"planted",`+aes), ""},
		{"Teams by webhook", "Teams", webhook(minTeams), ""},
		{"Teams by stream", "Teams", stream(minTeams), "Configuration.Receive: Microsoft Teams has no connections " +
			"that chatconf can open; write Webhook, or leave it out."},
		{"another word", "Slack", `{"Receive":"stream"}`,
			`Configuration.Receive: "stream" is not Webhook or Stream; write Stream.`},
		{"no text", "DingTalk", chattest.With(minDingTalk, `"Receive":7`),
			`Configuration.Receive: is a number; write a string of Webhook or Stream.`},
		{"Slack by stream, without its token", "Slack", stream(chattest.Slack),
			"Configuration.SlackAppToken: is missing, and Receive Stream needs it; write xapp- and up to 250 " +
				"printable ASCII characters without blanks (app-level token with the scope connections:write)."},
		{"Slack by stream, with the bot's token", "Slack", `{"Receive":"Stream","SlackAppToken":"xoxb-planted-1"}`,
			"Configuration.SlackAppToken: is not xapp- and up to 250 printable ASCII characters without blanks."},
		{"Slack without anything", "Slack", `{}`,
			"Configuration.SlackSigningSecret: is missing, and Receive Webhook needs it; write 8 to 256 printable " +
				"ASCII characters without blanks (Signing Secret of the app)."},
		{"Feishu by webhook, with the settings of a stream", "Feishu",
			strings.Replace(streamFeishu, "Stream", "Webhook", 1),
			"Configuration.FeishuEncryptKey: is missing, and Receive Webhook needs it; write 1 to 256 printable " +
				"ASCII characters without blanks (Encrypt Key of events and callbacks)."},
		{"WeCom by stream, with nothing and two mistakes", "WeChat", `{"Receive":"Stream","WeChatAgentId":"x"}`,
			`Configuration.WeChatAgentId: "x" is not 1 to 20 digits. Configuration.WeChatBotId: is missing, and ` +
				"Receive Stream needs it; write 1 to 128 printable ASCII characters without blanks (Bot ID of an " +
				"intelligent robot (智能机器人), such as aib…). Configuration.WeChatBotSecret: is missing, and Receive " +
				"Stream needs it; write 1 to 256 printable ASCII characters without blanks (Secret of the " +
				"intelligent robot)."},
		{"WeCom by stream, with a token of before alone", "WeChat", chattest.With(streamWeChat,
			`"WeChatTokenPrevious":"planted"`),
			"Configuration.WeChatToken: is missing; WeChatTokenPrevious needs it."},
		{"Feishu by stream, with a key of before alone", "Feishu", chattest.With(streamFeishu,
			`"FeishuEncryptKeyPrevious":"planted"`),
			"Configuration.FeishuEncryptKey: is missing; FeishuEncryptKeyPrevious needs it."},
	} {
		text, secrets, _, err := chat.Settle(platformOf(t, c.as), c.text, never, zeros)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
		if _, made := secrets["WeChatToken"]; made != strings.Contains(c.text, `"WeChatToken"`) {
			t.Errorf("%s: it has a token: %v; %s", c.about, made, text)
		}
	}
}

// The names of a platform's console mean the settings of streams, too.
func TestConsoleNamesOfStreams(t *testing.T) {
	for as, text := range map[string]string{
		"Slack":  `{"Receive":"Stream","App-Level Token":"xapp-planted-1"}`,
		"WeChat": `{"Receive":"Stream","Bot ID":"aib-1","WeComBotSecret":"planted-1"}`,
	} {
		if _, _, _, err := chat.Settle(platformOf(t, as), text, never, zeros); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// streamsOf returns the streams of the test's account and region: "name@revision".
func (h *house) streamsOf() string {
	h.T.Helper()
	list, err := h.Streams(context.Background())
	if err != nil {
		h.T.Fatalf("Streams: %v", err)
	}
	var names []string
	for _, s := range list {
		if s.Ref.Account != chattest.Account {
			h.T.Errorf("Streams has %v", s.Ref)
		}
		name := fmt.Sprintf("%s@%d", s.Ref.Name, s.Revision)
		if s.Ref.Region != chattest.Region {
			name = s.Ref.Region + "/" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestStreams holds that every kind of write keeps the streams: they are those of active
// configurations whose Receive is Stream, at their revision.
func TestStreams(t *testing.T) {
	h := newHouse(t)
	resource := []string{"one"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		about string
		do    func() error
		want  string
	}{
		{"nothing", func() error { return nil }, ""},
		{"a webhook", func() error { h.MustCreate("hook"); return nil }, ""},
		{"a stream is created", func() error {
			h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = streamSlack })
			return nil
		}, "one@1"},
		{"an inactive one is created", func() error {
			h.MustCreate("off", func(in *chat.CreateRequest) { in.Configuration, in.Status = streamSlack, "Inactive" })
			return nil
		}, "one@1"},
		{"it is activated", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "off", Status: "Active"})
			return nil
		}, "off@2 one@1"},
		{"it is deactivated", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "off", Status: "Inactive"})
			return nil
		}, "one@1"},
		{"tags are added", func() error {
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: resourceType, ResourceIDs: resource,
				Tags: map[string]string{"a": "1"}})
			return err
		}, "one@2"},
		{"tags are removed", func() error {
			_, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType, ResourceIDs: resource, All: true})
			return err
		}, "one@3"},
		{"the group changes", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
				ResourceID: "one", NewResourceGroupID: "rg"})
			return err
		}, "one@4"},
		{"the URL is rotated", func() error {
			_, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"})
			return err
		}, "one@5"},
		{"a secret is rotated", func() error {
			_, err := h.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: "one", Key: "SlackAppToken",
				Value: "xapp-planted-2"})
			return err
		}, "one@6"},
		{"it is copied", func() error {
			_, err := h.Copy(h.Ctx, &chat.CopyRequest{Name: "one", DestinationName: "two"})
			return err
		}, "one@6 two@1"},
		{"it is copied to another region", func() error {
			_, err := h.Copy(h.Ctx, &chat.CopyRequest{Name: "one", DestinationName: "two",
				DestinationRegionID: "us-east-1"})
			return err
		}, "one@6 two@1 us-east-1/two@1"},
		{"it becomes a webhook", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(chattest.With(
				chattest.Slack, `"SlackAppToken":"******"`)))})
			return nil
		}, "two@1 us-east-1/two@1"},
		{"the stream is restored", func() error {
			_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: chattest.Ptr[int64](1)})
			return err
		}, "one@8 two@1 us-east-1/two@1"},
		{"it is deleted", func() error { h.MustDelete("one"); return nil }, "two@1 us-east-1/two@1"},
		{"it is restored after that", func() error {
			_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: chattest.Ptr[int64](3)})
			return err
		}, "one@10 two@1 us-east-1/two@1"},
		{"a webhook becomes a stream", func() error {
			h.MustUpdate(&chat.UpdateRequest{Name: "hook", Configuration: chattest.Ptr[secret.Text](streamSlack)})
			return nil
		}, "hook@2 one@10 two@1 us-east-1/two@1"},
		{"all are deleted", func() error {
			for _, name := range []string{"hook", "one", "two"} {
				h.MustDelete(name)
			}
			_, err := h.Delete(h.Ctx, &chat.DeleteRequest{RegionID: "us-east-1", Name: "two"})
			return err
		}, ""},
	} {
		must(c.do())
		chattest.Equal(t, "streams after "+c.about, h.streamsOf(), c.want)
		h.MustAgree()
	}
}

// TestStreamsOfMany holds that Streams goes over all pages, and over names that need escapes.
func TestStreamsOfMany(t *testing.T) {
	h := newHouse(t)
	h.createNamed(numberedNames(table.MaxGet+20),
		func(_ int, in *chat.CreateRequest) { in.Configuration = streamSlack })
	other := chat.Caller{Account: "2234567890123456", Policies: chattest.Administrator.Policies}
	if _, err := h.Create(chattest.As(h.Ctx, &other), &chat.CreateRequest{Name: "a_b", RegionID: "us-east-1",
		Type: "WeChat", Configuration: streamWeChat}); err != nil {
		t.Fatal(err)
	}
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "s#%ZZ"}}}) // it must not hide the others
	h.Spy.Reset()
	list, err := h.Streams(context.Background())
	if err != nil || len(list) != table.MaxGet+21 {
		t.Fatalf("%d streams, %v", len(list), err)
	}
	chattest.Equal(t, "calls", h.Spy.Took(), "Query Query Query Query")
	chattest.Equal(t, "the last stream", list[len(list)-1], chat.StreamBot{Ref: command.Ref{Account: other.Account,
		Region: "us-east-1", Name: "a_b", Life: "1795420800000-1"}, Revision: 1})
}

// TestCostOfStreams holds that a stream's first write in a partition costs one Write more, and that
// nothing else does.
func TestCostOfStreams(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ name, configuration, want string }{
		{"hook", chattest.Slack, "Query Write"},
		{"one", streamSlack, "Query Write Write"},
		{"two", streamSlack, "Query Write"},
	} {
		h.Spy.Reset()
		h.MustCreate(c.name, func(in *chat.CreateRequest) { in.Configuration = secret.Text(c.configuration) })
		chattest.Equal(t, "calls for "+c.name, h.Spy.Took(), c.want)
	}
}

// TestStreamsThatFail holds what happens when the table fails: a partition that cannot be listed
// gets no stream.
func TestStreamsThatFail(t *testing.T) {
	h := newHouse(t)
	broken := errors.New("the disk is on fire")
	fail := func(verb string, at int) {
		h.Spy.Reset()
		h.Spy.Before = func(v string, n int) error {
			if v == verb && n == at {
				return broken
			}
			return nil
		}
	}
	fail("Write", 1)
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: streamSlack})
	chattest.WantError(t, "Create without a list of partitions", err, fault.Internal, "")
	h.Spy.Before = nil
	chattest.Equal(t, "streams", h.streamsOf(), "")
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = streamSlack })
	for n := range 2 {
		fail("Query", n+1)
		list, err := h.Streams(context.Background())
		chattest.WantError(t, fmt.Sprint("Streams that fails at Query ", n+1), err, fault.Internal, "")
		if list != nil {
			t.Errorf("Streams = %v", list)
		}
	}
	h.Spy.Before = nil
	if err := h.Spy.Table.Write(h.Ctx, "streams/partitions", table.Change{Puts: []table.Put{{Sort: "x"}}}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Streams(context.Background())
	chattest.WantError(t, "Streams with an invalid name of a partition", err, fault.Internal, "")
}

// TestStreamOfATamperedRecord holds that a configuration that cannot be read is not written, since
// its stream is unknown.
func TestStreamOfATamperedRecord(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = streamSlack })
	item := h.Item("c#one")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chattest.Reencode(item.Value,
		func(m map[string]any) { m["configuration"] = `"Receive"planted` }), Revision: 1}}})
	_, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one"})
	chattest.WantError(t, "Delete", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
	_, err = h.Tag(h.Ctx, &chat.TagRequest{ResourceType: resourceType, ResourceIDs: []string{"one"},
		Tags: map[string]string{"a": "1"}})
	chattest.WantError(t, "Tag", err, fault.Internal, "")
	_, err = h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
	chattest.WantError(t, "Get", err, fault.Internal, "")
	chattest.Equal(t, "streams", h.streamsOf(), "one@1")
}

// TestEndpointOfAStream holds that the data plane sees the Receive, and the platform's own code in
// its settings.
func TestEndpointOfAStream(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", streamWeChat })
	ref := command.Ref{Account: chattest.Account, Region: chattest.Region, Name: "one"}
	e, err := h.OpenConfiguration(h.Ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "Receive", e.Receive, command.ReceiveStream)
	chattest.Equal(t, "Settings", e.Settings, map[string]secret.Text{"Receive": "Stream", "WeChatBotId": "aib-1",
		"WeChatBotSecret": "planted-1"})
	chattest.Equal(t, "Outputs without the secrets of webhooks", decodeOutputs(t, h.MustGet("one").Outputs),
		map[string]string{"URL": h.URL("one")})
	got := h.MustGet("one").Outputs
	if !strings.Contains(got, "long connection") || strings.Contains(got, "AesKey") {
		t.Errorf("Outputs = %s", got)
	}
	// The secrets of the webhook are made when it is used, and kept until they are removed.
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr[secret.Text](minWeChat)})
	made := h.stored("one").Secrets["WeChatToken"]
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(chattest.With(streamWeChat,
		`"WeChatToken":"******","WeChatEncodingAesKey":"******"`)))})
	if got := decodeOutputs(t, h.MustGet("one").Outputs)["Token"]; got != made {
		t.Errorf("Token = %q, want %q", got, made)
	}
}

// TestPlatformsWithStreams holds what New refuses of a platform's description.
func TestPlatformsWithStreams(t *testing.T) {
	steps := func(string) []string { return nil }
	setting := command.Setting{Key: "XKey", Shape: command.Text(9), Help: "h"}
	for _, c := range []struct {
		receive string
		setup   func(string) []string
		ok      bool
	}{
		{"", nil, true}, {"Stream", steps, true}, {"Webhook", steps, true},
		{"Stream", nil, false}, {"Post", steps, false},
	} {
		setting.For = c.receive
		p := command.Platform{Type: "X", Settings: []command.Setting{setting}, StreamSetup: c.setup}
		err := chat.CheckPlatform(p)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "is not a Receive of the platform") {
			t.Errorf("a setting for %q: %v", c.receive, err)
		}
	}
}
