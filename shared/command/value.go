package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// A Value is the value of an action's parameter. It shows no secret in fmt and slog. Its JSON, for
// storing it sealed, holds the secret.
type Value struct {
	Name   string // as declared
	Type   ParameterType
	Text   string // canonical: an Integer in decimal, a Boolean as true or false, an Enum as declared
	Secret bool   `json:",omitempty"`
}

// Shown returns the text for records and logs, which is masked if it is secret.
func (v Value) Shown() string {
	if v.Secret {
		return secret.Mask
	}
	return v.Text
}

// String returns name=value, masked if it is secret.
func (v Value) String() string { return v.Name + "=" + v.Shown() }

// Format writes the result of String, for every verb.
func (v Value) Format(s fmt.State, _ rune) { io.WriteString(s, v.String()) }

// LogValue returns the result of String.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// Any returns the typed value, as json.Marshal writes it: a string, a number or a boolean. It may
// be secret.
func (v Value) Any() any {
	switch v.Type {
	case TypeInteger:
		return json.Number(v.Text)
	case TypeBoolean:
		return v.Text == "true"
	}
	return v.Text
}

// Values are the values of a command, in declared order. They show no secret in a log.
type Values []Value

// LogValue returns the values, with secrets masked: JSON of a Value would show them.
func (v Values) LogValue() slog.Value { return slog.StringValue(fmt.Sprint([]Value(v))) }

// A TypedObject is a list of values with the JSON of an object: name to typed value, secrets
// included.
type TypedObject []Value

// LogValue returns the values, with secrets masked.
func (o TypedObject) LogValue() slog.Value { return Values(o).LogValue() }

// MarshalJSON returns the object, its members in the order of the list.
func (o TypedObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		document.WriteString(&b, v.Name)
		b.WriteByte(':')
		if v.Type == TypeInteger || v.Type == TypeBoolean {
			b.WriteString(v.Text)
		} else {
			document.WriteString(&b, v.Text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
