// Command chatconf is the command-line tool. It runs the whole service in one process, calls it,
// and manages its access keys, key rings and tables.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/serve"
)

// Exit codes.
const (
	exitError   = 1 // the service refused the request, or an error occurred
	exitUsage   = 2 // the command line is invalid
	exitChanges = 3 // there are changes, and --exit-code asks
)

func main() {
	serve.Main(func(ctx context.Context) error {
		err := newRoot().ExecuteContext(ctx)
		if err == nil {
			return nil
		}
		shown := errors.New(printable(err.Error())) // it may have texts of a file or of the service
		var usage *usageError
		if errors.As(err, &usage) {
			fmt.Fprintln(os.Stderr, "Error:", shown)
			os.Exit(exitUsage)
		}
		if errors.Is(err, errChanges) {
			os.Exit(exitChanges)
		}
		return shown
	})
}

// helpWidth is how many columns a line of help has at most.
const helpWidth = 100

// A usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "chatconf",
		Short: "Chat configurations for ChatOps, self-hosted",
		Long: `chatconf runs commands that people type in DingTalk, WeCom, Feishu/Lark, Slack and Teams.
The settings of the bots are managed through the chat-configuration API of Alibaba Cloud OOS
(2019-06-01).

Exit codes: 0 success; 1 the service refused the request, or an error occurred; 2 the command line
is invalid; 3 with --exit-code, there are changes.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(flagError)
	// cobra checks these too, later, but its errors have no type of their own.
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(missingFlags(cmd), groupError(cmd.ValidateFlagGroups())); err != nil {
			return seeHelp(cmd, err)
		}
		return checkNames(cmd)
	}
	root.Args = onlyCommands
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(newServe(), newOpen(), newConsole(),
		newConnect(), newBots(), newShow(), newCreate(), newSet(), newEdit(), newDelete(),
		newWhoCan(), newCan(), newExport(), newApply(),
		newCall(), newSend(), newLog(), newHistory(), newDiff(), newRestore(), newRotate(),
		newCopy(), newContext(), newEnv(), newKeys(), newCheck(), newBackup(), newRestoreBackup(),
		newTables(), newKeyRing(), newOTS(),
		newInvoke(), newDoctor(), newVersion(), newDemo())
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ",
		fmt.Sprintf(".FlagUsagesWrapped %d ", helpWidth)))
	return root
}

// checkNames returns all mistakes in the settings if one of them is an unknown name. A command that
// does not read the settings would ignore such a name. Help and completion are not checked, and
// doctor reports such a name itself.
func checkNames(cmd *cobra.Command) error {
	unchecked := []string{"help", "completion", "doctor"}
	if !cmd.HasParent() || slices.Contains(unchecked, cmd.Name()) || cmd.Parent().Name() == "completion" {
		return nil
	}
	var unknown *app.UnknownSetting
	if _, err := app.ReadSettings(os.Getenv, app.Names(os.Environ())...); errors.As(err, &unknown) {
		return err
	}
	return nil
}

// seeHelp makes err a usage error that names the command's help.
func seeHelp(cmd *cobra.Command, err error) error {
	return usagef("%w\nSee '%s --help'.", err, cmd.CommandPath())
}

// onlyCommands refuses an argument of a command that has only commands: it is not the name of one.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	meant := ""
	if name, ok := chat.Nearest(args[0], names); ok {
		meant = fmt.Sprintf("; did you mean %s?", name)
	}
	return seeHelp(cmd, fmt.Errorf("unknown command %q%s", args[0], meant))
}

// wants says what the value of a flag of each type is.
var wants = map[string]string{"int": "a whole number, such as 10", "duration": "a time, such as 90s, 15m or 24h",
	"bool": "true or false"}

// flagError returns the error of a flag in the words of a person.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		err = fmt.Errorf("unknown flag --%s", unknown.GetSpecifiedName())
		if name, ok := chat.Nearest(unknown.GetSpecifiedName(), names); ok {
			err = fmt.Errorf("%w; did you mean --%s?", err, name)
		}
	case errors.As(err, &invalid):
		want := invalid.Unwrap().Error()
		if known := wants[invalid.GetFlag().Value.Type()]; known != "" {
			want = "write " + known
		}
		err = fmt.Errorf("--%s is %q; %s", invalid.GetFlag().Name, invalid.GetValue(), want)
	}
	return seeHelp(cmd, err)
}

// missingFlags returns an error that names the mandatory flags that are absent.
func missingFlags(cmd *cobra.Command) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !f.Changed {
			err = errors.Join(err, fmt.Errorf("--%s is missing", f.Name))
		}
	})
	return err
}

// groups are cobra's errors of flags that need or exclude each other, and how we say them.
var groups = []struct {
	is   *regexp.Regexp
	says string
}{
	{regexp.MustCompile(`^at least one of the flags in the group \[(.*)\] is required$`), "give one of %s"},
	{regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`),
		"give only one of %s"},
	{regexp.MustCompile(`^if any flags in the group \[.*\] are set they must all be set; missing \[(.*)\]$`),
		"give %s too"},
}

// groupError returns an error of a group of flags in our words.
func groupError(err error) error {
	if err == nil {
		return nil
	}
	for _, g := range groups {
		if match := g.is.FindStringSubmatch(err.Error()); match != nil {
			return fmt.Errorf(g.says, "--"+strings.ReplaceAll(match[1], " ", ", --"))
		}
	}
	return err
}

// noArgs requires that there are no arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return seeHelp(cmd, fmt.Errorf("%s takes no arguments; remove %q", cmd.CommandPath(), args[0]))
	}
	return nil
}

// exactly requires n arguments.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// between requires a number of arguments in a range.
func between(least, most int) cobra.PositionalArgs {
	count := fmt.Sprint(least)
	if most > least {
		count += fmt.Sprint(" to ", most)
	}
	noun := "argument"
	if most > 1 {
		noun += "s"
	}
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return seeHelp(cmd, fmt.Errorf("%s needs %s %s, not %d; write '%s'", cmd.CommandPath(), count, noun,
				len(args), cmd.UseLine()))
		}
		return nil
	}
}
