package rpc

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"chatconf/shared/chat"
	"chatconf/shared/document"
)

// A format is how an answer is written.
type format uint8

const (
	asJSON format = iota
	asXML
)

// buffers hold answers while they are written.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// envelope is the body of an error.
type envelope struct {
	RequestId          string
	HostId             string
	Code               string
	Message            string
	Recommend          string
	AccessDeniedDetail *chat.AccessDenied `json:",omitempty"`
}

// writeAnswer writes what an action answered, with the request id before everything else.
func writeAnswer(w http.ResponseWriter, action string, as format, requestID string, out any) error {
	if tagged, ok := out.(interface{ ETag() string }); ok {
		w.Header().Set("ETag", tagged.ETag())
	}
	if paged, ok := out.(interface{ NextPageToken() string }); ok && paged.NextPageToken() != "" {
		w.Header().Set("X-Acs-Next-Token", paged.NextPageToken())
	}
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	b.WriteString(`{"RequestId":"`)
	b.WriteString(requestID)
	b.WriteString(`",`)
	start := b.Len()
	if err := encode(b, out); err != nil {
		return err
	}
	// The answer's own opening brace goes, and the comma before it where nothing follows.
	text := append(b.Bytes()[:start], b.Bytes()[start+1:]...)
	if text[start] == '}' {
		text = append(text[:start-1], '}')
	}
	return write(w, http.StatusOK, action+"Response", as, text)
}

// writeFault writes an error.
func writeFault(w http.ResponseWriter, host string, as format, requestID string, f *fault) error {
	if f.retry != nil {
		seconds := strconv.Itoa(f.retry.seconds)
		h := w.Header()
		h.Set("Retry-After", seconds)
		h.Set("X-Acs-Retry-After", seconds+"000") // the CLI reads milliseconds
		h.Set("X-Ratelimit-User", "Limit:"+strconv.Itoa(f.retry.limit)+",Remain:0,TimeLeft:"+seconds)
	}
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	err := encode(b, envelope{
		RequestId:          requestID,
		HostId:             host,
		Code:               f.code,
		Message:            f.message,
		Recommend:          "https://api.aliyun.com/troubleshoot?q=" + url.QueryEscape(f.code) + "&product=Oos",
		AccessDeniedDetail: f.denied,
	})
	if err != nil {
		return err
	}
	return write(w, f.status, "Error", as, b.Bytes())
}

func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}

func write(w http.ResponseWriter, status int, root string, as format, text []byte) error {
	kind := "application/json;charset=utf-8"
	if as == asXML {
		kind = "text/xml;charset=utf-8" // exactly so: the Go SDK switches on it
		var err error
		if text, err = toXML(root, text); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, err := w.Write(text)
	return err
}

// toXML writes a JSON answer as XML: a member is an element, an array as many elements of its member's name, an object in a map of free
// keys (tags) likewise by its keys where they are XML names, else as <Entry Key="…">.
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
	if n.Kind == document.Array {
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
	if n.Kind == document.Object {
		for _, m := range n.Members {
			writeElement(b, m.Key, m.Value)
		}
	} else {
		xml.EscapeText(b, []byte(n.Text))
	}
	b.WriteString("</" + end + ">")
}

// plainName reports whether s is a name of an XML element made of ASCII letters and digits.
func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || !('0' <= c && c <= '9')) {
			return false
		}
	}
	return s != ""
}
