package console

import "slices"

// tabs are the pages of one bot.
type tabs struct {
	Bot     string
	All     []tab
	MayEdit bool // the key may change the bot
	MayTry  bool // the key may speak to the bot
}

// A tab leads to one page.
type tab struct {
	Word   string
	Path   string // after that of the bot
	Chosen bool   // it leads to the page that is shown, or to the one above it
}

// tabOf are the tabs of templates, where the names differ.
var tabOf = map[string]string{"bot": "overview", "chart": "commands", "diff": "history", "restore": "history",
	"draft": "permissions", "action": "permissions", "later": "try"}

// tabs returns the pages of the bot of the path, without those that change it if the key may not;
// nil without a bot. section is the name of the template of this page.
func (v *visit) tabs(section string) *tabs {
	bot := v.r.PathValue("name")
	if bot == "" || section == "error" {
		return nil
	}
	out := &tabs{Bot: bot}
	chosen := section
	if name, ok := tabOf[section]; ok {
		chosen = name
	}
	add := func(word, path string) {
		out.All = append(out.All, tab{Word: word, Path: path, Chosen: word == chosen})
	}
	add("overview", "")
	add("permissions", "/permissions")
	if out.MayTry = v.mayDo(actTry, bot); out.MayTry {
		add("try", "/try")
	}
	add("commands", "/commands")
	add("history", "/history")
	if out.MayEdit = v.mayDo(actEdit, bot); out.MayEdit {
		add("edit", "/edit")
	}
	if slices.ContainsFunc([]string{actDelete, actRotate, actRotateSecret},
		func(name string) bool { return v.mayDo(name, bot) }) {
		add("manage", "/manage")
	}
	return out
}
