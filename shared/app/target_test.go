package app_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// goTool runs the go command on this package, as `make build` does.
func goTool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // not the flags of the test, such as -race
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A binary has one target: each tag builds, and links one adapter, one runtime and one key service;
// both at once do not.
//
// Run it with -count=1: it reads code through go build, of which the test cache knows nothing.
func TestABinaryHasOneTarget(t *testing.T) {
	rooms := map[string][]string{
		"fc":     {"chatconf/shared/table/tablestore", "chatconf/shared/serve/fc", "chatconf/shared/cloud/alibaba"},
		"lambda": {"chatconf/shared/table/dynamodb", "chatconf/shared/serve/lambda", "chatconf/shared/cloud/aws"},
	}
	for tags, target := range map[string]string{"": "", "fc": "fc", "lambda,lambda.norpc": "lambda"} {
		if out, err := goTool(t, "build", "-tags", tags, "."); err != nil {
			t.Errorf("-tags %q: %v\n%s", tags, err, out)
		}
		out, err := goTool(t, "list", "-deps", "-tags", tags, ".")
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		linked := strings.Fields(out)
		for name, packages := range rooms {
			for _, p := range packages {
				if got, want := slices.Contains(linked, p), name == target; got != want {
					t.Errorf("-tags %q links %s: %v, want %v", tags, p, got, want)
				}
			}
		}
	}
	if out, err := goTool(t, "build", "-tags", "fc,lambda", "."); err == nil ||
		!strings.Contains(out, "a_binary_has_one") {
		t.Errorf("-tags fc,lambda: %v, want that it says what is wrong\n%s", err, out)
	}
}
