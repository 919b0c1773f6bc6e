package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

// rowOf returns the line of a table that begins with a text, with one space between columns.
func rowOf(table, start string) string {
	for line := range strings.Lines(table) {
		if text := strings.Join(strings.Fields(line), " "); strings.HasPrefix(text, start) {
			return text
		}
	}
	return ""
}

func TestDoctor(t *testing.T) {
	at := team(t)
	data := at[3]
	doctor := func(args ...string) (string, error) {
		t.Helper()
		out, err := run(t, "", append(append([]string{"doctor"}, args...), at...)...)
		if leak.MatchString(out) {
			t.Errorf("doctor %q shows a secret: %s", args, out)
		}
		return out, err
	}
	out, err := doctor()
	if err != nil {
		t.Errorf("all is right: %v\n%s", err, out)
	}
	for start, rest := range map[string]string{
		"settings ": "Passed -",
		"service ":  "Passed 3 bots at " + at[1],
		"clock ":    "Passed -",
		"key ring ": "Passed -",
		"disk ":     "Passed ",
		"webhook ":  "NotPossible " + at[1] + " is an address of this machine, ",
		"bot ops ":  "Passed not checked: token",
		"bot dev ":  "Passed not checked: token (",
		"bot old ":  "Passed not checked: token (",
	} {
		if line := rowOf(out, start); !strings.HasPrefix(line, start+rest) {
			t.Errorf("the line of %s is %q, want %q", start, line, start+rest)
		}
	}
	if out, err := doctor("ops", "-o", "wide"); err != nil || rowOf(out, "bot ops settings Passed") == "" ||
		rowOf(out, "bot ops webhook Passed the last callback was on ") == "" || strings.Contains(out, "bot dev") {
		t.Errorf("one bot: %v\n%s", err, out)
	}
	var list []examined
	if out, err = doctor("-o", "json"); err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != 9 ||
		len(list[8].Steps) < 3 || list[8].Name != "ops" && list[8].Name != "old" {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
	// What fails.
	if err := os.Chmod(filepath.Join(data, app.AccessKeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHATCONF_REGOIN", "x")
	out, err = doctor("nobody")
	if err == nil || isUsage(err) || err.Error() != "3 checks failed" ||
		!strings.Contains(rowOf(out, "settings Failed"), "CHATCONF_REGOIN") ||
		!strings.Contains(rowOf(out, "key ring Failed"), "run 'chmod 600 ") ||
		!strings.Contains(rowOf(out, "bot nobody Failed"), "EntityNotExists") {
		t.Errorf("three mistakes: %v\n%s", err, out)
	}
}

// Without a service, doctor still looks at what is here.
func TestDoctorWithoutAService(t *testing.T) {
	noEnv(t)
	t.Chdir(t.TempDir())
	out, err := run(t, "", "doctor")
	if err == nil || isUsage(err) || !strings.Contains(rowOf(out, "service Failed"), "no service in .chatconf") ||
		rowOf(out, "key ring NotPossible there is no local service") == "" ||
		rowOf(out, "webhook NotPossible there is no bot") == "" || rowOf(out, "clock") != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := run(t, "", "doctor", "-o", "xml"); !isUsage(err) {
		t.Errorf("an unknown format: %v", err)
	}
}

func TestDoctorComparesTheClocks(t *testing.T) {
	here := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for date, want := range map[string]string{
		here.Format(http.TimeFormat):                       "Passed ",
		here.Add(59 * time.Second).Format(http.TimeFormat): "Passed ",
		here.Add(time.Hour).Format(http.TimeFormat):        "Failed the service is 1h0m0s ahead",
		here.Add(-time.Hour).Format(http.TimeFormat):       "Failed the service is 1h0m0s behind",
		"yesterday": "NotPossible the service does not show its time",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", date)
		}))
		e := examineClock(t.Context(), &client{endpoint: s.URL, http: httpClient}, func() time.Time { return here })
		s.Close()
		if got := e.State + " " + e.Reason; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", date, got, want)
		}
		e = examineClock(t.Context(), &client{endpoint: s.URL, http: httpClient}, time.Now)
		if e.State != "NotPossible" {
			t.Errorf("a service that is gone: %+v", e)
		}
	}
}

func TestDoctorLooksAtTheDisk(t *testing.T) {
	for about, c := range map[string]struct {
		free uint64
		err  error
		want string
	}{
		"enough":      {500 << 20, nil, "Passed 500 MiB left"},
		"nearly full": {99 << 20, nil, "Failed data has 99 MiB left; make room"},
		"no such":     {0, errors.New("planted"), "Failed planted"},
		"unknown":     {0, errors.ErrUnsupported, "NotPossible "},
	} {
		e := examineDisk("data", func(string) (uint64, error) { return c.free, c.err })
		if got := e.State + " " + e.Reason; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s", about, got)
		}
	}
	if n, err := freeBytes(t.TempDir()); err != nil && !errors.Is(err, errors.ErrUnsupported) || err == nil && n == 0 {
		t.Errorf("the disk of the test has %d bytes, %v", n, err)
	}
	if _, err := freeBytes(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a path that does not exist has a disk")
	}
}

func TestDoctorLooksAtTheKeyRing(t *testing.T) {
	data := newData(t)
	ring := filepath.Join(data, app.KeyRingFile)
	look := func(want string, keyRing ...secret.Text) {
		t.Helper()
		s := app.Settings{Data: data}
		if len(keyRing) > 0 {
			s.KeyRing = keyRing[0]
		}
		e := examineRing(s)
		if !strings.HasPrefix(e.State+" "+e.Reason, want) || strings.Contains(e.Reason, "secret\"") {
			t.Errorf("%s %s, want %s", e.State, e.Reason, want)
		}
	}
	look("Passed ")
	look("Passed ", secret.Text("file:"+ring))
	look("NotPossible it is in CHATCONF_KEYRING", `{"keys":[]}`)
	look("NotPossible it is in CHATCONF_KEYRING", "kms:abcd")
	look("Failed stat /nonexistent", "file:/nonexistent")
	old, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := seal.GenerateRing("fresh")
	if err != nil {
		t.Fatal(err)
	}
	both, err := joinRings(fresh, old)
	if err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(ring, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(both)
	look("Passed fresh seals, and ")
	put([]byte("planted"))
	look("Failed " + ring + ": ")
	if err := os.Chmod(ring, 0o640); err != nil {
		t.Fatal(err)
	}
	look("Failed other users can read " + ring)
	if err := os.Remove(ring); err != nil {
		t.Fatal(err)
	}
	look("Failed stat " + ring)
}

func TestDoctorCallsTheWebhook(t *testing.T) {
	answer := func(status int, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintln(w, text)
		})
	}
	// A transport that reaches the server under any name.
	through := func(s *httptest.Server) *http.Client {
		return &http.Client{Transport: rewriting{s.Listener.Addr().String()}}
	}
	for about, c := range map[string]struct {
		base    string
		handler http.Handler
		want    string
	}{
		"the webhook": {"https://chatconf.example.com", answer(401, "unauthorized"),
			"Passed https://chatconf.example.com answers"},
		"without TLS": {"http://chatconf.example.com", answer(401, "unauthorized"),
			"Passed http://chatconf.example.com has no TLS"},
		"here": {"http://127.0.0.1:9", answer(401, "unauthorized"),
			"NotPossible http://127.0.0.1:9 is an address"},
		"something else": {"https://chatconf.example.com", answer(404, "not found"),
			"Failed https://chatconf.example.com answers with status 404"},
		"another API": {"https://chatconf.example.com", answer(401, "<html>"),
			"Failed https://chatconf.example.com answers with status 401"},
		"nobody": {"https://chatconf.example.com", nil,
			"Failed https://chatconf.example.com does not answer: "},
		"what is no URL": {"https://a b", answer(401, "unauthorized"), "Failed CHATCONF_WEBHOOK_BASE_URL is not a URL"},
	} {
		s := httptest.NewServer(c.handler)
		if c.handler == nil {
			s.Close()
		}
		e := examineAddress(t.Context(), through(s), c.base)
		s.Close()
		if got := e.State + " " + e.Reason; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", about, got, c.want)
		}
	}
}

// A rewriting transport sends every request to one address, in the clear.
type rewriting struct{ address string }

// RoundTrip implements http.RoundTripper.
func (r rewriting) RoundTrip(in *http.Request) (*http.Response, error) {
	out := in.Clone(in.Context())
	out.URL.Scheme, out.URL.Host = "http", r.address
	return http.DefaultTransport.RoundTrip(out)
}

// What a key may not check, or a service cannot, is no failure.
func TestDoctorWithAKeyThatMayDoLittle(t *testing.T) {
	noEnv(t)
	code, status := "", 0
	s := httptest.NewServer(quiet(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Acs-Action") {
		case "ListChatConfigurations":
			fmt.Fprint(w, `{"ChatConfigurations":[{"Name":"ops"}]}`)
		case "CheckChatConfiguration":
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"Code":%q,"Message":"No."}`, code)
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"Code":"NoPermission","Message":"No."}`)
		}
	})))
	defer s.Close()
	for _, c := range []struct {
		code   string
		status int
		want   string
	}{
		{"NoPermission", 403,
			"bot ops NotPossible the access key may not check it; it needs oos:CheckChatConfiguration"},
		{"InvalidAction.NotFound", 404, "bot ops NotPossible this service has no CheckChatConfiguration"},
		{"ServiceUnavailable", 503, "bot ops Failed ServiceUnavailable (503): No."},
	} {
		code, status = c.code, c.status
		out, err := run(t, "", "doctor", "--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b")
		if (err != nil) != (c.status == 503) || rowOf(out, c.want) == "" ||
			rowOf(out, "webhook NotPossible the address is not known: ") == "" {
			t.Errorf("%s: %v\n%s", c.code, err, out)
		}
	}
}
