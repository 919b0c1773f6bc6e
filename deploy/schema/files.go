package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/platform"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// Folder is where the files are, from the root of the repository.
const Folder = "deploy/schema/"

// Names of files that a service shows.
const (
	OpenAPI = "openapi.json"
	Bot     = "bot.json"
)

//go:embed *.json
var made embed.FS

// Made returns a file as it was made.
func Made(name string) ([]byte, error) { return made.ReadFile(name) }

// Files makes all files, by path from the root of the repository. root is that root: the source and
// its pages explain keys, parameters and answers.
func Files(root fs.FS) (map[string][]byte, error) {
	api, err := fs.ReadFile(root, "functions/README.md")
	if err != nil {
		return nil, err
	}
	commands, err := fs.ReadFile(root, "shared/command/README.md")
	if err != nil {
		return nil, err
	}
	platforms := platform.All().Descriptions()
	sections := sectionsOf(string(api))
	w := writer{meanings: meaningsOf(string(api), string(commands)), classes: make(map[string]string)}
	schemas := make(map[string]object)
	var types []string
	for _, p := range platforms {
		schema := w.configuration(p)
		schema["$defs"], schema["$schema"], schema["title"] = w.common, draft, "The Configuration of a bot for "+p.Title
		schemas["configuration-"+strings.ToLower(p.Type)+".json"] = schema
		types = append(append(types, p.Type), p.Aliases...)
	}
	w.inFile = true
	schemas[Bot] = w.bot(platforms, sections["CreateChatConfiguration"].meanings)
	if err := w.check(); err != nil {
		return nil, err
	}
	ring, err := seal.NewRing(seal.Key{ID: "unused", Secret: [seal.KeySize]byte{1}})
	if err != nil {
		return nil, err
	}
	service, err := chat.New(noTable{}, ring, platforms, chat.Options{})
	if err != nil {
		return nil, err
	}
	others := slices.Concat(rpc.KeyActions(), rpc.ResealActions())
	d := describer{
		writer:  writer{meanings: w.meanings, classes: w.classes, inAPI: true},
		service: service, types: types, sections: sections, schemas: object{},
		statuses: statusesOf(string(api)),
		comments: &comments{root, make(map[string]map[string]map[string]string)},
	}
	if schemas[OpenAPI], err = d.openAPI(rpc.Actions(), others); err != nil {
		return nil, err
	}
	out := make(map[string][]byte)
	for name, schema := range schemas {
		text, err := encode(schema)
		if err != nil {
			return nil, fmt.Errorf("schema: %s: %w", name, err)
		}
		out[Folder+name] = text
	}
	return out, nil
}

// noTable is the table of a service that only checks requests.
type noTable struct{ table.Table }

// encode returns an object as indented JSON. Other characters than ASCII are escaped, since many
// cannot be seen. Those of two UTF-16 units are not: programs that read JSON as YAML do not know
// such escapes.
func encode(o object) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(o); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range b.String() {
		if r < 0x7f || r > 0xffff {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes(), nil
}
