package console

import (
	"net/http"
	"net/url"

	"chatconf/shared/journal"
)

// maxAwaited is how many later answers a page awaits.
const maxAwaited = 5

// A laterAnswer is what became of a command, as far as the page looked.
type laterAnswer struct {
	Bot, ID         string
	Text            string // the later answer; empty before it comes
	Outcome, Detail string
	Silent          bool // the platform would show nothing yet
	Awaited         bool // more may come
}

// laterOf returns what an answer of SendChatMessage tells of its command.
func laterOf(bot string, m *sentMessage) *laterAnswer {
	return &laterAnswer{Bot: bot, ID: m.CommandId, Text: m.Later, Outcome: m.Outcome, Detail: m.Detail,
		Silent: m.Silent() && m.Refused() == 0 && !m.Duplicate, Awaited: m.Outcome == string(journal.OutcomePending)}
}

// Address is that of the page with the later answer.
func (l *laterAnswer) Address() string { return laterPath(l.Bot, []string{l.ID}) }

func laterPath(bot string, ids []string) string {
	return Prefix + "/bots/" + url.PathEscape(bot) + "/try/later?" + url.Values{"command": ids}.Encode()
}

// look asks what became of a command.
func (v *visit) look(bot, id string) (*laterAnswer, error) {
	var answer sentMessage
	err := v.api.Call(v.r.Context(), sendAction, map[string]string{"Name": bot, "CommandId": id, "WaitSeconds": "0"},
		&answer)
	if err != nil {
		return nil, err
	}
	answer.CommandId = id
	out := laterOf(bot, &answer)
	out.Silent = false // its first answer is above
	return out, nil
}

// lookAgain looks for the later answers that are awaited, of the latest exchanges. An id that the
// service does not know is awaited no more.
func (v *visit) lookAgain(bot string, all []exchange) error {
	left := maxAwaited - 1 // and the one of the message that is sent
	for i := len(all) - 1; i >= 0; i-- {
		id := all[i].Awaited
		all[i].Awaited = ""
		if id == "" || left == 0 {
			continue
		}
		left--
		found, err := v.look(bot, id)
		switch {
		case mistakeOf(err) != "":
			continue
		case err != nil:
			return err
		}
		all[i].Later = found
	}
	return nil
}

// awaitLater marks the exchanges whose later answers are awaited, so that the form sends their ids
// again, and puts the others into their exchanges. It returns what the script needs.
func awaitLater(bot string, all []exchange) *live {
	var ids []string
	for i := range all {
		switch e := &all[i]; {
		case e.Later == nil:
		case e.Later.Awaited:
			e.Awaited = e.Later.ID
			ids = append(ids, e.Later.ID)
		case e.Later.Text != "":
			e.Answered = joinLines(e.Answered, e.Later.Text)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return &live{Every: laterEvery, From: laterPath(bot, ids)}
}

// joinLines joins two texts; each may be empty.
func joinLines(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "\n" + b
}

// A laterPage shows later answers. The script takes them from here.
type laterPage struct {
	Name string
	All  []*laterAnswer
	Live *live
	recent
}

func (v *visit) showLater() error {
	page := laterPage{Name: v.r.PathValue("name")}
	ids := v.r.URL.Query()["command"]
	if len(ids) == 0 || len(ids) > maxAwaited {
		return errNoPage
	}
	var awaited bool
	for _, id := range ids {
		found, err := v.look(page.Name, id)
		if err != nil {
			return err
		}
		awaited = awaited || found.Awaited
		page.All = append(page.All, found)
	}
	if awaited {
		page.Live = &live{Every: laterEvery}
	}
	var err error
	if page.recent, err = v.recentOf(page.Name); err != nil {
		return err
	}
	return v.show(http.StatusOK, "later", "try.laterof", page, visible(page.Name))
}
