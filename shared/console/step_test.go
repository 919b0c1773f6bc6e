package console_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/console"
	"chatconf/shared/platform"
)

// wordsOf returns the links and the words to copy in steps, and checks that no text is lost.
func wordsOf(t *testing.T, steps []string) (links, copied []string) {
	t.Helper()
	for _, step := range steps {
		var whole strings.Builder
		for _, part := range console.PartsOf(step) {
			whole.WriteString(part.Text)
			if part.Link {
				links = append(links, part.Text)
			}
			if part.Copy {
				copied = append(copied, part.Text)
			}
		}
		if whole.String() != step {
			t.Errorf("the parts of %q are %q", step, whole.String())
		}
	}
	slices.Sort(links)
	slices.Sort(copied)
	return slices.Compact(links), slices.Compact(copied)
}

// The words to copy are those that the platform's console takes, the same in both languages. The
// address of the webhook has no secret here, so nobody can use it.
func TestWordsOfStepsCanBeCopied(t *testing.T) {
	const webhook = "https://chatconf.example.com/webhook/1/r/ops/******"
	want := map[string]string{
		"DingTalk": "/v1.0/card/callbacks/register aes_key qyapi_robot_sendmsg",
		"Feishu": "application.bot.menu_v6 card.action.trigger event_key im.message.receive_v1 " +
			"im:message.group_at_msg:readonly im:message.p2p_msg:readonly im:message:send_as_bot",
		"Slack":  "app_mention app_mentions:read chat:write connections:write im:history message.im",
		"Teams":  "",
		"WeChat": "",
	}
	for _, p := range platform.All().Descriptions() {
		var links, copied [2][]string
		for i, language := range []string{"en", command.Chinese} {
			steps := p.Setup(webhook, language)
			if p.StreamSetup != nil {
				steps = append(steps, p.StreamSetup(language)...)
			}
			links[i], copied[i] = wordsOf(t, steps)
			if got := strings.Join(copied[i], " "); got != want[p.Type] {
				t.Errorf("%s in %s: %q, want %q", p.Type, language, got, want[p.Type])
			}
		}
		chattest.Equal(t, "links of "+p.Type, links[0], links[1])
		if p.Type != "Teams" && len(links[0]) == 0 || slices.Contains(links[0], webhook) {
			t.Errorf("the links of %s are %q", p.Type, links[0])
		}
	}
}

func TestPartsOfSteps(t *testing.T) {
	for step, want := range map[string][]string{
		"":                          {""},
		"Save.":                     {"Save."},
		"http://192.0.2.1/x is bad": {"", "http://192.0.2.1/x", " is bad"},
		"（https://a.example/b）":     {"（", "https://a.example/b", "）"},
		"add a_b and c:d.":          {"add ", "a_b", " and ", "c:d", "."},
		"SlackBotToken, 60020":      {"SlackBotToken, 60020"},
	} {
		var got []string
		for _, part := range console.PartsOf(step) {
			got = append(got, part.Text)
			if part.Copy && strings.HasPrefix(part.Text, "http") {
				t.Errorf("%q: the address %q is to copy", step, part.Text)
			}
		}
		chattest.Equal(t, step, got, want)
	}
}

// The page has what the script needs, and marks nothing that is secret or masked.
func TestTheSetUpCanBeCopied(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops")
	wantText(t, page, "<code data-copy>app_mentions:read</code>",
		`<a href="https://api.slack.com/apps" rel="noreferrer">https://api.slack.com/apps</a>`,
		"<code data-copy>chatconf show ops --show-url</code>", `<p id="copied" class="quiet" role="status"`,
		`data-copied="Copied: %s"`, `<script src="/console/static/copy.js?v=`)
	for _, m := range regexp.MustCompile(`data-copy>([^<]*)<`).FindAllStringSubmatch(page, -1) {
		wantNoText(t, m[1], "***", planted, "https:")
	}
	text, err := os.ReadFile("asset/copy.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`dataset\.([a-z]+)`).FindAllStringSubmatch(string(text), -1) {
		wantText(t, page, " data-"+m[1]+`="`)
	}
	wantNoText(t, string(text), "innerHTML", "insertAdjacentHTML", "http:", "https:")
	wantNoText(t, b.page("/console/"), "copy.js")
}
