package callback

import "fmt"

// Format writes all fields except the secrets, for every verb.
func (v Settings) Format(s fmt.State, _ rune) {
	type plain Settings
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes what the call is for, for every verb.
func (v Call) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "[call: %s]", v.What) }
