package dynamodb

import (
	"fmt"
	"io"
)

// Format writes a placeholder for every verb: fmt finds no methods of secrets in unexported fields.
func (*signer) Format(s fmt.State, _ rune) { io.WriteString(s, "[credentials]") }
