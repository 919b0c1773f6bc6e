package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// maxBotForm is the size of the form of a bot: a Configuration is larger in a form.
const maxBotForm = 8 * chat.MaxConfiguration

// An editPage is the form of a bot.
type editPage struct {
	secret.Hidden
	Name     string // empty for a new bot
	Type     string
	Platform string
	Revision int64
	*form
	Changed  []*field  // what somebody else changed meanwhile
	Conflict *conflict // nil if nobody did
	At       string    // of the latest change
}

// A newPage lets a person choose a platform.
type newPage struct{ Platforms []command.Platform }

// platformOf returns the platform with a name.
func (v *visit) platformOf(name string) (command.Platform, bool) {
	for _, p := range v.console.options.Platforms {
		if p.Type == name {
			return p, true
		}
	}
	return command.Platform{}, false
}

// botPath returns the path of the page of a bot, with a notice.
func botPath(name, notice string) string {
	return Prefix + "/bots/" + url.PathEscape(name) + "?notice=" + notice
}

func (v *visit) showNew() error {
	p, ok := v.platformOf(v.r.URL.Query().Get("type"))
	if !ok {
		return v.show(http.StatusOK, "new", "edit.new", newPage{v.console.options.Platforms})
	}
	f, err := newForm(p, nil)
	if err != nil {
		return err
	}
	return v.showForm(http.StatusOK, editPage{Type: p.Type, Platform: p.Title, form: f})
}

// showForm answers with the form of a bot.
func (v *visit) showForm(status int, page editPage) error {
	page.conceal()
	if page.Name == "" {
		return v.show(status, "edit", "edit.newof", page, v.language.help(page.Platform))
	}
	return v.show(status, "edit", "edit.of", page, visible(page.Name))
}

func (v *visit) create() error {
	if err := v.readFormOf(maxBotForm); err != nil {
		return err
	}
	p, ok := v.platformOf(v.r.PostForm.Get("Type"))
	if !ok {
		return errForm
	}
	f, err := newForm(p, nil)
	if err != nil {
		return err
	}
	page := editPage{Type: p.Type, Platform: p.Title, form: f}
	f.read(v.r.PostForm)
	params, ok := f.params()
	params["Type"] = p.Type
	var answer chat.WriteResponse
	status, err := v.send("CreateChatConfiguration", params, ok, page.place, &answer)
	switch {
	case err != nil:
		return err
	case status != 0:
		return v.showForm(status, page)
	}
	return v.redirect(botPath(answer.ChatConfiguration.Name, "created"))
}

// send calls an action with a form. If it is refused for mistakes in the form, place puts them
// there, and the answer is the status of the page that shows them; 0 if it is done. Without ok the
// form has mistakes already, and the service only checks the rest.
func (v *visit) send(action string, params map[string]string, ok bool, place func(error) bool,
	answer any) (status int, err error) {
	if !ok {
		params["CheckOnly"] = "true"
	}
	err = v.api.Call(v.r.Context(), action, params, answer)
	switch {
	case err == nil && ok:
		return 0, nil
	case err != nil && !place(err):
		return 0, err
	case fault.CodeOf(err) == fault.NoPermission:
		return http.StatusForbidden, nil
	}
	return http.StatusUnprocessableEntity, nil
}

var errUnknownPlatform = errors.New("console: the platform of a bot is unknown")

// presentForm returns the form of the bot of the path, with its present values.
func (v *visit) presentForm() (editPage, error) {
	var answer chat.GetResponse
	params := map[string]string{"Name": v.r.PathValue("name")}
	if err := v.api.Call(v.r.Context(), "GetChatConfiguration", params, &answer); err != nil {
		return editPage{}, err
	}
	c := &answer.ChatConfiguration
	p, ok := v.platformOf(c.Type)
	if !ok {
		return editPage{}, errUnknownPlatform
	}
	f, err := newForm(p, c)
	if err != nil {
		return editPage{}, err
	}
	return editPage{Name: c.Name, Type: c.Type, Platform: p.Title, Revision: c.Revision, form: f,
		At: c.UpdatedDate}, nil
}

// mayEdit returns an error if the key may not change a bot.
func (v *visit) mayEdit(bot string) error {
	if v.mayDo(actEdit, bot) {
		return nil
	}
	return &fault.Error{Code: fault.NoPermission,
		Denied: &fault.AccessDenied{AuthAction: "oos:UpdateChatConfiguration"}}
}

func (v *visit) showEdit() error {
	page, err := v.presentForm()
	if err != nil {
		return err
	}
	if err := v.mayEdit(page.Name); err != nil {
		return err
	}
	return v.showForm(http.StatusOK, page)
}

func (v *visit) update() error {
	if err := v.readFormOf(maxBotForm); err != nil {
		return err
	}
	revision, err := strconv.ParseInt(v.r.PostForm.Get("Revision"), 10, 64)
	if err != nil {
		return errForm
	}
	page, err := v.presentForm()
	if err != nil {
		return err
	}
	page.read(v.r.PostForm)
	if page.Revision != revision {
		return v.showConflict(page, revision)
	}
	params, ok := page.params()
	params["Name"], params["Revision"] = page.Name, strconv.FormatInt(revision, 10)
	var answer chat.WriteResponse
	status, err := v.send("UpdateChatConfiguration", params, ok, page.place, &answer)
	switch {
	case fault.CodeOf(err) == fault.Conflict: // since the look at the revision
		if page, err = v.presentForm(); err != nil {
			return err
		}
		page.read(v.r.PostForm)
		return v.showConflict(page, revision)
	case err != nil:
		return err
	case status != 0:
		return v.showForm(status, page)
	case answer.ChatConfiguration.Revision == revision:
		return v.redirect(botPath(page.Name, "unchanged"))
	}
	return v.redirect(botPath(page.Name, "saved"))
}

// mayCreate reports whether the key may create a bot with some name. The permission may depend on
// the name, so only a key whose policies are all ReadOnly is known to lack it.
func (v *visit) mayCreate() bool {
	given := v.key.Policies
	return len(given) == 0 || slices.ContainsFunc(given, func(p *policy.Policy) bool {
		return p.String() != policy.ReadOnly().String()
	})
}

// may reports whether the key may do an action, as far as a request that changes nothing tells. It
// may not if the request is refused, or if there is no such bot. Other errors do not count.
func (v *visit) may(action string, params map[string]string) bool {
	var answer any
	code := fault.CodeOf(v.api.Call(v.r.Context(), action, params, &answer))
	return code != fault.NoPermission && code != fault.NotFound
}
