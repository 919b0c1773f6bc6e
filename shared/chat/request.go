package chat

import (
	"cmp"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/fault"
)

// Each request has a Check method, which returns all mistakes that can be found without storage, as
// one error. The actions call it themselves; other callers use it to report these mistakes together
// with their own.

// Check returns all mistakes of the request.
func (in *CreateRequest) Check(s *Service) error {
	_, _, err := s.plan(in)
	return fault.Join(checkRegion(in.RegionID), checkName(in.Name), err)
}

// Check returns all mistakes of the request. It checks the settings only if the request has a
// Type.
func (in *UpdateRequest) Check(s *Service) error {
	var p *platform
	var typed, configured error
	if in.Type != "" {
		p, typed = s.platforms.find("Type", in.Type)
	}
	switch {
	case in.Configuration == nil:
	case p != nil:
		keep := func(string) bool { return true }
		_, configured = p.settle(in.Configuration.Reveal(), keep, s.random, s.targets)
	default:
		_, _, configured = parseConfiguration(in.Configuration.Reveal())
	}
	return fault.Join(in.checkName(), typed, in.checkRest(), configured)
}

// checkName returns the mistakes of name, region and ClientToken.
func (in *UpdateRequest) checkName() error {
	return fault.Join(checkRegion(in.RegionID), checkName(in.Name), checkClientToken(in.ClientToken))
}

// checkRest returns the mistakes of the new values.
func (in *UpdateRequest) checkRest() error {
	var role, group, tags, status error
	if in.RamRole != nil {
		role = checkRole("RamRole", *in.RamRole)
	}
	if in.ResourceGroupID != nil {
		group = checkGroup("ResourceGroupId", *in.ResourceGroupID)
	}
	if in.Tags != nil {
		tags = checkTags("Tags", *in.Tags)
	}
	if in.Status != "" {
		_, status = parseStatus("Status", in.Status)
	}
	return fault.Join(role, group, tags, status)
}

// Check returns all mistakes of the request.
func (in *GetRequest) Check(*Service) error { return checkNamed(in.RegionID, in.Name) }

// Check returns all mistakes of the request.
func (in *CopyRequest) Check(s *Service) error {
	err := fault.Join(checkNamed(in.RegionID, in.Name), checkRegionOf("DestinationRegionId", in.DestinationRegionID),
		checkClientToken(in.ClientToken))
	if in.DestinationName != "" {
		err = fault.Join(err, checkNameOf("DestinationName", in.DestinationName))
	}
	return cmp.Or(err, in.checkPlace(s.region))
}

// Check returns all mistakes of the request.
func (in *DeleteRequest) Check(*Service) error {
	return fault.Join(checkNamed(in.RegionID, in.Name), checkClientToken(in.ClientToken))
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListRequest) Check(s *Service) error {
	_, filters := parseFilters(s.platforms, in.Filters)
	return fault.Join(checkRegion(in.RegionID), checkPageSize(in.MaxResults), filters)
}

// Check returns all mistakes of the request.
func (in *RotateRequest) Check(*Service) error {
	_, grace := parseGrace(in.GraceSeconds)
	return fault.Join(checkNamed(in.RegionID, in.Name), grace, checkClientToken(in.ClientToken))
}

// Check returns all mistakes of the request.
func (in *RotateSecretRequest) Check(*Service) error {
	_, grace := parseGrace(in.GraceSeconds)
	return fault.Join(checkNamed(in.RegionID, in.Name), given("Key", in.Key), grace, checkClientToken(in.ClientToken))
}

// Check returns all mistakes of the request.
func (in *SimulateRequest) Check(*Service) error {
	return fault.Join(checkNamed(in.RegionID, in.Name), given("UserId", in.UserID),
		given("ConversationId", in.ConversationID), in.checkCommand())
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListCommandsRequest) Check(s *Service) error {
	_, err := in.check(s)
	return err
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListRevisionsRequest) Check(*Service) error {
	return fault.Join(checkNamed(in.RegionID, in.Name), checkPageSize(in.MaxResults))
}

// Check returns all mistakes of the request.
func (in *GetRevisionRequest) Check(*Service) error {
	var compared error
	if in.Compared != nil {
		compared = checkRevision("Compared", in.Compared)
	}
	return fault.Join(checkNamed(in.RegionID, in.Name), checkRevision("Revision", in.Revision), compared)
}

// Check returns all mistakes of the request.
func (in *RestoreRequest) Check(*Service) error {
	return fault.Join(checkNamed(in.RegionID, in.Name), checkRevision("Revision", in.Revision),
		checkClientToken(in.ClientToken))
}

// checkRevision returns an error unless a mandatory revision can exist.
func checkRevision(param string, n *int64) error {
	switch {
	case n == nil:
		return fault.Missing(param)
	case *n < 1:
		return fault.Invalid(param, "%s is %d; use 1 or more.", param, *n)
	}
	return nil
}

// Check returns all mistakes of the request.
func (in *HealthRequest) Check(*Service) error { return checkNamed(in.RegionID, in.Name) }

// Check returns all mistakes of the request.
func (in *CheckConfigurationRequest) Check(*Service) error {
	var to error
	if in.SendTo != "" && !command.ID.Fits(in.SendTo) {
		to = fault.Invalid("SendTo", "SendTo %s is not %s.", fault.Quote(in.SendTo), command.ID.Want)
	}
	return fault.Join(checkNamed(in.RegionID, in.Name), to)
}

// Check returns all mistakes of the request.
func (in *TagRequest) Check(*Service) error {
	tags := checkTags("Tags", in.Tags)
	if len(in.Tags) == 0 {
		tags = fault.Missing("Tags")
	}
	return fault.Join(checkResources(in.RegionID, in.ResourceType, in.ResourceIDs),
		given("ResourceIds", in.ResourceIDs), tags)
}

// Check returns all mistakes of the request.
func (in *UntagRequest) Check(*Service) error {
	var keys error
	if !in.All {
		keys = given("TagKeys", in.TagKeys)
	}
	if n := len(in.TagKeys); n > MaxTags {
		keys = fault.Invalid("TagKeys", "There are %d TagKeys; the most is %d.", n, MaxTags)
	}
	for _, key := range in.TagKeys[:min(len(in.TagKeys), MaxTags)] {
		keys = fault.Join(keys, checkTag("TagKeys", key, ""))
	}
	return fault.Join(checkResources(in.RegionID, in.ResourceType, in.ResourceIDs),
		given("ResourceIds", in.ResourceIDs), keys)
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListTagResourcesRequest) Check(*Service) error {
	return fault.Join(checkResources(in.RegionID, in.ResourceType, in.ResourceIDs), checkPageSize(in.MaxResults),
		checkTags("Tags", in.Tags))
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListTagKeysRequest) Check(*Service) error {
	return fault.Join(checkRegion(in.RegionID), checkOptionalType(in.ResourceType), checkPageSize(in.MaxResults))
}

// Check returns all mistakes of the request but those of NextToken.
func (in *ListTagValuesRequest) Check(*Service) error {
	key := given("Key", in.Key)
	if key == nil {
		key = checkTag("Key", in.Key, "")
	}
	return fault.Join(checkRegion(in.RegionID), checkOptionalType(in.ResourceType), key, checkPageSize(in.MaxResults))
}

// Check returns all mistakes of the request.
func (in *ChangeResourceGroupRequest) Check(*Service) error {
	return fault.Join(checkResources(in.RegionID, in.ResourceType, nil), given("ResourceId", in.ResourceID),
		given("NewResourceGroupId", in.NewResourceGroupID), checkGroup("NewResourceGroupId", in.NewResourceGroupID))
}

// checkNamed returns the mistakes of region and name.
func checkNamed(regionID, name string) error {
	return fault.Join(checkRegion(regionID), checkName(name))
}

// given returns an error if a mandatory parameter is absent.
func given[T ~string | ~[]string](param string, value T) error {
	if len(value) == 0 {
		return fault.Missing(param)
	}
	return nil
}

// checkResources returns the mistakes of the parameters that all tag operations have.
func checkResources(regionID, resourceType string, ids []string) error {
	many := error(nil)
	if len(ids) > maxResourceIDs {
		many = fault.Invalid("ResourceIds", "There are %d ResourceIds; the most is %d.", len(ids), maxResourceIDs)
	}
	return fault.Join(checkRegion(regionID), given("ResourceType", resourceType), checkOptionalType(resourceType), many)
}

// checkOptionalType returns an error unless a ResourceType is absent or known.
func checkOptionalType(resourceType string) error {
	if resourceType == "" || strings.EqualFold(resourceType, ResourceType) {
		return nil
	}
	return fault.Invalid("ResourceType", "Unknown ResourceType %s; write %s.", fault.Quote(resourceType), ResourceType)
}
