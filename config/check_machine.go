package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"cognito-token-handler/oauthproxy/spa"
)

// Machine is what [Load] asks about the machine that the service runs on.
type Machine struct {
	// ReadFile reads a file of the operator's. Pass os.ReadFile. Nil means that the
	// configuration may name no files.
	ReadFile func(name string) ([]byte, error)
	// Now is the clock. Nil means that [Load] reads only the files with values of keys, and
	// checks nothing else of the machine: no certificate, app's directory and authorities
	// of upstreams.
	Now func() time.Time
	// Container reports whether the service runs in a container.
	Container bool
	// AWSCredentials looks where AWS credentials would come from. roleOnly means that
	// nothing but the role of the machine is left. Nil means that nothing is looked at.
	AWSCredentials func(region string) (roleOnly bool, err error)
}

// checkMachine checks what the keys say about the machine. It skips keys that have a
// fault already.
func (l *loader) checkMachine(c *Config, table []option, m Machine) {
	files := l.secretFiles(table)
	l.checkSecretFiles(files, m)
	l.checkServedFiles(c.SPA.Dir, files)
	l.checkLoopback(c, m)
	l.checkCredentials(c, m)
	l.checkCertificate(c, m)
	l.checkDirectory(c)
	for i := range c.API.Routes {
		l.checkAuthorities(i, c.API.Routes[i].UpstreamCAFile, m)
	}
}

// checkCredentials checks that there can be AWS credentials for the bucket, and for a
// store that wants them.
func (l *loader) checkCredentials(c *Config, m Machine) {
	var keys []string
	if c.Storage.Bucket != "" && !c.Storage.NeedsIDToken() {
		keys = append(keys, "storage.bucket")
	}
	if u, err := url.Parse(c.Session.Store.Reveal()); err == nil && u.Query().Get("iam") == "true" {
		keys = append(keys, l.firstSet("session.store", "session.store_file"))
	}
	if m.AWSCredentials == nil || len(keys) == 0 {
		return
	}
	roleOnly, err := m.AWSCredentials(c.Storage.Region)
	for _, key := range keys {
		switch {
		case err != nil:
			l.fault(key, "needs AWS credentials: "+err.Error(), credentialsFix)
		case roleOnly:
			l.warn(key, "needs AWS credentials, and only a role of the machine itself could have them here", credentialsFix)
		}
	}
}

const credentialsFix = "give the service a role (EKS, ECS, EC2), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

// checkLoopback warns of the default addresses in a container, which has a loopback
// interface of its own: the service would start, and nobody could connect.
func (l *loader) checkLoopback(c *Config, m Machine) {
	for _, listener := range []struct{ key, address, who, port string }{
		{"listen", c.Listen, "browsers and proxies", ":8080"},
		{"admin.listen", c.Admin.Listen, "probes and Prometheus", ":9090"},
	} {
		if host, _, ok := listenAddress(listener.address); ok && m.Container && isLoopback(host) {
			l.warn(listener.key, "is "+listener.address+", which "+listener.who+" outside this container cannot reach", "write "+listener.port+", unless they run in the same pod")
		}
	}
}

func (l *loader) checkDirectory(c *Config) {
	if c.SPA.Dir == "" || !l.valid("spa.dir") {
		return
	}
	if err := spa.Check(c.SPA.Dir); err != nil {
		l.fault("spa.dir", "cannot be served: "+err.Error(), "build the app, or write the directory of the built one")
		return
	}
	l.warnOfLongPolicies(c)
}

// warnOfLongPolicies warns of a Content-Security-Policy for which a proxy could answer 502, or
// which is shortened for that reason.
func (l *loader) warnOfLongPolicies(c *Config) {
	long := spa.TooLong(spa.Config{
		Dir: c.SPA.Dir, ContentSecurityPolicy: c.SPA.ContentSecurityPolicy, ExtraPolicy: c.SPA.ExtraPolicy, StorageOrigin: c.Storage.Origin(),
	})
	if len(long) == 0 {
		return
	}
	first := long[0]
	if first.File == "" {
		key := l.firstSet("spa.content_security_policy", "spa.content_security_policy_extra")
		l.warn(key, fmt.Sprintf("makes a Content-Security-Policy of %d bytes; proxies refuse a response with a long head, nginx from 4,096 bytes on", first.Needed), "remove sources, or let the proxy accept more (nginx: proxy_buffer_size)")
		return
	}
	problem := fmt.Sprintf("has %s, whose Content-Security-Policy needs %d bytes", first.File, first.Needed)
	if first.Sent < first.Needed {
		problem += fmt.Sprintf(" and is sent with %d, in which all attributes style are allowed", first.Sent)
	}
	if more := len(long) - 1; more > 0 {
		problem += fmt.Sprintf(" (and %d more such pages)", more)
	}
	if first.Sent > spa.MaxPolicy {
		problem += "; proxies refuse a response with a long head, nginx from 4,096 bytes on"
	}
	l.warn("spa.dir", problem, "move the scripts, styles and attributes style of the page into files of their own")
}

// unreadable says why a file cannot be read, in a sentence that begins with the key;
// nil without an error.
func unreadable(err error) *invalid {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &invalid{"names a file that does not exist", "check the path, and that the file is mounted"}
	case errors.Is(err, fs.ErrPermission):
		return &invalid{"names a file that the service may not read", "give the service's user the right to read it"}
	}
	return &invalid{"names a file that cannot be read", "check the path and the file"}
}
