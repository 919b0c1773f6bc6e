package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// restarts are statements for the tests of the console: sre may restart, but not in one
// conversation, and all may ask for status.
const restarts = `[
	{"Effect":"Deny","Principals":["*"],"Commands":["restart"],"Conversations":["quiet"]},
	{"Effect":"Allow","Principals":["user:alice"],"Commands":["restart"],"RamRole":"OpsRole"},
	{"Effect":"Allow","Principals":["*"],"Commands":["status"]}]`

// createOps makes the bot ops of type DingTalk with these statements.
func createOps(t *testing.T, s *service) {
	t.Helper()
	s.send(t, newACS3(s.key, "CreateChatConfiguration", "Name", "ops", "Type", "DingTalk", "Configuration",
		`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret","Permissions":`+restarts+`}`)).
		ok(t, nil)
}

// simulate asks the simulator, on the page of the permissions.
func (b *tab) simulate(user, conversation, text string) {
	b.t.Helper()
	b.fill("user", user)
	b.fill("conversation", conversation)
	b.fill("text", text)
	b.press(`form[action="#simulate"] button`)
}

// say speaks to the bot, on the page to try it, and asks what is answered.
func (b *tab) say(user, text, answer string) {
	b.t.Helper()
	b.fill("user", user)
	b.fill("text", text)
	b.press("main form.filters button")
	b.sees(answer)
}

func TestTheSimulatorShowsWhichStatementDecides(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops")
	b.follow("Permissions")
	decides := func(want string) {
		t.Helper()
		if got := eval[string](b, `Array.from(document.querySelectorAll(".decides"), e => e.id).join()`); got != want {
			t.Errorf("marked is %q, want %q", got, want)
		}
	}
	b.simulate("alice", "team", "restart i-1")
	b.sees("OpsRole")
	decides("statement-1")
	b.simulate("alice", "quiet", "restart i-1")
	decides("statement-0")
	if deny := b.text("#statement-0"); !strings.Contains(deny, "Deny") {
		t.Errorf("the statement that decides is shown as %q", deny)
	}
	b.follow("Statement 0 decides.")
	if color := eval[string](b, `getComputedStyle(document.querySelector(".decides td")).backgroundColor`); color ==
		eval[string](b, `getComputedStyle(document.body).backgroundColor`) {
		t.Error("the statement that decides looks like the others")
	}
	b.simulate("bob", "team", "restart i-1")
	decides("")
	b.sees(`"user:bob"`, `"restart"`) // the statement that would allow it
}

// A page of commands that is open shows a new command without a reload.
func TestAMessageThatIsSentAppearsInAnOpenPage(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	watching, talking := newTab(t, s), newTab(t, s)
	watching.signIn(s.key)
	watching.open("commands")
	watching.sees("No command matches.")
	eval[chromedp.Void](watching, `window.notLoadedAgain = true`)
	talking.signIn(s.key)
	talking.open("bots/ops")
	talking.follow("Try it")
	talking.say("alice", "restart i-1", "restart was accepted.")
	watching.awaitText("alice")
	talking.say("bob", "restart i-1", "You may not run restart here.")
	watching.awaitText("bob")
	watching.sees("restart i-1", "Allowed", "Denied", "OpsRole")
	if !watching.does("window.notLoadedAgain") {
		t.Error("the page was loaded again")
	}
	if status := watching.text("#livestatus"); !strings.HasPrefix(status, "New commands: ") {
		t.Errorf("the page says %q of the new commands", status)
	}
	eval[chromedp.Void](watching, `document.getElementById("pause").click()`)
	if !watching.does(`document.getElementById("pause").getAttribute("aria-pressed") === "true"`) {
		t.Error("the updates do not pause")
	}
}

func TestAChangeIsComparedAndUndone(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops/edit")
	b.fill("Configuration.Permissions", `[]`)
	b.fill("RamRole", "WrongRole")
	b.press("main form button")
	b.follow("History")
	b.press(`main a[href="/console/bots/ops/history?revision=2"]`)
	b.sees("Compared with revision 1.", "RamRole", "WrongRole")
	for _, element := range []string{"del", "ins"} {
		if got := b.text(element); got == "" {
			t.Errorf("the page has no <%s>", element)
		}
	}
	b.fill("compared", "2")
	b.fill("revision", "1")
	b.press("main form.filters button")
	b.sees("Compared with revision 2.")
	b.follow("Restore this revision")
	b.press("main form button")
	b.sees("Type the name of the bot to confirm.")
	b.fill("confirm", "ops")
	b.press("main form button")
	b.sees("The revision was restored.", "user:alice")
	if got := dara.StringValue(get(t, s.client(t), "ops").Body.ChatConfiguration.RamRole); got != "" {
		t.Errorf("RamRole = %q, want none", got)
	}

	b.follow("Manage")
	b.fill("delete.confirm", "other")
	if status := b.press("button.danger"); status != 422 {
		t.Errorf("deleted by another name: the status is %d, want 422", status)
	}
	get(t, s.client(t), "ops")
	b.fill("delete.confirm", "ops")
	b.press("button.danger")
	b.sees("The bot was deleted. Its history stays.")
	_, err := s.client(t).GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String("ops")})
	wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
	b.press(`main a[href="/console/bots/ops/history?revision=3"]`)
	b.follow("Restore this revision")
	b.fill("confirm", "ops")
	b.press("main form button")
	b.sees("The revision was restored.", "user:alice")
}

// A key that may only read is offered nothing that changes anything, and is refused if it posts.
func TestAKeyThatMayOnlyReadIsOfferedNoChange(t *testing.T) {
	inBrowser(t)
	data := newData(t)
	reader := createKey(t, data, "reader", "--read-only")
	s := serveOn(t, data)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(reader)
	for page := range b.crawl() {
		forms := eval[[]string](b, `Array.from(document.forms, f => f.method + " " + f.getAttribute("action"))`)
		for _, form := range forms {
			if strings.HasPrefix(form, "post") && form != "post /console/signout" {
				t.Errorf("%s offers %s", page, form)
			}
		}
		b.lacks(`/edit"`, `/manage"`, `/restore"`, `"/console/new"`, `"/console/keys"`)
	}
	for _, path := range []string{"bots/ops/edit", "keys", "keys/new", "bots/ops/try"} {
		status := b.open(path)
		if shown := b.text("main"); status != 403 && !strings.Contains(shown, "It needs the permission") ||
			b.does(`document.querySelector("main form[method=post]")`) {
			t.Errorf("%s has the status %d and shows\n%s", path, status, shown)
		}
	}
	before := jsonText(get(t, s.client(t), "ops").Body.ChatConfiguration)
	for path, form := range map[string]url.Values{
		"new":                          {"Type": {"Teams"}, "Name": {"mine"}},
		"bots/ops/edit":                {"Revision": {"1"}, "RamRole": {"MyRole"}},
		"bots/ops/try":                 {"user": {"alice"}, "text": {"restart i-1"}},
		"bots/ops/rotate":              {"Revision": {"1"}, "Confirm": {"ops"}},
		"bots/ops/delete":              {"Revision": {"1"}, "Confirm": {"ops"}},
		"bots/ops/restore":             {"Revision": {"1"}, "ExpectedRevision": {"1"}, "Confirm": {"ops"}},
		"keys/new":                     {"Name": {"mine"}, "Policy": {"Owner"}},
		"keys/" + s.key.ID:             {"Status": {"Inactive"}},
		"keys/" + s.key.ID + "/delete": {"Confirm": {s.key.ID}},
	} {
		post := fmt.Sprintf(`fetch(%q, {method: "POST", body: new URLSearchParams(%q)}).then(answer => answer.status)`,
			"/console/"+path, form.Encode())
		status := step(b, post, chromedp.Evaluate[int](post, chromedp.EvalAwaitPromise))
		if status != 403 {
			t.Errorf("posting to %s has the status %d, want 403", path, status)
		}
	}
	b.mu.Lock()
	b.faults = nil // the browser reported the refusals, as it should
	b.mu.Unlock()
	if after := jsonText(get(t, s.client(t), "ops").Body.ChatConfiguration); after != before {
		t.Errorf("the bot is\n%s\nand was\n%s", after, before)
	}
}

func TestTimesAreInTheZoneOfTheReader(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	created := time.Now()
	create(t, s.client(t), "ops")
	b := newTab(t, s)
	b.signIn(s.key)
	for zone, offset := range map[string]int{"Asia/Shanghai": 8, "Pacific/Kiritimati": 14, "America/Phoenix": -7} {
		tell(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		for language, layout := range map[string]string{"en": "01/02/2006, 15:04:05", "zh-CN": "2006/01/02 15:04:05"} {
			b.open("bots/ops?lang=" + language)
			at := must(time.Parse(time.RFC3339, eval[string](b, `document.querySelector("main time").dateTime`)))(t)
			if at.Before(created.Add(-time.Minute)) || at.After(created.Add(time.Minute)) {
				t.Errorf("the page is of %v", at)
			}
			want := at.In(time.FixedZone("", offset*3600)).Format(layout)
			if got := b.text("main time"); got != want {
				t.Errorf("in %s and %s the time is shown as %q, want %q", zone, language, got, want)
			}
			if title := eval[string](b, `document.querySelector("main time").title`); title !=
				at.UTC().Format("2006-01-02 15:04:05")+" UTC" {
				t.Errorf("the title of the time is %q", title)
			}
		}
	}
}

// With the keyboard only, the first Tab leads to the link that skips the menu, and a bot is opened.
func TestAKeyboardIsEnough(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.tabKey()
	if got := b.text(":focus"); got != "Skip to content" {
		t.Errorf("the first Tab leads to %q", got)
	}
	if box := eval[float64](b, `document.activeElement.getBoundingClientRect().left`); box < 0 {
		t.Error("the link that skips the menu is not visible when it has the focus")
	}
	b.enter()
	b.await(`document.activeElement.id === "main"`)
	for limit := 0; b.text(":focus") != "ops"; limit++ {
		if limit > 20 {
			t.Fatal("Tab does not lead to the bot")
		}
		b.tabKey()
		if !b.does(`document.activeElement.matches(":focus-visible") &&
			getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			t.Errorf("the focus is not seen at %s", eval[string](b, `document.activeElement.outerHTML`))
		}
	}
	b.enter()
	b.await(`location.pathname === "/console/bots/ops"`)
	b.awaitText("Who may run what")
}

// Without JavaScript everything works but what is live.
func TestTheConsoleWorksWithoutScripts(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	b := newTab(t, s)
	b.signIn(s.key)
	tell(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open("new?type=Slack")
	b.fill("Name", "ops")
	b.fillSettings(botSettings["Slack"])
	b.press("main form button")
	b.sees("The bot was created.", " UTC")
	b.follow("Commands")
	if b.does(`document.getElementById("live").hidden === false`) {
		t.Error("the page offers live updates")
	}
}

// What the issue of the console calls done, without a terminal: a bot is made, one person may run
// one command, it is tried, why another one was refused is found out, and a bad edit is undone.
func TestANewUserNeedsNoTerminal(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	b := newTab(t, s)
	b.signIn(s.key)
	b.follow("New bot")
	b.press(`main a[href="/console/new?type=DingTalk"]`)
	b.fill("Name", "ops")
	b.fill("Configuration.DingTalkClientId", "dingexample")
	b.fill("Configuration.DingTalkClientSecret", "not-a-real-secret")
	b.press("main form button")
	b.follow("Edit")
	b.fill("Configuration.Permissions", `[{"Effect":"Allow","Principals":["user:alice"],"Commands":["restart"]}]`)
	b.press("main form button")
	b.sees("The changes were saved.")
	b.follow("Try it")
	b.say("alice", "restart i-1", "restart was accepted.")
	b.say("bob", "restart i-1", "You may not run restart here.")
	b.follow("Permissions")
	b.simulate("bob", "team", "restart i-1")
	b.sees(`"user:bob"`)
	b.follow("Edit")
	b.fill("Configuration.Permissions", `[{"Effect":"Deny","Principals":["*"],"Commands":["*"]}]`)
	b.press("main form button")
	b.follow("History")
	b.press(`main a[href="/console/bots/ops/history?revision=2"]`)
	b.follow("Restore this revision")
	b.fill("confirm", "ops")
	b.press("main form button")
	b.sees("The revision was restored.", "user:alice")
}
