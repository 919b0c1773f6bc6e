package app

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a
// placeholder.

// Format writes a placeholder, whatever the verb.
func (*Function) Format(s fmt.State, _ rune) { io.WriteString(s, "[function]") }

// Format writes a placeholder, whatever the verb.
func (parts) Format(s fmt.State, _ rune) { io.WriteString(s, "[parts of a service]") }

// Format writes all fields but the secrets, whatever the verb.
func (v AccessKey) Format(s fmt.State, _ rune) {
	type plain AccessKey
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes all fields but the secrets, whatever the verb.
func (v Settings) Format(s fmt.State, _ rune) {
	type plain Settings
	fmt.Fprintf(s, "%+v", plain(v))
}
