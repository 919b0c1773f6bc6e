// Package kms is the key services of the clouds, as far as one thing is asked of them: to open, once per cold start, the key ring that
// the settings hold sealed. Its folders are one service each.
//
// What is opened must have been sealed with the encryption context of this package, which a service keeps in its audit log and a policy
// can ask for: no other ciphertext of the same key can be put in its place.
package kms

// The encryption context: one pair.
const (
	ContextKey   = "chatconf"
	ContextValue = "keyring"
)

// MaxSealed is the length of the longest sealed ring in base64: AWS encrypts 4 KiB at once, Alibaba Cloud 6 KiB, and both add a header.
const MaxSealed = 16 << 10
