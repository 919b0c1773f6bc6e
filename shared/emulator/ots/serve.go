package ots

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/golang/protobuf/proto"
)

// A call is one request in progress.
type call struct {
	ctx       context.Context
	requestID string
	operation string
	instance  string
	keyring   *keyring // of the verified signature
	compress  bool     // the client wants a compressed answer
	fault     Fault
	scratch   *scratch
}

// A scratch is the memory for one request at a time. Requests reuse it.
type scratch struct {
	body   bytes.Buffer
	rows   []byte // the encoded rows of a read
	answer proto.Buffer
	text   []byte // the text to sign
	sum    []byte // the signature
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is the largest buffer that is kept for reuse.
const maxScratch = 1 << 20

// release offers the memory to later requests.
func (s *scratch) release() {
	if max(s.body.Cap(), cap(s.rows), cap(s.answer.Bytes()), cap(s.text)) <= maxScratch {
		scratches.Put(s)
	}
}

// An operation decodes and executes a message.
type operation func(s *Server, c *call, body []byte) (proto.Message, error)

// handle returns the operation for a method with its own type of message.
func handle[M any, P interface {
	*M
	proto.Message
}](method func(*Server, *call, P) (proto.Message, error)) operation {
	return func(s *Server, c *call, body []byte) (proto.Message, error) {
		req := P(new(M))
		if err := proto.Unmarshal(body, req); err != nil {
			return nil, errMessage
		}
		return method(s, c, req)
	}
}

// operations maps paths to operations. Names are case-sensitive.
var operations = map[string]operation{
	"/CreateTable":              handle((*Server).createTable),
	"/ListTable":                handle((*Server).listTable),
	"/DescribeTable":            handle((*Server).describeTable),
	"/UpdateTable":              handle((*Server).updateTable),
	"/DeleteTable":              handle((*Server).deleteTable),
	"/CreateIndex":              handle((*Server).createIndex),
	"/DropIndex":                handle((*Server).dropIndex),
	"/AddDefinedColumn":         handle((*Server).addDefinedColumn),
	"/DeleteDefinedColumn":      handle((*Server).deleteDefinedColumn),
	"/PutRow":                   handle((*Server).putRow),
	"/UpdateRow":                handle((*Server).updateRow),
	"/DeleteRow":                handle((*Server).deleteRow),
	"/GetRow":                   handle((*Server).getRow),
	"/GetRange":                 handle((*Server).getRange),
	"/BatchGetRow":              handle((*Server).batchGetRow),
	"/BatchWriteRow":            handle((*Server).batchWriteRow),
	"/BulkImport":               handle((*Server).bulkImport),
	"/StartLocalTransaction":    handle((*Server).startTransaction),
	"/CommitTransaction":        handle((*Server).commitTransaction),
	"/AbortTransaction":         handle((*Server).abortTransaction),
	"/ComputeSplitPointsBySize": handle((*Server).computeSplitPoints),
	"/ListStream":               handle((*Server).listStream),
	"/DescribeStream":           handle((*Server).describeStream),
	"/GetShardIterator":         handle((*Server).getShardIterator),
	"/GetStreamRecord":          handle((*Server).getStreamRecord),

	// Clients call these before they delete a table. The lists are empty.
	"/ListSearchIndex":     handle((*Server).listSearchIndex),
	"/ListTimeseriesTable": handle((*Server).listTimeseriesTable),
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{
		ctx: r.Context(), requestID: s.newID(), operation: strings.TrimPrefix(r.URL.Path, "/"),
		scratch: scratches.Get().(*scratch),
	}
	out, err := s.serve(c, r)
	c.wait(c.fault.After)
	if c.fault.Drop {
		panic(http.ErrAbortHandler) // net/http's way to close a connection
	}
	answer := &c.scratch.answer
	answer.Reset()
	status := http.StatusOK
	if err == nil {
		err = answer.Marshal(out)
	}
	if err != nil {
		e := s.failure(c, err)
		status = e.status()
		answer.Reset()
		answer.Marshal(e.message()) // cannot fail: two strings
	}
	s.write(w, c, status, answer.Bytes())
	c.scratch.release()
}

func (s *Server) write(w http.ResponseWriter, c *call, status int, body []byte) {
	h := w.Header()
	c.compress = c.compress && len(body) > 0
	s.setHeaders(h, c, body)
	if c.compress {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		z.Write(body) // a Buffer returns no errors
		z.Close()
		body = b.Bytes()
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Content-Type"] = []string{"application/x-protobuf"}
	w.WriteHeader(status)
	w.Write(body)
}

// failure returns the answer for an error. An error that is not an Error is internal, and is
// logged.
func (s *Server) failure(c *call, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if c.ctx.Err() == nil {
		s.log.Error("ots: a request failed", "operation", c.operation, "request", c.requestID, "err", err)
	}
	return errUnavailable
}

// serve verifies and executes a request, and applies the test's fault.
func (s *Server) serve(c *call, r *http.Request) (proto.Message, error) {
	if r.Method != http.MethodPost {
		return nil, errMethod
	}
	do, ok := operations[r.URL.Path]
	if !ok {
		return nil, invalid("Unsupported operation: '%s'.", c.operation)
	}
	if err := s.authenticate(c, r); err != nil {
		return nil, err
	}
	body, err := c.scratch.readBody(r)
	if err != nil {
		return nil, err
	}
	if err := s.checkBody(r, body); err != nil {
		return nil, err
	}
	if body, err = inflate(r.Header, body); err != nil {
		return nil, err
	}
	c.compress = r.Header.Get(headerResponseType) == compression
	c.fault = s.fault(Request{Operation: c.operation, Instance: c.instance, Body: body})
	c.wait(c.fault.Before)
	if c.fault.loses() && !c.fault.Applied {
		return nil, c.fault.err()
	}
	out, err := do(s, c, body)
	if c.fault.loses() {
		return nil, c.fault.err()
	}
	return out, err
}

// err returns the error that replaces the result. It is not sent if the fault is Drop.
func (f *Fault) err() error {
	if f.Err == nil {
		return errUnavailable
	}
	return f.Err
}

// bodyRoom is how much memory is allocated before any byte of the body has arrived.
const bodyRoom = 64 << 10

// readBody reads the body up to its limit. It allocates for received bytes, not for announced ones.
func (s *scratch) readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errBodyTooLarge
	}
	s.body.Reset()
	s.body.Grow(int(min(max(r.ContentLength, 0), bodyRoom)) + bytes.MinRead)
	n, err := s.body.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	if err != nil || n < r.ContentLength {
		return nil, &Error{Code: "OTSRequestTimeout", Message: "Request timeout."}
	}
	if n > maxBody {
		return nil, errBodyTooLarge
	}
	return s.body.Bytes(), nil
}

// compression is the only type of compression: the zlib format, as the SDK for Java sends it and
// asks for it. The hash of a request is of the compressed body, the hash of an answer of the
// original. The service's wording of the errors is not known.
const compression = "deflate"

// inflate returns the original of a request's body. Its size has the same limit as any body's.
func inflate(h http.Header, body []byte) ([]byte, error) {
	kind, announced := h.Get(headerRequestType), h.Get(headerRequestSize)
	size, err := strconv.Atoi(announced)
	switch {
	case kind == "":
		return body, nil
	case kind != compression:
		return nil, invalid("Unsupported compress type: '%s'.", kind)
	case err != nil || size <= 0:
		return nil, invalid("Invalid compress size: '%s'.", announced)
	case size > maxBody:
		return nil, errBodyTooLarge
	}
	r, err := zlib.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(r, int64(size)+1))
	}
	if err != nil || len(body) != size {
		return nil, invalid("Failed to decompress the request.")
	}
	return body, nil
}
