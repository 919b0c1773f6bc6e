// Command chatconf is the command-line tool: it runs the whole service on a laptop, calls it, and
// looks after its keys and its table.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/serve"
)

// Exit codes.
const (
	exitError = 1 // the service refused, or something failed
	exitUsage = 2 // the command line is wrong
)

func main() {
	serve.Main(func(ctx context.Context) error {
		cmd := newRoot()
		err := cmd.ExecuteContext(ctx)
		var usage *usageError
		if errors.As(err, &usage) {
			fmt.Fprintln(os.Stderr, "Error:", err)
			os.Exit(exitUsage)
		}
		return err
	})
}

// A usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "chatconf",
		Short: "Chat configurations for ChatOps, self-hosted",
		Long: `chatconf keeps the bot settings of DingTalk, WeCom, Feishu/Lark, Slack and Teams, and serves them by the
chat-configuration API of Alibaba Cloud OOS (2019-06-01).

Exit codes: 0 done; 1 the service refused, or something failed; 2 the command line is wrong.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(seeHelp)
	// cobra looks at these too, a little later, but its errors cannot be told from those of the
	// command itself.
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return seeHelp(cmd, err)
		}
		return checkNames(cmd)
	}
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		meant := ""
		if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
			meant = fmt.Sprintf(", did you mean %s?", strings.Join(names, " or "))
		}
		return seeHelp(cmd, fmt.Errorf("unknown command %q%s", args[0], meant))
	}
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(newServe(), newCall(), newSend(), newEnv(), newKeys(), newCheck(), newTables(),
		newKeyRing(), newOTS(), newInvoke())
	return root
}

// checkNames returns all mistakes in the settings if a name is among them that is misspelt: a
// command that reads none of the settings would do something else than was meant. Help and
// completion do nothing.
func checkNames(cmd *cobra.Command) error {
	if !cmd.HasParent() || cmd.Name() == "help" || cmd.Name() == "completion" || cmd.Parent().Name() == "completion" {
		return nil
	}
	var unknown *app.UnknownSetting
	if _, err := app.ReadSettings(os.Getenv, app.Names(os.Environ())...); errors.As(err, &unknown) {
		return err
	}
	return nil
}

// seeHelp makes err a usage error that says where to read on.
func seeHelp(cmd *cobra.Command, err error) error {
	return usagef("%w\nSee '%s --help'.", err, cmd.CommandPath())
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q\nSee '%s --help'.", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// exactly asks for n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %d arguments, got %d\nSee '%s --help'.", cmd.CommandPath(),
				n, len(args), cmd.CommandPath())
		}
		return nil
	}
}
