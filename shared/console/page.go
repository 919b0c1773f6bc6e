package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
)

//go:embed asset
var assets embed.FS

// style is the style of every page. It is a part of the page, so that the browser can show the page
// with one request.
//
//go:embed asset/console.css
var style template.CSS

// hashOf returns the hash by which a policy allows a style.
// https://www.w3.org/TR/CSP3/#grammardef-hash-source
func hashOf(style template.CSS) string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// templates are those of each language.
var templates = func() (made [languages]*template.Template) {
	for l := range made {
		of := language(l)
		made[l] = template.Must(template.New("").Option("missingkey=zero").Funcs(template.FuncMap{
			"t":     of.say,
			"show":  visible,
			"short": short,
			"date":  parseDate,
			"asset": assetPath,
			"style": func() template.CSS { return style },
			"path":  url.PathEscape,
			"chip":  chip,
			"said":  of.said,
			"help":  of.help,
			"state": of.state,
			"step":  of.step,
		}).ParseFS(assets, "asset/*.html"))
	}
	return made
}()

// A view is what every page is made of.
type view struct {
	Title    string
	Language string // for the attribute lang
	Other    string // the same page in the other language
	Section  string // the part of the console that the page belongs to
	Key      string // name of the access key; empty if nobody is signed in
	Notice   string // what was done just now; empty if nothing
	Tabs     *tabs  // of the bot; nil without one
	Keys     bool   // whether the access key may see access keys
	Body     any
}

// show answers with a page. name is that of its template, and titleWord the word of its title.
func (v *visit) show(status int, name, titleWord string, body any, args ...any) error {
	page := view{Title: v.word(titleWord, args...), Language: v.language.tag(), Other: v.otherLanguage(),
		Section: name, Notice: v.notice(), Body: body}
	if v.key != nil {
		page.Key = v.key.Name
		page.Tabs = v.tabs(name)
		page.Keys = name != "error" && v.maySeeKeys()
	}
	var out pageText
	if err := templates[v.language].ExecuteTemplate(&out, name, page); err != nil {
		return fmt.Errorf("console: page %s: %w", name, err)
	}
	v.status = status
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", page.Language)
	v.w.WriteHeader(status)
	v.w.Write(out.text.Bytes()) // its error means that nobody reads the answer
	return nil
}

// maxPage is the size of a page, in bytes. Only a service elsewhere, whose answers have no bounds,
// can make a larger one.
const maxPage = 16 << 20

// A pageText is the text of a page. Too large a page is an error.
type pageText struct{ text bytes.Buffer }

// Write implements io.Writer.
func (p *pageText) Write(more []byte) (int, error) {
	if p.text.Len()+len(more) > maxPage {
		return 0, fmt.Errorf("it is larger than %d MiB", maxPage>>20)
	}
	return p.text.Write(more)
}

// word returns a word in the language of the visit.
func (v *visit) word(name string, args ...any) string { return v.language.say(name, args...) }

// otherLanguage returns the address of the same page in the other language.
func (v *visit) otherLanguage() string {
	query := v.r.URL.Query()
	query.Set("lang", (1 - v.language).tag())
	return v.r.URL.EscapedPath() + "?" + query.Encode()
}

// A pageError is why a page cannot be shown, for people.
type pageError struct {
	status int
	word   string
}

// Error returns the sentence in English.
func (e *pageError) Error() string { return english.say(e.word) }

// An errorPage is what the page of an error shows.
type errorPage struct {
	Sentence   string
	Permission string // the missing one; empty for another error
	RequestID  string // to find the error in the log; empty if the person can help themselves
}

// showError answers with the page of an error. It returns what the log needs to know of it.
func (v *visit) showError(err error) error {
	var own *pageError
	var refused *fault.Error
	status, body := http.StatusInternalServerError, errorPage{RequestID: invoke.From(v.r.Context()).RequestID}
	switch {
	case errors.Is(err, ErrNoAction):
		return v.showError(errNoPage)
	case errors.As(err, &own):
		return v.show(own.status, "error", "error.title", errorPage{Sentence: v.word(own.word)})
	case !errors.As(err, &refused):
		body.Sentence = v.word("error.internal")
		return errors.Join(err, v.show(status, "error", "error.title", body))
	}
	switch refused.Code {
	case fault.NoPermission:
		status, body = http.StatusForbidden, errorPage{Sentence: v.word("error.forbidden"),
			Permission: permissionOf(refused)}
	case fault.NotFound, fault.ResourceNotFound, fault.AccessKeyNotFound:
		status, body = http.StatusNotFound, errorPage{Sentence: refused.Message}
	case fault.MissingParameter, fault.InvalidParameter, fault.InvalidRegion, fault.QuotaExceeded:
		status, body = http.StatusBadRequest, errorPage{Sentence: refused.Message}
	case fault.InvalidNextToken:
		status, body = http.StatusBadRequest, errorPage{Sentence: v.word("error.nexttoken")}
	case fault.Unavailable:
		status, body.Sentence = http.StatusServiceUnavailable, v.word("error.unavailable")
	default:
		body.Sentence = v.word("error.internal")
	}
	shown := v.show(status, "error", "error.title", body)
	if status >= http.StatusInternalServerError {
		return errors.Join(err, refused.Err, shown)
	}
	return shown
}

// permissionOf returns the missing permission.
func permissionOf(e *fault.Error) string {
	if e.Denied == nil {
		return ""
	}
	return e.Denied.AuthAction
}

// A part is a part of a page that needs a permission of its own.
type part struct {
	Lacks string // the missing permission; empty if the part is there
}

// partOf returns whether a part of a page is there, by the error of its action. Another error than
// a missing permission is one of the whole page.
func partOf(err error) (part, error) {
	var e *fault.Error
	if errors.As(err, &e) && e.Code == fault.NoPermission && permissionOf(e) != "" {
		return part{Lacks: permissionOf(e)}, nil
	}
	return part{}, err
}

// static answers with a file of the pages. Its address has its digest, so it may be cached for
// good.
func (c *Console) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	kind, ok := map[string]string{".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
	text, err := assets.ReadFile("asset/" + name)
	if !ok || err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// assetPath returns the address of a file of the pages.
func assetPath(name string) (string, error) {
	text, err := assets.ReadFile("asset/" + name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return Prefix + "/static/" + name + "?v=" + hex.EncodeToString(sum[:6]), nil
}

// visible returns text with control characters and invisible ones escaped as in JSON, such as marks
// that change the direction of writing: nothing that others wrote may change how the rest is read.
func visible(text string) string {
	if !strings.ContainsFunc(text, isHidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !isHidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapes finds what visible and inLine write.
var escapes = regexp.MustCompile(`\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u[0-9a-f]{4}`)

// typed returns the text that a person meant: what an input shows escaped is the character itself.
func typed(text string) string {
	return escapes.ReplaceAllStringFunc(text, func(found string) string {
		if n, err := document.Parse("", `"`+found+`"`); err == nil && n.Text != string(unicode.ReplacementChar) &&
			strings.ContainsFunc(n.Text, func(r rune) bool { return r == '\n' || isHidden(r) }) {
			return n.Text
		}
		return found
	})
}

// isHidden reports whether visible escapes a character.
func isHidden(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) ||
		r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}

// maxShort is how many characters of a text a table shows.
const maxShort = 240

// short returns visible text for a cell of a table.
func short(text string) string {
	runes := []rune(text)
	if len(runes) > maxShort {
		return visible(string(runes[:maxShort])) + "…"
	}
	return visible(text)
}

// A moment is a date of an answer.
type moment struct{ Machine, Person string }

// parseDate returns a date of an answer for the element time; nil if there is none.
func parseDate(text string) *moment {
	t, err := time.Parse("2006-01-02T15:04:05Z07:00", text)
	if err != nil {
		return nil
	}
	t = t.UTC()
	return &moment{t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05") + " UTC"}
}

// chip returns the class of a state: good, bad, busy or quiet.
func chip(state any) string {
	switch fmt.Sprint(state) {
	case "Working", "Connected", "Succeeded", "Allowed", "Active", "Allow":
		return "good"
	case "Failing", "Failed", "Denied", "Refused", "Lost", "TimedOut", "Deny":
		return "bad"
	case "Pending", "Accepted", "Running", "Connecting":
		return "busy"
	}
	return "quiet"
}
