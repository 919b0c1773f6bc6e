package command

import (
	"chatconf/shared/secret"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A tokenShape describes the secrets of one vendor by their prefixes.
type tokenShape struct {
	vendor   string
	prefixes string          // separated by blanks; case counts
	of       func(byte) bool // the characters that follow
	least    int             // how many must follow: more for a prefix that is also the start of a word
	exactly  bool            // no more than least follow
	behind   bool            // only the text behind the prefix is secret
}

// tokenShapes are documented by the vendors and used by scanners for leaked secrets:
// https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
// https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml
var tokenShapes = [...]tokenShape{
	// Clouds.
	{vendor: "Alibaba Cloud", prefixes: "LTAI", of: isAlnum, least: 4},
	{vendor: "Alibaba Cloud STS", prefixes: "STS.", of: isAlnum, least: 4},
	{vendor: "Alibaba Cloud STS token", prefixes: "CAIS CAES", of: isBase64, least: 40},
	{vendor: "AWS access key", prefixes: "AKIA ASIA ABIA ACCA", of: isUpperOrDigit, least: 16, exactly: true},
	{vendor: "AWS session token", prefixes: "FwoGZXIvYXdz IQoJb3JpZ2lu", of: isBase64, least: 4},
	{vendor: "AWS Bedrock", prefixes: "ABSK", of: isBase64, least: 40},
	{vendor: "Baidu Cloud", prefixes: "ALTAK", of: isAlnum, least: 16},
	{vendor: "DigitalOcean", prefixes: "dop_v1_ doo_v1_ dor_v1_", of: isAlnum, least: 4},
	{vendor: "Google API key", prefixes: "AIza", of: isURLSafe, least: 8},
	{vendor: "Google OAuth", prefixes: "GOCSPX- ya29. 1//0", of: isDotted, least: 8},
	{vendor: "Heroku", prefixes: "HRKU-", of: isURLSafe, least: 16},
	{vendor: "Huawei Cloud", prefixes: "HPUA", of: isUpperOrDigit, least: 16, exactly: true},
	{vendor: "JD Cloud", prefixes: "JDC_", of: isAlnum, least: 16},
	{vendor: "Tencent Cloud", prefixes: "AKID", of: isURLSafe, least: 8},
	{vendor: "Volcengine", prefixes: "AKLT AKTP", of: isAlnum, least: 16},
	{vendor: "Yandex Cloud", prefixes: "AQVN y0_ YCAJE YCM YCN YCO YCP", of: isURLSafe, least: 30},

	// Chat.
	{vendor: "Slack", prefixes: "xoxa- xoxb- xoxc- xoxd- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs-", of: isDotted, least: 1},
	{vendor: "Slack app", prefixes: "xapp- xwfp-", of: isDotted, least: 1},
	{vendor: "Slack webhook", prefixes: "hooks.slack.com/services/", of: isAlnum, least: 1, behind: true},
	{vendor: "Slack workflow", prefixes: "hooks.slack.com/workflows/ hooks.slack.com/triggers/",
		of: isAlnum, least: 1, behind: true},
	{vendor: "Discord webhook", prefixes: "discord.com/api/webhooks/", of: isAlnum, least: 1, behind: true},
	{vendor: "Discord webhook, older", prefixes: "discordapp.com/api/webhooks/", of: isAlnum, least: 1, behind: true},
	{vendor: "Feishu webhook", prefixes: "open.feishu.cn/open-apis/bot/v2/hook/",
		of: isURLSafe, least: 1, behind: true},
	{vendor: "Lark webhook", prefixes: "open.larksuite.com/open-apis/bot/v2/hook/",
		of: isURLSafe, least: 1, behind: true},
	{vendor: "Teams webhook", prefixes: "webhook.office.com/webhookb2/", of: isURLSafe, least: 1, behind: true},
	{vendor: "Teams webhook, older", prefixes: "outlook.office.com/webhook/", of: isURLSafe, least: 1, behind: true},

	// Code and packages.
	{vendor: "Atlassian", prefixes: "ATATT3 ATCTT3 ATBB", of: isURLSafe, least: 16},
	{vendor: "Buildkite", prefixes: "bkua_", of: isAlnum, least: 16},
	{vendor: "CircleCI", prefixes: "CCIPAT_ CCIPRJ_", of: isURLSafe, least: 16},
	{vendor: "Clojars", prefixes: "CLOJARS_", of: isAlnum, least: 16},
	{vendor: "Docker", prefixes: "dckr_pat_ dckr_oat_", of: isURLSafe, least: 4},
	{vendor: "GitHub", prefixes: "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", of: isURLSafe, least: 1},
	{vendor: "GitLab", prefixes: "glpat- gldt- glrt- glrtr- glsoat- glptt- glcbt-", of: isDotted, least: 1},
	{vendor: "GitLab, others", prefixes: "glft- glimt- glagent- gloas- glffct-", of: isDotted, least: 1},
	{vendor: "npm", prefixes: "npm_", of: isAlnum, least: 7},
	{vendor: "NuGet", prefixes: "oy2", of: isAlnum, least: 43, exactly: true},
	{vendor: "PyPI", prefixes: "pypi-Ag", of: isURLSafe, least: 4},
	{vendor: "PyPI", prefixes: "pypi-", of: isAlnum, least: 16},
	{vendor: "RubyGems", prefixes: "rubygems_", of: isAlnum, least: 16},
	{vendor: "SonarQube", prefixes: "squ_ sqp_ sqa_", of: isAlnum, least: 16},

	// Models.
	{vendor: "Groq", prefixes: "gsk_", of: isAlnum, least: 16},
	{vendor: "Hugging Face", prefixes: "hf_ api_org_", of: isAlnum, least: 7},
	{vendor: "OpenAI, Anthropic and compatible services", prefixes: "sk-", of: isURLSafe, least: 7},
	{vendor: "Perplexity", prefixes: "pplx-", of: isAlnum, least: 16},
	{vendor: "Replicate", prefixes: "r8_", of: isAlnum, least: 16},
	{vendor: "xAI", prefixes: "xai-", of: isAlnum, least: 16},

	// Mail, messages and money.
	{vendor: "Brevo", prefixes: "xkeysib- xsmtpsib-", of: isURLSafe, least: 4},
	{vendor: "Flutterwave", prefixes: "FLWSECK-", of: isURLSafe, least: 4},
	{vendor: "Mailgun", prefixes: "key-", of: isHex, least: 32, exactly: true},
	{vendor: "Razorpay", prefixes: "rzp_live_ rzp_test_", of: isAlnum, least: 8},
	{vendor: "SendGrid", prefixes: "SG.", of: isDotted, least: 7},
	{vendor: "Shopify", prefixes: "shpat_ shpca_ shppa_ shpss_", of: isAlnum, least: 4},
	{vendor: "Square", prefixes: "sq0atp- sq0csp- sq0idp- EAAAE", of: isURLSafe, least: 16},
	{vendor: "Stripe", prefixes: "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", of: isBase64, least: 1},
	{vendor: "Twilio", prefixes: "SK", of: isHex, least: 32, exactly: true},

	// Operations.
	{vendor: "1Password", prefixes: "ops_eyJ", of: isBase64, least: 4},
	{vendor: "Databricks", prefixes: "dapi", of: isHex, least: 16},
	{vendor: "Doppler", prefixes: "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", of: isDotted, least: 8},
	{vendor: "Dynatrace", prefixes: "dt0c01. dt0s01. dt0s02.", of: isDotted, least: 8},
	{vendor: "Grafana", prefixes: "glsa_ glc_", of: isURLSafe, least: 8},
	{vendor: "HashiCorp Vault", prefixes: "hvs. hvb. hvr.", of: isURLSafe, least: 4},
	{vendor: "Kubernetes and OpenShift", prefixes: "sha256~", of: isURLSafe, least: 16},
	{vendor: "New Relic", prefixes: "NRAK- NRJS- NRII-", of: isAlnum, least: 8},
	{vendor: "PlanetScale", prefixes: "pscale_tkn_ pscale_pw_ pscale_oauth_", of: isDotted, least: 4},
	{vendor: "Postman", prefixes: "PMAK-", of: isURLSafe, least: 16},
	{vendor: "Pulumi", prefixes: "pul-", of: isHex, least: 40, exactly: true},
	{vendor: "Sentry", prefixes: "sntrys_ sntryu_ sntrya_", of: isBase64, least: 8},
	{vendor: "Supabase", prefixes: "sbp_ sb_secret_", of: isURLSafe, least: 16},
	{vendor: "Tailscale", prefixes: "tskey-", of: isURLSafe, least: 4},

	// Work.
	{vendor: "Airtable", prefixes: "pat", of: isAirtable, least: 70},
	{vendor: "Figma", prefixes: "figd_ figo_ figu_", of: isURLSafe, least: 8},
	{vendor: "Linear", prefixes: "lin_api_ lin_oauth_", of: isAlnum, least: 8},
	{vendor: "Notion", prefixes: "ntn_ secret_", of: isAlnum, least: 16},

	// Everywhere.
	{vendor: "age", prefixes: "AGE-SECRET-KEY- age-secret-key- AGE-PLUGIN-", of: isURLSafe, least: 1},
	{vendor: "JWT", prefixes: "eyJ", of: isURLSafe, least: 1},
	{vendor: "PEM", prefixes: "-----BEGIN -----begin", of: isAnything, least: 0},
}

// shapesBy has the prefixes of tokenShapes by their first byte.
var shapesBy = func() (by [utf8.RuneSelf][]prefixShape) {
	for i := range tokenShapes {
		for prefix := range strings.FieldsSeq(tokenShapes[i].prefixes) {
			by[prefix[0]] = append(by[prefix[0]], prefixShape{prefix, &tokenShapes[i]})
		}
	}
	return by
}()

type prefixShape struct {
	prefix string
	*tokenShape
}

func isLower(c byte) bool        { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool        { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool        { return '0' <= c && c <= '9' }
func isAlnum(c byte) bool        { return isLower(c) || isUpper(c) || isDigit(c) }
func isUpperOrDigit(c byte) bool { return isUpper(c) || isDigit(c) }
func isHex(c byte) bool          { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
func isURLSafe(c byte) bool      { return isAlnum(c) || c == '-' || c == '_' }
func isDotted(c byte) bool       { return isURLSafe(c) || c == '.' }
func isBase64(c byte) bool       { return isURLSafe(c) || c == '+' || c == '/' || c == '=' }
func isAirtable(c byte) bool     { return isAlnum(c) || c == '.' }
func isAnything(byte) bool       { return true }

// run returns how many of the first bytes of s are of a kind, at most most.
func run(s string, of func(byte) bool, most int) int {
	n := 0
	for n < min(len(s), most) && of(s[n]) {
		n++
	}
	return n
}

// at returns the start of a secret of this shape in s, which begins with the prefix.
func (t prefixShape) at(s string) (start int, ok bool) {
	rest := s[len(t.prefix):]
	n := run(rest, t.of, t.least+1)
	if n < t.least || t.exactly && (n > t.least || n < len(rest) && isURLSafe(rest[n])) {
		return 0, false
	}
	if t.behind {
		return len(t.prefix), true
	}
	return 0, true
}

// secretStart returns the start of the first secret of a known shape in a word; the word's length
// without one. A secret does not begin right after a letter or a digit.
func secretStart(word string) int {
	first := len(word)
	inside := false // a letter or digit came right before
	for i, r := range word {
		if !inside && i < first {
			if start, ok := secretAt(word, i); ok {
				first = min(first, start)
			}
		}
		if i >= first {
			break
		}
		inside = unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	return min(first, ownWebhook(word))
}

// secretAt returns the start of a secret whose prefix begins at i.
func secretAt(word string, i int) (start int, ok bool) {
	s := word[i:]
	if c := s[0]; c < utf8.RuneSelf {
		for _, shape := range shapesBy[c] {
			if strings.HasPrefix(s, shape.prefix) {
				if start, ok := shape.at(s); ok {
					return i + start, true
				}
			}
		}
	}
	random := (i == 0 || word[i-1] != '.') && isRandom(s)
	return i, random || isBotToken(s) || isDiscordToken(s) || isAzureSecret(s) || isTerraformToken(s)
}

// isBotToken reports whether s begins with a token of a Telegram bot, 123456789:AA…, with or
// without "bot" before it.
func isBotToken(s string) bool {
	s = strings.TrimPrefix(s, "bot")
	n := run(s, isDigit, 13)
	return n >= 6 && n <= 12 && strings.HasPrefix(s[n:], ":") && run(s[n+1:], isURLSafe, 30) >= 30
}

// isDiscordToken reports whether s begins with a token of a Discord bot: an id in base64, a time
// and a code.
func isDiscordToken(s string) bool {
	id := run(s, isURLSafe, 29)
	if id < 23 || id > 28 || !strings.ContainsRune("MNO", rune(s[0])) || !strings.HasPrefix(s[id:], ".") {
		return false
	}
	at := run(s[id+1:], isURLSafe, 7)
	return at == 6 && strings.HasPrefix(s[id+1+at:], ".") && run(s[id+1+at+1:], isURLSafe, 27) >= 27
}

// isAzureSecret reports whether s begins with the secret of an app of Microsoft Entra: three
// characters, 7Q~ or 8Q~, and 31 to 34 more.
func isAzureSecret(s string) bool {
	of := func(c byte) bool { return isDotted(c) || c == '~' }
	return len(s) > 6 && run(s, isDotted, 3) == 3 && (s[3:6] == "7Q~" || s[3:6] == "8Q~") && run(s[6:], of, 28) == 28
}

// isTerraformToken reports whether s begins with a token of HCP Terraform.
func isTerraformToken(s string) bool {
	n := run(s, isAlnum, 15)
	rest, ok := strings.CutPrefix(s[n:], ".atlasv1.")
	return n == 14 && ok && run(rest, isURLSafe, 16) >= 16
}

// isRandom reports whether s begins with letters and digits of the length and the mix of an access
// key's secret, which has no prefix: 30 for Alibaba Cloud, 32 for Tencent Cloud, 40 for AWS, Huawei
// Cloud and others. Ids, hashes and UUIDs have only one case.
func isRandom(s string) bool {
	n := run(s, isAlnum, 41)
	if n != 30 && n != 32 {
		n = run(s, func(c byte) bool { return isAlnum(c) || c == '+' || c == '/' }, 41)
	}
	if n != 30 && n != 32 && n != 40 || n < len(s) && (isBase64(s[n]) || s[n] == '.' || s[n] == secret.Mask[0]) {
		return false
	}
	var upper, lower, digits int
	for i := range n {
		switch c := s[i]; {
		case isUpper(c):
			upper++
		case isLower(c):
			lower++
		case isDigit(c):
			digits++
		}
	}
	return upper >= 3 && lower >= 3 && digits >= 2
}

// ownWebhook returns the start of the token in a webhook URL of this service; the word's length
// without one.
func ownWebhook(word string) int {
	const mark = "/webhook/"
	i := strings.Index(word, mark)
	if i < 0 {
		return len(word)
	}
	at := i + len(mark)
	for range 3 { // account, region and name
		n := strings.IndexByte(word[at:], '/')
		if n < 0 {
			return len(word)
		}
		at += n + 1
	}
	return at
}
