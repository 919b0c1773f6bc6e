package console

import (
	"net/http"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/journal"
)

// A commandsPage is what the page of the commands of a bot, or of all bots, shows.
type commandsPage struct {
	Name      string // of the bot; empty: all
	Filters   map[string]string
	Decisions []choice
	States    []choice
	Commands  []commandRow
	Live      *live
	pager
}

// A commandRow is one command in the list.
type commandRow struct {
	chat.ChatCommand
	Line   string // the command with its arguments
	State  string // of the operation, else the outcome
	Detail string // why it was denied, or how it failed
	Why    string // the address that explains why it was denied; empty if it was not
}

// commandFilters are the parameters of the page by the parameter of the API.
var commandFilters = []struct{ name, param string }{
	{"user", "User"}, {"command", "Command"}, {"decision", "Decision"}, {"state", "State"}, {"target", "Target"},
	{"since", "Since"}, {"until", "Until"},
}

func (v *visit) showCommands() error {
	query := v.r.URL.Query()
	page := commandsPage{Name: v.r.PathValue("name"), Filters: make(map[string]string)}
	params := map[string]string{"MaxResults": pageSize}
	if page.Name != "" {
		params["Name"] = page.Name
	}
	var names []string
	for _, f := range commandFilters {
		names = append(names, f.name)
		if value := strings.TrimSpace(query.Get(f.name)); value != "" {
			page.Filters[f.name], params[f.param] = value, value
		}
	}
	if token := query.Get("page"); token != "" {
		params["NextToken"] = token
	}
	var answer chat.ListCommandsResponse
	if err := v.api.Call(v.r.Context(), "ListChatCommands", params, &answer); err != nil {
		return err
	}
	for _, c := range answer.ChatCommands {
		page.Commands = append(page.Commands, commandRowOf(c))
	}
	page.pager = v.pagerOf(answer.NextToken, names...)
	if query.Get("page") == "" { // new commands are on the first page
		page.Live = &live{Every: commandsEvery}
	}
	page.Decisions = v.choices(page.Filters["decision"], journal.DecisionAllowed, journal.DecisionDenied)
	states := make([]string, len(journal.States))
	for i, s := range journal.States {
		states[i] = string(s)
	}
	page.States = v.choices(page.Filters["state"], states...)
	if page.Name != "" {
		return v.show(http.StatusOK, "commands", "commands.of", page, visible(page.Name))
	}
	return v.show(http.StatusOK, "commands", "commands", page)
}

func commandRowOf(c chat.ChatCommand) commandRow {
	row := commandRow{ChatCommand: c, Line: strings.Join(append([]string{c.Command}, c.Arguments...), " "),
		State: string(c.State), Detail: c.Detail}
	if row.State == "" {
		row.State = string(c.Outcome)
	}
	if c.Decision == journal.DecisionDenied {
		row.Detail, row.Why = c.Reason, simulationOf(c.Name, c.UserId, c.ConversationId, row.Line)
	}
	return row
}
