package console_test

import (
	"encoding/base64"
	"testing"

	"chatconf/shared/chat"
)

// declared has actions with all that an action may have.
var declared = `"Target":{"Type":"Journal"},"Actions":{
"restart":{"Summary":"restart an <b>instance</b>","Aliases":["reboot","重启"],"Parameters":[
	{"Name":"instance","Required":true,"Pattern":"i-[a-z0-9]{1,20}","Help":"its id"},
	{"Name":"env","Type":"Enum","Values":["test","prod"],"Default":"test"},
	{"Name":"wait","Type":"Integer","Min":0,"Max":600},{"Name":"zone","Fixed":"cn"}],
	"Target":{"Type":"Oos","TemplateName":"Restart","SafetyCheck":"ConfirmEveryHighRiskAction",
	"Parameters":{"Id":"{instance}"}},"RamRole":"OpsRestart","TimeoutSeconds":900},
"deploy":{"Parameters":[{"Name":"token","Required":true,"Secret":true,"Min":8}],"DryRun":true,
	"Target":{"Type":"Http","Url":"https://ci.example.com/deploy","Secret":"` +
	base64.StdEncoding.EncodeToString([]byte(planted+"-secret-of-the-action")) + `"}},
"note":{}}`

// The table of actions has all of them, and no secret.
func TestActionsAreInATable(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(declared) })
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/permissions")
	wantText(t, page, "restart an &lt;b&gt;instance&lt;/b&gt;", "reboot", "重启",
		"text in the form i-[a-z0-9]{1,20}; required",
		"its id", "one of test, prod; default test", "a whole number from 0 to 600", "always cn", "Oos",
		"TemplateName: <bdi>Restart</bdi>", "SafetyCheck: <bdi>ConfirmEveryHighRiskAction</bdi>", "OpsRestart",
		"times out after 900 s", "may be tried with --dry-run", "https://ci.example.com/deploy", "that of the bot",
		"Secret: set; secrets are never shown")
	wantNoText(t, page, planted, base64.StdEncoding.EncodeToString([]byte(planted)))
	wantText(t, b.page("/console/bots/ops/permissions?lang=zh"), "900 秒后超时", "与机器人相同")
}
