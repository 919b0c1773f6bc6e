package tablestore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program is about the least that a function does with the adapter.
const program = `package main

import (
	"context"
	"os"

	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"
)

func main() {
	t, err := tablestore.New("items", tablestore.Options{Endpoint: os.Args[1], Instance: os.Args[2]})
	if err != nil {
		os.Exit(1)
	}
	var port table.Table = t
	port.Get(context.Background(), table.Key{Partition: "p", Sort: "s"})
	port.Query(context.Background(), table.Range{Partition: "p", Limit: 1})
	port.Write(context.Background(), "p", table.Change{Adds: []table.Add{{Sort: "s"}}})
	port.Close()
}
`

// What a function that uses the adapter links: no more than 9 MiB, nothing that keeps the linker
// from its work, no logging libraries, and neither a newer protobuf, which would double its
// start-up, nor the administration of tables.
//
// Run it with -count=1: it reads code through go build, of which the test cache knows nothing.
func TestWhatIsLinked(t *testing.T) {
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "main")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // not the flags of the test, such as -race
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("build", "-trimpath", "-ldflags=-s -w", "-o", binary, source)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.2f MiB", float64(info.Size())/(1<<20))
	if info.Size() >= 9<<20 {
		t.Errorf("the program has %d bytes, want less than 9 MiB", info.Size())
	}
	deps := strings.Fields(run("list", "-deps", source))
	if !slices.Contains(deps, "chatconf/shared/table/tablestore") {
		t.Fatalf("the list of packages is %q", deps)
	}
	for _, d := range deps {
		switch {
		case slices.Contains([]string{"net/rpc", "text/template", "html/template", "testing", "os/exec"}, d),
			strings.HasPrefix(d, "google.golang.org/"), strings.Contains(d, "zap"), strings.Contains(d, "lumberjack"):
			t.Errorf("the program links %s", d)
		}
	}
	run("build", "-o", binary, source) // with its symbols
	symbols := run("tool", "nm", binary)
	if !strings.Contains(symbols, "tablestore.(*TableStoreClient).GetRange") {
		t.Fatal("the program has no symbols")
	}
	for _, name := range []string{"tablestore.Ensure", "tablestore.(*TableStoreClient).CreateTable",
		"tablestore.(*TableStoreClient).SQLQuery"} {
		if strings.Contains(symbols, name) {
			t.Errorf("the program links %s", name)
		}
	}
}

// From v1.4 on, golang/protobuf doubles the start-up of everything that links the SDK, and adds 3
// MB.
func TestProtobufStaysOld(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}",
		"github.com/golang/protobuf").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	if version := strings.TrimSpace(string(out)); !strings.HasPrefix(version, "v1.3.") {
		t.Errorf("golang/protobuf is %s, want v1.3.x", version)
	}
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "github.com/golang/protobuf v1.3.") {
		t.Error("go.mod does not hold golang/protobuf at v1.3.x")
	}
}
