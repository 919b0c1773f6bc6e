package rpc

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"chatconf/shared/document"
	"chatconf/shared/fault"
)

type format uint8

const (
	asJSON format = iota
	asXML
)

// A buffer holds an answer until it is sent.
type buffer struct {
	bytes.Buffer
	encoder *json.Encoder // into the buffer
}

var buffers = sync.Pool{New: func() any {
	b := new(buffer)
	b.encoder = json.NewEncoder(&b.Buffer)
	b.encoder.SetEscapeHTML(false)
	return b
}}

// encode appends v as JSON, without json.Encoder's line end.
func (b *buffer) encode(v any) error {
	if err := b.encoder.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}

type envelope struct {
	RequestId          string
	HostId             string
	Code               string
	Message            string
	Recommend          string
	AccessDeniedDetail *fault.AccessDenied `json:",omitempty"`
}

// headers set headers; one slice holds all their values.
type headers struct {
	header http.Header
	values []string
}

func newHeaders(w http.ResponseWriter) *headers {
	return &headers{w.Header(), make([]string, 0, 5)}
}

// set sets a header. The name is in the form of http.CanonicalHeaderKey.
func (h *headers) set(name, value string) {
	h.values = append(h.values, value)
	n := len(h.values)
	h.header[name] = h.values[n-1 : n : n]
}

// setAnswer sets the headers for values that the typed models of clients drop.
func (h *headers) setAnswer(out any) {
	if tagged, ok := out.(interface{ ETag() string }); ok {
		h.set("Etag", tagged.ETag())
	}
	if paged, ok := out.(interface{ NextPageToken() string }); ok && paged.NextPageToken() != "" {
		h.set("X-Acs-Next-Token", paged.NextPageToken())
	}
}

// setFault tells a throttled caller when to retry, in every header that some client reads.
func (h *headers) setFault(f *wireError) {
	if f.retry == nil {
		return
	}
	seconds := strconv.Itoa(f.retry.seconds)
	h.set("Retry-After", seconds)
	h.set("X-Acs-Retry-After", seconds+"000") // the CLI reads milliseconds
	h.set("X-Ratelimit-User", "Limit:"+strconv.Itoa(f.retry.limit)+",Remain:0,TimeLeft:"+seconds)
}

// encodeAnswer returns the body of an answer, the request id first. It may be in b's memory.
func encodeAnswer(b *buffer, action string, as format, requestID string, out any) ([]byte, error) {
	b.WriteString(`{"RequestId":"`)
	b.WriteString(requestID)
	b.WriteString(`",`)
	start := b.Len()
	if err := b.encode(out); err != nil {
		return nil, err
	}
	// Remove the answer's own opening brace, and the comma before it if the answer is empty.
	text := append(b.Bytes()[:start], b.Bytes()[start+1:]...)
	if text[start] == '}' {
		text = append(text[:start-1], '}')
	}
	return formatted(action+"Response", as, text)
}

// encodeFault returns the body of an error. It may be in b's memory.
func encodeFault(b *buffer, host string, as format, requestID string, f *wireError) ([]byte, error) {
	b.Reset()
	err := b.encode(envelope{
		RequestId:          requestID,
		HostId:             host,
		Code:               f.code,
		Message:            f.message,
		Recommend:          "https://api.aliyun.com/troubleshoot?q=" + url.QueryEscape(f.code) + "&product=Oos",
		AccessDeniedDetail: f.denied,
	})
	if err != nil {
		return nil, err
	}
	return formatted("Error", as, b.Bytes())
}

// formatted returns JSON text in the requested format; root names the element of an XML answer.
func formatted(root string, as format, text []byte) ([]byte, error) {
	if as == asXML {
		return toXML(root, text)
	}
	return text, nil
}

func write(w http.ResponseWriter, h *headers, status int, as format, body []byte) error {
	kind := "application/json;charset=utf-8"
	if as == asXML {
		kind = "text/xml;charset=utf-8" // exactly so: the Go SDK switches on it
	}
	h.set("Content-Type", kind)
	h.set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// toXML writes a JSON answer as XML, as the Java SDK reads it:
//
//   - a member is an element;
//   - an array is a repeated element with the name of its member;
//   - an array of strings is one element, with an element of the singular name for each string;
//   - a key that is not an XML name, such as of a tag, is <Entry Key="…">.
func toXML(root string, text []byte) ([]byte, error) {
	n, err := document.Parse("answer", string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	writeElement(&b, root, n)
	return b.Bytes(), nil
}

func writeElement(b *bytes.Buffer, name string, n *document.Node) {
	if n.Kind == document.Array && !ofStrings(n) {
		for _, item := range n.Items {
			writeElement(b, name, item)
		}
		return
	}
	end := name
	if plainName(name) {
		b.WriteString("<" + name + ">")
	} else {
		end = "Entry"
		b.WriteString(`<Entry Key="`)
		xml.EscapeText(b, []byte(name))
		b.WriteString(`">`)
	}
	switch n.Kind {
	case document.Object:
		for _, m := range n.Members {
			writeElement(b, m.Key, m.Value)
		}
	case document.Array:
		for _, item := range n.Items {
			writeElement(b, strings.TrimSuffix(name, "s"), item)
		}
	default:
		xml.EscapeText(b, []byte(n.Text))
	}
	b.WriteString("</" + end + ">")
}

// ofStrings reports whether an array contains only strings, and at least one.
func ofStrings(n *document.Node) bool {
	return len(n.Items) > 0 && !slices.ContainsFunc(n.Items,
		func(item *document.Node) bool { return item.Kind != document.String })
}

// plainName reports whether s is an XML name of ASCII letters and digits.
func plainName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && strings.Contains(letters, s[:1]) && strings.Trim(s, letters+"0123456789") == ""
}
