package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// routes makes the option api.routes, each item of which has options of its own.
func routes(dst *[]Route) value {
	return value{kind: "list of routes", form: formYAML, read: func(n *yaml.Node, fault report) {
		if n.Kind == yaml.AliasNode || isNull(n) {
			return
		}
		if n.Kind != yaml.SequenceNode {
			fault(n, "", "is not a list", "write each route as an item: - path: /api/")
			return
		}
		for i, item := range n.Content {
			// A route with a fault is kept, so that the others keep their numbers.
			*dst = append(*dst, readRoute(item, fmt.Sprintf("[%d]", i), fault))
		}
	}}
}

// readRoute reads one item with a loader of its own. sub is the index of the item,
// such as "[0]", for faults. A field with a fault is empty.
func readRoute(item *yaml.Node, sub string, fault report) (r Route) {
	if item.Kind == yaml.AliasNode {
		return r
	}
	if item.Kind != yaml.MappingNode {
		fault(item, sub, "is not a route", "write path: and upstream: on lines of their own")
		return r
	}
	in := &loader{bad: map[string]bool{}, set: map[string]setting{}}
	table := routeOptions(&r)
	in.set = in.flatten(item, "", "", table)
	in.read(table)
	checkRoute(in, r)
	for _, f := range in.faults {
		at := &yaml.Node{Line: f.line}
		if f.line == 0 {
			at.Line = item.Line
		}
		fault(at, sub+"."+f.Key, f.Problem, f.Fix)
	}
	return r
}

// checkRoute checks combinations of the keys of one route.
func checkRoute(in *loader, r Route) {
	if !in.isSet("path") {
		in.fault("path", "is missing", "write which paths to forward, such as /api/")
	}
	if !in.isSet("upstream") {
		in.fault("upstream", "is missing", "write where to forward to, such as https://api.internal.example.com")
	}
	checkPermission(in, "scopes", r.Scopes, r.Anonymous)
	checkPermission(in, "groups", r.Groups, r.Anonymous)
	if r.Upstream == nil {
		return
	}
	if r.UpstreamHost != "" && r.Upstream.Scheme != "unix" {
		in.fault("upstream_host", "is set, but the upstream is not a unix:// socket", "remove it: the API gets the host of its URL")
	}
	if r.UpstreamCAFile != "" && r.Upstream.Scheme != "https" {
		in.fault("upstream_ca_file", "is set, but the upstream is not https://", "write https://, or remove it")
	}
	if r.WebSocket && r.Upstream.Scheme == "h2c" {
		in.fault("websocket", "is true, but WebSockets to an h2c:// upstream are not supported", "write http://, or remove it")
	}
	switch secure := r.Upstream.Scheme == "unix" || insecure(r.Upstream) == nil; {
	case !secure && !r.InsecureHTTPUpstream:
		in.fault("upstream", quote(r.Upstream.String())+" is not https", "write https://, or set insecure_http_upstream: true if the network itself encrypts")
	case secure && r.InsecureHTTPUpstream:
		in.fault("insecure_http_upstream", "is true, but the upstream does not need it", "remove it")
	}
}

// checkPermission refuses scopes or groups that would restrict nothing.
func checkPermission(in *loader, key string, list []string, anonymous bool) {
	switch {
	case !in.isSet(key) || !in.valid(key):
	case len(list) == 0:
		in.fault(key, "is empty and would restrict nothing", "write at least one, or remove it")
	case anonymous:
		in.fault(key, "cannot be combined with anonymous: true: a request without a session has none", "remove one of the two")
	}
}
