// Package platform is the list of chat platforms. A platform is a folder here and a line in All.
package platform

import (
	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/slack"
	"chatconf/shared/platform/teams"
	"chatconf/shared/platform/wecom"
)

// A List is a list of platforms.
type List []callback.Platform

// All returns every platform, in the order in which people see them.
func All() List {
	return List{
		dingtalk.Platform{},
		wecom.Platform{},
		feishu.Platform{},
		slack.Platform{},
		teams.Platform{},
	}
}

// Descriptions returns what the control plane knows of each platform.
func (l List) Descriptions() []command.Platform {
	all := make([]command.Platform, len(l))
	for i, p := range l {
		all[i] = p.Description()
	}
	return all
}

// Receivers returns what makes the receiver of a configuration, by its type.
func (l List) Receivers() map[string]func(callback.Settings) (callback.Receiver, error) {
	all := make(map[string]func(callback.Settings) (callback.Receiver, error), len(l))
	for _, p := range l {
		all[p.Description().Type] = p.NewReceiver
	}
	return all
}

// Senders returns what makes the sender of a configuration, by its type.
func (l List) Senders() map[string]func(callback.Settings, *callback.Client) (callback.Sender, error) {
	all := make(map[string]func(callback.Settings, *callback.Client) (callback.Sender, error), len(l))
	for _, p := range l {
		all[p.Description().Type] = p.NewSender
	}
	return all
}
