package alibaba

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
)

// roleVersion is the API version of STS.
// https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole
const roleVersion = "2015-04-01"

// Roles calls the security token service, STS, which issues the credentials of roles.
type Roles struct {
	api *Client
}

// NewRoles returns the security token service. Inside a VPC the endpoint is
// https://sts-vpc.<region>.aliyuncs.com. It does no I/O.
func NewRoles(o Options) (*Roles, error) {
	api, err := newRegional("sts", roleVersion, o)
	if err != nil {
		return nil, err
	}
	return &Roles{api}, nil
}

// roleARN returns the ARN of a session's role.
func roleARN(s cloud.Session) string {
	if strings.Contains(s.Role, ":") {
		return s.Role
	}
	return "acs:ram::" + s.Account + ":role/" + s.Role
}

// Assume returns a session of a role. Tags are not sent: the service has none.
func (r *Roles) Assume(ctx context.Context, s cloud.Session) (cloud.Lease, error) {
	params := url.Values{
		"RoleArn":         {roleARN(s)},
		"RoleSessionName": {s.Name},
		"DurationSeconds": {strconv.Itoa(s.Seconds())},
	}
	for name, value := range map[string]string{"Policy": s.Policy, "ExternalId": s.ExternalID,
		"SourceIdentity": s.SourceIdentity} {
		if value != "" {
			params.Set(name, value)
		}
	}
	body, err := r.api.askRPC(ctx, "AssumeRole", params, cloud.Question{})
	if err != nil {
		return cloud.Lease{}, roleError(s, fmt.Errorf("sts: AssumeRole: %w", err))
	}
	lease, err := readLease(body)
	if err != nil {
		return cloud.Lease{}, &cloud.RoleError{Role: s.Role, Why: "the security token service gave an invalid answer",
			Again: true, Err: fmt.Errorf("sts: AssumeRole: %w", err)}
	}
	return lease, nil
}

// readLease returns the credentials in an answer. Its errors do not show them.
func readLease(body []byte) (cloud.Lease, error) {
	var answer struct {
		Credentials struct{ AccessKeyId, AccessKeySecret, SecurityToken, Expiration string }
	}
	if json.Unmarshal(body, &answer) != nil {
		return cloud.Lease{}, errors.New("the answer is not the expected JSON")
	}
	c := answer.Credentials
	expires, err := time.Parse(time.RFC3339, c.Expiration)
	if err != nil || c.AccessKeyId == "" || c.AccessKeySecret == "" || c.SecurityToken == "" {
		return cloud.Lease{}, errors.New("the answer has no complete credentials")
	}
	return cloud.Lease{Expires: expires, Credentials: invoke.Credentials{AccessKeyID: c.AccessKeyId,
		AccessKeySecret: c.AccessKeySecret, SecurityToken: c.SecurityToken}}, nil
}

// roleError returns the error of a session that was not obtained.
func roleError(s cloud.Session, err error) *cloud.RoleError {
	if errors.Is(err, cloud.ErrNoCredentials) {
		return &cloud.RoleError{Role: s.Role, Why: "this service has no credentials", Err: err}
	}
	var refused *cloud.Refusal
	errors.As(err, &refused)
	return cloud.NewRoleError(s, err, refused, []cloud.Reason{
		{Codes: []string{"NoPermission"}, Why: "access was denied. The role's trust policy must allow " +
			"sts:AssumeRole and sts:SetSourceIdentity to the role of this service, with the sts:ExternalId " +
			s.ExternalID + " if it requires one; and the policy of this service must allow both actions on " +
			roleARN(s)},
		{Codes: []string{"EntityNotExist.Role"}, Why: "there is no such role in account " +
			cloud.RoleAccount(s.Role, s.Account)},
		{Codes: []string{"InvalidParameter.DurationSeconds"}, Why: fmt.Sprintf(
			"its maximum session duration is under %d seconds; raise it, or lower TimeoutSeconds", s.Seconds())},
		{Codes: []string{"InvalidParameter.PolicySize", "InvalidParameter.PolicyGrammar"},
			Why: "the session policy for this action is too large or invalid"},
		{Codes: []string{"InvalidAccessKeyId.", "InvalidSecurityToken.", "SignatureDoesNotMatch",
			"IncompleteSignature"}, Why: "the credentials of this service are invalid or have expired", Again: true},
		{Codes: []string{"Throttling", "Throttling."}, Why: "the security token service is throttled", Again: true},
	})
}
