package callback

import (
	"fmt"
	"io"
)

// Format writes all fields except the secrets, for every verb.
func (v Settings) Format(s fmt.State, _ rune) {
	type plain Settings
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes a placeholder, for every verb.
func (EnvelopeKey) Format(s fmt.State, _ rune) { io.WriteString(s, "[key]") }

// Format writes a placeholder, for every verb.
func (Box) Format(s fmt.State, _ rune) { io.WriteString(s, "[box]") }

// Format writes a placeholder, for every verb.
func (Session) Format(s fmt.State, _ rune) { io.WriteString(s, "[session]") }

// Format writes a placeholder, for every verb.
func (token) Format(s fmt.State, _ rune) { io.WriteString(s, "[access token]") }

// Format writes what the call is for, for every verb.
func (v Call) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "[call: %s]", v.What) }

// Format writes a placeholder, for every verb.
func (*Client) Format(s fmt.State, _ rune) { io.WriteString(s, "[client]") }
