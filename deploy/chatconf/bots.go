package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform"
)

// atOnce is how many requests a verb has open at a time.
const atOnce = 8

// A listed bot is a configuration in a list.
type listed struct{ chat.Summary }

func newBots() *cobra.Command {
	var kind, status string
	var tags []string
	var noHealth bool
	cmd := newVerb(&cobra.Command{
		Use:   "bots [NAME]...",
		Short: "List the bots, with their health",
		Long: `List the bots of the region: name, type, status, health, last message and last change. A name may
end in * to match all names that begin with it.

HEALTH is Working, Failing or Silent: whether the last callback of the platform was genuine, was
refused, or never came. If Receive is Stream, HEALTH also says whether the connection is open. It is
a hyphen if the access key may not see it. --no-health leaves it out. With -o wide there are more
columns, such as the step that failed last.`,
		Example: `  chatconf bots
  chatconf bots 'ops-*' --type DingTalk --status Active
  chatconf bots --tag env=prod -o wide`,
		Args: func(cmd *cobra.Command, _ []string) error {
			if _, err := platformOf(kind); kind != "" && err != nil {
				return seeHelp(cmd, fmt.Errorf("--type: %w", err))
			}
			for _, tag := range tags {
				if key, _, ok := strings.Cut(tag, "="); !ok || key == "" {
					return seeHelp(cmd, fmt.Errorf("--tag %q is invalid; write KEY=VALUE, such as env=prod", tag))
				}
			}
			return nil
		},
	}, func(ctx context.Context, v *verb, names []string) error {
		var filters []chat.Filter
		for _, name := range names {
			filters = append(filters, chat.Filter{Name: "Name", Value: name})
		}
		if kind != "" {
			filters = append(filters, chat.Filter{Name: "Type", Value: kind})
		}
		if status != "" {
			filters = append(filters, chat.Filter{Name: "Status", Value: status})
		}
		for _, tag := range tags {
			key, value, _ := strings.Cut(tag, "=")
			filters = append(filters, chat.Filter{Name: "tag:" + key, Value: value})
		}
		all, why, err := v.botsWithHealth(ctx, !noHealth, filters)
		if err != nil {
			return err
		}
		if err := v.print(all, func() error {
			if len(all) == 0 {
				return v.printNoBots(len(filters) > 0)
			}
			return v.printBots(all)
		}); err != nil {
			return err
		}
		return v.note(why)
	})
	flags := cmd.Flags()
	flags.StringVar(&kind, "type", "", "only bots of this platform, such as DingTalk or Lark")
	flags.StringVar(&status, "status", "", "only bots of this status: Active or Inactive")
	flags.StringArrayVar(&tags, "tag", nil, "only bots with this tag, such as env=prod; may be repeated")
	flags.BoolVar(&noHealth, "no-health", false, "do not ask for the health of the bots")
	completeFlag(cmd, "type", typeNames()...)
	completeFlag(cmd, "status", chat.StatusActive, chat.StatusInactive)
	return cmd
}

// completeFlag completes a flag with fixed words.
func completeFlag(cmd *cobra.Command, flag string, words ...string) {
	cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// note prints a line for people, which is no output.
func (v *verb) note(text string) error {
	if text == "" {
		return nil
	}
	_, err := fmt.Fprintln(v.messages, printable(text))
	return err
}

// bots returns all configurations that the filters select, in the order of their names, without
// their Outputs, which may have secrets. whole asks for their Configurations too.
func (v *verb) bots(ctx context.Context, whole bool, filters ...chat.Filter) ([]listed, error) {
	params := make(map[string]string)
	if whole {
		params["WithConfiguration"] = "true"
	}
	all, _, err := v.list(ctx, params, filters)
	return all, err
}

// botsWithHealth returns bots, with their health if that is wanted, and why the health of some bots
// is missing; empty if none is missing.
func (v *verb) botsWithHealth(ctx context.Context, wanted bool, filters []chat.Filter) (
	all []listed, why string, err error,
) {
	if !wanted {
		all, err = v.bots(ctx, false, filters...)
		return all, "", err
	}
	all, denied, err := v.list(ctx, map[string]string{"WithHealth": "true"}, filters)
	has := func(b listed) bool { return b.Health != nil }
	switch {
	case err != nil:
		return nil, "", err
	case denied > 0:
		return all, healthDenied(denied), nil
	case slices.ContainsFunc(all, has):
		return all, "", nil
	}
	// The service is another version, or the official one: it does not have WithHealth.
	why, err = v.addHealth(ctx, all)
	return all, why, err
}

// healthDenied says that the access key may not see the health of some bots.
func healthDenied(n int) string {
	return fmt.Sprintf("The access key may not see the health of %s; it needs oos:GetChatConfigurationHealth.",
		count(n, "bot"))
}

// list returns all configurations that the filters select, as the parameters say, and of how many
// the caller may not get the health.
func (v *verb) list(ctx context.Context, params map[string]string, filters []chat.Filter) (
	all []listed, denied int, err error,
) {
	all = []listed{}
	params["MaxResults"] = strconv.Itoa(chat.MaxResults)
	for i, f := range filters {
		at := "Filters." + strconv.Itoa(i+1) + "."
		params[at+"Name"], params[at+"Value"] = f.Name, f.Value
	}
	for list := new(pages); ; {
		var page chat.ListResponse
		if err := v.ask(ctx, "ListChatConfigurations", params, "", &page); isForbidden(err) {
			return nil, 0, fmt.Errorf("%w\n  for one bot, name it: chatconf show NAME", err)
		} else if err != nil {
			return nil, 0, err
		}
		denied += int(page.HealthDenied)
		for _, summary := range page.ChatConfigurations {
			summary.Outputs = ""
			all = append(all, listed{Summary: summary})
		}
		if more, err := list.next(params, page.NextToken, len(page.ChatConfigurations)); !more {
			return all, denied, err
		}
	}
}

// isForbidden reports whether the service refused a request for lack of rights.
func isForbidden(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) && refused.status == http.StatusForbidden
}

// isUnknownAction reports whether the service does not have an action. The official one has five.
func isUnknownAction(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) &&
		(strings.HasPrefix(refused.code, "InvalidApi") || strings.HasPrefix(refused.code, "InvalidAction"))
}

// isGone reports whether a configuration does not exist.
func isGone(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) && strings.HasPrefix(refused.code, "EntityNotExists")
}

// addHealth adds their health to bots, by a request for each. It returns why some have none; empty
// if all have one.
func (v *verb) addHealth(ctx context.Context, all []listed) (why string, err error) {
	refused, unknown := 0, false
	var mu sync.Mutex
	err = inParallel(ctx, len(all), func(ctx context.Context, i int) error {
		mu.Lock()
		skip := unknown
		mu.Unlock()
		if skip {
			return nil
		}
		health, err := v.health(ctx, all[i].Name)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case isForbidden(err):
			refused++
		case isUnknownAction(err):
			unknown = true
		case isGone(err): // meanwhile
		case err != nil:
			return err
		default:
			all[i].Health = health
		}
		return nil
	})
	switch {
	case unknown:
		why = "The service does not show the health of bots."
	case refused > 0:
		why = healthDenied(refused)
	}
	return why, err
}

// count returns a number of things in words.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}

// health returns the health of a configuration.
func (v *verb) health(ctx context.Context, name string) (*chat.Health, error) {
	var answer chat.HealthResponse
	if err := v.ask(ctx, "GetChatConfigurationHealth", map[string]string{"Name": name}, "", &answer); err != nil {
		return nil, err
	}
	return &answer.Health, nil
}

// inParallel calls do for 0 to n-1, several at a time, until one fails.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var running sync.WaitGroup
	for range min(n, atOnce) {
		running.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}

// printNoBots says that there are no bots, or none of those that were asked for.
func (v *verb) printNoBots(filtered bool) error {
	where := ""
	if v.region != "" {
		where = " in " + v.region
	}
	if filtered {
		return v.printf("No such bots%s.\n", where)
	}
	return v.printf("No bots%s. Create one with 'chatconf create NAME --type TYPE%s'.\n", where, v.inRegion())
}

// printBots prints bots as a table.
func (v *verb) printBots(all []listed) error {
	header := []string{"NAME", "TYPE", "STATUS", "HEALTH", "LAST MESSAGE (UTC)", "UPDATED (UTC)"}
	if v.output == outputWide {
		header = append(header, "FAILING STEP", "ROLE", "GROUP", "TAGS", "REVISION", "CREATED (UTC)")
	}
	rows := make([][]string, len(all))
	for i, b := range all {
		state, last, step := "", "", ""
		if h := b.Health; h != nil {
			state, last, step = h.State, shortDate(h.LastCommandDate), failingStep(h)
		}
		rows[i] = []string{b.Name, b.Type, b.Status, state, last, shortDate(b.UpdatedDate)}
		if v.output == outputWide {
			rows[i] = append(rows[i], step, b.RamRole, b.ResourceGroupId, tagText(b.Tags),
				revisionText(b.Revision), shortDate(b.CreatedDate))
		}
	}
	return printTable(v.out, header, rows)
}

// failingStep returns the step at which callbacks or the connection fail; empty if they do not
// fail.
func failingStep(h *chat.Health) string {
	last := h.LastError
	if c := h.Connection; c != nil && c.State != chat.ConnectionConnected {
		if last = c.LastError; c.State == chat.ConnectionLost || c.State == chat.ConnectionAbsent {
			last = &chat.HealthError{Step: "connection"} // no process tries to open it
		}
	}
	if h.State != chat.HealthFailing || last == nil {
		return ""
	}
	return last.Step
}

// tagText returns tags in one line.
func tagText(tags map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, key+"="+tags[key])
	}
	return strings.Join(list, ", ")
}

// revisionText returns a revision as text; empty for a service without revisions.
func revisionText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// typeNames returns the types of bots and their other names.
func typeNames() (names []string) {
	for _, p := range platform.All().Descriptions() {
		names = append(append(names, p.Type), p.Aliases...)
	}
	return names
}

// platformOf returns the platform with a type, in any case, or with another name.
func platformOf(kind string) (command.Platform, error) {
	same := func(name string) bool { return strings.EqualFold(name, kind) }
	for _, p := range platform.All().Descriptions() {
		if same(p.Type) || slices.ContainsFunc(p.Aliases, same) {
			return p, nil
		}
	}
	return command.Platform{}, fmt.Errorf("unknown type %q; %s", kind, chat.Suggestion(kind, typeNames()))
}
