package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/platform"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// A draft is a configuration that is being written. It has secrets.
type draft struct {
	secret.Hidden
	platform command.Platform
	root     *document.Node    // the Configuration
	params   map[string]string // what is not in the Configuration, by parameter

	given map[string]secret.Text // what files, standard input and a person have said, by argument
}

func newDraft(p command.Platform, root *document.Node) *draft {
	return &draft{platform: p, root: root, params: make(map[string]string), given: make(map[string]secret.Text)}
}

// draftParams are the parameters that Key=VALUE can give in addition to keys of the Configuration.
var draftParams = []string{"Status", "RamRole", "ResourceGroupId"}

// assign writes arguments Key=VALUE, Key=@FILE and Key=@- into a draft. Key= removes a key. Without
// a value a person is asked for it. A secret is refused as an argument. The error is a usage error
// and has all mistakes.
func (v *verb) assign(ctx context.Context, d *draft, args []string) error {
	var mistakes []string
	seen := make(map[string]bool)
	for _, arg := range args {
		key, _, _ := strings.Cut(arg, "=")
		if seen[key] {
			mistakes = append(mistakes, key+" is given twice; write it once")
			continue
		}
		seen[key] = true
		var wrong *usageError
		if err := v.assignOne(ctx, d, arg); errors.As(err, &wrong) {
			mistakes = append(mistakes, err.Error())
		} else if err != nil {
			return err
		}
	}
	if len(mistakes) > 0 {
		return usagef("%s", strings.Join(mistakes, "\n"))
	}
	return nil
}

func (v *verb) assignOne(ctx context.Context, d *draft, arg string) error {
	key, value, given := strings.Cut(arg, "=")
	path, isParam := strings.Split(key, "."), slices.Contains(draftParams, key)
	var form chat.Form
	if !isParam {
		var err error
		if path, form, err = findForm(d.platform, path); err != nil {
			return err
		}
	}
	text, known := d.given[arg]
	if !known {
		var err error
		if text, err = v.valueOf(ctx, key, value, given, form); err != nil {
			return err
		}
		d.given[arg] = text
	}
	switch {
	case isParam:
		d.params[key] = text.Reveal()
		return nil
	case given && value == "":
		remove(d.root, path)
		return nil
	}
	node, err := nodeOf(key, text.Reveal(), form)
	if err != nil {
		return usagef("%w", err)
	}
	if given && (!strings.HasPrefix(value, "@") || strings.HasPrefix(value, "@@")) {
		w := secretWalk{secret: func(path string, n *document.Node) {
			if n.Kind != document.String || n.Text != secret.Mask {
				err = secretArgument(path, key)
			}
		}}
		if w.values(key, node, form); err != nil {
			return err
		}
	}
	return put(d.root, path, node)
}

// valueOf returns the value of an argument.
func (v *verb) valueOf(ctx context.Context, key, value string, given bool, form chat.Form) (secret.Text, error) {
	file, isFile := strings.CutPrefix(value, "@")
	switch {
	case isFile && !strings.HasPrefix(file, "@"):
		text, err := readFileOrStdin(file, v.in)
		if err != nil {
			return "", usagef("the value of %s: %w", key, err)
		}
		return secret.Text(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")), nil
	case given && form.Secret && value != "": // not shown
		return "", secretArgument(key, key)
	case given && isFile:
		return secret.Text(file), nil
	case given:
		return secret.Text(value), nil
	case !v.asks:
		return "", usagef("%s has no value; write %s=VALUE, %s=@FILE or %s=@-", key, key, key, key)
	case form.Secret:
		return v.hidden(ctx, key+": ")
	}
	text, err := v.askText(ctx, key+": ")
	return secret.Text(text), err
}

// secretArgument is the error for a secret that is in an argument for a key. It does not show it.
func secretArgument(path, key string) error {
	return usagef("the value of %s is secret, and other users can see an argument; write %s=@FILE, or %s=@- "+
		"for standard input", path, key, key)
}

// askText asks a person for a line.
func (v *verb) askText(ctx context.Context, prompt string) (string, error) {
	if _, err := fmt.Fprint(v.messages, printable(prompt)); err != nil {
		return "", err
	}
	text, err := answerOf(ctx, func() (string, error) { return v.in.ReadString('\n') })
	return strings.TrimSpace(text), err
}

// findForm returns the path of a key as the Configuration has it, and the form of its value. A
// setting may have a name of the platform's console.
func findForm(p command.Platform, path []string) ([]string, chat.Form, error) {
	path = slices.Clone(path)
	if key, ok := chat.KeyOf(p, path[0]); ok {
		path[0] = key
	}
	form := chat.FormOf(p)
	for i, key := range path {
		if values := valuesOf(form); values != nil && key != "" {
			form = *values
			continue
		}
		forms := formsOf(form)
		next, ok := forms[key]
		if !ok {
			var known []string
			for _, f := range slices.Concat([]chat.Form{form}, form.Choice) {
				for _, field := range f.Fields {
					known = append(known, field.Key)
				}
			}
			if i == 0 {
				known = append(known, draftParams...)
			}
			at := strings.Join(path[:i+1], ".")
			if len(known) == 0 {
				return nil, chat.Form{}, usagef("unknown key %q; %s has no keys of its own", at,
					strings.Join(path[:i], "."))
			}
			return nil, chat.Form{}, usagef("unknown key %q; %s", at, chat.Suggestion(key, known))
		}
		form = next
	}
	return path, form, nil
}

// nodeOf returns the value that a text means for a form. A list of texts may be written with
// commas. Other values that are no text are JSON or YAML.
func nodeOf(key, text string, form chat.Form) (*document.Node, error) {
	switch {
	case form.Items != nil && !form.Items.Shape.IsZero() && !strings.HasPrefix(strings.TrimSpace(text), "[") &&
		!strings.Contains(text, "\n"):
		list := &document.Node{Kind: document.Array}
		for item := range strings.SplitSeq(text, ",") {
			list.Items = append(list.Items, textNode(strings.TrimSpace(item)))
		}
		return list, nil
	case form.Items != nil, form.Values != nil, form.Fields != nil, form.Choice != nil:
		return parseYAML(key, []byte(text))
	}
	return textNode(text), nil
}

// put sets the value at a path of an object, and makes the objects on the way.
func put(root *document.Node, path []string, value *document.Node) error {
	for i, key := range path {
		next := root.Get(key)
		switch {
		case i == len(path)-1 && next != nil:
			*next = *value
			return nil
		case i == len(path)-1:
			root.Members = append(root.Members, document.Member{Key: key, Value: value})
			return nil
		case next == nil:
			next = &document.Node{Kind: document.Object}
			root.Members = append(root.Members, document.Member{Key: key, Value: next})
		case next.Kind != document.Object:
			return usagef("%s is %v, and has no keys", strings.Join(path[:i+1], "."), next.Kind)
		}
		root = next
	}
	return nil
}

// remove removes the value at a path of an object, if there is one.
func remove(root *document.Node, path []string) {
	for _, key := range path[:len(path)-1] {
		if root = root.Get(key); root == nil || root.Kind != document.Object {
			return
		}
	}
	root.Members = slices.DeleteFunc(root.Members, func(m document.Member) bool { return m.Key == path[len(path)-1] })
}

// checker is a service without data, which checks requests before they are sent.
var checker = sync.OnceValues(func() (*chat.Service, error) {
	text, err := seal.GenerateRing("check")
	if err != nil {
		return nil, err
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		return nil, err
	}
	// The service that is called knows which addresses a Target may have.
	anywhere := dial.Networks{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	return chat.New(struct{ table.Table }{}, ring, platform.All().Descriptions(), chat.Options{Targets: anywhere})
})

// checkRequest returns all mistakes of a request that can be found without the service.
func checkRequest(request interface{ Check(*chat.Service) error }) error {
	s, err := checker()
	if err != nil {
		return err
	}
	err = request.Check(s)
	var wrong *fault.Error
	if errors.As(err, &wrong) {
		return fmt.Errorf("nothing was sent:\n    %s", strings.Join(sentences(wrong.Message), "\n    "))
	}
	return err
}
