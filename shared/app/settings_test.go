package app_test

import (
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/app"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
)

const signingSecret = "whsec_bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM="

const planted = "PLANTED-secret"

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestSettingsHaveDefaults(t *testing.T) {
	got, err := app.ReadSettings(env(nil))
	want := app.Settings{
		Table: "chatconf", TicketTable: "chatconf_tickets", JournalTable: "chatconf_journal",
		KeyTable: "chatconf_keys", KeyUseTable: "chatconf_key_uses",
		AccountID: app.DefaultAccountID, Region: "cn-hangzhou",
		Data: ".chatconf", Addr: "127.0.0.1:9000",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ReadSettings of nothing: %v, -want +got\n%s", err, diff)
	}
}

func TestSettingsAreRead(t *testing.T) {
	got, err := app.ReadSettings(env(map[string]string{
		"CHATCONF_KEYRING": "file:/ring", "CHATCONF_TABLE": "a", "CHATCONF_TICKET_TABLE": "b",
		"CHATCONF_ACCOUNT_ID": "42", "CHATCONF_REGION": "eu-central-1",
		"CHATCONF_WEBHOOK_BASE_URL": "https://hooks.example.com/x",
		"CHATCONF_HOSTS":            " a.example.com, b.example.com:8443 ,,", "CHATCONF_MAX_CONFIGURATIONS": "7",
		"CHATCONF_MAX_CONNECTIONS": "50", "CHATCONF_MAX_BODIES": "5", "CHATCONF_MAX_STREAMS": "9",
		"CHATCONF_PROGRAMS": "/srv/programs", "CHATCONF_PROGRAMS_AT_ONCE": "8",
		"CHATCONF_EVENT_POLICY":        policy.ReadOnly().String(),
		"CHATCONF_REQUESTS_PER_SECOND": "2.5", "CHATCONF_ACCESS_KEY_ID": "id", "CHATCONF_ACCESS_KEY_SECRET": planted,
		"CHATCONF_DATA": "/data", "CHATCONF_ADDR": ":80",
		"CHATCONF_TARGET_NETWORKS":    "10.1.0.0/16, ::1/128,",
		"CHATCONF_PLATFORM_ADDRESSES": "slack.com=127.0.0.1:8443, open.feishu.cn=[::1]:8444",
		"CHATCONF_ROOTS":              "/roots.pem",
		"CHATCONF_EVENTS":             `{"Type":"Http","Url":"https://10.1.2.3/e","Secret":"` + signingSecret + `"}`,
		"CHATCONF_JOURNAL_TABLE":      "c", "CHATCONF_KEY_TABLE": "d", "CHATCONF_KEY_USE_TABLE": "e",
		"CHATCONF_JOURNAL_DAYS": "30",
		"CHATCONF_HISTORY":      "200", "CHATCONF_DISPATCH_FUNCTION": "chatconf-dispatch-command",
	}))
	want := app.Settings{
		KeyRing: "file:/ring", Table: "a", TicketTable: "b", AccountID: "42", Region: "eu-central-1",
		WebhookBaseURL: "https://hooks.example.com/x",
		Hosts:          []string{"a.example.com", "b.example.com:8443"}, MaxConfigurations: 7, MaxConnections: 50,
		MaxBodies: 5, MaxStreams: 9, History: 200, RequestsPerSecond: 2.5,
		AccessKeyID: "id", AccessKeySecret: planted, EventPolicy: policy.ReadOnly(), Data: "/data", Addr: ":80",
		TargetNetworks:    dial.Networks{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")},
		PlatformAddresses: map[string]string{"slack.com:443": "127.0.0.1:8443", "open.feishu.cn:443": "[::1]:8444"},
		Roots:             "/roots.pem",
		Events: command.Target{Type: "Http", URL: "https://10.1.2.3/e",
			Secrets: []secret.Text{signingSecret}},
		JournalTable: "c", KeyTable: "d", KeyUseTable: "e", JournalAge: 30 * 24 * time.Hour,
		DispatchFunction: "chatconf-dispatch-command", Programs: "/srv/programs", ProgramsAtOnce: 8,
	}
	same := cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b secret.Text) bool { return a.Reveal() == b.Reveal() }),
		cmp.Comparer(func(a, b *policy.Policy) bool { return a.String() == b.String() }),
	}
	if diff := cmp.Diff(want, got, same); err != nil || diff != "" {
		t.Errorf("ReadSettings: %v, -want +got\n%s", err, diff)
	}
}

// Every mistake is reported by the name of its variable, all of them at once, and no secret is
// shown.
func TestMistakesInSettings(t *testing.T) {
	mistakes := map[string][]string{
		"CHATCONF_TICKET_TABLE":        {"chatconf"},
		"CHATCONF_JOURNAL_TABLE":       {"chatconf", "chatconf_tickets"},
		"CHATCONF_KEY_TABLE":           {"chatconf", "chatconf_tickets", "chatconf_journal"},
		"CHATCONF_KEY_USE_TABLE":       {"chatconf", "chatconf_tickets", "chatconf_journal", "chatconf_keys"},
		"CHATCONF_JOURNAL_DAYS":        {"0", "1", "-1", "3651", "1.5", "long", "99999999999999999999"},
		"CHATCONF_ACCOUNT_ID":          {"12a4", "acct", strings.Repeat("1", 33), "-1", "1 2"},
		"CHATCONF_ACCESS_KEY_SECRET":   {planted},
		"CHATCONF_ACCESS_KEY_ID":       {"id-alone"},
		"CHATCONF_TLS_CERT":            {"cert.pem"},
		"CHATCONF_HOSTS":               {"https://a.example.com", "a/b", "a b", "user@a"},
		"CHATCONF_MAX_CONNECTIONS":     {"0", "-1", "all"},
		"CHATCONF_MAX_BODIES":          {"0", "1e3"},
		"CHATCONF_MAX_STREAMS":         {"0", "-1", "all"},
		"CHATCONF_PROGRAMS_AT_ONCE":    {"0", "-1", "all"},
		"CHATCONF_HISTORY":             {"0", "1", "1001", "-2", "all", "1.5", "99999999999999999999"},
		"CHATCONF_MAX_CONFIGURATIONS":  {"0", "-1", "many", "1.5", "99999999999999999999"},
		"CHATCONF_REQUESTS_PER_SECOND": {"0", "-1", "NaN", "Inf", "fast", "1e7"},
		"CHATCONF_TARGET_NETWORKS": {"10.0.0.1", "10.0.0.1/8", "localhost", "10.0.0.0/8;10.1.0.0/16",
			"10.0.0.0/33", "::ffff:10.0.0.0/104"},
		"CHATCONF_PLATFORM_ADDRESSES": {"slack.com", "slack.com=127.0.0.1", "slack.com=:8443", "=127.0.0.1:8443",
			"slack.com:443=127.0.0.1:8443", "https://slack.com=127.0.0.1:1", "slack.com=h:70000"},
		"CHATCONF_EVENT_POLICY": {"all", "{}", `{"Version":"1","Statement":[]}`},
		"CHATCONF_EVENTS": {"Http", "{}", `{"Type":"Oos"}`, `{"Type":"Topic","TopicArn":"topic"}`,
			`{"Type":"Http","Url":"https://10.1.2.3/` + planted + `","Secret":"` + planted + `"}`},
	}
	all := map[string]string{"CHATCONF_KEYRING": planted, "CHATCONF_ACCESS_KEY_SECRET": planted}
	for name, values := range mistakes {
		for _, value := range values {
			_, err := app.ReadSettings(env(map[string]string{name: value, "CHATCONF_KEYRING": planted}))
			if err == nil {
				t.Errorf("%s=%s: no error", name, value)
				continue
			}
			if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), planted) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
		if name != "CHATCONF_ACCESS_KEY_ID" {
			all[name] = values[0]
		}
	}
	got, err := app.ReadSettings(env(all))
	if err == nil {
		t.Fatal("all mistakes at once: no error")
	}
	for _, name := range slices.Sorted(maps.Keys(mistakes)) {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not among the mistakes: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), planted) || got.Table != "" {
		t.Errorf("a secret is shown, or settings are returned: %v %v", err, got)
	}
}

// What the key service sealed is base64 of a size that it can have; whatever else it is shows when
// it is opened.
func TestSealedRings(t *testing.T) {
	for value, good := range map[string]bool{
		"kms:QUJD": true, "kms:QQ==": true, "kms:" + strings.Repeat("QUJD", 4096): true,
		"kms:": false, "kms:QQ": false, "kms:QR==": false, "kms:" + planted + "!": false, "kms:" +
			strings.Repeat("QUJD", 4097): false,
	} {
		_, err := app.ReadSettings(env(map[string]string{"CHATCONF_KEYRING": value}))
		if (err == nil) != good || err != nil && (!strings.Contains(err.Error(), "CHATCONF_KEYRING") ||
			strings.Contains(err.Error(), planted)) {
			t.Errorf("%.20s: %v", value, err)
		}
	}
}

func TestLimits(t *testing.T) {
	usual := serve.DefaultLimits(1 << 20)
	for _, test := range []struct {
		settings app.Settings
		want     serve.Limits
	}{
		{app.Settings{}, usual},
		{app.Settings{MaxConnections: 7}, serve.Limits{Connections: 7, Bodies: usual.Bodies}},
		{app.Settings{MaxConnections: 7, MaxBodies: 3}, serve.Limits{Connections: 7, Bodies: 3}},
	} {
		if got := test.settings.Limits(1 << 20); got != test.want {
			t.Errorf("limits of %d and %d: %+v, want %+v", test.settings.MaxConnections,
				test.settings.MaxBodies, got, test.want)
		}
	}
}

// A name that begins as ours and is none is a mistake like any other, told together with them, by
// the name that was meant.
func TestUnknownSettings(t *testing.T) {
	for name, meant := range map[string]string{
		"CHATCONF_REGIN": "CHATCONF_REGION", "CHATCONF_ACCOUNTID": "CHATCONF_ACCOUNT_ID",
		"CHATCONF_ADDRESS": "CHATCONF_ADDR", "CHATCONF_KEY_RING": "CHATCONF_KEYRING",
		"CHATCONF_BASE_URL": "CHATCONF_WEBHOOK_BASE_URL", "CHATCONF_ENDPONT": "CHATCONF_ENDPOINT",
		"CHATCONF_EVENTPOLICY":  "CHATCONF_EVENT_POLICY",
		"CHATCONF_KMS_ENDPIONT": "CHATCONF_KMS_ENDPOINT", "chatconf_data": "CHATCONF_DATA",
		"CHATCONF_DATA_DIR": "CHATCONF_DATA", "CHATCONF_QQQ": "", "CHATCONF_": "",
		"CHATCONF_PORT": "CHATCONF_", // any
	} {
		_, err := app.ReadSettings(env(map[string]string{name: planted, "CHATCONF_REGION": "Nowhere!"}),
			name, "CHATCONF_REGION", "PATH", "HOME")
		want := name + ": unknown setting; did you mean " + meant
		if meant == "" || meant == "CHATCONF_" {
			want = name + ": unknown setting; "
		}
		var unknown *app.UnknownSetting
		if err == nil || !errors.As(err, &unknown) || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "CHATCONF_REGION: ") || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if meant == "" && !strings.Contains(err.Error(), "CHATCONF_ACCOUNT_ID, ") {
			t.Errorf("%s: the settings are not listed: %v", name, err)
		}
	}
	// Kubernetes names a service called chatconf so in every container; our own tests have names,
	// too.
	foreign := map[string]string{
		"CHATCONF_SERVICE_HOST": "10.0.0.1", "CHATCONF_SERVICE_PORT": "9000", "CHATCONF_SERVICE_PORT_HTTP": "9000",
		"CHATCONF_PORT":          "tcp://10.0.0.1:9000",
		"CHATCONF_PORT_9000_TCP": "tcp://10.0.0.1:9000", "CHATCONF_PORT_9000_TCP_PROTO": "tcp",
		"CHATCONF_PORT_9000_TCP_PORT": "9000", "CHATCONF_PORT_9000_TCP_ADDR": "10.0.0.1",
		"CHATCONF_WEBHOOK_SERVICE_HOST": "10.0.0.1", "CHATCONF_WEBHOOK_PORT_53_UDP_ADDR": "10.0.0.1",
		"CHATCONF_COMMAND_ID": "1", "CHATCONF_DRY_RUN": "true", "CHATCONF_PARAM_ENV": "test", // of a program
		"CHATCONF_E2E_STORE": "file", "CHATCONFIG": "x", "CHATCON": "x", "": "x",
	}
	if _, err := app.ReadSettings(env(foreign), slices.Collect(maps.Keys(foreign))...); err != nil {
		t.Errorf("names of others: %v", err)
	}
	if got := app.Names([]string{"A=1", "B=", "C", "CHATCONF_X=a=b"}); !slices.Equal(got, []string{"A", "CHATCONF_X"}) {
		t.Errorf("names = %q", got)
	}
}

// Every name that the code, the templates or the README has is known.
func TestSettingsAreKnown(t *testing.T) {
	name := regexp.MustCompile(`CHATCONF_[A-Z0-9_]*[A-Z0-9]`)
	seen := make(map[string]string)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "dist" || d.Name() != ".." &&
			strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".yml", ".yaml", ".tmpl", ".env", ".md":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		for _, n := range name.FindAllString(string(text), -1) {
			seen[n] = path
		}
		return err
	})
	if err != nil || len(seen) < 20 {
		t.Fatalf("%d names were found: %v", len(seen), err)
	}
	for n, path := range seen {
		var unknown *app.UnknownSetting
		_, err := app.ReadSettings(env(map[string]string{n: "x"}), n)
		if errors.As(err, &unknown) && n != "CHATCONF_ACCESS_KEY" { // of which ID and SECRET are made
			t.Errorf("%s: %v", path, err)
		}
	}
}
