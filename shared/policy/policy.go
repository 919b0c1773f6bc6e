// Package policy is who may: policies in the language of Alibaba Cloud's Resource Access Management
// (RAM), parsed strictly and decided purely.
//
// The rule is RAM's: what no statement allows is denied, and a statement that denies wins over
// every statement that allows. Of RAM's language it takes Version, Statement, Effect, Action,
// Resource and Condition, with the operators and keys below. Anything else is an error when the
// policy is parsed, never ignored: a Deny that is not understood would be a door left open.
//
// Names: https://www.alibabacloud.com/help/en/ram/policy-elements and …/ram/conditional-operator.
package policy

import (
	"errors"
	"sync"
)

// MaxSize is the size of the longest policy text, in bytes.
const MaxSize = 64 << 10

// An Effect is what a statement does when it matches.
type Effect string

// The effects. Any other Effect is taken as Deny.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// A Policy is a parsed policy. It never changes, and may be used from many goroutines at once.
// The zero Policy, which Parse never returns, denies everything.
type Policy struct {
	text       string // as it was parsed, without insignificant space
	statements []statement
}

// A statement matches a request when one of its actions, one of its resources and all of its
// conditions do.
type statement struct {
	effect     Effect
	actions    []string
	resources  []string
	conditions []condition
}

// String returns the policy's JSON text as it was parsed, without insignificant space. Parse takes
// it back.
func (p *Policy) String() string { return p.text }

// MarshalJSON returns the text of String.
func (p *Policy) MarshalJSON() ([]byte, error) {
	if p.text == "" {
		return nil, errors.New("policy: the zero policy has no text")
	}
	return []byte(p.text), nil
}

// UnmarshalJSON sets p to what Parse returns.
func (p *Policy) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(data)
	if err != nil {
		return err
	}
	*p = *parsed
	return nil
}

// Administrator returns the policy that allows every operation on every resource, but for those
// that a policy has to name.
func Administrator() *Policy { return administrator() }

// Owner returns the policy that allows every operation on every resource, those that a policy has
// to name too.
func Owner() *Policy { return owner() }

// ReadOnly returns the policy that allows to look at every resource and to change none. It does not
// allow oos:RevealChatConfigurationOutputs, so Outputs show no secret.
func ReadOnly() *Policy { return readOnly() }

var (
	administrator = predefined(`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*"}]}`)
	owner         = predefined(`{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:*",` +
		`"oos:SendChatMessage",` +
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

// ByName returns one of the policies of Names.
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

// Names returns the names of the policies that need not be written out.
func Names() []string { return []string{"Owner", "Administrator", "ReadOnly"} }

// Operations that a policy has to name: no pattern allows them. The first speaks as anybody; the
// others make access keys that may do anything.
const (
	SendChatMessage = "SendChatMessage"
	CreateAccessKey = "CreateAccessKey"
	ListAccessKeys  = "ListAccessKeys"
	UpdateAccessKey = "UpdateAccessKey"
	DeleteAccessKey = "DeleteAccessKey"
)

// MustName reports whether a policy has to name an operation, which is given as policies write it.
func MustName(operation string) bool {
	switch operation {
	case "oos:" + SendChatMessage, "oos:" + CreateAccessKey, "oos:" + ListAccessKeys, "oos:" + UpdateAccessKey, "oos:" +
		DeleteAccessKey:
		return true
	}
	return false
}
