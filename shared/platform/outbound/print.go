package outbound

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a placeholder.

// Format writes a placeholder, whatever the verb.
func (token) Format(s fmt.State, _ rune) { io.WriteString(s, "[access token]") }

// Format writes all fields but the secrets, whatever the verb.
func (v Call) Format(s fmt.State, _ rune) {
	type plain Call
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes a placeholder, whatever the verb.
func (*Client) Format(s fmt.State, _ rune) { io.WriteString(s, "[client]") }
