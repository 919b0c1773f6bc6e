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
	"chatconf/shared/app"
	"chatconf/shared/fault"
)

func newCheck() *cobra.Command {
	var where dataFlags
	var partitions []string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check what a service stores from end to end",
		Long: `Walk what a service stores and report any disagreement between configurations, index entries, counters and history, and every secret
and access key that the key ring does not open. Exits with 1 when it finds one. Nothing is changed. The service must be stopped
meanwhile, or what it is writing may be taken for a disagreement.

Of a file, every row is read, and every account and region in it is checked. Tablestore and DynamoDB cannot list the partitions
of a table: there those are checked that --partition names; without it the account of the settings and those of all access keys,
each in the region of the settings (CHATCONF_ACCOUNT_ID, CHATCONF_REGION).`,
		Example: `  chatconf check --data .chatconf
  chatconf check --store tablestore --partition 1000000000000000/cn-hangzhou --partition 1000000000000000/eu-central-1`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, partition := range partitions {
				if account, region, ok := strings.Cut(partition, "/"); !ok || account == "" ||
					region == "" || strings.Contains(region, "/") {
					return usagef("--partition %q: wanted ACCOUNT/REGION, such as %s/%s", partition,
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

// check prints what is wrong in the given partitions, or in all that are known of, and with the
// access keys.
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

// checkKeys returns the access keys. That they cannot be read is a problem, which it prints, unless
// it is the store that cannot.
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

// knownPartitions returns the partitions of configurations: those that a file has, else those that
// callers can have written to in the region of the settings. It is that of the settings if there
// are none, so that it is said that there is nothing.
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
	all, err := l.Table.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(all, func(p string) bool { return !strings.Contains(p, "/") }) // access keys, the claim
	if len(known) == 0 {
		known = append(known, home)
	}
	return known, nil
}
