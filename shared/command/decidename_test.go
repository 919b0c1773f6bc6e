package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// By its name alone, a command is decided as with its arguments, unless its values matter.
func TestDecideName(t *testing.T) {
	root, err := document.Parse("Configuration", `{"ConversationIds":["c1","c2"],"UserGroups":{"admins":["u1","u2"]},
		"Actions":{"Scale":{"Aliases":["size"],"RamRole":"ScaleRole","Parameters":[{"Name":"env"},{"Name":"n"}]},
			"Stop":{}},
		"Permissions":[
			{"Effect":"Allow","Principals":["*"],"Commands":["show-*"],"RamRole":"ShowRole"},
			{"Effect":"Allow","Principals":["group:admins"],"Commands":["*"],"Conversations":["c1"]},
			{"Effect":"Allow","Principals":["user:u3"],"Commands":["scale","other"],"Parameters":{"env":["test"]}},
			{"Effect":"Deny","Principals":["user:u2"],"Commands":["scale"],"Parameters":{"n":["9*"]}},
			{"Effect":"Deny","Principals":["user:u2"],"Commands":["stop"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	p := command.NewPermissions(command.PermissionOptions{Name: "ops", Active: true, RamRole: "BotRole"}, root)
	e := &command.Endpoint{Permissions: p, Actions: command.NewActions(root, nil)}
	for _, user := range []string{"", "u1", "u2", "u3", "u4"} {
		for _, conversation := range []string{"c1", "c2", "c3"} {
			for _, name := range []string{"show-all", "restart", "stop", "help", "other"} {
				c, _ := e.Command(&command.Message{User: user, Conversation: conversation, Text: name})
				want := e.Decide(c)
				got, some := p.DecideName(user, conversation, name)
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "Reason")); diff != "" || some {
					t.Errorf("%q runs %s in %s, with some values %v: %s", user, name, conversation, some, diff)
				}
			}
		}
	}
	for _, c := range []struct {
		user, name string
		statement  int
		role       string
		some       bool
	}{
		{"u1", "size", 1, "ScaleRole", false}, {"u2", "SCALE", 1, "ScaleRole", true},
		{"u3", "scale", 2, "ScaleRole", true}, {"u4", "show-*", 0, "ShowRole", false},
		{"u3", "stop", -1, "", false},
		{"u4", "scale", -1, "", false},
	} {
		d, some := p.DecideName(c.user, "c1", c.name)
		if d.Statement != c.statement || d.RamRole != c.role || some != c.some || d.Allowed != (c.statement >= 0) {
			t.Errorf("%s runs %s: %+v, %v, want %+v", c.user, c.name, d, some, c)
		}
	}
	inactive := command.NewPermissions(command.PermissionOptions{}, root)
	if d, _ := inactive.DecideName("u1", "c1", "restart"); d.Allowed || d.Cause != command.CauseInactive {
		t.Errorf("an inactive bot: %+v", d)
	}
	strict, err := document.Parse("Configuration", `{"StrictActions":true,"Actions":{"stop":{}},"Permissions":[`+
		`{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	p = command.NewPermissions(command.PermissionOptions{Active: true}, strict)
	for name, allowed := range map[string]bool{"stop": true, "start": false} {
		if d, _ := p.DecideName("u1", "c1", name); d.Allowed != allowed {
			t.Errorf("strict, %s: %+v", name, d)
		}
	}
}
