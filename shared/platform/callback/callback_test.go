package callback_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

func stepOf(err error) callback.Step {
	var refusal *callback.Refusal
	if errors.As(err, &refusal) {
		return refusal.Step
	}
	return ""
}

func TestParametersAndHeadersStandThereOnce(t *testing.T) {
	r := &callback.Request{Query: url.Values{"a": {"1"}, "b": {"1", "1"}, "c": {""}, "d": {}},
		Header: http.Header{"X-A": {"1"}, "x-b": {"1"}, "X-B": {"1"}, "X-C": {""}}}
	if v, err := callback.Parameter(r, "a"); v != "1" || err != nil {
		t.Errorf("a = %q, %v", v, err)
	}
	for _, name := range []string{"b", "c", "d", "e", "A"} {
		if v, err := callback.Parameter(r, name); v != "" || stepOf(err) != callback.StepRequest {
			t.Errorf("parameter %s = %q, %v", name, v, err)
		}
	}
	if v, err := callback.Header(r, "x-a"); v != "1" || err != nil {
		t.Errorf("x-a = %q, %v", v, err)
	}
	for _, name := range []string{"X-B", "X-C", "X-D"} { // X-B is there in two spellings
		if v, err := callback.Header(r, name); v != "" || stepOf(err) != callback.StepRequest {
			t.Errorf("header %s = %q, %v", name, v, err)
		}
	}
	if !callback.HasParameter(r, "c") || callback.HasParameter(r, "e") || !callback.HasHeader(r, "x-c") ||
		callback.HasHeader(r, "x-e") {
		t.Error("what is there, be it empty, is not told from what is not")
	}
	for nonce, ok := range map[string]bool{"1409659589": true, "nEXhMP4r": true, "a b": false, "a\n": false, "é": false,
		strings.Repeat("1", 63): true, strings.Repeat("1", 64): false} {
		_, err := callback.Nonce(&callback.Request{Query: url.Values{"nonce": {nonce}}})
		if (err == nil) != ok {
			t.Errorf("Nonce(%q): %v", nonce, err)
		}
	}
	if _, err := callback.Nonce(&callback.Request{}); stepOf(err) != callback.StepRequest {
		t.Errorf("Nonce of nothing: %v", err)
	}
}

func TestTimestampsAreOfExactDigits(t *testing.T) {
	for text, want := range map[string]string{
		"1409659589": "s", "1445827045067": "ms", "0000000000": "s",
		"": "", "140965958": "", "14096595890": "", "+409659589": "", "-409659589": "", " 409659589": "",
		"1409659589 ": "", "1.40965e12": "", "١٤٠٩٦٥٩٥٨٩": "",
		"140965958x": "", "14458270450670": "", "144582704506.": "", "99999999999999999999": "",
	} {
		_, seconds := callback.Seconds(text)
		_, millis := callback.Millis(text)
		_, both := callback.SecondsOrMillis(text)
		if (seconds == nil) != (want == "s") || (millis == nil) != (want == "ms") || (both == nil) != (want != "") {
			t.Errorf("%q: seconds %v, millis %v, both %v, want %q", text, seconds, millis, both, want)
		}
		if both != nil && stepOf(both) != callback.StepRequest {
			t.Errorf("%q: %v", text, both)
		}
	}
	if at, err := callback.SecondsOrMillis("1445827045067"); err != nil || at.UnixMilli() != 1445827045067 {
		t.Errorf("= %v, %v", at, err)
	}
}

func TestFresh(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for by, ok := range map[time.Duration]bool{0: true, time.Minute: true, -time.Minute: true, time.Minute + 1: false,
		-time.Minute - 1: false, 1<<63 - 1: false, -1 << 62: false} {
		if err := callback.Fresh("it", now, now.Add(-by), time.Minute); (err == nil) != ok || err != nil &&
			stepOf(err) != callback.StepFreshness {
			t.Errorf("%s old: %v", by, err)
		}
	}
	if err := callback.Fresh("it", now, time.Time{}, time.Minute); stepOf(err) != callback.StepFreshness {
		t.Errorf("no time: %v", err)
	}
}

func TestWindow(t *testing.T) {
	for text, want := range map[string]time.Duration{"": time.Minute, "1": time.Second, "3600": time.Hour,
		"3601": 0, "0": 0, "-1": 0, "x": 0} {
		got, err := callback.Window(callback.Settings{"W": secret.Text(text)}, "W", time.Minute, time.Hour)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("Window(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestSecretsAndMatch(t *testing.T) {
	if got, err := callback.Secrets(callback.Settings{"S": "", "SPrevious": "old"}, "S"); err == nil || got != nil {
		t.Errorf("without its own: %q, %v", got, err)
	}
	got, err := callback.Secrets(callback.Settings{"S": "new", "SPrevious": "old"}, "S")
	if err != nil || !slices.Equal(got, []string{"new", "old"}) {
		t.Errorf("= %q, %v", got, err)
	}
	if got, _ := callback.Secrets(callback.Settings{"S": "new", "SPrevious": "new"}, "S"); len(got) != 1 {
		t.Errorf("twice the same: %q", got)
	}
	same := func(s string) []byte { return []byte(s) }
	for signature, want := range map[string]string{"new": "new", "old": "old", "": "", "ol": "", "older": ""} {
		if got, ok := callback.Match([]string{"new", "old", ""}, []byte(signature), same); got != want ||
			ok != (want != "") {
			t.Errorf("Match(%q) = %q, %v", signature, got, ok)
		}
	}
	if _, ok := callback.Match(nil, nil, same); ok {
		t.Error("no secret matches nothing")
	}
}

func TestHex(t *testing.T) {
	for text, ok := range map[string]bool{"00ff": true, "00FF": false, "0ff": false, "00ff00": false,
		"00fg": false, "": false, " 0ff": false} {
		if b, got := callback.Hex(text, 2); got != ok || ok && len(b) != 2 {
			t.Errorf("Hex(%q) = %v", text, got)
		}
	}
}

func TestDigestTellsWherePartsEnd(t *testing.T) {
	if callback.Digest("ab", "c") == callback.Digest("a", "bc") || callback.Digest("a") == callback.Digest("a", "") ||
		callback.Digest("1:a") == callback.Digest("a") {
		t.Error("different parts have one digest")
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"\u00a0restart\u3000i-1\u2005now\u202f": "restart i-1 now", "a\r\nb\rc\u2028d": "a\nb\nc\nd",
		"res\u200btart\ufeff": "restart", " \n x \n ": "x",
		"a\tb\x00c\u202e": "a\tb\x00c\u202e", "": "", "\u200b": "",
	} {
		if got := callback.Fold(text); got != want {
			t.Errorf("Fold(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "…"}, {"abcdef", 5, "ab…"}, {"钉钉钉", 8, "钉…"}, {"钉钉钉", 9, "钉钉钉"}} {
		if got := callback.Cut(test.text, test.most); got != test.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	good := command.Message{ID: "1", Conversation: "19:a@b", User: "张三", UserName: "a\nb c\u202e", Text: "x"}
	if err := callback.Check(&good); err != nil || good.UserName != "ab c" {
		t.Errorf("%v, the name is %q", err, good.UserName)
	}
	if err := callback.Check(&command.Message{ID: "1", Conversation: "c"}); err != nil {
		t.Errorf("nobody may be the user: %v", err)
	}
	if err := callback.Check(&command.Message{ID: "*?", Conversation: strings.Repeat("x", 256),
		User: strings.Repeat("x", 256)}); err != nil {
		t.Errorf("the longest ids, and a message's with wildcards, which no grant has: %v", err)
	}
	for name, m := range map[string]command.Message{
		"no id": {Conversation: "c"}, "no conversation": {ID: "1"},
		"a long id":            {ID: strings.Repeat("x", 257), Conversation: "c"},
		"a blank in the user":  {ID: "1", Conversation: "c", User: "a b"},
		"a line end in the id": {ID: "1\n", Conversation: "c"}, "a control character": {ID: "1", Conversation: "c\x00"},
		"a mark of direction":                 {ID: "1", Conversation: "c", User: "a\u202e"},
		"a star in the conversation":          {ID: "1", Conversation: "c*", User: "u"},
		"a question mark in the conversation": {ID: "1", Conversation: "c?", User: "u"},
		"a star for the user":                 {ID: "1", Conversation: "c", User: "*"},
		"a question mark in the user":         {ID: "1", Conversation: "c", User: "u?"},
		"braille without dots":                {ID: "1", Conversation: "c\u2800"},
		"a filler in the user":                {ID: "1", Conversation: "c", User: "u\u3164"},
		"a character of private use":          {ID: "1", Conversation: "c", User: "u\ue000"},
		"a full-width blank":                  {ID: "1", Conversation: "c\u3000d"},
		"a joiner in the user":                {ID: "1", Conversation: "c", User: "u\u200d"},
		"a variation in the conversation":     {ID: "1", Conversation: "c\ufe0f"},
		"a long conversation":                 {ID: "1", Conversation: strings.Repeat("x", 257)},
		"a long user":                         {ID: "1", Conversation: "c", User: strings.Repeat("x", 257)},
		"a user that is not UTF-8":            {ID: "1", Conversation: "c", User: "\xff"},
		"a conversation that is not UTF-8":    {ID: "1", Conversation: "\xff"},
		"an id that is not UTF-8":             {ID: "\xff", Conversation: "c"},
		"a text that is not UTF-8":            {ID: "1", Conversation: "c", Text: "\xff"},
	} {
		if err := callback.Check(&m); stepOf(err) != callback.StepDecode {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFields(t *testing.T) {
	f, err := callback.Object("it",
		`{"s":"x","n":4561255354251345929,"b":true,"o":{"s":"y"},"null":null,"a":[{"s":"1"},{"s":"2"}],"t":["u",`+
			`"v"],"l":[[{"s":"3"}],[]],"Case":"z"}`)
	if err != nil {
		t.Fatal(err)
	}
	items, lines := f.Items("a"), f.Lines("l")
	if f.Text("s") != "x" || f.Number("n") != "4561255354251345929" || f.NumberOrText("s") != "x" ||
		!f.Is("b") || f.Object("o").Text("s") != "y" ||
		f.Has("null") || f.Text("null") != "" || len(items) != 2 || items[1].Text("s") != "2" ||
		len(f.Texts("t")) != 2 || len(lines) != 2 || lines[0][0].Text("s") != "3" ||
		f.Text("case") != "" || f.Text("none") != "" || f.Object("none").Keys() != 0 || f.Items("none") != nil ||
		f.Keys() != 9 || !f.IsText("s") || f.IsText("n") || f.Err() != nil {
		t.Errorf("a member is not what it is: %v", f.Err())
	}
	for name, read := range map[string]func(callback.Fields){
		"a number as text":        func(f callback.Fields) { f.Text("n") },
		"text as a number":        func(f callback.Fields) { f.Number("s") },
		"true as text":            func(f callback.Fields) { f.NumberOrText("b") },
		"text as true":            func(f callback.Fields) { f.Is("s") },
		"text as an object":       func(f callback.Fields) { f.Object("s").Text("x") },
		"an object as an array":   func(f callback.Fields) { f.Items("o") },
		"texts as objects":        func(f callback.Fields) { f.Items("t") },
		"objects as texts":        func(f callback.Fields) { f.Texts("a") },
		"texts as lines":          func(f callback.Fields) { f.Lines("t") },
		"an object within, wrong": func(f callback.Fields) { f.Items("a")[0].Number("s") },
	} {
		f, err := callback.Object("it", `{"s":"secret","n":1,"b":true,"o":{},"a":[{"s":"secret"}],"t":["secret"]}`)
		if err != nil {
			t.Fatal(err)
		}
		if read(f); stepOf(f.Err()) != callback.StepDecode || strings.Contains(f.Err().Error(), "secret") {
			t.Errorf("%s: %v", name, f.Err())
		}
	}
	for _, text := range []string{"", "x", "[]", `"x"`, `{"a":1,"a":1}`, `{"a":1}x`, "\ufeff{}", "{\"a\":\"\xff\"}",
		strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)} {
		if _, err := callback.Object("it", text); stepOf(err) != callback.StepDecode {
			t.Errorf("Object(%q): %v", text, err)
		}
	}
}

// FuzzText holds that folding twice is folding once, that a cut text is short and still UTF-8, and
// that defused text shows as it was and holds no tag and no mention.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", "a\r\r\nb", "<@all>", "钉钉", " \u200b x", "<<at>>", "\u200b\u00a0\u200b"} {
		f.Add(text, 5)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		if !utf8.ValidString(text) {
			return
		}
		once := callback.Fold(text)
		if twice := callback.Fold(once); twice != once {
			t.Errorf("folded once %q, twice %q", once, twice)
		}
		if most > 3 && most < 1000 {
			if cut := callback.Cut(text, most); len(cut) > most || !utf8.ValidString(cut) ||
				len(text) <= most && cut != text {
				t.Errorf("cut to %d: %q", most, cut)
			}
		}
		defused := callback.Defuse(once)
		for i := range len(defused) {
			if c := defused[i]; (c == '<' || c == '@') && !strings.HasPrefix(defused[i+1:], "\u200b") {
				t.Errorf("%q holds a tag or a mention", defused)
			}
		}
		if callback.Plain(defused) != once {
			t.Errorf("%q shows as %q", once, callback.Plain(defused))
		}
	})
}

func TestANameBecomesOneWord(t *testing.T) {
	for name, want := range map[string]string{"Bob": "Bob", "张 三": "张_三", "a.b-c_d@e": "a.b-c_d@e",
		" x\u3000y\n": "x_y", "'\"“‘\\": "_____", "--all=1; rm": "--all_1__rm", "e\u0301": "e\u0301", "": "",
		strings.Repeat("x", 1000): strings.Repeat("x", 125) + "…"} {
		if got := callback.Word(name); got != want {
			t.Errorf("Word(%q) = %q, want %q", name, got, want)
		}
	}
}
