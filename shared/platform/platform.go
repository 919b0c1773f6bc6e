// Package platform is the list of chat platforms. A platform is a folder here and a line below.
package platform

import (
	"chatconf/shared/chat"
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/slack"
	"chatconf/shared/platform/teams"
	"chatconf/shared/platform/wecom"
)

// All returns every platform, in the order in which people see them.
func All() []chat.Platform {
	return []chat.Platform{
		dingtalk.Platform(),
		wecom.Platform(),
		feishu.Platform(),
		slack.Platform(),
		teams.Platform(),
	}
}
