package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/journal"
)

// A chart is of the last hours, and of so many lists of commands at most.
const (
	chartHours = 24
	chartLists = 5
)

// The size of the chart: of an hour, the gap between two, and the height of the highest.
const (
	hourWidth   = 20
	hourGap     = 4
	chartHeight = 120
)

// A chartPage is what the page of the commands of the last hours by outcome shows.
type chartPage struct {
	Name          string // of the bot; empty: all
	Outcomes      []chartOutcome
	Hours         []chartHour
	Total, Most   int  // of all hours, and of the hour with the most
	Cut           bool // earlier commands are not counted
	Width, Height int
	Last          string // date of the last hour
	List          string // the address of the list of commands
	Live          live
}

// A chartOutcome is an entry of the legend.
type chartOutcome struct {
	Text, Class string
	Count       int
}

// A chartHour are the commands of one hour, in UTC.
type chartHour struct {
	Date   string
	Counts []int // by outcome
	Bars   []chartBar
	Total  int
}

// A chartBar is a part of the bar of an hour.
type chartBar struct {
	Class      string
	X, Y, W, H int
}

// outcomes are the outcomes of commands, from the bottom of a bar to its top.
var outcomes = []struct{ word, class string }{
	{"chart.done", "good"}, {"chart.open", "busy"}, {"chart.failed", "bad"}, {"chart.denied", "quiet"},
}

// outcomeOf returns the index in outcomes of what became of a command.
func outcomeOf(c *chat.ChatCommand) int {
	switch {
	case c.Decision == journal.DecisionDenied:
		return 3
	case c.Outcome == journal.OutcomeFailed || c.State == journal.StateFailed || c.State == journal.StateTimedOut ||
		c.State == journal.StateCancelled || c.State == journal.StateUnknown:
		return 2
	case c.Outcome == journal.OutcomePending || c.State == journal.StateRunning:
		return 1
	}
	return 0
}

// showChart shows the commands of a bot, or of all bots, of the last hours by outcome.
func (v *visit) showChart() error {
	first := v.console.now().UTC().Truncate(time.Hour).Add(-(chartHours - 1) * time.Hour)
	page := chartPage{Name: v.r.PathValue("name"), Width: chartHours * hourWidth, Height: chartHeight,
		Live: live{Every: chartEvery}}
	page.List = strings.TrimSuffix(v.r.URL.EscapedPath(), "/chart")
	for _, o := range outcomes {
		page.Outcomes = append(page.Outcomes, chartOutcome{Text: v.word(o.word), Class: o.class})
	}
	for i := range chartHours {
		page.Hours = append(page.Hours, chartHour{Counts: make([]int, len(outcomes)),
			Date: first.Add(time.Duration(i) * time.Hour).Format(time.RFC3339)})
	}
	page.Last = page.Hours[chartHours-1].Date
	params := map[string]string{"Since": first.Format(time.RFC3339), "MaxResults": strconv.Itoa(chat.MaxResults)}
	if page.Name != "" {
		params["Name"] = page.Name
	}
	for range chartLists {
		var answer chat.ListCommandsResponse
		if err := v.api.Call(v.r.Context(), "ListChatCommands", params, &answer); err != nil {
			return err
		}
		for i := range answer.ChatCommands {
			page.add(first, &answer.ChatCommands[i])
		}
		if params["NextToken"] = answer.NextToken; answer.NextToken == "" {
			break
		}
	}
	page.Cut = params["NextToken"] != ""
	page.draw()
	if page.Name != "" {
		return v.show(http.StatusOK, "chart", "chart.of", page, visible(page.Name))
	}
	return v.show(http.StatusOK, "chart", "chart", page)
}

// add counts a command.
func (p *chartPage) add(first time.Time, c *chat.ChatCommand) {
	at, err := time.Parse(time.RFC3339, c.Date)
	if err != nil || at.Before(first) {
		return
	}
	if i := int(at.Sub(first) / time.Hour); i < len(p.Hours) {
		h := &p.Hours[i]
		outcome := outcomeOf(c)
		h.Counts[outcome]++
		p.Outcomes[outcome].Count++
		h.Total++
		p.Total++
		p.Most = max(p.Most, h.Total)
	}
}

// draw makes the bars. Each ends where the counts to it end, so that no rounding adds up.
func (p *chartPage) draw() {
	for i := range p.Hours {
		h := &p.Hours[i]
		below, bottom := 0, 0
		for o, n := range h.Counts {
			if n == 0 {
				continue
			}
			below += n
			top := max(bottom+1, below*chartHeight/p.Most)
			h.Bars = append(h.Bars, chartBar{Class: outcomes[o].class, X: i * hourWidth, W: hourWidth - hourGap,
				Y: chartHeight - top, H: top - bottom})
			bottom = top
		}
	}
}
