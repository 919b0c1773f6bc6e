package platform_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// A vector is a callback in a file, and the expected result of a receiver.
//
// The file begins with comment lines with # that name the source and the purpose. Then it has lines
// with a name, a colon and a value:
//
//	type                          the type of the configuration
//	set                           a setting and its value; may be repeated
//	now                           seconds since 1970
//	expect                        message; nothing; handshake and the text of the answer, after
//	                              "sealed" if it is in an envelope; or refused and the step
//	id, conversation, user, text  of the message
//	receiver                      the settings that identify the receiver
//	unsigned                      the signature does not cover the body
//	timeless                      the callback has no time
//
// After an empty line comes the request: method and query, headers, an empty line, the body.
type vector struct {
	Name     string
	Type     string
	Settings callback.Settings
	Request  *callback.Request
	Expect   string
	Fields   map[string]string // id, conversation, user, text
	Receiver []string
	Unsigned bool
	Timeless bool
}

// readVectors reads the vectors in testdata/vectors of a platform's folder. A platform without
// vectors is an error.
func readVectors(folder fs.FS) ([]vector, error) {
	names, err := fs.Glob(folder, "testdata/vectors/*.txt")
	if err == nil && len(names) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	var all []vector
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		v, err := parseVector(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		v.Name = strings.TrimSuffix(path.Base(name), ".txt")
		all = append(all, *v)
	}
	return all, nil
}

func parseVector(text string) (*vector, error) {
	v := &vector{Settings: make(callback.Settings), Request: &callback.Request{Header: make(http.Header),
		Query: make(url.Values)}, Fields: make(map[string]string)}
	head, rest, ok := strings.Cut(text, "\n\n")
	if !ok || !strings.HasPrefix(text, "# ") {
		return nil, fmt.Errorf("the file does not begin with a # comment, or has no request")
	}
	for line := range strings.Lines(head + "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case !ok:
			return nil, fmt.Errorf("line %q has no colon; write name: value", line)
		case name == "type":
			v.Type = value
		case name == "set":
			key, hidden, _ := strings.Cut(value, " ")
			v.Settings[key] = secret.Text(hidden)
		case name == "now":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, err
			}
			v.Request.Now = time.Unix(n, 0)
		case name == "expect":
			v.Expect = value
		case name == "receiver":
			v.Receiver = strings.Fields(value)
		case name == "unsigned":
			v.Unsigned = true
		case name == "timeless":
			v.Timeless = true
		case name == "id" || name == "conversation" || name == "user" || name == "text":
			v.Fields[name] = value
		default:
			return nil, fmt.Errorf("unknown name %q", name)
		}
	}
	request, body, _ := strings.Cut(rest, "\n\n")
	first, headers, _ := strings.Cut(request, "\n")
	method, query, _ := strings.Cut(strings.TrimSuffix(first, "\n"), " ")
	var err error
	v.Request.Method, v.Request.Body = method, []byte(strings.TrimSuffix(body, "\n"))
	if v.Request.Query, err = url.ParseQuery(strings.TrimPrefix(query, "?")); err != nil {
		return nil, err
	}
	for line := range strings.Lines(headers) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			return nil, fmt.Errorf("header %q has no colon; write name: value", line)
		}
		v.Request.Header.Add(name, value)
	}
	if v.Type == "" || v.Expect == "" || v.Request.Now.IsZero() {
		return nil, fmt.Errorf("type, expect or now is missing")
	}
	return v, nil
}
