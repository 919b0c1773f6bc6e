package main

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/rpc"
	"chatconf/shared/serve"
	"chatconf/shared/webhook"
)

// A twin is a cloud on this machine: functions as they are deployed, under the cloud's runtime, on the cloud's store.
type twin struct {
	target   string
	host     *runtime.Host
	local    *app.Local              // on the functions' tables, for what no function does
	ready    map[string]func() error // has a function unpacked, at its first use
	cloud    cloud.Cloud
	invokes  string       // where the cloud's own API for invoking functions is
	ots      string       // where the Tablestore emulator is; empty on AWS
	opened   app.Opened   // the first access key
	keys     accessKeys   // that the invoke API takes
	settings app.Settings // of the functions
	logger   *slog.Logger
	closers  []func() error // called from the last to the first
}

// twinOptions say what a twin is made of.
type twinOptions struct {
	target   string
	dist     string // the folder of what is built
	only     string // the one function that is wanted; empty is all
	settings app.Settings
	getenv   func(string) string
	log      func(runtime.Line)
	logger   *slog.Logger
	memory   int           // in MB; zero is as they are deployed
	timeout  time.Duration // likewise
}

// What functions are given on this machine. The templates give them the same, but for the queue: a cloud has none and starts more instances,
// which a laptop does not have.
const (
	functionMemory  = 256
	functionTimeout = 10 * time.Second
	functionQueue   = 1000
	redriveEvery    = time.Minute
)

// timeouts are those of functions that have more than functionTimeout.
var timeouts = map[string]time.Duration{dispatchFunction: 70 * time.Second, redriveFunction: 130 * time.Second}

// localInstance is the Tablestore instance of functions on this machine.
const localInstance = "local"

// handed are the settings that functions are given as they are.
var handed = []string{"CHATCONF_HOSTS", "CHATCONF_JOURNAL_DAYS", "CHATCONF_MAX_CONFIGURATIONS", "CHATCONF_REQUESTS_PER_SECOND", "CHATCONF_EVENT_POLICY",
	"CHATCONF_ROOTS", "CHATCONF_TARGET_NETWORKS", "CHATCONF_PLATFORM_ADDRESSES"}

// check looks at what is given before anything is opened, and returns the runtime and the zip files of the functions by their names.
func (o *twinOptions) check() (kind runtime.Kind, zips map[string]string, err error) {
	if kind, err = runtime.ParseKind(o.target); err != nil {
		return 0, nil, usagef("--target %q is none; wanted %s, %s or %s", o.target, targetLocal, targetFC, targetLambda)
	}
	zips, err = findZips(o.dist, kind, o.only)
	if err == nil && kind == runtime.Lambda {
		if _, err = awsCredentials(o.getenv); err == nil {
			_, err = openStore(storeDynamoDB, o.getenv)
		}
	}
	return kind, zips, err
}

// openTwin opens the store of a target, makes what is not there yet, and has the functions ready. It starts none of them.
func openTwin(ctx context.Context, o twinOptions) (_ *twin, err error) {
	kind, zips, err := o.check()
	if err != nil {
		return nil, err
	}
	t := &twin{target: o.target, logger: o.logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if o.settings.Data, err = filepath.Abs(o.settings.Data); err != nil { // functions have another working directory
		return nil, err
	}
	t.settings = o.settings
	given, env, err := t.openStore(o, kind)
	if err != nil {
		return nil, err
	}
	if err := t.claim(ctx, o); err != nil {
		return nil, err
	}
	t.host = runtime.New(runtime.Options{Log: o.log, Logger: o.logger})
	t.ready = make(map[string]func() error, len(zips))
	t.keys = accessKeys{given.AccessKeyID: given}
	if key, err := app.ReadAccessKey(o.settings.Data); err == nil {
		t.keys[key.ID] = runtime.Credentials{AccessKeyID: key.ID, AccessKeySecret: key.Secret.Reveal()}
	}
	if t.invokes, err = t.listen(&invokeAPI{host: t.host, prepare: t.prepare, keys: t.keys, now: time.Now, log: o.logger}); err != nil {
		return nil, err
	}
	t.closers = append(t.closers, t.closeHost) // functions call the API to their end
	env["AWS_ENDPOINT_URL_LAMBDA"], env["CHATCONF_FC_ENDPOINT"] = t.invokes, t.invokes
	for name, file := range zips {
		f := runtime.Function{
			Name: name, Kind: kind, Zip: file, Env: env, Credentials: given,
			Memory: cmp.Or(o.memory, functionMemory), Timeout: cmp.Or(o.timeout, timeouts[name], functionTimeout),
			Queue:     functionQueue,
			FindHooks: kind == runtime.FC,
			Gateway:   kind == runtime.Lambda && (name == apiFunction || name == webhookFunction),
			Region:    o.settings.Region, Account: o.settings.AccountID,
		}
		if kind == runtime.Lambda {
			f.Region, f.Account = env["AWS_REGION"], "" // the settings' is of the callers, and looks like one of Alibaba Cloud's
		}
		t.ready[name] = sync.OnceValue(func() error { return t.host.Add(f) })
	}
	t.closers = append(t.closers, t.redrive())
	return t, nil
}

// prepare has a function ready to be invoked. What is no function is left to the host to say.
func (t *twin) prepare(name string) error {
	if ready := t.ready[name]; ready != nil {
		return ready()
	}
	return nil
}

// openStore finds the store, on FC an emulator that it starts. It returns the credentials that functions are given, and their environment.
func (t *twin) openStore(o twinOptions, kind runtime.Kind) (given runtime.Credentials, env map[string]string, err error) {
	journal, _ := o.settings.Journal()
	keys, uses := o.settings.KeyTables()
	env = map[string]string{
		"CHATCONF_TABLE": o.settings.Table, "CHATCONF_TICKET_TABLE": o.settings.TicketTable,
		"CHATCONF_ACCOUNT_ID": o.settings.AccountID, "CHATCONF_REGION": o.settings.Region,
		"CHATCONF_WEBHOOK_BASE_URL": o.settings.WebhookBaseURL,
		"CHATCONF_JOURNAL_TABLE":    journal, "CHATCONF_DISPATCH_FUNCTION": dispatchFunction,
		"CHATCONF_KEY_TABLE": keys, "CHATCONF_KEY_USE_TABLE": uses,
	}
	if env["CHATCONF_KEYRING"], err = ringOf(o.settings); err != nil {
		return runtime.Credentials{}, nil, err
	}
	names := handed
	if kind == runtime.FC {
		if given, err = t.openEmulator(o); err != nil {
			return runtime.Credentials{}, nil, err
		}
		env["TABLESTORE_ENDPOINT"], env["TABLESTORE_INSTANCE"] = t.ots, localInstance
		t.cloud, err = openStore(storeTablestore, func(name string) string {
			return map[string]string{
				"TABLESTORE_ENDPOINT": t.ots, "TABLESTORE_INSTANCE": localInstance,
				"TABLESTORE_ACCESS_KEY_ID": given.AccessKeyID, "TABLESTORE_ACCESS_KEY_SECRET": given.AccessKeySecret,
			}[name]
		})
	} else {
		if given, err = awsCredentials(o.getenv); err != nil {
			return runtime.Credentials{}, nil, err
		}
		t.cloud, err = openStore(storeDynamoDB, o.getenv)
		env["AWS_REGION"] = firstOf(o.getenv("AWS_REGION"), o.getenv("AWS_DEFAULT_REGION"))
		names = append([]string{"AWS_ENDPOINT_URL_DYNAMODB"}, names...)
	}
	for _, name := range names {
		if value := o.getenv(name); value != "" {
			env[name] = value
		}
	}
	return given, env, err
}

// ringOf returns the key ring as functions are told of it.
func ringOf(s app.Settings) (string, error) {
	ring := s.KeyRing.Reveal()
	path, isFile := strings.CutPrefix(ring, "file:")
	switch {
	case ring == "":
		return "file:" + filepath.Join(s.Data, app.KeyRingFile), nil
	case !isFile:
		return ring, nil
	}
	path, err := filepath.Abs(path)
	return "file:" + path, err
}

// openEmulator starts a Tablestore emulator on the data directory. Its access keys are one that is made here, which functions are given, and the
// administrator's, which is made here too at the first start.
func (t *twin) openEmulator(o twinOptions) (given runtime.Credentials, err error) {
	id, secret, err := chat.DrawAccessKey()
	if err != nil {
		return given, err
	}
	given = runtime.Credentials{AccessKeyID: id, AccessKeySecret: secret.Reveal()}
	path := filepath.Join(o.settings.Data, otsFile)
	own := app.AccessKey{ID: o.settings.AccessKeyID, Secret: o.settings.AccessKeySecret}
	if own.ID == "" {
		own, err = app.ReadAccessKey(o.settings.Data)
		if _, there := os.Stat(path); errors.Is(err, fs.ErrNotExist) && errors.Is(there, fs.ErrNotExist) {
			own, err = app.ReadOrMakeAccessKey(o.settings.Data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return given, err
		}
	}
	keys := map[string]string{given.AccessKeyID: given.AccessKeySecret}
	if own.ID != "" {
		keys[own.ID] = own.Secret.Reveal()
	}
	if err := os.MkdirAll(o.settings.Data, 0o700); err != nil {
		return given, err
	}
	relaxGC()
	server, err := ots.New(ots.Options{Path: path, AccessKeys: keys, Log: o.logger})
	if errors.Is(err, bolt.ErrInUse) {
		return given, fmt.Errorf("%w; stop the service first", err)
	}
	if err != nil {
		return given, err
	}
	t.closers = append(t.closers, server.Close)
	t.ots, err = t.listen(server)
	return given, err
}

// awsCredentials returns those of the environment, which functions are given too: what stands in for DynamoDB may keep tables by access key.
func awsCredentials(getenv func(string) string) (runtime.Credentials, error) {
	c := runtime.Credentials{
		AccessKeyID:     getenv("AWS_ACCESS_KEY_ID"),
		AccessKeySecret: getenv("AWS_SECRET_ACCESS_KEY"),
		SecurityToken:   getenv("AWS_SESSION_TOKEN"),
	}
	if getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		return c, usagef("AWS_ENDPOINT_URL_DYNAMODB: wanted the URL of a DynamoDB for the functions, such as http://127.0.0.1:5000 of 'moto_server -p 5000'")
	}
	if c.AccessKeyID == "" || c.AccessKeySecret == "" {
		return c, usagef("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: wanted an access key for AWS_ENDPOINT_URL_DYNAMODB; one on this machine takes any")
	}
	return c, nil
}

// claim makes the tables of a store on this machine if they are absent, and whatever the store is, claims them for the key ring, with a first access
// key, as a local service does at its first start.
func (t *twin) claim(ctx context.Context, o twinOptions) error {
	if t.ots != "" || isLoopback(o.getenv("AWS_ENDPOINT_URL_DYNAMODB")) {
		if err := t.makeTables(ctx); err != nil {
			return err
		}
	}
	tables, err := t.settings.CloudTables(t.cloud)
	if err != nil {
		return err
	}
	if t.local, err = app.OpenTables(ctx, t.settings, tables, app.Actions(playActions(trusted(t.settings)...)...)); err != nil {
		return err
	}
	t.closers = append(t.closers, t.local.Close)
	t.opened = app.Opened{AccessKeyID: t.local.AccessKeyID, KeyFile: t.local.KeyFile, First: t.local.First}
	return nil
}

// makeTables makes the tables that are absent.
func (t *twin) makeTables(ctx context.Context) error {
	tables, err := t.settings.CloudTables(t.cloud)
	if err != nil {
		return err
	}
	for _, one := range tables.All() {
		if err == nil {
			err = ensureTable(ctx, one, func(string) {})
		}
	}
	return errors.Join(err, tables.Close())
}

// redrive invokes the function that hands on what is due, as its timer does, until the function that it returns is called.
func (t *twin) redrive() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(redriveEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := t.tick(ctx); err != nil && ctx.Err() == nil {
				t.logger.Error("the timer's function was not called", "function", redriveFunction, "err", err)
			}
		}
	}()
	return func() error {
		cancel()
		<-done
		return nil
	}
}

// tick invokes the timer's function once; that it fails is in the log of functions.
func (t *twin) tick(ctx context.Context) error {
	if t.ready[redriveFunction] == nil { // one function runs alone
		return nil
	}
	if err := t.prepare(redriveFunction); err != nil {
		return err
	}
	payload, err := t.host.Event(redriveFunction, runtime.Timer, runtime.Message{Body: []byte(`{}`)})
	if err != nil {
		return err
	}
	_, err = t.host.Invoke(ctx, redriveFunction, runtime.Request{Payload: payload})
	return err
}

// isLoopback reports whether a URL is of this machine.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	return isLoopbackHost(u.Hostname())
}

// listen serves a handler to this machine only, until the twin is closed, and returns where.
func (t *twin) listen(h http.Handler) (endpoint string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve.HTTP(ctx, l, h, t.logger, t.settings.Limits(otsBody)) }()
	t.closers = append(t.closers, func() error {
		stop()
		return <-done
	})
	return "http://" + l.Addr().String(), nil
}

// closeTime is how long functions have to end when the twin does.
const closeTime = 2 * time.Second

// closeHost ends the functions. One that is still at work after closeTime is killed, as a cloud may kill any at any time: a platform's API
// may have longer than a person who waits for the service to end, and what was not handed on is due at the next start.
func (t *twin) closeHost() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := t.host.Close(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		t.logger.Warn("functions were ended at their work", "err", err)
		return nil
	}
	return err
}

// Close ends the functions, and then what they call.
func (t *twin) Close() error {
	var errs []error
	for i := len(t.closers) - 1; i >= 0; i-- {
		errs = append(errs, t.closers[i]())
	}
	t.closers = nil
	return errors.Join(errs...)
}

// Functions that are called by more than their own name.
const (
	apiFunction      = "api" // serves every action
	webhookFunction  = "webhook"
	dispatchFunction = "dispatch-command"
	redriveFunction  = "redrive-commands"
	keysFunction     = "manage-access-keys" // serves the actions on access keys
)

// findZips returns the zip files of a target by the name of their function. The error says how to make what is missing.
func findZips(dist string, kind runtime.Kind, only string) (map[string]string, error) {
	folder := filepath.Join(dist, kind.String())
	if kind == runtime.Lambda && stdruntime.GOARCH != "arm64" { // which is what is deployed
		folder = filepath.Join(folder, stdruntime.GOARCH)
	}
	wanted := firstOf(only, apiFunction)
	files, err := filepath.Glob(filepath.Join(folder, "*.zip"))
	if err != nil {
		return nil, err
	}
	zips := make(map[string]string, len(files))
	for _, file := range files {
		if name := functionIn(file); only == "" || only == name {
			zips[name] = file
		}
	}
	if zips[wanted] == "" {
		if len(files) > 0 && only != "" {
			var names []string
			for _, file := range files {
				names = append(names, functionIn(file))
			}
			return nil, usagef("%s has no function %q; it has %s", folder, only, strings.Join(names, ", "))
		}
		return nil, fmt.Errorf("%s is missing: 'make build' makes it, and --dist says where it is", filepath.Join(folder, wanted+".zip"))
	}
	if err := checkMachine(zips[wanted]); err != nil {
		return nil, err
	}
	return zips, nil
}

// functionIn returns the name of the function in a zip file.
func functionIn(file string) string { return strings.TrimSuffix(filepath.Base(file), ".zip") }

// checkMachine returns an error unless this machine can run what is in a function's zip file.
func checkMachine(file string) error {
	r, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w; 'make build' makes it", file, err)
	}
	defer r.Close()
	for _, name := range []string{"main", "bootstrap"} {
		f, err := r.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(runtime.CheckProgram(name, f), f.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w; 'make build' makes what is deployed, and --dist takes a folder of zips that were built for another machine", file, err)
		}
		return nil
	}
	return fmt.Errorf("%s: there is neither main nor bootstrap in it; 'make build' makes it", file)
}

// introduce says what runs.
func (t *twin) introduce(w io.Writer, endpoint string) {
	fmt.Fprintf(w, "  runs             %d functions as %s has them; each is also at %s/<function>\n", len(t.ready), clouds[t.target], endpoint)
	fmt.Fprintf(w, "  invoke API       %s\n", t.invokes)
	if t.ots != "" {
		fmt.Fprintf(w, "  Tablestore       %s, instance %s\n", t.ots, localInstance)
	} else {
		fmt.Fprintf(w, "  table            %s in %s\n", t.settings.Table, t.cloud.Where)
	}
}

// maxFront is how large the body of a request to the functions may be, in bytes: what Lambda takes. Function Compute takes more, which no
// function here does, and which would be in memory several times until the function has refused it.
const maxFront = 6 << 20

// clouds are the targets' runtimes, for people.
var clouds = map[string]string{targetFC: "Function Compute", targetLambda: "AWS Lambda"}

// front is the one door of a twin: each function at its name, as its own trigger or function URL, webhooks at their path, and the API elsewhere.
//
// The actions on access keys are led to their function by the header, or the query, that names the action.
//
// A function of a cloud has a host of its own, and is called at its root. Here that is http://<function>.localhost, where the machine resolves it, or
// the path /<function>, which the function does not see: a signature that covers the path is made over what follows it, or /.
func (t *twin) front() http.Handler {
	doors := make(map[string]http.Handler, len(t.ready))
	for name := range t.ready {
		door := t.host.HTTP(name)
		doors[name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := t.prepare(name); err != nil {
				t.logger.Error("a function cannot be run", "function", name, "err", err)
				http.Error(w, "The function cannot be run; the log says why.", http.StatusBadGateway)
				return
			}
			door.ServeHTTP(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxFront {
			http.Error(w, "The body is too large.", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxFront)
		host, _, _ := strings.Cut(r.Host, ":")
		if name, ok := strings.CutSuffix(host, ".localhost"); ok && doors[name] != nil {
			doors[name].ServeHTTP(w, r)
			return
		}
		if door := doors[webhookFunction]; door != nil && webhook.IsPath(r.URL.Path) {
			door.ServeHTTP(w, r)
			return
		}
		action := cmp.Or(r.Header.Get("X-Acs-Action"), r.URL.Query().Get("Action"))
		if action == sendAction {
			t.local.Handler.ServeHTTP(w, r)
			return
		}
		if door := doors[keysFunction]; door != nil && isKeyAction(action) {
			door.ServeHTTP(w, r)
			return
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
		if door := doors[name]; door != nil {
			door.ServeHTTP(w, at(r, "/"+rest))
			return
		}
		doors[apiFunction].ServeHTTP(w, r)
	})
}

// isKeyAction reports whether an action is one on access keys.
func isKeyAction(action string) bool {
	return slices.ContainsFunc(rpc.KeyActions(), func(a rpc.Action) bool { return a.Name == action })
}

// at returns a request for another path, which is escaped.
func at(r *http.Request, path string) *http.Request {
	other := r.Clone(r.Context())
	other.URL.Path, other.URL.RawPath = path, ""
	if plain, err := url.PathUnescape(path); err == nil {
		other.URL.Path, other.URL.RawPath = plain, path
	}
	other.RequestURI = other.URL.RequestURI()
	return other
}
