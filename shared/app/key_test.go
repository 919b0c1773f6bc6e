package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/serve"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// A data directory that was made when access keys were in the table of configurations goes on as it
// was: its keys are found, and the first one may do what a first one may today.
func TestKeysOfBeforeAreMoved(t *testing.T) {
	for name, test := range map[string]struct {
		policy, want string
	}{
		"the first key's policy of then": {
			`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*"}]}`,
			policy.Owner().String()},
		"a policy that somebody gave the key": {
			`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			l := open(t, s)
			admin := readKey(t, s)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			p, err := policy.Parse([]byte(test.policy))
			if err != nil {
				t.Fatal(err)
			}
			asBefore(t, s, admin, p)
			l = open(t, s)
			key, err := l.Keys.Find(t.Context(), admin.ID)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				test.want = test.policy
			}
			if got := key.Policies[0].String(); got != test.want || key.Secret != admin.Secret {
				t.Errorf("the first key may %s, want %s", got, test.want)
			}
			other, err := l.Keys.Find(t.Context(), "CCKother")
			if err != nil || other.Policies[0].String() != p.String() {
				t.Errorf("another key: %v, may %v", err, other.Policies)
			}
			if err := l.Keys.Delete(t.Context(), "", "CCKother"); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if ids := keys(t, open(t, s)); slices.Contains(ids, "CCKother") {
				t.Errorf("a key that was deleted after the move is back: %v", ids)
			}
		})
	}
}

// asBefore makes a data directory what it was when keys were in the table of configurations.
func asBefore(t *testing.T, s app.Settings, admin app.AccessKey, p *policy.Policy) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Data, app.KeyRingFile))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		t.Fatal(err)
	}
	db, err := file.Open(filepath.Join(s.Data, app.TableFile), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := db.Table(s.KeyTable, file.TableOptions{})
	items, err := now.Query(t.Context(), table.Range{Partition: "keys", Limit: table.MaxQuery})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if err := now.Write(t.Context(), "keys", table.Change{Deletes: []table.Delete{{Sort: item.Sort}}}); err != nil {
			t.Fatal(err)
		}
	}
	before := accesskey.New(db.Table(s.Table, file.TableOptions{}), nil, ring, nil)
	for _, key := range []app.AccessKey{admin, {ID: "CCKother", Secret: "not-a-real-secret"}} {
		_, err := before.Create(t.Context(), accesskey.Key{
			ID: key.ID, Secret: key.Secret, Account: s.AccountID, Name: "of before", Policies: []*policy.Policy{p},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What an event may do without and with a policy of the settings: a function of one action does
// that action, and what its parameters ask for; a function of several reads, unless the policy says
// otherwise.
func TestWhatEventsMayDo(t *testing.T) {
	const (
		create = `{"Action":"CreateChatConfiguration","Name":"ops","Type":"Slack","Tags":{"env":"prod"},` +
			`"ResourceGroupId":"rg-acfmxexample0001",` +
			`"Configuration":{"SlackSigningSecret":"not-a-real-secret-of-32-letters."}}`
		role = `{"Action":"CreateChatConfiguration","Name":"ops","Type":"Slack","RamRole":"OpsRole",` +
			`"Configuration":{"SlackSigningSecret":"not-a-real-secret-of-32-letters."}}`
		update = `{"Action":"UpdateChatConfiguration","Name":"ops","Tags":{"env":"prod"},"CheckOnly":true}`
		list   = `{"Action":"ListChatConfigurations"}`
		get    = `{"Action":"GetChatConfiguration","Name":"ops"}`
		keys   = `{"Action":"ListAccessKeys"}`
		admin  = `{"Action":"CreateAccessKey","Name":"x","Policy":"Administrator"}`
	)
	only := func(name string) []rpc.Action {
		return slices.DeleteFunc(slices.Concat(rpc.Actions(), rpc.KeyActions()),
			func(a rpc.Action) bool { return a.Name != name })
	}
	for _, test := range []struct {
		about   string
		actions []rpc.Action
		policy  string // of the settings; the text of a statement
		event   string
		allowed bool
	}{
		{"api reads", rpc.Actions(), "", list, true},
		{"api does not write", rpc.Actions(), "", create, false},
		{"api does not make keys", slices.Concat(rpc.Actions(), rpc.KeyActions()), "", admin, false},
		{"api does what the policy allows", rpc.Actions(), `"Effect":"Allow","Action":"*"`, create, true},
		{"api does only what the policy allows", rpc.Actions(), `"Effect":"Allow","Action":"oos:GetChatConfiguration"`,
			list, false},
		{"api does not make keys for a pattern", slices.Concat(rpc.Actions(), rpc.KeyActions()),
			`"Effect":"Allow","Action":"oos:*"`, admin, false},
		{"a single action is done", only("CreateChatConfiguration"), "", create, true},
		{"a single action is done whatever else the policy allows", only("CreateChatConfiguration"),
			`"Effect":"Allow","Action":"oos:TagResources"`, create, true},
		{"a single action that the policy denies", only("CreateChatConfiguration"),
			`"Effect":"Deny","Action":"oos:Create*"`, create, false},
		{"a single action passes no role", only("CreateChatConfiguration"), "", role, false},
		{"a single action passes no role for a pattern of another service", only("CreateChatConfiguration"),
			`"Effect":"Allow","Action":"oos:*"`, role, false},
		{"a single action passes the role that the policy allows", only("CreateChatConfiguration"),
			`"Effect":"Allow","Action":"ram:PassRole"`, role, true},
		{"api passes the role that the policy allows", rpc.Actions(), `"Effect":"Allow","Action":"*"`, role, true},
		{"api passes no role for a pattern of another service", rpc.Actions(), `"Effect":"Allow","Action":"oos:*"`,
			role, false},
		{"a single update changes tags", only("UpdateChatConfiguration"), "", update, true},
		{"a single list is done", only("ListChatConfigurations"), "", list, true},
		{"a single get is done", only("GetChatConfiguration"), "", get, true},
		{"keys are listed", rpc.KeyActions(), "", keys, true},
		{"keys are not made", rpc.KeyActions(), "", admin, false},
		{"keys are made where the policy names it", rpc.KeyActions(),
			`"Effect":"Allow","Action":"oos:CreateAccessKey"`, admin, true},
	} {
		t.Run(test.about, func(t *testing.T) {
			s := settings(t)
			if test.policy != "" {
				p, err := policy.Parse([]byte(`{"Version":"1","Statement":[{` + test.policy + `,"Resource":"*"}]}`))
				if err != nil {
					t.Fatal(err)
				}
				s.EventPolicy = p
			}
			l, err := app.OpenLocal(t.Context(), s, app.Actions(test.actions...))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			got, again := event(t, l.Handler, serve.Event{Source: serve.Direct, ID: "1", Data: []byte(test.event)})
			if denied := got.Code == "NoPermission"; again != nil || denied == test.allowed {
				t.Errorf("%s = %+v, %v; want allowed %v", test.event, got, again, test.allowed)
			}
			if test.allowed && got.Code != "" && got.Code != "EntityNotExists.ChatConfiguration" {
				t.Errorf("%s = %+v", test.event, got)
			}
		})
	}
}
