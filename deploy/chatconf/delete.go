package main

import (
	"context"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
)

func newDelete() *cobra.Command {
	var yes bool
	cmd := newVerb(&cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a bot",
		Long: `Delete a bot. Its webhook accepts no message from then on. The command shows the bot, and asks.

The history of the name stays: 'chatconf restore' brings the bot back, with its secrets.`,
		Example: `  chatconf delete ops
  chatconf delete ops --yes`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error {
		name := args[0]
		what := name
		if !yes { // who may delete a bot may perhaps not see it
			if c, err := v.get(ctx, name); err == nil {
				what += ", a bot of " + c.Type + " that is " + c.Status
			} else if !isForbidden(err) {
				return err
			}
			if h, err := v.health(ctx, name); err == nil && h.LastCommandDate != "" {
				what += ", last message " + shortDate(h.LastCommandDate) + " UTC"
			}
		}
		if err := v.confirm(ctx, "Delete "+what+"?", yes); err != nil {
			return err
		}
		var answer chat.DeleteResponse
		if err := v.ask(ctx, "DeleteChatConfiguration", map[string]string{"Name": name}, "", &answer); err != nil {
			return err
		}
		return v.print(answer, func() error {
			return v.printf("Deleted %s. 'chatconf restore %s%s' brings it back.\n", name, name, v.inRegion())
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
