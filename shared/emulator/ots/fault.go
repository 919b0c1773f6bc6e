package ots

// A Request is what a fault hook is told of a request that is well signed.
type Request struct {
	Operation string // such as PutRow
	Instance  string
	Body      []byte // the protobuf message; only to look at, and only during the call
}

// A Fault is what a test makes happen to one request. The zero Fault is none.
type Fault struct {
	// Before makes the request wait, until it is closed or the client has gone, before anything is
	// done.
	Before <-chan struct{}
	// Err is answered instead of the result; without Applied the request is not carried out.
	Err *Error
	// Drop closes the connection without an answer; without Applied the request is not carried out.
	Drop bool
	// Applied carries the request out before Err or Drop lose its outcome.
	Applied bool
	// After makes the answer, or the loss of it, wait likewise.
	After <-chan struct{}
	// Row says which rows of a batch are not carried out, and have an error in the answer; nil is
	// none. Rows are numbered by table.
	Row func(table string, row int) *Error
}

// loses reports whether the outcome of the request does not reach the client.
func (f *Fault) loses() bool { return f.Err != nil || f.Drop }

// rowFault returns the error that a test wants for a row of a batch.
func (c *call) rowFault(table string, row int) *Error {
	if c.fault.Row == nil {
		return nil
	}
	return c.fault.Row(table, row)
}

// wait waits for ch, if there is one, but not longer than the client does.
func (c *call) wait(ch <-chan struct{}) {
	if ch == nil {
		return
	}
	select {
	case <-ch:
	case <-c.ctx.Done():
	}
}
