package redislocal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"cognito-token-handler/test/devstack/process"
)

const (
	startTries = 3
	// stopGrace is long enough to write a few MB to disk.
	stopGrace = 5 * time.Second
	// readyPoll is how often a new server is asked whether it answers.
	readyPoll = 20 * time.Millisecond
)

// Options say how the server runs.
type Options struct {
	Port     int       // of 127.0.0.1; 0 for a free one
	Password string    // required of every client; empty for none
	CertFile string    // with KeyFile, makes the server speak TLS only
	KeyFile  string    // of CertFile
	Log      io.Writer // optional; what the server writes
	Args     []string  // further arguments, e.g. "--maxmemory", "10mb"
}

// Server is a redis-server with its data, running or stopped.
type Server struct {
	Port int // of 127.0.0.1; the same after a restart

	options Options
	tool    string
	dir     string
	child   *process.Process
	bus     int // port for the other nodes of its cluster
}

// Start starts a server. The context bounds the start only; the caller must Close the server.
func Start(ctx context.Context, options Options) (*Server, error) {
	tool, err := Tool()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "redislocal-")
	if err != nil {
		return nil, fmt.Errorf("starting redis-server: %w", err)
	}
	s := &Server{Port: options.Port, options: options, tool: tool, dir: dir}
	if s.Port != 0 {
		err = s.Resume(ctx)
	} else {
		err = s.resumeAnywhere(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("starting redis-server: %w", err)
	}
	return s, nil
}

// resumeAnywhere starts the server on a free port. Somebody else may take that first: then it tries another.
func (s *Server) resumeAnywhere(ctx context.Context) (err error) {
	for range startTries {
		if s.Port, err = process.FreePort(); err != nil {
			return err
		}
		if err = s.Resume(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		s.Stop()
	}
	return err
}

// Tool returns the path of redis-server, or an error that names the cure.
func Tool() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("redis-server is not installed (run `make tools`): %w", err)
	}
	return path, nil
}

// Resume starts a stopped server on its old port, with the data that it has on disk.
func (s *Server) Resume(ctx context.Context) error {
	args := []string{ // the log is written without waiting for the disk: it must outlive the server, not the machine
		"--bind", "127.0.0.1", "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "no", "--save", "",
	}
	if s.options.CertFile != "" {
		args = append(args, "--port", "0", "--tls-port", strconv.Itoa(s.Port), "--tls-auth-clients", "no",
			"--tls-cert-file", s.options.CertFile, "--tls-key-file", s.options.KeyFile)
	} else {
		args = append(args, "--port", strconv.Itoa(s.Port))
	}
	if s.options.Password != "" {
		args = append(args, "--requirepass", s.options.Password)
	}
	child, err := process.Start(process.Spec{
		Name: "redis-server", Path: s.tool, Dir: s.dir, Log: s.options.Log,
		Args: append(args, s.options.Args...), Env: process.Environment(),
	})
	if err != nil {
		return err
	}
	s.child = child
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if s.answers(ctx) {
			return nil
		}
		select {
		case <-child.Done():
			return child.Err()
		case <-ctx.Done():
			return fmt.Errorf("waiting for redis-server: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// answers reports whether the server's data is loaded: it then answers PING, if only with a demand for the password.
func (s *Server) answers(ctx context.Context) bool {
	answer, err := s.ask(ctx, "PING\r\n")
	return err == nil && (answer == "+PONG" || len(answer) > 7 && answer[:7] == "-NOAUTH")
}

// ask sends one line and returns the first of the answer.
func (s *Server) ask(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return "", err
	}
	if s.options.CertFile != "" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // only asks whether anybody is there
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(conn, line); err != nil {
		return "", err
	}
	answer := make([]byte, 0, 64)
	for b := make([]byte, 1); ; answer = append(answer, b[0]) {
		if _, err := conn.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\r' {
			return string(answer), nil
		}
	}
}

// Addr is where the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL is the server's, with its password.
func (s *Server) URL() string { return URL(s.Addr(), s.options.Password) }

// URL is that of a server at addr.
func URL(addr, password string) string {
	if password == "" {
		return "redis://" + addr
	}
	return "redis://:" + password + "@" + addr
}

// Done is closed when the server, which must run now, has ended; Err then returns the reason.
func (s *Server) Done() <-chan struct{} { return s.child.Done() }

// Err returns the reason why the server ended, once Done is closed.
func (s *Server) Err() error { return s.child.Err() }

// Stop stops the server; its data stays on disk. Stopping a stopped one does nothing.
func (s *Server) Stop() {
	if s.child != nil {
		s.child.Stop(stopGrace)
		s.child = nil
	}
}

// Forget removes the data of a stopped server.
func (s *Server) Forget() error {
	if s.child != nil {
		return errors.New("forgetting the data of a server that runs")
	}
	for _, pattern := range []string{"*.rdb", "appendonlydir"} {
		found, err := filepath.Glob(filepath.Join(s.dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Hang stops the server's process where it is: connections stay open and nothing is answered.
func (s *Server) Hang() { s.child.Signal(syscall.SIGSTOP) }

// Wake lets a server that hangs go on.
func (s *Server) Wake() { s.child.Signal(syscall.SIGCONT) }

// Close stops the server and removes its data. It may be called twice.
func (s *Server) Close() {
	if s.child != nil {
		s.Wake() // a stopped process would not hear that it must end
	}
	s.Stop()
	_ = os.RemoveAll(s.dir)
}
