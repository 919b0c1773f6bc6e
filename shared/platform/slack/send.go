package slack

import (
	"context"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The hosts that are called: those of response URLs, and the Web API.
var (
	urlHosts = []string{"hooks.slack.com", "hooks.slack-gov.com"}
	apiHosts = []string{"slack.com"}
)

type sender struct {
	secret.Hidden
	client *callback.Client
	token  secret.Text
}

var _ callback.Sender = (*sender)(nil)

// NewSender returns the sender of a configuration of type Slack.
func (Platform) NewSender(s callback.Settings, client *callback.Client) (callback.Sender, error) {
	return &sender{client: client, token: s["SlackBotToken"]}, nil
}

// Send implements callback.Sender: by the response URL, whose answers only the sender of the
// command sees, or as a message of the bot. When the URL has expired, the bot sends a message that
// only this person sees.
func (s *sender) Send(ctx context.Context, to command.ReplyTo, text string) error {
	switch to.Kind {
	case toURL:
		if !to.Expires.IsZero() && !s.client.Now().Before(to.Expires) {
			if s.token == "" || to.ID == "" {
				return callback.Final("slack: the response_url has expired, and without SlackBotToken " +
					"there is no other way to answer")
			}
			return s.post(ctx, "chat.postEphemeral", to.ID, text)
		}
		return s.byURL(ctx, to.URL, text)
	case toChannel:
		return s.post(ctx, "chat.postMessage", to.ID, text)
	}
	return callback.Final("slack: there is no way to answer by %q", to.Kind)
}

// byURL answers by a response_url. https://docs.slack.dev/interactivity/handling-user-interaction
func (s *sender) byURL(ctx context.Context, address secret.Text, text string) error {
	const what = "slack: answer by response_url"
	answer, err := s.client.Do(ctx, callback.Call{What: what, URL: address, Hosts: urlHosts,
		Body: document.Marshal(struct {
			ResponseType    string `json:"response_type"`
			ReplaceOriginal bool   `json:"replace_original"`
			message
		}{ephemeral, false, messageOf(text)})})
	if err != nil {
		return err
	}
	if answer.Status != 200 || answer.Raw != "ok" && !answer.Is("ok") {
		code := answer.Text("error")
		if code == "" && len(answer.Raw) < 64 {
			code = answer.Raw // such as expired_url
		}
		return answer.Refused(what, code, false)
	}
	return nil
}

// busy are the errors that pass: the others of chat.postMessage are for good.
var busy = map[string]bool{
	"ratelimited": true, "rate_limited": true, "internal_error": true, "service_unavailable": true,
	"request_timeout":   true, // the body did not arrive whole
	"team_added_to_org": true, // while the workspace moves
}

// post answers as the bot, by a method of the Web API: to a channel and perhaps a thread, or to a
// person in a channel.
// https://docs.slack.dev/reference/methods/chat.postMessage
// https://docs.slack.dev/reference/methods/chat.postEphemeral
func (s *sender) post(ctx context.Context, method, id, text string) error {
	what := "slack: " + method
	if s.token == "" {
		return callback.Final("%s: SlackBotToken is not set", what)
	}
	channel, thread, _ := strings.Cut(id, ":")
	user := ""
	if method == "chat.postEphemeral" {
		thread, user = "", thread
	}
	body := document.Marshal(struct {
		Channel     string `json:"channel"`
		User        string `json:"user,omitempty"`
		Thread      string `json:"thread_ts,omitempty"`
		UnfurlLinks bool   `json:"unfurl_links"`
		UnfurlMedia bool   `json:"unfurl_media"`
		message
	}{Channel: channel, User: user, Thread: thread, message: messageOf(text)})
	answer, err := s.client.Do(ctx, callback.Call{What: what, URL: secret.Text("https://slack.com/api/" + method),
		Hosts:   apiHosts,
		Headers: map[string]secret.Text{"Authorization": "Bearer " + s.token}, Body: body})
	if err != nil {
		return err
	}
	if !answer.Is("ok") {
		code := answer.Text("error")
		return answer.Refused(what, code, busy[code])
	}
	return nil
}
