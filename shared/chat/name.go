package chat

import (
	"strings"
	"unicode/utf8"

	"chatconf/shared/accesskey"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

// reserved are prefixes, in any case, that the platform reserves.
// https://help.aliyun.com/en/oos/developer-reference/api-oos-2019-06-01-createtemplate
var reserved = [...]string{"aliyun", "acs", "alibaba", "alicloud"}

// maxName is the maximum length of a name.
const maxName = 200

// checkName returns an error unless Name is valid for a configuration.
func checkName(name string) error { return checkNameOf("Name", name) }

// checkNameOf returns an error unless a parameter is valid as the name of a configuration.
func checkNameOf(param, name string) error {
	switch {
	case name == "":
		return fault.Missing(param)
	case len(name) > maxName:
		return fault.Invalid(param, "%s %s has %d characters; the most is %d.", param, fault.Quote(name),
			utf8.RuneCountInString(name), maxName)
	case !only(name, nameBytes):
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
	if len(role) > 64 || !only(role, nameBytes+".@") {
		return fault.Invalid(param, "%s %s is not a role name; use 1 to 64 letters, digits, '.', '@', '-' and '_'.",
			param, fault.Quote(role))
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
	if len(id) > 64 || !only(id, nameBytes) {
		return fault.Invalid(param, "%s %s is not a resource group id; use 1 to 64 letters, digits, '-' and '_', "+
			"such as rg-acfmxh4em5jncda.", param, fault.Quote(id))
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

func checkTagText(param, what, text string, least int) error {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		return fault.Invalid(param, "The tag %s %s is not UTF-8.", what, fault.Quote(text))
	case n < least || n > 128:
		return fault.Invalid(param, "The tag %s %s has %d characters; use %d to 128.",
			what, fault.Quote(text), n, least)
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
	if len(token) > 64 || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return fault.Invalid("ClientToken", "ClientToken is invalid; use 1 to 64 printable "+
			"ASCII characters without blanks.")
	}
	return nil
}

// nameBytes are the characters of a name.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// only reports whether s has no other characters than those of set.
func only(s, set string) bool { return strings.Trim(s, set) == "" }
