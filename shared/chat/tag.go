package chat

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"chatconf/shared/fault"
	"chatconf/shared/table"
)

const (
	actionTag         = "TagResources"
	actionUntag       = "UntagResources"
	actionListTagged  = "ListTagResources"
	actionListKeys    = "ListTagKeys"
	actionListValues  = "ListTagValues"
	actionChangeGroup = "ChangeResourceGroup"

	// ResourceType is the ResourceType of chat configurations. It is accepted in any case.
	ResourceType = "chatconfiguration"

	maxResourceIDs = 50
)

// TagRequest are the parameters of TagResources; all but RegionId are mandatory.
type TagRequest struct {
	RegionID     string            `param:"RegionId"`
	ResourceType string            `param:"ResourceType"`
	ResourceIDs  []string          `param:"ResourceIds"` // names, 1 to 50
	Tags         map[string]string `param:"Tags"`        // 1 to 20
}

// UntagRequest are the parameters of UntagResources.
type UntagRequest struct {
	RegionID     string   `param:"RegionId"`
	ResourceType string   `param:"ResourceType"`
	ResourceIDs  []string `param:"ResourceIds"` // names, 1 to 50
	TagKeys      []string `param:"TagKeys"`     // 1 to 20; mandatory unless All
	All          bool     `param:"All"`         // remove all tags; ignored if there are TagKeys
}

// ListTagResourcesRequest are the parameters of ListTagResources.
type ListTagResourcesRequest struct {
	RegionID     string            `param:"RegionId"`
	ResourceType string            `param:"ResourceType"`
	ResourceIDs  []string          `param:"ResourceIds"` // names, at most 50; all if empty
	Tags         map[string]string `param:"Tags"`        // only configurations with all of these, at most 20
	MaxResults   *int64            `param:"MaxResults"`
	NextToken    string            `param:"NextToken"`
}

// ListTagResourcesResponse is the answer of ListTagResources.
type ListTagResourcesResponse struct {
	TagResources TagResourceList
	MaxResults   int64
	NextToken    string `json:",omitempty"`
}

// NextPageToken returns NextToken.
func (r *ListTagResourcesResponse) NextPageToken() string { return r.NextToken }

// TagResourceList wraps the list as the API does.
type TagResourceList struct {
	TagResource []TagResource
}

// TagResource is one tag of one configuration.
type TagResource struct {
	ResourceId   string
	ResourceType string
	TagKey       string
	TagValue     string
}

// ListTagKeysRequest are the parameters of ListTagKeys.
type ListTagKeysRequest struct {
	RegionID     string `param:"RegionId"`
	ResourceType string `param:"ResourceType"`
	MaxResults   *int64 `param:"MaxResults"`
	NextToken    string `param:"NextToken"`
}

// ListTagKeysResponse is the answer of ListTagKeys.
type ListTagKeysResponse struct {
	Keys       []string
	MaxResults int64
	NextToken  string `json:",omitempty"`
}

// NextPageToken returns NextToken.
func (r *ListTagKeysResponse) NextPageToken() string { return r.NextToken }

// ListTagValuesRequest are the parameters of ListTagValues.
type ListTagValuesRequest struct {
	RegionID     string `param:"RegionId"`
	ResourceType string `param:"ResourceType"`
	Key          string `param:"Key"`
	MaxResults   *int64 `param:"MaxResults"`
	NextToken    string `param:"NextToken"`
}

// ListTagValuesResponse is the answer of ListTagValues.
type ListTagValuesResponse struct {
	Values     []string
	MaxResults int64
	NextToken  string `json:",omitempty"`
}

// NextPageToken returns NextToken.
func (r *ListTagValuesResponse) NextPageToken() string { return r.NextToken }

// ChangeResourceGroupRequest are the parameters of ChangeResourceGroup; all but RegionId are
// mandatory.
type ChangeResourceGroupRequest struct {
	RegionID           string `param:"RegionId"`
	ResourceType       string `param:"ResourceType"`
	ResourceID         string `param:"ResourceId"` // a name
	NewResourceGroupID string `param:"NewResourceGroupId"`
}

// Empty is an answer without content.
type Empty struct{}

// Tag sets tags on configurations: TagResources. It checks everything before it changes anything.
// Changes that fit into one write of the store are atomic. A larger request takes several atomic
// writes; after a failure it can be repeated.
//
// Errors: MissingParameter, InvalidParameter, ResourceNotFound, QuotaExceeded, NoPermission,
// InvalidRegion.
func (s *Service) Tag(ctx context.Context, in *TagRequest) (*Empty, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	return s.retag(ctx, actionTag, in.RegionID, in.ResourceIDs, func(r *record) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string, len(in.Tags))
		}
		maps.Copy(r.Tags, in.Tags)
		if len(r.Tags) > MaxTags {
			return &fault.Error{Code: fault.QuotaExceeded, Param: "Tag",
				Message: fmt.Sprintf("Chat configuration %s would have %d tags; the most is %d.",
					fault.Quote(r.Name), len(r.Tags), MaxTags)}
		}
		return nil
	})
}

// Untag removes tags from configurations: UntagResources. It writes like Tag. A missing tag is not
// an error.
//
// Errors: MissingParameter, InvalidParameter, ResourceNotFound, NoPermission, InvalidRegion.
func (s *Service) Untag(ctx context.Context, in *UntagRequest) (*Empty, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	return s.retag(ctx, actionUntag, in.RegionID, in.ResourceIDs, func(r *record) error {
		if len(in.TagKeys) == 0 {
			r.Tags = nil
		}
		for _, key := range in.TagKeys {
			delete(r.Tags, key)
		}
		return nil
	})
}

// retag changes the tags of several configurations.
func (s *Service) retag(ctx context.Context, action, regionID string, ids []string,
	edit func(*record) error) (*Empty, error) {
	c, names, err := s.resources(ctx, regionID, ids)
	if err != nil {
		return nil, err
	}
	for pending := names; len(pending) > 0; {
		err := retry(ctx, action, func() error {
			steps, err := s.retagSteps(ctx, c, action, pending, edit)
			if err != nil {
				return err
			}
			done, change, err := s.pack(c, c.revision(ctx, action), steps)
			if err != nil {
				return err
			}
			if len(change.Puts) > 0 {
				if err := s.store.write(ctx, c, change); err != nil {
					return err
				}
			}
			pending = pending[done:]
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return &Empty{}, nil
}

// retagSteps returns the change of each of the named configurations, in their order, if all are
// allowed. The caller needs the permission with the present tags and with the new tags. So a caller
// can neither gain access to a configuration by its tags, nor move one out of its own access.
func (s *Service) retagSteps(ctx context.Context, c scope, action string, names []string,
	edit func(*record) error) ([]step, error) {
	records, err := s.store.getAll(ctx, c, names)
	if err != nil {
		return nil, err
	}
	var needs []need
	var steps []step
	var problem error // of the first configuration that cannot be changed
	for _, name := range names {
		before := records[name]
		needs = append(needs, need{action: actionPrefix + action, of: c.request(ctx, name, before.tags())})
		if before == nil {
			problem = cmp.Or(problem, resourceNotFound(name))
			continue
		}
		after := before.clone()
		problem = cmp.Or(problem, edit(after))
		needs = append(needs, need{action: actionPrefix + action,
			of: c.request(ctx, name, after.tags()), with: tagsAfter})
		after.advance(s.now())
		steps = append(steps, step{before, after})
	}
	if err := c.require(needs...); err != nil {
		return nil, err
	}
	return steps, problem
}

// tagNeeds returns the permissions to change tags. As in retagSteps, they are needed with the tags
// before and with the tags after. with names the tags before if they are not the present ones.
func (c scope) tagNeeds(ctx context.Context, name string, before, after map[string]string, with string) []need {
	var needs []need
	of, to := c.request(ctx, name, before), c.request(ctx, name, after)
	for _, action := range tagActions(before, after) {
		needs = append(needs, need{action: actionPrefix + action, of: of, with: with},
			need{action: actionPrefix + action, of: to, with: tagsAfter})
	}
	return needs
}

// retagNeeds returns the permissions for new tags in a request that needs the given actions. Those
// actions are needed with the new tags, too.
func (c scope) retagNeeds(ctx context.Context, actions []string, name string,
	before, after map[string]string) []need {
	needs := c.tagNeeds(ctx, name, before, after, "")
	if len(needs) == 0 {
		return nil
	}
	to := c.request(ctx, name, after)
	for _, action := range actions {
		needs = append(needs, need{action: actionPrefix + action, of: to, with: tagsAfter})
	}
	return needs
}

// tagActions returns the actions that change the tags before into the tags after.
func tagActions(before, after map[string]string) (actions []string) {
	for key, value := range after {
		if was, there := before[key]; !there || was != value {
			actions = append(actions, actionTag)
			break
		}
	}
	for key := range before {
		if _, there := after[key]; !there {
			return append(actions, actionUntag)
		}
	}
	return actions
}

// ChangeResourceGroup moves a configuration to another resource group: ChangeResourceGroup.
//
// Errors: MissingParameter, InvalidParameter, ResourceNotFound, NoPermission, InvalidRegion.
func (s *Service) ChangeResourceGroup(ctx context.Context, in *ChangeResourceGroupRequest) (*Empty, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	c, names, err := s.resources(ctx, in.RegionID, []string{in.ResourceID})
	if err != nil {
		return nil, err
	}
	err = retry(ctx, actionChangeGroup, func() error {
		before, err := s.store.get(ctx, c, names[0])
		if err != nil {
			return err
		}
		if err := c.authorize(ctx, actionChangeGroup, names[0], before.tags()); err != nil {
			return err
		}
		if before == nil {
			return resourceNotFound(names[0])
		}
		if before.ResourceGroupID == in.NewResourceGroupID {
			return nil
		}
		after := before.clone()
		after.ResourceGroupID = in.NewResourceGroupID
		after.advance(s.now())
		var change table.Change
		if err := s.addStep(c, c.revision(ctx, actionChangeGroup), step{before, after}, &change); err != nil {
			return err
		}
		return s.store.write(ctx, c, change)
	})
	if err != nil {
		return nil, err
	}
	return &Empty{}, nil
}

// ListTagResources returns the tags of configurations, a page at a time: ListTagResources.
//
// Errors: MissingParameter, InvalidParameter, ResourceNotFound, InvalidNextToken, NoPermission,
// InvalidRegion.
func (s *Service) ListTagResources(ctx context.Context,
	in *ListTagResourcesRequest) (*ListTagResourcesResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	c, names, err := s.resources(ctx, in.RegionID, in.ResourceIDs)
	if err != nil {
		return nil, err
	}
	if err := c.authorize(ctx, actionListTagged, "*", nil); err != nil {
		return nil, err
	}
	sel := &selection{names: names, attributes: make(map[string][]string)}
	for key, value := range in.Tags {
		sel.attributes[tagAttribute+key] = []string{value}
	}
	scope := append([]string{actionListTagged, c.account, c.region}, sel.scope()...)
	from, err := s.cursors.parse(in.NextToken, scope)
	if err != nil {
		return nil, err
	}
	if in.NextToken == "" && len(names) > 0 {
		if err := s.store.mustExist(ctx, c, names); err != nil {
			return nil, storeError(ctx, actionListTagged, err)
		}
	}
	n := pageSize(in.MaxResults)
	entries, next, err := s.store.findTags(ctx, c, sel, from, n)
	if err != nil {
		return nil, storeError(ctx, actionListTagged, err)
	}
	return &ListTagResourcesResponse{TagResources: TagResourceList{entries}, MaxResults: int64(n),
		NextToken: s.cursors.token(next, scope)}, nil
}

func (s store) mustExist(ctx context.Context, c scope, names []string) error {
	records, err := s.getAll(ctx, c, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if records[name] == nil {
			return resourceNotFound(name)
		}
	}
	return nil
}

// findTags returns up to n tags of the selected records, in the order of names and keys, and the
// cursor of the next page. A cursor with a Rest is inside the configuration After, whose tags up to
// Rest were returned.
func (s store) findTags(ctx context.Context, c scope, sel *selection, from cursor,
	n int) ([]TagResource, *cursor, error) {
	entries := []TagResource{}
	if from.Rest != "" {
		r, err := s.get(ctx, c, from.After)
		if err != nil {
			return nil, nil, err
		}
		if r != nil && sel.matches(r) {
			if next := appendTags(&entries, r, from, n); next != nil {
				return entries, next, nil
			}
		}
		from.Rest = ""
	}
	found, next, err := s.find(ctx, c, sel, from, n)
	if err != nil {
		return nil, nil, err
	}
	after := from.After
	for _, r := range found {
		if len(entries) == n {
			return entries, &cursor{Range: from.Range, After: after}, nil
		}
		after = r.Name
		if inside := appendTags(&entries, r, cursor{Range: from.Range, After: r.Name}, n); inside != nil {
			return entries, inside, nil
		}
	}
	return entries, next, nil
}

// appendTags appends the tags of a record after cur.Rest until there are n entries. It returns a
// cursor to the remaining tags, nil if none.
func appendTags(entries *[]TagResource, r *record, cur cursor, n int) *cursor {
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		if cur.Rest != "" && key <= cur.Rest {
			continue
		}
		if len(*entries) == n {
			return &cur
		}
		*entries = append(*entries, TagResource{ResourceId: r.Name, ResourceType: ResourceType,
			TagKey: key, TagValue: r.Tags[key]})
		cur.After, cur.Rest = r.Name, key
	}
	return nil
}

// resources returns the scope of a tag operation and its resource ids, sorted and without
// duplicates. The request must be checked.
func (s *Service) resources(ctx context.Context, regionID string, ids []string) (scope, []string, error) {
	c, err := s.scope(ctx, regionID)
	if err != nil {
		return scope{}, nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(ids)))
	for _, name := range names {
		if name == "" || checkName(name) != nil {
			return scope{}, nil, resourceNotFound(name)
		}
	}
	return c, names, nil
}

// checkTags returns an error unless tags can be tags of a configuration.
func checkTags(param string, tags map[string]string) error {
	if len(tags) > MaxTags {
		return fault.Invalid(param, "There are %d tags; the most is %d.", len(tags), MaxTags)
	}
	var mistakes error
	for _, key := range slices.Sorted(maps.Keys(tags)) { // in a fixed order
		mistakes = fault.Join(mistakes, checkTag(param, key, tags[key]))
	}
	return mistakes
}

func resourceNotFound(name string) error {
	return &fault.Error{Code: fault.ResourceNotFound, Param: "ResourceIds",
		Message: fmt.Sprintf("There is no chat configuration %s.", fault.Quote(name))}
}
