package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
	"chatconf/shared/stream/streamtest"
)

// atGateway has the commands of a test find a gateway in the place of a platform.
func atGateway(t *testing.T, platform string) *streamtest.Gateway {
	t.Helper()
	g := streamtest.StartTCP(t, platform)
	var addresses []string
	for _, host := range g.Hosts() {
		addresses = append(addresses, host+"="+g.Address)
	}
	roots := filepath.Join(t.TempDir(), "roots.pem")
	writeFile(t, roots, g.Authority)
	t.Setenv("CHATCONF_PLATFORM_ADDRESSES", strings.Join(addresses, ","))
	t.Setenv("CHATCONF_ROOTS", roots)
	return g
}

// createStreamBot makes a bot whose messages come over a connection. Everybody may run everything.
func createStreamBot(t *testing.T, s *chat.Service, g *streamtest.Gateway) {
	t.Helper()
	configuration := map[string]any{"Receive": "Stream", "Permissions": []any{
		map[string]any{"Effect": "Allow", "Principals": []string{"*"}, "Commands": []string{"*"}}}}
	for key, value := range streamtest.Settings(g.Type) {
		configuration[key] = value.Reveal()
	}
	text, err := json.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	ctx := chat.WithCaller(t.Context(), &chat.Caller{Account: app.DefaultAccountID,
		Policies: []*policy.Policy{policy.Owner()}})
	_, err = s.Create(ctx, &chat.CreateRequest{Name: "ops", Type: g.Type, Configuration: secret.Text(text)})
	if err != nil {
		t.Fatal(err)
	}
}

// wantAnswer fails the test unless a message over the connection is answered.
func wantAnswer(t *testing.T, g *streamtest.Gateway, id string) {
	t.Helper()
	p, err := g.Push(t.Context(), streamtest.Settings(g.Type), platformsim.Message{ID: id, User: "u1", Text: "whoami"})
	if err != nil || !strings.Contains(p.Answer, "u1") {
		t.Errorf("answered %+v: %v", p, err)
	}
}

// waitForEnd returns when the gateway has seen that no connection is open.
func waitForEnd(g *streamtest.Gateway) {
	for g.Connections(streamtest.Settings(g.Type)) > 0 {
		runtime.Gosched()
	}
}

func TestServeOpensConnections(t *testing.T) {
	noEnv(t)
	g := atGateway(t, "Slack")
	settings, err := localSettings(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	role, closeTargets, err := localRole(&settings, "", nil, nil, new(localConsole))
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, role)
	if err != nil {
		t.Fatal(err)
	}
	createStreamBot(t, l.Service, g)
	wantAnswer(t, g, "m1")
	if err := errors.Join(l.Close(), closeTargets()); err != nil {
		t.Fatal(err)
	}
	waitForEnd(g)
}

// A firstWrite keeps what is written, and closes a channel at the first write.
type firstWrite struct {
	once    sync.Once
	written chan struct{}
	bytes.Buffer
}

func (w *firstWrite) Write(p []byte) (int, error) {
	defer w.once.Do(func() { close(w.written) })
	return w.Buffer.Write(p)
}

func TestConnectHoldsConnectionsOfFunctions(t *testing.T) {
	for store, on := range map[string]func(*testing.T){
		storeTablestore: func(t *testing.T) { onEmulator(t) },
		storeDynamoDB:   onDynamo,
	} {
		t.Run(store, func(t *testing.T) {
			on(t)
			target := map[string]string{storeTablestore: targetFC, storeDynamoDB: targetLambda}[store]
			mustRun(t, "tables", "--target", target)
			data := t.TempDir()
			t.Setenv("CHATCONF_DATA", data)
			_, err := run(t, "", "connect", "--store", store)
			if err == nil || !strings.Contains(err.Error(), "CHATCONF_KEYRING") {
				t.Errorf("connect without a key ring: %v", err)
			}
			g := atGateway(t, "Slack")
			settings, err := localSettings(data)
			if err != nil {
				t.Fatal(err)
			}
			err = withUnclaimed(t.Context(), store, settings, func(l *app.Local) { createStreamBot(t, l.Service, g) })
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("CHATCONF_KEYRING", "file:"+filepath.Join(data, app.KeyRingFile))

			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			out := &firstWrite{written: make(chan struct{})}
			root := newRoot()
			root.SetArgs([]string{"connect", "--store", store})
			root.SetOut(out)
			ended := make(chan error, 1)
			go func() { ended <- root.ExecuteContext(ctx) }()
			select {
			case <-out.written:
			case err := <-ended:
				t.Fatal(err)
			}
			wantAnswer(t, g, "m1")
			if out := mustRun(t, "check", "--store", store); strings.Contains(out, "streams") {
				t.Errorf("leases are no configurations: %s", out)
			}
			if out := mustRun(t, "keyring", "reseal", "--store", store); !strings.Contains(out, " items again with") {
				t.Errorf("keyring reseal: %s", out)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			waitForEnd(g)
			if !strings.Contains(out.String(), "chatconf holds the connections of bots in "+store) {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

// withUnclaimed opens the service on tables that nothing has used, and closes it afterwards.
func withUnclaimed(ctx context.Context, store string, s app.Settings, do func(*app.Local)) error {
	tables, err := openTables(store, s, os.Getenv)
	if err != nil {
		return err
	}
	l, err := app.OpenTables(ctx, s, tables, app.Actions(rpc.Actions()...))
	if err != nil {
		return err
	}
	do(l)
	return l.Close()
}

func TestConnectNeedsAStore(t *testing.T) {
	noEnv(t)
	for _, args := range [][]string{{"connect"}, {"connect", "--store", "file"}, {"connect", "--store", "x"},
		{"connect", "--store", "tablestore", "x"}} {
		if _, err := run(t, "", args...); !isUsage(err) {
			t.Errorf("%q: %v", args, err)
		}
	}
	onEmulator(t)
	mustRun(t, "tables", "--target", "fc")
	ring := filepath.Join(t.TempDir(), "keyring.json")
	mustRun(t, "keyring", "new", "--out", ring)
	t.Setenv("CHATCONF_KEYRING", "file:"+ring)
	_, err := run(t, "", "connect", "--store", "tablestore")
	if err == nil || !strings.Contains(err.Error(), "is not claimed by a key ring yet") {
		t.Errorf("connect to tables without a service: %v", err)
	}
}
