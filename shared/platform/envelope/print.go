package envelope

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a placeholder.

// Format writes a placeholder, whatever the verb.
func (Key) Format(s fmt.State, _ rune) { io.WriteString(s, "[key]") }

// Format writes a placeholder, whatever the verb.
func (Box) Format(s fmt.State, _ rune) { io.WriteString(s, "[box]") }

// Format writes a placeholder, whatever the verb.
func (Session) Format(s fmt.State, _ rune) { io.WriteString(s, "[session]") }
