package chat_test

import (
	"errors"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/reseal"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// Only the secrets of a record change, also in one that a newer version has written more into.
func TestResealChangesNothingButSecrets(t *testing.T) {
	again := func(place seal.Place, sealed []byte) ([]byte, error) {
		if want := (seal.Place{Account: "1", Region: "eu", Name: "one", Field: "Key"}); place != want {
			t.Errorf("place = %+v, want %+v", place, want)
		}
		return append(sealed, '!'), nil
	}
	area := chat.ResealArea(nil)
	for sort, rest := range map[string]string{"c#one": "", "h#one#0000000003": `,"action":"Tag"`} {
		item := table.Item{Key: table.Key{Partition: "1/eu", Sort: sort}, Revision: 3, Value: []byte(
			`{"v":1,"name":"one","later":"<1.50>","revision":3,"secrets":{"Key":"eA=="}` + rest + `}`)}
		got, err := area.Reseal(item, again)
		want := `"later":"<1.50>","name":"one","revision":3,"secrets":{"Key":"eCE="},"v":1}`
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s = %s, %v, want %s at its end", sort, got, err, want)
		}
		same := func(_ seal.Place, sealed []byte) ([]byte, error) { return sealed, nil }
		if got, err := area.Reseal(item, same); err != nil || string(got) != string(item.Value) {
			t.Errorf("%s with nothing to do = %s, %v", sort, got, err)
		}
	}
}

func TestResealRefusesWhatItDoesNotKnow(t *testing.T) {
	failed := errors.New("the ring failed")
	again := func(seal.Place, []byte) ([]byte, error) { return nil, failed }
	area := chat.ResealArea(nil)
	const good = `{"v":1,"name":"one","revision":3,"secrets":{"Key":"eA=="}}`
	for _, c := range []struct {
		name string
		item table.Item
		want string
	}{
		{"no account", table.Item{Key: table.Key{Partition: "keys", Sort: "c#one"}, Value: []byte(good)},
			"ACCOUNT/REGION"},
		{"a newer record", table.Item{Key: table.Key{Partition: "1/eu", Sort: "c#one"}, Revision: 3,
			Value: []byte(strings.Replace(good, `"v":1`, `"v":2`, 1))}, "version 2"},
		{"a newer revision", table.Item{Key: table.Key{Partition: "1/eu", Sort: "h#one#0000000003"}, Revision: 3,
			Value: []byte(strings.Replace(good, `"v":1`, `"v":2`, 1))}, "version 2"},
		{"no JSON", table.Item{Key: table.Key{Partition: "1/eu", Sort: "c#one"}, Value: []byte("{")}, "c#one"},
		{"a ring that fails", table.Item{Key: table.Key{Partition: "1/eu", Sort: "c#one"}, Revision: 3,
			Value: []byte(good)}, failed.Error()},
	} {
		if got, err := area.Reseal(c.item, again); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s, %v, want an error with %q", c.name, got, err, c.want)
		}
	}
}

// A step that fails is an error of the store, without details for the caller.
func TestResealStepWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		h := newHouse(t)
		h.MustCreate("one")
		ring, area := chattest.NewRing(t, 2, 1), chat.ResealArea(h.Spy)
		area.Partition = chattest.Account + "/" + chattest.Region
		s := h.ServiceWith(chat.Options{Resealer: reseal.New(ring, h.Spy, h.Clock.Now, area)}, ring)
		for n := 1; ; n++ {
			ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
			_, err := s.ResealSecrets(ctx, &chat.ResealSecretsRequest{Restart: true})
			made := calls()
			h.Spy.Reset()
			if made < n {
				if err != nil || n == 1 {
					t.Errorf("ResealSecrets made %d calls and ended with %v", made, err)
				}
				break
			}
			chattest.WantError(t, about, err, f.Code, "")
			chattest.WantNoDetail(t, err)
		}
	}
}
