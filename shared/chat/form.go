package chat

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"chatconf/shared/command"
)

// A Form is what a JSON value in a Configuration may be, as far as that does not depend on other
// values. JSON Schemas are made of it. It is built from what the checks use, and a test compares
// both. No function links it.
type Form struct {
	Choice []Form // the value has one of these forms; nothing else is set then

	Shape   command.Shape // of a text
	Pattern string        // a regular expression that says more about the text than Shape can
	Not     string        // a regular expression of what the text is not
	Secret  bool          // the text is secret; a read shows the mask
	Scalar  bool          // any text or number, true or false
	Whole   bool          // a whole number of at least Least, and at most Most unless that is 0

	Items       *Form // of a list of Least to Most items
	Least, Most int
	Distinct    bool // no item is listed twice

	Fields  []Field // of an object with these keys
	Cases   []Case  // of an object with a key Receive
	Meaning string  // the first cell of the table in the reference that explains Fields

	Key    command.Shape // of the keys of an object with Least to Most members
	Values *Form         // of their values
}

// A Case has the rules of an object for one value of its key Receive. Without the key the value is
// ReceiveWebhook.
type Case struct {
	Receive  string
	Required []string            // keys in addition to required fields
	Needs    map[string][]string // as Field.Needs, by key
}

// A Field is a key of an object.
type Field struct {
	Key      string
	Required bool
	Needs    []string // other keys of the object that must be set too
	Help     string   // one line for people; empty if the reference explains it
	Common   bool     // every platform's Configuration has the key, with this form
	Form     Form
}

// FormOf returns the form of the Configuration of a platform. Names that the platform's console
// uses for its settings are accepted too, and are not in it.
func FormOf(description command.Platform) Form {
	p := platform{description}
	var fields []Field
	for _, s := range p.Settings {
		field := Field{Key: s.Key, Required: s.Required && s.For == "", Help: s.Help,
			Form: Form{Shape: s.Shape, Secret: s.Secret}}
		for _, key := range needs(s) {
			if needed, _ := p.setting(key); !needed.Required && !needed.Generate {
				field.Needs = append(field.Needs, key)
			}
		}
		fields = append(fields, field)
	}
	for _, field := range commonFields() {
		field.Common = field.Key != command.KeyReceive
		if !field.Common && p.StreamSetup == nil {
			field.Form = textForm(command.OneOf(command.ReceiveWebhook))
		}
		fields = append(fields, field)
	}
	return Form{Fields: fields, Cases: p.cases()}
}

// cases returns a Case for each Receive of a platform; none if their rules are the same.
func (p *platform) cases() (cases []Case) {
	if !slices.ContainsFunc(p.Settings, func(s command.Setting) bool { return s.For != "" }) {
		return nil
	}
	for _, receive := range receives.Words {
		one := Case{Receive: receive, Needs: make(map[string][]string)}
		for _, s := range p.Settings {
			if s.Required && s.For == receive {
				one.Required = append(one.Required, s.Key)
			}
			for _, key := range needs(s) {
				if needed, _ := p.setting(key); (needed.Required || needed.Generate) && !needed.Applies(receive) {
					one.Needs[s.Key] = append(one.Needs[s.Key], key)
				}
			}
		}
		cases = append(cases, one)
	}
	return cases
}

// KeyOf returns our key for a key of a Configuration, which may be a name of the platform's
// console. No function links it.
func KeyOf(description command.Platform, written string) (key string, ok bool) {
	p := platform{description}
	return p.keyOf(written)
}

func textForm(shape command.Shape) Form { return Form{Shape: shape} }

func truthForm() Form { return textForm(command.TrueOrFalse()) }

// listForm returns the form of what checkStrings accepts.
func listForm(shape command.Shape) Form {
	item := textForm(shape)
	return Form{Items: &item, Least: 1, Most: maxStrings, Distinct: true}
}

func commonFields() []Field {
	ids, statement, action := listForm(command.ID), permissionForm(), actionForm()
	return []Field{
		{Key: keyBotName, Help: "the bot's name as the platform shows it", Form: textForm(botName)},
		{Key: command.KeyConversationIDs, Help: "the bot answers only in these conversations", Form: ids},
		{Key: command.KeyUserGroups, Help: "user ids by the name of a group, for Principals",
			Form: Form{Key: groupName, Values: &ids}},
		{Key: command.KeyPermissions, Help: "who may run which commands; a command that no statement allows is denied",
			Form: Form{Items: &statement, Most: maxStatements}},
		{Key: command.KeyActions, Help: "commands with typed parameters, by name",
			Form: Form{Key: actionName, Values: &action, Most: maxActions}},
		{Key: command.KeyStrictActions, Help: "true: the bot has only the commands in Actions", Form: truthForm()},
		{Key: keyTarget, Help: "where allowed commands go; default Journal", Form: targetForm(false)},
		{Key: command.KeyReceive, Help: "how messages come: by Webhook (default), or over a connection that chatconf " +
			"opens (Stream)", Form: textForm(receives)},
		{Key: command.KeyLanguage, Help: "the language of the answers: en (default) or zh", Form: textForm(language)},
	}
}

// actionName is what can be said of the name of an action without parsing a message.
var actionName = command.Shape{
	Want:  command.NamePattern.Want + ", '*' and '?'",
	Least: command.NamePattern.Least, Most: command.NamePattern.Most,
	Each: func(r rune) bool { return command.NamePattern.Each(r) && !command.Among(command.Wildcards)(r) },
}

func permissionForm() Form {
	principals := listForm(principalText)
	principals.Items.Pattern = `^(\*|user:[^*?]+|group:.+)$`
	values := listForm(command.Text(command.MaxValuePattern))
	forms := map[string]Form{
		keyEffect:        textForm(effectText),
		keyPrincipals:    principals,
		keyCommands:      listForm(command.NamePattern),
		keyConversations: listForm(command.IDPattern),
		keyParameters:    {Values: &values, Least: 1},
		roleParam:        textForm(roleText),
	}
	return Form{Fields: fieldsOf(permissionKeys, permissionRequired, forms), Meaning: "key"}
}

// fieldsOf returns the fields with these keys.
func fieldsOf(keys, required []string, forms map[string]Form) []Field {
	fields := make([]Field, len(keys))
	for i, key := range keys {
		fields[i] = Field{Key: key, Required: slices.Contains(required, key), Form: forms[key]}
	}
	return fields
}

func actionForm() Form {
	aliases := listForm(actionName)
	aliases.Most = maxAliases
	parameter := parameterForm()
	longest := 0
	for _, kind := range targetKinds {
		longest = max(longest, kind.timeout)
	}
	return Form{Meaning: "key of an action", Fields: fieldsOf(actionKeys, nil, map[string]Form{
		keySummary:        textForm(lineText),
		keyAliases:        aliases,
		keyParameters:     {Items: &parameter, Most: maxParameters},
		keyTarget:         targetForm(true),
		roleParam:         textForm(roleText),
		keyTimeoutSeconds: textForm(command.UpTo(longest)),
		keyDryRun:         truthForm(),
	})}
}

// parameterForm returns the form of a parameter of an action: one for each Type.
func parameterForm() (form Form) {
	values := listForm(valueText)
	values.Most = maxValues
	for _, word := range parameterType.Words {
		kind, value := command.ParameterType(word), Form{Scalar: true}
		switch kind {
		case command.TypeBoolean:
			value = truthForm()
		case command.TypeInteger:
			value = textForm(wholeNumber)
		}
		forms := map[string]Form{
			keyName:     textForm(command.ParameterName),
			keyType:     textForm(command.OneOf(word)),
			keyValues:   values,
			keyPattern:  textForm(command.Shape{Want: "a regular expression", Least: 1, Most: command.MaxPattern}),
			keyMin:      textForm(wholeNumber),
			keyMax:      textForm(wholeNumber),
			keyRequired: truthForm(),
			keyDefault:  value,
			keyFixed:    value,
			keySecret:   truthForm(),
			keyHelp:     textForm(lineText),
		}
		keys := slices.DeleteFunc(slices.Clone(parameterKeys), func(key string) bool { return !applies(key, kind) })
		required := []string{keyName}
		if kind != command.TypeString {
			required = append(required, keyType)
		}
		if kind == command.TypeEnum {
			required = append(required, keyValues)
		}
		form.Choice = append(form.Choice, Form{Fields: fieldsOf(keys, required, forms), Meaning: "key of a parameter"})
	}
	return form
}

// targetHelp explains the keys of Targets, of any type, and of the statements of Allow.
var targetHelp = map[string]string{
	keyType:           "where a command goes",
	keyURL:            "the address that commands are posted to",
	keySecret:         "the key that signs each request, by Standard Webhooks",
	keyName:           "the name of the function, or of the program's file",
	"TemplateName":    "the name of the OOS template",
	"TemplateVersion": "the version of the template; default the latest",
	"SafetyCheck":     "the safety check of the execution: Skip or ConfirmEveryHighRiskAction",
	"DocumentName":    "the name of the runbook, or its ARN",
	"StateMachineArn": "the state machine",
	keyParameters:     "what the template gets, by name; {name} stands for the value of a parameter of the action",
	keyAllow:          "what the steps of the template may do with the session of the command",
	keyAction:         "the operations, such as ecs:RebootInstance",
	keyResource:       "the resources; {name} stands for the value of a parameter of the action",
}

// withHelp adds the help of targetHelp to fields.
func withHelp(fields []Field) []Field {
	for i := range fields {
		fields[i].Help = targetHelp[fields[i].Key]
	}
	return fields
}

// targetForm returns the form of the Target of an action or of a Configuration: one for each Type.
func targetForm(ofAction bool) (form Form) {
	anyText := textForm(command.Shape{Want: "a text", Most: MaxConfiguration})
	template := Form{Key: templateKey, Most: maxTemplate, Values: &Form{Choice: []Form{
		anyText, {Items: &anyText, Most: maxTemplate},
	}}}
	item := textForm(allowText)
	allowed := Form{Choice: []Form{item, {Items: &item, Least: 1, Most: maxAllow}}}
	allow := Form{Fields: withHelp(fieldsOf(allowKeys, allowKeys,
		map[string]Form{keyAction: allowed, keyResource: allowed}))}
	for _, kind := range targetKinds {
		if kind.actionOnly && !ofAction {
			continue
		}
		forms := map[string]Form{
			keyType:       textForm(command.OneOf(kind.name)),
			keyURL:        {Shape: targetURL, Pattern: "^[hH][tT][tT][pP][sS]:"},
			keySecret:     {Shape: webhookSecret, Secret: true},
			keyParameters: template,
			keyAllow:      {Items: &allow, Least: 1, Most: maxAllow},
		}
		required := append([]string{keyType}, kind.required...)
		keys := slices.Concat(required, kind.optional)
		for _, key := range keys {
			if _, ok := forms[key]; !ok {
				forms[key] = textForm(targetShape(kind.name, key))
			}
		}
		form.Choice = append(form.Choice, Form{Fields: withHelp(fieldsOf(keys, required, forms))})
	}
	return form
}

// ParameterForms returns the forms of parameters, by name, that have them in every action on
// configurations.
func ParameterForms() map[string]Form {
	tag := textForm(command.Shape{Want: "at most 128 characters", Most: maxTagText, Each: command.Text(1).Each})
	return map[string]Form{
		"Name":               nameForm(),
		"DestinationName":    nameForm(),
		"RamRole":            textForm(roleName),
		"ResourceGroupId":    textForm(groupID),
		"Status":             textForm(command.OneOf(StatusActive, StatusInactive)),
		"Tags":               {Key: command.Text(maxTagText), Values: &tag, Most: MaxTags},
		"ClientToken":        textForm(clientToken),
		"GraceSeconds":       {Whole: true, Most: MaxGrace},
		"MaxResults":         {Whole: true, Least: 1, Most: MaxResults},
		"Revision":           {Whole: true},
		"NewResourceGroupId": textForm(groupID),
	}
}

func nameForm() Form {
	var prefixes []string
	for _, prefix := range reserved {
		var anyCase strings.Builder
		for _, r := range prefix {
			fmt.Fprintf(&anyCase, "[%c%c]", r, unicode.ToUpper(r))
		}
		prefixes = append(prefixes, anyCase.String())
	}
	return Form{Shape: nameText, Not: "^(" + strings.Join(prefixes, "|") + ")"}
}
