package valkey

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/secret"
)

// The faults of a URL. They never quote it: it holds the password.
var (
	errURL      = errors.New("the store's URL is malformed")
	errScheme   = errors.New("the store's URL must begin with valkey://, valkeys://, redis:// or rediss://")
	errHost     = errors.New("the store's URL needs a host, and a port between 1 and 65535 if any")
	errUser     = errors.New("the store's URL has a user without a password")
	errDatabase = errors.New("the path of the store's URL must be empty or the number of a database")
	errQuery    = errors.New("the store's URL must not have a query or a fragment")
)

const (
	defaultPort = "6379"
	// maxDatabase bounds the number of a database: servers have 16 by default.
	maxDatabase = 1 << 20
	// connectTimeout bounds connecting: TCP, TLS and login. No request waits for it.
	connectTimeout = time.Second
	// bufferSize is that of each connection's two buffers. A session is a few KB.
	bufferSize = 32 << 10
)

// parse reads a URL. Its one secret is in the options.
func parse(address secret.String) (valkey.ClientOption, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Opaque != "" {
		return valkey.ClientOption{}, errURL // url.Parse quotes it
	}
	secure, ok := map[string]bool{"valkey": false, "redis": false, "valkeys": true, "rediss": true}[u.Scheme]
	if !ok {
		return valkey.ClientOption{}, errScheme
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return valkey.ClientOption{}, errQuery
	}
	options := clientOptions()
	port, err := parsePort(u)
	if err != nil {
		return valkey.ClientOption{}, err
	}
	options.InitAddress = []string{net.JoinHostPort(u.Hostname(), port)}
	if secure {
		options.TLSConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	if u.User != nil {
		options.Username = u.User.Username()
		if options.Password, _ = u.User.Password(); options.Password == "" {
			return valkey.ClientOption{}, errUser
		}
	}
	options.SelectDB, err = parseDatabase(u.Path)
	return options, err
}

func parsePort(u *url.URL) (string, error) {
	if u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return "", errHost
	}
	port := u.Port()
	if port == "" {
		return defaultPort, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errHost
	}
	return port, nil
}

func parseDatabase(path string) (int, error) {
	number := strings.TrimPrefix(path, "/")
	if number == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || n > maxDatabase || number != strconv.FormatUint(n, 10) {
		return 0, errDatabase
	}
	return int(n), nil
}

// clientOptions keep the library from doing anything by itself that the bounds
// of this package do not know: no retries, no pings, no cluster, and one
// connection for commands beside the one that follows the stream. Pipelining
// always, because otherwise a caller that leaves takes the connection with it.
func clientOptions() valkey.ClientOption {
	return valkey.ClientOption{
		ForceSingleClient: true, DisableRetry: true, DisableCache: true, AlwaysPipelining: true,
		PipelineMultiplex: -1, BlockingPoolSize: 1,
		Dialer:             net.Dialer{Timeout: connectTimeout, KeepAlive: -1},
		ConnWriteTimeout:   connectTimeout,
		ClientSetInfo:      valkey.DisableClientSetInfo,
		ClientName:         "tokenhandler",
		ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize,
	}
}
