package chat_test

import (
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
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
