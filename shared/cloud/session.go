package cloud

import "time"

// A Session is a request for temporary credentials of a role, for one sender and one purpose.
type Session struct {
	Role           string            // its name, or its ARN
	Account        string            // of the configuration, if Role is a name
	Name           string            // RoleSessionName: 2 to 64 of letters, digits, . @ - _ =
	SourceIdentity string            // the same alphabet, at most 64
	ExternalID     string            // the resource name of the configuration
	Tags           map[string]string // only AWS has session tags
	Policy         string            // JSON: the session has no more rights than this and the role
	Duration       time.Duration     // how long the credentials are needed
}
