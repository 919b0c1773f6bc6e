package console

import (
	"net/http"
	"net/url"
	"strconv"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
)

// The acts that a person confirms by the name of the bot.
const (
	actRotate       = "rotate"
	actRotateSecret = "rotatesecret"
	actDelete       = "delete"
	actEdit         = "edit" // the form; it is not confirmed
	actTry          = "try"  // the same
)

// A managePage has the acts that cannot be undone, or that stop what depends on a secret.
type managePage struct {
	Name     string
	Revision int64
	Secrets  []choice // the keys of secrets that can be rotated
	Acts     map[string]*act
	Nothing  bool // the key may do none of the acts
}

// An act is one form of the page.
type act struct {
	May      bool
	Wrong    []string  // why it was refused
	Conflict *conflict // nil if it was refused for something else
	Grace    string    // as it was typed
}

// A restorePage asks for the confirmation to restore a revision.
type restorePage struct {
	Name     string
	Revision string
	Expected string // the present revision; empty if the bot is deleted
	Wrong    []string
	Conflict *conflict // nil without one
}

// manageOf returns the page of a bot, with what the key may do.
func (v *visit) manageOf() (managePage, error) {
	var answer chat.GetResponse
	params := map[string]string{"Name": v.r.PathValue("name")}
	if err := v.api.Call(v.r.Context(), "GetChatConfiguration", params, &answer); err != nil {
		return managePage{}, err
	}
	c := answer.ChatConfiguration
	page := managePage{Name: c.Name, Revision: c.Revision, Acts: make(map[string]*act), Nothing: true}
	for _, s := range c.Secrets {
		if s.Key != webhookKey {
			page.Secrets = append(page.Secrets, choice{Value: s.Key, Text: s.Key})
		}
	}
	for _, name := range []string{actRotate, actRotateSecret, actDelete} {
		may := v.mayDo(name, c.Name)
		page.Nothing = page.Nothing && !may
		page.Acts[name] = &act{May: may, Grace: strconv.Itoa(chat.DefaultGrace)}
	}
	return page, nil
}

// webhookKey is the key of a webhook's token among the secrets of a bot.
const webhookKey = "Webhook"

// mayDo reports whether the key may do an act on a bot. An action without CheckOnly is asked for
// revision 0, which no bot has, so it is refused before it can change anything. A key without the
// permission is refused for that.
func (v *visit) mayDo(name, bot string) bool {
	switch name {
	case actEdit:
		return v.may("UpdateChatConfiguration", map[string]string{"Name": bot, "CheckOnly": "true"})
	case actTry: // no one waits for so long; a service without the action says so on the page
		return v.may(sendAction, map[string]string{"Name": bot, "WaitSeconds": "-1"})
	case actDelete:
		return v.may("DeleteChatConfiguration", map[string]string{"Name": bot, "CheckOnly": "true"})
	case actRotate:
		return v.may("RotateChatWebhook", map[string]string{"Name": bot, "Revision": "0"})
	default:
		return v.may("RotateChatSecret", map[string]string{"Name": bot, "Key": webhookKey, "Revision": "0"})
	}
}

func (v *visit) showManage() error {
	page, err := v.manageOf()
	if err != nil {
		return err
	}
	return v.showManageOf(http.StatusOK, page)
}

func (v *visit) showManageOf(status int, page managePage) error {
	return v.show(status, "manage", "manage.of", page, visible(page.Name))
}

func (v *visit) rotate() error {
	return v.do(actRotate, "RotateChatWebhook", "rotated", "GraceSeconds")
}

func (v *visit) rotateSecret() error {
	return v.do(actRotateSecret, "RotateChatSecret", "secretrotated", "Key", "Value", "GraceSeconds")
}

func (v *visit) delete() error { return v.do(actDelete, "DeleteChatConfiguration", "deleted") }

// confirmed reports whether the name of the bot was typed.
func (v *visit) confirmed() bool { return v.r.PostForm.Get("Confirm") == v.r.PathValue("name") }

// do does one act with the fields of its form, or shows the page again with its mistakes.
func (v *visit) do(name, action, notice string, fields ...string) error {
	if err := v.readForm(); err != nil {
		return err
	}
	bot := v.r.PathValue("name")
	params := map[string]string{"Name": bot, "Revision": v.r.PostForm.Get("Revision")}
	since, err := strconv.ParseInt(params["Revision"], 10, 64)
	if err != nil {
		return errForm
	}
	for _, field := range fields {
		if value := v.r.PostForm.Get(field); value != "" {
			params[field] = value
		}
	}
	wrong, status, err := v.attempt(action, params, new(any))
	if err != nil {
		return err
	}
	if wrong != nil {
		page, err := v.manageOf()
		if err != nil {
			return err
		}
		to := page.Acts[name]
		to.Wrong, to.May, to.Grace = wrong, true, v.r.PostForm.Get("GraceSeconds")
		if status == http.StatusConflict {
			to.Conflict = v.conflictSince(bot, since)
		}
		for i := range page.Secrets {
			page.Secrets[i].Chosen = page.Secrets[i].Value == params["Key"]
		}
		return v.showManageOf(status, page)
	}
	if name == actDelete {
		to := Prefix + "/"
		if v.may("ListChatConfigurationRevisions", map[string]string{"Name": bot}) { // from there it can come back
			to += "bots/" + url.PathEscape(bot) + "/history"
		}
		return v.redirect(to + "?notice=" + notice)
	}
	return v.redirect(botPath(bot, notice))
}

// attempt calls an action that a person has to confirm. It returns why it was refused, in sentences
// for people, and the status of the page that says so.
func (v *visit) attempt(action string, params map[string]string, answer any) (wrong []string, status int, err error) {
	if !v.confirmed() {
		return []string{v.word("manage.unconfirmed")}, http.StatusUnprocessableEntity, nil
	}
	err = v.api.Call(v.r.Context(), action, params, answer)
	if err == nil {
		return nil, 0, nil
	}
	for _, part := range fault.Parts(err) {
		switch part.Code {
		case fault.MissingParameter, fault.InvalidParameter, fault.QuotaExceeded:
			status = http.StatusUnprocessableEntity
		case fault.Conflict:
			wrong, status = append(wrong, v.word("manage.conflict")), http.StatusConflict
		case fault.NoPermission:
			status = http.StatusForbidden
		default:
			return nil, 0, err
		}
		wrong = append(wrong, part.Message)
	}
	if wrong == nil {
		return nil, 0, err
	}
	return wrong, status, nil
}

func (v *visit) showRestore() error {
	page := restorePage{Name: v.r.PathValue("name"), Revision: v.r.URL.Query().Get("revision")}
	if _, err := strconv.ParseInt(page.Revision, 10, 64); err != nil {
		return errNoPage
	}
	if err := v.expect(&page); err != nil {
		return err
	}
	return v.showRestoreOf(http.StatusOK, page)
}

// expect puts the present revision of the bot into the page.
func (v *visit) expect(page *restorePage) error {
	var answer chat.GetResponse
	err := v.api.Call(v.r.Context(), "GetChatConfiguration", map[string]string{"Name": page.Name}, &answer)
	switch page.Expected = ""; {
	case err == nil:
		page.Expected = strconv.FormatInt(answer.ChatConfiguration.Revision, 10)
	case fault.CodeOf(err) != fault.NotFound:
		return err
	}
	return nil
}

func (v *visit) showRestoreOf(status int, page restorePage) error {
	return v.show(status, "restore", "restore.of", page, page.Revision, visible(page.Name))
}

func (v *visit) restore() error {
	if err := v.readForm(); err != nil {
		return err
	}
	page := restorePage{Name: v.r.PathValue("name"), Revision: v.r.PostForm.Get("Revision"),
		Expected: v.r.PostForm.Get("ExpectedRevision")}
	params := map[string]string{"Name": page.Name, "Revision": page.Revision}
	if page.Expected != "" {
		params["ExpectedRevision"] = page.Expected
	}
	for _, number := range []string{page.Revision, "0" + page.Expected} {
		if _, err := strconv.ParseUint(number, 10, 63); err != nil {
			return errForm
		}
	}
	var answer chat.RestoreResponse
	wrong, status, err := v.attempt("RestoreChatConfiguration", params, &answer)
	switch page.Wrong = wrong; {
	case err != nil:
		return err
	case status == http.StatusConflict:
		since, _ := strconv.ParseInt("0"+page.Expected, 10, 64) // it was checked above
		page.Conflict = v.conflictSince(page.Name, since)
		if err := v.expect(&page); err != nil {
			return err
		}
		return v.showRestoreOf(status, page)
	case wrong != nil:
		return v.showRestoreOf(status, page)
	case strconv.FormatInt(answer.ChatConfiguration.Revision, 10) == page.Expected:
		return v.redirect(botPath(page.Name, "unchanged"))
	}
	return v.redirect(botPath(page.Name, "restored"))
}

// notices are the words of what was done, by the name that the address of a page has. Other names
// say nothing.
var notices = map[string]string{
	"created":       "notice.created",
	"saved":         "notice.saved",
	"unchanged":     "notice.unchanged",
	"restored":      "notice.restored",
	"rotated":       "notice.rotated",
	"secretrotated": "notice.secretrotated",
	"deleted":       "notice.deleted",
	"keychanged":    "notice.keychanged",
	"keydeleted":    "notice.keydeleted",
}

// notice returns what was done just before the page is shown.
func (v *visit) notice() string {
	word, ok := notices[v.r.URL.Query().Get("notice")]
	if !ok || v.r.Method != http.MethodGet {
		return ""
	}
	return v.word(word)
}
