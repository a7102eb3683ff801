package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Spec says what to start.
type Spec struct {
	Name   string            // required; how the child is called in messages
	Path   string            // required; the program
	Args   []string          // without the program's name
	Dir    string            // working directory; empty is the caller's own
	Env    []string          // the whole environment: only GOCOVERDIR is inherited
	Log    io.Writer         // optional; gets every line as it comes
	OnLine func(line string) // optional; called in order with every line, without its end
}

// Process is a running child with a process group of its own.
type Process struct {
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
	err  error // why the child ended; written before done is closed
}

// coverageDir is the variable that tells a binary built with -cover where its counters go.
const coverageDir = "GOCOVERDIR"

// Start starts the child. The caller must Stop it; if the caller's process dies first, the kernel kills the child.
func Start(spec Spec) (*Process, error) {
	p := &Process{name: spec.Name, out: newOutput(spec.Log, spec.OnLine), done: make(chan struct{})}
	p.cmd = exec.Command(spec.Path, spec.Args...) //nolint:noctx // the child ends by Stop, which asks first and kills later
	p.cmd.Dir = spec.Dir
	p.cmd.Env = append([]string{}, spec.Env...)
	if dir := os.Getenv(coverageDir); dir != "" {
		p.cmd.Env = append(p.cmd.Env, coverageDir+"="+dir)
	}
	p.cmd.Stdout = p.out
	p.cmd.Stderr = p.out
	p.cmd.SysProcAttr = attributes()
	p.cmd.WaitDelay = outputDelay
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	return p, nil
}

// run holds its thread for the child's whole life: the kernel sends the parent-death signal when the thread that forked ends.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	p.Signal(syscall.SIGKILL) // what the child itself left behind
	close(p.done)
}

// Done is closed when the child has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says, once Done is closed, how the child ended, with the last lines that it wrote. It is never nil: a child of the stack
// that ends by itself is a fault even with exit status 0.
func (p *Process) Err() error {
	why := p.err
	if why == nil {
		why = errEnded
	}
	return fmt.Errorf("%s stopped: %w; its last lines:\n%s", p.name, why, p.out.tail(tailLines))
}

// Output returns what the child has written so far (of a very long output, the end).
func (p *Process) Output() string { return p.out.text() }

// Stop asks the child to end, kills its whole process group after the grace period, and returns when it is gone.
func (p *Process) Stop(grace time.Duration) {
	p.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Signal reaches the whole group; a group that is gone already is not an error.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

const tailLines = 20

// outputDelay is how long the last output may take after the child's end, if a process that it left behind can still write.
const outputDelay = 10 * time.Second

var errEnded = errors.New("it ended by itself")
