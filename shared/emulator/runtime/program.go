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
	"unicode/utf8"
)

// machines are the machines of ELF as Go names them.
var machines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64",
	elf.EM_PPC64: "ppc64", elf.EM_S390: "s390x",
}

// foreignMagic is how programs of other systems begin.
var foreignMagic = map[string]string{
	"\xcf\xfa\xed\xfe": "macOS", "\xfe\xed\xfa\xcf": "macOS", "\xce\xfa\xed\xfe": "macOS",
	"\xca\xfe\xba\xbe": "macOS", "MZ": "Windows",
}

// CheckProgram returns an error unless this machine can run a program of the given name, which r
// reads. The error says in one sentence what the program is.
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
	case isScript(head):
		return fmt.Errorf("%s is text without a first line that names its interpreter, such as #!/bin/sh", name)
	}
	return fmt.Errorf("%s is no program of Linux", name)
}

// checkELF looks at the header of an ELF file, as far as it says what machine it is for.
func checkELF(name string, head []byte) error {
	if len(head) < 20 {
		return fmt.Errorf("%s is cut off", name)
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
	return fmt.Errorf("%s is built for %s, and this machine is %s, which cannot run it", name, built, here)
}

// checkScript looks for the interpreter of a script.
func checkScript(name string, head []byte) error {
	line, _, _ := strings.Cut(string(head[2:]), "\n")
	if strings.HasSuffix(line, "\r") {
		return fmt.Errorf("%s is a script whose lines end as on Windows, which Linux does not run; save it with "+
			"LF line ends", name)
	}
	interpreter, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	if _, err := os.Stat(interpreter); err != nil {
		return fmt.Errorf("%s is a script for %s, which this machine does not have", name, interpreter)
	}
	return nil
}

// isScript reports whether the beginning of a file is text. The last character may be cut in two.
func isScript(head []byte) bool {
	for n := len(head); n > len(head)-utf8.UTFMax && n > 0; n-- {
		if utf8.Valid(head[:n]) {
			return !bytes.ContainsRune(head[:n], 0)
		}
	}
	return false
}

// checkFiles looks at the program, so that a mistake is told before the first invocation.
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

// missing says that there is no program, and what there is.
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
	message := fmt.Sprintf("%s has no program %q at its top, which is what %s runs; it has %s", where, f.Binary,
		clouds[f.Kind].title, strings.Join(names, ", "))
	for _, other := range clouds {
		if other.binary != f.Binary && slices.Contains(names, other.binary) {
			message += fmt.Sprintf(" (%s is what %s runs)", other.binary, other.title)
		}
	}
	return errors.New(message)
}

// fcSDK begins the names of the SDK's functions. A Go program holds the names of the functions
// that it links, stripped or not.
const fcSDK = "github.com/aliyun/fc-runtime-go-sdk/fc."

// readSymbols finds out what the program does with FC's SDK. It is an HTTP function if it links
// fc.StartHttp and no other start; a program that links both shows which it is when it is called.
func (f *Function) readSymbols(program []byte) {
	links := func(name string) bool { return bytes.Contains(program, []byte(fcSDK+name+"\x00")) }
	f.http = links("StartHttp") && !links("Start") && !links("StartHandler")
	if f.FindHooks {
		f.Initializer, f.PreStop = links("RegisterInitializerFunction"), links("RegisterPreStopFunction")
	}
}
