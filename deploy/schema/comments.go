package schema

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"reflect"
	"strings"
)

// comments reads the comments of fields from the source.
type comments struct {
	root   fs.FS
	parsed map[string]map[string]map[string]string // by folder, type and field
}

// of returns the comments of the fields of a struct type of this module.
func (c *comments) of(t reflect.Type) (map[string]string, error) {
	folder := strings.TrimPrefix(t.PkgPath(), "chatconf/")
	if _, known := c.parsed[folder]; !known {
		types, err := c.parse(folder)
		if err != nil {
			return nil, err
		}
		c.parsed[folder] = types
	}
	return c.parsed[folder][t.Name()], nil
}

func (c *comments) parse(folder string) (map[string]map[string]string, error) {
	files, err := fs.Glob(c.root, path.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("schema: no source in %s: %v", folder, err)
	}
	types := make(map[string]map[string]string)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(c.root, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.StructType); ok {
				types[spec.Name.Name] = commentsOf(of)
			}
			return false
		})
	}
	return types, nil
}

func commentsOf(t *ast.StructType) map[string]string {
	out := make(map[string]string)
	for _, field := range t.Fields.List {
		text := field.Comment.Text()
		if text == "" {
			text = field.Doc.Text()
		}
		for _, name := range field.Names {
			out[name.Name] = strings.Join(strings.Fields(text), " ")
		}
	}
	return out
}
