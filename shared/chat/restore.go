package chat

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

const actionRestore = "RestoreChatConfiguration"

// RestoreRequest are the parameters of RestoreChatConfiguration. Name and Revision are mandatory.
type RestoreRequest struct {
	RegionID         string `param:"RegionId"`
	Name             string `param:"Name"`
	Revision         *int64 `param:"Revision"`         // the one to restore
	ExpectedRevision *int64 `param:"ExpectedRevision"` // only if this is the present revision, or that of the deletion
	ClientToken      string `param:"ClientToken"`
}

// RestoreResponse is the answer of RestoreChatConfiguration.
type RestoreResponse struct {
	ChatConfiguration Restored
}

// Restored is the configuration after it was restored.
type Restored struct {
	Name             string
	CreatedDate      string
	UpdatedDate      string
	Revision         int64 // the new one; the present one if nothing changed
	RestoredRevision int64
	Changes          []Change // empty also if the caller may not read revisions
}

// ETag returns the revision as an entity tag.
func (r *RestoreResponse) ETag() string { return etag(r.ChatConfiguration.Revision) }

// Restore restores a configuration as it was at a revision, with its secrets:
// RestoreChatConfiguration. This makes a new revision. It also brings back a deleted configuration,
// which continues the life of the revision, with its records. If the configuration exists, its own
// life continues, even if the revision is of an earlier one.
//
// The present rules and permissions apply. The caller needs Restore; TagResources and
// UntagResources for tags that it sets and removes; ChangeResourceGroup if the group changes;
// PassRole for every use of a role that the configuration does not have now. For a revision of an
// earlier life, it needs GetRevision and all but the last two also with the tags at the end of that
// life. A webhook token and generated secrets that are replaced stay valid for DefaultGrace, so
// that the bot can still be called.
//
// Errors: MissingParameter, InvalidParameter, NotFound, Conflict, QuotaExceeded,
// IdempotencyMismatch, NoPermission, InvalidRegion.
func (s *Service) Restore(ctx context.Context, in *RestoreRequest) (*RestoreResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	c, err := s.scope(ctx, in.RegionID)
	if err != nil {
		return nil, err
	}
	intent := s.tokens.intent(actionRestore, in.ClientToken, in)
	var out *RestoreResponse
	err = retry(ctx, actionRestore, func() error {
		out, err = s.restore(ctx, c, in, intent)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// restore is one try of Restore.
func (s *Service) restore(ctx context.Context, c scope, in *RestoreRequest, intent intent) (*RestoreResponse, error) {
	// Read before recall, as in change.
	last, there, err := s.store.lastLife(ctx, c, in.Name)
	if err != nil {
		return nil, err
	}
	configurations := int64(0) // to be counted before recall, as in create
	if !there && last != nil {
		if configurations, err = s.store.count(ctx, c); err != nil {
			return nil, err
		}
	}
	of := c.request(ctx, in.Name, last.tags())
	needs := []need{{action: actionPrefix + actionRestore, of: of}}
	mayGet := c.allows(actionPrefix+actionGetRevision, of)
	stale := last != nil && in.ExpectedRevision != nil && *in.ExpectedRevision != last.Revision
	var after *record
	var wrong error // returned only to a caller with the permissions
	if last != nil && !stale && c.allows(actionPrefix+actionRestore, of) {
		var end *record
		after, end, wrong = s.restored(ctx, c, last, there, *in.Revision)
		var more []need
		if wrong == nil {
			more, err = s.restoreNeeds(ctx, c, restoring{last, after, there, mayGet}, end)
		} else if !errors.As(wrong, new(*fault.Error)) {
			err = wrong
		}
		if err != nil {
			return nil, err
		}
		needs = append(needs, more...)
	}
	if err := c.require(needs...); err != nil {
		return nil, err
	}
	known, err := s.tokens.recall(ctx, c, intent)
	if err != nil {
		return nil, err
	}
	switch {
	case known.answer != nil:
		return s.repeatRestore(ctx, c, last, known, mayGet)
	case last == nil:
		return nil, notFound(in.Name)
	case stale:
		return nil, conflict("ExpectedRevision", last, *in.ExpectedRevision)
	case fault.CodeOf(wrong) == fault.InvalidParameter && !mayGet:
		return nil, fault.Invalid("Revision", "Revision %d of %s is not valid any more.", *in.Revision,
			fault.Quote(in.Name))
	case wrong != nil:
		return nil, wrong
	case !there && configurations >= int64(s.quota):
		return nil, s.quotaExceeded(c, configurations)
	}
	return s.writeRestored(ctx, c, in, restoring{last, after, there, mayGet}, intent, known)
}

// A restoring is a restore that may happen: last becomes after.
type restoring struct {
	last, after *record
	there       bool // last is the present configuration, not a deleted one
	mayGet      bool // whether the caller may read revisions
}

// compared returns the record that the changes of a restore refer to; nil if the configuration was
// deleted in another life.
func (r restoring) compared() *record {
	if r.there || r.last.sameLife(r.after) {
		return r.last
	}
	return nil
}

// writeRestored writes the new revision and returns the answer.
func (s *Service) writeRestored(ctx context.Context, c scope, in *RestoreRequest, r restoring, intent intent,
	known repeat) (*RestoreResponse, error) {
	var change table.Change
	out := &RestoreResponse{Restored{RestoredRevision: *in.Revision, Changes: []Change{}}}
	stored := *out // a repeated answer reads the changes from history
	if now := written(r.last); r.there && r.after.equal(r.last) {
		out.fill(now)
		stored.fill(now)
	} else {
		st := step{r.last, r.after}
		if !r.there {
			st.before = nil
		}
		how := c.revision(ctx, actionRestore)
		how.Restored, how.over = *in.Revision, r.compared()
		if err := s.addStep(c, how, st, &change); err != nil {
			return nil, err
		}
		out.fill(written(r.after))
		stored.fill(written(r.after))
		stored.ChatConfiguration.Changes = nil
		changes, err := s.changes(c, r.compared(), r.after)
		if err != nil {
			return nil, err
		}
		if r.mayGet {
			out.ChatConfiguration.Changes = append(out.ChatConfiguration.Changes, changes...)
		}
	}
	if err := s.tokens.remember(intent, known, stored, &change); err != nil || len(change.Puts) == 0 {
		return out, err
	}
	return out, s.store.write(ctx, c, change)
}

func (r *RestoreResponse) fill(w Written) {
	to := &r.ChatConfiguration
	to.Name, to.CreatedDate, to.UpdatedDate, to.Revision = w.Name, w.CreatedDate, w.UpdatedDate, w.Revision
}

// repeatRestore returns the answer of an earlier Restore, with its changes as far as history still
// has them and the caller may read them.
func (s *Service) repeatRestore(ctx context.Context, c scope, last *record, known repeat,
	mayGet bool) (*RestoreResponse, error) {
	out := new(RestoreResponse)
	if err := known.repeat(out); err != nil {
		return nil, err
	}
	to := &out.ChatConfiguration
	changed := to.Changes == nil
	if to.Changes = []Change{}; !changed || !mayGet || last == nil {
		return out, nil
	}
	at, err := s.revisionAt(ctx, c, last, to.Revision)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return out, nil
	case err != nil:
		return nil, err
	}
	shown, err := s.showRevision(c, at.rev, at.before)
	to.Changes = append(to.Changes, shown.Changes...)
	return out, err
}

// restored returns the record that last becomes when a revision is restored, and the reason why it
// cannot. end is the last record of the life of the revision.
func (s *Service) restored(ctx context.Context, c scope, last *record, there bool,
	n int64) (after, end *record, err error) {
	at, err := s.revisionAt(ctx, c, last, n)
	if err != nil {
		return nil, nil, err
	}
	rev := at.rev
	p, err := s.platforms.of(rev.record)
	if err != nil {
		return nil, nil, err
	}
	if there && rev.Type != last.Type {
		return nil, nil, fault.Invalid("Revision", "Revision %d has Type %s, and %s has Type %s now. A Type cannot be "+
			"changed; delete the configuration first, and restore the revision then.", n, rev.Type,
			fault.Quote(last.Name), last.Type)
	}
	secrets, err := s.vault.openAll(c, rev.record)
	if errors.Is(err, seal.ErrUnknownKey) {
		return nil, nil, fault.Invalid("Revision", "The secrets of revision %d are sealed under a key that is no "+
			"longer in the key ring. Put the key back into the ring, or restore a later revision.", n)
	}
	if err != nil {
		return nil, nil, err
	}
	root, err := rev.fill(func(field string) string { return secrets[field] })
	if err != nil {
		return nil, nil, err
	}
	settled, configured := p.settle(root.String(), func(string) bool { return false }, s.random, s.targets)
	err = fault.Join(checkRole("RamRole", rev.RamRole), checkGroup("ResourceGroupId", rev.ResourceGroupID),
		checkTags("Tags", rev.Tags), configured)
	if fault.CodeOf(err) == fault.InvalidParameter {
		return nil, nil, fault.Invalid("Revision", "Revision %d is not valid any more: %v", n, err)
	}
	if err != nil {
		return nil, nil, err
	}
	after = rev.clone()
	after.Configuration = settled.text
	after.Revision, after.Oldest, after.Updated = last.Revision, last.Oldest, last.Updated
	before := last
	switch {
	case there:
		after.Born, after.Created = last.Born, last.Created
	case !last.sameLife(rev.record):
		before = nil // nothing of the life between is kept
	}
	if err := s.vault.restore(c, p, after, before, rev.record, settled, secrets[fieldWebhookToken]); err != nil {
		return nil, nil, err
	}
	after.advance(s.now())
	return after, at.end, nil
}

// restoreNeeds returns the permissions that a restore needs, in addition to Restore. end is the
// last record of the life of the revision. Its secrets and records are only for callers that may
// restore that life, and may give it the tags of the revision.
func (s *Service) restoreNeeds(ctx context.Context, c scope, r restoring, end *record) ([]need, error) {
	last, after := r.last, r.after
	of := c.request(ctx, last.Name, last.Tags)
	var needs []need
	tag := func(tags map[string]string, with string) {
		needs = append(needs, c.tagNeeds(ctx, last.Name, tags, after.Tags, with)...)
	}
	tag(last.Tags, "")
	if !last.sameLife(end) {
		needs = append(needs, need{action: actionPrefix + actionRestore, of: c.request(ctx, last.Name, end.Tags),
			with: tagsAtEnd})
		tag(end.Tags, tagsAtEnd)
	}
	if last.ResourceGroupID != after.ResourceGroupID {
		needs = append(needs, need{action: actionPrefix + actionChangeGroup, of: of})
	}
	before := last
	if !r.there {
		before = nil // a deleted configuration uses no role
	}
	uses, err := s.newUses(c, before, after)
	if err != nil {
		return nil, err
	}
	return append(needs, c.storedRoleNeeds(ctx, uses, after.Tags, r.mayGet)...), nil
}

// openAll returns the secrets of a record by field, without previous ones.
func (v *vault) openAll(c scope, r *record) (map[string]string, error) {
	secrets := make(map[string]string, len(r.Secrets))
	for field := range r.Secrets {
		if r.isPrevious(field) {
			continue
		}
		secret, err := v.open(c, r, field)
		if err != nil {
			return nil, err
		}
		secrets[field] = string(secret)
	}
	return secrets, nil
}

// restore puts the secrets of a revision into a record: those of its settled Configuration and the
// webhook's token. If they replace a token or a generated secret of before, that one stays valid
// for DefaultGrace. before is the record that the new one replaces; nil if none.
func (v *vault) restore(c scope, p *platform, after, before, rev *record, in *settled, token string) error {
	if err := v.seal(c, after, before, in); err != nil {
		return err
	}
	after.Generated = slices.Compact(slices.Sorted(slices.Values(append(after.Generated, rev.Generated...))))
	fields := []string{fieldWebhookToken}
	for _, setting := range p.Settings {
		if before != nil && generated(setting) && slices.Contains(before.Generated, setting.Key) {
			fields = append(fields, setting.Key)
		}
	}
	until := v.graceEnd(DefaultGrace * time.Second)
	for _, field := range fields {
		secret, ok := in.secrets[field]
		if field == fieldWebhookToken {
			secret, ok = token, true
		}
		_, named := in.secrets[field+command.Previous] // by the Configuration itself
		var err error
		switch {
		case !ok || named || before != nil && v.holds(c, before, field, secret):
		case before == nil:
			err = v.put(c, after, field, secret)
		default:
			until := until
			if _, err := v.open(c, before, field); errors.Is(err, seal.ErrUnknownKey) {
				until = v.now() // it cannot be kept
			}
			err = v.replace(c, after, before, field, secret, until)
		}
		if err != nil {
			return err
		}
	}
	// A secret that comes back has the digest that it had, although the ring may have been rotated
	// since.
	for field, s := range after.Set {
		was, ok := rev.Set[field]
		if kept := before != nil && bytes.Equal(after.Secrets[field], before.Secrets[field]); ok && !kept {
			after.Set[field] = set{Since: s.Since, Digest: was.Digest}
		}
	}
	return nil
}
