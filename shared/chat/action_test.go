package chat_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// TestMistakesInActions checks the sentence of each mistake in Actions, Targets of actions and
// Parameters of statements. In members and in wants, @ stands for the path of the first action.
func TestMistakesInActions(t *testing.T) {
	const (
		notAWord = " is not a word that a sender can type as a command; write 1 to 128 characters without blanks, " +
			"'*', '?' and quotes."
		aRole = "is not a role; write a name of 1 to 64 letters, digits, '.', '@', '-' and '_', or the ARN of a role " +
			"of another account."
		aName   = "1 to 64 letters, digits, '-' and '_' that begin with a letter."
		types   = "Journal, Http, Function, Program, Oos, Ssm or StepFunctions."
		signing = `"Secret":"` + chattest.TargetSecret + `"`
	)
	const notRE2 = `@.Parameters[0].Pattern: is not a regular expression of RE2: `
	action := func(members string) string { return `"Actions":{"restart":{` + members + `}}` }
	param := func(members string) string { return action(`"Parameters":[{"Name":"env",` + members + `}]`) }
	target := func(members string) string { return action(`"Target":{` + members + `}`) }
	templated := func(value string) string {
		return action(`"Parameters":[{"Name":"Env"},{"Name":"region"}],` +
			`"Target":{"Type":"Oos","TemplateName":"T","Parameters":` + value + `}`)
	}
	allowing := func(value string) string {
		return action(`"Parameters":[{"Name":"Env"},{"Name":"key","Secret":true}],` +
			`"Target":{"Type":"Oos","TemplateName":"T","Allow":` + value + `}`)
	}
	const anAllow = `{"Action":"ecs:RebootInstance","Resource":"acs:ecs:*:*:instance/{instance}"}.`
	statement := func(effect, commands, values string) string {
		return `"Actions":{"restart":{"Parameters":[{"Name":"env","Type":"Enum","Values":["test","prod"]},` +
			`{"Name":"password","Secret":true},{"Name":"force","Type":"Boolean"},{"Name":"zone","Fixed":"a"},` +
			`{"Name":"id"},{"Name":"n","Type":"Integer","Default":1}],"Aliases":["重启"]},` +
			`"stop":{"Parameters":[{"Name":"env"},{"Name":"now"}]}},` +
			`"Permissions":[{"Effect":"` + effect + `","Principals":["*"],"Commands":` + commands +
			`,"Parameters":` + values + `}]`
	}
	for _, c := range []struct{ members, want string }{
		// Shapes.
		{`"Actions":[]`, `Configuration.Actions: is an array; write an object such as ` +
			`{"restart":{"Summary":"restart an instance"}}.`},
		{`"Actions":{"restart":"x"}`, `@: is a string; write an object such as {"Summary":"restart an instance"}.`},
		{`"Action":{}`, `Configuration.Action: unknown key for type Slack; did you mean Actions?`},
		{`"StrictAction":"true"`,
			`Configuration.StrictAction: unknown key for type Slack; did you mean StrictActions?`},
		{`"StrictActions":"yes"`, `Configuration.StrictActions: "yes" is not true or false.`},
		{`"StrictActions":1`, `Configuration.StrictActions: is a number; write a string of true or false.`},
		{`"StrictActions":null`,
			`Configuration.StrictActions: is true, false or null; write a string of true or false.`},
		{`"Actions":{` + repeat(101, `"a%d":{}`) + `}`, `Configuration.Actions: has 101 actions; the most is 100.`},
		{action(`"Alias":["r"]`), `@.Alias: unknown key; did you mean Aliases?`},
		{action(`"Summary":""`), `@.Summary: "" is not 1 to 200 characters.`},
		{action(`"DryRun":"x"`), `@.DryRun: "x" is not true or false.`},
		{action(`"RamRole":""`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"a b"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":1`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"acs:ram::*:role/ops"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"acs:ram::1:role/o*s"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"acs:ram:cn-hangzhou:1:role/ops"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"acs:ram::1:user/ops"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"arn:aws:iam::1:role/"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"arn:aws:iam::1:role/a:role/b"`), `@.RamRole: ` + aRole},
		{action(`"RamRole":"arn:aws:sts::1:role/ops"`), `@.RamRole: ` + aRole},

		// Names and aliases.
		{`"Actions":{"a b":{}}`, `Configuration.Actions["a b"]: "a b"` + notAWord},
		{`"Actions":{"":{}}`, `Configuration.Actions[""]: ""` + notAWord},
		{`"Actions":{"re*":{}}`, `Configuration.Actions["re*"]: "re*"` + notAWord},
		{`"Actions":{">x":{}}`, `Configuration.Actions[">x"]: ">x"` + notAWord},
		{`"Actions":{"it's":{}}`, `Configuration.Actions["it's"]: "it's"` + notAWord},
		{`"Actions":{"_x_":{}}`, `Configuration.Actions._x_: "_x_"` + notAWord},
		{`"Actions":{"` + strings.Repeat("重", 129) + `":{}}`, `Configuration.Actions["` + strings.Repeat("重", 33) +
			`\xe9"…]: "` + strings.Repeat("重", 33) + `\xe9"…` + notAWord},
		{`"Actions":{"help":{}}`, `Configuration.Actions.help: "help" is a built-in command; choose another word.`},
		{`"Actions":{"/WhoAmI":{}}`,
			`Configuration.Actions["/WhoAmI"]: "/WhoAmI" is a built-in command; choose another word.`},
		{`"Actions":{"Status":{"Target":{"Type":"Oos","TemplateName":"T"}}}`,
			`Configuration.Actions.Status: "Status" is a built-in command; choose another word.`},
		{`"Actions":{"restart":{},"Restart":{}}`,
			`Configuration.Actions.Restart: "Restart" is the same word as @; choose another one.`},
		{`"Actions":{"restart":{},"/ｒｅｓｔａｒｔ":{}}`, `Configuration.Actions["/ｒｅｓｔａｒｔ"]: "/ｒｅｓｔａｒｔ" is the ` +
			`same word as @; choose another one.`},
		{action(`"Aliases":"r"`), `@.Aliases: is a string; write an array of strings such as ["r"].`},
		{action(`"Aliases":[]`), `@.Aliases: has 0 entries; use 1 to 1000.`},
		{action(`"Aliases":[` + repeat(101, `"a%d"`) + `]`), `@.Aliases: has 101 aliases; the most is 100.`},
		{action(`"Aliases":["r s"]`), `@.Aliases[0]: "r s"` + notAWord},
		{action(`"Aliases":["RESTART"]`), `@.Aliases[0]: "RESTART" is the same word as @; choose another one.`},
		{action(`"Aliases":["r","R"]`), `@.Aliases[1]: "R" is the same word as @.Aliases[0]; choose another one.`},
		{action(`"Aliases":["r","r"]`), `@.Aliases[1]: "r" is listed twice.`},
		{action(`"Aliases":["HELP"]`), `@.Aliases[0]: "HELP" is a built-in command; choose another word.`},
		{`"Actions":{"restart":{"Aliases":["stop"]},"stop":{}}`,
			`@.Aliases[0]: "stop" is the same word as Configuration.Actions.stop; choose another one.`},
		{`"Actions":{"restart":{"Aliases":["r"]},"run":{"Aliases":["重启","/R"]}}`,
			`Configuration.Actions.run.Aliases[1]: "/R" is the same word as @.Aliases[0]; choose another one.`},
		{`"Actions":{"restart":{"Aliases":["cancel"]},"x":{"Target":{"Type":"Ssm","DocumentName":"D"}}}`,
			`@.Aliases[0]: "cancel" is a built-in command; choose another word.`},
		{`"Target":{"Type":"Program","Name":"p"},"Actions":{"restart":{"Aliases":["cancel"]}}`,
			`@.Aliases[0]: "cancel" is a built-in command; choose another word.`},
		{`"Actions":{"x":{"Target":{"Type":"Oos","TemplateName":"T"}}},` +
			`"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["Status"]}]`,
			`Configuration.Permissions[0].Commands[0]: "Status" is always allowed, so it cannot be denied.`},

		// Parameters.
		{action(`"Parameters":{}`),
			`@.Parameters: is an object; write an array such as [{"Name":"instance","Required":true}].`},
		{action(`"Parameters":["env"]`), `@.Parameters[0]: is a string; write an object such as {"Name":"instance"}.`},
		{action(`"Parameters":[{}]`), `@.Parameters[0].Name: is missing.`},
		{action(`"Parameters":[` + repeat(31, `{"Name":"a%d"}`) + `]`),
			`@.Parameters: has 31 parameters; the most is 30.`},
		{action(`"Parameters":[{"Name":"1st"}]`), `@.Parameters[0].Name: "1st" is not ` + aName},
		{action(`"Parameters":[{"Name":"环境"}]`), `@.Parameters[0].Name: "环境" is not ` + aName},
		{action(`"Parameters":[{"Name":"Dry-Run"}]`), `@.Parameters[0].Name: "Dry-Run" is what a sender writes for a ` +
			`dry run; choose another name.`},
		{action(`"Parameters":[{"Name":"a-b"},{"Name":"A_B"}]`), `@.Parameters[1].Name: "A_B" is the same name as ` +
			`that of @.Parameters[0]; choose another one.`},
		{param(`"Typ":"Enum"`), `@.Parameters[0].Typ: unknown key; did you mean Type?`},
		{param(`"Type":"enum"`),
			`@.Parameters[0].Type: "enum" is not String or Integer or Boolean or Enum; write Enum.`},
		{param(`"Type":"Enum"`), `@.Parameters[0].Values: is missing; write the values of the Enum.`},
		{param(`"Type":"Enum","Values":["a","a"]`), `@.Parameters[0].Values[1]: "a" is listed twice.`},
		{param(`"Type":"Enum","Values":["test","Test"]`),
			`@.Parameters[0].Values[1]: "Test" differs from "test" only in case or width.`},
		{param(`"Type":"Enum","Values":["prod","ＰＲＯＤ"]`),
			`@.Parameters[0].Values[1]: "ＰＲＯＤ" differs from "prod" only in case or width.`},
		{param(`"Type":"Enum","Values":["straße","STRAẞE"]`),
			`@.Parameters[0].Values[1]: "STRAẞE" differs from "straße" only in case or width.`},
		{param(`"Type":"Enum","Values":[""]`), `@.Parameters[0].Values[0]: "" is not 1 to 200 characters that can be ` +
			`typed in a message.`},
		{param(`"Type":"Enum","Values":["a\u202eb"]`), `@.Parameters[0].Values[0]: "a\u202eb" is not 1 to 200 ` +
			`characters that can be typed in a message.`},
		{param(`"Type":"Enum","Values":[` + repeat(101, `"a%d"`) + `]`),
			`@.Parameters[0].Values: has 101 values; the most is 100.`},
		{param(`"Values":["a"]`), `@.Parameters[0].Values: does not apply to Type String; remove it.`},
		{param(`"Type":"Integer","Pattern":"1+"`),
			`@.Parameters[0].Pattern: does not apply to Type Integer; remove it.`},
		{param(`"Type":"Boolean","Min":1`), `@.Parameters[0].Min: does not apply to Type Boolean; remove it.`},
		{param(`"Type":"Enum","Values":["a"],"Max":1`), `@.Parameters[0].Max: does not apply to Type Enum; remove it.`},
		{param(`"Min":1.5`), `@.Parameters[0].Min: "1.5" is not a whole number.`},
		{param(`"Max":"1e3"`), `@.Parameters[0].Max: "1e3" is not a whole number.`},
		{param(`"Max":"9223372036854775808"`), `@.Parameters[0].Max: "9223372036854775808" is not a whole number.`},
		{param(`"Max":true`), `@.Parameters[0].Max: is true, false or null; write a string of a whole number.`},
		{param(`"Min":-1`), `@.Parameters[0].Min: is a number of characters; use 0 to 8192.`},
		{param(`"Max":0`), `@.Parameters[0].Max: is a number of characters; use 1 to 8192.`},
		{param(`"Max":8193`), `@.Parameters[0].Max: is a number of characters; use 1 to 8192.`},
		{param(`"Min":9000`), `@.Parameters[0].Min: is a number of characters; use 0 to 8192.`},
		{param(`"Min":5,"Max":4`), `@.Parameters[0].Max: is less than Min.`},
		{param(`"Type":"Integer","Min":5,"Max":"-4"`), `@.Parameters[0].Max: is less than Min.`},
		{param(`"Pattern":1`), `@.Parameters[0].Pattern: write a regular expression such as "i-[a-z0-9]+".`},
		{param(`"Pattern":""`), `@.Parameters[0].Pattern: write a regular expression such as "i-[a-z0-9]+".`},
		{param(`"Pattern":"a)|(b"`), notRE2 + `unexpected ) in "a)|(b".`},
		{param(`"Pattern":"(a"`), notRE2 + `missing closing ) in "(a".`},
		{param(`"Pattern":"(a)\\1"`),
			notRE2 + `invalid escape sequence in "\\1".`},
		{param(`"Pattern":"(?=a)"`),
			notRE2 + `invalid or unsupported Perl syntax in "(?=".`},
		{param(`"Pattern":"` + strings.Repeat("a", 257) + `"`),
			`@.Parameters[0].Pattern: has 257 characters; the most is 256.`},
		{param(`"Pattern":"(a{1000}b{1000}c{1000})"`),
			`@.Parameters[0].Pattern: takes too long to match; use smaller repetitions.`},
		{action(`"Parameters":[` + repeat(22, `{"Name":"a%d","Pattern":".{950}"}`) + `]`), `@.Parameters[21].` +
			`Pattern: the patterns up to here are too large together; use smaller repetitions.`},
		{param(`"Required":"yes"`), `@.Parameters[0].Required: "yes" is not true or false.`},
		{param(`"Secret":0`), `@.Parameters[0].Secret: is a number; write a string of true or false.`},
		{param(`"Help":"a\u0007"`), `@.Parameters[0].Help: "a\a" is not 1 to 200 characters.`},

		// Default and Fixed.
		{param(`"Default":[]`), `@.Parameters[0].Default: is an array; write a string.`},
		{param(`"Fixed":null`), `@.Parameters[0].Fixed: is true, false or null; write a string.`},
		{param(`"Fixed":"a","Required":true`),
			`@.Parameters[0].Fixed: cannot be given for a Required parameter; remove one of them.`},
		{param(`"Fixed":"a","Default":"a"`),
			`@.Parameters[0].Fixed: cannot be given together with Default; remove one of them.`},
		{param(`"Default":"a","Required":"true"`),
			`@.Parameters[0].Default: is never used for a Required parameter; remove one of them.`},
		{param(`"Default":"planted","Fixed":"planted","Secret":true,"Max":1`),
			`@.Parameters[0].Default: a Secret cannot have a Default: readers of the configuration would see it. ` +
				`@.Parameters[0].Fixed: a Secret cannot have a Fixed: readers of the configuration would see it. ` +
				`@.Parameters[0].Fixed: cannot be given together with Default; remove one of them.`},
		{param(`"Default":"a","Secret":true`),
			`@.Parameters[0].Default: a Secret cannot have a Default: readers of the configuration would see it.`},
		{param(`"Fixed":"a","Secret":"true"`),
			`@.Parameters[0].Fixed: a Secret cannot have a Fixed: readers of the configuration would see it.`},
		{param(`"Min":2,"Default":"a"`), `@.Parameters[0].Default: "a" is not text of at least 2 characters.`},
		{param(`"Max":1,"Fixed":"重启"`), `@.Parameters[0].Fixed: "重启" is not text of 1 to 1 characters.`},
		{param(`"Pattern":"[a-z]+","Default":"a1"`),
			`@.Parameters[0].Default: "a1" is not text in the form [a-z]+.`},
		{param(`"Default":"a\u202eb"`),
			`@.Parameters[0].Default: has characters that cannot be typed in a message.`},
		{param(`"Type":"Integer","Max":10,"Default":11`),
			`@.Parameters[0].Default: "11" is not a whole number of at most 10.`},
		{param(`"Type":"Integer","Min":1,"Default":"0"`),
			`@.Parameters[0].Default: "0" is not a whole number of at least 1.`},
		{param(`"Type":"Integer","Min":1,"Max":3,"Default":1e0`),
			`@.Parameters[0].Default: "1e0" is not a whole number from 1 to 3.`},
		{param(`"Type":"Integer","Default":"+1"`), `@.Parameters[0].Default: "+1" is not a whole number.`},
		{param(`"Type":"Boolean","Fixed":"yes"`), `@.Parameters[0].Fixed: "yes" is not true or false.`},
		{param(`"Type":"Enum","Values":["a"],"Default":"A"`), `@.Parameters[0].Default: "A" is not one of a.`},

		// Targets of actions.
		{action(`"Target":"Journal"`), `@.Target: is a string; write an object such as {"Type":"Journal"}.`},
		{target(`"Name":"x"`), `@.Target.Type: use ` + types},
		{target(`"Type":"Lambda"`), `@.Target.Type: unknown type "Lambda"; use ` + types},
		{target(`"Type":"Http"`), `@.Target.Url: is missing. @.Target.Secret: is missing.`},
		{target(`"Type":"Http","Url":"http://a.example.com",` + signing),
			`@.Target.Url: write an https URL without user name and fragment.`},
		{target(`"Type":"Http","Url":"https://10.0.0.1",` + signing),
			`@.Target.Url: use a host on the public Internet; to allow it, add 10.0.0.1/32 to ` +
				`CHATCONF_TARGET_NETWORKS of the service.`},
		{target(`"Type":"Http","Url":"https://a.example.com","Secret":"short"`),
			`@.Target.Secret: is not 24 to 64 bytes in base64, with or without whsec_ before it.`},
		{target(`"Type":"Http","Url":"https://a.example.com","Secret":"******"`),
			`@.Target.Secret: is masked, and no stored secret exists; write the secret itself.`},
		{target(`"Type":"Function"`), `@.Target.Name: is missing.`},
		{target(`"Type":"Function","Name":"a b"`),
			`@.Target.Name: "a b" is not 1 to 256 printable ASCII characters without blanks, '*', '?' and "${".`},
		{target(`"Type":"Program","Name":"../x"`), `@.Target.Name: "../x" is not the name of a file: 1 to 64 ` +
			`letters, digits, '.', '-' and '_' that do not begin with '.' or '-'.`},
		{target(`"Type":"Program","Name":".x"`), `@.Target.Name: ".x" is not the name of a file: 1 to 64 letters, ` +
			`digits, '.', '-' and '_' that do not begin with '.' or '-'.`},
		{target(`"Type":"Oos"`), `@.Target.TemplateName: is missing.`},
		{target(`"Type":"Oos","TemplateName":"a/b"`),
			`@.Target.TemplateName: "a/b" is not 1 to 200 letters, digits, '-' and '_'.`},
		{target(`"Type":"Oos","TemplateName":"T","TemplateVersion":""`),
			`@.Target.TemplateVersion: "" is not 1 to 256 printable ASCII characters without blanks.`},
		{target(`"Type":"Oos","TemplateName":"T","SafetyCheck":"skip"`),
			`@.Target.SafetyCheck: "skip" is not Skip or ConfirmEveryHighRiskAction; write Skip.`},
		{target(`"Type":"Oos","TemplateName":"T","Mode":"Debug"`),
			`@.Target.Mode: unknown key; use one of Type, TemplateName, TemplateVersion, Parameters, ` +
				`SafetyCheck, Allow.`},
		{target(`"Type":"Ssm","DocumentName":"a b"`),
			`@.Target.DocumentName: "a b" is not 1 to 256 letters, digits, '.', '-', '_', ':' and '/'.`},
		{target(`"Type":"Function","Name":"restart-*"`), `@.Target.Name: "restart-*" is not 1 to 256 printable ASCII ` +
			`characters without blanks, '*', '?' and "${".`},
		{target(`"Type":"StepFunctions","StateMachineArn":"arn:aws:states:r:1:stateMachine:?"`),
			`@.Target.StateMachineArn: "arn:aws:states:r:1:stateMachine:?" is not the ARN of a state machine, such ` +
				`as arn:aws:states:eu-west-1:123456789012:stateMachine:restart.`},
		{target(`"Type":"StepFunctions"`), `@.Target.StateMachineArn: is missing.`},
		{target(`"Type":"StepFunctions","StateMachineArn":"restart"`), `@.Target.StateMachineArn: "restart" is not ` +
			`the ARN of a state machine, such as arn:aws:states:eu-west-1:123456789012:stateMachine:restart.`},
		{`"Target":{"Type":"Oos","TemplateName":"T"}`, `Configuration.Target.Type: Oos is only for the Target of an ` +
			`action; write it in Actions, or use Journal, Http, Function or Program.`},
		{`"Target":{"Type":"Program","Name":"-rf"}`, `Configuration.Target.Name: "-rf" is not the name of a file: ` +
			`1 to 64 letters, digits, '.', '-' and '_' that do not begin with '.' or '-'.`},
		{templated(`[]`), `@.Target.Parameters: is an array; write an object such as {"InstanceId":"{instance}"}.`},
		{templated(`{"a":"{ENV}","b":"x-{region}-{zone}"}`), `@.Target.Parameters.b: {zone} is not a parameter of ` +
			`the action; use one of Env, region.`},
		{templated(`{"a":["{env}","{regio}"]}`),
			`@.Target.Parameters.a[1]: {regio} is not a parameter of the action; did you mean region?`},
		{templated(`{"a":1}`), `@.Target.Parameters.a: is a number; write a string or an array of strings.`},
		{templated(`{"a":[["x"]]}`), `@.Target.Parameters.a[0]: is an array; write a string or an array of strings.`},
		{templated(`{"":"x"}`), `@.Target.Parameters[""]: is not the name of a parameter; write 1 to 200 characters.`},
		{templated(`{` + repeat(201, `"a%d":""`) + `}`), `@.Target.Parameters: has 201 parameters; the most is 200.`},
		{templated(`{"a":[` + repeat(201, `"%d"`) + `]}`), `@.Target.Parameters.a: has 201 entries; the most is 200.`},
		{target(`"Type":"Oos","TemplateName":"T","Parameters":{"a":"{env}"}`),
			`@.Target.Parameters.a: {env} is not a parameter of the action; none is declared.`},
		{allowing(`{}`), `@.Target.Allow: write an array of 1 to 20 statements such as ` + anAllow},
		{allowing(`[]`), `@.Target.Allow: write an array of 1 to 20 statements such as ` + anAllow},
		{allowing(`[` + repeat(21, `{"Action":"a:%d","Resource":"r"}`) + `]`),
			`@.Target.Allow: write an array of 1 to 20 statements such as ` + anAllow},
		{allowing(`["x"]`), `@.Target.Allow[0]: is a string; write an object such as ` + anAllow},
		{allowing(`[{"Action":"a:b","Effect":"Deny"}]`), `@.Target.Allow[0].Effect: unknown key; use one of ` +
			`Action, Resource. Configuration.Actions.restart.Target.Allow[0].Resource: is missing.`},
		{allowing(`[{"Action":[],"Resource":"r"}]`),
			`@.Target.Allow[0].Action: write a string or an array of 1 to 20 strings.`},
		{allowing(`[{"Action":"a b","Resource":"r"}]`),
			`@.Target.Allow[0].Action: "a b" is not 1 to 512 printable ASCII characters without blanks.`},
		{allowing(`[{"Action":"a:b","Resource":["x/{env}","x/{en}"]}]`),
			`@.Target.Allow[0].Resource: {en} is not a parameter of the action; did you mean Env?`},
		{allowing(`[{"Action":"a:b","Resource":"x/{KEY}"}]`),
			`@.Target.Allow[0].Resource: {KEY} is a Secret, which must not be in a policy.`},
		{target(`"Type":"StepFunctions","StateMachineArn":"arn:aws:states:r:1:stateMachine:x","Allow":[]`),
			`@.Target.Allow: unknown key; use one of Type, StateMachineArn, Parameters.`},

		// TimeoutSeconds and DryRun.
		{action(`"TimeoutSeconds":5`), `@.TimeoutSeconds: does not apply to a Target of type Journal; remove it.`},
		{action(`"TimeoutSeconds":41`) + `,"Target":{"Type":"Function","Name":"f"}`,
			`@.TimeoutSeconds: "41" is not a number of seconds from 1 to 40.`},
		{action(`"TimeoutSeconds":"0","Target":{"Type":"Program","Name":"f"}`),
			`@.TimeoutSeconds: "0" is not a number of seconds from 1 to 600.`},
		{action(`"TimeoutSeconds":86401,"Target":{"Type":"Ssm","DocumentName":"D"}`),
			`@.TimeoutSeconds: "86401" is not a number of seconds from 1 to 86400.`},
		{action(`"TimeoutSeconds":[],"Target":{"Type":"Program","Name":"f"}`),
			`@.TimeoutSeconds: is an array; write a string of a number of seconds from 1 to 600.`},
		{action(`"DryRun":true,"Target":{"Type":"Oos","TemplateName":"T"}`),
			`@.DryRun: an execution of Oos has no dry run; remove it.`},

		// Parameters of statements.
		{statement("Allow", `["restart"]`, `["env"]`),
			`#: write an object with names of parameters, such as {"env":["test","dev-*"]}.`},
		{statement("Allow", `["restart"]`, `{}`), `#: write an object with ` +
			`names of parameters, such as {"env":["test","dev-*"]}.`},
		{statement("Allow", `["restart"]`, `{"evn":["test"]}`),
			`#.evn: no action of the statement's Commands declares this parameter; did you mean env?`},
		{statement("Allow", `["restart"]`, `{"now":["x"]}`), `#.now: no action of the statement's Commands declares ` +
			`this parameter; use one of env, force, id, n, password, zone.`},
		{statement("Deny", `["restart"]`, `{"id":["x"]}`), `#.id: a Deny does not match a command without this ` +
			`value; make the parameter Required, or give it a Default.`},
		{statement("Deny", `["*"]`, `{"env":["prod"]}`), `#.env: a Deny does not match a command without this ` +
			`value; make the parameter Required, or give it a Default.`},
		{statement("Deny", `["restart"]`, `{"force":["fals?"]}`), `#.force: a Deny does not match a command without ` +
			`this value; make the parameter Required, or give it a Default.`},
		{statement("Allow", `["restart"]`, `{"id":[`+repeat(300, `"*`+strings.Repeat("a", 190)+`%d"`)+`]}`),
			`#.id: there is too much to compare; write fewer and shorter patterns, and a Max for a String.`},
		{statement("Allow", `["restart"]`, `{"n":[`+repeat(100, `"*`+strings.Repeat("1", 190)+`%d"`)+`],`+
			`"id":[`+repeat(700, `"x%d*"`)+`],"zone":["b"]}`),
			`#.zone[0]: "b" matches no value that the parameter can have.`},
		{statement("Deny", `["restart"]`, `{"n":["1"],"force":["true"],"zone":["a","b"]}`),
			`#.zone[1]: "b" matches no value that the parameter can have.`},
		{statement("Allow", `["stop","重启"]`, `{"env":["x"]}`), `Configuration.Permissions[0].Commands[1]: "重启" ` +
			`is an alias, and Permissions need the name of the action; write "restart".`},
		{`"Actions":{"restart":{}},"StrictActions":"true",` +
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["re*","help","Restart","stop"]}]`,
			`Configuration.Permissions[0].Commands[3]: "stop" matches no action, and with StrictActions there is no ` +
				`other command.`},
		{`"StrictActions":"true","Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["*"]}]`,
			`Configuration.Permissions[0].Commands[0]: "*" matches no action, and with StrictActions there is no ` +
				`other command.`},
		{statement("Allow", `["reboot"]`, `{"env":["test"]}`),
			`#.env: no action of the statement's Commands declares this parameter; none is declared.`},
		{statement("Deny", `["*"]`, `{"password":["x*"]}`), `#.password: is a Secret, which a statement cannot name.`},
		{statement("Allow", `["restart"]`, `{"env":["test","dev-*"]}`),
			`#.env[1]: "dev-*" matches no value that the parameter can have.`},
		{statement("Allow", `["restart"]`, `{"force":["yes"]}`),
			`#.force[0]: "yes" matches no value that the parameter can have.`},
		{statement("Deny", `["restart"]`, `{"n":["1","05"]}`),
			`#.n[1]: "05" matches no value that the parameter can have.`},
		{statement("Deny", `["restart"]`, `{"n":["1?","-*","x*"]}`),
			`#.n[2]: "x*" matches no value that the parameter can have.`},
		{statement("Allow", `["restart"]`, `{"env":["TEST","Pro?","pro"]}`),
			`#.env[2]: "pro" matches no value that the parameter can have.`},
		{statement("Deny", `["restart"]`, `{"zone":["b"]}`),
			`#.zone[0]: "b" matches no value that the parameter can have.`},
		{statement("Allow", `["restart"]`, `{"env":"test"}`),
			`#.env: is a string; write an array of strings such as ["test"].`},
		{statement("Allow", `["restart"]`, `{"env":["test"],"ENV":["prod"]}`),
			`#.ENV: is the same parameter as env; write one of them.`},
		{`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Parameters":{"env":["x"]}}]`,
			`#.env: no action of the statement's Commands declares this parameter; none is declared.`},

		// All at once.
		{action(`"Aliases":["help"],"Parameters":[{"Name":"a","Type":"Enum"},{"Name":"a"}],"RamRole":"",`+
			`"Target":{"Type":"Oos"}`) + `,"StrictActions":"x"`,
			`@.Aliases[0]: "help" is a built-in command; choose another word. ` +
				`@.Parameters[0].Values: is missing; write the values of the Enum. ` +
				`@.Parameters[1].Name: "a" is the same name as that of @.Parameters[0]; choose another one. ` +
				`@.RamRole: ` + aRole + ` @.Target.TemplateName: is missing. ` +
				`Configuration.StrictActions: "x" is not true or false.`},
	} {
		want := strings.NewReplacer("@", "Configuration.Actions.restart", "'@'", "'@'",
			"#", "Configuration.Permissions[0].Parameters").Replace(c.want)
		_, _, _, err := chat.Settle(platformOf(t, "Slack"), chattest.With(chattest.Slack, c.members), never, zeros)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.InvalidParameter || e.Param != "Configuration" || e.Message != want {
			t.Errorf("%s:\n got %v\nwant %s", c.members, err, want)
		}
	}
}

// repeat returns n times format with the numbers from 0, with commas in between.
func repeat(n int, format string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(list, ",")
}

// BenchmarkLargeActions checks documents of the maximum size: some 2 to 60 ms each.
func BenchmarkLargeActions(b *testing.B) {
	long := func(format string) string { // as often as it fits
		n := (chat.MaxConfiguration - 2000) / (len(fmt.Sprintf(format, 10000)) + 1)
		return repeat(n, format)
	}
	action := func(members string) string { return `"Actions":{"a":{` + members + `}}` }
	patterns := func(pattern string) string {
		return `"Actions":{` + repeat(20, `"a%d":{"Parameters":[`+
			repeat(9, `{"Name":"x%d","Pattern":"`+pattern+`"}`)+`]}`) + `}`
	}
	for about, members := range map[string]string{
		"aliases":       action(`"Aliases":[` + long(`"x%d"`) + `]`),
		"equal aliases": `"Actions":{` + repeat(90, `"a%d":{"Aliases":[`+repeat(90, `"x%d"`)+`]}`) + `}`,
		"different aliases": `"Actions":{` + repeat(99, `"a%[1]d":{"Aliases":["`+
			strings.ReplaceAll(repeat(60, "x%%[1]d-%d"), ",", `","`)+`"]}`) + `}`,
		"actions":      `"Actions":{` + long(`"x%d":{}`) + `}`,
		"parameters":   action(`"Parameters":[` + long(`{"Name":"x%d"}`) + `]`),
		"values":       action(`"Parameters":[{"Name":"x","Type":"Enum","Values":[` + long(`"x%d"`) + `]}]`),
		"unknown keys": action(long(`"x%d":1`)),
		"braces": action(`"Target":{"Type":"Oos","TemplateName":"T","Parameters":{"a":"` +
			strings.Repeat("{", 60000) + `"}}`),
		"patterns":           patterns(strings.Repeat("[^a-z]", 40)),
		"large patterns":     patterns(".{900}"),
		"patterns too large": patterns(strings.Repeat(".{1000}", 36)),
		"statements": `"Actions":{` + repeat(99, `"`+strings.Repeat("a", 120)+`%d":{"Parameters":[{"Name":"e"}]}`) +
			`},"Permissions":[` + repeat(100, `{"Effect":"Allow","Principals":["*"],"Commands":["`+
			strings.Repeat("a*", 60)+`%d"],"Parameters":{"e":["x"]}}`) + `]`,
	} {
		b.Run(about, func(b *testing.B) {
			slack, text := platformOf(b, "Slack"), chattest.With(chattest.Slack, members)
			for b.Loop() {
				_, _, _, _ = chat.Settle(slack, text, never, zeros) // most are refused
			}
		})
	}
}

// httpAction returns a member of Actions with a Target of type Http.
func httpAction(name, secret string) string {
	return fmt.Sprintf(`%q:{"Target":{"Type":"Http","Url":"https://a.example.com/","Secret":%q}}`, name, secret)
}

// TestSecretsOfActions checks that each action has a secret of its own: sealed, masked on every
// read, kept where it is sent back as a mask, and dropped with its action.
func TestSecretsOfActions(t *testing.T) {
	const mask = secret.Mask
	secretOf := func(n int) string { return fmt.Sprintf("whsec_cGxhbnRlZHBsYW50ZWRwbGFudGVkcGxhbnRl%02d==", n) }
	h := newHouse(t)
	update := func(members ...string) error {
		_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(
			chattest.With(chattest.Slack, `"Actions":{`+strings.Join(members, ",")+`}`)))})
		return err
	}
	check := func(want map[string]string) { // by action
		t.Helper()
		e, shown, all := h.Open("one"), h.MustGet("one").Configuration, h.stored("one").Secrets
		for name, hidden := range want {
			chattest.Equal(t, "the secrets of "+name, e.TargetOf(command.Command{Action: name}).Secrets,
				[]secret.Text{secret.Text(hidden)})
			if all["Actions."+name+".Target.Secret"] != hidden {
				t.Errorf("stored are %q, without the one of %s", all, name)
			}
		}
		if n := strings.Count(shown, `"Secret":"`+mask+`"`); n != len(want) || strings.Contains(shown, "whsec_") {
			t.Errorf("%d masks for %d secrets: %s", n, len(want), shown)
		}
		if len(all) != len(want)+2 { // besides those of the platform and the webhook
			t.Errorf("stored are %d secrets, want %d", len(all), len(want)+2)
		}
		h.MustAgree()
	}
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Actions":{`+
			httpAction("restart", secretOf(1))+`,`+httpAction("重启.now", secretOf(2))+`,"stop":{}}`))
	})
	check(map[string]string{"restart": secretOf(1), "重启.now": secretOf(2)})

	if err := update(httpAction("restart", mask), httpAction("重启.now", secretOf(3))); err != nil {
		t.Error(err)
	}
	check(map[string]string{"restart": secretOf(1), "重启.now": secretOf(3)})

	if err := update(httpAction("Restart", mask)); err != nil { // the same action in another case
		t.Error(err)
	}
	check(map[string]string{"restart": secretOf(1)})

	for _, name := range []string{"重启.now", "start", "restart.x"} { // dropped, or never there
		err := update(httpAction("Restart", mask), httpAction(name, mask))
		chattest.WantError(t, name, err, fault.InvalidParameter, "Configuration", "Target.Secret: is masked, and no "+
			"stored secret exists")
	}
	if err := update(`"restart":{}`); err != nil {
		t.Error(err)
	}
	check(nil)
	if err := update(httpAction("restart", mask)); err == nil {
		t.Error("a secret that was dropped is back")
	}
}

// TestCheckFindsAMissingSecretOfAnAction removes the secret of an action from a record.
func TestCheckFindsAMissingSecretOfAnAction(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Actions":{`+
			httpAction("restart", chattest.TargetSecret)+`}`))
	})
	item := h.Item(chat.ConfigurationKey("one"))
	value := strings.Replace(string(item.Value), `"Actions.restart.Target.Secret":`,
		`"Actions.other.Target.Secret":`, 1)
	h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: []byte(value), Revision: item.Revision}}})
	report, err := h.Check(h.Ctx, chattest.Account, chattest.Region)
	if err != nil || !slices.Contains(report.Problems, `"one" has no Actions.restart.Target.Secret`) {
		t.Errorf("Check = %q, %v", report.Problems, err)
	}
	if !slices.ContainsFunc(report.Problems, func(p string) bool {
		return strings.Contains(p, "open Actions.other.Target.Secret")
	}) {
		t.Errorf("a secret opens in another place: %q", report.Problems)
	}
}

// TestReferenceOfActions checks that the reference has the keys of actions, parameters and Targets,
// and that its example can be saved and does what it says.
func TestReferenceOfActions(t *testing.T) {
	page, err := os.ReadFile("../../functions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Actions of a Configuration\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := func(heading string) map[string]string { // by key: the other column
		_, table, ok := strings.Cut(section, "\n| "+heading+" |")
		if !ok {
			t.Fatalf("the reference lacks a table of %q", heading)
		}
		table, _, _ = strings.Cut(table, "\n\n")
		out := make(map[string]string)
		for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| (.*) \\|$").FindAllStringSubmatch(table, -1) {
			out[m[1]] = m[2]
		}
		return out
	}
	action, parameter, target := chat.KeysOfActions()
	for heading, want := range map[string][]string{"key of an action": action, "key of a parameter": parameter} {
		chattest.Equal(t, heading, slices.Sorted(maps.Keys(rows(heading))), slices.Sorted(slices.Values(want)))
	}
	described := rows("`Type` of a Target")
	for kind, keys := range target {
		row := " " + regexp.MustCompile(`[,;:_]|\(.*\)`).ReplaceAllString(described[kind], "") + " "
		for _, key := range keys {
			if name, mandatory := strings.CutPrefix(key, "*"); mandatory {
				key = "**" + name + "**"
			}
			if !strings.Contains(row, " "+key+" ") {
				t.Errorf("the reference of %s lacks %s: %q", kind, key, row)
			}
		}
		followed := strings.HasSuffix(described[kind], "; followed")
		if followed != (command.Target{Type: kind}).Followed() {
			t.Errorf("the reference says that %s is followed: %v", kind, followed)
		}
	}
	if len(described) != len(target) {
		t.Errorf("the reference has %d types of Targets, and the code %d", len(described), len(target))
	}

	_, example, _ := strings.Cut(section, "<<'BOT'\n")
	example, _, _ = strings.Cut(example, "\nBOT\n")
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = secret.Text(example) })
	chat.Settled(platformOf(t, "Slack"), example, nil)
	for _, c := range []struct {
		user, message, action string
		allowed               bool
		role                  string
	}{
		{"alice", "restart i-1", "restart", true, "OpsRestart"},
		{"alice", "reboot i-1 --env dev-2 wait=5", "restart", true, "OpsRestart"},
		{"alice", "restart i-1 env=prod", "restart", false, ""},
		{"alice", "重启 i-1 env=pord", "restart", false, ""},
		{"bob", "restart i-1 env=prod", "restart", true, "OpsAll"},
		{"bob", "deploy v1 token=12345678 --dry-run", "deploy", true, "OpsAll"},
		{"bob", "other", "", false, ""},
		{"carol", "note hello", "note", true, ""},
	} {
		out, err := h.Simulate(h.Ctx, &chat.SimulateRequest{Name: "one", UserID: c.user, ConversationID: "c1",
			Command: c.message})
		if err != nil {
			t.Errorf("%s by %s: %v", c.message, c.user, err)
			continue
		}
		if p := out.Permission; p.Action != c.action || p.Allowed != c.allowed || p.RamRole != c.role {
			t.Errorf("%s by %s: %+v", c.message, c.user, p)
		}
	}
}

// FuzzActions checks of any actions that can be saved: they are saved again as they are; their
// names and aliases are the commands that people type; their Defaults, Fixed and Values are values;
// and no message gives a parameter that is not declared, or a value out of bounds.
func FuzzActions(f *testing.F) {
	f.Add(`{"restart":{"Summary":"s","Aliases":["重启","r"],"Parameters":[{"Name":"env","Type":"Enum",`+
		`"Values":["test","a b"],"Default":"test"},{"Name":"n","Type":"Integer","Min":1,"Max":5},`+
		`{"Name":"force","Type":"Boolean"},{"Name":"id","Pattern":"i-[a-z]{1,9}","Required":true},`+
		`{"Name":"zone","Fixed":"z"},{"Name":"pw","Secret":true}],"DryRun":true},"Stop":{}}`,
		`{"env":["te*"]}`, "r i-a --env 'a b' n=3 pw=x --dry-run")
	f.Add(`{"x":{"Target":{"Type":"Oos","TemplateName":"T","Parameters":{"a":["{p}"],"b":"{{p}}"}},`+
		`"Parameters":[{"Name":"p"}],"TimeoutSeconds":"60","RamRole":"R"}}`, `{"p":["?"]}`, "status")
	f.Add(`{"x":{"Target":{"Type":"Http","Url":"https://a","Secret":"`+chattest.TargetSecret+`"}}}`, `{}`, "/X 1")
	f.Fuzz(func(t *testing.T, actions, values, message string) { checkActions(t, actions, values, message) })
}

// checkActions checks what FuzzActions promises. It reports whether the actions can be saved.
func checkActions(t *testing.T, actions, values, message string) bool {
	p := platformOf(t, "Slack")
	members := `"Actions":` + actions + `,"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]},` +
		`{"Effect":"Deny","Principals":["*"],"Commands":["*"],"Parameters":` + values + `}]`
	text, secrets, _, err := chat.Settle(p, chattest.With(chattest.Slack, members), never, zeros)
	if err != nil {
		members = `"Actions":` + actions // the statement may be what is wrong
		text, secrets, _, err = chat.Settle(p, chattest.With(chattest.Slack, members), never, zeros)
	}
	if err != nil {
		var e *fault.Error
		if !errors.As(err, &e) || e.Param != "Configuration" || e.Message == "" {
			t.Fatalf("%v (%T)", err, err)
		}
		return false
	}
	kept := func(field string) bool { _, ok := secrets[field]; return ok }
	if again, _, _, err := chat.Settle(p, text, kept, zeros); err != nil || again != text {
		t.Fatalf("saved again: %v\n%s\n%s", err, text, again)
	}
	e := chat.EndpointOf(p, text)
	say := func(text string) command.Command {
		c, _ := e.Command(&command.Message{ID: "m", User: "u", Conversation: "c", Text: text})
		return c
	}
	for _, a := range e.Actions.All() {
		for _, word := range append([]string{a.Name}, a.Aliases...) {
			if c := say(word); c.Action != a.Name || c.Name != command.FoldName(a.Name) || len(c.Arguments) > 0 {
				t.Errorf("%q is the command %q of %q", word, c.Name, c.Action)
			}
		}
		for i := range a.Parameters {
			p := &a.Parameters[i]
			own := p.Values
			for _, value := range []*string{p.Default, p.Fixed} {
				if value != nil {
					own = append(own[:len(own):len(own)], *value)
				}
			}
			for _, value := range own {
				if got, ok := p.Canonical(value); !ok || got != value {
					t.Errorf("%s.%s: %q is the value %q, %v", a.Name, p.Name, value, got, ok)
				}
				c := say(command.Format(a.Name, []string{p.Name + "=" + value}))
				given := slices.ContainsFunc(c.Parameters, func(v command.Value) bool {
					return v.Name == p.Name && v.Text == value
				})
				if c.Problem == nil && !given && p.Fixed == nil {
					t.Errorf("%s %s=%q is %v", a.Name, p.Name, value, c.Parameters)
				}
			}
		}
	}
	c := say(message)
	d := e.Decide(c)
	e.Reply(c, d)
	i := slices.IndexFunc(e.Actions.All(), func(a *command.Action) bool { return a.Name == c.Action })
	if i < 0 {
		if len(c.Parameters) > 0 || c.DryRun {
			t.Errorf("%q of no action has %v", message, c.Parameters)
		}
		return true
	}
	a := e.Actions.All()[i]
	for _, v := range c.Parameters {
		j := slices.IndexFunc(a.Parameters, func(p command.Parameter) bool { return p.Name == v.Name })
		if j < 0 {
			t.Fatalf("%q gives the parameter %q", message, v.Name)
		}
		p := &a.Parameters[j]
		if got, ok := p.Canonical(v.Text); !ok || got != v.Text || p.Fixed != nil && v.Text != *p.Fixed ||
			p.Secret != v.Secret {
			t.Errorf("%q gives %s=%q", message, v.Name, v.Text)
		}
	}
	if c.DryRun && !a.DryRun || c.Problem != nil && d.Allowed {
		t.Errorf("%q: dry run %v, %v, %+v", message, c.DryRun, c.Problem, d)
	}
	return true
}

// TestRandomActions checks what FuzzActions promises with actions that are put together at random,
// of which about half can be saved.
func TestRandomActions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(texts ...string) string { return texts[r.IntN(len(texts))] }
	some := func(n int, of func() string) string { // up to n of them, with commas in between
		var list []string
		for range r.IntN(n + 1) {
			list = append(list, of())
		}
		return strings.Join(list, ",")
	}
	word := func() string {
		return pick(`"restart"`, `"Restart"`, `"重启"`, `"r"`, `"ｒ２"`, `"/x"`, `"a.b"`, `"a-b"`, `"a_b"`,
			`"_x"`, `"ſ"`, `"K"`, `"é"`, `"ǅ"`, `"status"`, `"cancel"`, `"x:y"`, `"x=y"`, `"=x"`,
			`"-f"`, `"--x"`, `"#"`, `"@bot"`, `"[a](b)"`, `"a/b"`, `"//"`, `"–x"`, `"1"`, `"help "`, `"x\\"`)
	}
	value := func() string {
		return pick(`"a"`, `"A b"`, `""`, `"1"`, `"-3"`, `"true"`, `"yes"`, `"x=y"`, `"--n"`, `"\""`, `"'"`, `"中"`,
			`"\\"`, `"*"`, "\"`\"", `"－5"`, `"a\nb"`, `5`, `-7`, `0`, `true`, `false`,
			`"--"`, `"–x"`, `"[a](http://b)"`, `"“"`, `" "`)
	}
	maybe := func(percent int, text string) string {
		if r.IntN(100) < percent {
			return "," + text
		}
		return ""
	}
	parameter := func() string {
		kind := pick("String", "Integer", "Boolean", "Enum")
		out := `{"Name":` + pick(`"env"`, `"n"`, `"F"`, `"a-b"`, `"id"`, `"Pw"`, `"x_1"`, `"true"`) +
			`,"Type":"` + kind + `"`
		if kind == "Enum" {
			out += `,"Values":[` + value() + maybe(70, value()) + maybe(50, value()) + `]`
		}
		out += maybe(15, `"Min":`+pick("0", "1", "-5", "3")) + maybe(15, `"Max":`+pick("1", "5", "9", "0"))
		if kind == "String" {
			out += maybe(20, `"Pattern":"`+pick("[a-z]+", ".*", "a|b", `\\d{1,3}`, "(x")+`"`)
		}
		return out + maybe(20, `"Required":true`) + maybe(20, `"Default":`+value()) + maybe(10, `"Fixed":`+value()) +
			maybe(15, `"Secret":"true"`) + "}"
	}
	target := func() string {
		return pick(`{"Type":"Journal"}`, `{"Type":"Function","Name":"f"}`, `{"Type":"Program","Name":"p"}`,
			`{"Type":"Http","Url":"https://a","Secret":"`+chattest.TargetSecret+`"}`,
			`{"Type":"Oos","TemplateName":"T","Parameters":{"a":["{env}","x{n}"],"b":"{F}"}}`,
			`{"Type":"Ssm","DocumentName":"D"}`)
	}
	saved := 0
	const rounds = 4000
	for range rounds {
		action := func() string {
			return word() + `:{"Summary":"s"` + maybe(40, `"Aliases":[`+word()+maybe(30, word())+`]`) +
				maybe(80, `"Parameters":[`+some(3, parameter)+`]`) + maybe(40, `"Target":`+target()) +
				maybe(20, `"DryRun":true`) + maybe(10, `"TimeoutSeconds":`+pick("5", "60", "0")) + `}`
		}
		values := `{` + pick(`"env"`, `"n"`, `"F"`) + `:[` + value() + `]}`
		message := strings.Trim(word(), `"`) + " " + strings.ReplaceAll(some(4, func() string {
			return pick("", "env=", "--n ", "F=", "--F", "--dry-run", "-id ", "pw:", "Pw=") + strings.Trim(value(), `"`)
		}), ",", " ")
		if checkActions(t, "{"+action()+maybe(50, action())+"}", values, message) {
			saved++
		}
		if t.Failed() {
			return
		}
	}
	if saved < rounds/10 {
		t.Errorf("%d of %d could be saved", saved, rounds)
	}
}

// TestSimulateUnderstandsAMessage checks what SimulateChatPermission says of messages.
func TestSimulateUnderstandsAMessage(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.RamRole = "Own"
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Language":"zh","Actions":{"deploy":{`+
			`"Aliases":["发布"],"DryRun":true,"RamRole":"Deploy","Parameters":[{"Name":"count","Type":"Integer",`+
			`"Max":5,"Required":true},{"Name":"env","Type":"Enum","Values":["test","prod"],"Default":"test"},`+
			`{"Name":"force","Type":"Boolean"},{"Name":"token","Secret":true},`+
			`{"Name":"pin","Type":"Integer","Secret":true}]}},`+
			`"Permissions":[{"Effect":"Allow","Principals":["user:a"],`+
			`"Commands":["*"],"Parameters":{"env":["te*"]}},{"Effect":"Allow","Principals":["user:a"],`+
			`"Commands":["restart"]}]`))
	})
	for message, want := range map[string]string{
		"发布 3 --force --dry-run pin=1234 token=planted": `{"Command":"deploy","Action":"deploy","Parameters":{` +
			`"count":3,"env":"test","force":true,"token":"******","pin":"******"},"DryRun":true,"Allowed":true,` +
			`"RamRole":"Deploy"`,
		"deploy 3 env=prod": `{"Command":"deploy","Action":"deploy","Parameters":{"count":3,"env":"prod"},` +
			`"Allowed":false,"RamRole":""`,
		"Deploy 6 token=planted": `{"Command":"deploy","Action":"deploy","Problem":"count `,
		"deploy planted":         `{"Command":"deploy","Action":"deploy","Problem":"count `,
		"restart 'i 1'":          `{"Command":"restart","Allowed":true,"RamRole":"Own"`,
	} {
		out, err := h.Simulate(h.Ctx, &chat.SimulateRequest{Name: "one", UserID: "a", ConversationID: "c",
			Command: message})
		if err != nil {
			t.Errorf("%s: %v", message, err)
			continue
		}
		text := string(document.Marshal(out.Permission))
		if !strings.HasPrefix(text, want) || strings.Contains(text, "planted") || strings.Contains(text, "1234") {
			t.Errorf("%s:\n got %s\nwant %s…", message, text, want)
		}
		if out.Permission.Problem != "" && !strings.Contains(out.Permission.Problem, "用法") {
			t.Errorf("%s: the problem has no usage in Chinese: %s", message, out.Permission.Problem)
		}
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if text := fmt.Sprintf(verb, out); strings.Contains(text, "planted") {
				t.Errorf("%s of the answer to %s shows the secret: %s", verb, message, text)
			}
		}
	}
	_, err := h.Simulate(h.Ctx, &chat.SimulateRequest{Name: "one", UserID: "a", ConversationID: "c",
		Command: "deploy 'planted"})
	chattest.WantError(t, "an open quote", err, fault.InvalidParameter, "Command")
	if err != nil && strings.Contains(err.Error(), "planted") {
		t.Errorf("the error repeats the message: %v", err)
	}
}
