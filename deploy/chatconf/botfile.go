package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"chatconf/shared/chat"
	"chatconf/shared/document"
)

// The keys of a bot file, in their order. deploy/schema/bot.json describes them.
const (
	fileName          = "Name"
	fileType          = "Type"
	fileStatus        = "Status"
	fileRole          = "RamRole"
	fileGroup         = "ResourceGroupId"
	fileTags          = "Tags"
	fileConfiguration = "Configuration"
)

var fileKeys = []string{fileName, fileType, fileStatus, fileRole, fileGroup, fileTags, fileConfiguration}

// A botState is a configuration as a file or the service has it. Its secrets are masks or
// references.
type botState struct {
	name, kind, status, role, group string

	tags          *document.Node // an object of strings
	configuration *document.Node // an object
	revision      int64          // in the service; 0 of a service that is not chatconf
}

// A botFile is a YAML file with a bot.
type botFile struct {
	botState
	path string
	node *yaml.Node // the whole document, with its comments
	text []byte
}

// document returns a bot as a file has it, without keys that have no value.
func (b *botState) document() *document.Node {
	out := objectOf(fileName, b.name, fileType, b.kind, fileStatus, b.status, fileRole, b.role, fileGroup, b.group)
	if len(b.tags.Members) > 0 {
		out.Members = append(out.Members, document.Member{Key: fileTags, Value: b.tags})
	}
	out.Members = append(out.Members, document.Member{Key: fileConfiguration, Value: b.configuration})
	return out
}

// readBots reads all bot files of a folder, in the order of their bots. Its error has all mistakes.
// A folder that does not exist has none.
func readBots(dir string) (files []*botFile, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var mistakes []error
	named := make(map[string]string)
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := readBot(path)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		f, err := parseBot(path, text)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		if other, twice := named[f.name]; twice {
			mistakes = append(mistakes, fmt.Errorf("%s: the bot %s is in %s too; remove one of the files", path,
				f.name, other))
			continue
		}
		named[f.name] = path
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *botFile) int { return strings.Compare(a.name, b.name) })
	return files, errors.Join(mistakes...)
}

// readBot reads a bot file. In the folder of another person it may be a device or a pipe.
func readBot(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file; remove it", path)
	case info.Size() > maxAnswer:
		return nil, fmt.Errorf("%s has %d bytes; a bot file has at most %d", path, info.Size(), maxAnswer)
	}
	return os.ReadFile(path)
}

// parseBot parses a bot file. Its error has all mistakes, each with the path.
func parseBot(path string, text []byte) (*botFile, error) {
	n, err := decodeYAML(path, text)
	if err != nil {
		return nil, err
	}
	f := &botFile{path: path, node: n, text: text}
	r := reader{path: path}
	root := r.read("", f.node, 0)
	if len(r.mistakes) == 0 {
		f.take(&r, root)
	}
	if len(r.mistakes) > 0 {
		return nil, errors.Join(r.mistakes...)
	}
	return f, nil
}

// take takes the values of a document.
func (f *botFile) take(r *reader, root *document.Node) {
	if root.Kind != document.Object {
		r.wrong("the file", "is %v; write Name, Type and Configuration", root.Kind)
		return
	}
	f.tags, f.configuration = objectOf(), objectOf()
	texts := map[string]*string{fileName: &f.name, fileType: &f.kind, fileStatus: &f.status, fileRole: &f.role,
		fileGroup: &f.group}
	for _, m := range root.Members {
		text, isText := texts[m.Key]
		switch {
		case isText && m.Value.Kind != document.String:
			r.wrong(m.Key, "is %v; write a string", m.Value.Kind)
		case isText:
			*text = m.Value.Text
		case m.Key != fileTags && m.Key != fileConfiguration:
			r.wrong(m.Key, "unknown key; %s", chat.Suggestion(m.Key, fileKeys))
		case m.Value.Kind != document.Object:
			r.wrong(m.Key, "is %v; write keys and values", m.Value.Kind)
		case m.Key == fileTags:
			f.tags = m.Value
			for _, tag := range m.Value.Members {
				if tag.Value.Kind != document.String {
					r.wrong(document.Under(fileTags, tag.Key), "is %v; write a string", tag.Value.Kind)
				}
			}
		default:
			f.configuration = m.Value
		}
	}
	for _, key := range [...]string{fileName, fileType, fileConfiguration} {
		if root.Get(key) == nil {
			r.wrong(key, "is missing")
		}
	}
	if f.status == "" {
		f.status = chat.StatusActive
	}
	if f.name != "" && !isName(f.name) {
		r.wrong(fileName, "%q is invalid; write letters, digits, '-' and '_'", f.name)
	}
	if kind, err := typeOf(f.kind); f.kind != "" && err != nil {
		r.wrong(fileType, "%v", err)
	} else if f.kind != "" {
		f.kind = kind
	}
}

// isName reports whether a text can be part of a path and of a filter, as every name of a bot can.
func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// merged returns the YAML of a new document in the shape of an old one: with its comments, its
// order of keys and its style. Equal parts are not changed.
func merged(old *yaml.Node, after *document.Node) *yaml.Node {
	before := new(reader).read("", old, 0)
	if document.Same(before, after) {
		return old
	}
	out := yamlOf(after)
	out.HeadComment, out.LineComment, out.FootComment = old.HeadComment, old.LineComment, old.FootComment
	switch {
	case old.Kind == yaml.DocumentNode:
		whole := *old
		whole.Content = []*yaml.Node{merged(old.Content[0], after)}
		return &whole
	case old.Kind == yaml.MappingNode && after.Kind == document.Object:
		out.Style = old.Style
		out.Content = mergedKeys(old, after)
	case old.Kind == yaml.SequenceNode && after.Kind == document.Array:
		out.Style = old.Style
		out.Content = mergedItems(old.Content, before.Items, after.Items)
	case old.Kind == yaml.ScalarNode && out.Kind == yaml.ScalarNode && out.Style == 0 &&
		old.ShortTag() == out.ShortTag():
		out.Style = old.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
	}
	return out
}

// mergedKeys returns the keys and values of an object in the order of the old ones. A new key
// follows the key that is before it in the new order.
func mergedKeys(old *yaml.Node, after *document.Node) []*yaml.Node {
	var list []*yaml.Node
	place := make(map[string]int) // by key: the index of what follows it
	for i := 0; i+1 < len(old.Content); i += 2 {
		key := old.Content[i]
		if value := after.Get(key.Value); value != nil {
			list = append(list, key, merged(old.Content[i+1], value))
			place[key.Value] = len(list)
		}
	}
	at := 0
	for _, m := range after.Members {
		if next, there := place[m.Key]; there {
			at = next
			continue
		}
		list = slices.Insert(list, at, yamlString(m.Key), yamlOf(m.Value))
		for key, next := range place {
			if next > at {
				place[key] = next + 2
			}
		}
		at += 2
	}
	return list
}

// mergedItems returns the items of a list. Equal items at the beginning and at the end are not
// changed.
func mergedItems(old []*yaml.Node, before, after []*document.Node) (list []*yaml.Node) {
	head := 0
	for head < min(len(before), len(after)) && document.Same(before[head], after[head]) {
		head++
	}
	tail := 0
	for tail < min(len(before), len(after))-head &&
		document.Same(before[len(before)-1-tail], after[len(after)-1-tail]) {
		tail++
	}
	list = slices.Clone(old[:head])
	for i := head; i < len(after)-tail; i++ {
		if i < len(old)-tail {
			list = append(list, merged(old[i], after[i]))
		} else {
			list = append(list, yamlOf(after[i]))
		}
	}
	return append(list, old[len(old)-tail:]...)
}

// textOfBot returns the text of a file for a bot. The text of an old file is kept if it says the
// same.
func textOfBot(b *botState, old *botFile) ([]byte, error) {
	after := b.document()
	if old == nil {
		return yamlText(yamlOf(after))
	}
	if document.Same(old.document(), after) {
		return old.text, nil
	}
	text, err := yamlText(merged(old.node, after))
	if err != nil {
		return nil, err
	}
	f, err := parseBot(old.path, text)
	if err != nil || !document.Same(f.document(), after) {
		return nil, fmt.Errorf("%s: its anchors do not fit what the service has; write it without anchors", old.path)
	}
	return text, nil
}
