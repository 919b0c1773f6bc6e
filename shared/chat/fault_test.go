package chat_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"chatconf/shared/chat"
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
			_, err := s.Create(ctx, &chat.CreateRequest{Name: "new", Type: "WeChat", Configuration: minWeChat, ClientToken: "t"})
			return err
		},
		"Create of a name that had a life": func(ctx context.Context) error {
			_, err := s.Create(ctx, &chat.CreateRequest{Name: "reborn", Type: "Slack", Configuration: slack})
			return err
		},
		"Update with a ClientToken": func(ctx context.Context) error {
			_, err := s.Update(ctx, &chat.UpdateRequest{Name: "one", Configuration: ptr[secret.Text](slack), ClientToken: "t"})
			return err
		},
		"Delete with a ClientToken": func(ctx context.Context) error {
			_, err := s.Delete(ctx, &chat.DeleteRequest{Name: "one", ClientToken: "t"})
			return err
		},
		"List by an index": list(chat.Filter{Name: "Type", Value: "Slack"}),
		"List by names":    list(chat.Filter{Name: "Name", Value: "one"}),
		"ListTagResources by names": func(ctx context.Context) error {
			_, err := s.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: kind, ResourceIDs: []string{"one"}})
			return err
		},
		"ListTagResources from within a configuration": func(ctx context.Context) error {
			first, err := s.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: kind, MaxResults: ptr[int64](1)})
			if err != nil {
				return err
			}
			_, err = s.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: kind, NextToken: first.NextToken})
			return err
		},
		"Check": func(ctx context.Context) error {
			_, err := s.Check(ctx, account, region)
			return err
		},
	}
}

// TestEveryCallOfTheStoreMayFail makes each call that each action makes on the table fail in turn, in each way.
func TestEveryCallOfTheStoreMayFail(t *testing.T) {
	all := func(s *chat.Service) map[string]func(context.Context) error {
		actions := everyAction(s, here)
		maps.Copy(actions, moreActions(s))
		return actions
	}
	for about, f := range faults {
		for action := range all(nil) {
			h := newHouse(t)
			h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod", "a": "b"} })
			h.create("reborn")
			h.delete("reborn")
			before := h.dump()
			for n := 1; ; n++ {
				ctx, calls := h.spy.failAt(h.ctx, n, f)
				err := all(h.Service)[action](ctx)
				made := calls()
				h.spy.reset()
				if made < n {
					if err != nil || n == 1 {
						t.Errorf("%s made %d calls and ended with %v", action, made, err)
					}
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				wantError(t, what, err, f.code, "")
				wantNoDetail(t, err)
				if !errors.Is(err, f.err) {
					t.Errorf("%s: the detail is lost: %v", what, err)
				}
				equal(t, "the table after "+what, h.dump(), before)
			}
		}
	}
}

// TestWriteThatHappenedButFailed holds that a create whose answer was lost is found again by its ClientToken.
func TestWriteThatHappenedButFailed(t *testing.T) {
	h := newHouse(t)
	once := false
	h.spy.write = func(c *table.Change) error {
		if once {
			return nil
		}
		once = true
		h.tamper(*c)
		return fmt.Errorf("table: write: %w: the answer was lost", table.ErrUnavailable)
	}
	in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, ClientToken: "token"}
	_, err := h.Create(h.ctx, in)
	wantError(t, "Create whose answer is lost", err, chat.Unavailable, "")
	out, err := h.Create(h.ctx, in)
	if err != nil || out.ChatConfiguration.Revision != 1 {
		t.Errorf("Create again = %+v, %v", out, err)
	}
	h.mustAgree()
}

// TestRecordThatIsTampered holds that a damaged record is our fault, and that its content is told to nobody.
func TestRecordThatIsTampered(t *testing.T) {
	field := func(name string, value any) func(table.Item) table.Item {
		return func(item table.Item) table.Item {
			item.Value = chat.Reencode(item.Value, func(m map[string]any) { m[name] = value })
			return item
		}
	}
	secret := func(field string, edit func(string) any) func(table.Item) table.Item {
		return func(item table.Item) table.Item {
			item.Value = chat.Reencode(item.Value, func(m map[string]any) {
				secrets := m["secrets"].(map[string]any)
				secrets[field] = edit(secrets[field].(string))
			})
			return item
		}
	}
	flip := func(s string) any { return flipBit(s) }
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
		h.create("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
		item := edit(h.item("c#one"))
		h.tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}})
		for action, call := range map[string]func() error{
			"Get":  func() error { _, err := h.Get(h.ctx, &chat.GetRequest{Name: "one"}); return err },
			"List": func() error { _, err := h.List(h.ctx, &chat.ListRequest{}); return err },
			"List by type": func() error {
				_, err := h.List(h.ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "Name", Value: "one"}}})
				return err
			},
		} {
			err := call()
			wantError(t, action+" of a record with "+about, err, chat.Internal, "")
			wantNoDetail(t, err)
		}
	}
	h := newHouse(t)
	h.create("one")
	item := field("type", "Matrix")(h.item("c#one"))
	h.tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}})
	_, err := h.Update(h.ctx, &chat.UpdateRequest{Name: "one"})
	wantError(t, "Update of a record of a type that is not known", err, chat.Internal, "")
}

func swapSecrets(item table.Item) table.Item {
	item.Value = chat.Reencode(item.Value, func(m map[string]any) {
		s := m["secrets"].(map[string]any)
		s["WeChatToken"], s["WeChatEncodingAesKey"] = s["WeChatEncodingAesKey"], s["WeChatToken"]
	})
	return item
}

// TestIndexEntryThatIsMalformed holds that what is in the index and is no entry is noticed.
func TestIndexEntryThatIsMalformed(t *testing.T) {
	for _, key := range []string{"i#tag:k#", "i#tag:k#v", "i#tag:k#v#n#x", "i#tag:k#%ZZ#n", "i#tag:k#%41#n"} {
		h := newHouse(t)
		h.tamper(table.Change{Puts: []table.Put{{Sort: key}}})
		_, err := h.ListTagKeys(h.ctx, &chat.ListTagKeysRequest{ResourceType: resourceType})
		wantError(t, "ListTagKeys over "+key, err, chat.Internal, "")
		wantNoDetail(t, err)
	}
	h := newHouse(t)
	h.tamper(table.Change{Puts: []table.Put{{Sort: "i#Type#Slack#%"}}})
	_, err := h.List(h.ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "Type", Value: "Slack"}}})
	wantError(t, "List over a malformed entry", err, chat.Internal, "")
}

// TestSecretsMovedToAnotherConfiguration holds that who can write to the table cannot make one configuration show another's secrets.
func TestSecretsMovedToAnotherConfiguration(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"one", "two"} {
		h.create(name, func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	}
	one := h.item("c#one")
	moved := chat.Reencode(one.Value, func(m map[string]any) { m["name"] = "two" })
	h.tamper(table.Change{Puts: []table.Put{{Sort: "c#two", Value: moved, Revision: one.Revision}}})
	_, err := h.Get(h.ctx, &chat.GetRequest{Name: "two"})
	wantError(t, "Get with another's secrets", err, chat.Internal, "")
}

func TestCodeOf(t *testing.T) {
	for about, c := range map[string]struct {
		err  error
		want chat.Code
	}{
		"an error of the domain":      {&chat.Error{Code: chat.NotFound}, chat.NotFound},
		"one that is wrapped":         {fmt.Errorf("x: %w", &chat.Error{Code: chat.Conflict}), chat.Conflict},
		"an error of somebody else's": {errors.New("x"), chat.Internal},
		"none":                        {nil, chat.Internal},
	} {
		if got := chat.CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf %s = %v, want %v", about, got, c.want)
		}
	}
	for got, want := range map[string]string{
		(&chat.Error{Message: "m", Err: errors.New("d")}).Error(): "m",
		(&chat.Error{Err: errors.New("d")}).Error():               "d",
		(&chat.Error{}).Error():                                   "",
	} {
		if got != want {
			t.Errorf("Error = %q, want %q", got, want)
		}
	}
}
