package chat

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

// roleParam is the parameter with the role of a configuration.
const roleParam = "RamRole"

// passRoleNeeds returns the permission for each role in uses, decided with the tags of the
// configuration.
func (c scope) passRoleNeeds(ctx context.Context, uses []command.RoleUse, tags map[string]string,
	mayGet bool) []need {
	var needs []need
	for _, use := range uses {
		resource := policy.RoleResource(c.account, use.Role)
		i := slices.IndexFunc(needs, func(n need) bool { return n.of.Resource == resource })
		if i < 0 {
			i = len(needs)
			needs = append(needs, need{action: policy.PassRole, of: c.requestOn(ctx, resource, tags)})
			if account, _, ok := policy.CutRole(use.Role); ok && account != c.account {
				// What is allowed on all resources is allowed on those of the caller's account.
				needs[i].of.Prefix = policy.RoleResource(account, "")
			}
		}
		if use.Named || mayGet {
			needs[i].role = use.Role
		}
		needs[i].paths = append(needs[i].paths, pathOf(use))
	}
	return needs
}

// storedRoleNeeds is passRoleNeeds for a request that names no role: the uses are those of a stored
// configuration. A caller who may not get it is not told which roles they are, nor where.
func (c scope) storedRoleNeeds(ctx context.Context, uses []command.RoleUse, tags map[string]string,
	mayGet bool) []need {
	needs := c.passRoleNeeds(ctx, uses, tags, mayGet)
	if !mayGet {
		for i := range needs {
			needs[i].role, needs[i].paths = "", nil
		}
	}
	return needs
}

// pathOf returns the JSON path of the role in a use.
func pathOf(use command.RoleUse) string {
	statement := document.At(document.Under(configurationParam, command.KeyPermissions), use.Statement)
	switch {
	case use.Action != "":
		action := document.Under(document.Under(configurationParam, command.KeyActions), use.Action)
		return document.Under(action, roleParam)
	case use.Statement < 0:
		return roleParam
	case use.Named:
		return document.Under(statement, roleParam)
	}
	return "the " + roleParam + " that applies to " + statement
}

// resource returns the name of the resource, as far as the caller may know it.
func (c scope) resourceOf(n need) string {
	if n.action == policy.PassRole && n.role == "" {
		return policy.RoleResource(c.account, secret.Mask)
	}
	return n.of.Resource
}

// mostPaths is the maximum number of paths of a role, and of roles, in a sentence.
const mostPaths = 10

// join returns a list of paths as text.
func join(paths []string) string {
	if len(paths) > mostPaths {
		paths = append(slices.Clone(paths[:mostPaths]), "and more")
	}
	return strings.Join(paths, ", ")
}

// passRoleNote returns a sentence that says how to allow the caller to pass the roles; empty
// without roles.
func (c scope) passRoleNote(roles []string) string {
	switch {
	case len(roles) == 0:
		return ""
	case c.caller.AccessKeyID == "": // an event
		return " To let events pass a role, allow " + policy.PassRole + " in CHATCONF_EVENT_POLICY."
	}
	flags := ""
	for _, role := range roles[:min(len(roles), mostPaths)] {
		flags += " --pass-role " + role
	}
	return " To let this access key pass it, run 'chatconf keys update " + c.caller.AccessKeyID + flags + "'."
}

// newUses returns the uses of roles that a change adds or widens. before is nil for a new
// configuration.
func (s *Service) newUses(c scope, before, after *record) ([]command.RoleUse, error) {
	named := func(r *record) bool {
		return r.RamRole != "" || strings.Contains(r.Configuration, `"`+roleParam+`"`)
	}
	if !named(after) { // the usual case, without parsing
		return nil, nil
	}
	p, err := s.platforms.of(after)
	if err != nil {
		return nil, err
	}
	root, err := after.parse()
	if err != nil {
		return nil, err
	}
	permissions := permissionsOf(after, p, root)
	if before == nil {
		return permissions.NewUses(nil, false), nil
	}
	rootBefore, err := before.parse()
	if err != nil {
		return nil, err
	}
	otherwise := !sameGround(rootBefore, root)
	if !otherwise {
		same, err := s.vault.sameSecrets(c, before, after)
		if err != nil {
			return nil, err
		}
		otherwise = !same
	}
	return permissions.NewUses(permissionsOf(before, p, rootBefore), otherwise), nil
}

// sameGround reports whether two Configurations have the same platform settings and Target. These
// decide, in addition to Permissions, who can use the bot and where its commands go. A caller who
// sets the secret that verifies callbacks can impersonate every user.
func sameGround(a, b *document.Node) bool {
	ground := func(root *document.Node) *document.Node {
		other := &document.Node{Kind: document.Object}
		for _, m := range root.Members {
			switch m.Key {
			case command.KeyPermissions, command.KeyUserGroups, command.KeyConversationIDs,
				command.KeyActions, command.KeyStrictActions: // newUses compares these
			case keyBotName, command.KeyLanguage: // these grant nothing
			default:
				other.Members = append(other.Members, m)
			}
		}
		return other
	}
	return document.Same(ground(a), ground(b))
}

// sameSecrets reports whether two records have the same secrets of the Configuration.
func (v *vault) sameSecrets(c scope, a, b *record) (bool, error) {
	fields := make(map[string]struct{}, len(a.Secrets))
	for _, r := range []*record{a, b} {
		for field := range r.Secrets {
			if !strings.HasPrefix(field, managedPrefix) {
				fields[field] = struct{}{}
			}
		}
	}
	for field := range fields {
		if bytes.Equal(a.Secrets[field], b.Secrets[field]) { // kept as it was
			continue
		}
		one, err := v.open(c, a, field)
		if errors.Is(err, seal.ErrUnknownKey) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		other, err := v.open(c, b, field)
		if err != nil || subtle.ConstantTimeCompare(one, other) == 0 {
			return false, err
		}
	}
	return true, nil
}

// namedRoles returns the uses of roles in an UpdateRequest alone.
func (in *UpdateRequest) namedRoles() []command.RoleUse {
	var uses []command.RoleUse
	add := func(role string, statement int, action string) {
		if isRole(role) {
			uses = append(uses, command.RoleUse{Role: role, Statement: statement, Action: action, Named: true})
		}
	}
	if in.RamRole != nil {
		add(*in.RamRole, -1, "")
	}
	if in.Configuration == nil {
		return uses
	}
	root, _, err := parseConfiguration(in.Configuration.Reveal())
	if err != nil {
		return uses // an invalid Configuration is never saved
	}
	// A longer list is never saved.
	if list := root.Get(command.KeyPermissions); list != nil && len(list.Items) <= maxStatements {
		for i, statement := range list.Items {
			add(statement.TextOf(roleParam, ""), i, "")
		}
	}
	if actions := root.Get(command.KeyActions); actions != nil && len(actions.Members) <= maxActions {
		for _, m := range actions.Members {
			add(m.Value.TextOf(roleParam, ""), -1, m.Key)
		}
	}
	return uses
}
