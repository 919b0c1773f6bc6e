package platform_test

import (
	"os"
	"strings"
	"testing"
	"unicode"

	"chatconf/shared/dispatch"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
)

// TestReceivers runs the suite over the whole list, so that no platform is left out.
func TestReceivers(t *testing.T) {
	runSuite(t, platform.All(), os.DirFS("."))
}

// TestEveryFolderIsInTheList holds that a platform's folder is in the list, so that no platform is
// left out of it and of the suite.
func TestEveryFolderIsInTheList(t *testing.T) {
	folders := map[string]bool{"callback": true, "platformsim": true, "platformtest": true}
	for _, p := range platform.All() {
		folders[platformtest.Folder(p)] = true
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !folders[e.Name()] {
			t.Errorf("%s is not in the list of platforms", e.Name())
		}
		delete(folders, e.Name())
	}
	if len(folders) > 0 {
		t.Errorf("there are no folders %v", folders)
	}
}

// TestSenders holds that every platform that can be answered later has a sender, and none without
// the secrets it needs.
func TestSenders(t *testing.T) {
	client := callback.NewClient(callback.ClientOptions{})
	for _, p := range platform.All() {
		name := p.Description().Type
		_, err := p.NewSender(platformtest.Settings(name), client)
		if (err != nil) != (name == "Teams") || err != nil && dispatch.Retryable(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.NewSender(nil, client); err == nil && name != "Slack" {
			t.Errorf("%s: a sender is made of no settings", name)
		}
	}
}

// TestSetup holds that every platform says in both languages where to put the webhook's URL, and to
// ask whoami at the end.
func TestSetup(t *testing.T) {
	const webhook = "https://example.com/webhook/1/cn/ops/not-a-real-token"
	for _, p := range platform.All().Descriptions() {
		if p.Setup == nil {
			t.Errorf("%s says nothing", p.Type)
			continue
		}
		english, chinese := p.Setup(webhook, "en"), p.Setup(webhook, "zh")
		if len(english) != len(chinese) || len(english) < 3 {
			t.Errorf("%s has %d steps in English and %d in Chinese", p.Type, len(english), len(chinese))
		}
		for _, steps := range [][]string{english, chinese} {
			all := strings.Join(steps, "\n")
			if strings.Count(all, webhook) != 1 || !strings.Contains(steps[len(steps)-1], "whoami") {
				t.Errorf("%s: the URL is there %d times, and the last step is %q", p.Type,
					strings.Count(all, webhook), steps[len(steps)-1])
			}
			// Of these no id tells which mention is the bot's.
			if named := p.Type == "DingTalk" || p.Type == "WeChat" || p.Type == "Feishu"; named &&
				!strings.Contains(all, "BotName") {
				t.Errorf("%s: the steps do not ask for BotName", p.Type)
			}
			for _, step := range steps {
				if step == "" || strings.ContainsAny(step, "\n\t") || strings.TrimSpace(step) != step {
					t.Errorf("%s: the step %q is no line", p.Type, step)
				}
			}
			for _, s := range p.Settings {
				if s.Output != "" && !strings.Contains(all, s.Output) {
					t.Errorf("%s: the steps do not name %s of Outputs", p.Type, s.Output)
				}
			}
		}
		if han := strings.ContainsFunc(strings.Join(chinese, ""),
			func(c rune) bool { return unicode.Is(unicode.Han, c) }); !han {
			t.Errorf("%s: the Chinese steps are not Chinese", p.Type)
		}
	}
}
