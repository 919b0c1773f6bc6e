package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
)

const actionCheck = "CheckChatConfiguration"

// Limits of a check. A function has 10 seconds for a request.
const (
	checkTime  = 8 * time.Second // for all steps
	stepTime   = 4 * time.Second // for one step
	maxLookups = 20              // of conversations
)

// CheckConfigurationRequest are the parameters of CheckChatConfiguration. Name is mandatory.
type CheckConfigurationRequest struct {
	RegionID string `param:"RegionId"`
	Name     string `param:"Name"`
	SendTo   string `param:"SendTo"` // a conversation for a test message; empty: none is sent
}

// CheckConfigurationResponse is the answer of CheckChatConfiguration.
type CheckConfigurationResponse struct {
	Check Checked
}

// Checked is the result of a check.
type Checked struct {
	Name  string
	Type  string
	State string // Failed if a step failed, else Passed
	Steps []CheckedStep
}

// Steps of a check, in their order.
const (
	checkSettings     = "settings"     // the rules for a Configuration, and the stored secrets
	checkToken        = "token"        // the platform accepts the configuration's secrets
	checkScopes       = "scopes"       // the app may do what the bot needs
	checkConversation = "conversation" // one of ConversationIds, or of SendTo
	checkMessage      = "message"      // a test message
	checkWebhook      = "webhook"      // the health of the webhook
	checkConnection   = "connection"   // in its place, the health of the connection
)

// CheckedStep is a step of a check, and what it found.
type CheckedStep struct {
	// settings, token, scopes, conversation, message, and webhook or connection
	Step           string
	ConversationId string `json:",omitempty"`
	State          string // Passed, Failed or NotPossible
	Reason         string `json:",omitempty"` // what is wrong and what would be right, or a note
	Page           string `json:",omitempty"` // of the platform's console, after a failure
}

// CheckConfiguration checks a configuration against today's rules, its platform's API and the
// health of its webhook or connection: CheckChatConfiguration. It changes nothing. With SendTo it
// sends a test message to a conversation; the caller needs SendChatMessage for that, too.
//
// A mistake makes a step fail; it is not an error. Errors: MissingParameter, InvalidParameter,
// NotFound, NoPermission, InvalidRegion.
func (s *Service) CheckConfiguration(ctx context.Context,
	in *CheckConfigurationRequest) (*CheckConfigurationResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	actions := []string{actionCheck}
	if in.SendTo != "" {
		actions = append(actions, actionSend)
	}
	c, r, there, err := s.mayRead(ctx, in.RegionID, in.Name, actions...)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, notFound(in.Name)
	}
	p, err := s.platforms.of(r)
	if err != nil {
		return nil, storeError(ctx, "check", err)
	}
	root, err := r.parse()
	if err != nil {
		return nil, storeError(ctx, "check", err)
	}
	var conversations []string
	if list := root.Get(command.KeyConversationIDs); list != nil {
		for _, n := range list.Items {
			conversations = append(conversations, n.Text)
		}
	}
	if in.SendTo != "" && len(conversations) > 0 && !slices.Contains(conversations, in.SendTo) {
		return nil, fault.Invalid("SendTo", "SendTo %s is not in ConversationIds of %s; use one of those.",
			fault.Quote(in.SendTo), fault.Quote(in.Name))
	}
	last, health, err := s.checkedHealth(ctx, c, r) // first, so that its error comes before a message is sent
	if err != nil {
		return nil, storeError(ctx, "check", err)
	}
	if err := c.confirm(ctx); err != nil { // a replay sends no message
		return nil, storeError(ctx, "check", err)
	}
	limited, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	out := &checking{ctx: limited, console: p.Console, Checked: Checked{Name: r.Name, Type: r.Type,
		State: command.FindingPassed}}
	endpoint := s.checkSettings(out, c, r, p)
	s.checkPlatform(out, p, endpoint, conversations, in.SendTo)
	out.add(last, "", health)
	return &CheckConfigurationResponse{out.Checked}, nil
}

// A checking is a check in progress.
type checking struct {
	Checked
	ctx     context.Context // until the end of its time
	console string
}

// add adds a step.
func (ch *checking) add(step, conversation string, f command.Finding) {
	if f.State == command.FindingFailed {
		ch.State = f.State
		if f.Page == "" && step != checkSettings {
			f.Page = ch.console
		}
	}
	ch.Steps = append(ch.Steps, CheckedStep{step, conversation, f.State, f.Reason, f.Page})
}

// do adds a step that calls the platform.
func (ch *checking) do(step, conversation string, call func(context.Context) command.Finding) command.Finding {
	if ch.ctx.Err() != nil {
		f := command.Finding{State: command.FindingNotPossible, Reason: "there was no time left; check again"}
		ch.add(step, conversation, f)
		return f
	}
	ctx, cancel := context.WithTimeout(ch.ctx, stepTime)
	defer cancel()
	f := call(ctx)
	ch.add(step, conversation, f)
	return f
}

// checkSettings adds the step of the settings: they follow the rules of today, and all secrets
// open. It returns the endpoint; nil if it cannot be made.
func (s *Service) checkSettings(out *checking, c scope, r *record, p *platform) *command.Endpoint {
	endpoint, err := s.endpoints.make(c, r)
	if err != nil {
		out.add(checkSettings, "", command.Finding{State: command.FindingFailed,
			Reason: "a stored secret does not open with the key ring of this service; set the secrets again"})
		return nil
	}
	f := command.Finding{State: command.FindingPassed}
	if _, err := p.settle(r.Configuration, r.hasSecret, s.random, s.targets); err != nil {
		f = command.Finding{State: command.FindingFailed, Reason: err.Error()}
	} else if !endpoint.Active {
		f.Reason = "Status is " + r.Status + ": the bot runs no command"
	}
	out.add(checkSettings, "", f)
	return endpoint
}

// checkPlatform adds the steps that call the platform.
func (s *Service) checkPlatform(out *checking, p *platform, e *command.Endpoint, conversations []string,
	sendTo string) {
	if len(conversations) == 0 && sendTo != "" {
		conversations = []string{sendTo}
	}
	checker, f := s.checkerOf(p, e)
	if checker == nil {
		out.add(checkToken, "", f)
	} else {
		f = out.do(checkToken, "", checker.Token)
	}
	if f.State != command.FindingPassed {
		if sendTo != "" {
			out.add(checkMessage, sendTo, command.Finding{State: command.FindingNotPossible,
				Reason: "it was not sent, since the step token has not passed"})
		}
		return
	}
	out.do(checkScopes, "", checker.Scopes)
	for i, id := range conversations {
		if i == maxLookups {
			out.add(checkConversation, "", command.Finding{State: command.FindingNotPossible,
				Reason: fmt.Sprintf("only the first %d of %d ConversationIds are looked up", i, len(conversations))})
			break
		}
		out.do(checkConversation, id, func(ctx context.Context) command.Finding {
			return checker.Conversation(ctx, id)
		})
	}
	if sendTo != "" {
		text := fmt.Sprintf("This is a test message of %s, sent at %s.", e.Name, date(s.now()))
		out.do(checkMessage, sendTo, func(ctx context.Context) command.Finding {
			return checker.Send(ctx, sendTo, text)
		})
	}
}

// checkerOf returns the checker of a configuration; nil and the reason if it has no checker.
func (s *Service) checkerOf(p *platform, e *command.Endpoint) (command.Checker, command.Finding) {
	f := command.Finding{State: command.FindingNotPossible}
	switch {
	case e == nil:
		f.Reason = "the stored secrets do not open"
		return nil, f
	case s.checkers == nil:
		f.Reason = "this function does not call platforms; call the function check-chat-configuration"
		return nil, f
	}
	newChecker, ok := s.checkers[e.Type]
	if !ok {
		f.Reason = p.Title + " has no API that tells about a bot of this kind"
		return nil, f
	}
	checker, err := newChecker(e)
	var why command.Uncheckable
	switch {
	case errors.As(err, &why):
		f.Reason = string(why)
		return nil, f
	case err != nil:
		return nil, command.Finding{State: command.FindingFailed, Reason: err.Error()}
	}
	return checker, f
}

// checkedHealth returns the last step, and what the health of the webhook or the connection says.
func (s *Service) checkedHealth(ctx context.Context, c scope, r *record) (string, command.Finding, error) {
	step, f := checkWebhook, command.Finding{State: command.FindingNotPossible, Reason: "this service keeps no journal"}
	receive, err := r.receive()
	if receive == command.ReceiveStream {
		step = checkConnection
	}
	if err != nil || s.journal == nil {
		return step, f, err
	}
	h, err := s.health(ctx, c, r)
	switch {
	case err != nil:
	case h.Connection != nil && h.Connection.State != ConnectionConnected:
		f = h.Connection.finding(r.Status)
	case h.State == HealthSilent:
		f.Reason = "the platform has never called; set the URL of Outputs in its console"
	case h.State == HealthFailing:
		f.State, f.Reason = command.FindingFailed, "the last callback was refused"+h.LastError.text()
	case h.Connection != nil:
		f.State, f.Reason = command.FindingPassed, "the connection has been open since "+h.Connection.SinceDate
	default:
		f.State, f.Reason = command.FindingPassed, "the last callback was on "+h.LastCallbackDate
	}
	return step, f, err
}

// finding returns the finding for a connection that is not open. status is the configuration's.
func (h *HealthConnection) finding(status string) command.Finding {
	const run = "run 'chatconf serve' or 'chatconf connect'"
	f := command.Finding{State: command.FindingFailed}
	switch {
	case h.State == ConnectionAbsent && status != StatusActive:
		f.State, f.Reason = command.FindingNotPossible, "no connection is open, because Status is "+status
	case h.State == ConnectionAbsent && h.SinceDate == "":
		f.State, f.Reason = command.FindingNotPossible, "no process has opened the connection yet; "+run
	case h.State == ConnectionAbsent:
		f.Reason = "no process has held the connection since " + h.SinceDate + "; " + run
	case h.State == ConnectionLost:
		f.Reason = "the process that holds the connection has reported nothing since " + h.SinceDate + "; " + run
	case h.State == ConnectionRefused:
		f.Reason = "the connection was refused" + h.LastError.text() +
			"; correct the configuration, or set Status to Inactive and then to Active to try again"
	default:
		f.Reason = "the connection is not open, and a process tries to open it; the last error was" + h.LastError.text()
	}
	return f
}

// text returns the date, step and reason of an error, to end a sentence with; nothing for nil.
func (e *HealthError) text() string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf(" on %s, at the step %s: %s", e.Date, e.Step, e.Reason)
}
