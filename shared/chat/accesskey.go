package chat

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// Names of the actions on access keys. A policy must allow them by their full names: oos:* does
// not, since with them a caller can make a key with all permissions.
const (
	actionCreateAccessKey = policy.CreateAccessKey
	actionListAccessKeys  = policy.ListAccessKeys
	actionUpdateAccessKey = policy.UpdateAccessKey
	actionDeleteAccessKey = policy.DeleteAccessKey
)

const noExpiry = "never"

// CreateAccessKeyRequest are the parameters of CreateAccessKey. Name is mandatory, and so is Policy
// or PolicyDocument.
type CreateAccessKeyRequest struct {
	RegionID       string `param:"RegionId"` // without effect: a key is valid in all regions of its account
	Name           string `param:"Name"`
	Description    string `param:"Description"`
	Policy         string `param:"Policy"`         // Owner, Administrator, ReadOnly, or a document
	PolicyDocument string `param:"PolicyDocument"` // the JSON text of a policy
	ExpireDate     string `param:"ExpireDate"`     // RFC 3339; if absent, the key never expires
}

// ListAccessKeysRequest are the parameters of ListAccessKeys.
type ListAccessKeysRequest struct {
	RegionID   string `param:"RegionId"`
	MaxResults *int64 `param:"MaxResults"` // 1 to MaxResults, default DefaultResults
	NextToken  string `param:"NextToken"`
}

// UpdateAccessKeyRequest are the parameters of UpdateAccessKey. An absent parameter changes
// nothing. The parameter for the key is named as in RAM, since AccessKeyId is a parameter of a V1
// signature.
type UpdateAccessKeyRequest struct {
	RegionID       string  `param:"RegionId"`
	AccessKeyID    string  `param:"UserAccessKeyId"`
	Status         string  `param:"Status"` // Active or Inactive
	Policy         string  `param:"Policy"`
	PolicyDocument string  `param:"PolicyDocument"`
	ExpireDate     string  `param:"ExpireDate"`  // RFC 3339, or never
	Description    *string `param:"Description"` // empty removes it
}

// DeleteAccessKeyRequest are the parameters of DeleteAccessKey.
type DeleteAccessKeyRequest struct {
	RegionID    string `param:"RegionId"`
	AccessKeyID string `param:"UserAccessKeyId"`
}

// AccessKeyInfo is an access key as the actions show it.
type AccessKeyInfo struct {
	AccessKeyId     string
	AccountId       string
	AccessKeySecret string `json:",omitempty"` // only in the answer of CreateAccessKey
	Name            string
	Description     string `json:",omitempty"`
	Status          string
	Policies        []string // the JSON text of each
	CreateDate      string
	CreatedBy       string `json:",omitempty"` // the access key id of its creator
	ExpireDate      string `json:",omitempty"` // absent if the key never expires
	LastUsedDate    string `json:",omitempty"` // 2006-01-02, in UTC; only in lists
}

// AccessKeyResponse is the answer of CreateAccessKey and UpdateAccessKey.
type AccessKeyResponse struct {
	AccessKey AccessKeyInfo
}

// ListAccessKeysResponse is the answer of ListAccessKeys.
type ListAccessKeysResponse struct {
	AccessKeys []AccessKeyInfo
	MaxResults int64
	NextToken  string `json:",omitempty"`
}

// NextPageToken returns the token of the next page, for a header.
func (r *ListAccessKeysResponse) NextPageToken() string { return r.NextToken }

// DeleteAccessKeyResponse is the answer of DeleteAccessKey.
type DeleteAccessKeyResponse struct{}

// ShowAccessKey returns a key as in answers, without its secret.
func ShowAccessKey(key *accesskey.Key) AccessKeyInfo {
	out := AccessKeyInfo{
		AccessKeyId: key.ID,
		AccountId:   key.Account,
		Name:        key.Name,
		Description: key.Description,
		Status:      StatusInactive,
		Policies:    make([]string, len(key.Policies)),
		CreateDate:  date(key.Created),
		CreatedBy:   key.CreatedBy,
		ExpireDate:  dateOf(key.Expires),
	}
	if key.Active {
		out.Status = StatusActive
	}
	for i, p := range key.Policies {
		out.Policies[i] = p.String()
	}
	return out
}

// keyResource returns the resource name of an access key, without a region, since keys belong to an
// account.
func (c scope) keyResource(id string) string {
	return "acs:oos::" + c.account + ":accesskey/" + id
}

// manageKey returns the scope of a request for the access key id, "*" for all keys, if the caller
// has the permission for action.
func (s *Service) manageKey(ctx context.Context, regionID, action, id string) (scope, error) {
	c, err := s.scope(ctx, regionID)
	switch {
	case err != nil:
		return scope{}, err
	case s.keys == nil:
		return scope{}, &fault.Error{Code: fault.Unavailable, Err: errors.New("chat: a service without access keys")}
	case id == "":
		return scope{}, fault.Missing("UserAccessKeyId")
	}
	return c, c.require(need{action: actionPrefix + action, of: c.requestOn(ctx, c.keyResource(id), nil)})
}

// confirm waits until it is certain that the request is not a replay.
func (c scope) confirm(ctx context.Context) error {
	if c.caller.Confirm == nil {
		return nil
	}
	return c.caller.Confirm(ctx)
}

// CreateAccessKey makes an access key in the caller's account and returns it with its secret, which
// is never shown again. It is an action for administrators: its caller can make a key with any
// permissions.
//
// Errors: MissingParameter, InvalidParameter, NoPermission, InvalidRegion.
func (s *Service) CreateAccessKey(ctx context.Context, in *CreateAccessKeyRequest) (*AccessKeyResponse, error) {
	// Decide with the id that the key will have, so that a pattern of ids in a policy applies here
	// as it does elsewhere.
	id, secret, err := accesskey.Draw(s.random)
	if err != nil {
		return nil, err
	}
	c, err := s.manageKey(ctx, in.RegionID, actionCreateAccessKey, id)
	if err != nil {
		return nil, err
	}
	policies, expires, err := in.Parse()
	if err != nil {
		return nil, err
	}
	key := accesskey.Key{
		ID: id, Secret: secret, Account: c.account, Name: in.Name, Description: in.Description, Policies: policies,
		Expires: expires, CreatedBy: c.caller.actor(),
	}
	if err := key.Check(); err != nil {
		return nil, err
	}
	if err := c.confirm(ctx); err != nil {
		return nil, err
	}
	made, err := s.keys.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	out := &AccessKeyResponse{ShowAccessKey(made)}
	out.AccessKey.AccessKeySecret = secret.Reveal()
	return out, nil
}

// ListAccessKeys returns a page of the access keys of the caller's account, in the order of their
// ids, without secrets. A page may be short and have a NextToken; the last page has none.
//
// Errors: InvalidParameter, InvalidNextToken, NoPermission, InvalidRegion.
func (s *Service) ListAccessKeys(ctx context.Context, in *ListAccessKeysRequest) (*ListAccessKeysResponse, error) {
	c, err := s.manageKey(ctx, in.RegionID, actionListAccessKeys, "*")
	if err := cmp.Or(err, checkPageSize(in.MaxResults)); err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults)
	tokenScope := []string{actionListAccessKeys, c.account}
	from, err := s.cursors.parse(in.NextToken, tokenScope)
	if err != nil {
		return nil, err
	}
	out := &ListAccessKeysResponse{AccessKeys: []AccessKeyInfo{}, MaxResults: int64(n)}
	last := from.After
	const rounds = 10 // each page may have few keys of this account
	for round := 0; round < rounds && len(out.AccessKeys) < n; round++ {
		var found []*accesskey.Key
		found, last, err = s.keys.Page(ctx, last, n-len(out.AccessKeys))
		if err != nil {
			return nil, storeError(ctx, "list access keys", err)
		}
		for _, key := range found {
			if key.Account == c.account {
				out.AccessKeys = append(out.AccessKeys, ShowAccessKey(key))
			}
		}
		if last == "" {
			break
		}
	}
	if last != "" {
		out.NextToken = s.cursors.token(&cursor{After: last}, tokenScope)
	}
	ids := make([]string, len(out.AccessKeys))
	for i, key := range out.AccessKeys {
		ids[i] = key.AccessKeyId
	}
	days, err := s.keys.LastUses(ctx, ids...)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		out.AccessKeys[i].LastUsedDate = days[id]
	}
	return out, nil
}

// UpdateAccessKey changes the status, policy, expiry or description of an access key of the
// caller's account. Like CreateAccessKey it is an action for administrators.
//
// Errors: MissingParameter, InvalidParameter, AccessKeyNotFound, Conflict, NoPermission,
// InvalidRegion.
func (s *Service) UpdateAccessKey(ctx context.Context, in *UpdateAccessKeyRequest) (*AccessKeyResponse, error) {
	c, err := s.manageKey(ctx, in.RegionID, actionUpdateAccessKey, in.AccessKeyID)
	if err != nil {
		return nil, err
	}
	change, err := in.Parse()
	if err != nil {
		return nil, err
	}
	if err := c.confirm(ctx); err != nil {
		return nil, err
	}
	key, err := s.keys.Update(ctx, c.account, in.AccessKeyID, change)
	if err != nil {
		return nil, err
	}
	return &AccessKeyResponse{ShowAccessKey(key)}, nil
}

// DeleteAccessKey removes an access key of the caller's account.
//
// Errors: MissingParameter, AccessKeyNotFound, Conflict, NoPermission, InvalidRegion.
func (s *Service) DeleteAccessKey(ctx context.Context, in *DeleteAccessKeyRequest) (*DeleteAccessKeyResponse, error) {
	c, err := s.manageKey(ctx, in.RegionID, actionDeleteAccessKey, in.AccessKeyID)
	if err != nil {
		return nil, err
	}
	if err := c.confirm(ctx); err != nil {
		return nil, err
	}
	if err := s.keys.Delete(ctx, c.account, in.AccessKeyID); err != nil {
		return nil, err
	}
	return &DeleteAccessKeyResponse{}, nil
}

// Check returns all mistakes of the request.
func (in *CreateAccessKeyRequest) Check(*Service) error {
	_, _, err := in.Parse()
	return err
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListAccessKeysRequest) Check(*Service) error { return checkPageSize(in.MaxResults) }

// Check returns all mistakes of the request.
func (in *UpdateAccessKeyRequest) Check(*Service) error {
	_, err := in.Parse()
	return fault.Join(given("UserAccessKeyId", in.AccessKeyID), err)
}

// Check returns all mistakes of the request.
func (in *DeleteAccessKeyRequest) Check(*Service) error {
	return given("UserAccessKeyId", in.AccessKeyID)
}

// Parse returns the policies and the expiry of the new key.
func (in *CreateAccessKeyRequest) Parse() (policies []*policy.Policy, expires time.Time, err error) {
	if in.Name == "" {
		return nil, time.Time{}, fault.Missing("Name")
	}
	if policies, err = parseKeyPolicy(in.Policy, in.PolicyDocument); err != nil {
		return nil, time.Time{}, err
	}
	if policies == nil {
		return nil, time.Time{}, &fault.Error{Code: fault.MissingParameter, Param: "Policy",
			Message: "Policy is mandatory for this action; write Owner, Administrator, ReadOnly, " +
				"or a document in PolicyDocument."}
	}
	until, err := parseExpires(in.ExpireDate)
	if err != nil || until == nil {
		return policies, time.Time{}, err
	}
	return policies, *until, nil
}

func (in *UpdateAccessKeyRequest) Parse() (change accesskey.Change, err error) {
	change.Description = in.Description
	if in.Status != "" {
		status, err := parseStatus("Status", in.Status)
		if err != nil {
			return accesskey.Change{}, err
		}
		active := status == StatusActive
		change.Active = &active
	}
	if change.Policies, err = parseKeyPolicy(in.Policy, in.PolicyDocument); err != nil {
		return accesskey.Change{}, err
	}
	if change.Expires, err = parseExpires(in.ExpireDate); err != nil {
		return accesskey.Change{}, err
	}
	if change.Active == nil && change.Policies == nil && change.Expires == nil && change.Description == nil {
		return accesskey.Change{}, &fault.Error{Code: fault.MissingParameter, Param: "Status",
			Message: "There is nothing to change; give Status, Policy, PolicyDocument, ExpireDate or Description."}
	}
	return change, nil
}

// parseKeyPolicy returns the policies for a key from the parameters Policy or PolicyDocument; none
// if both are absent.
func parseKeyPolicy(name, text string) ([]*policy.Policy, error) {
	param := "PolicyDocument"
	switch {
	case name != "" && text != "":
		return nil, fault.Invalid("Policy", "Policy and PolicyDocument are both given; write one of them.")
	case strings.HasPrefix(strings.TrimSpace(name), "{"):
		param, text = "Policy", name
	case name != "":
		p, ok := policy.ByName(name)
		if !ok {
			return nil, fault.Invalid("Policy", "Unknown Policy %s; write %s, or the JSON text of a policy.",
				fault.Quote(name),
				strings.Join(policy.Names(), ", "))
		}
		return []*policy.Policy{p}, nil
	case text == "":
		return nil, nil
	}
	p, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, fault.Invalid(param, "%s: %s.", param, strings.TrimPrefix(err.Error(), "policy: "))
	}
	return []*policy.Policy{p}, nil
}

// parseExpires parses an ExpireDate: nil if absent, the zero time for never.
func parseExpires(text string) (*time.Time, error) {
	switch {
	case text == "":
		return nil, nil
	case strings.EqualFold(text, noExpiry):
		return new(time.Time), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fault.Invalid("ExpireDate",
			"ExpireDate %s is not a date; write one such as 2027-01-31T00:00:00Z, or %s.",
			fault.Quote(text), noExpiry)
	}
	t = t.UTC().Truncate(time.Second)
	return &t, nil
}
