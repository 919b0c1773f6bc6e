package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// A client calls a service.
type client struct {
	endpoint string // with http:// or https://
	key      sign.Key
}

// clientFlags are the flags that say which service, and as whom.
type clientFlags struct {
	endpoint, id, secret, data string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "", "URL of the service (default CHATCONF_ENDPOINT, else that of the local service)")
	cmd.Flags().StringVar(&f.id, "access-key-id", "", "access key id (default ALIBABA_CLOUD_ACCESS_KEY_ID or CHATCONF_ACCESS_KEY_ID, else that of the local service)")
	cmd.Flags().StringVar(&f.secret, "access-key-secret", "", "its secret (default from the environment likewise; a flag is seen by other users of the machine)")
	dataFlag(cmd, &f.data)
}

// resolve finds endpoint and key: flags, then environment, then the data directory of a local service.
func (f *clientFlags) resolve(getenv func(string) string) (*client, error) {
	data := firstOf(f.data, getenv("CHATCONF_DATA"), app.DefaultData)
	endpoint := firstOf(f.endpoint, getenv("CHATCONF_ENDPOINT"))
	if endpoint == "" {
		var err error
		if endpoint, err = app.ReadEndpoint(data); errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("no service: give --endpoint or CHATCONF_ENDPOINT, or start one with 'chatconf serve' (nothing is in %s)", data)
		} else if err != nil {
			return nil, err
		}
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, usagef("endpoint %q: wanted http:// or https:// and a host", endpoint)
	}
	key, err := f.resolveKey(getenv, data)
	if err != nil {
		return nil, err
	}
	return &client{endpoint: u.Scheme + "://" + u.Host, key: key}, nil
}

func (f *clientFlags) resolveKey(getenv func(string) string, data string) (sign.Key, error) {
	for _, pair := range [...][2]string{
		{f.id, f.secret},
		{getenv("CHATCONF_ACCESS_KEY_ID"), getenv("CHATCONF_ACCESS_KEY_SECRET")},
		{getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"), getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET")},
	} {
		switch {
		case pair[0] != "" && pair[1] != "":
			return sign.Key{ID: pair[0], Secret: pair[1]}, nil
		case pair[0] != "" || pair[1] != "":
			return sign.Key{}, usagef("an access key is its id and its secret; only one of them is given")
		}
	}
	key, err := app.ReadAccessKey(data)
	if errors.Is(err, fs.ErrNotExist) {
		return sign.Key{}, usagef("no access key: give --access-key-id and --access-key-secret, or set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET (none is in %s)", data)
	}
	return sign.Key{ID: key.ID, Secret: key.Secret.Reveal()}, err
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

func newCall() *cobra.Command {
	var flags clientFlags
	var ifMatch string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "call ACTION [Key=Value]...",
		Short: "Call an action and print its answer as JSON",
		Long: `Call an action of the service and print its answer as indented JSON.

Parameters are written as the API names them; one that the action does not know is refused here, since the service would ignore it. Lists and maps are JSON. A value @PATH is read from a file, and @- from standard
input, which keeps secrets off the command line; @@ starts a value with an at sign. Parameters travel in the body, never in the URL.`,
		Example: `  chatconf call CreateChatConfiguration Name=ops Type=DingTalk Configuration=@ops.json
  chatconf call GetChatConfiguration Name=ops
  chatconf call ListChatConfigurations 'Filters=[{"Name":"Type","Value":"DingTalk"}]'
  chatconf call UpdateChatConfiguration Name=ops Status=Inactive --if-match 3
  chatconf call TagResources ResourceType=chatconfiguration 'ResourceIds=["ops"]' 'Tags={"env":"prod"}'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which action? Known are %s", strings.Join(actionNames(), ", "))
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
	for _, a := range serveActions() {
		names = append(names, a.Name)
	}
	return names
}

// findAction returns the action of a name: of the API, or of 'chatconf serve'.
func findAction(name string) (rpc.Action, error) {
	for _, a := range serveActions() {
		if a.Name == name {
			return a, nil
		}
	}
	return rpc.Action{}, usagef("there is no action %q; %s", name, chat.Suggestion(name, actionNames()))
}

// checkArguments returns an error unless the arguments are Key=Value, with keys that the action takes: the service ignores others, as
// OOS does, and whoever mistyped one would not hear of it.
func checkArguments(action rpc.Action, args []string) error {
	for i, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		ok = ok && key != ""
		switch {
		case ok && action.Takes(key):
		case ok && (!action.TakesSecret() || isWord(key) && strings.Trim(value, "=") != ""): // base64 may end with equals signs
			return usagef("%s has no parameter %q; %s", action.Name, key, chat.Suggestion(key, action.Parameters()))
		case ok:
			return usagef("parameter %d is none of %s; known are %s", i+1, action.Name, strings.Join(action.Parameters(), ", "))
		case action.TakesSecret(): // not shown: it may be a secret that lost its key
			return usagef("parameter %d: wanted Key=Value", i+1)
		case action.Takes(arg):
			return usagef("parameter %q: wanted %s=Value", arg, arg)
		case action.Takes("Name") && isWord(arg):
			return usagef("parameter %q: wanted Key=Value, such as Name=%s", arg, arg)
		default:
			return usagef("parameter %q: wanted Key=Value", arg)
		}
	}
	return nil
}

// isWord reports whether s looks like the name of something.
func isWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// readArguments reads Key=Value arguments that are checked.
func readArguments(args []string, stdin io.Reader) (map[string]string, error) {
	params := make(map[string]string, len(args))
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		if _, twice := params[key]; twice {
			return nil, usagef("argument %s is given twice", key)
		}
		if path, ok := strings.CutPrefix(value, "@"); ok {
			switch {
			case strings.HasPrefix(path, "@"):
				value = path
			default:
				text, err := readFileOrStdin(path, stdin)
				if err != nil {
					return nil, usagef("argument %s: %w", key, err)
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

// httpClient follows no redirects: the body may hold secrets, and the signature is for one host.
var httpClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// call sends one action and prints its answer.
func (c *client) call(ctx context.Context, w io.Writer, action string, params map[string]string, ifMatch string) error {
	answer, err := c.do(ctx, action, params, ifMatch)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, answer, "", "  "); err != nil {
		return fmt.Errorf("call %s: the answer is not JSON; is %s a chatconf service?", action, c.endpoint)
	}
	out.WriteByte('\n')
	_, err = out.WriteTo(w)
	return err
}

// do sends one action and returns its answer. What the service refuses is a *refusedError.
func (c *client) do(ctx context.Context, action string, params map[string]string, ifMatch string) ([]byte, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Acs-Action", action)
	req.Header.Set("X-Acs-Version", rpc.Version)
	if ifMatch != "" {
		req.Header.Set("If-Match", ifMatch)
	}
	if err := c.key.SignACS3(req, body, time.Now(), invoke.NewRequestID()); err != nil {
		return nil, err
	}
	resp, err := httpClient.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("call %s: %w; start the service with 'chatconf serve' first", action, err)
	}
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answerError(resp, answer)
	}
	return answer, nil
}

// A refusedError is an error that the service answered.
type refusedError struct {
	code string // as the wire has it
	text string // all of it, for people
}

func (e *refusedError) Error() string { return e.text }

// answerError returns the error that the service answered.
func answerError(resp *http.Response, answer []byte) error {
	var fault struct {
		RequestId, Code, Message string
		AccessDeniedDetail       json.RawMessage
	}
	if err := json.Unmarshal(answer, &fault); err != nil || fault.Code == "" {
		return fmt.Errorf("the service answered %s, and nothing that is an error of its own", resp.Status)
	}
	detail := ""
	if len(fault.AccessDeniedDetail) > 0 {
		detail = "\n  detail: " + string(fault.AccessDeniedDetail)
	}
	return &refusedError{fault.Code, fmt.Sprintf("%s (%d): %s%s\n  request id: %s", fault.Code, resp.StatusCode, fault.Message, detail, fault.RequestId)}
}

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
