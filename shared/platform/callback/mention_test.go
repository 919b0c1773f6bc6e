package callback_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// TestHearOfPlainText is the rule for mentions where the text alone tells them.
func TestHearOfPlainText(t *testing.T) {
	for _, c := range []struct {
		about, text, bot string
		way              callback.Way
		want             string
		unread           string
	}{
		{about: "at the head", text: "@ops restart i-1", want: "restart i-1"},
		{about: "nobody", text: "restart i-1", want: "restart i-1"},
		{about: "with a colon", text: "@ops: restart i-1", want: "restart i-1"},
		{about: "with a colon and no blank", text: "@ops:restart i-1", want: "restart i-1"},
		{about: "with a blank before the colon", text: "@ops : restart i-1", want: "restart i-1"},
		{about: "with a wide colon", text: "@ops：restart i-1", want: "restart i-1"},
		{about: "with a comma", text: "@ops, restart i-1", want: "restart i-1"},
		{about: "with a wide comma", text: "@ops，restart i-1", want: "restart i-1"},
		{about: "with an enumeration comma", text: "@ops、restart i-1", want: "restart i-1"},
		{about: "with two marks, of which one stays", text: "@ops:: restart", want: ": restart"},
		{about: "with an exclamation mark", text: "@ops! restart", bot: "ops", want: "restart"},
		{about: "behind an exclamation mark that begins the command", text: "@ops !restart",
			bot: "ops", want: "!restart"},
		{about: "two at the head", text: "@carl @ops restart i-1", want: "restart i-1"},
		{about: "two at the head, with marks", text: "@carl, @ops: restart i-1", want: "restart i-1"},
		{about: "two at the head, without a blank", text: "@carl,@ops:restart i-1", want: "restart i-1"},
		{about: "everybody", text: "@所有人 @ops restart i-1", want: "restart i-1"},
		{about: "everybody in English", text: "@all @ops restart i-1", bot: "ops", want: "restart i-1"},
		{about: "a name with a blank", text: "@Bob @Robot A restart i-1", bot: "Robot A", want: "restart i-1"},
		{about: "a name with a blank, first", text: "@Robot A @Bob restart i-1", bot: "Robot A", want: "restart i-1"},
		{about: "a name with an odd blank", text: "@robot\u2005\u2005a\u2005restart i-1",
			bot: " Robot A ", want: "restart i-1"},
		{about: "a name with its blank left out", text: "@RobotA restart i-1", bot: "Robot A", want: "restart i-1"},
		{about: "a wide name", text: "＠Ｒｏｂｏｔ restart i-1", bot: "robot", want: "restart i-1"},
		{about: "a name behind", text: "restart i-1 @RobotA", want: "restart i-1"},
		{about: "a name behind, with a blank", text: "restart i-1 @Robot A", bot: "Robot A", want: "restart i-1"},
		{about: "a name behind, at the end of a sentence", text: "restart i-1 @RobotA.",
			bot: "RobotA", want: "restart i-1"},
		{about: "a name behind, with a wide full stop", text: "restart i-1 @RobotA。",
			bot: "RobotA", want: "restart i-1"},
		{about: "the name in the middle", text: "restart @ops i-1", bot: "ops", want: "restart i-1"},
		{about: "the name in the middle, with a comma", text: "please @ops, restart",
			bot: "ops", want: "please restart"},
		{about: "the name twice", text: "@ops restart @ops i-1 @ops", bot: "ops", want: "restart i-1"},
		{about: "somebody as an argument", text: "@ops whois @carl", bot: "ops", want: "whois @carl"},
		{about: "somebody as an argument, and no BotName", text: "@ops whois @carl", want: "whois @carl"},
		{about: "everybody as an argument", text: "@ops tell @all", bot: "ops", want: "tell @all"},
		{about: "another name set", text: "@ops restart i-1", bot: "Robot A", want: "restart i-1"},
		{about: "another name set, behind", text: "restart i-1 @ops", bot: "Robot A", want: "restart i-1"},
		{about: "an argument that looks like one", text: "@ops install @scope/pkg", want: "install @scope/pkg"},
		{about: "an address", text: "@ops mail a@b.example now", want: "mail a@b.example now"},
		{about: "a host", text: "@ops ssh root@db1", want: "ssh root@db1"},
		{about: "an @ alone", text: "@ops say @ x", want: "say @ x"},
		{about: "in quotes", text: `@ops say "@carl hi"`, want: `say "@carl hi"`},
		{about: "nothing else", text: "@ops", want: ""},
		{about: "nothing but two", text: "@ops, @carl:", want: ""},
		{about: "a name that begins as the bot's does", text: "@ops restart @opsbot",
			bot: "ops", want: "restart @opsbot"},
		{about: "a bot that is called as everybody is", text: "restart @here", bot: "here", want: "restart"},

		{about: "in the middle, whose nobody knows", text: "restart @ops i-1",
			unread: command.UnreadMention, want: "restart @ops i-1"},
		{about: "two behind, whose nobody knows", text: "restart @carl @ops",
			unread: command.UnreadMention, want: "restart @carl @ops"},
		{about: "a name with a blank behind, whose nobody knows", text: "restart i-1 @Robot A",
			unread: command.UnreadMention, want: "restart i-1 @Robot A"},

		{about: "one to one, an argument", text: "whois @carl", way: callback.Addressed, want: "whois @carl"},
		{about: "one to one, at the head", text: "@carl restart", way: callback.Addressed, want: "restart"},
		{about: "one to one, the bot's name", text: "restart i-1 @ops", bot: "ops",
			way: callback.Addressed, want: "restart i-1"},
	} {
		h := callback.Hear(callback.Split(c.text, c.bot), c.bot, c.way)
		if h.Text != c.want || h.Unread != c.unread || !h.Called {
			t.Errorf("%s: %q for the bot %q: %+v, want %q %q", c.about, c.text, c.bot, h, c.want, c.unread)
		}
	}
}

// TestHearOfMentions is the rule for mentions that the platform tells, by id or with names.
func TestHearOfMentions(t *testing.T) {
	text := func(s string) callback.Part { return callback.Part{Text: s} }
	at := func(name string, whose callback.Whose) callback.Part {
		return callback.Part{Text: "@" + name, Mention: true, Whose: whose, Name: name}
	}
	bot, carl, all, other := at("ops", callback.ThisBot), at("carl", callback.Other), at("all", callback.Everyone),
		at("Ops Bot", callback.Unknown)
	for _, c := range []struct {
		about  string
		parts  []callback.Part
		bot    string
		way    callback.Way
		want   string
		called bool
		unread string
		name   string
	}{
		{about: "the bot", parts: []callback.Part{bot, text(" restart i-1")}, want: "restart i-1", called: true},
		{about: "the bot, with a colon", parts: []callback.Part{bot, text(": restart i-1")},
			want: "restart i-1", called: true},
		{about: "somebody and the bot", parts: []callback.Part{carl, text(" "), bot, text(" restart i-1")},
			want: "restart i-1", called: true},
		{about: "the bot and an argument", parts: []callback.Part{bot, text(" whois "), carl},
			want: "whois @carl", called: true},
		{about: "somebody at the head, and the bot behind", parts: []callback.Part{carl, text(" restart i-1 "), bot},
			want: "restart i-1", called: true},
		{about: "the bot within a word", parts: []callback.Part{text("restart"), bot, text("i-1")},
			want: "restart i-1", called: true},
		{about: "the bot in quotes", parts: []callback.Part{text(`say "hi `), bot, text(` there"`)},
			want: `say "hi there"`, called: true},
		{about: "somebody, in a group that is overheard", parts: []callback.Part{carl, text(" restart i-1")},
			way: callback.Overheard},
		{about: "everybody, in a group that is overheard", parts: []callback.Part{all, text(" restart i-1")},
			way: callback.Overheard},
		{about: "nobody, in a group that is overheard", parts: []callback.Part{text("restart i-1")},
			way: callback.Overheard},
		{about: "another bot, in a group that is overheard", parts: []callback.Part{other, text(" restart i-1")},
			bot: "ops", way: callback.Overheard, name: "Ops Bot"},
		{about: "the bot by its name, in a group that is overheard",
			parts: []callback.Part{all, other, text(" restart")}, bot: "ops bot", way: callback.Overheard,
			want: "restart", called: true},
		{about: "a bot, and no BotName", parts: []callback.Part{other, text(" restart")}, way: callback.Overheard,
			want: "restart", called: true},
		{about: "two bots, and no BotName", parts: []callback.Part{other, other, text(" restart")},
			way: callback.Overheard, want: "restart", called: true, unread: command.UnreadMention},
		{about: "another name than BotName", parts: []callback.Part{other, text(" restart")}, bot: "ops",
			want: "restart", called: true, name: "Ops Bot"},
		{about: "people are not asked to be the bot", parts: []callback.Part{text("restart "), carl},
			want: "restart @carl", called: true},
		{about: "one to one", parts: []callback.Part{text("restart "), other}, way: callback.Addressed,
			want: "restart @Ops Bot", called: true},
		{about: "one to one, with BotName", parts: []callback.Part{text("kick "), other}, bot: "ops",
			way: callback.Addressed, want: "kick @Ops Bot", called: true},
		{about: "no parts", want: "", called: true},
	} {
		given := append([]callback.Part(nil), c.parts...)
		h := callback.Hear(c.parts, c.bot, c.way)
		if want := (callback.Heard{Text: c.want, Called: c.called, Unread: c.unread, Name: c.name}); h != want {
			t.Errorf("%s: %+v, want %+v", c.about, h, want)
		}
		for i := range given {
			if given[i] != c.parts[i] {
				t.Errorf("%s: its parts were changed", c.about)
			}
		}
	}
}

// FuzzMention holds that a text is split without a loss, and that what is heard of it is a part of
// it in its order.
func FuzzMention(f *testing.F) {
	for _, seed := range []string{"@ops: restart i-1", "@Bob @Robot A restart", "restart @所有人", "a@b @", "＠x，@y",
		"\u2005@a\u2005\u200b!", "@\xff x"} {
		f.Add(seed, "Robot A", uint8(0))
		f.Add(seed, "", uint8(2))
	}
	f.Fuzz(func(t *testing.T, text, bot string, way uint8) {
		parts := callback.Split(text, bot)
		var all strings.Builder
		for _, p := range parts {
			all.WriteString(p.Text)
			if p.Mention && (p.Name == "" || !strings.HasSuffix(p.Text, p.Name)) {
				t.Errorf("the mention %+v", p)
			}
		}
		if all.String() != text {
			t.Errorf("%q is split into %q", text, all.String())
		}
		h := callback.Hear(parts, bot, callback.Way(way%3))
		if utf8.ValidString(text) && !utf8.ValidString(h.Text) {
			t.Errorf("%q becomes %q", text, h.Text)
		}
		rest := callback.Fold(text)
		for _, c := range strings.Join(strings.Fields(h.Text), "") {
			_, after, found := strings.Cut(rest, string(c))
			if !found && utf8.ValidString(text) {
				t.Fatalf("%q is not in %q", h.Text, text)
			}
			rest = after
		}
		if !h.Called && (h.Text != "" || h.Unread != "" || way%3 != uint8(callback.Overheard)) {
			t.Errorf("%q: %+v", text, h)
		}
	})
}
