package chat

import (
	"cmp"
	"context"
	"slices"

	"chatconf/shared/fault"
)

const actionCopy = "CopyChatConfiguration"

// CopyRequest are the parameters of CopyChatConfiguration. Name is mandatory, and at least one of
// the parameters that say where the copy will be.
type CopyRequest struct {
	RegionID            string `param:"RegionId"`
	Name                string `param:"Name"`
	DestinationName     string `param:"DestinationName"`     // default Name
	DestinationRegionID string `param:"DestinationRegionId"` // default RegionId
	ClientToken         string `param:"ClientToken"`
}

// destination returns where the copy will be, in a service whose own region is region.
func (in *CopyRequest) destination(region string) (regionID, name string) {
	return cmp.Or(in.DestinationRegionID, in.RegionID, region), cmp.Or(in.DestinationName, in.Name)
}

// checkPlace returns an error if the copy would be in the place of the original.
func (in *CopyRequest) checkPlace(region string) error {
	to, name := in.destination(region)
	switch {
	case to != cmp.Or(in.RegionID, region) || name != in.Name:
		return nil
	case in.DestinationName == "" && in.DestinationRegionID == "":
		return fault.Missing("DestinationName")
	}
	return fault.Invalid("DestinationName", "%s in %s is the original; give another DestinationName or "+
		"DestinationRegionId.", fault.Quote(name), fault.Quote(to))
}

// Copy makes a configuration like another one, also in another region: CopyChatConfiguration. The
// caller learns no secret, and does not need to know one. The copy has its own webhook URL, and
// neither history nor records, nor a previous value of a secret. The caller needs Copy and Get for
// the original, since the copy shows its content, and for the copy what its creation needs.
// Generated secrets are only in Outputs of the copy if the caller may reveal those of the original.
//
// Errors: MissingParameter, InvalidParameter, NotFound, AlreadyExists, QuotaExceeded,
// IdempotencyMismatch, NoPermission, InvalidRegion.
func (s *Service) Copy(ctx context.Context, in *CopyRequest) (*WriteResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	from, err := s.scope(ctx, in.RegionID)
	if err != nil {
		return nil, err
	}
	to, like := from, CreateRequest{}
	to.region, like.Name = in.destination(s.region)
	r, err := s.store.get(ctx, from, in.Name)
	if err != nil {
		return nil, storeError(ctx, "copy", err)
	}
	of := from.request(ctx, in.Name, r.tags())
	needs := []need{{action: actionPrefix + actionCopy, of: of}, {action: actionPrefix + actionGet, of: of}}
	var after *record
	var wrong error
	// Without the permissions, decide from the request alone, so that the error reveals nothing.
	if r != nil && from.allows(actionPrefix+actionCopy, of) && from.allows(actionPrefix+actionGet, of) {
		like.RamRole, like.ResourceGroupID, like.Tags = r.RamRole, r.ResourceGroupID, r.Tags
		after, wrong = s.copyOf(from, r, to, &like, from.allows(actionPrefix+actionReveal, of))
	}
	needs = append(needs, to.createNeeds(ctx, &like)...)
	if after != nil {
		uses, err := s.newUses(to, nil, after)
		if err != nil {
			return nil, storeError(ctx, "copy", err)
		}
		needs = append(needs, to.passRoleNeeds(ctx, uses, like.Tags, true)...)
	}
	if err := from.require(needs...); err != nil {
		return nil, err
	}
	meant := *in // a ClientToken belongs to the destination
	meant.Name = from.region + "/" + in.Name
	meant.DestinationRegionID, meant.DestinationName = to.region, like.Name
	intent := s.tokens.intent(actionCopy, in.ClientToken, &meant)
	if r == nil {
		wrong = notFound(in.Name)
	}
	if wrong == nil {
		return s.create(ctx, to, intent, after)
	}
	// The original may have changed, or be gone, since the first request with this token.
	known, err := s.tokens.recall(ctx, to, intent)
	out := new(WriteResponse)
	switch {
	case err == nil && known.answer == nil:
		err = wrong
	case err == nil:
		err = known.repeat(out)
	}
	if err != nil {
		return nil, storeError(ctx, "copy", err)
	}
	return out, nil
}

// copyOf returns the record of a copy, with its secrets. like is the request that would create it,
// without a Configuration. With reveal, Outputs of the copy show what those of the original do.
func (s *Service) copyOf(from scope, r *record, to scope, like *CreateRequest, reveal bool) (*record, error) {
	p, err := s.platforms.of(r)
	if err != nil {
		return nil, err
	}
	settled, err := p.settle(r.Configuration, r.hasSecret, s.random, s.targets)
	if err != nil {
		return nil, err
	}
	kept := settled.kept
	settled.kept = nil
	after := s.newRecord(like, p, r.Status, settled)
	if err := s.vault.seal(to, after, nil, settled); err != nil {
		return nil, err
	}
	for _, field := range kept {
		hidden, err := s.vault.open(from, r, field)
		if err != nil {
			return nil, err
		}
		if err := s.vault.put(to, after, field, string(hidden)); err != nil {
			return nil, err
		}
		after.Set[field] = set{Since: r.Set[field].Since, Digest: after.Set[field].Digest}
	}
	if reveal {
		after.Generated = append(after.Generated, r.Generated...)
		slices.Sort(after.Generated)
	}
	return after, nil
}
