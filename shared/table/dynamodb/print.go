package dynamodb

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a
// placeholder.

// Format writes a placeholder, whatever the verb.
func (*signer) Format(s fmt.State, _ rune) { io.WriteString(s, "[credentials]") }
