package command

import (
	"fmt"
	"io"
)

// Format writes all fields except the secrets, for every verb.
func (v Endpoint) Format(s fmt.State, _ rune) {
	type plain Endpoint
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes all fields except the secrets, for every verb.
func (v ReplyTo) Format(s fmt.State, _ rune) {
	type plain ReplyTo
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes the result of String, for every verb.
func (t Target) Format(s fmt.State, _ rune) { io.WriteString(s, t.String()) }
