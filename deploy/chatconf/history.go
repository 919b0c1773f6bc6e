package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
)

func newHistory() *cobra.Command {
	return newVerb(&cobra.Command{
		Use:   "history NAME",
		Short: "Show the revisions of a bot: when, by whom, and what changed",
		Long: `Show the revisions of a configuration that are kept, the newest first: when, by whom, and what
changed. 'chatconf diff' shows the changes in full, and 'chatconf restore' brings a revision back.

The history continues when a configuration is deleted and its name is created again. Then the column
LIFE shows the first revision of each life. With -o wide the callers' addresses are shown too.`,
		Example: `  chatconf history ops
  chatconf history ops -o json`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error {
		list, err := v.revisions(ctx, args[0], 0)
		if err != nil {
			return err
		}
		return v.print(list, func() error {
			header := []string{"REVISION", "DATE (UTC)", "OPERATION", "CALLER", "CHANGED"}
			wide := v.output == outputWide
			if wide {
				header = slices.Insert(header, len(header)-1, "ADDRESS")
			}
			lives := slices.ContainsFunc(list, func(r chat.Revision) bool { return r.Life != list[0].Life })
			if lives {
				header = slices.Insert(header, 1, "LIFE")
			}
			var rows [][]string
			for _, r := range list {
				row := []string{strconv.FormatInt(r.Revision, 10), shortDate(r.Date), operationOf(r), r.Caller,
					pathsOf(r)}
				if wide {
					row = slices.Insert(row, len(row)-1, r.SourceAddress)
				}
				if lives {
					row = slices.Insert(row, 1, strconv.FormatInt(r.Life, 10))
				}
				rows = append(rows, row)
			}
			return printTable(v.out, header, rows)
		})
	})
}

// operationOf returns the kind of a revision.
func operationOf(r chat.Revision) string {
	if r.RestoredRevision != 0 {
		return fmt.Sprintf("%s %d", r.Operation, r.RestoredRevision)
	}
	return string(r.Operation)
}

// pathsOf returns the paths of a revision's changes in one line, the first of them if they are
// many. The creation of a configuration changes everything.
func pathsOf(r chat.Revision) string {
	const most = 4
	if r.Compared == 0 {
		return ""
	}
	var paths []string
	for _, change := range r.Changes[:min(len(r.Changes), most)] {
		paths = append(paths, change.Path)
	}
	if more := len(r.Changes) - most; more > 0 {
		paths = append(paths, "…")
	}
	return strings.Join(paths, ", ")
}

// revisions returns the history of a name, the newest first: the last n entries, or all for 0.
func (v *verb) revisions(ctx context.Context, name string, n int) ([]chat.Revision, error) {
	list := []chat.Revision{}
	params := map[string]string{"Name": name, "MaxResults": strconv.Itoa(chat.MaxResults)}
	if n > 0 {
		params["MaxResults"] = strconv.Itoa(n)
	}
	for all := new(pages); ; {
		var page chat.ListRevisionsResponse
		if err := v.ask(ctx, "ListChatConfigurationRevisions", params, "", &page); err != nil {
			return nil, err
		}
		list = append(list, page.ChatConfigurationRevisions...)
		more, err := all.next(params, page.NextToken, len(page.ChatConfigurationRevisions))
		if err != nil {
			return nil, err
		}
		if !more || n > 0 && len(list) >= n {
			break
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the history of %q has no revision that the access key may read", name)
	}
	return list, nil
}

// revision returns one revision, compared with another one, or for 0 with the one before.
func (v *verb) revision(ctx context.Context, name string, n, compared int64) (*chat.GetRevisionResponse, error) {
	params := map[string]string{"Name": name, "Revision": strconv.FormatInt(n, 10)}
	if compared != 0 {
		params["Compared"] = strconv.FormatInt(compared, 10)
	}
	var answer chat.GetRevisionResponse
	if err := v.ask(ctx, "GetChatConfigurationRevision", params, "", &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// parseRevisions returns the numbers of revisions in arguments.
func parseRevisions(args []string) ([]int64, error) {
	list := make([]int64, len(args))
	var wrong []string
	for i, arg := range args {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || n < 1 {
			wrong = append(wrong, strconv.Quote(arg))
		}
		list[i] = n
	}
	if len(wrong) > 0 {
		return nil, usagef("%s is not a revision; write a number such as 3; 'chatconf history' shows them",
			strings.Join(wrong, " or "))
	}
	return list, nil
}
