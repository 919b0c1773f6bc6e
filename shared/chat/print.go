package chat

import (
	"fmt"
	"io"
)

// Format writes a placeholder, for every verb: fmt does not call the methods of secrets in
// unexported fields.
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
