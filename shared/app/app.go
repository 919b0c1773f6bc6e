// Package app is the composition root: it reads the settings, opens the tables, and connects the
// service to what calls it. The target of a binary is chosen by build tags, which only the files
// target_*.go carry.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/announce"
	"chatconf/shared/chat"
	"chatconf/shared/dial"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/reseal"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/serve"
)

// Run runs a role on the target that the binary was built for, until the process is told to stop.
// It is the main function of every function.
func Run(r Role) {
	serve.Main(func(ctx context.Context) error { return run(ctx, os.Getenv, r, Names(os.Environ())...) })
}

// An App is the service, ready to be called.
type App struct {
	Service *chat.Service
	Keys    *accesskey.Store
	Journal *journal.Journal // nil: none is kept
	Handler serve.Handler
	streams Streams // nil: this process opens no connections to platforms
	closers []io.Closer
}

// flushTime bounds how long writing the health of webhooks may take at the end.
const flushTime = 250 * time.Millisecond

// flush writes the health of webhooks that was not written yet. An error is logged only: Close does
// not fail because of it.
func (a *App) flush() {
	if a.Journal == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := a.Journal.Flush(ctx); err != nil {
		NewLogger(os.Stderr).Warn("the health of webhooks was not written", "error", err)
	}
}

// Close closes the connections to platforms, and then the tables.
func (a *App) Close() error {
	var errs []error
	if a.streams != nil {
		errs = append(errs, a.streams.Close())
	}
	a.flush()
	for _, c := range a.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// wire puts the service together for a role. Without a table for it there is no journal.
func wire(s Settings, t Tables, ring *seal.Ring, around around, r Role) (*App, error) {
	var kept *journal.Journal
	if t.Journal != nil {
		var err error
		if kept, err = journal.New(t.Journal, ring, journal.Options{Retention: s.journalAge()}); err != nil {
			return nil, err
		}
	}
	var outbox *announce.Outbox
	if s.Events.Type != "" {
		outbox = announce.New(t.Configurations, nil)
	}
	keys := accesskey.New(t.Keys, t.KeyUses, ring, nil)
	var resealer *reseal.Resealer
	if r.resealer != nil {
		resealer = r.resealer(t, ring)
	}
	var checkers map[string]chat.NewChecker
	if r.checkers != nil {
		var err error
		if checkers, err = r.checkers(s); err != nil {
			return nil, err
		}
	}
	service, err := chat.New(t.Configurations, ring, platform.All().Descriptions(), chat.Options{
		Region:   s.Region,
		BaseURL:  s.WebhookBaseURL,
		Quota:    s.MaxConfigurations,
		History:  s.History,
		Journal:  kept,
		Keys:     keys,
		Resealer: resealer,
		Targets:  s.TargetNetworks,
		Outbox:   outbox,
		Checkers: checkers,
		Snapshot: t.Snapshot,
	})
	if err != nil {
		return nil, err
	}
	a := &App{Service: service, Keys: keys, Journal: kept}
	if a.Handler, err = r.open(&parts{App: a, settings: s, tables: t, around: around, targets: r.targets,
		outbox: outbox, ring: ring, opener: r.streams}); err != nil {
		return nil, err
	}
	return a, nil
}

// An apiHandler serves requests, and events in the name of the account of the settings.
type apiHandler struct {
	*rpc.Handler
	caller chat.Caller
}

// ServeEvent implements serve.Handler.
func (h *apiHandler) ServeEvent(ctx context.Context, e serve.Event) (answer []byte, err error) {
	caller := h.caller
	caller.Name = "event:" + string(e.Source)
	return h.Handler.ServeEvent(ctx, caller, rpc.Event{Source: string(e.Source), ID: e.ID, Data: e.Data})
}

// eventCaller returns the caller of all events: the account of the settings.
//
// The cloud decides who may invoke a function of one action, and so who may do the action. A policy
// of the settings can deny it, or allow more. A function of several actions is called by queues,
// timers and rules, often by many senders. So its events may only read, unless the policy of the
// settings allows more.
func eventCaller(s Settings, actions []rpc.Action) (chat.Caller, error) {
	caller := chat.Caller{Account: s.AccountID}
	if s.EventPolicy != nil {
		caller.Policies = append(caller.Policies, s.EventPolicy)
	}
	var allowed []string
	switch {
	case len(actions) == 1:
		allowed = append([]string{oosPrefix + actions[0].Name}, needs[actions[0].Name]...)
	case s.EventPolicy == nil:
		for _, a := range actions {
			if a.ReadOnly() {
				allowed = append(allowed, oosPrefix+a.Name)
			}
		}
	}
	if len(allowed) == 0 {
		return caller, nil
	}
	text, err := json.Marshal(map[string]any{"Version": "1", "Statement": []any{
		map[string]any{"Effect": policy.Allow, "Action": allowed, "Resource": "*"},
	}})
	if err != nil {
		return chat.Caller{}, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return chat.Caller{}, err
	}
	caller.Policies = append(caller.Policies, p)
	return caller, nil
}

const oosPrefix = "oos:"

// needs are the operations that an action needs in addition to its own, for its parameters and its
// answer.
var needs = map[string][]string{
	"CopyChatConfiguration": {"oos:GetChatConfiguration", "oos:CreateChatConfiguration", "oos:TagResources",
		"oos:ChangeResourceGroup"},
	"CreateChatConfiguration": {"oos:TagResources", "oos:ChangeResourceGroup"},
	"ListChatConfigurations":  {"oos:GetChatConfiguration"}, // whose Outputs it shows
	"RestoreChatConfiguration": {"oos:GetChatConfigurationRevision", "oos:TagResources", "oos:UntagResources",
		"oos:ChangeResourceGroup"},
	"UpdateChatConfiguration": {"oos:TagResources", "oos:UntagResources", "oos:ChangeResourceGroup",
		"oos:GetChatConfiguration"}, // Get for CheckOnly
}

// sealedRing is the prefix of a key ring that a key service sealed; base64 follows.
const sealedRing = "kms:"

// readRing reads the key ring that the settings name: JSON text, or file:PATH.
func readRing(s Settings) (*seal.Ring, error) {
	text := []byte(s.KeyRing.Reveal())
	if strings.HasPrefix(s.KeyRing.Reveal(), sealedRing) {
		return nil, errors.New("CHATCONF_KEYRING: " + sealedRing +
			" is for functions in a cloud; here set it to the key ring itself, as JSON or file:PATH")
	}
	if path, ok := strings.CutPrefix(s.KeyRing.Reveal(), "file:"); ok {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("CHATCONF_KEYRING: %w", err)
		}
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_KEYRING: %w", err)
	}
	return ring, nil
}

// readRoots returns the roots of the PEM file that the settings name, nil if they name none.
func readRoots(s Settings) (*dial.Roots, error) {
	roots, err := dial.ReadRoots(s.Roots)
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_ROOTS: %w", err)
	}
	return roots, nil
}

// platformTransport returns the transport for calls to platforms and connections to them.
func (s Settings) platformTransport() (*http.Transport, error) {
	if s.PlatformRoots != nil {
		return dial.NewRedirected(s.PlatformAddresses, s.PlatformRoots), nil
	}
	roots, err := readRoots(s)
	if err != nil {
		return nil, err
	}
	return dial.NewRedirected(s.PlatformAddresses, roots), nil
}

// NewLogger returns a logger on f: for people when f is a terminal, in JSON otherwise.
func NewLogger(f *os.File) *slog.Logger {
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{ReplaceAttr: shortTime}))
	}
	return slog.New(slog.NewJSONHandler(f, nil))
}

// NewServerLogger is NewLogger for a process that anyone can call. Of equal refusals within a
// second it writes the first, and then how many followed. Flush writes the counts that were not
// written yet.
func NewServerLogger(f *os.File) (logger *slog.Logger, flush func()) {
	collapser := invoke.CollapseRepeats(NewLogger(f).Handler(), time.Second)
	return slog.New(collapser), collapser.Flush
}

// shortTime keeps only the time of day, for a person at a terminal.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}
