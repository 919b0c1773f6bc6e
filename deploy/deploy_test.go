package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/deploy"
	"chatconf/shared/app"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	awscloud "chatconf/shared/cloud/aws"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"

	"go.yaml.in/yaml/v3"
)

// folders returns the folders of the functions.
func folders(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../functions/*/main.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no functions: %v", err)
	}
	var out []string
	for _, path := range paths {
		out = append(out, filepath.Base(filepath.Dir(path)))
	}
	return out
}

// What is deployed is what is under functions/, and a function that only reads may only read.
func TestFunctionsAreFolders(t *testing.T) {
	var got []string
	for _, f := range deploy.Functions {
		got = append(got, f.Folder)
		if f.Rights&deploy.Get == 0 {
			t.Errorf("%s may not read the claim of the key ring", f.Folder)
		}
	}
	if want := folders(t); !slices.Equal(got, want) {
		t.Errorf("deployed are %q, want %q", got, want)
	}
	for _, a := range rpc.Actions() {
		for _, f := range deploy.Functions {
			if f.Name() == a.Name && (f.Writes() || f.Checks()) == a.ReadOnly() {
				t.Errorf("%s: writes = %v, and the action's ReadOnly = %v", f.Folder, f.Writes(), a.ReadOnly())
			}
		}
	}
}

// The files are what follows from the table; `make generate` writes them.
func TestFilesFollowFromTheTable(t *testing.T) {
	files, err := deploy.Files()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join("..", path))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what `make generate` makes, %v", path, err)
		}
	}
	for _, folder := range []string{"aws", "fc"} {
		paths, err := filepath.Glob(filepath.Join(folder, "policies", "*"))
		if err != nil || len(paths) != len(deploy.Functions) {
			t.Errorf("%d policies in %s, %v, want %d", len(paths), folder, err, len(deploy.Functions))
		}
	}
}

// readYAML returns the top of a file, and fails for a key that stands twice, which the last would
// win.
func readYAML(t *testing.T, path string) *yaml.Node {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var check func(n *yaml.Node)
	check = func(n *yaml.Node) {
		seen := make(map[string]bool)
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				if seen[c.Value] {
					t.Errorf("%s:%d: %s a second time", path, c.Line, c.Value)
				}
				seen[c.Value] = true
			}
			check(c)
		}
	}
	check(&n)
	return n.Content[0]
}

// at returns what stands under a path of keys; nil if nothing does.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	return n
}

// keys returns the keys of a mapping, in order.
func keys(n *yaml.Node) []string {
	var out []string
	for i := 0; n != nil && i < len(n.Content); i += 2 {
		out = append(out, n.Content[i].Value)
	}
	return out
}

// value returns a scalar with its tag, such as "!Ref Key"; empty if none.
func value(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	if strings.HasPrefix(n.Tag, "!!") {
		return n.Value
	}
	return n.Tag + " " + n.Value
}

// resourcesOf returns the names of the resources of a type in template.yml.
func resourcesOf(top *yaml.Node, kind string) []string {
	var out []string
	resources := at(top, "Resources")
	for _, name := range keys(resources) {
		if value(at(resources, name, "Type")) == kind {
			out = append(out, name)
		}
	}
	return out
}

// On AWS every function is deployed from its zip, under its own role, with its own log that ends
// and its own alarms.
func TestTemplate(t *testing.T) {
	top := readYAML(t, "../template.yml")
	resources := at(top, "Resources")
	var names []string
	for _, f := range deploy.Functions {
		name := f.Name()
		names = append(names, name)
		get := func(path ...string) string { return value(at(resources, path...)) }
		for _, want := range []struct{ got, want string }{
			{get(name, "Type"), "AWS::Serverless::Function"},
			{get(name, "Properties", "FunctionName"), "!Sub ${AWS::StackName}-" + f.Folder},
			{get(name, "Properties", "CodeUri"), "dist/lambda/" + f.Folder + ".zip"},
			{get(name, "Properties", "Role"), "!GetAtt " + name + "Role.Arn"},
			{get(name, "Properties", "LoggingConfig", "LogGroup"), "!Ref " + name + "Log"},
			{get(name+"Log", "Properties", "LogGroupName"), "!Sub /aws/lambda/${AWS::StackName}-" + f.Folder},
			{get(name+"Errors", "Properties", "MetricName"), "Errors"},
			{get(name+"Throttles", "Properties", "MetricName"), "Throttles"},
		} {
			if want.got != want.want {
				t.Errorf("%s: got %q, want %q", name, want.got, want.want)
			}
		}
		alarms := []string{"Errors", "Throttles"}
		want := ""
		// A handler's 5xx is an answer, and no error of the invocation. Those of the API and the
		// webhook are counted by the HTTP API.
		if f.HasURL() {
			alarms, want = append(alarms, "UrlErrors"), "Url5xxCount"
		}
		if got := get(name+"UrlErrors", "Properties", "MetricName"); got != want {
			t.Errorf("%sUrlErrors watches the metric %q, want %q", name, got, want)
		}
		for _, alarm := range alarms {
			if got, want := value(at(at(resources, name+alarm, "Properties", "Dimensions").Content[0], "Value")),
				"!Ref "+name; got != want {
				t.Errorf("%s%s watches %q, want %q", name, alarm, got, want)
			}
		}
		// the API and the webhook are behind the HTTP API, the others are invoked
		if url := at(resources, name+"Url"); f.HasURL() != (url != nil) {
			t.Errorf("%s: function URL = %v", name, url != nil)
		}
		if schedule := at(resources, name, "Properties", "Events"); f.IsRedrive() != (schedule != nil) {
			t.Errorf("%s: a timer invokes it: %v", name, schedule != nil)
		}
	}
	if got := resourcesOf(top, "AWS::Serverless::Function"); !slices.Equal(got, names) {
		t.Errorf("functions = %q, want %q", got, names)
	}
	for _, name := range resourcesOf(top, "AWS::Logs::LogGroup") {
		if got, want := value(at(resources, name, "Properties", "RetentionInDays")),
			"!Ref LogRetentionDays"; got != want {
			t.Errorf("%s is kept %q, want %q", name, got, want)
		}
	}
	if got := value(at(top, "Globals", "Function", "Runtime")) + " " +
		value(at(top, "Globals", "Function", "Handler")); got != "provided.al2023 bootstrap" {
		t.Errorf("runtime and handler = %q", got)
	}
}

// The tables are as the adapter makes them, encrypted by the stack's key, restorable, and outlive
// the stack.
func TestTables(t *testing.T) {
	top := readYAML(t, "../template.yml")
	tables := resourcesOf(top, "AWS::DynamoDB::Table")
	if got, want := fmt.Sprint(tables), "[Configurations AccessKeys AccessKeyUses Tickets Journal]"; got != want {
		t.Fatalf("tables = %s, want %s", got, want)
	}
	for _, name := range tables {
		resource := at(top, "Resources", name)
		var schema []string
		for _, list := range []string{"AttributeDefinitions", "KeySchema"} {
			for _, n := range at(resource, "Properties", list).Content {
				for _, key := range keys(n) {
					schema = append(schema, value(at(n, key)))
				}
			}
		}
		if got, want := fmt.Sprint(schema), "[p S s S p HASH s RANGE]"; got != want {
			t.Errorf("%s: keys are %s, want %s", name, got, want)
		}
		ttl := value(at(resource, "Properties", "TimeToLiveSpecification", "AttributeName")) +
			value(at(resource, "Properties", "TimeToLiveSpecification", "Enabled"))
		if want := map[string]string{"Configurations": "", "AccessKeys": "", "AccessKeyUses": "ttltrue",
			"Tickets": "ttltrue", "Journal": "ttltrue"}[name]; ttl != want {
			t.Errorf("%s: time to live = %q, want %q", name, ttl, want)
		}
		for path, want := range map[string]string{
			// or the next try after a failed first deployment finds them there
			"DeletionPolicy":      "RetainExceptOnCreate",
			"UpdateReplacePolicy": "Retain",
			"Properties PointInTimeRecoverySpecification PointInTimeRecoveryEnabled": "true",
			"Properties SSESpecification SSEEnabled":                                 "true",
			"Properties SSESpecification SSEType":                                    "KMS",
			"Properties SSESpecification KMSMasterKeyId":                             "!GetAtt Key.Arn",
		} {
			if got := value(at(resource, strings.Fields(path)...)); got != want {
				t.Errorf("%s: %s = %q, want %q", name, path, got, want)
			}
		}
	}
	if got := value(at(top, "Resources", "Key", "DeletionPolicy")); got != "RetainExceptOnCreate" {
		t.Errorf("the key's deletion policy = %q, want RetainExceptOnCreate", got)
	}
	for _, name := range keys(at(top, "Resources")) {
		if value(at(top, "Resources", name, "DeletionPolicy")) == "Retain" {
			t.Errorf("%s outlives a first deployment that failed", name)
		}
	}
}

// The chat platforms reach the function webhook by the address that Outputs begin with, and nothing
// else.
func TestWebhookRoute(t *testing.T) {
	resources := at(readYAML(t, "../template.yml"), "Resources")
	get := func(path ...string) string { return value(at(resources, path...)) }
	for _, test := range []struct{ got, want string }{
		{get("WebhookRoute", "Properties", "ApiId"), "!Ref HttpApi"},
		{get("WebhookRoute", "Properties", "RouteKey"), "ANY /webhook/{proxy+}"},
		{get("WebhookRoute", "Properties", "Target"), "!Sub integrations/${WebhookIntegration}"},
		{get("WebhookIntegration", "Properties", "IntegrationUri"), "!GetAtt Webhook.Arn"},
		{get("WebhookIntegration", "Properties", "PayloadFormatVersion"), "2.0"},
		{get("WebhookPermission", "Properties", "FunctionName"), "!Ref Webhook"},
		{get("RedriveCommands", "Properties", "Events", "EveryMinute", "Properties", "Schedule"), "rate(1 minute)"},
		{get("RedriveCommands", "Properties", "Events", "AnAutomationEnded", "Properties", "State"),
			"!Ref OperationEvents"},
		{get("RedriveCommands", "Properties", "Events", "AStateMachineEnded", "Properties", "State"),
			"!Ref OperationEvents"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

// Whatever anybody may call without being known to the cloud has a ceiling, which is a parameter,
// so that no stranger sets the bill: on AWS the function's reserved concurrency, and the HTTP API's
// rate; on Alibaba Cloud the reserved concurrency.
func TestAnonymousTriggersHaveCeilings(t *testing.T) {
	aws, fc := readYAML(t, "../template.yml"), readYAML(t, "../s.yaml")
	ceilings := map[bool]map[deploy.Part][2]string{ // the condition and parameter, or the variable and default
		true: {deploy.Every: {"HasReservedConcurrency", "ReservedConcurrency"},
			deploy.Webhook: {"HasWebhookConcurrency", "WebhookConcurrency"}},
		false: {deploy.Every: {"API_CONCURRENCY", "20"}, deploy.Webhook: {"WEBHOOK_CONCURRENCY", "20"}},
	}
	for _, part := range []deploy.Part{deploy.Action, deploy.AccessKeys, deploy.Reseal, deploy.Check} {
		ceilings[true][part] = [2]string{"HasActionConcurrency", "ActionConcurrency"}
		ceilings[false][part] = [2]string{"ACTION_CONCURRENCY", "2"}
	}
	for _, f := range deploy.Functions {
		got, want := "", ""
		if c, ok := ceilings[true][f.Part]; ok {
			want = fmt.Sprintf("!If [%s !Ref %s !Ref AWS::NoValue]", c[0], c[1])
			if parameter := at(aws, "Parameters", c[1]); value(at(parameter, "Type")) != "Number" ||
				value(at(parameter, "Default")) == "0" {
				t.Errorf("%s: %s is no parameter with a ceiling for its default", f.Folder, c[1])
			}
			if got, want := value(at(aws, "Conditions", c[0]).Content[0].Content[0]), "!Ref "+c[1]; got != want {
				t.Errorf("%s asks %q, want %q", c[0], got, want)
			}
		}
		if n := at(aws, "Resources", f.Name(), "Properties", "ReservedConcurrentExecutions"); n != nil &&
			len(n.Content) == 3 {
			got = fmt.Sprintf("!If [%s %s %s]", value(n.Content[0]), value(n.Content[1]), value(n.Content[2]))
		}
		if got != want {
			t.Errorf("aws: %s has the ceiling %q, want %q", f.Folder, got, want)
		}
		want = ""
		if c, ok := ceilings[false][f.Part]; ok {
			want = fmt.Sprintf("${json(env('%s', '%s'))}", c[0], c[1])
		}
		if got := value(at(fc, "resources", f.Folder, "props", "concurrencyConfig",
			"reservedConcurrency")); got != want {
			t.Errorf("fc: %s has the ceiling %q, want %q", f.Folder, got, want)
		}
	}
	// What takes requests of anybody is known here, and nothing else does.
	for _, name := range resourcesOf(aws, "AWS::Lambda::Permission") {
		resource := at(aws, "Resources", name, "Properties")
		function := strings.TrimPrefix(value(at(resource, "FunctionName")), "!Ref ")
		if at(aws, "Resources", function, "Properties", "ReservedConcurrentExecutions") == nil {
			t.Errorf("%s lets anybody call %s, which has no ceiling", name, function)
		}
	}
	for _, name := range resourcesOf(aws, "AWS::ApiGatewayV2::Stage") {
		if got, want := value(at(aws, "Resources", name, "Properties", "DefaultRouteSettings", "ThrottlingRateLimit")),
			"!Ref RequestsPerSecond"; got != want {
			t.Errorf("%s lets %q through, want %q", name, got, want)
		}
	}
}

// One parameter leaves out the addresses of single actions, with all that is about them, and no
// others.
func TestAddressesOfActionsCanBeLeftOut(t *testing.T) {
	aws, fc := readYAML(t, "../template.yml"), readYAML(t, "../s.yaml")
	for _, f := range deploy.Functions {
		triggers := value(at(fc, "resources", f.Folder, "props", "triggers"))
		if want := "${vars.actionTriggers[env('ACTION_URLS', 'true')]}"; f.IsAction() != (triggers == want) {
			t.Errorf("fc: %s has the triggers %q", f.Folder, triggers)
		}
		for suffix, condition := range map[string]string{
			"Url": "HasActionUrls", "UrlPublicPermissions": "HasActionUrls",
			"URLInvokeAllowPublicAccess": "HasActionUrls", "UrlErrors": "HasActionUrlAlarms",
		} {
			resource := at(aws, "Resources", f.Name()+suffix)
			if f.HasURL() != (resource != nil) {
				t.Errorf("aws: %s has %s: %v", f.Folder, suffix, resource != nil)
			}
			if got := value(at(resource, "Condition")); f.IsAction() != (got == condition) {
				t.Errorf("aws: %s%s is there if %q", f.Name(), suffix, got)
			}
		}
		output := at(aws, "Outputs", f.Name()+"Url")
		if f.IsAction() != (value(at(output, "Condition")) == "HasActionUrls") {
			t.Errorf("aws: the output %sUrl does not depend on HasActionUrls", f.Name())
		}
	}
	for _, choice := range []string{"true", "false"} {
		if n := at(fc, "vars", "actionTriggers", choice); n == nil || (len(n.Content) > 0) != (choice == "true") {
			t.Errorf("fc: ACTION_URLS=%s gives %v", choice, n)
		}
	}
}

// An alarm that tells nobody is not made.
func TestAlarmsHaveATopic(t *testing.T) {
	top := readYAML(t, "../template.yml")
	alarms := resourcesOf(top, "AWS::CloudWatch::Alarm")
	if len(alarms) < 2*len(deploy.Functions) {
		t.Errorf("%d alarms", len(alarms))
	}
	for _, name := range alarms {
		resource := at(top, "Resources", name)
		if condition := value(at(resource, "Condition")); condition != "HasAlarmTopic" &&
			condition != "HasActionUrlAlarms" {
			t.Errorf("%s is made if %q", name, condition)
		}
		if actions := at(resource, "Properties", "AlarmActions"); len(actions.Content) != 1 ||
			value(actions.Content[0]) != "!Ref AlarmTopicArn" {
			t.Errorf("%s tells nobody", name)
		}
	}
}

// On Alibaba Cloud what nobody calls over HTTP has no HTTP trigger, and the timer is there.
func TestTriggers(t *testing.T) {
	resources := at(readYAML(t, "../s.yaml"), "resources")
	for _, f := range deploy.Functions {
		var kinds []string
		own := at(resources, f.Folder, "props", "triggers")
		if own != nil && !f.IsAction() { // see TestAddressesOfActionsCanBeLeftOut
			for _, n := range own.Content {
				kinds = append(kinds, value(at(n, "triggerType")))
			}
		}
		want := "the template's"
		switch {
		case f.IsDispatch():
			want = "[]"
		case f.IsRedrive():
			want = "[timer]"
		}
		got := "the template's"
		if own != nil && !f.IsAction() {
			got = fmt.Sprint(kinds)
		}
		if got != want {
			t.Errorf("%s has the triggers %s, want %s", f.Folder, got, want)
		}
	}
}

// What hands commands on has the time that one may take, and the timer's function time to begin
// besides.
func TestTimes(t *testing.T) {
	aws, fc := at(readYAML(t, "../template.yml"), "Resources"), at(readYAML(t, "../s.yaml"), "resources")
	for _, f := range deploy.Functions {
		var least time.Duration
		switch {
		case f.IsDispatch():
			least = dispatch.WorkTime + 10*time.Second
		case f.IsRedrive():
			least = dispatch.RedriveTime + dispatch.WorkTime + 10*time.Second
		default:
			continue
		}
		for _, n := range []*yaml.Node{at(aws, f.Name(), "Properties", "Timeout"),
			at(fc, f.Folder, "props", "timeout")} {
			if seconds, err := time.ParseDuration(value(n) + "s"); err != nil || seconds < least {
				t.Errorf("%s has %s, want %v or more", f.Folder, value(n), least)
			}
		}
	}
}

// What a guide has the command-line tool do to the tables is done for the account that the
// functions serve, and not for the default one.
func TestGuidesNameTheAccount(t *testing.T) {
	for folder, account := range map[string]string{"aws": "AWS_ACCOUNT_ID", "fc": "ACCOUNT_ID"} {
		text, err := os.ReadFile(filepath.Join(folder, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		commands := 0
		for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
			if !strings.Contains(line, "CHATCONF_KEYRING=file:") {
				continue
			}
			commands++
			if !strings.Contains(line, "CHATCONF_ACCOUNT_ID=$"+account+" ") {
				t.Errorf("%s: no account: %s", folder, line)
			}
		}
		if commands < 2 {
			t.Errorf("%s: %d commands with a key ring, want that of the claim and that of further access keys",
				folder, commands)
		}
	}
}

// Queries hold secrets, and paths tokens: no access log has them.
func TestAccessLogsAreWithoutQueries(t *testing.T) {
	top := readYAML(t, "../template.yml")
	for _, name := range resourcesOf(top, "AWS::ApiGatewayV2::Stage") {
		text := value(at(top, "Resources", name, "Properties", "AccessLogSettings", "Format"))
		var format map[string]string
		if err := json.Unmarshal([]byte(text), &format); err != nil || len(format) == 0 {
			t.Fatalf("%s: %v: %s", name, err, text)
		}
		harmless := []string{"$context.requestId", "$context.requestTime", "$context.identity.sourceIp",
			"$context.httpMethod", "$context.routeKey", "$context.protocol",
			"$context.status", "$context.responseLength", "$context.responseLatency", "$context.integrationStatus",
			"$context.integrationErrorMessage"}
		for key, value := range format {
			if !slices.Contains(harmless, value) {
				t.Errorf("%s: the access log holds %s as %s", name, value, key)
			}
		}
	}
}

// On Alibaba Cloud every function is deployed from its zip under the role of its name, over the
// same template.
func TestServerlessDevs(t *testing.T) {
	top := readYAML(t, "../s.yaml")
	resources := at(top, "resources")
	if got, want := keys(resources), folders(t); !slices.Equal(got, want) {
		t.Errorf("functions = %q, want %q", got, want)
	}
	for _, name := range keys(resources) {
		for path, want := range map[string]string{
			"component":          "fc3",
			"extend name":        "function",
			"props functionName": "${vars.prefix}-" + name,
			"props role":         "acs:ram::${env('ACCOUNT_ID')}:role/${vars.prefix}-" + name,
			"props code":         "dist/fc/" + name + ".zip",
		} {
			if got := value(at(resources, append([]string{name}, strings.Fields(path)...)...)); got != want {
				t.Errorf("%s: %s = %q, want %q", name, path, got, want)
			}
		}
		if at(resources, name, "props", "environmentVariables") != nil {
			t.Errorf("%s has an environment of its own, in the place of the template's", name)
		}
	}
	for path, want := range map[string]string{"runtime": "go1", "handler": "main",
		"asyncInvokeConfig destinationConfig onFailure " +
			"destination": "acs:mns:${vars.region}:${env('ACCOUNT_ID')}:/queues/${vars.prefix}-dead-letters/messages"} {
		if got := value(at(top, append([]string{"template", "function"}, strings.Fields(path)...)...)); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
}

// Nobody may do everything, or something to everything.
func TestNoWildcards(t *testing.T) {
	for _, f := range deploy.Functions {
		for _, cloud := range []string{"aws", "fc"} {
			for _, s := range readPolicy(t, cloud, f.Folder).Statement {
				for _, action := range s.Action {
					if strings.ContainsAny(action, "*?") {
						t.Errorf("%s: %s may do %s", cloud, f.Folder, action)
					}
				}
				resource := strings.TrimSuffix(s.Resource, ":*") // the streams of a log group
				if strings.ContainsAny(resource, "*?") || !strings.Contains(resource, "${") {
					t.Errorf("%s: %s may do %v to %s", cloud, f.Folder, s.Action, s.Resource)
				}
				if s.Effect != "Allow" {
					t.Errorf("%s: %s: effect %s", cloud, f.Folder, s.Effect)
				}
			}
		}
	}
	top := readYAML(t, "../template.yml")
	statements := 0
	var check func(n *yaml.Node, path string)
	check = func(n *yaml.Node, path string) {
		if action := at(n, "Action"); action != nil && at(n, "Effect") != nil {
			statements++
			for _, n := range append(slices.Clone(action.Content), action, at(n, "Resource")) {
				// where * is the key itself
				if n != nil && strings.Contains(value(n), "*") && path != "/Key/Properties/KeyPolicy/Statement/" {
					t.Errorf("template.yml:%d: %s", n.Line, value(n))
				}
			}
		}
		for i, c := range n.Content {
			key := ""
			if n.Kind == yaml.MappingNode {
				key = n.Content[i-i%2].Value
			}
			check(c, path+"/"+key)
		}
	}
	check(at(top, "Resources"), "")
	if statements < 5*len(deploy.Functions) {
		t.Errorf("found %d statements in template.yml", statements)
	}
	for _, action := range at(at(top, "Resources", "Key", "Properties", "KeyPolicy", "Statement").Content[0],
		"Action").Content {
		if strings.Contains(action.Value, "*") {
			t.Errorf("the key's policy allows %s", action.Value)
		}
	}
}

// Functions that do not write have no action that does. To note that a key was used is not counted:
// all that verify keys do it.
func TestReadersCannotWrite(t *testing.T) {
	reading := map[string]bool{ // and those that every function needs for other than the service's data
		"dynamodb:GetItem": true, "dynamodb:BatchGetItem": true, "dynamodb:Query": true, "ots:GetRow": true,
		"ots:BatchGetRow": true, "ots:GetRange": true,
		"lambda:InvokeFunction": true, "fc:InvokeFunction": true,
		"kms:Decrypt": true, "logs:CreateLogStream": true, "logs:PutLogEvents": true, "log:PostLogStoreLogs": true,
		"sqs:SendMessage": true, "mns:SendMessage": true,
	}
	for _, f := range deploy.Functions {
		for _, cloud := range []string{"aws", "fc"} {
			writes := false
			for _, s := range readPolicy(t, cloud, f.Folder).Statement {
				if strings.HasSuffix(s.Resource, "/${CHATCONF_KEY_USE_TABLE}") {
					continue
				}
				for _, action := range s.Action {
					writes = writes || !reading[action]
				}
			}
			want := f.Writes() || f.Records() || f.ManagesKeys() || f.Checks() // the last one nonces
			if writes != want {
				t.Errorf("%s: the policy of %s lets it write: %v, want %v", cloud, f.Folder, writes, want)
			}
		}
	}
}

// Only the function that manages access keys may make, change and delete them, and it may write no
// other table but those of nonces and of the use of keys. The function that seals secrets again may
// put them. Functions that verify keys may read them one by one, and the others not even that.
func TestOnlyOneFunctionWritesKeys(t *testing.T) {
	read := map[string]bool{"dynamodb:GetItem": true, "ots:GetRow": true}
	for _, f := range deploy.Functions {
		for _, cloud := range []string{"aws", "fc"} {
			for _, s := range readPolicy(t, cloud, f.Folder).Statement {
				for _, action := range s.Action {
					service, _, _ := strings.Cut(action, ":")
					if service != "dynamodb" && service != "ots" {
						continue
					}
					_, name, _ := strings.Cut(s.Resource, "/${CHATCONF_")
					switch table := strings.TrimSuffix(name, "}"); {
					case f.Folder == "manage-access-keys":
						if table == "TABLE" && !read[action] || table == "JOURNAL_TABLE" {
							t.Errorf("%s: %s may %s in %s", cloud, f.Folder, action, s.Resource)
						}
					case f.Folder == "reseal" && table == "KEY_TABLE":
						if strings.Contains(action, "Delete") || strings.Contains(action, "Update") {
							t.Errorf("%s: %s may %s access keys", cloud, f.Folder, action)
						}
					case table == "KEY_TABLE" && (!read[action] || !f.Verifies()):
						t.Errorf("%s: %s may %s in the table of access keys", cloud, f.Folder, action)
					case table == "KEY_USE_TABLE" && !f.Verifies():
						t.Errorf("%s: %s may %s in the table of the use of access keys", cloud, f.Folder, action)
					}
				}
			}
		}
	}
}

// The roles of template.yml have the statements of the policies, which are for those who do not use
// CloudFormation.
func TestRolesArePolicies(t *testing.T) {
	top := readYAML(t, "../template.yml")
	// what CloudFormation makes of a reference, as the policies spell it
	spelled := func(f deploy.Function) *strings.Replacer {
		return strings.NewReplacer(
			"!GetAtt Configurations.Arn", "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TABLE}",
			"!GetAtt AccessKeys.Arn", "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_KEY_TABLE}",
			"!GetAtt AccessKeyUses.Arn",
			"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_KEY_USE_TABLE}",
			"!GetAtt Tickets.Arn", "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TICKET_TABLE}",
			"!GetAtt Journal.Arn", "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_JOURNAL_TABLE}",
			"!GetAtt DispatchCommand.Arn",
			"arn:aws:lambda:${AWS_REGION}:${AWS_ACCOUNT_ID}:function:${STACK}-dispatch-command",
			"!GetAtt Key.Arn", "arn:aws:kms:${AWS_REGION}:${AWS_ACCOUNT_ID}:key/${KMS_KEY_ID}",
			"!Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${OperatorRoles}",
			"arn:aws:iam::${AWS_ACCOUNT_ID}:role/${OPERATOR_ROLES}",
			"!GetAtt DeadLetters.Arn", "arn:aws:sqs:${AWS_REGION}:${AWS_ACCOUNT_ID}:${STACK}-dead-letters",
			"!GetAtt "+f.Name()+"Log.Arn",
			"arn:aws:logs:${AWS_REGION}:${AWS_ACCOUNT_ID}:log-group:/aws/lambda/${STACK}-"+f.Folder+":*",
			"dynamodb.${AWS::Region}.amazonaws.com", "dynamodb.${AWS_REGION}.amazonaws.com",
		)
	}
	for _, f := range deploy.Functions {
		policies := at(top, "Resources", f.Name()+"Role", "Properties", "Policies")
		if policies == nil || len(policies.Content) != 1 {
			t.Errorf("%s: wanted a role with one policy", f.Folder)
			continue
		}
		var got []statement
		for _, n := range at(policies.Content[0], "PolicyDocument", "Statement").Content {
			s := statement{Effect: value(at(n, "Effect")), Resource: spelled(f).Replace(value(at(n, "Resource")))}
			for _, action := range at(n, "Action").Content {
				s.Action = append(s.Action, action.Value)
			}
			if c := at(n, "Condition"); c != nil {
				s.Condition = make(map[string]map[string]string)
				for _, operator := range keys(c) {
					s.Condition[operator] = make(map[string]string)
					for _, key := range keys(at(c, operator)) {
						v := at(c, operator, key)
						if sub := at(v, "Fn::Sub"); sub != nil {
							v = sub
						}
						s.Condition[operator][key] = spelled(f).Replace(value(v))
					}
				}
			}
			got = append(got, s)
		}
		if want := readPolicy(t, "aws", f.Folder).Statement; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the role may\n%v, want\n%v", f.Folder, got, want)
		}
	}
}

// given are the variables that a function finds in its environment without a template, and those
// that only tests and private clouds set.
var given = regexp.MustCompile(`^(AWS_.*|FC_.*|ALIBABA_CLOUD_.*|TABLESTORE_ACCESS_KEY_(ID|SECRET)|CHATCONF_(ROOTS|` +
	`TARGET_NETWORKS|PLATFORM_ADDRESSES|KMS_ENDPOINT|FC_ENDPOINT|OOS_ENDPOINT|STS_ENDPOINT))$`)

// local are the settings of the local target, which functions do not use.
var local = []string{"CHATCONF_TLS_CERT", "CHATCONF_TLS_KEY", "CHATCONF_ACCESS_KEY_ID", "CHATCONF_ACCESS_KEY_SECRET",
	"CHATCONF_DATA", "CHATCONF_ADDR", "CHATCONF_MAX_CONNECTIONS", "CHATCONF_MAX_BODIES", "CHATCONF_MAX_STREAMS",
	"CHATCONF_PROGRAMS", "CHATCONF_PROGRAMS_AT_ONCE"}

// The templates set all variables that a function reads and does not find there, and no others.
// With them a function starts; without any of those that are mandatory it does not.
func TestEnvironments(t *testing.T) {
	for _, cloud := range []struct {
		name        string
		read        func(getenv func(string) string) (clouds.Cloud, error)
		environment func(t *testing.T, everything bool) map[string]string
		given       map[string]string // by the runtime
		mandatory   []string
	}{
		{"fc", alibaba.Read, fcEnvironment, nil, []string{"CHATCONF_KEYRING", "CHATCONF_DISPATCH_FUNCTION",
			"TABLESTORE_ENDPOINT", "TABLESTORE_INSTANCE"}},
		{"aws", awscloud.Read, awsEnvironment,
			map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
				"AWS_SECRET_ACCESS_KEY": "not-a-real-secret"},
			[]string{"CHATCONF_KEYRING", "CHATCONF_DISPATCH_FUNCTION"}},
	} {
		for _, everything := range []bool{false, true} {
			environment := cloud.environment(t, everything)
			read := make(map[string]bool)
			start := func(without string) error {
				f, err := app.NewFunction(func(name string) string { // the one that needs the most

					read[name] = true
					if name == without {
						return ""
					}
					if value, ok := environment[name]; ok {
						return value
					}
					return cloud.given[name]
				}, cloud.read, app.CloudWebhook())
				if err == nil {
					err = f.Close()
				}
				return err
			}
			if err := start(""); err != nil {
				t.Errorf("%s: with the template's environment: %v", cloud.name, err)
			}
			for _, name := range cloud.mandatory {
				if err := start(name); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%s: without %s: %v, want an error that names it", cloud.name, name, err)
				}
			}
			if !everything {
				continue
			}
			for name := range environment {
				if !read[name] && name != "GOMAXPROCS" { // which the Go runtime reads
					t.Errorf("%s: nobody reads %s", cloud.name, name)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(read)) {
				if _, ok := environment[name]; !ok && !given.MatchString(name) && !slices.Contains(local, name) {
					t.Errorf("%s: %s is read and not set", cloud.name, name)
				}
			}
		}
	}
}

// sealedRing stands for a key ring that a key service sealed.
const sealedRing = "kms:bm90IGEgcmVhbCByaW5n"

// awsEnvironment returns the environment that template.yml gives functions, with or without its
// optional parameters.
func awsEnvironment(t *testing.T, everything bool) map[string]string {
	top := readYAML(t, "../template.yml")
	parameters := map[string]string{
		"KeyRing": sealedRing, "RegionId": "cn-shanghai", "WebhookBaseUrl": "https://chatconf.example.com",
		"Hosts":             "chatconf.example.com",
		"MaxConfigurations": "1000", "History": "200", "KeyRequestsPerSecond": "50",
		"OwnRights":      "Function",
		"Events":         `{"Type":"Topic","TopicArn":"arn:aws:sns:eu-west-1:123456789012:chatconf"}`,
		"EventPolicy":    `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}]}`,
		"Configurations": "chatconf", "AccessKeys": "chatconf_keys", "AccessKeyUses": "chatconf_key_uses",
		"Tickets": "chatconf_tickets", "Journal": "chatconf_journal", "JournalDays": "30",
		"${AWS::StackName}-dispatch-command": "chatconf-dispatch-command",
		"AWS::AccountId":                     "123456789012", "AWS::Region": "eu-west-1",
		"HttpApi.ApiEndpoint": "https://abc123.execute-api.eu-west-1.amazonaws.com",
	}
	variables := at(top, "Globals", "Function", "Environment", "Variables")
	out := make(map[string]string)
	for _, name := range keys(variables) {
		n := at(variables, name)
		if n.Tag == "!If" && everything {
			n = n.Content[1]
		} else if n.Tag == "!If" {
			n = n.Content[2]
		}
		switch value(n) {
		case "!Ref AWS::NoValue":
		case n.Value:
			out[name] = n.Value
		default:
			v, ok := parameters[n.Value]
			if !ok {
				t.Fatalf("template.yml:%d: %s", n.Line, value(n))
			}
			out[name] = v
		}
	}
	for _, name := range resourcesOf(top, "AWS::Serverless::Function") {
		if at(top, "Resources", name, "Properties", "Environment") != nil {
			t.Errorf("%s has an environment of its own", name)
		}
	}
	return out
}

// The template takes as many days as the functions do, no fewer and no more.
func TestJournalDays(t *testing.T) {
	parameter := at(readYAML(t, "../template.yml"), "Parameters", "JournalDays")
	for key, beyond := range map[string]int{"MinValue": -1, "MaxValue": 1} {
		days, err := strconv.Atoi(value(at(parameter, key)))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if err := journal.CheckRetention(time.Duration(days) * 24 * time.Hour); err != nil {
			t.Errorf("%s is %d: %v", key, days, err)
		}
		if journal.CheckRetention(time.Duration(days+beyond)*24*time.Hour) == nil {
			t.Errorf("%s is %d, and the journal could be kept for %d days", key, days, days+beyond)
		}
	}
}

// fcEnvironment returns the environment that s.yaml gives functions, with what is in parameters.env
// or a little more.
func fcEnvironment(t *testing.T, everything bool) map[string]string {
	text, err := os.ReadFile("fc/parameters.env")
	if err != nil {
		t.Fatal(err)
	}
	parameters := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			parameters[name] = value
		}
	}
	parameters["KEYRING"] = sealedRing
	if everything {
		parameters["HOSTS"] = "chatconf.example.com"
		parameters["REQUESTS_PER_SECOND"] = "50"
		parameters["EVENT_POLICY"] = `{"Version":"1","Statement":[{"Effect":"Allow",` +
			`"Action":"oos:Get*","Resource":"*"}]}`
	}
	top := readYAML(t, "../s.yaml")
	used := make(map[string]bool)
	env := regexp.MustCompile(`\$\{env\('([A-Z_]+)'(, '([^']*)')?\)\}`)
	fill := func(text string) string {
		for _, name := range keys(at(top, "vars")) {
			text = strings.ReplaceAll(text, "${vars."+name+"}", value(at(top, "vars", name)))
		}
		return env.ReplaceAllStringFunc(text, func(m string) string {
			name := env.FindStringSubmatch(m)[1]
			used[name] = true
			if _, ok := parameters[name]; !ok {
				t.Errorf("s.yaml reads %s, which is not in parameters.env", name)
			}
			return parameters[name]
		})
	}
	all, err := os.ReadFile("../s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fill(string(all))
	for _, m := range regexp.MustCompile(`json\(env\('([A-Z_]+)'|\[env\('([A-Z_]+)'`).FindAllStringSubmatch(string(all),
		-1) {
		used[m[1]+m[2]] = true
	}
	for name := range parameters {
		if !used[name] && name != "KMS_KEY_ID" && name != "OPERATOR_ROLES" { // which only the policies name
			t.Errorf("parameters.env sets %s, which s.yaml does not read", name)
		}
	}
	variables := at(top, "template", "function", "environmentVariables")
	out := make(map[string]string)
	for _, name := range keys(variables) {
		out[name] = fill(value(at(variables, name)))
	}
	return out
}

// What the guides have a shell read does not lead a service on a laptop astray: of chatconf's own
// settings it has only the names of tables, and for how long the journal is kept. On AWS the names
// follow from that of the stack.
func TestParametersLeaveTheLaptopAlone(t *testing.T) {
	harmless := regexp.MustCompile(`^CHATCONF_(TABLE|[A-Z_]+_TABLE|JOURNAL_DAYS)$`)
	for _, cloud := range []string{"aws", "fc"} {
		text, err := os.ReadFile(filepath.Join(cloud, "parameters.env"))
		if err != nil {
			t.Fatal(err)
		}
		tables := 0
		for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(m[1], "CHATCONF_") && !harmless.MatchString(m[1]) {
				t.Errorf("%s: %s would change a service that is started in the same shell", cloud, m[1])
			}
			if strings.HasSuffix(m[1], "_TABLE") {
				tables++
				if cloud == "aws" && !strings.HasPrefix(m[2], "$STACK") && !strings.HasPrefix(m[2], "${STACK}_") {
					t.Errorf("aws: %s=%s does not follow from the name of the stack", m[1], m[2])
				}
			}
		}
		if tables != 5 {
			t.Errorf("%s: %d names of tables", cloud, tables)
		}
	}
}

// No command of the guides or of the tool's help has the key ring or a secret as an argument, which
// all users of a machine see; and what the guide of Alibaba Cloud uses as $endpoint is set by a
// step of it.
func TestGuidesKeepSecretsOffCommandLines(t *testing.T) {
	leak := regexp.MustCompile(`--[A-Za-z-]+[ =]"?(\$\((base64|cat)|\$\{?[A-Z_]*SECRET)`)
	for _, path := range []string{"aws/README.md", "fc/README.md", "chatconf/keyring.go", "vm/README.md",
		"container/README.md", "../README.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if m := leak.Find(text); m != nil {
			t.Errorf("%s: %s puts a secret on a command line", path, m)
		}
		if before, _, used := strings.Cut(string(text), `"$endpoint"`); used &&
			!strings.Contains(before, "\nendpoint=") {
			t.Errorf("%s: no step sets $endpoint", path)
		}
	}
}

// The policies name nothing that parameters.env does not set.
func TestPlaceholders(t *testing.T) {
	placeholder := regexp.MustCompile(`\$\{([A-Z_]+)\}`)
	for _, cloud := range []string{"aws", "fc"} {
		parameters, err := os.ReadFile(filepath.Join(cloud, "parameters.env"))
		if err != nil {
			t.Fatal(err)
		}
		set := make(map[string]bool)
		for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=`).FindAllSubmatch(parameters, -1) {
			set[string(m[1])] = true
		}
		missing := make(map[string]bool)
		for _, f := range deploy.Functions {
			for _, s := range readPolicy(t, cloud, f.Folder).Statement {
				for _, m := range placeholder.FindAllStringSubmatch(fmt.Sprint(s), -1) {
					missing[m[1]] = !set[m[1]]
				}
			}
		}
		if len(missing) == 0 {
			t.Errorf("%s: the policies name nothing", cloud)
		}
		for name, missing := range missing {
			if missing {
				t.Errorf("%s: the policies name %s, which parameters.env does not set", cloud, name)
			}
		}
	}
}

// newRing returns a key ring as JSON.
func newRing(t *testing.T) []byte {
	t.Helper()
	ring, err := seal.GenerateRing("test")
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
