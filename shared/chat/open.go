package chat

import (
	"context"
	"errors"

	"chatconf/shared/accesskey"
	"chatconf/shared/command"
	"chatconf/shared/fault"
)

// ErrNoWebhook is the error of OpenWebhook for an unknown configuration or a wrong token. It is
// wrapped in an *Unproven with the reason, for log and health only.
var ErrNoWebhook = errors.New("chat: no such webhook")

// Unproven is an ErrNoWebhook with its reason. The client gets the same answer for every reason.
type Unproven struct {
	Reason string      // "there is no such configuration" or "the token is wrong"
	Of     command.Ref // the configuration, if only the token is wrong
}

// Error returns the reason.
func (e *Unproven) Error() string { return ErrNoWebhook.Error() + ": " + e.Reason }

// Unwrap returns ErrNoWebhook.
func (e *Unproven) Unwrap() error { return ErrNoWebhook }

// OpenWebhook returns the configuration of a webhook's URL. It costs one Get, or none for a
// malformed URL. The token, 128 random bits, is compared in constant time. After a rotation, the
// previous token is valid during the grace time.
//
// The error for an unknown URL is an *Unproven, which wraps ErrNoWebhook. Its time may reveal
// whether a configuration exists, since names are not secret. Other errors are of type
// *fault.Error.
func (s *Service) OpenWebhook(ctx context.Context, account, region, name, token string) (*command.Endpoint, error) {
	unknown := &Unproven{Reason: "there is no such configuration"}
	if !accesskey.ValidAccount(account) || !validRegion(region) || checkName(name) != nil {
		return nil, unknown
	}
	known, err := s.endpoints.get(ctx, command.Ref{Account: account, Region: region, Name: name})
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return nil, unknown
	case err != nil:
		return nil, storeError(ctx, "open webhook", err)
	case !known.opens(token):
		return nil, &Unproven{Reason: "the token is wrong", Of: known.made.Ref()}
	}
	return known.made, nil
}

// OpenConfiguration returns a configuration to a trusted caller, such as the function that
// dispatches commands. It costs one Get.
//
// Errors: NotFound.
func (s *Service) OpenConfiguration(ctx context.Context, ref command.Ref) (*command.Endpoint, error) {
	known, err := s.endpoints.get(ctx, ref)
	if err != nil {
		return nil, storeError(ctx, "open configuration", err)
	}
	return known.made, nil
}

func scopeOf(r command.Ref) scope {
	return scope{caller: &nobody, account: r.Account, region: r.Region}
}
