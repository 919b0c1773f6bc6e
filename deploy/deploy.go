// Package deploy describes the deployment to the clouds: the functions and their permissions. It
// generates the templates and policies for Alibaba Cloud and AWS from them, and the zip files to
// upload. No function links this package.
//
// To add a function, add a line to Functions and run `make generate`.
package deploy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"chatconf/shared/cloud"
)

// A Function is a folder under functions/, with its rights to the tables.
type Function struct {
	Folder  string
	Rights  Rights // to the table of configurations
	Journal Rights // to the table of commands and of webhook health
	Part    Part
}

// A Part is the part of the service that a function runs.
type Part uint

// The parts.
const (
	Action     Part = iota // one action of the API
	Every                  // all actions, at the address for SDKs
	Webhook                // called by the chat platforms; it invokes Dispatch
	Dispatch               // dispatches one command; it has no URL
	Redrive                // dispatches commands that are due, by a timer
	AccessKeys             // the actions on access keys
	Reseal                 // the action ResealSecrets
	Check                  // the action CheckChatConfiguration, which calls the chat platforms
)

// Rights are operations on the items of a table. A function with Put, Delete or Add on
// configurations also uses nonces in the table of tickets.
type Rights uint

// The operations. Every function reads single items, because it checks the claim of the key ring.
const (
	Get    Rights = 1 << iota // one item
	Batch                     // several items
	Query                     // a range of items
	Put                       // an item
	Delete                    // an item
	Add                       // to a counter
	List                      // the partitions; on AWS that is Scan, which cannot be limited to some of them

	write = Put | Delete | Add
)

// Functions are the deployed functions: the folders under functions/, by name.
var Functions = []Function{
	{Folder: "api", Rights: Get | Batch | Query | Put | Delete | Add, Journal: Get | Batch | Query, Part: Every},
	{Folder: "change-resource-group", Rights: Get | Put | Delete},
	{Folder: "check-chat-configuration", Rights: Get | Query, Journal: Query, Part: Check},
	{Folder: "copy-chat-configuration", Rights: Get | Query | Put | Delete | Add},
	{Folder: "create-chat-configuration", Rights: Get | Query | Put | Delete | Add},
	{Folder: "delete-chat-configuration", Rights: Get | Query | Put | Delete | Add},
	{Folder: "dispatch-command", Rights: Get, Journal: Get | Batch | Put | Delete | Add, Part: Dispatch},
	{Folder: "get-chat-configuration", Rights: Get},
	{Folder: "get-chat-configuration-health", Rights: Get | Query, Journal: Query},
	{Folder: "get-chat-configuration-revision", Rights: Get | Batch | Query},
	{Folder: "list-chat-commands", Rights: Get | Batch | Query, Journal: Get | Batch | Query},
	{Folder: "list-chat-configuration-revisions", Rights: Get | Query},
	{Folder: "list-chat-configurations", Rights: Get | Batch | Query, Journal: Query},
	{Folder: "list-tag-keys", Rights: Get | Query},
	{Folder: "list-tag-resources", Rights: Get | Batch | Query},
	{Folder: "list-tag-values", Rights: Get | Query},
	{Folder: "manage-access-keys", Rights: Get, Part: AccessKeys},
	{Folder: "redrive-commands", Rights: Get | Query | Put | Delete,
		Journal: Get | Batch | Query | Put | Delete | Add, Part: Redrive},
	{Folder: "reseal", Rights: Get | Query | List | Put, Journal: Get | Query | List | Put, Part: Reseal},
	{Folder: "restore-chat-configuration", Rights: Get | Batch | Query | Put | Delete | Add},
	{Folder: "rotate-chat-secret", Rights: Get | Query | Put | Delete},
	{Folder: "rotate-chat-webhook", Rights: Get | Query | Put | Delete},
	{Folder: "simulate-chat-permission", Rights: Get | Query},
	{Folder: "tag-resources", Rights: Get | Batch | Put | Delete},
	{Folder: "untag-resources", Rights: Get | Batch | Put | Delete},
	{Folder: "update-chat-configuration", Rights: Get | Query | Put | Delete},
	{Folder: "webhook", Rights: Get, Journal: Get | Batch | Query | Put | Add, Part: Webhook},
}

// Writes reports whether the function changes configurations, or removes the events of changes from
// their table.
func (f Function) Writes() bool { return f.Rights&write != 0 }

// Records reports whether the function writes to the journal.
func (f Function) Records() bool { return f.Journal&write != 0 }

// IsAPI reports whether the function serves every action.
func (f Function) IsAPI() bool { return f.Part == Every }

// IsWebhook reports whether the chat platforms call the function.
func (f Function) IsWebhook() bool { return f.Part == Webhook }

// IsAction reports whether the function serves one action.
func (f Function) IsAction() bool { return f.Part == Action || f.Checks() }

// Checks reports whether the function checks configurations against their platforms. It changes no
// table, but it may send a test message.
func (f Function) Checks() bool { return f.Part == Check }

// ManagesKeys reports whether the function serves the actions on access keys. Only it can make and
// delete keys.
func (f Function) ManagesKeys() bool { return f.Part == AccessKeys }

// Reseals reports whether the function seals all secrets again. It can write the table of access
// keys too, and all partitions of the others.
func (f Function) Reseals() bool { return f.Part == Reseal }

// Verifies reports whether the function verifies signatures of access keys.
func (f Function) Verifies() bool {
	return f.IsAction() || f.IsAPI() || f.ManagesKeys() || f.Reseals()
}

// HasURL reports whether the function has a URL of its own, in addition to those of the API and the
// webhook.
func (f Function) HasURL() bool { return f.IsAction() || f.ManagesKeys() || f.Reseals() }

// SpendsNonces reports whether the function serves actions that do more than read. Each nonce of
// such a request is valid once.
func (f Function) SpendsNonces() bool {
	return f.Verifies() && f.Writes() || f.ManagesKeys() || f.Checks()
}

// IsDispatch reports whether the function dispatches one command.
func (f Function) IsDispatch() bool { return f.Part == Dispatch }

// IsRedrive reports whether a timer invokes the function.
func (f Function) IsRedrive() bool { return f.Part == Redrive }

// Dispatches reports whether the function dispatches commands, and so can assume the roles that
// they run under.
func (f Function) Dispatches() bool { return f.IsDispatch() || f.IsRedrive() }

// Name returns the name in CloudFormation: GetChatConfiguration for get-chat-configuration.
func (f Function) Name() string {
	var b strings.Builder
	for word := range strings.SplitSeq(f.Folder, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// A Statement is a statement of a policy, with the effect Allow.
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
	OfAccounts           // only items in the partitions of accounts, not the claim of the key ring
	OfService            // only the claim of the key ring, and the progress of ResealSecrets
	OfKeyRing            // only ciphertexts of key rings
	OfTables             // only requests of DynamoDB for the function
)

// conditions are the conditions in the language of IAM. ${NAME} is a setting of parameters.env.
var conditions = map[Condition]map[string]map[string]string{
	OfAccounts: {
		"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "*/*"},
		"Null":                    {"dynamodb:LeadingKeys": "false"},
	},
	OfService: {
		"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "service"},
		"Null":                    {"dynamodb:LeadingKeys": "false"},
	},
	OfKeyRing: {"StringEquals": {"kms:EncryptionContext:" + cloud.KeyContextKey: cloud.KeyContextValue}},
	OfTables:  {"StringEquals": {"kms:ViaService": "dynamodb.${AWS_REGION}.amazonaws.com"}},
}

// Conditions returns the statement's condition in the language of IAM, as JSON for template.yml;
// empty if it has none.
func (s Statement) Conditions() (string, error) {
	c, ok := conditions[s.Condition]
	if !ok {
		return "", nil
	}
	text, err := json.Marshal(c)
	return strings.ReplaceAll(string(text), `"dynamodb.${AWS_REGION}.amazonaws.com"`,
		`{"Fn::Sub":"dynamodb.${AWS::Region}.amazonaws.com"}`), err
}

// A Resource is the resource of a statement.
type Resource struct {
	ARN      string // ${NAME} is a setting of parameters.env
	Template string // the same resource in template.yml
}

// The resources on AWS.
var (
	awsConfigurations = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TABLE}",
		"!GetAtt Configurations.Arn"}
	awsKeys = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_KEY_TABLE}",
		"!GetAtt AccessKeys.Arn"}
	awsKeyUses = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_KEY_USE_TABLE}",
		"!GetAtt AccessKeyUses.Arn"}
	awsTickets = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TICKET_TABLE}",
		"!GetAtt Tickets.Arn"}
	awsJournal = Resource{"arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_JOURNAL_TABLE}",
		"!GetAtt Journal.Arn"}
	awsDispatch = Resource{"arn:aws:lambda:${AWS_REGION}:${AWS_ACCOUNT_ID}:function:${STACK}-dispatch-command",
		"!GetAtt DispatchCommand.Arn"}
	awsKey       = Resource{"arn:aws:kms:${AWS_REGION}:${AWS_ACCOUNT_ID}:key/${KMS_KEY_ID}", "!GetAtt Key.Arn"}
	awsOperators = Resource{"arn:aws:iam::${AWS_ACCOUNT_ID}:role/${OPERATOR_ROLES}",
		`!Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${OperatorRoles}"`}
	awsDeadLetters = Resource{"arn:aws:sqs:${AWS_REGION}:${AWS_ACCOUNT_ID}:${STACK}-dead-letters",
		"!GetAtt DeadLetters.Arn"}
)

func (f Function) awsLog() Resource {
	return Resource{
		"arn:aws:logs:${AWS_REGION}:${AWS_ACCOUNT_ID}:log-group:/aws/lambda/${STACK}-" + f.Folder + ":*",
		"!GetAtt " + f.Name() + "Log.Arn",
	}
}

// AWS returns the statements of the function's role on AWS. TransactWriteItems needs only the
// rights of its parts
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html).
func (f Function) AWS() []Statement {
	s := []Statement{{Sid: "ReadItem", Actions: []string{"dynamodb:GetItem"}, Resource: awsConfigurations}}
	if items := awsItems(f.Rights &^ (Get | List)); len(items) > 0 {
		s = append(s, Statement{Sid: "UseConfigurations", Actions: items,
			Resource: awsConfigurations, Condition: OfAccounts})
	}
	if f.Reseals() {
		s = append(s,
			Statement{Sid: "ListPartitions", Actions: []string{"dynamodb:Scan"}, Resource: awsConfigurations},
			Statement{Sid: "ResealClaim", Actions: awsItems(Query | Put), Resource: awsConfigurations,
				Condition: OfService})
	}
	if f.ManagesKeys() {
		s = append(s,
			Statement{Sid: "ManageKeys", Actions: awsItems(Get | Query | Put | Delete), Resource: awsKeys},
			Statement{Sid: "ReadUses", Actions: awsItems(Batch), Resource: awsKeyUses})
	} else if f.Reseals() {
		s = append(s, Statement{Sid: "ResealKeys", Actions: awsItems(Get | Query | Put), Resource: awsKeys})
	} else if f.Verifies() {
		s = append(s, Statement{Sid: "ReadKey", Actions: awsItems(Get), Resource: awsKeys})
	}
	if f.Verifies() {
		s = append(s, Statement{Sid: "NoteUse", Actions: awsItems(Get | Put), Resource: awsKeyUses})
	}
	if f.SpendsNonces() {
		// The adapter reads an item again if its write had no answer.
		s = append(s, Statement{Sid: "SpendNonce", Actions: []string{"dynamodb:PutItem", "dynamodb:GetItem"},
			Resource: awsTickets})
	}
	if f.Journal != 0 {
		s = append(s, Statement{Sid: "UseJournal", Actions: awsItems(f.Journal), Resource: awsJournal})
	}
	if f.IsWebhook() {
		s = append(s, Statement{Sid: "Dispatch", Actions: []string{"lambda:InvokeFunction"}, Resource: awsDispatch})
	}
	if f.Dispatches() {
		s = append(s, Statement{Sid: "RunAs", Actions: []string{"sts:AssumeRole", "sts:TagSession",
			"sts:SetSourceIdentity"}, Resource: awsOperators})
	}
	return append(s,
		Statement{Sid: "OpenKeyRing", Actions: []string{"kms:Decrypt"}, Resource: awsKey, Condition: OfKeyRing},
		Statement{Sid: "OpenTables", Actions: []string{"kms:Decrypt"}, Resource: awsKey, Condition: OfTables},
		Statement{Sid: "Log", Actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, Resource: f.awsLog()},
		Statement{Sid: "KeepWhatFailed", Actions: []string{"sqs:SendMessage"}, Resource: awsDeadLetters},
	)
}

// awsItems returns the actions of rights to a table.
func awsItems(rights Rights) []string {
	var out []string
	for _, o := range []struct {
		right  Rights
		action string
	}{
		{Get, "dynamodb:GetItem"},
		{Batch, "dynamodb:BatchGetItem"},
		{Query, "dynamodb:Query"},
		{List, "dynamodb:Scan"},
		{Put, "dynamodb:PutItem"},
		{Delete, "dynamodb:DeleteItem"},
		{Add, "dynamodb:UpdateItem"},
	} {
		if rights&o.right != 0 {
			out = append(out, o.action)
		}
	}
	return out
}

// The resources on Alibaba Cloud.
const (
	fcTable       = "acs:ots:${REGION}:${ACCOUNT_ID}:instance/${TABLESTORE_INSTANCE}/table/"
	fcKey         = "acs:kms:${REGION}:${ACCOUNT_ID}:key/${KMS_KEY_ID}"
	fcDispatch    = "acs:fc:${REGION}:${ACCOUNT_ID}:functions/${PREFIX}-dispatch-command"
	fcLog         = "acs:log:${REGION}:${ACCOUNT_ID}:project/${LOG_PROJECT}/logstore/${PREFIX}"
	fcOperators   = "acs:ram::${ACCOUNT_ID}:role/${OPERATOR_ROLES}"
	fcDeadLetters = "acs:mns:${REGION}:${ACCOUNT_ID}:/queues/${PREFIX}-dead-letters/messages"
)

// FC returns the statements of the function's role on Alibaba Cloud. RAM can restrict tables, but
// not their partitions
// (https://www.alibabacloud.com/help/en/tablestore/configure-user-permissions).
func (f Function) FC() []Statement {
	configurations := fcItems(f.Rights)
	if f.IsRedrive() { // it changes the events of changes, one at a time
		configurations = slices.DeleteFunc(configurations, func(a string) bool { return a == "ots:BatchWriteRow" })
	}
	s := []Statement{{Sid: "UseConfigurations", Actions: configurations,
		Resource: Resource{ARN: fcTable + "${CHATCONF_TABLE}"}}}
	keys, uses := Resource{ARN: fcTable + "${CHATCONF_KEY_TABLE}"}, Resource{ARN: fcTable + "${CHATCONF_KEY_USE_TABLE}"}
	if f.ManagesKeys() {
		s = append(s,
			Statement{Sid: "ManageKeys", Actions: []string{"ots:GetRow", "ots:GetRange", "ots:PutRow", "ots:DeleteRow"},
				Resource: keys},
			Statement{Sid: "ReadUses", Actions: fcItems(Batch), Resource: uses})
	} else if f.Reseals() {
		s = append(s, Statement{Sid: "ResealKeys", Actions: fcItems(Get | Query | Put), Resource: keys})
	} else if f.Verifies() {
		s = append(s, Statement{Sid: "ReadKey", Actions: fcItems(Get), Resource: keys})
	}
	if f.Verifies() {
		s = append(s, Statement{Sid: "NoteUse", Actions: []string{"ots:GetRow", "ots:PutRow"}, Resource: uses})
	}
	if f.SpendsNonces() {
		s = append(s, Statement{Sid: "SpendNonce", Actions: []string{"ots:PutRow", "ots:GetRow"},
			Resource: Resource{ARN: fcTable + "${CHATCONF_TICKET_TABLE}"}})
	}
	if f.Journal != 0 {
		s = append(s, Statement{Sid: "UseJournal", Actions: fcItems(f.Journal),
			Resource: Resource{ARN: fcTable + "${CHATCONF_JOURNAL_TABLE}"}})
	}
	if f.IsWebhook() {
		s = append(s, Statement{Sid: "Dispatch", Actions: []string{"fc:InvokeFunction"},
			Resource: Resource{ARN: fcDispatch}})
	}
	if f.Dispatches() {
		s = append(s, Statement{Sid: "RunAs", Actions: []string{"sts:AssumeRole", "sts:SetSourceIdentity"},
			Resource: Resource{ARN: fcOperators}})
	}
	return append(s,
		Statement{Sid: "OpenKeyRing", Actions: []string{"kms:Decrypt"}, Resource: Resource{ARN: fcKey}},
		Statement{Sid: "Log", Actions: []string{"log:PostLogStoreLogs"}, Resource: Resource{ARN: fcLog}},
		Statement{Sid: "KeepWhatFailed", Actions: []string{"mns:SendMessage"}, Resource: Resource{ARN: fcDeadLetters}},
	)
}

// fcItems returns the actions of rights to a table.
func fcItems(rights Rights) []string {
	var out []string
	for _, o := range []struct {
		right  Rights
		action string
	}{
		{Get, "ots:GetRow"},
		{Batch | write, "ots:BatchGetRow"}, // the adapter reads items again if their write had no answer
		{Query | List, "ots:GetRange"},
		{Put, "ots:PutRow"},
		{Delete, "ots:DeleteRow"},
		{Add, "ots:UpdateRow"},
		{write, "ots:BatchWriteRow"},
	} {
		if rights&o.right != 0 {
			out = append(out, o.action)
		}
	}
	return out
}

// The templates without the functions.
var (
	//go:embed aws/template.yml.tmpl
	awsTemplate string
	//go:embed fc/s.yaml.tmpl
	fcTemplate string
)

// Files returns the generated files by their path in the repository: both templates, and a policy
// for each function on each cloud.
func Files() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for path, text := range map[string]string{"template.yml": awsTemplate, "s.yaml": fcTemplate} {
		// Not {{ }}, which CloudFormation and Serverless Devs use themselves.
		t, err := template.New(path).Delims("<<", ">>").Funcs(template.FuncMap{"join": strings.Join,
			"dispatchers": dispatchers}).Parse(text)
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

// dispatchers returns the functions that dispatch commands.
func dispatchers(all []Function) []Function {
	return slices.DeleteFunc(slices.Clone(all), func(f Function) bool { return !f.Dispatches() })
}

// A policy is a policy of either cloud. They differ in the version, and RAM has no Sid.
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
