package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

func newSet() *cobra.Command {
	cmd := newVerb(&cobra.Command{
		Use:   "set NAME KEY=VALUE | KEY=@FILE | KEY=@- ...",
		Short: "Change settings of a bot",
		Long: `Change settings of a bot: keys of its Configuration, and Status, RamRole and ResourceGroupId. All
other settings stay as they are.

KEY=@FILE reads the value from a file, KEY=@- from standard input. A secret must not be an argument,
because other users of the machine can see those. KEY alone asks for the value on a terminal. KEY=
removes a key. A list may be written with commas; an object is JSON or YAML. A key inside another
one is written with a dot, such as Target.Url.

'chatconf rotate' replaces a secret without an outage: the present one stays valid for a while.`,
		Example: `  chatconf set ops Status=Inactive
  chatconf set ops BotName=Ops ConversationIds=c1,c2
  chatconf set ops Permissions=@permissions.yaml
  chatconf set ops DingTalkClientSecret=@-`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return seeHelp(cmd, errors.New("nothing to change; write the name of a bot and KEY=VALUE"))
			}
			return nil
		},
	}, func(ctx context.Context, v *verb, args []string) error { return v.set(ctx, args[0], args[1:]) })
	return cmd
}

// set changes settings of a bot. If another caller changes others meanwhile, it tries again.
func (v *verb) set(ctx context.Context, name string, args []string) error {
	const tries = 3
	given := make(map[string]secret.Text) // standard input cannot be read twice
	for try := 1; ; try++ {
		before, err := v.get(ctx, name)
		if err != nil {
			return err
		}
		d, err := draftOf(before)
		if err != nil {
			return err
		}
		d.given = given
		if err := v.assign(ctx, d, args); err != nil {
			return err
		}
		answer, err := v.update(ctx, before, d)
		if isConflict(err) && try < tries {
			continue
		}
		if err != nil {
			return err
		}
		return v.print(answer, func() error { return v.printUpdated(before, answer) })
	}
}

// draftOf returns a bot as it is, to be changed.
func draftOf(c *chat.Configuration) (*draft, error) {
	p, err := platformOf(c.Type)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	root, err := document.Parse("Configuration", c.Configuration)
	if err == nil && root.Kind != document.Object {
		err = errors.New("the Configuration is not an object")
	}
	if err != nil {
		return nil, fmt.Errorf("the service shows the bot %q in an unknown form: %w", c.Name, err)
	}
	return newDraft(p, root), nil
}

// update checks and sends a draft of a bot, only if the bot is at the revision that it was read at.
func (v *verb) update(ctx context.Context, before *chat.Configuration, d *draft) (*chat.WriteResponse, error) {
	configuration := secret.Text(d.root.String())
	in := chat.UpdateRequest{RegionID: v.region, Name: before.Name, Type: d.platform.Type,
		Configuration: &configuration, Status: d.params["Status"]}
	for param, field := range map[string]**string{"RamRole": &in.RamRole, "ResourceGroupId": &in.ResourceGroupID} {
		if text, ok := d.params[param]; ok {
			*field = &text
		}
	}
	if err := checkRequest(&in); err != nil {
		return nil, err
	}
	params := maps.Clone(d.params)
	params["Name"], params["Configuration"] = before.Name, configuration.Reveal()
	if before.Revision != 0 {
		params["Revision"] = strconv.FormatInt(before.Revision, 10)
	}
	if v.region != "" {
		params["RegionId"] = v.region
	}
	var answer chat.WriteResponse
	if err := v.client.send(ctx, "UpdateChatConfiguration", params, "", &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// isConflict reports whether another caller has changed the bot meanwhile.
func isConflict(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) && refused.status == http.StatusConflict && refused.code == "OperationConflict"
}

// printUpdated prints what an update has done.
func (v *verb) printUpdated(before *chat.Configuration, answer *chat.WriteResponse) error {
	now := answer.ChatConfiguration
	if before.Revision != 0 && now.Revision == before.Revision {
		return v.printf("%s already has these values; nothing was changed.\n", before.Name)
	}
	if now.Revision == 0 {
		return v.printf("Changed %s.\n", before.Name)
	}
	return v.printf("Changed %s; it is at revision %d. 'chatconf diff %s%s' shows the change.\n", before.Name,
		now.Revision, before.Name, v.inRegion())
}
