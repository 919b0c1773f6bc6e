package runtime

import "fmt"

// Format writes all fields but the secrets, whatever the verb.
func (v Function) Format(s fmt.State, _ rune) {
	type plain Function
	fmt.Fprintf(s, "%+v", plain(v))
}
