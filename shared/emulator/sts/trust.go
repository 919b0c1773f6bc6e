package sts

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/policy"
)

// The actions of a trust policy.
const (
	actionAssumeRole        = "sts:AssumeRole"
	actionSetSourceIdentity = "sts:SetSourceIdentity"
)

// The condition keys of a trust policy.
const (
	keyExternalID     = "sts:ExternalId"
	keySourceIdentity = "sts:SourceIdentity"
)

// A trust is a role's trust policy: who may assume it.
type trust struct{ statements []trustStatement }

type trustStatement struct {
	effect     policy.Effect
	actions    []string
	principals []string // ARNs
	services   []string
	conditions []trustCondition
}

type trustCondition struct {
	operator string
	key      string
	values   []string
}

// A trustRequest is who wants to assume a role, and how.
type trustRequest struct {
	action     string
	principals []string // the ARNs that the caller goes by
	service    string   // empty for a user or a session
	values     map[string]string
}

// parseTrust reads a trust policy strictly: whatever it does not know is an error. See
// https://www.alibabacloud.com/help/en/ram/user-guide/edit-the-trust-policy-of-a-ram-role.
func parseTrust(text string) (*trust, error) {
	root, err := document.Parse("the text", text)
	if err != nil {
		return nil, err
	}
	if err := only("the text", root, "Version", "Statement"); err != nil {
		return nil, err
	}
	if root.TextOf("Version", "") != "1" {
		return nil, errors.New(`key Version: wanted "1"`)
	}
	statements := root.Get("Statement")
	if statements == nil || statements.Kind != document.Array || len(statements.Items) == 0 {
		return nil, errors.New("key Statement: wanted an array of statements")
	}
	t := &trust{statements: make([]trustStatement, len(statements.Items))}
	for i, n := range statements.Items {
		if t.statements[i], err = parseTrustStatement(document.At("Statement", i), n); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// only returns an error unless n is an object with no other members than these.
func only(path string, n *document.Node, known ...string) error {
	if n == nil || n.Kind != document.Object {
		return fmt.Errorf("%s: wanted an object", path)
	}
	for _, m := range n.Members {
		if !slices.Contains(known, m.Key) {
			return fmt.Errorf("%s: unknown member; use %s", document.Under(path, m.Key), strings.Join(known, ", "))
		}
	}
	return nil
}

func parseTrustStatement(path string, n *document.Node) (s trustStatement, err error) {
	if err := only(path, n, "Effect", "Action", "Principal", "Condition"); err != nil {
		return s, err
	}
	s.effect = policy.Effect(n.TextOf("Effect", ""))
	if s.effect != policy.Allow && s.effect != policy.Deny {
		return s, fmt.Errorf("%s.Effect: wanted Allow or Deny", path)
	}
	if s.actions, err = list(path+".Action", n.Get("Action")); err != nil {
		return s, err
	}
	for _, action := range s.actions {
		if action != actionAssumeRole && action != actionSetSourceIdentity {
			return s, fmt.Errorf("%s.Action: wanted %s or %s", path, actionAssumeRole, actionSetSourceIdentity)
		}
	}
	if err := s.parsePrincipal(path+".Principal", n.Get("Principal")); err != nil {
		return s, err
	}
	if condition := n.Get("Condition"); condition != nil {
		err = s.parseCondition(path+".Condition", condition)
	}
	return s, err
}

func (s *trustStatement) parsePrincipal(path string, n *document.Node) (err error) {
	if err := only(path, n, "RAM", "Service"); err != nil {
		return err
	}
	if ram := n.Get("RAM"); ram != nil {
		if s.principals, err = list(path+".RAM", ram); err != nil {
			return err
		}
		for _, arn := range s.principals {
			account, name, ok := strings.Cut(strings.TrimPrefix(arn, "acs:ram::"), ":")
			if !strings.HasPrefix(arn, "acs:ram::") || !ok || account == "" || strings.ContainsAny(arn, "*?") ||
				name != "root" && !strings.HasPrefix(name, "user/") && !strings.HasPrefix(name, "role/") {
				return fmt.Errorf("%s.RAM: wanted acs:ram::<account>:root, user/<name> or role/<name>", path)
			}
		}
	}
	if service := n.Get("Service"); service != nil {
		if s.services, err = list(path+".Service", service); err != nil {
			return err
		}
	}
	if len(s.principals)+len(s.services) == 0 {
		return fmt.Errorf("%s: wanted RAM or Service", path)
	}
	return nil
}

func (s *trustStatement) parseCondition(path string, n *document.Node) error {
	if err := only(path, n, "StringEquals", "StringNotEquals", "StringLike"); err != nil {
		return err
	}
	for _, operator := range n.Members {
		at := path + "." + operator.Key
		if err := only(at, operator.Value, keyExternalID, keySourceIdentity); err != nil {
			return err
		}
		for _, key := range operator.Value.Members {
			values, err := list(document.Under(at, key.Key), key.Value)
			if err != nil {
				return err
			}
			s.conditions = append(s.conditions, trustCondition{operator.Key, key.Key, values})
		}
	}
	return nil
}

// list returns a string, or the strings of an array that has one.
func list(path string, n *document.Node) ([]string, error) {
	bad := n == nil || n.Kind != document.String && n.Kind != document.Array ||
		n.Kind == document.Array && len(n.Items) == 0
	if !bad {
		bad = slices.ContainsFunc(n.Items, func(item *document.Node) bool { return item.Kind != document.String })
	}
	if bad {
		return nil, fmt.Errorf("%s: wanted a string or an array of strings", path)
	}
	return texts(n), nil
}

// allows reports whether a statement allows the request and none denies it.
func (t *trust) allows(r trustRequest) bool {
	var tally policy.Tally
	for i, s := range t.statements {
		if s.matches(r) && tally.Add(s.effect, 0, i) {
			break
		}
	}
	return tally.Decision().Allowed
}

func (s *trustStatement) matches(r trustRequest) bool {
	if !slices.Contains(s.actions, r.action) {
		return false
	}
	named := r.service != "" && slices.Contains(s.services, r.service) ||
		slices.ContainsFunc(r.principals, func(arn string) bool { return slices.Contains(s.principals, arn) })
	return named && !slices.ContainsFunc(s.conditions, func(c trustCondition) bool { return !c.holds(r.values) })
}

// holds reports whether a condition holds. A key without a value fails every operator but
// StringNotEquals, as in RAM.
func (c trustCondition) holds(values map[string]string) bool {
	value, given := values[c.key]
	found := given && slices.ContainsFunc(c.values, func(v string) bool {
		return v == value || c.operator == "StringLike" && policy.Match(v, value)
	})
	return found != (c.operator == "StringNotEquals")
}
