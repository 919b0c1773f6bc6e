package seal_test

import (
	"errors"
	"fmt"

	"chatconf/shared/seal"
)

// A sealed value opens only at its own place.
func ExampleRing() {
	text, err := seal.GenerateRing("2026-11")
	if err != nil {
		fmt.Println(err)
		return
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	place := seal.Place{Account: "1", Region: "cn-hangzhou", Name: "ops", Field: "SigningSecret"}
	sealed, err := ring.Seal(place, []byte("a secret"))
	if err != nil {
		fmt.Println(err)
		return
	}
	plaintext, err := ring.Open(place, sealed)
	fmt.Printf("%s %v\n", plaintext, err)

	place.Name = "other"
	_, err = ring.Open(place, sealed)
	fmt.Println(errors.Is(err, seal.ErrOpen))
	// Output:
	// a secret <nil>
	// true
}
