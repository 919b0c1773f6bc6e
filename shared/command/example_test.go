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

func ExampleEndpoint_Command() {
	configuration, err := document.Parse("Configuration", `{
		"Actions": {"scale": {"Aliases": ["扩容"], "Parameters": [
			{"Name": "id", "Required": true},
			{"Name": "n", "Type": "Integer", "Min": 1, "Max": 9},
			{"Name": "env", "Type": "Enum", "Values": ["test", "prod"], "Default": "test"}]}},
		"Permissions": [
			{"Effect": "Allow", "Principals": ["*"], "Commands": ["scale"], "Parameters": {"env": ["test"]}}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	bot := &command.Endpoint{
		Actions:     command.NewActions(configuration, nil),
		Permissions: command.NewPermissions(command.PermissionOptions{Name: "ops", Active: true}, configuration),
	}
	for _, text := range []string{"扩容 web n=３", "scale web 3 --env prod", "scale web 30"} {
		c, err := bot.Command(&command.Message{User: "alice", Conversation: "cid1", Text: text})
		if err != nil {
			fmt.Println(err)
			continue
		}
		d := bot.Decide(c)
		fmt.Println(c.Name, c.Parameters, d.Allowed)
	}
	// Output:
	// scale [id=web n=3 env=test] true
	// scale [id=web n=3 env=prod] false
	// command: n must be a whole number from 1 to 9. Usage: scale id=… [n=1..9] [env=test|prod]
}

func ExampleRedact() {
	fmt.Println(command.Redact("login", []string{"--user", "ops", "--password", "hunter2"}))
	// Output: login [--user ops --password ******]
}
