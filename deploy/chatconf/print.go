package main

import (
	"fmt"
	"io"
)

// What holds secrets in unexported fields, where fmt finds no methods of theirs, prints as a
// placeholder.

// Format writes a placeholder, whatever the verb.
func (client) Format(s fmt.State, _ rune) { io.WriteString(s, "[client]") }

// Format writes a placeholder, whatever the verb.
func (clientFlags) Format(s fmt.State, _ rune) { io.WriteString(s, "[client flags]") }

// Format writes a placeholder, whatever the verb.
func (*deployment) Format(s fmt.State, _ rune) { io.WriteString(s, "[deployment]") }

// Format writes a placeholder, whatever the verb.
func (deploymentOptions) Format(s fmt.State, _ rune) { io.WriteString(s, "[deployment options]") }

// Format writes all fields but the secrets, whatever the verb.
func (v sendRequest) Format(s fmt.State, _ rune) {
	type plain sendRequest
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes a placeholder, whatever the verb.
func (keyFlags) Format(s fmt.State, _ rune) { io.WriteString(s, "[key flags]") }
