package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
)

// roleVersion is the API version of STS.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const roleVersion = "2011-06-15"

// Roles calls the security token service, STS, which issues the credentials of roles.
type Roles struct {
	api *Client
}

// NewRoles returns the security token service. It does no I/O.
func NewRoles(o Options) (*Roles, error) {
	api, err := NewClient("sts", o)
	if err != nil {
		return nil, fmt.Errorf("sts: %w", err)
	}
	return &Roles{api}, nil
}

// Partition returns the partition of a region, the second field of its ARNs.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// roleARN returns the ARN of a session's role.
func (r *Roles) roleARN(s cloud.Session) string {
	if strings.Contains(s.Role, ":") {
		return s.Role
	}
	return "arn:" + Partition(r.api.region) + ":iam::" + s.Account + ":role/" + s.Role
}

// Assume returns a session of a role.
func (r *Roles) Assume(ctx context.Context, s cloud.Session) (cloud.Lease, error) {
	params := url.Values{
		"Action":          {"AssumeRole"},
		"Version":         {roleVersion},
		"RoleArn":         {r.roleARN(s)},
		"RoleSessionName": {s.Name},
		"DurationSeconds": {strconv.Itoa(s.Seconds())},
	}
	for name, value := range map[string]string{"Policy": s.Policy, "ExternalId": s.ExternalID,
		"SourceIdentity": s.SourceIdentity} {
		if value != "" {
			params.Set(name, value)
		}
	}
	for i, key := range slices.Sorted(maps.Keys(s.Tags)) {
		member := fmt.Sprintf("Tags.member.%d.", i+1)
		params.Set(member+"Key", key)
		params.Set(member+"Value", tagValue(s.Tags[key]))
	}
	body, err := r.api.Ask(ctx, "/", http.Header{
		"Accept":       {"text/xml"},
		"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"},
	}, []byte(params.Encode()), cloud.Question{Read: readQuery})
	if err != nil {
		return cloud.Lease{}, r.roleError(s, fmt.Errorf("sts: AssumeRole: %w", err))
	}
	lease, err := readLease(body)
	if err != nil {
		return cloud.Lease{}, &cloud.RoleError{Role: s.Role, Why: "the security token service gave an invalid answer",
			Again: true, Err: fmt.Errorf("sts: AssumeRole: %w", err)}
	}
	return lease, nil
}

// maxTag is the maximum length of a session tag's value, in characters.
const maxTag = 256

// tagValue returns a text as the value of a session tag. Two texts never have the same value. Each
// byte of a character that tags may not have becomes '@' and two upper-case hexadecimal digits; so
// does an '@' that looks like the start of such an escape. A value that would be too long ends in
// "@-" and a hash of the whole text.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
func tagValue(text string) string {
	var b strings.Builder
	for i, c := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		if isTag(c) && !(c == '@' && isEscape(text[i+1:])) && (c != utf8.RuneError || size > 1) {
			b.WriteRune(c)
			continue
		}
		for _, byte := range []byte(text[i : i+size]) {
			fmt.Fprintf(&b, "@%02X", byte)
		}
	}
	value := []rune(b.String())
	if len(value) <= maxTag {
		return string(value)
	}
	sum := sha256.Sum256([]byte(text))
	end := "@-" + hex.EncodeToString(sum[:16])
	return string(value[:maxTag-len(end)]) + end
}

// isTag reports whether the value of a tag may have a character.
func isTag(c rune) bool {
	return unicode.In(c, unicode.L, unicode.Z, unicode.N) || strings.ContainsRune("_.:/=+-@", c)
}

// isEscape reports whether what follows an '@' makes it an escape, or the mark of a hash.
func isEscape(rest string) bool {
	const digits = "0123456789ABCDEF"
	return strings.HasPrefix(rest, "-") || len(rest) > 1 && strings.IndexByte(digits, rest[0]) >= 0 &&
		strings.IndexByte(digits, rest[1]) >= 0
}

// readQuery returns the XML of an answer of the query protocol.
func readQuery(status int, _ http.Header, body []byte) ([]byte, error) {
	if status == http.StatusOK {
		return body, nil
	}
	var answer struct {
		Error     struct{ Code, Message string }
		RequestId string
	}
	if xml.Unmarshal(body, &answer) != nil {
		answer.Error.Code, answer.Error.Message, answer.RequestId = "", "", ""
	}
	return nil, &cloud.Refusal{
		Status:    status,
		Code:      answer.Error.Code,
		Message:   answer.Error.Message,
		RequestID: answer.RequestId,
		Retryable: cloud.Retryable(status) || slices.Contains(throttled, answer.Error.Code),
	}
}

// throttled are the codes of a service that is called too often.
var throttled = []string{"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException",
	"LimitExceededException"}

// readLease returns the credentials in an answer. Its errors do not show them.
func readLease(body []byte) (cloud.Lease, error) {
	var answer struct {
		XMLName     xml.Name `xml:"AssumeRoleResponse"`
		Credentials struct {
			AccessKeyId, SecretAccessKey, SessionToken string
			Expiration                                 string
		} `xml:"AssumeRoleResult>Credentials"`
	}
	if xml.Unmarshal(body, &answer) != nil {
		return cloud.Lease{}, errors.New("the answer is not the expected XML")
	}
	c := answer.Credentials
	expires, err := time.Parse(time.RFC3339, c.Expiration)
	if err != nil || c.AccessKeyId == "" || c.SecretAccessKey == "" || c.SessionToken == "" {
		return cloud.Lease{}, errors.New("the answer has no complete credentials")
	}
	return cloud.Lease{Expires: expires, Credentials: invoke.Credentials{AccessKeyID: c.AccessKeyId,
		AccessKeySecret: c.SecretAccessKey, SecurityToken: c.SessionToken}}, nil
}

// roleError returns the error of a session that was not obtained. AWS does not say whether a role
// exists.
func (r *Roles) roleError(s cloud.Session, err error) *cloud.RoleError {
	if errors.Is(err, cloud.ErrNoCredentials) {
		return &cloud.RoleError{Role: s.Role, Why: "this service has no credentials", Err: err}
	}
	var refused *cloud.Refusal
	errors.As(err, &refused)
	return cloud.NewRoleError(s, err, refused, []cloud.Reason{
		{Codes: []string{"AccessDenied", "AccessDeniedException"}, Why: "access was denied. Check that " +
			r.roleARN(s) + " exists. Its trust policy must allow sts:AssumeRole, sts:TagSession and " +
			"sts:SetSourceIdentity to the role of this service, with the sts:ExternalId " + s.ExternalID +
			" if it requires one; and the policy of this service must allow the three actions on it"},
		{Codes: []string{"PackedPolicyTooLarge", "MalformedPolicyDocument"},
			Why: "the session policy for this action is too large or invalid"},
		{Codes: []string{"ValidationError"}, Why: fmt.Sprintf("the request is invalid. If the role's maximum "+
			"session duration is under %d seconds, raise it, or lower TimeoutSeconds", s.Seconds())},
		{Codes: []string{"RegionDisabledException"},
			Why: "the security token service is not active in the region " + r.api.region},
		{Codes: []string{"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch",
			"IncompleteSignature"}, Why: "the credentials of this service are invalid or have expired", Again: true},
		{Codes: throttled, Why: "the security token service is throttled", Again: true},
	})
}
