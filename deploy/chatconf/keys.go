package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list, disable and delete access keys",
		Long: `Look after the access keys of a service. One on a file must be stopped meanwhile, since its file has one owner; one on the tables of
a store may go on, and learns of changes within a minute.

A key is what callers sign with; what it may do is said by policies in the language of RAM, such as
  {"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:Get*","oos:List*"],"Resource":"*"}]}`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysCreate(), newKeysList(), newKeysSwitch("disable", false), newKeysSwitch("enable", true), newKeysDelete())
	return cmd
}

// withLocal opens the service of a data directory that must be there, and closes it again.
func withLocal(ctx context.Context, where dataFlags, do func(*app.Local, app.Settings) error) error {
	settings, err := localSettings(where.data)
	if err != nil {
		return err
	}
	if where.store != "" && where.store != storeFile {
		return withStore(ctx, where.store, settings, do)
	}
	if _, err := os.Stat(filepath.Join(settings.Data, app.TableFile)); err != nil {
		return usagef("there is no local service in %s: start one with 'chatconf serve', or give --data", settings.Data)
	}
	l, err := app.OpenLocal(ctx, settings, rpc.Actions()...)
	if errors.Is(err, bolt.ErrInUse) {
		return fmt.Errorf("%w; stop the service first", err)
	}
	if err != nil {
		return err
	}
	if err := do(l, settings); err != nil {
		l.Close()
		return err
	}
	return l.Close()
}

// withStore opens the service on the tables of a store, where it may be running, and closes it again.
func withStore(ctx context.Context, name string, settings app.Settings, do func(*app.Local, app.Settings) error) error {
	tables, err := openTables(name, settings, os.Getenv)
	if err != nil {
		return err
	}
	switch ok, err := tables.Claimed(ctx); { // or looking at what there is not would make it
	case err != nil:
		return errors.Join(seeTables(err), tables.Close())
	case !ok:
		return errors.Join(usagef("no service was ever started on the %s: start one with 'chatconf serve --store %s'", tables.Where, name), tables.Close())
	}
	l, err := app.OpenTables(ctx, settings, tables, rpc.Actions()...)
	if err != nil {
		return seeTables(err)
	}
	return errors.Join(do(l, settings), l.Close())
}

// dataFlags say which service is meant.
type dataFlags struct {
	data, store string
}

func (f *dataFlags) add(cmd *cobra.Command) {
	dataFlag(cmd, &f.data)
	cmd.Flags().StringVar(&f.store, "store", storeFile, "where the service's data is: file, tablestore or dynamodb")
}

func newKeysCreate() *cobra.Command {
	var where dataFlags
	var name, account, policyFile, output string
	var admin, readOnly bool
	cmd := &cobra.Command{
		Use:   "create --name NAME (--policy FILE | --admin | --read-only)",
		Short: "Make an access key; its secret is shown this once",
		Example: `  chatconf keys create --name ci --policy ci.json
  chatconf keys create --name dashboard --read-only -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			p, err := readPolicy(policyFile, admin, readOnly, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return withLocal(cmd.Context(), where, func(l *app.Local, s app.Settings) error {
				key, err := l.Keys.Create(cmd.Context(), chat.AccessKey{
					Account:  firstOf(account, s.AccountID),
					Name:     name,
					Policies: []*policy.Policy{p},
				})
				if err != nil {
					return err
				}
				return printNewKey(cmd.OutOrStdout(), output, key)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what people call the caller (required)")
	cmd.Flags().StringVar(&policyFile, "policy", "", "file with a policy, - for standard input")
	cmd.Flags().BoolVar(&admin, "admin", false, "may do everything but "+sendAction+", which a policy has to name")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "may get and list everything; the secrets in Outputs are masked")
	cmd.Flags().StringVar(&account, "account", "", "account that the key belongs to (default CHATCONF_ACCOUNT_ID, else "+app.DefaultAccountID+")")
	cmd.MarkFlagsMutuallyExclusive("policy", "admin", "read-only")
	cmd.MarkFlagsOneRequired("policy", "admin", "read-only")
	cmd.MarkFlagRequired("name")
	where.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func readPolicy(path string, admin, readOnly bool, stdin io.Reader) (*policy.Policy, error) {
	switch {
	case admin:
		return policy.Administrator(), nil
	case readOnly:
		return policy.ReadOnly(), nil
	}
	text, err := readFileOrStdin(path, stdin)
	if err != nil {
		return nil, usagef("--policy: %w", err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, usagef("--policy %s: %w", path, err)
	}
	return p, nil
}

func printNewKey(w io.Writer, output string, key *chat.AccessKey) error {
	if output == "json" {
		return printJSON(w, struct{ AccessKeyId, AccessKeySecret, AccountId, Name string }{key.ID, key.Secret.Reveal(), key.Account, key.Name})
	}
	fmt.Fprintf(w, "AccessKeyId      %s\nAccessKeySecret  %s\n\nThe secret is not shown again.\n", key.ID, key.Secret.Reveal())
	return nil
}

func newKeysList() *cobra.Command {
	var where dataFlags
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List access keys, without their secrets",
		Example: `  chatconf keys list`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return withLocal(cmd.Context(), where, func(l *app.Local, _ app.Settings) error {
				keys, err := l.Keys.List(cmd.Context())
				if err != nil {
					return err
				}
				return printKeys(cmd.OutOrStdout(), output, keys)
			})
		},
	}
	where.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func printKeys(w io.Writer, output string, keys []*chat.AccessKey) error {
	status := func(active bool) string {
		if active {
			return "Active"
		}
		return "Inactive"
	}
	if output == "json" {
		type row struct {
			AccessKeyId, AccountId, Name, Status, CreateDate string
			Policies                                         []*policy.Policy
		}
		rows := make([]row, len(keys))
		for i, k := range keys {
			rows[i] = row{k.ID, k.Account, k.Name, status(k.Active), k.Created.Format(time.RFC3339), k.Policies}
		}
		return printJSON(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACCESS KEY ID\tACCOUNT\tNAME\tSTATUS\tCREATED\tPOLICY")
	for _, k := range keys {
		texts := make([]string, len(k.Policies))
		for i, p := range k.Policies {
			texts[i] = p.String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Account, k.Name, status(k.Active), k.Created.Format(time.RFC3339), strings.Join(texts, " "))
	}
	return t.Flush()
}

// newKeysSwitch returns the command that turns keys on or off.
func newKeysSwitch(verb string, active bool) *cobra.Command {
	var where dataFlags
	cmd := &cobra.Command{
		Use:     verb + " ACCESS_KEY_ID",
		Short:   strings.ToUpper(verb[:1]) + verb[1:] + " an access key",
		Example: "  chatconf keys " + verb + " CCKexample",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withLocal(cmd.Context(), where, func(l *app.Local, _ app.Settings) error {
				if err := l.Keys.SetActive(cmd.Context(), args[0], active); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%sd %s\n", verb, args[0])
				return nil
			})
		},
	}
	where.add(cmd)
	return cmd
}

func newKeysDelete() *cobra.Command {
	var where dataFlags
	cmd := &cobra.Command{
		Use:     "delete ACCESS_KEY_ID",
		Short:   "Delete an access key for good",
		Example: "  chatconf keys delete CCKexample",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withLocal(cmd.Context(), where, func(l *app.Local, _ app.Settings) error {
				if err := l.Keys.Delete(cmd.Context(), args[0]); err != nil {
					return err
				}
				if err := l.ForgetAccessKey(args[0]); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", args[0])
				return nil
			})
		},
	}
	where.add(cmd)
	return cmd
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "how to print: json or table")
}

func checkOutput(output string) error {
	if output != "json" && output != "table" {
		return usagef("--output %q is none; wanted json or table", output)
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
