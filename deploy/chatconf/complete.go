package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/platform"
)

// completeNext completes an argument after the first one, which is the name of a bot.
func (v *verb) completeNext(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := completing(cmd)
	defer cancel()
	if err := v.connect(); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	directive := cobra.ShellCompDirectiveNoFileComp
	switch cmd.Name() {
	case "bots", "log", "doctor":
		found = v.complete(ctx, start)
	case "diff":
		if len(args) <= 2 {
			found = v.completeRevisions(ctx, args[0])
		}
	case "restore":
		if len(args) == 1 {
			found = v.completeRevisions(ctx, args[0])
		}
	case "rotate":
		if c, err := v.get(ctx, args[0]); err == nil && len(args) == 1 {
			for _, s := range c.Secrets {
				found = append(found, s.Key)
			}
		}
	case "set":
		found = v.completeKeys(ctx, args[0])
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return slices.DeleteFunc(found, func(word string) bool {
		return !strings.HasPrefix(word, start) || slices.Contains(args, word) || printable(word) != word
	}), directive
}

// completing returns the context of a completion, for which a person waits.
func completing(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	ctx := cmd.Context()
	if ctx == nil { // cobra completes without one
		ctx = context.Background()
	}
	return context.WithTimeout(ctx, completeTimeout)
}

// completeModes completes --mode of 'chatconf send': with the modes of the bot if there is a
// name, else with those of all platforms.
func (v *verb) completeModes(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	v.completes = true
	ctx, cancel := completing(cmd)
	defer cancel()
	only := ""
	if len(args) > 0 && v.connect() == nil {
		if c, err := v.get(ctx, args[0]); err == nil {
			only = c.Type
		}
	}
	var found []string
	for _, p := range platform.All().Descriptions() {
		if only == "" || p.Type == only {
			messages, checks := modesOf(p.Type)
			found = slices.Concat(found, messages, checks)
		}
	}
	slices.Sort(found)
	return slices.DeleteFunc(slices.Compact(found), func(mode string) bool { return !strings.HasPrefix(mode, start) }),
		cobra.ShellCompDirectiveNoFileComp
}

// completeRevisions returns the revisions of a bot, the newest first, each with what it was.
func (v *verb) completeRevisions(ctx context.Context, name string) (found []string) {
	const enough = 20
	list, err := v.revisions(ctx, name, enough)
	if err != nil {
		return nil
	}
	for _, r := range list {
		found = append(found, strconv.FormatInt(r.Revision, 10)+"\t"+
			oneLine(operationOf(r)+" by "+r.Caller+" at "+shortDate(r.Date)))
	}
	return found
}

// completeKeys returns the keys that 'chatconf set' takes for a bot. A secret is read from a file.
func (v *verb) completeKeys(ctx context.Context, name string) (found []string) {
	c, err := v.get(ctx, name)
	if err != nil {
		return nil
	}
	p, err := platformOf(c.Type)
	if err != nil {
		return nil
	}
	for _, field := range chat.FormOf(p).Fields {
		assigns := "="
		if field.Form.Secret {
			assigns = "=@"
		}
		found = append(found, field.Key+assigns)
	}
	for _, param := range draftParams {
		found = append(found, param+"=")
	}
	return found
}
