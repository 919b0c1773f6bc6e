package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
)

func newDiff() *cobra.Command {
	var flags applyFlags
	cmd := newVerb(&cobra.Command{
		Use:   "diff NAME [REVISION] [REVISION] | DIR",
		Short: "Show what changed between two revisions of a bot, or what apply would change",
		Long: `Show what changed between two revisions of a configuration. With one revision, it is compared with
the present one. Without a revision, the last change is shown.

If the only argument is a folder, and not a bot, show what 'chatconf apply' would change. With
--exit-code, the exit code is then 3 if there are changes. References to secrets in the files are
resolved, so commands in them run. A key that may only read sees where a secret comes from, and no
digest.

A secret is never shown. Its line has a digest, so you can see that it changed: the same secret has
the same digest.`,
		Example: `  chatconf diff ops
  chatconf diff ops 3
  chatconf diff ops 3 5 -o json
  chatconf diff ./bots --exit-code`,
		Args: between(1, 3),
	}, func(ctx context.Context, v *verb, args []string) error {
		if len(args) == 1 && isDir(args[0]) {
			if isName(args[0]) { // a folder of others may run commands
				if bot, _ := v.got(ctx, args[0]); bot != nil {
					return usagef("%[1]s is the name of a bot and of a folder; write ./%[1]s for the folder, "+
						"or a revision after %[1]s for the bot", args[0])
				}
			}
			return v.diffDir(ctx, args[0], flags)
		}
		numbers, err := parseRevisions(args[1:])
		if err != nil {
			return err
		}
		if len(numbers) < 2 {
			last, err := v.revisions(ctx, args[0], 1)
			if err != nil {
				return err
			}
			if len(numbers) == 0 {
				return v.printDiff(args[0], &last[0])
			}
			numbers = append(numbers, last[0].Revision)
		}
		answer, err := v.revision(ctx, args[0], numbers[1], numbers[0])
		if err != nil {
			return err
		}
		return v.printDiff(args[0], &answer.ChatConfigurationRevision)
	})
	exitCodeFlag(cmd, &flags)
	return cmd
}

// printDiff prints the changes of a revision, and who made it.
func (v *verb) printDiff(name string, r *chat.Revision) error {
	return v.print(r, func() error {
		from := ""
		if r.SourceAddress != "" {
			from = " from " + r.SourceAddress
		}
		err := v.printf("%s, revision %d: %s by %s%s at %s UTC", name, r.Revision, operationOf(*r), r.Caller, from,
			shortDate(r.Date))
		if err == nil && r.Compared != 0 {
			err = v.printf(", compared with revision %d", r.Compared)
		}
		if err == nil {
			err = v.printf("\n\n")
		}
		if err != nil {
			return err
		}
		if r.Deleted && len(r.Changes) == 0 {
			return v.printf("The configuration was deleted. 'chatconf restore %s' brings it back.\n", name)
		}
		return v.printChanges(r.Changes)
	})
}

// printChanges prints changes, with each value in lines of its own.
func (v *verb) printChanges(changes []chat.Change) error {
	if len(changes) == 0 {
		return v.printf("Nothing changed.\n")
	}
	var b strings.Builder
	for _, change := range changes {
		b.WriteString(change.Path)
		if change.Path == chat.MoreChanges && change.After != nil { // how many more there are
			b.WriteString(" " + *change.After + "\n")
			continue
		}
		b.WriteString("\n")
		for _, side := range [...]struct {
			sign string
			text *string
		}{{"  - ", change.Before}, {"  + ", change.After}} {
			if side.text != nil {
				b.WriteString(side.sign + strings.ReplaceAll(*side.text, "\n", "\n"+side.sign) + "\n")
			}
		}
	}
	_, err := io.WriteString(v.out, paintLines(v.out, printable(b.String())))
	return err
}
