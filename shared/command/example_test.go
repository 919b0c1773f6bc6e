package command_test

import (
	"fmt"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

func ExampleParse() {
	name, args, err := command.Parse("/Scale-Up “web front” —count=3")
	fmt.Printf("%s %q %v\n", name, args, err)

	_, _, err = command.Parse("restart 'i-1")
	fmt.Println(err)
	// Output:
	// scale-up ["web front" "--count=3"] <nil>
	// command: A quotation mark is not closed
}

func ExamplePermissions_Decide() {
	configuration, err := document.Parse("Configuration", `{
		"UserGroups": {"sre": ["alice"]},
		"Permissions": [
			{"Effect": "Allow", "Principals": ["group:sre"], "Commands": ["restart"], "RamRole": "OpsRole"},
			{"Effect": "Deny", "Principals": ["*"], "Commands": ["stop"]}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	permissions := command.NewPermissions(command.PermissionOptions{Name: "ops", Active: true}, configuration)
	for _, name := range []string{"restart", "stop", "status"} {
		d := permissions.Decide(command.Command{User: "alice", Conversation: "cid1", Name: name})
		fmt.Println(d.Allowed, d.RamRole, d.Reason)
	}
	// Output:
	// true OpsRole Permissions[0] allows restart.
	// false  Permissions[1] denies stop.
	// false  No statement of Permissions allows status for the user alice in the conversation cid1.
}

func ExampleRedact() {
	fmt.Println(command.Redact("login", []string{"--user", "ops", "--password", "hunter2"}))
	// Output: login [--user ops --password ******]
}
