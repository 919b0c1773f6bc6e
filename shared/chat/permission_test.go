package chat_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/platform/callback"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// grants makes a configuration of a type with common keys, and returns its permissions.
func (h *house) grants(kind, name, members string) *command.Permissions {
	h.T.Helper()
	base := map[string]string{"Slack": chattest.Slack, "WeChat": minWeChat}[kind]
	h.MustCreate(name, func(in *chat.CreateRequest) {
		in.Type, in.RamRole, in.Configuration = kind, "OwnRole", secret.Text(chattest.With(base, members))
	})
	return h.Open(name).Permissions
}

func TestDecide(t *testing.T) {
	const (
		groups = `"UserGroups":{"sre":["u1","u2"],"dev":["u2","u3"]}`
		allow  = `{"Effect":"Allow","Principals":["user:u1"],"Commands":["restart","scale-*"],"RamRole":"OpsRole"}`
	)
	h := newHouse(t)
	n := 0
	for _, c := range []struct {
		about, kind, members        string
		user, conversation, command string
		allowed                     bool
		cause                       command.Cause
		statement                   int
		role, reason                string
	}{
		{"no permissions", "Slack", `"BotName":"b"`, "u1", "c1", "restart", false, command.CauseDefault, -1, "",
			"No statement of Permissions allows restart for the user u1 in the conversation c1."},
		{"empty permissions", "Slack", `"Permissions":[]`, "u1", "c1", "restart", false,
			command.CauseDefault, -1, "", "No statement"},
		{"a user", "Slack", `"Permissions":[` + allow + `]`, "u1", "c1", "restart", true, command.CauseStatement, 0,
			"OpsRole", "Permissions[0] allows restart."},
		{"another user", "Slack", `"Permissions":[` + allow + `]`, "u2", "c1", "restart", false,
			command.CauseDefault, -1, "", "No statement"},
		{"a user in another case", "Slack", `"Permissions":[` + allow + `]`, "U1", "c1", "restart", false,
			command.CauseDefault, -1, "", "No statement"},
		{"a user in another case, where it does not matter", "WeChat", `"Permissions":[` + allow + `]`, "U1", "c1",
			"restart", true, command.CauseStatement, 0, "OpsRole", "Permissions[0]"},
		{"a grant in another case, where it does not matter", "WeChat",
			`"Permissions":[{"Effect":"Allow","Principals":["user:ZhangSan"],"Commands":["*"]}]`, "zhangsan", "c1",
			"x", true, command.CauseStatement, 0, "OwnRole", ""},
		{"a group in another case, where it does not matter", "WeChat",
			`"UserGroups":{"sre":["ZhangSan"]},"Permissions":[{"Effect":"Allow","Principals":["group:sre"],` +
				`"Commands":["*"]}]`, "ZHANGSAN", "c1", "x", true, command.CauseStatement, 0, "OwnRole", ""},
		{"a pattern", "Slack", `"Permissions":[` + allow + `]`, "u1", "c1", "scale-out", true,
			command.CauseStatement, 0, "OpsRole", ""},
		{"a pattern that only begins so", "Slack", `"Permissions":[` + allow + `]`, "u1", "c1", "scale",
			false, command.CauseDefault, -1, "", ""},
		{"a question mark", "Slack", `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["重?"]}]`, "u1",
			"c1", "重启", true, command.CauseStatement, 0, "OwnRole", "allows 重启."},
		{"a pattern in upper case", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["ReStart"]}]`, "u1", "c1", "restart", true,
			command.CauseStatement, 0, "OwnRole", ""},
		{"everybody, with the configuration's role", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`, "anybody", "c1", "restart", true,
			command.CauseStatement, 0, "OwnRole", ""},
		{"a group", "Slack", groups + `,"Permissions":[{"Effect":"Allow","Principals":["group:dev"],"Commands":["*"]}]`,
			"u2", "c1", "x", true, command.CauseStatement, 0, "OwnRole", ""},
		{"who is not in the group", "Slack", groups +
			`,"Permissions":[{"Effect":"Allow","Principals":["group:dev"],"Commands":["*"]}]`, "u1", "c1", "x",
			false, command.CauseDefault, -1, "", ""},
		{"a user named like a group", "Slack", groups +
			`,"Permissions":[{"Effect":"Allow","Principals":["group:dev"],"Commands":["*"]}]`, "dev", "c1", "x",
			false, command.CauseDefault, -1, "", ""},
		{"a user id with a colon", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["user:a:b"],"Commands":["*"]}]`, "a:b", "c1", "x", true,
			command.CauseStatement, 0, "OwnRole", ""},
		{"the first of two that allow", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["r*"],"RamRole":"First"},` + allow + `]`,
			"u1", "c1", "restart", true, command.CauseStatement, 0, "First", ""},
		{"the first of two that allow has no role", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["r*"]},` + allow + `]`, "u1", "c1",
			"restart", true, command.CauseStatement, 0, "OwnRole", ""},
		{"a deny after", "Slack", `"Permissions":[` + allow +
			`,{"Effect":"Deny","Principals":["*"],"Commands":["restart"]}]`, "u1", "c1", "restart", false,
			command.CauseStatement, 1, "", "Permissions[1] denies restart."},
		{"a deny before", "Slack", `"Permissions":[{"Effect":"Deny","Principals":["user:u1"],"Commands":["*"]},` +
			allow + `]`, "u1", "c1", "restart", false, command.CauseStatement, 0, "", "Permissions[0] denies"},
		{"a deny of another command", "Slack",
			`"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["stop"]},` + allow + `]`, "u1", "c1",
			"restart", true, command.CauseStatement, 1, "OpsRole", ""},
		{"a deny in another conversation", "Slack",
			`"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["*"],"Conversations":["c2"]},` + allow +
				`]`, "u1", "c1", "restart", true, command.CauseStatement, 1, "OpsRole", ""},
		{"a conversation", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["c?","x-*"]}]`, "u1",
			"c1", "x", true, command.CauseStatement, 0, "OwnRole", ""},
		{"another conversation", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["c?","x-*"]}]`, "u1",
			"c12", "x", false, command.CauseDefault, -1, "", ""},
		{"a conversation in another case", "Slack",
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["c1"]}]`, "u1", "C1",
			"x", false, command.CauseDefault, -1, "", ""},
		{"a conversation where the bot listens", "Slack", `"ConversationIds":["c1"],"Permissions":[` + allow + `]`,
			"u1", "c1", "restart", true, command.CauseStatement, 0, "OpsRole", ""},
		{"one where it does not", "Slack", `"ConversationIds":["c1"],"Permissions":[` + allow + `]`, "u1", "c2",
			"restart", false, command.CauseConversation, -1, "", "The conversation c2 is not in ConversationIds."},
		{"help where it does not", "Slack", `"ConversationIds":["c1"]`, "u1", "c2", "help", false,
			command.CauseConversation, -1, "", ""},
		{"help", "Slack", `"BotName":"b"`, "u1", "c1", "help", true, command.CauseBuiltIn,
			-1, "", "help is always allowed."},
		{"whoami in spite of a deny", "Slack", `"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["*"]}]`,
			"u1", "c1", "whoami", true, command.CauseBuiltIn, -1, "", ""},
		{"nobody", "Slack", `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`, "", "c1", "x",
			false, command.CauseNobody, -1, "", "The platform did not identify the user."},
		{"help for nobody", "Slack", `"BotName":"b"`, "", "c1", "help", false, command.CauseNobody, -1, "", ""},
		{"no command", "Slack", `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`, "u1", "c1",
			"", false, command.CauseCommand, -1, "", "The message has no command"},
		{"what looks like a placeholder", "Slack", `"BotName":"b"`, "{command}", "{user}", "{conversation}", false,
			command.CauseDefault, -1, "", "allows {conversation} for the user {command} in the conversation {user}."},
		{"in Chinese", "Slack", `"Language":"zh","Permissions":[` + allow + `]`, "u1", "c1", "restart", true,
			command.CauseStatement, 0, "OpsRole", "Permissions[0] 允许执行 restart。"},
		{"in English, said so", "Slack", `"Language":"en"`, "u1", "c1", "restart", false,
			command.CauseDefault, -1, "", "No statement"},
	} {
		n++
		p := h.grants(c.kind, fmt.Sprint("one-", n), c.members)
		d := decide(p, c.user, c.conversation, c.command)
		if d.Allowed != c.allowed || d.Cause != c.cause || d.Statement != c.statement || d.RamRole != c.role ||
			!strings.Contains(d.Reason, c.reason) {
			t.Errorf("%s: %+v", c.about, d)
		}
		if d.Statement >= 0 != strings.HasPrefix(d.Text, `{"Effect":"`) {
			t.Errorf("%s: the statement is %q", c.about, d.Text)
		}
		for _, said := range []string{d.Reason} {
			if said == "" || strings.Contains(said, "{name}") || strings.Contains(said, "{statement}") {
				t.Errorf("%s: reason = %q", c.about, said)
			}
		}
	}
}

// decide decides an undeclared command.
func decide(p *command.Permissions, user, conversation, name string) command.Decision {
	return p.Decide(command.Command{User: user, Conversation: conversation, Name: name})
}

func TestDecideWhenOff(t *testing.T) {
	h := newHouse(t)
	h.grants("Slack", "one", `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"})
	e := h.Open("one")
	for _, cmd := range []string{"restart", "help", "whoami"} {
		d := decide(e.Permissions, "u1", "c1", cmd)
		if d.Allowed || d.Cause != command.CauseInactive || d.Reason != "The chat configuration one is inactive." {
			t.Errorf("%s: %+v", cmd, d)
		}
		if got := e.Reply(command.Command{User: "u1", Conversation: "c1", Name: cmd}, d); got != d.Reason {
			t.Errorf("reply = %q", got)
		}
	}
	if got := e.Permissions.Runnable("u1", "c1"); got.Commands != nil {
		t.Errorf("Runnable = %+v", got)
	}
}

func TestRunnable(t *testing.T) {
	statement := func(effect, principal, commands, conversations string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principals":[%q],"Commands":[%s],"Conversations":[%s]}`, effect,
			principal, commands, conversations)
	}
	h := newHouse(t)
	p := h.grants("Slack", "one", `"ConversationIds":["c1","c2"],"UserGroups":{"sre":["u1"]},"Permissions":[`+
		strings.Join([]string{
			statement("Allow", "group:sre", `"scale-*","restart","Restart","ｒｅｓｔａｒｔ"`, `"c1"`),
			statement("Allow", "user:u2", `"*"`, `"*"`),
			statement("Deny", "user:u2", `"stop","*"`, `"c2"`),
			statement("Allow", "user:u3", `"stop","st*"`, `"*"`),
			statement("Deny", "user:u3", `"sto?"`, `"*"`),
		}, ",")+`]`)
	for _, c := range []struct {
		user, conversation string
		want               command.Runnable
	}{
		{"u1", "c1", command.Runnable{Commands: []string{"restart", "scale-*"}}},
		{"u1", "c2", command.Runnable{}},
		{"u1", "c3", command.Runnable{}},
		{"", "c1", command.Runnable{}},
		{"u2", "c1", command.Runnable{Commands: []string{"*"}}},
		{"u2", "c2", command.Runnable{}},
		{"u3", "c1", command.Runnable{Commands: []string{"st*"}, Except: []string{"sto?"}}},
		{"u4", "c1", command.Runnable{}},
	} {
		chattest.Equal(t, c.user+" in "+c.conversation, p.Runnable(c.user, c.conversation), c.want)
	}
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf(`"c%03d"`, i)
	}
	p = h.grants("Slack", "two", `"Permissions":[`+statement("Allow", "*", strings.Join(many, ","), `"*"`)+`]`)
	if got := p.Runnable("u", "c"); len(got.Commands) != 100 || !got.More || got.Except != nil {
		t.Errorf("of 150 commands: %d, more %v", len(got.Commands), got.More)
	}
	p = h.grants("Slack", "three", `"Permissions":[`+statement("Allow", "*", `"*"`, `"*"`)+
		`,`+statement("Deny", "*", strings.Join(many, ","), `"*"`)+`]`)
	if got := p.Runnable("u", "c"); len(got.Except) != 100 || !got.More || !slices.Equal(got.Commands, []string{"*"}) {
		t.Errorf("but for 150 commands: %d, more %v", len(got.Except), got.More)
	}
}

// TestRunnableAgreesWithDecide holds that what is listed without a pattern may be run, and what is
// not covered by the list may not.
func TestRunnableAgreesWithDecide(t *testing.T) {
	h := newHouse(t)
	p := h.grants("Slack", "one", `"Permissions":[
		{"Effect":"Allow","Principals":["*"],"Commands":["a","b","c*"]},
		{"Effect":"Deny","Principals":["user:u1"],"Commands":["b","ca"]},
		{"Effect":"Deny","Principals":["user:u2"],"Commands":["c*"]},
		{"Effect":"Allow","Principals":["user:u3"],"Commands":["d"]}]`)
	for _, user := range []string{"u1", "u2", "u3"} {
		may := p.Runnable(user, "x")
		for _, command := range []string{"a", "b", "c", "ca", "cb", "d", "e"} {
			listed := slices.ContainsFunc(may.Commands, func(pattern string) bool {
				return pattern == command ||
					pattern == "c*" && command[0] == 'c'
			}) &&
				!slices.Contains(may.Except, command)
			if got := decide(p, user, "x", command).Allowed; got != listed {
				t.Errorf("%s by %s: allowed %v, listed %v (%+v)", command, user, got, listed, may)
			}
		}
	}
}

func TestStatementsThatCannotMatchAreRefused(t *testing.T) {
	permission := func(members, statement string) string {
		return chattest.With(chattest.Slack, members+
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]},`+statement+`]`)
	}
	for _, c := range []struct{ about, text, want string }{
		{"no principals", permission("", `{"Effect":"Allow","Principals":[],"Commands":["*"]}`),
			`Configuration.Permissions[1].Principals: has 0 entries`},
		{"no commands", permission("", `{"Effect":"Allow","Principals":["*"],"Commands":[]}`),
			`Configuration.Permissions[1].Commands: has 0 entries`},
		{"a full-width blank in a command", permission("",
			`{"Effect":"Allow","Principals":["*"],"Commands":["a\u3000b"]}`),
			`Configuration.Permissions[1].Commands[0]: "a\u3000b" is not 1 to 128 characters without blanks`},
		{"an invisible letter in a command", permission("",
			`{"Effect":"Allow","Principals":["*"],"Commands":["x","a\u2060b"]}`),
			`Configuration.Permissions[1].Commands[1]`},
		{"a command that is longer than any", permission("", `{"Effect":"Allow","Principals":["*"],"Commands":["`+
			strings.Repeat("重", 129)+`"]}`), `Configuration.Permissions[1].Commands[0]`},
		{"a conversation where the bot does not listen", permission(`"ConversationIds":["c1","c2"],`,
			`{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["c?","d*"]}`),
			`Configuration.Permissions[1].Conversations[1]: "d*" matches none ` +
				`of ConversationIds, so it can match nothing`},
		{"conversations that are a string", permission(`"ConversationIds":["c1"],`,
			`{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":"c1"}`),
			`Conversations: is a string`},
		{"a pattern of users", permission("", `{"Effect":"Deny","Principals":["user:temp-*"],"Commands":["*"]}`),
			`Configuration.Permissions[1].Principals[0]: "user:temp-*" names a user with '*' or '?'`},
		{"a group of a pattern", permission(`"UserGroups":{"sre":["u1","temp-?"]},`,
			`{"Effect":"Deny","Principals":["group:sre"],"Commands":["*"]}`),
			`Configuration.UserGroups.sre[1]: "temp-?" is not 1 to 256 bytes of visible ` +
				`characters without blanks, '*' and '?'`},
		{"an invalid language", chattest.With(chattest.Slack, `"Language":"EN"`),
			`Configuration.Language: "EN" is not en or zh`},
	} {
		_, _, _, err := chat.Settle(platformOf(t, "Slack"), c.text, never, zeros)
		chattest.WantError(t, c.about, err, fault.InvalidParameter, "Configuration", c.want)
	}
	for about, text := range map[string]string{
		"commands of another script": permission("",
			`{"Effect":"Allow","Principals":["*"],"Commands":["重启","扩容-*"]}`),
		"a conversation where it does listen": permission(`"ConversationIds":["c1","群1"],`,
			`{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["c1","群*"]}`),
	} {
		if _, _, _, err := chat.Settle(platformOf(t, "Slack"), text, never, zeros); err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// FuzzPermissions holds of whatever permissions can be saved that what is allowed is listed as
// runnable, and that one more statement that denies everything leaves nothing.
func FuzzPermissions(f *testing.F) {
	f.Add(`[{"Effect":"Allow","Principals":["group:sre","user:u1"],"Commands":["restart","s?ale-*"],`+
		`"Conversations":["c*"],"RamRole":"r"}]`, "u1", "c1", "restart")
	f.Add(`[{"Effect":"Allow","Principals":["*"],"Commands":["*"]},{"Effect":"Deny","Principals":["group:sre"],`+
		`"Commands":["??","a*b*c"]}]`, "u2", "c1", "aXbYc")
	f.Fuzz(func(t *testing.T, statements, user, conversation, cmd string) {
		slackPlatform := platformOf(t, "Slack")
		groups := `"UserGroups":{"sre":["u1","u2"]},"Permissions":`
		text, _, _, err := chat.Settle(slackPlatform, chattest.With(chattest.Slack, groups+statements), never, zeros)
		if err != nil {
			return
		}
		p := chat.PermissionsOf(slackPlatform, text)
		d := decide(p, user, conversation, cmd)
		if d.Allowed && d.Cause == command.CauseStatement {
			may := p.Runnable(user, conversation)
			if !may.More && !slices.ContainsFunc(may.Commands,
				func(pattern string) bool { return policy.Match(pattern, cmd) }) {
				t.Errorf("%q may run %q in %q, and only %q are listed", user, cmd, conversation, may.Commands)
			}
		}
		if d.Statement >= 0 != (d.Cause == command.CauseStatement) || d.Reason == "" {
			t.Errorf("decision = %+v", d)
		}
		less := strings.Replace(text, `"Permissions":[`,
			`"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["*"]},`, 1)
		less = strings.Replace(less, `},]`, `}]`, 1)
		if d := decide(chat.PermissionsOf(slackPlatform, less), user, conversation, cmd); d.Allowed &&
			d.Cause != command.CauseBuiltIn {
			t.Errorf("with a statement that denies everything: %+v", d)
		}
	})
}

// FuzzGrant holds that whoever is refused can be granted what they asked for with the statement
// that the refusal shows, and that it grants nothing else; and that an id that can be saved is one
// that a platform may have.
func FuzzGrant(f *testing.F) {
	f.Add("u1", "c1", "restart i-1", "u2", "c2", "stop")
	f.Add("张三", "群/1", "重启", "张", "群/12", "重")
	f.Add("*", "c*", "re*", "u1", "c1", "restart")
	f.Add("a?", "c?", "sto?", "ab", "c1", "stop")
	f.Add(`u"\{user}`, "cid+/==", "{command}", "u", "c", "x")
	f.Add("u1", "c1", "re*", "u1", "c1", "restart")
	f.Add("u1", "c1", "restar?", "u1", "c1", "restart")
	f.Add("a b", "c\u3000d", "ＲＥＳＴＡＲＴ", "a", "c", "restart")
	f.Add("a\u200d", "c\u2800", "x", "a\ue000", "c\xff", "y")
	f.Add("a\ufe0f", "c\ufffd", "x", "a", "c", "y")
	f.Add(strings.Repeat("u", 256), strings.Repeat("群", 86), strings.Repeat("重", 128), "u", "c", "y")
	h := newHouse(f)
	h.MustCreate("one")
	e := h.Open("one")
	slackPlatform := platformOf(f, "Slack")
	saved := func(members string) (string, error) {
		text, _, _, err := chat.Settle(slackPlatform, chattest.With(chattest.Slack, members), never, zeros)
		return text, err
	}
	taken := func(user, conversation string) bool {
		return callback.Check(&command.Message{ID: "m", User: user, Conversation: conversation}) == nil
	}
	f.Fuzz(func(t *testing.T, user, conversation, text, otherUser, otherConversation, otherText string) {
		for _, id := range []string{user, conversation} {
			if id == "" || !utf8.ValidString(id) {
				continue
			}
			list := func(text string) string { b, _ := json.Marshal([]string{text}); return string(b) }
			for about, members := range map[string]string{
				"a principal": `"Permissions":[{"Effect":"Deny","Principals":` +
					list("user:"+id) + `,"Commands":["*"]}]`,
				"of a group":     `"UserGroups":{"g":` + list(id) + `}`,
				"a conversation": `"ConversationIds":` + list(id),
			} {
				if _, err := saved(members); (err == nil) != taken(id, id) {
					t.Errorf("%q: from a platform it is taken: %v; as %s it is saved: %v",
						id, taken(id, id), about, err)
				}
			}
		}
		cmd, err := e.Command(&command.Message{ID: "m", User: user, Conversation: conversation, Text: text})
		if err != nil || user == "" || !taken(user, conversation) {
			return
		}
		d := e.Decide(cmd)
		if d.Cause == command.CauseBuiltIn {
			return
		}
		_, grant, ok := strings.Cut(e.Reply(cmd, d), " of one: ")
		if !ok {
			t.Fatalf("%+v is refused without a grant", cmd)
		}
		configuration, err := saved(`"Permissions":[` + grant + `]`)
		if err != nil {
			t.Fatalf("%s: %v", grant, err)
		}
		p := chat.PermissionsOf(slackPlatform, configuration)
		if d := decide(p, user, conversation, cmd.Name); !d.Allowed {
			t.Errorf("%s does not allow it: %+v", grant, d)
		}
		name, _, err := command.Parse(otherText)
		if err != nil || !taken(otherUser, otherConversation) {
			return
		}
		for _, c := range [][3]string{{otherUser, conversation, cmd.Name}, {user, otherConversation, cmd.Name},
			{user, conversation, name}, {otherUser, otherConversation, name}} {
			same := c == [3]string{user, conversation, cmd.Name}
			if d := decide(p, c[0], c[1], c[2]); d.Allowed && !same && d.Cause != command.CauseBuiltIn {
				t.Errorf("%s allows %q too: %+v", grant, c, d)
			}
		}
	})
}

// TestASlashInAPatternIsTheCommands holds that a command and a pattern are the same with and
// without the slash of a client's own commands, in quotes too: what is denied cannot be had by
// another spelling.
func TestASlashInAPatternIsTheCommands(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Permissions":[
			{"Effect":"Allow","Principals":["*"],"Commands":["/restart","stop","/usr/*"]},
			{"Effect":"Deny","Principals":["*"],"Commands":["/stop"]}]`))
	})
	e := h.Open("one")
	for text, allowed := range map[string]bool{
		"restart": true, "/restart": true, "'/restart'": true, "//restart": false, "stop": false, "/stop": false,
		`"/stop"`: false, "/usr/bin": true, "usr/bin": false,
	} {
		c, err := e.Command(&command.Message{ID: "m", Conversation: "c1", User: "u1", Text: text})
		if d := e.Decide(c); err != nil || d.Allowed != allowed {
			t.Errorf("%s: %q is decided %+v, %v", text, c.Name, d, err)
		}
	}
	if list := h.Commands("one"); len(list) != 0 {
		t.Errorf("recorded is %+v", list)
	}
	h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
	out, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", Command: "/restart"})
	if err != nil || len(out.ChatCommands) != 1 {
		t.Errorf("listed by /restart: %+v, %v", out, err)
	}
}
