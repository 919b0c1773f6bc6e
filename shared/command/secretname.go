package command

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strongNames mark the name of a secret wherever they occur in one part of it, in lower case.
var strongNames = [...]string{
	"password", "passwd", "passphrase", "passcode", "passwort", "kennwort", "contraseña", "senha", "пароль",
	"pwd", "pswd", "secret", "token",
	"credential", "requirepass", "masterauth", "mnemonic", "passw0rd",
}

// compoundNames mark the name of a secret wherever they occur in its joined parts.
var compoundNames = [...]string{
	"password", "passphrase", "passcode",
	"apikey", "accesskey", "secretkey", "privatekey", "signingkey", "signkey", "encryptkey", "encryptionkey",
	"aeskey", "hmackey", "masterkey",
	"sshkey", "authkey", "appkey", "accountkey", "storagekey", "sharedkey", "licensekey", "subscriptionkey",
	"serverkey", "clientkey", "deploykey",
	"authcode", "verificationcode", "verifycode", "securitycode", "smscode", "recoverycode", "backupcode",
	"oauth", "privkey", "totpseed", "seedphrase", "recoveryphrase",
}

// weakNames mark the name of a secret only as its last part. Elsewhere they belong to other names:
// passenger, key-id, session-count.
var weakNames = [...]string{
	"pass", "pw", "psw", "pin", "pincode", "otp", "totp", "hotp", "mfa", "2fa", "key", "tok", "auth",
	"authorization", "authentication", "cred", "jwt", "bearer",
	"cookie", "session", "sessionid", "sid", "sig", "signature", "sas", "ak", "sk", "aksk", "pat", "psk",
	"cvv", "cvc", "pem", "dsn", "userpass",
	"dbpass", "rootpass", "smtppass", "userpw", "rootpw", "bindpw", "dbpw", "userpwd", "mima", "kouling",
	"miyao", "lingpai", "yanzhengma", "sign",
}

// onlyWhole are weak names that count only as the whole name, unless a separator follows.
var onlyWhole = [...]string{"ak", "sk", "pat", "sid", "sas", "sig"}

// innocentNames contain a strong name and mean something else.
var innocentNames = [...]string{"tokeniz", "tokenis", "secretar", "passwordless", "secretsmanager"}

// innocentKeys are the parts before "key" that make it public.
var innocentKeys = [...]string{
	"public", "primary", "foreign", "partition", "sort", "tag", "shard", "routing", "row", "index", "unique",
	"hot", "group", "object", "issue", "composite",
	"candidate", "natural", "surrogate", "map", "range",
}

// aboutNames are last parts of names about a secret: token-type, password-policy.
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

// withoutNames are first parts of names that say whether a secret exists.
var withoutNames = [...]string{"no", "without", "skip", "disable", "enable", "require", "requires", "use", "has", "is",
	"need", "needs", "allow"}

// ignoredNames are last parts without a meaning of their own: the part before them counts.
var ignoredNames = [...]string{
	"value", "val", "text", "string", "str", "new", "old", "current", "cur", "prev", "previous", "next",
	"raw", "b64", "base64", "hex", "hash", "plain", "plaintext",
	"confirm", "confirmation", "again", "repeat", "prod", "dev", "test", "staging", "env", "base", "primary",
	"secondary", "main", "backup",
}

// chineseNames mark the name of a secret in Chinese, Japanese and Korean, which have no blanks
// between words.
var chineseNames = [...]string{
	"密码", "密碼", "口令", "密钥", "密鑰", "秘钥", "密匙", "金鑰", "私钥", "私鑰", "令牌", "權杖", "验证码", "驗證碼", "校验码", "动态码", "授权码",
	"激活码", "凭证", "凭据", "憑證",
	"助记词", "通行码", "パスワード", "暗証番号", "비밀번호", "토큰",
}

// chineseAbout follow such a name if it is about a secret.
var chineseAbout = [...]string{"策略", "名", "类型", "长度", "有效期", "过期", "轮换", "状态", "编号", "文件",
	"路径", "数量", "管理", "规则", "服务", "强度"}

// separators stand between a name and its value, also as Chinese is typed.
const separators = "=:＝："

// linkWords are words between a name and its value, verbs included.
var linkWords = [...]string{
	"is", "are", "was", "to", "as", "for", "of", "the", "my", "new", "old", "是", "为", "設為", "设为", "改为", "改成",
	"->", "=>", ":=", "==", "→",
	"list", "ls", "get", "show", "describe", "create", "add", "delete", "remove", "rm", "rotate", "reset",
	"revoke", "set", "update", "change", "import", "use",
	"verify", "check", "renew", "generic", "value",
}

// restNames are names with a value of possibly many words.
var restNames = [...]string{"passphrase", "mnemonic", "cookie", "助记词"}

// schemes stand before the secret in the value of Authorization.
var schemes = [...]string{"bearer", "basic", "digest", "token", "apikey", "negotiate", "aws4-hmac-sha256",
	"acs3-hmac-sha256", "hmac"}

func isDash(r rune) bool { return unicode.Is(unicode.Dash, r) }

// nameParts splits a name, in lower case, at other characters than letters and digits and before
// the capital of a new word.
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

// singular returns a part of a name without a plural s and without a number at its end.
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

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// isSecretName reports whether a name looks like the name of a secret.
func isSecretName(name string) bool {
	if isChineseName(name) {
		return true
	}
	if before, inside, ok := cutIndex(name); ok { // passwords[0], config[password]
		return isSecretName(before) || isSecretName(inside)
	}
	name = lastName(name)
	parts := nameParts(name)
	for len(parts) > 1 && (slices.Contains(ignoredNames[:], parts[len(parts)-1]) || isNumber(parts[len(parts)-1])) {
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

// cutIndex splits name[index].
func cutIndex(name string) (before, inside string, ok bool) {
	name, ok = strings.CutSuffix(name, "]")
	i := strings.LastIndexByte(name, '[')
	if !ok || i < 0 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// isStrong reports whether a part marks the name of a secret, wherever it is in the name.
func isStrong(part string) bool {
	has := func(s string) bool { return strings.Contains(part, s) }
	return slices.ContainsFunc(strongNames[:], has) && !slices.ContainsFunc(innocentNames[:], has)
}

// isOneOf reports whether a name without its dashes is in some.
func isOneOf(name string, some ...string) bool {
	return slices.Contains(some, strings.TrimLeftFunc(name, isDash))
}

func isDashed(name string) bool {
	r, _ := utf8.DecodeRuneInString(name)
	return isDash(r)
}

// lastName returns the end of a text that can be a name before a separator: access_token of
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

// isChineseName reports whether a text contains the name of a secret in Chinese.
func isChineseName(text string) bool {
	for start, end := chineseName(text, 0); start >= 0; start, end = chineseName(text, end) {
		isAbout := func(about string) bool { return strings.HasPrefix(text[end:], about) }
		if !slices.ContainsFunc(chineseAbout[:], isAbout) {
			return true
		}
	}
	return false
}

// chineseName returns the start and the end of the first Chinese name of a secret behind from; -1
// without one.
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
