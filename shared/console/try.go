package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
)

// maxTried is how many recent commands the page to try a bot shows.
const maxTried = "10"

// sendAction speaks to a bot as its platform would. Only a service of 'chatconf serve' has it.
const sendAction = "SendChatMessage"

// A tryPage is what the page to try a bot shows.
type tryPage struct {
	Name string
	part
	Absent             bool   // the service cannot speak for the platform
	Hint               string // why the bot cannot be spoken to; empty if it can
	User, Conversation string
	Direct             bool
	Said               string // what was sent, without secrets; empty if nothing was
	Mistake            string // in what was typed
	Answer             *sentMessage
	Later              *laterAnswer // of the answer's command; nil without one
	Earlier, Kept      []exchange   // of this visit: shown above the answer, and sent with the form
	Live               *live        // nil: no later answer is awaited
	recent
}

// A recent is the part with the recent commands of a bot.
type recent struct {
	Recent      []commandRow
	RecentLacks string // the permission to see them that lacks
}

// maxKept is how much of a visit a form sends again, in bytes: less than the largest form.
const maxKept = maxForm / 2

// An exchange is a message to the bot and what it answered. Only the page keeps it.
type exchange struct {
	User, Said, Answered string
	Awaited              string       // the id of the command whose later answer is awaited; empty without one
	Later                *laterAnswer // nil: none is awaited
}

// earlierOf returns the exchanges that a form sends again.
func earlierOf(form url.Values) (out []exchange) {
	users, said, answered, awaited := form["who"], form["said"], form["answered"], form["awaited"]
	for i := range min(len(users), len(said), len(answered), len(awaited)) {
		out = append(out, exchange{User: users[i], Said: said[i], Answered: answered[i], Awaited: awaited[i]})
	}
	return out
}

// keep returns the latest exchanges, as many as a form may send again.
func keep(all []exchange) []exchange {
	size := 0
	for i := len(all) - 1; i >= 0; i-- {
		e := all[i]
		for _, text := range []string{e.User, e.Said, e.Answered, e.Awaited} {
			size += len(url.QueryEscape(visible(text))) + len("&answered=")
		}
		if size > maxKept {
			return all[i+1:]
		}
	}
	return all
}

// A sentMessage is what became of a message: a part of the answer of SendChatMessage.
type sentMessage struct {
	Answer *struct {
		Status int
		Text   string
	}
	Later     string
	CommandId string
	Outcome   string
	Detail    string
	Duplicate bool
	Problem   string
}

// Silent reports whether the platform would show nothing.
func (m *sentMessage) Silent() bool {
	return m.Problem == "" && m.Now() == "" && m.Later == ""
}

// Now returns what the platform would show at once.
func (m *sentMessage) Now() string {
	if m.Answer == nil {
		return ""
	}
	return m.Answer.Text
}

// Refused returns the status with which the bot refused the message; 0 if it did not.
func (m *sentMessage) Refused() int {
	if m.Answer == nil || m.Answer.Status/100 == 2 {
		return 0
	}
	return m.Answer.Status
}

// showTry shows the form to speak to a bot, if the key may.
func (v *visit) showTry() error {
	page := tryPage{Name: v.r.PathValue("name"), User: v.r.URL.Query().Get("user"),
		Conversation: v.r.URL.Query().Get("conversation")}
	// Nothing is sent: this is whether the key may, and whether the bot can be spoken to.
	err := v.api.Call(v.r.Context(), sendAction, map[string]string{"Name": page.Name, "UserId": "console",
		"Text": "help", "DryRun": "true"}, new(sentMessage))
	switch hint := mistakeOf(err); {
	case hint != "" && paramOf(err) == "Mode":
		page.Hint, err = hint, nil
	case hint != "" && paramOf(err) == "DryRun": // the bot has a connection to a stand-in
		err = nil
	case errors.Is(err, ErrNoAction):
		page.Absent, err = true, nil
	}
	if page.part, err = partOf(err); err != nil {
		return err
	}
	return v.showTried(http.StatusOK, page)
}

// try speaks to a bot, and shows what it answers.
func (v *visit) try() error {
	if err := v.readForm(); err != nil {
		return err
	}
	form := v.r.PostForm
	page := tryPage{Name: v.r.PathValue("name"), User: strings.TrimSpace(form.Get("user")),
		Conversation: strings.TrimSpace(form.Get("conversation")), Direct: form.Get("direct") != "",
		Earlier: keep(earlierOf(form))}
	if err := v.lookAgain(page.Name, page.Earlier); err != nil {
		return err
	}
	text := form.Get("text")
	params := map[string]string{"Name": page.Name, "UserId": page.User, "Text": text}
	if page.Conversation != "" {
		params["ConversationId"] = page.Conversation
	}
	if page.Direct {
		params["Direct"] = "true"
	}
	var answer sentMessage
	err := v.api.Call(v.r.Context(), sendAction, params, &answer)
	if page.Mistake = mistakeOf(err); page.Mistake != "" {
		return v.showTried(http.StatusBadRequest, page)
	}
	if page.Absent = errors.Is(err, ErrNoAction); page.Absent {
		return v.showTried(http.StatusNotFound, page)
	}
	if err != nil {
		return err
	}
	page.Answer, page.Said = &answer, withoutValues(text)
	if answer.CommandId != "" {
		page.Later = laterOf(page.Name, &answer)
	}
	return v.showTried(http.StatusOK, page)
}

// recentOf returns the recent commands of a bot.
func (v *visit) recentOf(name string) (recent, error) {
	var answer chat.ListCommandsResponse
	err := v.api.Call(v.r.Context(), "ListChatCommands", map[string]string{"Name": name, "MaxResults": maxTried},
		&answer)
	missing, err := partOf(err)
	out := recent{RecentLacks: missing.Lacks}
	for _, c := range answer.ChatCommands {
		out.Recent = append(out.Recent, commandRowOf(c))
	}
	return out, err
}

// showTried shows the page, with the recent commands of the bot.
func (v *visit) showTried(status int, page tryPage) error {
	if page.Lacks == "" {
		var err error
		if page.recent, err = v.recentOf(page.Name); err != nil {
			return err
		}
		for _, row := range page.Recent {
			if page.Answer != nil && row.Id == page.Answer.CommandId {
				page.Said = row.Line // the record knows what is secret
			}
		}
	}
	all := slices.Clone(page.Earlier)
	if page.Answer != nil {
		all = append(all, exchange{User: page.User, Said: page.Said, Answered: page.Answer.Now(), Later: page.Later})
	}
	page.Live = awaitLater(page.Name, all)
	page.Kept = keep(all)
	return v.show(status, "try", "try.of", page, visible(page.Name))
}

// withoutValues returns the command of a message without its arguments, which may be secret.
func withoutValues(text string) string {
	name, args, err := command.Parse(text)
	if err != nil {
		return "…"
	}
	name, _ = command.Redact(name, nil)
	if len(args) > 0 {
		name += " …"
	}
	return name
}

// mistakeOf returns the sentence of an error in what a person typed; empty for another error.
func mistakeOf(err error) string {
	var e *fault.Error
	if errors.As(err, &e) && (e.Code == fault.MissingParameter || e.Code == fault.InvalidParameter) {
		return e.Message
	}
	return ""
}

// paramOf returns the parameter that an error is about; empty if it is about none.
func paramOf(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Param
	}
	return ""
}
