package ots

// A Request describes an authenticated request to a fault hook.
type Request struct {
	Operation string // such as PutRow
	Instance  string
	Body      []byte // the protobuf message; read-only, and valid only during the call
}

// A Fault is what a test does to one request. The zero Fault does nothing.
type Fault struct {
	// Before delays the request until the channel is closed or the client disconnects.
	Before <-chan struct{}
	// Err is the answer in place of the result. The request is not executed unless Applied is set.
	Err *Error
	// Drop closes the connection without an answer. The request is not executed unless Applied is
	// set.
	Drop bool
	// Applied executes the request before Err or Drop discards its result.
	Applied bool
	// After delays the answer, or Drop, like Before.
	After <-chan struct{}
	// Row returns an error for each row of a batch that must fail, and nil for the others. Such
	// rows are not executed. Rows are numbered by table.
	Row func(table string, row int) *Error
}

// loses reports whether the result does not reach the client.
func (f *Fault) loses() bool { return f.Err != nil || f.Drop }

// rowFault returns the error that a test sets for a row of a batch.
func (c *call) rowFault(table string, row int) *Error {
	if c.fault.Row == nil {
		return nil
	}
	return c.fault.Row(table, row)
}

// wait waits until ch is closed or the client disconnects. A nil ch does not wait.
func (c *call) wait(ch <-chan struct{}) {
	if ch == nil {
		return
	}
	select {
	case <-ch:
	case <-c.ctx.Done():
	}
}
