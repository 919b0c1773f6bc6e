package app

import (
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
)

// Check is the role of the function that checks configurations against their platforms.
func Check() Role {
	return Action("CheckChatConfiguration", (*chat.Service).CheckConfiguration).checking()
}

// checking returns the role with the means to call platforms for a check. The functions of other
// actions do not link them.
func (r Role) checking() Role {
	r.checkers = newCheckers
	return r
}

// newCheckers returns what checks configurations, by type.
func newCheckers(s Settings) (map[string]chat.NewChecker, error) {
	transport, err := s.platformTransport()
	if err != nil {
		return nil, err
	}
	client := callback.NewClient(callback.ClientOptions{Transport: transport})
	out := make(map[string]chat.NewChecker)
	for name, newChecker := range platform.All().Checkers() {
		out[name] = func(e *command.Endpoint) (command.Checker, error) {
			return newChecker(callback.Settings(e.Settings), client)
		}
	}
	return out, nil
}
