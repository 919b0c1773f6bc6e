package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
)

// A bank returns sessions and counts them. Each has its own credentials.
type bank struct {
	lent  atomic.Int64
	takes time.Duration
	fails func(n int64) error
}

func (b *bank) assume(ctx context.Context, s cloud.Session) (cloud.Lease, error) {
	n := b.lent.Add(1)
	if err := invoke.Sleep(ctx, b.takes); err != nil {
		return cloud.Lease{}, &cloud.RoleError{Role: s.Role, Why: "no answer", Again: true, Err: err}
	}
	if b.fails != nil {
		if err := b.fails(n); err != nil {
			return cloud.Lease{}, err
		}
	}
	return cloud.Lease{Expires: time.Now().Add(time.Duration(s.Seconds()) * time.Second),
		Credentials: invoke.Credentials{AccessKeyID: fmt.Sprint("lent-", n), AccessKeySecret: planted,
			SecurityToken: planted}}, nil
}

// use returns the id of the credentials of a session.
func use(t *testing.T, s *cloud.Sessions, want cloud.Session) string {
	t.Helper()
	ctx, err := s.With(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return invoke.From(ctx).Credentials.AccessKeyID
}

func TestSessionsKeepALeaseForTheSameUse(t *testing.T) {
	b := new(bank)
	s := cloud.NewSessions(b.assume, nil)
	base := cloud.Session{Role: "ops", Account: "1", Name: "slack.U1", SourceIdentity: "slack.U1", ExternalID: "e",
		Policy: "{}", Tags: map[string]string{"sender": "U1"}, Duration: time.Minute}
	first := use(t, s, base)
	if again := use(t, s, base); again != first || b.lent.Load() != 1 {
		t.Errorf("the second use has %s, the first had %s", again, first)
	}
	longer := base
	if longer.Duration = 2 * time.Minute; use(t, s, longer) != first {
		t.Error("a lease that is valid for long enough was not used")
	}
	seen := map[string]string{first: "the same"}
	for about, change := range map[string]func(*cloud.Session){
		"another role":        func(s *cloud.Session) { s.Role = "other" },
		"another account":     func(s *cloud.Session) { s.Account = "2" },
		"another name":        func(s *cloud.Session) { s.Name = "slack.U2" },
		"another identity":    func(s *cloud.Session) { s.SourceIdentity = "slack.U2" },
		"another external id": func(s *cloud.Session) { s.ExternalID = "f" },
		"another policy":      func(s *cloud.Session) { s.Policy = "{ }" },
		"another tag":         func(s *cloud.Session) { s.Tags = map[string]string{"sender": "U2"} },
		"too short a rest":    func(s *cloud.Session) { s.Duration = 20 * time.Minute },
		"a shifted border":    func(s *cloud.Session) { s.Role, s.Account = "ops1", "" },
	} {
		other := base
		change(&other)
		id := use(t, s, other)
		if before, ok := seen[id]; ok {
			t.Errorf("%s has the lease of %s", about, before)
		}
		seen[id] = about
	}
	// A call with other credentials does not get the lease.
	own := &invoke.Invocation{RequestID: "r", Credentials: invoke.Credentials{AccessKeyID: "renewed"}}
	ctx, err := s.With(invoke.With(t.Context(), own), base)
	if err != nil || invoke.From(ctx).Credentials.AccessKeyID == first || invoke.From(ctx).RequestID != "r" ||
		own.Credentials.AccessKeyID != "renewed" {
		t.Errorf("With = %+v, %v", invoke.From(ctx), err)
	}
}

func TestSessionsRenewBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bank)
		s := cloud.NewSessions(b.assume, nil)
		want := cloud.Session{Role: "ops", Duration: 40 * time.Second}
		first := use(t, s, want)
		time.Sleep(15*time.Minute - 70*time.Second)
		if use(t, s, want) != first {
			t.Error("renewed too early")
		}
		time.Sleep(time.Second)
		if use(t, s, want) == first || b.lent.Load() != 2 {
			t.Error("not renewed in time")
		}
	})
}

func TestSessionsAskOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{takes: time.Second}
		s := cloud.NewSessions(b.assume, nil)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { use(t, s, cloud.Session{Role: "ops"}) })
		}
		group.Wait()
		if n := b.lent.Load(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		// All calls that wait get the same error, and the next call asks again.
		b.fails = func(int64) error { return &cloud.RoleError{Role: "other", Why: "no"} }
		for range 20 {
			group.Go(func() {
				var e *cloud.RoleError
				if ctx, err := s.With(t.Context(), cloud.Session{Role: "other"}); !errors.As(err, &e) || ctx != nil {
					t.Errorf("With = %v", err)
				}
			})
		}
		group.Wait()
		if n := b.lent.Load(); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
		b.fails = nil
		use(t, s, cloud.Session{Role: "other"})
	})
}

// When the caller that asks ends early, one of the calls that wait asks.
func TestSessionsOfACallerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{takes: time.Second}
		s := cloud.NewSessions(b.assume, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.With(ctx, cloud.Session{Role: "ops"}); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() { use(t, s, cloud.Session{Role: "ops"}) })
		group.Go(func() {
			early, stop := context.WithTimeout(t.Context(), time.Millisecond)
			defer stop()
			if _, err := s.With(early, cloud.Session{Role: "ops"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who did not wait: %v", err)
			}
		})
		time.Sleep(100 * time.Millisecond)
		cancel()
		group.Wait()
		if n := b.lent.Load(); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
		// After a panic no call waits forever.
		b.fails = func(n int64) error {
			if n == 3 {
				panic("planted")
			}
			return nil
		}
		group.Go(func() {
			defer func() { recover() }()
			s.With(t.Context(), cloud.Session{Role: "panics"})
		})
		synctest.Wait()
		use(t, s, cloud.Session{Role: "panics"})
		group.Wait()
	})
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bank)
		s := cloud.NewSessions(b.assume, nil)
		role := func(n int) cloud.Session { return cloud.Session{Role: fmt.Sprint("role", n)} }
		for n := range 512 {
			use(t, s, role(n))
		}
		time.Sleep(time.Second)
		use(t, s, role(0)) // used last
		use(t, s, role(512))
		if b.lent.Store(0); true {
			use(t, s, role(0))
			use(t, s, role(512))
		}
		if n := b.lent.Load(); n != 0 {
			t.Error("the lease that was used last was dropped")
		}
		for n := range 513 {
			use(t, s, role(n))
		}
		if n := b.lent.Load(); n == 0 || n > 513 {
			t.Errorf("%d leases were dropped", n)
		}
		time.Sleep(time.Hour)
		use(t, s, role(1000))
		if text := fmt.Sprintf("%v %+v %#v", s, s, s); text != "[sessions] [sessions] [sessions]" {
			t.Error("Sessions print as", text)
		}
	})
}

func TestSessionNames(t *testing.T) {
	valid := regexp.MustCompile(`^[A-Za-z0-9.@_-]{2,64}$`)
	seen := make(map[string]string)
	for _, test := range []struct{ platform, sender, want string }{
		{"slack", "U024BE7LH", "slack.U024BE7LH"},
		{"feishu", "ou_84aad35d084aa403a838cf73ee18467", "feishu.ou_84aad35d084aa403a838cf73ee18467"},
		{"teams", "d6b12f31-ae1c-4a11-9f5e-1234567890ab", "teams.d6b12f31-ae1c-4a11-9f5e-1234567890ab"},
		{"wecom", "alice@example.com", "wecom.alice@40example.com"},
		{"wecom", "alice@40example.com", "wecom.alice@4040example.com"},
		{"dingtalk", "$:LWCP_v1:$é", "dingtalk.@24@3ALWCP_v1@3A@24@C3@A9"},
		{"a.b", "c", "a@2Eb.c"},
		{"a", "b.c", "a.b.c"},
		{"", "", "@-"},
		{"", "x", ".x"},
		{"slack", strings.Repeat("x", 58), "slack." + strings.Repeat("x", 58)},
		{"slack", strings.Repeat("x", 59), "slack." + strings.Repeat("x", 36) + "@-739a3af74c45bbd0cec9"},
		{"slack", strings.Repeat("x", 58) + "y", ""},
		{"slack", strings.Repeat("$", 200), ""},
		{"slack", "\x00\xff\n", "slack.@00@FF@0A"},
	} {
		got := cloud.SessionName(test.platform, test.sender)
		if test.want != "" && got != test.want || !valid.MatchString(got) {
			t.Errorf("SessionName(%q, %q) = %q, want %q", test.platform, test.sender, got, test.want)
		}
		if before, ok := seen[got]; ok {
			t.Errorf("%q and %q have the name %q", test.sender, before, got)
		}
		seen[got] = test.sender
	}
}

func FuzzSessionName(f *testing.F) {
	f.Add("slack", "U1", "slack", "U2")
	f.Add("a.b", "c", "a", "b.c")
	f.Add("a", "@40", "a", "@")
	f.Add("a", strings.Repeat("x", 100), "a", strings.Repeat("x", 101))
	valid := regexp.MustCompile(`^[A-Za-z0-9.@_-]{2,64}$`)
	f.Fuzz(func(t *testing.T, platform, sender, platform2, sender2 string) {
		one, two := cloud.SessionName(platform, sender), cloud.SessionName(platform2, sender2)
		if !valid.MatchString(one) {
			t.Errorf("%q", one)
		}
		if (one == two) != (platform == platform2 && sender == sender2) {
			t.Errorf("%q %q and %q %q are %q and %q", platform, sender, platform2, sender2, one, two)
		}
	})
}

func TestSessionDurations(t *testing.T) {
	for d, want := range map[time.Duration]int{0: 900, time.Minute: 900, 14*time.Minute + 30*time.Second: 900,
		14*time.Minute + 30*time.Second + 1: 901, 20 * time.Minute: 1230, time.Hour: 3600, 24 * time.Hour: 3600} {
		if got := (cloud.Session{Duration: d}).Seconds(); got != want {
			t.Errorf("Seconds of %v = %d, want %d", d, got, want)
		}
	}
}

func TestRoleAccounts(t *testing.T) {
	for role, want := range map[string]string{"ops": "1", "": "1", "acs:ram::2:role/ops": "2",
		"arn:aws:iam::123456789012:role/ops": "123456789012", "arn:aws-cn:iam::3:role/a/b": "3", "a:b:c:d:e": "1",
		"a:b": "1"} {
		if got := cloud.RoleAccount(role, "1"); got != want {
			t.Errorf("RoleAccount(%q) = %q, want %q", role, got, want)
		}
	}
}

func TestRoleErrors(t *testing.T) {
	reasons := []cloud.Reason{{Codes: []string{"Denied", "Bad."}, Why: "told why"},
		{Codes: []string{"Slow."}, Why: "later", Again: true}}
	cause := errors.New("cause")
	for _, test := range []struct {
		refused *cloud.Refusal
		why     string
		again   bool
	}{
		{nil, "the security token service could not be reached", true},
		{&cloud.Refusal{Code: "Denied"}, "told why", false},
		{&cloud.Refusal{Code: "Bad.Thing"}, "told why", false},
		{&cloud.Refusal{Code: "Denied.More", Status: 403},
			"the security token service answered Denied.More, status 403", false},
		{&cloud.Refusal{Code: "Slow.User"}, "later", true},
		{&cloud.Refusal{Status: 503, Retryable: true, Message: planted},
			"the security token service answered without a code, status 503", true},
		{&cloud.Refusal{Status: 400, Code: "A\nB"}, `the security token service answered "A\nB", status 400`, false},
	} {
		err := cloud.NewRoleError(cloud.Session{Role: "ops"}, cause, test.refused, reasons)
		if err.Why != test.why || err.Again != test.again || !errors.Is(err, cause) ||
			err.Error() != `the role "ops" could not be assumed: `+test.why {
			t.Errorf("%+v: %v, again %v", test.refused, err, err.Again)
		}
	}
}
