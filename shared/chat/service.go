package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// Names of the actions in this file, for policies, history and client tokens.
const (
	actionCreate = "CreateChatConfiguration"
	actionGet    = "GetChatConfiguration"
	actionUpdate = "UpdateChatConfiguration"
	actionDelete = "DeleteChatConfiguration"
)

// CreateRequest are the parameters of CreateChatConfiguration. Name, Type and Configuration are
// mandatory.
type CreateRequest struct {
	RegionID string `param:"RegionId"`
	Name     string `param:"Name"`
	Type     string `param:"Type"`
	RamRole  string `param:"RamRole"` // the name of a role, not an ARN
	// JSON text; the platform's settings and the common keys
	Configuration   secret.Text       `param:"Configuration"`
	ResourceGroupID string            `param:"ResourceGroupId"` // rg-…
	Status          string            `param:"Status"`          // Active (default) or Inactive
	Tags            map[string]string `param:"Tags"`
	CheckOnly       bool              `param:"CheckOnly"` // check everything and write nothing
	ClientToken     string            `param:"ClientToken"`
}

// UpdateRequest are the parameters of UpdateChatConfiguration. An absent parameter changes nothing.
type UpdateRequest struct {
	RegionID        string       `param:"RegionId"`
	Name            string       `param:"Name"`
	Type            string       `param:"Type"`          // if present, must be the present Type
	RamRole         *string      `param:"RamRole"`       // empty removes the role
	Configuration   *secret.Text `param:"Configuration"` // the whole document; a secret sent as Mask is kept
	ResourceGroupID *string      `param:"ResourceGroupId"`
	Status          string       `param:"Status"`
	// all tags that it will have; an empty map removes all; not in OOS
	Tags        *map[string]string `param:"Tags"`
	Revision    *int64             `param:"Revision"`  // only if this is the configuration's revision
	CheckOnly   bool               `param:"CheckOnly"` // check everything and write nothing
	ClientToken string             `param:"ClientToken"`
}

// GetRequest are the parameters of GetChatConfiguration.
type GetRequest struct {
	RegionID string `param:"RegionId"`
	Name     string `param:"Name"`
}

// DeleteRequest are the parameters of DeleteChatConfiguration.
type DeleteRequest struct {
	RegionID    string `param:"RegionId"`
	Name        string `param:"Name"`
	Revision    *int64 `param:"Revision"`  // only if this is the configuration's revision
	CheckOnly   bool   `param:"CheckOnly"` // check everything and delete nothing
	ClientToken string `param:"ClientToken"`
}

// WriteResponse is the answer of CreateChatConfiguration and UpdateChatConfiguration.
type WriteResponse struct {
	ChatConfiguration Written
	// Changes are what would change, if the request has CheckOnly. The list may be empty.
	Changes []Change `json:",omitzero"`
}

// Written is the configuration in the answer to a create or an update. With CheckOnly it is the
// present one: of a create it has only the name, and Revision 0.
type Written struct {
	Name        string
	CreatedDate string // 2006-01-02T15:04:05+00:00, like every date
	UpdatedDate string
	Revision    int64 // not in OOS
}

// ETag returns the revision as an entity tag; "0" of a configuration that is not there.
func (r *WriteResponse) ETag() string { return etag(r.ChatConfiguration.Revision) }

// GetResponse is the answer of GetChatConfiguration.
type GetResponse struct {
	ChatConfiguration Configuration
}

// ETag returns the revision as an entity tag.
func (r *GetResponse) ETag() string { return etag(r.ChatConfiguration.Revision) }

// Configuration is a chat configuration as Get shows it. Configuration and Outputs are JSON text.
type Configuration struct {
	Name            string
	Type            string
	RamRole         string
	Configuration   string // secrets masked
	ResourceGroupId string
	CreatedDate     string
	UpdatedDate     string
	// Outputs are the webhook's URL, for WeChat also AesKey and Token, and Setup: the steps in the
	// platform's console, one per line. Secrets are masked unless the caller may reveal them.
	Outputs  string
	Status   string            // this field and the following are not in OOS
	Tags     map[string]string `json:",omitempty"`
	Revision int64
	Secrets  []SecretState `json:",omitempty"`
}

// DeleteResponse is the answer of DeleteChatConfiguration.
type DeleteResponse struct {
	Content string
	// Changes is an empty list, if the request has CheckOnly. A deletion changes no value.
	Changes []Change `json:",omitzero"`
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// Create makes a chat configuration: CreateChatConfiguration. With CheckOnly it makes none, keeps
// no ClientToken, and says what it would make.
//
// Errors: MissingParameter, InvalidParameter, AlreadyExists, QuotaExceeded, IdempotencyMismatch,
// NoPermission, InvalidRegion.
func (s *Service) Create(ctx context.Context, in *CreateRequest) (*WriteResponse, error) {
	c, err := s.scope(ctx, in.RegionID)
	if err := fault.Join(err, checkName(in.Name)); err != nil {
		return nil, cmp.Or(in.Check(s), err)
	}
	needs := c.createNeeds(ctx, in)
	after, settled, wrong := s.plan(in)
	if wrong == nil {
		uses, err := s.newUses(c, nil, after)
		if err != nil {
			return nil, storeError(ctx, "create", err)
		}
		needs = append(needs, c.passRoleNeeds(ctx, uses, in.Tags, true)...)
	}
	if err := c.require(needs...); err != nil {
		return nil, err
	}
	if wrong != nil {
		return nil, storeError(ctx, "create", wrong)
	}
	if err := s.vault.seal(c, after, nil, settled); err != nil {
		return nil, storeError(ctx, "create", err)
	}
	if in.CheckOnly {
		out, err := s.checkCreate(ctx, c, after)
		if err != nil {
			return nil, storeError(ctx, "create", err)
		}
		return out, nil
	}
	meant := *in // the request in its normal form
	meant.Type, meant.Status = after.Type, after.Status
	intent := s.tokens.intent(actionCreate, in.ClientToken, &meant)
	return s.create(ctx, c, intent, after)
}

// createNeeds returns the permissions that a CreateRequest needs, except those for its roles. They
// are decided with the tags of the new configuration.
func (c scope) createNeeds(ctx context.Context, in *CreateRequest) []need {
	of := c.request(ctx, in.Name, in.Tags)
	needs := []need{{action: actionPrefix + actionCreate, of: of}}
	if len(in.Tags) > 0 {
		needs = append(needs, need{action: actionPrefix + actionTag, of: of})
	}
	if in.ResourceGroupID != "" {
		needs = append(needs, need{action: actionPrefix + actionChangeGroup, of: of})
	}
	return needs
}

// plan returns the record for a CreateRequest, without secrets. Its error holds all mistakes of the
// record.
func (s *Service) plan(in *CreateRequest) (*record, *settled, error) {
	p, typed := s.platforms.find("Type", in.Type)
	status, stated := StatusActive, error(nil)
	if in.Status != "" {
		status, stated = parseStatus("Status", in.Status)
	}
	var settled *settled
	var configured error
	switch text := in.Configuration.Reveal(); {
	case typed == nil:
		settled, configured = p.settle(text, func(string) bool { return false }, s.random, s.targets)
	case text == "":
		configured = fault.Missing(configurationParam)
	default:
		_, _, configured = parseConfiguration(text)
	}
	err := fault.Join(typed, checkClientToken(in.ClientToken), checkRole("RamRole", in.RamRole),
		checkGroup("ResourceGroupId", in.ResourceGroupID),
		checkTags("Tags", in.Tags), stated, configured)
	if err != nil {
		return nil, nil, err
	}
	return s.newRecord(in, p, status, settled), settled, nil
}

// newRecord returns the record for a valid CreateRequest, without secrets.
func (s *Service) newRecord(in *CreateRequest, p *platform, status string, settled *settled) *record {
	now := s.now().UTC().Truncate(time.Millisecond)
	return &record{
		Version:         RecordVersion,
		Name:            in.Name,
		Type:            p.Type,
		RamRole:         in.RamRole,
		ResourceGroupID: in.ResourceGroupID,
		Status:          status,
		Configuration:   settled.text,
		Tags:            in.Tags,
		Revision:        1,
		Born:            1,
		Created:         now,
		Updated:         now,
	}
}

// create writes a new configuration. If a concurrent write comes between, it starts again.
func (s *Service) create(ctx context.Context, c scope, intent intent, after *record) (out *WriteResponse, err error) {
	err = retry(ctx, "create", func() error {
		out, err = s.tryCreate(ctx, c, intent, after)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) tryCreate(ctx context.Context, c scope, intent intent, after *record) (*WriteResponse, error) {
	// Count before recall: a count that includes the first request with this token then implies
	// that its answer is found.
	n, err := s.store.count(ctx, c)
	if err != nil {
		return nil, err
	}
	known, err := s.tokens.recall(ctx, c, intent)
	if err != nil {
		return nil, err
	}
	out := new(WriteResponse)
	if known.answer != nil {
		return out, known.repeat(out)
	}
	if n >= int64(s.quota) {
		return nil, s.quotaExceeded(c, n)
	}
	out = &WriteResponse{ChatConfiguration: written(after)}
	var change table.Change
	if err := s.addStep(c, c.revision(ctx, intent.action), step{after: after}, &change); err != nil {
		return nil, err
	}
	if err := s.tokens.remember(intent, known, out, &change); err != nil {
		return nil, err
	}
	err = s.store.write(ctx, c, change)
	var broken *table.ConditionError
	if !errors.As(err, &broken) {
		return out, err
	}
	switch {
	case broken.Key.Sort == configurationKey(after.Name):
		param := "Name"
		if intent.action == actionCopy {
			param = "DestinationName"
		}
		return nil, alreadyExists(param, after.Name, c.region)
	case strings.HasPrefix(broken.Key.Sort, historyPrefix):
		// The name had an earlier life. Its revisions continue, so that no old If-Match can match.
		items, err := s.store.latest(ctx, c, after.Name)
		if err != nil || len(items) == 0 {
			return nil, cmp.Or(err, error(broken))
		}
		last, err := decodeRevision(items[0])
		if err != nil {
			return nil, err
		}
		after.follow(last.record)
		after.Born = after.Revision
	}
	return nil, broken // retry
}

func (s *Service) quotaExceeded(c scope, n int64) error {
	return &fault.Error{Code: fault.QuotaExceeded, Param: "ChatConfiguration",
		Message: fmt.Sprintf("There are %d chat configurations in %s; the quota is %d.", n, c.region, s.quota)}
}

// Get returns a chat configuration, its secrets masked: GetChatConfiguration.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion.
func (s *Service) Get(ctx context.Context, in *GetRequest) (*GetResponse, error) {
	c, err := s.scope(ctx, in.RegionID)
	if err := fault.Join(err, checkName(in.Name)); err != nil {
		return nil, err
	}
	r, err := s.store.get(ctx, c, in.Name)
	if err != nil {
		return nil, storeError(ctx, "get", err)
	}
	of := c.request(ctx, in.Name, r.tags())
	if err := c.require(need{action: actionPrefix + actionGet, of: of}); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, notFound(in.Name)
	}
	outputs, err := s.outputs.text(c, r, true, c.allows(actionPrefix+actionReveal, of))
	if err != nil {
		return nil, storeError(ctx, "get", err)
	}
	shown, err := s.show(c, r)
	if err != nil {
		return nil, storeError(ctx, "get", err)
	}
	shown.Outputs = outputs
	return &GetResponse{shown}, nil
}

// show returns a record as Get shows it, without Outputs.
func (s *Service) show(c scope, r *record) (Configuration, error) {
	p, err := s.platforms.of(r)
	if err != nil {
		return Configuration{}, err
	}
	states, err := s.vault.states(c, p, r)
	if err != nil {
		return Configuration{}, err
	}
	return Configuration{
		Name:            r.Name,
		Type:            r.Type,
		RamRole:         r.RamRole,
		Configuration:   r.Configuration,
		ResourceGroupId: r.ResourceGroupID,
		CreatedDate:     date(r.Created),
		UpdatedDate:     date(r.Updated),
		Status:          r.Status,
		Tags:            r.Tags,
		Revision:        r.Revision,
		Secrets:         states,
	}, nil
}

// Update changes a chat configuration: UpdateChatConfiguration. An absent parameter changes
// nothing. An update that changes nothing makes no revision. With CheckOnly it changes nothing,
// keeps no ClientToken, and says what it would change; the caller also needs Get for that.
//
// For new Tags the caller needs TagResources, UntagResources or both, depending on what changes.
// Each permission for the update is then needed with the new tags, too. So an update can do only
// what separate requests could do.
//
// Errors: MissingParameter, InvalidParameter, NotFound, Conflict, IdempotencyMismatch,
// NoPermission, InvalidRegion.
func (s *Service) Update(ctx context.Context, in *UpdateRequest) (*WriteResponse, error) {
	if err := in.checkName(); err != nil {
		return nil, cmp.Or(in.Check(s), err)
	}
	out := new(WriteResponse)
	do := modification{
		action: actionUpdate, regionID: in.RegionID, name: in.Name, token: in.ClientToken, revision: in.Revision,
		in: in, out: out,
		regroups: func(before *record) bool {
			return in.ResourceGroupID != nil && (before == nil || before.ResourceGroupID != *in.ResourceGroupID)
		},
		tags:  in.Tags,
		roles: in.namedRoles,
		next: func(c scope, before *record) (step, error) {
			after, err := s.nextRecord(c, before, in)
			if err != nil {
				return step{}, err
			}
			*out = WriteResponse{ChatConfiguration: written(after)}
			return step{before, after}, nil
		},
	}
	if in.CheckOnly {
		do.shows = true
		do.check = func(c scope, st step) (err error) {
			out.ChatConfiguration = written(st.before)
			out.Changes, err = s.wouldChange(c, st)
			return err
		}
	}
	if err := s.change(ctx, do); err != nil {
		return nil, err
	}
	return out, nil
}

// nextRecord returns the record after an update; before itself if nothing changes.
func (s *Service) nextRecord(c scope, before *record, in *UpdateRequest) (*record, error) {
	p, err := s.platforms.of(before)
	if err != nil {
		return nil, err
	}
	var typed, configured error
	if in.Type != "" {
		if other, err := s.platforms.find("Type", in.Type); err != nil {
			typed = err
		} else if other.Type != before.Type {
			typed = fault.Invalid("Type", "Type %s cannot be set: %s has type %s, and a type cannot be changed.",
				fault.Quote(in.Type), fault.Quote(in.Name), before.Type)
		}
	}
	var settled *settled
	if in.Configuration != nil {
		settled, configured = p.settle(in.Configuration.Reveal(), before.hasSecret, s.random, s.targets)
	}
	if err := fault.Join(typed, in.checkRest(), configured); err != nil {
		return nil, err
	}
	after := before.clone()
	if in.RamRole != nil {
		after.RamRole = *in.RamRole
	}
	if in.ResourceGroupID != nil {
		after.ResourceGroupID = *in.ResourceGroupID
	}
	if in.Status != "" {
		if after.Status, err = parseStatus("Status", in.Status); err != nil {
			return nil, err
		}
	}
	if in.Tags != nil {
		after.Tags = *in.Tags
	}
	if settled != nil {
		after.Configuration = settled.text
		if err := s.vault.seal(c, after, before, settled); err != nil {
			return nil, err
		}
	}
	if after.equal(before) {
		return before, nil
	}
	after.advance(s.now())
	return after, nil
}

// Delete removes a chat configuration: DeleteChatConfiguration. Its history is kept. With CheckOnly
// it deletes nothing and keeps no ClientToken.
//
// Errors: MissingParameter, InvalidParameter, NotFound, Conflict, IdempotencyMismatch,
// NoPermission, InvalidRegion.
func (s *Service) Delete(ctx context.Context, in *DeleteRequest) (*DeleteResponse, error) {
	out := &DeleteResponse{Content: "Chat configuration deleted successfully."}
	do := modification{
		action: actionDelete, regionID: in.RegionID, name: in.Name, token: in.ClientToken, revision: in.Revision,
		in: in, out: out,
		next: func(_ scope, before *record) (step, error) { return step{before: before}, nil },
	}
	if in.CheckOnly {
		do.check = func(scope, step) error {
			*out = DeleteResponse{Content: "Chat configuration can be deleted.", Changes: []Change{}}
			return nil
		}
	}
	if err := s.change(ctx, do); err != nil {
		return nil, err
	}
	return out, nil
}

// A modification is an action on one existing configuration.
type modification struct {
	action, regionID, name, token string
	revision                      *int64 // only if this is the configuration's revision
	in                            any    // the request, for its ClientToken
	out                           any    // the answer, set by next or to the stored one of a ClientToken

	regroups func(before *record) bool          // whether ChangeResourceGroup is needed too; nil: never
	tags     *map[string]string                 // the new tags; nil: they stay
	roles    func() []command.RoleUse           // the roles in the request; nil: it cannot name any
	uses     bool                               // the change may need to pass roles that the request cannot name
	next     func(scope, *record) (step, error) // a step back to its before changes nothing
	// check takes a step that is allowed, in place of writing it and of keeping a ClientToken. nil:
	// the step is written.
	check func(scope, step) error
	shows bool // check shows what is stored, so Get is needed too
}

// change does an action on one configuration: it reads, decides and writes. If a concurrent write
// comes between, it starts again.
func (s *Service) change(ctx context.Context, do modification) error {
	c, err := s.scope(ctx, do.regionID)
	if err := fault.Join(err, checkName(do.name), checkClientToken(do.token)); err != nil {
		return err
	}
	if do.check != nil {
		do.token = ""
	}
	intent := s.tokens.intent(do.action, do.token, do.in)
	return retry(ctx, do.action, func() error {
		// Read before recall: if the first request with this token has changed the record read, its
		// answer is then found.
		before, there, err := s.store.lastLife(ctx, c, do.name)
		if err != nil {
			return err
		}
		of := c.request(ctx, do.name, before.tags())
		may := c.allows(actionPrefix+do.action, of)
		seen := before
		if !may {
			seen = nil // decide from the request alone, so that the error reveals nothing that is stored
		}
		actions := []string{do.action}
		if do.regroups != nil && do.regroups(seen) {
			actions = append(actions, actionChangeGroup)
		}
		var needs []need
		for _, action := range actions {
			needs = append(needs, need{action: actionPrefix + action, of: of})
		}
		if do.shows {
			needs = append(needs, need{action: actionPrefix + actionGet, of: of})
		}
		// A request for another revision gets a Conflict, whatever roles and tags it has. So nobody
		// can find out stored values by trying.
		stale := there && do.revision != nil && *do.revision != before.Revision
		if do.tags != nil && (!may || there && !stale) {
			needs = append(needs, c.retagNeeds(ctx, actions, do.name, seen.tags(), *do.tags)...)
		}
		var st step
		var wrong error // returned only to a caller with the permissions
		switch {
		case !may && do.roles != nil:
			needs = append(needs, c.passRoleNeeds(ctx, do.roles(), before.tags(), true)...)
		case may && there && !stale:
			if st, wrong = do.next(c, before); wrong != nil || do.roles == nil && !do.uses {
				break
			}
			uses, err := s.newUses(c, before, st.after)
			if err != nil {
				return err
			}
			mayGet, passRoleNeeds := c.allows(actionPrefix+actionGet, of), c.passRoleNeeds
			if do.uses {
				passRoleNeeds = c.storedRoleNeeds
			}
			needs = append(needs, passRoleNeeds(ctx, uses, st.after.tags(), mayGet)...)
		}
		if err := c.require(needs...); err != nil {
			return err
		}
		// Recall only now: a token reveals nothing to a caller without the permission.
		known, err := s.tokens.recall(ctx, c, intent)
		if err != nil {
			return err
		}
		switch {
		case known.answer != nil:
			return known.repeat(do.out)
		case !there:
			return notFound(do.name)
		case stale:
			return conflict("Revision", before, *do.revision)
		case wrong != nil:
			return wrong
		case do.check != nil:
			return do.check(c, st)
		}
		var change table.Change
		if st.after != before { // or else nothing changes
			if err := s.addStep(c, c.revision(ctx, do.action), st, &change); err != nil {
				return err
			}
		}
		if err := s.tokens.remember(intent, known, do.out, &change); err != nil || len(change.Puts) == 0 {
			return err
		}
		return s.store.write(ctx, c, change)
	})
}

// conflict is the error for a configuration that is not at the revision in a parameter.
func conflict(param string, r *record, expected int64) error {
	return &fault.Error{Code: fault.Conflict, Param: param,
		Message: fmt.Sprintf("Chat configuration %s is at revision %d, not %d.", fault.Quote(r.Name), r.Revision,
			expected)}
}

// advance makes a record the next revision, at the given time. The time never goes back, even if
// the clock does.
func (r *record) advance(now time.Time) {
	r.follow(r)
	if now = now.UTC().Truncate(time.Millisecond); now.After(r.Updated) {
		r.Updated = now
	}
}

func written(r *record) Written {
	return Written{Name: r.Name, CreatedDate: date(r.Created), UpdatedDate: date(r.Updated), Revision: r.Revision}
}

// tags returns the record's tags; nil for a nil record.
func (r *record) tags() map[string]string {
	if r == nil {
		return nil
	}
	return r.Tags
}
