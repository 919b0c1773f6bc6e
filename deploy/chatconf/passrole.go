package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/policy"
)

// checkPassRoles returns an error if --pass-role makes no sense with the other flags, or a pattern
// can match no role.
func (f *policyFlags) checkPassRoles() error {
	if len(f.passRoles) == 0 {
		return nil
	}
	for flag, given := range map[string]bool{"--owner": f.owner, "--admin": f.admin} {
		if given {
			return usagef("--pass-role with %s: such a key may pass every role of its account; leave out --pass-role, "+
				"or write the policy to a file and use --policy", flag)
		}
	}
	if f.readOnly {
		return usagef("--pass-role with --read-only: such a key cannot save a configuration, " +
			"so it cannot pass a role; use --policy")
	}
	for _, pattern := range f.passRoles {
		name := pattern
		if _, of, ok := policy.CutRole(pattern); ok {
			name = of
		}
		if name == "" || chat.CheckRole(strings.NewReplacer("*", "", "?", "x").Replace(name)) != nil {
			return usagef("--pass-role %q matches no role; write the name of a RAM role, or its ARN to pass it of "+
				"one account only; '*' and '?' are wildcards", pattern)
		}
	}
	return nil
}

// addPassRoles returns the policies of an access key as one, with the permission to pass the roles.
func (f *policyFlags) addPassRoles(ctx context.Context, keys keyManager, id string) (string, error) {
	all, err := keys.list(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(key chat.AccessKeyInfo) bool { return key.AccessKeyId == id })
	if i < 0 {
		return "", fmt.Errorf("there is no access key %s; 'chatconf keys list' shows them", id)
	}
	if slices.Equal(all[i].Policies, []string{policy.ReadOnly().String()}) {
		return "", usagef("--pass-role: %s is a read-only key, which cannot save a configuration, so it cannot pass "+
			"a role; use --policy", id)
	}
	return f.withPassRoles(all[i].Policies...)
}

// withPassRoles returns one policy that allows and denies what the given ones do together, and
// allows to pass the roles.
func (f *policyFlags) withPassRoles(texts ...string) (string, error) {
	type document struct {
		Version   string
		Statement []json.RawMessage
	}
	all := document{Version: "1"}
	var parsed []*policy.Policy
	for _, text := range texts {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			return "", err
		}
		parsed = append(parsed, p)
		var one document
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			return "", err
		}
		all.Statement = append(all.Statement, one.Statement...)
	}
	var resources []string
	for _, pattern := range f.passRoles {
		resource := policy.RoleResource("*", pattern)
		switch d := policy.Decide(policy.Request{Action: policy.PassRole, Resource: resource}, parsed...); {
		case d.Allowed:
			continue
		case d.Explicit():
			return "", usagef("--pass-role %s: the policy has a Deny statement that forbids it; use --policy with "+
				"a policy without it", pattern)
		}
		resources = append(resources, resource)
	}
	if len(resources) == 0 {
		return "", usagef("--pass-role: the policy allows it already")
	}
	statement, err := json.Marshal(struct {
		Effect   policy.Effect
		Action   string
		Resource []string
	}{policy.Allow, policy.PassRole, resources})
	if err != nil {
		return "", err
	}
	all.Statement = append(all.Statement, statement)
	text, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return "", usagef("--pass-role: %w", err)
	}
	return p.String(), nil
}
