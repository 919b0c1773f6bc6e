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
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strings"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/emulator/localcloud"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
	"chatconf/shared/webhook"
)

// A deployment is the functions of a target on this machine, with the store of their cloud.
type deployment struct {
	secret.Hidden
	*localcloud.Cloud
	target   string
	service  *app.Local   // on the tables of the functions, for SendChatMessage
	store    cloud.Cloud  // contains the tables
	settings app.Settings // of the functions
	invokes  string       // the URL of the API that invokes functions
	ots      string       // the URL of the Tablestore emulator; empty on AWS
	account  *sts.Account // the emulated account whose sessions may invoke functions; may be nil
}

// deploymentOptions are the parts of a deployment.
type deploymentOptions struct {
	secret.Hidden
	target   string
	dist     string // the folder of built functions
	only     string // the only function to add; empty adds all
	settings app.Settings
	getenv   func(string) string
	log      func(runtime.Line)
	logger   *slog.Logger
	emulated *emulators    // what commands run in on FC
	memory   int           // in MB; zero is the deployed value
	timeout  time.Duration // zero is the deployed value
}

// Settings of the functions on this machine, as in the deployment templates. Only the queue
// differs: a cloud starts more instances instead.
const (
	functionMemory  = 256
	functionTimeout = 10 * time.Second
	functionQueue   = 1000
	redriveEvery    = time.Minute
)

// timeouts are the timeouts of functions with more than functionTimeout.
var timeouts = map[string]time.Duration{dispatchFunction: 70 * time.Second, redriveFunction: 130 * time.Second,
	resealFunction: time.Minute}

// localInstance is the Tablestore instance of the functions.
const localInstance = "local"

// inherited are the settings that functions get unchanged.
var inherited = []string{
	"CHATCONF_HOSTS", "CHATCONF_JOURNAL_DAYS", "CHATCONF_MAX_CONFIGURATIONS", "CHATCONF_HISTORY",
	"CHATCONF_REQUESTS_PER_SECOND", "CHATCONF_EVENTS",
	"CHATCONF_EVENT_POLICY", "CHATCONF_ROOTS", "CHATCONF_TARGET_NETWORKS", "CHATCONF_PLATFORM_ADDRESSES",
}

// check checks the options. It opens nothing. It returns the runtime, and the zip files of the
// functions by name.
func (o *deploymentOptions) check() (kind runtime.Kind, zips map[string]string, err error) {
	if kind, err = runtime.ParseKind(o.target); err != nil {
		return 0, nil, usagef("unknown --target %q; use %s, %s or %s", o.target, targetLocal, targetFC, targetLambda)
	}
	zips, err = findZips(o.dist, kind, o.only)
	if err == nil && kind == runtime.Lambda {
		if _, err = awsCredentials(o.getenv); err == nil {
			_, err = openStore(storeDynamoDB, o.getenv)
		}
	}
	return kind, zips, err
}

// openDeployment opens the store of a target, creates missing tables, and adds the functions. It
// does not start them.
func openDeployment(ctx context.Context, o deploymentOptions) (_ *deployment, err error) {
	kind, zips, err := o.check()
	if err != nil {
		return nil, err
	}
	if o.settings.Data, err = filepath.Abs(o.settings.Data); err != nil { // functions have another working directory
		return nil, err
	}
	d := &deployment{
		Cloud:  localcloud.New(localcloud.Options{Log: o.log, Logger: o.logger, Limits: o.settings.Limits(otsBody)}),
		target: o.target, settings: o.settings,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	given, env, err := d.openStore(o, kind)
	if err != nil {
		return nil, err
	}
	if err := d.claim(ctx, o); err != nil {
		return nil, err
	}
	keys := []runtime.Credentials{given}
	if key, err := app.ReadAccessKey(o.settings.Data); err == nil {
		keys = append(keys, runtime.Credentials{AccessKeyID: key.ID, AccessKeySecret: key.Secret.Reveal()})
	}
	if o.emulated != nil {
		d.account = o.emulated.account
	}
	if d.invokes, err = d.ServeInvokeAPI(d.account, o.settings.Region, keys...); err != nil {
		return nil, err
	}
	env["AWS_ENDPOINT_URL_LAMBDA"], env["CHATCONF_FC_ENDPOINT"] = d.invokes, d.invokes
	if name := "AWS_ENDPOINT_URL_STS"; isLoopback(env[name]) { // the sessions of another one invoke nothing here
		if env[name], err = d.ForwardSTS(env[name], given); err != nil {
			return nil, err
		}
	}
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
			f.Region, f.Account = env["AWS_REGION"], "" // the region of the settings is one of Alibaba Cloud
		}
		d.Add(f)
	}
	if zips[redriveFunction] != "" { // absent if only one function was added
		d.Every(redriveEvery, redriveFunction, "{}")
	}
	return d, nil
}

// openStore opens the store; for FC it starts an emulator. It returns the credentials and the
// environment of the functions.
func (d *deployment) openStore(o deploymentOptions, kind runtime.Kind) (
	given runtime.Credentials, env map[string]string, err error,
) {
	env = make(map[string]string)
	for _, t := range o.settings.TableSettings() {
		env[t.Variable] = t.Name
	}
	env["CHATCONF_ACCOUNT_ID"], env["CHATCONF_REGION"] = o.settings.AccountID, o.settings.Region
	env["CHATCONF_WEBHOOK_BASE_URL"], env["CHATCONF_DISPATCH_FUNCTION"] = o.settings.WebhookBaseURL, dispatchFunction
	env["CHATCONF_OWN_RIGHTS"] = cmp.Or(o.getenv("CHATCONF_OWN_RIGHTS"), command.TargetFunction)
	if env["CHATCONF_KEYRING"], err = ringOf(o.settings); err != nil {
		return runtime.Credentials{}, nil, err
	}
	names := inherited
	if kind == runtime.FC {
		if given, err = d.openEmulator(o); err != nil {
			return runtime.Credentials{}, nil, err
		}
		env["TABLESTORE_ENDPOINT"], env["TABLESTORE_INSTANCE"] = d.ots, localInstance
		maps.Copy(env, o.emulated.environment())
		d.store, err = openStore(storeTablestore, func(name string) string {
			return map[string]string{
				"TABLESTORE_ENDPOINT": d.ots, "TABLESTORE_INSTANCE": localInstance,
				"TABLESTORE_ACCESS_KEY_ID": given.AccessKeyID, "TABLESTORE_ACCESS_KEY_SECRET": given.AccessKeySecret,
			}[name]
		})
	} else {
		if given, err = awsCredentials(o.getenv); err != nil {
			return runtime.Credentials{}, nil, err
		}
		d.store, err = openStore(storeDynamoDB, o.getenv)
		env["AWS_REGION"] = cmp.Or(o.getenv("AWS_REGION"), o.getenv("AWS_DEFAULT_REGION"))
		names = append([]string{"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSM",
			"AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL_SNS"}, names...)
	}
	for _, name := range names {
		if value := o.getenv(name); value != "" {
			env[name] = value
		}
	}
	return given, env, err
}

// ringOf returns the setting of the key ring for functions, with an absolute path.
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

// openEmulator starts a Tablestore emulator on the data directory. It accepts two access keys: a
// new one for the functions, and that of the administrator, which the first start creates.
func (d *deployment) openEmulator(o deploymentOptions) (given runtime.Credentials, err error) {
	if given, err = o.emulated.functionsKey(); err != nil {
		return given, err
	}
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
	d.ots, err = d.OpenTablestore(path, keys)
	if errors.Is(err, bolt.ErrInUse) {
		return given, &inUseError{o.settings.Data}
	}
	return given, err
}

// awsCredentials returns the credentials of the environment. Functions get them too, because an
// emulator of DynamoDB may keep separate tables for each access key.
func awsCredentials(getenv func(string) string) (runtime.Credentials, error) {
	c := runtime.Credentials{
		AccessKeyID:     getenv("AWS_ACCESS_KEY_ID"),
		AccessKeySecret: getenv("AWS_SECRET_ACCESS_KEY"),
		SecurityToken:   getenv("AWS_SESSION_TOKEN"),
	}
	if getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		return c, usagef("AWS_ENDPOINT_URL_DYNAMODB is not set; set it to the URL of DynamoDB, " +
			"such as http://127.0.0.1:5000 for 'moto_server -p 5000'")
	}
	if c.AccessKeyID == "" || c.AccessKeySecret == "" {
		return c, usagef("AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set; set them to an access " +
			"key for AWS_ENDPOINT_URL_DYNAMODB; a local emulator accepts any key")
	}
	return c, nil
}

// claim creates missing tables if the store is on this machine. Then it claims the tables for the
// key ring and creates a first access key, as a local service does at its first start.
func (d *deployment) claim(ctx context.Context, o deploymentOptions) error {
	tables, err := d.settings.CloudTables(d.store)
	if err != nil {
		return err
	}
	if d.ots != "" || isLoopback(o.getenv("AWS_ENDPOINT_URL_DYNAMODB")) {
		for _, t := range tables.All() {
			if err := ensureTable(ctx, t, func(string) {}); err != nil {
				return errors.Join(err, tables.Close())
			}
		}
	}
	role := app.Actions(sendActions(nil, trusted(d.settings)...)...)
	if d.service, err = app.OpenTables(ctx, d.settings, tables, role); err != nil {
		return err
	}
	d.OnClose(d.service.Close)
	return nil
}

// isLoopback reports whether the host of a URL is this machine.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	return isLoopbackHost(u.Hostname())
}

// Functions that this package refers to by name.
const (
	apiFunction      = "api" // serves every action
	webhookFunction  = "webhook"
	dispatchFunction = "dispatch-command"
	redriveFunction  = "redrive-commands"
	keysFunction     = "manage-access-keys" // serves the actions on access keys
	resealFunction   = "reseal"             // serves ResealSecrets
)

// findZips returns the zip files of a target by function name.
func findZips(dist string, kind runtime.Kind, only string) (map[string]string, error) {
	folder := filepath.Join(dist, kind.String())
	if kind == runtime.Lambda && stdruntime.GOARCH != "arm64" { // the deployed architecture
		folder = filepath.Join(folder, stdruntime.GOARCH)
	}
	wanted := cmp.Or(only, apiFunction)
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
		file := filepath.Join(folder, wanted+".zip")
		return nil, fmt.Errorf("%s is missing; run 'make build', or use --dist", file)
	}
	if err := checkMachine(zips[wanted]); err != nil {
		return nil, err
	}
	return zips, nil
}

// functionIn returns the name of the function in a zip file.
func functionIn(file string) string { return strings.TrimSuffix(filepath.Base(file), ".zip") }

// checkMachine returns an error if this machine cannot run the program in a function's zip file.
func checkMachine(file string) error {
	r, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w; run 'make build'", file, err)
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
			return fmt.Errorf("%s: %w; run 'make build', or set --dist to functions that are built for this machine",
				file, err)
		}
		return nil
	}
	return fmt.Errorf("%s contains neither main nor bootstrap; run 'make build'", file)
}

// introduce prints the functions, their API and their store.
func (d *deployment) introduce(w io.Writer, endpoint string) {
	fmt.Fprintf(w, "  functions        %d, as on %s; each at %s/<function>\n",
		d.Functions(), clouds[d.target], endpoint)
	fmt.Fprintf(w, "  invoke API       %s\n", d.invokes)
	if d.account != nil && d.target == targetFC {
		fmt.Fprintf(w, "  its role         %s, for the RamRole of Function targets\n", emulatedInvoker)
	}
	if d.ots != "" {
		fmt.Fprintf(w, "  Tablestore       %s, instance %s\n", d.ots, localInstance)
	} else {
		fmt.Fprintf(w, "  table            %s in %s\n", d.settings.Table, d.store.Where)
	}
}

// clouds are the names of the runtimes, for people.
var clouds = map[string]string{targetFC: "Function Compute", targetLambda: "AWS Lambda"}

// front returns the handler in front of the functions. It routes webhooks by their path, actions on
// access keys and ResealSecrets to their own functions, and all others to the function api.
func (d *deployment) front() http.Handler {
	hooks, keys, reseal := d.Function(webhookFunction), d.Function(keysFunction), d.Function(resealFunction)
	return d.Front(apiFunction, func(r *http.Request) http.Handler {
		action := cmp.Or(r.Header.Get("X-Acs-Action"), r.URL.Query().Get("Action"))
		switch {
		case hooks != nil && webhook.IsPath(r.URL.Path):
			return hooks
		case action == sendAction:
			return d.service.Handler
		case keys != nil && isKeyAction(action):
			return keys
		case reseal != nil && action == rpc.ResealActions()[0].Name:
			return reseal
		}
		return nil
	})
}

// isKeyAction reports whether an action manages access keys.
func isKeyAction(action string) bool {
	return slices.ContainsFunc(rpc.KeyActions(), func(a rpc.Action) bool { return a.Name == action })
}
