package cloudtest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"
)

// CheckRoots checks that a PEM text contains exactly these certificates, by SHA-256 and common
// name, and that each is a root that stays valid for years. Compare a new root with the vendor's
// list by hand.
func CheckRoots(t *testing.T, text string, want []string) {
	t.Helper()
	var got []string
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(cert.Raw)
		got = append(got, hex.EncodeToString(sum[:])+" "+cert.Subject.CommonName)
		late := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
		if !cert.IsCA || !bytes.Equal(cert.RawIssuer, cert.RawSubject) || cert.NotAfter.Before(late) {
			t.Errorf("%s, until %v, is not a root that is valid for long", cert.Subject, cert.NotAfter)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the roots are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
