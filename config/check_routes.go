package config

import (
	"fmt"

	"cognito-token-handler/tokenhandler/web"
)

// checkRoutes checks the routes against each other and against the other keys. It
// skips what has a fault already.
func (l *loader) checkRoutes(c *Config) {
	first := map[string]int{}
	for i := range c.API.Routes {
		r := &c.API.Routes[i]
		if r.InsecureHTTPUpstream {
			l.warnings = append(l.warnings, Warning{Fault: l.atRoute(i, "insecure_http_upstream", upstreamMeans, insecureFix), Insecure: true})
		}
		if r.Path == "" {
			continue
		}
		if j, again := first[r.Path]; again {
			l.routeFault(i, "path", fmt.Sprintf("%s is also the path of route %d", quote(r.Path), j), "keep one of them, or write another path")
			continue
		}
		first[r.Path] = i
		l.checkRoutePath(i, r.Path, c)
	}
}

// checkRoutePath checks that a route covers no path that the service itself answers.
func (l *loader) checkRoutePath(i int, path string, c *Config) {
	switch {
	case l.valid("auth.path") && web.Under(path, c.Auth.Path):
		l.routeFault(i, "path", quote(path)+" is below auth.path, which the service itself answers", "write another path")
	case l.valid("storage.path") && c.Storage.Bucket != "" && web.Under(path, c.Storage.Path):
		l.routeFault(i, "path", quote(path)+" is below storage.path, which the service itself answers", "write another path")
	case path == "/" && c.SPA.Dir != "":
		l.routeFault(i, "path", quote(path)+" covers all paths, also those of spa.dir", "write a longer path, or remove spa.dir")
	}
}

// routeFault reports a fault of a key of the i-th route.
func (l *loader) routeFault(i int, key, problem, fix string) {
	l.faults = append(l.faults, l.atRoute(i, key, problem, fix))
}

// routeWarn reports a warning for a key of the i-th route.
func (l *loader) routeWarn(i int, key, problem, fix string) {
	l.warnings = append(l.warnings, Warning{Fault: l.atRoute(i, key, problem, fix)})
}

// atRoute returns a fault at the line of the i-th route.
func (l *loader) atRoute(i int, key, problem, fix string) Fault {
	f := l.at("api.routes", problem, fix)
	f.Key = fmt.Sprintf("api.routes[%d].%s", i, key)
	if s := l.set["api.routes"]; s.env == "" && i < len(s.node.Content) {
		f.line = s.node.Content[i].Line
		f.Where = fmt.Sprintf("%s:%d", l.fileName, f.line)
	}
	return f
}
