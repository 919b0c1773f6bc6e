package e2e_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// secretKeys are the secrets that the platforms sign messages with, and two other values of each.
var secretKeys = map[string][3]string{
	"DingTalk": {"DingTalkClientSecret", "another-secret-that-is-not-real", "a-third-secret-that-is-not-real"},
	"Feishu":   {"FeishuEncryptKey", "another-key-that-is-not-real", "a-third-key-that-is-not-real"},
	"Slack":    {"SlackSigningSecret", "another-secret-that-is-not-real", "a-third-secret-that-is-not-real"},
	"Teams": {"TeamsWebhookSecret", "YW5vdGhlci1zZWNyZXQtdGhhdC1pcy1ub3QtcmVhbC0=",
		"YS10aGlyZC1zZWNyZXQtdGhhdC1pcy1ub3QtcmVhbC0="},
}

// TestALeakedSecretIsReplacedUnderLiveCallbacks checks with the verbs of the tool that no callback
// is lost while a secret is rotated, whichever of the two it is signed with, and that without a
// grace time the leaked one proves nothing more.
func TestALeakedSecretIsReplacedUnderLiveCallbacks(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for name, key := range secretKeys {
		i := slices.IndexFunc(goPeers, func(p peer) bool { return p.typ == name })
		p, user := goPeers[i], users[name]
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			place := p.place(user.grants)
			b := newBot(t, s, name, "leaked-"+strings.ToLower(name), permissions(allow(user.grants, "restart")))
			say := func(b *bot) int {
				return b.call(t, p.say(t, b, said(user.writes, place, "restart"))).status
			}
			rotated := *b
			rotated.settings = replacing(b.settings, key[0], key[1])
			if got := say(b); got != http.StatusOK {
				t.Fatalf("before the rotation: status %d", got)
			}
			// The platform goes on while the secret is rotated.
			var wg sync.WaitGroup
			started, done := make(chan struct{}), make(chan struct{})
			wg.Go(func() {
				for n := 0; ; n++ {
					if got := say(b); got != http.StatusOK {
						t.Errorf("callback %d with the secret of before: status %d", n, got)
					}
					if n == 0 {
						close(started)
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
			<-started
			rotate := func(value, grace string) {
				t.Helper()
				command{args: []string{"rotate", b.name, key[0] + "=@-", "--grace", grace, "--data", s.data},
					stdin: value}.run(t).ok(t)
			}
			rotate(key[1], "1h")
			if got := say(&rotated); got != http.StatusOK {
				t.Errorf("with the new secret: status %d", got)
			}
			close(done)
			wg.Wait()
			// And now at once.
			last := *b
			last.settings = replacing(b.settings, key[0], key[2])
			rotate(key[2], "0s")
			for about, c := range map[string]struct {
				b    *bot
				want int
			}{"the first": {b, 401}, "the second": {&rotated, 401}, "the last": {&last, 200}} {
				if got := say(c.b); got != c.want {
					t.Errorf("with %s secret: status %d, want %d", about, got, c.want)
				}
			}
		})
	}
}

// replacing returns a copy of settings with another value of a key.
func replacing(settings map[string]string, key, value string) map[string]string {
	out := maps.Clone(settings)
	out[key] = value
	return out
}

// TestABadEditAndADeletionAreUndone checks with the verbs of the tool that a bot is again what it
// was, for its platform too: the same URL, the same secret, the same grants.
func TestABadEditAndADeletionAreUndone(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	p := goPeers[slices.IndexFunc(goPeers, func(p peer) bool { return p.typ == "Slack" })]
	user, place := users["Slack"], p.place(users["Slack"].grants)
	b := newBot(t, s, "Slack", "undone", permissions(allow(user.grants, "restart")))
	tool := func(args ...string) string {
		t.Helper()
		return run(t, append(args, "--data", s.data)...).ok(t)
	}
	works := func(about string) {
		t.Helper()
		if got := b.shows(t, p.say(t, b, said(user.writes, place, "restart"))); got != "restart was accepted." {
			t.Errorf("%s: the answer is %q", about, got)
		}
	}
	works("at first")
	spoilt := *b
	spoilt.settings = replacing(b.settings, "SlackSigningSecret", "mistyped-secret")
	spoilt.update(t, permissions(allow("U0NOBODY", "*")))
	b.refused(t, p.say(t, b, said(user.writes, place, "restart")))
	if got := tool("diff", b.name); strings.Count(got, "\n  - digest:") != 1 || strings.Contains(got, "mistyped") ||
		!strings.Contains(got, "\n  - user:"+user.grants+"\n  + user:U0NOBODY\n") {
		t.Errorf("diff: %s", got)
	}
	if got := tool("restore", b.name, "--yes"); !strings.HasSuffix(got,
		"Restored revision 1 of undone as revision 3.\n") {
		t.Errorf("restore: %s", got)
	}
	works("restored")
	tool("call", "DeleteChatConfiguration", "Name="+b.name)
	if a := b.call(t, p.say(t, b, said(user.writes, place, "restart"))); a.status == http.StatusOK {
		t.Errorf("deleted: status %d", a.status)
	}
	if got := tool("restore", b.name, "--yes"); !strings.Contains(got, "undone was deleted at ") ||
		!strings.HasSuffix(got, "Restored revision 3 of undone as revision 5.\n") {
		t.Errorf("restore: %s", got)
	}
	works("brought back")
	if got := tool("log", b.name); strings.Count(got, ": restart\n") != 3 {
		t.Errorf("the records of this life: %s", got)
	}
	if got := strings.Count(tool("history", b.name), "\n"); got != 6 {
		t.Errorf("the history has %d lines", got)
	}
	if got := tool("log", "--since", "1h", "--target", "Journal"); strings.Count(got, "  undone  ") != 3 {
		t.Errorf("the log of all bots: %s", got)
	}
}
