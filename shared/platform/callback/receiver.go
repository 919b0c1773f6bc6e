package callback

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/secret"
)

// A Receiver verifies and reads the callbacks of one configuration, and formats the answers. It
// holds secrets, does no I/O, and is safe for concurrent use.
type Receiver interface {
	// Receive verifies that a callback comes from the platform, is fresh and is meant for this
	// configuration, and reads it. Its error is a *Refusal; the client is not told the reason.
	Receive(r *Request) (*Received, error)
	Answerer
}

// An Answerer formats the answers to what a Receiver or a Connection has returned.
type Answerer interface {
	// Answer makes the answer. It carries text if the platform shows immediate replies; otherwise
	// it only acknowledges. Text is shown literally, without markup or mentions.
	Answer(in *Received, text string) (*Response, error)
}

// Settings are the values of a configuration, by key, with the secrets unsealed. All values print
// as a mask, since some are secrets.
type Settings map[string]secret.Text

// Get returns the value of a setting, empty if it is not set.
func (s Settings) Get(key string) string { return s[key].Reveal() }

// A Request is a received callback with its body.
type Request struct {
	Method string
	Query  url.Values
	Header http.Header
	Body   []byte
	Now    time.Time
}

// Digest returns a hash of the method, the parameters and the body.
func (r *Request) Digest() []byte {
	h := sha256.New()
	for _, part := range [...]string{r.Method, r.Query.Encode(), string(r.Body)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// Received is the content of a callback.
type Received struct {
	// Handshake, if set, is the whole answer: the platform only checks the URL.
	Handshake *Response
	// Message is a person's message. Without it, and without a handshake, the callback is only
	// acknowledged.
	Message *command.Message
	// Kind is the platform's name for a callback without message and handshake, such as
	// reaction_added or message/channel_join. Health counts by it.
	Kind string
	// Unproven says that the platform sends this callback without a signature. It is acknowledged
	// and logged, without any other effect.
	Unproven bool
	// Mention is the name that the message mentions in place of BotName, for the configuration's
	// health; empty if none.
	Mention string
	// Guards are values that may occur only once, in addition to the message's id, for signatures
	// that do not cover the body. A second message with the same guard is forged. Every genuine
	// callback uses up its guards, even without a message.
	Guards []string
	// State is for the receiver's own Answer: a nonce, a user id.
	State any
}

// A Response is the answer to a callback.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
	// Carries says that the platform shows the text given to Answer. If not, a Sender sends the
	// text.
	Carries bool
}

// A Step is the check that refused a callback, as the log and GetChatConfigurationHealth name it.
// StepFind is only in the log: health has the step token for a wrong token, and an unknown URL has
// no health.
type Step string

// The steps, in their order.
const (
	StepFind          Step = "find"          // unknown configuration or wrong token
	StepConfiguration Step = "configuration" // its settings make no receiver
	StepRequest       Step = "request"       // method, size, or missing or duplicate parameters
	StepSignature     Step = "signature"     // not made with the configuration's secret
	StepFreshness     Step = "freshness"     // too old, or from the future
	StepDecrypt       Step = "decrypt"       // the ciphertext is damaged or has another key
	StepReceiver      Step = "receive id"    // meant for another corporation, app, tenant or robot
	StepDecode        Step = "decode"        // genuine, but in an unknown form
	StepReplay        Step = "replay"        // a guard was used before, with another message
	StepDeliver       Step = "deliver"       // the platform refused an answer over a connection
)

// A Refusal says why a callback was refused. It holds no secret, and nothing that an attacker does
// not know.
type Refusal struct {
	Step   Step
	Reason string // for the owner of the configuration: what is wrong, and what is right
}

func (r *Refusal) Error() string { return "callback: " + string(r.Step) + ": " + r.Reason }

// Refuse returns a Refusal.
func Refuse(step Step, format string, args ...any) error {
	return &Refusal{step, fmt.Sprintf(format, args...)}
}

// A Sender delivers answers that come after the acknowledgement, through the platform's own API.
type Sender interface {
	// Send answers a message with text, shown as it is. If its error has a method Retryable() bool,
	// that says whether a retry can help; otherwise it can.
	Send(ctx context.Context, to command.ReplyTo, text string) error
}
