package dispatch

import (
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

// CloudError returns the error of a call to a cloud. service is the service's name for people. The
// first of reasons with the code of a refusal is its text; the refusal's own message may name roles
// and accounts, and is for the log.
func CloudError(service string, err error, reasons ...cloud.Reason) *Error {
	if errors.Is(err, cloud.ErrNoCredentials) {
		return &Error{Why: "this service has no credentials for " + service, Refused: true, Cause: err.Error()}
	}
	var refused *cloud.Refusal
	if !errors.As(err, &refused) {
		return &Error{Why: (&dial.Error{What: service, Err: err}).Error(), Again: true, Cause: err.Error()}
	}
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

// Masked returns a text of the target without the values of secret parameters.
func (c *Call) Masked(text string) string {
	var secrets []string
	for _, v := range c.Command.Parameters {
		if v.Secret && v.Text != "" {
			secrets = append(secrets, v.Text)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may begin another
	for i := range secrets {
		secrets = slices.Insert(secrets, 2*i+1, secret.Mask)
	}
	return strings.NewReplacer(secrets...).Replace(text)
}

// maxText is the maximum length of a text that a target gives, in characters.
const maxText = 4000

// Bounded returns a text that is short enough for an answer in chat, and valid UTF-8.
func Bounded(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	n := 0
	for i := range text {
		if n++; n > maxText {
			return text[:i] + "…"
		}
	}
	return text
}

// A Grant allows actions on resources in a session policy.
type Grant struct {
	Action   []string
	Resource []string
}

// PolicyText returns a session policy that allows only the grants. version is that of the cloud's
// policy language.
func PolicyText(version string, grants ...Grant) string {
	type statement struct {
		Effect string
		Grant
	}
	statements := make([]statement, len(grants))
	for i, g := range grants {
		statements[i] = statement{"Allow", g}
	}
	return string(document.Marshal(struct {
		Version   string
		Statement []statement
	}{version, statements}))
}

// ParametersOf returns the parameters for a template as a JSON object. It may hold secrets.
func ParametersOf(c *Call) (string, error) {
	text, err := command.TypedObject(c.Command.Parameters).MarshalJSON()
	if err != nil {
		return "", &Error{Why: "the parameters cannot be encoded", Refused: true, Cause: err.Error()}
	}
	return string(text), nil
}

// NoDryRun is the error of a target that has no dry run.
func NoDryRun() *Error {
	return &Error{Why: "this target has no dry run, so nothing was started", Refused: true}
}
