//go:build unix

package runtime

import (
	"errors"
	"os"
	"os/exec"
	stdruntime "runtime"
	"sync"
	"syscall"
)

// A spawner starts processes from one thread that lives as long as the spawner. On Linux the kernel
// kills a process when the thread that started it ends. So no process is left when the host is
// killed.
type spawner struct {
	jobs chan func()
	once sync.Once
}

func newSpawner() *spawner { return &spawner{jobs: make(chan func())} }

func (s *spawner) loop() {
	stdruntime.LockOSThread()
	defer stdruntime.UnlockOSThread()
	for job := range s.jobs {
		job()
	}
}

// close ends the spawner. All its processes must have ended.
func (s *spawner) close() { close(s.jobs) }

// start runs a function's binary.
func (s *spawner) start(f *Function, env []string, o *output) (*process, error) {
	s.once.Do(func() { go s.loop() })
	cmd := exec.Command(f.program())
	cmd.Dir = f.Dir
	cmd.Env = env
	cmd.SysProcAttr = attributes()
	var pipes [4]*os.File
	closeAll := func() {
		for _, f := range pipes {
			f.Close() // a nil file returns an error, which is harmless
		}
	}
	for i := 0; i < len(pipes); i += 2 {
		var err error
		if pipes[i], pipes[i+1], err = os.Pipe(); err != nil {
			closeAll()
			return nil, err
		}
	}
	cmd.Stdout, cmd.Stderr = pipes[1], pipes[3]
	started := make(chan error)
	s.jobs <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		closeAll()
		return nil, err
	}
	pipes[1].Close()
	pipes[3].Close()
	p := &process{cmd: cmd, pid: cmd.Process.Pid}
	for i, f := range []*os.File{pipes[0], pipes[2]} {
		if err := o.follow(i, f); err != nil {
			f.Close()
		}
	}
	return p, nil
}

// follow reads a pipe to its end in a goroutine. Other goroutines may also read from the pipe,
// without waiting. The host does so when the process has answered, to get all lines printed before.
func (o *output) follow(i int, f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	if err := conn.Control(func(n uintptr) { fd = int(n) }); err != nil {
		return err
	}
	o.mu.Lock()
	o.pipes[i].read = func(b []byte) (int, bool) {
		for {
			n, err := syscall.Read(fd, b)
			if err != syscall.EINTR {
				return n, err == syscall.EAGAIN
			}
		}
	}
	o.mu.Unlock()
	go func() {
		conn.Read(func(uintptr) bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			for {
				n, again := o.pullLocked(i)
				if n <= 0 {
					return !again
				}
			}
		})
		o.mu.Lock()
		o.flushLocked()
		o.pipes[i].read = nil
		o.mu.Unlock()
		f.Close()
	}()
	return nil
}

// A process is a running binary, the leader of a process group.
type process struct {
	cmd  *exec.Cmd
	pid  int
	mu   sync.Mutex
	dead bool
}

// wait waits for the end of the process, kills the rest of its group, and returns how it ended.
func (p *process) wait() string {
	err := p.cmd.Wait()
	p.mu.Lock()
	p.dead = true
	syscall.Kill(-p.pid, syscall.SIGKILL)
	p.mu.Unlock()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) {
		return p.cmd.ProcessState.String()
	}
	return err.Error()
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		syscall.Kill(-p.pid, s)
	}
}

// terminate sends SIGTERM to the process. Only the leader gets it, as in the clouds.
func (p *process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		syscall.Kill(p.pid, syscall.SIGTERM)
	}
}

// kill ends the process and its group.
func (p *process) kill() { p.signal(syscall.SIGKILL) }
