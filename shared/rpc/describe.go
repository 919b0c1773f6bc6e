package rpc

import (
	"reflect"
	"slices"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
)

// A Parameter describes a parameter of an action, for the description of the API.
type Parameter struct {
	Name      string
	Type      reflect.Type // of the field, without a pointer
	Secret    bool
	Mandatory bool // the action's check calls it missing, whatever the others are
}

// Describe returns the parameters of the action. The check of the request says which are mandatory;
// s needs no tables for it.
func (a Action) Describe(s *chat.Service) []Parameter {
	probes := []reflect.Value{reflect.New(a.request)}
	for i, f := range a.plan.fields {
		if f.of.Kind() == reflect.Bool { // it may stand for another parameter
			probe := reflect.New(a.request)
			probe.Elem().Field(i).SetBool(true)
			probes = append(probes, probe)
		}
	}
	missing := func(probe reflect.Value, name string) bool {
		checked, ok := probe.Interface().(checked)
		return ok && slices.ContainsFunc(fault.Parts(checked.Check(s)), func(e *fault.Error) bool {
			return e.Param == name && e.Message == fault.Missing(name).Error()
		})
	}
	out := make([]Parameter, len(a.plan.fields))
	for i, f := range a.plan.fields {
		out[i] = Parameter{Name: f.name, Type: f.of, Secret: f.secret, Mandatory: !slices.ContainsFunc(probes,
			func(probe reflect.Value) bool { return !missing(probe, f.name) })}
	}
	return out
}

// Answer returns the type of the action's answer.
func (a Action) Answer() reflect.Type { return a.answer }
