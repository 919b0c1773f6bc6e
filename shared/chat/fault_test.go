package chat_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// moreActions are calls that take other ways through the service than those of everyAction.
func moreActions(s *chat.Service) map[string]func(context.Context) error {
	const kind = "chatconfiguration"
	list := func(filters ...chat.Filter) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.List(ctx, &chat.ListRequest{Filters: filters})
			return err
		}
	}
	return map[string]func(context.Context) error{
		"Create with a ClientToken": func(ctx context.Context) error {
			_, err := s.Create(ctx, &chat.CreateRequest{Name: "new", Type: "WeChat",
				Configuration: minWeChat, ClientToken: "t"})
			return err
		},
		"Create of a name that had a life": func(ctx context.Context) error {
			_, err := s.Create(ctx, &chat.CreateRequest{Name: "reborn", Type: "Slack", Configuration: chattest.Slack})
			return err
		},
		"Update with a ClientToken": func(ctx context.Context) error {
			_, err := s.Update(ctx, &chat.UpdateRequest{Name: "one",
				Configuration: chattest.Ptr[secret.Text](chattest.Slack), ClientToken: "t"})
			return err
		},
		"Restore with a ClientToken": func(ctx context.Context) error {
			_, err := s.Restore(ctx, &chat.RestoreRequest{Name: "one", Revision: chattest.Ptr[int64](1),
				ClientToken: "t"})
			return err
		},
		"Restore of what was deleted": func(ctx context.Context) error {
			_, err := s.Restore(ctx, &chat.RestoreRequest{Name: "reborn", Revision: chattest.Ptr[int64](1)})
			return err
		},
		"Delete with a ClientToken": func(ctx context.Context) error {
			_, err := s.Delete(ctx, &chat.DeleteRequest{Name: "one", ClientToken: "t"})
			return err
		},
		"List by an index": list(chat.Filter{Name: "Type", Value: "Slack"}),
		"List by names":    list(chat.Filter{Name: "Name", Value: "one"}),
		"ListTagResources by names": func(ctx context.Context) error {
			_, err := s.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: kind,
				ResourceIDs: []string{"one"}})
			return err
		},
		"ListTagResources from within a configuration": func(ctx context.Context) error {
			first, err := s.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: kind,
				MaxResults: chattest.Ptr[int64](1)})
			if err != nil {
				return err
			}
			_, err = s.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: kind,
				NextToken: first.NextToken})
			return err
		},
		"Check": func(ctx context.Context) error {
			_, err := s.Check(ctx, chattest.Account, chattest.Region)
			return err
		},
	}
}

// TestEveryCallOfTheStoreMayFail makes each call that each action makes on the table fail in turn,
// in each way.
func TestEveryCallOfTheStoreMayFail(t *testing.T) {
	all := func(s *chat.Service) map[string]func(context.Context) error {
		actions := everyAction(s, here)
		maps.Copy(actions, moreActions(s))
		return actions
	}
	for about, f := range chattest.Faults {
		for action := range all(nil) {
			h := newHouse(t)
			h.MustPrepare()
			h.MustCreate("reborn")
			h.MustDelete("reborn")
			before := h.Dump()
			for n := 1; ; n++ {
				ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
				err := all(h.Service)[action](ctx)
				made := calls()
				h.Spy.Reset()
				if made < n {
					if err != nil || n == 1 {
						t.Errorf("%s made %d calls and ended with %v", action, made, err)
					}
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				chattest.WantError(t, what, err, f.Code, "")
				chattest.WantNoDetail(t, err)
				if !errors.Is(err, f.Err) {
					t.Errorf("%s: the detail is lost: %v", what, err)
				}
				chattest.Equal(t, "the table after "+what, h.Dump(), before)
			}
		}
	}
}

// TestWriteThatHappenedButFailed holds that a create whose answer was lost is found again by its
// ClientToken.
func TestWriteThatHappenedButFailed(t *testing.T) {
	h := newHouse(t)
	once := false
	h.Spy.OnWrite = func(c *table.Change) error {
		if once {
			return nil
		}
		once = true
		h.Tamper(*c)
		return fmt.Errorf("table: write: %w: the answer was lost", table.ErrUnavailable)
	}
	in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack, ClientToken: "token"}
	_, err := h.Create(h.Ctx, in)
	chattest.WantError(t, "Create whose answer is lost", err, fault.Unavailable, "")
	out, err := h.Create(h.Ctx, in)
	if err != nil || out.ChatConfiguration.Revision != 1 {
		t.Errorf("Create again = %+v, %v", out, err)
	}
	h.MustAgree()
}

// TestRecordThatIsTampered holds that a damaged record is our fault, and that its content is told
// to nobody.
func TestRecordThatIsTampered(t *testing.T) {
	field := func(name string, value any) func(table.Item) table.Item {
		return func(item table.Item) table.Item {
			item.Value = chattest.Reencode(item.Value, func(m map[string]any) { m[name] = value })
			return item
		}
	}
	secret := func(field string, edit func(string) any) func(table.Item) table.Item {
		return func(item table.Item) table.Item {
			item.Value = chattest.Reencode(item.Value, func(m map[string]any) {
				secrets := m["secrets"].(map[string]any)
				secrets[field] = edit(secrets[field].(string))
			})
			return item
		}
	}
	flip := func(s string) any { return chattest.FlipBit(s) }
	for about, edit := range map[string]func(table.Item) table.Item{
		"no JSON":                          func(i table.Item) table.Item { i.Value = []byte("planted"); return i },
		"nothing":                          func(i table.Item) table.Item { i.Value = nil; return i },
		"another version":                  field("v", 2),
		"another name":                     field("name", "two"),
		"another revision":                 func(i table.Item) table.Item { i.Revision++; return i },
		"a type that is not known":         field("type", "Matrix"),
		"a bit of the webhook token":       secret(chat.FieldWebhookToken, flip),
		"a bit of what is put out":         secret("WeChatToken", flip),
		"a secret that is no sealed value": secret("WeChatEncodingAesKey", func(string) any { return "AAAA" }),
		"secrets under each other's name":  swapSecrets,
	} {
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
		item := edit(h.Item("c#one"))
		h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}})
		for action, call := range map[string]func() error{
			"Get":  func() error { _, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"}); return err },
			"List": func() error { _, err := h.List(h.Ctx, &chat.ListRequest{}); return err },
			"List by type": func() error {
				_, err := h.List(h.Ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "Name", Value: "one"}}})
				return err
			},
		} {
			err := call()
			chattest.WantError(t, action+" of a record with "+about, err, fault.Internal, "")
			chattest.WantNoDetail(t, err)
		}
	}
	h := newHouse(t)
	h.MustCreate("one")
	item := field("type", "Matrix")(h.Item("c#one"))
	h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}})
	_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one"})
	chattest.WantError(t, "Update of a record of a type that is not known", err, fault.Internal, "")
}

func swapSecrets(item table.Item) table.Item {
	item.Value = chattest.Reencode(item.Value, func(m map[string]any) {
		s := m["secrets"].(map[string]any)
		s["WeChatToken"], s["WeChatEncodingAesKey"] = s["WeChatEncodingAesKey"], s["WeChatToken"]
	})
	return item
}

// TestIndexEntryThatIsMalformed holds that what is in the index and is no entry is noticed.
func TestIndexEntryThatIsMalformed(t *testing.T) {
	for _, key := range []string{"i#tag:k#", "i#tag:k#v", "i#tag:k#v#n#x", "i#tag:k#%ZZ#n", "i#tag:k#%41#n"} {
		h := newHouse(t)
		h.Tamper(table.Change{Puts: []table.Put{{Sort: key}}})
		_, err := h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{ResourceType: resourceType})
		chattest.WantError(t, "ListTagKeys over "+key, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
	}
	h := newHouse(t)
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "i#Type#Slack#%"}}})
	_, err := h.List(h.Ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "Type", Value: "Slack"}}})
	chattest.WantError(t, "List over a malformed entry", err, fault.Internal, "")
}

// TestSecretsMovedToAnotherConfiguration holds that who can write to the table cannot make one
// configuration show another's secrets.
func TestSecretsMovedToAnotherConfiguration(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"one", "two"} {
		h.MustCreate(name, func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	}
	one := h.Item("c#one")
	moved := chattest.Reencode(one.Value, func(m map[string]any) { m["name"] = "two" })
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#two", Value: moved, Revision: one.Revision}}})
	_, err := h.Get(h.Ctx, &chat.GetRequest{Name: "two"})
	chattest.WantError(t, "Get with another's secrets", err, fault.Internal, "")
}
