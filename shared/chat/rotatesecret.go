package chat

import (
	"context"

	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

const actionRotateSecret = "RotateChatSecret"

// RotateSecretRequest are the parameters of RotateChatSecret. Name and Key are mandatory.
type RotateSecretRequest struct {
	RegionID     string      `param:"RegionId"`
	Name         string      `param:"Name"`
	Key          string      `param:"Key"`          // of a secret, as in the Configuration, such as Target.Secret
	Value        secret.Text `param:"Value"`        // the new secret; if absent, the service makes one where it can
	GraceSeconds *int64      `param:"GraceSeconds"` // 0 to MaxGrace, default DefaultGrace
	Revision     *int64      `param:"Revision"`     // only if this is the configuration's revision
	ClientToken  string      `param:"ClientToken"`
}

// RotateSecretResponse is the answer of RotateChatSecret.
type RotateSecretResponse struct {
	ChatConfiguration RotatedSecret
}

// RotatedSecret is the configuration after the rotation of a secret.
type RotatedSecret struct {
	Name        string
	CreatedDate string
	UpdatedDate string
	Revision    int64
	Secret      SecretState
}

// ETag returns the revision as an entity tag.
func (r *RotateSecretResponse) ETag() string { return etag(r.ChatConfiguration.Revision) }

// RotateSecret gives one secret of a chat configuration a new value: RotateChatSecret. The present
// one stays valid for the grace time, so the caller does not need to know it: either proves
// callbacks, and both sign what is sent to a Target. A secret that chatconf alone uses, such as a
// token for sending, is replaced at once. A value that the service makes is in Outputs of Get.
//
// Errors: MissingParameter, InvalidParameter, NotFound, Conflict, IdempotencyMismatch,
// NoPermission, InvalidRegion.
func (s *Service) RotateSecret(ctx context.Context, in *RotateSecretRequest) (*RotateSecretResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	grace, err := parseGrace(in.GraceSeconds)
	if err != nil {
		return nil, err
	}
	out := new(RotateSecretResponse)
	err = s.change(ctx, modification{
		action: actionRotateSecret, regionID: in.RegionID, name: in.Name, token: in.ClientToken,
		revision: in.Revision, in: in, out: out,
		uses: true, // a new secret decides who can use the roles of the bot
		next: func(c scope, before *record) (step, error) {
			p, err := s.platforms.of(before)
			if err != nil {
				return step{}, err
			}
			k, err := p.secretKey("Key", in.Key, before)
			if err != nil {
				return step{}, err
			}
			if err := s.vault.checkNew(c, before, k, in.Value.Reveal()); err != nil {
				return step{}, err
			}
			after, err := s.vault.rotateSecret(c, p, before, k, in.Value.Reveal(), s.vault.graceEnd(grace))
			if err != nil {
				return step{}, err
			}
			w := written(after)
			*out = RotateSecretResponse{RotatedSecret{Name: w.Name, CreatedDate: w.CreatedDate,
				UpdatedDate: w.UpdatedDate, Revision: w.Revision, Secret: s.vault.state(after, k.key, k.field)}}
			return step{before, after}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// checkNew returns an error unless value can be the next one of a secret.
func (v *vault) checkNew(c scope, r *record, k secretKey, value string) error {
	switch {
	case value == "" && k.made:
		return nil
	case value == "":
		return &fault.Error{Code: fault.MissingParameter, Param: "Value",
			Message: "Value is mandatory: the service cannot make " + k.key + ". Write " + k.shape.Want + "."}
	case value == secret.Mask:
		return fault.Invalid("Value", "Value is the mask; write the new %s itself.", k.key)
	case !k.shape.Fits(value):
		return fault.Invalid("Value", "Value is not %s.", k.shape.Want)
	case v.holds(c, r, k.field, value):
		return fault.Invalid("Value", "Value is the present %s; write the new one.", k.key)
	}
	return nil
}
