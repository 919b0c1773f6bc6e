package main

import (
	"chatconf/shared/app"
	"chatconf/shared/console"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
)

// openConsole returns the web console of a service in this process. It shows nothing that is
// secret, not even to a key that may reveal it.
func openConsole(p app.SiteParts) (*console.Console, error) {
	masked, err := policy.Parse([]byte(`{"Version":"1","Statement":[{"Effect":"Deny",` +
		`"Action":"oos:RevealChatConfigurationOutputs","Resource":"*"}]}`))
	if err != nil {
		return nil, err
	}
	return console.New(console.Options{
		Ring:      p.Ring,
		Platforms: platform.All().Descriptions(),
		Key:       p.API.Key,
		API:       func(id string) console.API { return p.API.As(id, masked) },
		Admit:     p.API.Admit,
		Sends:     true,
		NoteUse:   p.API.NoteUse,
	})
}
