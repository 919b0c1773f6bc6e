package dingtalk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The hosts that are called: sessions' addresses come with messages whose signature does not cover
// them.
var (
	sessionHosts = []string{"oapi.dingtalk.com", "api.dingtalk.com"}
	apiHosts     = []string{"api.dingtalk.com"}
)

type sender struct {
	secret.Hidden
	client    *callback.Client
	clientID  string
	secret    secret.Text
	robotCode string
}

var _ callback.Sender = (*sender)(nil)

// normalCode is the robotCode in messages to robots that are older than robots' codes. It cannot be
// used to send; the Client ID can.
const normalCode = "normal"

// NewSender returns the sender of a configuration of type DingTalk.
func (Platform) NewSender(s callback.Settings, client *callback.Client) (callback.Sender, error) {
	out := &sender{client: client, clientID: s.Get("DingTalkClientId"), secret: s["DingTalkClientSecret"],
		robotCode: cmp.Or(s.Get("DingTalkRobotCode"), s.Get("DingTalkClientId"))}
	if out.robotCode == normalCode {
		out.robotCode = out.clientID
	}
	if out.clientID == "" || out.secret == "" {
		return nil, callback.Final("dingtalk: DingTalkClientId or DingTalkClientSecret is not set")
	}
	return out, nil
}

// Send implements callback.Sender. It uses the session's address until that expires, which costs
// nothing of the organisation's quota, and then sends as the robot.
func (s *sender) Send(ctx context.Context, to command.ReplyTo, text string) error {
	if to.URL != "" && (to.Expires.IsZero() || s.client.Now().Before(to.Expires)) {
		err := s.bySession(ctx, to.URL, text)
		var refused *callback.CallError
		if !errors.As(err, &refused) || refused.Again {
			return err
		}
		if late := s.byRobot(ctx, to, text); late != nil {
			return fmt.Errorf("%v; %w", err, late) // whether that may pass is the second's to say
		}
		return nil
	}
	return s.byRobot(ctx, to, text)
}

// bySession answers by a sessionWebhook.
// https://open.dingtalk.com/document/orgapp/robot-reply-and-send-messages
func (s *sender) bySession(ctx context.Context, address secret.Text, text string) error {
	const what = "dingtalk: answer by sessionWebhook"
	answer, err := s.client.Do(ctx, callback.Call{What: what, URL: address, Hosts: sessionHosts,
		Body: document.Marshal(messageOf(text))})
	if err != nil {
		return err
	}
	if code := answer.Number("errcode"); answer.Status != 200 || code != "0" {
		return answer.Refused(what, code, code == "-1")
	}
	return nil
}

// byRobot answers as the robot, to a group or a person.
// https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message
// https://open.dingtalk.com/document/orgapp/chatbots-send-one-on-one-chat-messages-in-batches
func (s *sender) byRobot(ctx context.Context, to command.ReplyTo, text string) error {
	body := struct {
		RobotCode    string   `json:"robotCode"`
		Key          string   `json:"msgKey"`
		Param        string   `json:"msgParam"`
		Conversation string   `json:"openConversationId,omitempty"`
		Users        []string `json:"userIds,omitempty"`
	}{RobotCode: s.robotCode, Key: "sampleText"}
	body.Param = string(document.Marshal(callback.Text{Content: callback.Cut(text, maxText)}))
	var what, path string
	switch {
	case to.ID == "":
		return callback.Final("dingtalk: the message names no conversation and no user to answer")
	case to.Kind == toGroup:
		what, path = "dingtalk: robot/groupMessages/send", "/v1.0/robot/groupMessages/send"
		body.Conversation = to.ID
	case to.Kind == toPerson:
		what, path = "dingtalk: robot/oToMessages/batchSend", "/v1.0/robot/oToMessages/batchSend"
		body.Users = []string{to.ID}
	default:
		return callback.Final("dingtalk: there is no way to answer by %q", to.Kind)
	}
	key := callback.Digest("dingtalk", s.clientID, s.secret.Reveal())
	return s.client.WithToken(ctx, key, s.token, func(token secret.Text) (bool, error) {
		answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: apiHosts, Body: document.Marshal(body),
			URL:     secret.Text("https://api.dingtalk.com" + path),
			Headers: map[string]secret.Text{"x-acs-dingtalk-access-token": token}})
		if err != nil {
			return false, err
		}
		if answer.Status != 200 || !answer.Has("processQueryKey") {
			code := answer.Text("code")
			return code == "InvalidAuthentication", answer.Refused(what, code, busy(code))
		}
		if to.Kind == toPerson && len(answer.Texts("invalidStaffIdList")) > 0 {
			return false, answer.Refused(what, "invalidStaffIdList", false)
		}
		if err := answer.Err(); err != nil {
			return false, callback.Final("%s: it was taken, but %v", what, err) // once more would be twice
		}
		return false, nil
	})
}

// busy reports whether a code says that there were too many calls.
func busy(code string) bool {
	return strings.HasPrefix(code, "send.too") || strings.HasPrefix(code, "send.byToken.too") ||
		code == "too.many.group" || code == "system.error" || strings.Contains(code, "QpsLimit")
}

// token fetches an access token.
// https://open.dingtalk.com/document/orgapp/obtain-the-access_token-of-an-internal-app
func (s *sender) token(ctx context.Context) (secret.Text, time.Duration, error) {
	const what = "dingtalk: oauth2/accessToken"
	body := document.Marshal(struct {
		Key    string `json:"appKey"`
		Secret string `json:"appSecret"`
	}{s.clientID, s.secret.Reveal()})
	answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: apiHosts, Body: body,
		URL: "https://api.dingtalk.com/v1.0/oauth2/accessToken"})
	if err != nil {
		return "", 0, err
	}
	token := answer.Text("accessToken")
	if answer.Status != 200 || token == "" {
		code := answer.Text("code")
		return "", 0, answer.Refused(what, code, busy(code))
	}
	return secret.Text(token), callback.Lifetime(answer.Number("expireIn")), nil
}
