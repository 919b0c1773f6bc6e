package runtime

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"chatconf/shared/secret"
)

// A Kind names a cloud's runtime.
type Kind int

// The runtimes.
const (
	FC     Kind = 1 // Function Compute 3.0, runtime go1
	Lambda Kind = 2 // AWS Lambda, runtime provided.al2023
)

// String returns the name that ParseKind reads.
func (k Kind) String() string {
	if c := clouds[k]; c != nil {
		return c.name
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// ParseKind parses fc or lambda.
func ParseKind(s string) (Kind, error) {
	for k, c := range clouds {
		if c.name == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("runtime: unknown runtime %q; use fc or lambda", s)
}

// A Function is a binary and its configuration. Name, Kind, and either Dir or Zip are required.
type Function struct {
	secret.Hidden

	Name string
	Kind Kind
	// Dir is the folder of the code and the working directory of processes. Zip is an archive of
	// it, as it is deployed.
	Dir, Zip string
	// Binary is the program in that folder. Empty means the cloud's name: main for FC, bootstrap
	// for Lambda.
	Binary string
	// Handler is the handler name given to the function. Empty means Binary.
	Handler string
	// Env is the function's environment. A process also gets the variables of its cloud, GOMAXPROCS
	// for its memory size, and from this process PATH, HOME, TMPDIR and the root certificates. Env
	// may override all of them except the address of the runtime API.
	Env secret.Map
	// Memory is the size in MB that the function sees and that is reported. It is not a limit. Zero
	// means 128.
	Memory int
	// Timeout limits the duration of an invocation. Zero means the cloud's default: 3 s on Lambda,
	// 60 s on FC.
	Timeout time.Duration
	// InitTimeout limits the time from the start of a process, its initializer included, until it
	// asks for its first invocation. Zero means ten seconds.
	InitTimeout time.Duration
	// IdleTimeout is the time without work after which a process is stopped. Zero means five
	// minutes.
	IdleTimeout time.Duration
	// Limit is the maximum number of processes. Zero means 16.
	Limit int
	// Queue is the number of invocations that may wait while all processes are busy; further ones
	// are throttled. Zero means 100. A negative value means no queue: invocations over the limit
	// are throttled at once, as in the clouds.
	Queue int
	// Retries is the number of retries of a failed asynchronous invocation. Zero means the cloud's
	// default: two on Lambda, three on FC. A negative value means no retries.
	Retries int
	// Initializer and PreStop enable these hooks of the function, which exist on FC only.
	Initializer, PreStop bool
	// FindHooks sets Initializer and PreStop from what the program registers with FC's SDK.
	FindHooks bool
	// Gateway sends HTTP requests through an API Gateway HTTP API instead of a function URL. Lambda
	// only.
	Gateway bool
	// MaxBody limits payloads and answers, in bytes. Zero means the cloud's limit.
	MaxBody int
	// Region and Account are given to the function as its location. Empty means a made-up value.
	Region, Account string
	// Credentials are those of the function's role.
	Credentials Credentials

	http bool // it uses fc.StartHttp
}

// Credentials are the temporary credentials that a cloud gives a function.
type Credentials struct {
	secret.Hidden

	AccessKeyID     string
	AccessKeySecret string
	SecurityToken   string
}

// functionName is the pattern that both clouds accept.
var functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// check validates a function and fills in the defaults.
func (f *Function) check() error {
	c := clouds[f.Kind]
	switch {
	case !functionName.MatchString(f.Name):
		return errors.New("invalid name; use 1 to 64 letters, digits, - or _, starting with a letter or _")
	case c == nil:
		return errors.New("unknown kind; use FC or Lambda")
	case (f.Dir == "") == (f.Zip == ""):
		return errors.New("set either Dir or Zip")
	case (f.Initializer || f.PreStop || f.FindHooks) && f.Kind != FC:
		return errors.New("initializer and pre-stop hooks need kind FC")
	case f.Gateway && f.Kind != Lambda:
		return errors.New("setting Gateway needs kind Lambda")
	case f.Timeout < 0 || f.InitTimeout < 0 || f.IdleTimeout < 0 || f.Limit < 0 || f.Memory < 0 ||
		f.MaxBody < 0:
		return errors.New("a time, a limit or a size is negative; use 0 for its default")
	}
	setDefault(&f.Binary, c.binary)
	setDefault(&f.Handler, f.Binary)
	setDefault(&f.Memory, 128)
	setDefault(&f.Timeout, c.timeout)
	setDefault(&f.InitTimeout, 10*time.Second)
	setDefault(&f.IdleTimeout, 5*time.Minute)
	setDefault(&f.Limit, 16)
	setDefault(&f.Queue, 100)
	setDefault(&f.Retries, c.retries)
	setDefault(&f.MaxBody, c.maxBody)
	setDefault(&f.Region, c.region)
	setDefault(&f.Account, c.account)
	if !filepath.IsLocal(f.Binary) {
		return fmt.Errorf("the binary %q is outside the folder of the code", f.Binary)
	}
	return nil
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// cores returns the number of cores that the function's memory pays for, rounded up. On Lambda one
// core is 1769 MB. With GOMAXPROCS=1 a Go program on part of a core wastes no time on looking for
// work.
func (f *Function) cores() int { return (f.Memory + 1768) / 1769 }

func (f *Function) program() string { return filepath.Join(f.Dir, f.Binary) }
