package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/stream"
)

// cloudOf has the cloud of each store.
var cloudOf = map[string]string{storeTablestore: cloudAlibaba, storeDynamoDB: cloudAWS}

func newConnect() *cobra.Command {
	var store string
	cmd := &cobra.Command{
		Use:   "connect --store STORE",
		Short: "Hold the connections of bots for functions in a cloud",
		Long: `Open the connections of bots whose Receive is Stream, for functions in a cloud. A function cannot
hold a connection. So this process does it, on a virtual machine or in a container. It uses the
tables of the functions.

Messages are decided and recorded as by the function webhook. Commands are dispatched in this
process, each under its RamRole. It listens on no port. You can run several such processes: for each
bot, one of them holds the connection. When that process ends, another one takes over.

The environment is that of the functions: CHATCONF_KEYRING, the tables, and the account. Tablestore
also needs ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET. DynamoDB needs the same
credentials as the AWS CLI. deploy/fc/README.md and deploy/aws/README.md list the rights that they
need. CHATCONF_MAX_STREAMS limits the number of connections; the default is 1000.

Ctrl-C or SIGTERM ends it. Messages that have arrived are recorded and acknowledged first.`,
		Example: `  CHATCONF_KEYRING=file:keyring.json chatconf connect --store tablestore
  CHATCONF_KEYRING=kms:AQIDAH… chatconf connect --store dynamodb`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cloudOf[store] == "" {
				return usagef("unknown --store %q; use %s or %s, the store of the functions", store, storeTablestore,
					storeDynamoDB)
			}
			f, err := openConnect(store, os.Getenv, app.Names(os.Environ())...)
			if err != nil {
				return err
			}
			defer func() {
				if closed := f.Close(); err == nil {
					err = closed
				}
			}()
			if err := f.Warm(cmd.Context()); err != nil {
				return seeTables(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "chatconf holds the connections of bots in %s\n", store)
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&store, "store", "", "store of the functions: tablestore or dynamodb")
	cmd.MarkFlagRequired("store")
	return cmd
}

// openConnect returns the process that holds connections, on the tables of functions. It opens none
// yet.
func openConnect(store string, getenv func(string) string, names ...string) (*app.Function, error) {
	read := func(getenv func(string) string) (cloud.Cloud, error) { return openStore(store, getenv) }
	targets := func(getenv func(string) string) (dispatch.Cloud, error) {
		c, _, err := openCloud(cloudOf[store], getenv, "", nil)
		return c, err
	}
	return app.NewFunction(getenv, read, app.Connect(targets, openStreams), names...)
}

// sharedPoll is how often the configurations are read from tables in a cloud.
const sharedPoll = 10 * time.Second

// openStreams returns the connections of a process to chat platforms.
func openStreams(p app.StreamParts) (app.Streams, error) {
	process := processName()
	o := stream.Options{
		Bots: func(ctx context.Context) ([]stream.Bot, error) {
			found, err := p.Service.Streams(ctx)
			bots := make([]stream.Bot, len(found))
			for i, b := range found {
				bots[i] = stream.Bot(b)
			}
			return bots, err
		},
		Open:    p.Service.OpenConfiguration,
		Streams: platform.All().Streams(),
		Client:  p.Client,
		Dialer:  stream.NewDialer(p.Transport),
		Arrive:  p.Arrive,
		Note: func(ctx context.Context, of command.Ref, c journal.Connection) {
			c.Holder = process
			p.Journal.NoteLater(ctx, of, journal.Note{Connection: c})
		},
		Max: p.Max,
	}
	if !p.Alone {
		o.Poll, o.Leases = sharedPoll, stream.NewLeases(p.Table, process)
	}
	return stream.New(o)
}

// processName returns a name of this process for people: host and process id.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
