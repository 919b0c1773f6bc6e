package platform_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
)

// The conformance suite of receivers. A platform without vectors fails. Genuine callbacks come from
// files with published samples, and from package platformsim in every mode. The suite changes each
// part of a callback: a receiver must refuse a changed callback, or read the same from it.

// runSuite runs the suite for every platform of the list, with the files of its folder in root,
// which is shared/platform.
func runSuite(t *testing.T, platforms []callback.Platform, root fs.FS) {
	for _, listed := range platforms {
		p, newReceiver := listed.Description(), listed.NewReceiver
		t.Run(p.Type, func(t *testing.T) {
			folder, err := fs.Sub(root, platformtest.Folder(listed))
			if err != nil {
				t.Fatal(err)
			}
			vectors, err := readVectors(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range vectors {
				if v.Type != p.Type {
					t.Errorf("%s has the type %q", v.Name, v.Type)
				}
				t.Run(v.Name, func(t *testing.T) { runVector(t, p, newReceiver, v) })
			}
			messages, checks := platformsim.Modes(p.Type)
			if len(messages) == 0 {
				t.Fatal("package platformsim has no simulator for it")
			}
			for _, mode := range messages {
				t.Run("simulated "+mode, func(t *testing.T) { runSimulated(t, p, newReceiver, mode) })
			}
			for _, mode := range checks {
				t.Run("simulated "+mode, func(t *testing.T) { runCheck(t, p, newReceiver, mode) })
			}
			t.Run("kinds", func(t *testing.T) { runKinds(t, p, newReceiver, folder) })
			t.Run("values", func(t *testing.T) { runValues(t, p, folder) })
			t.Run("an empty secret is refused at construction", func(t *testing.T) { emptySecret(t, p, newReceiver) })
		})
	}
}

// A sample is a callback under test.
type sample struct {
	t        *testing.T
	platform command.Platform
	new      platformtest.New
	settings callback.Settings
	request  *callback.Request
	mode     *platformsim.Mode
	secrets  []string // the settings that verify callbacks: those that may have a previous value
}

func newSample(t *testing.T, p command.Platform, n platformtest.New, settings callback.Settings, r *callback.Request,
	mode *platformsim.Mode) *sample {
	s := &sample{t, p, n, settings, r, mode, nil}
	for _, setting := range p.Settings {
		if key, ok := strings.CutSuffix(setting.Key, command.Previous); ok && settings.Get(key) != "" {
			s.secrets = append(s.secrets, key)
		}
	}
	if len(s.secrets) == 0 {
		t.Fatal("no secret may have a previous value")
	}
	return s
}

// take passes a request to a receiver with settings. The result must be a handshake, a message,
// nothing, or a refusal.
func (s *sample) take(settings callback.Settings,
	r *callback.Request) (callback.Receiver, *callback.Received, callback.Step) {
	s.t.Helper()
	receiver, err := s.new(settings)
	if err != nil {
		s.t.Fatalf("a receiver of the settings: %v", err)
	}
	received, err := receiver.Receive(r)
	var refusal *callback.Refusal
	switch {
	case errors.As(err, &refusal):
		if refusal.Step == "" || refusal.Reason == "" {
			s.t.Errorf("a refusal without a step or a reason: %v", err)
		}
		for _, key := range s.secrets {
			if strings.Contains(err.Error(), settings.Get(key)) {
				s.t.Errorf("the refusal contains the value of %s", key)
			}
		}
		return receiver, nil, refusal.Step
	case err != nil:
		s.t.Fatalf("the error is not a refusal: %v", err)
	case received.Handshake != nil && received.Message != nil:
		s.t.Error("both a handshake and a message")
	}
	return receiver, received, ""
}

// same reports whether two callbacks have the same result. Sealed handshakes always differ. A
// callback without a time has no signature either, so its challenge may change: it is returned and
// has no other effect.
func (s *sample) same(a, b *callback.Received) bool {
	if (a.Handshake == nil) != (b.Handshake == nil) || !reflect.DeepEqual(a.Message, b.Message) ||
		!slices.Equal(a.Guards, b.Guards) {
		return false
	}
	return a.Handshake == nil || s.mode.Timeless || platformsim.Of(s.platform.Type).SealsChecks ||
		bytes.Equal(a.Handshake.Body, b.Handshake.Body)
}

func clone(r *callback.Request) *callback.Request {
	out := *r
	out.Query, out.Header, out.Body = make(url.Values), r.Header.Clone(), slices.Clone(r.Body)
	for k, v := range r.Query {
		out.Query[k] = slices.Clone(v)
	}
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	return &out
}

// proofs are the headers and parameters that verification needs.
var proofs = []string{"sign", "timestamp", "nonce", "msg_signature", "echostr", "x-ddpaas-signature",
	"x-ddpaas-signature-timestamp", "x-slack-signature",
	"x-slack-request-timestamp", "x-lark-signature", "x-lark-request-timestamp",
	"x-lark-request-nonce", "authorization"}

// tamper changes each part of a genuine callback.
func (s *sample) tamper() {
	t := s.t
	_, genuine, step := s.take(s.settings, clone(s.request))
	if genuine == nil {
		t.Fatalf("the genuine callback is refused: %s", step)
	}
	refused := func(what string, r *callback.Request, steps ...callback.Step) {
		t.Helper()
		if _, received, step := s.take(s.settings, r); received != nil {
			t.Errorf("%s: accepted", what)
		} else if len(steps) > 0 && !slices.Contains(steps, step) {
			t.Errorf("%s: refused for its %s, want %v", what, step, steps)
		}
	}
	refusedOrSame := func(what string, r *callback.Request) {
		t.Helper()
		if _, received, _ := s.take(s.settings, r); received != nil && !s.same(received, genuine) {
			t.Errorf("%s: accepted with another result", what)
		}
	}
	values := func(r *callback.Request) []map[string][]string { return []map[string][]string{r.Query, r.Header} }
	for i, all := range values(s.request) {
		for name, v := range all {
			with := func(to ...string) *callback.Request {
				r := clone(s.request)
				values(r)[i][name] = to
				return r
			}
			proof := slices.Contains(proofs, strings.ToLower(name))
			if !proof {
				refusedOrSame(name+" is empty", with(""))
				continue
			}
			refused(name+" is missing", with(), callback.StepRequest)
			refused(name+" is empty", with(""), callback.StepRequest)
			refused(name+" is present twice", with(v[0], v[0]), callback.StepRequest)
			refused(name+" is present twice, the second time changed", with(v[0], "0"), callback.StepRequest)
			refused(name+" is folded with a comma", with(v[0]+","+v[0]))
			refused(name+" has a blank before it", with(" "+v[0]))
			refused(name+" has a byte more", with(v[0]+"0"))
			refused(name+" has a line end behind it", with(v[0]+"\n"))
			refused(name+" has a byte less", with(v[0][:len(v[0])-1]))
			for at := range len(v[0]) {
				digits := "0Af+="
				if at >= len(v[0])-2 { // some bits of the last digit of base64 may be ignored
					digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
				}
				for _, c := range []byte(digits) {
					if v[0][at] != c {
						refused(name+" is changed at one place", with(v[0][:at]+string(c)+v[0][at+1:]))
					}
				}
				if upper := strings.ToUpper(v[0][at : at+1]); upper != v[0][at:at+1] {
					refused(name+" has a capital", with(v[0][:at]+upper+v[0][at+1:]))
				}
			}
			lower := clone(s.request)
			if values(lower)[i][name] = nil; i == 1 {
				delete(lower.Header, name)
				lower.Header[strings.ToLower(name)] = v
				if _, received, step := s.take(s.settings, lower); received == nil || !s.same(received, genuine) {
					t.Errorf("%s in lower case: refused for its %s", name, step)
				}
			}
		}
	}
	s.tamperBody(refused, refusedOrSame)
	for _, method := range []string{"PUT", "HEAD", "", "post",
		map[string]string{"GET": "POST", "POST": "GET"}[s.request.Method]} {
		r := clone(s.request)
		r.Method = method
		refused("the method "+method, r)
	}
	if !s.mode.Timeless {
		for _, by := range []time.Duration{window + 2*time.Second, -window - 2*time.Second, 24 * time.Hour,
			-24 * time.Hour, 1 << 62, -1 << 62} {
			r := clone(s.request)
			r.Now = r.Now.Add(by)
			refused("its time is off by "+by.String(), r, callback.StepFreshness)
		}
		for _, by := range []time.Duration{window - 2*time.Second, -window + 2*time.Second} {
			r := clone(s.request)
			r.Now = r.Now.Add(by)
			if _, received, step := s.take(s.settings, r); received == nil {
				t.Errorf("its time is off by %s: refused for its %s", by, step)
			}
		}
	}
	s.otherSettings(genuine)
}

// window is the default of all platforms for the age of a callback.
const window = 5 * time.Minute

func (s *sample) tamperBody(refused func(string, *callback.Request, ...callback.Step),
	refusedOrSame func(string, *callback.Request)) {
	with := func(body []byte) *callback.Request {
		r := clone(s.request)
		r.Body = body
		return r
	}
	body := s.request.Body
	if len(body) == 0 {
		refusedOrSame("an unexpected body", with([]byte("x")))
		return
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(body)
	z.Close()
	refused("the body is missing", with(nil))
	refused("the body is zipped", with(zipped.Bytes()))
	refused("the body is present twice", with(append(slices.Clone(body), body...)))
	refused("there is data after the body", with(append(slices.Clone(body), "\x80\x00"...)))
	refused("there is a byte order mark", with(append([]byte("\ufeff"), body...)))
	for n := 1; n < len(body); n += 1 + len(body)/40 {
		refused("the body is cut", with(slices.Clone(body[:n])))
	}
	if s.mode.Unsigned {
		return
	}
	for at := range body {
		for _, c := range []byte{body[at] ^ 1, body[at] ^ 0x20, ' ', '\n', '"', 0} {
			if c != body[at] {
				changed := slices.Clone(body)
				changed[at] = c
				refusedOrSame("the body is changed at one place", with(changed))
			}
		}
	}
}

// other is another value of a setting, of the same shape.
func other(value string) secret.Text {
	last := len(value) - 2 // some bits of the very last may be ignored
	if last < 0 {
		return secret.Text(value + "1")
	}
	c := "7"
	if value[last] == '7' {
		c = "8"
	}
	return secret.Text(value[:last] + c + value[last+1:])
}

// otherSettings passes the genuine callback to receivers with other settings.
func (s *sample) otherSettings(genuine *callback.Received) {
	t := s.t
	for _, key := range s.mode.Receiver {
		settings := maps.Clone(s.settings)
		settings[key] = other(settings.Get(key))
		if _, received, step := s.take(settings, clone(s.request)); received != nil || step != callback.StepReceiver {
			t.Errorf("it is for another %s: accepted %v, refused for its %q, want %q", key,
				received != nil, step, callback.StepReceiver)
		}
	}
	changed, rotated, both := maps.Clone(s.settings), maps.Clone(s.settings), maps.Clone(s.settings)
	for _, key := range s.secrets {
		changed[key] = other(s.settings.Get(key))
		rotated[key], rotated[key+command.Previous] = changed[key], s.settings[key]
		both[key+command.Previous] = changed[key]
	}
	if _, received, _ := s.take(changed, clone(s.request)); received != nil {
		t.Errorf("with other secrets: accepted")
	}
	for what, settings := range map[string]callback.Settings{"the secrets are now the previous ones": rotated,
		"there are previous secrets": both} {
		_, received, step := s.take(settings, clone(s.request))
		if received == nil || !s.same(received, genuine) {
			t.Errorf("%s: refused for its %s", what, step)
		}
	}
}

func runVector(t *testing.T, p command.Platform, n platformtest.New, v vector) {
	s := newSample(t, p, n, v.Settings, v.Request, &platformsim.Mode{Receiver: v.Receiver,
		Unsigned: v.Unsigned, Timeless: v.Timeless})
	expect, detail, _ := strings.Cut(v.Expect, " ")
	_, received, step := s.take(v.Settings, clone(v.Request))
	got := "refused"
	switch {
	case received == nil:
	case received.Handshake != nil:
		got = "handshake"
	case received.Message != nil:
		got = "message"
	default:
		got = "nothing"
	}
	if got != expect {
		t.Fatalf("it is %s (%s), want %s", got, step, v.Expect)
	}
	switch got {
	case "refused":
		if string(step) != detail {
			t.Errorf("it is refused for its %s, want %s", step, detail)
		}
		return
	case "handshake":
		answer := string(received.Handshake.Body)
		if word, ok := strings.CutPrefix(detail, "sealed "); ok {
			answer, detail = unseal(t, v.Settings, answer), word
		}
		if answer != detail {
			t.Errorf("the handshake is %q, want %q", answer, detail)
		}
	case "message":
		m := received.Message
		for name, got := range map[string]string{"id": m.ID, "conversation": m.Conversation,
			"user": m.User, "text": m.Text} {
			if want, ok := v.Fields[name]; ok && got != want {
				t.Errorf("its %s is %q, want %q", name, got, want)
			}
		}
	}
	s.tamper()
}

// unseal opens the answer to DingTalk's check of a URL.
func unseal(t *testing.T, s callback.Settings, answer string) string {
	t.Helper()
	key, err := callback.ParseEnvelopeKey(s.Get("DingTalkEncodingAesKey"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(answer, `"encrypt":"`)
	encrypt, _, _ := strings.Cut(after, `"`)
	message, _, err := key.Open(encrypt, 32)
	if err != nil {
		t.Fatalf("the answer %s: %v", answer, err)
	}
	return message
}

// nasty is text that would be markup or mention everyone on some platform.
const nasty = "<!channel> @all <at user_id=\"all\">x</at> *b* _i_ `c` [l](https://example.com) & &lt; \\ ]]> # | " +
	"~ 钉\n<a href=\"https://example.com\">y</a>"

func runSimulated(t *testing.T, p command.Platform, n platformtest.New, mode string) {
	kind := platformsim.Of(p.Type).Mode(mode)
	settings := platformtest.Settings(p.Type)
	maker := &platformsim.Maker{Settings: settings, Now: platformtest.Now}
	for _, direct := range []bool{false, true} {
		said := platformsim.Message{User: "manager4220", Text: "restart <i-123> & \u00a0\u3000 \"go\" ",
			Direct: direct, Conversation: "room-1"}
		c, err := maker.Make(p.Type, mode, said)
		if err != nil {
			t.Fatal(err)
		}
		s := newSample(t, p, n, settings, c.Received(platformtest.Now), kind)
		receiver, received, step := s.take(settings, c.Received(platformtest.Now))
		if received == nil || received.Message == nil {
			t.Fatalf("it is not a message; refused for its %q", step)
		}
		m := received.Message
		if got, want := m.Text, `restart <i-123> &    "go"`; got != want {
			t.Errorf("its text is %q, want %q", got, want)
		}
		if m.User != said.User || m.ID == "" || m.Conversation == "" {
			t.Errorf("its user is %q, its id %q, its conversation %q", m.User, m.ID, m.Conversation)
		}
		if !kind.Direct && m.Conversation != "room-1" && !(kind.DirectByUser && direct) {
			t.Errorf("its conversation is %q", m.Conversation)
		}
		if kind.Unsigned != (len(received.Guards) > 0) {
			t.Errorf("it has %d guards, and its signature covers the body: %v", len(received.Guards), !kind.Unsigned)
		}
		for _, guard := range received.Guards {
			for _, values := range c.Header {
				if strings.Contains(guard, values[0]) {
					t.Errorf("the guard contains a header")
				}
			}
		}
		answers(t, receiver, received, c, kind)
		s.tamper()
		rotatedAnswer(t, s, c, kind)
	}
	ids(t, p, n, maker, mode, kind)
	atOnce(t, p, n, maker, mode)
}

// atOnce tests, with the race detector, that many goroutines can use one receiver.
func atOnce(t *testing.T, p command.Platform, n platformtest.New, maker *platformsim.Maker, mode string) {
	t.Helper()
	receiver, err := n(maker.Settings)
	if err != nil {
		t.Fatal(err)
	}
	c, err := maker.Make(p.Type, mode, platformsim.Message{User: "manager4220", Text: "help"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			received, err := receiver.Receive(c.Received(maker.Now))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := receiver.Answer(received, "done"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// ids tests that two equal messages have different ids, and that two messages under one signature
// that does not cover them have the same guard.
func ids(t *testing.T, p command.Platform, n platformtest.New, maker *platformsim.Maker, mode string,
	kind *platformsim.Mode) {
	t.Helper()
	receiver, err := n(maker.Settings)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	var guards []string
	for _, id := range []string{"id-a", "id-b"} {
		c, err := maker.Make(p.Type, mode, platformsim.Message{ID: id, User: "manager4220", Text: "help"})
		if err != nil {
			t.Fatal(err)
		}
		received, err := receiver.Receive(c.Received(maker.Now))
		if err != nil {
			t.Fatal(err)
		}
		if seen[received.Message.ID] {
			t.Errorf("two messages have the id %q", received.Message.ID)
		}
		seen[received.Message.ID] = true
		guards = append(guards, received.Guards...)
	}
	if kind.Unsigned && (len(guards) != 2 || guards[0] != guards[1]) {
		t.Errorf("two messages under one signature have the guards %q", guards)
	}
}

// answers makes answers, also an empty one, and reads them as the platform would.
func answers(t *testing.T, receiver callback.Receiver, received *callback.Received,
	c *platformsim.Callback, kind *platformsim.Mode) {
	t.Helper()
	for _, text := range []string{"", "done", nasty} {
		response, err := receiver.Answer(received, text)
		if err != nil {
			t.Fatalf("Answer(%q): %v", text, err)
		}
		if response.Status != 200 {
			t.Errorf("Answer(%q) has the status %d", text, response.Status)
		}
		want := text
		if !kind.Carries {
			want = ""
		}
		if got := response.Carries; got != (want != "") {
			t.Errorf("Answer(%q) carries the text: %v", text, got)
		}
		if got, err := c.ReadAnswer(response.Body); err != nil || got != want {
			t.Errorf("Answer(%q) shows %q, %v, want %q", text, got, err, want)
		}
	}
}

// rotatedAnswer tests that the platform can read the answer to a callback with the previous
// secrets.
func rotatedAnswer(t *testing.T, s *sample, c *platformsim.Callback, kind *platformsim.Mode) {
	t.Helper()
	settings := maps.Clone(s.settings)
	for _, key := range s.secrets {
		settings[key], settings[key+command.Previous] = other(settings.Get(key)), settings[key]
	}
	receiver, received, step := s.take(settings, clone(s.request))
	if received == nil {
		t.Fatalf("made with the previous secrets: refused for its %s", step)
	}
	answers(t, receiver, received, c, kind)
}

func runCheck(t *testing.T, p command.Platform, n platformtest.New, mode string) {
	kind := platformsim.Of(p.Type).Mode(mode)
	settings := platformtest.Settings(p.Type)
	c, err := (&platformsim.Maker{Settings: settings, Now: platformtest.Now}).Make(p.Type, mode, platformsim.Message{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t, p, n, settings, c.Received(platformtest.Now), kind)
	_, received, step := s.take(settings, c.Received(platformtest.Now))
	if received == nil || received.Handshake == nil {
		t.Fatalf("it is not a handshake; refused for its %q", step)
	}
	if got, err := c.ReadAnswer(received.Handshake.Body); err != nil || got == "" {
		t.Errorf("the platform reads %q, %v", got, err)
	}
	s.tamper()
}

// emptySecret tests that a receiver needs the secret that verifies its callbacks.
func emptySecret(t *testing.T, p command.Platform, n platformtest.New) {
	if _, err := n(platformtest.Settings(p.Type)); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, setting := range p.Settings {
		key, ok := strings.CutSuffix(setting.Key, command.Previous)
		if !ok {
			continue
		}
		i := slices.IndexFunc(p.Settings, func(s command.Setting) bool { return s.Key == key })
		if i < 0 || !setting.Secret || !p.Settings[i].Secret {
			t.Errorf("%s is not a secret beside a secret %s", setting.Key, key)
			continue
		}
		if !p.Settings[i].Required && !p.Settings[i].Generate {
			continue
		}
		tried++
		settings := platformtest.Settings(p.Type)
		settings[setting.Key] = settings[key] // a previous secret alone is not enough
		for _, empty := range []func(){func() { settings[key] = "" }, func() { delete(settings, key) }} {
			empty()
			if receiver, err := n(settings); err == nil || receiver != nil {
				t.Errorf("a receiver is made without %s", key)
			}
		}
	}
	if tried == 0 {
		t.Error("no mandatory secret may have a previous value")
	}
}

// runKinds tests that each kind of message has the outcome in the platform's file.
func runKinds(t *testing.T, p command.Platform, n platformtest.New, folder fs.FS) {
	all, err := platformtest.ReadKinds(folder)
	if err != nil {
		t.Fatal(err)
	}
	settings := platformtest.With(p.Type, "BotName", "ops")
	for _, k := range all {
		c, err := (&platformsim.Maker{Settings: settings, Now: platformtest.Now}).Enclose(p.Type, k.Enclosure, k.Text)
		if err != nil {
			t.Fatal(err)
		}
		received, err := platformtest.Receiver(t, n, settings).Receive(c.Received(platformtest.Now))
		if err != nil {
			t.Errorf("%s: %v, want it %s", k.About, err, k.Outcome)
			continue
		}
		if got := outcomeOf(received); got != k.Outcome {
			t.Errorf("%s: it is %s, want %s", k.About, got, k.Outcome)
		}
	}
}

// outcomeOf returns the outcome of a callback, in the form of Kind.Outcome.
func outcomeOf(received *callback.Received) string {
	switch m := received.Message; {
	case received.Handshake != nil:
		return "a handshake"
	case m != nil && m.Unread != "":
		return "answered " + m.Unread
	case m != nil:
		return "heard " + m.Text
	case received.Unproven:
		return "unproven " + received.Kind
	}
	return "counted " + received.Kind
}
