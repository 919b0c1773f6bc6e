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
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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

  CHATCONF_KEYRING=file:keyring.json chatconf keys create --store …

To replace a key of a local service: rotate, restart the service, reseal, retire. For functions:
add --last, promote, reseal, retire, and deploy the ring that each of them makes.`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyRingNew(), newKeyRingAdd(), newKeyRingPromote(), newKeyRingRotate(), newKeyRingReseal(),
		newKeyRingRetire(), newKeyRingClaim())
	return cmd
}

// freshID returns the default id of a key: the time, so that keys are sorted by age.
func freshID(now time.Time) string { return now.UTC().Format("2006-01-02-150405.000") }

// ringFlags are the id of a new key and the output of the ring.
type ringFlags struct{ id, out string }

func (f *ringFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.id, "id", "", "id of the new key (default the time)")
	f.addOut(cmd)
}

func (f *ringFlags) addOut(cmd *cobra.Command) {
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
	if errors.Is(err, fs.ErrExist) {
		return usagef("--out: %s exists, and a key ring is never overwritten; name another file", f.out)
	}
	if err != nil {
		return usagef("--out: %w", err)
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		return err
	}
	opens := ""
	if ids := ring.IDs(); len(ids) > 1 {
		opens = fmt.Sprintf("\nIt also opens what %s sealed.", strings.Join(ids[1:], ", "))
	}
	_, err = fmt.Fprintf(stdout, "Wrote %s; it seals with the key %s. Keep a copy in a safe place.%s\n", f.out,
		ring.IDs()[0], opens)
	return err
}

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
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
	var last bool
	cmd := &cobra.Command{
		Use:   "add FILE [--last] [--id ID] [--out FILE]",
		Short: "Add a new key to the key ring in FILE, and print the ring",
		Long: `Add a new key to the key ring in a file (- for standard input), and print the new ring. Secrets are
then encrypted with the new key. The old keys stay in the ring, because they are still needed to
read what they encrypted. Replace the old ring wherever it is used.

Functions get a new ring one after the other. With --last the new key only decrypts, so that all of
them know it before 'keyring promote' makes it the current one.`,
		Example: `  chatconf keyring add keyring.json --out keyring-2.json
  chatconf keyring add --last keyring.json --id 2026-12 --out keyring-2.json`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := readFileOrStdin(args[0], cmd.InOrStdin())
			if err != nil {
				return usagef("%w", err)
			}
			fresh, err := ring.newKey()
			if err != nil {
				return err
			}
			rings := [][]byte{fresh, old}
			if last {
				slices.Reverse(rings)
			}
			text, err := joinRings(rings...)
			if err != nil {
				return usagef("%s: %w", args[0], err)
			}
			return ring.write(cmd.OutOrStdout(), text)
		},
	}
	ring.add(cmd)
	cmd.Flags().BoolVar(&last, "last", false, "add the key at the end: it decrypts only")
	return cmd
}

// splitRing returns the ids of a ring's keys, and the text of each key.
func splitRing(text []byte) (ids []string, keys []json.RawMessage, err error) {
	ring, err := seal.ParseRing(text) // stricter than json.Unmarshal
	if err != nil {
		return nil, nil, err
	}
	var in struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, nil, errors.New("not a key ring") // the error of JSON might show part of a key
	}
	return ring.IDs(), in.Keys, nil
}

// makeRing returns the text of a ring with the keys.
func makeRing(keys []json.RawMessage) ([]byte, error) {
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return nil, errors.New("not a key ring")
	}
	if _, err := seal.ParseRing(text); err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// joinRings returns the text of a ring with the keys of all the rings, in their order.
func joinRings(texts ...[]byte) ([]byte, error) {
	var all []json.RawMessage
	for _, text := range texts {
		_, keys, err := splitRing(text)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return makeRing(all)
}

// without returns the text of a ring without one key, and that key's text.
func without(ring []byte, id string) (text []byte, key json.RawMessage, err error) {
	ids, keys, err := splitRing(ring)
	if err != nil {
		return nil, nil, err
	}
	i := slices.Index(ids, id)
	switch {
	case i < 0:
		return nil, nil, usagef("the ring has no key %q; its keys are %s", id, strings.Join(ids, ", "))
	case len(keys) == 1:
		return nil, nil, usagef("key %q is the only one of the ring", id)
	}
	key = keys[i]
	text, err = makeRing(slices.Delete(keys, i, i+1))
	return text, key, err
}

func newKeyRingPromote() *cobra.Command {
	var ring ringFlags
	cmd := &cobra.Command{
		Use:   "promote ID FILE [--out FILE]",
		Short: "Make a key of the key ring in FILE the current one, and print the ring",
		Long: `Make a key of the key ring in a file (- for standard input) the current one, and print the new ring.
Everything is then encrypted with this key. All processes and functions must already have a ring
with it.`,
		Example: `  chatconf keyring promote 2026-12 keyring-2.json --out keyring-3.json`,
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := readFileOrStdin(args[1], cmd.InOrStdin())
			if err != nil {
				return usagef("%w", err)
			}
			rest, key, err := without(old, args[0])
			if err != nil {
				return usagef("%s: %w", args[1], err)
			}
			_, keys, err := splitRing(rest)
			if err != nil {
				return err
			}
			text, err := makeRing(append([]json.RawMessage{key}, keys...))
			if err != nil {
				return err
			}
			return ring.write(cmd.OutOrStdout(), text)
		},
	}
	ring.addOut(cmd)
	return cmd
}

// previousRing is the suffix of the file with the ring before a rotation.
const previousRing = ".previous"

func newKeyRingRotate() *cobra.Command {
	var data, id string
	cmd := &cobra.Command{
		Use:   "rotate [FILE]",
		Short: "Add a new current key to the key ring of a local service",
		Long: `Add a new key to the key ring of a local service, in its data directory or in FILE, and make it the
current one. The file is replaced in one step, and the old ring is kept as FILE` + previousRing + `.

Restart the service. Then 'chatconf keyring reseal' encrypts all secrets again with the new key, and
'chatconf keyring retire' removes the old one.

Functions and several processes cannot change their ring at the same moment. For them use
'keyring add --last', 'keyring promote' and 'keyring retire', and deploy after each.`,
		Example: `  chatconf keyring rotate
  chatconf keyring rotate /etc/chatconf/keyring.json`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := ringPath(data, args)
			if err != nil {
				return err
			}
			return rotateRing(cmd.OutOrStdout(), path, cmp.Or(id, freshID(time.Now())))
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&id, "id", "", "id of the new key (default the time)")
	return cmd
}

// ringPath returns the file of the argument, or else that of the data directory.
func ringPath(data string, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	settings, err := localSettings(data)
	if err != nil {
		return "", err
	}
	if file, ok := strings.CutPrefix(settings.KeyRing.Reveal(), "file:"); ok {
		return file, nil
	}
	if settings.KeyRing != "" {
		return "", usagef("CHATCONF_KEYRING is the key ring itself; name the FILE of the key ring")
	}
	return filepath.Join(settings.Data, app.KeyRingFile), nil
}

func rotateRing(w io.Writer, path, id string) error {
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("there is no key ring %s; name its FILE, or the service's --data", path)
	}
	if err != nil {
		return usagef("%w", err)
	}
	fresh, err := seal.GenerateRing(id)
	if err != nil {
		return usagef("--id: %w", err)
	}
	text, err := joinRings(fresh, old)
	if err != nil {
		return usagef("%s: %w", path, err)
	}
	// The new ring has all keys of the old one, so nothing is lost if this ends in between.
	if err := app.WriteFile(path+previousRing, old); err != nil {
		return err
	}
	if err := app.WriteFile(path, text); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s has the new current key %s; the ring before is in %s\n\n"+
		"Restart the service, then run:  chatconf keyring reseal\n", path, id, path+previousRing)
	return nil
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
