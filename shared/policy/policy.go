// Package policy decides who may do what. Policies use the language of Alibaba Cloud's Resource
// Access Management (RAM). They are parsed strictly, and deciding has no side effects.
//
// The rule is RAM's: a request is denied unless a statement allows it, and a Deny overrides every
// Allow. Of RAM's language the package supports Version, Statement, Effect, Action, Resource and
// Condition, with the operators and keys below. Anything else is an error in Parse and never
// ignored, because an ignored Deny would grant access.
//
// Names: https://www.alibabacloud.com/help/en/ram/policy-elements and …/ram/conditional-operator.
package policy

import (
	"errors"
	"strings"
	"sync"
)

// MaxSize is the maximum size of a policy text in bytes.
const MaxSize = 64 << 10

// An Effect is the result of a statement that matches.
type Effect string

// The effects. Any other Effect counts as Deny.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// A Policy is a parsed policy. It is immutable and safe for concurrent use. The zero Policy, which
// Parse never returns, denies everything.
type Policy struct {
	text       string // as it was parsed, without insignificant space
	statements []statement
}

// A statement matches a request when one of its actions, one of its resources and all of its
// conditions match.
type statement struct {
	effect     Effect
	actions    []string
	resources  []string
	conditions []condition
}

// String returns the policy's JSON text without insignificant space. Parse accepts it.
func (p *Policy) String() string { return p.text }

// MarshalJSON returns the text of String.
func (p *Policy) MarshalJSON() ([]byte, error) {
	if p.text == "" {
		return nil, errors.New("policy: the zero Policy has no JSON text")
	}
	return []byte(p.text), nil
}

// UnmarshalJSON sets p to the result of Parse.
func (p *Policy) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(data)
	if err != nil {
		return err
	}
	*p = *parsed
	return nil
}

// Administrator returns the policy that allows every operation on every resource, PassRole too,
// except the operations of MustName.
func Administrator() *Policy { return administrator() }

// Owner returns the policy that allows every operation on every resource, including those of
// MustName.
func Owner() *Policy { return owner() }

// ReadOnly returns the policy that allows reading every resource and changing none. It does not
// allow oos:RevealChatConfigurationOutputs, so Outputs show no secret.
func ReadOnly() *Policy { return readOnly() }

var (
	administrator = predefined(`{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:*","ram:PassRole"],` +
		`"Resource":"*"}]}`)
	owner = predefined(`{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:*","ram:PassRole",` +
		`"oos:SendChatMessage","oos:BackupService",` +
		`"oos:CreateAccessKey","oos:ListAccessKeys","oos:UpdateAccessKey","oos:DeleteAccessKey"],"Resource":"*"}]}`)
	readOnly = predefined(`{"Version":"1","Statement":[{"Effect":"Allow",` +
		`"Action":["oos:Get*","oos:List*","oos:SimulateChatPermission"],"Resource":"*"}]}`)
)

func predefined(text string) func() *Policy {
	return sync.OnceValue(func() *Policy {
		p, err := Parse([]byte(text))
		if err != nil {
			panic(err)
		}
		return p
	})
}

// ByName returns the predefined policy with this name.
func ByName(name string) (p *Policy, ok bool) {
	switch name {
	case "Owner":
		return Owner(), true
	case "Administrator":
		return Administrator(), true
	case "ReadOnly":
		return ReadOnly(), true
	}
	return nil, false
}

// Names returns the names of the predefined policies.
func Names() []string { return []string{"Owner", "Administrator", "ReadOnly"} }

// PassRole is the operation of a caller that saves a role in a configuration, so that commands run
// under it. Its resource is that of RoleResource. It is of another service than the other
// operations: oos:* does not cover it.
const PassRole = "ram:PassRole"

// RoleResource returns the resource of a role: of the account, or of the one in the role's ARN. *
// is for every account, and the name may be a pattern.
// https://www.alibabacloud.com/help/en/ram/user-guide/policy-elements
func RoleResource(account, role string) string {
	if of, name, ok := CutRole(role); ok {
		account, role = of, name
	}
	return "acs:ram::" + account + ":role/" + role
}

// CutRole splits the ARN of a role: acs:ram::<account>:role/<name>, or on AWS
// arn:aws:iam::<account>:role/<name>, also of another partition. ok is false for any other text,
// such as a name.
func CutRole(arn string) (account, name string, ok bool) {
	place, name, ok := strings.Cut(arn, ":role/")
	fields := strings.Split(place, ":")
	switch {
	case !ok:
	case len(fields) == 4 && fields[0] == "acs" && fields[1] == "ram" && fields[2] == "":
		return fields[3], name, true
	case len(fields) == 5 && fields[0] == "arn" && strings.HasPrefix(fields[1], "aws") && fields[2] == "iam" &&
		fields[3] == "":
		return fields[4], name, true
	}
	return "", "", false
}

// Operations that a policy must name; no pattern allows them. The first one acts for any chat user;
// the second one reads the data of all accounts; the others create access keys with any permission.
const (
	SendChatMessage = "SendChatMessage"
	BackupService   = "BackupService"
	CreateAccessKey = "CreateAccessKey"
	ListAccessKeys  = "ListAccessKeys"
	UpdateAccessKey = "UpdateAccessKey"
	DeleteAccessKey = "DeleteAccessKey"
)

// MustName reports whether a policy must name this operation, written as service:operation.
func MustName(operation string) bool {
	switch operation {
	case "oos:" + SendChatMessage, "oos:" + BackupService, "oos:" + CreateAccessKey, "oos:" + ListAccessKeys,
		"oos:" + UpdateAccessKey, "oos:" + DeleteAccessKey:
		return true
	}
	return false
}
