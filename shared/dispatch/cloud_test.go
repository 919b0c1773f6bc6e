package dispatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
)

func TestCloudErrors(t *testing.T) {
	reasons := []cloud.Reason{{Codes: []string{"Denied"}, Why: "told why"}, {Codes: []string{"Slow."}, Why: "later",
		Again: true}}
	for _, test := range []struct {
		err            error
		why            string
		again, refused bool
	}{
		{&cloud.Refusal{Code: "Denied", Status: 403, Message: "of an account"}, "told why", false, true},
		{&cloud.Refusal{Code: "Slow.User", Status: 400}, "later", true, true},
		{&cloud.Refusal{Code: "Odd", Status: 400}, "OOS answered Odd, status 400", false, true},
		{&cloud.Refusal{Status: 502, Retryable: true}, "OOS answered without a code, status 502", true, false},
		{cloud.ErrNoCredentials, "this service has no credentials for OOS", false, true},
		{errors.New("dial tcp 10.0.0.1:443: refused"), "OOS", true, false},
	} {
		e := new(dispatch.Call).CloudError("OOS", test.err, reasons...)
		if !strings.HasPrefix(e.Why, test.why) || e.Again != test.again || e.Refused != test.refused ||
			e.Cause != test.err.Error() || strings.Contains(e.Why, "10.0.0.1") || strings.Contains(e.Why, "account") {
			t.Errorf("%v: %+v", test.err, e)
		}
	}
}

// No secret value is in a text, also where one begins another, and the text is bounded.
func TestTold(t *testing.T) {
	c := &dispatch.Call{Command: command.Command{Parameters: []command.Value{{Name: "a", Text: "pl", Secret: true},
		{Name: "b", Text: "planted", Secret: true}, {Name: "c", Text: "open"}, {Name: "d", Secret: true}}}}
	for text, want := range map[string]string{"": "", "é\xff": "é\uFFFD",
		"planted pl open plan": "****** ****** open ******an", strings.Repeat("é", 4000): strings.Repeat("é", 4000),
		strings.Repeat("é", 4001): strings.Repeat("é", 4000) + "…"} {
		if got := c.Told(text); got != want {
			t.Errorf("Told(%.10q) = %.40q of %d bytes", text, got, len(got))
		}
	}
	c.Command.Parameters[1].Text = "a\"<b>\nc"
	for _, text := range []string{`{"x":"a\"<b>\nc"}`, `{"x":"a\"\u003cb\u003e\nc"}`} {
		if got := c.Told(text); got != `{"x":"******"}` {
			t.Errorf("Told(%s) = %s", text, got)
		}
	}
	if got := (&dispatch.Call{}).Told("planted"); got != "planted" {
		t.Errorf("Told = %q", got)
	}
}

func TestPolicyText(t *testing.T) {
	want := `{"Version":"1","Statement":[{"Effect":"Allow","Action":["a:B","a:C"],"Resource":["<r>"]}]}`
	if got := dispatch.PolicyText("1", command.Right{Action: []string{"a:B", "a:C"},
		Resource: []string{"<r>"}}); got != want {
		t.Errorf("PolicyText = %s, want %s", got, want)
	}
}

// calls are functions of a cloud.
type calls func(ctx context.Context, name string, body []byte) ([]byte, error)

func (f calls) CallIn(ctx context.Context, _, name string, body []byte) ([]byte, error) {
	return f(ctx, name, body)
}

func (calls) Right(_, name string) (action, resource string) { return "lambda:InvokeFunction", name }
