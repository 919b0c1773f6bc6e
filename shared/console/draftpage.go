package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// A draftPage is what the page to edit statements and groups shows.
type draftPage struct {
	Name     string
	Status   string
	At       string // of the latest change of the bot
	Revision int64
	*statementDraft
	Conflict *conflict // nil without one
	Edited   bool      // it is not checked since a button changed it
	Asked    bool      // all mistakes are shown
	Checked  string    // what is known of the draft, in a sentence
	Matrix   *matrix   // of the draft; nil if it is too large
	draftDecision
}

// A draftDecision is what a bot with the draft would decide.
type draftDecision struct {
	User, Conversation, Text string
	Decided                  bool // the rest is set
	Decision                 command.Decision
}

// Decides reports whether a statement of the draft decides what is simulated.
func (d draftDecision) Decides(statement int) bool {
	return d.Decided && d.Decision.Statement == statement
}

// A presentBot is a bot with its settings.
type presentBot struct {
	bot  *chat.Configuration
	root *document.Node
}

// present returns the bot of the path.
func (v *visit) present() (p presentBot, err error) {
	var answer chat.GetResponse
	params := map[string]string{"Name": v.r.PathValue("name")}
	if err := v.api.Call(v.r.Context(), "GetChatConfiguration", params, &answer); err != nil {
		return p, err
	}
	p.bot = &answer.ChatConfiguration
	if p.root, err = document.Parse("Configuration", p.bot.Configuration); err != nil {
		return p, fmt.Errorf("console: %q: %w", p.bot.Name, err)
	}
	return p, nil
}

// A drafting is a draft of the statements of the present bot.
type drafting struct {
	*statementDraft
	presentBot
}

// presentDraft returns a draft that changes nothing of the bot of the path.
func (v *visit) presentDraft() (*drafting, error) {
	p, err := v.present()
	if err != nil {
		return nil, err
	}
	return &drafting{newStatements(v.language, p.root), p}, nil
}

func (v *visit) showDraft() error {
	d, err := v.presentDraft()
	if err == nil {
		err = v.mayEdit(d.bot.Name)
	}
	if err != nil {
		return err
	}
	d.edit("open." + v.r.URL.Query().Get("open")) // or nothing
	return v.showDraftOf(http.StatusOK, d, v.word("draft.lead"), nil)
}

// showDraftOf answers with the page of a draft. checked is what is known of it.
func (v *visit) showDraftOf(status int, d *drafting, checked string, c *conflict) error {
	form := v.r.PostForm
	asked := asksFor(form)
	settings, _ := d.settings(d.root)
	if d.finish(asked) {
		checked = v.word("draft.edited")
	}
	page := draftPage{Edited: isEdited(form.Get("do")), Asked: asked, Name: d.bot.Name, Status: d.bot.Status,
		At: d.bot.UpdatedDate, Revision: d.bot.Revision, statementDraft: d.statementDraft, Conflict: c,
		Checked: checked, draftDecision: draftDecision{User: form.Get("user"),
			Conversation: form.Get("conversation"), Text: form.Get("text")}}
	if c != nil {
		d.focusOn("") // the conflict has it
	}
	changed := *d.bot
	if changed.Configuration = settings.String(); len(changed.Configuration) <= chat.MaxConfiguration {
		r, err := v.rulesOf(&changed)
		if err != nil {
			return err
		}
		m := v.matrixOf(r, strings.TrimSpace(form.Get("who")), strings.TrimSpace(form.Get("what")))
		m.Draft, page.Matrix = true, &m
		if page.Text != "" {
			page.Decided, page.Decision = true, r.decide(page.User, page.Conversation, page.Text)
		}
	}
	return v.show(status, "draft", "draft.of", page, visible(d.bot.Name))
}

// decide returns what a bot with the rules would decide.
func (r *rules) decide(user, conversation, text string) command.Decision {
	e := &command.Endpoint{Permissions: r.permissions, Actions: r.actions, Name: r.bot.Name,
		Language: r.root.TextOf(command.KeyLanguage, command.English)}
	c, _ := e.Command(&command.Message{User: user, Conversation: conversation, Text: text}) // the decision says it
	return e.Decide(c)
}

// changeDraft does what a button of the form of a draft says. Only the one to save saves anything.
func (v *visit) changeDraft() error {
	if err := v.readFormOf(maxBotForm); err != nil {
		return err
	}
	form := v.r.PostForm
	d, err := v.presentDraft()
	if err == nil {
		err = v.mayEdit(d.bot.Name)
	}
	if err != nil {
		return err
	}
	switch do := form.Get("do"); do {
	case "grant":
		return v.grantIn(d)
	case askCheck, askLook, askSave:
		if err := d.read(form); err != nil {
			return err
		}
		return v.submitDraft(d, do == askSave)
	default:
		if err := d.read(form); err != nil {
			return err
		}
		if !d.edit(do) {
			return errForm
		}
		if d.bot.Revision, err = strconv.ParseInt(form.Get("Revision"), 10, 64); err != nil { // it is compared later
			return errForm
		}
		return v.showDraftOf(http.StatusOK, d, v.word("draft.edited"), nil)
	}
}

// grantIn shows a draft with the statement that would allow what was simulated.
func (v *visit) grantIn(d *drafting) error {
	r, err := v.rulesOf(d.bot)
	if err != nil {
		return err
	}
	form := v.r.PostForm
	text := r.grant(form.Get("user"), form.Get("conversation"), form.Get("text"))
	if text == "" {
		return errForm
	}
	if err := d.grant(text); err != nil {
		return err
	}
	return v.showDraftOf(http.StatusOK, d, v.word("draft.granted"), nil)
}

// submitDraft saves a draft, or only checks it.
func (v *visit) submitDraft(d *drafting, save bool) error {
	form := v.r.PostForm
	revision, err := strconv.ParseInt(form.Get("Revision"), 10, 64)
	if err != nil {
		return errForm
	}
	if d.bot.Revision != revision {
		return v.showDraftConflict(d, revision, save)
	}
	settings, ok := d.settings(d.root)
	params := map[string]string{"Name": d.bot.Name, "Revision": form.Get("Revision"),
		"Configuration": settings.String()}
	if !save {
		params["CheckOnly"] = "true"
	}
	var answer chat.WriteResponse
	status, err := v.send("UpdateChatConfiguration", params, ok, d.place, &answer)
	switch {
	case fault.CodeOf(err) == fault.Conflict: // since the look at the revision
		mine := d.statementDraft
		if d, err = v.presentDraft(); err != nil {
			return err
		}
		d.statementDraft = mine
		return v.showDraftConflict(d, revision, save)
	case err != nil:
		return err
	case status != 0:
		return v.showDraftOf(answered(status, save), d, v.word("draft.mistakes"), nil)
	case !save && len(answer.Changes) == 0:
		return v.showDraftOf(http.StatusOK, d, v.word("draft.same"), nil)
	case !save:
		return v.showDraftOf(http.StatusOK, d, v.word("draft.right", len(answer.Changes)), nil)
	}
	query := url.Values{"notice": {"saved"}}
	if answer.ChatConfiguration.Revision == revision {
		query.Set("notice", "unchanged")
	}
	if form.Get("text") != "" {
		for _, name := range []string{"user", "conversation", "text"} {
			query.Set(name, form.Get(name))
		}
	}
	return v.redirect(Prefix + "/bots/" + url.PathEscape(d.bot.Name) + "/permissions?" + query.Encode())
}

// showDraftConflict shows a draft that goes on with what others changed meanwhile.
func (v *visit) showDraftConflict(d *drafting, since int64, save bool) error {
	c := v.conflictSince(d.bot.Name, since)
	d.merge(d.root)
	return v.showDraftOf(answered(http.StatusConflict, save), d, v.word("draft.merged"), c)
}

// answered returns the status of the page for a draft that cannot be saved. If that was the
// question, it is answered.
func answered(status int, save bool) int {
	if save {
		return status
	}
	return http.StatusOK
}
