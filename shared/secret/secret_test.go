package secret_test

import (
	"testing"

	"chatconf/shared/secret"
)

func TestAlphanumericUsesAllBits(t *testing.T) {
	for i := range 256 {
		b := make([]byte, 32)
		base := secret.Alphanumeric(b, 43)
		b[i/8] ^= 1 << (i % 8)
		if got := secret.Alphanumeric(b, 43); got == base || len(got) != 43 {
			t.Errorf("bit %d makes no difference: %q", i, got)
		}
	}
}
