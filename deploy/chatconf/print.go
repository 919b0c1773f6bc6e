package main

import (
	"fmt"
	"io"
)

// Types with secrets in unexported fields, where fmt does not call the secrets' methods, print as a
// placeholder.

// Format writes a placeholder for every verb.
func (client) Format(s fmt.State, _ rune) { io.WriteString(s, "[client]") }

// Format writes a placeholder for every verb.
func (clientFlags) Format(s fmt.State, _ rune) { io.WriteString(s, "[client flags]") }

// Format writes a placeholder for every verb.
func (*deployment) Format(s fmt.State, _ rune) { io.WriteString(s, "[deployment]") }

// Format writes a placeholder for every verb.
func (deploymentOptions) Format(s fmt.State, _ rune) { io.WriteString(s, "[deployment options]") }

// Format writes all fields except the secrets, for every verb.
func (v sendRequest) Format(s fmt.State, _ rune) {
	type plain sendRequest
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes a placeholder for every verb.
func (keyFlags) Format(s fmt.State, _ rune) { io.WriteString(s, "[key flags]") }
