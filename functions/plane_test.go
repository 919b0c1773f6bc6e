package functions_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// The events of the data plane are taken as their runtime delivers them: a callback is answered
// like any that nobody has signed, a command that is not there needs nothing, and a timer finds
// nothing.
func TestPlaneEventsSucceed(t *testing.T) {
	ring, err := seal.GenerateRing("test")
	if err != nil {
		t.Fatal(err)
	}
	db, err := file.Open(filepath.Join(t.TempDir(), "chatconf.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	open := func(name string, ttl time.Duration) table.Table { return db.Table(name, file.TableOptions{TTL: ttl}) }
	local, err := app.OpenTables(t.Context(), app.Settings{AccountID: app.DefaultAccountID, Region: app.DefaultRegion,
		Data: t.TempDir(), KeyRing: secret.Text(ring)},
		app.Tables{Configurations: open(app.DefaultTable, 0), Keys: open(app.DefaultKeys, 0),
			Tickets: open(app.DefaultTickets, app.TicketAge)}, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"CHATCONF_KEYRING": string(ring),
		"CHATCONF_DISPATCH_FUNCTION": "chatconf-dispatch-command"}
	read := func(func(string) string) (clouds.Cloud, error) {
		return clouds.Cloud{
			OpenTable: func(name string, ttl time.Duration) (table.Table, error) { return open(name, ttl), nil },
			Close:     func() {},
		}, nil
	}
	tried := make(map[string]bool)
	for folder, test := range map[string]struct {
		role app.Role
		want string
	}{
		"webhook":          {app.CloudWebhook(), `"body":"unauthorized\n"`},
		"dispatch-command": {app.Dispatch(), `{}`},
		"redrive-commands": {app.Redrive(), `{"Found":0}`},
	} {
		f, err := app.NewFunction(func(name string) string { return environment[name] }, read, test.role)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		event, err := os.ReadFile(filepath.Join(folder, "event.json"))
		if err != nil {
			t.Fatal(err)
		}
		logger := slog.New(slog.NewTextHandler(io.Discard, nil))
		answer, err := serve.Deliver(t.Context(), serve.Function{Handler: f, Logger: logger},
			serve.Call{RequestID: "1", Function: folder}, event)
		if err != nil || !strings.Contains(string(answer), test.want) || strings.Contains(string(answer), `"Code"`) {
			t.Errorf("%s: %s %v, want %s", folder, answer, err, test.want)
		}
		tried[folder] = true
	}
	for _, f := range functions(t) {
		if f.plane != tried[f.folder] {
			t.Errorf("%s is of the data plane: %v; its event was tried: %v", f.folder, f.plane, tried[f.folder])
		}
	}
}
