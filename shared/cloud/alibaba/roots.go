package alibaba

import (
	_ "embed"

	"chatconf/shared/dial"
)

//go:embed roots.pem
var rootsPEM string

// Roots are the roots that the hosts under aliyuncs.com chain to, from Mozilla's list: their
// certificates are issued by GlobalSign and DigiCert.
var Roots = dial.LazyRoots(rootsPEM, "aliyuncs.com")
