package chat

import (
	"context"
	"fmt"
	"slices"

	"chatconf/shared/fault"
)

// A request with CheckOnly is checked like any other, and decided by the same permissions. Nothing
// is written. The answer says what would change, as history shows it.

// generatedText is the value of a secret that the service would make, in a Change of a request that
// is only checked. There is no digest yet.
const generatedText = "generated"

// wouldChange returns what a step would change; an empty list if nothing.
func (s *Service) wouldChange(c scope, st step) ([]Change, error) {
	before, after := s.vault.withDigests(c, st.before, st.after.clone())
	for field := range after.Set {
		made := field == fieldWebhookToken || slices.Contains(after.Generated, field)
		if made && (before == nil || !before.hasSecret(field)) {
			after.Set[field] = set{}
		}
	}
	changes, err := diff(before, after)
	if changes == nil {
		changes = []Change{}
	}
	return changes, err
}

// checkCreate returns the answer to a CreateRequest with CheckOnly: what create would write, unless
// there is no place for it.
func (s *Service) checkCreate(ctx context.Context, c scope, after *record) (*WriteResponse, error) {
	n, err := s.store.count(ctx, c)
	if err != nil {
		return nil, err
	}
	if n >= int64(s.quota) {
		return nil, s.quotaExceeded(c, n)
	}
	if r, err := s.store.get(ctx, c, after.Name); err != nil || r != nil {
		if r != nil {
			err = alreadyExists("Name", after.Name, c.region)
		}
		return nil, err
	}
	changes, err := s.wouldChange(c, step{after: after})
	if err != nil {
		return nil, err
	}
	return &WriteResponse{Written{Name: after.Name}, changes}, nil
}

// alreadyExists is the error for a name that is taken.
func alreadyExists(param, name, region string) error {
	return &fault.Error{Code: fault.AlreadyExists, Param: param,
		Message: fmt.Sprintf("Chat configuration %s already exists in %s.", fault.Quote(name), region)}
}
