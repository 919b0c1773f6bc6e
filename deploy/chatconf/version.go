package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/journal"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table/file"
)

// A version describes this program, as -o json prints it.
type version struct {
	Version    string // of the module, or unknown
	Revision   string `json:",omitempty"` // of the source, absent if the build did not record it
	Modified   bool   `json:",omitempty"` // the source had changes that are not in Revision
	Go         string
	Target     string // operating system and architecture
	ApiVersion string
	Formats    []format // of stored data
}

// A format is the version of one kind of stored data that this program reads and writes.
type format struct {
	Name    string
	Version int
}

// unknown is the version of a program whose build recorded none.
const unknown = "unknown"

func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program, its API and its stored formats",
		Long: `Print the version and the source revision of this program, the version of Go and the target that it
was built with, the version of the API that it serves, and the versions of the data formats that it
reads and writes.

Version and revision are those that 'go build' or 'go install' recorded in the program; they are
unknown if it was built with -buildvcs=false.`,
		Example: `  chatconf version -o json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			info, _ := debug.ReadBuildInfo()
			v := versionOf(info)
			if isData(output) {
				return printData(cmd.OutOrStdout(), output, v)
			}
			return v.print(cmd.OutOrStdout())
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// versionOf returns the version in a program's build information, which may be nil.
func versionOf(info *debug.BuildInfo) version {
	v := version{
		Version: unknown, Go: runtime.Version(), Target: runtime.GOOS + "/" + runtime.GOARCH, ApiVersion: rpc.Version,
		Formats: []format{
			{"configurations", chat.RecordVersion},
			{"access keys", accesskey.RecordVersion},
			{"journal", journal.RecordVersion},
			{"encrypted secrets", seal.Version},
			{"data file", file.Version},
			{"Tablestore emulator", ots.FileVersion},
		},
	}
	if info == nil {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// print writes the version for people.
func (v version) print(w io.Writer) error {
	revision := cmp.Or(v.Revision, unknown)
	if v.Modified {
		revision += ", modified"
	}
	formats := make([]string, len(v.Formats))
	for i, f := range v.Formats {
		formats[i] = fmt.Sprintf("%s %d", f.Name, f.Version)
	}
	_, err := fmt.Fprintf(w, "chatconf %s\n  revision         %s\n  built with       %s for %s\n"+
		"  API version      %s\n  stored formats   %s\n",
		v.Version, revision, v.Go, v.Target, v.ApiVersion, strings.Join(formats, ", "))
	return err
}
