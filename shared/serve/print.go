package serve

import "fmt"

// Format writes all fields but the secrets, whatever the verb.
func (v Call) Format(s fmt.State, _ rune) {
	type plain Call
	fmt.Fprintf(s, "%+v", plain(v))
}
