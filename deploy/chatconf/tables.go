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
		Long: `Create the five tables of the service, or check that they are as they must be. A table that is there and is another one is refused; of
one that is right, only DynamoDB's time to live may still be switched on. The names are CHATCONF_TABLE, CHATCONF_KEY_TABLE,
CHATCONF_KEY_USE_TABLE, CHATCONF_TICKET_TABLE and CHATCONF_JOURNAL_TABLE; the journal's items vanish after CHATCONF_JOURNAL_DAYS.

fc is Tablestore: TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE, TABLESTORE_ACCESS_KEY_ID and TABLESTORE_ACCESS_KEY_SECRET (or the access
key under ALIBABA_CLOUD_…). lambda is DynamoDB: region and credentials as AWS's own tools find them (AWS_REGION and the AWS_
access key, AWS_PROFILE, a session of SSO, the role of an instance), AWS_ENDPOINT_URL_DYNAMODB for a local one.`,
		Example: `  chatconf tables --target lambda --dry-run
  TABLESTORE_ENDPOINT=http://127.0.0.1:9001 TABLESTORE_INSTANCE=local chatconf tables --target fc`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return eachTable(target, func(name string, t, _ table.Table) error {
				return ensure(cmd.Context(), cmd.OutOrStdout(), name, t, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	targetFlag(cmd, &target)
	cmd.AddCommand(newTablesCheck())
	return cmd
}

func newTablesCheck() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "check --target fc|lambda",
		Short: "Prove what the service relies on, on the real tables",
		Long: `Prove on the real tables what the service relies on, in a partition of their own that is emptied again: a failed condition in a
write of several items leaves nothing behind, reads through one client see what another has written, at once and while it goes on,
order is byte order, adds are exact and one of many wins under contention. A line each; exits with 1 when one does not hold.`,
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

// targetFlag adds the flag of the target whose tables are meant.
func targetFlag(cmd *cobra.Command, target *string) {
	cmd.Flags().StringVar(target, "target", "", "whose tables: fc (Tablestore) or lambda (DynamoDB); required")
	cmd.MarkFlagRequired("target")
}

// eachTable calls do for each table of a target, opened twice as two functions open it: by clients
// with connections of their own. It goes on after an error.
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

// ensure creates one table, or says what it would do.
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
