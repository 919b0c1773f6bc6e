package slack

import (
	"fmt"
	"io"
)

// Types with secrets in unexported fields, where fmt does not call the secrets' methods, print as a
// placeholder.

// Format writes a placeholder, whatever the verb.
func (receiver) Format(s fmt.State, _ rune) { io.WriteString(s, "[slack receiver]") }

// Format writes a placeholder, whatever the verb.
func (sender) Format(s fmt.State, _ rune) { io.WriteString(s, "[slack sender]") }
