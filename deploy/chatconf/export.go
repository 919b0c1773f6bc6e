package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// defaultDir is the folder of bot files.
const defaultDir = "bots"

// What export has done to a file.
const (
	fileCreated   = "Created"
	fileChanged   = "Changed"
	fileUnchanged = "Unchanged"
)

// An exportedBot says what export has done for a bot.
type exportedBot struct {
	Name    string
	File    string
	State   string
	Secrets []namedReference `json:",omitempty"` // references that export has chosen
}

func newExport() *cobra.Command {
	cmd := newVerb(&cobra.Command{
		Use:   "export [DIR]",
		Short: "Write all bots into files for Git, one for each",
		Long: `Write all configurations of a region into a folder (default bots), as one YAML file for each.
'chatconf apply' changes the service to match the files.

A file that agrees with the service is not changed. A file that is changed keeps its comments, its
order and its references to secrets. A file without a bot is kept, and named.

No secret is in a file, only references: ${env:NAME}, ${file:PATH} or ${command:…}. For a secret
without a reference, the file gets a variable, such as ${env:OPS_SLACK_SIGNING_SECRET}; the command
names it. Set the variable, write another reference, or write ****** to keep the stored secret.`,
		Example: `  chatconf export
  chatconf export bots/hangzhou --region cn-hangzhou`,
		Args: between(0, 1),
	}, func(ctx context.Context, v *verb, args []string) error {
		return v.export(ctx, append(args, defaultDir)[0])
	})
	cmd.ValidArgsFunction = completeDir
	return cmd
}

// completeDir lets the shell complete a folder.
func completeDir(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// export writes the bots of the service into the files of a folder.
func (v *verb) export(ctx context.Context, dir string) error {
	files, err := readBots(dir)
	if err != nil {
		return err
	}
	taken, err := takenBy(files)
	if err != nil {
		return err
	}
	bots, failed, err := v.present(ctx, nil, false)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	out := []exportedBot{}
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		mistakes = append(mistakes, fmt.Errorf("%s: %w", name, failed[name]))
	}
	var alone []string
	old := make(map[string]*botFile)
	for _, f := range files {
		old[f.name] = f
		if bots[f.name] == nil && failed[f.name] == nil {
			alone = append(alone, f.path)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bots)) {
		done, err := exportBot(dir, bots[name], old[name], taken)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		out = append(out, done)
	}
	if err := v.print(out, func() error { return v.printExport(out, alone) }); err != nil {
		return err
	}
	return errors.Join(mistakes...)
}

// exportBot writes the file of a bot, unless an old one says the same.
func exportBot(dir string, b *botState, old *botFile, taken map[string]bool) (out exportedBot, err error) {
	out = exportedBot{Name: b.name, File: filepath.Join(dir, b.name+".yaml"), State: fileCreated}
	p, err := platformOf(b.kind)
	if err != nil {
		return out, fmt.Errorf("%s: %w", b.name, err)
	}
	inOrder(b.configuration, configurationForms()[p.Type])
	if out.Secrets, err = refer(b, old, taken); err != nil {
		return out, err
	}
	text, err := textOfBot(b, old)
	if err != nil {
		return out, err
	}
	if old != nil {
		out.File, out.State = old.path, fileChanged
		if string(text) == string(old.text) {
			out.State = fileUnchanged
			return out, nil
		}
	} else if _, err := os.Lstat(out.File); err == nil { // names may differ only in case
		return out, fmt.Errorf("%s: the file belongs to another bot, not to %s; rename it", out.File, b.name)
	}
	return out, replaceFile(out.File, text, 0o644)
}

// replaceFile writes a file whole or not at all. A file that exists keeps its mode.
func replaceFile(path string, text []byte, mode fs.FileMode) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".chatconf-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Chmod(mode), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// printExport prints what export has done.
func (v *verb) printExport(list []exportedBot, alone []string) error {
	count := make(map[string]int)
	var b strings.Builder
	var rows [][]string
	for _, e := range list {
		count[e.State]++
		if e.State != fileUnchanged {
			fmt.Fprintf(&b, "%s: %s\n", e.File, strings.ToLower(e.State))
		}
		for _, s := range e.Secrets {
			rows = append(rows, []string{e.Name, s.Key, s.Reference})
		}
	}
	for _, path := range alone {
		fmt.Fprintf(&b, "%s: the service has no such bot; the file is kept\n", path)
	}
	if len(rows) > 0 {
		b.WriteString("\nSecrets that had no reference. Set these variables, or write another reference:\n\n")
		if err := printTable(&b, []string{"BOT", "SECRET", "REFERENCE"}, rows); err != nil {
			return err
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return v.printf("%sExported %s: %d created, %d changed, %d unchanged\n", b.String(), countOf(len(list)),
		count[fileCreated], count[fileChanged], count[fileUnchanged])
}

// countOf returns a number of bots in words.
func countOf(n int) string { return fmt.Sprint(n, " ", cmp.Or(map[int]string{1: "bot"}[n], "bots")) }
