package platform_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
)

// A standIn is a platform's API for the check of a configuration that is right.
type standIn struct {
	hosts    []string
	settings []string          // in addition to the example's, each followed by its value
	header   http.Header       // of every answer
	answers  map[string]string // by a part of the URL
	id       string            // of a conversation
	mistakes []mistake
}

// A mistake is an answer that makes a step find something else.
type mistake struct {
	name    string
	part    string // of the URL
	status  int
	body    string
	step    string
	state   string
	reason  string // a part of it
	setting [2]string
}

var none [2]string // no setting

const failed, notPossible = command.FindingFailed, command.FindingNotPossible

// checks are the stand-ins, by type. A platform whose API tells nothing has none.
var checks = map[string]standIn{
	"DingTalk": {
		hosts: []string{"api.dingtalk.com"},
		id:    "cidexample==", settings: []string{"DingTalkRobotCode", "robotexample"},
		answers: map[string]string{
			"oauth2/accessToken":       `{"accessToken":"not-a-real-token","expireIn":7200}`,
			"groups/robots/query":      `{"chatbotInstanceVOList":[{"robotCode":"other"},{"robotCode":"robotexample"}]}`,
			"robot/groupMessages/send": `{"processQueryKey":"k"}`,
		},
		mistakes: []mistake{
			{"the secret is refused", "oauth2/", 400, `{"code":"invalidClientIdOrSecret"}`, "token", failed,
				"DingTalkClientSecret", none},
			{"no listed address", "oauth2/", 403, `{"code":"Forbidden.AccessDenied.IpNotInWhiteList"}`, "token",
				failed, "add the public IP address", none},
			{"no token in the answer", "oauth2/", 200, `{}`, "token", failed, "status 200", none},
			{"the list of scopes", "none", 200, ``, "scopes", notPossible, "qyapi_robot_sendmsg", none},
			{"no permission to look", "robots/query", 403,
				`{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied"}`, "conversation", notPossible,
				"qyapi_chat_manage", none},
			{"another group", "robots/query", 200, `{"chatbotInstanceVOList":[{"robotCode":"other"}]}`,
				"conversation", failed, "not in the group", none},
			{"an unknown group", "robots/query", 400, `{"code":"invalid.openConversationId"}`, "conversation",
				failed, "no such conversation", none},
			{"an answer of another kind", "robots/query", 200, `{"chatbotInstanceVOList":"x"}`, "conversation",
				failed, "must be an array", none},
			{"no permission to send", "groupMessages", 403,
				`{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied"}`, "message", failed,
				"qyapi_robot_sendmsg", none},
		},
	},
	"WeChat": {
		hosts: []string{"qyapi.weixin.qq.com"},
		id:    "zhangsan",
		answers: map[string]string{
			"gettoken":     `{"errcode":0,"access_token":"not-a-real-token","expires_in":7200}`,
			"agent/get":    `{"errcode":0,"agentid":1000002,"close":0}`,
			"user/get":     `{"errcode":0,"userid":"zhangsan"}`,
			"message/send": `{"errcode":0}`,
		},
		mistakes: []mistake{
			{"the secret is refused", "gettoken", 200, `{"errcode":40001}`, "token", failed, "WeChatSecret", none},
			{"another company", "gettoken", 200, `{"errcode":40013}`, "token", failed, "WeChatCorpId", none},
			{"no trusted address", "agent/get", 200, `{"errcode":60020}`, "scopes", failed, "Trusted IPs", none},
			{"another app", "agent/get", 200, `{"errcode":301002}`, "scopes", failed, "WeChatAgentId", none},
			{"an app that is off", "agent/get", 200, `{"errcode":0,"close":1}`, "scopes", failed, "turn it on",
				none},
			{"no such person", "user/get", 200, `{"errcode":60111}`, "conversation", failed, "no such person",
				[2]string{"WeChatAibot", ""}},
			{"the group of a robot", "user/get", 200, `{"errcode":60111}`, "conversation", notPossible,
				"intelligent robot", none},
			{"a person who cannot see it", "message/send", 200, `{"errcode":81013}`, "message", failed, "visible",
				none},
			{"sent from no trusted address", "message/send", 200, `{"errcode":60020}`, "message", failed,
				"Trusted IPs", none},
			{"an unknown code", "message/send", 200, `{"errcode":12345}`, "message", failed, "12345", none},
		},
	},
	"Feishu": {
		hosts: []string{"open.feishu.cn"},
		id:    "oc_example",
		answers: map[string]string{
			"tenant_access_token": `{"code":0,"tenant_access_token":"not-a-real-token","expire":7200}`,
			"application/v6/scopes": `{"code":0,"data":{"scopes":[` +
				`{"scope_name":"im:message","grant_status":1,"scope_type":"tenant"},` +
				`{"scope_name":"im:message.p2p_msg:readonly","grant_status":1},` +
				`{"scope_name":"im:message.group_at_msg","grant_status":1}]}}`,
			"is_in_chat":                       `{"code":0,"data":{"is_in_chat":true}}`,
			"messages?receive_id_type=chat_id": `{"code":0}`,
		},
		mistakes: []mistake{
			{"the secret is refused", "tenant_access", 200, `{"code":10014}`, "token", failed, "FeishuAppSecret",
				none},
			{"another app", "tenant_access", 200, `{"code":10003}`, "token", failed, "FeishuAppId", none},
			{"no scopes", "scopes", 200, `{"code":0,"data":{"scopes":[{"scope_name":"im:message","grant_status":2},` +
				`{"scope_name":"im:message.p2p_msg","grant_status":1,"scope_type":"user"}]}}`, "scopes", failed,
				"lacks im:message.group_at_msg:readonly, im:message.p2p_msg:readonly, im:message:send_as_bot;",
				none},
			{"scopes of another kind", "scopes", 200, `{"code":0,"data":{"scopes":5}}`, "scopes", failed,
				"must be an array", none},
			{"the bot is not there", "is_in_chat", 200, `{"code":0,"data":{"is_in_chat":false}}`, "conversation",
				failed, "not in the chat", none},
			{"an unknown chat", "is_in_chat", 400, `{"code":232006}`, "conversation", failed, "no such chat",
				none},
			{"no scope to look", "is_in_chat", 400, `{"code":99991672}`, "conversation", notPossible,
				"im:chat.members:read", none},
			{"sent to a chat without the bot", "messages?", 400, `{"code":230002}`, "message", failed,
				"not in the chat", none},
		},
	},
	"Slack": {
		hosts:    []string{"slack.com"},
		id:       "C0EXAMPLE",
		settings: []string{"SlackBotToken", "not-a-real-token", "SlackTeamId", "T0EXAMPLE"},
		header:   http.Header{"X-Oauth-Scopes": {"chat:write,app_mentions:read"}},
		answers: map[string]string{
			"auth.test":          `{"ok":true,"team_id":"T0EXAMPLE"}`,
			"conversations.info": `{"ok":true,"channel":{"id":"C0EXAMPLE","is_member":true}}`,
			"chat.postMessage":   `{"ok":true}`,
		},
		mistakes: []mistake{
			{"the token is refused", "auth.test", 200, `{"ok":false,"error":"invalid_auth"}`, "token", failed,
				"SlackBotToken", none},
			{"another workspace", "auth.test", 200, `{"ok":true,"team_id":"T0OTHER"}`, "token", failed, "T0OTHER",
				none},
			{"no token", "none", 200, ``, "token", notPossible, "SlackBotToken is not set",
				[2]string{"SlackBotToken", ""}},
			{"an unknown channel", "conversations", 200, `{"ok":false,"error":"channel_not_found"}`, "conversation",
				failed, "no such channel", none},
			{"no scope to look", "conversations", 200, `{"ok":false,"error":"missing_scope"}`, "conversation",
				notPossible, "channels:read", none},
			{"an archived channel", "conversations", 200, `{"ok":true,"channel":{"is_archived":true}}`,
				"conversation", failed, "archived", none},
			{"a channel without the app", "conversations", 200, `{"ok":true,"channel":{}}`, "conversation",
				command.FindingPassed, "mentions do not", none},
			{"not in the channel", "postMessage", 200, `{"ok":false,"error":"not_in_channel"}`, "message", failed,
				"invite it", none},
		},
	},
}

// steps are the steps of a check, in their order.
var steps = []string{"token", "scopes", "conversation", "message"}

func take(ctx context.Context, c command.Checker, step, id string) command.Finding {
	switch step {
	case "token":
		return c.Token(ctx)
	case "scopes":
		return c.Scopes(ctx)
	case "conversation":
		return c.Conversation(ctx, id)
	}
	return c.Send(ctx, id, "hello")
}

// try takes the steps up to the first that fails, or that the mistake names, and returns it with
// its finding.
func (s *standIn) try(t *testing.T, p callback.Checkable, m mistake) (step string, f command.Finding) {
	t.Helper()
	server := platformtest.NewServer(t, platformtest.Now, s.hosts, func(r platformtest.Request) (int, string) {
		if m.part != "" && strings.Contains(r.URI, m.part) {
			return m.status, m.body
		}
		for part, body := range s.answers {
			if strings.Contains(r.URI, part) {
				return 200, body
			}
		}
		t.Errorf("%s: unexpected %s %s", m.name, r.Method, r.URI)
		return 404, ""
	})
	server.Header = s.header
	settings := platformtest.With(p.Description().Type, s.settings...)
	if m.setting[0] != "" {
		settings[m.setting[0]] = secret.Text(m.setting[1])
	}
	c, err := p.NewChecker(settings, server.Client)
	if err != nil {
		t.Fatal(err)
	}
	for _, step = range steps {
		f = take(t.Context(), c, step, s.id)
		text := fmt.Sprintf("%+v", f)
		if strings.Contains(text, "not-a-real") || strings.Contains(text, "10.9.8.7") ||
			strings.Contains(f.Reason, "https://") {
			t.Errorf("%s: the finding has a secret or an address: %s", m.name, text)
		}
		if f.State == failed || step == m.step {
			break
		}
	}
	return step, f
}

// TestChecks runs the suite over the whole list: every step passes where all is right, and one
// finds each mistake, a call without an answer, and a limit of the platform.
func TestChecks(t *testing.T) {
	for _, listed := range platform.All() {
		name := listed.Description().Type
		p, ok := listed.(callback.Checkable)
		stand, known := checks[name]
		if ok != known {
			t.Errorf("%s: it can be checked: %v, and has a stand-in: %v", name, ok, known)
		}
		if !ok || !known {
			continue
		}
		t.Run(name, func(t *testing.T) {
			step, f := stand.try(t, p, mistake{name: "all is right"})
			if step != "message" || f != callback.Passed("") {
				t.Errorf("all is right, and the step %s finds %+v", step, f)
			}
			for part := range stand.answers {
				for _, m := range []mistake{
					{status: 0, reason: "there was no answer in time"},
					{status: 429, body: `{"errcode":45009}`, reason: "check again later"},
					{status: 502, body: "<html>", reason: "check again later"},
				} {
					m.name, m.part = fmt.Sprint(part, " with status ", m.status), part
					if _, f := stand.try(t, p, m); f.State != failed || !strings.Contains(f.Reason, m.reason) {
						t.Errorf("%s: %+v", m.name, f)
					}
				}
			}
			for _, m := range stand.mistakes {
				step, f := stand.try(t, p, m)
				if step != m.step || f.State != m.state || !strings.Contains(f.Reason, m.reason) {
					t.Errorf("%s: the step %s finds %+v, want of %s %s: %s", m.name, step, f, m.step, m.state, m.reason)
				}
			}
			if _, err := p.NewChecker(nil, nil); err == nil && name != "Slack" {
				t.Error("a checker is made of no settings")
			}
		})
	}
}
