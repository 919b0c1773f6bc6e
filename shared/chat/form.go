package chat

import (
	"slices"

	"chatconf/shared/command"
)

// A Form is what a JSON value in a Configuration may be, as far as that does not depend on other
// values. JSON Schemas are made of it. It is built from what the checks use, and a test compares
// both. No function links it.
type Form struct {
	Choice []Form // the value has one of these forms; nothing else is set then

	Shape   command.Shape // of a text
	Pattern string        // a regular expression that says more about the text than Shape can
	Secret  bool          // the text is secret; a read shows the mask
	Scalar  bool          // any text or number, true or false

	Items       *Form // of a list of Least to Most items
	Least, Most int
	Distinct    bool // no item is listed twice

	Fields  []Field // of an object with these keys
	Meaning string  // the first cell of the table in the reference that explains Fields

	Key    command.Shape // of the keys of an object with Least to Most members
	Values *Form         // of their values
}

// A Field is a key of an object.
type Field struct {
	Key      string
	Required bool
	Needs    []string // other keys of the object that must be set too
	Help     string   // one line for people; empty if the reference explains it
	Form     Form
}

// FormOf returns the form of the Configuration of a platform. Names that the platform's console
// uses for its settings are accepted too, and are not in it.
func FormOf(description command.Platform) Form {
	p := platform{description}
	var fields []Field
	for _, s := range p.Settings {
		field := Field{Key: s.Key, Required: s.Required, Help: s.Help, Form: Form{Shape: s.Shape, Secret: s.Secret}}
		for _, key := range needs(s) {
			if needed, _ := p.setting(key); !needed.Required && !needed.Generate {
				field.Needs = append(field.Needs, key)
			}
		}
		fields = append(fields, field)
	}
	return Form{Fields: append(fields, commonFields()...)}
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
		{Key: command.KeyPermissions, Help: "who may run which commands; what nothing allows is denied",
			Form: Form{Items: &statement, Most: maxStatements}},
		{Key: command.KeyActions, Help: "commands with typed parameters, by name",
			Form: Form{Key: actionName, Values: &action, Most: maxActions}},
		{Key: command.KeyStrictActions, Help: "true: the bot has only the commands in Actions", Form: truthForm()},
		{Key: keyTarget, Help: "where allowed commands go; default Journal", Form: targetForm(false)},
		{Key: command.KeyLanguage, Help: "the language of the answers: en (default) or zh", Form: textForm(language)},
	}
}

// actionName is what can be said of the name of an action without parsing a message.
var actionName = command.Shape{
	Want:  command.NamePattern.Want,
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
		kind := command.ParameterType(word)
		forms := map[string]Form{
			keyName:     textForm(command.ParameterName),
			keyType:     textForm(command.OneOf(word)),
			keyValues:   values,
			keyPattern:  textForm(command.Shape{Want: "a regular expression", Least: 1, Most: command.MaxPattern}),
			keyMin:      textForm(wholeNumber),
			keyMax:      textForm(wholeNumber),
			keyRequired: truthForm(),
			keyDefault:  {Scalar: true},
			keyFixed:    {Scalar: true},
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

// targetForm returns the form of the Target of an action or of a Configuration: one for each Type.
func targetForm(ofAction bool) (form Form) {
	anyText := textForm(command.Shape{Want: "a text", Most: MaxConfiguration})
	template := Form{Key: templateKey, Most: maxTemplate, Values: &Form{Choice: []Form{
		anyText, {Items: &anyText, Most: maxTemplate},
	}}}
	allowed := textForm(allowText)
	allowed = Form{Choice: []Form{allowed, {Items: &allowed, Least: 1, Most: maxAllow}}}
	allow := Form{Fields: fieldsOf(allowKeys, allowKeys, map[string]Form{keyAction: allowed, keyResource: allowed})}
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
		form.Choice = append(form.Choice, Form{Fields: fieldsOf(keys, required, forms)})
	}
	return form
}
