package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/platform"
	"chatconf/shared/platform/craft"
	"chatconf/shared/rpc"
	"chatconf/shared/webhook"
)

// sendAction is the action that only `chatconf serve` offers, and no function: to play the platform with a configuration's own secrets.
const sendAction = "SendChatMessage"

// sendTimeout is how long the webhook has for its answer: longer than any platform waits.
const sendTimeout = 10 * time.Second

// serveActions are the actions of `chatconf serve`: those of the API, and SendChatMessage.
func serveActions() []rpc.Action { return append(rpc.Actions(), playActions()...) }

// playActions is SendChatMessage alone.
func playActions() []rpc.Action {
	p := &player{client: httpClient, now: time.Now}
	return []rpc.Action{rpc.NewAction(sendAction, p.send)}
}

// A sendRequest are the parameters of SendChatMessage. Name is mandatory, and of a message UserId and Text.
type sendRequest struct {
	RegionID       string      `param:"RegionId"`
	Name           string      `param:"Name"`
	Mode           string      `param:"Mode"` // the kind of callback; the platform's usual one if empty
	UserID         string      `param:"UserId"`
	UserName       string      `param:"UserName"`
	ConversationID string      `param:"ConversationId"` // made up if empty
	Direct         bool        `param:"Direct"`         // one to one with the bot
	Text           chat.Secret `param:"Text"`           // which may hold anything
	MessageID      string      `param:"MessageId"`      // made up if empty
	Previous       bool        `param:"Previous"`       // sign with the secrets that were replaced
	DryRun         bool        `param:"DryRun"`         // only make the callback
	ShowURL        bool        `param:"ShowUrl"`        // with its token; asks for GetChatConfiguration too
}

// params returns the request as the API has it.
func (in *sendRequest) params() map[string]string {
	out := make(map[string]string)
	for name, value := range map[string]string{
		"RegionId": in.RegionID, "Name": in.Name, "Mode": in.Mode, "UserId": in.UserID, "UserName": in.UserName,
		"ConversationId": in.ConversationID, "Text": in.Text.Reveal(), "MessageId": in.MessageID,
	} {
		if value != "" {
			out[name] = value
		}
	}
	for name, value := range map[string]bool{"Direct": in.Direct, "Previous": in.Previous, "DryRun": in.DryRun, "ShowUrl": in.ShowURL} {
		if value {
			out[name] = "true"
		}
	}
	return out
}

// A sendResponse is the answer of SendChatMessage. No secret of the configuration is in it, but what the secrets made is.
type sendResponse struct {
	Name    string
	Type    string
	Mode    string
	Request sentCallback
	Answer  *sentAnswer `json:",omitempty"` // absent of a dry run, and if there was none
	Later   string      `json:",omitempty"` // of an answer that shows nothing: what is said through the platform's API instead
	Problem string      `json:",omitempty"` // why there is no answer, or why the platform would not take it
}

// A sentCallback is the callback as it went out.
type sentCallback struct {
	Method string
	Url    string // the webhook's token is ****** unless ShowUrl was given
	Header map[string]string
	Body   string
}

// A sentAnswer is what the webhook answered.
type sentAnswer struct {
	Status       int
	Header       map[string]string
	Body         string
	Text         string // what the platform would show of it, decrypted where it is encrypted; empty if nothing
	Milliseconds int64
}

// ok reports whether the platform would have taken the answer, or there was to be none.
func (r *sendResponse) ok() bool {
	return r.Problem == "" && (r.Answer == nil || r.Answer.Status/100 == 2)
}

// A player plays the platforms: it makes callbacks of configurations and posts them to their webhooks.
type player struct {
	client *http.Client // which follows no redirects
	now    func() time.Time
}

// send makes one callback, posts it and reads the answer. That the webhook refuses, or cannot be reached, is in the response.
func (p *player) send(s *chat.Service, ctx context.Context, in *sendRequest) (*sendResponse, error) {
	e, address, err := s.OpenToSend(ctx, in.RegionID, in.Name)
	if err != nil {
		return nil, err
	}
	if in.ShowURL {
		if _, err := s.Get(ctx, &chat.GetRequest{RegionID: in.RegionID, Name: in.Name}); err != nil {
			return nil, err
		}
	}
	mode, err := checkMode(e.Type, in)
	if err != nil {
		return nil, err
	}
	settings, err := settingsOf(e, in.Previous)
	if err != nil {
		return nil, err
	}
	maker := &craft.Maker{Settings: settings, Now: p.now()}
	callback, err := maker.Make(e.Type, mode, craft.Message{
		ID:           in.MessageID,
		User:         in.UserID,
		UserName:     in.UserName,
		Conversation: in.ConversationID,
		Direct:       in.Direct,
		Text:         in.Text.Reveal(),
	})
	if err != nil {
		return nil, &chat.Error{Code: chat.InvalidParameter, Param: "Mode", Message: "The callback cannot be made: " + crafted(err) + "."}
	}
	hide := hider(e, address, in.ShowURL)
	req, err := callback.Request(address.Reveal())
	if err != nil {
		return nil, err
	}
	out := &sendResponse{Name: e.Name, Type: e.Type, Mode: mode, Request: sentCallback{
		Method: req.Method,
		Url:    hide(req.URL.String()),
		Header: shownHeader(req.Header, hide),
		Body:   hide(string(callback.Body)),
	}}
	if in.DryRun {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	p.post(req.WithContext(ctx), callback, hide, out)
	if out.ok() && out.Answer.Text == "" {
		out.Later = hide(later(e, settings, callback, p.now()))
	}
	return out, nil
}

// later returns what the service says of a callback to whom its own answer shows nothing. It is empty if that is nothing, or up to the
// command's target.
func later(e *chat.Endpoint, settings webhook.Settings, callback *craft.Callback, now time.Time) string {
	receiver, err := platform.Receivers()[e.Type](settings)
	if err != nil {
		return ""
	}
	received, err := receiver.Receive(callback.Received(now))
	if err != nil || received.Message == nil || received.Message.ReplyTo.Kind == "" {
		return ""
	}
	if carried, err := receiver.Answer(received, "x"); err != nil || carried.Carries {
		return "" // it would have come with the answer, unless the message came before
	}
	command, _ := e.Command(received.Message) // what is no command is decided so
	decision := e.Decide(command)
	if decision.Allowed && decision.Cause != chat.CauseBuiltIn && e.Target.Type != chat.TargetJournal {
		return ""
	}
	return e.Reply(command, decision)
}

// post posts the callback and puts the answer into out.
func (p *player) post(req *http.Request, callback *craft.Callback, hide func(string) string, out *sendResponse) {
	begun := p.now()
	resp, err := p.client.Do(req)
	if err != nil {
		out.Problem = "the webhook does not answer: " + hide(cause(err))
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, webhook.MaxBody+1))
	switch {
	case err != nil:
		out.Problem = "the webhook's answer breaks off: " + hide(cause(err))
		return
	case len(body) > webhook.MaxBody:
		out.Problem = fmt.Sprintf("the webhook's answer has more than %d bytes", webhook.MaxBody)
		return
	}
	header := make(http.Header) // the rest is not the platform's concern
	for _, name := range [...]string{"Content-Type", "Location", "Retry-After"} {
		if value := resp.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	out.Answer = &sentAnswer{
		Status:       resp.StatusCode,
		Header:       shownHeader(header, hide),
		Body:         hide(string(body)),
		Milliseconds: p.now().Sub(begun).Milliseconds(),
	}
	if resp.StatusCode/100 != 2 {
		return
	}
	text, err := callback.ReadAnswer(body)
	if err != nil {
		out.Problem = fmt.Sprintf("the platform would not take the answer: %s", hide(crafted(err)))
		return
	}
	out.Answer.Text = hide(text)
}

// cause returns what is in an error of net/http without the URL.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}

// crafted returns what is in an error of craft without the package's name.
func crafted(err error) string { return strings.TrimPrefix(err.Error(), "craft: ") }

// checkMode returns the kind of callback that is asked for, if it has what it needs.
func checkMode(platformType string, in *sendRequest) (string, error) {
	messages, checks := craft.Modes(platformType)
	mode := in.Mode
	if mode == "" && len(messages) > 0 {
		mode = messages[0]
	}
	if slices.Contains(checks, mode) {
		return mode, nil
	}
	if !slices.Contains(messages, mode) {
		return "", &chat.Error{Code: chat.InvalidParameter, Param: "Mode", Message: fmt.Sprintf("Mode %q is none of %s; it has %s to send a message, and to check the URL %s.",
			mode, platformType, strings.Join(messages, ", "), firstOf(strings.Join(checks, ", "), "none"))}
	}
	for _, needed := range [...][2]string{{"UserId", in.UserID}, {"Text", in.Text.Reveal()}} {
		if needed[1] == "" {
			return "", &chat.Error{Code: chat.MissingParameter, Param: needed[0], Message: needed[0] + " is mandatory to send a message."}
		}
	}
	return mode, nil
}

// settingsOf returns the settings that a callback is made with: the configuration's, or with those secrets put back that were replaced.
func settingsOf(e *chat.Endpoint, previous bool) (webhook.Settings, error) {
	settings := webhook.Settings(maps.Clone(e.Settings))
	settings["BotName"] = chat.Secret(e.BotName)
	if !previous {
		return settings, nil
	}
	back := 0
	for key, secret := range e.Settings {
		if current, ok := strings.CutSuffix(key, "Previous"); ok && secret != "" {
			settings[current] = secret
			back++
		}
	}
	if back == 0 {
		return nil, &chat.Error{Code: chat.InvalidParameter, Param: "Previous", Message: fmt.Sprintf("Chat configuration %q has no previous secret that is still taken.", e.Name)}
	}
	return settings, nil
}

// leastHidden is how long a secret is, at the least, that is masked wherever it stands: a shorter one stands in the midst of words.
const leastHidden = 6

// hider returns what masks a configuration's secrets in a text, however they are written there, and the token of its webhook unless it
// may be shown. Of a secret shorter than leastHidden only the string of JSON is masked that is nothing but the secret.
func hider(e *chat.Endpoint, address chat.Secret, showURL bool) func(string) string {
	var secrets []string
	for _, p := range platform.All() {
		for _, setting := range p.Settings {
			if p.Type == e.Type && setting.Secret {
				secrets = append(secrets, e.Settings[setting.Key].Reveal(), e.Settings[setting.Key+"Previous"].Reveal())
			}
		}
	}
	if u := address.Reveal(); !showURL {
		secrets = append(secrets, u[strings.LastIndexByte(u, '/')+1:])
	}
	var written []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		var plain, escaped bytes.Buffer
		document.WriteString(&plain, secret)
		json.HTMLEscape(&escaped, plain.Bytes())
		for _, quoted := range [...]string{plain.String(), escaped.String()} {
			written = append(written, quoted[1:len(quoted)-1])
		}
		written = append(written, secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret))
	}
	// A replacer takes the first that fits, so of two of which one begins with the other, the longer goes first.
	slices.SortFunc(written, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(written))
	for _, secret := range written {
		if len(secret) < leastHidden {
			pairs = append(pairs, `:"`+secret+`"`, `:"`+chat.Mask+`"`)
			continue
		}
		pairs = append(pairs, secret, chat.Mask)
	}
	return strings.NewReplacer(pairs...).Replace
}

// shownHeader returns a header as it is shown: each name has one value.
func shownHeader(h http.Header, hide func(string) string) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[name] = hide(strings.Join(values, ", "))
	}
	return out
}

// print writes a callback and its answer for people.
func (r *sendResponse) print(w io.Writer) error {
	var b strings.Builder
	part := func(first string, header map[string]string, body string) {
		b.WriteString(printable(first) + "\n")
		for _, name := range slices.Sorted(maps.Keys(header)) {
			b.WriteString(printable(name+": "+header[name]) + "\n")
		}
		b.WriteString("\n")
		if body != "" {
			b.WriteString(printable(strings.TrimRight(body, "\n")) + "\n\n")
		}
	}
	part(r.Request.Method+" "+r.Request.Url, r.Request.Header, r.Request.Body)
	if a := r.Answer; a != nil {
		part(fmt.Sprintf("%d %s, in %d ms", a.Status, http.StatusText(a.Status), a.Milliseconds), a.Header, a.Body)
		switch {
		case !r.ok():
		case a.Text != "":
			b.WriteString(r.Type + " shows:\n\n" + indented(a.Text))
		case r.Later != "":
			b.WriteString(r.Type + " shows nothing of this answer. Unless the message came before, this is said through its API:\n\n" + indented(r.Later))
		default:
			b.WriteString(r.Type + " shows nothing of this answer.\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indented returns text as a block of its own.
func indented(text string) string {
	return "  " + strings.ReplaceAll(printable(strings.TrimRight(text, "\n")), "\n", "\n  ") + "\n"
}

// printable returns text without what would have a terminal do more than show it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
