package invoke

import "fmt"

// Format writes all fields but the secrets, whatever the verb.
func (v Invocation) Format(s fmt.State, _ rune) {
	type plain Invocation
	fmt.Fprintf(s, "%+v", plain(v))
}
