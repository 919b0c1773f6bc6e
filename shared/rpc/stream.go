package rpc

import (
	"context"
	"io"
	"net/http"
	"time"
)

// A streamed answer is sent as it is, and not in the envelope. It is not held in memory.
type streamed interface {
	// Stream calls send once with the content, or returns an error before.
	Stream(ctx context.Context, send func(context.Context, io.WriterTo) error) error
}

// stream sends a streamed answer. begun reports whether the client has got a part of it: then it
// is too late for the envelope of an error, and the connection must be cut.
func stream(ctx context.Context, w http.ResponseWriter, h *headers, out streamed) (begun bool, err error) {
	err = out.Stream(ctx, func(ctx context.Context, from io.WriterTo) error {
		begun = true
		h.set("Content-Type", "application/octet-stream")
		h.set("Cache-Control", "no-store")
		control := http.NewResponseController(w)
		deadline, _ := ctx.Deadline() // instead of that of the server; the zero time means no deadline
		control.SetWriteDeadline(deadline)
		// A write to a slow client does not look at the context.
		defer context.AfterFunc(ctx, func() { control.SetWriteDeadline(time.Now()) })()
		_, err := from.WriteTo(w)
		return err
	})
	return begun, err
}
