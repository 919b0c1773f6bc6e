package chat

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

// actionSend simulates the platform to test a configuration. Only `chatconf serve` has it, no
// function: its caller can impersonate every user of the chat.
const actionSend = "SendChatMessage"

// OpenToSend returns a configuration, and the URL of its webhook, for a caller who may do
// SendChatMessage on it: to make a callback with its secrets, as the platform would. With reveal
// the caller must be one who may see the secrets of its Outputs too. It costs one Get.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion.
func (s *Service) OpenToSend(ctx context.Context, regionID, name string,
	reveal bool) (*command.Endpoint, secret.Text, error) {
	actions := []string{actionSend}
	if reveal {
		actions = append(actions, actionReveal)
	}
	c, r, there, err := s.mayRead(ctx, regionID, name, actions...)
	if err != nil {
		return nil, "", err
	}
	if !there {
		return nil, "", notFound(name)
	}
	e, err := s.makeEndpoint(c, r)
	if err != nil {
		return nil, "", storeError(ctx, "open to send", err)
	}
	url, err := s.webhookURL(c, r, true)
	if err != nil {
		return nil, "", storeError(ctx, "open to send", err)
	}
	return e, secret.Text(url), nil
}

// SentHeader is the header in which SendChatMessage proves that it made a callback. Platforms sign
// no header of their own with it, so what proves the callback itself stays as it is.
const SentHeader = "X-Chatconf-Sent"

// maxProof bounds what is looked at of the header, in bytes.
const maxProof = 512

// sentPlace is where the proof of a callback is sealed.
func sentPlace(e *command.Endpoint) seal.Place { return scopeOf(e.Ref()).place(e.Name, "#Sent") }

// ProveSent returns the proof that SendChatMessage made a callback, which its digest names: the
// digest, sealed with the key ring. It is good for that callback of that configuration alone. Only
// a process with the key ring can make it, and such a process can be anybody in the chat.
func (s *Service) ProveSent(e *command.Endpoint, digest []byte) (string, error) {
	sealed, err := s.ring.Seal(sentPlace(e), digest)
	if err != nil {
		return "", fmt.Errorf("chat: prove a callback: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// IsSent reports whether proof, the value of SentHeader, is that of the callback with the digest.
// It is for callbacks that are proven to be genuine.
func (s *Service) IsSent(e *command.Endpoint, proof string, digest []byte) bool {
	// which base64 skips
	if proof == "" || len(proof) > maxProof || len(digest) == 0 || strings.ContainsAny(proof, "\r\n") {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(proof)
	if err != nil {
		return false
	}
	proven, err := s.ring.Open(sentPlace(e), sealed)
	return err == nil && subtle.ConstantTimeCompare(proven, digest) == 1
}

// FollowSent returns what became of a message, by the id that the platform's receiver reads of it,
// and whether it was recorded. It is for who had the Endpoint from OpenToSend. It costs two Gets.
func (s *Service) FollowSent(ctx context.Context, e *command.Endpoint,
	messageID string) (m journal.SentMessage, recorded bool, err error) {
	if s.journal == nil {
		return journal.SentMessage{}, false, nil
	}
	m, recorded, err = s.journal.Follow(ctx, e.Ref(), messageID)
	if err != nil {
		return journal.SentMessage{}, false, storeError(ctx, "follow a message", err)
	}
	return m, recorded, nil
}
