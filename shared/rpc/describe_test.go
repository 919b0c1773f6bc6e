package rpc_test

import (
	"reflect"
	"slices"
	"testing"

	"chatconf/shared/rpc"
)

// The check of a request says which parameters are mandatory: not those that another parameter can
// stand for.
func TestDescribe(t *testing.T) {
	w := newWorld(t, nil)
	actions := slices.Concat(rpc.Actions(), rpc.KeyActions())
	for name, want := range map[string][]string{
		"CreateChatConfiguration": {"Name", "Type", "Configuration"},
		"UpdateChatConfiguration": {"Name"},
		"ListChatConfigurations":  nil,
		"UntagResources":          {"ResourceType", "ResourceIds"}, // not TagKeys, which All stands for
		"CreateAccessKey":         {"Name"},
		"UpdateAccessKey":         {"UserAccessKeyId"}, // and any of the others
	} {
		action := actions[slices.IndexFunc(actions, func(a rpc.Action) bool { return a.Name == name })]
		var got []string
		for i, p := range action.Describe(w.options.Service) {
			if p.Name != action.Parameters()[i] || p.Type == nil || p.Type.Kind() == reflect.Pointer {
				t.Errorf("%s: parameter %d is %+v", name, i, p)
			}
			if p.Secret != (p.Name == "Configuration") {
				t.Errorf("%s: %s is secret: %v", name, p.Name, p.Secret)
			}
			if p.Mandatory {
				got = append(got, p.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: mandatory are %q, want %q", name, got, want)
		}
		if action.Answer().Kind() != reflect.Struct {
			t.Errorf("%s: the answer is a %v", name, action.Answer())
		}
	}
}
