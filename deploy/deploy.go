// Package deploy is what goes into the clouds: which functions there are and what each may do, the two templates and the policies that
// say so to Alibaba Cloud and to AWS, and the zip files that are uploaded. It is linked by nothing that is deployed.
//
// A new function is one line in Functions, and `make generate`.
package deploy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"chatconf/shared/kms"
)

// A Function is a folder under functions/ and what it does to the tables.
type Function struct {
	Folder string
	Rights Rights // to the table of configurations and access keys
}

// Rights are operations on the items of a table. A function that may do any of Put, Delete and Add also spends nonces in the table of tickets.
type Rights uint

// The operations. Every function reads single items: the caller's access key is one.
const (
	Get    Rights = 1 << iota // one item
	Batch                     // several items
	Query                     // a range of items
	Put                       // an item
	Delete                    // an item
	Add                       // to a counter

	write = Put | Delete | Add
)

// Functions are what is deployed: the folders under functions/, by name.
var Functions = []Function{
	{"api", Get | Batch | Query | Put | Delete | Add},
	{"change-resource-group", Get | Put | Delete},
	{"create-chat-configuration", Get | Query | Put | Delete | Add},
	{"delete-chat-configuration", Get | Query | Put | Delete | Add},
	{"get-chat-configuration", Get},
	{"list-chat-configurations", Get | Batch | Query},
	{"list-tag-keys", Get | Query},
	{"list-tag-resources", Get | Batch | Query},
	{"list-tag-values", Get | Query},
	{"tag-resources", Get | Batch | Put | Delete},
	{"untag-resources", Get | Batch | Put | Delete},
	{"update-chat-configuration", Get | Query | Put | Delete},
}

// API is the function that serves every action, behind the address that SDKs are pointed at.
const API = "api"

// Writes reports whether the function changes anything.
func (f Function) Writes() bool { return f.Rights&write != 0 }

// IsAPI reports whether the function is the one that serves every action.
func (f Function) IsAPI() bool { return f.Folder == API }

// Name returns get-chat-configuration as GetChatConfiguration, which is what CloudFormation calls it.
func (f Function) Name() string {
	var b strings.Builder
	for word := range strings.SplitSeq(f.Folder, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// A Statement is one of a policy. It allows.
type Statement struct {
	Sid       string
	Actions   []string
	Resource  Resource
	Condition Condition
}

// A Condition narrows a statement, on AWS.
type Condition int

// The conditions.
const (
	Always     Condition = iota
	OfAccounts           // only items in the partitions of accounts: no access keys, no claim of the key ring
	OfKeyRing            // only what was sealed as a key ring
	OfTables             // only what DynamoDB asks for in the function's name
)

// conditions are the conditions in the language of IAM, with the settings of parameters.env as ${NAME}.
var conditions = map[Condition]map[string]map[string]string{
	OfAccounts: {
		"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "*/*"},
		"Null":                    {"dynamodb:LeadingKeys": "false"},
	},
	OfKeyRing: {"StringEquals": {"kms:EncryptionContext:" + kms.ContextKey: kms.ContextValue}},
	OfTables:  {"StringEquals": {"kms:ViaService": "dynamodb.${AWS_REGION}.amazonaws.com"}},
}

// Conditions returns the statement's condition in the language of IAM, as JSON for template.yml; empty if it has none.
func (s Statement) Conditions() (string, error) {
	c, ok := conditions[s.Condition]
	if !ok {
		return "", nil
	}
	text, err := json.Marshal(c)
	return strings.ReplaceAll(string(text), `"dynamodb.${AWS_REGION}.amazonaws.com"`, `{"Fn::Sub":"dynamodb.${AWS::Region}.amazonaws.com"}`), err
}

// A Resource is what a statement is about.
type Resource struct {
	ARN      string // with the settings of parameters.env as ${NAME}
	Template string // the same in template.yml
}

// What the functions use of AWS.
var (
	awsConfigurations = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TABLE}", "!GetAtt Configurations.Arn"}
	awsTickets        = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TICKET_TABLE}", "!GetAtt Tickets.Arn"}
	awsKey            = Resource{"arn:aws:kms:${AWS_REGION}:${AWS_ACCOUNT_ID}:key/${KMS_KEY_ID}", "!GetAtt Key.Arn"}
	awsDeadLetters    = Resource{"arn:aws:sqs:${AWS_REGION}:${AWS_ACCOUNT_ID}:${STACK}-dead-letters", "!GetAtt DeadLetters.Arn"}
)

func (f Function) awsLog() Resource {
	return Resource{
		"arn:aws:logs:${AWS_REGION}:${AWS_ACCOUNT_ID}:log-group:/aws/lambda/${STACK}-" + f.Folder + ":*",
		"!GetAtt " + f.Name() + "Log.Arn",
	}
}

// AWS returns the statements of the function's role on AWS. A TransactWriteItems needs the rights of its parts and none of its own
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html).
func (f Function) AWS() []Statement {
	var items []string
	for _, o := range []struct {
		right   Rights
		actions []string
	}{
		{Batch, []string{"dynamodb:BatchGetItem"}},
		{Query, []string{"dynamodb:Query"}},
		{Put, []string{"dynamodb:PutItem"}},
		{Delete, []string{"dynamodb:DeleteItem"}},
		{Add, []string{"dynamodb:UpdateItem"}},
	} {
		if f.Rights&o.right != 0 {
			items = append(items, o.actions...)
		}
	}
	s := []Statement{{Sid: "ReadItem", Actions: []string{"dynamodb:GetItem"}, Resource: awsConfigurations}}
	if len(items) > 0 {
		s = append(s, Statement{Sid: "UseConfigurations", Actions: items, Resource: awsConfigurations, Condition: OfAccounts})
	}
	if f.Writes() {
		// The adapter reads back what became of a write without an answer.
		s = append(s, Statement{Sid: "SpendNonce", Actions: []string{"dynamodb:PutItem", "dynamodb:GetItem"}, Resource: awsTickets})
	}
	return append(s,
		Statement{Sid: "OpenKeyRing", Actions: []string{"kms:Decrypt"}, Resource: awsKey, Condition: OfKeyRing},
		Statement{Sid: "OpenTables", Actions: []string{"kms:Decrypt"}, Resource: awsKey, Condition: OfTables},
		Statement{Sid: "Log", Actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, Resource: f.awsLog()},
		Statement{Sid: "KeepWhatFailed", Actions: []string{"sqs:SendMessage"}, Resource: awsDeadLetters},
	)
}

// What the functions use of Alibaba Cloud.
const (
	fcTable       = "acs:ots:${REGION}:${ACCOUNT_ID}:instance/${TABLESTORE_INSTANCE}/table/"
	fcKey         = "acs:kms:${REGION}:${ACCOUNT_ID}:key/${KMS_KEY_ID}"
	fcLog         = "acs:log:${REGION}:${ACCOUNT_ID}:project/${LOG_PROJECT}/logstore/${PREFIX}"
	fcDeadLetters = "acs:mns:${REGION}:${ACCOUNT_ID}:/queues/${PREFIX}-dead-letters/messages"
)

// FC returns the statements of the function's role on Alibaba Cloud. RAM knows tables, and not partitions of them
// (https://www.alibabacloud.com/help/en/tablestore/configure-user-permissions).
func (f Function) FC() []Statement {
	items := []string{"ots:GetRow"}
	for _, o := range []struct {
		right  Rights
		action string
	}{
		{Batch | write, "ots:BatchGetRow"}, // of a write without an answer the adapter reads back what became of it
		{Query, "ots:GetRange"},
		{Put, "ots:PutRow"},
		{Delete, "ots:DeleteRow"},
		{Add, "ots:UpdateRow"},
		{write, "ots:BatchWriteRow"},
	} {
		if f.Rights&o.right != 0 {
			items = append(items, o.action)
		}
	}
	s := []Statement{{Sid: "UseConfigurations", Actions: items, Resource: Resource{ARN: fcTable + "${CHATCONF_TABLE}"}}}
	if f.Writes() {
		s = append(s, Statement{Sid: "SpendNonce", Actions: []string{"ots:PutRow", "ots:GetRow"}, Resource: Resource{ARN: fcTable + "${CHATCONF_TICKET_TABLE}"}})
	}
	return append(s,
		Statement{Sid: "OpenKeyRing", Actions: []string{"kms:Decrypt"}, Resource: Resource{ARN: fcKey}},
		Statement{Sid: "Log", Actions: []string{"log:PostLogStoreLogs"}, Resource: Resource{ARN: fcLog}},
		Statement{Sid: "KeepWhatFailed", Actions: []string{"mns:SendMessage"}, Resource: Resource{ARN: fcDeadLetters}},
	)
}

// The templates, with the functions left out.
var (
	//go:embed aws/template.yml.tmpl
	awsTemplate string
	//go:embed fc/s.yaml.tmpl
	fcTemplate string
)

// Files returns what follows from Functions, by path from the root of the repository: both templates, and a policy for each function on each cloud.
func Files() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for path, text := range map[string]string{"template.yml": awsTemplate, "s.yaml": fcTemplate} {
		// Not {{ }}, which CloudFormation and Serverless Devs use in turn.
		t, err := template.New(path).Delims("<<", ">>").Funcs(template.FuncMap{"join": strings.Join}).Parse(text)
		if err != nil {
			return nil, fmt.Errorf("deploy: %w", err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, Functions); err != nil {
			return nil, fmt.Errorf("deploy: %w", err)
		}
		files[path] = b.Bytes()
	}
	for _, f := range Functions {
		for path, p := range map[string]policy{
			"deploy/aws/policies/" + f.Folder + ".json": awsPolicy(f.AWS()),
			"deploy/fc/policies/" + f.Folder + ".json":  fcPolicy(f.FC()),
		} {
			text, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				return nil, fmt.Errorf("deploy: %s: %w", path, err)
			}
			files[path] = append(text, '\n')
		}
	}
	return files, nil
}

// A policy is one in the language of either cloud, which differ in the version, and in that RAM has no Sid.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

func awsPolicy(from []Statement) policy {
	p := policy{Version: "2012-10-17"}
	for _, s := range from {
		p.Statement = append(p.Statement, statement{s.Sid, "Allow", s.Actions, s.Resource.ARN, conditions[s.Condition]})
	}
	return p
}

func fcPolicy(from []Statement) policy {
	p := policy{Version: "1"}
	for _, s := range from {
		p.Statement = append(p.Statement, statement{Effect: "Allow", Action: s.Actions, Resource: s.Resource.ARN})
	}
	return p
}
