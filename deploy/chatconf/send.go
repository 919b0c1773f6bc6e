package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/platform"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

func newSend() *cobra.Command {
	var flags clientFlags
	var in sendRequest
	var store, output string
	var timeout, wait time.Duration
	var verbose bool
	cmd := &cobra.Command{
		Use:   "send NAME --user USER [--conversation CONVERSATION] MESSAGE",
		Short: "Say something to a bot as its platform would, and print the answer",
		Long: `Say something to the bot of a configuration: make a callback as its platform would, signed and encrypted with the configuration's own
secrets, post it to the configuration's webhook, and print what the platform would show of the answer. With -v, callback and answer follow
as they went over the wire. To the service the message is genuine: it is decided, recorded (see ListChatCommands), dispatched and answered.
No secret is printed, and the webhook's token only with --show-url. Anyone who has token and signature can use them until the signature
is too old.

The secrets do not leave the service: 'chatconf serve' does it, by an action that no function has. ` + sendAction + ` is to be anybody in
the chat; a policy has to name it, oos:` + sendAction + `, and --show-url needs oos:RevealChatConfigurationOutputs as well.
For a service in a cloud, --store opens its tables instead, with the key ring in CHATCONF_KEYRING (see 'chatconf tables --help' for where
they are looked for), and posts to CHATCONF_WEBHOOK_BASE_URL, by default to the service of the data directory.

What a target answers comes later, and so does any answer to an event in Feishu or Slack. A platform would show it when it is told by its
API; as the platform knows nothing of a message that was made here, the service does not call it: the answer is kept, sealed in the record,
and printed here if it comes within --wait. The callback has a header that proves to the service that SendChatMessage made it.

Modes, of which the first is taken by default; a check carries no message:
` + describeModes() + `
Some need settings that the others do not:
` + describeNeeds() + `
Exit codes: 0 it was answered, also when the command was denied; 1 the webhook refused, or something failed; 2 the command line is wrong.`,
		Example: `  chatconf send ops --user manager4220 --conversation cidexample "restart i-123"
  chatconf send ops --user manager4220 --direct help
  chatconf send ops --user manager4220 --message-id 7 status     # twice: the second time nothing happens
  chatconf send ops --mode check
  chatconf send ops --user manager4220 --dry-run -o json status`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return usagef("%s takes a configuration's name and a message in quotes, got %d arguments\nSee '%s "+
					"--help'.", cmd.CommandPath(), len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			in.Name = args[0]
			if seconds := int64((wait + time.Second - 1) / time.Second); cmd.Flags().Changed("wait") {
				in.WaitSeconds = &seconds
			}
			if _, err := in.wait(); err != nil {
				return usagef("--wait %v: write a time from 0s to %v, such as 5s", wait, maxWait)
			}
			if len(args) == 2 {
				in.Text = secret.Text(args[1])
			}
			if err := checkSaid(&in); err != nil {
				return seeHelp(cmd, err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			send := sendByService
			if store != storeFile {
				send = sendByStore
			}
			sent, err := send(ctx, &flags, store, &in)
			if err != nil {
				return err
			}
			if output == "json" {
				err = printJSON(cmd.OutOrStdout(), sent)
			} else {
				err = sent.print(cmd.OutOrStdout(), verbose || in.DryRun || in.ShowURL)
			}
			return errors.Join(err, sent.refusal())
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&in.UserID, "user", "", "who says it, as the platform writes user ids")
	cmd.Flags().StringVar(&in.UserName, "user-name", "", "what people call them (default their id)")
	cmd.Flags().StringVar(&in.ConversationID, "conversation", "",
		"where, as the platform writes conversation ids (default made up)")
	cmd.Flags().BoolVar(&in.Direct, "direct", false, "say it one to one with the bot")
	cmd.Flags().StringVar(&in.Mode, "mode", "", "the kind of callback (default the platform's usual one)")
	cmd.Flags().StringVar(&in.MessageID, "message-id", "",
		"the message's id, to deliver one message again (default made up)")
	cmd.Flags().BoolVar(&in.Previous, "previous", false,
		"sign and encrypt with the previous secrets, which a rotation replaced")
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "make the callback and print it as with -v, but do not post it")
	cmd.Flags().BoolVar(&in.ShowURL, "show-url", false,
		"print the wire as with -v, and in it the webhook's URL with its token")
	cmd.Flags().StringVar(&in.RegionID, "region", "", "region of the configuration (default that of the service)")
	cmd.Flags().StringVar(&store, "store", storeFile,
		"open the tables of a store instead of calling a local service: tablestore or dynamodb")
	cmd.Flags().DurationVar(&wait, "wait", defaultWait, "how long to wait for an answer that comes late")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print callback and answer as they went over the wire, too")
	cmd.Flags().DurationVar(&timeout, "timeout", 45*time.Second, "how long to wait for the answer")
	outputFlag(cmd, &output)
	return cmd
}

// describeModes lists the kinds of callbacks, a line for each platform.
func describeModes() string {
	var b strings.Builder
	for _, p := range platform.All().Descriptions() {
		messages, checks := platformsim.Modes(p.Type)
		for i, check := range checks {
			checks[i] = check + " (a check)"
		}
		fmt.Fprintf(&b, "  %-9s %s\n", p.Type, strings.Join(append(messages, checks...), ", "))
	}
	return b.String()
}

// describeNeeds lists the settings that only some modes need, a line for each platform with such
// modes.
func describeNeeds() string {
	var b strings.Builder
	for _, p := range platform.All().Descriptions() {
		s := platformsim.Of(p.Type)
		if s == nil {
			continue
		}
		var needs []string
		for _, m := range s.Modes {
			if m.Needs != "" {
				needs = append(needs, m.Name+": "+m.Needs)
			}
		}
		if len(needs) > 0 {
			fmt.Fprintf(&b, "  %-9s %s\n", p.Type, strings.Join(needs, "; "))
		}
	}
	return b.String()
}

// checkSaid looks for what is missing whatever the platform is. A mode that is named may be a
// check, which needs nothing.
func checkSaid(in *sendRequest) error {
	switch {
	case in.Mode != "":
		return nil
	case in.Text == "":
		return errors.New("what is to be said? Give the message, in quotes, behind the name")
	case in.UserID == "":
		return errors.New("who says it? Give --user")
	}
	return nil
}

// sendByService has the service send that the flags name.
func sendByService(ctx context.Context, flags *clientFlags, _ string, in *sendRequest) (*sendResponse, error) {
	c, err := flags.resolve(os.Getenv)
	if err != nil {
		return nil, err
	}
	answer, err := c.do(ctx, sendAction, in.params(), "")
	var refused *refusedError
	switch {
	case errors.As(err, &refused) && refused.code == "InvalidApi.NotFound":
		return nil, fmt.Errorf("%s offers no %s: only 'chatconf serve' does; for a service in a cloud give --store",
			c.endpoint, sendAction)
	case err != nil:
		return nil, err
	}
	sent := new(sendResponse)
	if err := json.Unmarshal(answer, sent); err != nil || sent.Request.Method == "" {
		return nil, fmt.Errorf("the answer of %s is not that of %s", c.endpoint, sendAction)
	}
	return sent, nil
}

// sendByStore sends with what the tables of a store say, as whoever may read and open these.
func sendByStore(ctx context.Context, flags *clientFlags, store string, in *sendRequest) (*sendResponse, error) {
	settings, err := localSettings(flags.data)
	if err != nil {
		return nil, err
	}
	if settings.WebhookBaseURL == "" {
		settings.WebhookBaseURL, err = app.ReadEndpoint(settings.Data)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("CHATCONF_WEBHOOK_BASE_URL: wanted what the URLs of the service's webhooks begin with")
		} else if err != nil {
			return nil, err
		}
	}
	var sent *sendResponse
	err = withStore(ctx, store, settings, func(l *app.Local, s app.Settings) error {
		admin := &chat.Caller{Account: s.AccountID, Name: "chatconf send", Policies: []*policy.Policy{policy.Owner()}}
		p := &player{client: httpClient, now: time.Now}
		if file := firstOf(flags.caCert, os.Getenv("CHATCONF_ROOTS")); file != "" {
			p.trust = []string{file}
		}
		sent, err = p.send(l.Service, chat.WithCaller(ctx, admin), in)
		return err
	})
	return sent, err
}

// refusal returns what went wrong with a callback that was sent, as an error.
func (r *sendResponse) refusal() error {
	switch {
	case r.ok():
		return nil
	case r.Problem != "":
		return errors.New(r.Problem)
	case r.Answer.Status == http.StatusUnauthorized:
		return fmt.Errorf("the webhook refused the callback; 'chatconf call "+
			"GetChatConfigurationHealth Name=%s' says why", r.Name)
	}
	return fmt.Errorf("the webhook answered %d", r.Answer.Status)
}
