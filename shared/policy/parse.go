package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/document"
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
// Action, Resource and the values of a condition are a string or a non-empty array of strings.
// Condition is optional. The values of Bool may be true and false without quotes. An action is
// service:operation, or * for all. A resource begins with acs: or *.
//
// For any other text Parse returns an error with all mistakes, at most maxMistakes, and their
// paths, as in "policy: Statement[1].Condition.StringEqual: unknown operator". For invalid JSON it
// gives line and column. Unknown and duplicate members, empty arrays and objects, data after the
// end, and more than MaxSize bytes are also mistakes.
func Parse(data []byte) (*Policy, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("policy: %d bytes are too long; use at most %d", len(data), MaxSize)
	}
	root, _, err := document.ParseRepeated("the text", string(data))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	var text bytes.Buffer
	if err := json.Compact(&text, data); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	into := &Policy{text: text.String()}
	var p parser
	p.policy(root, into)
	if len(p.mistakes) > 0 {
		return nil, fmt.Errorf("policy: %s", strings.Join(p.mistakes, "; "))
	}
	return into, nil
}

// maxMistakes limits the mistakes in an error.
const maxMistakes = 10

// A parser collects the mistakes of one text. Each method parses the element of its name; path is
// the place of the element in errors.
type parser struct {
	mistakes []string
}

// hints describe the required members, for a policy that lacks one.
var hints = map[string]string{
	"Version":   `"1"`,
	"Statement": "an array of statements",
	"Effect":    "Allow or Deny",
	"Action":    "an action such as oos:Get*, or * for all",
	"Resource":  "a resource such as acs:oos:*:*:chatconfiguration/prod-*, or * for all",
}

func (p *parser) policy(n *document.Node, into *Policy) {
	p.object("", n, []string{"Version", "Statement"}, nil, func(path, member string, n *document.Node) {
		switch {
		case member == "Version":
			if n.Kind != document.String || n.Text != "1" {
				p.fail(path, `write "1"`)
			}
		case n.Kind != document.Array:
			p.fail(path, "write an array")
		default:
			into.statements = make([]statement, len(n.Items))
			p.items(path, n, func(path string, i int) { p.statement(path, n.Items[i], &into.statements[i]) })
		}
	})
}

func (p *parser) statement(path string, n *document.Node, into *statement) {
	required, optional := []string{"Effect", "Action", "Resource"}, []string{"Condition"}
	p.object(path, n, required, optional, func(path, member string, n *document.Node) {
		switch member {
		case "Effect":
			if into.effect = Effect(n.Text); n.Kind != document.String || into.effect != Allow && into.effect != Deny {
				p.fail(path, "write Allow or Deny")
			}
		case "Action":
			p.texts(path, n, false, func(text string) error {
				into.actions = append(into.actions, text)
				return checkAction(text)
			})
		case "Resource":
			p.texts(path, n, false, func(text string) error {
				into.resources = append(into.resources, text)
				return checkResource(text)
			})
		default:
			p.conditions(path, n, into)
		}
	})
}

func (p *parser) conditions(path string, n *document.Node, into *statement) {
	var operators []string
	p.object(path, n, nil, nil, func(path, operator string, n *document.Node) {
		if err := checkOperator(operator); err != nil {
			p.fail(path, err.Error())
			return
		}
		operators = append(operators, operator)
		if slices.Contains(operators, opStringNotEquals) && slices.Contains(operators, opNotStringEquals) {
			p.fail(path, opStringNotEquals+" and "+opNotStringEquals+" are the same operator, given twice")
		}
		p.object(path, n, nil, nil, func(path, key string, n *document.Node) {
			if err := checkKey(operator, key); err != nil {
				p.fail(path, err.Error())
				return
			}
			c := condition{operator: operator, key: key}
			p.texts(path, n, key == KeySecureTransport, c.add)
			into.conditions = append(into.conditions, c)
		})
	})
}

// object parses an object and calls value for each member. If required or optional names are given,
// it accepts only those and requires the required ones. Otherwise it accepts any names, and at
// least one member.
func (p *parser) object(path string, n *document.Node, required, optional []string,
	value func(path, member string, n *document.Node)) {
	if n.Kind != document.Object {
		p.fail(path, "write an object")
		return
	}
	open := len(required)+len(optional) == 0
	for _, m := range n.Members {
		at := join(path, m.Key)
		if !open && !slices.Contains(required, m.Key) && !slices.Contains(optional, m.Key) {
			p.fail(at, "unknown member; use "+strings.Join(slices.Concat(required, optional), ", "))
			continue
		}
		value(at, m.Key, m.Value)
		if slices.Contains(n.Twice, m.Key) {
			p.fail(at, "given twice")
		}
	}
	for _, member := range required {
		if n.Get(member) == nil {
			p.fail(join(path, member), "missing; write "+hints[member])
		}
	}
	if len(n.Members) == 0 && open {
		p.fail(path, "empty; add a member or leave it out")
	}
}

// items calls item for each element of a non-empty array.
func (p *parser) items(path string, n *document.Node, item func(path string, i int)) {
	for i := range n.Items {
		item(document.At(path, i), i)
	}
	if len(n.Items) == 0 {
		p.fail(path, "empty")
	}
}

// texts parses a string or a non-empty array of strings, and calls add for each. If bools is set,
// true and false may be without quotes.
func (p *parser) texts(path string, n *document.Node, bools bool, add func(text string) error) {
	one := func(path string, n *document.Node) {
		if n.Kind != document.String && !(bools && n.Kind == document.Literal && n.Text != "null") {
			p.fail(path, "write a string")
		} else if err := add(n.Text); err != nil {
			p.fail(path, err.Error())
		}
	}
	if n.Kind != document.Array {
		one(path, n)
		return
	}
	p.items(path, n, func(path string, i int) { one(path, n.Items[i]) })
}

// fail adds a mistake with its path.
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

// checkAction returns an error if pattern cannot match an action, which is service:operation.
func checkAction(pattern string) error {
	const form = "write service:operation such as oos:Get*, or * for all"
	if strings.Trim(pattern, "*") == "" && pattern != "" {
		return nil
	}
	service, operation, _ := strings.Cut(pattern, ":")
	if service == "" || operation == "" {
		return errors.New(form)
	}
	if strings.Trim(service+operation, word+"*?") != "" {
		return errors.New(form)
	}
	return nil
}

// checkResource returns an error if pattern cannot match a resource. Resource names begin with
// acs:, see https://www.alibabacloud.com/help/en/ram/policy-elements.
func checkResource(pattern string) error {
	if !strings.HasPrefix(pattern, "*") && !strings.HasPrefix(pattern, "acs:") {
		return errors.New("write a resource such as acs:oos:*:*:chatconfiguration/prod-*, or * for all")
	}
	return nil
}

// join returns the path of a member. A name with special characters is quoted, and a long name is
// cut, because the text may contain anything.
func join(path, member string) string {
	const longest = 64
	if member == "" || len(member) > longest || strings.Trim(member, word+":/") != "" {
		member = fmt.Sprintf("%.*q", longest, member)
	}
	if path == "" {
		return member
	}
	return path + "." + member
}

const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
