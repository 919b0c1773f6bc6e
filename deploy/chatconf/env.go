package main

import (
	"cmp"
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
		Short: "Print the endpoint and access key of the local service as shell variables",
		Long: `Print the endpoint and the access key of the local service as shell variables, under the names that
the official SDKs and this tool read. They come from the data directory; keys in the environment
are never printed. If a security token is set, the output unsets it, because it belongs to another
key.

The output contains the secret. Pass it to eval, and do not show it on a terminal.`,
		Example: `  eval "$(chatconf env)"`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := cmp.Or(data, os.Getenv("CHATCONF_DATA"), app.DefaultData)
			endpoint, err := app.ReadEndpoint(dir)
			var key credential
			if err == nil {
				key, err = localKey(dir)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return usagef("no endpoint and access key in %s; start the service with 'chatconf serve', "+
					"or use --data", dir)
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
