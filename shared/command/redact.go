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

// Redaction masks in a command's arguments what looks like a secret, for the record that people
// read. The target gets the arguments as they were typed. It masks too much rather than too little,
// in three ways:
//
//   - what has the shape of a vendor's secrets (shape.go), and passwords in URLs and in
//     connection strings;
//   - the value of a name that is a secret's, from the value's first character to the end of its
//     word: name=value, name: value, name value, --name value, in every spelling of names;
//   - all arguments of a command whose own name is a secret's, such as set-password.

// strongNames are what the name of a secret has in it, wherever: in lower case, in one part of the
// name.
var strongNames = [...]string{
	"password", "passwd", "passphrase", "passcode", "passwort", "kennwort", "contraseña", "senha", "пароль",
	"pwd", "pswd", "secret", "token",
	"credential", "requirepass", "masterauth", "mnemonic", "passw0rd",
}

// compoundNames are likewise, with the parts of the name put together.
var compoundNames = [...]string{
	"password", "passphrase", "passcode",
	"apikey", "accesskey", "secretkey", "privatekey", "signingkey", "signkey", "encryptkey", "encryptionkey",
	"aeskey", "hmackey", "masterkey",
	"sshkey", "authkey", "appkey", "accountkey", "storagekey", "sharedkey", "licensekey", "subscriptionkey",
	"serverkey", "clientkey", "deploykey",
	"authcode", "verificationcode", "verifycode", "securitycode", "smscode", "recoverycode", "backupcode",
	"oauth", "privkey", "totpseed", "seedphrase", "recoveryphrase",
}

// weakNames are names of secrets when they are the last part of a name, and parts of other names
// elsewhere: passenger, key-id, session-count.
var weakNames = [...]string{
	"pass", "pw", "psw", "pin", "pincode", "otp", "totp", "hotp", "mfa", "2fa", "key", "tok", "auth",
	"authorization", "authentication", "cred", "jwt", "bearer",
	"cookie", "session", "sessionid", "sid", "sig", "signature", "sas", "ak", "sk", "aksk", "pat", "psk",
	"cvv", "cvc", "pem", "dsn", "userpass",
	"dbpass", "rootpass", "smtppass", "userpw", "rootpw", "bindpw", "dbpw", "userpwd", "mima", "kouling",
	"miyao", "lingpai", "yanzhengma", "sign",
}

// onlyWhole are weak names that name a secret when nothing is before them, unless a separator
// follows.
var onlyWhole = [...]string{"ak", "sk", "pat", "sid", "sas", "sig"}

// innocentNames have a strong name in them and mean something else.
var innocentNames = [...]string{"tokeniz", "tokenis", "secretar", "passwordless", "secretsmanager"}

// innocentKeys are the parts before key that make it something public.
var innocentKeys = [...]string{
	"public", "primary", "foreign", "partition", "sort", "tag", "shard", "routing", "row", "index", "unique",
	"hot", "group", "object", "issue", "composite",
	"candidate", "natural", "surrogate", "map", "range",
}

// aboutNames are last parts that make a name one of something about a secret: token-type,
// password-policy.
var aboutNames = [...]string{
	"policy", "type", "kind", "mode", "ttl", "timeout", "expiry", "expires", "expiration", "lifetime",
	"length", "len", "size", "count", "limit", "rotation", "days",
	"hours", "minutes", "seconds", "age", "url", "uri", "endpoint", "host", "port", "path", "file",
	"filename", "dir", "enabled", "disabled", "required",
	"provider", "method", "scheme", "header", "domain", "version", "algorithm", "alg", "manager", "store",
	"name", "namespace", "rate", "service",
	"server", "budget", "usage", "price", "bucket", "alias", "stdin", "prompt", "ask", "interactive",
	"protected",
}

// withoutNames are first parts that make a name one that says whether there is a secret.
var withoutNames = [...]string{"no", "without", "skip", "disable", "enable", "require", "requires", "use", "has", "is",
	"need", "needs", "allow"}

// passedNames are last parts that say nothing: the part before them counts.
var passedNames = [...]string{
	"value", "val", "text", "string", "str", "new", "old", "current", "cur", "prev", "previous", "next",
	"raw", "b64", "base64", "hex", "hash", "plain", "plaintext",
	"confirm", "confirmation", "again", "repeat", "prod", "dev", "test", "staging", "env", "base", "primary",
	"secondary", "main", "backup",
}

// chineseNames are what the name of a secret has in it in Chinese, Japanese and Korean, where no
// blank separates words.
var chineseNames = [...]string{
	"密码", "密碼", "口令", "密钥", "密鑰", "秘钥", "密匙", "金鑰", "私钥", "私鑰", "令牌", "權杖", "验证码", "驗證碼", "校验码", "动态码", "授权码",
	"激活码", "凭证", "凭据", "憑證",
	"助记词", "通行码", "パスワード", "暗証番号", "비밀번호", "토큰",
}

// chineseAbout are what follows such a name that is about a secret.
var chineseAbout = [...]string{"策略", "名", "类型", "长度", "有效期", "过期", "轮换", "状态", "编号", "文件",
	"路径", "数量", "管理", "规则", "服务", "强度"}

// separators stand between a name and its value, also as Chinese is typed.
const separators = "=:＝："

// linkWords stand between a name and its value as words, and so do verbs that are done to a secret.
var linkWords = [...]string{
	"is", "are", "was", "to", "as", "for", "of", "the", "my", "new", "old", "是", "为", "設為", "设为", "改为", "改成",
	"->", "=>", ":=", "==", "→",
	"list", "ls", "get", "show", "describe", "create", "add", "delete", "remove", "rm", "rotate", "reset",
	"revoke", "set", "update", "change", "import", "use",
	"verify", "check", "renew", "generic", "value",
}

// restNames are names whose value may be many words.
var restNames = [...]string{"passphrase", "mnemonic", "cookie", "助记词"}

// schemes stand before the secret in the value of Authorization.
var schemes = [...]string{"bearer", "basic", "digest", "token", "apikey", "negotiate", "aws4-hmac-sha256",
	"acs3-hmac-sha256", "hmac"}

func isDash(r rune) bool { return unicode.Is(unicode.Dash, r) }

// nameParts takes a name apart, in lower case: at what is no letter and no digit, and where a
// capital begins another word.
func nameParts(name string) (parts []string) {
	start, last := -1, rune(0)
	runes := []rune(name)
	end := func(i int) {
		if start >= 0 {
			parts = append(parts, strings.ToLower(string(runes[start:i])))
		}
		start = -1
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end(i)
		case start < 0:
			start = i
		case unicode.IsUpper(r) && (unicode.IsLower(last) ||
			i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(last)):
			end(i)
			start = i
		}
		last = r
	}
	end(len(runes))
	return parts
}

// singular returns a part of a name without the s of a plural and without the number behind it.
func singular(part string) string {
	trimmed := strings.TrimRight(part, "0123456789")
	if trimmed == "" {
		return part
	}
	if one, ok := strings.CutSuffix(trimmed, "s"); ok && one != "pas" && one != "acces" && len(one) > 2 {
		return one
	}
	return trimmed
}

// isNumber reports whether a text is all digits.
func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// isSecretName reports whether a name looks like that of a secret.
func isSecretName(name string) bool {
	if isChineseName(name) {
		return true
	}
	if before, inside, ok := cutIndex(name); ok { // passwords[0], config[password]
		return isSecretName(before) || isSecretName(inside)
	}
	name = lastName(name)
	parts := nameParts(name)
	for len(parts) > 1 && (slices.Contains(passedNames[:], parts[len(parts)-1]) || isNumber(parts[len(parts)-1])) {
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 0 {
		return false
	}
	last := singular(parts[len(parts)-1])
	if slices.Contains(aboutNames[:], last) || len(parts) > 1 && slices.Contains(withoutNames[:], parts[0]) {
		return false
	}
	if isOneOf(name, "p") && isDashed(name) { // -p, but not p
		return true
	}
	joined := strings.Join(parts, "")
	switch {
	case slices.ContainsFunc(parts, isStrong):
		return true
	case slices.ContainsFunc(compoundNames[:], func(s string) bool { return strings.Contains(joined, s) }):
		return true
	case last == "key" && len(parts) > 1 && slices.Contains(innocentKeys[:], parts[len(parts)-2]):
		return false
	}
	return slices.Contains(weakNames[:], last) || slices.Contains(weakNames[:], parts[len(parts)-1])
}

// cutIndex cuts the index off a name that has one.
func cutIndex(name string) (before, inside string, ok bool) {
	name, ok = strings.CutSuffix(name, "]")
	i := strings.LastIndexByte(name, '[')
	if !ok || i < 0 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// isStrong reports whether a part of a name makes it that of a secret, wherever the part is.
func isStrong(part string) bool {
	has := func(s string) bool { return strings.Contains(part, s) }
	return slices.ContainsFunc(strongNames[:], has) && !slices.ContainsFunc(innocentNames[:], has)
}

// isOneOf reports whether a name without its dashes is one of some.
func isOneOf(name string, some ...string) bool {
	return slices.Contains(some, strings.TrimLeftFunc(name, isDash))
}

func isDashed(name string) bool {
	r, _ := utf8.DecodeRuneInString(name)
	return isDash(r)
}

// lastName returns what of a text can be the name before a separator: access_token of
// ?a=1&access_token.
func lastName(text string) string {
	text = strings.TrimRight(text, "\"'”’` \t")
	i := strings.LastIndexFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '.' && !isDash(r)
	})
	if i < 0 {
		return text
	}
	_, size := utf8.DecodeRuneInString(text[i:])
	return text[i+size:]
}

// isChineseName reports whether a text has the name of a secret in Chinese in it.
func isChineseName(text string) bool {
	for start, end := chineseName(text, 0); start >= 0; start, end = chineseName(text, end) {
		isAbout := func(about string) bool { return strings.HasPrefix(text[end:], about) }
		if !slices.ContainsFunc(chineseAbout[:], isAbout) {
			return true
		}
	}
	return false
}

// chineseName returns where the first name of a secret in Chinese behind from begins and ends; -1
// if there is none.
func chineseName(text string, from int) (start, end int) {
	for i := from; i < len(text); i++ {
		if text[i] < utf8.RuneSelf {
			continue
		}
		for _, name := range chineseNames {
			if strings.HasPrefix(text[i:], name) {
				return i, i + len(name)
			}
		}
	}
	return -1, 0
}

// Redact returns a command's name and arguments with what looks like secrets masked.
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

// redact returns a command's arguments with what looks like secrets masked.
func redact(args []string) []string { return redactFrom(args, false) }

// A redactor goes through the arguments of a command.
type redactor struct {
	next   bool // what comes is the value of a secret
	rest   bool // and so is all that follows, up to a flag
	named  bool // the name of a secret was seen
	basic  bool // what comes may be a user's name and password in base64
	user   bool // what comes may be a user's name and password
	pem    bool // what comes is of a key in PEM
	ending bool // and its last line has begun
	flag   bool // the name was a flag
}

// redactFrom is redact where next says whether the first argument is the value of a secret. It goes
// through the arguments until no more is masked: what was masked may make something else of what is
// before it.
func redactFrom(args []string, next bool) []string {
	for range 100 { // it takes two as a rule
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

// word returns an argument, masked if need be, and remembers what it says of those that follow.
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
		return arg // and its value is still to come
	case r.next && !flag:
		// Two words that both name a secret, such as "Authorization: Bearer x", mask what follows
		// the second too.
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

// isBasic reports whether a text is a user's name and password in base64.
func isBasic(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && bytes.ContainsRune(b, ':')
}

// redactText masks what is secret in an argument of several words, which was quoted, from the first
// secret on.
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

// isFlag reports whether an argument is a flag, and so no value: two dashes and something, or one
// and a letter. Phones make one long dash of two.
func isFlag(arg string) bool {
	name := strings.TrimLeftFunc(arg, isDash)
	dashes := utf8.RuneCountInString(arg) - utf8.RuneCountInString(name)
	first, _ := utf8.DecodeRuneInString(name)
	return dashes > 0 && (strings.HasPrefix(name, secret.Mask) ||
		unicode.IsLetter(first) && (strings.HasPrefix(arg, "--") || arg[0] != '-' || utf8.RuneCountInString(name) == 1))
}

// redactWord masks what is secret in one argument, and reports whether the argument is the name of
// a secret that follows.
func redactWord(arg string) (masked string, next bool) {
	arg = redactUsers(arg)
	end := secretStart(arg)
	if at := attached(arg); at > 0 {
		end = min(end, at)
	}
	// Of several names the first that is a secret's counts: all that follows it is masked.
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

// looseSeparators separate the name of a secret and its value when the name is one of strongNames;
// elsewhere they mean much.
const looseSeparators = ";,|~>("

// separator returns where the next separator is, and its size; -1 if there is none. In a URL within
// another it is escaped.
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

// isBareName reports whether an argument is the name of a secret whose value is the next one.
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

// attached returns where in an argument a value begins that is attached to its name: -phunter2,
// 密码hunter2; zero if none is.
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

// isAttachedToP reports whether an argument is -p and a value, and no name that begins so, such as
// -port or -privateKey.
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

// isAttached reports whether what is behind a name in Chinese is its value, and no part of the name
// such as a number or a quote.
func isAttached(rest string) bool {
	if rest == "" || rest[0] >= utf8.RuneSelf {
		return false
	}
	number := run(rest, isDigit, 2)
	behind := strings.TrimLeft(rest[number:min(len(rest), 64)], "\"'”’` ")
	return strings.IndexAny(behind, separators) != 0 && (behind != "" || number > 1)
}

// isResource reports whether a word is the name of a cloud's resource, whose parts are separated by
// colons.
func isResource(word string) bool {
	return strings.HasPrefix(word, "arn:") || strings.HasPrefix(word, "acs:")
}

// isImage reports whether what stands before a colon is a path, as in the name of a container's
// image.
func isImage(before string) bool {
	path := before[:len(before)-len(lastName(before))]
	return len(path) > 1 && strings.HasSuffix(path, "/") && !strings.Contains(before, "?")
}

// isCount reports whether a name in the plural has a number for its value, such as max_tokens=4096.
func isCount(name, value string) bool {
	name = strings.ToLower(name)
	return isNumber(value) && strings.HasSuffix(name, "s") && !strings.HasSuffix(name, "pass")
}

// redactUsers masks the users' names and passwords in the URLs of an argument, and the password of
// a connection string without a scheme.
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
		if next := strings.Index(arg, mark); next >= 0 { // another URL, whose scheme begins behind what separates them
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

// userEnd returns where the @ is behind the user's name and password in a URL without its scheme,
// -1 if there are none. A password with a '#', a '/' or a '?' in it makes another URL of what was
// meant.
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

// redactConnection masks the password of user:password@host. What has the form of an address of
// mail stays, and so does the name of an image.
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

// isMail reports whether name:someone@host is an address of mail behind a name, and no password.
func isMail(name, host string) bool {
	switch strings.ToLower(name) {
	case "mailto", "mail", "email", "to", "cc", "bcc", "from", "user", "owner", "assignee", "by", "for", "author",
		"contact", "sender", "reply-to":
		return !strings.ContainsAny(host, ":/(") && strings.Contains(host, ".") && net.ParseIP(host) == nil
	}
	return false
}
