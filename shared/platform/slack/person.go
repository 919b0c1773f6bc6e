package slack

import (
	"chatconf/shared/platform/callback"
)

// team refuses a callback of another workspace, if the configuration names one. The id may be that
// of the workspace or of its organisation.
func (r *reader) team(ids ...string) error {
	if r.teamID == "" {
		return nil
	}
	first := ""
	for _, id := range ids {
		if id == r.teamID {
			return nil
		}
		if first == "" {
			first = id
		}
	}
	return callback.Refuse(callback.StepReceiver,
		"the message is of the workspace %q, and this configuration is for %s",
		callback.Cut(first, 64), r.teamID)
}

// A home is where the app is installed: a workspace, and the organisation of it in Enterprise Grid.
type home struct {
	team, organisation string
}

// person returns the id of a user of the given workspace or organisation. A person has the same id
// in all workspaces of an organisation. The id of a person of another organisation is prefixed with
// it, since each organisation assigns its own ids.
// https://docs.slack.dev/enterprise/developing-for-enterprise-orgs
func (h home) person(user, team string) string {
	if user == "" || team == "" || team == h.team || team == h.organisation {
		return user
	}
	return team + "/" + user
}
