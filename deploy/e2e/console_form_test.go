package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/chromedp/chromedp"
)

// fillSettings fills the inputs of a platform's settings.
func (b *tab) fillSettings(settings map[string]string) {
	b.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if id := "Configuration." + key; b.does(`document.getElementById(` + jsonText(id) + `).tagName === "SELECT"`) {
			b.choose(id, settings[key])
		} else {
			b.fill(id, settings[key])
		}
	}
}

func TestABotOfEachTypeIsCreatedInTheConsole(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	b := newTab(t, s)
	b.signIn(s.key)
	b.sees("There is no bot yet.")
	for _, p := range platforms {
		t.Run(p.typ, func(t *testing.T) {
			b.t = t
			name := "ops-" + strings.ToLower(p.typ)
			b.open("")
			b.follow("New bot")
			b.press(`main a[href="/console/new?type=` + p.typ + `"]`)
			b.fill("Name", name)
			b.fill("RamRole", "OpsRole")
			b.fill("Tags", "env=prod\nteam=sre")
			b.fill("Configuration.BotName", hardText)
			b.fill("Configuration.UserGroups", `{"sre":["manager4220"]}`)
			b.fill("Configuration.Permissions",
				`[{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart"],"RamRole":"OpsRole"}]`)
			b.fillSettings(botSettings[p.typ])
			if status := b.press("main form button"); status != 200 {
				t.Fatalf("created with the status %d:\n%s", status, b.seen())
			}
			if got, want := b.path(), "/console/bots/"+name+"?notice=created"; got != want {
				t.Fatalf("the next page is %s, want %s:\n%s", got, want, b.seen())
			}
			b.sees("The bot was created. Follow the set-up steps below.", "group:sre", "env=prod", "team=sre")
			made := get(t, s.client(t), name).Body.ChatConfiguration
			wantEqual(t, "Type", made.Type, p.typ)
			wantEqual(t, "RamRole", made.RamRole, "OpsRole")
			var stored map[string]any
			decode(t, []byte(dara.StringValue(made.Configuration)), &stored)
			for key, value := range botSettings[p.typ] {
				if stored[key] == "******" {
					b.lacks(value)
				} else if stored[key] != value {
					t.Errorf("%s = %v, want %s", key, stored[key], value)
				}
			}
			if stored["BotName"] != hardText {
				t.Errorf("BotName = %q, want %q", stored["BotName"], hardText)
			}
		})
	}
	b.t = t
	b.open("")
	b.sees("Bots: 5", "ops-dingtalk", "ops-wechat", "ops-feishu", "ops-slack", "ops-teams")
}

func TestEachMistakeIsShownAtItsField(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	create(t, s.client(t), "ops")
	b := newTab(t, s)
	b.signIn(s.key)
	for _, test := range []struct {
		mistake, typ, field, typed string
		says                       []string
	}{
		{"no name", "Slack", "Name", "", []string{"Name is mandatory"}},
		{"a name with a blank", "Slack", "Name", "ops bot", []string{`"ops bot"`}},
		{"a name that is taken", "Slack", "Name", "ops", []string{"ops", "already exists"}},
		{"a secret that is mandatory", "Slack", "Configuration.SlackSigningSecret", "", []string{"is missing"}},
		{"a secret that is too short", "DingTalk", "Configuration.DingTalkEncodingAesKey", "tooshort", []string{"43"}},
		{"a secret that is no base64", "Teams", "Configuration.TeamsWebhookSecret", "not base64!", []string{"base64"}},
		{"an id of another form", "WeChat", "Configuration.WeChatAgentId", "agent", []string{`"agent"`}},
		{"a role that is no name", "Slack", "RamRole", "no role!", []string{`"no role!"`}},
		{"a tag without a value", "Slack", "Tags", "env=prod\nteam", []string{`"team"`, "key=value"}},
		{"a tag twice", "Slack", "Tags", "env=prod\nenv=test", []string{`"env" is listed twice`}},
		{"a resource group of another form", "Slack", "ResourceGroupId", "a group", []string{`"a group"`, "rg-"}},
		{"JSON that ends early", "Slack", "Configuration.Permissions", `[{"Effect":"Allow",`, []string{"write JSON"}},
		{"an unknown effect", "Slack", "Configuration.Permissions",
			`[{"Effect":"Perhaps","Principals":["*"],"Commands":["*"]}]`, []string{`"Perhaps"`, "Allow", "Deny"}},
		{"a principal of another form", "Slack", "Configuration.Permissions",
			`[{"Effect":"Allow","Principals":["alice"],"Commands":["*"]}]`, []string{`"alice"`, "user:"}},
		{"an action without a form", "Slack", "Configuration.Actions", `{"restart":{"Parameters":"id"}}`,
			[]string{"restart.Parameters"}},
	} {
		t.Run(test.mistake, func(t *testing.T) {
			b.t = t
			b.open("new?type=" + test.typ)
			b.fill("Name", "new-bot")
			b.fillSettings(botSettings[test.typ])
			b.fill(test.field, test.typed)
			if status := b.press("main form button"); status != 422 {
				t.Fatalf("the status is %d, want 422:\n%s", status, b.seen())
			}
			at := `document.getElementById(` + jsonText(test.field) + `)`
			shown := eval[string](b, `document.getElementById(`+at+`.getAttribute("aria-describedby")).innerText`)
			for _, want := range test.says {
				if !strings.Contains(shown, want) {
					t.Errorf("at %s is said %q, want %q in it", test.field, shown, want)
				}
			}
			if n := eval[int](b, `document.querySelectorAll("[aria-invalid]").length`); n != 1 ||
				!b.does(at+`.getAttribute("aria-invalid") === "true"`) {
				t.Errorf("%d inputs are marked, want only %s", n, test.field)
			}
			if b.does(at + `.type === "password"`) {
				if test.typed != "" {
					b.lacks(test.typed)
				}
			} else if got := eval[string](b, at+`.value`); got != test.typed {
				t.Errorf("%s has %q, want what was typed", test.field, got)
			}
			// The sentence about all mistakes has the focus, and leads to the field.
			b.await(`document.activeElement.getAttribute("role") === "alert"`)
			b.tabKey()
			b.enter()
			b.await(`document.activeElement === ` + at)
		})
	}
	list := must(s.client(t).ListChatConfigurations(&oos.ListChatConfigurationsRequest{}))(t)
	if n := len(list.Body.ChatConfigurations); n != 1 {
		t.Errorf("there are %d bots, want only the first", n)
	}
}

// While one person edits a bot, another one changes it by the API. The first sees both changes, and
// saves again.
func TestAConflictOfTwoEditorsIsShown(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	create(t, s.client(t), "ops")
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops")
	b.follow("Edit")
	b.fill("RamRole", "MyRole")
	b.fill("Configuration.BotName", "mine")
	s.send(t, newACS3(s.key, "UpdateChatConfiguration", "Name", "ops", "RamRole", "TheirRole", "Status",
		"Inactive")).ok(t, nil)
	if status := b.press("main form button"); status != 409 {
		t.Errorf("the status is %d, want 409", status)
	}
	b.sees("Another user changed this bot while you were editing. Nothing was saved.",
		"The other user changed: Status, Role")
	b.await(`document.activeElement.getAttribute("role") === "alert"`)
	for id, want := range map[string]string{"RamRole": "MyRole", "Configuration.BotName": "mine",
		"Status": "Inactive"} {
		if got := eval[string](b, `document.getElementById(`+jsonText(id)+`).value`); got != want {
			t.Errorf("%s has %q, want %q", id, got, want)
		}
	}
	if got := b.text(`#RamRole\.help`); !strings.Contains(got, "It is now:") || !strings.Contains(got, "TheirRole") {
		t.Errorf("at the role is said %q", got)
	}
	wantEqual(t, "RamRole", get(t, s.client(t), "ops").Body.ChatConfiguration.RamRole, "TheirRole")
	b.press("main form button")
	b.sees("The changes were saved.", "MyRole", "mine", "Inactive")
	saved := get(t, s.client(t), "ops").Body.ChatConfiguration
	wantEqual(t, "RamRole", saved.RamRole, "MyRole")
}

// Statements are edited with what they mean beside them: mistakes, the matrix and the decision
// change while a person types, and nothing counts before it is saved.
func TestStatementsAreJudgedWhileTheyAreTyped(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	before := dara.StringValue(get(t, s.client(t), "ops").Body.ChatConfiguration.Configuration)
	b := newTab(t, s)
	b.withAxe()
	b.signIn(s.key)
	b.open("bots/ops/permissions")
	b.follow("Edit statements")
	b.press(`button[value="add.p"]`)
	added := eval[string](b, `Array.from(document.querySelectorAll("[aria-labelledby=statements] details")).at(-1).id`)
	eval[chromedp.Void](b, `window.notLoadedAgain = true`)
	wrong := `document.getElementById(` + jsonText(added+".Principals.wrong") + `).innerText`
	b.fill("user", "bob")
	b.fill("conversation", "team")
	b.fill("text", "restart i-1")
	b.fill(added+".Principals", "bob")
	b.await(wrong + `.includes("user:")`)
	b.judge("a mistake in a statement", "en")
	b.fill(added+".Principals", "user:bob")
	b.fill(added+".Commands", "restart")
	b.await(wrong + ` === ""`)
	b.await(`document.getElementById("decided").innerText.includes("Allowed")`)
	b.await(`document.getElementById("cells").innerText.includes("User bob")`)
	b.judge("a new statement", "en")
	b.picture("a new statement")
	if !b.does("window.notLoadedAgain") {
		t.Error("the page was loaded again")
	}
	wantEqual(t, "Configuration", get(t, s.client(t), "ops").Body.ChatConfiguration.Configuration, before)
	b.press(`.bar button[value="save"]`)
	b.sees("user:bob")
	after := dara.StringValue(get(t, s.client(t), "ops").Body.ChatConfiguration.Configuration)
	if !strings.Contains(after, `"user:bob"`) {
		t.Errorf("the Configuration is %s", after)
	}
}
