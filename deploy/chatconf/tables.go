package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/table"
)

func newTables() *cobra.Command {
	var target string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "tables --target fc|lambda",
		Short: "Create or check the tables in Tablestore or DynamoDB",
		Long: `Create the five tables of the service, or check the structure of existing ones. A table with another
structure is an error. An existing table is not changed, except that DynamoDB's time to live is
enabled if it is not.

The settings CHATCONF_TABLE, CHATCONF_KEY_TABLE, CHATCONF_KEY_USE_TABLE, CHATCONF_TICKET_TABLE and
CHATCONF_JOURNAL_TABLE name the tables. Items of the journal expire after CHATCONF_JOURNAL_DAYS.

  fc      Tablestore: TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE, TABLESTORE_ACCESS_KEY_ID and
          TABLESTORE_ACCESS_KEY_SECRET; or the access key in ALIBABA_CLOUD_…
  lambda  DynamoDB: the region and credentials that AWS's own tools find (AWS_REGION and the AWS_
          access key, AWS_PROFILE, an SSO session, the role of an instance);
          AWS_ENDPOINT_URL_DYNAMODB for a local one`,
		Example: `  chatconf tables --target lambda --dry-run
  TABLESTORE_ENDPOINT=http://127.0.0.1:9001 TABLESTORE_INSTANCE=local \
    chatconf tables --target fc`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return eachTable(target, func(name string, t, _ table.Table) error {
				return ensure(cmd.Context(), cmd.OutOrStdout(), name, t, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "report what would be done, and change nothing")
	targetFlag(cmd, &target)
	cmd.AddCommand(newTablesCheck())
	return cmd
}

func newTablesCheck() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "check --target fc|lambda",
		Short: "Test the guarantees that the service needs, on the real tables",
		Long: `Test on the real tables the guarantees that the service needs:
  - a write of several items with a failed condition changes nothing;
  - a read sees every write that finished before it, also a write of another client;
  - items are in byte order;
  - counters are exact under concurrent additions;
  - of many conditional writes to one item, exactly one succeeds.

Each guarantee is one line of output. The exit code is 1 if one fails. The test uses a partition of
its own, and empties it afterwards.`,
		Example: `  chatconf tables check --target fc`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return eachTable(target, func(name string, t, other table.Table) error {
				return probe(cmd.Context(), cmd.OutOrStdout(), name, t, other)
			})
		},
	}
	targetFlag(cmd, &target)
	return cmd
}

// targetFlag adds the flag that selects the tables.
func targetFlag(cmd *cobra.Command, target *string) {
	cmd.Flags().StringVar(target, "target", "", "whose tables: fc (Tablestore) or lambda (DynamoDB); required")
	cmd.MarkFlagRequired("target")
}

// eachTable calls do for each table of a target. The table is opened twice, by clients with
// separate connections, as two functions open it. After an error it continues with the next table.
func eachTable(target string, do func(name string, t, other table.Table) error) error {
	settings, err := app.ReadSettings(os.Getenv)
	if err != nil {
		return err
	}
	store, err := storeOf(target)
	if err != nil {
		return err
	}
	c, err := openStore(store, os.Getenv)
	if err != nil {
		return err
	}
	defer c.Close()
	again, err := openStore(store, os.Getenv)
	if err != nil {
		return err
	}
	defer again.Close()
	var errs []error
	for _, setting := range settings.TableSettings() {
		t, err := c.OpenTable(setting.Name, setting.TTL)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", setting.Variable, err))
			continue
		}
		other, err := again.OpenTable(setting.Name, setting.TTL)
		if err == nil {
			err = errors.Join(do(setting.Name, t, other), other.Close())
		}
		if err = errors.Join(err, t.Close()); err != nil {
			errs = append(errs, fmt.Errorf("%s, %s: %w", c.Engine, c.Where, err))
		}
	}
	return errors.Join(errs...)
}

// ensure creates one table, or with dryRun reports what it would do.
func ensure(ctx context.Context, w io.Writer, name string, t table.Table, dryRun bool) error {
	tell := func(sentence string) { fmt.Fprintf(w, "%s: %s\n", name, sentence) }
	if !dryRun {
		return ensureTable(ctx, t, tell)
	}
	sentences, err := planTable(ctx, t)
	for _, sentence := range sentences {
		tell(sentence)
	}
	if err == nil && len(sentences) == 0 {
		tell("nothing to do")
	}
	return err
}
