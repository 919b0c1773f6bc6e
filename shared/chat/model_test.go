package chat_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
)

// A model is what the configurations should be, kept the naive way: a map, and rules written once
// more in other words.
type model struct {
	live map[string]*chat.Stored
	last map[string]int64 // revision, over all lives of a name
}

// TestRandomOperations does random things to a service and to a model, compares every outcome, and
// checks the table on the way.
func TestRandomOperations(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 7))
		h := newHouseWith(t, chat.Options{Quota: 6})
		m := &model{live: make(map[string]*chat.Stored), last: make(map[string]int64)}
		for i := range 200 {
			h.Clock.Advance(time.Duration(r.IntN(2000)) * time.Millisecond)
			what, err := m.step(h, r)
			if t.Failed() {
				t.Fatalf("seed %d, step %d: %s: %v", seed, i, what, err)
			}
			if i%50 == 49 {
				if got := h.MustAgree().Configurations; got != len(m.live) {
					t.Fatalf("seed %d, step %d: %d configurations, want %d", seed, i, got, len(m.live))
				}
			}
		}
		for name, want := range m.live {
			got := h.stored(name)
			got.Sealed, got.Secrets = nil, nil
			chattest.Equal(t, "at the end, "+name, got, want)
			if got := len(h.history(name)); int64(got) != min(m.last[name], chat.DefaultHistory) {
				t.Errorf("%s has %d entries of history at revision %d", name, got, m.last[name])
			}
		}
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// step does one random operation to both. An error of the service must be the one that the model
// foresees.
func (m *model) step(h *house, r *rand.Rand) (what string, err error) {
	h.T.Helper()
	name := fmt.Sprint("n", r.IntN(9))
	was := m.live[name]
	foresee := func(code fault.Code) bool {
		if err == nil {
			h.T.Errorf("%s of %q: no error, want %v", what, name, code)
		} else if got := fault.CodeOf(err); got != code {
			h.T.Errorf("%s of %q: code = %v, want %v", what, name, got, code)
		}
		return true
	}
	change := func(edit func(*chat.Stored)) {
		if err != nil {
			h.T.Errorf("%s of %q: %v", what, name, err)
			return
		}
		edit(was)
		m.last[name]++
		was.Revision = m.last[name]
		if now := h.Clock.Now().Truncate(time.Millisecond); now.After(was.Updated) {
			was.Updated = now
		}
	}
	switch r.IntN(6) {
	case 0:
		what = "Create"
		in := &chat.CreateRequest{Name: name, Type: "Slack", Configuration: chattest.Slack, RamRole: pick(r, "", "Ops"),
			ResourceGroupID: pick(r, "", "rg"), Status: pick(r, "", "Inactive")}
		if r.IntN(2) == 0 {
			in.Tags = map[string]string{"a": pick(r, "", "1"), "b": "2"}
		}
		configuration := `{"SlackSigningSecret":"******"}`
		if r.IntN(2) == 0 {
			in.Configuration, configuration = streamSlack, `{"Receive":"Stream","SlackAppToken":"******"}`
		}
		_, err = h.Create(h.Ctx, in)
		switch {
		case len(m.live) >= 6:
			foresee(fault.QuotaExceeded)
		case was != nil:
			foresee(fault.AlreadyExists)
		default:
			now := h.Clock.Now().Truncate(time.Millisecond)
			was = &chat.Stored{Name: name, Type: "Slack", RamRole: in.RamRole,
				ResourceGroupID: in.ResourceGroupID, Status: "Active",
				Configuration: configuration, Tags: maps.Clone(in.Tags), Created: now, Updated: now}
			if in.Status != "" {
				was.Status = in.Status
			}
			m.live[name] = was
			change(func(*chat.Stored) {})
		}
	case 1:
		what = "Update"
		in := &chat.UpdateRequest{Name: name, Status: pick(r, "", "Active", "Inactive")}
		if r.IntN(2) == 0 {
			in.RamRole = chattest.Ptr(pick(r, "", "Ops", "Dev"))
		}
		if r.IntN(2) == 0 {
			in.ResourceGroupID = chattest.Ptr(pick(r, "", "rg", "rg-2"))
		}
		if r.IntN(2) == 0 {
			in.Revision = chattest.Ptr(m.last[name] - int64(r.IntN(2)))
		}
		_, err = h.Update(h.Ctx, in)
		switch {
		case was == nil:
			foresee(fault.NotFound)
		case in.Revision != nil && *in.Revision != was.Revision:
			foresee(fault.Conflict)
		default:
			after := *was
			if in.Status != "" {
				after.Status = in.Status
			}
			if in.RamRole != nil {
				after.RamRole = *in.RamRole
			}
			if in.ResourceGroupID != nil {
				after.ResourceGroupID = *in.ResourceGroupID
			}
			if err != nil || after.Status != was.Status || after.RamRole != was.RamRole ||
				after.ResourceGroupID != was.ResourceGroupID { // a change of nothing is no revision
				change(func(s *chat.Stored) { *s = after })
			}
		}
	case 2:
		what = "Delete"
		_, err = h.Delete(h.Ctx, &chat.DeleteRequest{Name: name})
		if was == nil {
			foresee(fault.NotFound)
			return what, err
		}
		change(func(*chat.Stored) {})
		delete(m.live, name)
	case 3:
		what = "Tag"
		tags := map[string]string{pick(r, "a", "b", "c#"): pick(r, "", "1", "#")}
		err = h.tag(tags, name)
		m.retag(was, err, foresee, change, func(all map[string]string) { maps.Copy(all, tags) })
	case 4:
		what = "Untag"
		keys := []string{pick(r, "a", "b", "c#")}
		all := r.IntN(4) == 0
		if all {
			keys = nil
		}
		_, err = h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType,
			ResourceIDs: []string{name}, TagKeys: keys, All: all})
		m.retag(was, err, foresee, change, func(tags map[string]string) {
			for key := range tags {
				if all || key == keys[0] {
					delete(tags, key)
				}
			}
		})
	default:
		what = "ChangeResourceGroup"
		group := pick(r, "rg", "rg-2")
		_, err = h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
			ResourceID: name, NewResourceGroupID: group})
		switch {
		case was == nil:
			foresee(fault.ResourceNotFound)
		case was.ResourceGroupID != group:
			change(func(s *chat.Stored) { s.ResourceGroupID = group })
		}
	}
	return what, err
}

// retag does to the model what Tag and Untag do; a change of nothing is no revision.
func (m *model) retag(was *chat.Stored, err error, foresee func(fault.Code) bool, change func(func(*chat.Stored)),
	edit func(map[string]string)) {
	if was == nil {
		foresee(fault.ResourceNotFound)
		return
	}
	after := maps.Clone(was.Tags)
	if after == nil {
		after = make(map[string]string)
	}
	edit(after)
	if maps.Equal(after, was.Tags) {
		return
	}
	if len(after) == 0 {
		after = nil
	}
	change(func(s *chat.Stored) { s.Tags = after })
}

// TestRandomOperationsAtOnce has many callers do random things to few names, and finds all in
// agreement afterwards.
func TestRandomOperationsAtOnce(t *testing.T) {
	h := newHouse(t)
	chattest.InParallel(t, 400, func(i int) error {
		r := rand.New(rand.NewPCG(uint64(i), 9))
		name := fmt.Sprint("n", r.IntN(3))
		var err error
		switch r.IntN(6) {
		case 0:
			_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: name, Type: "Slack", Configuration: chattest.Slack,
				RamRole: "Ops", Tags: map[string]string{"a": "b"}})
		case 1:
			_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: name, RamRole: chattest.Ptr(pick(r, "", "Dev")),
				ClientToken: pick(r, "", fmt.Sprint(i))})
		case 2:
			_, err = h.Delete(h.Ctx, &chat.DeleteRequest{Name: name})
		case 3:
			err = h.tag(map[string]string{pick(r, "a", "b"): fmt.Sprint(i % 3)}, "n0", name)
		case 4:
			_, err = h.Restore(h.Ctx, &chat.RestoreRequest{Name: name, Revision: chattest.Ptr(1 + r.Int64N(9)),
				ClientToken: pick(r, "", fmt.Sprint(i))})
		default:
			_, err = h.List(h.Ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "RamRole", Value: "Ops"}}})
		}
		switch fault.CodeOf(err) {
		case fault.AlreadyExists, fault.NotFound, fault.ResourceNotFound:
			return nil
		}
		return err
	})
	h.MustAgree()
}
