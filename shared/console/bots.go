package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/chat"
)

// pageSize is how many entries a page of a list has.
const pageSize = "50"

// A botsPage is what the page of all bots shows.
type botsPage struct {
	Filters      botFilters
	Types        []choice
	Statuses     []choice
	Bots         []botRow
	Total        int64 // 0: not known
	HealthDenied int64
	HealthNeeds  string
	MayCreate    bool
	pager
}

// botFilters are what the query of the page says.
type botFilters struct{ Name, Type, Status, Tag string }

// A botRow is one bot in the list.
type botRow struct {
	chat.Summary
	Tags  []string // key=value, sorted
	Step  string   // where the health fails; empty if it does not
	State string   // of the health; empty if it is not shown
}

// A choice is one option of a select.
type choice struct {
	Value, Text string
	Chosen      bool
}

// choices returns the options of a select; the first is any.
func (v *visit) choices(chosen string, values ...string) []choice {
	out := []choice{{Text: v.word("any")}}
	for _, value := range values {
		out = append(out, choice{Value: value, Text: v.language.state(value), Chosen: strings.EqualFold(value, chosen)})
	}
	return out
}

// A pager leads through the pages of a list, with its filters.
type pager struct {
	First, Next string // addresses; empty if there is no such page
	Filtered    bool
	Clear       string // the address without filters
}

// pagerOf returns the pager of a list with a token of the next page.
func (v *visit) pagerOf(token string, filters ...string) pager {
	at := v.r.URL.EscapedPath()
	query := make(url.Values)
	for _, name := range filters {
		if value := v.r.URL.Query().Get(name); value != "" {
			query.Set(name, value)
		}
	}
	out := pager{Filtered: len(query) > 0, Clear: at}
	if v.r.URL.Query().Get("page") != "" {
		if out.First = at; len(query) > 0 {
			out.First += "?" + query.Encode()
		}
	}
	if token != "" {
		query.Set("page", token)
		out.Next = at + "?" + query.Encode()
	}
	return out
}

func (v *visit) showBots() error {
	query := v.r.URL.Query()
	page := botsPage{Filters: botFilters{Name: strings.TrimSpace(query.Get("name")), Type: query.Get("type"),
		Status: query.Get("status"), Tag: strings.TrimSpace(query.Get("tag"))}}
	params := map[string]string{"WithHealth": "true", "MaxResults": pageSize}
	page.Filters.put(params)
	if token := query.Get("page"); token != "" {
		params["NextToken"] = token
	}
	var answer chat.ListResponse
	if err := v.api.Call(v.r.Context(), "ListChatConfigurations", params, &answer); err != nil {
		return err
	}
	for _, summary := range answer.ChatConfigurations {
		page.Bots = append(page.Bots, rowOf(summary))
	}
	if answer.TotalCount != nil {
		page.Total = *answer.TotalCount
	}
	page.HealthDenied, page.HealthNeeds = answer.HealthDenied, "oos:GetChatConfigurationHealth"
	page.MayCreate = v.mayCreate()
	page.pager = v.pagerOf(answer.NextToken, "name", "type", "status", "tag")
	page.Types = v.choices(page.Filters.Type, v.types()...)
	page.Statuses = v.choices(page.Filters.Status, chat.StatusActive, chat.StatusInactive)
	return v.show(http.StatusOK, "bots", "bots", page)
}

// types returns the names of the platforms.
func (v *visit) types() (names []string) {
	for _, p := range v.console.options.Platforms {
		names = append(names, p.Type)
	}
	return names
}

// put puts the filters into the parameters of a list.
func (f botFilters) put(params map[string]string) {
	n := 0
	add := func(name, value string) {
		n++
		at := "Filters." + strconv.Itoa(n) + "."
		params[at+"Name"], params[at+"Value"] = name, value
	}
	if f.Name != "" {
		add("Name", strings.TrimSuffix(f.Name, "*")+"*")
	}
	if f.Type != "" {
		add("Type", f.Type)
	}
	if f.Status != "" {
		add("Status", f.Status)
	}
	if f.Tag != "" {
		key, value, _ := strings.Cut(f.Tag, "=")
		add("tag:"+key, value)
	}
}

func rowOf(summary chat.Summary) botRow {
	row := botRow{Summary: summary, Tags: tagsOf(summary.Tags)}
	if h := summary.Health; h != nil {
		row.State = h.State
		if failing := failureOf(h); failing != nil {
			row.Step = failing.Step
		}
	}
	return row
}

// failureOf returns why a bot's health is failing; nil if it is not.
func failureOf(h *chat.Health) *chat.HealthError {
	switch {
	case h.State != chat.HealthFailing:
		return nil
	case h.Connection != nil && h.Connection.State != chat.ConnectionConnected && h.Connection.LastError != nil:
		return h.Connection.LastError
	}
	return h.LastError
}

// tagsOf returns tags as key=value, sorted.
func tagsOf(tags map[string]string) (out []string) {
	for key, value := range tags {
		out = append(out, key+"="+value)
	}
	slices.Sort(out)
	return out
}
