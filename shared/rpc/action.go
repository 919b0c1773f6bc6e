package rpc

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// An Action is one operation of the API, bound to its method.
type Action struct {
	Name string
	plan plan
	do   func(context.Context, *chat.Service, params) (any, error)

	request, answer reflect.Type
}

// A checked request returns all of its mistakes that can be found without storage.
type checked interface{ Check(*chat.Service) error }

// NewAction binds the operation name to a method of the service. The fields of Req are the
// parameters, named by a tag; the fields of Resp are the members of the answer.
func NewAction[Req, Resp any](name string, method func(*chat.Service, context.Context, *Req) (*Resp, error)) Action {
	plan := newPlan(reflect.TypeFor[Req]())
	request, answer := reflect.TypeFor[Req](), reflect.TypeFor[Resp]()
	do := func(ctx context.Context, s *chat.Service, p params) (any, error) {
		in := new(Req)
		if err := plan.fill(in, p); err != nil {
			if other, ok := any(in).(checked); ok {
				err = fault.Join(append([]error{err}, others(other.Check(s), err)...)...)
			}
			return nil, err
		}
		out, err := method(s, ctx, in)
		if err != nil {
			return nil, err // not a nil *Resp in an any
		}
		return out, nil
	}
	return Action{Name: name, plan: plan, do: do, request: request, answer: answer}
}

// others returns the parts of an error that are about other parameters than those of first. A value
// that could not be read is not in the request, so that its check finds a mistake that nobody made.
func others(err, first error) (rest []error) {
	named := make(map[string]bool)
	for _, e := range fault.Parts(first) {
		named[e.Param] = true
	}
	parts := fault.Parts(err)
	if err != nil && parts == nil {
		return []error{err} // not about a parameter
	}
	for _, e := range parts {
		if !named[e.Param] {
			rest = append(rest, e)
		}
	}
	return rest
}

// ReadOnly reports whether the action changes nothing; the name tells.
func (a Action) ReadOnly() bool {
	return strings.HasPrefix(a.Name, "Get") || strings.HasPrefix(a.Name, "List") ||
		strings.HasPrefix(a.Name, "Simulate")
}

// TakesGet reports whether the action accepts GET. As in the official metadata, these are the
// reading actions, tags and resource groups. Changes to a configuration need POST, so no link and
// no prefetch causes them.
func (a Action) TakesGet() bool {
	switch a.Name {
	case "TagResources", "UntagResources", "ChangeResourceGroup":
		return true
	}
	return a.ReadOnly()
}

// expected returns the name of the parameter with the revision that the caller expects the
// configuration to be at; empty if the action has none. RestoreChatConfiguration has another
// parameter Revision.
func (a Action) expected() string {
	for _, name := range [...]string{"ExpectedRevision", "Revision"} {
		if a.plan.has(name) && !a.ReadOnly() {
			return name
		}
	}
	return ""
}

// Parameters returns the names of the action's parameters.
func (a Action) Parameters() []string {
	names := make([]string, len(a.plan.fields))
	for i, f := range a.plan.fields {
		names[i] = f.name
	}
	return names
}

// Takes reports whether the action reads a parameter of this name: one of Parameters, or a part of
// a flattened list. Every other parameter is ignored, as OOS does.
func (a Action) Takes(name string) bool {
	return slices.ContainsFunc(a.plan.fields, func(f planned) bool { return f.takes(name) })
}

// TakesSecret reports whether a parameter of the action is secret.
func (a Action) TakesSecret() bool {
	return slices.ContainsFunc(a.plan.fields, func(f planned) bool { return f.secret })
}

// KeyActions returns the operations on access keys. A separate function or a local process serves
// them.
func KeyActions() []Action {
	return []Action{
		NewAction(policy.CreateAccessKey, (*chat.Service).CreateAccessKey),
		NewAction(policy.ListAccessKeys, (*chat.Service).ListAccessKeys),
		NewAction(policy.UpdateAccessKey, (*chat.Service).UpdateAccessKey),
		NewAction(policy.DeleteAccessKey, (*chat.Service).DeleteAccessKey),
	}
}

// ResealActions returns the operation that seals all secrets again. A separate function or a local
// process serves it.
func ResealActions() []Action {
	return []Action{NewAction("ResealSecrets", (*chat.Service).ResealSecrets)}
}

// Actions returns every operation of the API on configurations.
func Actions() []Action {
	return []Action{
		NewAction("CreateChatConfiguration", (*chat.Service).Create),
		NewAction("GetChatConfiguration", (*chat.Service).Get),
		NewAction("ListChatConfigurations", (*chat.Service).List),
		NewAction("UpdateChatConfiguration", (*chat.Service).Update),
		NewAction("CopyChatConfiguration", (*chat.Service).Copy),
		NewAction("DeleteChatConfiguration", (*chat.Service).Delete),
		NewAction("TagResources", (*chat.Service).Tag),
		NewAction("UntagResources", (*chat.Service).Untag),
		NewAction("ListTagResources", (*chat.Service).ListTagResources),
		NewAction("ListTagKeys", (*chat.Service).ListTagKeys),
		NewAction("ListTagValues", (*chat.Service).ListTagValues),
		NewAction("ChangeResourceGroup", (*chat.Service).ChangeResourceGroup),
		NewAction("RotateChatWebhook", (*chat.Service).Rotate),
		NewAction("RotateChatSecret", (*chat.Service).RotateSecret),
		NewAction("SimulateChatPermission", (*chat.Service).Simulate),
		NewAction("ListChatCommands", (*chat.Service).ListCommands),
		NewAction("GetChatConfigurationHealth", (*chat.Service).Health),
		NewAction("CheckChatConfiguration", (*chat.Service).CheckConfiguration),
		NewAction("ListChatConfigurationRevisions", (*chat.Service).ListRevisions),
		NewAction("GetChatConfigurationRevision", (*chat.Service).GetRevision),
		NewAction("RestoreChatConfiguration", (*chat.Service).Restore),
	}
}
