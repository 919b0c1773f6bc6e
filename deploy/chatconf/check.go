package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
)

func newCheck() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a local service's file from end to end",
		Long: `Walk the file of a local service, which must be stopped, and report any disagreement between configurations, index entries,
counters and history, and every secret that the key ring does not open. Exits with 1 when it finds one.`,
		Example: `  chatconf check --data .chatconf`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLocal(cmd.Context(), dataFlags{data: data}, func(l *app.Local, s app.Settings) error {
				if err := l.File.Verify(cmd.Context()); err != nil {
					return err
				}
				partitions, err := l.Table.Partitions(cmd.Context())
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(partitions, func(p string) bool { return strings.Contains(p, "/") }) {
					partitions = append(partitions, s.AccountID+"/"+s.Region) // so that it is said that there is nothing
				}
				problems := 0
				for _, partition := range partitions {
					account, region, ok := strings.Cut(partition, "/")
					if !ok {
						continue // access keys: opened when they are used
					}
					report, err := l.Service.Check(cmd.Context(), account, region)
					if err != nil {
						return err
					}
					for _, problem := range report.Problems {
						fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", partition, problem)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %d configurations, %d index entries, %d revisions, %d problems\n",
						partition, report.Configurations, report.IndexEntries, report.Revisions, len(report.Problems))
					problems += len(report.Problems)
				}
				if problems > 0 {
					return fmt.Errorf("%d problems found", problems)
				}
				return nil
			})
		},
	}
	dataFlag(cmd, &data)
	return cmd
}
