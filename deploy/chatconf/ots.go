package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/serve"
)

func newOTS() *cobra.Command {
	var addr, data string
	var certificate tlsFlags
	cmd := &cobra.Command{
		Use:   "ots",
		Short: "Run a Tablestore emulator",
		Long: `Run a server that speaks the protocol of Alibaba Cloud Tablestore, for the SDKs of all languages. It
accepts every instance name. Data is stored in the directory; --data "" keeps it in memory.

The access key is CHATCONF_ACCESS_KEY_ID and CHATCONF_ACCESS_KEY_SECRET. Without them the first
start creates a key in access-key.json of the directory. Every start prints the key.

The default address is reachable only from this machine. Do not make the emulator public.`,
		Example: `  chatconf ots --addr 127.0.0.1:9001 --data .ots`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAddr(addr); err != nil {
				return err
			}
			key, err := otsKey(data)
			if err != nil {
				return err
			}
			settings, err := app.ReadSettings(os.Getenv)
			if err != nil {
				return err
			}
			if err := certificate.apply(&settings); err != nil {
				return err
			}
			settings.Addr, settings.Data = addr, data
			return seeAddr(serveOTS(cmd.Context(), settings, key, func(endpoint string) {
				secret := key.Secret.Reveal()
				if os.Getenv("CHATCONF_ACCESS_KEY_SECRET") != "" {
					secret = "as in CHATCONF_ACCESS_KEY_SECRET"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Tablestore emulator on %s\n"+
					"  instance           any name\n"+
					"  access key id      %s\n"+
					"  access key secret  %s\n", endpoint, key.ID, secret)
			}))
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:9001", "address to listen on")
	cmd.Flags().StringVar(&data, "data", ".ots", "data directory; empty keeps the data only while it runs")
	certificate.add(cmd)
	return cmd
}

// otsKey returns the access key that the emulator accepts: from the environment, else from the
// directory, else a new one.
func otsKey(data string) (app.AccessKey, error) {
	settings, err := app.ReadSettings(os.Getenv)
	if err != nil {
		return app.AccessKey{}, err
	}
	if settings.AccessKeyID != "" {
		return app.AccessKey{ID: settings.AccessKeyID, Secret: settings.AccessKeySecret}, nil
	}
	if data == "" {
		id, secret, err := accesskey.Draw(rand.Reader)
		return app.AccessKey{ID: id, Secret: secret}, err
	}
	return app.ReadOrMakeAccessKey(data)
}

// otsFile is the file of the emulator in a data directory.
const otsFile = "ots.db"

// relaxGC lets the heap grow to five times the live data before a collection, unless GOGC is set.
// With rows in a file the live data is small: Go's default would collect all the time under load.
func relaxGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// otsBody is how much memory a request to the emulator needs, in bytes: the largest body of 5 MiB,
// and its rows.
const otsBody = 15 << 20

// serveOTS serves the emulator until ctx ends.
func serveOTS(ctx context.Context, settings app.Settings, key app.AccessKey,
	started func(endpoint string)) (err error) {
	logger, flush := app.NewServerLogger(os.Stderr)
	defer flush()
	options := ots.Options{AccessKeys: map[string]string{key.ID: key.Secret.Reveal()}, Log: logger}
	if settings.Data != "" {
		options.Path = filepath.Join(settings.Data, otsFile)
		relaxGC()
	}
	server, err := ots.New(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	listener, endpoint, _, err := app.Listen(settings.Addr, settings.TLSCert, settings.TLSKey, logger)
	if err != nil {
		return err
	}
	started(endpoint)
	return serve.HTTP(ctx, listener, server, logger, settings.Limits(otsBody))
}
