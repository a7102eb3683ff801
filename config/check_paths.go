package config

import (
	"fmt"
	"strings"
)

// under reports whether path is prefix or lies below it. Slashes at the end do
// not matter; /authors is not under /auth.
func under(path, prefix string) bool {
	return strings.HasPrefix(strings.TrimSuffix(path, "/")+"/", strings.TrimSuffix(prefix, "/")+"/")
}

// checkPaths keeps our own prefixes apart.
func (l *loader) checkPaths(c *Config) {
	if !l.fine("auth.path") {
		return
	}
	if c.Storage.Bucket != "" && l.fine("storage.path") && (under(c.Storage.Path, c.Auth.Path) || under(c.Auth.Path, c.Storage.Path)) {
		l.fault(l.written("storage.path", "auth.path"),
			fmt.Sprintf("makes the storage path %s overlap the auth path %s", c.Storage.Path, c.Auth.Path), "write two separate paths")
	}
	if c.Auth.ErrorPath != "" && under(c.Auth.ErrorPath, c.Auth.Path) {
		l.fault("auth.error_path", quote(c.Auth.ErrorPath)+" is under auth.path and could loop", "write a path of your app")
	}
}

// checkRoutes keeps routes apart from each other and from our own prefixes. It
// works on what is written and not on c, which lacks the routes with faults.
func (l *loader) checkRoutes(c *Config) {
	if !l.fine("api.routes") {
		return
	}
	first := map[string]int{}
	for i, r := range c.API.Routes {
		label := fmt.Sprintf("api.routes[%d].path", i)
		if j, again := first[r.Path]; again {
			l.routeFault(i, label, fmt.Sprintf("%s is also the path of route %d", quote(r.Path), j), "keep one of them, or write another path")
			continue
		}
		first[r.Path] = i
		switch {
		case under(r.Path, c.Auth.Path):
			l.routeFault(i, label, quote(r.Path)+" is under auth.path, which is ours", "write another path")
		case c.Storage.Bucket != "" && under(r.Path, c.Storage.Path):
			l.routeFault(i, label, quote(r.Path)+" is under storage.path, which is ours", "write another path")
		case r.Path == "/" && c.SPA.Dir != "":
			l.routeFault(i, label, quote(r.Path)+" takes the paths of spa.dir", "write a longer path, or remove spa.dir")
		}
	}
}

// routeFault points at the route's own line.
func (l *loader) routeFault(i int, key, problem, fix string) {
	s := l.set["api.routes"]
	if i < len(s.node.Content) {
		l.reporter(key, s)(s.node.Content[i], "", problem, fix)
	}
}

func (l *loader) checkStorage(s *Storage) {
	if s.Bucket == "" {
		l.storageIsOff()
		return
	}
	switch {
	case s.Region != "" || !l.fine("storage.region", "storage.endpoint"):
	case s.Endpoint == "":
		l.fault("storage.region", "is missing", "write the bucket's region, such as us-east-1")
	default:
		s.Region = "us-east-1" // what S3-compatible services sign with
	}
}

// storageIsOff faults settings that would have no effect.
func (l *loader) storageIsOff() {
	if !l.fine("storage.bucket") {
		return
	}
	var unused Storage
	for _, o := range storageOptions(&unused) {
		if o.key != "storage.bucket" && l.has(o.key) {
			l.fault(o.key, "is set, but storage.bucket is not", "set storage.bucket, or remove it")
		}
	}
}
