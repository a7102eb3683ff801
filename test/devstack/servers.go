package devstack

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/test/cognitolocal"
)

// serverKeys are the secrets of the servers.
type serverKeys struct{ client, s3ID, s3Secret string }

// knownKeys are the same at each start, so that other people's tests can write them down. Everything listens on localhost only.
func knownKeys() serverKeys {
	return serverKeys{client: "local-tests-not-a-secret", s3ID: "local-tests", s3Secret: "local-tests-not-a-secret"}
}

// StartServers starts the stack without the token handler and the demo API, with secrets that never change. The context bounds the start
// only; the caller must Close the stack.
func StartServers(ctx context.Context, options Options) (*Stack, error) {
	ports := options.Ports
	ports.App, ports.Admin = 0, 0
	if err := ports.check(options.Redis); err != nil {
		return nil, err
	}
	s := &Stack{log: options.Log}
	if err := s.startServers(ctx, options, knownKeys()); err != nil {
		s.Close()
		return nil, fmt.Errorf("starting the servers: %w", err)
	}
	s.ready.Store(true)
	return s, nil
}

// ServersConfig returns a configuration for a token handler that uses the servers.
func (s *Stack) ServersConfig(options Options) Config {
	c := Config{
		"public_url": s.apps(options)[0],
		"provider": Config{
			"kind": "cognito", "issuer": s.Pool.Issuer, "client_id": s.Pool.ClientID, "client_secret": s.Pool.ClientSecret,
			"insecure_skip_nonce": true, // cognito-local does not echo it
		},
		"session":  Config{"keys": []string{newKey()}},
		"shutdown": Config{"delay": "0s"},
	}
	s.addServers(c, options)
	return c
}

// RunServers is `make stack`. It starts the servers on the fixed ports, writes the configuration for them, prints both, and stops
// everything when the context ends, which is not an error, or when a child process ends, which is one.
func RunServers(ctx context.Context, args []string, stdout io.Writer) error {
	options, file, err := parseServers(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	begun := time.Now()
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	stack, err := StartServers(starting, options)
	if err != nil && ctx.Err() != nil {
		return nil // interrupted before everything was up; everything is stopped
	}
	if err != nil {
		return err
	}
	defer stack.Close()
	content, err := yaml.Marshal(stack.ServersConfig(options))
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := writeFile(file, content); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := stack.announce(stdout, time.Since(begun), file, content); err != nil {
		return err
	}
	return stack.Wait(ctx)
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func (s *Stack) announce(stdout io.Writer, took time.Duration, file string, content []byte) error {
	redis := "none (-redis starts it)"
	if s.Redis != nil {
		redis = s.Redis.URL()
	}
	_, err := fmt.Fprintf(stdout, serversText, took.Seconds(), s.Pool.URL, s.S3.Endpoint, redis, cognitolocal.DemoUser, cognitolocal.SecondUser,
		cognitolocal.DemoPassword, file, content, s.S3.AccessKey, s.S3.SecretKey, file, s.Pool.URL)
	return err
}

const serversText = `
The servers are up (%.1f s). Ctrl-C stops them.

  Cognito   %s
  S3        %s
  Redis     %s
  Users     %s  and  %s
  Password  %s

%s is a configuration for them:

%s
Start a token handler with it:

  AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s .build/tokenhandler --config %s

ready: %s/health
`

func parseServers(args []string, stdout io.Writer) (options Options, file string, err error) {
	flags := newFlags(&options, stdout)
	flags.StringVar(&file, "config", ".build/stack/tokenhandler.yaml", "the `file` to which the configuration is written")
	if err := flags.Parse(args); err != nil {
		return options, file, err
	}
	if options.Apps == nil {
		options.Apps = []string{"http://localhost:8080"}
	}
	if options.APIs == nil {
		options.APIs = []API{{Path: demoPath, URL: "http://localhost:3000"}}
	}
	return options, file, nil
}
