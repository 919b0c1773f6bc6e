package chat

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Platform is a chat platform as the control plane sees it: its name and the settings that a Configuration of its type has.
// It is data; how messages are verified and answered is the data plane's.
type Platform struct {
	Type     string   // as stored and answered, such as "DingTalk"
	Aliases  []string // other names accepted for it
	Title    string   // what people call it
	Settings []Setting

	// FoldUsers says that the platform takes user ids that differ in case for the same.
	FoldUsers bool
	// Setup returns what to do in the platform's console so that its messages come to the webhook: the steps and the values to paste,
	// in a language of Languages. The values that Outputs has a name for may be named by it. Nil is none.
	Setup func(webhookURL, language string) []string
}

// A Setting is one key of a Configuration.
type Setting struct {
	Key      string
	Required bool
	Secret   bool   // sealed at rest, masked on every read
	Shape    Shape  // what its value looks like
	Output   string // its name in Outputs, if it is shown there
	Generate bool   // made up when absent, by Shape.Make
	Needs    string // the key without which this one is refused; <key>Previous needs <key> anyhow
	Help     string // one line for people

	// Names are what the platform's own console calls the setting, where that is not the key
	// without the platform's name: AppKey of DingTalkClientId. They are understood in a
	// Configuration; see consoleName.
	Names []string
}

// A Shape is a rule for the text of a value.
type Shape struct {
	Want   string                     // in words, to follow "wanted "
	Fits   func(text string) bool     // whether text fits
	Make   func(random []byte) string // a value that fits, from 32 random bytes; only for settings that are generated
	Number bool                       // a JSON number is accepted besides a string
	Truth  bool                       // JSON's true and false are accepted, and kept as "true" and "false"
}

// Text is a shape: any text of at most n characters without control characters.
func Text(n int) Shape {
	return Shape{
		Want: fmt.Sprintf("1 to %d characters", n),
		Fits: func(s string) bool {
			return s != "" && utf8.RuneCountInString(s) <= n && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
		},
	}
}

// Visible is a shape: printable ASCII without blanks, of at least and at most so many characters.
func Visible(least, most int) Shape {
	return Shape{
		Want: fmt.Sprintf("%d to %d printable ASCII characters without blanks", least, most),
		Fits: func(s string) bool {
			return len(s) >= least && len(s) <= most && only(s, func(b byte) bool { return ' ' < b && b < 0x7f })
		},
	}
}

// maxID is the length of the longest id of a user or a conversation, in bytes.
const maxID = 256

// ID is a shape: what a platform calls a user or a conversation by. What is taken from a platform fits it, and so does what a Configuration
// names, so whoever asks can be granted what they asked for. No id has a wildcard in it: a statement that grants something in one place would
// grant it in others. It is not ASCII alone, since an organisation makes up its own userids in DingTalk, and no document rules out that they
// are Chinese.
var ID = Shape{
	Want: fmt.Sprintf("1 to %d bytes of visible characters without blanks, '*' and '?'", maxID),
	Fits: func(s string) bool { return idPattern.Fits(s) && !strings.ContainsAny(s, wildcards) },
}

// idPattern is the shape of a pattern for an ID. Chat clients leave invisible characters in what is copied from them, and a pattern that has one
// in it would match nothing.
var idPattern = Shape{
	Want: fmt.Sprintf("1 to %d bytes of visible characters without blanks", maxID),
	Fits: func(s string) bool {
		return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
			return r == utf8.RuneError || isBlank(r) || isHidden(r) || joins(r) || unicode.Is(unicode.C, r)
		})
	},
}

// Alphanumeric is a shape: ASCII letters and digits, of at least and at most so many characters; made with most.
func Alphanumeric(least, most int) Shape {
	want := fmt.Sprintf("%d to %d letters and digits", least, most)
	if least == most {
		want = fmt.Sprintf("%d letters and digits", most)
	}
	return Shape{
		Want: want,
		Fits: func(s string) bool { return len(s) >= least && len(s) <= most && only(s, alphanumeric) },
		Make: func(random []byte) string { return makeAlphanumeric(random, most) },
	}
}

// Digits is a shape: decimal digits, as a string or a JSON number.
func Digits(most int) Shape {
	return Shape{
		Want: fmt.Sprintf("1 to %d digits", most),
		Fits: func(s string) bool {
			return s != "" && len(s) <= most && only(s, func(b byte) bool { return '0' <= b && b <= '9' })
		},
		Number: true,
	}
}

// OneOf is a shape: one of the given words.
func OneOf(words ...string) Shape {
	return Shape{
		Want: strings.Join(words, " or "),
		Fits: func(s string) bool {
			for _, word := range words {
				if s == word {
					return true
				}
			}
			return false
		},
	}
}

// TrueOrFalse is a shape: true or false, as a string or as JSON has them.
func TrueOrFalse() Shape {
	shape := OneOf("true", "false")
	shape.Truth = true
	return shape
}

// Base64 is a shape: standard base64 with padding, of at least and at most so many bytes.
func Base64(least, most int) Shape {
	want := fmt.Sprintf("%d to %d bytes in base64", least, most)
	if least == most {
		want = fmt.Sprintf("%d bytes in base64", most)
	}
	return Shape{
		Want: want,
		Fits: func(s string) bool {
			if strings.ContainsAny(s, "\r\n") { // which the decoder skips
				return false
			}
			b, err := base64.StdEncoding.DecodeString(s)
			return err == nil && len(b) >= least && len(b) <= most
		},
	}
}

// EncodingAESKey is a shape: the 43 letters and digits that WeCom and DingTalk make an AES-256 key from, by adding "=" and decoding base64.
var EncodingAESKey = Shape{
	Want: "43 letters and digits",
	// The last character carries four bits; the platforms' own keys leave the others set, so they are not looked at.
	Fits: func(s string) bool { return len(s) == 43 && only(s, alphanumeric) },
	Make: func(random []byte) string { return makeAlphanumeric(random, 43) },
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// check returns an error when the platform's own declaration is wrong.
func (p Platform) check() error {
	if p.Type == "" {
		return fmt.Errorf("chat: platform %q has no type", p.Title)
	}
	for i, s := range p.Settings {
		switch {
		case s.Key == "" || s.Shape.Fits == nil || s.Shape.Want == "" || s.Help == "":
			return fmt.Errorf("chat: platform %s: setting %d lacks a key, a shape or a help", p.Type, i)
		case s.Generate && s.Shape.Make == nil:
			return fmt.Errorf("chat: platform %s: setting %s is generated, and its shape cannot make one", p.Type, s.Key)
		case (s.Generate || s.Output != "") && !s.Secret:
			return fmt.Errorf("chat: platform %s: setting %s is generated or put out, and not secret", p.Type, s.Key)
		}
		for _, key := range s.needs() {
			if _, ok := p.setting(key); !ok {
				return fmt.Errorf("chat: platform %s: setting %s needs %s, which is none", p.Type, s.Key, key)
			}
		}
		for _, name := range p.consoleNames(s) {
			if key, ok := p.keyOf(name); !ok || key != s.Key {
				return fmt.Errorf("chat: platform %s: the name %s of setting %s means %s, too",
					p.Type, name, s.Key, key)
			}
		}
	}
	return nil
}

// consoleNames returns what the platform's console calls a setting.
func (p *Platform) consoleNames(s Setting) []string {
	names := make([]string, 0, 1+len(s.Names))
	if name, ok := strings.CutPrefix(s.Key, p.Type); ok && name != "" {
		names = append(names, name)
	}
	names = append(names, s.Names...)
	if key, ok := strings.CutSuffix(s.Key, Previous); ok {
		current, _ := p.setting(key)
		for _, name := range current.Names {
			names = append(names, name+Previous)
		}
	}
	return names
}

// keyOf returns the key that a key of a Configuration means: itself where it is one; else it may be
// the console's name of a setting, alone or behind another name of the platform (CorpId and
// WeComCorpId are WeChatCorpId), or ConversationId for one of ConversationIds.
func (p *Platform) keyOf(written string) (key string, ok bool) {
	if _, ok := p.setting(written); ok || slices.Contains(commonKeys[:], written) {
		return written, true
	}
	name := written
	for _, alias := range append([]string{p.Type}, p.Aliases...) {
		if rest, ok := strings.CutPrefix(written, alias); ok {
			name = rest
			break
		}
	}
	alone := name == written
	folded := consoleName(written)
	for _, s := range p.Settings {
		for _, known := range p.consoleNames(s) {
			// Behind the platform's name a key is written exactly.
			if name == known || alone && folded == consoleName(known) {
				return s.Key, true
			}
		}
	}
	if folded == consoleName(keyConversationID) {
		return keyConversationIDs, true
	}
	return "", false
}

// consoleName returns a name as it is compared: consoles write "Client ID", and programs client_id.
func consoleName(name string) string { return strings.ToLower(consoleBlanks.Replace(name)) }

var consoleBlanks = strings.NewReplacer(" ", "", "_", "", "-", "")

// needs returns the keys of the settings without which this one is refused.
func (s Setting) needs() []string {
	var keys []string
	if s.Needs != "" {
		keys = append(keys, s.Needs)
	}
	if current, ok := strings.CutSuffix(s.Key, Previous); ok {
		keys = append(keys, current)
	}
	return keys
}

// setting returns the platform's setting of the given key.
func (p *Platform) setting(key string) (Setting, bool) {
	for _, s := range p.Settings {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// platform returns the platform that a Type names, in any case and by any alias.
func (s *Service) platform(param, name string) (*Platform, error) {
	if name == "" {
		return nil, missing(param)
	}
	for i := range s.platforms {
		p := &s.platforms[i]
		if strings.EqualFold(name, p.Type) {
			return p, nil
		}
		for _, alias := range p.Aliases {
			if strings.EqualFold(name, alias) {
				return p, nil
			}
		}
	}
	types := make([]string, len(s.platforms))
	for i, p := range s.platforms {
		types[i] = p.Type
	}
	return nil, invalid(param, "Unknown Type %s; the types are %s.", quote(name), strings.Join(types, ", "))
}

// platformOf returns the platform of a stored configuration. That there is none is no fault of the caller.
func (s *Service) platformOf(r *record) (*Platform, error) {
	p, err := s.platform("Type", r.Type)
	if err != nil {
		return nil, fmt.Errorf("chat: %q is of type %q, which this service does not know", r.Name, r.Type)
	}
	return p, nil
}
