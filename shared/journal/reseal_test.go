package journal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/journal"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

func TestResealChangesOnlyWhatIsSealed(t *testing.T) {
	area := journal.ResealArea(nil)
	for _, c := range []struct{ sort, value, want, field string }{
		{"o#1-2", `{"v":1,"name":"one","later":1.50,"sealed":"eA=="}`,
			`{"later":1.50,"name":"one","sealed":"eCE=","v":1}`, "#Outbox/1-2"},
		{"r#one#1-2", `{"v":1,"id":"1-2","name":"one","later":1.50,"kept":"eA=="}`,
			`{"id":"1-2","kept":"eCE=","later":1.50,"name":"one","v":1}`, "#Kept/1-2"},
		{"r#one#1-2", `{"v":1,"id":"1-2","name":"one"}`, `{"v":1,"id":"1-2","name":"one"}`, ""},
	} {
		item := table.Item{Key: table.Key{Partition: "1/eu", Sort: c.sort}, Value: []byte(c.value)}
		got, err := area.Reseal(item, func(place seal.Place, sealed []byte) ([]byte, error) {
			if want := (seal.Place{Account: "1", Region: "eu", Name: "one", Field: c.field}); place != want {
				t.Errorf("%s: place = %+v, want %+v", c.sort, place, want)
			}
			return append(sealed, '!'), nil
		})
		if err != nil || string(got) != c.want {
			t.Errorf("%s = %s, %v, want %s", c.value, got, err, c.want)
		}
		got, err = area.Reseal(item, func(_ seal.Place, sealed []byte) ([]byte, error) { return sealed, nil })
		if err != nil || string(got) != c.value {
			t.Errorf("%s with nothing to do = %s, %v", c.value, got, err)
		}
	}
}

// A command that is being worked on is never written back under an older key: a walk may have
// passed it meanwhile, and the older key be gone.
func TestAClaimedCommandIsSealedAgain(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	ref := h.Pending(h.Bot("one"), "m1")
	rotated := h.JournalWith(chattest.NewRing(t, 2, 1))
	job, err := rotated.Claim(h.Ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := rotated.Retry(h.Ctx, job, h.Clock.Now(), "planted"); err != nil {
		t.Fatal(err)
	}
	again, err := h.JournalWith(chattest.NewRing(t, 2)).Claim(h.Ctx, ref, time.Minute) // the older key is gone
	if err != nil || again.Command.Name != job.Command.Name || again.ReplyTo != job.ReplyTo {
		t.Errorf("Claim without the older key = %+v, %v", again, err)
	}
}

func TestResealRefusesWhatItDoesNotKnow(t *testing.T) {
	failed := errors.New("the ring failed")
	area := journal.ResealArea(nil)
	for _, c := range []struct{ partition, sort, value, want string }{
		{"service", "o#1-2", `{"v":1,"name":"one"}`, "ACCOUNT/REGION"},
		{"1/eu", "o#1-2", `{"v":2,"name":"one","sealed":"eA=="}`, "version 2"},
		{"1/eu", "o#1-2", `{`, "o#1-2"},
		{"1/eu", "r#one#1-2", `{"v":2,"id":"1-2","name":"one","kept":"eA=="}`, "version 2"},
		{"1/eu", "r#one#1-2", `{`, "r#one"},
		{"1/eu", "o#1-2", `{"v":1,"name":"one","sealed":"eA=="}`, failed.Error()},
		{"1/eu", "r#one#1-2", `{"v":1,"id":"1-2","name":"one","kept":"eA=="}`, failed.Error()},
	} {
		_, err := area.Reseal(table.Item{Key: table.Key{Partition: c.partition, Sort: c.sort}, Value: []byte(c.value)},
			func(seal.Place, []byte) ([]byte, error) { return nil, failed })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s = %v, want an error with %q", c.value, c.sort, err, c.want)
		}
	}
}
