package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
)

// modeStream is the Mode of a message over the connection that the service has opened. The
// stand-in for the platform delivers it.
const modeStream = "stream"

// sendStream delivers a message over the connection of a bot, and waits for the acknowledgement.
func (p *simulator) sendStream(ctx context.Context, s *chat.Service, e *command.Endpoint, in *sendRequest,
	wait time.Duration) (*sendResponse, error) {
	gateway := p.gateways.gateway(e.Type)
	if err := checkStream(e, in, gateway); err != nil {
		return nil, err
	}
	settings := callback.Settings(e.Settings)
	hide := hider(e, "", false)
	said := platformsim.Message{
		ID: in.MessageID, User: in.UserID, UserName: in.UserName, Conversation: in.ConversationID,
		Direct: in.Direct, Text: in.Text.Reveal(),
	}
	out := &sendResponse{Name: e.Name, Type: e.Type, Mode: modeStream}
	if said.ID != "" {
		var err error
		if _, out.Duplicate, err = s.FollowSent(ctx, e, gateway.MessageID(said)); err != nil {
			return nil, err
		}
	}
	before := len(gateway.Sent(settings))
	begun := p.now()
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	pushed, err := gateway.Push(bounded, settings, said)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && pushed.Deliveries == 0:
		out.Problem = "the service has no connection for the bot; 'chatconf show " + e.Name + "' says why"
	case err != nil:
		out.Problem = hide(withoutPackage(err))
	case pushed.Again:
		out.Problem = "the service could not record the message, and asked for it again; its log says why"
	default:
		out.Answer = &sentAnswer{Status: http.StatusOK, Text: hide(pushed.Answer),
			Milliseconds: p.now().Sub(begun).Milliseconds()}
	}
	if !out.ok() || out.Duplicate {
		return out, nil
	}
	became, _, err := await(ctx, wait, func() (journal.SentMessage, bool, error) {
		return s.FollowSent(ctx, e, pushed.MessageID)
	})
	if err != nil {
		return nil, err
	}
	out.became(became, hide)
	out.later(gateway, e, before, hide)
	if became.Outcome == journal.OutcomePending {
		p.streamed.add(became.ID, before)
	}
	return out, nil
}

// later puts what the stand-in got after a message into the response. before is how much it had.
func (r *sendResponse) later(gateway platformsim.Gateway, e *command.Endpoint, before int, hide func(string) string) {
	if sent := gateway.Sent(callback.Settings(e.Settings)); len(sent) > before {
		r.Later = hide(strings.Join(sent[before:], "\n\n"))
	}
}

// maxStreamed is how many messages over connections are remembered.
const maxStreamed = 100

// streamed are the latest messages that went over a connection and had no result yet, with how many
// answers the stand-in had before each.
type streamed struct {
	mu  sync.Mutex
	all []streamedMessage
}

type streamedMessage struct {
	id     string // of the record
	before int
}

func (s *streamed) add(id string, before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all[max(0, len(s.all)-maxStreamed+1):], streamedMessage{id, before})
}

func (s *streamed) before(id string) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.all {
		if m.id == id {
			return m.before, true
		}
	}
	return 0, false
}

// checkStream returns an error unless the stand-in can deliver the message of a request.
func checkStream(e *command.Endpoint, in *sendRequest, gateway platformsim.Gateway) error {
	var wrong []error
	if gateway == nil {
		name := standInOf(e.Type)
		if name == "" {
			return fault.Invalid("Mode", "Mode %s is not possible: chatconf opens no connections to %s.", modeStream,
				e.Type)
		}
		wrong = append(wrong, fault.Invalid("Mode", "Mode %s needs a stand-in for %s; start the service with "+
			"'chatconf serve --emulate %s'.", modeStream, e.Type, name))
	}
	if e.Receive != command.ReceiveStream {
		wrong = append(wrong, fault.Invalid("Mode", "Mode %s needs Receive %q in the Configuration of %s, and it "+
			"is %q.", modeStream, command.ReceiveStream, fault.Quote(e.Name),
			cmp.Or(e.Receive, command.ReceiveWebhook)))
	}
	if !e.Active {
		wrong = append(wrong, fault.Invalid("Mode", "Mode %s needs a connection, and the service opens none while %s "+
			"is Inactive; run 'chatconf set %s Status=Active'.", modeStream, fault.Quote(e.Name), e.Name))
	}
	for _, given := range [...]struct {
		name string
		set  bool
	}{{"Previous", in.Previous}, {"DryRun", in.DryRun}, {"ShowUrl", in.ShowURL}} {
		if given.set {
			wrong = append(wrong, fault.Invalid(given.name, "%s cannot be used with Mode %s; leave it out.", given.name,
				modeStream))
		}
	}
	return fault.Join(append(wrong, in.checkSaid())...)
}
