// Package platform lists the chat platforms. A platform is a folder here and a line in All.
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

// All returns every platform, in the order of pages and lists.
func All() List {
	return List{
		dingtalk.Platform{},
		wecom.Platform{},
		feishu.Platform{},
		slack.Platform{},
		teams.Platform{},
	}
}

// Descriptions returns the description of each platform, for the control plane.
func (l List) Descriptions() []command.Platform {
	all := make([]command.Platform, len(l))
	for i, p := range l {
		all[i] = p.Description()
	}
	return all
}

// Receivers returns the constructors of receivers, by the type of the configuration.
func (l List) Receivers() map[string]func(callback.Settings) (callback.Receiver, error) {
	all := make(map[string]func(callback.Settings) (callback.Receiver, error), len(l))
	for _, p := range l {
		all[p.Description().Type] = p.NewReceiver
	}
	return all
}

// Senders returns the constructors of senders, by the type of the configuration.
func (l List) Senders() map[string]func(callback.Settings, *callback.Client) (callback.Sender, error) {
	all := make(map[string]func(callback.Settings, *callback.Client) (callback.Sender, error), len(l))
	for _, p := range l {
		all[p.Description().Type] = p.NewSender
	}
	return all
}

// Checkers returns the constructors of checkers, by the type of the configuration. A platform
// without an API for this has no checker.
func (l List) Checkers() map[string]func(callback.Settings, *callback.Client) (command.Checker, error) {
	all := make(map[string]func(callback.Settings, *callback.Client) (command.Checker, error), len(l))
	for _, p := range l {
		if checkable, ok := p.(callback.Checkable); ok {
			all[p.Description().Type] = checkable.NewChecker
		}
	}
	return all
}

// Streams returns the constructors of streams, by the type of the configuration. A platform to
// which chatconf cannot open connections has none.
func (l List) Streams() map[string]func(callback.Settings, *callback.Client) (callback.Stream, error) {
	all := make(map[string]func(callback.Settings, *callback.Client) (callback.Stream, error), len(l))
	for _, p := range l {
		if streamable, ok := p.(callback.Streamable); ok {
			all[p.Description().Type] = streamable.NewStream
		}
	}
	return all
}
