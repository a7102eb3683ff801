package devstack

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"cognito-token-handler/test/cognitolocal"
)

// startLimit bounds the start of the stack, which takes some seconds, and more than a minute on a machine with many busy processes.
const startLimit = 5 * time.Minute

// Run is `make run`. It starts the stack on the fixed ports, prints how to log in, and stops everything when the context ends, which
// is not an error, or when a child process ends, which is one.
func Run(ctx context.Context, args []string, stdout io.Writer) error {
	options, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	begun := time.Now()
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	stack, err := Start(starting, options)
	if err != nil && ctx.Err() != nil {
		return nil // interrupted before it was up; everything is stopped
	}
	if err != nil {
		return err
	}
	defer stack.Close()
	if err := stack.welcome(stdout, options, time.Since(begun)); err != nil {
		return err
	}
	return stack.Wait(ctx)
}

func (s *Stack) welcome(stdout io.Writer, options Options, took time.Duration) error {
	app := s.apps(options)[0]
	if app != s.URL {
		app += "  (your app's server, which passes /auth, /api and /storage on to " + s.URL + ")"
	}
	_, err := fmt.Fprintf(stdout, welcome, took.Seconds(), app, cognitolocal.DemoUser, cognitolocal.SecondUser, cognitolocal.DemoPassword,
		s.Pool.URL, s.S3.Endpoint, s.AdminURL, s.Pool.Issuer, s.Pool.ClientID)
	return err
}

const welcome = `
The local stack is up (%.1f s). Ctrl-C stops it.

  Open      %s
  Log in    %s  or  %s
  Password  %s

  Cognito %s   S3 %s   metrics and health %s

APIs get tokens of the issuer %s for the client %s.

`

func parse(args []string, stdout io.Writer) (options Options, err error) {
	flags := newFlags(&options, stdout)
	flags.StringVar(&options.Binary, "binary", ".build/tokenhandler", "the token handler's `program`")
	flags.StringVar(&options.SPADir, "spa", "test/demo/spa/dist", "the built demo page's `folder`; empty for none")
	flags.IntVar(&options.Ports.App, "port", options.Ports.App, "`port` of the token handler (0: a free one)")
	flags.IntVar(&options.Ports.Admin, "admin-port", options.Ports.Admin, "`port` of the admin listener")
	if err := flags.Parse(args); err != nil {
		return options, err
	}
	options.ExtraConfig = func(stack *Stack, config Config) {
		if stack.apps(options)[0] == stack.URL { // the demo page shows failed logins itself
			config.Set("auth.error_path", "/")
		}
	}
	return options, nil
}
