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
	"strconv"
	"strings"
	"time"
	"unicode"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
	"chatconf/shared/webhook"
)

// sendAction is an action that only `chatconf serve` offers, and no function. It simulates the
// platform with a configuration's own secrets.
const sendAction = "SendChatMessage"

// sendTimeout is how long to wait for the webhook: longer than any platform waits.
const sendTimeout = 10 * time.Second

// How long SendChatMessage waits for a late answer, and how often it looks for one.
const (
	defaultWait = 3 * time.Second
	maxWait     = 30 * time.Second
	firstPause  = 20 * time.Millisecond // doubled after each look
	maxPause    = 500 * time.Millisecond
)

// answersURL is the address for late answers in messages of platforms that give one. Its host
// cannot exist.
const answersURL = "https://kept-by-chatconf.invalid/"

// serveActions are the actions of `chatconf serve`: those of the API, those on access keys,
// ResealSecrets, and SendChatMessage, which trusts the certificates in some files in addition to
// the machine's roots.
func serveActions(gateways *standInGateways, trust ...string) []rpc.Action {
	return slices.Concat(rpc.Actions(), rpc.KeyActions(), rpc.ResealActions(), sendActions(gateways, trust...))
}

// sendActions is SendChatMessage alone.
func sendActions(gateways *standInGateways, trust ...string) []rpc.Action {
	s := &simulator{client: httpClient, trust: trust, now: time.Now, gateways: gateways}
	return []rpc.Action{rpc.NewAction(sendAction, s.send)}
}

// A sendRequest holds the parameters of SendChatMessage. Name is mandatory. UserId and Text are
// mandatory for a message.
type sendRequest struct {
	RegionID       string      `param:"RegionId"`
	Name           string      `param:"Name"`
	Mode           string      `param:"Mode"` // the kind of callback; the platform's default if empty
	UserID         string      `param:"UserId"`
	UserName       string      `param:"UserName"`
	ConversationID string      `param:"ConversationId"` // generated if empty
	Direct         bool        `param:"Direct"`         // in a direct conversation with the bot
	Text           secret.Text `param:"Text"`           // may contain a secret
	MessageID      string      `param:"MessageId"`      // generated if empty
	Previous       bool        `param:"Previous"`       // sign with the previous secrets
	DryRun         bool        `param:"DryRun"`         // make the callback, and do not post it
	ShowURL        bool        `param:"ShowUrl"`        // with its token; needs RevealChatConfigurationOutputs
	WaitSeconds    *int64      `param:"WaitSeconds"`    // for a late answer, 0 to 30; 3 if absent
	// CommandID is that of an earlier answer: nothing is sent, and the answer is what became of it.
	CommandID string `param:"CommandId"`
}

// params returns the request as parameters of the API.
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
	for name, value := range map[string]bool{"Direct": in.Direct, "Previous": in.Previous,
		"DryRun": in.DryRun, "ShowUrl": in.ShowURL} {
		if value {
			out[name] = "true"
		}
	}
	if in.WaitSeconds != nil {
		out["WaitSeconds"] = strconv.FormatInt(*in.WaitSeconds, 10)
	}
	return out
}

// wait returns how long to wait for a late answer.
func (in *sendRequest) wait() (time.Duration, error) {
	if in.WaitSeconds == nil {
		return defaultWait, nil
	}
	if n := *in.WaitSeconds; n < 0 || n > int64(maxWait/time.Second) {
		return 0, fault.Invalid("WaitSeconds", "WaitSeconds is %d; write a whole number from 0 to %d.",
			n, int64(maxWait/time.Second))
	}
	return time.Duration(*in.WaitSeconds) * time.Second, nil
}

// A sendResponse is the answer of SendChatMessage. It contains no secret of the configuration, but
// it contains what was signed and encrypted with the secrets.
type sendResponse struct {
	Name    string
	Type    string
	Mode    string
	Request sentCallback
	Answer  *sentAnswer `json:",omitempty"` // absent for a dry run, and if the webhook did not answer
	Later   string      `json:",omitempty"` // the late answer that would go through the platform's API

	CommandId string          `json:",omitempty"` // of the record, as in ListChatCommands
	Outcome   journal.Outcome `json:",omitempty"` // of the record; Pending if it was unknown after the wait
	Detail    string          `json:",omitempty"` // of the record
	Duplicate bool            `json:",omitempty"` // the message is a duplicate, and nothing was done
	Ignored   []string        `json:",omitempty"` // parameters that do not occur in the callback
	Problem   string          `json:",omitempty"` // why there is no answer, or why the platform would reject it
}

// A sentCallback is the callback as it was sent.
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
	Text         string // what the platform would show of it, decrypted; may be empty
	Milliseconds int64
}

// ok reports whether the platform would accept the answer. It is true for a dry run.
func (r *sendResponse) ok() bool {
	return r.Problem == "" && (r.Answer == nil || r.Answer.Status/100 == 2)
}

// A simulator sends callbacks to the webhooks of configurations, as the platforms would.
type simulator struct {
	client *http.Client // follows no redirects
	trust  []string     // PEM files of further certificates to trust; read for each message, so they can be renewed
	now    func() time.Time

	gateways *standInGateways // of the mode stream
	streamed streamed
}

// send makes one callback, posts it and reads the answer. If the webhook refuses the callback or
// cannot be reached, the response says so.
func (p *simulator) send(s *chat.Service, ctx context.Context, in *sendRequest) (*sendResponse, error) {
	e, address, err := s.OpenToSend(ctx, in.RegionID, in.Name, in.ShowURL)
	if err != nil {
		return nil, err
	}
	wait, err := in.wait()
	if err != nil {
		return nil, err
	}
	if in.CommandID != "" {
		return p.lookAgain(ctx, s, e, in, wait, hider(e, address, false))
	}
	// A bot with a connection is spoken to over it if that is possible.
	byDefault := e.Receive == command.ReceiveStream && p.gateways.gateway(e.Type) != nil
	if in.Mode == modeStream || in.Mode == "" && byDefault {
		return p.sendStream(ctx, s, e, in, wait)
	}
	mode, err := checkMode(e.Type, in)
	if err != nil {
		return nil, err
	}
	settings, err := settingsOf(e, in.Previous)
	if err != nil {
		return nil, err
	}
	said := platformsim.Message{
		ID:           in.MessageID,
		User:         in.UserID,
		UserName:     in.UserName,
		Conversation: in.ConversationID,
		Direct:       in.Direct,
		Text:         in.Text.Reveal(),
		ReplyURL:     answersURL,
	}
	maker := &platformsim.Maker{Settings: settings, Now: p.now()}
	sent, err := maker.Make(e.Type, mode, said)
	if err != nil {
		return nil, notMade(e, err)
	}
	hide := hider(e, address, in.ShowURL)
	req, err := sent.Request(address.Reveal())
	if err != nil {
		return nil, err
	}
	out := &sendResponse{Name: e.Name, Type: e.Type, Mode: mode, Request: sentCallback{
		Method: req.Method,
		Url:    hide(req.URL.String()),
		Header: shownHeader(req.Header, hide),
		Body:   hide(string(sent.Body)),
	}}
	if out.Ignored, err = ignored(maker, e.Type, mode, said); err != nil {
		return nil, notMade(e, err)
	}
	if in.DryRun {
		return out, nil
	}
	proof, err := s.ProveSent(e, sent.Received(maker.Now).Digest())
	if err != nil {
		return nil, err
	}
	req.Header.Set(chat.SentHeader, proof) // not shown: the platform would not send it
	id := messageID(e.Type, settings, sent, maker.Now)
	if id != "" {
		if _, out.Duplicate, err = s.FollowSent(ctx, e, id); err != nil {
			return nil, err
		}
	}
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	p.post(req.WithContext(bounded), sent, hide, out)
	if id == "" || out.Duplicate || !out.ok() {
		return out, nil
	}
	became, _, err := await(ctx, wait, func() (journal.SentMessage, bool, error) {
		return s.FollowSent(ctx, e, id)
	})
	if err != nil {
		return nil, err
	}
	out.became(became, hide)
	return out, nil
}

// became puts the result of a message into the response.
func (r *sendResponse) became(m journal.SentMessage, hide func(string) string) {
	r.CommandId, r.Outcome, r.Detail, r.Later = m.ID, m.Outcome, hide(m.Detail), hide(m.Answer)
}

// lookAgain answers what became of a message that was sent before.
func (p *simulator) lookAgain(ctx context.Context, s *chat.Service, e *command.Endpoint, in *sendRequest,
	wait time.Duration, hide func(string) string) (*sendResponse, error) {
	if in.Text != "" {
		return nil, fault.Invalid("CommandId", "CommandId sends nothing, so Text has no meaning; leave one out.")
	}
	found, recorded, err := await(ctx, wait, func() (journal.SentMessage, bool, error) {
		return s.FollowCommand(ctx, e, in.CommandID)
	})
	switch {
	case err != nil:
		return nil, err
	case !recorded:
		return nil, fault.Invalid("CommandId", "%s has no command %s; use the CommandId of an earlier answer.",
			fault.Quote(e.Name), fault.Quote(in.CommandID))
	}
	out := &sendResponse{Name: e.Name, Type: e.Type, Mode: in.Mode}
	out.became(found, hide)
	if before, ok := p.streamed.before(found.ID); ok {
		out.later(p.gateways.gateway(e.Type), e, before, hide)
	}
	return out, nil
}

// notMade returns the caller's error for a callback that cannot be made.
func notMade(e *command.Endpoint, err error) error {
	if e.Receive == command.ReceiveStream {
		return fault.Invalid("Mode", "The callback cannot be made: %s. Messages to %s come over a connection: start "+
			"the service with 'chatconf serve --emulate %s', and use Mode %s.", withoutPackage(err),
			fault.Quote(e.Name), standInOf(e.Type), modeStream)
	}
	return fault.Invalid("Mode", "The callback cannot be made: %s.", withoutPackage(err))
}

// parameters are the parameters of the action for the fields of a message.
var parameters = map[platformsim.Field]string{
	platformsim.FieldID: "MessageId", platformsim.FieldUser: "UserId", platformsim.FieldUserName: "UserName",
	platformsim.FieldConversation: "ConversationId",
	platformsim.FieldDirect:       "Direct", platformsim.FieldText: "Text",
}

// ignored returns the given parameters that do not occur in the callback.
func ignored(maker *platformsim.Maker, platformType, mode string, said platformsim.Message) ([]string, error) {
	fields, err := maker.Unused(platformType, mode, said)
	var names []string
	for _, field := range fields {
		names = append(names, parameters[field])
	}
	return names, err
}

// messageID returns the id that the platform's receiver reads from a callback, empty if the
// callback carries no message.
func messageID(platformType string, settings callback.Settings, sent *platformsim.Callback, now time.Time) string {
	receiver, err := platform.All().Receivers()[platformType](settings)
	if err != nil {
		return ""
	}
	received, err := receiver.Receive(sent.Received(now))
	if err != nil || received.Message == nil {
		return ""
	}
	return received.Message.ID
}

// await looks for the result of a message until its outcome is known, or the wait is over.
func await(ctx context.Context, wait time.Duration,
	look func() (journal.SentMessage, bool, error)) (journal.SentMessage, bool, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		became, recorded, err := look()
		if err != nil || !recorded || became.Outcome != journal.OutcomePending {
			return became, recorded, err
		}
		select {
		case <-over.C:
			return became, true, nil
		case <-ctx.Done():
			return became, true, nil // a partial result is more useful than a timeout
		case <-time.After(pause):
		}
	}
}

// post posts the callback and puts the answer into out.
func (p *simulator) post(req *http.Request, sent *platformsim.Callback, hide func(string) string, out *sendResponse) {
	begun := p.now()
	client := p.client
	if len(p.trust) > 0 {
		var err error
		if client, err = trusting(p.trust...); err != nil {
			out.Problem = err.Error()
			return
		}
		defer client.CloseIdleConnections()
	}
	resp, err := client.Do(req)
	if err != nil {
		out.Problem = "the webhook did not answer: " + hide(cause(err))
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, webhook.MaxBody+1))
	switch {
	case err != nil:
		out.Problem = "the webhook's answer is incomplete: " + hide(cause(err))
		return
	case len(body) > webhook.MaxBody:
		out.Problem = fmt.Sprintf("the webhook's answer is longer than %d bytes", webhook.MaxBody)
		return
	}
	header := make(http.Header) // platforms ignore all others
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
	text, err := sent.ReadAnswer(body)
	if err != nil {
		out.Problem = fmt.Sprintf("the platform would reject the answer: %s", hide(withoutPackage(err)))
		return
	}
	out.Answer.Text = hide(text)
}

// cause returns the text of an error of net/http without the URL.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}

// withoutPackage returns the text of an error of platformsim without the package's name.
func withoutPackage(err error) string { return strings.TrimPrefix(err.Error(), "platformsim: ") }

// checkMode returns the requested kind of callback, if all its parameters are present.
func checkMode(platformType string, in *sendRequest) (string, error) {
	messages, checks := modesOf(platformType)
	mode := in.Mode
	if mode == "" && len(messages) > 0 {
		mode = messages[0]
	}
	if slices.Contains(checks, mode) {
		return mode, nil
	}
	if !slices.Contains(messages, mode) {
		return "", fault.Invalid("Mode", "Mode %q is unknown to %s; use %s.", mode, platformType,
			strings.Join(slices.Concat(messages, checks), ", "))
	}
	return mode, in.checkSaid()
}

// checkSaid returns an error unless the request says who says what.
func (in *sendRequest) checkSaid() error {
	var missing []error
	for _, needed := range [...][2]string{{"UserId", in.UserID}, {"Text", in.Text.Reveal()}} {
		if needed[1] == "" {
			missing = append(missing, fault.Missing(needed[0]))
		}
	}
	return fault.Join(missing...)
}

// settingsOf returns the settings to make a callback with: the current ones, or with previous set,
// those from before a rotation.
func settingsOf(e *command.Endpoint, previous bool) (callback.Settings, error) {
	settings := callback.Settings(maps.Clone(e.Settings))
	settings["BotName"] = secret.Text(e.BotName)
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
		return nil, fault.Invalid("Previous", "Chat configuration %q has no previous secret that is still accepted.",
			e.Name)
	}
	return settings, nil
}

// leastHidden is the length from which a secret is masked wherever it occurs. A shorter one also
// occurs inside words.
const leastHidden = 6

// hider returns a function that masks a configuration's secrets in a text, in every encoding, and
// the token of its webhook unless showURL is set. A secret shorter than leastHidden is masked only
// where it is a whole JSON string.
func hider(e *command.Endpoint, address secret.Text, showURL bool) func(string) string {
	var secrets []string
	for _, p := range platform.All().Descriptions() {
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
	// A replacer uses the first pair that matches. If one secret begins with another, the longer
	// one must be first.
	slices.SortFunc(written, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(written))
	for _, hidden := range written {
		if len(hidden) < leastHidden {
			pairs = append(pairs, `:"`+hidden+`"`, `:"`+secret.Mask+`"`)
			continue
		}
		pairs = append(pairs, hidden, secret.Mask)
	}
	return strings.NewReplacer(pairs...).Replace
}

// shownHeader returns a header with one masked value for each name.
func shownHeader(h http.Header, hide func(string) string) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[name] = hide(strings.Join(values, ", "))
	}
	return out
}

// print writes for people what the platform's user would see, followed, with wire, by the callback
// and its answer.
func (r *sendResponse) print(w io.Writer, wire bool) error {
	var b strings.Builder
	if r.Answer != nil && r.ok() {
		r.printSeen(&b)
	}
	for _, name := range r.Ignored {
		fmt.Fprintf(&b, "\n%s has no effect: it does not occur in the callback %s of %s.\n",
			flagOf[name], r.Mode, r.Type)
	}
	if wire {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		r.printWire(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// flagOf are the flags for the parameters of a message, for people.
var flagOf = map[string]string{
	"MessageId": "--message-id", "UserId": "--user", "UserName": "--user-name", "ConversationId": "--conversation",
	"Direct": "--direct", "Text": "The message",
}

// printSeen writes what the platform's user would see.
func (r *sendResponse) printSeen(b *strings.Builder) {
	_, checks := platformsim.Modes(r.Type)
	switch {
	case slices.Contains(checks, r.Mode):
		fmt.Fprintf(b, "The check of the URL succeeded: %s received what it had sent.\n", r.Type)
		return
	case r.Answer.Text != "":
		b.WriteString(r.Type + " shows:\n\n" + indented(r.Answer.Text))
		if r.Later != "" {
			b.WriteString("\nand then:\n\n" + indented(r.Later))
		}
	case r.Later != "":
		b.WriteString(r.Type + " shows:\n\n" + indented(r.Later))
	case r.Duplicate:
		b.WriteString(r.Type + " shows nothing: the message is a duplicate, and nothing was done.\n")
	case r.Outcome != journal.OutcomePending:
		b.WriteString(r.Type + " shows nothing.\n")
	}
	switch list := "'chatconf log " + r.Name + "'"; {
	case r.Outcome == journal.OutcomePending && r.Answer.Text != "":
		b.WriteString("\nThe late answer has not arrived yet; " + list + " will show the outcome.\n")
	case r.Outcome == journal.OutcomePending:
		b.WriteString(r.Type + " shows nothing yet; " + list + " will show the outcome.\n")
	case r.Outcome == journal.OutcomeFailed:
		b.WriteString("\nThe command failed: " + printable(r.Detail) + "\n")
	}
}

// printWire writes the callback and its answer as they were sent.
func (r *sendResponse) printWire(b *strings.Builder) {
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
	if r.Mode == modeStream {
		r.printRecord(b)
		return
	}
	part(r.Request.Method+" "+r.Request.Url, r.Request.Header, r.Request.Body)
	if a := r.Answer; a != nil {
		part(fmt.Sprintf("%d %s, in %d ms", a.Status, http.StatusText(a.Status), a.Milliseconds), a.Header, a.Body)
	}
}

// printRecord writes what became of a message over the connection.
func (r *sendResponse) printRecord(b *strings.Builder) {
	if r.Answer == nil {
		return
	}
	fmt.Fprintf(b, "The message went over the connection of %s, and was acknowledged in %d ms.\n", printable(r.Name),
		r.Answer.Milliseconds)
	if r.CommandId != "" {
		fmt.Fprintf(b, "Its record is %s: %s.\n", printable(r.CommandId), printable(string(r.Outcome)))
	}
}

// indented returns text with each line indented.
func indented(text string) string {
	return "  " + strings.ReplaceAll(printable(strings.TrimRight(text, "\n")), "\n", "\n  ") + "\n"
}

// printable returns text without control characters, which a terminal would obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if controls(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// controls reports whether a terminal obeys a character, other than the ends of lines and tabs.
func controls(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}
