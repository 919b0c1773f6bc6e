// Package platformsim simulates the chat platforms: it makes genuine callbacks, signed and
// encrypted with the secrets of a configuration, and reads the answers. Its gateways stand in for
// the platforms' servers to which programs connect. It is for tests and for the tool; no function
// links it.
//
// A platform is one file with a Simulator, and a line in simulators. One with connections has
// another file with a Gateway, and a line in gateways.
package platformsim

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"chatconf/shared/platform/callback"
)

// A Message is a message to the bot.
type Message struct {
	ID           string // generated if empty
	User         string
	UserName     string
	Conversation string // an example if empty
	Direct       bool
	Text         string
	ReplyURL     string // the address for late answers, on platforms that give one
	Mode         string // of what a Gateway pushes: one with a message; the first if empty
}

// A Callback is a request as the platform would send it.
type Callback struct {
	Method string
	Query  url.Values
	Header http.Header
	Body   []byte

	read func(body []byte) (string, error)
}

// Request returns the callback as an HTTP request to a webhook's URL.
func (c *Callback) Request(webhookURL string) (*http.Request, error) {
	u, err := url.Parse(webhookURL)
	if err != nil {
		return nil, fmt.Errorf("platformsim: the webhook's URL is malformed") // the parser's error would contain it
	}
	u.RawQuery = c.Query.Encode()
	r, err := http.NewRequest(c.Method, u.String(), bytes.NewReader(c.Body))
	if err != nil {
		return nil, fmt.Errorf("platformsim: the webhook's URL is malformed")
	}
	r.Header = c.Header.Clone()
	return r, nil
}

// Received returns the callback as a request to a receiver.
func (c *Callback) Received(now time.Time) *callback.Request {
	return &callback.Request{Method: c.Method, Query: maps.Clone(c.Query), Header: c.Header.Clone(),
		Body: slices.Clone(c.Body), Now: now}
}

// ReadAnswer returns the text that the platform would show of an answer, which may be empty. For
// the answer to a check of the URL it returns the challenge. An answer that the platform would
// reject is an error.
func (c *Callback) ReadAnswer(body []byte) (string, error) { return c.read(body) }

// A Maker makes the callbacks of one configuration.
type Maker struct {
	Settings callback.Settings
	Now      time.Time
	Random   io.Reader // crypto/rand if nil
}

// A Simulator makes the callbacks of one platform.
type Simulator struct {
	Type  string
	Modes []Mode // the first is the default

	// Enclosures are the ways in which the platform signs and encrypts its callbacks, by name.
	Enclosures map[string]func(*Maker, string) (*Callback, error)

	// Example has example values for all settings that a receiver checks. All secrets contain
	// "not-a-real" or "notareal".
	Example callback.Settings

	// SealsChecks is set if the answer to a check of the URL is encrypted, so each answer differs.
	SealsChecks bool
}

// A Mode is one kind of callback.
type Mode struct {
	Name  string
	Check bool // it only checks the URL and carries no message
	Make  func(*Maker, Message) (*Callback, error)

	// Needs names the settings that only this mode needs, for people. It may be empty.
	Needs string

	// Properties for tests.
	Receiver []string // the settings of the callback's receiver
	Unsigned bool     // the signature does not cover the body
	Timeless bool     // the callback has no time
	Direct   bool     // every conversation is direct
	Carries  bool     // the answer carries text

	// DirectByUser is set if the id of a direct conversation is that of its user.
	DirectByUser bool
}

// simulators are the simulators of all platforms.
var simulators = []*Simulator{&dingtalk, &wecom, &feishu, &slack, &teams}

// Of returns the simulator of a type, nil if the type is unknown.
func Of(platform string) *Simulator {
	for _, s := range simulators {
		if s.Type == platform {
			return s
		}
	}
	return nil
}

// Mode returns a mode by its name, nil if the name is unknown.
func (s *Simulator) Mode(name string) *Mode {
	for i := range s.Modes {
		if s.Modes[i].Name == name {
			return &s.Modes[i]
		}
	}
	return nil
}

// Modes returns the names of a type's modes: those with a message, and those that check the URL.
func Modes(platform string) (messages, checks []string) {
	s := Of(platform)
	if s == nil {
		return nil, nil
	}
	for _, m := range s.Modes {
		if m.Check {
			checks = append(checks, m.Name)
		} else {
			messages = append(messages, m.Name)
		}
	}
	return messages, checks
}

// Make makes a callback of a platform in a mode, by default the first.
func (k *Maker) Make(platform, name string, m Message) (*Callback, error) {
	if k.Random == nil {
		k.Random = rand.Reader
	}
	s := Of(platform)
	if s == nil {
		return nil, fmt.Errorf("platformsim: unknown platform %q", platform)
	}
	for _, one := range s.Modes {
		if name != "" && one.Name != name {
			continue
		}
		if m.ID == "" {
			m.ID = k.hex(12)
		}
		c, err := one.Make(k, m)
		if err != nil {
			return nil, fmt.Errorf("platformsim: %s, %s: %w", platform, one.Name, err)
		}
		return c, nil
	}
	messages, checks := Modes(platform)
	return nil, fmt.Errorf("platformsim: unknown mode %[2]q of %[1]s; use %[3]s", platform, name,
		strings.Join(append(messages, checks...), ", "))
}

// A Field is a part of a Message.
type Field string

// The fields that do not occur in every kind of callback.
const (
	FieldID           Field = "ID"
	FieldUser         Field = "User"
	FieldUserName     Field = "UserName"
	FieldConversation Field = "Conversation"
	FieldDirect       Field = "Direct"
	FieldText         Field = "Text"
)

// Unused returns the given fields of a message that do not change the callback.
func (k *Maker) Unused(platform, name string, m Message) ([]Field, error) {
	same := &Maker{Settings: k.Settings, Now: k.Now, Random: zeros{}}
	made := func(m Message) (string, error) {
		c, err := same.Make(platform, name, m)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(c.Method, c.Query.Encode(), c.Header, string(c.Body)), nil
	}
	given, err := made(m)
	if err != nil {
		return nil, err
	}
	var unused []Field
	for _, f := range [...]struct {
		field Field
		text  *string
	}{{FieldID, &m.ID}, {FieldUser, &m.User}, {FieldUserName, &m.UserName},
		{FieldConversation, &m.Conversation}, {FieldText, &m.Text}} {
		if *f.text == "" {
			continue
		}
		text := *f.text
		*f.text += "x"
		other, err := made(m)
		*f.text = text
		if err == nil && other == given {
			unused = append(unused, f.field)
		}
	}
	if m.Direct {
		m.Direct = false
		if other, err := made(m); err == nil && other == given {
			unused = append(unused, FieldDirect)
		}
	}
	return unused, nil
}

// zeros is a source of randomness that returns only zeros, so that callbacks can be compared.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// hex returns n random bytes in hexadecimal.
func (k *Maker) hex(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(k.Random, b); err != nil {
		panic("platformsim: no random bytes: " + err.Error()) // never happens with crypto/rand
	}
	return hex.EncodeToString(b)
}

// need returns an error if one of the settings is not set.
func (k *Maker) need(keys ...string) error {
	for _, key := range keys {
		if k.Settings.Get(key) == "" {
			return fmt.Errorf("%s is not set", key)
		}
	}
	return nil
}

// object is a JSON object.
type object map[string]any

func (o object) bytes() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		panic("platformsim: " + err.Error()) // never happens: all values can be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (o object) String() string { return string(o.bytes()) }

func mac(secret, message string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(message))
	return h.Sum(nil)
}

func mac64(secret, message string) string {
	return base64.StdEncoding.EncodeToString(mac(secret, message))
}

// post is a callback by POST.
func post(body []byte, contentType string, headers ...string) *Callback {
	c := &Callback{Method: http.MethodPost, Query: url.Values{},
		Header: http.Header{"Content-Type": {contentType}}, Body: body}
	for i := 0; i < len(headers); i += 2 {
		c.Header[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
	}
	c.read = nothing
	return c
}

// reading sets the function that reads the answer.
func (c *Callback) reading(read func(body []byte) (string, error)) *Callback {
	c.read = read
	return c
}

// nothing reads an answer without text: it must be empty or an empty object.
func nothing(body []byte) (string, error) {
	if text := strings.TrimSpace(string(body)); text != "" && text != "{}" {
		return "", fmt.Errorf("platformsim: the answer is neither empty nor {}")
	}
	return "", nil
}

// echo reads the answer to a challenge: it must be the challenge.
func echo(challenge string) func(body []byte) (string, error) {
	return func(body []byte) (string, error) {
		if string(body) != challenge {
			return "", fmt.Errorf("platformsim: the answer is not the challenge")
		}
		return challenge, nil
	}
}

// decode reads an answer in JSON.
func decode(body []byte, to any) error {
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("platformsim: the answer is not the expected JSON: %w", err)
	}
	return nil
}
