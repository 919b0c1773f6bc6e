package chat_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

func TestTargetsOnThisNetworkAreRefused(t *testing.T) {
	target := func(url string) string {
		return chattest.With(chattest.Slack, fmt.Sprintf(`"Target":{"Type":"Http","Url":%q,"Secret":%q}`,
			url, chattest.TargetSecret))
	}
	h := newHouse(t)
	for i, host := range []string{
		"127.0.0.1", "127.0.0.1:8443", "10.1.2.3", "169.254.169.254", "100.100.100.200", "[::1]", "[::1]:8443",
		"[fe80::1%25eth0]", "[::ffff:10.0.0.1]", "0.0.0.0", "[64:ff9b::a00:1]",
		"127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "1.2.3.08", "127.0.0.1.", "localhost",
		"LOCALHOST.", "x.localhost", "metadata.google.internal", "printer.local", ".",
	} {
		name := fmt.Sprint("one-", i)
		in := &chat.CreateRequest{Name: name, Type: "Slack",
			Configuration: secret.Text(target("https://" + host + "/planted"))}
		_, err := h.Create(h.Ctx, in)
		chattest.WantError(t, host, err, fault.InvalidParameter, "Configuration",
			"Configuration.Target.Url: use a host on the public Internet")
		if err != nil && strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: the error shows the URL: %v", host, err)
		}
		h.MustCreate(name)
		_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: name,
			Configuration: chattest.Ptr(secret.Text(target("https://" + host)))})
		chattest.WantError(t, "Update to "+host, err, fault.InvalidParameter, "Configuration", "public Internet")
	}
	for _, host := range []string{"hooks.example.com", "8.8.8.8", "[2400:3200::1]:8443", "localhost.example.com",
		"intranet", "1.example.com", "xn--fiqs8s.example.com"} {
		if _, _, _, err := chat.Settle(platformOf(t, "Slack"), target("https://"+host+"/x"), never, zeros); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestTargetsThatCannotWork holds that a URL to which nobody could ever connect is refused when it
// is saved.
func TestTargetsThatCannotWork(t *testing.T) {
	long := strings.Repeat("a", 63)
	target := func(url string) string {
		return chattest.With(chattest.Slack, fmt.Sprintf(`"Target":{"Type":"Http","Url":%q,"Secret":%q}`,
			url, chattest.TargetSecret))
	}
	const anURL = "write an https URL without user name and fragment"
	for url, want := range map[string]string{
		"https://x:0/":                                   "invalid port \"0\"; use a number from 1 to 65535, or none",
		"https://x:00/":                                  "invalid port \"00\"",
		"https://x:65536/":                               "invalid port \"65536\"",
		"https://x:99999999999999999999/":                "invalid port \"99999999999999999999\"",
		"https://x:/":                                    "invalid port \"\"",
		"https://8.8.8.8:0":                              "invalid port \"0\"",
		"https://[2400:3200::1]:0/":                      "invalid port \"0\"",
		"https://x:-1/":                                  anURL,
		"https://x:443x/":                                anURL,
		"https://x:443:443/":                             anURL,
		"https://a..b/":                                  "host \"a..b\" has a part of 0 characters",
		"https://.a.example.com/":                        "has a part of 0 characters",
		"https://a.example.com../":                       "use a host on the public Internet",
		"https://" + long + "a.example.com":              "has a part of 64 characters between its dots; use 1 to 63",
		"https://" + strings.Repeat(long+".", 4) + "com": "has 259 characters; the limit is 253",
		"https://-a.example.com/":                        "starts or ends with '-'",
		"https://a-.example.com/":                        "starts or ends with '-'",
		"https://a!b.example.com/":                       "has a character other than letters",
		"https://a,b.example.com/":                       "has a character other than letters",
		"https://*.example.com/":                         "has a character other than letters",
		"https://%E4%BE%8B.example.com/":                 "write other letters as xn--…",
		"https://[2400:3200::1%25eth0]/":                 "has a zone",
		"https://[8.8.8.8]/":                             anURL,
		"https://[hooks.example.com]/":                   anURL,
		"https://[2400:3200::1]x/":                       anURL,
		"https://[2400:3200::1/":                         anURL,
		"https://2400:3200::1/":                          anURL,
		"https://hooks.example.com\\@x/":                 anURL,
		"https://@hooks.example.com/":                    anURL,
		"https://u@hooks.example.com/":                   anURL,
		"https://:p@hooks.example.com/":                  anURL,
		"https://hooks.example.com/#":                    anURL,
		"https://hooks.example.com/?a#b":                 anURL,
		"https:hooks.example.com":                        anURL,
		"https:///x":                                     anURL,
		"https://:443/":                                  "use a host on the public Internet",
		"https:/hooks.example.com/":                      anURL,
		"//hooks.example.com/":                           anURL,
		"hooks.example.com":                              anURL,
		"http://hooks.example.com/":                      anURL,
		"wss://hooks.example.com/":                       anURL,
		" https://hooks.example.com/":                    anURL,
		"https://hooks.example.com/ ":                    anURL,
		"https://hooks.example.com /":                    anURL,
		"https://hooks.example.com/\n":                   anURL,
		"":                                               anURL,
	} {
		_, _, _, err := chat.Settle(platformOf(t, "Slack"), target(url), never, zeros)
		chattest.WantError(t, fmt.Sprintf("%q", url), err, fault.InvalidParameter, "Configuration",
			"Configuration.Target.Url: ", want)
	}
	for _, url := range []string{
		"https://hooks.example.com", "HTTPS://Hooks.Example.COM/", "https://hooks.example.com.:8443/x?y=%zz",
		"https://a_b.example.com/", "https://_x.example.com/",
		"https://" + long + ".example.com/", "https://x:1/", "https://x:65535/", "https://x:0443/",
		"https://a--b.example.com/", "https://8.8.8.8:443/", "https://[2400:3200::1]/",
		"https://hooks.example.com?token=a", "https://hooks.example.com/a:b@c",
	} {
		if _, _, _, err := chat.Settle(platformOf(t, "Slack"), target(url), never, zeros); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, base := range []string{"http://127.0.0.1:0", "https://a..b", "https://x:65536/hooks"} {
		if err := chat.CheckBaseURL(base); err == nil {
			t.Errorf("the webhooks' base URL may be %s", base)
		}
	}
}

// With networks that targets may be in, addresses are those of them and public ones, and names are
// left to be looked up.
func TestTargetsInNetworksOfTheSettings(t *testing.T) {
	h := newHouse(t)
	s := h.ServiceWith(chat.Options{Targets: dial.Networks{netip.MustParsePrefix("10.1.0.0/16"),
		netip.MustParsePrefix("::1/128")}}, h.Ring)
	for i, c := range []struct {
		host string
		ok   bool
	}{
		{"10.1.2.3", true}, {"10.1.2.3:8443", true}, {"[::1]:8443", true}, {"[::ffff:10.1.2.3]", true},
		{"8.8.8.8", true}, {"localhost", true}, {"restart.internal", true},
		{"10.2.0.1", false}, {"127.0.0.1", false}, {"169.254.169.254", false}, {"[fe80::1%25eth0]", false},
		{"10.1", false}, {"167837955", false}, {".", false},
	} {
		_, err := s.Create(h.Ctx, &chat.CreateRequest{
			Name: fmt.Sprint("one-", i), Type: "Slack",
			Configuration: secret.Text(chattest.With(chattest.Slack,
				fmt.Sprintf(`"Target":{"Type":"Http","Url":"https://%s/","Secret":%q}`,
					c.host, chattest.TargetSecret))),
		})
		if c.ok && err != nil {
			t.Errorf("%s: %v", c.host, err)
		}
		if !c.ok {
			chattest.WantError(t, c.host, err, fault.InvalidParameter, "Configuration",
				"Configuration.Target.Url: use a host on the public Internet or 10.1.0.0/16, ::1/128"+
					map[string]string{"10.2.0.1": "; to allow it, add 10.2.0.1/32 to CHATCONF_TARGET_NETWORKS of the " +
						"service.", "127.0.0.1": "; to allow it, add 127.0.0.1/32 to"}[c.host])
		}
	}
}

func TestTargetOfAnEndpoint(t *testing.T) {
	h := newHouse(t)
	for about, c := range map[string]struct {
		members string
		want    command.Target
		text    string
	}{
		"none":      {`"BotName":"b"`, command.Target{Type: command.TargetJournal}, "Journal"},
		"a journal": {`"Target":{"Type":"Journal"}`, command.Target{Type: command.TargetJournal}, "Journal"},
		"a function": {`"Target":{"Type":"Function","Name":"f"}`,
			command.Target{Type: command.TargetFunction, Name: "f"}, "Function f"},
		"a URL": {`"Target":{"Type":"Http","Url":"https://h.example.com:8443/planted?x=planted","Secret":"` +
			chattest.TargetSecret + `"}`,
			command.Target{Type: command.TargetHTTP, URL: "https://h.example.com:8443/planted?x=planted",
				Secrets: []secret.Text{chattest.TargetSecret}}, "Http h.example.com:8443"},
	} {
		name := strings.ReplaceAll(about, " ", "-")
		h.MustCreate(name, func(in *chat.CreateRequest) {
			in.Configuration = secret.Text(
				chattest.With(chattest.Slack, c.members))
		})
		e := h.Open(name)
		chattest.Equal(t, about+": target", e.Target, c.want)
		text, err := json.Marshal(e.Target)
		if err != nil || e.Target.String() != c.text || strings.Contains(string(text), "planted") {
			t.Errorf("%s: %s, %s, %v", about, e.Target, text, err)
		}
	}
	if got := (command.Target{Type: "Http", URL: ":"}).String(); got != "Http" {
		t.Errorf("an invalid URL: %s", got)
	}
}
