package chat

import (
	"strings"
	"unicode/utf8"

	"chatconf/shared/accesskey"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

// reserved are prefixes, in any case, that the platform reserves.
// https://help.aliyun.com/en/oos/developer-reference/api-oos-2019-06-01-createtemplate
var reserved = [...]string{"aliyun", "acs", "alibaba", "alicloud"}

// nameText is the shape of a name, which also must not begin with a reserved prefix.
var nameText = command.Shape{
	Want:  "1 to 200 letters, digits, '-' and '_'",
	Least: 1, Most: 200,
	Each: command.Among(nameBytes),
}

// Shapes of parameters that an empty value removes.
var (
	roleName = command.Shape{
		Want: "1 to 64 letters, digits, '.', '@', '-' and '_'",
		Most: 64,
		Each: command.Among(nameBytes + ".@"),
	}
	groupID = command.Shape{
		Want: "1 to 64 letters, digits, '-' and '_', such as rg-acfmxh4em5jncda",
		Most: 64,
		Each: command.Among(nameBytes),
	}
	clientToken = command.Shape{
		Want: "1 to 64 printable ASCII characters without blanks",
		Most: 64,
		Each: command.Visible(1, 64).Each,
	}
)

// checkName returns an error unless Name is valid for a configuration.
func checkName(name string) error { return checkNameOf("Name", name) }

// checkNameOf returns an error unless a parameter is valid as the name of a configuration.
func checkNameOf(param, name string) error {
	switch {
	case name == "":
		return fault.Missing(param)
	case len(name) > nameText.Most:
		return fault.Invalid(param, "%s %s has %d characters; the most is %d.", param, fault.Quote(name),
			utf8.RuneCountInString(name), nameText.Most)
	case !nameText.Fits(name):
		return fault.Invalid(param, "%s %s has a character other than letters, digits, '-' and '_'.",
			param, fault.Quote(name))
	}
	for _, prefix := range reserved {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return fault.Invalid(param, "%s %s starts with %s, which is reserved.", param, fault.Quote(name), prefix)
		}
	}
	return nil
}

// CheckRole returns an error unless role is valid as the RamRole of a configuration.
func CheckRole(role string) error { return checkRole(roleParam, role) }

// checkRole returns an error unless role is empty or a valid name of a RAM role.
// https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-createrole
func checkRole(param, role string) error {
	if strings.Contains(role, ":") {
		return fault.Invalid(param, "%s %s is not a role name; write the name alone, without acs:ram:….",
			param, fault.Quote(role))
	}
	if !roleName.Fits(role) {
		return fault.Invalid(param, "%s %s is not a role name; use %s.", param, fault.Quote(role), roleName.Want)
	}
	return nil
}

// isRole reports whether a statement or an action may have the role: a name, or the ARN of a role,
// also of another account.
func isRole(role string) bool {
	if account, name, ok := policy.CutRole(role); ok && accesskey.ValidAccount(account) {
		role = name
	}
	return role != "" && checkRole(roleParam, role) == nil
}

// checkGroup returns an error unless id is empty or a valid resource group id.
func checkGroup(param, id string) error {
	if !groupID.Fits(id) {
		return fault.Invalid(param, "%s %s is not a resource group id; use %s.", param, fault.Quote(id), groupID.Want)
	}
	return nil
}

// parseStatus parses a status in any case.
func parseStatus(param, text string) (string, error) {
	for _, status := range [...]string{StatusActive, StatusInactive} {
		if strings.EqualFold(text, status) {
			return status, nil
		}
	}
	return "", fault.Invalid(param, "Unknown Status %s; use %s or %s.", fault.Quote(text), StatusActive, StatusInactive)
}

// validRegion reports whether id has the form of a region id, such as cn-hangzhou.
func validRegion(id string) bool {
	if len(id) < 3 || len(id) > 40 || !strings.Contains(id, "-") || id[0] == '-' || id[len(id)-1] == '-' {
		return false
	}
	return only(id, "abcdefghijklmnopqrstuvwxyz0123456789-")
}

// checkTag returns an error unless key and value are valid for a tag.
// https://help.aliyun.com/en/resource-management/tag/product-overview/limits
func checkTag(param, key, value string) error {
	if err := checkTagText(param, "key", key, 1); err != nil {
		return err
	}
	if err := checkTagText(param, "value", value, 0); err != nil {
		return err
	}
	for _, prefix := range [...]string{"aliyun", "acs:"} {
		if strings.HasPrefix(strings.ToLower(key), prefix) {
			return fault.Invalid(param, "The tag key %s starts with %s, which is reserved.", fault.Quote(key), prefix)
		}
	}
	return nil
}

// maxTagText is the maximum length of a key and of a value, in characters.
const maxTagText = 128

func checkTagText(param, what, text string, least int) error {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		return fault.Invalid(param, "The tag %s %s is not UTF-8.", what, fault.Quote(text))
	case n < least || n > maxTagText:
		return fault.Invalid(param, "The tag %s %s has %d characters; use %d to %d.",
			what, fault.Quote(text), n, least, maxTagText)
	case len(table.Escape(text)) > 384: // so that an index entry fits into a sort key
		return fault.Invalid(param, "The tag %s %s is too long; use at most 384 bytes of UTF-8.",
			what, fault.Quote(text))
	case strings.Contains(text, "http://") || strings.Contains(text, "https://"):
		return fault.Invalid(param, "The tag %s %s holds a URL, which is not allowed.", what, fault.Quote(text))
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fault.Invalid(param, "The tag %s %s holds a control character.", what, fault.Quote(text))
	}
	return nil
}

// checkClientToken returns an error unless token is absent or a valid ClientToken.
func checkClientToken(token string) error {
	if !clientToken.Fits(token) {
		return fault.Invalid("ClientToken", "ClientToken is invalid; use %s.", clientToken.Want)
	}
	return nil
}

// nameBytes are the characters of a name.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// only reports whether s has no other characters than those of set.
func only(s, set string) bool { return strings.Trim(s, set) == "" }
