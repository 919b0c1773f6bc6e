package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/command"
	"chatconf/shared/dispatch/program"
	"chatconf/shared/emulator/localcloud"
	"chatconf/shared/emulator/runtime"
)

func newServe() *cobra.Command {
	var addr, data, store, target, dist, programs string
	var cloud string
	var emulate []string
	var certificate tlsFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the whole service on one port",
		Long: `Run every action of the service on one port, and ` + sendAction + ` for 'chatconf send'.

The data is in one directory, or in the tables of --store, which 'chatconf tables' creates; its
help has the settings of the stores. The key ring and the first access key are always in the
directory.

The first start creates the directory, a key ring (keyring.json) and an access key with all rights
(access-key.json). Only you can read these files. If CHATCONF_ACCESS_KEY_ID and
CHATCONF_ACCESS_KEY_SECRET are set at the first start, they become that key.

A bot whose Receive is Stream needs no public address: the service opens a connection to the
platform, and keeps it open while the bot is active. Several services may use the same tables. Then
one of them holds the connection of a bot.

--emulate oos,sts also starts emulators of Alibaba Cloud's OOS and STS on free ports of this
machine. They have an account, three roles and a few templates, in memory. Their addresses and a
call to try are printed. Where both run, targets of the type Oos run in them. With --target fc, the
role ` + emulatedInvoker + ` may invoke the functions: it is for the RamRole of Function targets.

--emulate dingtalk,feishu,slack,wecom starts stand-ins for these platforms. Calls and connections to
the platforms go to the stand-ins, which accept every app with any secret. So bots with
"Receive":"Stream" work without a network. 'chatconf send --mode stream' sends them messages.

--cloud alibaba or --cloud aws lets commands run in that cloud, each under its RamRole. The access
key of the environment must be allowed to assume these roles: ALIBABA_CLOUD_ACCESS_KEY_ID and
ALIBABA_CLOUD_ACCESS_KEY_SECRET, or what the AWS CLI would use. Set CHATCONF_ACCOUNT_ID to the
account of the roles. CHATCONF_OWN_RIGHTS lists types of targets that may run without a RamRole,
with the rights of that key.

--programs DIR lets commands with a Target of the type Program run the executables in DIR, at most
CHATCONF_PROGRAMS_AT_ONCE (default 4) at the same time. They have the rights of this service. So
anyone who may save a configuration can have any of them run, with parameters of their choice. DIR,
its parents and the files must belong to you or to root, and only their owner may write them. This
needs Linux or macOS. How programs are started is in deploy/vm/README.md.

A web console is at /console. You sign in with an access key, or by the link that 'chatconf open'
makes, and see and do what that key may. It shows no secrets, but that of a new access key once. It
is not there with --target fc or lambda. On a loopback address without TLS it answers for addresses,
localhost, and the names in CHATCONF_HOSTS and CHATCONF_WEBHOOK_BASE_URL.

/openapi.json describes the API in OpenAPI 3.1, and /schema/bot.json is the JSON Schema of a bot
file. Anyone who can reach the service can read them.

With --tls-cert and --tls-key the service speaks HTTPS only, and reads both files again when they
change. Without them keep a loopback address, and put a proxy that ends TLS in front.

Each request is one log line on standard error: text on a terminal, otherwise JSON. Ctrl-C or
SIGTERM stops the service after the current requests are answered.

--target fc and --target lambda run the functions as they are deployed, from the zip files of 'make
build' in --dist, each in its own processes under the runtime of its cloud:
  fc      stores in a Tablestore emulator in this process, with its data in the directory;
          'chatconf ots --data DIR' can serve the same data later
  lambda  stores in the DynamoDB at AWS_ENDPOINT_URL_DYNAMODB; sessions of roles that the STS at
          AWS_ENDPOINT_URL_STS issues may invoke the functions, if it is on this machine
Missing tables are created if the store is on this machine. The function 'api' is at /, and each
function at /<function> and at http://<function>.localhost. The address of the clouds' APIs for
invoking functions is printed; functions get it as AWS_ENDPOINT_URL_LAMBDA and
CHATCONF_FC_ENDPOINT. The output of functions, with their reports, goes to standard error.

Other settings come from the environment: CHATCONF_ACCOUNT_ID, CHATCONF_REGION,
CHATCONF_WEBHOOK_BASE_URL, CHATCONF_HOSTS, CHATCONF_KEYRING, CHATCONF_MAX_CONFIGURATIONS,
CHATCONF_HISTORY, CHATCONF_MAX_CONNECTIONS, CHATCONF_MAX_BODIES, CHATCONF_MAX_STREAMS,
CHATCONF_REQUESTS_PER_SECOND,
CHATCONF_TABLE, CHATCONF_TICKET_TABLE, CHATCONF_JOURNAL_TABLE, CHATCONF_KEY_TABLE,
CHATCONF_KEY_USE_TABLE, CHATCONF_JOURNAL_DAYS, CHATCONF_TARGET_NETWORKS,
CHATCONF_PLATFORM_ADDRESSES, CHATCONF_ROOTS, CHATCONF_EVENTS, CHATCONF_TLS_CERT,
CHATCONF_TLS_KEY, CHATCONF_PROGRAMS, CHATCONF_PROGRAMS_AT_ONCE, CHATCONF_CLOUD,
CHATCONF_OWN_RIGHTS.`,
		Example: `  chatconf serve
  chatconf serve --addr 127.0.0.1:8080 --data ~/chatconf
  chatconf serve --addr 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  chatconf serve --store tablestore
  make build && chatconf serve --target fc
  chatconf serve --emulate oos,sts --programs ./scripts
  chatconf serve --emulate slack
  chatconf serve --cloud alibaba`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := localSettings(data)
			if err != nil {
				return err
			}
			if addr != "" {
				if settings.Addr, err = addr, checkAddr(addr); err != nil {
					return err
				}
			}
			if err := certificate.apply(&settings); err != nil {
				return err
			}
			if programs != "" {
				settings.Programs = programs
			}
			cloud := cmp.Or(cloud, os.Getenv("CHATCONF_CLOUD"))
			services, platforms, err := splitEmulate(emulate)
			if err != nil {
				return err
			}
			switch {
			case target != targetLocal && settings.Programs != "":
				return usagef("--programs and CHATCONF_PROGRAMS need --target %s: functions run no programs",
					targetLocal)
			case target != targetLocal && cmd.Flags().Changed("store"):
				return usagef("--store needs --target %s; remove it: functions use the store of their cloud",
					targetLocal)
			case cloud != "" && target != targetLocal:
				return usagef("--cloud and CHATCONF_CLOUD need --target %s: functions run in their own cloud",
					targetLocal)
			case cloud != "" && len(services) > 0:
				return usagef("--cloud and --emulate %s exclude each other: commands run in one of them",
					services[0])
			case target != targetLocal && len(platforms) > 0:
				return usagef("--emulate %s needs --target %s: functions open no connections", platforms[0],
					targetLocal)
			case target == targetLocal && cmd.Flags().Changed("dist"):
				return usagef("--dist needs --target %s or %s", targetFC, targetLambda)
			}
			log := app.NewLogger(os.Stderr)
			emulated, err := openEmulators(cmd.Context(), services, settings, log)
			if err != nil {
				return err
			}
			defer emulated.close()
			gateways, err := openStandIns(platforms, &settings, log)
			if err != nil {
				return err
			}
			defer gateways.close()
			if target != targetLocal {
				return seeAddr(serveTarget(cmd.Context(), cmd.OutOrStdout(), settings, target, dist, emulated))
			}
			console := &localConsole{about: aboutService(settings, store), hosts: knownHosts(settings)}
			role, closeTargets, err := localRole(&settings, cloud, emulated, gateways, console)
			if err != nil {
				return err
			}
			defer closeTargets() // after the service, which starts no program then
			started := func(s app.Started) {
				welcome(cmd.Context(), cmd.OutOrStdout(), settings, s, nil, emulated, gateways, console)
			}
			if store == storeFile {
				return seeAddr(app.ServeLocal(cmd.Context(), settings, started, role))
			}
			tables, err := openTables(store, settings, os.Getenv)
			if err != nil {
				return err
			}
			return seeAddr(seeTables(app.ServeTables(cmd.Context(), settings, tables, started, role)))
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", "address to listen on (default CHATCONF_ADDR, else "+app.DefaultAddr+")")
	certificate.add(cmd)
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&store, "store", storeFile,
		"store of the data: file, tablestore or dynamodb (settings: 'chatconf tables --help')")
	cmd.Flags().StringVar(&target, "target", targetLocal,
		"what to run: local (this program), or the functions of fc or lambda")
	distFlag(cmd, &dist)
	cmd.Flags().StringVar(&cloud, "cloud", "",
		"cloud that commands may run in: alibaba or aws (default CHATCONF_CLOUD, else none)")
	cmd.Flags().StringSliceVar(&emulate, "emulate", nil,
		"what to emulate: oos, sts, dingtalk, feishu, slack, wecom")
	cmd.Flags().StringVar(&programs, "programs", "",
		"folder with the programs that commands may run (default CHATCONF_PROGRAMS, else none)")
	return cmd
}

// checkAddr returns a usage error unless a server can listen on the address of --addr.
func checkAddr(addr string) error {
	if err := app.CheckAddr(addr); err != nil {
		return usagef("--addr: %w", err)
	}
	return nil
}

// seeAddr adds advice to the error of an address on which this program cannot listen.
func seeAddr(err error) error {
	var listen *net.OpError
	switch {
	case !errors.As(err, &listen) || listen.Op != "listen":
		return err
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; choose another address with --addr", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; choose a port of at least 1024 with --addr, or allow lower ports to this program", err)
	}
	return fmt.Errorf("%w; choose an address of this machine with --addr, such as %s", err, app.DefaultAddr)
}

// distFlag adds the flag of the folder of built functions.
func distFlag(cmd *cobra.Command, dist *string) {
	cmd.Flags().StringVar(dist, "dist", "dist", "folder of the functions that 'make build' built")
}

// serveTarget serves the functions of a target until ctx ends.
func serveTarget(ctx context.Context, w io.Writer, settings app.Settings, target, dist string,
	emulated *emulators) error {
	o := deploymentOptions{target: target, dist: dist, getenv: os.Getenv, emulated: emulated}
	if _, _, err := o.check(); err != nil {
		return err // before the service listens
	}
	var d *deployment
	started := func(s app.Started) { welcome(ctx, w, settings, s, d, emulated, nil, nil) }
	return app.Serve(ctx, settings, started, func(settings app.Settings) (app.Opened, error) {
		o.settings, o.logger = settings, app.NewLogger(os.Stderr)
		o.log = runtime.LogLines(o.logger)
		if isTerminal(os.Stderr) {
			o.log = runtime.WriteLines(os.Stderr)
		}
		var err error
		if d, err = openDeployment(ctx, o); err != nil {
			return app.Opened{}, err
		}
		return app.Opened{
			Handler: d.front(), Closer: d, BodySize: 4 * localcloud.MaxBody,
			AccessKeyID: d.service.AccessKeyID, KeyFile: d.service.KeyFile, First: d.service.First,
		}, nil
	})
}

// localRole returns the role of a local service, with the targets that the settings name, and what
// closes these. It puts the real path of the folder of programs into the settings.
func localRole(settings *app.Settings, cloud string, emulated *emulators, gateways *standInGateways,
	console *localConsole) (
	role app.Role, closeTargets func() error, err error,
) {
	role = app.Everything(slices.Concat(serveActions(gateways, trusted(*settings)...), backupActions(),
		console.actions())...).Streaming(openStreams).Under(consolePrefix, console.open)
	for path, name := range schemas {
		role = role.At(path, schemaPage(name))
	}
	c, ok, err := openCloud(cloud, os.Getenv, settings.Region, emulated)
	if err != nil {
		return app.Role{}, nil, err
	}
	if ok {
		role = role.In(c)
	}
	if settings.Programs == "" {
		return role, func() error { return nil }, nil
	}
	folder, err := program.Open(program.Options{Dir: settings.Programs, AtOnce: settings.ProgramsAtOnce})
	if err != nil {
		return app.Role{}, nil, err
	}
	settings.Programs = folder.Dir()
	return role.With(command.TargetProgram, folder), folder.Close, nil
}

// welcome prints the address of the service, its functions, emulators and programs if it has some,
// and a first call.
func welcome(ctx context.Context, w io.Writer, settings app.Settings, s app.Started, d *deployment,
	emulated *emulators, gateways *standInGateways, console *localConsole) {
	fmt.Fprintf(w, "chatconf listens on %s\n", s.Endpoint)
	if d != nil {
		d.introduce(w, s.Endpoint)
	}
	emulated.introduce(w)
	gateways.introduce(w)
	if settings.Programs != "" {
		fmt.Fprintf(w, "  programs         in %s\n", settings.Programs)
	}
	program, build := self()
	where, trust := "", ""
	if settings.Data != app.DefaultData {
		where = " --data " + shellQuote(settings.Data)
	}
	if s.Certificate != "" {
		trust = " --ca-cert " + shellQuote(s.Certificate)
	}
	console.introduce(ctx, w, s, program+" open"+where+trust)
	if s.AccessKeyID == "" {
		return
	}
	fmt.Fprintf(w, "  access key id    %s\n", s.AccessKeyID)
	fmt.Fprintf(w, "  its secret       in %s\n", s.KeyFile)
	bot, app, say := gateways.firstBot()
	if say != "" {
		say = fmt.Sprintf("  %s send%s%s ops%s\n", program, where, trust, say)
	}
	fmt.Fprintf(w, `
A first call, from another shell%[3]s:

  %[2]s call%[1]s%[4]s CreateChatConfiguration Name=ops Type=%[5]s \
    Configuration='{%[6]s}'
%[7]s
For SDKs and the aliyun CLI:  eval "$(%[2]s env%[1]s)"

`, where, program, build, trust, bot, app, say)
}

// self returns the command that runs this program, for people to paste, and how to build it first.
func self() (program, build string) {
	if strings.Contains(os.Args[0], "go-build") { // run by 'go run', which would compile for each call
		return "dist/chatconf", " (make tool builds dist/chatconf)"
	}
	return shellQuote(os.Args[0]), ""
}

// tlsFlags are the flags of a server's certificate.
type tlsFlags struct{ cert, key string }

func (f *tlsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cert, "tls-cert", "",
		"PEM file with the certificate for HTTPS and its chain (default CHATCONF_TLS_CERT)")
	cmd.Flags().StringVar(&f.key, "tls-key", "",
		"PEM file with its private key, readable only by you (default CHATCONF_TLS_KEY)")
}

// apply puts the given flags into the settings.
func (f *tlsFlags) apply(s *app.Settings) error {
	switch {
	case f.cert == "" && f.key == "":
		return nil
	case f.key == "":
		return usagef("--tls-cert is given without --tls-key; give both")
	case f.cert == "":
		return usagef("--tls-key is given without --tls-cert; give both")
	}
	s.TLSCert, s.TLSKey = f.cert, f.key
	return nil
}

// trusted returns the certificate files that SendChatMessage trusts: that of the service, and that
// of the setting CHATCONF_ROOTS.
func trusted(s app.Settings) []string {
	return slices.DeleteFunc([]string{s.TLSCert, s.Roots}, func(file string) bool { return file == "" })
}

// dataFlag adds the flag of the data directory.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "data directory of a local service (default CHATCONF_DATA, else "+
		app.DefaultData+")")
}

// localSettings reads the settings from the environment. The data directory of the flag, if given,
// takes precedence.
func localSettings(data string) (app.Settings, error) {
	settings, err := app.ReadSettings(os.Getenv)
	if err == nil && data != "" {
		settings.Data = data
	}
	return settings, err
}
