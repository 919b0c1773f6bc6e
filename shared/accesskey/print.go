package accesskey

import (
	"fmt"
	"io"
)

// Format writes a placeholder, for every verb.
func (record) Format(s fmt.State, _ rune) { io.WriteString(s, "[access key]") }

// Format writes all fields except the secrets, for every verb.
func (v Key) Format(s fmt.State, _ rune) {
	type plain Key
	fmt.Fprintf(s, "%+v", plain(v))
}
