package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"chatconf/shared/chat"
	"chatconf/shared/secret"
)

// callTimeout is how long a verb waits for one answer.
const callTimeout = 30 * time.Second

// completeTimeout is how long a person waits for the completion of a name.
var completeTimeout = 2 * time.Second

// A verb is a command of daily work. It is thin: it calls actions of the API and prints their
// answers as tables for people, or with -o json and -o yaml as the API has them.
type verb struct {
	clientFlags
	region, output string

	client   *client
	stdin    io.Reader
	in       *bufio.Reader // of stdin
	out      io.Writer
	messages io.Writer // for questions, which are no output
	asks     bool      // a person can answer: standard input is a terminal
	// hidden asks a person for a secret.
	hidden func(ctx context.Context, prompt string) (secret.Text, error)
	// pause waits before a request is sent again.
	pause func(context.Context, time.Duration) error
}

// newVerb makes cmd a verb that runs run. The verb has the flags that all verbs have, and completes
// the first argument with the names of the service's configurations.
func newVerb(cmd *cobra.Command, run func(context.Context, *verb, []string) error) *cobra.Command {
	return newVerbWithout(cmd, func(ctx context.Context, v *verb, args []string) error {
		if err := v.connect(); err != nil {
			return err
		}
		return run(ctx, v, args)
	})
}

// connect finds the service to call, and the region if a context has one.
func (v *verb) connect() (err error) {
	v.client, err = v.resolve(os.Getenv)
	v.region = cmp.Or(v.region, v.contextRegion)
	return err
}

// newVerbWithout is newVerb for a verb that finds its client itself.
func newVerbWithout(cmd *cobra.Command, run func(context.Context, *verb, []string) error) *cobra.Command {
	v := new(verb)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(v.output); err != nil {
			return err
		}
		v.stdin, v.out, v.messages = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
		v.in, v.asks = bufio.NewReader(v.stdin), isTerminal(v.stdin)
		v.hidden, v.pause = v.readHidden, pauseFor
		return run(cmd.Context(), v, args)
	}
	cmd.ValidArgsFunction = v.completeArgument
	v.add(cmd)
	cmd.Flags().StringVar(&v.region, "region", "", "region of the configuration (default the region of the service)")
	outputFlag(cmd, &v.output)
	return cmd
}

// ask calls an action in the verb's region and reads its answer. Empty parameters are left out.
func (v *verb) ask(ctx context.Context, action string, params map[string]string, ifMatch string, answer any) error {
	all := map[string]string{"RegionId": v.region}
	for name, value := range params {
		all[name] = value
	}
	return v.client.ask(ctx, action, all, ifMatch, answer)
}

// completeArgument completes the name of a bot, and what may follow it.
func (v *verb) completeArgument(cmd *cobra.Command, args []string, start string) ([]string,
	cobra.ShellCompDirective) {
	v.completes = true
	if len(args) > 0 {
		return v.completeNext(cmd, args, start)
	}
	return v.complete(cmd.Context(), start), cobra.ShellCompDirectiveNoFileComp
}

// complete returns the names of configurations that start with a text. Completion never fails.
func (v *verb) complete(ctx context.Context, start string) (names []string) {
	c, err := v.resolve(os.Getenv)
	if err != nil {
		return nil
	}
	if ctx == nil { // cobra completes without one
		ctx = context.Background()
	}
	params := map[string]string{"RegionId": cmp.Or(v.region, v.contextRegion),
		"MaxResults": strconv.Itoa(chat.MaxResults)}
	if start != "" {
		params["Filters.1.Name"], params["Filters.1.Value"] = "Name", start+"*"
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	var answer chat.ListResponse
	if err := c.ask(ctx, "ListChatConfigurations", params, "", &answer); err != nil {
		return nil
	}
	for _, summary := range answer.ChatConfigurations {
		if isName(summary.Name) { // the shell prints it as it is
			names = append(names, summary.Name)
		}
	}
	return names
}

// print prints an answer as data, or else by the function for people.
func (v *verb) print(answer any, people func() error) error {
	if isData(v.output) {
		return printData(v.out, v.output, answer)
	}
	return people()
}

// printf prints to standard output, without control characters.
func (v *verb) printf(format string, args ...any) error {
	_, err := io.WriteString(v.out, printable(fmt.Sprintf(format, args...)))
	return err
}

// oneLine returns a text as one line without control characters.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(printable(text), func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}

// confirm asks a person whether to continue, unless yes is set. Without a person to ask, it returns
// a usage error.
func (v *verb) confirm(ctx context.Context, question string, yes bool) error {
	switch {
	case yes:
		return nil
	case !v.asks:
		return usagef("standard input is not a terminal; add --yes to skip the question")
	}
	if _, err := fmt.Fprintf(v.messages, "%s [y/N] ", printable(question)); err != nil {
		return err
	}
	answer, err := answerOf(ctx, func() (string, error) { return v.in.ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// answerOf returns what a person types, as read returns it, or the error of the context if it ends
// first: Ctrl-C ends the context and does not interrupt a read.
func answerOf[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		answer T
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := read()
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		return r.answer, r.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("nothing was changed: %w", ctx.Err())
	}
}

// readHidden reads a line from the terminal, which does not show it.
func (v *verb) readHidden(ctx context.Context, prompt string) (secret.Text, error) {
	if _, err := io.WriteString(v.messages, printable(prompt)); err != nil {
		return "", err
	}
	file, ok := v.stdin.(*os.File)
	if !ok {
		return "", errors.New("standard input is not a terminal")
	}
	terminal := int(file.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	text, err := answerOf(ctx, func() ([]byte, error) { return term.ReadPassword(terminal) })
	fmt.Fprintln(v.messages)
	return secret.Text(text), errors.Join(err, term.Restore(terminal, before))
}

// shortDate returns a date of the API as people read it.
func shortDate(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
