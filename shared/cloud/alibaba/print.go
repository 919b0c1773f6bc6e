package alibaba

import "fmt"

// Format writes all fields but the secrets, whatever the verb.
func (v Options) Format(s fmt.State, _ rune) {
	type plain Options
	fmt.Fprintf(s, "%+v", plain(v))
}
