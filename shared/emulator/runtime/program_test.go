package runtime_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	stdruntime "runtime"
	"strings"
	"testing"

	"chatconf/shared/emulator/runtime"
)

// elfHead returns the first bytes of a 64-bit ELF file for a machine.
func elfHead(order binary.ByteOrder, machine uint16) string {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	if order == binary.BigEndian {
		head[5] = 2
	}
	order.PutUint16(head[18:], machine)
	return string(head)
}

func TestProgramsThatThisMachineCannotRun(t *testing.T) {
	own, foreign, arch := uint16(0x3e), uint16(0xb7), "arm64"
	if stdruntime.GOARCH == "arm64" {
		own, foreign, arch = foreign, own, "amd64"
	}
	here := stdruntime.GOOS + "/" + stdruntime.GOARCH
	for name, c := range map[string]struct{ text, says string }{
		"another machine": {elfHead(binary.LittleEndian, foreign), "main is built for linux/" + arch +
			", but this machine runs " + here},
		"a big-endian machine": {elfHead(binary.BigEndian, 0x16),
			"main is built for linux/s390x, but this machine runs " + here},
		"a machine without a name": {elfHead(binary.LittleEndian, 8),
			"main is built for linux/EM_MIPS, but this machine runs " + here},
		"half a head": {"\x7fELF\x02\x01", "main is incomplete"},
		"macOS": {"\xcf\xfa\xed\xfe\x07\x00\x00\x01",
			"main is built for macOS; build it with GOOS=linux"},
		"macOS, several machines": {"\xca\xfe\xba\xbe\x00\x00\x00\x02",
			"main is built for macOS; build it with GOOS=linux"},
		"Windows": {"MZ\x90\x00\x03", "main is built for Windows; build it with GOOS=linux"},
		"nothing": {"", "main is empty"},
		"a script without a start": {"echo hellö\n",
			"main is not a Linux program; start a script with a line such as #!/bin/sh"},
		"a script of Windows": {"#!/bin/sh\r\necho hello\r\n", "main is a script with Windows line ends"},
		"an absent interpreter": {"#! /opt/none/python -u\n",
			"main is a script for /opt/none/python, which is not installed here"},
		"bytes":                   {"\x00\x01\x02\xff", "main is not a Linux program"},
		"this machine":            {elfHead(binary.LittleEndian, own), ""},
		"a script":                {"#!/bin/sh\necho hello\n", ""},
		"a script with arguments": {"#!/bin/sh -e", ""},
	} {
		err := runtime.CheckProgram("main", strings.NewReader(c.text))
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.HasPrefix(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if err := runtime.CheckProgram("main", brokenReader{}); err == nil ||
		!strings.Contains(err.Error(), "main: invalid argument") {
		t.Errorf("of what cannot be read: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrInvalid }

// Mistakes in a zip file are reported when it is added, in one line.
func TestZipsThatCannotRun(t *testing.T) {
	elf := []byte(elfHead(binary.BigEndian, 0x16))
	for name, c := range map[string]struct {
		kind    runtime.Kind
		entries []entry
		says    string
	}{
		"another machine": {runtime.FC, []entry{{"main", 0o755, elf}}, "main is built for linux/s390x"},
		"no program": {runtime.FC, []entry{{"README", 0o644, nil}},
			`has no top-level program "main", which Function Compute runs; it contains README`},
		"one of Lambda's": {runtime.FC, []entry{{"bootstrap", 0o755, elf}},
			`it contains bootstrap (AWS Lambda runs bootstrap)`},
		"one of FC's": {runtime.Lambda, []entry{{"main", 0o755, elf}},
			`it contains main (Function Compute runs main)`},
		"one in a folder": {runtime.Lambda, []entry{{"out/bootstrap", 0o755, elf}}, `it contains out`},
		"many files": {runtime.Lambda, []entry{{"a", 0o644, nil}, {"b", 0o644, nil}, {"c", 0o644, nil}, {"d",
			0o644, nil}, {"e", 0o644, nil}, {"f", 0o644, nil}}, "it contains a, b, c, d, e, …"},
		"an empty zip": {runtime.FC, nil, "it contains nothing"},
		"a mode of Windows'": {runtime.FC, []entry{{"main", 0o644, elf}},
			"main cannot be executed: its mode is -rw-r--r--; make it 0755"},
	} {
		h := runtime.RunT(t, runtime.Options{})
		err := h.Add(runtime.Function{Name: "hello", Kind: c.kind, Zip: archive(t, c.entries...)})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A script is a function like any other.
func TestAScriptIsAFunction(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed, which the script speaks to its runtime with")
	}
	dir := t.TempDir()
	script := `#!/bin/sh
base=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while id=$(curl -sf -D - -o "$TMPDIR/event" "$base/next" |
  sed -n 's/\r$//;s/^Lambda-Runtime-Aws-Request-Id: //Ip'); [ -n "$id" ]; do
	curl -sf -o "$TMPDIR/taken" --data-binary @"$TMPDIR/event" "$base/$id/response"
done
`
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h := runtime.RunT(t, runtime.Options{}, runtime.Function{Name: "hello", Kind: runtime.Lambda, Dir: dir,
		Env: map[string]string{"TMPDIR": t.TempDir()}})
	if r := invoke(t, h, `{"a":1}`); string(r.Payload) != `{"a":1}` || r.Failure != runtime.Answered {
		t.Errorf("answer = %s, %q", r.Payload, r.Failure)
	}
}

// Hooks are found in a program with or without its symbol table.
func TestHooksAreFound(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{})
	for folder, want := range map[string][2]bool{"fc": {true, true}, "fcsdk": {true, false}, "fchttp": {false, false}} {
		f := program(t, folder, "typed")
		f.Name, f.FindHooks = folder, true
		if err := h.Add(f); err != nil {
			t.Fatal(err)
		}
		if h.IsHTTP(folder) != (folder == "fchttp") {
			t.Errorf("%s: IsHTTP = %t", folder, h.IsHTTP(folder))
		}
		for _, f := range h.Functions() {
			if f.Name == folder && [2]bool{f.Initializer, f.PreStop} != want {
				t.Errorf("%s has the hooks %t, %t, want %t", folder, f.Initializer, f.PreStop, want)
			}
		}
	}
	if h.IsHTTP("other") {
		t.Error("a function that is not there is an HTTP function")
	}
	f := program(t, "awssdk", "typed")
	f.FindHooks = true
	if err := h.Add(f); err == nil {
		t.Error("a function of Lambda has hooks")
	}
}
