package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse returns the policy of a JSON text:
//
//	{
//	  "Version": "1",
//	  "Statement": [
//	    {
//	      "Effect": "Allow",
//	      "Action": ["oos:Get*", "oos:List*"],
//	      "Resource": "acs:oos:*:*:chatconfiguration/prod-*",
//	      "Condition": {"StringEquals": {"oos:tag/env": ["prod", "canary"]}}
//	    }
//	  ]
//	}
//
// Action, Resource and the values of a condition are a string or an array of strings with at least
// one; Condition may be left out. The values of Bool may be true and false without quotes. An
// action is service:operation, or * for all; a resource begins with acs: or *.
//
// Whatever else the text holds is an error that names all mistakes, at most maxMistakes, each with
// its place, as in "policy: Statement[1].Condition.StringEqual: unknown operator"; what is not
// JSON, by line and column. Mistakes are also unknown and duplicate members, empty arrays and
// objects, data after the end, and more than MaxSize bytes.
func Parse(data []byte) (*Policy, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("policy: %d bytes, the most is %d", len(data), MaxSize)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("policy: not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("policy: not valid JSON at %s: %w", position(data, syntax.Offset), err)
		}
		return nil, fmt.Errorf("policy: not valid JSON: %w", err)
	}
	var text bytes.Buffer
	if err := json.Compact(&text, data); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	into := &Policy{text: text.String()}
	p := parser{Decoder: json.NewDecoder(bytes.NewReader(data))}
	p.UseNumber() // a number is no mistake because it is large
	p.policy(into)
	if len(p.mistakes) > 0 {
		return nil, fmt.Errorf("policy: %s", strings.Join(p.mistakes, "; "))
	}
	return into, nil
}

// position returns where the byte is after which so many were read, as people count: lines and
// characters from 1.
func position(data []byte, offset int64) string {
	before := data[:min(max(offset-1, 0), int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

// maxMistakes is how many mistakes of a policy are named.
const maxMistakes = 10

// A parser reads a text that is known to be valid JSON, member by member: encoding/json by itself
// would take duplicate members and any case. Its methods are named for what they read; path is
// where they are, for errors.
type parser struct {
	*json.Decoder
	mistakes []string
}

// wanted says what a required member is, for a policy that lacks it.
var wanted = map[string]string{
	"Version":   `"1"`,
	"Statement": "an array of statements",
	"Effect":    "Allow or Deny",
	"Action":    "an action such as oos:Get*, or * for all",
	"Resource":  "a resource such as acs:oos:*:*:chatconfiguration/prod-*, or * for all",
}

func (p *parser) policy(into *Policy) {
	p.object("", []string{"Version", "Statement"}, nil, func(path, member string) {
		if member == "Version" {
			if token := p.next(); token != "1" {
				p.fail(path, `wanted "1"`)
				p.skip(token)
			}
			return
		}
		p.array(path, func(path string) {
			into.statements = append(into.statements, statement{})
			p.statement(path, &into.statements[len(into.statements)-1])
		})
	})
}

func (p *parser) statement(path string, into *statement) {
	p.object(path, []string{"Effect", "Action", "Resource"}, []string{"Condition"}, func(path, member string) {
		switch member {
		case "Effect":
			token := p.next()
			text, _ := token.(string)
			into.effect = Effect(text)
			if into.effect != Allow && into.effect != Deny {
				p.fail(path, "wanted Allow or Deny")
				p.skip(token)
			}
		case "Action":
			p.texts(path, false, func(text string) error {
				into.actions = append(into.actions, text)
				return checkAction(text)
			})
		case "Resource":
			p.texts(path, false, func(text string) error {
				into.resources = append(into.resources, text)
				return checkResource(text)
			})
		default:
			p.conditions(path, into)
		}
	})
}

func (p *parser) conditions(path string, into *statement) {
	var operators []string
	p.object(path, nil, nil, func(path, operator string) {
		if err := checkOperator(operator); err != nil {
			p.fail(path, err.Error())
			p.skip(p.next())
			return
		}
		operators = append(operators, operator)
		if slices.Contains(operators, opStringNotEquals) && slices.Contains(operators, opNotStringEquals) {
			p.fail(path, opStringNotEquals+" and "+opNotStringEquals+" are the same operator, given twice")
		}
		p.object(path, nil, nil, func(path, key string) {
			if err := checkKey(operator, key); err != nil {
				p.fail(path, err.Error())
				p.skip(p.next())
				return
			}
			c := condition{operator: operator, key: key}
			p.texts(path, key == KeySecureTransport, c.add)
			into.conditions = append(into.conditions, c)
		})
	})
}

// object reads an object and calls value to read the value of each member. The object has all the
// required members and none but the required and optional ones; without any of either, it has what
// it likes but at least one.
func (p *parser) object(path string, required, optional []string, value func(path, member string)) {
	if token := p.next(); token != json.Delim('{') {
		p.fail(path, "wanted an object")
		p.skip(token)
		return
	}
	open := len(required)+len(optional) == 0
	seen := make(map[string]bool)
	for p.More() {
		member, _ := p.next().(string)
		at := join(path, member)
		switch {
		case !open && !slices.Contains(required, member) && !slices.Contains(optional, member):
			p.fail(at, "unknown member, known are "+strings.Join(slices.Concat(required, optional), ", "))
			p.skip(p.next())
		case seen[member]:
			p.fail(at, "given twice")
			p.skip(p.next())
		default:
			value(at, member)
		}
		seen[member] = true
	}
	p.next() // the closing brace
	for _, member := range required {
		if !seen[member] {
			p.fail(join(path, member), "missing, wanted "+wanted[member])
		}
	}
	if len(seen) == 0 && open {
		p.fail(path, "empty, leave it out if there is nothing to say")
	}
}

// array reads an array of at least one element and calls element to read each.
func (p *parser) array(path string, element func(path string)) {
	if token := p.next(); token != json.Delim('[') {
		p.fail(path, "wanted an array")
		p.skip(token)
		return
	}
	p.elements(path, element)
}

// elements reads what follows the opening bracket of an array.
func (p *parser) elements(path string, element func(path string)) {
	n := 0
	for ; p.More(); n++ {
		element(fmt.Sprintf("%s[%d]", path, n))
	}
	p.next() // the closing bracket
	if n == 0 {
		p.fail(path, "empty")
	}
}

// texts reads a string, or an array of at least one, and calls add with each.
// Where bools are taken, true and false may stand without quotes.
func (p *parser) texts(path string, bools bool, add func(text string) error) {
	one := func(path string, token json.Token) {
		text, ok := token.(string)
		if b, is := token.(bool); is && bools {
			text, ok = strconv.FormatBool(b), true
		}
		if !ok {
			p.fail(path, "wanted a string")
			p.skip(token)
			return
		}
		if err := add(text); err != nil {
			p.fail(path, err.Error())
		}
	}
	token := p.next()
	if token != json.Delim('[') {
		one(path, token)
		return
	}
	p.elements(path, func(path string) { one(path, p.next()) })
}

// next returns the next token. Of text that is valid JSON there always is one.
func (p *parser) next() json.Token {
	token, _ := p.Token()
	return token
}

// skip reads the rest of the value that begins with token.
func (p *parser) skip(token json.Token) {
	depth := 0
	for {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return
		}
		token = p.next()
	}
}

// fail adds a mistake and its place.
func (p *parser) fail(path, problem string) {
	if path != "" {
		problem = path + ": " + problem
	}
	switch {
	case len(p.mistakes) < maxMistakes:
		p.mistakes = append(p.mistakes, problem)
	case len(p.mistakes) == maxMistakes:
		p.mistakes = append(p.mistakes, "and more")
	}
}

// checkAction returns an error when pattern cannot be meant for actions, which all have the form
// service:operation.
func checkAction(pattern string) error {
	const form = "wanted service:operation such as oos:Get*, or * for all"
	if strings.Trim(pattern, "*") == "" && pattern != "" {
		return nil
	}
	service, operation, _ := strings.Cut(pattern, ":")
	if service == "" || operation == "" {
		return errors.New(form)
	}
	for _, c := range []byte(service + operation) {
		if !isWordByte(c) && c != '*' && c != '?' {
			return errors.New(form)
		}
	}
	return nil
}

// checkResource returns an error when pattern cannot be meant for resources, whose names all begin
// with acs: as in https://www.alibabacloud.com/help/en/ram/policy-elements.
func checkResource(pattern string) error {
	if !strings.HasPrefix(pattern, "*") && !strings.HasPrefix(pattern, "acs:") {
		return errors.New("wanted a resource such as acs:oos:*:*:chatconfiguration/prod-*, or * for all")
	}
	return nil
}

// join returns the path of a member of what is at path. A name that is not plain is quoted and a
// long one cut, because the text may hold anything.
func join(path, member string) string {
	const longest = 64
	plain := member != "" && len(member) <= longest
	for _, c := range []byte(member) {
		plain = plain && (isWordByte(c) || c == ':' || c == '/')
	}
	if !plain {
		member = fmt.Sprintf("%.*q", longest, member)
	}
	if path == "" {
		return member
	}
	return path + "." + member
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}
