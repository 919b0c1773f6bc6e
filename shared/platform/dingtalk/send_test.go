package dingtalk_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/platformtest"
)

const session = "https://oapi.dingtalk.com/robot/sendBySession?session=not-a-real-session"

// A fake of DingTalk takes session "not-a-real-session" and the token it gave out last.
type fake struct {
	*platformtest.Server
	session, token, send func() (int, string)
}

func newFake(t *testing.T) (*fake, callback.Sender) {
	t.Helper()
	always := func(status int, body string) func() (int, string) {
		return func() (int, string) { return status, body }
	}
	f := &fake{session: always(200, `{"errcode":0,"errmsg":"ok"}`),
		token: always(200, `{"accessToken":"not-a-real-access-token","expireIn":7200}`),
		send:  always(200, `{"processQueryKey":"k"}`)}
	f.Server = platformtest.NewServer(t, now, []string{"oapi.dingtalk.com", "api.dingtalk.com"},
		func(r platformtest.Request) (int, string) {
			switch {
			case r.Host == "oapi.dingtalk.com":
				return f.session()
			case r.URI == "/v1.0/oauth2/accessToken":
				return f.token()
			default:
				return f.send()
			}
		})
	s, err := dingtalk.Platform{}.NewSender(with(), f.Client)
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

func paths(requests []platformtest.Request) string {
	var all []string
	for _, r := range requests {
		path, _, _ := strings.Cut(r.URI, "?")
		all = append(all, path[strings.LastIndex(path, "/")+1:])
	}
	return strings.Join(all, " ")
}

func TestSend(t *testing.T) {
	f, s := newFake(t)
	group := command.ReplyTo{Kind: "group", ID: "cid==", URL: session, Expires: now.Add(time.Hour)}
	if err := s.Send(t.Context(), group, "<done> @all"); err != nil {
		t.Fatal(err)
	}
	r := f.Requests()
	if got, want := paths(r), "sendBySession"; got != want ||
		r[0].Body != `{"msgtype":"text","text":{"content":"<done> `+
			`@all"},"at":{"atMobiles":[],"atUserIds":[],"isAtAll":false}}` {
		t.Errorf("sent %s, %s", got, r[0].Body)
	}
	group.Expires = now
	if err := s.Send(t.Context(), group, "done"); err != nil {
		t.Fatal(err)
	}
	r = f.Requests()
	if got, want := paths(r), "accessToken send"; got != want {
		t.Fatalf("after the session's end: %s", got)
	}
	if r[0].Body != `{"appKey":"dingexample","appSecret":"not-a-real-secret"}` ||
		r[1].Header.Get("x-acs-dingtalk-access-token") != "not-a-real-access-token" ||
		r[1].Body != `{"robotCode":"dingrobot","msgKey":"sampleText","msgParam":"{\"content\":\"done\"}",`+
			`"openConversationId":"cid=="}` || r[1].URI != "/v1.0/robot/groupMessages/send" {
		t.Errorf("%+v", r)
	}
	if err := s.Send(t.Context(), command.ReplyTo{Kind: "person", ID: "u1"}, "done"); err != nil {
		t.Fatal(err)
	}
	if r = f.Requests(); paths(r) != "batchSend" || !strings.Contains(r[0].Body, `"userIds":["u1"]`) ||
		!json.Valid([]byte(r[0].Body)) {
		t.Errorf("to a person: %+v", r)
	}
}

// The code of old robots is in their messages, and is none to send by.
func TestSendAsAnOldRobot(t *testing.T) {
	f, _ := newFake(t)
	s, err := dingtalk.Platform{}.NewSender(with("DingTalkRobotCode", "normal"), f.Client)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), command.ReplyTo{Kind: "person", ID: "u1"}, "done"); err != nil {
		t.Fatal(err)
	}
	if r := f.Requests(); !strings.Contains(r[len(r)-1].Body, `"robotCode":"dingexample"`) {
		t.Errorf("sent as %s", r[len(r)-1].Body)
	}
}

func TestSendRefused(t *testing.T) {
	to := command.ReplyTo{Kind: "group", ID: "cid==", URL: session}
	person := command.ReplyTo{Kind: "person", ID: "u1"}
	calls := 0
	for name, test := range map[string]struct {
		to      command.ReplyTo
		prepare func(*fake)
		sent    string
		ok      bool
		again   bool
	}{
		"the session is over, and the robot says it": {to,
			func(f *fake) { f.session = func() (int, string) { return 200, `{"errcode":300001,"errmsg":"x"}` } },
			"sendBySession accessToken send", true, false},
		"DingTalk is busy": {to,
			func(f *fake) { f.session = func() (int, string) { return 200, `{"errcode":-1}` } },
			"sendBySession", false, true},
		"DingTalk is down": {to,
			func(f *fake) { f.session = func() (int, string) { return 502, `bad gateway` } },
			"sendBySession", false, true},
		"the address is banned, which is a page": {to, func(f *fake) {
			f.session, f.token = func() (int, string) { return 200, `<html>` },
				func() (int, string) { return 200, `{"status":1111}` }
		}, "sendBySession accessToken", false, false},
		"the session is over, and the robot may not": {to, func(f *fake) {
			f.session = func() (int, string) { return 200, `{"errcode":300001}` }
			f.send = func() (int, string) { return 400, `{"code":"bot.stopped"}` }
		}, "sendBySession accessToken send", false, false},
		"the session is over, and the robot is busy": {to, func(f *fake) {
			f.session = func() (int, string) { return 200, `{"errcode":300001}` }
			f.send = func() (int, string) { return 503, `` }
		}, "sendBySession accessToken send", false, true},
		"a session of another host": {command.ReplyTo{Kind: "group", ID: "cid==", URL: "https://evil.example.com/x"},
			func(*fake) {}, "", false, false},
		"the secret is not right": {person, func(f *fake) {
			f.token = func() (int, string) { return 400, `{"code":"invalidClientIdOrSecret","message":"x"}` }
		}, "accessToken", false, false},
		"the robot may not": {person, func(f *fake) {
			f.send = func() (int, string) { return 400, `{"code":"invalidParameter.robotCode.auth"}` }
		}, "accessToken batchSend", false, false},
		"too often": {person, func(f *fake) {
			f.send = func() (int, string) {
				return 400,
					`{"code":"send.too.fast"}`
			}
		}, "accessToken batchSend", false, true},
		"too often by the app's limit": {person, func(f *fake) {
			f.send = func() (int, string) { return 403, `{"code":"Forbidden.AccessDenied.QpsLimitForApi"}` }
		}, "accessToken batchSend", false, true},
		"the token has expired, and a new one does": {person, func(f *fake) {
			calls = 0
			f.send = func() (int, string) {
				if calls++; calls == 1 {
					return 400, `{"code":"InvalidAuthentication"}`
				}
				return 200, `{"processQueryKey":"k"}`
			}
		}, "accessToken batchSend accessToken batchSend", true, false},
		"the token has expired, and the new one, too": {person,
			func(f *fake) { f.send = func() (int, string) { return 400, `{"code":"InvalidAuthentication"}` } },
			"accessToken batchSend accessToken batchSend", false, false},
		"the person is none": {person, func(f *fake) {
			f.send = func() (int, string) { return 200, `{"processQueryKey":"k","invalidStaffIdList":["u1"]}` }
		}, "accessToken batchSend", false, false},
		"an answer that is wrong": {person, func(f *fake) {
			f.send = func() (int, string) { return 200, `{"processQueryKey":"k","invalidStaffIdList":[1]}` }
		}, "accessToken batchSend", false, false},
		"nobody":      {command.ReplyTo{Kind: "person"}, func(*fake) {}, "", false, false},
		"another way": {command.ReplyTo{Kind: "pigeon", ID: "x"}, func(*fake) {}, "", false, false},
	} {
		f, s := newFake(t)
		test.prepare(f)
		err := s.Send(t.Context(), test.to, "done")
		platformtest.CheckSendError(t, name, err, test.ok, test.again)
		if got := paths(f.Requests()); got != test.sent {
			t.Errorf("%s: sent %q, want %q; %v", name, got, test.sent, err)
		}
	}
	down := platformtest.NewServer(t, now, nil, nil)
	s, err := dingtalk.Platform{}.NewSender(with(), down.Client)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.CheckSendCanceled(t, s, to, person)
}
