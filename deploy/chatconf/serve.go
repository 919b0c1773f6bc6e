package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/emulator/localcloud"
	"chatconf/shared/emulator/runtime"
)

func newServe() *cobra.Command {
	var addr, data, store, target, dist string
	var emulate []string
	var certificate tlsFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the whole service on one port",
		Long: `Run every action of the service on one port, with all data in one directory, or in the tables of --store: 'chatconf tables' makes
these and says where they are looked for. Key ring and first access key are in the directory in any case. Beside the API's actions it
offers ` + sendAction + `, for 'chatconf send'.

--target fc and --target lambda run the functions that are deployed, from the zip files that 'make build' leaves in --dist, each in
processes of its own under its cloud's runtime: fc over the Tablestore emulator in this process, with its data in the directory ('chatconf
ots --data DIR' serves the same data later); lambda over the DynamoDB at AWS_ENDPOINT_URL_DYNAMODB. Tables that are not there are made if
the store is on this machine. The function 'api' is at /, each function at /<function> and at http://<function>.localhost as at an
address of its own, and the clouds' own APIs for invoking functions are at an address that is printed, which functions are given as
AWS_ENDPOINT_URL_LAMBDA and CHATCONF_FC_ENDPOINT. What functions print goes to standard error, with their reports.

--emulate oos,sts starts emulators of Alibaba Cloud's OOS and STS beside the service, on free ports of this machine: an account with a
role and a few templates, in memory. Their addresses and a call to try are printed.

The first start makes the directory, a key ring (keyring.json) and one access key that may do everything (access-key.json);
only you can read them. CHATCONF_ACCESS_KEY_ID and CHATCONF_ACCESS_KEY_SECRET, when set at that first start, become that key.
With --tls-cert and --tls-key it speaks HTTPS only; both files are read again when they change. Without them only this machine should reach
it: give a public address to a proxy that ends TLS. One line a request goes to standard error: for people on a terminal, JSON otherwise. Ctrl-C or SIGTERM stops it, once the
requests under way are answered.

Further settings come from the environment: CHATCONF_ACCOUNT_ID, CHATCONF_REGION, CHATCONF_WEBHOOK_BASE_URL, CHATCONF_HOSTS,
CHATCONF_KEYRING, CHATCONF_MAX_CONFIGURATIONS, CHATCONF_MAX_CONNECTIONS, CHATCONF_MAX_BODIES, CHATCONF_REQUESTS_PER_SECOND, CHATCONF_TABLE, CHATCONF_TICKET_TABLE,
CHATCONF_JOURNAL_TABLE, CHATCONF_KEY_TABLE, CHATCONF_KEY_USE_TABLE, CHATCONF_JOURNAL_DAYS, CHATCONF_TARGET_NETWORKS, CHATCONF_PLATFORM_ADDRESSES, CHATCONF_ROOTS, CHATCONF_TLS_CERT, CHATCONF_TLS_KEY.`,
		Example: `  chatconf serve
  chatconf serve --addr 127.0.0.1:8080 --data ~/chatconf
  chatconf serve --addr 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  chatconf serve --store tablestore
  make build && chatconf serve --target fc
  chatconf serve --emulate oos,sts`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := localSettings(data)
			if err != nil {
				return err
			}
			if addr != "" {
				settings.Addr = addr
			}
			if err := certificate.apply(&settings); err != nil {
				return err
			}
			switch {
			case target != targetLocal && cmd.Flags().Changed("store"):
				return usagef("--store is of --target %s; a cloud's functions have their cloud's store", targetLocal)
			case target == targetLocal && cmd.Flags().Changed("dist"):
				return usagef("--dist is of --target %s and %s", targetFC, targetLambda)
			}
			emulated, err := openEmulators(cmd.Context(), emulate, settings, app.NewLogger(os.Stderr))
			if err != nil {
				return err
			}
			defer emulated.close()
			if target != targetLocal {
				return seeAddr(serveTarget(cmd.Context(), cmd.OutOrStdout(), settings, target, dist, emulated))
			}
			role := app.Everything(serveActions(trusted(settings)...)...)
			started := func(s app.Started) { welcome(cmd.OutOrStdout(), settings.Data, s, nil, emulated) }
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
		"where the data is: file, tablestore or dynamodb (see 'chatconf tables --help' for their settings)")
	cmd.Flags().StringVar(&target, "target", targetLocal,
		"what is run: local, which is this program, or the functions of fc or lambda")
	distFlag(cmd, &dist)
	cmd.Flags().StringSliceVar(&emulate, "emulate", nil, "what to emulate beside the service: oos, sts or both")
	return cmd
}

// seeAddr adds to an error of an address that is taken how to give another.
func seeAddr(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; --addr or CHATCONF_ADDR gives another", err)
	}
	return err
}

// distFlag adds the flag of where the functions are.
func distFlag(cmd *cobra.Command, dist *string) {
	cmd.Flags().StringVar(dist, "dist", "dist", "the folder that 'make build' makes")
}

// serveTarget serves the functions of a target until ctx ends.
func serveTarget(ctx context.Context, w io.Writer, settings app.Settings, target, dist string,
	emulated *emulators) error {
	o := deploymentOptions{target: target, dist: dist, getenv: os.Getenv}
	if _, _, err := o.check(); err != nil {
		return err // before an address is taken, or found taken
	}
	var d *deployment
	started := func(s app.Started) { welcome(w, settings.Data, s, d, emulated) }
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

// welcome says where the service is, what runs there if it is functions, what is emulated beside it,
// and how to call it.
func welcome(w io.Writer, data string, s app.Started, d *deployment, emulated *emulators) {
	fmt.Fprintf(w, "chatconf listens on %s\n", s.Endpoint)
	if d != nil {
		d.introduce(w, s.Endpoint)
	}
	emulated.introduce(w)
	if s.AccessKeyID == "" {
		return
	}
	fmt.Fprintf(w, "  access key id    %s\n", s.AccessKeyID)
	fmt.Fprintf(w, "  its secret       in %s\n", s.KeyFile)
	where := ""
	if data != app.DefaultData {
		where = " --data " + shellQuote(data)
	}
	trust := ""
	if s.Certificate != "" {
		trust = " --ca-cert " + shellQuote(s.Certificate)
	}
	program, build := self()
	fmt.Fprintf(w, `
A first call, from another shell%[3]s:

  %[2]s call%[1]s%[4]s CreateChatConfiguration Name=ops Type=DingTalk \
    Configuration='{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret"}'

For SDKs and the aliyun CLI:  eval "$(%[2]s env%[1]s)"

`, where, program, build, trust)
}

// self returns how this program is called, for people to paste, and what they have to do first.
func self() (program, build string) {
	if strings.Contains(os.Args[0], "go-build") { // by go run, which would compile for each call
		return "dist/chatconf", " (make tool builds dist/chatconf)"
	}
	return shellQuote(os.Args[0]), ""
}

// tlsFlags are the flags of a server's certificate.
type tlsFlags struct{ cert, key string }

func (f *tlsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cert, "tls-cert", "",
		"PEM file with the certificate to serve HTTPS with, and those that it chains to (default CHATCONF_TLS_CERT)")
	cmd.Flags().StringVar(&f.key, "tls-key", "",
		"PEM file with its private key, which only you may read (default CHATCONF_TLS_KEY)")
}

// apply puts the flags that are given into the settings.
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

// trusted returns the files of certificates that the service itself trusts when it calls its own
// webhooks: its own, and those of the settings.
func trusted(s app.Settings) []string {
	return slices.DeleteFunc([]string{s.TLSCert, s.Roots}, func(file string) bool { return file == "" })
}

// dataFlag adds the flag of the data directory.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "directory of a local service's data (default CHATCONF_DATA, else "+
		app.DefaultData+")")
}

// localSettings reads the settings from the environment, with the data directory of the flag if it
// was given.
func localSettings(data string) (app.Settings, error) {
	settings, err := app.ReadSettings(os.Getenv)
	if err == nil && data != "" {
		settings.Data = data
	}
	return settings, err
}
