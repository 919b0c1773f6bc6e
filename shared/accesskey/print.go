package accesskey

import (
	"fmt"
	"io"
)

// Format writes a placeholder, whatever the verb.
func (record) Format(s fmt.State, _ rune) { io.WriteString(s, "[access key]") }

// Format writes all fields but the secrets, whatever the verb.
func (v Key) Format(s fmt.State, _ rune) {
	type plain Key
	fmt.Fprintf(s, "%+v", plain(v))
}
