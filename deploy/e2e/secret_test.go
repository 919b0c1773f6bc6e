package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// plantedPlatforms has every secret setting of every platform, with a shape for its value and the
// settings that it needs beside it.
var plantedPlatforms = []struct {
	typ     string
	plain   object
	secrets []plantedField
}{
	{"DingTalk", object{"DingTalkClientId": "ding"}, []plantedField{{"DingTalkClientSecret", 0}, {"DingTalkToken", 20},
		{"DingTalkEncodingAesKey", 43}}},
	{"WeChat", object{"WeChatCorpId": "ww", "WeChatAgentId": 7},
		[]plantedField{{"WeChatSecret", 0}, {"WeChatToken", 20}, {"WeChatEncodingAesKey", 43}}},
	{"Feishu", object{"FeishuAppId": "cli"}, []plantedField{{"FeishuAppSecret", 0}, {"FeishuEncryptKey", 0},
		{"FeishuVerificationToken", 0}}},
	{"Slack", object{}, []plantedField{{"SlackSigningSecret", 0}, {"SlackBotToken", 0}}},
	{"Teams", object{}, []plantedField{{"TeamsWebhookSecret", 32}}},
}

// A plantedField is a secret setting. If it has a length its value must be so many letters and
// digits, which are base64 as well.
type plantedField struct {
	key    string
	length int
}

// planted returns the fake secret of a field in one request or another. It begins with letters and
// digits alone, which no encoding of URLs or JSON changes; those are what is searched for.
func (f plantedField) planted(request string) (value, search string) {
	search = "planted" + request + strings.ReplaceAll(f.key, ".", "")
	switch {
	case f.length == 0:
		return search + hard, search
	case len(search) > f.length: // WeChatToken is the tightest
		return search[:f.length], search[:f.length]
	}
	value = search + strings.Repeat("0", f.length-len(search))
	return value, value
}

// A searcher knows the secrets and where they may be seen all the same.
type searcher struct {
	t       *testing.T
	secrets map[string][]string // what to search for, by name: the secret and its encodings
}

func (s *searcher) add(name, secret string) {
	s.t.Helper()
	if len(secret) < 8 {
		s.t.Fatalf("the secret %s is %q, too short to be searched for", name, secret)
	}
	forms := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for shift := range 3 { // base64 looks different at each offset of a longer text
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		forms = append(forms, text[(shift*8+5)/6+1:len(text)-2])
	}
	s.secrets[name] = forms
}

// search reports every secret in a text but those that may be there.
func (s *searcher) search(where string, text []byte, allowed ...string) {
	s.t.Helper()
	for name, forms := range s.secrets {
		for i, form := range forms {
			if bytes.Contains(text, []byte(form)) && !slices.Contains(allowed, name) {
				s.t.Errorf("%s has the secret %s, form %d: %.2000s", where, name, i, text)
				break
			}
		}
	}
}

// everywhere searches the data directory of a service, and that of the emulator in which it keeps
// its tables.
func (s *searcher) everywhere(data string) {
	s.t.Helper()
	files := 3 // key ring, access key and endpoint
	if store.name == storeFile {
		files++
	}
	s.files(data, files, map[string]string{"access-key.json": "the administrator's key",
		"keyring.json": "the sealing key"})
	if store.data != "" {
		s.files(store.data, 2, map[string]string{"access-key.json": "the store's key"})
	}
}

// files searches every file under a folder, of which there must be some.
func (s *searcher) files(dir string, atLeast int, allowed map[string]string) {
	s.t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		s.search(path, text, allowed[d.Name()])
		return nil
	})
	if err != nil || n < atLeast {
		s.t.Errorf("%s has %d files: %v", dir, n, err)
	}
}

// Every secret setting of every platform is planted in requests that succeed and in requests that
// fail, in every way that they can. Then all that the program wrote anywhere is searched.
func TestAPlantedSecretIsNowhere(t *testing.T) {
	t.Parallel()
	find := &searcher{t, make(map[string][]string)}
	data := newData(t)
	readOnly := accessKey{"LTAInobody", "nothing"} // elsewhere than on the file it may not even read
	if store.name == storeFile {
		readOnly = createKey(t, data, "read-only", "--read-only")
		find.add("the other key", readOnly.Secret)
	}
	s := serveOn(t, data)
	find.add("the administrator's key", s.key.Secret)
	if secret := lookup(store.env, "TABLESTORE_ACCESS_KEY_SECRET"); secret != "" {
		find.add("the store's key", secret)
	}
	var ring map[string]any
	text, err := os.ReadFile(filepath.Join(data, "keyring.json"))
	if err == nil {
		err = json.Unmarshal(text, &ring)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := ringKeys(ring)
	if len(keys) != 1 {
		t.Fatalf("keyring.json has %d keys, want 1", len(keys))
	}
	find.add("the sealing key", keys[0])

	for _, p := range plantedPlatforms {
		fields := append(p.secrets, plantedField{ownTargetSecret, 40}, plantedField{actionTargetSecret, 40})
		name := strings.ToLower(p.typ)
		make := func(request string) object {
			c := maps.Clone(p.plain)
			for _, f := range fields {
				value, search := f.planted(request)
				find.add(request+f.key, search)
				c = replaced(c, f.key, value)
			}
			return c
		}
		created, updated, failing := jsonText(make("C")), jsonText(make("U")), make("F")

		s.send(t, newACS3(s.key, "CreateChatConfiguration", "Name", name, "Type", p.typ, "Configuration",
			created, "ClientToken", name)).ok(t, nil)
		find.shown(s, name)
		s.send(t, newV1(s.key, "UpdateChatConfiguration", "Name", name, "Configuration", updated)).ok(t, nil)
		outputs := find.shown(s, name)
		find.add("the webhook's token of "+name, outputs["URL"][strings.LastIndex(outputs["URL"], "/")+1:])

		for _, r := range failures(s, readOnly, name, p.typ, failing, fields) {
			a := s.send(t, r)
			if a.status < 400 {
				t.Errorf("a request that must fail was answered %d: %s", a.status, a.body)
			}
			find.search("an error's body", a.body)
			find.search("an error's headers", []byte(jsonText(a.header)))
		}
		hook, err := url.Parse(outputs["URL"])
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := do(t, newRequest(t, method, "http://"+s.endpoint+hook.Path, "", ""))
			find.search("the answer of a webhook", a.body)
		}
		cli := command{
			args: []string{"call", "--data", data, "CreateChatConfiguration", "Name=" +
				name, "Type=ICQ", "Configuration=@-"},
			stdin: jsonText(failing),
		}
		r := cli.run(t)
		r.fails(t, 1, "InvalidParameter.Type")
		find.search("what call printed", []byte(r.stderr))
	}

	find.everywhere(data)
	s.stop()
	find.everywhere(data)
	find.search("what serve printed", []byte(s.stdout.String()))
	find.search("the log", []byte(s.stderr.String()))
	if store.name == storeFile {
		check := run(t, "check", "--data", data)
		if out := check.ok(t); !strings.Contains(out, "5 configurations") {
			t.Errorf("check printed %q, want 5 configurations", out)
		}
		find.search("what check printed", []byte(check.stdout+check.stderr))
		find.search("keys list", []byte(run(t, "keys", "list", "-o", "json", "--data", data).ok(t)))
	}
	if n := len(s.requestLog()); n < 100 {
		t.Errorf("the log has %d requests, want at least 100", n)
	}
	find.goldenFiles()
}

// ringKeys returns the keys of a key ring's file: every string in it that is long.
func ringKeys(v any) (keys []string) {
	switch v := v.(type) {
	case string:
		if len(v) >= 40 {
			return []string{v}
		}
	case map[string]any:
		for _, member := range v {
			keys = append(keys, ringKeys(member)...)
		}
	case []any:
		for _, item := range v {
			keys = append(keys, ringKeys(item)...)
		}
	}
	return keys
}

// shown searches what Get and List answer, and returns the Outputs, in which webhooks' tokens may
// be.
func (s *searcher) shown(svc *service, name string) map[string]string {
	s.t.Helper()
	var got shown
	a := svc.send(s.t, newACS3(svc.key, "GetChatConfiguration", "Name", name))
	a.ok(s.t, &got)
	s.search("Configuration", []byte(got.ChatConfiguration.Configuration))
	var outputs map[string]string
	if err := json.Unmarshal([]byte(got.ChatConfiguration.Outputs), &outputs); err != nil {
		s.t.Fatal(err)
	}
	var allowed []string
	for other := range s.secrets {
		if strings.HasPrefix(other, "the webhook's token of ") {
			allowed = append(allowed, other)
		}
	}
	s.search("an answer of Get", a.body, allowed...)
	a = svc.send(s.t, newV1(svc.key, "ListChatConfigurations", "Format", "XML"))
	s.search("an answer of List", a.body, allowed...)
	return outputs
}

// failures returns requests that hold the Configuration and must fail.
func failures(s *service, readOnly accessKey, name, typ string, configuration object, fields []plantedField) []signed {
	whole := jsonText(configuration)
	with := func(text string, pairs ...string) []string {
		return append([]string{"Name", name + "-new", "Type", typ, "Configuration", text}, pairs...)
	}
	wrong := accessKey{s.key.ID, "wrong-secret"}
	const action = "CreateChatConfiguration"
	replayed := newACS3(s.key, action, "Name", name, "Type", typ, "Configuration", whole)
	list := []signed{
		// The signature, in every way to send.
		newV1(wrong, action, with(whole)...),
		edited(newV1(wrong, action, with(whole)...), func(v *v1) { v.form = true }),
		newACS3(wrong, action, with(whole)...),
		newACS3(wrong, action, with(whole)...).inForm(),
		newACS3(wrong, action, with(whole)...).inJSON(),
		newV1(accessKey{"LTAInobody", "nothing"}, action, with(whole)...),
		edited(newV1(s.key, action, with(whole)...),
			func(v *v1) { v.params["Timestamp"] = stamp(time.Now().Add(-time.Hour)) }),
		edited(newV1(s.key, action, with(whole)...), func(v *v1) { v.body, v.kind = whole, "application/json" }),
		newV1(readOnly, action, with(whole)...),
		replayed, replayed, // there is one already; and then it is a replay

		// The rest of the request.
		newV1(s.key, "ExplodeChatConfiguration", with(whole)...),
		newV1(s.key, action, with(whole, "Format", "YAML")...),
		newV1(s.key, action, with(whole, "Version", "1999-01-01")...),
		newV1(s.key, action, with(whole, "RegionId", "Nowhere!")...),
		newV1(s.key, action, with(whole, "ClientToken", name)...),
		newV1(s.key, action, with(whole, "Name", "")...),
		newV1(s.key, action, with(whole, "Name", "acs-reserved")...),
		newV1(s.key, action, with(whole, "Type", "ICQ")...),
		newV1(s.key, action, with(whole, "Type", map[bool]string{true: "Slack", false: "Teams"}[typ == "Teams"])...),
		newV1(s.key, action, with(whole, "Status", "Sleeping")...),
		newV1(s.key, "UpdateChatConfiguration", "Name", name, "Configuration", whole, "Revision", "99"),
		newV1(s.key, "UpdateChatConfiguration", "Name", "nobody", "Configuration", whole),
		edited(newV1(s.key, action, with(whole)...), func(v *v1) { v.method = http.MethodGet }),
		edited(newACS3(s.key, action, with(whole)...),
			func(a *acs3) { a.query["Padding"] = strings.Repeat("x", 40<<10) }),
		edited(newACS3(s.key, action, with(whole)...),
			func(a *acs3) { a.query["Padding"] = strings.Repeat("x", 300<<10); a.inForm() }),
		tampered(newACS3(s.key, action, with(whole)...), func(r *http.Request) {
			r.URL.RawQuery += "&Configuration=" +
				url.QueryEscape(whole)
		}),
		tampered(newACS3(s.key, action, with(whole)...),
			func(r *http.Request) { r.URL.Path = "/" + url.PathEscape(whole) }),

		// The body.
		edited(newACS3(s.key, action), func(a *acs3) { a.body, a.kind = whole, "text/plain" }),
		edited(newACS3(s.key, action), func(a *acs3) { a.body, a.kind = whole, "application/x-www-form-urlencoded" }),
		edited(newACS3(s.key, action), func(a *acs3) { a.body, a.kind = whole, "application/json" }),
		edited(newACS3(s.key, action), func(a *acs3) { a.body, a.kind = whole[:len(whole)-1], "application/json" }),
		edited(newACS3(s.key, action), func(a *acs3) {
			a.body, a.kind = jsonText([]object{configuration}),
				"application/json"
		}),

		// The document as a whole.
		newV1(s.key, action, with(jsonText(whole))...),
		newV1(s.key, action, with("["+whole+"]")...),
		newV1(s.key, action, with(whole+whole)...),
		newV1(s.key, action, with("\xff"+whole)...),
		newV1(s.key, action, with(whole[:len(whole)-1]+","+whole[1:])...),
		newV1(s.key, action, with(strings.ReplaceAll(whole, ":", ""))...),
		newV1(s.key, action, with(strings.ReplaceAll(whole, `"`, ""))...),
		newACS3(s.key, action, with(strings.ReplaceAll(whole, "{", "{"+strings.Repeat(" ", 70<<10)))...).inForm(),
	}
	if functions.target != targetFC { // whose HTTP trigger passes on no query, but the parameters that it could decode
		list = append(list, tampered(newACS3(s.key, action, with(whole)...),
			func(r *http.Request) { r.URL.RawQuery += "&%zz" }))
	}
	for i := 1; i < len(whole); i += 17 {
		list = append(list, newV1(s.key, action, with(whole[:i])...))
	}
	// Each secret in a place or of a shape where it is wrong.
	for _, f := range fields {
		value, search := f.planted("F")
		for _, bad := range []any{[]any{value}, object{"value": value}, object{value: true}, value + " blank", "钉" +
			value, value + "\n", value + strings.Repeat("x", 4096)} {
			list = append(list, newACS3(s.key, action, with(jsonText(replaced(configuration, f.key, bad)))...).inForm())
		}
		misspelt := maps.Clone(configuration)
		misspelt[f.key+"s"] = value
		list = append(list, newV1(s.key, action, with(jsonText(misspelt))...))
		// As a parameter of its own, where it does not belong.
		list = append(list,
			newV1(wrong, action, "Name", name, "Type", typ, f.key, value),
			newV1(wrong, action, "Name", name, "Type", typ, "Configuration."+f.key, value),
			newV1(s.key, action, "Name", name, "Type", typ, f.key, value),
			newACS3(s.key, action, "Name", name, "Type", typ, "Configuration.1."+f.key, value),
		)
		for _, u := range []string{"http://example.com/?key=" + search, "https://user:" + search + "@example.com/",
			"https://example.com/#" + search, search + "://", "https://example.com/%zz" + search} {
			target := maps.Clone(configuration)
			target["Target"] = object{"Type": "Http", "Url": u, "Secret": value}
			list = append(list, newV1(s.key, action, with(jsonText(target))...))
			target["Actions"] = object{"run": object{"Target": target["Target"]}}
			delete(target, "Target")
			list = append(list, newV1(s.key, action, with(jsonText(target))...))
		}
	}
	return list
}

// Secrets that are not keys of the Configuration: of its own Target, and of an action's.
const (
	ownTargetSecret    = "Target.Secret"
	actionTargetSecret = "Actions.run.Target.Secret"
)

// replaced returns the Configuration with another value for one setting.
func replaced(configuration object, key string, value any) object {
	c := maps.Clone(configuration)
	target := object{"Type": "Http", "Url": "https://example.com/", "Secret": value}
	switch key {
	case ownTargetSecret:
		c["Target"] = target
	case actionTargetSecret:
		c["Actions"] = object{"run": object{"Target": target}}
	default:
		c[key] = value
	}
	return c
}

// goldenFiles searches what is checked in to compare with: it may have been made from what a run
// printed.
func (s *searcher) goldenFiles() {
	s.t.Helper()
	n := 0
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", ".venv", ".chatconf", "dist"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.Contains(filepath.ToSlash(path), "/testdata/") && d.Name() != "event.json" &&
			filepath.Ext(path) != ".golden":
			return nil
		}
		text, err := os.ReadFile(path)
		n++
		s.search(path, text)
		return err
	})
	if err != nil || n == 0 {
		s.t.Errorf("searched %d golden files: %v", n, err)
	}
}

// The search finds what it is to find; otherwise the test above would be worth nothing.
func TestTheSearchFindsASecret(t *testing.T) {
	t.Parallel()
	const secret = "plantedXSomeSecret"
	for _, text := range []string{
		"before " + secret + " after",
		url.QueryEscape("a b " + secret + "+/="),
		fmt.Sprintf("%x", "before "+secret+" after"),
		base64.StdEncoding.EncodeToString([]byte("before " + secret + " after")),
		base64.StdEncoding.EncodeToString([]byte("before. " + secret + " after")),
		base64.StdEncoding.EncodeToString([]byte("before.. " + secret + " after")),
	} {
		find := &searcher{t, make(map[string][]string)}
		find.add("x", secret)
		if !slices.ContainsFunc(find.secrets["x"], func(form string) bool { return strings.Contains(text, form) }) {
			t.Errorf("%q is not found in %q", secret, text)
		}
	}
}
