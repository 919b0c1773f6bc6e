package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/rpc"
)

// A stepper continues the walk that encrypts all secrets again.
type stepper func(ctx context.Context, restart bool) (*chat.ResealSecretsResponse, error)

// withStepper calls do with the walk of the selected service: through its API if it is named or has
// the file open, otherwise directly.
func (f *keyFlags) withStepper(ctx context.Context, do func(stepper) error) error {
	return f.reach(ctx, func(c *client) error {
		return do(func(ctx context.Context, restart bool) (*chat.ResealSecretsResponse, error) {
			params := map[string]string{}
			if restart {
				params["Restart"] = "true"
			}
			out := new(chat.ResealSecretsResponse)
			return out, c.ask(ctx, rpc.ResealActions()[0].Name, params, "", out)
		})
	}, func(l *app.Local, _ app.Settings) error { return do(l.Service.ResealStep) })
}

// walk makes steps until the walk is done. It shows the progress on a terminal.
func walk(ctx context.Context, step stepper, restart bool, terminal io.Writer) (*chat.ResealSecretsResponse, error) {
	for {
		at, err := step(ctx, restart)
		if err != nil {
			return nil, err
		}
		restart = false
		if isTerminal(terminal) {
			fmt.Fprintf(terminal, "\r%d items, %d encrypted again", at.Seen, at.Resealed)
			if at.Done {
				fmt.Fprintln(terminal)
			}
		}
		if at.Done {
			return at, nil
		}
	}
}

func newKeyRingReseal() *cobra.Command {
	var f keyFlags
	var restart bool
	cmd := &cobra.Command{
		Use:   "reseal",
		Short: "Encrypt all secrets again with the current key of the ring",
		Long: `Encrypt all stored secrets again with the current key of the ring: of configurations, their history,
access keys, and commands that are not done. First restart or deploy everything that has the old
ring.

A running service does this during its other work, through its API. The access key needs the
permission oos:ResealSecrets. For functions, --endpoint is the address of the function reseal. The
data of a stopped service, and the tables of --store, are changed directly.

The work can be interrupted; the next call continues it. It is safe to run it twice. At the end it
prints how many values each key has encrypted. A key that has encrypted none can be retired.`,
		Example: `  chatconf keyring reseal
  chatconf keyring reseal --endpoint https://…lambda-url.eu-west-1.on.aws`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withStepper(cmd.Context(), func(step stepper) error {
				at, err := walk(cmd.Context(), step, restart, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				return errors.Join(printWalk(cmd.OutOrStdout(), at), f.isCurrent(at.Key))
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&restart, "restart", false, "begin a new walk, even if the last one is not done")
	return cmd
}

// isCurrent returns an error if a local service encrypts with another key than its key ring says.
// The service reads the ring only at its start.
func (f *keyFlags) isCurrent(key string) error {
	if f.endpoint != "" || f.store != storeFile {
		return nil
	}
	path, err := ringPath(f.data, nil)
	if err != nil { // the ring is in no file, so it was not rotated in place
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	ids, _, err := splitRing(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if ids[0] != key {
		return fmt.Errorf("the service still encrypts with the key %s, and %s has the current key %s; "+
			"restart the service, and run this again", key, path, ids[0])
	}
	return nil
}

// printWalk prints the result of a walk.
func printWalk(w io.Writer, at *chat.ResealSecretsResponse) error {
	fmt.Fprintf(w, "encrypted %d of %d items again with the key %s\n\n", at.Resealed, at.Seen, at.Key)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tVALUES")
	for _, key := range at.Keys {
		fmt.Fprintf(table, "%s\t%d\n", key.Id, key.Uses)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if at.Unreadable > 0 {
		return fmt.Errorf("%d items cannot be read; the log of the service names them", at.Unreadable)
	}
	return nil
}

func newKeyRingRetire() *cobra.Command {
	var f keyFlags
	var ring ringFlags
	cmd := &cobra.Command{
		Use:   "retire ID [FILE] [--out FILE]",
		Short: "Remove a key from the key ring, if no secret needs it any more",
		Long: `Remove a key from a key ring. It first encrypts all secrets again, as 'keyring reseal' does, and
counts. If a value is left that the key has encrypted, it says how many, and changes nothing.

Without FILE it changes the key ring of the data directory in place, and removes the ring before the
rotation. With FILE it prints the new ring, or writes it to --out, to be deployed.`,
		Example: `  chatconf keyring retire 2025-12-01-080000.000
  chatconf keyring retire 2025-12 keyring-3.json --out keyring-4.json --endpoint https://…`,
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := ringPath(f.data, args[1:])
			if err != nil {
				return err
			}
			inPlace := len(args) == 1
			if inPlace && ring.out != "" {
				return usagef("--out needs FILE; name the key ring to read")
			}
			old, err := readFileOrStdin(path, cmd.InOrStdin())
			if err != nil {
				return usagef("%w", err)
			}
			text, _, err := without(old, args[0])
			if err != nil {
				return usagef("%s: %w", path, err)
			}
			err = f.withStepper(cmd.Context(), func(step stepper) error {
				at, err := walk(cmd.Context(), step, true, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				return mayRetire(at, args[0], text)
			})
			switch {
			case err != nil:
				return err
			case !inPlace:
				return ring.write(cmd.OutOrStdout(), text)
			}
			// A key that another command has added must not be lost.
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
				return errors.Join(fmt.Errorf("%s has changed meanwhile; run the command again", path), err)
			}
			if err := app.WriteFile(path, text); err != nil {
				return err
			}
			if err := os.Remove(path + previousRing); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s no longer has the key %s\n\nRestart the service.\n", path, args[0])
			return nil
		},
	}
	f.add(cmd)
	ring.addOut(cmd)
	return cmd
}

// mayRetire returns an error if a secret needs the key with the id, or a key that is not in the
// rest of the ring.
func mayRetire(at *chat.ResealSecretsResponse, id string, rest []byte) error {
	if at.Key == id {
		return fmt.Errorf("the service still encrypts with the key %s; "+
			"make another key the current one, and restart or deploy it", id)
	}
	ids, _, err := splitRing(rest)
	if err != nil {
		return err
	}
	if !slices.Contains(ids, at.Key) {
		return fmt.Errorf("the service encrypts with the key %s, which is not in this ring; the ring has %s", at.Key,
			strings.Join(ids, ", "))
	}
	for _, key := range at.Keys {
		switch {
		case key.Uses == 0:
		case key.Id == id:
			return fmt.Errorf("%d values are still encrypted with the key %s, and the service cannot open them; "+
				"is the key in its ring?", key.Uses, id)
		case !slices.Contains(ids, key.Id):
			return fmt.Errorf("%d values are encrypted with the key %s, which is not in this ring", key.Uses, key.Id)
		}
	}
	if at.Unreadable > 0 {
		return fmt.Errorf("%d items cannot be read, so it is not known which keys they need; "+
			"the log of the service names them", at.Unreadable)
	}
	return nil
}
