package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
)

// A scripted checker answers each step as its script says, and notes what it was asked.
type scripted struct {
	script map[string]command.Finding // by step; passed if absent
	wait   time.Duration              // of each step
	asked  []string
}

func (c *scripted) step(ctx context.Context, step string, about ...string) command.Finding {
	c.asked = append(c.asked, strings.Join(append([]string{step}, about...), " "))
	select {
	case <-time.After(c.wait):
	case <-ctx.Done():
		return command.Finding{State: command.FindingFailed, Reason: "there was no answer in time"}
	}
	if f, ok := c.script[step]; ok {
		return f
	}
	return command.Finding{State: command.FindingPassed}
}

func (c *scripted) Token(ctx context.Context) command.Finding  { return c.step(ctx, "token") }
func (c *scripted) Scopes(ctx context.Context) command.Finding { return c.step(ctx, "scopes") }
func (c *scripted) Conversation(ctx context.Context, id string) command.Finding {
	return c.step(ctx, "conversation", id)
}
func (c *scripted) Send(ctx context.Context, id, text string) command.Finding {
	return c.step(ctx, "message", id, text)
}

// checkWith checks the configuration one with a checker for Slack.
func (h *house) checkWith(ctx context.Context, c *scripted, sendTo string) (chat.Checked, error) {
	h.T.Helper()
	s := h.ServiceWith(chat.Options{Journal: h.Journal, Checkers: map[string]chat.NewChecker{
		"Slack": func(e *command.Endpoint) (command.Checker, error) {
			if e.Settings["SlackSigningSecret"] == "" {
				return nil, errors.New("the secret is not open")
			}
			return c, nil
		}}}, h.Ring)
	out, err := s.CheckConfiguration(ctx, &chat.CheckConfigurationRequest{Name: "one", SendTo: sendTo})
	if err != nil {
		return chat.Checked{}, err
	}
	return out.Check, nil
}

// stepsOf returns the steps of a check, one a line.
func stepsOf(c chat.Checked) string {
	var b strings.Builder
	fmt.Fprintln(&b, c.Name, c.Type, c.State)
	for _, s := range c.Steps {
		fmt.Fprintln(&b, strings.Join(strings.Fields(fmt.Sprint(s.Step, " ", s.ConversationId, " ", s.State, " ",
			s.Reason, " ", s.Page)), " "))
	}
	return b.String()
}

func TestACheckTakesItsStepsInOrder(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"ConversationIds":["c1","c2"]`))
	})
	before := h.Dump()
	failed := command.Finding{State: command.FindingFailed, Reason: "wrong", Page: "https://slack.example"}
	for _, test := range []struct {
		about, sendTo string
		script        map[string]command.Finding
		want, asked   string
	}{
		{"all is right", "", nil, "one Slack Passed\nsettings Passed\ntoken Passed\nscopes Passed\n" +
			"conversation c1 Passed\nconversation c2 Passed\n" +
			"webhook NotPossible the platform has never called; set the URL of Outputs in its console\n",
			"token, scopes, conversation c1, conversation c2"},
		{"with a message", "c2", nil, "one Slack Passed\nsettings Passed\ntoken Passed\nscopes Passed\n" +
			"conversation c1 Passed\nconversation c2 Passed\nmessage c2 Passed\n" +
			"webhook NotPossible the platform has never called; set the URL of Outputs in its console\n",
			"token, scopes, conversation c1, conversation c2, " +
				"message c2 This is a test message of one, sent at 2026-11-23T08:00:00+00:00."},
		{"the token is refused", "c1",
			map[string]command.Finding{"token": {State: command.FindingFailed, Reason: "no"}},
			"one Slack Failed\nsettings Passed\ntoken Failed no https://api.slack.com/apps\n" +
				"message c1 NotPossible it was not sent, since the step token has not passed\n" +
				"webhook NotPossible the platform has never called; set the URL of Outputs in its console\n", "token"},
		{"a scope is missing", "", map[string]command.Finding{"scopes": failed},
			"one Slack Failed\nsettings Passed\ntoken Passed\nscopes Failed wrong https://slack.example\n" +
				"conversation c1 Passed\nconversation c2 Passed\n" +
				"webhook NotPossible the platform has never called; set the URL of Outputs in its console\n",
			"token, scopes, conversation c1, conversation c2"},
	} {
		c := &scripted{script: test.script}
		got, err := h.checkWith(h.Ctx, c, test.sendTo)
		if err != nil {
			t.Fatal(err)
		}
		chattest.Equal(t, test.about, stepsOf(got), test.want)
		chattest.Equal(t, test.about+": asked", strings.Join(c.asked, ", "), test.asked)
	}
	chattest.Equal(t, "the table afterwards", h.Dump(), before)
}

func TestACheckSaysWhatIsWrongHere(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Status = "Inactive" })
	check := func(want ...string) {
		t.Helper()
		got, err := h.checkWith(h.Ctx, &scripted{}, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range want {
			if !strings.Contains(stepsOf(got), line) {
				t.Errorf("the check says\n%s\nand not %s", stepsOf(got), line)
			}
		}
	}
	check("settings Passed Status is Inactive: the bot runs no command\n")
	ref := h.Open("one").Ref()
	note := func(n journal.Note) {
		t.Helper()
		if err := h.Journal.Note(h.Ctx, ref, n); err != nil {
			t.Fatal(err)
		}
	}
	note(journal.Note{Counter: journal.CountRefused, Step: "signature", Reason: "another secret"})
	check("one Slack Failed\n", "webhook Failed the last callback was refused on 2026-11-23T08:00:00+00:00, at the "+
		"step signature: another secret https://api.slack.com/apps\n")
	h.Clock.Advance(time.Minute)
	note(journal.Note{Counter: journal.CountHandshakes})
	check("webhook Passed the last callback was on 2026-11-23T08:01:00+00:00\n")

	// Another key ring opens no secret.
	other := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 7))
	out, err := other.CheckConfiguration(h.Ctx, &chat.CheckConfigurationRequest{Name: "one", SendTo: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "with another ring", stepsOf(out.Check), "one Slack Failed\nsettings Failed "+
		"a stored secret does not open with the key ring of this service; set the secrets again\n"+
		"token NotPossible the stored secrets do not open\n"+
		"message c1 NotPossible it was not sent, since the step token has not passed\n"+
		"webhook NotPossible this service keeps no journal\n")

	// A process that calls no platform, and a platform that tells nothing.
	h.MustCreate("teams", func(in *chat.CreateRequest) {
		in.Type, in.Configuration = "Teams", `{"TeamsWebhookSecret":"bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM="}`
	})
	for _, test := range []struct {
		checkers map[string]chat.NewChecker
		want     string
	}{
		{nil, "token NotPossible this function does not call platforms; call the function check-chat-configuration\n"},
		{map[string]chat.NewChecker{},
			"token NotPossible Microsoft Teams has no API that tells about a bot of this kind\n"},
		{map[string]chat.NewChecker{"Teams": func(*command.Endpoint) (command.Checker, error) {
			return nil, errors.New("a setting is missing")
		}}, "token Failed a setting is missing\n"},
		{map[string]chat.NewChecker{"Teams": func(*command.Endpoint) (command.Checker, error) {
			return nil, command.Uncheckable("it has no calls")
		}}, "token NotPossible it has no calls\n"},
	} {
		s := h.ServiceWith(chat.Options{Checkers: test.checkers}, h.Ring)
		out, err := s.CheckConfiguration(h.Ctx, &chat.CheckConfigurationRequest{Name: "teams"})
		if err != nil || !strings.Contains(stepsOf(out.Check), test.want) {
			t.Errorf("the check says %v\n%s\nand not %s", err, stepsOf(out.Check), test.want)
		}
	}
}

// A check ends in time, whatever the platform does, and a long list is not looked up to its end.
func TestACheckEndsInTime(t *testing.T) {
	var ids []string
	for i := range 25 {
		ids = append(ids, fmt.Sprintf(`"c%d"`, i))
	}
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"ConversationIds":[`+strings.Join(ids, ",")+`]`))
	})
	c := &scripted{}
	got, err := h.checkWith(h.Ctx, c, "")
	if err != nil || len(c.asked) != 22 || !strings.Contains(stepsOf(got),
		"conversation NotPossible only the first 20 of 25 ConversationIds are looked up\n") {
		t.Errorf("%v; asked %d times\n%s", err, len(c.asked), stepsOf(got))
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		c := &scripted{wait: 3 * time.Second}
		got, err := h.checkWith(chattest.As(t.Context(), chattest.Administrator), c, "")
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != 8*time.Second || len(c.asked) != 3 || !strings.Contains(stepsOf(got),
			"conversation c0 Failed there was no answer in time https://api.slack.com/apps\n"+
				"conversation c1 NotPossible there was no time left; check again\n") {
			t.Errorf("after %v, and %v\n%s", d, c.asked, stepsOf(got))
		}
		c = &scripted{wait: time.Minute}
		if _, err := h.checkWith(chattest.As(t.Context(), chattest.Administrator), c, ""); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != 12*time.Second {
			t.Errorf("a step ends after %v", d-8*time.Second)
		}
	})
}

// The permission to check does not allow to speak, and nobody is written to outside of
// ConversationIds.
func TestATestMessageNeedsItsOwnPermission(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"ConversationIds":["c1"]`))
	})
	checker := chattest.As(t.Context(), callerOf(t, "CCKcheck", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`))
	c := &scripted{}
	if _, err := h.checkWith(checker, c, ""); err != nil {
		t.Error(err)
	}
	c = &scripted{}
	_, err := h.checkWith(checker, c, "c1")
	chattest.WantError(t, "a message without the permission", err, fault.NoPermission, "")
	if err == nil || !strings.Contains(err.Error(), "oos:SendChatMessage") || len(c.asked) > 0 {
		t.Errorf("%v; asked %v", err, c.asked)
	}
	_, err = h.checkWith(h.Ctx, c, "c2")
	chattest.WantError(t, "a message to elsewhere", err, fault.InvalidParameter, "SendTo")
	_, err = h.checkWith(h.Ctx, c, "a\nb")
	chattest.WantError(t, "a message to no id", err, fault.InvalidParameter, "SendTo")
	h.MustDelete("one")
	_, err = h.checkWith(h.Ctx, c, "")
	chattest.WantError(t, "a configuration that is gone", err, fault.NotFound, "Name")
	if len(c.asked) > 0 {
		t.Errorf("asked %v", c.asked)
	}
}
