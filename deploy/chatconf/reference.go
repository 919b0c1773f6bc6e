package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"chatconf/deploy/schema"
	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/platform"
	"chatconf/shared/secret"
)

// A secret in a bot file is a reference, or the mask. The tool knows where secrets are from the
// declarations that the service checks with.

// typeOf returns the name of a Type, which may be an alias.
func typeOf(kind string) (string, error) {
	p, err := platformOf(kind)
	return p.Type, err
}

// configurationForms returns the forms of Configurations by type.
var configurationForms = sync.OnceValue(func() map[string]chat.Form {
	out := make(map[string]chat.Form)
	for _, p := range platform.All().Descriptions() {
		out[p.Type] = chat.FormOf(p)
	}
	return out
})

// A secretWalk goes through a Configuration.
type secretWalk struct {
	secret  func(path string, n *document.Node) // is called for each value that is secret
	unknown func(path, advice string)           // is called for each key without a declaration; may be nil
}

// of walks through the Configuration of a bot.
func (w *secretWalk) of(b *botState) error {
	p, err := platformOf(b.kind)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	w.values(fileConfiguration, b.configuration, configurationForms()[p.Type])
	return nil
}

func (w *secretWalk) values(path string, n *document.Node, form chat.Form) {
	switch {
	case form.Secret, n.Kind == document.String && n.Text == secret.Mask:
		w.secret(path, n)
	case n.Kind == document.Array:
		for i, item := range n.Items {
			w.values(document.At(path, i), item, itemOf(form))
		}
	case n.Kind == document.Object:
		known := formsOf(form)
		for _, m := range n.Members {
			under, f := document.Under(path, m.Key), chat.Form{}
			if values := valuesOf(form); values != nil {
				f = *values
			} else if declared, ok := known[m.Key]; ok {
				f = declared
			} else if len(known) > 0 && w.unknown != nil {
				w.unknown(under, chat.Suggestion(m.Key, slices.Sorted(maps.Keys(known))))
			}
			w.values(under, m.Value, f)
		}
	}
}

// inOrder sorts the keys of a Configuration as they are declared. Names that people have chosen
// keep their order.
func inOrder(n *document.Node, form chat.Form) {
	for _, item := range n.Items {
		inOrder(item, itemOf(form))
	}
	values, known := valuesOf(form), formsOf(form)
	order := orderOf(form)
	for _, m := range n.Members {
		if values != nil {
			inOrder(m.Value, *values)
		} else {
			inOrder(m.Value, known[m.Key])
		}
	}
	if len(order) == 0 {
		return
	}
	place := func(m document.Member) int {
		if i := slices.Index(order, m.Key); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(n.Members, func(a, b document.Member) int { return place(a) - place(b) })
}

// orderOf returns the keys of an object as they are declared. A key that only some forms have
// follows the one before it there.
func orderOf(form chat.Form) (order []string) {
	for _, f := range slices.Concat([]chat.Form{form}, form.Choice) {
		at := 0
		for _, field := range f.Fields {
			i := slices.Index(order, field.Key)
			if i < 0 {
				i = at
				order = slices.Insert(order, i, field.Key)
			}
			at = i + 1
		}
	}
	return order
}

// references finds the secrets that files refer to.
type references struct {
	secret.Hidden
	getenv func(string) (string, bool)
	run    func(ctx context.Context, command, dir string) ([]byte, error)
	found  map[string]secret.Text // by folder and reference
}

func newReferences(messages io.Writer) *references {
	return &references{getenv: os.LookupEnv, found: make(map[string]secret.Text),
		run: func(ctx context.Context, command, dir string) ([]byte, error) {
			cmd := exec.CommandContext(ctx, "sh", "-c", command)
			cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, messages, processEnd
			return cmd.Output()
		}}
}

var reference = regexp.MustCompile(schema.Reference)

// readAtMost reads the first bytes of a file, which may have no end.
func readAtMost(path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(most)))
}

// maxSecret is the size of a secret in bytes, which no platform reaches.
const maxSecret = 16 << 10

// find returns the secret of a reference in a file of the folder dir.
func (r *references) find(ctx context.Context, dir, text string) (secret.Text, error) {
	key := dir + "\x00" + text
	if found, ok := r.found[key]; ok {
		return found, nil
	}
	m := reference.FindStringSubmatch(text)
	if m == nil { // not shown: it may be the secret itself
		return "", fmt.Errorf("a secret must not be in a file; write %s, or %s to keep the stored one",
			schema.References, secret.Mask)
	}
	var value []byte
	switch kind, of := m[1], m[2]; kind {
	case "env":
		v, ok := r.getenv(of)
		if !ok {
			return "", fmt.Errorf("%s: the variable is not set; set it, or write %s to keep the stored secret", text,
				secret.Mask)
		}
		value = []byte(v)
	case "file":
		if !filepath.IsAbs(of) {
			of = filepath.Join(dir, of)
		}
		v, err := readAtMost(of, maxSecret+len("\r\n")+1)
		if err != nil {
			return "", fmt.Errorf("%s: %w", text, err)
		}
		value = v
	default:
		v, err := r.run(ctx, of, dir)
		if err != nil {
			return "", fmt.Errorf("%s: the command failed: %w", text, err)
		}
		value = v
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	switch {
	case len(value) == 0:
		return "", fmt.Errorf("%s: the secret is empty", text)
	case len(value) > maxSecret:
		return "", fmt.Errorf("%s: the secret is too large; the most is %d bytes", text, maxSecret)
	case string(value) == secret.Mask:
		return "", fmt.Errorf("%s: the secret is the mask; to keep the stored one, write %s in the file", text,
			secret.Mask)
	}
	r.found[key] = secret.Text(value)
	return r.found[key], nil
}

// A filled Configuration has the secrets that a file refers to.
type filled struct {
	secret.Hidden
	text secret.Text // JSON
	sent bool        // it has secrets, and not only masks
}

// fill returns the Configuration of a file with its secrets. Its error has all mistakes.
func (r *references) fill(ctx context.Context, f *botFile) (filled, error) {
	var mistakes []error
	wrong := func(path string, err error) {
		mistakes = append(mistakes, fmt.Errorf("%s: %s: %w", f.path, path, err))
	}
	out, whole := filled{}, f.botState
	whole.configuration = cloneOf(f.configuration)
	w := secretWalk{
		secret: func(path string, n *document.Node) {
			switch {
			case n.Kind != document.String:
				wrong(path, fmt.Errorf("is %v; write %s", n.Kind, schema.References))
			case n.Text != secret.Mask:
				found, err := r.find(ctx, filepath.Dir(f.path), n.Text)
				if err != nil {
					wrong(path, err)
					return
				}
				n.Text, out.sent = found.Reveal(), true
			}
		},
		unknown: func(path, advice string) { wrong(path, errors.New("unknown key; "+advice)) },
	}
	if err := w.of(&whole); err != nil {
		wrong(fileType, err)
	}
	out.text = secret.Text(whole.configuration.String())
	return out, errors.Join(mistakes...)
}

// A named reference is one that export has chosen.
type namedReference struct {
	Key       string // of the secret, such as Actions.restart.Target.Secret
	Reference string
}

// refer replaces each secret of a bot by the reference of its old file, or by a new one with a name
// that is not taken. It returns the new ones.
func refer(b *botState, old *botFile, taken map[string]bool) (made []namedReference, err error) {
	before := make(map[string]string)
	note := secretWalk{secret: func(path string, n *document.Node) { before[path] = n.Text }}
	if old != nil {
		if err := note.of(&old.botState); err != nil {
			return nil, err
		}
	}
	w := secretWalk{secret: func(path string, n *document.Node) {
		if text := before[path]; text == secret.Mask || reference.MatchString(text) {
			*n = *textNode(text)
			return
		}
		key := strings.TrimPrefix(path, fileConfiguration+".")
		name := variableOf(b.name + "_" + key)
		for i := 2; taken[name]; i++ {
			name = fmt.Sprintf("%s_%d", variableOf(b.name+"_"+key), i)
		}
		taken[name] = true
		*n = *textNode("${env:" + name + "}")
		made = append(made, namedReference{key, n.Text})
	}}
	return made, w.of(b)
}

// taken returns the names of environment variables that files refer to.
func takenBy(files []*botFile) (map[string]bool, error) {
	out := make(map[string]bool)
	for _, f := range files {
		w := secretWalk{secret: func(_ string, n *document.Node) {
			if m := reference.FindStringSubmatch(n.Text); m != nil && m[1] == "env" {
				out[m[2]] = true
			}
		}}
		if err := w.of(&f.botState); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// variableOf returns a text as the name of an environment variable, in upper snake case.
func variableOf(text string) string {
	var b strings.Builder
	before := rune(0)
	for _, r := range text {
		switch {
		case r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = '_'
		case unicode.IsUpper(r) && unicode.IsLower(before):
			b.WriteByte('_')
		}
		if r != '_' || before != '_' {
			b.WriteRune(unicode.ToUpper(r))
		}
		before = r
	}
	name := strings.Trim(b.String(), "_")
	if name == "" || unicode.IsDigit(rune(name[0])) {
		name = "BOT_" + name
	}
	return name
}
