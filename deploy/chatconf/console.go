package main

import (
	"cmp"
	"runtime/debug"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/console"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/stream"
	"chatconf/shared/webhook"
)

// openConsole returns the web console of a service in this process. It shows nothing that is
// secret, not even to a key that may reveal it.
func openConsole(p app.SiteParts, about console.About) (*console.Console, error) {
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
		About:     about,
	})
}

// aboutTool returns what the console tells of this program.
func aboutTool() console.About {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(info)
	return console.About{Version: v.Version, Revision: v.Revision}
}

// aboutService returns what the console tells of a service in this process: nothing of its secrets,
// nor where they are.
func aboutService(s app.Settings, store string) console.About {
	about := aboutTool()
	about.Store, about.Account, about.Region = store, s.AccountID, s.Region
	for _, network := range s.TargetNetworks {
		about.Networks = append(about.Networks, network.String())
	}
	about.Limits = &console.Limits{
		Bots:        cmp.Or(s.MaxConfigurations, chat.DefaultQuota),
		History:     cmp.Or(s.History, chat.DefaultHistory),
		RequestBody: rpc.MaxBody,
		MessageBody: webhook.MaxBody,
		Rate:        s.RequestsPerSecond,
		Streams:     cmp.Or(s.MaxStreams, stream.DefaultMax),
		Retention:   cmp.Or(s.JournalAge, journal.DefaultRetention),
	}
	return about
}
