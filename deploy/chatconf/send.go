package main

import (
	"cmp"
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
	var v verb // for its flags and completion
	var in sendRequest
	var store, output string
	var timeout, wait time.Duration
	var verbose bool
	cmd := &cobra.Command{
		Use:   "send NAME --user USER [--conversation CONVERSATION] MESSAGE",
		Short: "Send a message to a bot as its platform would, and print the answer",
		Long: `Send a message to the bot of a configuration. The callback is what the platform would send, signed
and encrypted with the configuration's own secrets. It is posted to the configuration's webhook, and
the output is what the platform would show of the answer. For the service the message is genuine:
it is checked against Permissions, recorded (see 'chatconf log'), dispatched and answered.

With -v the callback and its answer are also printed as they were sent. Secrets are never printed,
and the webhook's token only with --show-url. Anyone with the token and the signature can use them
until the signature expires.

The secrets do not leave the service: 'chatconf serve' makes the callback, in the action
` + sendAction + `, which functions do not have. A caller with this right can be any user in the
chat. So a policy must allow oos:` + sendAction + ` by name, and for --show-url also
oos:RevealChatConfigurationOutputs.

For a service in a cloud use --store. Then the tool opens the tables itself, with the key ring in
CHATCONF_KEYRING (settings: 'chatconf tables --help'). It posts to CHATCONF_WEBHOOK_BASE_URL, by
default to the service of the data directory.

Targets answer later, and Feishu and Slack events always get a late answer. The service does not
send such an answer through the platform's API, because the platform does not know the message. It
keeps the answer in the record, encrypted, and the tool prints it if it arrives within --wait.
A header proves to the service that ` + sendAction + ` made the callback.

With --mode stream the message goes over the connection that the service has opened for a bot with
"Receive":"Stream". A stand-in for the platform sends the message. Start the stand-in with 'chatconf
serve --emulate' and the platform, such as --emulate slack. Then this mode is the default for such a
bot. You see the answers that the stand-in gets.

Modes by platform; the first is the default, and a check carries no message:
` + describeModes() + `
Some modes need additional settings:
` + describeNeeds() + `
Exit codes: 0 the webhook answered, also if the command was denied; 1 the webhook refused the
callback, or an error occurred; 2 the command line is invalid.`,
		Example: `  chatconf send ops --user manager4220 --conversation cidexample "restart i-123"
  chatconf send ops --user manager4220 --direct help
  chatconf send ops --user manager4220 --message-id 7 status    # a second time it is a duplicate
  chatconf send ops --mode check
  chatconf send ops --user manager4220 --mode stream whoami
  chatconf send ops --user manager4220 --dry-run -o json status`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return seeHelp(cmd, fmt.Errorf("%s needs a name and a message in quotes; write '%s'", cmd.CommandPath(),
					cmd.UseLine()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			in.Name, in.RegionID = args[0], v.region
			if seconds := int64((wait + time.Second - 1) / time.Second); cmd.Flags().Changed("wait") {
				in.WaitSeconds = &seconds
			}
			if _, err := in.wait(); err != nil {
				return usagef("--wait %v is invalid; write a time from 0s to %v, such as 5s", wait, maxWait)
			}
			if len(args) == 2 {
				in.Text = secret.Text(args[1])
			}
			if err := checkMessage(&in); err != nil {
				return seeHelp(cmd, err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			send := sendByService
			if store != storeFile {
				send = sendByStore
			}
			sent, err := send(ctx, &v.clientFlags, store, &in)
			if err != nil {
				return err
			}
			if isData(output) {
				err = printData(cmd.OutOrStdout(), output, sent)
			} else {
				err = sent.print(cmd.OutOrStdout(), verbose || in.DryRun || in.ShowURL)
			}
			return errors.Join(err, sent.refusal())
		},
	}
	v.add(cmd)
	cmd.ValidArgsFunction = v.completeArgument
	cmd.Flags().StringVar(&in.UserID, "user", "", "user id of the sender, as the platform writes it")
	cmd.Flags().StringVar(&in.UserName, "user-name", "", "display name of the sender (default the user id)")
	cmd.Flags().StringVar(&in.ConversationID, "conversation", "",
		"conversation id, as the platform writes it (default an example)")
	cmd.Flags().BoolVar(&in.Direct, "direct", false, "send the message in a direct conversation with the bot")
	cmd.Flags().StringVar(&in.Mode, "mode", "", "what the platform sends (default the first mode of the platform)")
	cmd.RegisterFlagCompletionFunc("mode", v.completeModes)
	cmd.Flags().StringVar(&in.MessageID, "message-id", "",
		"id of the message; use it twice to send a duplicate (default generated)")
	cmd.Flags().BoolVar(&in.Previous, "previous", false,
		"sign and encrypt with the previous secrets, from before a rotation")
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "print the callback as with -v, and do not post it")
	cmd.Flags().BoolVar(&in.ShowURL, "show-url", false,
		"print as with -v, including the webhook's URL with its token")
	cmd.Flags().StringVar(&v.region, "region", "", "region of the configuration (default the region of the service)")
	cmd.Flags().StringVar(&store, "store", storeFile,
		"use the tables of a store instead of a local service: tablestore or dynamodb")
	cmd.Flags().DurationVar(&wait, "wait", defaultWait, "how long to wait for a late answer")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also print the callback and its answer as they were sent")
	cmd.Flags().DurationVar(&timeout, "timeout", 45*time.Second, "how long to wait for the answer")
	outputFlag(cmd, &output)
	return cmd
}

// describeModes lists the kinds of callbacks, one line for each platform.
func describeModes() string {
	var b strings.Builder
	for _, p := range platform.All().Descriptions() {
		messages, checks := modesOf(p.Type)
		for i, check := range checks {
			checks[i] = check + " (a check)"
		}
		fmt.Fprintf(&b, "  %-9s %s\n", p.Type, strings.Join(append(messages, checks...), ", "))
	}
	return b.String()
}

// modesOf returns the modes of a platform: those with a message, and those that check the URL.
func modesOf(platformType string) (messages, checks []string) {
	messages, checks = platformsim.Modes(platformType)
	if standInOf(platformType) != "" {
		messages = append(messages, modeStream)
	}
	return messages, checks
}

// describeNeeds lists the settings that only some modes need, one line for each such mode.
func describeNeeds() string {
	var b strings.Builder
	for _, p := range platform.All().Descriptions() {
		s := platformsim.Of(p.Type)
		if s == nil {
			continue
		}
		for _, m := range s.Modes {
			if m.Needs != "" {
				fmt.Fprintf(&b, "  %-9s %-11s %s\n", p.Type, m.Name, m.Needs)
			}
		}
	}
	return b.String()
}

// checkMessage returns an error if something is missing for every platform. Another mode than
// stream may be a check, which needs nothing.
func checkMessage(in *sendRequest) error {
	switch {
	case in.Mode != "" && in.Mode != modeStream:
		return nil
	case in.Text == "":
		return errors.New("the message is missing; write it in quotes after the name")
	case in.UserID == "":
		return errors.New("the sender is missing; use --user")
	}
	return nil
}

// sendByService calls SendChatMessage of the service that the flags name.
func sendByService(ctx context.Context, flags *clientFlags, _ string, in *sendRequest) (*sendResponse, error) {
	c, err := flags.resolve(os.Getenv)
	if err != nil {
		return nil, err
	}
	answer, err := c.do(ctx, sendAction, in.params(), "")
	var refused *refusedError
	switch {
	case errors.As(err, &refused) && refused.code == "InvalidApi.NotFound":
		return nil, fmt.Errorf("%s has no action %s; use 'chatconf serve', or --store for a service in a cloud",
			c.endpoint, sendAction)
	case err != nil:
		return nil, err
	}
	sent := new(sendResponse)
	if err := json.Unmarshal(answer, sent); err != nil || sent.Mode == "" {
		return nil, fmt.Errorf("%s sent no answer of %s; check that it is a chatconf service", c.endpoint, sendAction)
	}
	return sent, nil
}

// sendByStore sends with the configuration in the tables of a store. It needs no access key: the
// caller can read and decrypt the tables.
func sendByStore(ctx context.Context, flags *clientFlags, store string, in *sendRequest) (*sendResponse, error) {
	settings, err := localSettings(flags.data)
	if err != nil {
		return nil, err
	}
	if settings.WebhookBaseURL == "" {
		settings.WebhookBaseURL, err = app.ReadEndpoint(settings.Data)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("CHATCONF_WEBHOOK_BASE_URL is not set; set it to the public URL of the service, " +
				"such as https://chatconf.example.com")
		} else if err != nil {
			return nil, err
		}
	}
	var sent *sendResponse
	err = withStore(ctx, store, settings, func(l *app.Local, s app.Settings) error {
		admin := &chat.Caller{Account: s.AccountID, Name: "chatconf send", Policies: []*policy.Policy{policy.Owner()}}
		p := &simulator{client: httpClient, now: time.Now}
		if file := cmp.Or(flags.caCert, os.Getenv("CHATCONF_ROOTS")); file != "" {
			p.trust = []string{file}
		}
		sent, err = p.send(l.Service, chat.WithCaller(ctx, admin), in)
		return err
	})
	return sent, err
}

// refusal returns the error of a callback that failed, nil if it succeeded.
func (r *sendResponse) refusal() error {
	switch {
	case r.ok():
		return nil
	case r.Problem != "":
		return errors.New(r.Problem)
	case r.Answer.Status == http.StatusUnauthorized:
		return fmt.Errorf("the webhook refused the callback; "+
			"for the reason run 'chatconf call GetChatConfigurationHealth Name=%s'", r.Name)
	}
	return fmt.Errorf("the webhook answered with status %d", r.Answer.Status)
}
