package command

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
