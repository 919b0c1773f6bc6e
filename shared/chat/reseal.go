package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"chatconf/shared/fault"
	"chatconf/shared/reseal"
	"chatconf/shared/table"
)

const actionReseal = "ResealSecrets"

// ResealSecretsRequest are the parameters of ResealSecrets.
type ResealSecretsRequest struct {
	RegionID string `param:"RegionId"` // without effect: secrets are sealed again in all regions
	Restart  bool   `param:"Restart"`  // begin a new walk, also if the last one was not done
}

// ResealSecretsResponse is the answer of ResealSecrets.
type ResealSecretsResponse struct {
	Key         string // the id of the current key
	StartedDate string // when the walk began
	Seen        int64  // items so far
	Resealed    int64  // items that were sealed again
	Unreadable  int64  // items that are damaged, or that a newer version has written; the log names them
	Done        bool
	Keys        []SealingKey `json:",omitempty"` // when it is done, the current key first
}

// SealingKey is a key of the ring, or one that is missing in it, and the number of values that it
// has sealed.
type SealingKey struct {
	Id   string
	Uses int64
}

// ResealSecrets continues a walk over all stored secrets of the service, which seals them again
// under the current key of the ring. Call it until the answer is Done. The call after that begins a
// new walk. It is safe to call it twice, and during all other actions.
//
// Errors: NoPermission, InvalidRegion.
func (s *Service) ResealSecrets(ctx context.Context, in *ResealSecretsRequest) (*ResealSecretsResponse, error) {
	c, err := s.scope(ctx, in.RegionID)
	if err != nil {
		return nil, err
	}
	of := c.requestOn(ctx, "acs:oos::"+c.account+":keyring", nil)
	if err := c.require(need{action: actionPrefix + actionReseal, of: of}); err != nil {
		return nil, err
	}
	if s.resealer == nil {
		return nil, &fault.Error{Code: fault.Unavailable, Err: errors.New("chat: a service without a resealer")}
	}
	if err := c.confirm(ctx); err != nil {
		return nil, err
	}
	return s.ResealStep(ctx, in.Restart)
}

// ResealStep is ResealSecrets for a caller that has the tables open.
func (s *Service) ResealStep(ctx context.Context, restart bool) (*ResealSecretsResponse, error) {
	at, err := s.resealer.Step(ctx, restart)
	if err != nil {
		return nil, storeError(ctx, "reseal", err)
	}
	out := &ResealSecretsResponse{
		Key:         at.Key,
		StartedDate: date(at.Started),
		Seen:        at.Seen,
		Resealed:    at.Resealed,
		Unreadable:  at.Unreadable,
		Done:        at.Done,
	}
	if at.Done {
		for _, use := range at.Keys(s.vault.ring) {
			out.Keys = append(out.Keys, SealingKey{Id: use.ID, Uses: use.Uses})
		}
	}
	return out, nil
}

// ResealArea returns the sealed items in the table of configurations.
func ResealArea(t table.Table) reseal.Area {
	return reseal.Area{Name: "configurations", Table: t, Prefixes: []string{configurationPrefix, historyPrefix},
		Kinds: []string{"configurations", "revisions"}, Reseal: resealRecord}
}

// resealRecord seals the secrets of a configuration, or of an entry of history, again.
func resealRecord(item table.Item, again reseal.Again) ([]byte, error) {
	account, region, ok := strings.Cut(item.Partition, "/")
	if !ok {
		return nil, fmt.Errorf("chat: partition %q is not ACCOUNT/REGION", item.Partition)
	}
	var r *record
	if strings.HasPrefix(item.Sort, historyPrefix) {
		rev, err := decodeRevision(item)
		if err != nil {
			return nil, err
		}
		r = rev.record
	} else {
		var err error
		if r, err = decodeRecord(item); err != nil {
			return nil, err
		}
	}
	c := scope{account: account, region: region}
	changed := false
	for field, before := range r.Secrets {
		after, err := again(c.place(r.Name, field), before)
		if err != nil {
			return nil, err
		}
		changed = changed || !bytes.Equal(before, after)
		r.Secrets[field] = after
	}
	if !changed {
		return item.Value, nil
	}
	return reseal.Replace(item.Value, "secrets", r.Secrets)
}
