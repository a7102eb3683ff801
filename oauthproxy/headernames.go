package oauthproxy

import (
	"slices"
	"strings"
)

// These are the lists of headers.go. The page config/deploy/README.md has the same lists,
// and a test compares them.

// headerSet is a set of header names in canonical spelling.
type headerSet struct {
	names map[string]bool
	// prefixes are sorted, and none is the beginning of another one.
	prefixes []string
}

func (s *headerSet) has(canonical string) bool {
	if s.names[canonical] {
		return true
	}
	// Of all prefixes, only the last one that is not behind the name can be its beginning.
	behind, found := slices.BinarySearch(s.prefixes, canonical)
	return found || behind > 0 && strings.HasPrefix(canonical, s.prefixes[behind-1])
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// hopByHop are the headers that concern one connection only (RFC 9110 §7.6.1). The
// names that Connection lists are removed with them.
//
//nolint:gochecknoglobals // a constant list
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// protectedRequest are the headers that upstreams trust because only a proxy sets them: ours,
// or another one for which the upstream was made. The clients' are removed.
//
//nolint:gochecknoglobals // a constant set
var protectedRequest = headerSet{
	names: setOf(
		// Ours, and what the proxy decides itself.
		"Authorization", "Proxy-Authorization", "Cookie", "Traceparent", "Tracestate", "X-Expected-Sub", "X-Request-Id",
		"Content-Length", "Transfer-Encoding", // spelled with "_": net/http has taken out the others
		// The address of the client.
		"Ali-Cdn-Real-Ip", "Cdn-Src-Ip", "Cf-Pseudo-Ipv4", "Client-Ip", "Do-Connecting-Ip", "Fastly-Client-Ip", "Fly-Client-Ip",
		"Http-Client-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Forward-For", "X-Nf-Client-Connection-Ip",
		"X-Originating-Ip", "X-Proxyuser-Ip", "X-Real-Ip", "X-True-Client-Ip", "Proxy-Client-Ip", "Wl-Proxy-Client-Ip",
		// The address of the request, and its method.
		"Front-End-Https", "X-Host", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Rewrite-Url", "X-Scheme", "X-Url-Scheme",
		// The user.
		"X-Anonymous-Consumer", "X-Apigateway-Api-Userinfo", "X-Auth-Email", "X-Auth-Groups", "X-Auth-Name", "X-Auth-Roles", "X-Auth-Subject",
		"X-Auth-User", "X-Auth-Userid", "X-Auth-Username", "X-Client-Dn", "X-Client-Verify", "X-Endpoint-Api-Userinfo",
		// Orders to the upstream's framework.
		"Proxy",                              // CGI-like servers take it for the variable HTTP_PROXY (CVE-2016-5385)
		"Surrogate-Capability",               // asks for pages with orders to a cache (ESI)
		"X-Accel-Mapping", "X-Sendfile-Type", // make Rack answer with an order to the web server (CVE-2025-61780)
	),
	prefixes: []string{
		"Cf-Access-", "Cf-Connecting-", "Client-Cert", "Forwarded", "Iv-", "Oam-", "Oidc-", "Remote-", "Shib-", "Sm-", "Ssl-", "Tailscale-",
		"X-Amzn-Mtls-", "X-Amzn-Oidc-", "X-Appengine-", "X-Arr-", "X-Auth-Request-", "X-Authenticated-", "X-Authentik-", "X-Azure-",
		"X-Client-Cert", "X-Consumer-", "X-Credential-", "X-Envoy-", "X-Forwarded", "X-Goog-Authenticated-User-", "X-Goog-Iap-", "X-Jwt-",
		"X-Middleware-", // Next.js skips its checks of a request that has it (CVE-2025-29927)
		"X-Ms-Client-Principal", "X-Ms-Token-", "X-Original-", "X-Pomerium-", "X-Proxy-", "X-Remote-", "X-Shib-", "X-Ssl-", "X-User", "X-Vouch-", "X-Webauth-",
	},
}

// clientMaySend are protected headers that a client may set, if the name is spelled
// with "-". Our own cookies are taken out of Cookie, and an invalid Traceparent is
// replaced.
//
//nolint:gochecknoglobals // a constant set
var clientMaySend = headerSet{names: setOf("Cookie", "Traceparent", "Tracestate")}

// protectedResponse are the headers that only the app's site may set.
//
//nolint:gochecknoglobals // a constant set
var protectedResponse = headerSet{
	names: setOf(
		// The browser would apply them to the whole site: cookies, stored data, transport
		// security, the scope of service workers, client hints, login status, dictionaries.
		"Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Strict-Transport-Security", "Expect-Ct", "Public-Key-Pins",
		"Public-Key-Pins-Report-Only", "Alt-Svc", "Service-Worker-Allowed", "Accept-Ch", "Critical-Ch", "Set-Login", "Idp-Signin-Status",
		"Use-As-Dictionary", "Origin-Agent-Cluster", "Activate-Storage-Access", "Observe-Browsing-Topics",
		// The browser would send reports about the site to somebody else.
		"Nel", "Report-To", "Reporting-Endpoints",
		// The browser would leave the app's page.
		"Refresh",
		// Only we know them.
		"Server", "X-Request-Id",
		// Orders to a web server in front of the proxy: it would send another resource instead.
		"X-Sendfile", "X-Send-File",
	),
	prefixes: []string{
		"Access-Control-", "Attribution-Reporting-", "Sec-Session-", "Secure-Session-",
		// Orders to a web server, as above, or to cache the response whatever Cache-Control says.
		"X-Accel-", "X-Appengine-", "X-Lighttpd-", "X-Litespeed-", "X-Reproxy-", "X-Sendfile-",
	},
}

// bufferingHeader tells nginx whether to buffer the response.
const bufferingHeader = "X-Accel-Buffering"

// upstreamMaySend are protected headers that an upstream may set. It knows which of
// its headers scripts need, and Access-Control-Expose-Headers has no effect without
// our Access-Control-Allow-Origin. It knows, too, which responses nginx must not
// buffer.
//
//nolint:gochecknoglobals // a constant set
var upstreamMaySend = headerSet{names: setOf("Access-Control-Expose-Headers", bufferingHeader)}
