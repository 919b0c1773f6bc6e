package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/accesskey"
	"chatconf/shared/announce"
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

In a file, every account and region is checked. Tablestore and DynamoDB cannot list the partitions
of a table. There, use --partition. Without it, the accounts of the settings and of all access keys
are checked, in the region of the settings (CHATCONF_ACCOUNT_ID, CHATCONF_REGION).`,
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
	keys, problems, err := checkKeys(ctx, w, l)
	if err != nil {
		return err
	}
	if len(partitions) == 0 {
		if partitions, err = knownPartitions(ctx, l, s, keys); err != nil {
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
		fmt.Fprintf(w, "%s: %d configurations, %d index entries, %d revisions, %d problems\n",
			partition, report.Configurations, report.IndexEntries, report.Revisions, len(report.Problems))
		problems += len(report.Problems)
	}
	if problems > 0 {
		return fmt.Errorf("%d problems found", problems)
	}
	return nil
}

// checkKeys returns the access keys. If one of them cannot be read, it prints that as a problem. An
// error of the store is returned.
func checkKeys(ctx context.Context, w io.Writer, l *app.Local) (keys []*accesskey.Key, problems int, err error) {
	keys, err = l.Keys.List(ctx)
	var e *fault.Error
	switch {
	case err == nil:
		return keys, 0, nil
	case errors.As(err, &e) && e.Code == fault.Internal:
		fmt.Fprintf(w, "access keys: %v\n", err)
		return nil, 1, nil
	default:
		return nil, 0, err
	}
}

// knownPartitions returns the partitions of configurations: those in the file, or else those that
// callers can have written to in the region of the settings. Without any it returns the partition
// of the settings, so that check has something to report.
func knownPartitions(ctx context.Context, l *app.Local, s app.Settings, keys []*accesskey.Key) ([]string, error) {
	home := s.AccountID + "/" + s.Region
	if l.Table == nil {
		known := []string{home}
		for _, key := range keys {
			known = append(known, key.Account+"/"+s.Region)
		}
		slices.Sort(known)
		return slices.Compact(known), nil
	}
	all, err := table.AllPartitions(ctx, l.Table)
	if err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(all, func(p string) bool { // access keys, the claim, the list of partitions
		return !strings.Contains(p, "/") || p == announce.Partitions
	})
	if len(known) == 0 {
		known = append(known, home)
	}
	return known, nil
}
