package shared_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/command"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	"chatconf/shared/table/file"
	"chatconf/shared/table/tablestore"
)

// hiddenText is in every secret of the test below that is text; hiddenBytes are those of a key.
const hiddenText = "Pl4ntedPl4ntedPl4ntedPl4ntedPl4nted"

var hiddenBytes = [seal.KeySize]byte([]byte("pl4nted-bytes-of-a-sealing-key-!"))

// everyVerb is every verb of fmt, with flags that change what it writes.
var everyVerb = strings.Fields("%v %+v %#v %s %+s %#s %q %+q %#q %x %X %#x %# %d %+d %#d %o %O %b %c %U %#U %e %E " +
	"%f %F %g %G %t %T %08d %-40s %.60s % %z")

// shown returns how a secret would look under each verb, and encoded.
func shown() []string {
	out := []string{"[]byte{0x50", base64.StdEncoding.EncodeToString([]byte(hiddenText))[:12],
		base64.StdEncoding.EncodeToString(hiddenBytes[:])[:12]}
	for _, secret := range []any{hiddenText, hiddenText[:8], []byte(hiddenText[:8]),
		hiddenBytes[:8], string(hiddenBytes[:8])} {
		for _, verb := range everyVerb {
			text := strings.Trim(fmt.Sprintf(verb, secret), "[]\"`' ")
			if len(text) > 6 && !strings.Contains(text, "%!") && verb != "%T" {
				out = append(out, text)
			}
		}
	}
	return out
}

// holders returns a value of every type that holds secrets and can be made from here.
func holders(t *testing.T) map[string]any {
	t.Helper()
	key := sign.Key{ID: "CCKexample", Secret: hiddenText, SecurityToken: hiddenText}
	sealing := seal.Key{ID: "one", Secret: hiddenBytes}
	ring, err := seal.NewRing(sealing)
	if err != nil {
		t.Fatal(err)
	}
	users := sts.Options{Users: []sts.User{{Name: "u", KeyID: "id", KeySecret: hiddenText}}}
	emulated, err := sts.New(users)
	if err != nil {
		t.Fatal(err)
	}
	credentials := invoke.Credentials{AccessKeyID: "id", AccessKeySecret: hiddenText, SecurityToken: hiddenText}
	sessions := cloud.NewSessions(func(context.Context, cloud.Session) (cloud.Lease, error) {
		return cloud.Lease{Credentials: credentials, Expires: time.Now().Add(time.Hour)}, nil
	}, nil)
	if _, err := sessions.With(t.Context(), cloud.Session{}); err != nil {
		t.Fatal(err)
	}
	aes, err := callback.ParseEnvelopeKey(base64.StdEncoding.EncodeToString(hiddenBytes[:])[:43])
	if err != nil {
		t.Fatal(err)
	}
	settings := callback.Settings{"Token": hiddenText,
		"Key": secret.Text(base64.StdEncoding.EncodeToString(hiddenBytes[:])[:43])}
	box, err := callback.NewBox(settings, "Token", "Key", "", 32)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, "https://chatconf.example.com/?Configuration="+hiddenText, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("x-acs-action", "GetChatConfiguration")
	request.Header.Set("x-acs-version", "2019-06-01")
	if err := key.SignACS3(request, nil, time.Unix(0, 0), "nonce"); err != nil {
		t.Fatal(err)
	}
	signature, err := sign.Parse(request, request.URL.Query(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := callback.NewClient(callback.ClientOptions{})
	if _, err := client.Token(t.Context(), "app",
		func(context.Context) (secret.Text, time.Duration, error) { return hiddenText, time.Hour, nil }); err != nil {
		t.Fatal(err)
	}
	db, err := file.Open(filepath.Join(t.TempDir(), "chatconf.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	service, err := chat.New(db.Table("chatconf", file.TableOptions{}), ring,
		platform.All().Descriptions(), chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := ots.New(ots.Options{AccessKeys: map[string]string{"id": hiddenText}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	all := map[string]any{
		"a secret":             secret.Text(hiddenText),
		"a signing key":        key,
		"a signature":          *signature,
		"a service":            service,
		"a sealing key":        sealing,
		"a key ring":           *ring,
		"an access key":        accesskey.Key{ID: "id", Secret: hiddenText},
		"an access key file":   app.AccessKey{ID: "id", Secret: hiddenText},
		"credentials":          credentials,
		"a role's session":     cloud.Lease{Credentials: credentials},
		"the roles' sessions":  sessions,
		"emulated credentials": runtime.Credentials(credentials),
		"an environment":       secret.Map{"A": hiddenText},
		"a function": runtime.Function{Env: map[string]string{"A": hiddenText},
			Credentials: runtime.Credentials(credentials)},
		"an invocation":         invoke.Invocation{Credentials: credentials},
		"a call":                serve.Call{Credentials: credentials},
		"settings":              settings,
		"settings of a service": app.Settings{KeyRing: hiddenText, AccessKeySecret: hiddenText},
		"a signed request":      cloud.Request{Secrets: []string{hiddenText}},
		"an emulated account":   emulated,
		"emulated users":        users,
		"options of Alibaba":    alibaba.Options{Credentials: credentials},
		"options of Tablestore": tablestore.Options{Credentials: credentials},
		"options of an emulator": ots.Options{AccessKeys: map[string]string{"id": hiddenText},
			STSTokens: map[string]string{"id": hiddenText}},
		"an emulator":          server,
		"a key of an envelope": aes,
		"a box":                box,
		"a call of a platform": callback.Call{URL: hiddenText, Headers: map[string]secret.Text{"A": hiddenText},
			Body: []byte(hiddenText)},
		"a client with a token": client,
		"an endpoint": command.Endpoint{Settings: settings,
			Target: command.Target{URL: hiddenText, Secrets: []secret.Text{hiddenText}}},
		"where to reply": command.ReplyTo{URL: hiddenText},
		"a request":      chat.CreateRequest{Configuration: hiddenText},
	}
	for name, newReceiver := range platform.All().Receivers() {
		if all["a receiver of "+name], err = newReceiver(plantedSettings(name)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	senders := 0
	for name, newSender := range platform.All().Senders() {
		if sender, err := newSender(plantedSettings(name), client); err == nil { // Teams has none
			all["a sender of "+name] = sender
			senders++
		}
	}
	if senders < 4 {
		t.Fatalf("only %d senders were made", senders)
	}
	for name, newStream := range platform.All().Streams() {
		settings := plantedSettings(name)
		settings["WeChatBotId"], settings["WeChatBotSecret"], settings["SlackAppToken"] = "x", hiddenText, hiddenText
		if all["a stream of "+name], err = newStream(settings, client); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

// plantedSettings returns settings of a platform with a planted secret in every secret one.
func plantedSettings(name string) callback.Settings {
	settings := platformtest.Settings(name)
	for _, p := range platform.All().Descriptions() {
		for _, setting := range p.Settings {
			switch {
			case p.Type != name || !setting.Secret:
			case strings.Contains(setting.Key, "AesKey"):
				settings[setting.Key] = secret.Text(base64.StdEncoding.EncodeToString(hiddenBytes[:])[:43])
			case name == "Teams":
				settings[setting.Key] = secret.Text(base64.StdEncoding.EncodeToString([]byte(hiddenText)))
			default:
				settings[setting.Key] = hiddenText
			}
		}
	}
	return settings
}

// forms returns a value as it may be printed: by itself, by pointer, and in other values.
func forms(v any) map[string]any {
	value := reflect.ValueOf(v)
	pointer := reflect.New(value.Type())
	pointer.Elem().Set(value)
	slice := reflect.Append(reflect.MakeSlice(reflect.SliceOf(value.Type()), 0, 1), value)
	array := reflect.New(reflect.ArrayOf(1, value.Type())).Elem()
	array.Index(0).Set(value)
	inMap := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), value.Type()))
	inMap.SetMapIndex(reflect.ValueOf("k"), value)
	field := func(t reflect.Type) reflect.Value {
		return reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: t}})).Elem()
	}
	inStruct, byPointer := field(value.Type()), field(pointer.Type())
	inStruct.Field(0).Set(value)
	byPointer.Field(0).Set(pointer)
	return map[string]any{
		"itself": v, "a pointer": pointer.Interface(), "a slice": slice.Interface(),
		"an array": array.Interface(), "a map": inMap.Interface(),
		"a struct": inStruct.Interface(), "a pointer to a struct": inStruct.Addr().Interface(),
		"a pointer in a struct": byPointer.Interface(),
		"a slice of anything":   []any{v}, "an error": fmt.Errorf("it: %v", v),
	}
}

// TestNothingThatHoldsSecretsPrintsThem holds that no verb of fmt, no JSON and no log shows
// anything of a secret.
func TestNothingThatHoldsSecretsPrintsThem(t *testing.T) {
	never := shown()
	check := func(what, printed string) {
		t.Helper()
		for _, text := range never {
			if strings.Contains(printed, text) {
				t.Errorf("%s: %.200s", what, printed)
				return
			}
		}
	}
	for name, v := range holders(t) {
		for form, printed := range forms(v) {
			for _, verb := range everyVerb {
				check(name+" as "+form+" with "+verb, fmt.Sprintf(verb, printed))
			}
			check(name+" as "+form+" with Sprint", fmt.Sprint(printed)+fmt.Sprintln(printed))
			if text, err := json.Marshal(printed); err == nil {
				check(name+" as "+form+" in JSON", string(text))
			} else {
				check(name+" as "+form+" in the error of JSON", err.Error())
			}
			var log bytes.Buffer
			for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
				slog.New(handler).Info("m", "it", printed, slog.Group("g", "it", printed))
			}
			check(name+" as "+form+" in a log", log.String())
		}
	}
	// The check itself would find a secret.
	for _, text := range []string{hiddenText, fmt.Sprintf("%d", []byte(hiddenText)), fmt.Sprintf("%x", hiddenBytes),
		fmt.Sprintf("%#v", []byte(hiddenText)), fmt.Sprint(hiddenBytes)} {
		if !slices.ContainsFunc(never, func(one string) bool { return strings.Contains(text, one) }) {
			t.Errorf("%q would not be found", text)
		}
	}
}

// secretTypes are types that hold secrets. In an unexported field fmt does not find their methods;
// nor does it anywhere below a value that it prints for a verb that the value does not have.
var secretTypes = regexp.MustCompile(
	`\b(Secret|Credentials|Settings|EnvelopeKey|(sign|seal)\.Key|secret\.Map)\b`)

// secretNames are names of fields of text or bytes that are secrets.
var secretNames = regexp.MustCompile(`(?i)^(.*(secret|password|credential)s?|tokens?|tokenkeys|(aes|encrypt|` +
	`signing|access|api)keys?|aes|env)$`)

// notSecret are fields that look so and hold none, or of a type that is never printed as it holds
// nothing else; each has its reason.
var notSecret = map[string]string{
	"shared/chat.record.Secrets":               "they are sealed",
	"shared/chat.intent.token":                 "a ClientToken is the caller's own name for its request",
	"shared/chat.modification.token":           "a ClientToken, too",
	"shared/emulator/ots.query.token":          "of a page",
	"shared/rpc/sign.authorization.credential": "an access key id",
	"deploy/chatconf.invocation.env":           "names and values as typed; a command's own flags",
}

// TestStructsWithSecretsHaveFormat looks at the source of every package: a struct with a secret in
// a field has a method Format.
func TestStructsWithSecretsHaveFormat(t *testing.T) {
	found, used := 0, make(map[string]bool)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	structs := make(map[string][]string) // fields by the type's path
	formats := make(map[string]bool)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "e2e" ||
			strings.HasSuffix(name, "test") || name == "platformsim"):
			return filepath.SkipDir // secrets of tests are none
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if m, ok := d.(*ast.FuncDecl); ok && m.Recv != nil && m.Name.Name == "Format" {
				receiver := m.Recv.List[0].Type
				if star, ok := receiver.(*ast.StarExpr); ok {
					receiver = star.X
				}
				formats[folder+"."+receiver.(*ast.Ident).Name] = true
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				found++
				structs[folder+"."+spec.Name.Name] = secretFields(files, s)
				formats[folder+"."+spec.Name.Name] = formats[folder+"."+spec.Name.Name] || isHidden(s)
			}
			return true
		})
		return nil
	})
	if err != nil || found < 200 {
		t.Fatalf("%d structs were found, %v", found, err)
	}
	for name, fields := range structs {
		for _, field := range fields {
			switch where := name + "." + field; {
			case notSecret[where] != "":
				used[where] = true
			case !formats[name]:
				t.Errorf("%s may hold a secret that fmt would show; give %s a method Format, or say "+
					"in notSecret why it holds none", where, name)
			}
		}
	}
	for where := range notSecret {
		if !used[where] {
			t.Errorf("notSecret has %s, which is not there", where)
		}
	}
}

// isHidden reports whether a struct embeds secret.Hidden.
func isHidden(s *ast.StructType) bool {
	for _, field := range s.Fields.List {
		if name, ok := field.Type.(*ast.SelectorExpr); ok && len(field.Names) == 0 && name.Sel.Name == "Hidden" {
			return true
		}
	}
	return false
}

// secretFields returns the fields of a struct that fmt would show a secret of.
func secretFields(files *token.FileSet, s *ast.StructType) (fields []string) {
	for _, field := range s.Fields.List {
		var text bytes.Buffer
		printer.Fprint(&text, files, field.Type)
		switch field.Type.(type) {
		case *ast.FuncType, *ast.StarExpr, *ast.ChanType:
			continue
		}
		if strings.Contains(text.String(), "func(") {
			continue
		}
		raw := strings.HasSuffix(text.String(), "string") || strings.Contains(text.String(), "byte")
		for _, name := range field.Names {
			if raw && secretNames.MatchString(name.Name) || secretTypes.MatchString(text.String()) {
				fields = append(fields, name.Name)
			}
		}
	}
	return fields
}
