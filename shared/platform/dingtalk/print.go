package dingtalk

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a placeholder.

// Format writes a placeholder, whatever the verb.
func (receiver) Format(s fmt.State, _ rune) { io.WriteString(s, "[dingtalk receiver]") }

// Format writes a placeholder, whatever the verb.
func (sender) Format(s fmt.State, _ rune) { io.WriteString(s, "[dingtalk sender]") }
