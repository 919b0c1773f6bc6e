package chat

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

const actionRotate = "RotateChatWebhook"

// How long replaced secrets stay valid, in seconds.
const (
	DefaultGrace = 24 * 60 * 60
	MaxGrace     = 7 * 24 * 60 * 60
)

// RotateRequest are the parameters of RotateChatWebhook.
type RotateRequest struct {
	RegionID     string `param:"RegionId"`
	Name         string `param:"Name"`
	GraceSeconds *int64 `param:"GraceSeconds"` // 0 to MaxGrace, default DefaultGrace
	Revision     *int64 `param:"Revision"`     // only if this is the configuration's revision
	ClientToken  string `param:"ClientToken"`
}

// RotateResponse is the answer of RotateChatWebhook.
type RotateResponse struct {
	ChatConfiguration Rotated
}

// Rotated is the configuration after a rotation. An answer that is repeated for a ClientToken shows
// the present Outputs.
type Rotated struct {
	Name        string
	CreatedDate string
	UpdatedDate string
	Revision    int64
	Outputs     string // the new ones; secrets are Mask unless the caller may reveal them
	GraceUntil  string // until when the old ones are valid
}

// ETag returns the revision as an entity tag.
func (r *RotateResponse) ETag() string { return etag(r.ChatConfiguration.Revision) }

// parseGrace returns how long replaced secrets stay valid.
func parseGrace(seconds *int64) (time.Duration, error) {
	grace := int64(DefaultGrace)
	if seconds != nil {
		grace = *seconds
	}
	if grace < 0 || grace > MaxGrace {
		return 0, fault.Invalid("GraceSeconds", "GraceSeconds is %d; use 0 to %d.", grace, MaxGrace)
	}
	return time.Duration(grace) * time.Second, nil
}

// Rotate gives a chat configuration a new webhook URL, and new values of the generated secrets in
// Outputs (for WeChat AesKey and Token): RotateChatWebhook. The replaced ones stay valid for the
// grace time; older ones, of an earlier rotation or in the Configuration, do not. The answer shows
// the new ones to a caller who may reveal Outputs.
//
// Errors: MissingParameter, InvalidParameter, NotFound, Conflict, IdempotencyMismatch,
// NoPermission, InvalidRegion.
func (s *Service) Rotate(ctx context.Context, in *RotateRequest) (*RotateResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	grace, err := parseGrace(in.GraceSeconds)
	if err != nil {
		return nil, err
	}
	out := new(rotateAnswer)
	err = s.change(ctx, modification{
		action: actionRotate, regionID: in.RegionID, name: in.Name, token: in.ClientToken, revision: in.Revision,
		in: in, out: out,
		next: func(c scope, before *record) (step, error) {
			p, err := s.platforms.of(before)
			if err != nil {
				return step{}, err
			}
			until := s.vault.graceEnd(grace)
			after, err := s.vault.rotate(c, p, before, until)
			if err != nil {
				return step{}, err
			}
			w := written(after)
			out.ChatConfiguration = Rotated{
				Name: w.Name, CreatedDate: w.CreatedDate, UpdatedDate: w.UpdatedDate, Revision: w.Revision,
				GraceUntil: date(until),
			}
			reveal := c.allows(actionPrefix+actionReveal, c.request(ctx, after.Name, after.Tags))
			out.outputs, err = s.outputs.text(c, after, true, reveal)
			return step{before, after}, err
		},
	})
	if err == nil && out.outputs == "" { // the answer is a repeated one
		out.outputs, err = s.outputsOf(ctx, in.RegionID, in.Name)
	}
	if err != nil {
		return nil, storeError(ctx, "rotate", err)
	}
	out.ChatConfiguration.Outputs = out.outputs
	return &out.RotateResponse, nil
}

// A rotateAnswer is the answer as it is stored for a ClientToken: without the Outputs, which hold
// secrets.
type rotateAnswer struct {
	RotateResponse
	outputs string // empty in a repeated answer
}

// UnmarshalJSON sets the answer to a stored one.
func (a *rotateAnswer) UnmarshalJSON(text []byte) error {
	a.outputs = ""
	return json.Unmarshal(text, &a.RotateResponse)
}

// outputsOf returns the present Outputs of a configuration, for a repeated answer. It checks the
// caller's permissions again.
func (s *Service) outputsOf(ctx context.Context, regionID, name string) (string, error) {
	c, r, there, err := s.mayRead(ctx, regionID, name, actionRotate)
	if err != nil {
		return "", err
	}
	if !there {
		return "", notFound(name)
	}
	reveal := c.allows(actionPrefix+actionReveal, c.request(ctx, name, r.Tags))
	return s.outputs.text(c, r, true, reveal)
}

// dropPrevious removes the previous secrets that the Configuration itself names for the rotated
// settings. During the grace time only the secrets that the rotation replaced are valid.
func (r *record) dropPrevious(p *platform, rotated func(command.Setting) bool) error {
	if !strings.Contains(r.Configuration, command.Previous+`"`) { // the usual case, without parsing
		return nil
	}
	root, err := r.parse()
	if err != nil {
		return err
	}
	root.Members = slices.DeleteFunc(root.Members, func(m document.Member) bool {
		key, ok := strings.CutSuffix(m.Key, command.Previous)
		setting, known := p.setting(key)
		if ok = ok && known && rotated(setting); ok {
			delete(r.Secrets, m.Key)
			delete(r.Set, m.Key)
		}
		return ok
	})
	r.Configuration = root.String()
	return nil
}
