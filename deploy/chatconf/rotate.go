package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
)

// keyWebhook is the KEY of the token in the webhook's URL, as GetChatConfiguration lists it.
const keyWebhook = "Webhook"

func newRotate() *cobra.Command {
	grace := graceTime(chat.DefaultGrace * time.Second)
	var showURL bool
	cmd := newVerb(&cobra.Command{
		Use:   "rotate NAME [KEY | KEY=@FILE]",
		Short: "Replace a secret of a bot, or the URL of its webhook, without an outage",
		Long: `Replace one secret of a configuration. The present value stays valid for the grace time, so the bot
continues to work while you enter the new one in the platform's console. You do not need to know the
present value. A token that only chatconf uses is replaced at once.

Without KEY, the secrets are listed: since when each is in use, and a digest that changes with it.
The key ` + keyWebhook + ` is the secret part of the webhook's URL.

The new value is read from a file with KEY=@FILE, from standard input with KEY=@-, and otherwise
asked for on a terminal. It is never an argument, because other users of the machine can see those.
Without a value the service makes one, for keys where the platform accepts any.`,
		Example: `  chatconf rotate ops
  chatconf rotate ops Webhook --show-url
  chatconf rotate ops DingTalkClientSecret
  chatconf rotate ops Target.Secret=@new-secret.txt --grace 1h`,
		Args: between(1, 2),
	}, func(ctx context.Context, v *verb, args []string) error {
		seconds := int64(time.Duration(grace) / time.Second)
		params := map[string]string{"Name": args[0], "GraceSeconds": strconv.FormatInt(seconds, 10)}
		if len(args) == 1 {
			return v.listSecrets(ctx, args[0])
		}
		return v.rotate(ctx, params, args[1], showURL)
	})
	cmd.Flags().Var(&grace, "grace", "how long the present value stays valid, such as 90m, 24h or 7d")
	cmd.Flags().BoolVar(&showURL, "show-url", false,
		"print the new URL with its token, and other new secrets of "+keyWebhook)
	return cmd
}

// A graceTime is a flag: how long the value before a rotation stays valid.
type graceTime time.Duration

// Set reads a time such as 90m, 24h or 7d.
func (g *graceTime) Set(text string) error {
	d, err := time.ParseDuration(text)
	if count, ok := strings.CutSuffix(text, "d"); ok {
		var days uint64
		days, err = strconv.ParseUint(count, 10, 8)
		d = time.Duration(days) * 24 * time.Hour
	}
	if err != nil || d < 0 || d > chat.MaxGrace*time.Second {
		return errors.New("write a time up to 7d, such as 90m, 24h or 2d")
	}
	*g = graceTime(d)
	return nil
}

// String returns the time in hours if it is a number of them.
func (g *graceTime) String() string {
	if d := time.Duration(*g); d%time.Hour != 0 {
		return d.String()
	}
	return fmt.Sprintf("%.0fh", time.Duration(*g).Hours())
}

// Type returns the word for the value in the help.
func (g *graceTime) Type() string { return "time" }

// rotate rotates the webhook or a secret, as the argument KEY, KEY=@FILE or KEY=@- says.
func (v *verb) rotate(ctx context.Context, params map[string]string, arg string, showURL bool) error {
	key, value, given := strings.Cut(arg, "=")
	path, file := strings.CutPrefix(value, "@")
	switch {
	case key == "":
		return usagef("the key is missing; 'chatconf rotate %s' lists the keys", params["Name"])
	case key != keyWebhook && strings.EqualFold(key, keyWebhook):
		return usagef("unknown key %q; did you mean %s?", key, keyWebhook)
	case given && !file: // not shown: it is a secret
		return usagef("the new value of %s must not be an argument, which others can see; "+
			"write %s=@FILE, or %s=@- for standard input", key, key, key)
	case key == keyWebhook && given:
		return usagef("%s takes no value, because the service makes it; write only %s", key, key)
	case key == keyWebhook:
		return v.rotateWebhook(ctx, params, showURL)
	case given:
		text, err := readFileOrStdin(path, v.in)
		if err != nil {
			return usagef("the new value of %s: %w", key, err)
		}
		if params["Value"] = strings.TrimRight(string(text), "\r\n"); params["Value"] == "" {
			return usagef("the new value of %s is empty; write only %s to let the service make one", key, key)
		}
	case v.asks:
		text, err := v.hidden(ctx, fmt.Sprintf("New value of %s (empty: the service makes one): ", key))
		if err != nil {
			return err
		}
		params["Value"] = text.Reveal()
	}
	params["Key"] = key
	return v.rotateSecret(ctx, params)
}

// listSecrets lists the secrets of a configuration.
func (v *verb) listSecrets(ctx context.Context, name string) error {
	var answer chat.GetResponse
	if err := v.ask(ctx, "GetChatConfiguration", map[string]string{"Name": name}, "", &answer); err != nil {
		return err
	}
	secrets := answer.ChatConfiguration.Secrets
	return v.print(secrets, func() error {
		var rows [][]string
		for _, s := range secrets {
			rows = append(rows, []string{s.Key, shortDate(s.SinceDate), s.Digest, shortDate(s.PreviousUntil)})
		}
		return printTable(v.out, []string{"KEY", "SINCE (UTC)", "DIGEST", "PREVIOUS VALID UNTIL"}, rows)
	})
}

// rotateSecret rotates one secret of a configuration.
func (v *verb) rotateSecret(ctx context.Context, params map[string]string) error {
	var answer chat.RotateSecretResponse
	err := v.ask(ctx, "RotateChatSecret", params, "", &answer)
	var refused *refusedError
	if errors.As(err, &refused) && refused.code == "MissingParameter.Value" {
		return fmt.Errorf("%w\n  to give the value, write %s=@FILE, or %s=@- for standard input", err, params["Key"],
			params["Key"])
	}
	if err != nil {
		return err
	}
	return v.print(answer, func() error {
		changed := answer.ChatConfiguration.Secret
		if err := v.printf("Rotated %s of %s. Its digest is %s.\n", changed.Key, params["Name"],
			changed.Digest); err != nil {
			return err
		}
		if params["Value"] == "" {
			if err := v.printf("The service made the new value; it is in Outputs of GetChatConfiguration, " +
				"for callers that\nmay reveal them.\n"); err != nil {
				return err
			}
		}
		if changed.PreviousUntil == "" {
			return v.printf("The previous value is no longer valid.\n")
		}
		return v.printf("The previous value is valid until %s UTC.\n", shortDate(changed.PreviousUntil))
	})
}

// rotateWebhook rotates the webhook's URL, and what the service generates for the platform.
func (v *verb) rotateWebhook(ctx context.Context, params map[string]string, show bool) error {
	var answer chat.RotateResponse
	if err := v.ask(ctx, "RotateChatWebhook", params, "", &answer); err != nil {
		return err
	}
	out := &answer.ChatConfiguration
	if !show {
		out.Outputs = ""
	}
	return v.print(answer, func() error {
		if err := v.printf("The webhook of %s has a new URL. The old one is valid until %s UTC.\n", out.Name,
			shortDate(out.GraceUntil)); err != nil {
			return err
		}
		if !show {
			return v.printf("Enter the new one in the platform's console. To see it, run\n"+
				"'chatconf show %s --show-url'.\n", out.Name)
		}
		var outputs struct{ URL, AesKey, Token string }
		if err := json.Unmarshal([]byte(out.Outputs), &outputs); err != nil {
			return v.client.notJSON("RotateChatWebhook")
		}
		for _, line := range [...][2]string{{"URL", outputs.URL}, {"AesKey", outputs.AesKey},
			{"Token", outputs.Token}} {
			if line[1] == "" {
				continue
			}
			if err := v.printf("%-7s %s\n", line[0], line[1]); err != nil {
				return err
			}
		}
		return nil
	})
}
