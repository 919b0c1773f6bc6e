package command_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
)

func TestParse(t *testing.T) {
	for about, c := range map[string]struct {
		text, name string
		args       []string
	}{
		"a name alone":        {"help", "help", nil},
		"upper case":          {"ReStart I-1", "restart", []string{"I-1"}},
		"full width":          {"Ｒｅｓｔａｒｔ－ＶＭ０１＿ａ．ｂ Ｉ－１", "restart-vm01_a.b", []string{"Ｉ－１"}},
		"what is no wildcard": {"＊？ *", "＊？", []string{"*"}},
		"letters that fold into one": {"\u017ftop ΟΔΟΣ οδος \u212a", "stop",
			[]string{"ΟΔΟΣ", "οδος", "\u212a"}},
		"a final sigma":             {"ΟΔΟΣ", "οδοσ", nil},
		"another":                   {"οδος", "οδοσ", nil},
		"another script":            {"重启 服务", "重启", []string{"服务"}},
		"blanks around and between": {"  restart \t i-1  i-2 \n", "restart", []string{"i-1", "i-2"}},
		"full-width and no-break spaces": {"\u3000restart\u00a0i-1\u2003i-2\u202f",
			"restart", []string{"i-1", "i-2"}},
		"spaces without width": {"\u200brestart\ufeff i-1\u200b", "restart", []string{"i-1"}},
		"line ends":            {"restart\r\ni-1\ni-2", "restart", []string{"i-1", "i-2"}},
		"single quotes":        {`say 'a b' 'c"d\e'`, "say", []string{"a b", `c"d\e`}},
		"double quotes": {`say "a b" "c'd" "e\"f\\g\h"`, "say",
			[]string{"a b", "c'd", `e"f\g\h`}},
		"a double quote in curly ones":           {`say “a"b” "c“d"`, "say", []string{`a"b`, "c“d"}},
		"an escaped curly quote":                 {`say “a\”b\"c”`, "say", []string{`a”b\"c`}},
		"curly quotes":                           {`say “a b” ‘c d’`, "say", []string{"a b", "c d"}},
		"curly quotes that open as others close": {`say „a b“ ”c d” “e f“`, "say", []string{"a b", "c d", "e f"}},
		"a curly apostrophe":                     {`say don’t ’tis`, "say", []string{"don’t", "’tis"}},
		"a backslash in single curly quotes":     {`say ‘a\b’`, "say", []string{`a\b`}},
		"a value in quotes":                      {`set --reason="a b"c`, "set", []string{"--reason=a bc"}},
		"empty arguments":                        {`set "" '' a`, "set", []string{"", "", "a"}},
		"escapes outside quotes":                 {`set a\ b \"c \\ \‘`, "set", []string{"a b", `"c`, `\`, "‘"}},
		"a line that is joined":                  {"set a\\\nb", "set", []string{"ab"}},
		"a line end in quotes": {"set 'a\n\tb' \"c\r\nd\" \"e\\\nf\"", "set",
			[]string{"a\n\tb", "c\nd", "e\\\nf"}},
		"odd spaces in quotes":                       {"set 'a\u3000b\u200b'", "set", []string{"a\u3000b\u200b"}},
		"a family of emoji, which needs its joiners": {"set 👩\u200d👩\u200d👦", "set", []string{"👩\u200d👩\u200d👦"}},
		"a name in quotes":                           {`"restart" i-1`, "restart", []string{"i-1"}},
		"a long dash":                                {"restart —force i-1", "restart", []string{"--force", "i-1"}},
		"a long dash twice, as in Chinese":           {"restart ——force", "restart", []string{"--force"}},
		"a horizontal bar":                           {"restart ―force=yes", "restart", []string{"--force=yes"}},
		"a short dash":                               {"restart –f", "restart", []string{"-f"}},
		"a short dash twice": {"restart ––force –-now",
			"restart", []string{"--force", "--now"}},
		"a minus, a figure dash and wide hyphens": {"restart −f ‒g －h －－all ‑i", "restart",
			[]string{"-f", "-g", "-h", "--all", "-i"}},
		"dashes that are none of a client's": {"x —5 –1 — —-a ---b –", "x",
			[]string{"—5", "–1", "—", "—-a", "---b", "–"}},
		"a dash of Chinese text":                    {"say 你好 ——世界 —か", "say", []string{"你好", "——世界", "—か"}},
		"a dash before another script's letter":     {"x —сила ––Ω", "x", []string{"--сила", "--Ω"}},
		"marks around a mention that was taken off": {"* * restart i-1", "restart", []string{"i-1"}},
		"more marks around one":                     {"** ** restart * *", "restart", []string{"*", "*"}},
		"a dash within a word":                      {"x a—b 1–2", "x", []string{"a—b", "1–2"}},
		"a dash in quotes": {`x "—force" '–f' \—g —"force"`, "x",
			[]string{"—force", "–f", "—g", "—force"}},
		"a dash before a value in quotes":         {`x —why="a —b"`, "x", []string{"--why=a —b"}},
		"a text in backticks":                     {"`restart i-1`", "restart", []string{"i-1"}},
		"a text in two backticks":                 {" ``restart 'i 1'`` ", "restart", []string{"i 1"}},
		"a word in backticks":                     {"restart `i-1`", "restart", []string{"i-1"}},
		"the command in backticks":                {"`restart` i-1", "restart", []string{"i-1"}},
		"every word in backticks":                 {"`restart` `i-1` ``i-2``", "restart", []string{"i-1", "i-2"}},
		"a value in backticks":                    {"restart --id=`i-1`", "restart", []string{"--id=i-1"}},
		"quotes in backticks":                     {"x `it's` `a\\b`", "x", []string{"it's", `a\b`}},
		"a dash in backticks":                     {"x `—force`", "x", []string{"--force"}},
		"backticks in quotes":                     {"x '`' \"`a b`\" \\`", "x", []string{"`", "`a b`", "`"}},
		"a fence":                                 {"```restart i-1```", "restart", []string{"i-1"}},
		"a fence with lines":                      {"```\nrestart i-1\n```", "restart", []string{"i-1"}},
		"a fence with a language":                 {"```bash\nrestart i-1\n```", "restart", []string{"i-1"}},
		"a fence whose first line is the command": {"```restart\ni-1```", "restart", []string{"i-1"}},
		"an argument in a fence": {"restart ```\ni-1 'i 2'\n```--now",
			"restart", []string{"i-1", "i 2", "--now"}},
		"a bold command":                          {"*restart* i-1", "restart", []string{"i-1"}},
		"another bold command":                    {"**restart** i-1", "restart", []string{"i-1"}},
		"a bold text":                             {"**restart i-1**", "restart", []string{"i-1"}},
		"a bold beginning":                        {"*restart i-1* --now", "restart", []string{"i-1", "--now"}},
		"an italic command":                       {"_restart_ i-1", "restart", []string{"i-1"}},
		"a command that is bold and italic":       {"*_restart_* i-1", "restart", []string{"i-1"}},
		"another that is both":                    {"***restart i-1***", "restart", []string{"i-1"}},
		"a bold text whose mention was taken off": {"* restart i-1*", "restart", []string{"i-1"}},
		"a bold command in backticks":             {"*`restart`* i-1", "restart", []string{"i-1"}},
		"stars in arguments": {"restart *i-1* _a_ **",
			"restart", []string{"*i-1*", "_a_", "**"}},
		"a command that begins with _":   {"_x a_b", "_x", []string{"a_b"}},
		"a command in quotes with marks": {"'_restart_' _", "_restart_", []string{"_"}},
		"a slash before the command":     {"/restart i-1 /a", "restart", []string{"i-1", "/a"}},
		"a wide slash and a path":        {"/usr/bin/restart /", "/usr/bin/restart", []string{"/"}},
		"a slash in quotes":              {"'/restart'", "restart", nil},
		"a link of Markdown": {"restart [db1.example.com](http://db1.example.com)",
			"restart", []string{"db1.example.com"}},
		"a link of an address": {"open [https://a.example/x](https://a.example/x)",
			"open", []string{"https://a.example/x"}},
		"a link whose address ends with a slash": {"open --at=[a.example](https://a.example/)",
			"open", []string{"--at=a.example"}},
		"a link of a mail address": {"mail [a@b.example](mailto:a@b.example)",
			"mail", []string{"a@b.example"}},
		"a link with another text": {"open [a host](https://a.example)x",
			"open", []string{"https://a.examplex"}},
		"brackets that are no link": {"x [a](b) [c] [d](javascript:e) [](http://f", "x",
			[]string{"[a](b)", "[c]", "[d](javascript:e)", "[](http://f"}},
		"a link in quotes": {`x "[a.example](http://a.example)"`,
			"x", []string{"[a.example](http://a.example)"}},
		"a hundred arguments": {"x" + strings.Repeat(" a", 100), "x",
			slices.Repeat([]string{"a"}, 100)},
		"a name of 128 characters": {strings.Repeat("重", 128), strings.Repeat("重", 128), nil},
		"the longest text": {"x " + strings.Repeat("a", command.MaxText-2), "x",
			[]string{strings.Repeat("a", command.MaxText-2)}},
	} {
		name, args, err := command.Parse(c.text)
		if err != nil || name != c.name || !slices.Equal(args, c.args) {
			t.Errorf("%s: Parse(%q) = %q, %q, %v; want %q, %q", about, c.text, name, args, err, c.name, c.args)
		}
	}
}

func TestTextsThatAreNoCommand(t *testing.T) {
	for about, c := range map[string]struct{ text, english, chinese string }{
		"nothing": {"", "The message has no command. Say help to see what you may run.",
			"消息中没有命令。"},
		"blanks":                         {" \u3000\n\u200b", "The message has no command.", "消息中没有命令。"},
		"a joined line and nothing":      {"\\\n", "The message has no command.", "消息中没有命令。"},
		"an empty name":                  {`"" a`, "The first word is not the name", "第一个词"},
		"a name with a blank":            {`"a b"`, "The first word is not the name", "第一个词"},
		"a name with a line end":         {"'a\nb'", "The first word is not the name", "第一个词"},
		"a name of 129 characters":       {strings.Repeat("重", 129), "The first word is not the name", "第一个词"},
		"a joiner in a name":             {"re\u200dstart", "The first word is not the name", "第一个词"},
		"a variation in a name":          {"重\ufe00启", "The first word is not the name", "第一个词"},
		"a wildcard in a name":           {"re* x", "The first word is not the name", "第一个词"},
		"another wildcard":               {"?", "The first word is not the name", "第一个词"},
		"braille that is not drawn":      {"stop\u2800", "invisible", "不可见"},
		"a letter that is not drawn":     {"re\u3164start", "invisible", "不可见"},
		"another that is not drawn":      {"re\u034fstart", "invisible", "不可见"},
		"too many arguments":             {"x" + strings.Repeat(" a", 101), "too many arguments", "参数过多"},
		"too long":                       {strings.Repeat("a", command.MaxText+1), "too long", "过长"},
		"a quote that is not closed":     {`say "a`, "not closed", "引号"},
		"another":                        {`say it's`, "not closed", "引号"},
		"a curly one":                    {`say “a"`, "not closed", "引号"},
		"a single curly one":             {`say ‘a'`, "not closed", "引号"},
		"a backslash at the end":         {`say \`, "backslash", "反斜杠"},
		"a backslash at a quote's end":   {`say "\`, "backslash", "反斜杠"},
		"a stray backtick":               {"restart i-1`", "backtick", "反引号"},
		"a backtick before":              {"`restart i-1", "backtick", "反引号"},
		"words in backticks":             {"restart `i-1 i-2`", "backtick", "反引号"},
		"nothing in backticks":           {"restart `` x", "backtick", "反引号"},
		"three backticks for one":        {"restart `a``` b", "backtick", "反引号"},
		"a fence that is not closed":     {"```\nrestart i-1", "backtick", "反引号"},
		"a backtick in a fence":          {"``` restart ` ```", "backtick", "反引号"},
		"something hidden in backticks":  {"restart `a\x00`", "invisible", "不可见"},
		"something hidden in a link":     {"open [a\x00](http://a)", "invisible", "不可见"},
		"bold that does not end":         {"*restart i-1", "The first word is not the name", "第一个词"},
		"marks in quotes":                {"'*' '*' x", "The first word is not the name", "第一个词"},
		"different marks":                {"* ** x", "The first word is not the name", "第一个词"},
		"a star alone":                   {"* *", "The first word is not the name", "第一个词"},
		"a quotation of another message": {"> restart i-1", "The first word is not the name", "第一个词"},
		"a control character":            {"re\x00start", "invisible", "不可见"},
		"an escape sequence":             {"say \x1b[31m", "invisible", "不可见"},
		"a bell in quotes":               {"say '\a'", "invisible", "不可见"},
		"an escaped control character":   {"say \\\x7f", "invisible", "不可见"},
		"a lone carriage return":         {"say a\rb", "invisible", "不可见"},
		"a vertical tab":                 {"say\va", "invisible", "不可见"},
		"a turn of direction":            {"say \u202egpj.exe", "invisible", "不可见"},
		"an isolate":                     {"say \u2066a\u2069", "invisible", "不可见"},
		"a mark of direction":            {"restart\u200f", "invisible", "不可见"},
		"an invisible letter":            {"re\u2060start", "invisible", "不可见"},
		"letters that only tags have":    {"say \U000e0061", "invisible", "不可见"},
		"bytes that are no characters":   {"say \xff", "invisible", "不可见"},
		"half a surrogate, as in CESU-8": {"say \xed\xa0\x80", "invisible", "不可见"},
	} {
		name, args, err := command.Parse(c.text)
		var wrong *command.Error
		if !errors.As(err, &wrong) || name != "" || args != nil {
			t.Errorf("%s: Parse = %q, %q, %v", about, name, args, err)
			continue
		}
		if got := wrong.Sentence(command.English); !strings.Contains(got, c.english) {
			t.Errorf("%s: %q, want %q in it", about, got, c.english)
		}
		if got := wrong.Sentence(command.Chinese); !strings.Contains(got, c.chinese) {
			t.Errorf("%s: %q, want %q in it", about, got, c.chinese)
		}
		if got := err.Error(); !strings.HasPrefix(got, "command: ") || strings.HasSuffix(got, ".") {
			t.Errorf("%s: error = %q", about, got)
		}
	}
}

// TestFormat holds that what is formatted is parsed into the same, and that nothing is quoted
// without need.
func TestFormat(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"restart", []string{"i-1", "--now=true"}, "restart i-1 --now=true"},
		{"say", []string{"", "a b", "it's", `"`, `\`, "“a”", "’tis", "a\nb", "\u3000"},
			`say '' 'a b' 'it'\''s' '"' '\' '“a”' ’tis 'a` + "\n" + `b' '` + "\u3000" + `'`},
	} {
		got := command.Format(c.name, c.args)
		if got != c.want {
			t.Errorf("Format(%q, %q) = %s, want %s", c.name, c.args, got, c.want)
		}
		name, args, err := command.Parse(got)
		if err != nil || name != c.name || !slices.Equal(args, c.args) {
			t.Errorf("parsed again: %q, %q, %v", name, args, err)
		}
	}
}

// FuzzParse holds that a command that was parsed is the same when it is formatted and parsed again,
// and keeps its bounds.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"restart i-1", `say "a b" 'c' “d e” ‘f g’ \h`, "x\\\ny", "\u3000重启\u200b 服务", `say "\"\\"`, "say don’t", "İ",
		"a '' \"\"", "*`restart`* —force ``i-1``", "```sh\nx [a.b](http://a.b)```", "**_x_ 'a'**",
		"/x __a__ –f", "\xff", "x\r\ny '\r\n'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, args, err := command.Parse(text)
		if err != nil {
			var wrong *command.Error
			if !errors.As(err, &wrong) || strings.Contains(err.Error(), "{") {
				t.Fatalf("error = %v", err)
			}
			return
		}
		if name == "" || utf8.RuneCountInString(name) > command.MaxName ||
			strings.ContainsFunc(name, unicode.IsSpace) || len(args) > command.MaxArguments {
			t.Fatalf("Parse(%q) = %q and %d arguments", text, name, len(args))
		}
		if strings.ContainsFunc(name+strings.Join(args, ""),
			func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
			t.Fatalf("Parse(%q) = %q, %q, which has control characters", text, name, args)
		}
		formatted := command.Format(name, args)
		if len(formatted) > command.MaxText {
			return // quotes made it longer
		}
		name2, args2, err := command.Parse(formatted)
		if err != nil || name2 != strings.ToLower(name) || !slices.Equal(args, args2) {
			t.Fatalf("%q is %q, %q; formatted %q, which is %q, %q, %v", text, name, args, formatted, name2, args2, err)
		}
	})
}

// TestCommandShowsNothingSecretInALog holds that a log of a command or a job has neither text nor
// arguments in it.
func TestCommandShowsNothingSecretInALog(t *testing.T) {
	c := command.Command{Configuration: "ops", Name: "login", User: "u1",
		Text: "login planted", Arguments: []string{"planted"}}
	job := &journal.Job{Ref: command.Ref{ID: "id-1"}, Command: c, ReplyTo: command.ReplyTo{URL: "https://planted"}}
	endpoint := &command.Endpoint{Name: "ops", Settings: map[string]secret.Text{"k": "planted"},
		Target: command.Target{URL: "https://planted", Secrets: []secret.Text{"planted"}}}
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("x", "command", c, "job", job, "endpoint", endpoint)
		for _, want := range []string{"login", "u1", "id-1", "ops"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the log lacks %q: %s", want, &b)
			}
		}
		if strings.Contains(b.String(), "planted") {
			t.Errorf("the log holds a secret: %s", &b)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, *endpoint); strings.Contains(text, "planted") {
			t.Errorf("%s shows a secret: %s", verb, text)
		}
	}
}
