package console_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatconf/shared/console"
	"chatconf/shared/policy"
)

func TestThePageAboutTheServiceHasItsFacts(t *testing.T) {
	s := newSite(t, func(o *console.Options) {
		o.About = console.About{Version: "v1.2.3", Revision: "abc123", Store: "dynamodb", Account: "1234567890123456",
			Region: "us-east-1", Networks: []string{"10.1.0.0/16", "fd00::/8"}, Limits: &console.Limits{Bots: 41,
				History: 42, RequestBody: 43 << 10, MessageBody: 44 << 10, Rate: 4.5, Streams: 46,
				Retention: 47 * 24 * time.Hour}}
	})
	b := s.browser().signIn(owner)
	page := b.page("/console/about")
	wantText(t, page, "v1.2.3", "abc123", "dynamodb", "1234567890123456", "us-east-1",
		"public addresses, 10.1.0.0/16, fd00::/8", "<dd>41<", "<dd>42<", "43 KiB", "44 KiB", "<dd>4.5<", "<dd>46<",
		"47 days", `href="/console/about" aria-current="page"`)
	wantNoText(t, page, "Endpoint", "not known")
	wantText(t, b.page("/console/about?lang=zh"), "公网地址, 10.1.0.0/16", "47 天")
}

// What is not known is not there, and the page says that limits are missing.
func TestThePageAboutAServiceElsewhereHasWhatIsKnown(t *testing.T) {
	s := newSite(t, func(o *console.Options) { o.About = console.About{Endpoint: "https://chatconf.example.com"} })
	page := s.browser().signIn(owner).page("/console/about")
	wantText(t, page, "https://chatconf.example.com", "Its limits are not known here.")
	if n := strings.Count(page, "<dt>"); n != 1 {
		t.Errorf("%d facts, want 1:\n%s", n, page)
	}
}

func TestThePageAboutTheServiceSaysThatThereIsNoLimit(t *testing.T) {
	s := newSite(t, func(o *console.Options) { o.About = console.About{Limits: new(console.Limits)} })
	wantText(t, s.browser().signIn(owner).page("/console/about"), "<dd>no limit<", "<dd>public addresses<")
}

// A key that may not list the bots sees the version, and which permission it lacks.
func TestTheFactsOfAServiceAreForThoseWhoMayListItsBots(t *testing.T) {
	s := newSite(t, func(o *console.Options) {
		o.About = console.About{Version: "v1.2.3", Revision: "abc123", Store: "dynamodb", Account: "1234567890123456",
			Region: "us-east-1", Endpoint: "https://chatconf.example.com", Networks: []string{"10.1.0.0/16"},
			Limits: &console.Limits{Bots: 41}}
	})
	allow := func(actions string) *policy.Policy {
		return mustPolicy(t, `{"Effect":"Allow","Action":"`+actions+`","Resource":"*"}`)
	}
	s.addKey("CCKget", allow("oos:GetChatConfiguration"))
	s.addKey("CCKlist", allow("oos:ListChatConfigurations"))
	page := s.browser().signIn("CCKget").page("/console/about")
	wantText(t, page, "v1.2.3", "abc123", "It needs the permission oos:ListChatConfigurations.")
	wantNoText(t, page, "dynamodb", "1234567890123456", "us-east-1", "chatconf.example.com", "10.1.0.0", "<dd>41<",
		"public addresses", "not known here")
	page = s.browser().signIn("CCKlist").page("/console/about")
	wantText(t, page, "v1.2.3", "dynamodb", "10.1.0.0/16", "<dd>41<")
	wantNoText(t, page, "It needs the permission")
}

func TestTheFactsOfAServiceThatCannotAnswer(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	s.Spy.Fail("Query", 1, errors.New(planted))
	if status, page := b.get("/console/about"); status != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", status)
	} else {
		wantNoText(t, page, planted)
	}
}

func TestTheFactsOfAServiceAreForThoseWhoSignIn(t *testing.T) {
	s := newSite(t, func(o *console.Options) { o.About = console.About{Version: "v1.2.3"} })
	_, page := s.browser().get("/console/about")
	wantNoText(t, page, "v1.2.3")
}
