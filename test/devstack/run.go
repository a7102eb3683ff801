package devstack

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"cognito-token-handler/test/cognitolocal"
)

// startLimit bounds the start of the stack, which takes some seconds.
const startLimit = time.Minute

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
	_, err = fmt.Fprintf(stdout, welcome, time.Since(begun).Seconds(), stack.URL,
		cognitolocal.DemoUser, cognitolocal.SecondUser, cognitolocal.DemoPassword,
		stack.Pool.URL, stack.S3.Endpoint, stack.AdminURL, stack.Pool.Issuer, stack.Pool.ClientID, stack.Pool.ClientSecret)
	if err != nil {
		return err
	}
	return stack.Wait(ctx)
}

const welcome = `
The local stack is up (%.1f s). Ctrl-C stops it.

  Open      %s
  Log in    %s  or  %s
  Password  %s

  Cognito %s   S3 %s   metrics and health %s

Another token handler can use the same users. Start the stack with -app and its public URL, and configure it with:

  provider: {kind: cognito, issuer: %s, client_id: %s, client_secret: %s, insecure_skip_nonce: true}

`

func parse(args []string, stdout io.Writer) (Options, error) {
	ports := DefaultPorts()
	options := Options{}
	flags := flag.NewFlagSet("devstack", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.StringVar(&options.Binary, "binary", ".build/tokenhandler", "the token handler's `program`")
	flags.StringVar(&options.SPADir, "spa", "test/demo/spa/dist", "the built demo page's `folder`; empty for none")
	flags.DurationVar(&options.AccessTokenTTL, "access-token-ttl", 5*time.Minute, "life of an access token, in whole seconds")
	flags.IntVar(&ports.App, "port", ports.App, "`port` of the app (0: a free one)")
	flags.IntVar(&ports.Admin, "admin-port", ports.Admin, "`port` of the admin listener")
	flags.IntVar(&ports.Cognito, "cognito-port", ports.Cognito, "`port` of cognito-local")
	flags.IntVar(&ports.S3, "s3-port", ports.S3, "`port` of the S3 server")
	flags.Func("app", "public `URL` of another app that may log in here, such as http://localhost:3000; may be repeated", func(app string) error {
		options.Apps = append(options.Apps, strings.TrimSuffix(app, "/"))
		return nil
	})
	verbose := flags.Bool("v", false, "print what all servers write")
	if err := flags.Parse(args); err != nil {
		return options, err
	}
	options.Ports = ports
	// The demo page shows failed logins itself.
	options.ExtraConfig = func(_ *Stack, config Config) { config.Set("auth.error_path", "/") }
	if *verbose {
		options.Log = stdout
	}
	return options, nil
}
