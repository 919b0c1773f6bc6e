package e2e_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// What the other tests ask the browser to report, it reports. The policy of the pages stops the
// scripts that are put into one here.
func TestTheBrowserReportsWhatNoPageMayDo(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	b := openTab(t, "http://"+s.endpoint)
	b.open("signin")
	eval[chromedp.Void](b, `document.body.insertAdjacentHTML("beforeend", "<img src=/console/none onerror='ran = 1'>")`)
	eval[chromedp.Void](b, `(() => {const e = document.createElement("script"); e.textContent = "ran = 1";
		document.body.append(e)})()`)
	eval[chromedp.Void](b, `setTimeout(() => { throw new Error("planted") })`)
	eval[chromedp.Void](b, `console.error("told")`)
	eval[chromedp.Void](b, `alert("opened")`)
	eval[chromedp.Void](b, `fetch("/elsewhere").catch(() => {})`)
	for _, want := range []string{"inline event handler", "inline script", "planted", "told", "opened",
		"has the status 404", "/elsewhere"} {
		awaitLong(t, patience, "the browser reports "+want, func() bool {
			return strings.Contains(strings.Join(b.reported(), "\n"), want)
		})
	}
	if b.does(`"ran" in window`) {
		t.Error("a script ran")
	}
}

func TestAPersonSignsInToTheConsole(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	create(t, s.client(t), "ops")

	t.Run("with an access key, and comes to the page that was asked for", func(t *testing.T) {
		b := newTab(t, s)
		b.open("bots/ops")
		b.sees("Sign in", "Use an access key of this service.")
		b.fill("id", s.key.ID)
		b.fill("secret", "not-the-secret")
		if status := b.press("main form button"); status != 401 {
			t.Errorf("a wrong secret has the status %d, want 401", status)
		}
		b.sees("The access key id or its secret is wrong, or the key is not active.")
		b.lacks("not-the-secret")
		b.await(`document.activeElement.id === "secret" && document.getElementById("id").value`)
		b.fill("secret", s.key.Secret)
		b.press("main form button")
		if got := b.path(); got != "/console/bots/ops" {
			t.Errorf("signed in to %s", got)
		}
		b.sees("Bot ops", "Signed in as administrator")
		b.lacks(s.key.Secret)
		if got := eval[string](b, "document.cookie"); got != "" {
			t.Errorf("a script can read the cookie %q", got)
		}

		b.press("header form button")
		b.sees("Use an access key of this service.")
		eval[chromedp.Void](b, `history.back()`)
		b.await(`location.search`)
		b.awaitText("Use an access key of this service.")
	})
	t.Run("by the link of chatconf open, once", func(t *testing.T) {
		link := strings.TrimSpace(run(t, "open", "--print", "--data", s.data).ok(t))
		path, ok := strings.CutPrefix(link, "http://"+s.endpoint+"/console/")
		if !ok {
			t.Fatalf("open printed %q", link)
		}
		preview := newTab(t, s)
		preview.open(path)
		b := newTab(t, s)
		b.open(path)
		b.sees("This link signs you in once", "administrator", s.key.ID)
		b.press("main form button")
		if got := b.path(); got != "/console/" {
			t.Errorf("signed in to %s", got)
		}
		b.sees("Signed in as administrator", "ops")
		if status := preview.press("main form button"); status != 403 {
			t.Errorf("the link has the status %d the second time, want 403", status)
		}
		preview.sees("The link is not valid")
	})
}

// The console of chatconf console is the one of serve, over the API of a service elsewhere: a
// process, or the functions of a cloud.
func TestTheConsoleOfAServiceElsewhere(t *testing.T) {
	t.Parallel()
	startBrowser(t)
	s := serve(t)
	remote := command{args: []string{"console", "--data", s.data}}.start(t, s.data)
	link := regexp.MustCompile(`(?s)is at\n  http://(127\.0\.0\.1:\d+)/console/(\S+)\n`)
	var at []string
	awaitLong(t, patience, "console prints its link", func() bool {
		at = link.FindStringSubmatch(remote.stdout.String())
		return at != nil
	})
	remote.endpoint = at[1]
	b := newTab(t, remote)
	b.open(at[2])
	b.press("main form button")
	b.follow("New bot")
	b.press(`main a[href="/console/new?type=Slack"]`)
	b.fill("Name", "ops")
	b.fillSettings(botSettings["Slack"])
	b.press("main form button")
	b.sees("The bot was created.")
	b.follow("Permissions")
	b.simulate("alice", "team", "restart i-1")
	b.sees("Denied", `"user:alice"`)
	b.follow("History")
	b.follow("Commands")
	b.open("about")
	b.sees("http://"+s.endpoint, "The service runs elsewhere.")
	get(t, s.client(t), "ops")
}
