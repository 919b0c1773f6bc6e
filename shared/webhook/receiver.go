package webhook

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/secret"
)

// MaxBody is the size of a callback's body, in bytes.
const MaxBody = 1 << 20

// A Receiver is one configuration's side of its platform: it proves that a callback is genuine, reads it and words the answer.
// It holds secrets, does no input or output, and may be used by many goroutines at once.
type Receiver interface {
	// Receive proves that a callback comes from the platform and is fresh and meant for this configuration, and reads it.
	// Its error is a *Refusal if it is not, and the callback's sender learns nothing of why.
	Receive(r *Request) (*Received, error)
	// Answer words the answer to a callback that Receive returned: with text as the platform's immediate reply where there is such
	// a thing, else just an acknowledgement. Text is shown as it is: nothing in it becomes markup or mentions anybody.
	Answer(in *Received, text string) (*Response, error)
}

// Settings are a configuration's own, by key, its secrets unsealed. All of them print as a mask, since some are secrets.
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

// Digest returns what tells a callback from every other: a hash of its method, parameters and body.
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
	// Message is what a person sent. Without one, and without a handshake, there is nothing to do but to acknowledge.
	Message *chat.Message
	// Kind is what a callback without a message and a handshake is, as the platform calls it, such
	// as reaction_added or message/channel_join. Health counts it under this.
	Kind string
	// Unproven says that the platform sends this without a proof, and nothing depends on it: it is
	// acknowledged and leaves no trace but a log line.
	Unproven bool
	// Mention is the name that the message mentions where it should mention BotName, for the
	// configuration's health; empty if there is no such name.
	Mention string
	// Guards are what may be seen only once besides the message's id, where a signature does not cover the body: a second message under
	// the same guard is forged. They are spent by what is no message as well, and not by what is refused.
	Guards []string
	// State is the receiver's own, for Answer: a nonce, a user id.
	State any
}

// A Response is the answer to a callback.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
	// Carries says that the platform shows the text that was given to Answer. Where it does not, the text goes by a Sender.
	Carries bool
}

// A Step is where a callback was refused, as the log and GetChatConfigurationHealth name it. StepFind is in the log alone: of an unknown URL there is no
// health to be told, and a wrong token is the step token there.
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

// A Refusal is why a callback was not taken. It holds no secret and nothing that an attacker could not know.
type Refusal struct {
	Step   Step
	Reason string // for the owner of the configuration: what was seen and what would be right
}

func (r *Refusal) Error() string { return "webhook: " + string(r.Step) + ": " + r.Reason }

// Refuse returns a Refusal.
func Refuse(step Step, format string, args ...any) error {
	return &Refusal{step, fmt.Sprintf(format, args...)}
}

// A Sender delivers answers that come after the acknowledgement, through the platform's own API.
type Sender interface {
	// Send answers a message with text, shown as it is. Its error may say whether another attempt can help, as Passing reads it.
	Send(ctx context.Context, to chat.ReplyTo, text string) error
}

// Passing reports whether what kept a Sender from sending, or one from being made, may pass. It does unless the error says otherwise, by a method
// Passing() bool of its own or of what it wraps: that the platform refused for good, a setting is missing, or there is no way to answer. Of several
// that it wraps the first counts.
func Passing(err error) bool {
	var known interface{ Passing() bool }
	return !errors.As(err, &known) || known.Passing()
}
