package console

import (
	"net/http"
	"net/url"
	"strconv"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// An actionPage is what the page to edit an action shows.
type actionPage struct {
	Name     string // of the bot
	At       string // of its latest change
	Revision int64
	*actionDraft
	Conflict *conflict // nil without one
	Edited   bool      // it is not checked since a button changed it
	Asked    bool      // all mistakes are shown
	Checked  string    // what is known of the draft, in a sentence
	Lines    []string  // how people use the action; none if it has mistakes
}

// An acting is a draft of an action with the present bot.
type acting struct {
	*actionDraft
	presentBot
}

// presentAction returns the draft of an action of the bot of the path; of a new one if there is
// none with the name.
func (v *visit) presentAction(name string) (*acting, error) {
	bot, err := v.present()
	if err != nil {
		return nil, err
	}
	p, ok := v.platformOf(bot.bot.Type)
	if !ok {
		return nil, errUnknownPlatform
	}
	return &acting{newAction(v.language, p, bot.root, name), bot}, nil
}

func (v *visit) showAction() error {
	name := v.r.URL.Query().Get("action")
	d, err := v.presentAction(name)
	if err == nil {
		err = v.mayEdit(d.bot.Name)
	}
	if err == nil && d.Was != name {
		err = errNoPage
	}
	if err != nil {
		return err
	}
	return v.showActionOf(http.StatusOK, d, v.word("draft.lead"), nil)
}

func (v *visit) showActionOf(status int, d *acting, checked string, c *conflict) error {
	draft, do, asked := d.actionDraft, v.r.PostForm.Get("do"), asksFor(v.r.PostForm)
	left := draft.finish(asked)
	if left {
		checked = v.word("draft.edited")
	}
	if c != nil {
		draft.focusOn("") // the conflict has it
	}
	for _, of := range draft.lists {
		for _, one := range of.Items {
			one.conceal()
		}
	}
	page := actionPage{Name: d.bot.Name, At: d.bot.UpdatedDate, Revision: d.bot.Revision, actionDraft: draft,
		Conflict: c, Edited: isEdited(do), Asked: asked, Checked: checked}
	isRight := !left && len(draft.Mistakes())+len(draft.Wrong) == 0
	if draft.Was != "" && do == "" || (do == askCheck || do == askLook) && isRight {
		settings, _ := draft.settings(d.root)
		if a := command.NewActions(settings, nil).Find(command.FoldName(draft.Action().Text(actionName))); a != nil {
			page.Lines = a.Describe(v.language.chat())
		}
	}
	if draft.Was == "" {
		return v.show(status, "action", "action.new", page)
	}
	return v.show(status, "action", "action.of", page, visible(draft.Was))
}

// changeAction does what a button of the form of an action says.
func (v *visit) changeAction() error {
	if err := v.readFormOf(maxBotForm); err != nil {
		return err
	}
	form := v.r.PostForm
	d, err := v.presentAction(form.Get("was"))
	if err == nil {
		err = v.mayEdit(d.bot.Name)
	}
	if err != nil {
		return err
	}
	draft, do := d.actionDraft, form.Get("do")
	revision, err := strconv.ParseInt(form.Get("Revision"), 10, 64)
	if err != nil || draft.read(form) != nil || len(draft.action.Items) != 1 || len(draft.target.Items) != 1 {
		return errForm
	}
	if d.Was != form.Get("was") && d.bot.Revision == revision { // else somebody removed it
		return errNoPage
	}
	switch do {
	case askCheck, askLook, askSave, "delete":
		return v.submitAction(d, do, revision)
	}
	if !draft.edit(do) {
		return errForm
	}
	d.bot.Revision = revision // it is compared later
	return v.showActionOf(http.StatusOK, d, v.word("draft.edited"), nil)
}

// submitAction saves an action, deletes it, or only checks it.
func (v *visit) submitAction(d *acting, do string, revision int64) error {
	draft, form := d.actionDraft, v.r.PostForm
	only := do == askCheck || do == askLook
	conflicting := func(now *acting) error {
		draft.merge(now.actionDraft)
		now.actionDraft = draft
		return v.showActionOf(answered(http.StatusConflict, !only), now, v.word("action.merged"),
			v.conflictSince(now.bot.Name, revision))
	}
	if d.bot.Revision != revision {
		p, _ := v.platformOf(d.bot.Type) // it is known
		return conflicting(&acting{newAction(v.language, p, d.root, draft.Was), d.presentBot})
	}
	settings, ok := draft.settings(d.root)
	if do == "delete" {
		if form.Get("Confirm") != draft.Was || draft.Was == "" {
			draft.Wrong = append(draft.Wrong, v.word("action.unconfirmed"))
			return v.showActionOf(http.StatusUnprocessableEntity, d, v.word("draft.mistakes"), nil)
		}
		settings, ok = withoutAction(d.root, draft.Was), true
	}
	params := map[string]string{"Name": d.bot.Name, "Revision": form.Get("Revision"),
		"Configuration": settings.String()}
	if only {
		params["CheckOnly"] = "true"
	}
	var answer chat.WriteResponse
	status, err := v.send("UpdateChatConfiguration", params, ok, draft.place, &answer)
	switch {
	case fault.CodeOf(err) == fault.Conflict: // since the look at the revision
		now, err := v.presentAction(draft.Was)
		if err != nil {
			return err
		}
		return conflicting(now)
	case err != nil:
		return err
	case status != 0:
		return v.showActionOf(answered(status, !only), d, v.word("draft.mistakes"), nil)
	case only && len(answer.Changes) == 0:
		return v.showActionOf(http.StatusOK, d, v.word("draft.same"), nil)
	case only:
		return v.showActionOf(http.StatusOK, d, v.word("draft.right", len(answer.Changes)), nil)
	}
	notice := "saved"
	if answer.ChatConfiguration.Revision == revision {
		notice = "unchanged"
	}
	return v.redirect(Prefix + "/bots/" + url.PathEscape(d.bot.Name) + "/permissions?notice=" + notice)
}

// withoutAction returns settings without an action.
func withoutAction(root *document.Node, name string) *document.Node {
	actions := object()
	for _, m := range root.Get(command.KeyActions).Members {
		if m.Key != name {
			actions.Members = append(actions.Members, m)
		}
	}
	if len(actions.Members) > 0 {
		return withMember(root, command.KeyActions, actions)
	}
	out := object()
	for _, m := range root.Members {
		if m.Key != command.KeyActions {
			out.Members = append(out.Members, m)
		}
	}
	return out
}
