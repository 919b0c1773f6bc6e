package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func newEnv() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print endpoint and access key as shell variables",
		Long: `Print endpoint and access key as shell variables, under the names that the official SDKs and this tool read.
The output holds the secret: give it to eval rather than to a terminal.`,
		Example: `  eval "$(chatconf env)"`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.resolve(os.Getenv)
			if err != nil {
				return err
			}
			for _, pair := range [...][2]string{
				{"CHATCONF_ENDPOINT", c.endpoint},
				{"ALIBABA_CLOUD_ACCESS_KEY_ID", c.key.ID},
				{"ALIBABA_CLOUD_ACCESS_KEY_SECRET", c.key.Secret},
			} {
				fmt.Fprintf(cmd.OutOrStdout(), "export %s=%s\n", pair[0], shellQuote(pair[1]))
			}
			return nil
		},
	}
	flags.add(cmd)
	return cmd
}

// shellQuote returns s as one word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
