//go:build unix

package program

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A process is a program that was started, with the other processes of its group.
type process struct {
	process *os.Process
	ended   chan struct{} // closed when the program has ended; others of its group may continue
	killed  chan struct{} // closed when the group was killed
	reaped  chan struct{} // closed when state and err are valid
	state   *os.ProcessState
	err     error

	stdin   *os.File
	outputs [2]*os.File
	read    chan struct{} // closed when no process holds an output any more
}

// startProcess starts the program in file, with a folder to work in, an environment and an input.
// It copies the program's standard output and standard error to out and diagnostics.
func startProcess(file *os.File, dir string, env []string, input []byte, out, diagnostics io.Writer) (*process, error) {
	stdin, to, err1 := os.Pipe()
	from, stdout, err2 := os.Pipe()
	fromError, stderr, err3 := os.Pipe()
	p := &process{
		ended: make(chan struct{}), killed: make(chan struct{}), reaped: make(chan struct{}),
		stdin: to, outputs: [2]*os.File{from, fromError}, read: make(chan struct{}),
	}
	err := errors.Join(err1, err2, err3)
	if err == nil {
		err = p.start(executable(file), &os.ProcAttr{Dir: dir, Env: env, Sys: attributes(),
			Files: []*os.File{stdin, stdout, stderr, file}}, file.Name())
	}
	for _, theirs := range []*os.File{stdin, stdout, stderr} {
		theirs.Close() // nil too, after an error
	}
	if err != nil {
		p.closePipes()
		return nil, err
	}
	go func() {
		to.Write(input) // an error means that the program does not read all of it, or has ended
		to.Close()
	}()
	var readers sync.WaitGroup
	readers.Go(func() { io.Copy(out, from) }) // an error means that the time to read is over
	readers.Go(func() { io.Copy(diagnostics, fromError) })
	go func() { readers.Wait(); close(p.read) }()
	return p, nil
}

// start starts the process on a thread that waits for its end. Linux takes the end of the thread
// that started a process for the end of its parent.
func (p *process) start(path string, attr *os.ProcAttr, name string) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		p.process, err = os.StartProcess(path, []string{name}, attr)
		started <- err
		if err != nil {
			return
		}
		p.state, p.err = await(p.process, func() { close(p.ended) }, p.killed)
		close(p.reaped)
	}()
	return <-started
}

// end ends the group of the process and returns how the program ended. With stop set the program
// has not ended by itself, and its group gets some time to do so.
func (p *process) end(stop bool) (ok bool, how string) {
	group := -p.process.Pid
	if stop {
		syscall.Kill(group, syscall.SIGTERM) // an error means that the group is gone
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		for _, done := range []chan struct{}{p.ended, p.read} {
			select {
			case <-done:
			case <-ctx.Done():
			}
		}
	}
	syscall.Kill(group, syscall.SIGKILL)
	close(p.killed)
	<-p.reaped
	for _, output := range p.outputs {
		output.SetReadDeadline(time.Now().Add(drainTime))
	}
	<-p.read
	p.closePipes()
	if p.err != nil {
		return false, "an unknown end: " + p.err.Error()
	}
	if status, ok := p.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return false, "the signal " + status.Signal().String()
	}
	return p.state.Success(), "the exit code " + strconv.Itoa(p.state.ExitCode())
}

func (p *process) closePipes() {
	for _, pipe := range []*os.File{p.stdin, p.outputs[0], p.outputs[1]} {
		pipe.Close()
	}
}
