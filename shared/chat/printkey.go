package chat

import (
	"fmt"
	"io"
)

// Format writes a placeholder, whatever the verb.
func (keyRecord) Format(s fmt.State, _ rune) { io.WriteString(s, "[access key]") }

// Format writes all fields but the secrets, whatever the verb.
func (v AccessKey) Format(s fmt.State, _ rune) {
	type plain AccessKey
	fmt.Fprintf(s, "%+v", plain(v))
}
