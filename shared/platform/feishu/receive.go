package feishu

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The ways to answer later.
const (
	toMessage = "message" // ReplyTo.ID is the message that is answered
	toPerson  = "person"  // ReplyTo.ID is an open_id
	toChat    = "chat"    // ReplyTo.ID is a chat_id; of no message
)

// maxToast is how long the short notice after the action of a card may be, in bytes.
const maxToast = 600

type receiver struct {
	secret.Hidden
	reader
	keys   []string // Encrypt Keys
	cards  bool     // the cards' older callback is taken
	window time.Duration
}

var _ callback.Receiver = (*receiver)(nil)

// A reader reads what is proven to come from Feishu, and formats the answers.
type reader struct {
	secret.Hidden
	tokens  []string // Verification Tokens; none if it is not set
	appID   string
	botName string
	// proven says that a connection of the app itself proves its events. They need no Verification
	// Token, but one that is there is compared.
	proven bool
}

func newReader(s callback.Settings) (r reader, err error) {
	r.appID, r.botName = s.Get("FeishuAppId"), s.Get("BotName")
	if r.appID == "" {
		return r, fmt.Errorf("feishu: FeishuAppId is not set")
	}
	if s.Get("FeishuVerificationToken") != "" {
		if r.tokens, err = callback.Secrets(s, "FeishuVerificationToken"); err != nil {
			return r, fmt.Errorf("feishu: %w", err)
		}
	}
	return r, nil
}

// NewReceiver returns the receiver of a configuration of type Feishu: events of version 1 and 2 and
// the actions of cards, encrypted and signed, and the challenges that check the URL. The
// Verification Token is compared if it is set. A challenge without encryption needs it, and so does
// the cards' older callback, which is accepted only if FeishuOldCards is true.
func (Platform) NewReceiver(s callback.Settings) (callback.Receiver, error) {
	reader, err := newReader(s)
	if err != nil {
		return nil, err
	}
	r := &receiver{reader: reader}
	if r.keys, err = callback.Secrets(s, "FeishuEncryptKey"); err != nil {
		return nil, fmt.Errorf("feishu: %w", err)
	}
	r.cards = s.Get("FeishuOldCards") == "true"
	if r.window, err = callback.Window(s, "FeishuWindowSeconds", callback.Skew, maxWindow); err != nil {
		return nil, fmt.Errorf("feishu: %w", err)
	}
	return r, nil
}

// The headers.
const (
	headerSignature = "X-Lark-Signature"
	headerTimestamp = "X-Lark-Request-Timestamp"
	headerNonce     = "X-Lark-Request-Nonce"
)

// A proof is how a callback was proven to be genuine.
type proof int

const (
	unsigned proof = iota // not at all; a challenge may be
	byKey                 // SHA-256 with the Encrypt Key
	byToken               // SHA-1 with the Verification Token, as the cards' older callback
)

// maxChallenge is how long the body of a check of the URL may be, in bytes: the only one that is
// read without a signature. It has a challenge and a token, encrypted, of about 300.
const maxChallenge = 4 << 10

// Receive implements callback.Receiver. The length of the signature tells which of two kinds it is.
// A signature must be right. Only a challenge may have none, since it gives nothing away.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case
func (r *receiver) Receive(in *callback.Request) (*callback.Received, error) {
	if in.Method != "POST" {
		return nil, callback.Refuse(callback.StepRequest, "Feishu calls by POST, not %s", callback.Cut(in.Method, 16))
	}
	proof, err := r.verify(in)
	if err != nil {
		return nil, err
	}
	if proof == unsigned && len(in.Body) > maxChallenge {
		return nil, callback.Refuse(callback.StepRequest,
			"the header %s is missing, and the body has more than the %d bytes of a check of the URL",
			headerSignature, maxChallenge)
	}
	f, err := callback.Object("the body", string(in.Body))
	if err != nil {
		return nil, err
	}
	encrypted := f.Has("encrypt")
	if encrypted {
		if f, err = r.decrypt(f); err != nil {
			return nil, err
		}
	}
	kind := f.Text("type")
	switch {
	case f.Err() != nil:
		return nil, f.Err()
	case kind == "url_verification":
		return r.challenge(f, encrypted)
	case proof == unsigned:
		return nil, callback.Refuse(callback.StepRequest,
			"the header %s is missing: set the Encrypt Key in Feishu's console", headerSignature)
	case proof == byToken:
		if isEvent(f) {
			return nil, callback.Refuse(callback.StepSignature,
				"this is an event, but it is signed like the action of a card")
		}
		return r.legacyCard(f, string(in.Body))
	case !encrypted:
		return nil, callback.Refuse(callback.StepDecrypt, "the body is not encrypted")
	}
	return r.event(f)
}

// event reads an event of any version.
func (r *reader) event(f callback.Fields) (*callback.Received, error) {
	schema, kind := f.Text("schema"), f.Text("type")
	switch {
	case f.Err() != nil:
		return nil, f.Err()
	case schema == "2.0":
		return r.second(f)
	case kind == "event_callback":
		return r.first(f)
	}
	return nil, callback.Refuse(callback.StepDecode, "the body is neither a challenge nor an event of version 1 or 2")
}

// isEvent reports whether a callback has what only events have, and not the cards' older callback.
func isEvent(f callback.Fields) bool { return f.Has("schema") || f.Has("event") || f.Has("header") }

// verify checks the signature, and the time, of a callback that has one.
func (r *receiver) verify(in *callback.Request) (proof, error) {
	if !callback.HasHeader(in, headerSignature) {
		return unsigned, nil
	}
	signature, err := callback.Header(in, headerSignature)
	if err != nil {
		return unsigned, err
	}
	timestamp, err := callback.Header(in, headerTimestamp)
	if err != nil {
		return unsigned, err
	}
	at, err := callback.Seconds(timestamp) // of ten digits, so nothing of the nonce can pass for it
	if err != nil {
		return unsigned, err
	}
	nonce, err := callback.Header(in, headerNonce)
	if err != nil {
		return unsigned, err
	}
	var ok bool
	proof := byKey
	if sum, fits := callback.Hex(signature, sha256.Size); fits {
		_, ok = callback.Match(r.keys, sum, func(key string) []byte {
			h := sha256.New()
			h.Write([]byte(timestamp + nonce + key))
			h.Write(in.Body)
			return h.Sum(nil)
		})
	} else if sum, fits := callback.Hex(signature, sha1.Size); fits {
		if !r.cards || r.tokens == nil {
			return unsigned, callback.Refuse(callback.StepSignature, "this is the older callback of cards; "+
				"to accept it, set FeishuOldCards to true and FeishuVerificationToken")
		}
		proof = byToken
		_, ok = callback.Match(r.tokens, sum, func(token string) []byte {
			h := sha1.New()
			h.Write([]byte(timestamp + nonce + token))
			h.Write(in.Body)
			return h.Sum(nil)
		})
	}
	if !ok {
		return unsigned, callback.Refuse(callback.StepSignature,
			"the header %s was not made with FeishuEncryptKey, or for cards FeishuVerificationToken", headerSignature)
	}
	return proof, callback.Fresh("the header "+headerTimestamp, in.Now, at, r.window)
}

// decrypt opens the body's one member, encrypt.
func (r *receiver) decrypt(f callback.Fields) (callback.Fields, error) {
	text := f.Text("encrypt")
	if err := f.Err(); err != nil {
		return f, err
	}
	if f.Keys() != 1 {
		return f, callback.Refuse(callback.StepDecode, "there is more than encrypt in the body")
	}
	refusal := callback.Refuse(callback.StepDecrypt, "the ciphertext is damaged, or was not made with FeishuEncryptKey")
	for _, key := range r.keys {
		plain, err := open(key, text)
		if err != nil {
			continue
		}
		// One in 256 ciphertexts opens with the wrong key, as far as the padding tells, but not to
		// JSON.
		event, err := callback.Object("the event", plain)
		if err == nil {
			return event, nil
		}
		refusal = err
	}
	return f, refusal
}

// errDamaged is the error of every ciphertext that does not open.
var errDamaged = errors.New("feishu: the ciphertext is damaged or was made with another key")

// open decrypts AES-256-CBC under the SHA-256 of a key: base64 of the initial vector and the
// ciphertext, padded to the cipher's block.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
func open(key, text string) (string, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(b) < 2*aes.BlockSize || len(b)%aes.BlockSize != 0 {
		return "", errDamaged
	}
	sum := sha256.Sum256([]byte(key))
	c, err := aes.NewCipher(sum[:])
	if err != nil {
		return "", errDamaged // never, with 32 bytes
	}
	iv, b := b[:aes.BlockSize], b[aes.BlockSize:]
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > aes.BlockSize {
		return "", errDamaged
	}
	for _, p := range b[len(b)-pad:] {
		if int(p) != pad {
			return "", errDamaged
		}
	}
	return string(b[:len(b)-pad]), nil
}

// challenge answers the check of the URL. It is not encrypted before the Encrypt Key is set in the
// console, and then needs the token.
func (r *receiver) challenge(f callback.Fields, encrypted bool) (*callback.Received, error) {
	challenge, token := f.Text("challenge"), f.Text("token")
	switch {
	case f.Err() != nil:
		return nil, f.Err()
	case !encrypted && r.tokens == nil:
		return nil, callback.Refuse(callback.StepSignature, "the check of the URL is not encrypted: "+
			"set the Encrypt Key in Feishu's console, or FeishuVerificationToken")
	case challenge == "":
		return nil, callback.Refuse(callback.StepDecode, "the challenge is missing")
	}
	if err := r.token(token); err != nil {
		return nil, err
	}
	return &callback.Received{Handshake: callback.JSON(struct {
		Challenge string `json:"challenge"`
	}{challenge})}, nil
}

// token compares the Verification Token, if it is set.
func (r *reader) token(token string) error {
	if r.tokens == nil || r.proven && token == "" {
		return nil
	}
	if _, ok := callback.Match(r.tokens, []byte(token), func(t string) []byte { return []byte(t) }); !ok {
		return callback.Refuse(callback.StepSignature, "the token in the body is not FeishuVerificationToken")
	}
	return nil
}

func (r *reader) app(id string) error {
	if id != r.appID {
		return callback.Refuse(callback.StepReceiver,
			"the event is for the app %q, and this configuration is for %q; if it is yours, set FeishuAppId to %[1]q",
			callback.Cut(id, 64), r.appID)
	}
	return nil
}

// second reads an event of version 2.
// https://open.feishu.cn/document/server-docs/im-v1/message/events/receive
func (r *reader) second(f callback.Fields) (*callback.Received, error) {
	h, e := f.Object("header"), f.Object("event")
	if err := f.Err(); err != nil {
		return nil, err
	}
	if err := r.token(h.Text("token")); err != nil {
		return nil, err
	}
	if err := r.app(h.Text("app_id")); err != nil {
		return nil, err
	}
	kind := h.Text("event_type")
	m := &command.Message{EventID: h.Text("event_id"), Sent: created(h.NumberOrText("create_time"))}
	m.ID = m.EventID
	received := &callback.Received{Kind: kind}
	switch kind {
	case "im.message.receive_v1":
		received = r.message(m, e)
	case "card.action.trigger":
		received = action(m, e)
	case "card.action.trigger_v1":
		received = flatAction(m, e)
	case "application.bot.menu_v6":
		received = menu(m, e)
	}
	if err := f.Err(); err != nil || received.Message == nil {
		return received, err
	}
	return received, callback.Check(m)
}

// created reads when an event was made, in milliseconds; some samples have microseconds.
func created(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil && len(text) == 13:
		return time.UnixMilli(n)
	case err == nil && len(text) == 16:
		return time.UnixMicro(n)
	}
	return time.Time{}
}

// first reads an event of version 1.
// https://open.feishu.cn/document/ukTMukTMukTM/uMTNxYjLzUTM24yM1EjN
func (r *reader) first(f callback.Fields) (*callback.Received, error) {
	if err := r.token(f.Text("token")); err != nil {
		return nil, err
	}
	e := f.Object("event")
	if err := f.Err(); err != nil {
		return nil, err
	}
	if err := r.app(e.Text("app_id")); err != nil {
		return nil, err
	}
	if kind := e.Text("type"); kind != "message" {
		return &callback.Received{Kind: "v1/" + kind}, f.Err()
	}
	m := &command.Message{
		ID:           e.Text("open_message_id"),
		EventID:      f.Text("uuid"),
		Conversation: e.Text("open_chat_id"),
		Direct:       e.Text("chat_type") == "private",
		User:         e.Text("open_id"),
		ReplyTo:      command.ReplyTo{Kind: toMessage, ID: e.Text("open_message_id")},
	}
	kind := e.Text("msg_type")
	if !m.Direct && !e.Is("is_mention") {
		return &callback.Received{Kind: "v1/message/" + kind}, f.Err()
	}
	text := e.Text("text_without_at_bot")
	if m.Direct {
		text = e.Text("text")
	}
	heard := callback.Heard{Unread: unread(kind)}
	if kind == "text" {
		heard = callback.Hear(tagged(text), r.botName, callback.Addressed)
	}
	m.Text, m.Unread = heard.Text, heard.Unread
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &callback.Received{Message: m}, callback.Check(m)
}

// legacyCard reads the cards' older callback, which is flat, may be unencrypted, and names no app.
// https://open.feishu.cn/document/ukTMukTMukTM/uYzM3QjL2MzN04iNzcDN
func (r *reader) legacyCard(f callback.Fields, body string) (*callback.Received, error) {
	m := &command.Message{ID: callback.Digest("feishu card", body)}
	received := flatAction(m, f)
	if err := f.Err(); err != nil || received.Message == nil {
		return received, err
	}
	received.State = nil // the older callback shows no notice
	return received, callback.Check(m)
}

// What Received.State says.
type kind int

const toasts kind = 1 // the answer is a short notice to the person who used the card

// Answer implements callback.Answerer. A message's answer goes by a Sender.
func (r *reader) Answer(in *callback.Received, text string) (*callback.Response, error) {
	if in.State != any(toasts) || text == "" {
		return callback.JSON(callback.Empty{}), nil
	}
	type toast struct {
		Type string `json:"type"`
		callback.Text
	}
	response := callback.JSON(struct {
		Toast toast `json:"toast"`
	}{toast{"info", callback.Text{Content: callback.Cut(text, maxToast)}}})
	response.Carries = true
	return response, nil
}
