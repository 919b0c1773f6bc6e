package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"chatconf/shared/chat"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
)

// A place is a context: a service to call, and how to sign. It has no secret, only where one is.
type place struct {
	Endpoint    string `yaml:"endpoint"`
	Region      string `yaml:"region,omitempty"`
	AccessKeyID string `yaml:"access-key-id,omitempty"`
	SecretFile  string `yaml:"secret-file,omitempty"`
	Process     string `yaml:"credential-process,omitempty"`
	CACert      string `yaml:"ca-cert,omitempty"`
}

// places are all contexts, as the config file has them.
type places struct {
	Current  string           `yaml:"current,omitempty"`
	Contexts map[string]place `yaml:"contexts"`
}

// configPath returns the path of the config file, where the platform keeps those.
func configPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the config file: %w", err)
	}
	return filepath.Join(dir, "chatconf", "config.yaml"), nil
}

// readPlaces reads the config file. Without one there are no contexts. It is refused if others may
// write it, since it says where requests go and which commands run.
func readPlaces() (*places, error) {
	out := &places{Contexts: make(map[string]place)}
	path, err := configPath()
	if err != nil {
		return nil, err
	}
	text, err := readOwn(path, othersWrite)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return out, nil
	case err != nil:
		return nil, fmt.Errorf("the config file: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(out); err != nil { // not shown: someone may have written a secret there
		return nil, fmt.Errorf("%s is not a config file; 'chatconf context set' writes it", path)
	}
	if out.Contexts == nil {
		out.Contexts = make(map[string]place)
	}
	return out, nil
}

// write writes the config file.
func (p *places) write() error {
	path, err := configPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := yaml.Marshal(p)
	if err != nil {
		return err
	}
	return replaceFile(path, text, 0o600)
}

// names returns the names of the contexts in order.
func (p *places) names() []string { return slices.Sorted(maps.Keys(p.Contexts)) }

// find returns the context with a name.
func (p *places) find(name string) (place, error) {
	if found, ok := p.Contexts[name]; ok {
		return found, nil
	}
	if len(p.Contexts) == 0 {
		return place{}, usagef("there is no context %q; make it with 'chatconf context set %s --endpoint URL'", name,
			name)
	}
	return place{}, usagef("there is no context %q; %s", name, chat.Suggestion(name, p.names()))
}

// useContext returns the context that applies: the named one, or the current one if neither flags
// nor the environment name a service. The name is empty if none applies.
func (f *clientFlags) useContext(getenv func(string) string) (name string, found place, err error) {
	explicit := f.context != ""
	if !explicit && cmp.Or(f.endpoint, f.data, getenv("CHATCONF_ENDPOINT"), getenv("CHATCONF_DATA")) != "" {
		return "", place{}, nil
	}
	all, err := readPlaces()
	switch {
	case err != nil && explicit:
		return "", place{}, err
	case err != nil && getenv("HOME") == "": // such as in a container; there are no contexts then
		return "", place{}, nil
	case err != nil:
		return "", place{}, err
	}
	if name = cmp.Or(f.context, all.Current); name == "" {
		return "", place{}, nil
	}
	found, err = all.find(name)
	return name, found, err
}

// key returns the access key of a context; an empty one if it names none.
func (p *place) key(name string, completes bool) (credential, error) {
	out := credential{Key: sign.Key{ID: p.AccessKeyID}, from: "the context " + name}
	switch {
	case p.Process != "":
		return p.runProcess(out, completes)
	case p.SecretFile == "":
		return credential{}, nil
	}
	hidden, err := readSecret(p.SecretFile)
	if err != nil {
		return credential{}, usagef("the secret of the context %s: %w", name, err)
	}
	out.Secret = hidden.Reveal()
	return out, nil
}

// Permissions of other users that a file may be refused for.
const (
	othersWrite = 0o022
	othersUse   = 0o077
)

// readOwn reads a file of the user or of root. As ssh does, it refuses one that belongs to another
// user, or for which other users have the given permissions.
func readOwn(path string, refused fs.FileMode) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what is read, even if the path is changed meanwhile
	if err != nil {
		return nil, err
	}
	if err := checkOwn(path, info, refused); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// readSecret reads a secret from a file that only its owner may read.
func readSecret(path string) (secret.Text, error) {
	text, err := readOwn(path, othersUse)
	if err != nil {
		return "", err
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret.Text(text), nil
}

// processTimeout is how long a credential process may take; a person may have to unlock something.
const processTimeout = time.Minute

// processEnd is how long the output of a command is read after it was ended. What it has started
// may go on, and hold the output open.
const processEnd = time.Second

// runProcess returns the access key that a command prints as JSON, with the names that 'chatconf
// keys create -o json' has, or those of the credential processes of AWS. While a word is completed,
// there is less time, and no person to ask.
func (p *place) runProcess(out credential, completes bool) (credential, error) {
	limit := processTimeout
	if completes {
		limit = completeTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", p.Process)
	cmd.WaitDelay = processEnd
	if !completes {
		cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	}
	text, err := cmd.Output()
	if err != nil { // its command and its output are not shown: they may be secret
		return credential{}, fmt.Errorf("the credential process of %s: %w", out.from, err)
	}
	var key struct{ AccessKeyId, AccessKeySecret, SecretAccessKey, SecurityToken, SessionToken string }
	if err := json.Unmarshal(text, &key); err != nil || cmp.Or(key.AccessKeyId, out.ID) == "" ||
		cmp.Or(key.AccessKeySecret, key.SecretAccessKey) == "" {
		return credential{}, fmt.Errorf("the credential process of %s did not print an access key; "+
			`it must print {"AccessKeyId":"…","AccessKeySecret":"…"}`, out.from)
	}
	out.ID = cmp.Or(key.AccessKeyId, out.ID)
	out.Secret = cmp.Or(key.AccessKeySecret, key.SecretAccessKey)
	out.SecurityToken = cmp.Or(key.SecurityToken, key.SessionToken)
	return out, nil
}

func newContext() *cobra.Command {
	path := "the config folder of the platform"
	if of, err := configPath(); err == nil {
		path = filepath.Base(filepath.Dir(of)) + "/" + filepath.Base(of) + " in " + path
	}
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Keep the services that you work with: endpoint, region and access key",
		Long: `Keep the services that you work with. A context has an endpoint, a region, and where the access key
is. It is in ` + path + `, such as ~/.config on Linux.

The current context is used if neither flags nor CHATCONF_ENDPOINT or CHATCONF_DATA say which
service to call; --context names another one for one command. No secret is in the config file, and
none is printed. A secret is in a file that only you may read, or a command prints it. A config file
that others may write is refused.`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newContextList(), newContextUse(), newContextSet(), newContextDelete())
	return cmd
}

// completeContexts completes a word with the names of contexts.
func completeContexts(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := readPlaces()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return all.names(), cobra.ShellCompDirectiveNoFileComp
}

func newContextList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the contexts; the current one has a star",
		Example: `  chatconf context list`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			all, err := readPlaces()
			if err != nil {
				return err
			}
			type row struct {
				Name, Endpoint, Region, AccessKeyId, Secret string
				Current                                     bool
			}
			rows, lines := []row{}, [][]string{}
			for _, name := range all.names() {
				p := all.Contexts[name]
				r := row{name, p.Endpoint, p.Region, p.AccessKeyID, p.SecretFile, name == all.Current}
				if p.Process != "" { // not shown: it may have a secret in it
					r.Secret = "a command"
				}
				rows = append(rows, r)
				star := ""
				if r.Current {
					star = "*"
				}
				lines = append(lines, []string{r.Name, star, r.Endpoint, r.Region, r.AccessKeyId, r.Secret})
			}
			if isData(output) {
				return printData(cmd.OutOrStdout(), output, rows)
			}
			if len(rows) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(),
					"No contexts. Make one with 'chatconf context set NAME --endpoint URL'.")
				return err
			}
			header := []string{"NAME", "CURRENT", "ENDPOINT", "REGION", "ACCESS KEY ID", "SECRET"}
			return printTable(cmd.OutOrStdout(), header, lines)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func newContextUse() *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:   "use NAME",
		Short: "Make a context the current one",
		Example: `  chatconf context use prod
  chatconf context use --none`,
		Args: func(cmd *cobra.Command, args []string) error {
			if none {
				return noArgs(cmd, args)
			}
			return exactly(1)(cmd, args)
		},
		ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := readPlaces()
			if err != nil {
				return err
			}
			all.Current = ""
			says := "No context is current now."
			if !none {
				p, err := all.find(args[0])
				if err != nil {
					return err
				}
				all.Current, says = args[0], args[0]+" is current now: "+p.Endpoint
			}
			if err := all.write(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), says)
			return err
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "make none the current one: the local service is used then")
	return cmd
}

func newContextSet() *cobra.Command {
	var in place
	cmd := &cobra.Command{
		Use:   "set NAME --endpoint URL",
		Short: "Make a context, or change it",
		Long: `Make a context, or change what the flags name. The first context becomes the current one.

The secret of the access key is in a file that only you may read (--secret-file), or a command
prints the key as JSON (--credential-process):
  {"AccessKeyId":"…","AccessKeySecret":"…","SecurityToken":"…"}
Only a temporary key has the SecurityToken. 'chatconf keys create -o json' prints this form, so the
command may read it from a password manager. Do not write a secret in the command itself.`,
		Example: `  chatconf context set prod --endpoint https://chatconf.example.com --access-key-id CCKexample \
    --secret-file ~/.chatconf-prod
  chatconf context set prod --credential-process 'pass show chatconf/prod'`,
		Args:              exactly(1),
		ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if !isName(name) {
				return usagef("context %q is invalid; write letters, digits, '-' and '_'", name)
			}
			all, err := readPlaces()
			if err != nil {
				return err
			}
			p, known := all.Contexts[name]
			if err := p.change(cmd, &in); err != nil {
				return err
			}
			all.Contexts[name] = p
			says := "Changed the context " + name + "."
			if !known {
				says = "Made the context " + name + "."
			}
			if all.Current == "" && len(all.Contexts) == 1 && !known {
				all.Current = name
				says += " It is the current one."
			}
			if err := all.write(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), says)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.Endpoint, "endpoint", "", "URL of the service")
	flags.StringVar(&in.Region, "region", "", "region of the configurations (default the region of the service)")
	flags.StringVar(&in.AccessKeyID, "access-key-id", "", "access key id")
	flags.StringVar(&in.SecretFile, "secret-file", "", "file with its secret, which only you may read")
	flags.StringVar(&in.Process, "credential-process", "", "command that prints the access key as JSON")
	flags.StringVar(&in.CACert, "ca-cert", "", "PEM file with certificates to trust in addition to this machine's")
	cmd.MarkFlagsMutuallyExclusive("secret-file", "credential-process")
	return cmd
}

// change changes what flags name.
func (p *place) change(cmd *cobra.Command, in *place) (err error) {
	given := cmd.Flags().Changed
	if given("endpoint") {
		if p.Endpoint, err = parseEndpoint(in.Endpoint); err != nil {
			return err
		}
	}
	for flag, field := range map[string][2]*string{"region": {&p.Region, &in.Region},
		"access-key-id": {&p.AccessKeyID, &in.AccessKeyID}} {
		if given(flag) {
			*field[0] = *field[1]
		}
	}
	for flag, field := range map[string][2]*string{"secret-file": {&p.SecretFile, &in.SecretFile},
		"ca-cert": {&p.CACert, &in.CACert}} {
		if !given(flag) {
			continue
		}
		if *field[0] = *field[1]; *field[1] != "" {
			if *field[0], err = filepath.Abs(*field[1]); err != nil {
				return err
			}
		}
	}
	switch {
	case given("secret-file") && p.SecretFile != "":
		p.Process = ""
		if _, err := readSecret(p.SecretFile); err != nil {
			return usagef("--secret-file: %w", err)
		}
	case given("credential-process"):
		p.Process = strings.TrimSpace(in.Process)
		if p.Process != "" {
			p.SecretFile = ""
		}
	}
	switch {
	case p.Endpoint == "":
		return seeHelp(cmd, errors.New("the endpoint is missing; add --endpoint URL"))
	case p.SecretFile != "" && p.AccessKeyID == "":
		return seeHelp(cmd, errors.New("--secret-file needs the id of the access key; add --access-key-id"))
	case p.AccessKeyID != "" && p.SecretFile == "" && p.Process == "":
		return seeHelp(cmd, errors.New("--access-key-id needs its secret; add --secret-file or --credential-process"))
	}
	return nil
}

func newContextDelete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a context; the service and the access key stay",
		Example:           `  chatconf context delete prod`,
		Args:              exactly(1),
		ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := readPlaces()
			if err != nil {
				return err
			}
			if _, err := all.find(args[0]); err != nil {
				return err
			}
			delete(all.Contexts, args[0])
			if all.Current == args[0] {
				all.Current = ""
			}
			if err := all.write(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Deleted the context %s.\n", args[0])
			return err
		},
	}
}
