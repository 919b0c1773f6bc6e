package chat_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

// A house is a service on a real file, as all tests of the domain have it.
type house struct{ *chattest.House }

func newHouse(t testing.TB) *house { t.Helper(); return newHouseWith(t, chat.Options{}) }

func newHouseWith(t testing.TB, o chat.Options) *house { t.Helper(); return &house{chattest.New(t, o)} }

// stored returns a configuration as it lies in the table, its secrets opened.
func (h *house) stored(name string) *chat.Stored {
	h.T.Helper()
	r, err := h.Read(h.Ctx, chattest.Account, chattest.Region, name)
	if err != nil {
		h.T.Fatalf("Read(%q): %v", name, err)
	}
	if r == nil {
		h.T.Fatalf("Read(%q): there is none", name)
	}
	return r
}

func (h *house) history(name string) []chat.Entry {
	h.T.Helper()
	list, err := h.ReadHistory(h.Ctx, chattest.Account, chattest.Region, name)
	if err != nil {
		h.T.Fatalf("ReadHistory(%q): %v", name, err)
	}
	return list
}

// callerOf returns somebody of the same account with the given statements, each a JSON object.
func callerOf(t testing.TB, id string, statements ...string) *chat.Caller {
	t.Helper()
	c := &chat.Caller{Account: chattest.Account, AccessKeyID: id, Name: "the " + id}
	if len(statements) > 0 {
		p, err := policy.Parse([]byte(`{"Version":"1","Statement":[` + strings.Join(statements, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		c.Policies = []*policy.Policy{p}
	}
	return c
}

func from(ctx context.Context, requestID, ip string) context.Context {
	return invoke.With(ctx, &invoke.Invocation{RequestID: requestID, SourceIP: ip})
}

func namesOf(list []chat.Summary) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.Name
	}
	return out
}

// ServiceWithPlatforms returns another service on the same tables and clock that knows other
// platforms.
func (h *house) ServiceWithPlatforms(platforms ...command.Platform) *chat.Service {
	h.T.Helper()
	s, err := chat.New(h.Spy, h.Ring, platforms, chat.Options{Now: h.Clock.Now, Journal: h.Journal})
	if err != nil {
		h.T.Fatal(err)
	}
	return s
}

// MustCreateAll makes many configurations; those that wait share a flush of the disk.
func (h *house) MustCreateAll(requests []*chat.CreateRequest) {
	h.T.Helper()
	chattest.InParallel(h.T, len(requests), func(i int) error {
		_, err := h.Create(h.Ctx, requests[i])
		return err
	})
}

func (h *house) MustUpdate(in *chat.UpdateRequest) *chat.WriteResponse {
	h.T.Helper()
	out, err := h.Update(h.Ctx, in)
	if err != nil {
		h.T.Fatalf("Update(%q): %v", in.Name, err)
	}
	return out
}

// Touch makes the next revision of a configuration, with another role.
func (h *house) Touch(name string) {
	h.T.Helper()
	role := fmt.Sprint("Touched", h.MustGet(name).Revision)
	h.MustUpdate(&chat.UpdateRequest{Name: name, RamRole: &role})
}

func (h *house) MustDelete(name string) {
	h.T.Helper()
	if _, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: name}); err != nil {
		h.T.Fatalf("Delete(%q): %v", name, err)
	}
}

// MustAgree fails the test unless documents, index, counters and history agree.
func (h *house) MustAgree() *chat.Report {
	h.T.Helper()
	report, err := h.Check(h.Ctx, chattest.Account, chattest.Region)
	if err != nil {
		h.T.Fatalf("Check: %v", err)
	}
	for _, p := range report.Problems {
		h.T.Errorf("Check: %s", p)
	}
	return report
}

// Dump returns every item of the partition.
func (h *house) Dump() []table.Item {
	h.T.Helper()
	var all []table.Item
	after := ""
	for {
		items, err := h.Spy.Table.Query(h.Ctx,
			table.Range{Partition: chattest.Partition, After: after, Limit: table.MaxQuery})
		if err != nil {
			h.T.Fatal(err)
		}
		all = append(all, items...)
		if len(items) < table.MaxQuery {
			return all
		}
		after = items[len(items)-1].Sort
	}
}

// Tamper writes to the table behind the service's back.
func (h *house) Tamper(c table.Change) {
	h.T.Helper()
	if err := h.Spy.Table.Write(h.Ctx, chattest.Partition, c); err != nil {
		h.T.Fatal(err)
	}
}
