package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

func newEdit() *cobra.Command {
	return newVerb(&cobra.Command{
		Use:   "edit NAME",
		Short: "Change a bot in your editor",
		Long: `Open a bot as YAML in your editor: VISUAL, else EDITOR, else vi. When you close the editor, the text
is checked, and then sent. Without a terminal, set EDITOR to a program that changes the file $1.

Secrets are ` + secret.Mask + `. Leave one as it is to keep it, or write a new value. The text is in a file that
only you can read, and that is removed at the end.

If there are mistakes, you are shown all of them and can edit again. If another caller has changed
the bot meanwhile, you are shown what you both changed, and can edit the combined text.`,
		Example: `  chatconf edit ops
  EDITOR='code --wait' chatconf edit ops`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error { return v.edit(ctx, args[0]) })
}

// defaultEditor is the editor if VISUAL and EDITOR are not set.
const defaultEditor = "vi"

// terminalEditors are the programs that need a terminal to edit a file.
var terminalEditors = []string{"vi", "vim", "nvim", "view", "nano", "pico", "micro", "hx", "joe", "mg", "ne", "elvis"}

// needsTerminal reports whether a command for an editor is known to need a terminal. With a script
// in its options such a program changes the file by itself.
func needsTerminal(editor string) bool {
	words := strings.Fields(editor)
	return len(words) > 0 && slices.Contains(terminalEditors, filepath.Base(words[0])) &&
		!slices.ContainsFunc(words[1:], func(word string) bool {
			return strings.HasPrefix(word, "+") || slices.Contains([]string{"-c", "-e", "-E", "-s", "-es", "-Es"}, word)
		})
}

// edit lets a person edit a bot until it is saved or given up.
func (v *verb) edit(ctx context.Context, name string) error {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"))
	if needed := cmp.Or(editor, defaultEditor); needsTerminal(needed) && !(v.asks && isTerminal(v.messages)) {
		return usagef("edit needs a terminal for the editor %s; without one use 'chatconf set' or 'chatconf apply', "+
			"or set EDITOR to a program that changes the file", needed)
	}
	before, err := v.get(ctx, name)
	if err != nil {
		return err
	}
	base, err := editable(before)
	if err != nil {
		return err
	}
	text, err := yamlText(yamlOf(base))
	if err != nil {
		return err
	}
	notes := []string{}
	for {
		mine, edited, err := v.editOnce(ctx, before, notes, text)
		if err != nil && mine == nil && edited == nil {
			return err
		}
		text = edited
		var answer *chat.WriteResponse
		if err == nil {
			if document.Same(base, mine) {
				return v.printf("Nothing was changed.\n")
			}
			answer, err = v.save(ctx, before, base, mine)
		}
		if err == nil {
			return v.print(answer, func() error { return v.printUpdated(before, answer) })
		}
		notes = strings.Split(err.Error(), "\n")
		if isConflict(err) {
			var clash bool
			if before, base, text, clash, err = v.combine(ctx, name, base, mine); err != nil {
				return err
			}
			notes = []string{"Another caller has changed the bot. This text has the changes of both."}
			if clash {
				notes = append(notes, "Where both changed the same, it has yours.")
			}
		} else if _, err := fmt.Fprintln(v.messages, printable(err.Error())); err != nil {
			return err
		}
		if err := v.confirmAgain(ctx); err != nil {
			return err
		}
	}
}

// confirmAgain asks whether to edit again. Without a person nothing was changed.
func (v *verb) confirmAgain(ctx context.Context) error {
	if !v.asks {
		return errors.New("nothing was changed")
	}
	answer, err := v.askText(ctx, "Edit again? [Y/n] ")
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer == "n" || answer == "no" {
		return errors.New("nothing was changed")
	}
	return nil
}

// editable returns what can be edited of a bot.
func editable(c *chat.Configuration) (*document.Node, error) {
	d, err := draftOf(c)
	if err != nil {
		return nil, err
	}
	out := objectOf("Status", c.Status)
	for _, m := range [...][2]string{{"RamRole", c.RamRole}, {"ResourceGroupId", c.ResourceGroupId}} {
		out.Members = append(out.Members, document.Member{Key: m[0], Value: textNode(m[1])})
	}
	out.Members = append(out.Members, document.Member{Key: "Configuration", Value: d.root})
	return out, nil
}

// editOnce lets a person edit a text, and returns it, and what it says. If it says nothing that can
// be saved, the error is for the person, who can edit again. Without an edited text it is final.
func (v *verb) editOnce(ctx context.Context, c *chat.Configuration, notes []string,
	text []byte) (mine *document.Node, edited []byte, err error) {
	head := fmt.Sprintf("# %s, a bot of %s, revision %s. To keep a secret, leave %s as it is.\n", c.Name, c.Type,
		cmp.Or(revisionText(c.Revision), "unknown"), secret.Mask)
	for _, note := range notes {
		head += "# ! " + oneLine(note) + "\n"
	}
	edited, err = v.openEditor(ctx, append([]byte(head), text...))
	if err != nil {
		return nil, nil, err
	}
	edited = withoutHead(edited)
	if len(strings.TrimSpace(string(edited))) == 0 {
		return nil, nil, errors.New("the text is empty; nothing was changed")
	}
	mine, err = parseYAML("the text", edited)
	switch {
	case err != nil:
		return nil, edited, err
	case mine.Kind != document.Object:
		return nil, edited, fmt.Errorf("the text is %v; write keys and values", mine.Kind)
	}
	known := append(slices.Clone(draftParams), "Configuration")
	for _, m := range mine.Members {
		switch {
		case !slices.Contains(known, m.Key):
			return nil, edited, fmt.Errorf("unknown key %q; %s", m.Key, chat.Suggestion(m.Key, known))
		case m.Key == "Configuration" && m.Value.Kind != document.Object:
			return nil, edited, fmt.Errorf("%s is %v; write keys and values", m.Key, m.Value.Kind)
		case m.Key != "Configuration" && m.Value.Kind == document.Literal && m.Value.Text == "null":
			*m.Value = *textNode("")
		case m.Key != "Configuration" && m.Value.Kind != document.String:
			return nil, edited, fmt.Errorf("%s is %v; write a string", m.Key, m.Value.Kind)
		}
	}
	if mine.Get("Configuration") == nil {
		return nil, edited, errors.New("the key Configuration is missing; write the settings under it")
	}
	return mine, edited, nil
}

// withoutHead removes the comments at the beginning of a text, which the tool writes anew.
func withoutHead(text []byte) []byte {
	for strings.HasPrefix(string(text), "#") {
		_, rest, _ := strings.Cut(string(text), "\n")
		text = []byte(rest)
	}
	return text
}

// openEditor lets a person edit a text in a file that only this user can read.
func (v *verb) openEditor(ctx context.Context, text []byte) (edited []byte, err error) {
	dir, err := os.MkdirTemp("", "chatconf-edit-") // for its owner only
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "bot.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	// The end of a terminal must not end this program before the text is removed.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), defaultEditor)
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = v.stdin, v.messages, v.messages
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the editor %q: %w; nothing was changed", editor, err)
	}
	return os.ReadFile(path)
}

// save sends what a person has changed.
func (v *verb) save(ctx context.Context, before *chat.Configuration,
	base, mine *document.Node) (*chat.WriteResponse, error) {
	d, err := draftOf(before)
	if err != nil {
		return nil, err
	}
	d.root = mine.Get("Configuration")
	for _, param := range draftParams {
		if text := mine.TextOf(param, ""); text != base.TextOf(param, "") {
			d.params[param] = text
		}
	}
	return v.update(ctx, before, d)
}

// combine reads a bot again, which another caller has changed, prints what both changed, and
// returns a text with both changes. clash says that both changed the same.
func (v *verb) combine(ctx context.Context, name string, base, mine *document.Node) (now *chat.Configuration,
	theirs *document.Node, text []byte, clash bool, err error) {
	if now, err = v.get(ctx, name); err != nil {
		return nil, nil, nil, false, err
	}
	if theirs, err = editable(now); err != nil {
		return nil, nil, nil, false, err
	}
	var lines strings.Builder
	whole := combined(base, mine, theirs, "", func(path string, base, mine, theirs *document.Node, both bool) {
		clash = clash || both
		lines.WriteString(path + "\n")
		for _, side := range [...]struct {
			sign string
			of   *document.Node
		}{{"  before: ", base}, {"  theirs: ", theirs}, {"  yours:  ", mine}} {
			lines.WriteString(side.sign + sideText(path, side.of, base, theirs) + "\n")
		}
	})
	who := "another caller"
	if last, err := v.revisions(ctx, name, 1); err == nil {
		who = fmt.Sprintf("%s at %s UTC", last[0].Caller, shortDate(last[0].Date))
	}
	if _, err := fmt.Fprintf(v.messages, "%s was changed meanwhile by %s.\n\n%s\n", name, printable(who),
		printable(lines.String())); err != nil {
		return nil, nil, nil, false, err
	}
	text, err = yamlText(yamlOf(whole))
	return now, theirs, text, clash, err
}

// sideText returns one of three values in one line. A new value of a secret is not shown.
func sideText(path string, n, base, theirs *document.Node) string {
	isMask := func(n *document.Node) bool { return n != nil && n.Kind == document.String && n.Text == secret.Mask }
	switch {
	case n == nil:
		return "(none)"
	case !isMask(n) && (isMask(base) || isMask(theirs) || isSecretPath(path)):
		return "(not shown, it may be secret)"
	}
	return oneLine(plainText(n))
}

// quotedKey is a key in a path that has quotes. It is a name that people have chosen.
var quotedKey = regexp.MustCompile(`\["(?:[^"\\]|\\.)*"…?\]`)

// isSecretPath reports whether the value at a path of a bot is secret, whatever its type.
func isSecretPath(path string) bool {
	keys := strings.Split(quotedKey.ReplaceAllString(path, ".name"), ".")
	if keys[0] != "Configuration" || len(keys) < 2 {
		return false
	}
	for _, kind := range typeNames() {
		p, err := platformOf(kind)
		if err != nil {
			continue
		}
		if _, form, err := findForm(p, keys[1:]); err == nil && (form.Secret || holdsSecret(form)) {
			return true
		}
	}
	return false
}

// holdsSecret reports whether a value of a form may have a secret in it.
func holdsSecret(form chat.Form) bool {
	if form.Secret {
		return true
	}
	if values := valuesOf(form); values != nil && holdsSecret(*values) {
		return true
	}
	for _, f := range formsOf(form) {
		if holdsSecret(f) {
			return true
		}
	}
	return false
}

// combined returns an object with the changes of two others since base. differ is called for each
// path that one of them changed; both says that they changed it in two ways. Then it is mine.
func combined(base, mine, theirs *document.Node, path string,
	differ func(path string, base, mine, theirs *document.Node, both bool)) *document.Node {
	isObject := func(n *document.Node) bool { return n != nil && n.Kind == document.Object }
	same := func(a, b *document.Node) bool {
		if a == nil || b == nil {
			return a == b
		}
		return document.Same(a, b)
	}
	if !isObject(base) || !isObject(mine) || !isObject(theirs) {
		switch {
		case same(base, mine) && same(base, theirs):
			return base
		case same(base, mine):
			differ(path, base, mine, theirs, false)
			return theirs
		}
		differ(path, base, mine, theirs, !same(base, theirs) && !same(mine, theirs))
		return mine
	}
	out := &document.Node{Kind: document.Object}
	seen := make(map[string]bool)
	for _, m := range slices.Concat(theirs.Members, mine.Members, base.Members) {
		if seen[m.Key] {
			continue
		}
		seen[m.Key] = true
		under := strings.TrimPrefix(document.Under(path, m.Key), ".")
		if value := combined(base.Get(m.Key), mine.Get(m.Key), theirs.Get(m.Key), under, differ); value != nil {
			out.Members = append(out.Members, document.Member{Key: m.Key, Value: value})
		}
	}
	return out
}
