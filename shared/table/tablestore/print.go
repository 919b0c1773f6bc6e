package tablestore

import (
	"fmt"
	"io"
)

// Format writes a placeholder for every verb: fmt finds no methods of secrets in unexported fields.
func (*session) Format(s fmt.State, _ rune) { io.WriteString(s, "[session]") }

// Format writes all fields, with masked secrets, for every verb.
func (v Options) Format(s fmt.State, _ rune) {
	type plain Options
	fmt.Fprintf(s, "%+v", plain(v))
}
