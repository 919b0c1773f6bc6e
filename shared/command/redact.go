package command

import (
	"bytes"
	"chatconf/shared/secret"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redact returns a command's name and arguments with likely secrets masked, for records and logs.
// The target gets the arguments unmasked. Redact prefers to mask too much. It masks
//
//   - text in the form of a known vendor's secrets (tokenshape.go), and passwords in URLs and
//     connection strings;
//   - the value after the name of a secret, up to the end of its word: name=value, name: value,
//     name value, --name value, with any spelling of the name (secretname.go);
//   - all arguments of a command with the name of a secret, such as set-password.
func Redact(name string, args []string) (string, []string) {
	masked, next := redactWord(name)
	if next && !slices.Contains(weakNames[:], name) {
		out := make([]string, len(args))
		for i := range out {
			out[i] = secret.Mask
		}
		return masked, out
	}
	return masked, redactFrom(args, next)
}

func redact(args []string) []string { return redactFrom(args, false) }

// A redactor reads the arguments of a command in their order.
type redactor struct {
	next   bool // the next argument is the value of a secret
	rest   bool // so are all arguments up to a flag
	named  bool // the name of a secret was seen
	basic  bool // the next argument may be user:password in base64
	user   bool // the next argument may be user:password
	pem    bool // the next argument is part of a key in PEM
	ending bool // the last line of the PEM has begun
	flag   bool // the name was a flag
}

// redactFrom masks the secrets in args; next says whether the first is the value of a secret. It
// repeats until nothing changes, since a mask may change the meaning of the argument before it.
func redactFrom(args []string, next bool) []string {
	for range 100 { // two as a rule
		out := make([]string, len(args))
		r := redactor{next: next, named: next}
		for i, arg := range args {
			out[i] = r.word(arg)
		}
		if slices.Equal(out, args) {
			break
		}
		args = out
	}
	return args
}

// word returns an argument, masked if necessary, and remembers its effect on the next ones.
func (r *redactor) word(arg string) string {
	lower := strings.ToLower(arg)
	if r.pem {
		r.ending = r.ending || strings.Contains(lower, "-----end")
		r.pem = !r.ending || !strings.HasSuffix(arg, "-----")
		return secret.Mask
	}
	flag := isFlag(arg)
	switch {
	case arg == "":
		return arg
	case arg == secret.Mask:
		r.next, r.user, r.basic = r.next && r.rest, false, false
		return arg
	case r.named && slices.Contains([]string{"is", "是", "为"}, lower):
		r.next = true
		return arg
	case r.next && !flag && (strings.Trim(arg, separators) == "" || slices.Contains(linkWords[:], lower) && !r.flag):
		return arg // its value follows
	case r.next && !flag:
		// After two names of secrets, such as "Authorization: Bearer x", the third word is masked
		// too.
		r.next = r.rest || slices.Contains(schemes[:], strings.TrimRight(lower, ":")) || isSecretName(arg)
		return arg[:len(arg)-len(strings.TrimLeft(arg, separators))] + secret.Mask
	case r.basic && isBasic(arg):
		r.basic = false
		return secret.Mask
	case r.user && strings.Contains(arg, ":"):
		r.user = false
		user, _, _ := strings.Cut(arg, ":")
		return user + ":" + secret.Mask
	}
	masked, next := redactWord(arg)
	r.next, r.flag = next, next && flag
	r.named = r.named || next
	isRest := func(rest string) bool { return strings.HasSuffix(strings.TrimRight(lower, separators), rest) }
	r.rest = next && slices.ContainsFunc(restNames[:], isRest)
	r.basic = lower == "basic"
	r.user = isOneOf(arg, "u", "user", "userpwd", "proxy-user", "basic-auth", "login") && flag
	r.pem = masked != arg && strings.Contains(lower, "-----begin") && !strings.Contains(lower, "-----end")
	r.ending = false
	return redactText(masked)
}

// isBasic reports whether text is user:password in base64.
func isBasic(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && bytes.ContainsRune(b, ':')
}

// redactText masks a quoted argument of several words from the first secret on.
func redactText(arg string) string {
	words := strings.Fields(arg)
	if len(words) < 2 {
		return arg
	}
	at := 0
	for i, masked := range redact(words) {
		at += strings.Index(arg[at:], words[i])
		if masked != words[i] {
			return arg[:at] + masked[:len(masked)-len(secret.Mask)] + secret.Mask
		}
		at += len(words[i])
	}
	return arg
}

// isFlag reports whether an argument is a flag: two dashes and a name, or one dash and a letter.
// Phones replace two dashes by a long one.
func isFlag(arg string) bool {
	name := strings.TrimLeftFunc(arg, isDash)
	dashes := utf8.RuneCountInString(arg) - utf8.RuneCountInString(name)
	first, _ := utf8.DecodeRuneInString(name)
	return dashes > 0 && (strings.HasPrefix(name, secret.Mask) ||
		unicode.IsLetter(first) && (strings.HasPrefix(arg, "--") || arg[0] != '-' || utf8.RuneCountInString(name) == 1))
}

// redactWord masks the secrets in one argument. next reports whether the argument is a name whose
// secret value follows.
func redactWord(arg string) (masked string, next bool) {
	arg = redactUsers(arg)
	end := secretStart(arg)
	if at := attached(arg); at > 0 {
		end = min(end, at)
	}
	// The first name of a secret counts: everything after it is masked.
	for at := 0; !isResource(arg); {
		i, size := separator(arg[at:])
		if i < 0 {
			break
		}
		before, name, by := arg[:at+i], arg[at:at+i], arg[at+i]
		at += i + size
		if at > end {
			break
		}
		if !isSecretName(name) || by == ':' && isImage(before) || isCount(name, arg[at:]) {
			continue
		}
		isLoose := strings.IndexByte(looseSeparators, by) >= 0
		if isLoose && (arg[at:] == "" || !isStrong(strings.ToLower(lastName(name)))) {
			continue
		}
		if strings.Trim(arg[at:], separators) == "" {
			return arg, true
		}
		return arg[:at] + secret.Mask, slices.Contains(schemes[:], strings.ToLower(arg[at:]))
	}
	if end < len(arg) {
		return arg[:end] + secret.Mask, false
	}
	return arg, isBareName(arg)
}

// looseSeparators separate a name and its value only if the name is one of strongNames. Elsewhere
// they have too many meanings.
const looseSeparators = ";,|~>("

// separator returns the position and the size of the next separator; -1 without one. In a URL
// inside another URL the separator is escaped.
func separator(s string) (at, size int) {
	for i, r := range s {
		switch {
		case strings.ContainsRune(separators+looseSeparators, r), r == '→':
			return i, utf8.RuneLen(r)
		case r == '%' && len(s) >= i+3 && (strings.EqualFold(s[i:i+3], "%3d") || strings.EqualFold(s[i:i+3], "%3a")):
			return i, 3
		}
	}
	return -1, 0
}

// isBareName reports whether an argument is the name of a secret whose value is the next argument.
func isBareName(arg string) bool {
	i := strings.LastIndexAny(arg, separators)
	isValue := i >= 0
	if isValue {
		_, size := utf8.DecodeRuneInString(arg[i:])
		arg = arg[i+size:]
	}
	parts := nameParts(arg)
	switch {
	case strings.EqualFold(arg, "ak/sk"):
		return true
	case strings.ContainsAny(arg, "/\\@"), strings.Contains(arg, secret.Mask), len(parts) == 0:
		return false
	case isDashed(arg):
		return isSecretName(arg)
	case isValue || strings.Contains(arg, "."): // a name with a dot is more often that of a file or a host
		return isStrong(parts[len(parts)-1]) && isSecretName(arg)
	case len(parts) > 1 && slices.Contains(onlyWhole[:], parts[len(parts)-1]), parts[len(parts)-1] == "sign":
		return false
	}
	return isSecretName(arg)
}

// attached returns the position of a value that is attached to its name: -phunter2, 密码hunter2;
// zero without one.
func attached(arg string) int {
	if isAttachedToP(arg) {
		return len("-p")
	}
	for start, end := chineseName(arg, 0); start >= 0; start, end = chineseName(arg, end) {
		at := end
		for _, link := range [...]string{"是", "为", "改成", "改为", "設為", "设为"} {
			at += len(arg[at:]) - len(strings.TrimPrefix(arg[at:], link))
		}
		if isAttached(arg[at:]) {
			return at
		}
	}
	return 0
}

// isAttachedToP reports whether an argument is -p and a value, and not a name such as -port or
// -privateKey.
func isAttachedToP(arg string) bool {
	rest, ok := strings.CutPrefix(arg, "-p")
	if !ok || len(rest) < 3 || strings.IndexAny(rest, separators) == 0 || strings.ContainsFunc(rest, isBlank) {
		return false
	}
	name := rest
	if i := strings.IndexAny(rest, separators); i > 0 {
		name = rest[:i]
	}
	isWord := !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsLower(r) && !isDash(r) })
	return !isWord && (!unicode.IsLower(rune(rest[0])) || !isSecretName("p"+name))
}

// isAttached reports whether the text behind a Chinese name is its value, and not part of the name
// such as a number or a quote.
func isAttached(rest string) bool {
	if rest == "" || rest[0] >= utf8.RuneSelf {
		return false
	}
	number := run(rest, isDigit, 2)
	behind := strings.TrimLeft(rest[number:min(len(rest), 64)], "\"'”’` ")
	return strings.IndexAny(behind, separators) != 0 && (behind != "" || number > 1)
}

// isResource reports whether a word is the name of a cloud resource. Colons separate its parts.
func isResource(word string) bool {
	return strings.HasPrefix(word, "arn:") || strings.HasPrefix(word, "acs:")
}

// isImage reports whether the text before a colon is a path, as in the name of a container image.
func isImage(before string) bool {
	path := before[:len(before)-len(lastName(before))]
	return len(path) > 1 && strings.HasSuffix(path, "/") && !strings.Contains(before, "?")
}

// isCount reports whether a name in the plural has a number as its value, such as max_tokens=4096.
func isCount(name, value string) bool {
	name = strings.ToLower(name)
	return isNumber(value) && strings.HasSuffix(name, "s") && !strings.HasSuffix(name, "pass")
}

// redactUsers masks user:password in the URLs of an argument, and the password of a connection
// string without a scheme.
func redactUsers(arg string) string {
	const mark = "://"
	if !strings.Contains(arg, mark) {
		return redactConnection(arg)
	}
	var out strings.Builder
	for {
		i := strings.Index(arg, mark)
		if i < 0 {
			out.WriteString(arg)
			return out.String()
		}
		out.WriteString(arg[:i+len(mark)])
		arg = arg[i+len(mark):]
		end := len(arg)
		if next := strings.Index(arg, mark); next >= 0 { // another URL; its scheme begins behind a separator
			if cut := strings.LastIndexAny(arg[:next], ",;|\"'()<>[]{}&? "); cut >= 0 {
				end = cut + 1
			}
		}
		start := 0
		if at := userEnd(arg[:end]); at >= 0 {
			out.WriteString(secret.Mask)
			start = at
		}
		out.WriteString(arg[start:end])
		arg = arg[end:]
	}
}

// userEnd returns the position of the @ behind user:password in a URL without its scheme; -1
// without one. It also finds passwords that contain '#', '/' or '?', which end the host of a URL.
func userEnd(rest string) int {
	authority := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = i
	}
	if at := strings.LastIndexByte(rest[:authority], '@'); at >= 0 {
		return at
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return -1
	}
	if _, port, ok := strings.Cut(rest[:authority], ":"); ok && strings.Trim(port, "0123456789") != "" {
		return at // user:pass/word@host
	}
	if i := strings.IndexByte(rest, '#'); i >= 0 && i < at {
		return at
	}
	return -1
}

// redactConnection masks the password of user:password@host. Mail addresses and the names of images
// stay as they are.
func redactConnection(arg string) string {
	user, rest, ok := strings.Cut(arg, ":")
	isOdd := func(r rune) bool { return r < utf8.RuneSelf && !isDotted(byte(r)) }
	if !ok || user == "" || strings.ContainsFunc(user, isOdd) {
		return arg
	}
	at := strings.LastIndexByte(rest, '@')
	if at <= 0 {
		return arg
	}
	host := rest[at+1:]
	if host == "" || strings.HasPrefix(host, "sha256:") || isMail(user, host) {
		return arg
	}
	return user + ":" + secret.Mask + rest[at:]
}

// isMail reports whether name:someone@host is a mail address behind a name, and not a password.
func isMail(name, host string) bool {
	switch strings.ToLower(name) {
	case "mailto", "mail", "email", "to", "cc", "bcc", "from", "user", "owner", "assignee", "by", "for", "author",
		"contact", "sender", "reply-to":
		return !strings.ContainsAny(host, ":/(") && strings.Contains(host, ".") && net.ParseIP(host) == nil
	}
	return false
}
