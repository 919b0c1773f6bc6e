package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
)

func newEnv() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print endpoint and access key of the local service as shell variables",
		Long: `Print endpoint and access key of the local service as shell variables, under the names that the official SDKs and this tool read. Both
are from the data directory, where the service wrote them; keys of the environment are never printed. A security token that is set
there is unset, since it belongs to another key. The output holds the secret: give it to eval rather than to a terminal.`,
		Example: `  eval "$(chatconf env)"`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := firstOf(data, os.Getenv("CHATCONF_DATA"), app.DefaultData)
			endpoint, err := app.ReadEndpoint(dir)
			var key credential
			if err == nil {
				key, err = localKey(dir)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return usagef("no local service: start one with 'chatconf serve', or give --data (endpoint "+
					"and access key are not both in %s)", dir)
			case err != nil:
				return err
			}
			for _, pair := range [...][2]string{
				{"CHATCONF_ENDPOINT", endpoint},
				{"ALIBABA_CLOUD_ACCESS_KEY_ID", key.ID},
				{"ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.Secret},
			} {
				fmt.Fprintf(cmd.OutOrStdout(), "export %s=%s\n", pair[0], shellQuote(pair[1]))
			}
			if os.Getenv(securityToken) != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "unset %s\n", securityToken)
			}
			return nil
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

// shellQuote returns s as one word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
