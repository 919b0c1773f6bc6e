package policy_test

import (
	"fmt"

	"chatconf/shared/policy"
)

func ExampleDecide() {
	p, err := policy.Parse([]byte(`{"Version": "1", "Statement": [
		{"Effect": "Allow", "Action": "oos:Get*", "Resource": "*"},
		{"Effect": "Deny", "Action": "*", "Resource": "acs:oos:*:*:chatconfiguration/prod"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"test", "prod"} {
		fmt.Println(policy.Decide(policy.Request{
			Action:   "oos:GetChatConfiguration",
			Resource: "acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/" + name,
		}, p))
	}
	fmt.Println(policy.Decide(policy.Request{Action: "oos:TagResources", Resource: "*"}, p))
	// Output:
	// allowed by Statement[0] of policy 0
	// denied by Statement[1] of policy 0
	// denied because no statement allows it
}

func ExampleMatch() {
	fmt.Println(policy.Match("i-*", "i-123"), policy.Match("i-???", "i-12"))
	// Output: true false
}
