package runtime

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strings"
)

// machines maps ELF machines to Go's names.
var machines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64",
	elf.EM_PPC64: "ppc64", elf.EM_S390: "s390x",
}

// foreignMagic maps the first bytes of programs for other systems to the system's name.
var foreignMagic = map[string]string{
	"\xcf\xfa\xed\xfe": "macOS", "\xfe\xed\xfa\xcf": "macOS", "\xce\xfa\xed\xfe": "macOS",
	"\xca\xfe\xba\xbe": "macOS", "MZ": "Windows",
}

// CheckProgram reads a program from r and returns an error if this machine cannot run it. The error
// names the problem in one sentence.
func CheckProgram(name string, r io.Reader) error {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	for magic, system := range foreignMagic {
		if strings.HasPrefix(string(head), magic) {
			return fmt.Errorf("%s is built for %s; build it with GOOS=linux", name, system)
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return checkELF(name, head)
	case bytes.HasPrefix(head, []byte("#!")):
		return checkScript(name, head)
	case len(head) == 0:
		return fmt.Errorf("%s is empty", name)
	}
	return fmt.Errorf("%s is not a Linux program; start a script with a line such as #!/bin/sh", name)
}

func checkELF(name string, head []byte) error {
	if len(head) < 20 {
		return fmt.Errorf("%s is incomplete", name)
	}
	machine := elf.Machine(uint16(head[18]) | uint16(head[19])<<8)
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		machine = elf.Machine(uint16(head[19]) | uint16(head[18])<<8)
	}
	arch, ok := machines[machine]
	if !ok {
		arch = machine.String()
	}
	built, here := "linux/"+arch, stdruntime.GOOS+"/"+stdruntime.GOARCH
	if built == here || built == "linux/386" && here == "linux/amd64" {
		return nil
	}
	return fmt.Errorf("%s is built for %s, but this machine runs %s", name, built, here)
}

func checkScript(name string, head []byte) error {
	line, _, _ := strings.Cut(string(head[2:]), "\n")
	if strings.HasSuffix(line, "\r") {
		return fmt.Errorf("%s is a script with Windows line ends; save it with "+
			"LF line ends", name)
	}
	interpreter, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	if _, err := os.Stat(interpreter); err != nil {
		return fmt.Errorf("%s is a script for %s, which is not installed here", name, interpreter)
	}
	return nil
}

// checkFiles checks the program, so that a mistake is reported before the first invocation.
func (f *Function) checkFiles() error {
	dir, err := filepath.Abs(f.Dir)
	if err != nil {
		return err
	}
	f.Dir = dir
	info, err := os.Stat(f.program())
	if errors.Is(err, fs.ErrNotExist) {
		return f.missing()
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s cannot be executed: its mode is %v; make it 0755", f.Binary, info.Mode())
	}
	file, err := os.Open(f.program())
	if err != nil {
		return err
	}
	defer file.Close()
	if err := CheckProgram(f.Binary, file); err != nil || f.Kind != FC {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	f.readSymbols(text)
	return nil
}

// missing returns the error for a missing program. It lists the files that exist.
func (f *Function) missing() error {
	where := f.Dir
	if f.Zip != "" {
		where = f.Zip
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	const shown = 5
	var names []string
	for _, e := range entries[:min(len(entries), shown)] {
		names = append(names, e.Name())
	}
	if len(entries) > shown {
		names = append(names, "…")
	}
	if len(names) == 0 {
		names = []string{"nothing"}
	}
	message := fmt.Sprintf("%s has no top-level program %q, which %s runs; it contains %s", where, f.Binary,
		clouds[f.Kind].title, strings.Join(names, ", "))
	for _, other := range clouds {
		if other.binary != f.Binary && slices.Contains(names, other.binary) {
			message += fmt.Sprintf(" (%s runs %s)", other.title, other.binary)
		}
	}
	return errors.New(message)
}

// fcSDK is the prefix of the SDK's function names. A Go program contains the names of the functions
// that it links, even when stripped.
const fcSDK = "github.com/aliyun/fc-runtime-go-sdk/fc."

// readSymbols finds out how the program uses FC's SDK. A program that links fc.StartHttp and no
// other start function is an HTTP function. A program that links both shows its kind when it is
// called.
func (f *Function) readSymbols(program []byte) {
	links := func(name string) bool { return bytes.Contains(program, []byte(fcSDK+name+"\x00")) }
	f.http = links("StartHttp") && !links("Start") && !links("StartHandler")
	if f.FindHooks {
		f.Initializer, f.PreStop = links("RegisterInitializerFunction"), links("RegisterPreStopFunction")
	}
}
