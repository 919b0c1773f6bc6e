package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// A Cloud is what a process can run in a cloud.
type Cloud struct {
	Targets map[string]Target // by type
	Assume  cloud.Assumer
	Close   func() // closes idle connections; may be nil
}

// A CloudReader returns the cloud that an environment describes. It sends nothing.
type CloudReader func(getenv func(string) string) (Cloud, error)

// CloudError returns the error of a call to a cloud. service is the service's name for people. The
// first of reasons with the code of a refusal is its text; the refusal's own message may name roles
// and accounts, and is for the log. It may also repeat a parameter.
func (c *Call) CloudError(service string, err error, reasons ...cloud.Reason) *Error {
	if errors.Is(err, cloud.ErrNoCredentials) {
		return &Error{Why: "this service has no credentials for " + service, Refused: true, Cause: err.Error()}
	}
	var refused *cloud.Refusal
	if !errors.As(err, &refused) {
		return &Error{Why: (&dial.Error{What: service, Err: err}).Error(), Again: true, Cause: err.Error()}
	}
	refused.Message = c.masked(refused.Message) // before Error cuts it
	e := &Error{Again: refused.Retryable, Refused: refused.Status < 500, Cause: refused.Error(),
		Why: fmt.Sprintf("%s answered %s, status %d", service, refused.PlainCode(), refused.Status)}
	if reason, ok := refused.Reason(reasons); ok {
		e.Why, e.Again = reason.Why, reason.Again
	}
	return e
}

// RoleOf returns the role of a call for people.
func (c *Call) RoleOf() string {
	if c.Role == "" {
		return "this service"
	}
	return fmt.Sprintf("the role %q", c.Role)
}

// masked returns a text of the target without the values of secret parameters.
func (c *Call) masked(text string) string {
	secrets := c.Secrets()
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may begin another
	for i := range secrets {
		secrets = slices.Insert(secrets, 2*i+1, secret.Mask)
	}
	return strings.NewReplacer(secrets...).Replace(text)
}

// Secrets returns the texts that show a secret parameter: its value, and how JSON writes that
// inside a string.
func (c *Call) Secrets() (texts []string) {
	for _, v := range c.Command.Parameters {
		if !v.Secret || v.Text == "" {
			continue
		}
		var b bytes.Buffer
		document.WriteString(&b, v.Text)
		escaped, _ := json.Marshal(v.Text) // '<', '>' and '&' too; a text is always encoded
		texts = append(texts, v.Text)
		for _, quoted := range []string{b.String(), string(escaped)} {
			if text := quoted[1 : len(quoted)-1]; !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// maxText is the maximum length of a text that a target gives, in characters.
const maxText = 4000

// bounded returns a text that is short enough for an answer in chat, and valid UTF-8.
func bounded(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	n := 0
	for i := range text {
		if n++; n > maxText {
			return text[:i] + "…"
		}
	}
	return text
}

// PolicyText returns a session policy that allows only these rights. version is that of the cloud's
// policy language.
func PolicyText(version string, rights ...command.Right) string {
	type statement struct {
		Effect string
		command.Right
	}
	statements := make([]statement, len(rights))
	for i, r := range rights {
		statements[i] = statement{"Allow", r}
	}
	return string(document.Marshal(struct {
		Version   string
		Statement []statement
	}{version, statements}))
}

// An Unavailable is a target that this service does not have; its text says why.
type Unavailable string

var _ Target = Unavailable("")

// Start implements Target.
func (u Unavailable) Start(context.Context, *Call) (Progress, error) {
	return Progress{}, &Error{Why: string(u), Refused: true}
}

// NoDryRun is the error of a target that has no dry run.
func NoDryRun() *Error {
	return &Error{Why: "this target has no dry run, so nothing was started", Refused: true}
}

// AtTask says which task an execution is at, for people.
func (c *Call) AtTask(task string) string {
	return c.say("It is running the task %q.", "正在执行任务 %q。", task)
}

// WaitsForApproval says that an execution waits for an approval of a task in a service.
func (c *Call) WaitsForApproval(task, service string) string {
	return c.say("The task %q waits for an approval in %s.", "任务 %q 待审批，请在 %s 中处理。", task, service)
}

// WaitsForConfirmation says that an execution waits for a confirmation of a task in a service.
func (c *Call) WaitsForConfirmation(task, service string) string {
	return c.say("The task %q waits for a confirmation in %s.", "任务 %q 待确认，请在 %s 中处理。", task, service)
}

// say returns a sentence about a task in the language of the configuration.
func (c *Call) say(english, chinese, task string, more ...any) string {
	if c.Endpoint.Language == command.Chinese {
		english = chinese
	}
	return fmt.Sprintf(english, append([]any{c.Told(task)}, more...)...)
}

// Told returns a text of the target for people: without secrets, and bounded.
func (c *Call) Told(text string) string { return bounded(c.masked(text)) }

// Allowed returns the rights of the target's Allow for the values of a call.
func Allowed(c *Call) ([]command.Right, *Error) {
	rights, err := c.Target.Rights(c.Command.Parameters)
	if err != nil {
		return nil, &Error{Why: err.Error(), Refused: true}
	}
	return rights, nil
}

// ParametersOf returns the parameters for a template as a JSON object. It may hold secrets.
func ParametersOf(c *Call) string {
	return string(document.Marshal(c.Target.Expand(c.Command.Parameters)))
}

// AWSReasons returns the reasons for which every service of AWS refuses. denied is what the
// policies of the role must allow.
func AWSReasons(c *Call, service, denied string) []cloud.Reason {
	return []cloud.Reason{
		{Codes: []string{"AccessDeniedException", "AccessDenied"},
			Why: c.RoleOf() + " was denied by " + service + ". Its policies must allow " + denied},
		{Codes: []string{"ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException",
			"InvalidClientTokenId"},
			Why: "the credentials of " + c.RoleOf() + " are invalid or have expired", Again: true},
		{Codes: []string{"ThrottlingException", "Throttling", "RequestLimitExceeded"}, Why: service + " is throttled",
			Again: true},
	}
}
