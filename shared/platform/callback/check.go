package callback

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/command"
)

// A Checkable is a Platform whose API can tell whether a configuration is right.
type Checkable interface {
	Platform
	// NewChecker returns the checker of a configuration, for one check.
	NewChecker(Settings, *Client) (command.Checker, error)
}

// Passed returns a Finding that all is well, with a note.
func Passed(note string, args ...any) command.Finding {
	return command.Finding{State: command.FindingPassed, Reason: fmt.Sprintf(note, args...)}
}

// Failed returns a Finding of something wrong: what it is, and what would be right.
func Failed(reason string, args ...any) command.Finding {
	return command.Finding{State: command.FindingFailed, Reason: fmt.Sprintf(reason, args...)}
}

// NotPossible returns a Finding of a step that cannot be done.
func NotPossible(reason string, args ...any) command.Finding {
	return command.Finding{State: command.FindingNotPossible, Reason: fmt.Sprintf(reason, args...)}
}

// Found returns the Finding of a call to the platform. known has the findings of refusals, by the
// platform's code. The Finding of another error holds its text.
func Found(err error, known map[string]command.Finding) command.Finding {
	if err == nil {
		return Passed("")
	}
	var refused *CallError
	if errors.As(err, &refused) {
		if f, ok := known[refused.Code]; ok {
			return f
		}
		if refused.Again {
			return Failed("%v; the platform is busy or limits the calls, so check again later", err)
		}
	}
	return Failed("%v", err)
}

// CodeOf returns the platform's code of a refusal, empty for any other error.
func CodeOf(err error) string {
	var refused *CallError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// FoundScopes returns the Finding of the scopes that an app has. It needs one of each group; the
// first of a group is the one to add.
func FoundScopes(granted []string, groups ...[]string) command.Finding {
	var missing []string
	for _, group := range groups {
		if !slices.ContainsFunc(group, func(scope string) bool { return slices.Contains(granted, scope) }) {
			missing = append(missing, group[0])
		}
	}
	if len(missing) > 0 {
		return Failed("the app lacks %s; add it, and publish or install the app again", strings.Join(missing, ", "))
	}
	return Passed("")
}
