package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/announce"
	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/dispatch"
	targethttp "chatconf/shared/dispatch/http"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/reseal"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/serve"
	"chatconf/shared/webhook"
)

// A Role selects the part of the service that a binary runs. The rest is not linked.
type Role struct {
	check  func(Settings) []error // returns mistakes in the settings of a function with this role; nil: none
	open   func(*parts) (serve.Handler, error)
	closed func(Settings, error) serve.Handler // answers while a function cannot be opened; nil: a plain one
	cloud  dispatch.CloudReader                // of a function that dispatches commands; nil: none
	local  dispatch.Cloud                      // of a local process; see In
	// resealer is of a process that seals secrets again; see Resealing
	resealer func(Tables, *seal.Ring) *reseal.Resealer
	// checkers are of a process that checks configurations against their platforms; see checking
	checkers func(Settings) (map[string]chat.NewChecker, error)
	// targets are targets of this process, in addition to those of every process
	targets map[string]dispatch.Target
	// streams makes the connections of a process to platforms; see Streaming
	streams func(StreamParts) (Streams, error)
}

// In returns the role for a local process that runs commands in a cloud.
func (r Role) In(c dispatch.Cloud) Role {
	r.local = c
	return r
}

// With returns the role with a further target for a type.
func (r Role) With(targetType string, t dispatch.Target) Role {
	targets := maps.Clone(r.targets)
	if targets == nil {
		targets = make(map[string]dispatch.Target)
	}
	targets[targetType] = t
	r.targets = targets
	return r
}

// parts are what a role is made of.
type parts struct {
	*App     // without its Handler
	settings Settings
	tables   Tables
	around
	targets map[string]dispatch.Target
	outbox  *announce.Outbox // of the events of changes; nil: changes are not announced
	ring    *seal.Ring
	rpc     *rpc.Handler // of a role that serves actions; nil: not made yet
	opener  func(StreamParts) (Streams, error)

	transport http.RoundTripper // to the platforms; nil: not made yet
	client    *callback.Client  // with transport
}

// around is the cloud that a process runs in; zero: none.
type around struct {
	// start invokes a function of the service without waiting for its answer.
	start func(ctx context.Context, name string, payload []byte) error
	// cloud is where commands run; it has no targets in a process that dispatches no commands.
	cloud dispatch.Cloud
}

// Action is the role of a function that serves one action.
func Action[Req, Resp any](name string, method func(*chat.Service, context.Context, *Req) (*Resp, error)) Role {
	return Actions(rpc.NewAction(name, method))
}

// AccessKeys is the role of the function that serves the actions on access keys.
func AccessKeys() Role { return Actions(rpc.KeyActions()...) }

// Actions is the role of serving actions.
func Actions(actions ...rpc.Action) Role {
	return Role{
		open: func(p *parts) (serve.Handler, error) { return p.api(actions) },
		closed: func(s Settings, err error) serve.Handler {
			return &apiHandler{rpc.NewClosed(err), chat.Caller{Account: s.AccountID}}
		},
	}
}

func (p *parts) api(actions []rpc.Action) (serve.Handler, error) {
	handler, err := rpc.NewHandler(rpc.Options{
		Service: p.Service,
		Keys:    p.Keys,
		Tickets: p.tables.Tickets,
		Hosts:   p.settings.Hosts,
		Rate:    p.settings.RequestsPerSecond,
	}, actions...)
	if err != nil {
		return nil, err
	}
	caller, err := eventCaller(p.settings, actions)
	if err != nil {
		return nil, err
	}
	p.rpc = handler
	return &apiHandler{handler, caller}, nil
}

// CloudWebhook is the role of the function that the chat platforms call. Another function
// dispatches the commands.
func CloudWebhook() Role {
	return Role{
		check: func(s Settings) []error {
			if s.DispatchFunction == "" {
				return []error{errors.New(
					"CHATCONF_DISPATCH_FUNCTION: set it to the name of the function dispatch-command")}
			}
			return nil
		},
		open: func(p *parts) (serve.Handler, error) {
			handler, err := p.webhook(true, func(ctx context.Context, ref command.Ref) error {
				payload, err := json.Marshal(ref)
				if err != nil {
					return err
				}
				return p.start(ctx, p.settings.DispatchFunction, payload)
			})
			return &requestsOnly{handler}, err
		},
	}
}

func (p *parts) webhook(frozen bool, dispatch func(context.Context, command.Ref) error) (*webhook.Handler, error) {
	return webhook.NewHandler(webhook.Options{
		Service:   p.Service,
		Journal:   p.Journal,
		Receivers: platform.All().Receivers(),
		Dispatch:  dispatch,
		Frozen:    frozen,
	})
}

// LocalWebhook is the role of a process that the chat platforms call and that dispatches commands
// itself.
func LocalWebhook() Role { return Role{open: (*parts).localWebhook} }

// localWebhook returns a webhook that dispatches commands in this process.
func (p *parts) localWebhook() (serve.Handler, error) {
	var handler *webhook.Handler
	if err := p.openStreams(func() *webhook.Handler { return handler }); err != nil {
		return nil, err
	}
	dispatcher, err := p.dispatcher(0)
	if err != nil {
		return nil, err
	}
	announcer, err := p.announcer()
	if err != nil {
		return nil, err
	}
	ctx := invoke.With(context.Background(), &invoke.Invocation{Logger: NewLogger(p.settings.log())})
	worker := dispatch.NewWorker(ctx, dispatcher)
	p.closers = append(p.closers, worker) // before the tables
	if p.outbox != nil {
		p.closers = append(p.closers, dispatch.NewAnnounceWorker(ctx, announcer))
	}
	if handler, err = p.webhook(false, worker.Start); err != nil {
		return nil, err
	}
	if p.streams != nil {
		p.streams.Start(ctx)
	}
	return &requestsOnly{handler}, nil
}

// platforms returns the client that calls the platforms, and its transport. A process has one
// client, which keeps all access tokens.
func (p *parts) platforms() (http.RoundTripper, *callback.Client, error) {
	if p.client == nil {
		transport, err := p.settings.platformTransport()
		if err != nil {
			return nil, nil, err
		}
		p.transport, p.client = transport, callback.NewClient(callback.ClientOptions{Transport: transport})
	}
	return p.transport, p.client, nil
}

// Everything is the role of a process that is alone: it serves actions and webhooks, may seal
// secrets again, and calls platforms.
func Everything(actions ...rpc.Action) Role {
	return Role{resealer: newResealer, checkers: newCheckers, open: func(p *parts) (serve.Handler, error) {
		api, err := p.api(actions)
		if err != nil || p.Journal == nil {
			return api, err
		}
		webhooks, err := p.localWebhook()
		return &front{api, webhooks}, err
	}}
}

// A front is the service on one port: webhooks by their path, the API at all others.
type front struct {
	serve.Handler
	webhooks http.Handler
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if webhook.IsPath(r.URL.Path) {
		f.webhooks.ServeHTTP(w, r)
		return
	}
	f.Handler.ServeHTTP(w, r)
}

// At returns the role with a page of its own at a path, which anyone may read.
func (r Role) At(path string, page http.Handler) Role {
	open := r.open
	r.open = func(p *parts) (serve.Handler, error) {
		handler, err := open(p)
		return &paged{handler, path, page}, err
	}
	return r
}

// A paged handler has a page beside what it serves.
type paged struct {
	serve.Handler
	path string
	page http.Handler
}

// ServeHTTP implements http.Handler.
func (h *paged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == h.path {
		h.page.ServeHTTP(w, r)
		return
	}
	h.Handler.ServeHTTP(w, r)
}

// SiteParts are what a process gives to a site of its own.
type SiteParts struct {
	API  *rpc.Handler
	Ring *seal.Ring
}

// Under returns the role with a site of its own: it gets all requests whose path is prefix, or
// begins with prefix and a slash. It must authenticate them itself. The role must serve actions.
func (r Role) Under(prefix string, site func(SiteParts) (http.Handler, error)) Role {
	open := r.open
	r.open = func(p *parts) (serve.Handler, error) {
		handler, err := open(p)
		if err != nil {
			return nil, err
		}
		if p.rpc == nil {
			return nil, fmt.Errorf("app: a site at %s needs a role that serves actions", prefix)
		}
		page, err := site(SiteParts{API: p.rpc, Ring: p.ring})
		return &sited{handler, prefix, page}, err
	}
	return r
}

// A sited handler sends requests under a prefix to a site, and all others to its Handler.
type sited struct {
	serve.Handler
	prefix string
	site   http.Handler
}

// ServeHTTP implements http.Handler.
func (h *sited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, h.prefix); ok && (rest == "" || rest[0] == '/') {
		h.site.ServeHTTP(w, r)
		return
	}
	h.Handler.ServeHTTP(w, r)
}

// DispatchIn is the role of the function that dispatches one command, which its event names. The
// cloud that read returns has the targets; nil means none.
func DispatchIn(read dispatch.CloudReader) Role {
	return Role{cloud: read, open: func(p *parts) (serve.Handler, error) {
		d, err := p.dispatcher(dispatch.MaxStay)
		return &eventsOnly{func(ctx context.Context, e serve.Event) ([]byte, error) {
			ref, ok := parseRef(e.Data)
			if !ok {
				return refuseEvent(ctx, e, "the event must have Account, Region, Name and ID of "+
					"a command, and nothing else"), nil
			}
			if err := d.Dispatch(ctx, ref); err != nil {
				return nil, err
			}
			return []byte(`{}`), nil
		}}, err
	}}
}

func parseRef(data []byte) (ref command.Ref, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&ref) != nil || d.Decode(new(any)) != io.EOF {
		return command.Ref{}, false
	}
	return ref, ref.Account != "" && ref.Region != "" && ref.Name != "" && ref.ID != ""
}

// RedriveIn is the role of the function that dispatches all commands that are due, and announces
// all changes that are due, at every event. An event that is not a timer's is taken as a hint that
// an operation has ended, whatever it says.
func RedriveIn(read dispatch.CloudReader) Role {
	return Role{cloud: read, open: func(p *parts) (serve.Handler, error) {
		d, err := p.dispatcher(0)
		if err != nil {
			return nil, err
		}
		announcer, err := p.announcer()
		return &eventsOnly{func(ctx context.Context, e serve.Event) ([]byte, error) {
			var announced int
			var failed error
			var group sync.WaitGroup
			if p.outbox != nil {
				group.Go(func() {
					defer invoke.Recover("app", &failed)
					announced, failed = announcer.Announce(ctx)
				})
			}
			redrive := d.Look
			if e.Source == serve.Timer {
				redrive = d.Redrive
			}
			found, err := redrive(ctx)
			group.Wait()
			if err := errors.Join(err, failed); err != nil {
				return nil, err
			}
			if p.outbox == nil {
				return fmt.Appendf(nil, `{"Found":%d}`, found), nil
			}
			return fmt.Appendf(nil, `{"Found":%d,"Announced":%d}`, found, announced), nil
		}}, err
	}}
}

// announcer returns what announces changes. Without an outbox it is of no use.
func (p *parts) announcer() (*dispatch.Announcer, error) {
	if p.outbox == nil {
		return new(dispatch.Announcer), nil
	}
	targets, err := p.dispatchTargets()
	if err != nil {
		return nil, err
	}
	to := p.settings.Events
	target, ok := targets[to.Type].(dispatch.Deliverer)
	if !ok {
		return nil, fmt.Errorf("CHATCONF_EVENTS: %v", targets[to.Type])
	}
	announcer, err := dispatch.NewAnnouncer(dispatch.AnnouncerOptions{Outbox: p.outbox, Target: to,
		Deliverer: target, Journal: p.Journal})
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_EVENTS: %w", err)
	}
	return announcer, nil
}

// cloudTargets are the types of targets that run in a cloud.
var cloudTargets = []string{command.TargetFunction, command.TargetOOS, command.TargetSSM, command.TargetStepFunctions}

// dispatcher returns a dispatcher that waits at most stay for the end of an operation that it
// started.
func (p *parts) dispatcher(stay time.Duration) (*dispatch.Dispatcher, error) {
	_, platforms, err := p.platforms()
	if err != nil {
		return nil, err
	}
	targets, err := p.dispatchTargets()
	if err != nil {
		return nil, err
	}
	senders := platform.All().Senders()
	var sessions func(context.Context, cloud.Session) (context.Context, error)
	if p.cloud.Assume != nil {
		sessions = cloud.NewSessions(p.cloud.Assume, nil).With
	}
	return dispatch.New(dispatch.Options{
		Open:      p.Service.OpenConfiguration,
		Journal:   p.Journal,
		Targets:   targets,
		Sessions:  sessions,
		Stay:      stay,
		OwnRights: func(kind string) bool { return slices.Contains(p.settings.OwnRights, kind) },
		Sender: func(e *command.Endpoint) (dispatch.Sender, error) {
			newSender, ok := senders[e.Type]
			if !ok {
				return nil, callback.Final("platform: an answer cannot be sent later to %s", e.Type)
			}
			sender, err := newSender(callback.Settings(e.Settings), platforms)
			if err != nil || p.streams == nil {
				return sender, err
			}
			return &streamSender{sender, p.streams, e.Ref()}, nil
		},
	})
}

// dispatchTargets returns the targets of this process by their type.
func (p *parts) dispatchTargets() (map[string]dispatch.Target, error) {
	extra, err := readRoots(p.settings)
	if err != nil {
		return nil, err
	}
	restricted := dial.NewRestricted(p.settings.TargetNetworks.Allow, extra)
	targets := map[string]dispatch.Target{command.TargetHTTP: targethttp.New(targethttp.Options{Transport: restricted})}
	for _, kind := range append(slices.Clip(cloudTargets), command.TargetTopic) {
		why := "this service does not run in a cloud; start it with --cloud"
		if p.cloud.Assume != nil {
			why = "the cloud of this service has no targets of type " + kind
		}
		targets[kind] = dispatch.Unavailable(why)
	}
	const none = "this service runs no programs; start it with 'chatconf serve --programs DIR'"
	targets[command.TargetProgram] = dispatch.Unavailable(none)
	maps.Copy(targets, p.cloud.Targets)
	maps.Copy(targets, p.targets)
	return targets, nil
}

type requestsOnly struct{ http.Handler }

// ServeEvent implements serve.Handler.
func (*requestsOnly) ServeEvent(ctx context.Context, e serve.Event) ([]byte, error) {
	return refuseEvent(ctx, e, "this function serves HTTP requests of chat platforms and takes no events"), nil
}

type eventsOnly struct {
	serve func(context.Context, serve.Event) ([]byte, error)
}

// ServeHTTP implements http.Handler.
func (*eventsOnly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	invoke.Logger(r.Context()).WarnContext(r.Context(), "request refused", "error", "this function takes events only")
	http.Error(w, "this function takes events only", http.StatusNotFound)
}

// ServeEvent implements serve.Handler.
func (h *eventsOnly) ServeEvent(ctx context.Context, e serve.Event) ([]byte, error) {
	return h.serve(ctx, e)
}

// closed answers for a function that cannot be opened. Callers may try again.
type closed struct{ err error }

// ServeHTTP implements http.Handler.
func (c *closed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	invoke.Logger(r.Context()).ErrorContext(r.Context(), "request refused",
		"status", http.StatusServiceUnavailable, "error", c.err)
	http.Error(w, "unavailable", http.StatusServiceUnavailable)
}

// ServeEvent implements serve.Handler.
func (c *closed) ServeEvent(context.Context, serve.Event) ([]byte, error) { return nil, c.err }

// refuseEvent returns the answer to an event that can never succeed, and logs it.
func refuseEvent(ctx context.Context, e serve.Event, why string) []byte {
	inv := invoke.From(ctx)
	invoke.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "event refused",
		slog.String("source", string(e.Source)), slog.String("event", e.ID), slog.String("error", why))
	answer, err := json.Marshal(struct{ RequestId, Code, Message string }{inv.RequestID, "InvalidEvent", why})
	if err != nil {
		return nil // three texts can always be marshalled
	}
	return answer
}
