package chat

import (
	"fmt"
	"io"
)

// Types with secrets in unexported fields, where fmt cannot call their methods, print as a
// placeholder.

// Format writes a placeholder, for every verb.
func (madeEndpoint) Format(s fmt.State, _ rune) { io.WriteString(s, "[made endpoint]") }

// Format writes a placeholder, for every verb.
func (settled) Format(s fmt.State, _ rune) { io.WriteString(s, "[settled configuration]") }

// Format writes a placeholder, for every verb.
func (*Service) Format(s fmt.State, _ rune) { io.WriteString(s, "[service]") }

// Format writes all fields except the secrets, for every verb.
func (v CreateRequest) Format(s fmt.State, _ rune) {
	type plain CreateRequest
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes the key's id, for every verb, since the answer of CreateAccessKey holds the secret.
func (v AccessKeyInfo) Format(s fmt.State, _ rune) {
	io.WriteString(s, "[access key "+v.AccessKeyId+"]")
}
