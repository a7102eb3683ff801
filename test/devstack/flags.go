package devstack

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// newFlags returns the flags that `make run` and `make stack` have in common.
func newFlags(options *Options, stdout io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("devstack", flag.ContinueOnError)
	flags.SetOutput(stdout)
	options.Ports = DefaultPorts()
	flags.DurationVar(&options.AccessTokenTTL, "access-token-ttl", 5*time.Minute, "life of an access token, in whole seconds")
	flags.IntVar(&options.Ports.Cognito, "cognito-port", options.Ports.Cognito, "`port` of cognito-local")
	flags.IntVar(&options.Ports.S3, "s3-port", options.Ports.S3, "`port` of the S3 server")
	flags.IntVar(&options.Ports.Redis, "redis-port", options.Ports.Redis, "`port` of Redis")
	flags.BoolVar(&options.Redis, "redis", false, "start Redis as session.store")
	flags.Func("app", "`origin` of the page, such as http://localhost:5173. If it is repeated, the first is public_url, and the others are in allowed_origins",
		func(text string) error {
			origin, err := parseOrigin(text)
			options.Apps = append(options.Apps, origin)
			return err
		})
	flags.Func("api", "`URL` of the API at /api/, such as http://localhost:3000; with another path /graphql/=http://localhost:4000. May be repeated",
		func(text string) error {
			api, err := parseAPI(text)
			options.APIs = append(options.APIs, api)
			return err
		})
	flags.Func("login-url", "`origin` at which browsers on other machines reach the login page", setOrigin(&options.LoginURL))
	flags.Func("files-url", "`origin` at which browsers on other machines reach the S3 server", setOrigin(&options.FilesURL))
	flags.BoolFunc("v", "print what all servers write", func(string) error {
		options.Log = stdout
		return nil
	})
	return flags
}

func setOrigin(target *string) func(string) error {
	return func(text string) (err error) {
		*target, err = parseOrigin(text)
		return err
	}
}

var errOrigin = errors.New("write scheme, host and port, such as http://localhost:5173")

func parseOrigin(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != u.String() || u.Host == "" {
		return "", errOrigin
	}
	return u.String(), nil
}

func parseAPI(text string) (API, error) {
	path, upstream, found := strings.Cut(text, "=")
	if !found {
		path, upstream = demoPath, text
	}
	if !strings.HasPrefix(path, "/") || !strings.HasSuffix(path, "/") {
		return API{}, fmt.Errorf("%s: the path must begin and end with a slash", path)
	}
	upstream, err := parseOrigin(upstream)
	return API{Path: path, URL: upstream}, err
}
