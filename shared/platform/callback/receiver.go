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

// A Receiver belongs to one configuration: it proves that a callback is genuine, reads it and
// formats the answer. It holds secrets, does no I/O, and is safe for concurrent use.
type Receiver interface {
	// Receive proves that a callback comes from the platform, is fresh and is meant for this
	// configuration, and reads it. Its error is a *Refusal; the caller of the webhook is not told
	// the reason.
	Receive(r *Request) (*Received, error)
	// Answer makes the answer to a callback that Receive returned. It carries text where the
	// platform has immediate replies, and is an acknowledgement otherwise. Text is shown literally:
	// nothing in it becomes markup or a mention.
	Answer(in *Received, text string) (*Response, error)
}

// Settings are the values of a configuration, by key, with the secrets unsealed. All values print
// as a mask, since some are secrets.
type Settings map[string]secret.Text

// Get returns the value of a setting, empty if it is not set.
func (s Settings) Get(key string) string { return s[key].Reveal() }

// A Request is a callback as it came, its body read.
type Request struct {
	Method string
	Query  url.Values
	Header http.Header
	Body   []byte
	Now    time.Time
}

// Digest returns a hash of the method, the parameters and the body. It is different for every
// callback.
func (r *Request) Digest() []byte {
	h := sha256.New()
	for _, part := range [...]string{r.Method, r.Query.Encode(), string(r.Body)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// Received is what a callback says.
type Received struct {
	// Handshake, if set, is the whole answer: the platform asked whether this URL is alive.
	Handshake *Response
	// Message is what a person sent. Without one, and without a handshake, there is nothing to do
	// but to acknowledge.
	Message *command.Message
	// Kind is what a callback without a message and a handshake is, as the platform calls it, such
	// as reaction_added or message/channel_join. Health counts it under this.
	Kind string
	// Unproven says that the platform sends this without a proof, and nothing depends on it: it is
	// acknowledged and leaves no trace but a log line.
	Unproven bool
	// Mention is the name that the message mentions where it should mention BotName, for the
	// configuration's health; empty if there is no such name.
	Mention string
	// Guards are what may be seen only once besides the message's id, where a signature does not
	// cover the body: a second message under the same guard is forged. They are spent by what is no
	// message as well, and not by what is refused.
	Guards []string
	// State is the receiver's own, for Answer: a nonce, a user id.
	State any
}

// A Response is the answer to a callback.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
	// Carries says that the platform shows the text that was given to Answer. Where it does not,
	// the text goes by a Sender.
	Carries bool
}

// A Step is where a callback was refused, as the log and GetChatConfigurationHealth name it.
// StepFind is in the log alone: of an unknown URL there is no health to be told, and a wrong token
// is the step token there.
type Step string

// The steps, in the order of work.
const (
	StepFind          Step = "find"          // there is no such configuration, or the token is wrong
	StepConfiguration Step = "configuration" // its settings make no receiver
	StepRequest       Step = "request"       // method, size, or parameters that are missing or there twice
	StepSignature     Step = "signature"     // not made with the configuration's secret
	StepFreshness     Step = "freshness"     // too old, or from the future
	StepDecrypt       Step = "decrypt"       // the ciphertext is damaged or was made with another key
	StepReceiver      Step = "receive id"    // meant for another corporation, app, tenant or robot
	StepDecode        Step = "decode"        // genuine, but not in a form that is known
	StepReplay        Step = "replay"        // what may be seen once was seen before, with another message
)

// A Refusal says why a callback was refused. It holds no secret and nothing that an attacker could
// not know.
type Refusal struct {
	Step   Step
	Reason string // for the owner of the configuration: what is wrong, and what would be right
}

func (r *Refusal) Error() string { return "callback: " + string(r.Step) + ": " + r.Reason }

// Refuse returns a Refusal.
func Refuse(step Step, format string, args ...any) error {
	return &Refusal{step, fmt.Sprintf(format, args...)}
}

// A Sender delivers answers that come after the acknowledgement, through the platform's own API.
type Sender interface {
	// Send answers a message with text, shown as it is. Its error may say by a method Retryable()
	// bool whether another attempt can help; without one it can.
	Send(ctx context.Context, to command.ReplyTo, text string) error
}
