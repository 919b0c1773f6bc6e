package e2e_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// kindOfPage makes one page stand for those that differ only in the bot, the key or values of the
// query.
var kindOfPage = regexp.MustCompile(`^(bots/|keys/CCK)[^/?]+|(=)[^&]*`)

// crawl yields the address of each page of the console that links lead to, one of each kind, while
// the tab shows it. It begins at the list of bots, and at others that no link leads to.
func (b *tab) crawl(others ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]bool)
		kind := func(path string) string { return kindOfPage.ReplaceAllString(path, "$1$2") }
		waiting := append([]string{""}, others...)
		for _, path := range waiting {
			seen[kind(path)] = true
		}
		for len(waiting) > 0 {
			path := waiting[0]
			waiting = waiting[1:]
			b.open(path)
			links := eval[[]string](b, `Array.from(document.querySelectorAll("a[href]"), a => a.pathname + a.search)`)
			if !yield(path) {
				return
			}
			slices.Sort(links)
			for _, link := range links {
				path, ok := strings.CutPrefix(link, "/console/")
				if ok && !strings.Contains(link, "lang=") && !seen[kind(path)] {
					seen[kind(path)] = true
					waiting = append(waiting, path)
				}
			}
		}
	}
}

// axe is axe-core, which judges whether a page can be used by everyone.
var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(filepath.Join(peersFolder, "node_modules", "axe-core", "axe.min.js"))
	return string(text), err
})

// withAxe puts axe-core into every page that the tab opens.
func (b *tab) withAxe() {
	b.t.Helper()
	source, err := axe()
	switch {
	case err != nil && requireExternal:
		b.t.Fatal(err)
	case err != nil:
		b.t.Skipf("make peers installs axe-core: %v", err)
	}
	tell(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
}

// judge asks what must be so on every page: axe-core finds nothing, nothing is wider than the
// window, nothing that others wrote has become a part of the page or turns the direction of
// writing, and the language is that of the reader.
func (b *tab) judge(name, language string) {
	b.t.Helper()
	for _, violation := range step(b, "axe-core on "+name, chromedp.Evaluate[[]string](
		`axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(v => v.id + ": " +
			v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + n.failureSummary).join("; ")))`,
		chromedp.EvalAwaitPromise)) {
		b.t.Errorf("%s: axe-core finds %s", name, violation)
	}
	wide := fmt.Sprint(b.wide)
	for what, expression := range map[string]string{
		"is wider than the window, by": `document.documentElement.scrollWidth > ` + wide + ` &&
			Array.from(document.querySelectorAll("body *")).filter(e =>
			e.getBoundingClientRect().right > ` + wide + ` && !e.parentElement.closest(".scroll")).map(e => e.outerHTML.slice(0, 150)).slice(0, 3).join(" ")`,
		"has a foreign element": `document.querySelector(
			"script:not([src]), img, iframe, [onerror], body style, [style]")?.outerHTML`,
		"turns the direction of writing": `/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(
			document.documentElement.outerHTML) && "somewhere"`,
		"has another language, which is": `document.documentElement.lang !== ` + jsonText(language) +
			` && document.documentElement.lang`,
		"marks none of its tabs": `document.querySelector(".tabs") &&
			!document.querySelector(".tabs [aria-current]")`,
		"has no heading of its own, but": `document.querySelectorAll("h1").length !== 1 && document.body.innerText`,
	} {
		if found := eval[string](b, "String(("+expression+") || '')"); found != "" {
			b.t.Errorf("%s %s %s", name, what, found)
		}
	}
}

// furnish starts a service with the emulators of OOS and STS, and with what a team has after some
// days: bots, commands that ended in every way, changes, and keys.
func furnish(t *testing.T) *service {
	t.Helper()
	e := serveEmulators(t)
	s := e.service
	oos := func(template string, parameters object) object {
		return object{"Type": "Oos", "TemplateName": template, "Parameters": parameters}
	}
	restart := oos("restart-instance", object{"InstanceId": "{instance}", "OOSAssumeRole": e.steps})
	ops := newBot(t, s, "DingTalk", "ops", object{
		"BotName": "运维", "UserGroups": object{"sre": []any{"alice", "dave"}, "oncall": []any{"erin"}},
		"Actions": object{
			"restart": object{"Summary": "Restart an instance", "Target": restart, "Parameters": []any{
				object{"Name": "instance", "Required": "true"},
				object{"Name": "env", "Type": "Enum", "Values": []any{"test", "prod"}, "Default": "test"}}},
			"rebuild": object{"Summary": "Rebuild the index", "Target": oos("slow", object{})},
			"purge":   object{"Summary": "Purge a cache", "Target": oos("fails", object{})},
		},
		"Permissions": []any{
			object{"Effect": "Allow", "Principals": []any{"group:sre"}, "Commands": []any{"restart", "rebuild"},
				"RamRole": "chatconf-operator"},
			object{"Effect": "Allow", "Principals": []any{"user:carol"}, "Commands": []any{"restart"},
				"Parameters": object{"env": []any{"test"}}, "RamRole": "chatconf-operator"},
			object{"Effect": "Allow", "Principals": []any{"group:oncall"},
				"Commands":      []any{"restart", "rebuild", "purge"},
				"Conversations": []any{"war-room"}, "RamRole": "chatconf-operator"},
			object{"Effect": "Deny", "Principals": []any{"*"}, "Commands": []any{"purge"},
				"Conversations": []any{"team"}},
		},
	})
	for _, name := range []string{"billing", "deploys"} {
		typ := map[string]string{"billing": "Feishu", "deploys": "Slack"}[name]
		newBot(t, s, typ, name, permissions(allow("alice", "status")))
	}
	for action, pairs := range map[string][]string{
		"UpdateChatConfiguration": {"Name", "ops", "RamRole", "chatconf-operator"},
		"TagResources": {"ResourceType", "ChatConfiguration", "ResourceIds", `["ops"]`, "Tags",
			`{"env":"prod","team":"sre"}`},
		"CreateAccessKey": {"Name", "ci", "Policy", "ReadOnly", "Description", "the pipeline"},
	} {
		s.send(t, newACS3(s.key, action, pairs...)).ok(t, nil)
	}
	for _, say := range [][3]string{{"alice", "team", "restart i-123"}, {"bob", "team", "restart i-123"},
		{"erin", "war-room", "purge"}, {"alice", "team", "rebuild"}, {"carol", "team", "restart i-9 env=prod"}} {
		s.send(t, newACS3(s.key, "SendChatMessage", "Name", "ops", "UserId", say[0], "ConversationId", say[1],
			"Text", say[2])).ok(t, nil)
	}
	awaitLong(t, 5*time.Second, "the commands end", func() bool {
		return len(s.operations(t, "ops", "State", "Succeeded")) == 1 && len(s.operations(t, "ops", "State",
			"Failed")) == 1
	})
	ops.refused(t, callback{header: map[string]string{"timestamp": said("", "", "").millis(), "sign": "forged"},
		body: "{}"})
	ops.awaitHealth(t, "the health is noted", func(h health) bool { return h.State == "Failing" })
	return s
}

// pagesWithoutLinks are pages that no link leads to, and those of errors.
var pagesWithoutLinks = []string{"bots/ops", "signin", "enter?token=none", "bots/none", "nowhere", "commands?page=none",
	"bots/ops/permissions?user=carol&conversation=team&text=restart+i-1+env%3Dprod",
	"bots/ops/permissions?user=bob&conversation=team&text=restart",
	"bots/ops/permissions?user=bob&conversation=team&text=", "bots/ops/history?revision=3&compared=1",
	"bots/ops/restore?revision=1", "?name=none", "commands?user=bob&since=1h"}

// Every page, also those of mistakes, is fit for everyone: on a wide screen and on a narrow one,
// light and dark, in English and Chinese.
func TestEveryPageOfTheConsoleIsFitForEveryone(t *testing.T) {
	inBrowser(t)
	s := furnish(t)
	for _, screen := range []struct {
		language string
		width    int64
		dark     bool
	}{{"en", 1200, false}, {"en", 320, true}, {"zh-CN", 1200, false}, {"zh-CN", 320, true}} {
		light := map[bool]string{true: "dark", false: "light"}[screen.dark]
		look := fmt.Sprintf("%s %d %s", screen.language, screen.width, light)
		t.Run(look, func(t *testing.T) {
			t.Parallel()
			b := newTab(t, s)
			b.withAxe()
			b.screen(screen.width, screen.dark)
			back := eval[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`)
			if back != screen.dark {
				t.Fatal("the browser does not take the scheme")
			}
			see := func(name string) {
				t.Helper()
				b.judge(name, screen.language)
				b.picture(look + " " + name)
			}
			b.open("signin?lang=" + screen.language)
			see("signin")
			b.signIn(s.key)
			dark := eval[bool](b, `getComputedStyle(document.body).backgroundColor.match(/\d+/g)[0] < 128`)
			if dark != screen.dark {
				t.Error("the page does not follow the scheme of the system")
			}
			pages := 0
			for path := range b.crawl(pagesWithoutLinks...) {
				pages++
				see("page " + path)
			}
			if pages < 30 {
				t.Errorf("only %d pages were found", pages)
			}
			if screen.width > 960 { // the one of the README begins as this
				b.screen(960, screen.dark)
				b.open("bots/ops/permissions?user=carol&conversation=team&text=restart+i-1+env%3Dprod")
				see("permissions")
				b.screen(screen.width, screen.dark)
			}
			b.open("bots/ops/edit")
			b.fill("RamRole", "no role!")
			b.fill("Configuration.Permissions", "[")
			b.press("form.settings button")
			see("a mistake in the form")
			b.open("bots/ops/manage")
			b.press("button.danger")
			see("an act that was not confirmed")
			b.open("bots/ops/try")
			b.fill("user", "bob")
			b.fill("text", "restart i-1")
			b.press("main form.filters button")
			see("a message to the bot")
			b.open("keys/new")
			b.fill("Name", "pictures")
			b.choose("Policy", "ReadOnly")
			b.press("main form button")
			see("a new key")
		})
	}
}

// Texts that others write, and that pages must show as texts.
var hostileTexts = []string{`<script>alert(1)</script>`, `"><img/src=x/onerror=alert(1)>`, `'-alert(1)-'`,
	"\u202egpj.exe\u2066 \u200f", strings.Repeat("W", 120), `{{.}}</textarea><iframe src=/>`}

// Whatever names, tags, messages and settings have in them, pages show it as text: no dialog opens,
// no script runs, nothing turns the direction of writing or is wider than a narrow screen.
func TestHostileTextsAreOnlyTexts(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	all := strings.Join(hostileTexts, " ")
	name := strings.Repeat("W", 200)
	ops := newBot(t, s, "DingTalk", name, object{
		"BotName": all[:100], "UserGroups": object{"sre": []any{hostileTexts[0], hostileTexts[4]}},
		"ConversationIds": []any{hostileTexts[0], hostileTexts[1], hostileTexts[4]},
		"Actions": object{strings.Repeat("w", 30): object{"Summary": all[:100], "Parameters": []any{
			object{"Name": strings.Repeat("p", 30), "Help": all[:100], "Default": hostileTexts[1]}}}},
		"Permissions": []any{
			object{"Effect": "Allow", "Principals": []any{"user:" + hostileTexts[0], "user:" + hostileTexts[4]},
				"Commands": []any{"*"}, "Conversations": []any{hostileTexts[1]}},
			object{"Effect": "Allow", "Principals": []any{"*"}, "Commands": []any{strings.Repeat("w", 30)}}},
	})
	tags := map[string]string{hostileTexts[0]: hostileTexts[1], "rtl": hostileTexts[3],
		hostileTexts[4]: hostileTexts[4]}
	s.send(t, newACS3(s.key, "TagResources", "ResourceType", "ChatConfiguration", "ResourceIds",
		jsonText([]string{name}), "Tags", jsonText(tags))).ok(t, nil)
	s.send(t, newACS3(s.key, "UpdateChatConfiguration", "Name", name, "RamRole", strings.Repeat("R", 64))).ok(t, nil)
	s.send(t, newACS3(s.key, "CreateAccessKey", "Name", all[:60], "Policy", "ReadOnly", "Description",
		hostileTexts[1]+hostileTexts[4])).ok(t, nil)
	for _, hostile := range hostileTexts {
		c := dingTalkRobot(goHMAC)(t, ops, said(hostileTexts[0], hostileTexts[1], "restart "+hostile))
		c.body = changed(t, c.body, `"senderNick":"李"`, `"senderNick":`+jsonText(hostile))
		c.body = changed(t, c.body, `"conversationTitle":"运维"`, `"conversationTitle":`+jsonText(hostile))
		if a := ops.call(t, c); a.status != http.StatusOK {
			t.Fatalf("the message %q has the answer %d %s", hostile, a.status, a.body)
		}
	}
	ops.refused(t, callback{header: map[string]string{"timestamp": hostileTexts[0], "sign": hostileTexts[1]},
		body: all})

	b := newTab(t, s)
	b.withAxe()
	b.screen(320, false)
	b.signIn(s.key)
	var others []string
	for i, hostile := range hostileTexts {
		q := url.QueryEscape(hostile)
		others = append(others, "?name="+q+"&tag="+q+"&type="+q, "commands?user="+q+"&command="+q+"&since="+q,
			"bots/"+name+"/permissions?user="+q+"&conversation="+q+"&text="+q+"&who="+q+"&what="+q)
		if i < 2 {
			others = append(others, "bots/"+name+"/history?compared=1&revision="+q, "bots/"+url.PathEscape(hostile),
				"keys/"+url.PathEscape(hostile), "new?type="+q, "?notice="+q, "?page="+q)
		}
	}
	pages := 0
	for path := range b.crawl(others...) {
		pages++
		b.judge(path, "en")
		short := strings.ReplaceAll(path, name, "bot")
		b.picture("hostile " + short[:min(len(short), 100)])
	}
	if pages < 40 {
		t.Errorf("only %d pages were found", pages)
	}
	b.open("commands")
	for _, hostile := range hostileTexts {
		if hostile != hostileTexts[3] { // the receiver takes the marks out of names
			b.sees(hostile)
		}
	}
	b.open("")
	b.sees(`\u202egpj.exe\u2066`)
	b.open("bots/" + name + "/try")
	b.fill("user", hostileTexts[0])
	b.fill("text", hostileTexts[1])
	b.press("main form.filters button")
	b.judge("a message to the bot", "en")
}
