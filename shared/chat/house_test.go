package chat_test

import (
	"testing"

	"chatconf/shared/chat"
)

// A house is a service on a real file, as all tests of the domain have it.
type house struct{ *base }

func newHouse(t testing.TB) *house { t.Helper(); return newHouseWith(t, chat.Options{}) }

func newHouseWith(t testing.TB, o chat.Options) *house { t.Helper(); return &house{newBase(t, o)} }

// stored returns a configuration as it lies in the table, its secrets opened.
func (h *house) stored(name string) *chat.Stored {
	h.t.Helper()
	r, err := h.Read(h.ctx, account, region, name)
	if err != nil {
		h.t.Fatalf("Read(%q): %v", name, err)
	}
	if r == nil {
		h.t.Fatalf("Read(%q): there is none", name)
	}
	return r
}

func (h *house) history(name string) []chat.Entry {
	h.t.Helper()
	list, err := h.ReadHistory(h.ctx, account, region, name)
	if err != nil {
		h.t.Fatalf("ReadHistory(%q): %v", name, err)
	}
	return list
}
