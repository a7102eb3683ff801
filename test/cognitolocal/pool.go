package cognitolocal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"cognito-token-handler/test/devstack/process"
)

// Names of the seeded pool.
const (
	PoolID       = "local_DemoPool1"
	ClientID     = "1demo23456789tokenhandler"
	DemoUser     = "demo@example.com"
	SecondUser   = "second@example.com"
	DemoPassword = "Demo-Passw0rd!"
	DemoGroup    = "demo"
)

// Options are the options of a pool.
type Options struct {
	Addr            string        // required; "localhost:9229", or "localhost:0" for a free port
	CallbackURLs    []string      // required for a login; compared exactly
	LogoutURLs      []string      // compared exactly
	ClientSecret    string        // default a new one
	AccessTokenTTL  time.Duration // of access and ID tokens, in whole seconds; default an hour
	RefreshTokenTTL time.Duration // in whole seconds; default 30 days
	Users           []User        // default DemoUsers
	Ready           func() bool   // optional; what GET /health reports
	Log             io.Writer     // optional; what cognito-local writes
}

// User is a confirmed user of the pool. The username is the sub, as in a pool whose users sign in with their e-mail address.
type User struct {
	Sub      string // default a random one
	Email    string // required
	Password string // required
	Groups   []string
}

// DemoUsers are the two users of the local stack. They have the same password; the first is in the group "demo".
func DemoUsers() []User {
	return []User{
		{Email: DemoUser, Password: DemoPassword, Groups: []string{DemoGroup}},
		{Email: SecondUser, Password: DemoPassword},
	}
}

// Pool is a running user pool.
type Pool struct {
	URL          string // of the pool's domain, where /oauth2/* and /logout are
	Issuer       string // URL and pool id
	ClientID     string
	ClientSecret string

	front  *front
	server *http.Server
	child  *process.Process
	dir    string
	code   string // confirms every e-mail address
}

// Start starts cognito-local and the proxy in front of it, and returns when both answer. The context bounds the start only;
// the caller must Close the pool.
func Start(ctx context.Context, options Options) (*Pool, error) {
	listener, err := net.Listen("tcp", options.Addr) //nolint:noctx // does not wait: localhost is in the hosts file
	if err != nil {
		return nil, fmt.Errorf("starting the user pool: %w", err)
	}
	pool, err := start(ctx, listener, withDefaults(options))
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("starting the user pool: %w", err)
	}
	return pool, nil
}

func withDefaults(options Options) Options {
	if options.AccessTokenTTL == 0 {
		options.AccessTokenTTL = time.Hour
	}
	if options.RefreshTokenTTL == 0 {
		options.RefreshTokenTTL = 30 * 24 * time.Hour
	}
	if options.Users == nil {
		options.Users = DemoUsers()
	}
	if options.ClientSecret == "" {
		options.ClientSecret = rand.Text()
	}
	if options.Ready == nil {
		options.Ready = func() bool { return true }
	}
	return options
}

func start(ctx context.Context, listener net.Listener, options Options) (*Pool, error) {
	port, err := process.Port(listener)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "cognitolocal-")
	if err != nil {
		return nil, err
	}
	p := &Pool{URL: "http://" + process.Addr(port), ClientID: ClientID, ClientSecret: options.ClientSecret, dir: dir, code: newCode()}
	p.Issuer = p.URL + "/" + PoolID
	backend, err := p.startChild(ctx, options)
	if err != nil {
		p.Close()
		return nil, err
	}
	p.front = newFront(ctx, p, backend, options)
	p.server = &http.Server{
		Handler: p.front.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 2 * patience, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// newCode returns six digits.
func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil { // never
		return "000000"
	}
	return fmt.Sprintf("%06d", n)
}

// startChild starts cognito-local on a port of its own choice, with the data of the options.
func (p *Pool) startChild(ctx context.Context, options Options) (*url.URL, error) {
	if err := seed(p, options); err != nil {
		return nil, err
	}
	var address string
	var err error
	p.child, address, err = StartPlain(ctx, p.dir, options.Log, "HOST=127.0.0.1", "PORT=0", "CODE="+p.code)
	if err != nil {
		return nil, err
	}
	return url.Parse(address)
}

// StartPlain starts cognito-local itself, with nothing in front of it, and returns when it has printed its address. Its data is in the
// folder .cognito of dir. Of its environment, HOST and PORT matter. The log is optional. The caller must stop the process, which is nil
// only if it was not started.
func StartPlain(ctx context.Context, dir string, log io.Writer, env ...string) (child *process.Process, address string, err error) {
	script, err := script()
	if err != nil {
		return nil, "", err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, "", fmt.Errorf("node is not installed: %w", err)
	}
	listens := regexp.MustCompile(`running on (http://[0-9a-f.:]+)`)
	printed := make(chan string, 1)
	child, err = process.Start(process.Spec{
		Name: "cognito-local", Path: node, Args: []string{script}, Dir: dir, Log: log,
		Env: process.Environment(append(env, "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1")...),
		OnLine: func(line string) {
			if found := listens.FindStringSubmatch(line); found != nil {
				select {
				case printed <- found[1]:
				default: // cognito-local printed the address twice
				}
			}
		},
	})
	if err != nil {
		return nil, "", err
	}
	select {
	case address = <-printed:
		return child, address, nil
	case <-child.Done():
		return child, "", child.Err()
	case <-ctx.Done():
		return child, "", context.Cause(ctx)
	}
}

// script returns the path of cognito-local, where `npm ci` installed it.
func script() (string, error) {
	repo, err := process.RepoDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(repo, "test", "cognitolocal", "node_modules", "cognito-local", "lib", "bin", "start.js")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cognito-local is not installed (run `make tools`): %w", err)
	}
	return path, nil
}

// BackendURL returns the URL of cognito-local itself, with its unprotected administration API.
func (p *Pool) BackendURL() string { return p.front.backend.String() }

// Done is closed when cognito-local has ended; Err then returns the reason.
func (p *Pool) Done() <-chan struct{} { return p.child.Done() }

// Err returns the reason why cognito-local ended, once Done is closed.
func (p *Pool) Err() error { return p.child.Err() }

// TokenCalls returns the number of requests to the token endpoint with this grant_type, refused ones included.
func (p *Pool) TokenCalls(grant string) int { return p.front.calls.count(grant) }

// Issued returns every ID, access and refresh token issued so far, for tests that look for them where they must not be.
func (p *Pool) Issued() []string { return p.front.ledger.all() }

// Close stops both servers and removes the data. It may be called twice.
func (p *Pool) Close() {
	if p.server != nil {
		_ = p.server.Close()
	}
	if p.child != nil {
		p.child.Stop(2 * time.Second)
	}
	_ = os.RemoveAll(p.dir)
}
