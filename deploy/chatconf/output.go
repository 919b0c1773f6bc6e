package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"chatconf/shared/document"
)

// The formats of the output.
const (
	outputTable = "table"
	outputWide  = "wide" // a table with all columns
	outputJSON  = "json"
	outputYAML  = "yaml"
)

var outputs = []string{outputTable, outputWide, outputJSON, outputYAML}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", outputTable, "format of the output: table, wide, json or yaml")
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
}

func checkOutput(output string) error {
	if !slices.Contains(outputs, output) {
		return usagef("unknown --output %q; use table, wide, json or yaml", output)
	}
	return nil
}

// isData reports whether a format is for programs.
func isData(output string) bool { return output == outputJSON || output == outputYAML }

// printData prints a value as JSON or YAML, with the same keys in the same order.
func printData(w io.Writer, output string, v any) error {
	if output != outputYAML {
		return printJSON(w, v)
	}
	text, err := document.Encode(v)
	if err != nil {
		return err
	}
	root, err := document.Parse("answer", string(text))
	if err != nil {
		return err
	}
	text, err = yamlText(yamlOf(root))
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func printJSON(w io.Writer, v any) error { return encodeJSON(w, v, "  ") }

// printLine prints JSON in one line.
func printLine(w io.Writer, v any) error { return encodeJSON(w, v, "") }

func encodeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	return writeJSON(w, b.String())
}

// writeJSON writes a text in JSON. What a terminal would obey is only in its strings, and is
// escaped: JSON itself allows more of that.
func writeJSON(w io.Writer, text string) error {
	_, err := io.WriteString(w, escaped(text))
	return err
}

// escaped returns a text in JSON or YAML, in which only strings in double quotation marks have
// characters that a terminal obeys. They are escaped.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if controls(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// yamlText returns a node as a YAML document. It quotes the strings that a terminal would obey.
// YAML itself allows marks of the direction of writing, which let a text look like another one.
func yamlText(n *yaml.Node) ([]byte, error) {
	quote(n)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(n), e.Close()); err != nil {
		return nil, err
	}
	return []byte(escaped(b.String())), nil
}

// quote quotes the strings in a node that have characters which a terminal obeys.
func quote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.ContainsFunc(n.Value, controls) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		quote(child)
	}
}

// yamlOf returns a JSON value as a YAML node, members in their order.
func yamlOf(n *document.Node) *yaml.Node {
	out := new(yaml.Node)
	switch n.Kind {
	case document.Object:
		out.Kind, out.Tag = yaml.MappingNode, "!!map"
		for _, m := range n.Members {
			out.Content = append(out.Content, yamlString(m.Key), yamlOf(m.Value))
		}
	case document.Array:
		out.Kind, out.Tag = yaml.SequenceNode, "!!seq"
		for _, item := range n.Items {
			out.Content = append(out.Content, yamlOf(item))
		}
	case document.String:
		return yamlString(n.Text)
	default: // the text of a number, a truth value or null means the same in YAML
		out.Kind, out.Value = yaml.ScalarNode, n.String()
		if n.Kind == document.Number && out.ShortTag() == "!!str" { // such as 1e999
			out.Tag = "!!float"
		}
	}
	return out
}

// yamlString returns a text as a node. Only lines of ordinary characters become a block. What is
// true or false in YAML 1.1, and the key that merges objects there, is quoted.
func yamlString(text string) *yaml.Node {
	out := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	special := strings.ContainsFunc(text, func(r rune) bool {
		return controls(r) || r == '\t' || r == '\u2028' || r == '\u2029' || r == '\ufeff'
	})
	if special || strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\n") || strings.Contains(text, " \n") ||
		slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "<<"}, strings.ToLower(text)) {
		out.Style = yaml.DoubleQuotedStyle
	}
	return out
}

// A color is the code of a color of terminals.
// https://man7.org/linux/man-pages/man4/console_codes.4.html
type color string

const (
	noColor color = ""
	bold    color = "1"
	red     color = "31"
	green   color = "32"
	yellow  color = "33"
)

// wordColors are the colors of words that tell a state.
var wordColors = map[string]color{
	"Active": green, "Working": green, "Succeeded": green, "Delivered": green, "Allowed": green, "Passed": green,
	"Failing": red, "Failed": red, "Denied": red,
	"Inactive": yellow, "Silent": yellow, "Pending": yellow, "Running": yellow,
}

// colorOf returns the color of a word for a state.
func colorOf(word string) color { return wordColors[word] }

// hasColors reports whether colors may be written: to a terminal, unless the person wants none.
// https://no-color.org
func hasColors(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// paint returns a text in a color, if colors may be written.
func paint(w io.Writer, text string, c color) string {
	if c == noColor || !hasColors(w) {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// paintLines returns the lines of a comparison in colors, if colors may be written: what is removed
// begins with -, what is added with +, both indented.
func paintLines(w io.Writer, text string) string {
	if !hasColors(w) {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		bare := strings.TrimSuffix(line, "\n")
		c := noColor
		switch {
		case strings.HasPrefix(bare, "  - "):
			c = red
		case strings.HasPrefix(bare, "  + "):
			c = green
		}
		b.WriteString(paint(w, bare, c) + line[len(bare):])
	}
	return b.String()
}

// printTable prints rows in columns under a header. An empty cell is a hyphen. On a terminal the
// header is bold, and words that tell a state have their color.
func printTable(w io.Writer, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	lines := make([][]string, 0, 1+len(rows))
	for _, row := range append([][]string{header}, rows...) {
		line := make([]string, len(row))
		for i, cell := range row {
			if line[i] = oneLine(cell); line[i] == "" {
				line[i] = "-"
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for n, line := range lines {
		for i, cell := range line {
			c := colorOf(cell)
			if n == 0 {
				c = bold
			}
			b.WriteString(paint(w, cell, c))
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(w, b.String())
	return err
}
