package chat

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secretWords are what the name of something secret has in it, in lower case and without '-' and '_'.
var secretWords = [...]string{
	"password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey", "accesskey", "privatekey", "signingkey",
	"encryptkey", "aeskey", "credential", "auth", "cookie", "session", "signature", "bearer", "密码", "口令", "密钥", "令牌",
}

// secretStarts are how well-known sorts of secrets begin: of Slack, GitHub, GitLab, Alibaba Cloud, AWS, Stripe, Standard Webhooks and JWT. They are told
// anywhere in an argument, where no letter or digit stands before them. Case counts: "asia" is a part of many names.
var secretStarts = [...]string{
	"xoxb-", "xoxp-", "xoxa-", "xapp-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "LTAI", "AKIA", "ASIA", "sk_live_", "rk_live_",
	"whsec_", "eyJ",
}

// secretPrefixes are secretStarts in lower case, and how PEM begins. They are told at the beginning of an argument only, in any case.
var secretPrefixes = strings.Fields(strings.ToLower(strings.Join(secretStarts[:], " ")) + " -----begin")

// separators stand between a name and its value, also as Chinese is typed.
const separators = "=:＝："

// isSecretName reports whether a name looks like that of a secret.
func isSecretName(name string) bool {
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	return slices.ContainsFunc(secretWords[:], func(word string) bool { return strings.Contains(name, word) })
}

// redactCommand returns a command's name and arguments with what looks like secrets masked. Of a command whose name is a secret's, such as set-password,
// every argument is.
func redactCommand(name string, args []string) (string, []string) {
	masked, secret := redactWord(name)
	out := redact(args)
	if secret {
		for i := range out {
			out[i] = Mask
		}
	}
	return masked, out
}

// redact returns a command's arguments with what looks like secrets masked. It rather masks too much: the values of names that look
// like a secret's, as name=value, name:value, name = value, "name": value and --name value; what begins like a secret; passwords in URLs.
func redact(args []string) []string {
	out := make([]string, len(args))
	next := false // the argument before was the name of a secret
	for i, arg := range args {
		switch {
		case next && arg != "" && strings.Trim(arg, separators) == "":
			out[i] = arg // and its value is still to come
		case next && !strings.HasPrefix(arg, "--"):
			// Two words that both name a secret, such as "Authorization: Bearer x", mask what follows the second too.
			out[i], next = Mask, isSecretName(arg)
		default:
			out[i], next = redactWord(arg)
		}
	}
	return out
}

// redactWord masks what is secret in one argument, and reports whether the argument is the name of a secret that follows.
func redactWord(arg string) (masked string, next bool) {
	lower := strings.ToLower(arg)
	if slices.ContainsFunc(secretPrefixes, func(prefix string) bool { return strings.HasPrefix(lower, prefix) }) {
		return Mask, false
	}
	arg = redactUser(arg)
	end := secretStart(arg)
	// Of several names the first that is a secret's counts: all that follows it is masked.
	for at := 0; ; {
		i := strings.IndexAny(arg[at:], separators)
		if i < 0 {
			break
		}
		name := arg[at : at+i]
		_, size := utf8.DecodeRuneInString(arg[at+i:])
		at += i + size
		if at > end {
			break
		}
		if !isSecretName(name) {
			continue
		}
		if at == len(arg) {
			return arg, true
		}
		return arg[:at] + Mask, false
	}
	if end < len(arg) {
		return arg[:end] + Mask, false
	}
	_, last := cutLast(arg)
	return arg, isSecretName(last)
}

// cutLast cuts an argument behind its last separator.
func cutLast(arg string) (before, after string) {
	i := strings.LastIndexAny(arg, separators)
	if i < 0 {
		return "", arg
	}
	_, size := utf8.DecodeRuneInString(arg[i:])
	return arg[:i+size], arg[i+size:]
}

// secretStart returns where in an argument something begins like a secret, its length if nowhere.
func secretStart(arg string) int {
	first := len(arg)
	for _, start := range secretStarts {
		for at := 0; ; {
			i := strings.Index(arg[at:first], start)
			if i < 0 {
				break
			}
			i += at
			if before, _ := utf8.DecodeLastRuneInString(arg[:i]); i == 0 || !unicode.IsLetter(before) && !unicode.IsDigit(before) {
				first = i
				break
			}
			at = i + 1
		}
	}
	return first
}

// redactUser masks the user name and password in an argument that is a URL, or was meant to be: a password with a # or a % in it makes it none, or another.
func redactUser(arg string) string {
	scheme, rest, ok := strings.Cut(arg, "://")
	if !ok {
		return arg
	}
	u, err := url.Parse(arg)
	if err == nil && u.User != nil {
		u.User = nil
		return strings.Replace(u.String(), "//", "//"+Mask+"@", 1)
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 && (err != nil || strings.Contains(u.Fragment, "@")) {
		return scheme + "://" + Mask + rest[i:]
	}
	return arg
}
