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
// Action, Resource and the values of a condition are a string or an array of strings with at least one; Condition may be left
// out. The values of Bool may be true and false without quotes. An action is service:operation, or * for all; a resource begins
// with acs: or *.
//
// Whatever else the text holds is an error: it names the place, as in "policy: Statement[1].Condition.StringEqual: unknown operator".
// That includes unknown and duplicate members, empty arrays and objects, data after the end, and more than MaxSize bytes.
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
			return nil, fmt.Errorf("policy: not valid JSON at byte %d: %w", syntax.Offset, err)
		}
		return nil, fmt.Errorf("policy: not valid JSON: %w", err)
	}
	var text bytes.Buffer
	if err := json.Compact(&text, data); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p := &Policy{text: text.String()}
	if err := (&parser{json.NewDecoder(bytes.NewReader(data))}).policy(p); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return p, nil
}

// A parser reads a text that is known to be valid JSON, member by member: encoding/json by itself would take duplicate members
// and any case. Its methods are named for what they read; path is where they are, for errors.
type parser struct {
	*json.Decoder
}

func (p *parser) policy(into *Policy) error {
	return p.object("", []string{"Version", "Statement"}, nil, func(path, member string) error {
		if member == "Version" {
			if token, _ := p.Token(); token != "1" {
				return fail(path, `wanted "1"`)
			}
			return nil
		}
		return p.array(path, func(path string) error {
			into.statements = append(into.statements, statement{})
			return p.statement(path, &into.statements[len(into.statements)-1])
		})
	})
}

func (p *parser) statement(path string, into *statement) error {
	return p.object(path, []string{"Effect", "Action", "Resource"}, []string{"Condition"}, func(path, member string) error {
		switch member {
		case "Effect":
			token, _ := p.Token()
			text, _ := token.(string)
			into.effect = Effect(text)
			if into.effect != Allow && into.effect != Deny {
				return fail(path, "wanted Allow or Deny")
			}
			return nil
		case "Action":
			return p.texts(path, false, func(text string) error {
				into.actions = append(into.actions, text)
				return checkAction(text)
			})
		case "Resource":
			return p.texts(path, false, func(text string) error {
				into.resources = append(into.resources, text)
				return checkResource(text)
			})
		default:
			return p.conditions(path, into)
		}
	})
}

func (p *parser) conditions(path string, into *statement) error {
	var operators []string
	return p.object(path, nil, nil, func(path, operator string) error {
		if err := checkOperator(operator); err != nil {
			return fail(path, err.Error())
		}
		operators = append(operators, operator)
		if slices.Contains(operators, opStringNotEquals) && slices.Contains(operators, opNotStringEquals) {
			return fail(path, opStringNotEquals+" and "+opNotStringEquals+" are the same operator, given twice")
		}
		return p.object(path, nil, nil, func(path, key string) error {
			if err := checkKey(operator, key); err != nil {
				return fail(path, err.Error())
			}
			c := condition{operator: operator, key: key}
			err := p.texts(path, key == KeySecureTransport, c.add)
			into.conditions = append(into.conditions, c)
			return err
		})
	})
}

// object reads an object and calls value to read the value of each member. The object has all the required members and none but
// the required and optional ones; without any of either, it has what it likes but at least one.
func (p *parser) object(path string, required, optional []string, value func(path, member string) error) error {
	if token, _ := p.Token(); token != json.Delim('{') {
		return fail(path, "wanted an object")
	}
	open := len(required)+len(optional) == 0
	seen := make(map[string]bool)
	for p.More() {
		token, _ := p.Token()
		member, _ := token.(string)
		at := join(path, member)
		if !open && !slices.Contains(required, member) && !slices.Contains(optional, member) {
			return fail(at, "unknown member, known are "+strings.Join(slices.Concat(required, optional), ", "))
		}
		if seen[member] {
			return fail(at, "given twice")
		}
		seen[member] = true
		if err := value(at, member); err != nil {
			return err
		}
	}
	p.Token() // the closing brace
	for _, member := range required {
		if !seen[member] {
			return fail(join(path, member), "missing")
		}
	}
	if len(seen) == 0 {
		return fail(path, "empty, leave it out if there is nothing to say")
	}
	return nil
}

// array reads an array of at least one element and calls element to read each.
func (p *parser) array(path string, element func(path string) error) error {
	if token, _ := p.Token(); token != json.Delim('[') {
		return fail(path, "wanted an array")
	}
	return p.elements(path, element)
}

// elements reads what follows the opening bracket of an array.
func (p *parser) elements(path string, element func(path string) error) error {
	n := 0
	for ; p.More(); n++ {
		if err := element(fmt.Sprintf("%s[%d]", path, n)); err != nil {
			return err
		}
	}
	p.Token() // the closing bracket
	if n == 0 {
		return fail(path, "empty")
	}
	return nil
}

// texts reads a string, or an array of at least one, and calls add with each.
// Where bools are taken, true and false may stand without quotes.
func (p *parser) texts(path string, bools bool, add func(text string) error) error {
	one := func(path string, token json.Token) error {
		text, ok := token.(string)
		if b, is := token.(bool); is && bools {
			text, ok = strconv.FormatBool(b), true
		}
		if !ok {
			return fail(path, "wanted a string")
		}
		if err := add(text); err != nil {
			return fail(path, err.Error())
		}
		return nil
	}
	token, _ := p.Token()
	if token != json.Delim('[') {
		return one(path, token)
	}
	return p.elements(path, func(path string) error {
		token, _ := p.Token()
		return one(path, token)
	})
}

// checkAction returns an error when pattern cannot be meant for actions, which all have the form service:operation.
func checkAction(pattern string) error {
	const wanted = "wanted service:operation such as oos:Get*, or * for all"
	if strings.Trim(pattern, "*") == "" && pattern != "" {
		return nil
	}
	service, operation, _ := strings.Cut(pattern, ":")
	if service == "" || operation == "" {
		return errors.New(wanted)
	}
	for _, c := range []byte(service + operation) {
		if !isWordByte(c) && c != '*' && c != '?' {
			return errors.New(wanted)
		}
	}
	return nil
}

// checkResource returns an error when pattern cannot be meant for resources, whose names all begin with acs: as in
// https://www.alibabacloud.com/help/en/ram/policy-elements.
func checkResource(pattern string) error {
	if !strings.HasPrefix(pattern, "*") && !strings.HasPrefix(pattern, "acs:") {
		return errors.New("wanted a resource such as acs:oos:*:*:chatconfiguration/prod-*, or * for all")
	}
	return nil
}

// fail returns an error that names the place.
func fail(path, problem string) error {
	if path == "" {
		return errors.New(problem)
	}
	return fmt.Errorf("%s: %s", path, problem)
}

// join returns the path of a member of what is at path. A name that is not plain is quoted and a long one cut, because the text
// may hold anything.
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
