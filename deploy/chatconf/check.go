package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/fault"
	"chatconf/shared/table"
)

func newCheck() *cobra.Command {
	var where dataFlags
	var partitions []string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check everything that a service stores",
		Long: `Read everything that a service stores and report inconsistencies between configurations, index
entries, counters and history. Also report each secret and access key that the key ring cannot
open. Nothing is changed. The exit code is 1 if there is a problem.

Stop the service first: a change that it is writing may look like an inconsistency.

Every account and region is checked, or those of --partition. On DynamoDB the list of them needs
the right dynamodb:Scan.`,
		Example: `  chatconf check --data .chatconf
  chatconf check --store tablestore --partition 1000000000000000/cn-hangzhou`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, partition := range partitions {
				if account, region, ok := strings.Cut(partition, "/"); !ok || account == "" ||
					region == "" || strings.Contains(region, "/") {
					return usagef("--partition %q is invalid; write ACCOUNT/REGION, such as %s/%s", partition,
						app.DefaultAccountID, app.DefaultRegion)
				}
			}
			return withLocal(cmd.Context(), where, func(l *app.Local, s app.Settings) error {
				return check(cmd.Context(), cmd.OutOrStdout(), l, s, partitions)
			})
		},
	}
	where.add(cmd)
	cmd.Flags().StringArrayVar(&partitions, "partition", nil, "check only this ACCOUNT/REGION; may be repeated")
	return cmd
}

// check prints the problems of the given partitions, or of all known ones, and of the access keys.
func check(ctx context.Context, w io.Writer, l *app.Local, s app.Settings, partitions []string) error {
	if l.File != nil {
		if err := l.File.Verify(ctx); err != nil {
			return err
		}
	}
	problems, err := checkKeys(ctx, w, l)
	if err != nil {
		return err
	}
	if len(partitions) == 0 {
		if partitions, err = knownPartitions(ctx, l, s); err != nil {
			return err
		}
	}
	for _, partition := range partitions {
		account, region, _ := strings.Cut(partition, "/")
		report, err := l.Service.Check(ctx, account, region)
		if err != nil {
			return err
		}
		for _, problem := range report.Problems {
			fmt.Fprintf(w, "%s: %s\n", partition, problem)
		}
		entries := "index entries"
		if report.IndexEntries == 1 {
			entries = "index entry"
		}
		fmt.Fprintf(w, "%s: %s, %d %s, %s, %s\n", partition, count(report.Configurations, "configuration"),
			report.IndexEntries, entries, count(report.Revisions, "revision"), count(len(report.Problems), "problem"))
		problems += len(report.Problems)
	}
	if problems > 0 {
		return fmt.Errorf("%s found", count(problems, "problem"))
	}
	return nil
}

// checkKeys reads the access keys. If one of them cannot be read, it prints that as a problem. An
// error of the store is returned.
func checkKeys(ctx context.Context, w io.Writer, l *app.Local) (problems int, err error) {
	_, err = l.Keys.List(ctx)
	var e *fault.Error
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &e) && e.Code == fault.Internal:
		fmt.Fprintf(w, "access keys: %v\n", err)
		return 1, nil
	default:
		return 0, err
	}
}

// knownPartitions returns the partitions of configurations. Without any it returns the partition of
// the settings, so that check has something to report.
func knownPartitions(ctx context.Context, l *app.Local, s app.Settings) ([]string, error) {
	lister, ok := l.Table.(table.Partitioner)
	if !ok {
		return nil, fmt.Errorf("a table of type %T does not list its partitions; use --partition", l.Table)
	}
	all, err := table.AllPartitions(ctx, lister)
	if err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(all, func(p string) bool { // such as access keys, the claim and leases
		account, _, ok := strings.Cut(p, "/")
		return !ok || strings.Trim(account, "0123456789") != ""
	})
	slices.Sort(known)
	if len(known) == 0 {
		known = append(known, s.AccountID+"/"+s.Region)
	}
	return known, nil
}
