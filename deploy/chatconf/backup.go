package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
)

// backupActions is BackupService. Only `chatconf serve` offers it, and 'chatconf backup' calls it:
// the answer is a file and not in the envelope, so it is not for 'chatconf call'.
func backupActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction(policy.BackupService, (*chat.Service).Backup)}
}

func newBackup() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of a service on a file, while it runs",
		Long: `Write a backup of a local service to a file that only you can read, or with - to standard output.
The backup is everything that the service stores, at one moment: the configurations and access keys
of all accounts and regions, their history, and recorded commands.

A running service makes the copy, in the action ` + policy.BackupService + `, which functions do not have. It
continues its work meanwhile. A policy must allow oos:` + policy.BackupService + ` by name; keys made with --owner
have it. The data of a stopped service is copied directly.

The backup is written to a temporary file, checked, and gets its name only when it is complete and
valid. A file that exists is not replaced. With - the temporary file is in TMPDIR, and nothing is
written before the check.

The key ring is not in it. Without the ring nobody can open the secrets in a backup, and with the
ring anyone can. So keep a copy of the ring too, in another place.

While the copy is made, the file reuses no space. So the service ends a copy that takes longer than
` + fmt.Sprint(chat.MaxBackupTime.Minutes()) + ` minutes, or that a change has to wait for.

For tables in a cloud use the backup of the cloud.`,
		Example: `  chatconf backup backup.db
  chatconf backup --data /var/lib/chatconf /backup/chatconf-$(date +%F).db
  chatconf backup - | age -r age1example > backup.db.age`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := localSettings(flags.data)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return backupToPipe(cmd, &flags, settings)
			}
			found, err := app.WriteBackup(cmd.Context(), settings, args[0], flags.backupSource(settings.Data))
			if err != nil {
				return err
			}
			return describeBackup(cmd.OutOrStdout(), args[0], found, settings)
		},
	}
	flags.add(cmd)
	return cmd
}

// backupToPipe writes a backup to standard output, after it was checked.
func backupToPipe(cmd *cobra.Command, flags *clientFlags, settings app.Settings) (err error) {
	if isTerminal(cmd.OutOrStdout()) {
		return usagef("standard output is a terminal; name a FILE, or redirect the output")
	}
	dir, err := os.MkdirTemp("", "chatconf-backup-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "backup.db")
	if _, err := app.WriteBackup(cmd.Context(), settings, path, flags.backupSource(settings.Data)); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	os.Remove(path) // where it can be: a reader that ends early ends this program, and nothing is left
	_, err = io.Copy(cmd.OutOrStdout(), f)
	return err
}

// describeBackup prints what a backup has, and that it has no key ring.
func describeBackup(w io.Writer, path string, found *app.Contents, settings app.Settings) error {
	ring := filepath.Join(settings.Data, app.KeyRingFile)
	if file, ok := strings.CutPrefix(settings.KeyRing.Reveal(), "file:"); ok {
		ring = file
	} else if settings.KeyRing != "" {
		ring = "CHATCONF_KEYRING"
	}
	_, err := fmt.Fprintf(w, `%s has %s
  sealed with the key ring, keys: %s

The key ring is not in it. Keep a copy of %s in another place, such as a safe.
`, path, contentsLine(found), strings.Join(found.Keys, ", "), ring)
	return errors.Join(err, unreadable(found))
}

// contentsLine returns the counts of a backup in words.
func contentsLine(found *app.Contents) string {
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(found.Items)) {
		if kind != "claims" {
			counts = append(counts, fmt.Sprintf("%s: %d", kind, found.Items[kind]))
		}
	}
	return strings.Join(append(counts, fmt.Sprintf("bytes: %d", found.Size)), ", ")
}

// unreadable returns an error if a backup has secrets that cannot be read.
func unreadable(found *app.Contents) error {
	if found.Unreadable == 0 {
		return nil
	}
	return fmt.Errorf("the file was written, and %d items in it cannot be read; 'chatconf check' names them",
		found.Unreadable)
}

// backupSource returns the source of a backup: the service that is named, or that of the context,
// or that has the file of the data directory open, or else that file.
func (f *clientFlags) backupSource(data string) app.BackupSource {
	return func(ctx context.Context, w io.Writer) error {
		name, _, err := f.useContext(os.Getenv)
		if err != nil {
			return err
		}
		if cmp.Or(name, f.endpoint, os.Getenv("CHATCONF_ENDPOINT")) != "" {
			return f.download(ctx, w)
		}
		err = app.CopyFile(data)(ctx, w)
		switch {
		case errors.Is(err, bolt.ErrInUse):
			return f.download(ctx, w)
		case errors.Is(err, fs.ErrNotExist):
			return usagef("no local service in %s; use --data, --endpoint or --context", data)
		}
		return err
	}
}

// download writes the answer of BackupService.
func (f *clientFlags) download(ctx context.Context, w io.Writer) error {
	c, err := f.resolve(os.Getenv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, chat.MaxBackupTime+callTimeout)
	defer cancel()
	body, err := c.open(ctx, policy.BackupService, map[string]string{}, "")
	var refused *refusedError
	if errors.As(err, &refused) {
		switch refused.code {
		case "InvalidApi.NotFound":
			return fmt.Errorf("%s makes no backups; for functions use the backup of their cloud", c.endpoint)
		case "UnsupportedStore":
			return fmt.Errorf("the data of %s is in a store of its own; use the backup of that store", c.endpoint)
		case "ServiceUnavailable":
			return fmt.Errorf("%w\n  another backup may be running; the log of the service says why", err)
		}
	}
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err = io.Copy(w, body); errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the service ended the copy early, and its log says why; try again: %w", err)
	}
	return err
}

func newRestoreBackup() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "restore-backup FILE --data DIR",
		Short: "Make a new data directory from a backup",
		Long: `Make a new data directory from a backup of 'chatconf backup', in a file or with - from standard
input. The directory may exist. It must have nothing but the key ring (` + app.KeyRingFile + `), which you put
there first, and the first access key if you have a copy of it. CHATCONF_KEYRING may name the ring
instead.

The backup is checked before the directory gets it. It must be valid, and the ring must open it. If
the ring is missing or another one, the error names the keys that are needed. A backup that a newer
version has made is refused; one of an earlier version is brought up to date by the first start.

All access keys of the time of the backup are valid again. If you have none, and stopped the
service, 'chatconf keys create --owner' makes one.`,
		Example: `  mkdir -m 700 restored && cp /media/safe/keyring.json restored/
  chatconf restore-backup backup.db --data restored
  chatconf check --data restored && chatconf serve --data restored`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := localSettings(data)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return usagef("%w", err)
				}
				defer f.Close()
				in = f
			}
			found, err := app.RestoreBackup(cmd.Context(), settings, in)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), `%s has %s
  the key ring opens it

Check it with 'chatconf check', and start it with 'chatconf serve'.
`, settings.Data, contentsLine(found))
			return errors.Join(err, unreadable(found))
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "new data directory; required")
	cmd.MarkFlagRequired("data")
	return cmd
}
