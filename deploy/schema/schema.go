// Package schema makes JSON Schemas of Configurations and of bot files, and the OpenAPI description
// of the API. They come from the declarations that validate: the platforms' settings, the forms of
// package chat, the actions of package rpc and their answers. What a key or a parameter means comes
// from the reference, whose tables tests hold to the code.
//
// Run `make generate` after a change. No function links this package.
package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/secret"
)

// An object is a JSON object; encoding/json writes its keys in order.
type object = map[string]any

// draft is the dialect of the schemas.
const draft = "https://json-schema.org/draft/2020-12/schema"

// Reference is the pattern of a text in place of a secret in a bot file, so that the file can be in
// Git. References says it in words.
const (
	Reference  = `^\$\{(env|file|command):(.+)\}$`
	References = "${env:NAME}, ${file:PATH} or ${command:…}"
)

// errorMessage is a key that editors know: it takes the place of a regular expression in a message.
const errorMessage = "patternErrorMessage"

// A writer makes schemas of forms.
type writer struct {
	meanings  map[string]map[string]string // by first cell of a table, then by key
	classes   map[string]string            // of characters, by what they are asked for
	inFile    bool                         // secrets are references
	inAPI     bool                         // the schema is part of an OpenAPI description
	common    object                       // the forms of common keys
	undefined []string                     // keys without a description
}

// of returns the schema of a form.
func (w *writer) of(f chat.Form) object {
	switch {
	case f.Choice != nil:
		var choice []object
		for _, one := range f.Choice {
			choice = append(choice, w.of(one))
		}
		return object{"anyOf": choice}
	case f.Fields != nil:
		return w.fields(f)
	case f.Items != nil:
		out := object{"type": "array", "items": w.of(*f.Items), "maxItems": f.Most}
		if f.Least > 0 {
			out["minItems"] = f.Least
		}
		if f.Distinct {
			out["uniqueItems"] = true
		}
		return out
	case f.Values != nil:
		out := object{"type": "object", "additionalProperties": w.of(*f.Values)}
		if !f.Key.IsZero() {
			out["propertyNames"] = w.text(chat.Form{Shape: f.Key})
		}
		if f.Least > 0 {
			out["minProperties"] = f.Least
		}
		if f.Most > 0 {
			out["maxProperties"] = f.Most
		}
		return out
	case f.Scalar:
		return object{"type": []string{"string", "number", "boolean"}}
	case f.Whole:
		out := object{"type": "integer", "minimum": f.Least}
		if f.Most > 0 {
			out["maximum"] = f.Most
		}
		return out
	case f.Secret && w.inFile:
		return object{"anyOf": []object{{"type": "string", "pattern": Reference, errorMessage: "write " + References},
			{"const": secret.Mask}}}
	case f.Secret:
		return object{"anyOf": []object{w.text(f), {"const": secret.Mask}}}
	}
	return w.text(f)
}

// fields returns the schema of an object with the keys of a form.
func (w *writer) fields(f chat.Form) object {
	properties, needs, required := object{}, object{}, []string{}
	for _, field := range f.Fields {
		schema := w.of(field.Form)
		if field.Common {
			w.common[field.Key] = schema
			schema = object{"$ref": "#/$defs/" + field.Key}
		}
		schema["description"] = w.describe(f.Meaning, field)
		properties[field.Key] = schema
		if field.Required {
			required = append(required, field.Key)
		}
		if field.Needs != nil {
			needs[field.Key] = field.Needs
		}
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if len(needs) > 0 {
		out["dependentRequired"] = needs
	}
	if f.Cases != nil {
		out["allOf"] = cases(f.Cases)
	}
	return out
}

// cases returns the rules of the cases of an object.
func cases(list []chat.Case) (rules []object) {
	for _, one := range list {
		is, then := object{"properties": object{command.KeyReceive: object{"const": one.Receive}}}, object{}
		if one.Receive != command.ReceiveWebhook { // the default
			is["required"] = []string{command.KeyReceive}
		}
		if one.Required != nil {
			then["required"] = one.Required
		}
		if len(one.Needs) > 0 {
			then["dependentRequired"] = one.Needs
		}
		if len(then) > 0 {
			rules = append(rules, object{"if": is, "then": then})
		}
	}
	return rules
}

// describe returns what a key is for, and what its value may be.
func (w *writer) describe(table string, field chat.Field) string {
	out := field.Help
	if out == "" {
		out = w.meanings[table][field.Key]
	}
	if out == "" {
		w.undefined = append(w.undefined, field.Key+" in the table of "+table)
	}
	if want := field.Form.Shape.Want; want != "" && field.Form.Shape.Words == nil {
		out += ". Write " + want
	}
	if field.Form.Secret {
		out += ". A secret"
		if w.inFile {
			out += ": write " + References
		}
	}
	return out + "."
}

// text returns the schema of a text, or of what is accepted in its place.
func (w *writer) text(f chat.Form) object {
	s := f.Shape
	switch {
	case s.Truth:
		return object{"enum": []any{"true", "false", true, false}}
	case len(s.Words) == 1:
		return object{"const": s.Words[0]}
	case s.Words != nil:
		return object{"enum": s.Words}
	}
	out := object{"type": "string"}
	if s.Least > 0 {
		out["minLength"] = s.Least
	}
	if s.Most < math.MaxInt {
		out["maxLength"] = s.Most
	}
	if pattern := w.patternOf(s); pattern != "" {
		out["pattern"] = pattern
		if !w.inAPI {
			out[errorMessage] = "write " + s.Want
		}
	}
	if f.Pattern != "" {
		out["allOf"] = []object{{"pattern": f.Pattern, errorMessage: "write " + s.Want}}
	}
	if f.Not != "" {
		out["not"] = object{"pattern": f.Not}
	}
	if s.Number {
		return object{"anyOf": []object{out, number(s)}}
	}
	return out
}

// number returns the schema of a number that is accepted for a text.
func number(s command.Shape) object {
	out := object{"type": "integer"}
	if s.Each('-') {
		return out
	}
	switch {
	case s.First != nil && !s.First('0'):
		out["minimum"] = 1
	default:
		out["minimum"] = 0
	}
	out["maximum"] = json.Number(strings.Repeat("9", s.Most))
	if s.Up > 0 {
		out["maximum"] = s.Up
	}
	return out
}

// patternOf returns the regular expression of the characters of a shape; empty if any are allowed.
func (w *writer) patternOf(s command.Shape) string {
	if s.Each == nil {
		return ""
	}
	each := w.classOf(s.Want, s.Each)
	if s.First == nil {
		return "^" + each + "*$"
	}
	first := w.classOf(s.Want, func(r rune) bool { return s.First(r) && s.Each(r) })
	return "^" + first + each + "*$"
}

// A span is a range of characters.
type span struct{ from, to rune }

// classOf returns the class of the characters that is accepts. It lists those or the others,
// whichever are fewer, and writes characters as they are: no two dialects of regular expressions
// have the same escapes.
//
// A class is made once for a rule in words and its ASCII characters.
func (w *writer) classOf(want string, is func(rune) bool) string {
	for r := range rune(utf8.RuneSelf) {
		if is(r) {
			want += string(r)
		}
	}
	class, ok := w.classes[want]
	if !ok {
		class = classOf(is)
		w.classes[want] = class
	}
	return class
}

func classOf(is func(rune) bool) string {
	var spans [2][]span // of other characters, and of those that is accepts
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if r == surrogates.from {
			r = surrogates.to + 1 // they are in no text
		}
		i := 0
		if is(r) {
			i = 1
		}
		last := len(spans[i]) - 1
		if last >= 0 && (spans[i][last].to == r-1 || r == surrogates.to+1 && spans[i][last].to == surrogates.from-1) {
			spans[i][last].to = r
		} else {
			spans[i] = append(spans[i], span{r, r})
		}
	}
	if len(spans[0]) <= len(spans[1]) {
		return "[^" + classText(spans[0]) + "]"
	}
	return "[" + classText(spans[1]) + "]"
}

var surrogates = span{0xd800, 0xdfff}

func classText(spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(classRune(s.from))
		if s.to > s.from+1 {
			b.WriteByte('-')
		}
		if s.to > s.from {
			b.WriteString(classRune(s.to))
		}
	}
	return b.String()
}

func classRune(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}

// configuration returns the schema of the Configuration of a platform, which refers to definitions
// in common.
func (w *writer) configuration(p command.Platform) object {
	w.common = object{}
	return w.of(chat.FormOf(p))
}

// bot returns the schema of a bot file.
func (w *writer) bot(platforms []command.Platform, meanings map[string]string) object {
	forms := chat.ParameterForms()
	properties := object{}
	for _, name := range [...]string{"Name", "RamRole", "Status", "ResourceGroupId", "Tags"} {
		properties[name] = w.of(forms[name])
	}
	var types []string
	var rules []object
	definitions := object{}
	for _, p := range platforms {
		names := append([]string{p.Type}, p.Aliases...)
		types = append(types, names...)
		definitions[p.Type] = w.configuration(p)
		maps.Copy(definitions, w.common)
		rules = append(rules, object{
			"if":   object{"properties": object{"Type": object{"enum": names}}, "required": []string{"Type"}},
			"then": object{"properties": object{"Configuration": object{"$ref": "#/$defs/" + p.Type}}},
		})
	}
	properties["Type"] = object{"enum": types}
	properties["Configuration"] = object{"type": "object"}
	for name, schema := range properties {
		if meanings[name] == "" {
			w.undefined = append(w.undefined, name+" of a bot file")
		}
		schema.(object)["description"] = meanings[name] + "."
	}
	return object{
		"$schema": draft, "title": "A bot of chatconf", "type": "object", "properties": properties,
		"required": []string{"Name", "Type", "Configuration"}, "additionalProperties": false, "allOf": rules,
		"$defs": definitions,
	}
}

// tables returns the tables of a page in Markdown, the second cell of each row by its first, by the
// heading of the first column. Of several tables with the same heading the first counts.
func tables(page string) map[string]map[string]string {
	out := make(map[string]map[string]string)
	var table map[string]string
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			table = nil
		case table == nil:
			table = make(map[string]string)
			if name := plain(cells[0]); out[name] == nil {
				out[name] = table
			}
		case strings.HasPrefix(line, "|---"):
		default:
			for name := range strings.FieldsSeq(cells[0]) {
				table[strings.Trim(name, "`")] = plain(strings.Join(cells[1:], "; "))
			}
		}
	}
	return out
}

var (
	links = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	bold  = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// plain returns the text of Markdown without links and bold type.
func plain(text string) string {
	text = links.ReplaceAllString(strings.TrimSpace(text), "$1")
	return strings.TrimSuffix(bold.ReplaceAllString(text, "$1"), ".")
}

// check returns an error that names every key without a description.
func (w *writer) check() error {
	if len(w.undefined) == 0 {
		return nil
	}
	slices.Sort(w.undefined)
	return fmt.Errorf("schema: without a description are: %s; write a row of the reference",
		strings.Join(slices.Compact(w.undefined), ", "))
}

// meaningsOf returns the tables of several pages together.
func meaningsOf(pages ...string) map[string]map[string]string {
	out := make(map[string]map[string]string)
	for _, page := range pages {
		maps.Copy(out, tables(page))
	}
	return out
}
