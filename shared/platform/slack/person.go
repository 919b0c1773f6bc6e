package slack

import (
	"chatconf/shared/platform/callback"
)

// team refuses what is of another workspace, if the configuration names one: the ids may be of the
// workspace, or of the organisation that it is of.
func (r *receiver) team(ids ...string) error {
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

// person returns the id of a user who is of the given workspace or organisation. An id is one
// person's in all workspaces of an organisation, whichever somebody acts in; somebody of another
// has that before the id, since ids are given by each.
// https://docs.slack.dev/enterprise/developing-for-enterprise-orgs
func (h home) person(user, team string) string {
	if user == "" || team == "" || team == h.team || team == h.organisation {
		return user
	}
	return team + "/" + user
}
