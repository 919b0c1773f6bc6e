package console

import (
	"net/http"

	"chatconf/shared/chat"
)

// A historyPage is what the page of the history of a bot shows.
type historyPage struct {
	Name      string
	Revisions []chat.Revision
	pager
	Comparison *comparison // nil: there is nothing to compare
}

// A diffPage is what the page of one revision shows.
type diffPage struct {
	Name string
	chat.Revision
	Changes    []changeRow
	Comparison comparison
	MayRestore bool
}

// A comparison is the form that compares two revisions of a bot.
type comparison struct {
	Name     string
	From, To int64 // 0: none is proposed
}

// A changeRow is one value that differs.
type changeRow struct {
	Path          string
	Before, After string
	Had, Has      bool // whether there is a value before, and after
}

func (v *visit) showHistory() error {
	name := v.r.PathValue("name")
	query := v.r.URL.Query()
	if revision := query.Get("revision"); revision != "" {
		return v.showRevision(name, revision, query.Get("compared"))
	}
	params := map[string]string{"Name": name, "MaxResults": pageSize}
	if token := query.Get("page"); token != "" {
		params["NextToken"] = token
	}
	var answer chat.ListRevisionsResponse
	if err := v.api.Call(v.r.Context(), "ListChatConfigurationRevisions", params, &answer); err != nil {
		return err
	}
	page := historyPage{Name: name, Revisions: answer.ChatConfigurationRevisions,
		pager: v.pagerOf(answer.NextToken)}
	if n := len(page.Revisions); n > 1 {
		page.Comparison = &comparison{name, page.Revisions[1].Revision, page.Revisions[0].Revision}
	} else if n == 1 && page.First != "" { // of a later page
		page.Comparison = &comparison{Name: name, To: page.Revisions[0].Revision}
	}
	return v.show(http.StatusOK, "history", "history.of", page, visible(name))
}

// showRevision shows what one revision changed.
func (v *visit) showRevision(name, revision, compared string) error {
	params := map[string]string{"Name": name, "Revision": revision}
	if compared != "" {
		params["Compared"] = compared
	}
	var answer chat.GetRevisionResponse
	if err := v.api.Call(v.r.Context(), "GetChatConfigurationRevision", params, &answer); err != nil {
		return err
	}
	page := diffPage{Name: name, Revision: answer.ChatConfigurationRevision}
	page.Comparison = comparison{name, page.Compared, page.Revision.Revision}
	page.MayRestore = v.may("RestoreChatConfiguration",
		map[string]string{"Name": name, "Revision": revision, "ExpectedRevision": "0"})
	page.Changes = changeRows(answer.ChatConfigurationRevision.Changes)
	return v.show(http.StatusOK, "diff", "history.revision", page, page.Revision.Revision, visible(name))
}

// changeRows returns the rows of a table of changes.
func changeRows(changes []chat.Change) (rows []changeRow) {
	for _, ch := range changes {
		row := changeRow{Path: ch.Path, Had: ch.Before != nil, Has: ch.After != nil}
		if row.Had {
			row.Before = *ch.Before
		}
		if row.Has {
			row.After = *ch.After
		}
		row.Before, row.After = differing(row.Before, row.After)
		rows = append(rows, row)
	}
	return rows
}

// differing leaves out what two long texts both begin with, but for some characters before the
// first difference, so that a table shows where they differ.
func differing(a, b string) (string, string) {
	const kept = maxShort / 4
	x, y := []rune(a), []rune(b)
	if max(len(x), len(y)) <= maxShort {
		return a, b
	}
	same := 0
	for same < min(len(x), len(y)) && x[same] == y[same] {
		same++
	}
	if same <= kept {
		return a, b
	}
	return "…" + string(x[same-kept:]), "…" + string(y[same-kept:])
}
