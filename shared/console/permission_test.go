package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
)

// many has people, groups, actions, values, conversations and roles that differ.
const many = `"UserGroups":{"ops":["alice","both"],"dev":["both"]},"Language":"zh",
"Actions":{"restart":{"Summary":"Restart a machine","Parameters":[{"Name":"env","Type":"Enum","Values":["test","prod"]},
	{"Name":"pin","Secret":true}]},"drain":{"RamRole":"DrainRole"}},
"Permissions":[
	{"Effect":"Allow","Principals":["group:ops"],"Commands":["restart"],"RamRole":"OpsRole"},
	{"Effect":"Allow","Principals":["group:dev"],"Commands":["restart"],"Parameters":{"env":["test"]}},
	{"Effect":"Allow","Principals":["user:carol"],"Commands":["drain","scale-*"],"Conversations":["c1"]},
	{"Effect":"Deny","Principals":["user:mallory"],"Commands":["*"]},
	{"Effect":"Allow","Principals":["*"],"Commands":["uptime"]}]`

// cells returns the texts of the row of a matrix, by the name of the row.
func cells(t *testing.T, page, row string) (texts []string) {
	t.Helper()
	text := regexp.MustCompile(`<[^>]*>`)
	for line := range strings.SplitSeq(page, "\n") {
		head, rest, _ := strings.Cut(line, "</th>")
		if text.ReplaceAllString(head, "") != row || !strings.HasPrefix(head, `<tr><th scope="row">`) {
			continue
		}
		for cell := range strings.SplitSeq(rest, "</td>") {
			texts = append(texts, text.ReplaceAllString(cell, ""))
		}
		return texts[:len(texts)-1]
	}
	t.Errorf("there is no row %q:\n%s", row, page)
	return nil
}

func TestTheMatrixSaysWhoMayRunWhat(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration, in.RamRole = slack(many), "BotRole" })
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/permissions")
	const denied, everywhere = "denied", "allowed BotRole"
	// The columns are restart, drain, scale-*, * and uptime.
	for row, want := range map[string][]string{
		"Group ops":    {"allowed OpsRole", denied, denied, denied, everywhere},
		"Group dev":    {"with some values BotRole", denied, denied, denied, everywhere},
		"User both":    {"allowed OpsRole", denied, denied, denied, everywhere},
		"User mallory": {denied, denied, denied, denied, denied},
		"User carol": {denied, "in some conversations c1 · DrainRole", "in some conversations c1 · BotRole", denied,
			everywhere},
		"Anyone else": {denied, denied, denied, denied, everywhere},
	} {
		chattest.Equal(t, row, cells(t, page, row), want)
	}
	wantText(t, page, "Restart a machine", "env", `id="statement-4"`)
	wantNoText(t, page, "User alice", `class="decides"`)
	wantText(t, b.page("/console/bots/ops/permissions?lang=zh"), "其他人", "仅部分参数值")
	narrow := b.page("/console/bots/ops/permissions?who=CAROL&what=scale&lang=en")
	chattest.Equal(t, "narrowed", cells(t, narrow, "User carol"), []string{"in some conversations c1 · BotRole"})
	wantNoText(t, narrow, "Group ops")
	wantText(t, b.page("/console/bots/ops/permissions?who=nobody"), "No user, group or command matches")
}

// In a bot with ConversationIds, those that no statement names are one.
func TestTheMatrixKnowsTheConversationsOfABot(t *testing.T) {
	s := newSite(t)
	for name, pattern := range map[string]string{"exact": "c2", "wild": "c?"} {
		s.MustCreate(name, func(in *chat.CreateRequest) {
			in.Configuration = slack(`"ConversationIds":["c1","c2","c3","d4","d5"],"Permissions":[` +
				`{"Effect":"Allow","Principals":["user:eve"],"Commands":["x"],"Conversations":["` + pattern + `"]},` +
				`{"Effect":"Allow","Principals":["user:eve"],"Commands":["y"],"Conversations":["*"]}]`)
		})
	}
	b := s.browser().signIn(owner)
	chattest.Equal(t, "exact", cells(t, b.page("/console/bots/exact/permissions"), "User eve"),
		[]string{"in some conversations c2", "allowed"})
	chattest.Equal(t, "wild", cells(t, b.page("/console/bots/wild/permissions"), "User eve"),
		[]string{"in some conversations c1, c2, c3", "allowed"})
}

func TestTheMatrixOfABotWithoutPermissions(t *testing.T) {
	s := newSite(t)
	s.MustCreate("empty")
	s.MustCreate("off", func(in *chat.CreateRequest) {
		in.Configuration, in.Status = slack(chattest.OpenToAll), chat.StatusInactive
	})
	s.MustCreate("strict", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"Actions":{"restart":{}},"StrictActions":true`, chattest.OpenToAll[:strings.Index(
			chattest.OpenToAll, `,{"Effect":"Deny"`)]+"]")
	})
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/bots/empty/permissions"), "No statement allows a command yet", "has no actions")
	off := b.page("/console/bots/off/permissions")
	wantText(t, off, "The bot is inactive")
	chattest.Equal(t, "off", cells(t, off, "Anyone else"), []string{"allowed OpsRole", "denied"})
	chattest.Equal(t, "strict", cells(t, b.page("/console/bots/strict/permissions"), "Anyone else"),
		[]string{"allowed OpsRole"})
}

// A matrix that is too large is cut, and says so.
func TestALargeMatrixIsCut(t *testing.T) {
	s := newSite(t)
	var statements []string
	for i := range 100 {
		var users []string
		for j := range 10 {
			users = append(users, fmt.Sprintf(`"user:u%03d-%d"`, i, j))
		}
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Principals":[%s],"Commands":["c%03d"],`+
			`"Conversations":["v%03d"]}`, strings.Join(users, ","), i, i))
	}
	s.MustCreate("big", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"Permissions":[` + strings.Join(statements, ",") + `]`)
	})
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/big/permissions")
	wantText(t, page, "The table is too large", `name="who"`)
	if len(page) > 90<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	wantText(t, b.page("/console/bots/big/permissions?who=u099-9&what=c099"), "User <bdi>u099-9</bdi>", "c099")
}

func TestTheSimulatorSaysWhyAndWhatToChange(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration, in.RamRole = slack(many), "BotRole" })
	s.MustCreate("off", func(in *chat.CreateRequest) {
		in.Configuration, in.Status = slack(chattest.OpenToAll), chat.StatusInactive
	})
	s.MustCreate("here", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"ConversationIds":["c1"]`, chattest.OpenToAll)
	})
	b := s.browser().signIn(owner)
	for what, test := range map[string]struct {
		bot, user, conversation, text string
		want, not                     []string
	}{
		"allowed": {"ops", "alice", "c1", "restart env=prod pin=4711", []string{"Allowed", "Statement 0 decides",
			`<tr id="statement-0" class="decides"`, "OpsRole", "env=prod", "pin=******", `<bdi>ops</bdi>`,
			`href="/console/bots/ops/try?user=alice&conversation=c1"`},
			[]string{"What would have to change", `id="statement-1" class`}},
		"denied by a statement": {"ops", "mallory", "c1", "uptime", []string{"Denied", "Statement 3 decides",
			`<tr id="statement-3" class="decides"`, "Statement 3 denies it",
			`href="/console/bots/ops/permissions/edit?open=p3#p3.Principals"`}, []string{"Add a statement"}},
		"no statement": {"ops", "dave", "c9", "drain", []string{"Denied", "Add a statement that allows it",
			`{"Effect":"Allow","Principals":["user:dave"],"Commands":["drain"],"Conversations":["c9"]}`},
			[]string{"decides"}},
		"other values": {"ops", "both", "c1", "restart env=prod", []string{"Allowed"}, nil},
		"not understood": {"ops", "alice", "c1", "restart env=moon", []string{"Denied", "Correct the message"},
			[]string{"Add a statement"}},
		"inactive":             {"off", "alice", "c1", "restart", []string{"Denied", "Make the bot active"}, nil},
		"another conversation": {"here", "alice", "c2", "restart", []string{"Denied", "ConversationIds"}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			query := url.Values{"user": {test.user}, "conversation": {test.conversation}, "text": {test.text}}
			page := html.UnescapeString(b.page("/console/bots/" + test.bot + "/permissions?" + query.Encode()))
			wantText(t, page, test.want...)
			wantNoText(t, page, test.not...)
		})
	}
	if got := s.Commands("ops"); len(got) > 0 {
		t.Errorf("simulations are recorded: %v", got)
	}
}

func TestTheSimulatorShowsMistakesAtTheForm(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	for _, query := range []string{"text=x", "user=u1&conversation=c1&text=", "user=u1&conversation=c1&text=%22open"} {
		status, page := b.get("/console/bots/ops/permissions?" + query)
		if status != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", query, status)
		}
		wantText(t, page, `role="alert"`, `id="matrix"`)
	}
}

func TestPermissionsOfAKeyThatMayNot(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.addKey("CCKlist", mustPolicy(t, `{"Effect":"Allow","Action":"oos:ListChatConfigurations","Resource":"*"}`))
	s.addKey("CCKget", mustPolicy(t, `{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"*"}`))
	status, page := s.browser().signIn("CCKlist").get("/console/bots/ops/permissions")
	if status != http.StatusForbidden {
		t.Errorf("status = %d, want 403", status)
	}
	wantText(t, page, "It needs the permission oos:GetChatConfiguration.")
	wantNoText(t, page, "OpsRole")
	page = s.browser().signIn("CCKget").page("/console/bots/ops/permissions?user=u&conversation=c&text=stop")
	wantText(t, page, "It needs the permission oos:SimulateChatPermission.", "OpsRole")
	wantNoText(t, page, "decides")
	if status, _ := s.browser().signIn(owner).get("/console/bots/absent/permissions"); status != http.StatusNotFound {
		t.Errorf("of no bot: %d, want 404", status)
	}
}
