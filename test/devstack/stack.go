package devstack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cognito-token-handler/test/cognitolocal"
	demoapi "cognito-token-handler/test/demo/api"
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/s3local"
)

// drainTime is how long the token handler may take to finish its requests.
const drainTime = 30 * time.Second

// Options are the options of a stack. The zero value is a stack on free ports without an app.
type Options struct {
	Binary          string        // the token handler; default .build/tokenhandler in the repository
	Ports           Ports         // all of localhost
	SPADir          string        // folder of the built app; empty for none
	AccessTokenTTL  time.Duration // default an hour
	RefreshTokenTTL time.Duration // default 30 days
	// Apps are the origins of the pages that use the stack; default the token handler's own URL. The first is the public URL: if it is not
	// the token handler's, a server there, such as Vite's, passes the calls on to it. The pages of the others call the public URL (CORS).
	Apps []string
	// APIs are the routes; default the demo API at /api/.
	APIs     []API
	LoginURL string    // of the pool, for browsers that cannot reach it at its own URL
	FilesURL string    // of the S3 server, for the same browsers
	Redis    bool      // starts Redis as the token handler's store
	Log      io.Writer // optional; what all children write, line by line, from several goroutines
	// ExtraConfig may change the token handler's configuration before it is written. The stack's fields are set by then.
	ExtraConfig func(stack *Stack, config Config)
}

// API is a route to an API of the app.
type API struct {
	Path string // with a slash at the end
	URL  string
}

// Ports of localhost; 0 for a free one.
type Ports struct {
	App     int
	Admin   int
	Cognito int
	S3      int
	Redis   int
}

// DefaultPorts are the ports of `make run` and `make stack`.
func DefaultPorts() Ports { return Ports{App: 8080, Admin: 9090, Cognito: 9229, S3: 7070, Redis: 6379} }

// Stack is a running stack.
type Stack struct {
	URL      string // of the token handler's public listener
	AdminURL string // of its admin listener
	APIURL   string // of the demo API, the upstream of /api/
	Pool     *cognitolocal.Pool
	S3       *s3local.Server
	Redis    *redislocal.Server // nil without [Options.Redis]

	binary string
	log    io.Writer
	dir    string
	api    *http.Server
	ready  atomic.Bool

	mu       sync.Mutex
	handlers []*process.Process // all that were started; the last one may be running
}

// Start starts everything in order and returns when the token handler is ready. Before that it checks that no file is missing and
// no port is taken. The context bounds the start only; the caller must Close the stack.
func Start(ctx context.Context, options Options) (*Stack, error) {
	s := &Stack{binary: options.Binary, log: options.Log}
	if err := s.check(options); err != nil {
		return nil, err
	}
	if err := s.start(ctx, options); err != nil {
		s.Close()
		return nil, fmt.Errorf("starting the local stack: %w", err)
	}
	return s, nil
}

func (s *Stack) check(options Options) error {
	if s.binary == "" {
		repo, err := process.RepoDir()
		if err != nil {
			return err
		}
		s.binary = filepath.Join(repo, ".build", "tokenhandler")
	}
	var err error
	if s.binary, err = filepath.Abs(s.binary); err != nil { // it runs in another folder
		return err
	}
	if _, err := os.Stat(s.binary); err != nil {
		return fmt.Errorf("the token handler is not built (run `make build`): %w", err)
	}
	if options.SPADir != "" {
		if _, err := os.Stat(filepath.Join(options.SPADir, "index.html")); err != nil {
			return fmt.Errorf("the demo page is not built (run `make build`): %w", err)
		}
	}
	return options.Ports.check(options.Redis)
}

// check returns an error that names all ports that are taken.
func (p Ports) check(redis bool) error {
	var taken []string
	for _, use := range []struct {
		port   int
		by     string
		needed bool
	}{
		{p.App, "the app", true},
		{p.Admin, "the admin listener", true},
		{p.Cognito, "cognito-local", true},
		{p.S3, "the S3 server", true},
		{p.Redis, "Redis", redis},
	} {
		if use.needed && use.port != 0 && process.Taken(use.port) {
			taken = append(taken, fmt.Sprintf("port %d, which %s needs, is taken", use.port, use.by))
		}
	}
	if taken != nil {
		return fmt.Errorf("%s", strings.Join(taken, "; "))
	}
	return nil
}

func (s *Stack) start(ctx context.Context, options Options) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "devstack-"); err != nil {
		return err
	}
	if err := s.choosePorts(options.Ports); err != nil {
		return err
	}
	if err := s.startServers(ctx, options, serverKeys{}); err != nil {
		return err
	}
	if err := s.startAPI(ctx); err != nil {
		return err
	}
	if err := s.configure(options); err != nil {
		return err
	}
	if err := s.startHandler(ctx); err != nil {
		return err
	}
	s.ready.Store(true)
	return nil
}

// choosePorts chooses the token handler's ports, because the pool and the bucket need its URL first.
func (s *Stack) choosePorts(ports Ports) error {
	for _, place := range []struct {
		port int
		url  *string
	}{{ports.App, &s.URL}, {ports.Admin, &s.AdminURL}} {
		if place.port == 0 {
			var err error
			if place.port, err = process.FreePort(); err != nil {
				return err
			}
		}
		*place.url = "http://" + process.Addr(place.port)
	}
	return nil
}

// apps returns the origins of the pages that use the stack, the public URL first.
func (s *Stack) apps(options Options) []string {
	if len(options.Apps) == 0 {
		return []string{s.URL}
	}
	return options.Apps
}

// startServers starts the pool, the S3 server and Redis side by side. The keys are the client's secret and the S3 server's own; if they
// are empty, each start has new ones.
func (s *Stack) startServers(ctx context.Context, options Options, keys serverKeys) error {
	group, ctx := errgroup.WithContext(ctx)
	var callbacks, logouts []string
	for _, app := range s.apps(options) {
		callbacks = append(callbacks, app+"/auth/callback", app+"/auth/passkeys/done")
		logouts = append(logouts, app+"/", app+"/auth/logout/done")
	}
	group.Go(func() (err error) {
		s.Pool, err = cognitolocal.Start(ctx, cognitolocal.Options{
			Addr: process.Addr(options.Ports.Cognito), CallbackURLs: callbacks, ClientSecret: keys.client, Ready: s.ready.Load,
			LogoutURLs: logouts, AccessTokenTTL: options.AccessTokenTTL, RefreshTokenTTL: options.RefreshTokenTTL,
			Log: process.Prefix(s.log, "cognito-local"),
		})
		return err
	})
	group.Go(func() (err error) {
		s.S3, err = s3local.Start(ctx, s3local.Options{
			Port: options.Ports.S3, AppOrigins: s.apps(options), AccessKey: keys.s3ID, SecretKey: keys.s3Secret,
			Log: process.Prefix(s.log, "versitygw"),
		})
		return err
	})
	if options.Redis {
		group.Go(func() (err error) {
			s.Redis, err = redislocal.Start(ctx, redislocal.Options{Port: options.Ports.Redis, Log: process.Prefix(s.log, "redis")})
			return err
		})
	}
	return group.Wait()
}

func (s *Stack) startAPI(ctx context.Context) error {
	listener, err := process.Listen(0)
	if err != nil {
		return err
	}
	port, err := process.Port(listener)
	if err != nil {
		return err
	}
	s.APIURL = "http://" + process.Addr(port)
	api := demoapi.New(ctx, demoapi.Config{
		Issuer: s.Pool.Issuer, JWKSURL: s.Pool.Issuer + "/.well-known/jwks.json", ClientID: s.Pool.ClientID,
	})
	// There is no write timeout: /api/events does not end, and a client may read a large answer slowly.
	s.api = &http.Server{Handler: api.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	go func() { _ = s.api.Serve(listener) }()
	return nil
}

// Wait waits until the context ends and returns nil. If a child process ends before that, Wait returns an error with the last lines
// of its output.
func (s *Stack) Wait(ctx context.Context) error {
	handler := s.handler()
	var handlerDone, redisDone <-chan struct{} // nil: never
	if handler != nil {
		handlerDone = handler.Done()
	}
	if s.Redis != nil {
		redisDone = s.Redis.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-handlerDone:
		return handler.Err()
	case <-s.Pool.Done():
		return s.Pool.Err()
	case <-s.S3.Done():
		return s.S3.Err()
	case <-redisDone:
		return s.Redis.Err()
	}
}

// Close stops everything in the opposite order and removes the files of the stack. It may be called twice.
func (s *Stack) Close() {
	if handler := s.handler(); handler != nil {
		handler.Stop(drainTime)
	}
	if s.api != nil {
		_ = s.api.Close()
	}
	if s.Redis != nil {
		s.Redis.Close()
	}
	if s.S3 != nil {
		s.S3.Close()
	}
	if s.Pool != nil {
		s.Pool.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
