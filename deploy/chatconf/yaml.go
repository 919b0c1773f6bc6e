package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"chatconf/shared/document"
)

// parseYAML returns the JSON value of a text in YAML or JSON. Its error has all mistakes, each with
// the name of the text, and no value, which may be a secret.
func parseYAML(name string, text []byte) (*document.Node, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if n, err := document.Parse(name, string(text)); err == nil {
			return n, nil // JSON has escapes that YAML lacks
		}
	}
	n, err := decodeYAML(name, text)
	if err != nil {
		return nil, err
	}
	r := reader{path: name}
	root := r.read("", n, 0)
	return root, errors.Join(r.mistakes...)
}

// decodeYAML returns the one document of a text in YAML.
func decodeYAML(name string, text []byte) (*yaml.Node, error) {
	decoder, n := yaml.NewDecoder(bytes.NewReader(text)), new(yaml.Node)
	if err := decoder.Decode(n); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file is empty", name)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %s", name, syntaxOf(err))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file does not end after its first document; remove the rest", name)
	}
	return n, nil
}

// syntaxOf returns a syntax error of YAML without what the file has there, which may be a secret.
func syntaxOf(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if i := strings.IndexAny(text, "`'\""); i >= 0 {
		text = text[:i]
	}
	return "the file is not YAML: " + strings.TrimRight(text, " ")
}

// Limits of a document with aliases, which can make it much larger than its text.
const (
	maxNodes    = 100_000
	maxFileDeep = document.MaxDepth + 2
)

// A reader makes a document of YAML, and collects mistakes.
type reader struct {
	path     string
	nodes    int
	mistakes []error
}

func (r *reader) wrong(at, format string, args ...any) {
	if at == "" {
		at = "the file"
	}
	r.mistakes = append(r.mistakes, fmt.Errorf("%s: %s: %s", r.path, at, fmt.Sprintf(format, args...)))
}

// read returns the document of a node.
func (r *reader) read(at string, n *yaml.Node, depth int) *document.Node {
	out := &document.Node{Kind: document.Literal, Text: "null"}
	if r.nodes++; r.nodes > maxNodes || depth > maxFileDeep {
		if r.nodes <= maxNodes+1 {
			r.wrong(at, "is too large or too deep")
			r.nodes = maxNodes + 1
		}
		return out
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.read(at, n.Content[0], depth)
	case yaml.AliasNode:
		return r.read(at, n.Alias, depth+1)
	case yaml.SequenceNode:
		out.Kind, out.Text = document.Array, ""
		for i, item := range n.Content {
			out.Items = append(out.Items, r.read(document.At(at, i), item, depth+1))
		}
	case yaml.MappingNode:
		out.Kind, out.Text = document.Object, ""
		seen := make(map[string]bool)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			under := strings.TrimPrefix(document.Under(at, key.Value), ".")
			switch {
			case key.Kind != yaml.ScalarNode:
				r.wrong(at, "a key is a list or has keys; write a string")
			case key.ShortTag() == "!!merge":
				r.wrong(at, "%q is not supported; write the keys themselves", key.Value)
			case seen[key.Value]:
				r.wrong(under, "is given twice; write it once")
			default:
				seen[key.Value] = true
				out.Members = append(out.Members, document.Member{Key: key.Value,
					Value: r.read(under, n.Content[i+1], depth+1)})
			}
		}
	default:
		r.scalar(at, n, out)
	}
	return out
}

// scalar reads a text, a number, true, false or null.
func (r *reader) scalar(at string, n *yaml.Node, out *document.Node) {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp": // JSON has no dates
		out.Kind, out.Text = document.String, n.Value
	case "!!int", "!!float":
		out.Kind, out.Text = document.Number, n.Value
		if !json.Valid([]byte(n.Value)) { // such as 0x1f and .inf
			r.wrong(at, "is not a number in JSON; write a decimal number, or quote the text")
		}
	case "!!bool":
		out.Text = strings.ToLower(n.Value)
	case "!!null":
	default:
		r.wrong(at, "has the tag %s; remove it", tag)
	}
}
