package runtime

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A Line is one line of a function's log.
type Line struct {
	Time      time.Time
	Function  string
	Instance  string
	RequestID string // of the current invocation; empty if there was none
	Stream    Stream
	Text      string // without line break
}

// A Stream is the source of a line.
type Stream string

// The streams.
const (
	Stdout   Stream = "stdout"
	Stderr   Stream = "stderr"
	Platform Stream = "platform" // lines of the cloud: START, END and REPORT
)

// WriteLines returns a Log that writes lines to w, each with its function and request id.
func WriteLines(w io.Writer) func(Line) {
	return func(l Line) {
		id := l.RequestID
		if id == "" {
			id = "-"
		}
		fmt.Fprintf(w, "%s %s %s\n", l.Function, id, l.Text)
	}
}

// LogLines returns a Log that sends lines to a logger.
func LogLines(logger *slog.Logger) func(Line) {
	return func(l Line) {
		logger.Info("function log", "function", l.Function, "request", l.RequestID, "instance", l.Instance, "stream",
			string(l.Stream), "line", l.Text)
	}
}

const (
	maxLine = 64 << 10 // a longer line becomes several
	maxLog  = 64 << 10 // of one invocation; older lines are dropped
)

// An output collects what one process prints.
type output struct {
	instance *instance

	mu      sync.Mutex
	pipes   [2]pipe // stdout, stderr
	call    *call   // gets the lines; nil if none
	ready   bool
	initial []byte // output before the first call
}

// A pipe is one stream of a process.
type pipe struct {
	read    func([]byte) (n int, again bool) // does not wait; n is 0 at the end
	partial []byte
}

// begin assigns the following lines to a call.
func (o *output) begin(c *call) {
	o.mu.Lock()
	o.drainLocked()
	if c.hook == invocation {
		o.ready, o.initial = true, nil
	}
	o.call = c
	o.mu.Unlock()
	if c.hook == invocation && o.instance.pool.fn.Kind == Lambda {
		o.instance.pool.platform(o.instance.id, c.id, "START RequestId: "+c.id+" Version: $LATEST")
	}
}

// end reads what the process printed before it answered, and ends the log of a call.
func (o *output) end(c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drainLocked()
	o.flushLocked()
	if o.call == c {
		o.call = nil
	}
}

func (o *output) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drainLocked()
	o.flushLocked()
	o.call = nil
	o.ready = true
}

// drainLocked reads what is in the pipes without waiting.
func (o *output) drainLocked() {
	for i := range o.pipes {
		for range 64 { // stop after this many, because a process may print without end
			if n, _ := o.pullLocked(i); n <= 0 {
				break
			}
		}
	}
}

var pullBuffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

func (o *output) pullLocked(i int) (n int, again bool) {
	p := &o.pipes[i]
	if p.read == nil {
		return 0, false
	}
	buffer := pullBuffers.Get().(*[]byte)
	defer pullBuffers.Put(buffer)
	n, again = p.read(*buffer)
	if n > 0 {
		o.splitLocked(i, (*buffer)[:n])
	}
	return n, again
}

func (o *output) splitLocked(i int, text []byte) {
	p := &o.pipes[i]
	for {
		line, rest, found := bytes.Cut(text, newline)
		if !found {
			break
		}
		if len(p.partial) > 0 {
			line = append(p.partial, line...)
			p.partial = p.partial[:0]
		}
		o.lineLocked(i, line)
		text = rest
	}
	p.partial = append(p.partial, text...)
	if len(p.partial) >= maxLine {
		o.lineLocked(i, p.partial)
		p.partial = p.partial[:0]
	}
}

var newline = []byte("\n")

func (o *output) flushLocked() {
	for i := range o.pipes {
		if p := &o.pipes[i]; len(p.partial) > 0 {
			o.lineLocked(i, p.partial)
			p.partial = p.partial[:0]
		}
	}
}

func (o *output) lineLocked(i int, line []byte) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	id := ""
	if c := o.call; c != nil {
		id = c.id
		c.log = appendLog(c.log, line)
	} else if !o.ready {
		o.initial = appendLog(o.initial, line)
	}
	if in := o.instance; in.pool.host.logs {
		in.pool.host.log(Line{
			Time: in.pool.now(), Function: in.pool.fn.Name, Instance: in.id, RequestID: id,
			Stream: [...]Stream{Stdout, Stderr}[i], Text: strings.ToValidUTF8(string(line), "\uFFFD"),
		})
	}
}

func appendLog(log, line []byte) []byte {
	if len(log)+len(line)+1 > maxLog {
		drop := min(len(log), len(log)+len(line)+1-maxLog+maxLog/4) // trim in larger steps, so seldom
		log = append(log[:0], log[drop:]...)
	}
	return append(append(log, line...), '\n')
}
