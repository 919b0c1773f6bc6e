package deploy_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"chatconf/deploy"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// A limited table allows only the operations of a function's rights.
type limited struct {
	table.Table
	rights deploy.Rights
}

func (l limited) may(right deploy.Rights, what string) error {
	if l.rights&right == 0 {
		return fmt.Errorf("the function has no right to %s", what)
	}
	return nil
}

func (l limited) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	right, what := deploy.Get, "get an item"
	if len(keys) > 1 {
		right, what = deploy.Batch, "get several items"
	}
	if err := l.may(right, what); err != nil {
		return nil, err
	}
	return l.Table.Get(ctx, keys...)
}

func (l limited) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := l.may(deploy.Query, "query"); err != nil {
		return nil, err
	}
	return l.Table.Query(ctx, r)
}

func (l limited) Write(ctx context.Context, partition string, c table.Change) error {
	for what, needed := range map[string]struct {
		n     int
		right deploy.Rights
	}{"put": {len(c.Puts), deploy.Put}, "delete": {len(c.Deletes), deploy.Delete}, "add": {len(c.Adds), deploy.Add}} {
		if needed.n > 0 {
			if err := l.may(needed.right, what); err != nil {
				return err
			}
		}
	}
	return l.Table.Write(ctx, partition, c)
}

// Each function has the rights that its action needs, also when the action looks back: at other
// bots, at deleted ones, and at earlier lives of a name.
func TestRightsAreEnough(t *testing.T) {
	name, n := "one", chattest.Ptr[int64](1)
	for folder, call := range map[string]func(context.Context, *chat.Service) error{
		"list-chat-commands": func(ctx context.Context, s *chat.Service) error {
			return second(s.ListCommands(ctx, &chat.ListCommandsRequest{}))
		},
		"list-chat-configuration-revisions": func(ctx context.Context, s *chat.Service) error {
			page, err := s.ListRevisions(ctx, &chat.ListRevisionsRequest{Name: name, MaxResults: n})
			if err != nil {
				return err
			}
			return second(s.ListRevisions(ctx, &chat.ListRevisionsRequest{Name: name, MaxResults: n,
				NextToken: page.NextToken}))
		},
		"get-chat-configuration-revision": func(ctx context.Context, s *chat.Service) error {
			return second(s.GetRevision(ctx, &chat.GetRevisionRequest{Name: name, Revision: n}))
		},
		"restore-chat-configuration": func(ctx context.Context, s *chat.Service) error {
			if err := second(s.Restore(ctx, &chat.RestoreRequest{Name: "gone", Revision: n})); err != nil {
				return err
			}
			return second(s.Restore(ctx, &chat.RestoreRequest{Name: name, Revision: n, ClientToken: "t"}))
		},
		"copy-chat-configuration": func(ctx context.Context, s *chat.Service) error {
			return second(s.Copy(ctx, &chat.CopyRequest{Name: name, DestinationName: "gone", ClientToken: "t"}))
		},
		"rotate-chat-secret": func(ctx context.Context, s *chat.Service) error {
			return second(s.RotateSecret(ctx, &chat.RotateSecretRequest{Name: name, Key: "SlackSigningSecret",
				Value: "signing-two", ClientToken: "t"}))
		},
		"rotate-chat-webhook": func(ctx context.Context, s *chat.Service) error {
			return second(s.Rotate(ctx, &chat.RotateRequest{Name: name, ClientToken: "t"}))
		},
		"update-chat-configuration": func(ctx context.Context, s *chat.Service) error {
			return second(s.Update(ctx, &chat.UpdateRequest{Name: name, Status: "Inactive", ClientToken: "t"}))
		},
		"delete-chat-configuration": func(ctx context.Context, s *chat.Service) error {
			return second(s.Delete(ctx, &chat.DeleteRequest{Name: name, ClientToken: "t"}))
		},
		"create-chat-configuration": func(ctx context.Context, s *chat.Service) error {
			return second(s.Create(ctx, &chat.CreateRequest{Name: "gone", Type: "Slack", ClientToken: "t",
				Configuration: secret.Text(chattest.Slack)}))
		},
	} {
		h := chattest.New(t, chat.Options{})
		for _, bot := range []string{name, "gone", "other"} {
			e := h.Bot(bot)
			h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
		}
		for _, bot := range []string{name, "gone"} {
			if _, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: bot}); err != nil {
				t.Fatal(err)
			}
		}
		h.Clock.Advance(time.Hour)
		h.Bot(name)
		i := slices.IndexFunc(deploy.Functions, func(f deploy.Function) bool { return f.Folder == folder })
		h.Spy.Table = limited{h.Spy.Table, deploy.Functions[i].Rights}
		h.Pages.Table = limited{h.Pages.Table, deploy.Functions[i].Journal}
		if err := call(h.Ctx, h.Service); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

// second returns the error of an action.
func second[T any](_ T, err error) error { return err }
