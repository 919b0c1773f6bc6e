package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/rpc"
)

func newCall() *cobra.Command {
	var flags clientFlags
	var ifMatch string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "call ACTION [Key=Value]...",
		Short: "Call an action and print its answer",
		Long: `Call an action of the service and print its answer as indented JSON.

Write parameters under their names in the API. The tool rejects a name that the action does not
know, because the service ignores unknown parameters. Lists and maps are JSON.

A value @PATH is read from a file, and @- from standard input; this keeps secrets off the command
line. Write @@ at the start of a value that begins with @. Parameters are sent in the body, never
in the URL.`,
		Example: `  chatconf call CreateChatConfiguration Name=ops Type=DingTalk Configuration=@ops.json
  chatconf call GetChatConfiguration Name=ops
  chatconf call ListChatConfigurations 'Filters=[{"Name":"Type","Value":"DingTalk"}]'
  chatconf call UpdateChatConfiguration Name=ops Status=Inactive --if-match 3
  chatconf call TagResources ResourceType=chatconfiguration 'ResourceIds=["ops"]' \
    'Tags={"env":"prod"}'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("the action is missing; use one of %s", strings.Join(actionNames(), ", "))
			}
			_, err := findAction(args[0])
			return err
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoSpace
			}
			return actionNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := flags.resolve(os.Getenv)
			if err != nil {
				return err
			}
			action, err := findAction(args[0])
			if err != nil {
				return err
			}
			if err := checkArguments(action, args[1:]); err != nil {
				return err
			}
			params, err := readArguments(args[1:], cmd.InOrStdin())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return c.call(ctx, cmd.OutOrStdout(), args[0], params, ifMatch)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "only if the configuration is at this revision")
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	return cmd
}

func actionNames() []string {
	var names []string
	for _, a := range serveActions(nil) {
		names = append(names, a.Name)
	}
	return names
}

// findAction returns the action with a name, of the API or of 'chatconf serve'.
func findAction(name string) (rpc.Action, error) {
	for _, a := range serveActions(nil) {
		if a.Name == name {
			return a, nil
		}
	}
	return rpc.Action{}, usagef("unknown action %q; %s", name, chat.Suggestion(name, actionNames()))
}

// checkArguments returns an error unless all arguments are Key=Value, with keys that the action
// knows. The service ignores unknown keys, as OOS does, so a typing error would stay unnoticed.
func checkArguments(action rpc.Action, args []string) error {
	for i, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		ok = ok && key != ""
		switch {
		case ok && action.Takes(key):
		// base64 may end with equals signs
		case ok && (!action.TakesSecret() || isWord(key) && strings.Trim(value, "=") != ""):
			return usagef("%s has no parameter %q; %s", action.Name, key, chat.Suggestion(key, action.Parameters()))
		case ok:
			return usagef("parameter %d is unknown to %s; use one of %s", i+1, action.Name,
				strings.Join(action.Parameters(), ", "))
		case action.TakesSecret(): // not shown: it may be a secret without its key
			return usagef("parameter %d is invalid; write Key=Value", i+1)
		case action.Takes(arg):
			return usagef("parameter %q has no value; write %s=Value", arg, arg)
		case action.Takes("Name") && isWord(arg):
			return usagef("parameter %q is invalid; write Key=Value, such as Name=%s", arg, arg)
		default:
			return usagef("parameter %q is invalid; write Key=Value", arg)
		}
	}
	return nil
}

// isWord reports whether s looks like a name.
func isWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// readArguments reads arguments that checkArguments accepted.
func readArguments(args []string, stdin io.Reader) (map[string]string, error) {
	params := make(map[string]string, len(args))
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		if _, twice := params[key]; twice {
			return nil, usagef("parameter %s is given twice; write it once", key)
		}
		if path, ok := strings.CutPrefix(value, "@"); ok {
			switch {
			case strings.HasPrefix(path, "@"):
				value = path
			default:
				text, err := readFileOrStdin(path, stdin)
				if err != nil {
					return nil, usagef("parameter %s: %w", key, err)
				}
				value = strings.TrimSuffix(string(text), "\n")
			}
		}
		params[key] = value
	}
	return params, nil
}

func readFileOrStdin(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, rpc.MaxBody+1))
	}
	return os.ReadFile(path)
}

// notJSON returns the error of an answer that is not JSON.
func (c *client) notJSON(action string) error {
	return fmt.Errorf("call %s: the answer is not JSON; check that %s is a chatconf service", action, c.endpoint)
}

// call sends one action and prints its answer.
func (c *client) call(ctx context.Context, w io.Writer, action string, params map[string]string, ifMatch string) error {
	answer, err := c.do(ctx, action, params, ifMatch)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(answer), "", "  "); err != nil {
		return c.notJSON(action)
	}
	out.WriteByte('\n')
	return writeJSON(w, out.String())
}
