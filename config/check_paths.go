package config

import (
	"fmt"

	"cognito-token-handler/tokenhandler/web"
)

// checkPaths checks that the service's own prefixes do not overlap.
func (l *loader) checkPaths(c *Config) {
	if !l.valid("auth.path") {
		return
	}
	if c.Storage.Bucket != "" && l.valid("storage.path") && (web.Under(c.Storage.Path, c.Auth.Path) || web.Under(c.Auth.Path, c.Storage.Path)) {
		l.fault(l.firstSet("storage.path", "auth.path"),
			fmt.Sprintf("makes the storage path %s overlap the auth path %s", c.Storage.Path, c.Auth.Path), "write two separate paths")
	}
	if c.Auth.ErrorPath != "" && web.Under(c.Auth.ErrorPath, c.Auth.Path) {
		l.fault("auth.error_path", quote(c.Auth.ErrorPath)+" is below auth.path and could redirect in a loop", "write a path of your app")
	}
}

// checkRoutes checks that no two routes have the same path, and that no route
// covers a path that the service itself answers.
func (l *loader) checkRoutes(c *Config) {
	if !l.valid("api.routes") {
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
		case web.Under(r.Path, c.Auth.Path):
			l.routeFault(i, label, quote(r.Path)+" is below auth.path, which the service itself answers", "write another path")
		case c.Storage.Bucket != "" && web.Under(r.Path, c.Storage.Path):
			l.routeFault(i, label, quote(r.Path)+" is below storage.path, which the service itself answers", "write another path")
		case r.Path == "/" && c.SPA.Dir != "":
			l.routeFault(i, label, quote(r.Path)+" covers all paths, also those of spa.dir", "write a longer path, or remove spa.dir")
		}
	}
}

// routeFault reports a fault at the line of a route.
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
	case s.Region != "" || !l.valid("storage.region", "storage.endpoint"):
	case s.Endpoint == "":
		l.fault("storage.region", "is missing", "write the bucket's region, such as us-east-1")
	default:
		s.Region = "us-east-1" // other S3 services expect it in signatures
	}
}

// storageIsOff reports storage settings that have no effect without a bucket.
func (l *loader) storageIsOff() {
	if !l.valid("storage.bucket") {
		return
	}
	var unused Storage
	for _, o := range storageOptions(&unused) {
		if o.key != "storage.bucket" && l.isSet(o.key) {
			l.fault(o.key, "is set, but storage.bucket is not", "set storage.bucket, or remove it")
		}
	}
}
