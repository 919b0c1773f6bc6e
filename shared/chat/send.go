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

// OpenToSend returns a configuration, and the URL of its webhook, to make a callback with its
// secrets as the platform would. The caller needs SendChatMessage; with reveal, also the permission
// to see the secrets of Outputs. It costs one Get.
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
	e, err := s.endpoints.make(c, r)
	if err != nil {
		return nil, "", storeError(ctx, "open to send", err)
	}
	url, err := s.outputs.url(c, r, true)
	if err != nil {
		return nil, "", storeError(ctx, "open to send", err)
	}
	return e, secret.Text(url), nil
}

// SentHeader is the header with the proof that SendChatMessage made a callback. No platform signs
// it, so it does not change the verification of the callback.
const SentHeader = "X-Chatconf-Sent"

// maxProof is the maximum length of the header that is checked, in bytes.
const maxProof = 512

// sentPlace returns where the proof of a callback is sealed.
func sentPlace(e *command.Endpoint) seal.Place { return scopeOf(e.Ref()).place(e.Name, "#Sent") }

// ProveSent returns the proof that SendChatMessage made the callback with the digest: the digest,
// sealed with the key ring. It is valid only for that callback of that configuration. Only a
// process with the key ring can make it; such a process can impersonate everyone in the chat.
func (s *Service) ProveSent(e *command.Endpoint, digest []byte) (string, error) {
	sealed, err := s.vault.ring.Seal(sentPlace(e), digest)
	if err != nil {
		return "", fmt.Errorf("chat: prove a callback: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// IsSent reports whether proof, the value of SentHeader, belongs to the callback with the digest.
// The callback must be verified already.
func (s *Service) IsSent(e *command.Endpoint, proof string, digest []byte) bool {
	// base64 skips line ends
	if proof == "" || len(proof) > maxProof || len(digest) == 0 || strings.ContainsAny(proof, "\r\n") {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(proof)
	if err != nil {
		return false
	}
	proven, err := s.vault.ring.Open(sentPlace(e), sealed)
	return err == nil && subtle.ConstantTimeCompare(proven, digest) == 1
}

// FollowSent returns the state of a message, by the id that the platform's receiver reads from it,
// and whether it was recorded. e must come from OpenToSend. It costs two Gets.
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

// FollowCommand is FollowSent by the id of the record. It costs one Get.
func (s *Service) FollowCommand(ctx context.Context, e *command.Endpoint,
	id string) (m journal.SentMessage, recorded bool, err error) {
	if s.journal == nil {
		return journal.SentMessage{}, false, nil
	}
	ref := e.Ref()
	ref.ID = id
	m, recorded, err = s.journal.FollowRecord(ctx, ref)
	if err != nil {
		return journal.SentMessage{}, false, storeError(ctx, "follow a command", err)
	}
	return m, recorded, nil
}
