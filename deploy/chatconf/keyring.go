package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
)

func newKeyRing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keyring",
		Short: "Make a key ring, rotate it, and claim a store with it",
		Long: `Look after the key ring, under which the secrets in the tables are sealed. A service on a laptop makes its own; for functions
in a cloud it is made here, sealed by the cloud's key service, and given to them as CHATCONF_KEYRING=kms:…; the ring itself then belongs
into a safe. Whoever has it and the tables can read all secrets; without it nobody can.

The key services seal it under the encryption context {"chatconf":"keyring"}, without which a function does not open it. AWS takes
4096 bytes at once, Alibaba Cloud 6144: dozens of keys.

From an empty store to functions:

  chatconf keyring new --out keyring.json
  chatconf tables --target lambda
  CHATCONF_KEYRING=file:keyring.json chatconf keyring claim --store dynamodb
  aws kms encrypt --key-id alias/chatconf --encryption-context chatconf=keyring \
    --plaintext fileb://keyring.json --query CiphertextBlob --output text

and on Alibaba Cloud, with --target fc and --store tablestore,

  (umask 077; base64 < keyring.json | tr -d '\n' > keyring.b64)
  aliyun kms Encrypt --KeyId alias/chatconf --EncryptionContext '{"chatconf":"keyring"}' \
    --Plaintext-FILE keyring.b64 && rm keyring.b64

Further access keys are made by 'CHATCONF_KEYRING=file:keyring.json chatconf keys create --store …'.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyRingNew(), newKeyRingAdd(), newKeyRingClaim())
	return cmd
}

// freshID is the id of a key that nobody has named: the moment, so that keys sort by age.
func freshID(now time.Time) string { return now.UTC().Format("2006-01-02-150405.000") }

// ringFlags say how a new key is called and where the ring goes.
type ringFlags struct{ id, out string }

func (f *ringFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.id, "id", "", "what the new key is called (default the time)")
	cmd.Flags().StringVar(&f.out, "out", "", "file to make, that only you can read (default standard "+
		"output, unless that is a terminal)")
}

// newKey returns the text of a ring of one fresh key.
func (f *ringFlags) newKey() ([]byte, error) {
	text, err := seal.GenerateRing(firstOf(f.id, freshID(time.Now())))
	if err != nil {
		return nil, usagef("--id: %w", err)
	}
	return text, nil
}

// write puts a ring where the flags say.
func (f *ringFlags) write(stdout io.Writer, text []byte) error {
	if f.out == "" {
		if isTerminal(stdout) {
			return usagef("standard output is a terminal, which would keep the keys in its history: " +
				"redirect it, or give --out FILE")
		}
		_, err := stdout.Write(text)
		return err
	}
	// a ring in the place of another loses what that one sealed
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usagef("--out: %w", err)
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func newKeyRingNew() *cobra.Command {
	var ring ringFlags
	cmd := &cobra.Command{
		Use:   "new [--id ID] [--out FILE]",
		Short: "Make a key ring of one fresh key",
		Example: `  chatconf keyring new --out keyring.json
  chatconf keyring new --id 2026-11 | age -r age1example > keyring.json.age`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := ring.newKey()
			if err != nil {
				return err
			}
			return ring.write(cmd.OutOrStdout(), text)
		},
	}
	ring.add(cmd)
	return cmd
}

func newKeyRingAdd() *cobra.Command {
	var ring ringFlags
	cmd := &cobra.Command{
		Use:   "add FILE [--id ID] [--out FILE]",
		Short: "Print a key ring with a fresh key before those of FILE",
		Long: `Print the key ring of a file (- for standard input) with a fresh key before the others: what is written from then on is sealed
under the new key, and what was sealed before opens as it did. Give the new ring to everything that uses the old one. The old keys must
stay: the tables are claimed, and what nobody has written since is sealed, with them.`,
		Example: `  chatconf keyring add keyring.json --out keyring-2.json`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := readFileOrStdin(args[0], cmd.InOrStdin())
			if err != nil {
				return usagef("%w", err)
			}
			fresh, err := ring.newKey()
			if err != nil {
				return err
			}
			text, err := joinRings(fresh, old)
			if err != nil {
				return usagef("%s: %w", args[0], err)
			}
			return ring.write(cmd.OutOrStdout(), text)
		},
	}
	ring.add(cmd)
	return cmd
}

// joinRings returns the text of a ring with the keys of the first before those of the others.
func joinRings(texts ...[]byte) ([]byte, error) {
	type key struct {
		ID  string `json:"id"`
		Key string `json:"key"`
	}
	var all struct {
		Keys []key `json:"keys"`
	}
	for _, text := range texts {
		if _, err := seal.ParseRing(text); err != nil { // which is stricter than what follows
			return nil, err
		}
		var ring struct{ Keys []key }
		if err := json.Unmarshal(text, &ring); err != nil {
			return nil, errors.New("not a key ring") // the error might show of a key
		}
		all.Keys = append(all.Keys, ring.Keys...)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	if _, err := seal.ParseRing(text); err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func newKeyRingClaim() *cobra.Command {
	var store, data string
	cmd := &cobra.Command{
		Use:   "claim --store tablestore|dynamodb",
		Short: "Make the tables of a store those of a key ring, with a first access key",
		Long: `Claim the tables of a store, which 'chatconf tables' makes, for the key ring in CHATCONF_KEYRING: from then on no service with another
ring starts on them, and functions with this one do. The first claim also makes an access key that may do everything, and leaves it in the
data directory; CHATCONF_ACCESS_KEY_ID and CHATCONF_ACCESS_KEY_SECRET, if set, become that key. Done again it changes nothing.`,
		Example: `  CHATCONF_KEYRING=file:keyring.json chatconf keyring claim --store dynamodb`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := localSettings(data)
			if err != nil {
				return err
			}
			if settings.KeyRing == "" {
				return usagef("CHATCONF_KEYRING: wanted the key ring that is to claim the " +
					"store, such as file:keyring.json")
			}
			tables, err := openTables(store, settings, os.Getenv)
			if err != nil {
				return err
			}
			return claimTables(cmd.Context(), cmd.OutOrStdout(), settings, tables)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&store, "store", "", "where the tables are: tablestore or dynamodb (see 'chatconf tables "+
		"--help' for their settings); required")
	cmd.MarkFlagRequired("store")
	return cmd
}

// claimTables claims tables, closes them, and says what came of it.
func claimTables(ctx context.Context, w io.Writer, settings app.Settings, tables app.Tables) error {
	l, err := app.OpenTables(ctx, settings, tables, app.Actions(rpc.Actions()...))
	if err != nil {
		return seeTables(err)
	}
	if err := l.Close(); err != nil {
		return err
	}
	if !l.First {
		fmt.Fprintf(w, "%s is claimed by this key ring already\n", tables.Where)
		return nil
	}
	fmt.Fprintf(w, "%s is claimed\n  access key id    %s\n  its secret       in %s\n",
		tables.Where, l.AccessKeyID, l.KeyFile)
	return nil
}
