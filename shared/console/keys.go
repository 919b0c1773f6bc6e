package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

// Names of the actions on access keys.
const (
	createKey = "CreateAccessKey"
	listKeys  = "ListAccessKeys"
	updateKey = "UpdateAccessKey"
	deleteKey = "DeleteAccessKey"
)

// ownPolicy is the choice of a policy that the person writes.
const ownPolicy = "Document"

// A keysPage is what the page of the access keys shows.
type keysPage struct {
	Keys   []keyRow
	Create bool // whether the key may make one
	pager
}

// A keyRow is one access key in the list.
type keyRow struct {
	chat.AccessKeyInfo
	Policies []string // indented
	Expired  bool
	Own      bool // the key that this session is signed in with
}

// A newKeyPage is the form for a new access key.
type newKeyPage struct {
	Name, Description, Document, Expires string
	Policies                             []choice
	Wrong                                []string
}

// A madeKeyPage shows a new access key with its secret, once.
type madeKeyPage struct {
	ID, Name string
	Secret   secret.Text
}

// A keyPage is the page of one access key.
type keyPage struct {
	keyRow
	Change bool // whether the key of the session may change it
	Wrong  []string
}

// maySeeKeys reports whether the key may list access keys: a page of 0 entries is then invalid, so
// that nothing is read. Another error says that it may not, or that the service has no such action.
func (v *visit) maySeeKeys() bool {
	var answer chat.ListAccessKeysResponse
	err := v.api.Call(v.r.Context(), listKeys, map[string]string{"MaxResults": "0"}, &answer)
	return err != nil && fault.CodeOf(err) == fault.InvalidParameter
}

func (v *visit) keyRowOf(k chat.AccessKeyInfo) keyRow {
	row := keyRow{AccessKeyInfo: k, Own: k.AccessKeyId == v.key.ID}
	for _, text := range k.Policies {
		var indented strings.Builder
		var parsed any
		encoder := json.NewEncoder(&indented)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if json.Unmarshal([]byte(text), &parsed) == nil && encoder.Encode(parsed) == nil {
			text = indented.String()
		}
		row.Policies = append(row.Policies, text)
	}
	if until, err := time.Parse(time.RFC3339, k.ExpireDate); err == nil {
		row.Expired = !v.console.now().Before(until)
	}
	return row
}

func (v *visit) showKeys() error {
	params := map[string]string{"MaxResults": pageSize}
	if token := v.r.URL.Query().Get("page"); token != "" {
		params["NextToken"] = token
	}
	var answer chat.ListAccessKeysResponse
	if err := v.api.Call(v.r.Context(), listKeys, params, &answer); err != nil {
		return err
	}
	page := keysPage{pager: v.pagerOf(answer.NextToken), Create: v.may(createKey, nil)} // nil lacks a name
	for _, k := range answer.AccessKeys {
		page.Keys = append(page.Keys, v.keyRowOf(k))
	}
	return v.show(http.StatusOK, "keys", "keys", page)
}

// policiesOf returns the choices of the policy of a new key. None is chosen at first.
func (v *visit) policiesOf(chosen string) []choice {
	out := []choice{{Text: v.word("keys.choose")}}
	for _, p := range []choice{{Value: "ReadOnly", Text: v.word("keys.readonly")},
		{Value: "Administrator", Text: v.word("keys.administrator")}, {Value: "Owner", Text: v.word("keys.owner")},
		{Value: ownPolicy, Text: v.word("keys.document")}} {
		p.Chosen = p.Value == chosen
		out = append(out, p)
	}
	return out
}

func (v *visit) showNewKey() error {
	if !v.may(createKey, nil) {
		return &fault.Error{Code: fault.NoPermission, Denied: &fault.AccessDenied{AuthAction: "oos:" + createKey}}
	}
	return v.show(http.StatusOK, "newkey", "keys.new", newKeyPage{Policies: v.policiesOf("")})
}

// createKey makes an access key. Its secret is on the page of the answer and nowhere else.
func (v *visit) createKey() error {
	if err := v.readForm(); err != nil {
		return err
	}
	form := v.r.PostForm
	page := newKeyPage{Name: form.Get("Name"), Description: form.Get("Description"), Document: form.Get("Document"),
		Expires: form.Get("Expires"), Policies: v.policiesOf(form.Get("Policy"))}
	params := map[string]string{"Name": page.Name, "Description": page.Description, "ExpireDate": expiry(page.Expires)}
	if form.Get("Policy") == ownPolicy {
		params["PolicyDocument"] = page.Document
	} else {
		params["Policy"] = form.Get("Policy")
	}
	for name, value := range params {
		if value == "" {
			delete(params, name)
		}
	}
	var answer chat.AccessKeyResponse
	err := v.api.Call(v.r.Context(), createKey, params, &answer)
	if status := 0; err != nil {
		if page.Wrong, status, err = refusals(err); err != nil {
			return err
		}
		return v.show(status, "newkey", "keys.new", page)
	}
	made := answer.AccessKey
	return v.show(http.StatusOK, "madekey", "keys.made", madeKeyPage{made.AccessKeyId, made.Name,
		secret.Text(made.AccessKeySecret)})
}

// expiry returns the end of a day that a person chose, as the API has it; another text unchanged.
func expiry(text string) string {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1).Format(time.RFC3339)
	}
	return text
}

// refusals returns why an action was refused, in sentences for people, and the status of the page
// that says so. Another error is returned.
func refusals(err error) (wrong []string, status int, _ error) {
	for _, part := range fault.Parts(err) {
		switch part.Code {
		case fault.MissingParameter, fault.InvalidParameter:
			wrong = append(wrong, part.Message)
		default:
			return nil, 0, err
		}
	}
	if wrong == nil {
		return nil, 0, err
	}
	return wrong, http.StatusUnprocessableEntity, nil
}

// keyOfPath returns the access key that the path names. The API has no action for one key, so it
// looks through the list.
func (v *visit) keyOfPath() (keyPage, error) {
	id := v.r.PathValue("id")
	params := map[string]string{"MaxResults": "100"}
	for range maxKeyPages {
		var answer chat.ListAccessKeysResponse
		if err := v.api.Call(v.r.Context(), listKeys, params, &answer); err != nil {
			return keyPage{}, err
		}
		for _, k := range answer.AccessKeys {
			if k.AccessKeyId == id {
				// a request without a change
				may := v.may(updateKey, map[string]string{"UserAccessKeyId": id})
				return keyPage{keyRow: v.keyRowOf(k), Change: may}, nil
			}
		}
		if answer.NextToken == "" {
			break
		}
		params["NextToken"] = answer.NextToken
	}
	return keyPage{}, errNoPage
}

// maxKeyPages is how many pages of the list are looked through for one key.
const maxKeyPages = 100

func (v *visit) showKey() error {
	page, err := v.keyOfPath()
	if err != nil {
		return err
	}
	return v.showKeyOf(http.StatusOK, page)
}

func (v *visit) showKeyOf(status int, page keyPage) error {
	return v.show(status, "key", "keys.of", page, visible(page.Name))
}

// updateKey enables or disables a key, or changes its expiry.
func (v *visit) updateKey() error {
	if err := v.readForm(); err != nil {
		return err
	}
	params := map[string]string{"UserAccessKeyId": v.r.PathValue("id")}
	if status := v.r.PostForm.Get("Status"); status != "" {
		params["Status"] = status
	}
	if until, ok := v.r.PostForm["Expires"]; ok {
		params["ExpireDate"] = "never"
		if until[0] != "" {
			params["ExpireDate"] = expiry(until[0])
		}
	}
	return v.change(updateKey, params, keyPath(v.r.PathValue("id"))+"?notice=keychanged")
}

// deleteKey deletes a key whose id was typed.
func (v *visit) deleteKey() error {
	if err := v.readForm(); err != nil {
		return err
	}
	id := v.r.PathValue("id")
	if v.r.PostForm.Get("Confirm") != id {
		page, err := v.keyOfPath()
		if err != nil {
			return err
		}
		page.Wrong = []string{v.word("keys.unconfirmed")}
		return v.showKeyOf(http.StatusUnprocessableEntity, page)
	}
	return v.change(deleteKey, map[string]string{"UserAccessKeyId": id}, Prefix+"/keys?notice=keydeleted")
}

// change changes a key and leads to a page, or shows that of the key with what is wrong.
func (v *visit) change(action string, params map[string]string, to string) error {
	var answer any
	err := v.api.Call(v.r.Context(), action, params, &answer)
	if err == nil {
		return v.redirect(to)
	}
	wrong, status, err := refusals(err)
	if err != nil {
		return err
	}
	page, err := v.keyOfPath()
	if err != nil {
		return err
	}
	page.Wrong = wrong
	return v.showKeyOf(status, page)
}

func keyPath(id string) string { return Prefix + "/keys/" + url.PathEscape(id) }
