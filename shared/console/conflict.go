package console

import (
	"net/http"
	"strconv"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
)

// maxConflicting is how many revisions a conflict names.
const maxConflicting = 10

// A conflict is what others did to a bot since the revision that a form began with. It is only
// there to help: a page shows a conflict without what cannot be read.
type conflict struct {
	Since     int64           // that revision
	Revisions []chat.Revision // later ones, the latest first
	More      bool            // there are more of them
	Changes   []changeRow     // from Since to the latest
	Lacks     string          // the permission to see who did it that lacks
}

// conflictSince returns what others did to a bot since a revision.
func (v *visit) conflictSince(name string, since int64) *conflict {
	out := &conflict{Since: since}
	var list chat.ListRevisionsResponse
	err := v.api.Call(v.r.Context(), "ListChatConfigurationRevisions",
		map[string]string{"Name": name, "MaxResults": strconv.Itoa(maxConflicting)}, &list)
	if out.Lacks = v.unread(err); err != nil {
		return out
	}
	out.More = list.NextToken != ""
	for _, r := range list.ChatConfigurationRevisions {
		if r.Revision <= since {
			out.More = false
			break
		}
		out.Revisions = append(out.Revisions, r)
	}
	if len(out.Revisions) == 0 {
		return out
	}
	var one chat.GetRevisionResponse
	err = v.api.Call(v.r.Context(), "GetChatConfigurationRevision", map[string]string{"Name": name,
		"Revision": strconv.FormatInt(out.Revisions[0].Revision, 10),
		"Compared": strconv.FormatInt(since, 10)}, &one)
	if out.Lacks = v.unread(err); err == nil {
		out.Changes = changeRows(one.ChatConfigurationRevision.Changes)
	}
	return out
}

// unread returns the permission that the key lacks for a part of a page. The page can do without
// it. An error of the service is logged.
func (v *visit) unread(err error) (lacks string) {
	missing, err := partOf(err)
	if code := fault.CodeOf(err); err != nil && (code == fault.Unavailable || code == fault.Internal) {
		invoke.Logger(v.r.Context()).ErrorContext(v.r.Context(), "console: what others changed", "error", err)
	}
	return missing.Lacks
}

// showConflict shows what somebody else changed, and what was typed. Saving again then writes over
// the present revision.
func (v *visit) showConflict(page editPage, since int64) error {
	page.Conflict = v.conflictSince(page.Name, since)
	page.Changed = page.merge()
	return v.showForm(http.StatusConflict, page)
}
