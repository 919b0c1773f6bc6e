package runtime

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"time"

	"chatconf/shared/secret"
)

// A Kind is a cloud's runtime.
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

// ParseKind reads fc or lambda.
func ParseKind(s string) (Kind, error) {
	for k, c := range clouds {
		if c.name == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("runtime: %q is no runtime: fc or lambda", s)
}

// A Function is a binary and how it is run. Name, Kind, and Dir or Zip must be given.
type Function struct {
	Name string
	Kind Kind
	// Dir is the folder of the code, which processes run in. Zip is an archive of it, as it is
	// deployed.
	Dir, Zip string
	// Binary is the program in that folder. Empty is what the cloud runs: main for FC, bootstrap
	// for Lambda.
	Binary string
	// Handler is what the function is told that it is called. Empty is the binary.
	Handler string
	// Env is the function's environment. Besides it a process gets what its cloud sets, GOMAXPROCS
	// as its memory has it, and of this process no more than where programs, home, temporary files
	// and root certificates are. Env can replace everything but the address of the runtime API.
	Env Environment
	// Memory is the size in MB that is told and reported; it is not a limit. Zero is 128.
	Memory int
	// Timeout is how long an invocation may take. Zero is the cloud's default: 3 s on Lambda, 60 s
	// on FC.
	Timeout time.Duration
	// InitTimeout is how long a process has from its start, its initializer included, until it
	// takes its first invocation. Zero is ten seconds.
	InitTimeout time.Duration
	// IdleTimeout is after what time without work a process is stopped. Zero is five minutes.
	IdleTimeout time.Duration
	// Limit is how many processes there may be. Zero is 16.
	Limit int
	// Concurrency is how many invocations one process is given at a time. Zero is one.
	Concurrency int
	// Queue is how many invocations may wait while all processes are busy; the next one is
	// throttled. Zero is 100, and less is none: then the limit throttles at once, as it does in the
	// clouds.
	Queue int
	// Retries is how often an asynchronous invocation that fails is tried again. Zero is the
	// cloud's default: two times on Lambda, three on FC. Less is never.
	Retries int
	// Initializer and PreStop say that the function has these hooks configured, which exist on FC
	// only.
	Initializer, PreStop bool
	// FindHooks sets Initializer and PreStop to what the program registers with FC's SDK.
	FindHooks bool
	// Gateway makes HTTP go through an API Gateway HTTP API and not a function URL; on Lambda only.
	Gateway bool
	// MaxBody is what payloads and answers may have at most, in bytes. Zero is the cloud's limit.
	MaxBody int
	// Region and Account are where the function is told that it is. Empty is made up.
	Region, Account string
	// Credentials are those of the function's role.
	Credentials Credentials

	http bool // it is started by fc.StartHttp
}

// An Environment is values by name, some of which may be secrets. It prints as a placeholder.
type Environment map[string]string

const environmentPlaceholder = "[environment]"

// String returns a placeholder.
func (Environment) String() string { return environmentPlaceholder }

// Format writes the placeholder of String, whatever the verb.
func (Environment) Format(s fmt.State, _ rune) { io.WriteString(s, environmentPlaceholder) }

// LogValue returns the placeholder of String.
func (Environment) LogValue() slog.Value { return slog.StringValue(environmentPlaceholder) }

// MarshalJSON returns the placeholder of String.
func (Environment) MarshalJSON() ([]byte, error) {
	return []byte(`"` + environmentPlaceholder + `"`), nil
}

// Credentials are what a cloud gives a function to act with.
type Credentials struct {
	secret.Hidden

	AccessKeyID     string
	AccessKeySecret string
	SecurityToken   string
}

// functionName is what both clouds take.
var functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// check refuses what is not a function, and fills in the defaults.
func (f *Function) check() error {
	c := clouds[f.Kind]
	switch {
	case !functionName.MatchString(f.Name):
		return errors.New("a name is 1 to 64 letters, digits, - and _, and starts with a letter or _")
	case c == nil:
		return errors.New("the kind is neither FC nor Lambda")
	case (f.Dir == "") == (f.Zip == ""):
		return errors.New("either a folder or a zip file must be given")
	case (f.Initializer || f.PreStop || f.FindHooks) && f.Kind != FC:
		return errors.New("initializer and pre-stop hooks exist on FC only")
	case f.Gateway && f.Kind != Lambda:
		return errors.New("an API Gateway exists on Lambda only")
	case f.Timeout < 0 || f.InitTimeout < 0 || f.IdleTimeout < 0 || f.Limit < 0 || f.Concurrency < 0 || f.Memory < 0 ||
		f.MaxBody < 0:
		return errors.New("a time, a limit or a size is negative")
	}
	setDefault(&f.Binary, c.binary)
	setDefault(&f.Handler, f.Binary)
	setDefault(&f.Memory, 128)
	setDefault(&f.Timeout, c.timeout)
	setDefault(&f.InitTimeout, 10*time.Second)
	setDefault(&f.IdleTimeout, 5*time.Minute)
	setDefault(&f.Limit, 16)
	setDefault(&f.Concurrency, 1)
	setDefault(&f.Queue, 100)
	setDefault(&f.Retries, c.retries)
	setDefault(&f.MaxBody, c.maxBody)
	setDefault(&f.Region, c.region)
	setDefault(&f.Account, c.account)
	if !filepath.IsLocal(f.Binary) {
		return fmt.Errorf("the binary %q is not in the folder of the code", f.Binary)
	}
	return nil
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// cores returns how many cores the function's memory is worth, rounded up: on Lambda a core is 1769
// MB. A Go program takes what it is told by GOMAXPROCS, and with one where it has a share of one it
// wastes nothing on looking for work.
func (f *Function) cores() int { return (f.Memory + 1768) / 1769 }

func (f *Function) program() string { return filepath.Join(f.Dir, f.Binary) }
