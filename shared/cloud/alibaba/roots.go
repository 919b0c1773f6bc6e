package alibaba

import (
	_ "embed"

	"chatconf/shared/dial"
)

//go:embed roots.pem
var rootsPEM string

// Roots are the roots for hosts under aliyuncs.com, from Mozilla's list. GlobalSign and DigiCert
// issue their certificates.
var Roots = dial.LazyRoots(rootsPEM, "aliyuncs.com")
