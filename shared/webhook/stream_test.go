package webhook_test

import (
	"net/http"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/webhook/webhooktest"
)

// silent is a connection that carries no answer.
type silent struct{}

func (silent) Answer(*callback.Received, string) (*callback.Response, error) {
	return callback.Acknowledge(), nil
}

// A connection is of one life of a configuration: who may talk over it must not command the next
// configuration of that name, which may be of another app.
func TestADeliveryForAFormerLifeIsRefused(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	h := process.Handler(nobody)
	var former command.Ref
	for _, life := range []string{"first", "second"} {
		process.Create("ops", "Slack", platformtest.Settings("Slack"), `"Receive":"Stream"`,
			`"SlackAppToken":"xapp-1-A0-0-not-a-real-token"`, webhooktest.Open)
		bots, err := process.Service.Streams(w.As())
		if err != nil || len(bots) != 1 {
			t.Fatalf("%+v: %v", bots, err)
		}
		arrive := func(of command.Ref) int {
			m := &command.Message{ID: life + of.Life, Conversation: "C1", User: "U1", Text: "restart"}
			return h.Arrive(w.Context(), of, silent{}, &callback.Received{Message: m}, nil).Status
		}
		if status := arrive(bots[0].Ref); status != http.StatusOK {
			t.Errorf("%s life: %d", life, status)
		}
		if life == "second" {
			w.Log()
			if status := arrive(former); status != http.StatusUnauthorized {
				t.Errorf("former life: %d", status)
			}
			if said := line(t, w); said["step"] != "find" || said["outcome"] != "refused" {
				t.Errorf("logged is %v", said)
			}
			if n := len(process.Commands("ops")); n != 1 {
				t.Errorf("%d commands are recorded", n)
			}
			break
		}
		former = bots[0].Ref
		if _, err := process.Service.Delete(w.As(), &chat.DeleteRequest{Name: "ops"}); err != nil {
			t.Fatal(err)
		}
		if status := arrive(former); status != http.StatusUnauthorized {
			t.Errorf("deleted: %d", status)
		}
	}
}
