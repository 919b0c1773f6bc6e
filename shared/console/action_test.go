package console_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/fault"
)

// declared has actions with all that an action may have.
var declared = `"Target":{"Type":"Journal"},"Actions":{
"restart":{"Summary":"restart an <b>instance</b>","Aliases":["reboot","重启"],"Parameters":[
	{"Name":"instance","Required":true,"Pattern":"i-[a-z0-9]{1,20}","Help":"its id"},
	{"Name":"env","Type":"Enum","Values":["test","prod"],"Default":"test"},
	{"Name":"wait","Type":"Integer","Min":0,"Max":600},{"Name":"zone","Fixed":"cn"}],
	"Target":{"Type":"Oos","TemplateName":"Restart","SafetyCheck":"ConfirmEveryHighRiskAction",
	"Parameters":{"Id":"{instance}"}},"RamRole":"OpsRestart","TimeoutSeconds":900},
"deploy":{"Parameters":[{"Name":"token","Required":true,"Secret":true,"Min":8}],"DryRun":true,
	"Target":{"Type":"Http","Url":"https://ci.example.com/deploy","Secret":"` +
	base64.StdEncoding.EncodeToString([]byte(planted+"-secret-of-the-action")) + `"}},
"note":{}}`

// The table of actions has all of them, and no secret.
func TestActionsAreInATable(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/permissions")
	wantText(t, page, "restart an &lt;b&gt;instance&lt;/b&gt;", "reboot", "重启",
		"text in the form i-[a-z0-9]{1,20}; required",
		"its id", "one of test, prod; default test", "a whole number from 0 to 600", "always cn", "Oos",
		"TemplateName: <bdi>Restart</bdi>", "SafetyCheck: <bdi>ConfirmEveryHighRiskAction</bdi>", "OpsRestart",
		"times out after 900 s", "may be tried with --dry-run", "https://ci.example.com/deploy", "that of the bot",
		"Secret: set; secrets are never shown")
	wantNoText(t, page, planted, base64.StdEncoding.EncodeToString([]byte(planted)))
	wantText(t, b.page("/console/bots/ops/permissions?lang=zh"), "900 秒后超时", "与机器人相同")
}

const actionPath = "/console/bots/ops/actions/edit"

// action returns the form of an action; of a new one without a name.
func (b *browser) action(name string) url.Values {
	b.T.Helper()
	path := actionPath
	if name != "" {
		path += "?action=" + url.QueryEscape(name)
	}
	return inputs(b.T, b.page(path), actionPath)
}

// acted sends the form of an action with a button that saves nothing.
func (b *browser) acted(form url.Values, button string) (url.Values, string) {
	b.T.Helper()
	page := b.refuse(actionPath, press(form, button), http.StatusOK)
	return inputs(b.T, page, actionPath), page
}

func actionsOf(s *site) string {
	_, rest, _ := strings.Cut(s.MustGet("ops").Configuration, `"Actions":`)
	return rest
}

func TestAnActionThatWasNotTouchedStays(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	before := s.MustGet("ops")
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/bots/ops/permissions"), `href="`+actionPath+`"`,
		`href="`+actionPath+`?action=restart"`)
	for _, name := range []string{"restart", "deploy", "note"} {
		form := b.action(name)
		wantNoText(t, b.page(actionPath+"?action="+name), planted, "autofocus", "value=\"******\"")
		_, page := b.acted(form, "check")
		wantText(t, page, "No mistakes. Nothing is changed yet", "Example: "+name)
		wantText(t, b.mustPost(actionPath, press(form, "save")), "Nothing was changed")
	}
	chattest.Equal(t, "the bot", s.MustGet("ops"), before)
	form := b.action("restart")
	for name, want := range map[string]string{"a0.Name": "restart", "a0.Aliases": "reboot\r\n重启",
		"a0.TimeoutSeconds": "900",
		"t0.Type":           "Oos", "t0.TemplateName": "Restart", "v1.Values": "test\r\nprod",
		"v1.Type": "Enum", "v2.Max": "600",
		"v0.Required": "true", "v3.Fixed": "cn"} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
}

func TestAnActionIsMadeChangedRenamedAndDeleted(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(chattest.OpenToAll) })
	b := s.browser().signIn(owner)
	form := b.action("")
	wantNoText(t, b.page(actionPath), "has no name", "Delete the action")
	_, page := b.acted(form, "look")
	if got := wrongAt(t, page, "a0.Name"); got != "" {
		t.Errorf("at the name the page says %q before it is asked", got)
	}
	wantText(t, page, "It is shown here once")
	_, page = b.acted(form, "check")
	if got, want := wrongAt(t, page, "a0.Name"), "The action has no name."; got != want {
		t.Errorf("at the name the page says %q, want %q", got, want)
	}
	form.Set("a0.Name", "scale")
	form.Set("a0.Summary", "scale a group")
	form.Set("t0.Type", "Http")
	form, page = b.acted(form, "add.v")
	wantText(t, page, `name="t0.Url"`, `name="t0.Secret" type="password" value=""`,
		`name="v0.Name" value="" spellcheck="false"`)
	wantNoText(t, page, `name="t0.TemplateName"`)
	if kind, values, last := strings.Index(page, `name="v0.Type"`), strings.Index(page, `name="v0.Values"`),
		strings.Index(page, `name="v0.Pattern"`); kind > values || values > last {
		t.Error("the values of an Enum do not follow the type")
	}
	form.Set("v0.Name", "count")
	form.Set("v0.Type", "Integer")
	form.Set("v0.Max", "9")
	form, _ = b.acted(form, "add.v")
	form.Set("v1.Name", "group")
	form, _ = b.acted(form, "up.v1")
	key := base64.StdEncoding.EncodeToString([]byte(planted + "-secret-of-the-action"))
	form.Set("t0.Secret", key)
	page = b.refuse(actionPath, press(form, "save"), http.StatusUnprocessableEntity)
	if got := wrongAt(t, page, "t0.Url"); got != "is missing." {
		t.Errorf("at the address: %q", got)
	}
	wantText(t, page, "Type it again", `<a href="#t0.Url">Target: Url</a>`)
	wantNoText(t, page, key, planted)
	form.Set("t0.Url", "https://ci.example.com/scale")
	form.Set("t0.Secret", key)
	wantText(t, b.mustPost(actionPath, press(form, "save")), "The changes were saved", "scale a group")
	if got, want := actionsOf(s), `{"scale":{"Summary":"scale a group","Parameters":[{"Name":"group"},`+
		`{"Name":"count","Type":"Integer","Max":"9"}],"Target":{"Type":"Http","Url":"https://ci.example.com/scale",`+
		`"Secret":"******"}}}`; !strings.HasPrefix(got, strings.TrimSuffix(want, "}")) {
		t.Errorf("the actions are %s\nwant %s", got, want)
	}
	first := s.MustGet("ops")

	form = b.action("scale")
	form.Set("a0.Summary", "")
	form, _ = b.acted(form, "remove.v0")
	b.mustPost(actionPath, press(form, "save"))
	if got := s.MustGet("ops"); digest(got, "Actions.scale.Target.Secret") != digest(first,
		"Actions.scale.Target.Secret") ||
		strings.Contains(actionsOf(s), "Summary") || strings.Contains(actionsOf(s), `"group"`) {
		t.Errorf("the bot is %+v", got)
	}
	form = b.action("scale")
	form.Set("a0.Name", "grow")
	form.Set("t0.Type", "Journal")
	b.mustPost(actionPath, press(form, "save"))
	if got := actionsOf(s); !strings.HasPrefix(got,
		`{"grow":{"Parameters":[{"Name":"count","Type":"Integer","Max":"9"}],`+
			`"Target":{"Type":"Journal"}}`) {
		t.Errorf("the actions are %s", got)
	}
	form = b.action("grow")
	form.Set("t0.Type", "")
	form, _ = b.acted(form, "remove.v0")
	b.mustPost(actionPath, press(form, "save"))
	if got := actionsOf(s); !strings.HasPrefix(got, `{"grow":{}}`) {
		t.Errorf("the actions are %s", got)
	}
	form = b.action("grow")
	for _, typed := range []string{"", "GROW"} {
		form.Set("Confirm", typed)
		wantText(t, b.refuse(actionPath, press(form, "delete"), http.StatusUnprocessableEntity),
			"Type the name of the action")
	}
	form.Set("Confirm", "grow")
	wantText(t, b.mustPost(actionPath, press(form, "delete")), "The changes were saved", "has no actions")
	if got := s.MustGet("ops").Configuration; strings.Contains(got, "Actions") {
		t.Errorf("the action stays: %s", got)
	}
}

func TestMistakesOfAnActionAreAtTheirInputs(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	form := b.action("restart")
	form.Set("a0.Aliases", "ok\r\nnot ok")
	form.Set("a0.TimeoutSeconds", "a day")
	form.Set("v0.Pattern", "[")
	form.Set("v1.Values", "test\r\n\r\nTEST")
	form.Set("v2.Min", "700")
	form.Set("t0.TemplateName", "no name!")
	form.Set("t0.Parameters", `{"Id":1}`)
	form.Set("a0.RamRole", hostile)
	page := b.refuse(actionPath, press(form, "save"), http.StatusUnprocessableEntity)
	for id, want := range map[string]string{"a0.Aliases": `Line 2: "not ok" is not a word`,
		"a0.TimeoutSeconds": `"a day" is not`,
		"v0.Pattern":        "is not a regular expression", "v1.Values": `Line 3: "TEST" differs from "test"`,
		"v2.Max": "is less than Min", "t0.TemplateName": `"no name!" is not`, "t0.Parameters": "",
		"a0.RamRole": "is not a role"} {
		if got := wrongAt(t, page, id); !strings.HasPrefix(got, want) || got == "" {
			t.Errorf("at %s the page says %q, want %q", id, got, want)
		}
	}
	if n := strings.Count(page, " autofocus"); n != 1 {
		t.Errorf("%d elements have the focus", n)
	}
	wantNoText(t, page, "<script>alert", "\u202e")
	form = b.action("restart")
	form.Set("t0.Parameters", `{"Secret":"`+planted+`"`)
	page = b.refuse(actionPath, press(form, "save"), http.StatusUnprocessableEntity)
	wantText(t, wrongAt(t, page, "t0.Parameters"), "write JSON")
	wantNoText(t, page, planted)
	for name, want := range map[string]string{"": "The action has no name.", "note": "Another action has this name.",
		"re start": `"re start" is not a word`, "help": `"help" is a built-in command`} {
		form := b.action("restart")
		form.Set("a0.Name", name)
		page := b.refuse(actionPath, press(form, "save"), http.StatusUnprocessableEntity)
		if got := wrongAt(t, page, "a0.Name"); !strings.HasPrefix(got, want) {
			t.Errorf("the name %q: %q, want %q", name, got, want)
		}
	}
	// A secret is stored under the name of its action.
	form = b.action("deploy")
	form.Set("a0.Name", "ship")
	if got := wrongAt(t, b.refuse(actionPath, press(form, "save"), http.StatusUnprocessableEntity),
		"t0.Secret"); got == "" {
		t.Error("nothing is said at the secret of an action that is renamed")
	}
	// What the statements need is said, too.
	s.MustCreate("other", func(in *chat.CreateRequest) { in.Configuration = slack(many) })
	form = inputs(t, b.page("/console/bots/other/actions/edit?action=restart"), "/console/bots/other/actions/edit")
	form.Set("v0.Name", "stage")
	wantText(t, b.refuse("/console/bots/other/actions/edit", press(form, "save"), http.StatusUnprocessableEntity),
		"Permissions[1].Parameters.env: no action")
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("it was saved: %+v", got)
	}
}

// What the form of an action does not know stays as it is.
func TestAnActionKeepsWhatItDoesNotKnow(t *testing.T) {
	sent := ""
	bot := chat.Configuration{Name: "ops", Type: "Slack", Revision: 1, Configuration: `{"Actions":{"b":{"X":1},"a":{` +
		`"Future":[null],"Target":{"Type":"New","Secret":"******","Y":{"z":2}},` +
		`"Parameters":[{"When":"x","Name":"n","Default":3}],` +
		`"DryRun":true}},"Last":[]}`}
	s := newSiteOf(t, bot, &sent)
	b := s.browser().signIn(owner)
	form := b.action("a")
	form.Set("a0.Summary", "new")
	form.Set("v0.Help", "text")
	b.post(actionPath, press(form, "save"))
	if want := `{"Actions":{"b":{"X":1},"a":{"Future":[null],"Target":{"Type":"New","Secret":"******","Y":{"z":2}},` +
		`"Parameters":[{"When":"x","Name":"n","Default":3,"Help":"text"}],` +
		`"DryRun":true,"Summary":"new"}},"Last":[]}`; sent != want {
		t.Errorf("it sent %s\nwant %s", sent, want)
	}
}

func TestAConflictOfAnAction(t *testing.T) {
	s, before := newSiteBetween(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	form := b.action("note")
	form.Set("a0.Summary", "mine")
	update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("TheirRole") })
	page := b.refuse(actionPath, press(form, "save"), http.StatusConflict)
	wantText(t, page, "Another user changed this bot", "TheirRole", `value="mine"`,
		"The form now has the changes of others")
	form = inputs(t, page, actionPath)
	again := false
	*before = func(action string, params map[string]string) error {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" && !again {
			again = true
			update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("LastRole") })
		}
		return nil
	}
	page = b.refuse(actionPath, press(form, "save"), http.StatusConflict)
	wantText(t, page, "LastRole", `value="mine"`)
	b.mustPost(actionPath, press(inputs(t, page, actionPath), "save"))
	if got := s.MustGet("ops"); got.RamRole != "LastRole" || !strings.Contains(got.Configuration,
		`"note":{"Summary":"mine"}`) {
		t.Errorf("the bot is %+v", got)
	}
	*before = func(action string, params map[string]string) error {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
			return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("%s", planted)}
		}
		return nil
	}
	wantNoText(t, b.refuse(actionPath, press(b.action("note"), "save"), http.StatusInternalServerError), planted)
}

// Saving after a conflict undoes nothing of what others did to the action: only what the person
// changed is written.
func TestAnActionGoesOnWithTheChangesOfOthers(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	form, _ := b.acted(b.action("restart"), "add.v")
	form.Set("v4.Name", "mine")
	form.Set("a0.Summary", "my summary")
	form.Set("t0.SafetyCheck", "Skip")
	theirs := slack(strings.NewReplacer("restart an <b>instance</b>", "their summary", `"TimeoutSeconds":900`,
		`"TimeoutSeconds":60`, `"TemplateName":"Restart"`, `"TemplateName":"Theirs"`,
		`"Max":600`, `"Max":60`).Replace(declared))
	update(s, "ops", func(in *chat.UpdateRequest) { in.Configuration = &theirs })
	page := b.refuse(actionPath, press(form, "save"), http.StatusConflict)
	wantText(t, page, "The form now has the changes of others", `value="my summary"`, "<bdi>their summary</bdi>")
	wantNoText(t, page, planted)
	b.mustPost(actionPath, press(inputs(t, page, actionPath), "save"))
	wantText(t, actionsOf(s), `"Summary":"my summary"`, `"TimeoutSeconds":60`, `"TemplateName":"Theirs"`, `"Max":60}`,
		`"SafetyCheck":"Skip"`, `{"Name":"mine"}`)

	// What others removed comes back only if the person saves it.
	form = b.action("note")
	form.Set("a0.Summary", "mine")
	theirs = slack(strings.Replace(declared, `,
"note":{}`, "", 1))
	update(s, "ops", func(in *chat.UpdateRequest) { in.Configuration = &theirs })
	page = b.refuse(actionPath, press(form, "save"), http.StatusConflict)
	wantText(t, page, "New action", `value="mine"`)
	wantNoText(t, actionsOf(s), `"note"`)
	b.mustPost(actionPath, press(inputs(t, page, actionPath), "save"))
	wantText(t, actionsOf(s), `"note":{"Summary":"mine"}`)
}

// A secret that was typed before a button is not in the page any more. Saving does not drop it
// unseen.
func TestASecretThatWasTypedIsNotDroppedUnseen(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	before := digest(s.MustGet("ops"), "Actions.deploy.Target.Secret")
	form := b.action("deploy")
	key := base64.StdEncoding.EncodeToString([]byte(planted + "-next-secret-of-the-action"))
	form.Set("t0.Secret", key)
	form, _ = b.acted(form, "add.v")
	form, _ = b.acted(form, "remove.v1")
	form, page := b.acted(form, "look")
	wantText(t, page, "Type it again")
	page = b.refuse(actionPath, press(form, "save"), http.StatusUnprocessableEntity)
	wantText(t, wrongAt(t, page, "t0.Secret"), "the secret that was typed is not kept; type it again")
	wantNoText(t, page, planted, key)
	again := inputs(t, page, actionPath)
	wantText(t, b.mustPost(actionPath, press(again, "save")), "Nothing was changed")
	form.Set("t0.Secret", key)
	wantText(t, b.mustPost(actionPath, press(form, "save")), "The changes were saved")
	if digest(s.MustGet("ops"), "Actions.deploy.Target.Secret") == before {
		t.Error("the secret is as it was")
	}

	// The form of a bot does the same after a mistake elsewhere.
	bot := b.form("ops")
	bot.Set("Configuration.SlackSigningSecret", strings.Repeat("5", 32))
	bot.Set("RamRole", "not a role")
	page = b.refuse("/console/bots/ops/edit", bot, http.StatusUnprocessableEntity)
	bot = inputs(t, page, "/console/bots/ops/edit")
	bot.Set("RamRole", "")
	page = b.refuse("/console/bots/ops/edit", bot, http.StatusUnprocessableEntity)
	wantAt(t, page, "Configuration.SlackSigningSecret", "the secret that was typed is not kept; type it again")
	b.mustPost("/console/bots/ops/edit", inputs(t, page, "/console/bots/ops/edit"))
}

func TestActionsThatCannotBeEdited(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	good := b.action("restart")
	for _, button := range []string{"", "add.a", "remove.a0", "remove.t0", "up.v0", "sell.v0", hostile} {
		b.refuse(actionPath, press(good, button), http.StatusBadRequest)
	}
	for name, value := range map[string]string{"Revision": "x", "Base.a": "", "Base.t": "{}", "Base.v": "[1",
		"a0.From": "7"} {
		form := press(good, "save")
		form.Set(name, value)
		b.refuse(actionPath, form, http.StatusBadRequest)
	}
	for _, name := range []string{"a0.From", "t0.From"} {
		form := press(good, "save")
		form.Del(name)
		b.refuse(actionPath, form, http.StatusBadRequest)
	}
	large := press(good, "save")
	large.Set("a0.Summary", strings.Repeat("x", 9*chat.MaxConfiguration))
	b.refuse(actionPath, large, http.StatusBadRequest)
	gone := press(good, "save")
	gone.Set("was", "absent")
	b.refuse(actionPath, gone, http.StatusNotFound)
	for _, path := range []string{actionPath + "?action=absent", "/console/bots/absent/actions/edit"} {
		if status, _ := b.get(path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	reader := s.addReader()
	wantNoText(t, reader.page("/console/bots/ops/permissions"), actionPath)
	if status, _ := reader.get(actionPath); status != http.StatusForbidden {
		t.Errorf("the form is shown: %d", status)
	}
	good.Set("Confirm", "restart")
	for _, button := range []string{"save", "check", "delete", "add.v"} {
		wantText(t, reader.refuse(actionPath, press(good, button), http.StatusForbidden), "oos:UpdateChatConfiguration")
	}
	if status, to, _ := s.browser().post(actionPath, press(good, "save")); status != http.StatusSeeOther ||
		to != "/console/signin" {
		t.Errorf("POST of a stranger: %d %s", status, to)
	}
	b.header.Set("Sec-Fetch-Site", "cross-site")
	b.refuse(actionPath, press(good, "delete"), http.StatusForbidden)
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("the bot was changed: %+v", got)
	}
	odds := newSite(t, func(o *console.Options) {
		inner := o.API
		o.API = func(id string) console.API {
			return odd{inner(id), chat.Configuration{Name: "ops", Type: "Pigeon", Configuration: "{}"}}
		}
	})
	if status, _ := odds.browser().signIn(owner).get(actionPath); status != http.StatusInternalServerError {
		t.Errorf("of an unknown platform: %d", status)
	}
}
