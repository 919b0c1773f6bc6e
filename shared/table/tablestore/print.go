package tablestore

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a
// placeholder.

// Format writes a placeholder, whatever the verb.
func (*session) Format(s fmt.State, _ rune) { io.WriteString(s, "[session]") }

// Format writes all fields but the secrets, whatever the verb.
func (v Options) Format(s fmt.State, _ rune) {
	type plain Options
	fmt.Fprintf(s, "%+v", plain(v))
}
