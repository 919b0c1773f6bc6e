package console_test

import (
	"encoding/base64"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/fault"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
)

// A key of these tests that may only read.
const reader = "CCKreader"

var (
	inputTag  = regexp.MustCompile(`<input [^>]*>`)
	areaTag   = regexp.MustCompile(`(?s)<textarea [^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>`)
	selectTag = regexp.MustCompile(`(?s)<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>`)
	chosenTag = regexp.MustCompile(`<option value="([^"]*)" selected>`)
	attribute = regexp.MustCompile(`(name|value|type)="([^"]*)"`)
)

// inputs returns what a browser would send of the form with an address.
func inputs(t testing.TB, page, action string) url.Values {
	t.Helper()
	_, rest, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		t.Fatalf("there is no form %s:\n%s", action, page)
	}
	body, _, _ := strings.Cut(rest, "</form>")
	values := make(url.Values)
	for _, tag := range inputTag.FindAllString(body, -1) {
		at := make(map[string]string)
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			at[m[1]] = html.UnescapeString(m[2])
		}
		if at["type"] != "checkbox" || strings.Contains(tag, " checked") {
			values.Set(at["name"], at["value"])
		}
	}
	for _, m := range areaTag.FindAllStringSubmatch(body, -1) {
		values.Set(m[1], strings.ReplaceAll(html.UnescapeString(m[2]), "\n", "\r\n"))
	}
	for _, m := range selectTag.FindAllStringSubmatch(body, -1) {
		chosen := chosenTag.FindStringSubmatch(m[2])
		if chosen == nil {
			chosen = regexp.MustCompile(`<option value="([^"]*)"`).FindStringSubmatch(m[2])
		}
		if chosen != nil {
			values.Set(m[1], html.UnescapeString(chosen[1]))
		}
	}
	return values
}

// post sends a form and returns the answer with its text.
func (b *browser) post(path string, values url.Values) (int, string, string) {
	b.T.Helper()
	resp := b.do(http.MethodPost, path, values)
	return resp.StatusCode, resp.Header.Get("Location"), b.text(resp)
}

// mustPost sends a form that is accepted, and follows to the page with the notice.
func (b *browser) mustPost(path string, values url.Values) string {
	b.T.Helper()
	status, to, text := b.post(path, values)
	if status != http.StatusSeeOther {
		b.T.Fatalf("POST %s: %d\n%s", path, status, text)
	}
	return b.page(to)
}

// refuse sends a form that is refused with a status.
func (b *browser) refuse(path string, values url.Values, want int) string {
	b.T.Helper()
	status, _, text := b.post(path, values)
	if status != want {
		b.T.Fatalf("POST %s: %d, want %d\n%s", path, status, want, text)
	}
	return text
}

// form returns the values of the form to edit a bot.
func (b *browser) form(name string) url.Values {
	b.T.Helper()
	path := "/console/bots/" + name + "/edit"
	return inputs(b.T, b.page(path), path)
}

// mistakesAt returns what a page says at an input.
func mistakesAt(t testing.TB, page, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<label for="`+name+`">`)
	if !ok {
		t.Fatalf("there is no input %s:\n%s", name, page)
	}
	rest, _, _ = strings.Cut(rest, `name="Base.`+name+`"`)
	var found []string
	for _, m := range regexp.MustCompile(`<p class="wrong">(.*?)</p>`).FindAllStringSubmatch(rest, -1) {
		found = append(found, html.UnescapeString(strings.NewReplacer("<bdi>", "", "</bdi>", "").Replace(m[1])))
	}
	return strings.Join(found, "\n")
}

func wantAt(t testing.TB, page, name string, texts ...string) {
	t.Helper()
	got := mistakesAt(t, page, name)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("at %s the page says %q, want %q in it", name, got, text)
		}
	}
}

func TestABotOfEachTypeIsCreated(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	choose := b.page("/console/new")
	values := map[string]url.Values{
		"Slack": {"Configuration.SlackSigningSecret": {planted + "-signing"}},
		"WeChat": {"Configuration.WeChatCorpId": {"ww1"}, "Configuration.WeChatAgentId": {"1000002"},
			"Configuration.WeChatSecret": {planted + "-secret"}},
		"Feishu": {"Configuration.FeishuAppId": {"cli_1"}, "Configuration.FeishuAppSecret": {planted + "-secret"},
			"Configuration.FeishuEncryptKey": {planted + "-key"}, "Configuration.FeishuDomain": {"lark"}},
		"DingTalk": {"Configuration.DingTalkClientId": {"ding1"},
			"Configuration.DingTalkClientSecret": {planted + "-secret"}},
		"Teams": {"Configuration.TeamsWebhookSecret": {base64.StdEncoding.EncodeToString(
			[]byte(planted + strings.Repeat("x", 32)))}},
	}
	for _, p := range platform.All().Descriptions() {
		wantText(t, choose, `href="/console/new?type=`+p.Type+`"`)
		page := b.page("/console/new?type=" + p.Type)
		wantText(t, page, "letters, digits, - and _")
		form := inputs(t, page, "/console/new")
		if form.Get("Type") != p.Type || form.Get("Status") != chat.StatusActive {
			t.Errorf("%s: the form has Type %q and Status %q", p.Type, form.Get("Type"), form.Get("Status"))
		}
		given, ok := values[p.Type]
		if !ok {
			t.Errorf("there are no values for %s", p.Type)
			continue
		}
		name := "new-" + strings.ToLower(p.Type)
		form.Set("Name", name)
		form.Set("Tags", "env=prod\r\nteam=ops")
		form.Set("RamRole", "OpsRole")
		form.Set("Configuration.BotName", "the bot")
		form.Set("Configuration.ConversationIds", "C1\r\nC2")
		form.Set("Configuration.Permissions", `[{"Effect":"Allow","Principals":["user:alice"],"Commands":["restart"]}]`)
		for key := range given {
			form.Set(key, given.Get(key))
		}
		page = b.mustPost("/console/new", form)
		wantText(t, page, "The bot was created", "the bot", "user:alice", "env=prod")
		wantNoText(t, page, planted)
		got := s.MustGet(name)
		if got.Type != p.Type || got.RamRole != "OpsRole" || got.Tags["team"] != "ops" ||
			!strings.Contains(got.Configuration, `"ConversationIds":["C1","C2"]`) {
			t.Errorf("%s is %+v", name, got)
		}
	}
}

// What is neither required nor set is folded, and so is JSON. A part with a mistake, or with
// something typed, is open.
func TestTheRareInputsOfAFormAreFolded(t *testing.T) {
	s := newSite(t)
	s.Bot("ops", `"BotName":"the ops bot"`)
	b := s.browser().signIn(owner)
	parts := func(page string) (all []string) { // always in sight, more, JSON
		t.Helper()
		_, page, _ = strings.Cut(page, `<form class="settings"`)
		if all = strings.Split(page, "<details"); len(all) != 3 {
			t.Fatalf("the form has %d parts", len(all))
		}
		return all
	}
	fresh := parts(b.page("/console/new?type=Slack"))
	wantText(t, fresh[0], `id="Name"`, `id="Configuration.Receive"`, `id="Configuration.SlackSigningSecret"`,
		`data-for="Stream">`)
	wantText(t, fresh[1], "><summary>More settings", `id="Status"`, `id="Configuration.BotName"`)
	wantText(t, fresh[2], "><summary>", "later, in forms", `id="Configuration.Permissions"`)
	present := parts(b.page("/console/bots/ops/edit"))
	wantText(t, present[0], `id="Status"`, `id="Configuration.BotName"`)
	wantText(t, present[1], "><summary>", `id="Tags"`)
	wantText(t, present[2], "><summary>", `href="/console/bots/ops/permissions">Permissions</a>`)

	form := inputs(t, b.page("/console/new?type=Slack"), "/console/new")
	form.Set("Tags", "env")
	form.Set("Configuration.SlackAppToken", "xapp-not-a-real-token")
	refused := parts(b.refuse("/console/new", form, http.StatusUnprocessableEntity))
	wantText(t, refused[1], " open><summary>More settings")
	wantText(t, refused[2], "><summary>")
	wantNoText(t, refused[0], `data-for="Stream"`) // what was typed stays in sight, to be typed again
	form.Set("Configuration.Permissions", "[")
	refused = parts(b.refuse("/console/new", form, http.StatusUnprocessableEntity))
	wantText(t, refused[2], " open><summary>")
}

func TestAnUnknownTypeIsNoForm(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/new?type="+url.QueryEscape(hostile)), "Choose the chat platform")
	b.refuse("/console/new", url.Values{"Type": {hostile}, "Name": {"x"}}, http.StatusBadRequest)
}

// Each mistake is at its input, all at once, and what was typed stays, except for secrets.
func TestMistakesAreAtTheirInputs(t *testing.T) {
	s := newSite(t)
	s.Bot("taken")
	b := s.browser().signIn(owner)
	form := inputs(t, b.page("/console/new?type=Slack"), "/console/new")
	form.Set("Name", "-bad name")
	form.Set("RamRole", "no role!")
	form.Set("ResourceGroupId", "a group")
	form.Set("Configuration.SlackSigningSecret", planted)
	form.Set("Configuration.SlackTeamId", "T 1")
	form.Set("Configuration.ConversationIds", "C*\nC 2")
	form.Set("Configuration.Receive", "Pigeon")
	form.Set("Configuration.Permissions", `[{"Principals":["alice"],"Commands":["restart"]},{"Effect":"Maybe"}]`)
	form.Set("Configuration.Target", `{"Type":"Http","Url":"http://example.com","Secret":"`+planted+`-target"}`)
	form.Set("Configuration.UserGroups", `{"a b. Configuration.BotName: x":["u*"]}`)
	page := b.refuse("/console/new", form, http.StatusUnprocessableEntity)
	for name, want := range map[string][]string{
		"Name": {"Name"}, // the service reports a name alone
	} {
		wantAt(t, page, name, want...)
	}
	form.Set("Name", "fresh")
	page = b.refuse("/console/new", form, http.StatusUnprocessableEntity)
	for name, want := range map[string][]string{
		"RamRole":                          {"RamRole"},
		"ResourceGroupId":                  {"ResourceGroupId"},
		"Configuration.SlackSigningSecret": {"SlackSigningSecret:", "again"},
		"Configuration.SlackTeamId":        {"SlackTeamId:"},
		"Configuration.ConversationIds":    {"ConversationIds[0]", "ConversationIds[1]"},
		"Configuration.Receive":            {"Receive:"},
		"Configuration.Permissions":        {"Permissions[0].Principals", "Permissions[1]"},
		"Configuration.Target":             {"Target", "again"},
		"Configuration.UserGroups":         {"UserGroups"},
	} {
		wantAt(t, page, name, want...)
	}
	wantNoText(t, page, planted)
	again := inputs(t, page, "/console/new")
	for _, name := range []string{"Name", "RamRole", "ResourceGroupId", "Configuration.SlackTeamId",
		"Configuration.Receive", "Configuration.Permissions", "Configuration.UserGroups"} {
		if again.Get(name) != form.Get(name) {
			t.Errorf("%s is %q, and %q was typed", name, again.Get(name), form.Get(name))
		}
	}
	wantText(t, page, "http://example.com", `aria-invalid="true"`, "Nothing was saved",
		`<a href="#Configuration.SlackTeamId"><span lang="en">SlackTeamId</span></a>`, `<a href="#RamRole">Role</a>`)

	// Mistakes that only the form can have come with those of the service.
	form.Set("Configuration.Actions", `{"deploy":{"Target":{"Type":"Http","Secret":"`+planted+`-a"`)
	form.Set("Tags", "env\nteam=a\nteam=b")
	page = b.refuse("/console/new", form, http.StatusUnprocessableEntity)
	wantAt(t, page, "Configuration.Actions", "write JSON", "again")
	wantAt(t, page, "Tags", `tag "env" has no value`, `tag "team" is listed twice`)
	wantAt(t, page, "Configuration.SlackTeamId", "SlackTeamId:")
	wantNoText(t, page, planted)

	good := inputs(t, b.page("/console/new?type=Slack"), "/console/new")
	page = b.refuse("/console/new", good, http.StatusUnprocessableEntity)
	wantAt(t, page, "Name", "mandatory")
	good.Set("Name", "taken")
	good.Set("Configuration.SlackSigningSecret", planted+"-signing")
	page = b.refuse("/console/new", good, http.StatusUnprocessableEntity)
	wantAt(t, page, "Name", "already exists")
	wantNoText(t, page, planted)
	wantNoText(t, s.log.String(), planted)
	if got := s.MustGet("taken").Revision; got != 1 {
		t.Errorf("the revision is %d", got)
	}
}

// A mistake of the form alone writes nothing, although the service finds none.
func TestJSONThatIsBrokenWritesNothing(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form := b.form("ops")
	form.Set("Configuration.Permissions", `[{`)
	form.Set("Configuration.BotName", "changed")
	page := b.refuse("/console/bots/ops/edit", form, http.StatusUnprocessableEntity)
	wantAt(t, page, "Configuration.Permissions", "write JSON")
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("it was written: %+v", got)
	}
	form = inputs(t, page, "/console/bots/ops/edit")
	form.Set("Configuration.Permissions", "")
	wantText(t, b.mustPost("/console/bots/ops/edit", form), "The changes were saved", "changed")
	if got := s.MustGet("ops"); strings.Contains(got.Configuration, "Permissions") {
		t.Errorf("the Permissions stay: %s", got.Configuration)
	}
}

// A form that was not touched changes nothing, whatever the settings are.
func TestAFormThatWasNotTouchedChangesNothing(t *testing.T) {
	s := newSite(t)
	target := `"Target":{"Type":"Http","Url":"https://example.com/hook","Secret":"` + planted +
		`AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"BotName":"<b>x</b>\"'"`, `"UserGroups":{"ops":["u1","u2"]}`, target,
			`"StrictActions":"false"`, `"Actions":{"deploy":{"Summary":"a \u202e\udb40\udc01 <i> \"q\""}}`,
			`"ConversationIds":["C1","C2"]`, `"Language":"zh"`, chattest.OpenToAll)
		in.Tags = map[string]string{"<i>k</i>": "a=b", "Key": "x", "Value": "y"}
	})
	before := s.MustGet("ops")
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/edit")
	wantNoText(t, page, planted, "\u202e", "<b>x", "<i>")
	wantText(t, page, `\u202e\udb40\udc01`)
	wantText(t, b.mustPost("/console/bots/ops/edit", b.form("ops")), "Nothing was changed")
	after := s.MustGet("ops")
	chattest.Equal(t, "the bot", after, before)

	form := b.form("ops")
	form.Set("Status", chat.StatusInactive)
	form.Set("Tags", form.Get("Tags")+"\r\n\r\n")
	wantText(t, b.mustPost("/console/bots/ops/edit", form), "The changes were saved")
	after = s.MustGet("ops")
	if after.Configuration != before.Configuration || after.Status != chat.StatusInactive || after.Revision != 2 {
		t.Errorf("the bot is %+v, was %+v", after, before)
	}
	chattest.Equal(t, "tags", after.Tags, before.Tags)
}

func TestValuesAreChangedAndRemoved(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"BotName":"x"`, `"SlackBotToken":"xoxb-`+planted+`"`, chattest.OpenToAll)
		in.Tags = map[string]string{"env": "prod"}
		in.RamRole = "OpsRole"
	})
	b := s.browser().signIn(owner)
	first := s.MustGet("ops")
	form := b.form("ops")
	form.Set("Configuration.BotName", "")
	form.Set("Tags", "")
	form.Set("RamRole", "")
	form.Set("Configuration.SlackSigningSecret", planted+"-another")
	form.Set("Remove.Configuration.SlackBotToken", "yes")
	b.mustPost("/console/bots/ops/edit", form)
	got := s.MustGet("ops")
	if strings.Contains(got.Configuration, "BotName") || strings.Contains(got.Configuration, "SlackBotToken") ||
		len(got.Tags) > 0 || got.RamRole != "" {
		t.Errorf("the bot is %+v", got)
	}
	if digest(first, "SlackSigningSecret") == digest(got, "SlackSigningSecret") {
		t.Error("the secret was not changed")
	}
}

func digest(c chat.Configuration, key string) string {
	for _, s := range c.Secrets {
		if s.Key == key {
			return s.Digest
		}
	}
	return ""
}

func update(s *site, name string, edit func(*chat.UpdateRequest)) {
	s.T.Helper()
	in := &chat.UpdateRequest{Name: name}
	edit(in)
	if _, err := s.Service.Update(s.Ctx, in); err != nil {
		s.T.Fatal(err)
	}
}

// Of a conflict, the form has the values of others where nothing was typed, shows both where both
// changed a value, and can be saved then.
func TestAConflictShowsBothAndGoesOn(t *testing.T) {
	s := newSite(t)
	s.Bot("ops", `"BotName":"first"`, `"Language":"en"`)
	b := s.browser().signIn(owner)
	form := b.form("ops")
	form.Set("Configuration.BotName", "mine")
	form.Set("Configuration.ConversationIds", "C9")
	form.Set("Configuration.SlackSigningSecret", planted+"-mine")
	configuration := slack(`"BotName":"theirs"`, `"Language":"zh"`, chattest.OpenToAll)
	update(s, "ops", func(in *chat.UpdateRequest) {
		in.Configuration = &configuration
		in.Tags = &map[string]string{"env": "prod"}
	})
	page := b.refuse("/console/bots/ops/edit", form, http.StatusConflict)
	wantText(t, page, "Another user changed this bot", ">BotName</span></strong>", ">Language</span></strong>",
		"<strong>Tags</strong>", "theirs", "Another user changed this, too")
	wantNoText(t, page, planted, "<strong>ConversationIds</strong>")
	wantAt(t, page, "Configuration.SlackSigningSecret", "again")
	if got := s.MustGet("ops"); got.Revision != 2 {
		t.Fatalf("the conflict wrote: %+v", got)
	}
	form = inputs(t, page, "/console/bots/ops/edit")
	for name, want := range map[string]string{"Configuration.BotName": "mine", "Configuration.ConversationIds": "C9",
		"Configuration.Language": "zh", "Tags": "env=prod", "Revision": "2",
		"Configuration.SlackSigningSecret": ""} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
	page = b.refuse("/console/bots/ops/edit", form, http.StatusUnprocessableEntity)
	wantAt(t, page, "Configuration.SlackSigningSecret", "type it again")
	form = inputs(t, page, "/console/bots/ops/edit")
	wantText(t, b.mustPost("/console/bots/ops/edit", form), "The changes were saved", "mine")
	got := s.MustGet("ops")
	if !strings.Contains(got.Configuration, `"Language":"zh"`) || got.Tags["env"] != "prod" || got.Revision != 3 {
		t.Errorf("the bot is %+v", got)
	}
}

func (s *site) addReader() *browser {
	s.addKey(reader, policy.ReadOnly())
	return s.browser().signIn(reader)
}

// A key that may only read is offered nothing that changes a bot, and is refused if it posts.
func TestAKeyThatMayOnlyRead(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	form := s.browser().signIn(owner).form("ops")
	b := s.addReader()
	for _, path := range []string{"/console/", "/console/bots/ops", "/console/bots/ops/commands",
		"/console/bots/ops/history", "/console/bots/ops/history?revision=1", "/console/commands"} {
		wantNoText(t, b.page(path), "/ops/edit", "/ops/manage", "/ops/restore", "/ops/delete", "/ops/rotate",
			"/console/new")
	}
	wantText(t, b.page("/console/bots/ops/manage"), "may neither rotate")
	if status, page := b.get("/console/bots/ops/edit"); status != http.StatusForbidden ||
		!strings.Contains(page, "oos:UpdateChatConfiguration") {
		t.Errorf("the form is shown: %d\n%s", status, page)
	}
	form.Set("Configuration.BotName", "changed")
	page := b.refuse("/console/bots/ops/edit", form, http.StatusForbidden)
	wantText(t, page, "The caller may not perform oos:UpdateChatConfiguration", "changed")
	fresh := url.Values{"Type": {"Slack"}, "Name": {"fresh"},
		"Configuration.SlackSigningSecret": {planted + "-signing"}}
	wantText(t, b.refuse("/console/new", fresh, http.StatusForbidden), "oos:CreateChatConfiguration", "fresh")
	sure := url.Values{"Revision": {"1"}, "Confirm": {"ops"}, "Key": {"SlackSigningSecret"}, "Value": {planted + "-x"}}
	for act, action := range map[string]string{"delete": "DeleteChatConfiguration", "rotate": "RotateChatWebhook",
		"rotatesecret": "RotateChatSecret", "restore": "RestoreChatConfiguration"} {
		page := b.refuse("/console/bots/ops/"+act, sure, http.StatusForbidden)
		wantText(t, page, "The caller may not perform oos:"+action)
		wantNoText(t, page, planted)
	}
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("the bot was changed: %+v", got)
	}
}

// An API of these tests acts before a call, or in its place.
type between struct {
	console.API
	before func(action string, params map[string]string) error
}

func (a between) Call(c ctx, action string, params map[string]string, answer any) error {
	if err := a.before(action, params); err != nil {
		return err
	}
	return a.API.Call(c, action, params, answer)
}

// newSiteBetween returns a site whose API calls before first; it is set after the sign-in.
func newSiteBetween(t *testing.T) (s *site, before *func(action string, params map[string]string) error) {
	before = new(func(string, map[string]string) error)
	*before = func(string, map[string]string) error { return nil }
	s = newSite(t, func(o *console.Options) {
		inner := o.API
		o.API = func(id string) console.API {
			return between{inner(id), func(action string, params map[string]string) error {
				return (*before)(action, params)
			}}
		}
	})
	return s, before
}

// A change between the look at the bot and the update is a conflict like any other.
func TestAConflictInTheLastMoment(t *testing.T) {
	s, before := newSiteBetween(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form := b.form("ops")
	form.Set("Configuration.BotName", "mine")
	*before = func(action string, params map[string]string) error {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" && s.MustGet("ops").Revision == 1 {
			update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("TheirRole") })
		}
		return nil
	}
	page := b.refuse("/console/bots/ops/edit", form, http.StatusConflict)
	wantText(t, page, "<strong>Role</strong>", "TheirRole", "mine")
	b.mustPost("/console/bots/ops/edit", inputs(t, page, "/console/bots/ops/edit"))
	if got := s.MustGet("ops"); got.RamRole != "TheirRole" || !strings.Contains(got.Configuration, "mine") {
		t.Errorf("the bot is %+v", got)
	}
	form = b.form("ops")
	form.Set("Status", chat.StatusInactive)
	*before = func(action string, params map[string]string) error {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
			_, err := s.Service.Delete(s.Ctx, &chat.DeleteRequest{Name: "ops"})
			return err
		}
		return nil
	}
	b.refuse("/console/bots/ops/edit", form, http.StatusNotFound)
}

// An error of the service is not one of the form; its detail is only for the log.
func TestErrorsOfTheServiceWhileWriting(t *testing.T) {
	s, before := newSiteBetween(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form := b.form("ops")
	form.Set("Type", "Slack")
	form.Set("Confirm", "ops")
	form.Set("Key", "SlackSigningSecret")
	for _, code := range []fault.Code{fault.Unavailable, fault.Internal} {
		*before = func(action string, params map[string]string) error {
			if strings.HasPrefix(action, "Get") {
				return nil
			}
			return &fault.Error{Code: code, Err: errors.New("detail of " + action)}
		}
		want := http.StatusInternalServerError
		if code == fault.Unavailable {
			want = http.StatusServiceUnavailable
		}
		for _, path := range posts("ops") {
			wantNoText(t, b.refuse(path, form, want), "detail of")
		}
		wantText(t, s.log.String(), "detail of RotateChatSecret", "detail of CreateChatConfiguration")
	}
	for _, c := range []chat.Configuration{{Name: "ops", Type: "Pigeon", Configuration: "{}"},
		{Name: "ops", Type: "Slack", Configuration: "{"}} {
		s := newSite(t, func(o *console.Options) {
			inner := o.API
			o.API = func(id string) console.API { return odd{inner(id), c} }
		})
		b := s.browser().signIn(owner)
		if status, _ := b.get("/console/bots/ops/edit"); status != http.StatusInternalServerError {
			t.Errorf("%+v: %d", c, status)
		}
	}
}

// An odd API answers with a bot that no service has.
type odd struct {
	console.API
	bot chat.Configuration
}

func (a odd) Call(_ ctx, _ string, _ map[string]string, answer any) error {
	if to, ok := answer.(*chat.GetResponse); ok {
		to.ChatConfiguration = a.bot
	}
	return nil
}

// The service of another process answers with all mistakes in one text.
func TestMistakesOfOneTextAreAtTheirInputs(t *testing.T) {
	s, before := newSiteBetween(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form := b.form("ops")
	for _, c := range []struct {
		err  *fault.Error
		at   map[string]string // by input, all that is said there
		text string            // on the page
	}{
		{&fault.Error{Code: fault.InvalidParameter, Param: "RamRole", Message: `RamRole "x" is wrong; use y. ` +
			`Configuration.BotName: is long. Configuration.Permissions[1].Parameters["a b"]: is odd, is it? ` +
			`Configuration.BotName: is bad. Configuration.Nothing: is unknown.`},
			map[string]string{"RamRole": `RamRole "x" is wrong; use y.`, "Configuration.Target": "",
				"Configuration.BotName":     "BotName: is long.\nBotName: is bad.",
				"Configuration.Permissions": `Permissions[1].Parameters["a b"]: is odd, is it?`},
			"Nothing: is unknown."},
		{&fault.Error{Code: fault.QuotaExceeded, Param: "ChatConfiguration", Message: "The quota is 7."},
			nil, "The quota is 7."},
		{&fault.Error{Code: fault.InvalidParameter, Param: "Configuration", Message: "Configuration has 70000 bytes."},
			nil, "Configuration has 70000 bytes."},
	} {
		*before = func(action string, params map[string]string) error {
			if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
				return c.err
			}
			return nil
		}
		page := b.refuse("/console/bots/ops/edit", form, http.StatusUnprocessableEntity)
		wantText(t, page, c.text)
		for name, want := range c.at {
			if got := mistakesAt(t, page, name); got != want {
				t.Errorf("at %s the page says %q, want %q", name, got, want)
			}
		}
	}
}

// A key that may delete a bot, and not read its history, sees the list then.
func TestAKeyThatMayNotReadTheHistoryDeletes(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.addKey("CCKdeleter", mustPolicy(t, `{"Effect":"Allow","Action":["oos:DeleteChatConfiguration",
		"oos:GetChatConfiguration","oos:ListChatConfigurations"],"Resource":"*"}`))
	b := s.browser().signIn("CCKdeleter")
	page := b.page("/console/bots/ops/manage")
	wantNoText(t, page, "/ops/rotate", "/ops/edit")
	form := inputs(t, page, "/console/bots/ops/delete")
	form.Set("Confirm", "ops")
	wantText(t, b.mustPost("/console/bots/ops/delete", form), "The bot was deleted", "There is no bot yet")
}

// A secret that was typed into JSON is not shown again, even if the JSON is broken. Its place is
// empty, so that the mask of another secret does not take its place unseen.
func TestSecretsInJSONAreNotShownAgain(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	form := inputs(t, b.page("/console/new?type=Slack"), "/console/new")
	for _, typed := range []string{
		`{"Type":"Http","Secret":"PLANTED"}`,
		`{"Type":"Http","Secret":["PLANTED",{"x":"PLANTED"}]}`,
		`{"Type":"Http","secret":"a\"PLANTED"}`,
		`{"Type":"Http","Nested":[{"Secret":{"a":"PLANTED"}}]}`,
		`{"Type":"Http","Secret":"PLANTED"`,
		`{"Type":"Http","Secret":"PLANTED`,
		`{"Type":"Http","Secret":["PLANTED"`,
		`{"Type":"Http" "Secret" "PLANTED"}`,
		`{'Type':'Http','Secret':'PLANTED'}`,
		`{Type:Http,Secret=PLANTED}`,
		"{\"Secret\" :\n \"PLANTED\",}",
		`{"Secret":"******","Secret":"PLANTED"}`,
		`{"Secret":"a b, PLANTED"`,
		`{"Secret":"a}b]PLANTED"`,
		`{"Secret":"a\"PLANTED"`,
		`{"Secret":"\\PLANTED"`,
		`{"Secret":{"a":"PLANTED"},"x":1`,
		`{"Secret":["a","PLANTED"],"x":1`,
		`{'Secret':'a "PLANTED'`,
		`{Secret=a "PLANTED}`,
		`"{\"Secret\":\"PLANTED\"}`,
	} {
		form.Set("Configuration.Target", typed)
		page := b.refuse("/console/new", form, http.StatusUnprocessableEntity)
		wantNoText(t, page, planted)
		wantAt(t, page, "Configuration.Target", "Type it again")
	}
	for _, typed := range []string{`{"Type":"Http","Secret":"******"`, `{"Type":"Http","Secret":""`,
		`[{"Name":"secret-id","Secret":true}`, `{"Summary":"a secret","x":1`} {
		form.Set("Configuration.Target", typed)
		again := inputs(t, b.refuse("/console/new", form, http.StatusUnprocessableEntity), "/console/new")
		if got := again.Get("Configuration.Target"); got != typed {
			t.Errorf("%s became %s", typed, got)
		}
	}
}

// newSiteOf returns a site with a bot, and notes the Configuration that is sent to save it.
func newSiteOf(t *testing.T, bot chat.Configuration, sent *string) *site {
	t.Helper()
	return newSite(t, func(o *console.Options) {
		inner := o.API
		o.API = func(id string) console.API {
			return between{odd{inner(id), bot}, func(action string, params map[string]string) error {
				if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
					*sent = params["Configuration"]
				}
				return nil
			}}
		}
	})
}

// A setting that the form does not know stays as it is.
func TestSettingsThatTheFormDoesNotKnowStay(t *testing.T) {
	sent := ""
	bot := chat.Configuration{Name: "ops", Type: "Slack", Revision: 1,
		Configuration: `{"Future":{"a":[1]},"BotName":"x"}`}
	s := newSiteOf(t, bot, &sent)
	b := s.browser().signIn(owner)
	form := b.form("ops")
	form.Set("Configuration.BotName", "y")
	form.Set("Configuration.ConversationIds", " C1 \r\n\r\nC2")
	b.post("/console/bots/ops/edit", form)
	if want := `{"Future":{"a":[1]},"BotName":"y","ConversationIds":["C1","C2"]}`; sent != want {
		t.Errorf("it sent %s, want %s", sent, want)
	}
}

// A key that is revoked while the form is open has to sign in again, and writes nothing.
func TestAKeyThatIsRevokedMeanwhile(t *testing.T) {
	s, before := newSiteBetween(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form := b.form("ops")
	*before = func(action string, params map[string]string) error {
		return &fault.Error{Code: fault.KeyNotFound, Message: "The access key is not active."}
	}
	status, to, _ := b.post("/console/bots/ops/edit", form)
	if status != http.StatusSeeOther || to != "/console/signin" {
		t.Errorf("POST: %d %s", status, to)
	}
}

// posts are all forms that change a bot.
func posts(name string) []string {
	bot := "/console/bots/" + name
	return []string{"/console/new", bot + "/edit", bot + "/restore", bot + "/rotate", bot + "/rotatesecret",
		bot + "/delete"}
}

func TestPostsOfStrangersAndOtherSites(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	values := b.form("ops")
	values.Set("Confirm", "ops")
	values.Set("Type", "Slack")
	values.Set("Name", "fresh")
	for _, path := range posts("ops") {
		if status, to, _ := s.browser().post(path, values); status != http.StatusSeeOther || to != "/console/signin" {
			t.Errorf("POST %s of a stranger: %d %s", path, status, to)
		}
	}
	b.header.Set("Sec-Fetch-Site", "cross-site")
	for _, path := range posts("ops") {
		wantText(t, b.refuse(path, values, http.StatusForbidden), "another site")
	}
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("the bot was changed: %+v", got)
	}
}

func TestFormsThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	large := url.Values{"x": {strings.Repeat("x", 9*chat.MaxConfiguration)}}
	for _, path := range posts("ops") {
		wantText(t, b.refuse(path, large, http.StatusBadRequest), "could not be read")
	}
	bad := url.Values{"Revision": {"one"}, "ExpectedRevision": {hostile}, "Confirm": {"ops"}}
	for _, path := range posts("ops")[1:] {
		wantText(t, b.refuse(path, bad, http.StatusBadRequest), "could not be read")
	}
	for _, revision := range []string{"", "x", hostile} {
		if status, _ := b.get("/console/bots/ops/restore?revision=" + url.QueryEscape(revision)); status !=
			http.StatusNotFound {
			t.Errorf("revision %q: %d", revision, status)
		}
	}
}

func TestBotsThatAreNotThere(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	for _, page := range []string{"edit", "manage"} {
		if status, _ := b.get("/console/bots/absent/" + page); status != http.StatusNotFound {
			t.Errorf("%s: %d", page, status)
		}
	}
	sure := url.Values{"Revision": {"1"}, "Confirm": {"absent"}, "Key": {"K"}}
	for _, path := range posts("absent")[1:] {
		b.refuse(path, sure, http.StatusNotFound)
	}
}

// What others wrote, and what is typed, cannot become a part of a page.
func TestHostileValuesInForms(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	form := b.form("ops")
	for name := range form {
		if name != "Revision" {
			form.Set(name, hostile)
		}
	}
	form.Set("Type", "Slack")
	fresh := make(url.Values)
	for name, values := range form {
		fresh[name] = values
	}
	fresh.Set("Name", hostile)
	acts := url.Values{"Revision": {"1"}, "Confirm": {"ops"}, "Key": {hostile}, "Value": {hostile},
		"GraceSeconds": {hostile}}
	pages := []string{
		b.refuse("/console/bots/ops/edit", form, http.StatusUnprocessableEntity),
		b.refuse("/console/new", fresh, http.StatusUnprocessableEntity),
		b.refuse("/console/bots/ops/rotate", acts, http.StatusUnprocessableEntity),
		b.refuse("/console/bots/ops/rotatesecret", acts, http.StatusUnprocessableEntity),
		b.page("/console/bots/ops?notice=" + url.QueryEscape(hostile)),
	}
	for _, page := range pages {
		wantNoText(t, page, "<script>", "<img", "\u202e", "\u2066", "\x1b")
	}
}

func TestNoticesAreOfAFixedSet(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	wantNoText(t, b.page("/console/?notice=Send+money"), "Send money", `role="status"`)
	wantText(t, b.page("/console/?notice=deleted"), "The bot was deleted")
	wantText(t, b.page("/console/?notice=deleted&lang=zh"), "机器人已删除")
}

// What the pages ask, to know what the key may do, changes nothing, not even of a deleted bot.
func TestShowingWhatMayBeDoneChangesNothing(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	before, url := s.MustGet("ops"), s.URL("ops")
	for _, path := range allPages("ops") {
		b.page(path)
	}
	chattest.Equal(t, "the bot", s.MustGet("ops"), before)
	if s.URL("ops") != url {
		t.Error("the URL was rotated")
	}
	form := inputs(t, b.page("/console/bots/ops/restore?revision=1"), "/console/bots/ops/restore")
	form.Set("Confirm", "ops")
	wantText(t, b.mustPost("/console/bots/ops/restore", form), "Nothing was changed")
	if _, err := s.Service.Delete(s.Ctx, &chat.DeleteRequest{Name: "ops"}); err != nil {
		t.Fatal(err)
	}
	wantText(t, b.page("/console/bots/ops/history?revision=1"), "Restore this revision")
	b.page("/console/bots/ops/restore?revision=1")
	if _, err := s.Service.Get(s.Ctx, &chat.GetRequest{Name: "ops"}); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the deleted bot is back: %v", err)
	}
}

func TestActsAreConfirmedByTheName(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/manage")
	for _, act := range []string{"rotate", "rotatesecret", "delete"} {
		path := "/console/bots/ops/" + act
		form := inputs(t, page, path)
		for _, typed := range []string{"", "OPS", "ops ", "other"} {
			form.Set("Confirm", typed)
			form.Set("Value", planted+"-new")
			again := b.refuse(path, form, http.StatusUnprocessableEntity)
			wantText(t, again, "Type the name of the bot to confirm")
			wantNoText(t, again, planted)
		}
	}
	restore := b.page("/console/bots/ops/restore?revision=1")
	form := inputs(t, restore, "/console/bots/ops/restore")
	wantText(t, b.refuse("/console/bots/ops/restore", form, http.StatusUnprocessableEntity), "Type the name")
	if got := s.MustGet("ops"); got.Revision != 1 {
		t.Errorf("the bot was changed: %+v", got)
	}
}

func TestSecretsAreRotated(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	old, before := s.URL("ops"), s.MustGet("ops")
	manage := func(act string) url.Values {
		form := inputs(t, b.page("/console/bots/ops/manage"), "/console/bots/ops/"+act)
		form.Set("Confirm", "ops")
		return form
	}
	form := manage("rotate")
	if form.Get("GraceSeconds") != strconv.Itoa(chat.DefaultGrace) {
		t.Errorf("the grace is %q", form.Get("GraceSeconds"))
	}
	form.Set("GraceSeconds", "9999999")
	wantText(t, b.refuse("/console/bots/ops/rotate", form, http.StatusUnprocessableEntity), "GraceSeconds", "9999999")
	form.Set("GraceSeconds", "60")
	page := b.mustPost("/console/bots/ops/rotate", form)
	wantText(t, page, "The webhook has a new URL")
	fresh := s.URL("ops")
	if fresh == old {
		t.Error("the URL is the same")
	}
	wantNoText(t, page, fresh[strings.LastIndexByte(fresh, '/')+1:])

	form = manage("rotatesecret")
	if form.Get("Key") != "SlackSigningSecret" {
		t.Fatalf("the key is %q", form.Get("Key"))
	}
	wantText(t, b.refuse("/console/bots/ops/rotatesecret", form, http.StatusUnprocessableEntity), "Value is mandatory")
	form.Set("Value", planted)
	page = b.refuse("/console/bots/ops/rotatesecret", form, http.StatusUnprocessableEntity)
	wantText(t, page, "Value is not 8 to 256")
	wantNoText(t, page, planted)
	form.Set("Value", planted+"-rotated")
	wantText(t, b.mustPost("/console/bots/ops/rotatesecret", form), "The secret has a new value")
	if digest(s.MustGet("ops"), "SlackSigningSecret") == digest(before, "SlackSigningSecret") {
		t.Error("the secret is the same")
	}
	form.Set("Value", planted+"-stale")
	wantText(t, b.refuse("/console/bots/ops/rotatesecret", form, http.StatusConflict), "meanwhile", "revision 3, not 2")
	wantNoText(t, s.log.String(), planted)
}

func TestABadEditIsUndoneAndADeletedBotComesBack(t *testing.T) {
	s := newSite(t)
	s.Bot("ops", `"BotName":"good"`)
	b := s.browser().signIn(owner)
	form := b.form("ops")
	form.Set("Configuration.BotName", "bad")
	b.mustPost("/console/bots/ops/edit", form)
	diff := b.page("/console/bots/ops/history?revision=1")
	wantText(t, diff, `href="/console/bots/ops/restore?revision=1"`)
	restore := func() url.Values {
		form := inputs(t, b.page("/console/bots/ops/restore?revision=1"), "/console/bots/ops/restore")
		form.Set("Confirm", "ops")
		return form
	}
	stale := restore()
	update(s, "ops", func(in *chat.UpdateRequest) { in.Status = chat.StatusInactive })
	wantText(t, b.refuse("/console/bots/ops/restore", stale, http.StatusConflict), "meanwhile", "revision 3, not 2")
	wantText(t, b.mustPost("/console/bots/ops/restore", restore()), "The revision was restored", "good")

	form = inputs(t, b.page("/console/bots/ops/manage"), "/console/bots/ops/delete")
	form.Set("Confirm", "ops")
	update(s, "ops", func(in *chat.UpdateRequest) { in.Status = chat.StatusInactive })
	wantText(t, b.refuse("/console/bots/ops/delete", form, http.StatusConflict), "meanwhile")
	form.Set("Revision", "5")
	page := b.mustPost("/console/bots/ops/delete", form)
	wantText(t, page, "The bot was deleted", `href="/console/bots/ops/history?revision=1"`)
	wantNoText(t, page, "/ops/edit", "/ops/manage")
	if _, err := s.Service.Get(s.Ctx, &chat.GetRequest{Name: "ops"}); fault.CodeOf(err) != fault.NotFound {
		t.Fatalf("it is still there: %v", err)
	}
	form = restore()
	if form.Get("ExpectedRevision") != "" {
		t.Errorf("the present revision is %q", form.Get("ExpectedRevision"))
	}
	wantText(t, b.mustPost("/console/bots/ops/restore", form), "The revision was restored", "good")
	form.Set("Revision", "99")
	form.Set("ExpectedRevision", "")
	b.refuse("/console/bots/ops/restore", form, http.StatusNotFound)
}
