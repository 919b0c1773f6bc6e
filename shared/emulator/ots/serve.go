package ots

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/golang/protobuf/proto"
)

// A call is one request on its way through the server.
type call struct {
	ctx       context.Context
	requestID string
	operation string
	instance  string
	keyring   *keyring // whose signature was verified
	fault     Fault
	scratch   *scratch
}

// A scratch is the memory that a request is served in. Another request has it next.
type scratch struct {
	body   bytes.Buffer
	rows   []byte // of a read, until they are in the answer
	answer proto.Buffer
	text   []byte // that is signed
	sum    []byte // its signature
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is how much of a kind of memory is kept. What a large request has grown is not.
const maxScratch = 1 << 20

// release gives the memory to the next request.
func (s *scratch) release() {
	if max(s.body.Cap(), cap(s.rows), cap(s.answer.Bytes()), cap(s.text)) <= maxScratch {
		scratches.Put(s)
	}
}

// An operation decodes a message and does what it says.
type operation func(s *Server, c *call, body []byte) (proto.Message, error)

// handle makes an operation of a method for one kind of message.
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

// operations are what is served, by path. The names are case-sensitive.
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

	// Clients ask for these before they delete a table. There are none.
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
		panic(http.ErrAbortHandler) // net/http's way to close the connection
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
		answer.Marshal(e.message()) // two strings: it cannot fail
	}
	s.write(w, c, status, answer.Bytes())
	c.scratch.release()
}

func (s *Server) write(w http.ResponseWriter, c *call, status int, body []byte) {
	h := w.Header()
	s.setHeaders(h, c, body)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Content-Type"] = []string{"application/x-protobuf"}
	w.WriteHeader(status)
	w.Write(body)
}

// failure returns the answer to a request that failed. What is not an Error is the emulator's own,
// and goes to the log.
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

// serve verifies a request, carries it out, and lets a test interfere.
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

// err returns the error that is answered in place of the result. A dropped connection answers none.
func (f *Fault) err() error {
	if f.Err == nil {
		return errUnavailable
	}
	return f.Err
}

// bodyRoom bounds what is allocated for a body before any of it is there.
const bodyRoom = 64 << 10

// readBody reads a body that is not too large. What it allocates follows what has come, not what
// was announced.
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
