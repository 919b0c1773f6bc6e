package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/journal"
)

// followPause is how long 'log -f' waits before it looks for more. A test makes it short.
var followPause = 2 * time.Second

// How far back 'log -f' looks, in minutes: for new commands, and for the end of open operations.
const (
	overlap = 2
	openFor = 15
)

// A logQuery selects commands; the fields are filters of ListChatCommands.
type logQuery struct {
	user, command, decision, state, target, since, until string

	last   int
	follow bool
}

func newLog() *cobra.Command {
	var q logQuery
	cmd := &cobra.Command{
		Use:   "log [NAME]...",
		Short: "Show the commands of bots, a line for each",
		Long: `Show the commands that bots received: the sender, the command and its result, a line for each, the
oldest first. Without a name, the commands of all bots of the region are shown. Without --since, the
last 50 commands are shown.

With -f new commands are printed too, until you press Ctrl-C. If the operation of a command ends
within 15 minutes, a second line is printed for it.

--since and --until are dates such as 2026-01-31 or 2026-01-31T08:00:00Z, times ago such as 90m, 24h
or 7d, or today or yesterday. Days and the dates of the output are those of UTC. With -o json each
line is an object, as ListChatCommands shows it.`,
		Example: `  chatconf log
  chatconf log ops --since 1d
  chatconf log ops dev --since yesterday --until today --decision Denied
  chatconf log -f --target 'Oos restart-*' -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case q.follow && q.until != "":
				return seeHelp(cmd, errors.New("--follow has no end; remove --until"))
			case q.last < 0:
				return seeHelp(cmd, fmt.Errorf("--last %d is invalid; write 0 for all, or a number", q.last))
			case q.last == 0 && q.since == "" && q.follow:
				return seeHelp(cmd, errors.New("--follow with --last 0 would first show all commands ever; "+
					"add --since, such as --since 1h"))
			case q.since != "" && !cmd.Flags().Changed("last"):
				q.last = 0
			}
			return nil
		},
	}
	newVerb(cmd, func(ctx context.Context, v *verb, names []string) error {
		found, err := q.find(ctx, v, names)
		if err != nil {
			return err
		}
		for i := range found {
			if err := printCommand(v, &found[i]); err != nil {
				return err
			}
		}
		switch {
		case !q.follow && len(found) == 0:
			return v.note("No such commands.")
		case !q.follow:
			return nil
		}
		f := newFollower(found)
		f.pause = func(ctx context.Context) {
			select {
			case <-time.After(followPause):
			case <-ctx.Done():
			}
		}
		f.find = func(ctx context.Context, minutes int) ([]chat.ChatCommand, error) {
			recent := q
			recent.since, recent.last = strconv.Itoa(minutes)+"m", 0
			return recent.find(ctx, v, names)
		}
		f.print = func(c *chat.ChatCommand) error { return printCommand(v, c) }
		f.warn = func(err error) { fmt.Fprintf(v.messages, "%s\nTrying again.\n", printable(err.Error())) }
		return f.run(ctx)
	})
	flags := cmd.Flags()
	flags.StringVar(&q.since, "since", "", "only from this date on, such as 1d, today or 2026-01-31")
	flags.StringVar(&q.until, "until", "", "only before this date")
	flags.StringVar(&q.user, "user", "", "only of this user id")
	flags.StringVar(&q.command, "command", "", "only of this name, such as restart or 'scale-*'")
	flags.StringVar(&q.decision, "decision", "", "only Allowed or Denied")
	flags.StringVar(&q.state, "state", "", "only of operations in this state, such as Running or Failed")
	flags.StringVar(&q.target, "target", "", "only for this target, such as Program or 'Oos restart-*'")
	flags.IntVarP(&q.last, "last", "n", 50, "how many commands to show, 0 for all; with --since the default is all")
	flags.BoolVarP(&q.follow, "follow", "f", false, "print new commands too")
	return cmd
}

// find returns the commands of the named bots, or of all bots, the oldest first.
func (q *logQuery) find(ctx context.Context, v *verb, names []string) (found []chat.ChatCommand, err error) {
	if len(names) == 0 {
		names = []string{""}
	}
	var unknown []error
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		of, err := q.ofBot(ctx, v, name)
		var refused *refusedError
		if name == "" && errors.As(err, &refused) && refused.status == http.StatusForbidden {
			return nil, fmt.Errorf("%w\n  for the commands of one bot, name it: chatconf log NAME", err)
		}
		if errors.As(err, &refused) && refused.status == http.StatusNotFound {
			unknown = append(unknown, err) // and the other names, to say all mistakes at once
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, of...)
	}
	if len(unknown) > 0 {
		return nil, errors.Join(unknown...)
	}
	slices.SortFunc(found, func(a, b chat.ChatCommand) int { return cmp.Compare(a.Id, b.Id) }) // as the times
	if q.last > 0 && len(found) > q.last {
		found = found[len(found)-q.last:]
	}
	return found, nil
}

// ofBot returns the commands of a bot, or without a name of all bots.
func (q *logQuery) ofBot(ctx context.Context, v *verb, name string) (found []chat.ChatCommand, err error) {
	params := map[string]string{"Name": name, "User": q.user, "Command": q.command, "Decision": q.decision,
		"State": q.state, "Target": q.target, "Since": q.since, "Until": q.until}
	for list := new(pages); ; {
		size := chat.MaxResults
		if q.last > 0 {
			size = min(size, q.last-len(found))
		}
		params["MaxResults"] = strconv.Itoa(size)
		var page chat.ListCommandsResponse
		if err := v.ask(ctx, "ListChatCommands", params, "", &page); err != nil {
			return nil, err
		}
		found = append(found, page.ChatCommands...)
		more, err := list.next(params, page.NextToken, len(page.ChatCommands))
		if !more || q.last > 0 && len(found) >= q.last {
			return found, err
		}
	}
}

// printCommand prints a line for a command.
func printCommand(v *verb, c *chat.ChatCommand) error {
	switch v.output {
	case outputJSON:
		return printLine(v.out, c)
	case outputYAML: // a document for each, since there may be no end
		if _, err := io.WriteString(v.out, "---\n"); err != nil {
			return err
		}
		return printData(v.out, v.output, c)
	}
	user := c.UserId
	if c.UserName != "" && c.UserName != c.UserId {
		user = c.UserName + " (" + c.UserId + ")"
	}
	line := fmt.Sprintf("%s  %s: %s", c.Name, user, c.Command)
	for _, word := range c.Arguments {
		if word == "" || strings.ContainsAny(word, " '\"\t\n") {
			word = shellQuote(word)
		}
		line += " " + word
	}
	if note := noteOn(c); note != "" {
		line += "  # " + note
	}
	state := oneLine(stateOf(c))
	_, err := fmt.Fprintf(v.out, "%s  %s  %s\n", oneLine(shortDate(c.Date)),
		paint(v.out, fmt.Sprintf("%-9s", state), colorOf(state)), oneLine(line))
	return err
}

// stateOf returns how far a command is, in one word.
func stateOf(c *chat.ChatCommand) string {
	switch {
	case c.Decision == journal.DecisionDenied:
		return c.Decision
	case c.State != "":
		return string(c.State)
	}
	return string(c.Outcome)
}

// noteOn returns why a command did not do what it should; empty if it did.
func noteOn(c *chat.ChatCommand) string {
	switch {
	case c.Decision == journal.DecisionDenied:
		return c.Reason
	case c.Outcome == journal.OutcomeFailed, c.State.Ended() && c.State != journal.StateSucceeded:
		return c.Detail
	}
	return ""
}

// isOpen reports whether another line may follow for a command.
func isOpen(c *chat.ChatCommand) bool {
	return c.Outcome == journal.OutcomePending || c.State == journal.StateRunning
}

// A follower prints new commands, and those that have ended.
type follower struct {
	find  func(ctx context.Context, minutes int) ([]chat.ChatCommand, error) // the oldest first
	print func(*chat.ChatCommand) error
	pause func(context.Context)
	warn  func(error)
	now   func() time.Time

	first  string          // only commands after this id are new
	seen   map[string]bool // by id: whether the command was open when it was printed
	newest string          // of seen
}

// newFollower returns a follower that has printed some commands, the oldest first.
func newFollower(printed []chat.ChatCommand) *follower {
	f := &follower{now: time.Now, seen: make(map[string]bool)}
	for i := range printed {
		f.see(&printed[i])
	}
	f.first = f.newest
	return f
}

func (f *follower) see(c *chat.ChatCommand) {
	f.seen[c.Id] = isOpen(c)
	f.newest = max(f.newest, c.Id)
}

// run prints until the context ends, or the service refuses the request. It continues when the
// service cannot be reached.
func (f *follower) run(ctx context.Context) error {
	reached, failing := f.now(), false
	for {
		f.pause(ctx)
		if ctx.Err() != nil {
			return nil
		}
		// Relative times are resolved by the clock of the service.
		minutes := overlap + int(f.now().Sub(reached)/time.Minute)
		if slices.Contains(slices.Collect(maps.Values(f.seen)), true) {
			minutes = max(minutes, openFor)
		}
		asked := f.now()
		found, err := f.find(ctx, minutes)
		var refused *refusedError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.status < http.StatusInternalServerError &&
			refused.status != http.StatusTooManyRequests:
			return err
		case err != nil:
			if !failing {
				f.warn(err)
			}
			failing = true
			continue
		}
		reached, failing = asked, false
		for i := range found {
			open, seen := f.seen[found[i].Id]
			if !seen && found[i].Id <= f.first {
				continue // of before, and not among the last
			}
			if !seen || open && !isOpen(&found[i]) {
				if err := f.print(&found[i]); err != nil {
					return err
				}
			}
			f.see(&found[i])
		}
		f.forget()
	}
}

// forget drops what no later answer has: commands that are openFor older than the newest.
func (f *follower) forget() {
	digits, _, _ := strings.Cut(f.newest, "-")
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return
	}
	oldest := fmt.Sprintf("%0*d", len(digits), ms-(openFor+overlap)*time.Minute.Milliseconds())
	maps.DeleteFunc(f.seen, func(id string, _ bool) bool { return id < oldest })
}
