package command_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/secret"
)

func TestRedact(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"i-123 --region cn-hangzhou n=3 url:http://h/x", "i-123 --region cn-hangzhou n=3 url:http://h/x"},
		{"password=planted", "password=******"},
		{"PassWord:planted", "PassWord:******"},
		{"db_password=planted", "db_password=******"},
		{"--db-passwd=planted --api-key=planted API_KEY=planted apiKey:planted",
			"--db-passwd=****** --api-key=****** API_KEY=****** apiKey:******"},
		{"--token planted after", "--token ****** after"},
		{"--token --force", "--token --force"},
		{"-token planted", "-token ******"},
		{"token planted", "token ******"},
		{"secret= planted", "secret= ******"},
		{"Authorization: Bearer planted after", "Authorization: ****** ****** after"},
		{"密码=planted 口令 planted", "密码=****** 口令 ******"},
		{`{"user":"a","password":"planted","n":1}`, `{"user":"a","password":******`},
		{"https://h/x?a=1&access_token=planted&b=2", "https://h/x?a=1&access_token=******"},
		{"https://user:planted@h/x?a=1", "https://******@h/x?a=1"},
		{"https://planted@h", "https://******@h"},
		{"xoxb-planted ghp_planted LTAIplanted AKIAPLANTEDPLANTED12 whsec_planted eyJplanted -----BEGIN",
			"****** ****** ****** ****** ****** ****** ******"},
		{"private.key=planted", "private.key=******"},
		{"a=b=token", "a=b=token"},
		{"a=token planted", "a=token ******"},
		{"set password = planted after", "set password = ****** after"},
		{"密码 ： planted 密码：planted", "密码 ： ****** 密码：******"},
		{"SLACK=xoxb-planted hook:whsec_planted https://h/eyJplanted n=(AKIAPLANTEDPLANTED12",
			"SLACK=****** hook:****** https://h/****** n=(******"},
		{"n(AKIAPLANTEDPLANTED12=x xAKIAx ＝", "n(****** xAKIAx ＝"},
		{"asia-east1 n=asia-east1 h/asia/x", "asia-east1 n=asia-east1 h/asia/x"},
		{"postgres://user:pl#anted@h/db", "postgres://******@h/db"},
		{"mysql://root:100%planted@h", "mysql://******@h"},
		{"http://u:12#planted@h", "http://******@h"},
		{"EncodingAesKey=planted", "EncodingAesKey=******"},
		{"", ""},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, " ")
		}
		got := command.RedactArguments(args)
		if strings.Join(got, " ") != c.want || len(got) != len(args) {
			t.Errorf("redact %q = %q, want %q", c.args, got, c.want)
		}
	}
}

// TestRedactShapes has a secret of each vendor, in the form that its documents give, made up. They
// are in two pieces here, so that scanners of sources do not take them for real.
func TestRedactShapes(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 8)
	mixed := strings.Repeat("Pl4ntedN0tReal", 8)
	for _, c := range []struct{ vendor, begins, goesOn string }{
		{"Alibaba Cloud", "LTAI", "5tPlantedNotReal1234"},
		{"Alibaba Cloud, older", "LTAI", "PlantedNot12"},
		{"Alibaba Cloud STS", "STS.", "NTPlantedNotReal12345"},
		{"Alibaba Cloud STS token", "CAIS", mixed[:60]},
		{"Alibaba Cloud secret", "P1", "antedPlantedPlantedPlanted12"},
		{"AWS", "AKIA", "PLANTEDPLANTED12"},
		{"AWS STS", "ASIA", "PLANTEDPLANTED12"},
		{"AWS session token", "IQoJb3JpZ2lu", "X2VjPlantedNotReal//////////wEaDGV1LWNlbnRyYWwtMQ=="},
		{"AWS secret", "wP1antedNot", "RealK7MDENG/bPxRfiCYEXAMPLEKE"},
		{"AWS Bedrock", "ABSK", mixed[:60]},
		{"Baidu Cloud", "ALTAK", mixed[:21]},
		{"DigitalOcean", "dop_v1_", digits[:64]},
		{"DigitalOcean OAuth", "doo_v1_", digits[:64]},
		{"DigitalOcean refresh", "dor_v1_", digits[:64]},
		{"Google API key", "AIza", mixed[:35]},
		{"Google OAuth client", "GOCSPX-", mixed[:28]},
		{"Google OAuth token", "ya29.", mixed[:60]},
		{"Google refresh token", "1//0", mixed[:40]},
		{"Heroku", "HRKU-", mixed[:40]},
		{"Huawei Cloud", "HPUA", "PLANTEDPLANTED12"},
		{"JD Cloud", "JDC_", "PLANTEDPLANTEDPLANTED1234567"},
		{"Tencent Cloud", "AKID", mixed[:32]},
		{"Tencent Cloud secret", "P1", "antedPlantedPlantedPlantedPL12"},
		{"Volcengine", "AKLT", mixed[:43]},
		{"Yandex Cloud", "AQVN", mixed[:36]},
		{"Slack bot", "xoxb-", "123456789012-1234567890123-" + mixed[:24]},
		{"Slack user", "xoxp-", "123456789012-123456789012-" + digits[:32]},
		{"Slack workspace", "xoxa-", "2-" + digits[:32]},
		{"Slack refresh", "xoxr-", digits[:32]},
		{"Slack legacy", "xoxs-", digits[:32]},
		{"Slack cookie", "xoxd-", mixed[:40]},
		{"Slack rotating", "xoxe.xoxb-", "1-" + mixed[:60]},
		{"Slack app", "xapp-", "1-A0PLANTED-1234567890123-" + digits[:64]},
		{"Atlassian", "ATATT3", "xFfGF0" + mixed[:60]},
		{"Buildkite", "bkua_", digits[:40]},
		{"CircleCI", "CCIPAT_", mixed[:30] + "_" + digits[:40]},
		{"Clojars", "CLOJARS_", digits[:60]},
		{"Docker", "dckr_pat_", mixed[:27]},
		{"Docker organization", "dckr_oat_", mixed[:32]},
		{"GitHub", "ghp_", mixed[:36]},
		{"GitHub OAuth", "gho_", mixed[:36]},
		{"GitHub user", "ghu_", mixed[:36]},
		{"GitHub server", "ghs_", mixed[:36]},
		{"GitHub refresh", "ghr_", mixed[:76]},
		{"GitHub fine-grained", "github_pat_", mixed[:22] + "_" + mixed[:59]},
		{"GitLab", "glpat-", mixed[:20]},
		{"GitLab deploy", "gldt-", mixed[:20]},
		{"GitLab runner", "glrt-", mixed[:20]},
		{"GitLab OAuth", "gloas-", digits[:64]},
		{"GitLab SCIM", "glsoat-", mixed[:20]},
		{"GitLab trigger", "glptt-", digits[:40]},
		{"GitLab job", "glcbt-", "64_" + mixed[:20]},
		{"GitLab feed", "glft-", mixed[:20]},
		{"GitLab mail", "glimt-", mixed[:25]},
		{"GitLab agent", "glagent-", mixed[:50]},
		{"npm", "npm_", mixed[:36]},
		{"NuGet", "oy2", digits[:43]},
		{"PyPI", "pypi-", "AgEIcHlwaS5vcmc" + mixed[:60]},
		{"RubyGems", "rubygems_", digits[:48]},
		{"SonarQube", "squ_", digits[:40]},
		{"Groq", "gsk_", mixed[:52]},
		{"Hugging Face", "hf_", "PlantedPlantedPlantedPlantedPlante"},
		{"OpenAI", "sk-", mixed[:48]},
		{"OpenAI project", "sk-proj-", mixed[:60] + "-" + mixed[:20] + "_" + mixed[:20]},
		{"OpenAI service account", "sk-svcacct-", mixed[:60]},
		{"Anthropic", "sk-ant-", "api03-" + mixed[:80] + "-" + mixed[:6] + "AA"},
		{"OpenRouter", "sk-or-v1-", digits[:64]},
		{"DashScope, DeepSeek", "sk-", digits[:32]},
		{"Perplexity", "pplx-", mixed[:48]},
		{"Replicate", "r8_", mixed[:37]},
		{"xAI", "xai-", mixed[:80]},
		{"Brevo", "xkeysib-", digits[:64] + "-" + mixed[:16]},
		{"Flutterwave", "FLWSECK-", digits[:32] + "-X"},
		{"Mailgun", "key-", digits[:32]},
		{"Razorpay", "rzp_live_", mixed[:14]},
		{"SendGrid", "SG.", mixed[:22] + "." + mixed[:43]},
		{"Shopify", "shpat_", digits[:32]},
		{"Shopify custom", "shpca_", digits[:32]},
		{"Shopify private", "shppa_", digits[:32]},
		{"Shopify shared", "shpss_", digits[:32]},
		{"Square", "sq0csp-", mixed[:43]},
		{"Stripe", "sk_live_", mixed[:24]},
		{"Stripe test", "sk_test_", mixed[:24]},
		{"Stripe restricted", "rk_live_", mixed[:24]},
		{"Stripe and Standard Webhooks", "whsec_", mixed[:32] + "+/="},
		{"Twilio", "SK", digits[:32]},
		{"1Password", "ops_", "eyJ" + mixed[:80]},
		{"Databricks", "dapi", digits[:32]},
		{"Databricks with a number", "dapi", digits[:32] + "-2"},
		{"Doppler", "dp.pt.", mixed[:43]},
		{"Dynatrace", "dt0c01.", mixed[:24] + "." + mixed[:64]},
		{"Grafana", "glsa_", mixed[:32] + "_" + digits[:8]},
		{"HashiCorp Vault", "hvs.", mixed[:24]},
		{"HashiCorp Vault batch", "hvb.", mixed[:100]},
		{"HCP Terraform", mixed[:14], ".atlasv1." + mixed[:60]},
		{"OpenShift", "sha256~", mixed[:43]},
		{"New Relic", "NRAK-", "PLANTEDPLANTEDPLANTED123456"},
		{"PlanetScale", "pscale_tkn_", mixed[:43]},
		{"Postman", "PMAK-", digits[:24] + "-" + digits[:34]},
		{"Pulumi", "pul-", digits[:40]},
		{"Sentry", "sntrys_", "eyJ" + mixed[:60]},
		{"Supabase", "sbp_", digits[:40]},
		{"Tailscale", "tskey-", "auth-kPlanted1CNTRL-" + mixed[:32]},
		{"Airtable", "pat", mixed[:14] + "." + digits[:64]},
		{"Figma", "figd_", mixed[:40]},
		{"Linear", "lin_api_", mixed[:40]},
		{"Notion", "ntn_", mixed[:46]},
		{"age", "AGE-SECRET-KEY-", "1PLANTEDPLANTEDPLANTEDPLANTEDPLANTEDPLANTEDPLANTEDPLANTED12"},
		{"JWT", "eyJ", "hbGciOiJub25lIn0.eyJwIjoxfQ.UGxhbnRlZA"},
		{"Telegram", "123456789", ":AA" + mixed[:33]},
		{"Telegram in a URL", "bot123456789", ":AA" + mixed[:33]},
		{"Discord", "M" + mixed[:23], ".Planta." + mixed[:38]},
		{"Microsoft Entra", "abc", "8Q~" + mixed[:34]},
	} {
		hidden := c.begins + c.goesOn
		for form, want := range map[string]string{
			hidden:                            secret.Mask,
			"x=" + hidden:                     "x=" + secret.Mask,
			"(" + hidden + ")":                "(" + secret.Mask,
			"https://h.example.com/" + hidden: "https://h.example.com/" + secret.Mask,
			"参数：" + hidden:                    "参数：" + secret.Mask,
			"A,B," + hidden + ",C":            "A,B," + secret.Mask,
		} {
			if c.vendor == "Airtable" && strings.HasSuffix(form, ",C") {
				continue
			}
			if got := command.RedactArguments([]string{form}); got[0] != want {
				t.Errorf("%s: redact %q = %q, want %q", c.vendor, form, got[0], want)
			}
		}
		if got := command.RedactArguments([]string{"set", hidden, "now"}); got[1] != secret.Mask || got[2] != "now" {
			t.Errorf("%s: between others: %q", c.vendor, got)
		}
	}
	// Each prefix of the table is in the list above, or like one that is.
	for _, prefix := range command.TokenPrefixes() {
		if prefix == "" || strings.ContainsAny(prefix, " \t") {
			t.Errorf("the prefix %q is none", prefix)
		}
	}
}

// TestRedactNames has the values of names that are secrets', in every spelling.
func TestRedactNames(t *testing.T) {
	const planted = "hunter2planted"
	for _, name := range strings.Fields(`
		password Password PASSWORD passwd pass Pass PASS pwd PWD pw passphrase passcode pin PIN otp OTP totp key KEY tok token Token auth cred creds credential credentials
		secret secrets cookie session sessionid sig signature jwt bearer ak sk psk pat sas mfa cvv
		db_password db-password dbPassword DbPassword DB_PASSWORD db.password mysql_pwd MYSQL_PWD mysqlPwd rootpw dbpass requirepass userPass
		api_key api-key apiKey ApiKey APIKEY API_KEY apikey x-api-key X-Api-Key openai_key secretKey secret_key SECRET_KEY_BASE access_key_secret AccessKeySecret accessKeySecret
		privateKey private-key signing_key signingKey encrypt_key EncodingAESKey aesKey sshKey ssh-key authKey app_key AccountKey SharedAccessKey masterKey licenseKey
		access_token accessToken ACCESS_TOKEN refreshToken idToken auth_token botToken csrf-token session_token secret_token GITHUB_TOKEN gitlab-token
		client_secret clientSecret appSecret AppSecret webhookSecret password2 token1 new-password old_password passwordConfirm password_value token-prod authorization Authorization
		verification_code authCode oauth 密码 新密码 数据库密码 密碼 口令 密钥 密鑰 秘钥 私钥 令牌 验证码 校验码 凭证 凭据 密码2 パスワード 비밀번호 пароль contraseña Passwort`) {
		flag, after := "--"+name, "after"
		if name == "passphrase" || name == "cookie" { // whose value may be several words
			after = secret.Mask
		}
		for _, c := range []struct{ args, want []string }{
			{[]string{name + "=" + planted}, []string{name + "=" + secret.Mask}},
			{[]string{name + ":" + planted}, []string{name + ":" + secret.Mask}},
			{[]string{name + "＝" + planted}, []string{name + "＝" + secret.Mask}},
			{[]string{name + "：" + planted}, []string{name + "：" + secret.Mask}},
			{[]string{name + ":", planted, "after"}, []string{name + ":", secret.Mask, after}},
			{[]string{name + "=", planted, "after"}, []string{name + "=", secret.Mask, after}},
			{[]string{name, "=", planted, "after"}, []string{name, "=", secret.Mask, after}},
			{[]string{name, "：", planted}, []string{name, "：", secret.Mask}},
			{[]string{name, "=" + planted}, []string{name, "=" + secret.Mask}},
			{[]string{flag, planted, "after"}, []string{flag, secret.Mask, after}},
			{[]string{flag + "=" + planted}, []string{flag + "=" + secret.Mask}},
			{[]string{"—" + name, planted}, []string{"—" + name, secret.Mask}},
			{[]string{"—" + name + "=" + planted}, []string{"—" + name + "=" + secret.Mask}},
			{[]string{"–" + name, planted}, []string{"–" + name, secret.Mask}},
			{[]string{"-" + name, planted}, []string{"-" + name, secret.Mask}},
			{[]string{"－－" + name, planted}, []string{"－－" + name, secret.Mask}},
			{[]string{"{" + name + ":", planted + "}"}, []string{"{" + name + ":", secret.Mask}},
			{[]string{`{"` + name + `":"` + planted + `"}`}, []string{`{"` + name + `":` + secret.Mask}},
			{[]string{`{"` + name + `" : "` + planted + `"}`}, []string{`{"` + name + `" :` + secret.Mask}},
			{[]string{"a=1&" + name + "=" + planted + "&b=2"}, []string{"a=1&" + name + "=" + secret.Mask}},
			{[]string{"https://h/x?" + name + "=" + planted}, []string{"https://h/x?" + name + "=" + secret.Mask}},
			{[]string{"a=1;" + name + "=" + planted + ";b"}, []string{"a=1;" + name + "=" + secret.Mask}},
			{[]string{"--from-literal=" + name + "=" + planted},
				[]string{"--from-literal=" + name + "=" + secret.Mask}},
			{[]string{"-e" + name + "=" + planted}, []string{"-e" + name + "=" + secret.Mask}},
			{[]string{"-e", name + "=" + planted}, []string{"-e", name + "=" + secret.Mask}},
			{[]string{name + ": a phrase " + planted}, []string{name + ":" + secret.Mask}},
		} {
			if strings.HasPrefix(c.args[0], "-e") && len(c.args) == 1 && name != strings.ToUpper(name) {
				continue // attached without anything between, it is another name
			}
			if got := command.RedactArguments(c.args); !slices.Equal(got, c.want) {
				t.Errorf("redact %q = %q, want %q", c.args, got, c.want)
			}
		}
		if strings.Contains(name, ".") {
			continue // more often a file's
		}
		if got := command.RedactArguments([]string{"x", name, planted, "after"}); !slices.Equal(got,
			[]string{"x", name, secret.Mask, after}) {
			t.Errorf("redact %q = %q", name+" "+planted, got)
		}
	}
}

// TestRedactForms has what is neither a name with its value nor the shape of a vendor's.
func TestRedactForms(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{[]string{"-p", "planted", "x"}, []string{"-p", "******", "x"}},
		{[]string{"–p", "planted"}, []string{"–p", "******"}},
		{[]string{"—p", "planted"}, []string{"—p", "******"}},
		{[]string{"-p=planted"}, []string{"-p=******"}},
		{[]string{"-pPlanted1"}, []string{"-p******"}},
		{[]string{"--pass", "-x"}, []string{"--pass", "-x"}},
		{[]string{"--pass", "-planted"}, []string{"--pass", "******"}},
		{[]string{"-u", "alice:planted", "x"}, []string{"-u", "alice:******", "x"}},
		{[]string{"--user", "alice:planted"}, []string{"--user", "alice:******"}},
		{[]string{"-u", "alice", "x:y"}, []string{"-u", "alice", "x:y"}},
		{[]string{"-H", "Authorization: Bearer planted"}, []string{"-H", "Authorization:******"}},
		{[]string{"Authorization:", "Basic", "cGxhbnRlZA==", "x"}, []string{"Authorization:", "******", "******", "x"}},
		{[]string{"Authorization:", "Token", "planted", "x"}, []string{"Authorization:", "******", "******", "x"}},
		{[]string{"Authorization:Bearer", "planted"}, []string{"Authorization:******", "******"}},
		{[]string{"the password is planted indeed"}, []string{"the password is ******"}},
		{[]string{"say", "my  token  planted"}, []string{"say", "my  token  ******"}},
		{[]string{"curl -H x=ghp_planted"}, []string{"curl -H x=******"}},
		{[]string{"login at https://u:planted@h please"}, []string{"login at https://******@h please"}},
		{[]string{"passphrase", "correct", "horse", "battery", "--now"},
			[]string{"passphrase", "******", "******", "******", "--now"}},
		{[]string{"password", "is", "planted"}, []string{"password", "is", "******"}},
		{[]string{"the", "password", "for", "db1", "is", "planted"},
			[]string{"the", "password", "for", "******", "is", "******"}},
		{[]string{"password", "->", "planted"}, []string{"password", "->", "******"}},
		{[]string{"password", "set", "planted"}, []string{"password", "set", "******"}},
		{[]string{"token", "rotate", "planted"}, []string{"token", "rotate", "******"}},
		{[]string{"密码是planted"}, []string{"密码是******"}},
		{[]string{"密码planted"}, []string{"密码******"}},
		{[]string{"密码", "是", "planted"}, []string{"密码", "是", "******"}},
		{[]string{"密码改成planted"}, []string{"密码改成******"}},
		{[]string{"-----BEGIN", "RSA", "PRIVATE", "KEY-----", "MIIplanted", "planted", "-----END",
			"RSA", "PRIVATE", "KEY-----", "x"},
			[]string{"******", "******", "******", "******", "******", "******", "******",
				"******", "******", "******", "x"}},
		{[]string{"-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----"}, []string{"******"}},
		{[]string{"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=planted==;EndpointSuffix=core.windows.net"},
			[]string{"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=******"}},
		{[]string{"Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=planted="},
			[]string{"Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=******"}},
		{[]string{"Server=db;User=sa;Pwd=planted;"}, []string{"Server=db;User=sa;Pwd=******"}},
		{[]string{"https://a.blob.core.windows.net/c?sv=2024&sig=planted"},
			[]string{"https://a.blob.core.windows.net/c?sv=2024&sig=******"}},
		{[]string{"postgres://u:planted@h:5432/db?sslmode=require"},
			[]string{"postgres://******@h:5432/db?sslmode=require"}},
		{[]string{"redis://:planted@h:6379/0"}, []string{"redis://******@h:6379/0"}},
		{[]string{"mongodb+srv://u:planted@h1,h2/db"}, []string{"mongodb+srv://******@h1,h2/db"}},
		{[]string{"amqp://u:plan/ted@h"}, []string{"amqp://******@h"}},
		{[]string{"amqp://u:p@lanted@h"}, []string{"amqp://******@h"}},
		{[]string{"https://a:planted@h,https://b:planted@i"}, []string{"https://******@h,https://******@i"}},
		{[]string{"proxy=http://u:planted@h:8080"}, []string{"proxy=http://******@h:8080"}},
		{[]string{"root:planted@tcp(10.0.0.1:3306)/db"}, []string{"root:******@tcp(10.0.0.1:3306)/db"}},
		{[]string{"admin:planted@db1"}, []string{"admin:******@db1"}},
		{[]string{"https://hooks.slack.com/services/T0/B0/planted"},
			[]string{"https://hooks.slack.com/services/******"}},
		{[]string{"https://discord.com/api/webhooks/1/planted"}, []string{"https://discord.com/api/webhooks/******"}},
		{[]string{"https://open.feishu.cn/open-apis/bot/v2/hook/planted"},
			[]string{"https://open.feishu.cn/open-apis/bot/v2/hook/******"}},
		{[]string{"https://t.webhook.office.com/webhookb2/planted"},
			[]string{"https://t.webhook.office.com/webhookb2/******"}},
		{[]string{"https://oapi.dingtalk.com/robot/send?access_token=planted"},
			[]string{"https://oapi.dingtalk.com/robot/send?access_token=******"}},
		{[]string{"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=planted"},
			[]string{"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=******"}},
		{[]string{"https://chatconf.example.com/base/webhook/1234567890123456/cn-hangzhou/ops/planted"},
			[]string{"https://chatconf.example.com/base/webhook/1234567890123456/cn-hangzhou/ops/******"}},
		{[]string{"https://api.telegram.org/bot123456789:AAplantedplantedplantedplantedplante/x"},
			[]string{"https://api.telegram.org/******"}},
		{[]string{"cookie:", "a=b;", "c=planted", "--x"}, []string{"cookie:", "******", "******", "--x"}},
		{[]string{"basic", "dTpwbGFudGVk", "x"}, []string{"basic", "******", "x"}},
		{[]string{"basic", "training"}, []string{"basic", "training"}},
		{[]string{"access_token%3Dplanted"}, []string{"access_token%3D******"}},
		{[]string{"https://h/?u=https%3A%2F%2Fi%2F%3Ftoken%3Dplanted"},
			[]string{"https://h/?u=https%3A%2F%2Fi%2F%3Ftoken%3D******"}},
		{[]string{"password,planted", "password;planted", "password|planted", "password→planted", "token>planted"},
			[]string{"password,******", "password;******", "password|******", "password→******", "token>******"}},
		{[]string{"<password>planted</password>", "password(planted)"},
			[]string{"<password>******", "password(******"}},
		{[]string{"passwords[0]=planted", "config[password]=planted", "/password:planted"},
			[]string{"passwords[0]=******", "config[password]=******", "/password:******"}},
		{[]string{"https://oapi.dingtalk.com/robot/send?timestamp=1&sign=planted"},
			[]string{"https://oapi.dingtalk.com/robot/send?timestamp=1&sign=******"}},
		{[]string{"ak/sk", "planted"}, []string{"ak/sk", "******"}},
		{[]string{"mima", "planted"}, []string{"mima", "******"}},
		{[]string{"key", "list"}, []string{"key", "list"}},
		{[]string{"key", "planted"}, []string{"key", "******"}},
	} {
		if got := command.RedactArguments(c.args); !slices.Equal(got, c.want) {
			t.Errorf("redact %q = %q, want %q", c.args, got, c.want)
		}
	}
}

// TestRedactLeavesTheRest has what looks like a secret and is none.
func TestRedactLeavesTheRest(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(`
		restart i-bp1abcdefghijklmnopq --region asia-east1 --zone asia-southeast1-b
		asia-east1 n=asia-east1 ASIA AKIA eu-central-1 cn-hangzhou-h us-gov-west-1 sk-SK sk-1
		i-0123456789abcdef0 vpc-0123456789abcdef0 rm-bp1234567890abcde sg-bp12345678 d-bp1abcdefg lb-bp1 eni-0a1b2c
		123e4567-e89b-12d3-a456-426614174000 uuid=123e4567-e89b-12d3-a456-426614174000 123e4567e89b12d3a456426614174000
		da39a3ee5e6b4b0d3255bfef95601890afd80709 commit:da39a3ee5e6b4b0d3255bfef95601890afd80709 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
		DA39A3EE5E6B4B0D3255BFEF95601890AFD80709 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
		db1.example.com db1.example.com:5432 http://h:8080/x https://example.com/@user/post https://example.com/a?b=c@d git@github.com:org/repo.git
		server.key id_rsa.pub token.json passwords.txt /etc/ssl/private/server.key ./keys/a.pem cert.pem nginx.conf
		keyboard=us monkey=1 passenger=2 tokenizer=bpe tokenize=true turkey:1 hockey=a donkey=b author=alice authority=x bypass=true compass=n
		keyboard us monkey one passenger two tokenizer bpe author alice compass north
		pinned=true pineapple=1 spin=1 skip=x risk:low passthrough=on pass-through=on opinion=1 keystone=v3 keyspace=a secretary=bob
		key-id=abc key_name=a keyName=b KeyPairName=web public-key=abc primary_key=id partition-key=pk sort-key=sk2 tag-key=env hotkey=f1
		token-type=bearer token_url=https://h/t password-policy=strong session-timeout=30 auth-mode=ldap cookie-domain=example.com secret-name=db
		max_tokens=4096 maxTokens=4096 sessions=5 tokens=10 keys=3
		arn:aws:secretsmanager:eu-central-1:123456789012:secret:db acs:kms:cn-hangzhou:1234567890123456:secret/db
		registry.example.com/team/auth:v1.2.3 team/token:latest nginx:1.25@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
		to:alice@example.com mailto:alice@example.com alice@example.com owner:bob@example.com user@host
		--no-password now --password-stdin now --without-auth now --skip-token now sign it a,b;c|d token, key;x keys,values
		-port 8080 -path /x -prod -project a -profile b --port 8080 --path /x --project a -v -n 3 --now
		密码策略=强 密码策略 查看密码策略 令牌类型=a 重启 服务器
		a=b b:c 3/4 50% 12:30 2026-11-28T12:30:00Z 1.2.3 v1.2.3 C:\\x key-abc key-web-1 SKU123 SG-1 STS-1 hf_a npm_a pypi-mirror skip-1 disk-12345678 task-1234567890
		dapi-server glance ghost shp-1 oy2 pattern patch patient pat.1 ya29 eyes AIzaX xoxo sbp1 hvs1
		ou_0123456789abcdef0123456789abcdef oc_0123456789abcdef0123456789abcdef om_0123456789abcdef0123456789abcdef U0123ABCD C0123ABCDEF
		******
	`), "\n") {
		args := strings.Fields(line)
		if got := command.RedactArguments(args); !slices.Equal(got, args) {
			for i := range args {
				if got[i] != args[i] {
					t.Errorf("redact %q in %q = %q", args[i], line, got[i])
				}
			}
		}
	}
}

// TestRedactIsStable holds that what has been redacted stays as it is, for words put together of
// what means something to redaction.
func TestRedactIsStable(t *testing.T) {
	pieces := strings.Split(`password|token|key|-p|--|-|—|=|:|＝|：|://|@|/|?|&|;| `+
		`|"|{|}|密码|是|is|set|for|passphrase|Authorization|Bearer|basic|ghp_x|LTAIabcd|eyJa|AKIAPLANTEDPLANTED12|`+
		`-----BEGIN|-----END|KEY-----|-u|user:pass|a|x1|prod|.|1|arn:|sha256:|https://u:p@h|/webhook/a/b/c/d|`+
		`******|STS.abcd|auth|pin|策略`, "|")
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		args := make([]string, 1+random.IntN(5))
		for i := range args {
			for range 1 + random.IntN(4) {
				args[i] += pieces[random.IntN(len(pieces))]
			}
		}
		once := command.RedactArguments(slices.Clone(args))
		if twice := command.RedactArguments(slices.Clone(once)); len(once) != len(args) || !slices.Equal(once, twice) {
			t.Fatalf("redact %q = %q, and that = %q", args, once, twice)
		}
	}
}

// FuzzRedact holds that the value of a name that is a secret's is never shown, whatever stands
// before it, that what has been redacted stays as it is, and that whatever comes is no more words.
func FuzzRedact(f *testing.F) {
	f.Add("x", "planted-value")
	f.Add("https://u:p@h/?a=1&", "v=1")
	f.Add("is - — 密码 -----BEGIN", "://@:=")
	f.Fuzz(func(t *testing.T, before, value string) {
		const planted = "pl4nted"
		for _, args := range [][]string{
			{before + "password=" + planted + value}, {before, "--token", planted + value},
			{"--secret", planted + value}, {before, "--key=" + planted + value},
			{"ghp_" + planted + value, before},
		} {
			got := command.RedactArguments(slices.Clone(args))
			if len(got) != len(args) || strings.Contains(strings.Join(got, " "), planted) &&
				!strings.Contains(before, planted) {
				t.Errorf("redact %q = %q", args, got)
			}
		}
		for _, args := range [][]string{strings.Fields(before + " " + value), {before, value}, {before + value}} {
			once := command.RedactArguments(slices.Clone(args))
			if twice := command.RedactArguments(slices.Clone(once)); !slices.Equal(once, twice) {
				t.Errorf("redact %q = %q, and that = %q", args, once, twice)
			}
		}
	})
}
