package main

import (
	"cmp"
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
		Short: "Create a key ring, rotate it, and claim a store with it",
		Long: `Manage the key ring. Its keys encrypt the secrets in the tables. Anyone with the key ring and the
tables can read all secrets. Without the key ring the secrets are lost: keep a copy in a safe place.

A local service creates its own key ring. For functions in a cloud, create one here, encrypt it with
the cloud's key service, and set it as CHATCONF_KEYRING=kms:… of the functions.

Encrypt it under the encryption context {"chatconf":"keyring"}; functions accept no other. AWS
encrypts at most 4096 bytes, Alibaba Cloud 6144; this is enough for dozens of keys.

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

To create further access keys:

  CHATCONF_KEYRING=file:keyring.json chatconf keys create --store …`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyRingNew(), newKeyRingAdd(), newKeyRingClaim())
	return cmd
}

// freshID returns the default id of a key: the time, so that keys are sorted by age.
func freshID(now time.Time) string { return now.UTC().Format("2006-01-02-150405.000") }

// ringFlags are the id of a new key and the output of the ring.
type ringFlags struct{ id, out string }

func (f *ringFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.id, "id", "", "id of the new key (default the time)")
	cmd.Flags().StringVar(&f.out, "out", "",
		"file to create, readable only by you (default standard output, unless it is a terminal)")
}

// newKey returns the text of a ring with one new key.
func (f *ringFlags) newKey() ([]byte, error) {
	text, err := seal.GenerateRing(cmp.Or(f.id, freshID(time.Now())))
	if err != nil {
		return nil, usagef("--id: %w", err)
	}
	return text, nil
}

// write writes a ring to the output of the flags.
func (f *ringFlags) write(stdout io.Writer, text []byte) error {
	if f.out == "" {
		if isTerminal(stdout) {
			return usagef("standard output is a terminal, which may keep the keys in its history; " +
				"use --out FILE, or redirect the output")
		}
		_, err := stdout.Write(text)
		return err
	}
	// Never overwrite a ring: the secrets that it encrypted would be lost.
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usagef("--out: %w", err)
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
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
		Short: "Create a key ring with one new key",
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
		Short: "Add a new key to the key ring in FILE, and print the ring",
		Long: `Add a new key to the key ring in a file (- for standard input), and print the new ring. Secrets are
then encrypted with the new key. The old keys stay in the ring, because they are still needed to
read what they encrypted. Replace the old ring wherever it is used.`,
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

// joinRings returns the text of a ring with the keys of all the rings, in their order.
func joinRings(texts ...[]byte) ([]byte, error) {
	type key struct {
		ID  string `json:"id"`
		Key string `json:"key"`
	}
	var all struct {
		Keys []key `json:"keys"`
	}
	for _, text := range texts {
		if _, err := seal.ParseRing(text); err != nil { // stricter than json.Unmarshal
			return nil, err
		}
		var ring struct{ Keys []key }
		if err := json.Unmarshal(text, &ring); err != nil {
			return nil, errors.New("not a key ring") // the error of JSON might show part of a key
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
		Short: "Bind the tables of a store to a key ring, and create a first access key",
		Long: `Bind the tables of a store to the key ring in CHATCONF_KEYRING. From then on only services and
functions with this key ring can use the tables. 'chatconf tables' creates the tables first.

The first claim also creates an access key with all rights, in the data directory. If
CHATCONF_ACCESS_KEY_ID and CHATCONF_ACCESS_KEY_SECRET are set, they become that key. A repeated
claim changes nothing.`,
		Example: `  CHATCONF_KEYRING=file:keyring.json chatconf keyring claim --store dynamodb`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := localSettings(data)
			if err != nil {
				return err
			}
			if settings.KeyRing == "" {
				return usagef("CHATCONF_KEYRING is not set; set it to the key ring, such as file:keyring.json")
			}
			tables, err := openTables(store, settings, os.Getenv)
			if err != nil {
				return err
			}
			return claimTables(cmd.Context(), cmd.OutOrStdout(), settings, tables)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&store, "store", "",
		"store of the tables: tablestore or dynamodb (settings: 'chatconf tables --help'); required")
	cmd.MarkFlagRequired("store")
	return cmd
}

// claimTables claims tables, closes them, and prints the result.
func claimTables(ctx context.Context, w io.Writer, settings app.Settings, tables app.Tables) error {
	l, err := app.OpenTables(ctx, settings, tables, app.Actions(rpc.Actions()...))
	if err != nil {
		return seeTables(err)
	}
	if err := l.Close(); err != nil {
		return err
	}
	if !l.First {
		fmt.Fprintf(w, "%s is already claimed by this key ring\n", tables.Where)
		return nil
	}
	fmt.Fprintf(w, "%s is claimed\n  access key id    %s\n  its secret       in %s\n",
		tables.Where, l.AccessKeyID, l.KeyFile)
	return nil
}
