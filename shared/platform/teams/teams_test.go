package teams_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/teams"
	"chatconf/shared/secret"
)

var now = platformtest.Now

func receiver(t testing.TB, pairs ...string) callback.Receiver {
	t.Helper()
	return platformtest.Receiver(t, teams.Platform{}.NewReceiver, platformtest.With("Teams", pairs...))
}

func signed(body string) *callback.Request {
	secret, _ := base64.StdEncoding.DecodeString(platformtest.Settings("Teams").Get("TeamsWebhookSecret"))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(body))
	return &callback.Request{Method: "POST", Body: []byte(body), Now: now,
		Header: http.Header{"Authorization": {"HMAC " + base64.StdEncoding.EncodeToString(h.Sum(nil))}}}
}

// activity is one with some of its text replaced.
func activity(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(
		`{"type":"message","id":"1","timestamp":"2026-11-23T08:00:00.1234567Z","from":{"id":"29:x",` +
			`"name":"Ann","aadObjectId":"aad-1"},` +
			`"conversation":{"id":"19:c@thread.tacv2;messageid=1","tenantId":"00000000-0000-4000-8000-00000000000A",` +
			`"conversationType":"channel"},"text":"TEXT"}`)
}

func TestActivities(t *testing.T) {
	for name, test := range map[string]struct {
		body, text string
		user       string
		direct     bool
		nothing    bool
		step       callback.Step
	}{
		"a message": {body: activity("TEXT", `<at>ops</at>&nbsp;restart i-1\n`),
			text: "restart i-1", user: "aad-1"},
		"a mention with attributes": {body: activity("TEXT", `<at id=\"0\">ops</at> help`),
			text: "help", user: "aad-1"},
		"another mention": {body: activity("TEXT", `<at>ops</at> whoami <at>Bob B</at>`),
			text: "whoami @Bob_B", user: "aad-1"},
		"no mention": {body: activity("TEXT", "help"), text: "help", user: "aad-1"},
		"tags and lines": {body: activity("TEXT",
			`<p><at>ops</at> <b>a</b><br/>b</p><div>c</div>`), text: "a\nb\nc", user: "aad-1"},
		"what only looks like a tag": {body: activity("TEXT", `a <i-1> b < c &lt;b&gt;`),
			text: "a <i-1> b < c <b>", user: "aad-1"},
		"entities are decoded once": {body: activity("TEXT", `&amp;lt;at&amp;gt;`),
			text: "&lt;at&gt;", user: "aad-1"},
		"a mention that does not end": {body: activity("TEXT", `<at>ops help`),
			text: "ops help", user: "aad-1"},
		"an end within a beginning": {body: activity("TEXT", `<at>ops</at> <at </at> x`),
			text: "x", user: "aad-1"},
		"one to one": {body: activity("TEXT", "help", `"channel"`, `"personal"`),
			text: "help", user: "aad-1", direct: true},
		"somebody without an id": {body: activity("TEXT", "help", `,"aadObjectId":"aad-1"`, ""),
			text: "help"},
		"a bot's message":  {body: activity("29:x", "28:x"), nothing: true},
		"another activity": {body: activity(`"message"`, `"conversationUpdate"`), nothing: true},
		"the tenant by another way": {body: activity(`"tenantId":"00000000-0000-4000-8000-00000000000A",`,
			"", `"text"`, `"channelData":{"tenant":{"id":"00000000-0000-4000-8000-00000000000a"}},"text"`),
			text: "TEXT", user: "aad-1"},
		"another tenant": {body: activity("00000000000A", "00000000000B"),
			step: callback.StepReceiver},
		"no tenant": {body: activity(`"tenantId":"00000000-0000-4000-8000-00000000000A",`,
			""), step: callback.StepReceiver},
		"no time": {body: activity(`"timestamp":"2026-11-23T08:00:00.1234567Z",`, ""),
			step: callback.StepFreshness},
		"a time of no place": {body: activity(`00.1234567Z`, "00"), step: callback.StepFreshness},
		"a time that is a number": {body: activity(`"2026-11-23T08:00:00.1234567Z"`, "1"),
			step: callback.StepDecode},
		"a time of another place, which fits": {body: activity(`2026-11-23T08:00:00.1234567Z`,
			"2026-11-23T16:00:00+08:00"), text: "TEXT", user: "aad-1"},
		"an old time": {body: activity(`2026-11-23T08:00`, "2026-11-23T07:54"),
			step: callback.StepFreshness},
		"no id": {body: activity(`"id":"1",`, ""), step: callback.StepDecode},
		"no conversation": {body: activity(`"id":"19:c@thread.tacv2;messageid=1",`, ""),
			step: callback.StepDecode},
		"a text that is a number": {body: activity(`"TEXT"`, "1"), step: callback.StepDecode},
		"a conversation that is a number": {body: activity(
			`{"id":"19:c@thread.tacv2;messageid=1","tenantId":"00000000-0000-4000-8000-00000000000A",`+
				`"conversationType":"channel"}`, "1"), step: callback.StepDecode},
		"no JSON": {body: "x", step: callback.StepDecode},
	} {
		in, err := receiver(t).Receive(signed(test.body))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if m := in.Message; (m == nil) != test.nothing || m != nil &&
			(m.Text != test.text || m.User != test.user || m.Conversation != "19:c@thread.tacv2" ||
				m.Direct != test.direct) {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, err := receiver(t, "TeamsTenantId", "").Receive(
		signed(activity("00000000000A", "00000000000B"))); err != nil {
		t.Errorf("where no tenant is set: %v", err)
	}
}

func TestNewReceiver(t *testing.T) {
	for _, hidden := range []string{"", "AAAA", "not base64!"} {
		if _, err := (teams.Platform{}).NewReceiver(
			callback.Settings{"TeamsWebhookSecret": secret.Text(hidden)}); err == nil || hidden != "" &&
			strings.Contains(err.Error(), hidden) {
			t.Errorf("%q: %v", hidden, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	response, err := receiver(t).Answer(nil, "<at>all</at> @all"+strings.Repeat("x", 20_000))
	if err != nil || !json.Valid(response.Body) || len(response.Body) > 13_000 ||
		strings.Contains(string(response.Body), "<at>") {
		t.Errorf("%.100s, %v", response.Body, err)
	}
	const grant = `"Conversations":["19:example@thread.tacv2"]` // to be copied as it is
	if response, err = receiver(t).Answer(nil, grant); err != nil ||
		!strings.Contains(string(response.Body), `19:example@thread.tacv2`) {
		t.Errorf("%s, %v", response.Body, err)
	}
}

// FuzzReceive gives any text of an activity, and any activity. Whatever is taken has ids that can
// be kept, and text of which no mention's tag is left.
func FuzzReceive(f *testing.F) {
	for _, text := range []string{"<at>x</at> y", "<at <at>></at>", "<br/><p>",
		"a < b &lt;at&gt;", "<at></at><at </at>"} {
		f.Add(text)
	}
	f.Add(activity())
	r := receiver(f)
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{text, activity(`"TEXT"`, string(quoted))} {
			in, err := r.Receive(signed(body))
			if err != nil {
				if platformtest.StepOf(err) == "" {
					t.Errorf("an error that is no refusal: %v", err)
				}
				continue
			}
			if m := in.Message; m != nil && (m.ID == "" || m.Conversation == "" ||
				callback.Fold(m.Text) != m.Text || len(m.Text) > len(body)) {
				t.Errorf("%+v", m)
			}
		}
	})
}

// People choose their names, so a name must not add words to the command of whoever mentions them.
func TestANameIsOneWord(t *testing.T) {
	for _, name := range []string{"Bob --all i-1", "Bob&nbsp;x", "Bob&#39; x &#39;", "“Bob", "Bob\\\\", "Bob<br>x"} {
		in, err := receiver(t).Receive(signed(activity("TEXT", "<at>ops</at> kick <at>"+name+"</at> now")))
		if err != nil {
			t.Fatal(err)
		}
		if _, args, err := command.Parse(in.Message.Text); err != nil || len(args) != 2 || args[1] != "now" {
			t.Errorf("%q: %q is %q, %v", name, in.Message.Text, args, err)
		}
	}
}

// Text that looks like the beginnings of very many tags must not take a time that grows with its
// square.
func TestTextOfManyTagsIsReadInTime(t *testing.T) {
	const n = 200_000
	for name, text := range map[string]string{
		"beginnings without an end": strings.Repeat("<", n),
		"beginnings with one end":   strings.Repeat("<A", n) + ">",
		"mentions without an end":   strings.Repeat("<at>", n),
		"many mentions":             strings.Repeat("<at>a</at>", n/10),
		"many links":                strings.Repeat("<a href='https://a'>b</a>", n/20),
		"links without an end":      strings.Repeat("<a href='x'>", n/10),
		"many quotations":           strings.Repeat("<blockquote>", n/10),
		"many pieces of a list":     strings.Repeat("<li>a", n/10),
		"spans without an end":      strings.Repeat("<span itemtype='http://schema.skype.com/Mention'>", n/40),
	} {
		begun := time.Now()
		if _, err := receiver(t).Receive(signed(activity("TEXT", text))); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// An edit has the message's id, and says when it was made.
func TestAnEditIsTheSameMessage(t *testing.T) {
	edit := strings.NewReplacer(`"message","id"`, `"messageUpdate","channelData":{"eventType":"editMessage"},"id"`)
	first, err := receiver(t).Receive(signed(activity("TEXT", "help", `"id":"1"`, `"id":"1795420800000"`)))
	if err != nil {
		t.Fatal(err)
	}
	later, err := receiver(t).Receive(signed(edit.Replace(activity("TEXT", "help",
		`"id":"1"`, `"id":"1795420800000"`))))
	if err != nil || later.Message == nil {
		t.Fatalf("%+v, %v", later, err)
	}
	if a, b := first.Message, later.Message; a.ID != b.ID || a.Edit != "" ||
		b.Edit != "20261123080000.123456700" || b.Unread != "" {
		t.Errorf("%+v and %+v", a, b)
	}
}

// An administrator may copy an object id from where it is in capitals, and a Deny of it must hold.
func TestUsersAreTheSameInAnyCase(t *testing.T) {
	if !(teams.Platform{}).Description().FoldUsers {
		t.Error("a GUID in capitals is taken for another")
	}
}
