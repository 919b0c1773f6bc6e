package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list, change and delete access keys",
		Long: `Manage the access keys of a service. Callers sign their requests with an access key.

The keys of a running service, local or at --endpoint, are managed through its API; this needs an
access key with the right to do so. The keys of a stopped local service, and those in the tables of
--store, are managed directly. A running service uses a changed key within ` + keyAge + `. It
notices expiry, and changes made through its own API, at once.

Policies in the language of RAM say what a key may do, such as
  {"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:Get*","oos:List*"],"Resource":"*"}]}
A caller that may create or change keys can give itself any right. So a policy must allow
oos:CreateAccessKey, oos:ListAccessKeys, oos:UpdateAccessKey and oos:DeleteAccessKey by these names;
a pattern such as oos:* does not cover them.

A caller that saves a configuration with a RamRole must be allowed to pass the role: ram:PassRole on
acs:ram::ACCOUNT:role/NAME. Keys made with --owner or --admin may pass every role of their
account; --pass-role allows it to others.`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysCreate(), newKeysList(), newKeysUpdate(),
		newKeysSwitch("disable", chat.StatusInactive), newKeysSwitch("enable", chat.StatusActive), newKeysDelete())
	return cmd
}

// keyAge is how long a service caches a key, for people.
var keyAge = strconv.Itoa(int(accesskey.CacheAge/time.Second)) + " seconds"

// An inUseError says that a service has the file of a data directory open.
type inUseError struct{ data string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("a service is using the data in %s; stop the service first", e.data)
}

func (e *inUseError) Unwrap() error { return bolt.ErrInUse }

// withLocal opens the service of an existing data directory, and closes it afterwards.
func withLocal(ctx context.Context, where dataFlags, do func(*app.Local, app.Settings) error) error {
	settings, err := localSettings(where.data)
	if err != nil {
		return err
	}
	if where.store != "" && where.store != storeFile {
		return withStore(ctx, where.store, settings, do)
	}
	if _, err := os.Stat(filepath.Join(settings.Data, app.TableFile)); err != nil {
		return usagef("no local service in %s; start one with 'chatconf serve', or use --data", settings.Data)
	}
	l, err := app.OpenLocal(ctx, settings, app.Actions(rpc.Actions()...).Resealing())
	if errors.Is(err, bolt.ErrInUse) {
		return &inUseError{settings.Data}
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

// withStore opens the service on the tables of a store, and closes it afterwards. Another process
// may run the service on the same tables.
func withStore(ctx context.Context, name string, settings app.Settings, do func(*app.Local, app.Settings) error) error {
	tables, err := openTables(name, settings, os.Getenv)
	if err != nil {
		return err
	}
	switch ok, err := tables.Claimed(ctx); { // opening unclaimed tables would claim them
	case err != nil:
		return errors.Join(seeTables(err), tables.Close())
	case !ok:
		return errors.Join(usagef("%s has no service yet; start one with 'chatconf serve --store %s'",
			tables.Where, name), tables.Close())
	}
	l, err := app.OpenTables(ctx, settings, tables, app.Actions(rpc.Actions()...).Resealing())
	if err != nil {
		return seeTables(err)
	}
	return errors.Join(do(l, settings), l.Close())
}

// dataFlags select a service by its data.
type dataFlags struct {
	data, store string
}

func (f *dataFlags) add(cmd *cobra.Command) {
	dataFlag(cmd, &f.data)
	cmd.Flags().StringVar(&f.store, "store", storeFile, "where the service's data is: file, tablestore or dynamodb")
}

// A keyManager manages the access keys of a service.
type keyManager interface {
	create(ctx context.Context, in *chat.CreateAccessKeyRequest, account string) (*chat.AccessKeyInfo, error)
	list(context.Context) ([]chat.AccessKeyInfo, error)
	update(context.Context, *chat.UpdateAccessKeyRequest) error
	delete(ctx context.Context, id string) error
}

// keyFlags select the service whose keys are managed.
type keyFlags struct {
	secret.Hidden
	dataFlags
	context, endpoint, id, secret string
}

func (f *keyFlags) add(cmd *cobra.Command) {
	f.dataFlags.add(cmd)
	cmd.Flags().StringVar(&f.context, "context", "",
		"context of a running service, to use its API (default the current one)")
	cmd.RegisterFlagCompletionFunc("context", completeContexts)
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "", "URL of a running service, to use its API")
	cmd.Flags().StringVar(&f.id, "access-key-id", "",
		"with --endpoint: access key id to sign with (default as for 'chatconf call')")
	cmd.Flags().StringVar(&f.secret, "access-key-secret", "",
		"its secret (other users of the machine can see a flag)")
	cmd.MarkFlagsMutuallyExclusive("context", "endpoint", "store")
}

// with calls do with the keys of the selected service.
func (f *keyFlags) with(ctx context.Context, do func(keyManager) error) error {
	return f.reach(ctx, func(c *client) error { return do(&remoteKeys{c}) }, func(l *app.Local, s app.Settings) error {
		return do(&localKeys{l.Keys, s.AccountID})
	})
}

// reach calls remote with the API of the selected service, if it is named or has the file open, and
// otherwise local with its data.
func (f *keyFlags) reach(ctx context.Context, remote func(*client) error,
	local func(*app.Local, app.Settings) error) error {
	flags := &clientFlags{context: f.context, endpoint: f.endpoint, id: f.id, secret: f.secret, data: f.data}
	remotely := f.endpoint != ""
	if !remotely && (f.store == "" || f.store == storeFile) {
		name, _, err := flags.useContext(os.Getenv)
		if err != nil {
			return err
		}
		remotely = name != ""
	}
	if remotely {
		c, err := flags.resolve(os.Getenv)
		if err != nil {
			return err
		}
		return remote(c)
	}
	if f.id != "" || f.secret != "" {
		return usagef("--access-key-id and --access-key-secret need --endpoint or a context; add it, or remove them")
	}
	settings, err := localSettings(f.data)
	if err != nil {
		return err
	}
	if f.store == "" || f.store == storeFile {
		if _, err := os.Stat(filepath.Join(settings.Data, app.TableFile)); errors.Is(err, fs.ErrNotExist) {
			if c, err := runningService(settings.Data); err == nil { // functions store their data in another file
				return remote(c)
			}
		}
	}
	err = withLocal(ctx, f.dataFlags, local)
	if !errors.Is(err, bolt.ErrInUse) {
		return err
	}
	c, err := runningService(settings.Data)
	if err != nil {
		return err
	}
	return remote(c)
}

// runningService returns a client of the service on a data directory, with that service's first
// access key.
func runningService(data string) (*client, error) {
	endpoint, err := app.ReadEndpoint(data)
	if err != nil {
		return nil, fmt.Errorf("the service on %s runs at an unknown address; use --endpoint: %w", data, err)
	}
	flags := clientFlags{endpoint: endpoint, data: data}
	if key, err := app.ReadAccessKey(data); err == nil {
		flags.id, flags.secret = key.ID, key.Secret.Reveal()
	}
	return flags.resolve(os.Getenv)
}

// localKeys manages keys in tables that this process has open.
type localKeys struct {
	keys    *accesskey.Store
	account string // of new keys
}

func (k *localKeys) create(ctx context.Context, in *chat.CreateAccessKeyRequest,
	account string) (*chat.AccessKeyInfo, error) {
	policies, expires, err := in.Parse()
	if err != nil {
		return nil, err
	}
	key, err := k.keys.Create(ctx, accesskey.Key{
		Account: cmp.Or(account, k.account), Name: in.Name, Description: in.Description,
		Policies: policies, Expires: expires,
	})
	if err != nil {
		return nil, err
	}
	out := chat.ShowAccessKey(key)
	out.AccessKeySecret = key.Secret.Reveal()
	return &out, nil
}

func (k *localKeys) list(ctx context.Context) ([]chat.AccessKeyInfo, error) {
	keys, err := k.keys.List(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = key.ID
	}
	days, err := k.keys.LastUses(ctx, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]chat.AccessKeyInfo, len(keys))
	for i, key := range keys {
		out[i] = chat.ShowAccessKey(key)
		out[i].LastUsedDate = days[key.ID]
	}
	return out, nil
}

func (k *localKeys) update(ctx context.Context, in *chat.UpdateAccessKeyRequest) error {
	change, err := in.Parse()
	if err != nil {
		return err
	}
	_, err = k.keys.Update(ctx, "", in.AccessKeyID, change)
	return err
}

func (k *localKeys) delete(ctx context.Context, id string) error { return k.keys.Delete(ctx, "", id) }

// remoteKeys manages the keys of the caller's account through the API of a running service.
type remoteKeys struct{ client *client }

func (k *remoteKeys) create(ctx context.Context, in *chat.CreateAccessKeyRequest,
	account string) (*chat.AccessKeyInfo, error) {
	if account != "" {
		return nil, usagef("--account is only for keys that are created directly; " +
			"remove it: a service creates keys in the account of the caller")
	}
	var out chat.AccessKeyResponse
	err := k.client.ask(ctx, policy.CreateAccessKey, map[string]string{
		"Name": in.Name, "Description": in.Description, "Policy": in.Policy, "PolicyDocument": in.PolicyDocument,
		"ExpireDate": in.ExpireDate,
	}, "", &out)
	return &out.AccessKey, err
}

func (k *remoteKeys) list(ctx context.Context) (keys []chat.AccessKeyInfo, err error) {
	params := map[string]string{"MaxResults": strconv.Itoa(chat.MaxResults)}
	for list := new(pages); ; {
		var out chat.ListAccessKeysResponse
		if err := k.client.ask(ctx, policy.ListAccessKeys, params, "", &out); err != nil {
			return nil, err
		}
		keys = append(keys, out.AccessKeys...)
		if more, err := list.next(params, out.NextToken, len(out.AccessKeys)); !more {
			return keys, err
		}
	}
}

func (k *remoteKeys) update(ctx context.Context, in *chat.UpdateAccessKeyRequest) error {
	params := map[string]string{
		"UserAccessKeyId": in.AccessKeyID, "Status": in.Status, "Policy": in.Policy,
		"PolicyDocument": in.PolicyDocument, "ExpireDate": in.ExpireDate,
	}
	if in.Description != nil {
		params["Description"] = *in.Description
	}
	return k.client.ask(ctx, policy.UpdateAccessKey, params, "", new(chat.AccessKeyResponse))
}

func (k *remoteKeys) delete(ctx context.Context, id string) error {
	return k.client.ask(ctx, policy.DeleteAccessKey, map[string]string{"UserAccessKeyId": id}, "",
		new(chat.DeleteAccessKeyResponse))
}

// policyFlags set the policy of a key.
type policyFlags struct {
	file                   string
	owner, admin, readOnly bool
	passRoles              []string // patterns
}

func (f *policyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "policy", "", "file with a policy, - for standard input")
	cmd.Flags().BoolVar(&f.owner, "owner", false,
		"allow everything, as for the first key of a service: also managing keys and "+sendAction)
	cmd.Flags().BoolVar(&f.admin, "admin", false, "allow everything except managing keys and "+sendAction)
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false,
		"allow reading everything except keys; secrets in Outputs are masked")
	cmd.Flags().StringArrayVar(&f.passRoles, "pass-role", nil,
		"may also save configurations with the RAM roles of this name, such as 'Ops*'; may be repeated")
	cmd.MarkFlagsMutuallyExclusive("policy", "owner", "admin", "read-only")
}

// read returns the parameters Policy and PolicyDocument; both are empty if no flag was given.
func (f *policyFlags) read(stdin io.Reader) (name, document string, err error) {
	if err := f.checkPassRoles(); err != nil {
		return "", "", err
	}
	switch {
	case f.owner:
		return "Owner", "", nil
	case f.admin:
		return "Administrator", "", nil
	case f.readOnly:
		return "ReadOnly", "", nil
	case f.file == "":
		return "", "", nil
	}
	text, err := readFileOrStdin(f.file, stdin)
	if err != nil {
		return "", "", usagef("--policy: %w", err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return "", "", usagef("--policy %s: %w", f.file, err)
	}
	document = p.String()
	if len(f.passRoles) > 0 {
		document, err = f.withPassRoles(document)
	}
	return "", document, err
}

// expireDate returns the parameter ExpireDate for a value of --expires: a number of days such as
// 30d, a date, or never.
func expireDate(text string, now time.Time) (string, error) {
	if text == "" || text == "never" {
		return text, nil
	}
	if count, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(count); err == nil && days > 0 && days <= 36500 {
			return now.UTC().AddDate(0, 0, days).Format(time.RFC3339), nil
		}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format(time.RFC3339), nil
		}
	}
	return "", usagef("--expires %q is invalid; write 30d, 2027-01-31, 2027-01-31T12:00:00Z or never", text)
}

func newKeysCreate() *cobra.Command {
	var where keyFlags
	var may policyFlags
	var in chat.CreateAccessKeyRequest
	var account, expires, output string
	cmd := &cobra.Command{
		Use:   "create --name NAME (--policy FILE | --owner | --admin | --read-only)",
		Short: "Create an access key; its secret is shown only once",
		Example: `  chatconf keys create --name ci --policy ci.json --expires 90d
  chatconf keys create --name bots --policy bots.json --pass-role 'Ops*' --pass-role Report
  chatconf keys create --name dashboard --read-only -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkOutput(output); err != nil {
				return err
			}
			if in.ExpireDate, err = expireDate(expires, time.Now()); err != nil {
				return err
			}
			if in.Policy, in.PolicyDocument, err = may.read(cmd.InOrStdin()); err != nil {
				return err
			}
			return where.with(cmd.Context(), func(keys keyManager) error {
				key, err := keys.create(cmd.Context(), &in, account)
				if err != nil {
					return err
				}
				return printNewKey(cmd.OutOrStdout(), output, key)
			})
		},
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "name of the caller, for people (required)")
	cmd.Flags().StringVar(&in.Description, "description", "", "purpose of the key")
	cmd.Flags().StringVar(&expires, "expires", "",
		"when the key expires: 30d, or a date such as 2027-01-31 (default never)")
	cmd.Flags().StringVar(&account, "account", "",
		"account of the key (default CHATCONF_ACCOUNT_ID, else "+app.DefaultAccountID+")")
	may.add(cmd)
	cmd.MarkFlagsOneRequired("policy", "owner", "admin", "read-only")
	cmd.MarkFlagRequired("name")
	where.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func printNewKey(w io.Writer, output string, key *chat.AccessKeyInfo) error {
	if isData(output) {
		return printData(w, output, struct {
			AccessKeyId, AccessKeySecret, AccountId, Name string
			ExpireDate                                    string `json:",omitempty"`
		}{key.AccessKeyId, key.AccessKeySecret, key.AccountId, key.Name, key.ExpireDate})
	}
	fmt.Fprintf(w, "AccessKeyId      %s\nAccessKeySecret  %s\n", oneLine(key.AccessKeyId),
		oneLine(key.AccessKeySecret))
	if key.ExpireDate != "" {
		fmt.Fprintf(w, "Expires          %s\n", oneLine(key.ExpireDate))
	}
	fmt.Fprint(w, "\nThe secret is not shown again.\n")
	return nil
}

func newKeysList() *cobra.Command {
	var where keyFlags
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List access keys, without their secrets",
		Long: `List access keys, without their secrets. With -o wide the account, the date of creation and the
policy are shown too.`,
		Example: `  chatconf keys list
  chatconf keys list -o wide`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return where.with(cmd.Context(), func(keys keyManager) error {
				all, err := keys.list(cmd.Context())
				if err != nil {
					return err
				}
				return printKeys(cmd.OutOrStdout(), output, all, time.Now())
			})
		},
	}
	where.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func printKeys(w io.Writer, output string, keys []chat.AccessKeyInfo, now time.Time) error {
	if isData(output) {
		type row struct {
			AccessKeyId, AccountId, Name, Description, Status string
			CreateDate, CreatedBy, ExpireDate, LastUsedDate   string
			Policies                                          []json.RawMessage
		}
		rows := make([]row, len(keys))
		for i, k := range keys {
			rows[i] = row{AccessKeyId: k.AccessKeyId, AccountId: k.AccountId, Name: k.Name,
				Description: k.Description, Status: k.Status,
				CreateDate: k.CreateDate, CreatedBy: k.CreatedBy, ExpireDate: k.ExpireDate,
				LastUsedDate: k.LastUsedDate}
			for _, p := range k.Policies {
				rows[i].Policies = append(rows[i].Policies, json.RawMessage(p))
			}
		}
		return printData(w, output, rows)
	}
	header := []string{"ACCESS KEY ID", "NAME", "STATUS", "EXPIRES (UTC)", "LAST USED"}
	wide := output == outputWide
	if wide {
		header = append(header, "ACCOUNT", "CREATED (UTC)", "POLICY")
	}
	var rows [][]string
	for _, k := range keys {
		status := k.Status
		if expires, err := time.Parse(time.RFC3339, k.ExpireDate); err == nil && !now.Before(expires) {
			status = "Expired"
		}
		row := []string{k.AccessKeyId, k.Name, status, cmp.Or(shortDate(k.ExpireDate), "never"), k.LastUsedDate}
		if wide {
			row = append(row, k.AccountId, shortDate(k.CreateDate), strings.Join(k.Policies, " "))
		}
		rows = append(rows, row)
	}
	return printTable(w, header, rows)
}

func newKeysUpdate() *cobra.Command {
	var where keyFlags
	var may policyFlags
	var in chat.UpdateAccessKeyRequest
	var expires, description string
	cmd := &cobra.Command{
		Use:   "update ACCESS_KEY_ID",
		Short: "Change the policy, expiry or description of an access key",
		Example: `  chatconf keys update CCKexample --expires 30d
  chatconf keys update CCKexample --policy ci.json
  chatconf keys update CCKexample --pass-role OpsRole`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.AccessKeyID = args[0]
			if in.ExpireDate, err = expireDate(expires, time.Now()); err != nil {
				return err
			}
			if in.Policy, in.PolicyDocument, err = may.read(cmd.InOrStdin()); err != nil {
				return err
			}
			if cmd.Flags().Changed("description") {
				in.Description = &description
			}
			passes := len(may.passRoles) > 0
			if in.ExpireDate == "" && in.Policy == "" && in.PolicyDocument == "" && in.Description == nil && !passes {
				return seeHelp(cmd,
					errors.New("nothing to change; use --expires, --policy, --owner, "+
						"--admin, --read-only, --pass-role or --description"))
			}
			return where.with(cmd.Context(), func(keys keyManager) (err error) {
				if passes && in.PolicyDocument == "" { // added to what the key may do
					if in.PolicyDocument, err = may.addPassRoles(cmd.Context(), keys, in.AccessKeyID); err != nil {
						return err
					}
				}
				if err := keys.update(cmd.Context(), &in); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "updated %s\n", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "", "when the key expires: 30d, a date such as 2027-01-31, or never")
	cmd.Flags().StringVar(&description, "description", "", "purpose of the key")
	may.add(cmd)
	where.add(cmd)
	return cmd
}

// newKeysSwitch returns the command that sets the status of a key.
func newKeysSwitch(verb, status string) *cobra.Command {
	var where keyFlags
	cmd := &cobra.Command{
		Use:     verb + " ACCESS_KEY_ID",
		Short:   strings.ToUpper(verb[:1]) + verb[1:] + " an access key",
		Example: "  chatconf keys " + verb + " CCKexample",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return where.with(cmd.Context(), func(keys keyManager) error {
				if err := keys.update(cmd.Context(), &chat.UpdateAccessKeyRequest{AccessKeyID: args[0],
					Status: status}); err != nil {
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
	var where keyFlags
	cmd := &cobra.Command{
		Use:     "delete ACCESS_KEY_ID",
		Short:   "Delete an access key permanently",
		Example: "  chatconf keys delete CCKexample",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := localSettings(where.data)
			if err != nil {
				return err
			}
			return where.with(cmd.Context(), func(keys keyManager) error {
				if err := keys.delete(cmd.Context(), args[0]); err != nil {
					return err
				}
				if err := app.ForgetAccessKey(settings.Data, args[0]); err != nil {
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
