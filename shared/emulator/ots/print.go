package ots

import "fmt"

// Format writes all fields except secrets, for every verb.
func (v Options) Format(s fmt.State, _ rune) {
	type plain Options
	fmt.Fprintf(s, "%+v", plain(v))
}

// Format writes the access key's id, for every verb.
func (k *keyring) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "[key %s]", k.id) }
