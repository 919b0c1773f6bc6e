package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// A newBot has the flags and arguments of 'chatconf create'.
type newBot struct {
	kind, from, role, status string
	tags                     []string
}

func newCreate() *cobra.Command {
	var in newBot
	cmd := newVerb(&cobra.Command{
		Use:   "create NAME --type TYPE [KEY=VALUE | KEY=@FILE]...",
		Short: "Create a bot; on a terminal you are asked for its settings",
		Long: `Create a bot. On a terminal you are asked how messages come, and then for the settings of the
platform, one after the other. Each answer is checked at once. Secrets are not shown while you type.

--from names a file with the Configuration, as YAML or JSON. KEY=VALUE and KEY=@FILE give
single settings in addition. A secret must not be an argument, because other users of the machine
can see those: write KEY=@FILE, or KEY=@- for standard input.

All mistakes are found before anything is sent. The keys of each platform are in
shared/platform/README.md.`,
		Example: `  chatconf create ops --type Slack
  chatconf create ops --type DingTalk --from ops.yaml --tag env=prod
  chatconf create ops --type DingTalk DingTalkClientId=dingexample DingTalkClientSecret=@secret.txt
  chatconf create ops --type Slack Receive=Stream SlackAppToken=@token.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return seeHelp(cmd, errors.New("the name of the new bot is missing"))
			}
			for _, tag := range in.tags {
				if key, _, ok := strings.Cut(tag, "="); !ok || key == "" {
					return seeHelp(cmd, fmt.Errorf("--tag %q is invalid; write KEY=VALUE, such as env=prod", tag))
				}
			}
			return nil
		},
	}, func(ctx context.Context, v *verb, args []string) error { return v.create(ctx, &in, args[0], args[1:]) })
	flags := cmd.Flags()
	flags.StringVar(&in.kind, "type", "", "platform of the bot, such as DingTalk or Lark")
	flags.StringVar(&in.from, "from", "", "file with the Configuration in YAML or JSON, - for standard input")
	flags.StringVar(&in.role, "role", "", "RAM role of its commands")
	flags.StringVar(&in.status, "status", "", "Active (default) or Inactive")
	flags.StringArrayVar(&in.tags, "tag", nil, "tag of the bot, such as env=prod; may be repeated")
	completeFlag(cmd, "type", typeNames()...)
	completeFlag(cmd, "status", chat.StatusActive, chat.StatusInactive)
	return cmd
}

// create creates a bot, from a file, from arguments or by asking.
func (v *verb) create(ctx context.Context, in *newBot, name string, args []string) (err error) {
	if in.kind == "" && v.asks {
		if in.kind, err = v.askText(ctx, "Type ("+strings.Join(typeNames(), ", ")+"): "); err != nil {
			return err
		}
	}
	if in.kind == "" {
		return usagef("the type is missing; use --type with one of %s", strings.Join(typeNames(), ", "))
	}
	p, err := platformOf(in.kind)
	if err != nil {
		return usagef("--type: %w", err)
	}
	d := newDraft(p, objectOf())
	if in.from != "" {
		if d.root, err = v.readConfiguration(in.from); err != nil {
			return err
		}
	}
	if err := v.assign(ctx, d, args); err != nil {
		return err
	}
	for param, text := range map[string]string{"RamRole": in.role, "Status": in.status} {
		if text != "" {
			d.params[param] = text
		}
	}
	switch {
	case in.from == "" && v.asks:
		// Mistakes so far are reported before the questions. An update has the same rules.
		role := d.params["RamRole"]
		if err := checkRequest(&chat.UpdateRequest{RegionID: v.region, Name: name, RamRole: &role,
			Status: d.params["Status"]}); err != nil {
			return err
		}
		if err := v.askSettings(ctx, d); err != nil {
			return err
		}
	case in.from == "" && len(args) == 0:
		return usagef("standard input is not a terminal; use --from FILE, or KEY=VALUE")
	}
	tags := make(map[string]string)
	for _, tag := range in.tags {
		key, value, _ := strings.Cut(tag, "=")
		tags[key] = value
	}
	configuration := secret.Text(d.root.String())
	if err := checkRequest(&chat.CreateRequest{RegionID: v.region, Name: name, Type: d.platform.Type,
		RamRole: d.params["RamRole"], Status: d.params["Status"], ResourceGroupID: d.params["ResourceGroupId"],
		Configuration: configuration, Tags: tags}); err != nil {
		return err
	}
	params := map[string]string{"Name": name, "Type": d.platform.Type, "Configuration": configuration.Reveal()}
	for param, text := range d.params {
		params[param] = text
	}
	if len(tags) > 0 {
		params["Tags"] = string(document.Marshal(tags))
	}
	var answer chat.WriteResponse
	if err := v.ask(ctx, "CreateChatConfiguration", params, "", &answer); err != nil {
		return err
	}
	return v.print(answer, func() error {
		const stream = "Created %s. For the steps in the platform's console and the state of the connection run\n" +
			"'chatconf show %[1]s%s'.\n"
		if command.ReceiveOf(d.root) == command.ReceiveStream {
			return v.printf(stream, name, v.inRegion())
		}
		return v.printf("Created %s. For its webhook's URL and the steps in the platform's console run\n"+
			"'chatconf show %s --show-url%s'.\n", name, name, v.inRegion())
	})
}

// inRegion returns the flag for the verb's region, after a blank; empty without one.
func (v *verb) inRegion() string {
	if v.region == "" {
		return ""
	}
	return " --region " + v.region
}

// readConfiguration reads a Configuration from a file, or from standard input for -.
func (v *verb) readConfiguration(path string) (*document.Node, error) {
	text, err := readFileOrStdin(path, v.in)
	if err != nil {
		return nil, usagef("--from: %w", err)
	}
	root, err := parseYAML("--from "+path, text)
	switch {
	case err != nil:
		return nil, usagef("%w", err)
	case root.Kind != document.Object:
		return nil, usagef("--from %s is %v; write the keys of the Configuration", path, root.Kind)
	case root.Get("Configuration") != nil:
		return nil, usagef("--from %s is a bot file; write only what is under its key Configuration", path)
	}
	return root, nil
}

// askReceive asks how messages come, if the platform has more than one way.
func (v *verb) askReceive(ctx context.Context, d *draft) error {
	if d.platform.StreamSetup == nil || d.root.Get(command.KeyReceive) != nil {
		return nil
	}
	words := command.OneOf(command.ReceiveWebhook, command.ReceiveStream)
	for {
		text, err := v.askText(ctx, "Receive, Webhook if "+d.platform.Title+" can call your service, or Stream to let "+
			"chatconf connect to "+d.platform.Title+" (Enter: Webhook): ")
		if err != nil || text == "" {
			return err
		}
		for _, word := range words.Words {
			if strings.EqualFold(text, word) {
				return put(d.root, []string{command.KeyReceive}, textNode(word))
			}
		}
		if err := v.note("  This is invalid; write " + words.Want + "."); err != nil {
			return err
		}
	}
}

// askSettings asks a person for the settings that a draft does not have, and who may run commands.
func (v *verb) askSettings(ctx context.Context, d *draft) error {
	if err := v.askReceive(ctx, d); err != nil {
		return err
	}
	receive := command.ReceiveOf(d.root)
	for _, s := range d.platform.Settings {
		if d.root.Get(s.Key) != nil || s.Generate || !s.Applies(receive) || strings.HasSuffix(s.Key, command.Previous) {
			continue
		}
		text, err := v.askSetting(ctx, s)
		if err != nil {
			return err
		}
		if text != "" {
			d.root.Members = append(d.root.Members, document.Member{Key: s.Key, Value: textNode(text.Reveal())})
		}
	}
	if d.root.Get(command.KeyPermissions) != nil {
		return nil
	}
	for {
		text, err := v.askText(ctx, "Ids of users who may run every command, with commas (Enter: nobody yet): ")
		if err != nil || text == "" {
			return err
		}
		users, wrong := &document.Node{Kind: document.Array}, ""
		for id := range strings.SplitSeq(text, ",") {
			if id = strings.TrimSpace(id); !command.ID.Fits(id) {
				wrong = id
			}
			users.Items = append(users.Items, textNode("user:"+id))
		}
		if wrong != "" {
			if err := v.note(fmt.Sprintf("  %q is not an id; write %s.", wrong, command.ID.Want)); err != nil {
				return err
			}
			continue
		}
		all := &document.Node{Kind: document.Array, Items: []*document.Node{textNode("*")}}
		statement := objectOf("Effect", "Allow")
		statement.Members = append(statement.Members, document.Member{Key: "Principals", Value: users},
			document.Member{Key: "Commands", Value: all})
		return put(d.root, []string{command.KeyPermissions},
			&document.Node{Kind: document.Array, Items: []*document.Node{statement}})
	}
}

// askSetting asks for the value of a setting until it is valid. An optional one may be empty.
func (v *verb) askSetting(ctx context.Context, s command.Setting) (secret.Text, error) {
	prompt := s.Key + ", " + s.Help
	if !s.Required {
		prompt += " (Enter: none)"
	}
	for {
		var text secret.Text
		var err error
		if s.Secret {
			text, err = v.hidden(ctx, prompt+": ")
		} else {
			var typed string
			typed, err = v.askText(ctx, prompt+": ")
			text = secret.Text(typed)
		}
		switch {
		case err != nil:
			return "", err
		case text == "" && !s.Required, s.Shape.Fits(text.Reveal()):
			return text, nil
		}
		if err := v.note("  This is invalid; write " + s.Shape.Want + "."); err != nil {
			return "", err
		}
	}
}
