package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
)

func newRestore() *cobra.Command {
	var yes bool
	cmd := newVerb(&cobra.Command{
		Use:   "restore NAME [REVISION]",
		Short: "Restore an earlier revision of a bot, or a deleted bot",
		Long: `Restore a configuration as it was at an earlier revision, with its secrets. This makes a new
revision. Without REVISION, the one before the present one is restored, or a deleted configuration
as it was.

The command shows what will change, and asks. If another caller changes the configuration meanwhile,
nothing is restored.`,
		Example: `  chatconf restore ops
  chatconf restore ops 3 --yes`,
		Args: between(1, 2),
	}, func(ctx context.Context, v *verb, args []string) error {
		numbers, err := parseRevisions(args[1:])
		if err != nil {
			return err
		}
		return v.restore(ctx, args[0], append(numbers, 0)[0], yes)
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// restore restores a revision, or for 0 the one before the present one.
func (v *verb) restore(ctx context.Context, name string, revision int64, yes bool) error {
	present, before, err := v.lastTwo(ctx, name)
	if err != nil {
		return err
	}
	switch {
	case revision != 0:
		before = revision
	case before == 0:
		return fmt.Errorf("%s has no revision before %d that is kept", name, present.Revision)
	}
	plan, err := v.revision(ctx, name, before, present.Revision)
	if err != nil {
		return err
	}
	changes := plan.ChatConfigurationRevision.Changes
	answer := chat.RestoreResponse{ChatConfiguration: chat.Restored{Name: name, Revision: present.Revision,
		RestoredRevision: before, Changes: []chat.Change{}}}
	if !present.Deleted && len(changes) == 0 {
		return v.print(answer, func() error {
			return v.printf("%s is what it was at revision %d; nothing to do.\n", name, before)
		})
	}
	typed := slices.IndexFunc(changes, func(c chat.Change) bool { return c.Path == "Type" })
	if !present.Deleted && typed >= 0 && changes[typed].Before != nil && changes[typed].After != nil {
		return fmt.Errorf("%s has the Type %s now, and revision %d has %s, which no restore can change; delete %s "+
			"first, and restore the revision then", name, *changes[typed].Before, before, *changes[typed].After, name)
	}
	if !isData(v.output) {
		if err := v.printPlan(name, present, before, changes); err != nil {
			return err
		}
	}
	if err := v.confirm(ctx, fmt.Sprintf("Restore revision %d of %s?", before, name), yes); err != nil {
		return err
	}
	if err := v.ask(ctx, "RestoreChatConfiguration", map[string]string{"Name": name,
		"Revision":         strconv.FormatInt(before, 10),
		"ExpectedRevision": strconv.FormatInt(present.Revision, 10)}, "", &answer); err != nil {
		return err
	}
	return v.print(answer, func() error {
		return v.printf("Restored revision %d of %s as revision %d.\n", before, name,
			answer.ChatConfiguration.Revision)
	})
}

// lastTwo returns the last revision of a name, and the number of the last one before it that is no
// deletion; 0 if none is kept.
func (v *verb) lastTwo(ctx context.Context, name string) (last chat.Revision, before int64, err error) {
	const enough = 3 // a deletion may be among them, but never two in a row
	list, err := v.revisions(ctx, name, enough)
	if err != nil {
		return chat.Revision{}, 0, err
	}
	last, list = list[0], list[1:]
	if i := slices.IndexFunc(list, func(r chat.Revision) bool { return !r.Deleted }); i >= 0 {
		before = list[i].Revision
	}
	return last, before, nil
}

// printPlan prints what a restore will change.
func (v *verb) printPlan(name string, present chat.Revision, before int64, changes []chat.Change) error {
	if present.Deleted {
		return v.printf("%s was deleted at %s UTC by %s. It will be what it was at revision %d.\n", name,
			shortDate(present.Date), present.Caller, before)
	}
	if err := v.printf("%s will change from revision %d to what it was at revision %d:\n\n", name, present.Revision,
		before); err != nil {
		return err
	}
	if err := v.printChanges(changes); err != nil {
		return err
	}
	return v.printf("\n")
}
