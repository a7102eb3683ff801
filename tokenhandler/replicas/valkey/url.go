package valkey

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/secret"
)

// What can be wrong with a URL. The texts follow the name of the setting, and never
// quote the URL, because it contains the password.
var (
	errURL      = errors.New("is not a URL")
	errScheme   = errors.New("must begin with valkey://, valkeys://, redis:// or rediss://")
	errHost     = errors.New("must have a host, and a port between 1 and 65535 if any")
	errUser     = errors.New("has a user without a password")
	errDatabase = errors.New("must have an empty path, or the number of a database")
	errQuery    = errors.New("may only have the parameters cluster, iam, cache, region and serverless, each once, and no fragment")
	errBool     = errors.New("must have true or false as cluster, iam and serverless")
	errCluster  = errors.New("must not name a database other than 0: a cluster has no other")
	errIAM      = errors.New("with iam=true must use TLS (rediss:// or valkeys://), have a user without a password, and name cache and region")
	errNoIAM    = errors.New("may only have cache, region and serverless with iam=true")
)

const (
	defaultPort = "6379"
	// maxDatabase is larger than the number of databases that any server has: 16 by
	// default.
	maxDatabase = 1 << 20
)

// target is what a URL says: the server and how to log in to it.
type target struct {
	options valkey.ClientOption
	iam     *iamUser // nil without iam=true
}

// CheckURL returns an error if [Config.URL] cannot have this value. The error's text
// continues a sentence that begins with the name of the setting, and does not quote
// the URL.
func CheckURL(address string) error {
	_, err := parse(secret.New(address))
	return err
}

// parse reads a URL, see [Config.URL].
func parse(address secret.String) (target, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Opaque != "" {
		return target{}, errURL // the error of url.Parse quotes the URL
	}
	secure, ok := map[string]bool{"valkey": false, "redis": false, "valkeys": true, "rediss": true}[u.Scheme]
	if !ok {
		return target{}, errScheme
	}
	query, err := parseQuery(u)
	if err != nil {
		return target{}, err
	}
	t := target{options: clientOptions()}
	port, err := parsePort(u)
	if err != nil {
		return target{}, err
	}
	t.options.InitAddress = []string{net.JoinHostPort(u.Hostname(), port)}
	if secure {
		// Each connection verifies the name that it was made for: in a cluster the servers
		// have names of their own.
		t.options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.options.SelectDB, err = parseDatabase(u.Path); err != nil {
		return target{}, err
	}
	t.options.ForceSingleClient = !query.cluster
	if query.cluster && t.options.SelectDB != 0 {
		return target{}, errCluster
	}
	return t, t.parseUser(u, query)
}

// parseUser reads how to log in.
func (t *target) parseUser(u *url.URL, query query) error {
	password, hasPassword := u.User.Password()
	if query.iam {
		t.iam = &iamUser{user: u.User.Username(), cache: query.cache, region: query.region, serverless: query.serverless}
		if t.options.TLSConfig == nil || t.iam.user == "" || hasPassword || t.iam.cache == "" || t.iam.region == "" {
			return errIAM
		}
		return nil
	}
	if query.cache != "" || query.region != "" || query.serverless {
		return errNoIAM
	}
	if u.User != nil && password == "" {
		return errUser
	}
	t.options.Username, t.options.Password = u.User.Username(), password
	return nil
}

// query is the part of a URL after the question mark.
type query struct {
	cluster, iam, serverless bool
	cache, region            string
}

// awsName matches the names of caches and regions of AWS, which are lower-case.
var awsName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func parseQuery(u *url.URL) (q query, err error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" {
		return q, errQuery
	}
	for key, all := range values {
		if len(all) != 1 {
			return q, errQuery
		}
		if slices.Contains([]string{"cache", "region"}, key) && !awsName.MatchString(all[0]) {
			return q, fmt.Errorf("must have a name in lower-case letters, digits and hyphens as %s", key)
		}
		switch key {
		case "cluster":
			q.cluster, err = parseBool(all[0])
		case "iam":
			q.iam, err = parseBool(all[0])
		case "serverless":
			q.serverless, err = parseBool(all[0])
		case "cache":
			q.cache = all[0]
		case "region":
			q.region = all[0]
		default:
			err = errQuery
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func parseBool(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, errBool
	}
	return text == "true", nil
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
