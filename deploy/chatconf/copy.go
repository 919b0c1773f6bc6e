package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
)

func newCopy() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "copy NAME [NEW_NAME] [--to-region REGION]",
		Short: "Copy a bot under another name, or into another region",
		Long: `Copy a configuration under another name, into another region, or both. Nobody needs to know its
secrets. The copy has a webhook URL of its own, and no history and no records.`,
		Example: `  chatconf copy ops ops-test
  chatconf copy ops --to-region cn-shanghai`,
		Args: between(1, 2),
	}
	newVerb(cmd, func(ctx context.Context, v *verb, args []string) error {
		name := args[0]
		if len(args) == 2 {
			name = args[1]
		} else if to == "" {
			return seeHelp(cmd, errors.New("the place of the copy is missing; give a new name, or --to-region"))
		}
		var answer chat.WriteResponse
		if err := v.ask(ctx, "CopyChatConfiguration", map[string]string{"Name": args[0], "DestinationName": name,
			"DestinationRegionId": to}, "", &answer); err != nil {
			return err
		}
		return v.print(answer, func() error {
			region := cmp.Or(to, v.region)
			where, flag := "", ""
			if region != "" {
				where, flag = " in "+region, " --region "+region
			}
			return v.printf("Copied %s to %s%s. It has a webhook URL of its own.\n"+
				"For the URL and the steps in the platform's console, run\n"+
				"'chatconf show %s --show-url%s'.\n", args[0], name, where,
				name, flag)
		})
	})
	cmd.Flags().StringVar(&to, "to-region", "", "region of the copy (default that of the original)")
	return cmd
}
