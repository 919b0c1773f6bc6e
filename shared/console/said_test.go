package console_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/console"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
)

func hasHan(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// eachForm calls see for a form and for all forms in it.
func eachForm(f *chat.Form, see func(help string, shape command.Shape)) {
	see("", f.Shape)
	see("", f.Key)
	for i := range f.Choice {
		eachForm(&f.Choice[i], see)
	}
	for _, inner := range []*chat.Form{f.Items, f.Values} {
		if inner != nil {
			eachForm(inner, see)
		}
	}
	for i := range f.Fields {
		see(f.Fields[i].Help, command.Shape{})
		eachForm(&f.Fields[i].Form, see)
	}
}

// eachDeclared calls see for what is declared of every platform and every parameter.
func eachDeclared(see func(help string, shape command.Shape)) {
	for _, p := range platform.All().Descriptions() {
		see(p.Title, command.Shape{})
		form := chat.FormOf(p)
		eachForm(&form, see)
	}
	for _, form := range chat.ParameterForms() {
		eachForm(&form, see)
	}
}

// Every help text and every title that a platform declares is in Chinese, and no other text.
func TestEveryHelpIsInChinese(t *testing.T) {
	declared := make(map[string]bool)
	eachDeclared(func(help string, _ command.Shape) { declared[help] = true })
	if len(declared) < 60 {
		t.Fatalf("only %d texts are declared", len(declared))
	}
	for help := range declared {
		if _, ok := console.HelpChinese[help]; !ok && help != "" {
			t.Errorf("wordhelp.go lacks the Chinese of %q", help)
		}
	}
	for help, in := range console.HelpChinese {
		if !declared[help] {
			t.Errorf("wordhelp.go has %q, which nothing declares", help)
		}
		if !hasHan(in) && in != help && in != "Bot User OAuth Token，例如 xoxb-…" {
			t.Errorf("%q is not in Chinese: %q", help, in)
		}
	}
}

// The rule for every value that a platform or a parameter declares can be said in Chinese.
func TestEveryRuleIsInChinese(t *testing.T) {
	n := 0
	eachDeclared(func(_ string, shape command.Shape) {
		if shape.Want == "" {
			return
		}
		n++
		sentence := `BotName: "x" is not ` + shape.Want + "."
		if in, _, original := console.Said(sentence, true); original == "" || englishIn(in) != "" {
			t.Errorf("wordapi.go lacks the Chinese of %q: %q", shape.Want, in)
		}
	})
	if n < 100 {
		t.Errorf("only %d rules are declared", n)
	}
}

// Every platform has its set-up steps in both languages.
func TestStepsAreInBothLanguages(t *testing.T) {
	for _, p := range platform.All().Descriptions() {
		made := map[string][]string{"zh": p.Setup("https://example.com", command.Chinese),
			"en": p.Setup("https://example.com", command.English)}
		if p.StreamSetup != nil {
			made["zh"] = append(made["zh"], p.StreamSetup(command.Chinese)...)
			made["en"] = append(made["en"], p.StreamSetup(command.English)...)
		}
		if len(made["zh"]) != len(made["en"]) || len(made["zh"]) == 0 {
			t.Errorf("%s: %d steps in Chinese and %d in English", p.Type, len(made["zh"]), len(made["en"]))
		}
		for _, step := range made["zh"] {
			if !hasHan(step) && !strings.HasPrefix(step, "OAuth & Permissions") {
				t.Errorf("%s: a step is not in Chinese: %q", p.Type, step)
			}
		}
	}
}

// The states of the API are in Chinese, and no other words.
func TestEveryStateIsInChinese(t *testing.T) {
	states := []string{chat.StatusActive, chat.StatusInactive,
		chat.HealthSilent, chat.HealthWorking, chat.HealthFailing,
		chat.ConnectionConnected, chat.ConnectionConnecting, chat.ConnectionRefused, chat.ConnectionLost,
		chat.ConnectionAbsent, journal.DecisionAllowed, journal.DecisionDenied, "Allow", "Deny",
		string(journal.OutcomeRecorded), string(journal.OutcomePending), string(journal.OutcomeDelivered),
		string(journal.OutcomeFailed), string(chat.OperationCreated), string(chat.OperationUpdated),
		string(chat.OperationDeleted), string(chat.OperationRestored), string(chat.OperationRotated),
		"DingTalk", "WeChat", "Feishu", "file", "unknown"}
	for _, s := range journal.States {
		states = append(states, string(s))
	}
	for _, s := range states {
		if !hasHan(console.StatesChinese[s]) {
			t.Errorf("the state %q is %q in Chinese", s, console.StatesChinese[s])
		}
	}
	for s := range console.StatesChinese {
		if !slices.Contains(states, s) {
			t.Errorf("%q is not a state", s)
		}
	}
}

// literals adds the constant texts in the code of a folder.
func literals(t *testing.T, folder string, add func(text string)) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has %d files: %v", folder, len(files), err)
	}
	var text func(e ast.Expr) (string, bool)
	text = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, err := strconv.Unquote(e.Value)
			return s, err == nil && e.Kind == token.STRING
		case *ast.BinaryExpr: // what is not constant stands for something that is filled in
			left, isLeft := text(e.X)
			right, isRight := text(e.Y)
			if !isLeft {
				left = "%v"
			}
			if !isRight {
				right = "%v"
			}
			return left + right, e.Op == token.ADD && (isLeft || isRight)
		}
		return "", false
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(filepath.Base(file), "word") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if s, ok := text(e); ok {
					add(s)
				}
			}
			return true
		})
	}
}

// What is translated is still said by the code.
func TestTranslatedSentencesAreSaid(t *testing.T) {
	var all strings.Builder
	for _, folder := range []string{"../chat", "../command", "../fault", "../rpc", "../accesskey", "../policy",
		"../document", "../journal", "../dispatch", "../dial", "../platform/slack",
		"../platform/callback", "../platform/dingtalk", "../platform/wecom", "../platform/feishu", "../platform/teams",
		"../webhook", ".", "../../deploy/chatconf"} {
		literals(t, folder, func(text string) { all.WriteString(text + "\x00") })
	}
	// In the code a name in braces is a verb, a constant number, or the end of a text.
	said := regexp.MustCompile(`%(\.\d+)?[a-z]`).ReplaceAllString(all.String(), "\x00")
	said = regexp.MustCompile(`\d+`).ReplaceAllString(said, "#")
	for _, p := range console.Translated() {
		for _, part := range regexp.MustCompile(`\{[a-z]+\}`).Split(p[0], -1) {
			part = regexp.MustCompile(`\d+`).ReplaceAllString(strings.TrimSpace(part), "#")
			if strings.ContainsFunc(part, unicode.IsLetter) && !strings.Contains(said, part) {
				t.Errorf("no code says %q of %q", part, p[0])
			}
		}
		names := func(text string) []string {
			found := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(text, -1)
			slices.Sort(found)
			return found
		}
		for _, name := range names(p[1]) {
			if !slices.Contains(names(p[0]), name) {
				t.Errorf("%q has no %s, which %q has", p[0], name, p[1])
			}
		}
		if !hasHan(p[1]) && p[0] != "user:<id>, group:<name> or *" && p[0] != "{needs}, {more}" {
			t.Errorf("%q is not in Chinese: %q", p[0], p[1])
		}
	}
}

// Each clause is translated as it is written, and not by one before it that fits it, too.
func TestEveryClauseIsReached(t *testing.T) {
	samples := map[string][2]string{"json": {"a string", "字符串"}, "what": {"the timestamp", "时间戳"},
		"want": {"1 to 7 digits", "1 至 7 位数字"}, "help": {"AgentId of the app", "应用的 AgentId"},
		"place": {"line 7, column 8", "第 7 行第 8 列"}, "needs": {"a:B on c", "a:B（资源 c）"}, "n": {"7", "7"},
		"least": {"7", "7"}, "most": {"8", "8"}, "value": {`"v w"`, `"v w"`}, "other": {`"x y"`, `"x y"`}}
	hole := regexp.MustCompile(`\{[a-z]+\}`)
	fill := func(text string, language int) string {
		return hole.ReplaceAllStringFunc(text, func(name string) string {
			if sample, ok := samples[strings.Trim(name, "{}")]; ok {
				return sample[language]
			}
			return "Abc"
		})
	}
	plain := func(text string) string { return strings.ReplaceAll(text, " ", "") }
	for _, c := range console.Clauses() {
		text, want := fill(c[0], 0), fill(c[1], 1)
		if in, _, original := console.Said(text, true); plain(in) != plain(want) || original == "" {
			t.Errorf("%q is %q, want %q", text, in, want)
		}
	}
}

func TestSentencesInChinese(t *testing.T) {
	for _, c := range [][2]string{
		{"WeChatAgentId: is missing; write 1 to 10 digits (AgentId of the app).",
			"WeChatAgentId：缺少该项；请填写 1 至 10 位数字（应用的 AgentId）。"},
		{`Permissions[0].Commands[1]: "a b" is not 1 to 128 characters without blanks.`,
			`Permissions[0].Commands[1]："a b" ` +
				"无效，应为 1 至 128 个不含空白的字符。"},
		{`UserGroups["运维 a"]: "is; not" is listed twice.`, `UserGroups["运维 a"]："is; not" 重复。`},
		{"Permissions: is a string; write an array of statements.", "Permissions：现为字符串；请填写语句数组。"},
		{"Name is mandatory for this action. UserId is mandatory for this action.", "缺少名称。缺少用户 ID。"},
		{`Chat configuration "ops" already exists in cn-hangzhou.`, `cn-hangzhou 中已有名为 "ops" 的机器人。`},
		{"BotNam: unknown key for type Slack; did you mean BotName?", "BotNam：Slack 没有此配置项；您是否要写 BotName？"},
		{`Target.Type: unknown type "x"; use Journal, Http, Function or Topic.`,
			`Target.Type：未知类型 "x"；` +
				"请使用 Journal、Http、Function 或 Topic。"},
		{"The caller may not perform oos:Get on acs:x/ops, ram:PassRole on acs:y (for RamRole).",
			"此访问密钥缺少权限：oos:Get（资源 acs:x/ops）、ram:PassRole（资源 acs:y，用于 RamRole）。"},
		{"PolicyDocument: Statement[0].Effect: write Allow or Deny; Statement[0].Action: missing; write an array.",
			"PolicyDocument：Statement[0].Effect：请填写 Allow 或 Deny；Statement[0].Action：缺少该项；请填写数组。"},
		{"Actions is not JSON at line 1, column 2; write JSON", "Actions 在第 1 行第 2 列处不是有效的 JSON；请填写 JSON"},
		{"the header X-Slack-Signature is missing", "缺少请求头 X-Slack-Signature"},
		{"the timestamp is 2h0m5s old, and 5m0s are allowed: it was delayed or replayed, or this clock is ahead",
			"时间戳已过去 2h0m5s，允许 5m0s：请求被延迟或重放，或本机时钟偏快"},
		{`the event is for the app "1 a", and this configuration is for "2"; if it is yours, set FeishuAppId to "1 a"`,
			`事件属于应用 "1 a"，而此机器人属于 "2"；如果属于您，请将 FeishuAppId 设为 "1 a"`},
		// Also what a target says may fit a clause: it stays true in Chinese.
		{"status is ok", "status 为 ok"},
		{`"a*" is not a word that a sender can type as a command; write 1 to 128 characters without blanks, ` +
			`'*', '?' and quotes.`, `"a*" 不能作为命令输入；请填写 1 至 128 个不含空白的字符，也不含 '*'、'?' 和引号。`},
		{`tag "env" has no value; write key=value`, `标签 "env" 没有值；请写成 key=value`},
	} {
		text, want := c[0], c[1]
		in, lang, original := console.Said(text, true)
		if in != want || lang != "" || original != text {
			t.Errorf("%q in Chinese is %q (%q, below it %q), want %q", text, in, lang, original, want)
		}
		if in, lang, original := console.Said(text, false); in != text || lang != "" || original != "" {
			t.Errorf("%q in English is %q (%q, below it %q)", text, in, lang, original)
		}
	}
}

// The sentences that the bots say in chat are in both languages, so a page shows only its own.
func TestSentencesOfTheChatInBothLanguages(t *testing.T) {
	for _, c := range [][2]string{
		{"Permissions[0] allows restart.", "Permissions[0] 允许执行 restart。"},
		{"No statement of Permissions allows restart for the user u1 in the conversation c1.",
			"Permissions 中没有语句允许用户 u1 在会话 c1 中执行 restart。"},
		{"instance is missing. Write text. Did you mean x?\nUsage: restart instance=…",
			"缺少 instance，请填写文本。您是不是想输入 x？\n用法：restart instance=…"},
		{"env must be one of test.", "env 必须是以下之一：test。"},
		{"I can read only text, and this message contains a picture. Write the command as text, such as restart i-1.",
			"我只能识别文字，而此消息含有图片。请用文字书写命令，例如 restart i-1。"},
	} {
		english, chinese := c[0], c[1]
		if in, lang, original := console.Said(english, true); in != chinese || lang+original != "" {
			t.Errorf("%q in Chinese is %q (%q, below it %q), want %q", english, in, lang, original, chinese)
		}
		if in, lang, original := console.Said(chinese, false); in != english || lang+original != "" {
			t.Errorf("%q in English is %q (%q, below it %q), want %q", chinese, in, lang, original, english)
		}
		if in, lang, original := console.Said(chinese, true); in != chinese || lang+original != "" {
			t.Errorf("%q in Chinese is %q (%q, below it %q)", chinese, in, lang, original)
		}
	}
}

// What is not known for sure stays as it is, with its language.
func TestUnknownSentencesStay(t *testing.T) {
	for text, lang := range map[string]string{
		`The moon is made of "奶酪".`:                "en",
		"BotName: is missing; and something else.": "en",
		`Permissions: "a" is not "b`:               "en",
		"Language: is a thing; write an object.":   "en",
		"has many entries; use 1 to 1000.":         "en",
		"disk is not mounted":                      "en",
		"请联系管理员。":                                  "",
		"******":                                   "",
		"":                                         "",
		`"`:                                        "",
		"\\":                                       "",
		strings.Repeat("BotName: is missing. ", 100):                             "en",
		strings.Repeat(`{"a":"b"}; is missing; `, 1_000):                         "en",
		strings.Repeat("a must be b is missing. Write c, ", 60) + ".":            "en",
		strings.Repeat("a must be b is missing, Write ", 200) + ".":              "en",
		strings.Repeat("a on b (for the c that applies to d, write ", 150) + ".": "en",
	} {
		in, got, original := console.Said(text, true)
		if in != text || got != lang || original != "" {
			t.Errorf("%.80q is %.80q (%q, below it %.80q), want it as it is (%q)", text, in, got, original, lang)
		}
	}
	if in, lang, original := console.Said("这是机器人的回复。", false); in != "这是机器人的回复。" || lang != "zh-CN" || original != "" {
		t.Errorf("a Chinese sentence in English is %q (%q, below it %q)", in, lang, original)
	}
}

// What others write never breaks a page, and is shown whole.
func FuzzSaid(f *testing.F) {
	for _, p := range console.Translated() {
		f.Add(p[0])
		f.Add(p[1])
	}
	f.Add("Permissions[0]: \"a\\\"b\" is not x; did you mean {want}? Permissions 中没有语句")
	f.Fuzz(func(t *testing.T, text string) {
		for _, inChinese := range []bool{false, true} {
			shown, lang, original := console.Said(text, inChinese)
			if original != "" && original != text || original == "" && text != "" && shown == "" {
				t.Errorf("Said(%q) = %q, below it %q", text, shown, original)
			}
			if lang != "" && (lang == "en") != inChinese {
				t.Errorf("the language of %q is %q", text, lang)
			}
		}
	})
}

var (
	inEnglish = regexp.MustCompile(
		`(?s)<(?:small|bdi|span|a)\b[^>]* (?:href)?lang="en"[^>]*>.*?</(?:small|bdi|span|a)>`)
	notText    = regexp.MustCompile(`(?s)<(script|code|textarea|pre)\b.*?</(?:script|code|textarea|pre)>|<[^>]*>`)
	hints      = regexp.MustCompile(`(?:aria-label|placeholder|alt|title|data-[a-z]+)="([^"]*)"`)
	sentences  = regexp.MustCompile(`\b[A-Za-z][a-z']+(?:,? [a-z']{2,}){2,}`)
	htmlEscape = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// englishIn returns the first English words of a text that look like a sentence.
func englishIn(text string) string { return sentences.FindString(text) }

// englishOn returns the first English words of a page without the language of English.
func englishOn(page string) string {
	page = inEnglish.ReplaceAllString(page, " ")
	var all strings.Builder
	for _, m := range hints.FindAllStringSubmatch(page, -1) {
		all.WriteString(m[1] + "\n")
	}
	all.WriteString(notText.ReplaceAllString(page, "\n"))
	return englishIn(htmlEscape.Replace(all.String()))
}

// No page in Chinese has an English sentence that does not say that it is English.
func TestChinesePagesAreChinese(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops", `"BotName":"机器人"`, `"Language":"en"`)
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	s.MustRecord(e, chattest.Arrival(t, e, "m2", "u2", "stop i-123"))
	b := s.browser().signIn(owner)
	b.header.Set("Accept-Language", "zh-CN")
	paths := append(allPages("ops"), "/console/bots/ops?notice=created")
	for _, p := range platform.All().Descriptions() {
		paths = append(paths, "/console/new?type="+p.Type)
	}
	for _, path := range paths {
		page := b.page(path)
		wantText(t, page, `<html lang="zh-CN">`)
		if found := englishOn(page); found != "" {
			t.Errorf("%s has the English words %q", path, found)
		}
	}
	s.Bot("zh", `"Language":"zh"`)
	b.header.Set("Accept-Language", "en")
	page := b.page("/console/bots/zh") + b.page("/console/bots/zh/permissions?user=u1&conversation=c1&text=stop")
	wantText(t, page, "Signing Secret into SlackSigningSecret.", "Permissions[1] denies stop.")
	wantNoText(t, page, "进入应用", "拒绝执行")
	b.header.Set("Accept-Language", "zh-CN")
	page = b.page("/console/bots/ops")
	wantText(t, page, "</a>，进入应用。", "应用的 Signing Secret", ">启用<", ">正常<")
	b.header.Set("Accept-Language", "en")
	wantText(t, b.page("/console/bots/ops"), "Signing Secret of the app", ">Active<", ">Working<")
}

// Mistakes in forms are in Chinese, and the sentences of the API are below, in English.
func TestMistakesInChinese(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.addKey("CCKdev", mustPolicy(t, `{"Effect":"Allow","Action":"oos:*","Resource":"*/dev-*"}`))
	dev := s.browser().signIn("CCKdev")
	dev.header.Set("Accept-Language", "zh-CN")
	_, _, refused := dev.post("/console/new", url.Values{"Type": {"Slack"}, "Name": {"prod"},
		"Configuration.SlackSigningSecret": {planted + "-signing"}})
	wantText(t, refused, "此访问密钥缺少权限：oos:CreateChatConfiguration（资源 acs:oos:")
	b := s.browser().signIn(owner)
	b.header.Set("Accept-Language", "zh-CN")
	for about, c := range map[string]struct {
		path string
		form url.Values
		want []string
	}{
		"nothing is typed": {"/console/new", url.Values{"Type": {"DingTalk"}, "Name": {""}},
			[]string{"缺少名称。", `<small lang="en"><bdi>Name is mandatory for this action.</bdi></small>`,
				"DingTalkClientId：缺少该项；请填写"}},
		"a name that is taken": {"/console/new", url.Values{"Type": {"Slack"}, "Name": {"ops"},
			"Configuration.SlackSigningSecret": {planted + "-signing"}}, []string{"中已有名为 &#34;ops&#34; 的机器人"}},
		"a name in another form": {"/console/new", url.Values{"Type": {"Slack"}, "Name": {"a b"}},
			[]string{"含有字母、数字、&#39;-&#39; 和 &#39;_&#39; 以外的字符"}},
		"a list of JSON": {"/console/new", url.Values{"Type": {"Slack"}, "Name": {"new"},
			"Configuration.Permissions": {"[{"}, "Tags": {"env"}}, []string{"不是有效的 JSON", "没有值；请写成 key=value"}},
		"a wrong statement": {"/console/new", url.Values{"Type": {"Slack"}, "Name": {"new"},
			"Configuration.SlackSigningSecret": {planted},
			"Configuration.Permissions":        {`[{"Effect":"Allow","Principals":["bob"],"Commands":["a b"]}]`}},
			[]string{"不是有效的授权主体；请填写 user:", "无效，应为 1 至 128 个不含空白的字符"}},
		"a message that is no command": {"/console/bots/ops/permissions?user=u1&conversation=c1&text=%22", nil,
			[]string{"引号没有闭合。"}},
		"a bot that does not exist": {"/console/bots/absent", nil, []string{"没有名为 &#34;absent&#34; 的机器人。"}},
		"a key without a name":      {"/console/keys/new", url.Values{"Policy": {"ReadOnly"}}, []string{"缺少名称。"}},
		"a key without a policy": {"/console/keys/new", url.Values{"Name": {"x"}},
			[]string{"缺少权限策略；请选择 Owner、Administrator、ReadOnly"}},
		"a key until yesterday": {"/console/keys/new", url.Values{"Name": {"x"}, "Policy": {"ReadOnly"},
			"Expires": {"2020-01-01"}}, []string{"已过；请填写更晚的日期"}},
		"another revision": {"/console/bots/ops/delete", url.Values{"Revision": {"7"}, "Confirm": {"ops"}},
			[]string{"他人已修改此机器人"}},
		"too long": {"/console/bots/ops/rotate", url.Values{"Revision": {"1"}, "Confirm": {"ops"},
			"GraceSeconds": {"99999999"}}, []string{"应为 0 至"}},
	} {
		var page string
		if c.form == nil {
			_, page = b.get(c.path)
		} else {
			_, _, page = b.post(c.path, c.form)
		}
		wantText(t, page, c.want...)
		if found := englishOn(page); found != "" {
			t.Errorf("%s: the page has the English words %q:\n%s", about, found, page)
		}
	}
}
