package aws

import (
	_ "embed"

	"chatconf/shared/dial"
)

//go:embed roots.pem
var rootsPEM string

// Roots are the roots for AWS hosts, from Mozilla's list. https://www.amazontrust.com/repository/
var Roots = dial.LazyRoots(rootsPEM, "amazonaws.com", "amazonaws.com.cn", "api.aws")
