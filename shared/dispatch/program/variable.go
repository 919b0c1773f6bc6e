package program

import "strings"

// VariableName returns the name of the environment variable of a parameter: in upper case, with a
// '_' for each character that is not a letter of English or a digit.
func VariableName(parameter string) string {
	return "CHATCONF_PARAM_" + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, parameter)
}
