package console_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// draftOf is the path of the form of statements.
func draftOf(name string) string { return "/console/bots/" + name + "/permissions/edit" }

// draft returns the form of statements of a bot.
func (b *browser) draft(name string) url.Values {
	b.T.Helper()
	return draftInputs(b.T, b.page(draftOf(name)))
}

// draftInputs returns what a browser would send of the form of statements, without a button.
func draftInputs(t testing.TB, page string) url.Values {
	t.Helper()
	values := inputs(t, page, draftOf("ops"))
	for _, tag := range inputTag.FindAllString(page, -1) { // those outside of the form's element
		if m := regexp.MustCompile(` name="([a-z]+)" value="([^"]*)" form="draft"`).FindStringSubmatch(tag); m != nil {
			values.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	return values
}

// press returns a form as a button sends it.
func press(form url.Values, button string) url.Values {
	out := make(url.Values)
	for name := range form {
		out.Set(name, form.Get(name))
	}
	out.Set("do", button)
	return out
}

// pressed sends the form of statements with a button that changes only the draft.
func (b *browser) pressed(form url.Values, button string) (url.Values, string) {
	b.T.Helper()
	page := b.refuse(draftOf("ops"), press(form, button), http.StatusOK)
	return draftInputs(b.T, page), page
}

// wrongAt returns what the form of statements says at an input or at an item.
func wrongAt(t testing.TB, page, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<div id="`+id+`.wrong" data-live>`)
	if !ok {
		t.Fatalf("there is no %s:\n%s", id, page)
	}
	rest, _, _ = strings.Cut(rest, "</div>")
	return html.UnescapeString(regexp.MustCompile("<[^>]*>").ReplaceAllString(rest, ""))
}

// who returns the first principal of each statement of a bot.
func who(t testing.TB, s *site) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`"Principals":\["([^"]*)"`).FindAllStringSubmatch(
		s.MustGet("ops").Configuration, -1) {
		names = append(names, m[1])
	}
	return names
}

// The page of a bot that nobody may use leads to the form, for those who may change it.
func TestABotWithoutStatementsLeadsToTheForm(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops")
	link := `yet, so nobody may run one. <a href="` + draftOf("ops") + `">`
	wantText(t, s.browser().signIn(owner).page("/console/bots/ops"), link)
	wantNoText(t, s.addReader().page("/console/bots/ops"), draftOf("ops"))
}

// A draft that was not touched changes nothing, whatever the statements are.
func TestADraftThatWasNotTouchedChangesNothing(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(many, `"BotName":"<b>x</b>"`,
			`"Target":{"Type":"Http","Url":"https://example.com/hook","Secret":"`+
				base64.StdEncoding.EncodeToString([]byte(planted+"-secret-of-the-target"))+`"}`)
	})
	before := s.MustGet("ops")
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/bots/ops/permissions"), `href="`+draftOf("ops")+`"`)
	form := b.draft("ops")
	for name, want := range map[string]string{"p1.Effect": "Allow", "p1.Principals": "group:dev",
		"p1.Commands":      "restart",
		"p1.Conversations": "", "p1.Parameters": "env=test", "p0.RamRole": "OpsRole", "p2.Commands": "drain\r\nscale-*",
		"p3.Effect": "Deny", "g0.Name": "ops", "g0.Members": "alice\r\nboth", "Revision": "1"} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
	wantText(t, b.page(draftOf("ops")), "Changes take effect when you save them")
	_, page := b.pressed(form, "check")
	wantText(t, page, "No mistakes. Nothing is changed yet")
	wantNoText(t, page, planted, "autofocus", "changed</span>")
	wantText(t, b.mustPost(draftOf("ops"), press(form, "save")), "Nothing was changed")
	chattest.Equal(t, "the bot", s.MustGet("ops"), before)
}

// One person is granted one command, and nothing else of the bot changes.
func TestAStatementIsAddedChangedMovedAndRemoved(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration, in.RamRole = slack(many), "BotRole" })
	b := s.browser().signIn(owner)
	form, page := b.pressed(b.draft("ops"), "add.p")
	wantText(t, page, `name="p5.Effect" aria-describedby="p5.Effect.wrong" autofocus>`,
		"The draft is changed. It is not saved")
	if n := strings.Count(page, " autofocus"); n != 1 {
		t.Errorf("%d elements have the focus", n)
	}
	if form.Get("p5.Effect") != "Allow" || form.Get("p5.From") != "" {
		t.Errorf("the new statement is %q", form)
	}
	form.Set("p5.Principals", "user:dave\r\n\r\n  user:eve ")
	form.Set("p5.Commands", "drain")
	form.Set("p5.Parameters", "")
	form.Set("p5.RamRole", "EveRole")
	form, page = b.pressed(form, "up.p5")
	wantText(t, page, `value="up.p4" autofocus`)
	if form.Get("p4.Principals") != "user:dave\r\n\r\n  user:eve" || form.Get("p5.Commands") != "uptime" {
		t.Errorf("it did not move: %q", form)
	}
	form, _ = b.pressed(form, "down.p0")
	form, page = b.pressed(form, "remove.p3") // that of mallory
	wantText(t, page, `id="checked" role="status" tabindex="-1" data-live autofocus`)
	form, _ = b.pressed(form, "remove.p1")
	form.Set("p0.Commands", "restart\r\nstop")
	_, page = b.pressed(form, "check")
	wantText(t, page, "Changes that are not saved: ", ">new</span>", ">changed</span>")
	chattest.Equal(t, "the draft", cells(t, page, "User eve"), // restart, drain, stop, scale-*, uptime
		[]string{"denied", "allowed EveRole", "denied", "denied", "allowed BotRole"})
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Fatalf("it was saved: %+v", got)
	}
	before := s.MustGet("ops")
	page = b.mustPost(draftOf("ops"), press(form, "save"))
	wantText(t, page, "The changes were saved", "user:dave, user:eve", "EveRole")
	got := s.MustGet("ops")
	_, rest, _ := strings.Cut(got.Configuration, `"Permissions":`)
	if want := `[{"Effect":"Allow","Principals":["group:dev"],"Commands":["restart","stop"],` +
		`"Parameters":{"env":["test"]}},` +
		`{"Effect":"Allow","Principals":["user:carol"],"Commands":["drain","scale-*"],"Conversations":["c1"]},` +
		`{"Effect":"Allow","Principals":["user:dave","user:eve"],"Commands":["drain"],"RamRole":"EveRole"},` +
		`{"Effect":"Allow","Principals":["*"],"Commands":["uptime"]}]}`; rest != want {
		t.Errorf("the statements are %s\nwant %s", rest, want)
	}
	old, _, _ := strings.Cut(before.Configuration, `"Permissions":`)
	if !strings.HasPrefix(got.Configuration, old) || digest(got, "SlackSigningSecret") != digest(before,
		"SlackSigningSecret") {
		t.Errorf("the rest changed: %s", got.Configuration)
	}
	form = b.draft("ops")
	for range 4 {
		form, page = b.pressed(form, "remove.p0")
	}
	wantText(t, page, "nobody may run a command")
	b.mustPost(draftOf("ops"), press(form, "save"))
	if got := s.MustGet("ops"); strings.Contains(got.Configuration, "Permissions") {
		t.Errorf("the statements stay: %s", got.Configuration)
	}
}

func TestGroupsAreAddedRenamedAndRemoved(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form, page := b.pressed(b.draft("ops"), "add.g")
	wantText(t, page,
		`name="g0.Name" value="" spellcheck="false" autocapitalize="off" aria-describedby="g0.Name.wrong" autofocus`)
	form, _ = b.pressed(form, "add.g")
	form, _ = b.pressed(form, "add.g") // stays empty
	form.Set("g0.Name", "sre")
	form.Set("g0.Members", "u1\r\nu2")
	form.Set("g1.Name", "sre")
	form.Set("g1.Members", "")
	form, _ = b.pressed(form, "add.p")
	last := "p2"
	form.Set(last+".Principals", "group:sre")
	form.Set(last+".Commands", "restart")
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, "g1.Name"); got != "Another group has this name." {
		t.Errorf("at the second name: %q", got)
	}
	form.Set("g1.Name", "dev ops")
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, "g1.Name"); !strings.HasPrefix(got, "is not a group's name") {
		t.Errorf("at the name: %q", got)
	}
	if got := wrongAt(t, page, "g1.Members"); !strings.HasPrefix(got, "The group has no members") {
		t.Errorf("at the members: %q", got)
	}
	form.Set("g1.Name", "")
	form.Set("g1.Members", "u3\r\n\r\nu*4")
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, "g1.Name"); got != "The group has no name." {
		t.Errorf("at the name: %q", got)
	}
	form.Set("g1.Name", "dev")
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, "g1.Members"); !strings.HasPrefix(got, `Line 3: "u*4" is not`) {
		t.Errorf("at the members: %q", got)
	}
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Fatalf("it was saved: %+v", got)
	}
	form.Set("g1.Members", "u3")
	wantText(t, b.mustPost(draftOf("ops"), press(form, "save")), "Group <bdi>sre</bdi>", "Group <bdi>dev</bdi>")
	if got := s.MustGet("ops").Configuration; !strings.Contains(got, `"UserGroups":{"sre":["u1","u2"],"dev":["u3"]}`) {
		t.Errorf("the groups are %s", got)
	}

	// A statement about a group that is renamed says so.
	form = b.draft("ops")
	form.Set("g0.Name", "ops")
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, last+".Principals"); got != `Line 1: the group "sre" is not among UserGroups.` {
		t.Errorf("at the statement: %q", got)
	}
	form, _ = b.pressed(b.draft("ops"), "remove.g1")
	b.mustPost(draftOf("ops"), press(form, "save"))
	form, _ = b.pressed(b.draft("ops"), "remove.g0")
	form, _ = b.pressed(form, "remove."+last)
	b.mustPost(draftOf("ops"), press(form, "save"))
	if got := s.MustGet("ops").Configuration; strings.Contains(got, "UserGroups") {
		t.Errorf("the groups stay: %s", got)
	}
}

// What is missing in a new item is said when the person asks, and stays until it is there.
func TestWhatIsMissingIsSaidWhenAPersonAsks(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	b := s.browser().signIn(owner)
	form, _ := b.pressed(b.draft("ops"), "add.p")
	form, _ = b.pressed(form, "add.g")
	form.Set("p5.Principals", "user:dora")
	form.Set("g2.Members", "dora")
	wantSilent := func(page string) {
		t.Helper()
		for _, id := range []string{"p5.Commands", "g2.Name"} {
			if got := wrongAt(t, page, id); got != "" {
				t.Errorf("at %s the page says %q before it is asked", id, got)
			}
		}
	}
	again, page := b.pressed(form, "look")
	wantSilent(page)
	wantText(t, page, "The draft is changed. It is not saved.")
	wantNoText(t, page, "Correct:", "No mistakes")
	form.Set("p5.Principals", "dora")
	_, page = b.pressed(form, "look")
	wantText(t, wrongAt(t, page, "p5.Principals"), `"dora" is not a principal`)
	wantSilent(page)
	form, page = b.pressed(again, "check")
	if got, want := wrongAt(t, page, "p5.Commands"), "is missing."; got != want {
		t.Errorf("at the commands the page says %q, want %q", got, want)
	}
	form, page = b.pressed(form, "look")
	wantText(t, wrongAt(t, page, "p5.Commands"), "is missing")
	wantText(t, wrongAt(t, page, "g2.Name"), "has no name")
	form, _ = b.pressed(form, "add.p")
	_, page = b.pressed(form, "look")
	wantSilent(page)
}

// Each mistake is at its input and names its line; the first has the focus.
func TestMistakesOfADraftAreAtTheirInputs(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	b := s.browser().signIn(owner)
	form, _ := b.pressed(b.draft("ops"), "add.p")
	form.Set("p0.Principals", "group:ops\r\n\r\nalice\r\ngroup:none")
	form.Set("p1.Parameters", "env=test\r\nnone=x\r\nenv=moon")
	form.Set("p2.Conversations", "c 1")
	form.Set("p3.RamRole", "DenyRole")
	form.Set("p4.Effect", hostile)
	form.Set("p4.Commands", "ok\r\nnot ok")
	want := map[string]string{
		"p0.Principals": `Line 3: "alice" is not a principal; write user:<id>, group:<name> or *.` +
			`Line 4: the group "none" is not among UserGroups.`,
		"p1.Parameters":    `Line 3: "moon" matches no value that the parameter can have.`,
		"p2.Conversations": `Line 1: "c 1" is not `,
		"p3.RamRole":       "does not apply to a Deny statement; remove it.",
		"p4.Effect":        `"<script>`,
		"p4.Commands":      `Line 2: "not ok" is not `,
		"p5.Principals":    "is missing.",
		"p5.Commands":      "is missing.",
		"p5.Effect":        "",
	}
	for button, status := range map[string]int{"save": http.StatusUnprocessableEntity, "check": http.StatusOK} {
		page := b.refuse(draftOf("ops"), press(form, button), status)
		for id, text := range want {
			if got := wrongAt(t, page, id); !strings.HasPrefix(got, text) || (got == "") != (text == "") {
				t.Errorf("%s: at %s the page says %q, want %q", button, id, got, text)
			}
		}
		wantText(t, html.UnescapeString(wrongAt(t, page, "p1.Parameters")),
			`Line 2: no action of the statement's Commands`)
		wantText(t, page, `<a href="#p0.Principals">Statement 0: Who</a>`, `aria-describedby="p0.Principals.wrong" `+
			`aria-invalid="true" autofocus>`, `<details class="item" id="p0" open>`, "Not saved. Correct:")
		wantNoText(t, page, "<script>alert", "\u202e", "\u2066", "\x1b")
		if n := strings.Count(page, " autofocus"); n != 1 {
			t.Errorf("%d elements have the focus", n)
		}
		again := draftInputs(t, page)
		for id := range want {
			if got := again.Get(id); got != form.Get(id) && id != "p4.Effect" {
				t.Errorf("%s is %q, and %q was typed", id, got, form.Get(id))
			}
		}
	}
	form.Set("p1.Parameters", "env")
	page := b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, "p1.Parameters"); got != `"env" has no value; write name=value, such as env=dev-*` {
		t.Errorf("at the values: %q", got)
	}
	wantText(t, wrongAt(t, page, "p2.Conversations"), "Line 1:") // that of the service, too
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("it was saved: %+v", got)
	}
	b.header.Set("Accept-Language", "zh")
	wantText(t, b.refuse(draftOf("ops"), press(form, "check"), http.StatusOK), "第 3 行：", "尚未保存。请更正：")
}

// A mistake in a closed statement opens it; the others of many stay closed.
func TestOnlyWhatMattersIsOpen(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	b := s.browser().signIn(owner)
	form := b.draft("ops")
	form.Set("p3.Commands", "a b")
	form.Set("p4.Commands", "up")
	_, page := b.pressed(form, "check")
	for i, open := range []bool{false, false, false, true, true} {
		if got := strings.Contains(page, fmt.Sprintf(`<details class="item" id="p%d" open>`, i)); got != open {
			t.Errorf("statement %d is open: %v", i, got)
		}
	}
}

// What a draft does not know, and text that a page shows escaped, stays as it is.
func TestADraftKeepsWhatItDoesNotKnow(t *testing.T) {
	sent := ""
	const first = `{"Future":{"a":[1,null]},"Effect":"Allow","Principals":["user:a\u202eb","user:c"],` +
		`"Commands":["x"],` +
		`"When":"now \u2066"}`
	bot := chat.Configuration{Name: "ops", Type: "Slack", Revision: 1,
		Configuration: `{"Other":[{"Secret":"******"}],` +
			`"Permissions":[` + first +
			`,{"Effect":"Allow","Principals":["*"],"Commands":["y"],"Parameters":{"a=b":["c=d"]}}],` +
			`"UserGroups":{"o\u202es":["u1"]},"Last":1}`}
	s := newSiteOf(t, bot, &sent)
	b := s.browser().signIn(owner)
	page := b.page(draftOf("ops"))
	wantNoText(t, page, "\u202e", "\u2066")
	form := draftInputs(t, page)
	form.Set("p0.Principals", form.Get("p0.Principals")+"\r\nuser:d")
	form.Set("p1.Parameters", form.Get("p1.Parameters")+"\r\ne=f")
	form.Set("g0.Members", "u1\r\nu2")
	form, _ = b.pressed(form, "down.p0")
	b.post(draftOf("ops"), press(form, "save"))
	unquoted := func(text string) string {
		return strings.NewReplacer(`\u202e`, "\u202e", `\u2066`, "\u2066").Replace(text)
	}
	if want := unquoted(`{"Other":[{"Secret":"******"}],"Permissions":[` +
		`{"Effect":"Allow","Principals":["*"],"Commands":["y"],` +
		`"Parameters":{"a=b":["c=d"],"e":["f"]}},` + strings.Replace(first, `"user:c"]`, `"user:c","user:d"]`, 1) +
		`],"UserGroups":{"o\u202es":["u1","u2"]},"Last":1}`); sent != want {
		t.Errorf("it sent %s\nwant %s", sent, want)
	}
}

// What an input shows escaped is the character itself, also after the text around it is changed. A
// browser would drop the end of a line in an input.
func TestHiddenCharactersStayWhenTheirTextIsChanged(t *testing.T) {
	s := newSite(t)
	const summary = `"Summary":"team 👩\u200d💻 🏴\udb40\udc67\udb40\udc7f"`
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"Actions":{"note":{` + summary +
			`,"Parameters":[{"Name":"a","Pattern":"x\n|y"},` +
			`{"Name":"env","Type":"Enum","Values":["x ","👩\u200d💻"]}]}},` +
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["note"],"Parameters":{"env":["x ","*"]}}]`)
	})
	before := s.MustGet("ops")
	b := s.browser().signIn(owner)
	form := b.action("note")
	for name, want := range map[string]string{"a0.Summary": `team 👩\u200d💻 🏴\udb40\udc67\udb40\udc7f`,
		"v0.Pattern": `x\u000a|y`, "v1.Values": "x \r\n👩\\u200d💻"} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
	b.mustPost(actionPath, press(form, "save"))
	chattest.Equal(t, "the bot", s.MustGet("ops"), before)
	form.Set("a0.Summary", form.Get("a0.Summary")+` \u0041\ud800 C:\users`)
	form.Set("v0.Pattern", form.Get("v0.Pattern")+"|z")
	form.Set("v1.Values", form.Get("v1.Values")+"\r\n👨\\u200d🚀")
	form, _ = b.acted(form, "up.v1") // the page shows it again
	b.mustPost(actionPath, press(form, "save"))
	statements := b.draft("ops")
	statements.Set("p0.Parameters", statements.Get("p0.Parameters")+"\r\nenv=👨\\u200d*")
	b.mustPost(draftOf("ops"), press(statements, "save"))
	got, err := document.Parse("Configuration", s.MustGet("ops").Configuration)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, got.String(), "\"Summary\":\"team 👩\u200d💻 🏴\U000e0067\U000e007f \\\\u0041\\\\ud800 C:\\\\users\"",
		`"Pattern":"x\n|y|z"`, "\"Values\":[\"x \",\"👩\u200d💻\",\"👨\u200d🚀\"]",
		"\"env\":[\"x \",\"*\",\"👨\u200d*\"]")
}

// A draft goes on with what others changed: what the person did not touch is theirs, and what both
// changed is there twice.
func TestAConflictOfDraftsMerges(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	b := s.browser().signIn(owner)
	form, _ := b.pressed(b.draft("ops"), "remove.p4")
	form, _ = b.pressed(form, "add.p")
	form.Set("p4.Principals", "user:mine")
	form.Set("p4.Commands", "drain")
	form.Set("p2.Commands", "drain") // both change it
	form.Set("g0.Members", "alice\r\nboth\r\nmine")
	theirs := slack(strings.NewReplacer(
		`["user:carol"],"Commands":["drain","scale-*"]`, `["user:carol"],"Commands":["scale-*"]`, // as above
		`["user:mallory"]`, `["user:mallet"]`, // only they change it
		`"dev":["both"]`, `"dev":["both","theirs"]`,
		`"Permissions":[`, `"Permissions":[{"Effect":"Allow","Principals":["user:first"],"Commands":["drain"]},`,
	).Replace(many), `"BotName":"theirs"`)
	update(s, "ops", func(in *chat.UpdateRequest) { in.Configuration = &theirs })
	page := b.refuse(draftOf("ops"), press(form, "save"), http.StatusConflict)
	wantText(t, page, "Another user changed this bot", "The draft now has the changes of others", "from another user",
		"another user changed or removed it, too", "Configuration.BotName")
	wantNoText(t, page, planted)
	if n := strings.Count(page, " autofocus"); n != 1 {
		t.Errorf("%d elements have the focus", n)
	}
	again := draftInputs(t, page)
	var got []string
	for i := 0; again.Has(fmt.Sprintf("p%d.From", i)); i++ {
		got = append(got, strings.ReplaceAll(again.Get(fmt.Sprintf("p%d.Principals", i))+" "+
			again.Get(fmt.Sprintf("p%d.Commands", i)), "\r\n", " "))
	}
	chattest.Equal(t, "statements", got, []string{"user:first drain", "group:ops restart", "group:dev restart",
		"user:carol scale-*", "user:mallet *", "user:carol drain", "user:mine drain"})
	if got := []string{again.Get("g0.Members"), again.Get("g1.Members"), again.Get("Revision")}; !slices.Equal(got,
		[]string{"alice\r\nboth\r\nmine", "both\r\ntheirs", "2"}) {
		t.Errorf("the groups are %q", got)
	}
	wantText(t, b.mustPost(draftOf("ops"), press(again, "save")), "The changes were saved")
	after := s.MustGet("ops").Configuration
	wantText(t, after, `"BotName":"theirs"`, `"dev":["both","theirs"]`, `"ops":["alice","both","mine"]`, "user:mallet")

	// A statement that both changed keeps what the form does not know.
	form = b.draft("ops")
	update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("TheirRole") })
	page = b.refuse(draftOf("ops"), press(form, "check"), http.StatusOK) // the question is answered
	wantText(t, page, "Another user changed this bot", `data-merged="yes"`)
	wantNoText(t, page, "from another user", "another user changed or removed it, too")
	wantText(t, b.mustPost(draftOf("ops"), press(draftInputs(t, page), "save")), "Nothing was changed")
}

// Who presses Save twice finds what is saved, and nothing twice.
func TestADraftThatIsSavedTwiceHasNothingTwice(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	b := s.browser().signIn(owner)
	form, _ := b.pressed(b.draft("ops"), "add.p")
	form.Set("p5.Principals", "user:mine")
	form.Set("p5.Commands", "drain")
	form.Set("p2.Commands", "drain")
	form.Set("g1.Members", "both\r\nmine")
	b.mustPost(draftOf("ops"), press(form, "save"))
	page := b.refuse(draftOf("ops"), press(form, "save"), http.StatusConflict)
	wantNoText(t, page, "from another user", "another user changed or removed it, too")
	wantText(t, b.mustPost(draftOf("ops"), press(draftInputs(t, page), "save")), "Nothing was changed")
}

// The first statement that matches decides, so the order that another user made stays. Only a
// person who moves statements has an order of their own.
func TestADraftGoesOnWithTheOrderOfOthers(t *testing.T) {
	statement := func(user string) string {
		return `{"Effect":"Allow","Principals":["user:` + user + `"],"Commands":["drain"]}`
	}
	list := func(users ...string) string {
		for i, user := range users {
			users[i] = statement(user)
		}
		return `"Permissions":[` + strings.Join(users, ",") + `]`
	}
	for _, c := range []struct {
		buttons []string
		want    []string
	}{{nil, []string{"user:c", "user:new", "user:a", "user:mine", "user:d"}},
		{[]string{"up.p1"}, []string{"user:mine", "user:a", "user:c", "user:new", "user:d"}}} {
		s := newSite(t)
		s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(list("a", "b", "c", "d")) })
		b := s.browser().signIn(owner)
		form := b.draft("ops")
		form.Set("p1.Principals", "user:mine")
		for _, button := range c.buttons {
			form, _ = b.pressed(form, button)
		}
		theirs := slack(list("c", "new", "a", "b", "d"))
		update(s, "ops", func(in *chat.UpdateRequest) { in.Configuration = &theirs })
		page := b.refuse(draftOf("ops"), press(form, "save"), http.StatusConflict)
		b.mustPost(draftOf("ops"), press(draftInputs(t, page), "save"))
		chattest.Equal(t, "the statements", who(t, s), c.want)
	}
}

// A change between the look at the bot and the update is a conflict like any other.
func TestAConflictOfADraftInTheLastMoment(t *testing.T) {
	s, before := newSiteBetween(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form, _ := b.pressed(b.draft("ops"), "remove.p0")
	*before = func(action string, params map[string]string) error {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" && s.MustGet("ops").Revision == 1 {
			update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("TheirRole") })
		}
		return nil
	}
	page := b.refuse(draftOf("ops"), press(form, "save"), http.StatusConflict)
	wantText(t, page, "TheirRole")
	b.mustPost(draftOf("ops"), press(draftInputs(t, page), "save"))
	if got := s.MustGet("ops"); got.RamRole != "TheirRole" || len(who(t, s)) != 1 {
		t.Errorf("the bot is %+v", got)
	}
	form = b.draft("ops")
	for _, c := range []struct {
		err    error
		status int
	}{{&fault.Error{Code: fault.Unavailable}, http.StatusServiceUnavailable},
		{&fault.Error{Code: fault.NotFound, Message: "It is not there."}, http.StatusNotFound},
		{&fault.Error{Code: fault.Internal, Err: fmt.Errorf("%s", planted)}, http.StatusInternalServerError}} {
		*before = func(action string, params map[string]string) error {
			if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
				return c.err
			}
			return nil
		}
		wantNoText(t, b.refuse(draftOf("ops"), press(form, "save"), c.status), planted)
	}
	*before = func(action string, params map[string]string) error {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
			return s.delete("ops")
		}
		return nil
	}
	b.refuse(draftOf("ops"), press(form, "save"), http.StatusNotFound)
}

func (s *site) delete(name string) error {
	_, err := s.Service.Delete(s.Ctx, &chat.DeleteRequest{Name: name})
	return err
}

// The simulator that refused someone offers the statement. It is in a draft until it is saved, and
// then the simulator allows it.
func TestOnePersonIsGrantedOneCommand(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration, in.RamRole = slack(many), "BotRole" })
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/permissions?user=dave&conversation=c9&text=drain")
	wantText(t, page, "Denied", "Add this statement")
	form := inputs(t, page, draftOf("ops"))
	form, page = b.pressed(form, "grant")
	wantText(t, page, "The statement is in the draft", `id="p5.sum" data-live autofocus`, "Allowed", "by statement 5",
		`<details class="item decides" id="p5" open>`)
	if got := form.Get("p5.Principals") + form.Get("p5.Commands") +
		form.Get("p5.Conversations"); got != "user:davedrainc9" {
		t.Errorf("the statement is about %s", got)
	}
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Fatalf("it was saved: %+v", got)
	}
	page = b.mustPost(draftOf("ops"), press(form, "save"))
	wantText(t, page, "The changes were saved", "Allowed", "Statement 5 decides")
	if got := who(t, s); len(got) != 6 || got[5] != "user:dave" {
		t.Errorf("the statements are about %q", got)
	}
	for _, text := range []string{"", `"open`, "help"} { // nothing would allow them
		form := url.Values{"user": {"dave"}, "conversation": {"c9"}, "text": {text}, "do": {"grant"}}
		if status, _, page := b.post(draftOf("ops"), form); text != "help" && status != http.StatusBadRequest {
			t.Errorf("%q: %d\n%s", text, status, page)
		}
	}
}

// Each cell leads to the simulation of someone of its row, where it is allowed if it is somewhere.
func TestTheCellsOfTheMatrixLeadToTheSimulator(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration, in.RamRole = slack(many), "BotRole" })
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/permissions")
	link := regexp.MustCompile(`<a class="chip [a-z]+" href="([^"]*)#simulate">([^<]*)</a>`)
	n := 0
	for _, m := range link.FindAllStringSubmatch(page, -1) {
		n++
		to := html.UnescapeString(m[1])
		simulated := b.page(to)
		if allowed := strings.Contains(simulated, `<span class="chip good">Allowed`); allowed != (m[2] != "denied") {
			t.Errorf("the cell %q leads to %s, which is allowed: %v", m[2], to, allowed)
		}
	}
	if n != 6*5 {
		t.Errorf("%d cells are links", n)
	}
	wantText(t, page, `/permissions?conversation=c1&amp;text=drain&amp;user=carol#simulate"`,
		`/permissions?conversation=c1&amp;text=restart&#43;env%3Dtest&amp;user=alice#simulate"`)
	wantNoText(t, b.page(draftOf("ops")), `<a class="chip`)
}

// A key that may not change a bot is offered nothing, and is refused if it posts.
func TestAKeyThatMayNotEditStatements(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	form, _ := s.browser().signIn(owner).pressed(s.browser().signIn(owner).draft("ops"), "remove.p0")
	s.addKey("CCKsimulate", mustPolicy(t,
		`{"Effect":"Allow","Action":["oos:Get*","oos:SimulateChatPermission"],"Resource":"*"}`))
	b := s.browser().signIn("CCKsimulate")
	page := b.page("/console/bots/ops/permissions?user=dave&conversation=c9&text=drain")
	wantText(t, page, "Add a statement that allows it")
	wantNoText(t, page, draftOf("ops"), "Add this statement")
	if status, page := b.get(draftOf("ops")); status != http.StatusForbidden ||
		!strings.Contains(page, "oos:UpdateChatConfiguration") {
		t.Errorf("the form is shown: %d\n%s", status, page)
	}
	for _, button := range []string{"save", "check", "add.p", "remove.p0", "add.g"} {
		wantText(t, b.refuse(draftOf("ops"), press(form, button), http.StatusForbidden), "oos:UpdateChatConfiguration")
	}
	b.refuse(draftOf("ops"), url.Values{"do": {"grant"}, "user": {"dave"}, "conversation": {"c9"}, "text": {"drain"}},
		http.StatusForbidden)
	s.addKey("CCKnorole", mustPolicy(t, `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`))
	b = s.browser().signIn("CCKnorole")
	form = b.draft("ops")
	form.Set("p0.RamRole", "OtherRole")
	wantText(t, b.refuse(draftOf("ops"), press(form, "save"), http.StatusForbidden), "ram:PassRole", "OtherRole")
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("the bot was changed: %+v", got)
	}
	s.addKey("CCKwrite", policy.Administrator())
	stranger := s.browser()
	if status, to, _ := stranger.post(draftOf("ops"), press(form, "save")); status != http.StatusSeeOther ||
		to != "/console/signin" {
		t.Errorf("POST of a stranger: %d %s", status, to)
	}
	b = s.browser().signIn("CCKwrite")
	b.header.Set("Sec-Fetch-Site", "cross-site")
	wantText(t, b.refuse(draftOf("ops"), press(form, "save"), http.StatusForbidden), "another site")
}

func TestDraftsThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	good := b.draft("ops")
	for name, value := range map[string]string{"Base.p": "", "Base.g": "[", "Revision": "one", "p0.From": "9",
		"p1.From": "-1", "do": "up.p0"} {
		form := press(good, "check")
		form.Set(name, value)
		wantText(t, b.refuse(draftOf("ops"), form, http.StatusBadRequest), "could not be read")
	}
	for _, base := range []string{"{}", "1", "[{]"} {
		form := press(good, "check")
		form.Set("Base.p", base)
		b.refuse(draftOf("ops"), form, http.StatusBadRequest)
	}
	form := press(good, "check")
	form.Set("p2.From", "")
	form.Set("p2.Root", "[]")
	b.refuse(draftOf("ops"), form, http.StatusBadRequest)
	for _, button := range []string{"", "up", "down.p1", "up.p9", "sell.p0", "add.x", "add", "remove.g0", hostile} {
		b.refuse(draftOf("ops"), press(good, button), http.StatusBadRequest)
	}
	form = press(good, "add.p")
	form.Set("Revision", "one")
	b.refuse(draftOf("ops"), form, http.StatusBadRequest)
	if status, _ := b.get(draftOf("absent")); status != http.StatusNotFound {
		t.Errorf("of no bot: %d", status)
	}
	b.refuse(draftOf("absent"), press(good, "save"), http.StatusNotFound)
	large := press(good, "save")
	large.Set("p0.Principals", strings.Repeat("x", 9*chat.MaxConfiguration))
	b.refuse(draftOf("ops"), large, http.StatusBadRequest)
}

// A form cannot have an item many times: each would be as large as what it began with. Nothing of
// it is read for a key that may not edit.
func TestADraftIsNotLargerThanItsForm(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.addKey("CCKread", policy.ReadOnly())
	form := s.browser().signIn(owner).draft("ops")
	form.Set("Base.p", `[{"Effect":"Allow","Principals":["`+strings.Repeat("x", 10_000)+`","y"],"Commands":["*"]}]`)
	for i := range 300 {
		form.Set(fmt.Sprintf("p%d.From", i), "0")
	}
	for id, want := range map[string]int{owner: http.StatusBadRequest, "CCKread": http.StatusForbidden} {
		for _, button := range []string{"check", "save", "add.p"} {
			page := s.browser().signIn(id).refuse(draftOf("ops"), press(form, button), want)
			if len(page) > 10_000 {
				t.Errorf("%s, %s: the page has %d bytes", id, button, len(page))
			}
		}
	}
}

// What is typed cannot become a part of a page.
func TestHostileTextsInADraft(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	b := s.browser().signIn(owner)
	form := b.draft("ops")
	for name := range form {
		if !strings.HasSuffix(name, ".From") && !strings.HasPrefix(name, "Base.") && name != "Revision" {
			form.Set(name, hostile)
		}
	}
	pages := []string{b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)}
	for _, button := range []string{"check", "add.p", "up.p1", "remove.g0"} {
		_, page := b.pressed(form, button)
		pages = append(pages, page)
	}
	for _, page := range pages {
		wantNoText(t, page, "<script>", "<img", "\u202e", "\u2066", "\x1b")
	}
}

// Of many statements, only those that matter have inputs in the page, which is small. The others
// stay as they are.
func TestADraftOfManyStatementsIsSmall(t *testing.T) {
	s := newSite(t)
	var statements []string
	for i := range 60 {
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Principals":["user:u%02d"],`+
			`"Commands":["c%02d"]}`, i, i))
	}
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"Permissions":[` + strings.Join(statements, ",") + `]`)
	})
	before := s.MustGet("ops")
	b := s.browser().signIn(owner)
	page := b.page(draftOf("ops"))
	if size := weight(t, page); size > 100<<10 {
		t.Errorf("the page has %d bytes with its assets", size)
	}
	wantNoText(t, page, `name="p7.Principals"`)
	wantText(t, b.page(draftOf("ops")+"?open=p9"), `id="p9" open>`, `name="p9.Principals"`)
	wantNoText(t, b.page(draftOf("ops")+"?open=p99&open="+url.QueryEscape(hostile)), "autofocus", "<script>alert")
	wantText(t, page, "user:u07", `value="open.p7"`)
	b.mustPost(draftOf("ops"), press(draftInputs(t, page), "save"))
	chattest.Equal(t, "the bot", s.MustGet("ops"), before)
	form, page := b.pressed(draftInputs(t, page), "open.p7")
	wantText(t, page, `name="p7.Effect" aria-describedby="p7.Effect.wrong" autofocus>`, `id="p7" open>`)
	wantNoText(t, page, `name="p8.Principals"`)
	form.Set("p7.Principals", "group:none")
	form, page = b.pressed(form, "up.p8")
	wantText(t, page, `name="p8.Principals"`, `name="p7.Principals"`) // one is changed, the other moved
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	wantText(t, wrongAt(t, page, "p8.Principals"), "Line 1: the group")
	form.Set("p8.Principals", "user:x")
	b.mustPost(draftOf("ops"), press(form, "save"))
	got := who(t, s)
	if len(got) != 60 || got[7] != "user:u08" || got[8] != "user:x" || got[9] != "user:u09" {
		t.Errorf("the statements are about %q", got)
	}
}

// A policy at the limits is edited, too.
func TestADraftAtTheLimits(t *testing.T) {
	s := newSite(t)
	var statements []string
	for i := range 100 {
		var users []string
		for j := range 20 {
			users = append(users, fmt.Sprintf(`"user:用户%03d-%02d"`, i, j))
		}
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Principals":[%s],"Commands":["重启%03d"],`+
			`"Conversations":["%s"]}`, strings.Join(users, ","), i, strings.Repeat("界", 40)))
	}
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"Permissions":[` + strings.Join(statements, ",") + `]`)
	})
	if n := len(s.MustGet("ops").Configuration); n < chat.MaxConfiguration*8/10 {
		t.Fatalf("the settings have only %d bytes", n)
	}
	b := s.browser().signIn(owner)
	form := b.draft("ops")
	for i := range 99 { // so that all are in the page
		form.Set(fmt.Sprintf("p%d.RamRole", i), "R")
	}
	form, _ = b.pressed(form, "check")
	form.Set("p99.RamRole", "LastRole")
	t.Logf("the form has %d bytes, the page %d", len(form.Encode()), len(b.page(draftOf("ops"))))
	if n := len(form.Encode()); n < 3*chat.MaxConfiguration || n > 7*chat.MaxConfiguration {
		t.Errorf("the form has %d bytes", n)
	}
	b.mustPost(draftOf("ops"), press(form, "save"))
	wantText(t, s.MustGet("ops").Configuration, "LastRole")
	form, _ = b.pressed(b.draft("ops"), "add.p")
	form.Set("p100.Principals", "user:x")
	form.Set("p100.Commands", "x")
	page := b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	wantText(t, page, "Permissions: has 101 statements; the most is 100")
	form.Set("p100.Principals", strings.Repeat("user:x\n", 2000))
	page = b.refuse(draftOf("ops"), press(form, "save"), http.StatusUnprocessableEntity)
	wantText(t, page, "The settings are too large", "so there is no table")
}
