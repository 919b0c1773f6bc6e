package teams

import (
	"fmt"
	"io"
)

// Types with secrets in unexported fields, where fmt does not call the secrets' methods, print as a
// placeholder.

// Format writes a placeholder for every verb.
func (receiver) Format(s fmt.State, _ rune) { io.WriteString(s, "[teams receiver]") }
