package app_test

import (
	"strings"
	"testing"
)

// These tests send bytes to the service's listener, because a difference between how
// net/http, a proxy in front and an API behind read a request cannot be tested with a
// handler alone. Other packages test the rest:
//
//   - framing (TE, CL), request lines, targets, hosts: here; HTTP/2's in
//     hygiene_http2_test.go; floods and broken responses in hygiene_load_test.go
//   - headers to the API (hop-by-hop, underscores, forwarding, duplicates):
//     oauthproxy/request_test.go; trusted proxies: tokenhandler/web/clientip_test.go
//   - headers from the API (cookies, CORS, HSTS, caching, redirects, types):
//     oauthproxy/response_test.go
//   - paths: tokenhandler/web/path_test.go, oauthproxy/path_test.go, routing_test.go
//   - upgrades: oauthproxy/handshake_test.go, oauthproxy/socket/handshake_test.go, and here
//   - caching beside our cookies: no_store_test.go; CORS: cors_test.go

const (
	// post and get are the beginnings of good requests.
	post = "POST /raw/x HTTP/1.1\r\n" + ownHead
	get  = "GET /raw/x HTTP/1.1\r\n" + ownHead
	// ownHead are the header fields of the app's own requests.
	ownHead = "Host: localhost:8080\r\nSec-Fetch-Site: same-origin\r\n"
	// smuggled is a request where another parser of HTTP sees a part of a body.
	smuggled = "GET /raw/smuggled HTTP/1.1\r\n" + ownHead + "\r\n"

	refused  = "400"                                // and the connection ended
	served   = "200, 404 not_found"                 // and so was what followed
	ended    = "200"                                // served, and the connection ended
	rejected = "400 invalid_request, 404 not_found" // by us, and what followed was served
	seenAB   = "POST /raw/x ab"                     // by the upstream
	both     = "POST /raw/x, GET /raw/smuggled"     // were requests, and each was checked
	bothDone = "200, 200, 404 not_found"            // answers to both
	chunked  = "Transfer-Encoding: chunked\r\n"     // beside more
	chunks   = post + chunked + "\r\n"              // a body in chunks follows
	end      = "0\r\n\r\n"                          // of a body in chunks
	hidden   = "\r\n" + end + smuggled              // behind a body in chunks, if it is one
	hidden5  = "Content-Length: 5\r\n\r\n" + end    // five bytes, or no chunk at all
)

// TestFraming: if the length of a request is ambiguous, the connection is closed. A
// request that follows another one passes the same checks as any other, or is not
// served (request smuggling, RFC 9112 §11.2).
func TestFraming(t *testing.T) {
	s, up := startWire(t)
	http10 := strings.Replace(post, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\n"
	s.runWire(t, up, []wireTest{
		{"CL", post + "Content-Length: 2\r\n\r\nab", served, seenAB},
		{"CL with space behind", post + "Content-Length: 2 \t\r\n\r\nab", served, seenAB},
		{"CL with zero in front", post + "Content-Length: 02\r\n\r\nab", served, seenAB},
		{"CL twice the same", post + "Content-Length: 2\r\ncontent-length: 2\r\n\r\nab", served, seenAB},
		{"CL twice", post + "Content-Length: 2\r\nContent-Length: 90\r\n\r\nab" + smuggled, refused, ""},
		{"CL list", post + "Content-Length: 2, 90\r\n\r\nab" + smuggled, refused, ""},
		{"CL list of the same", post + "Content-Length: 2, 2\r\n\r\nab", refused, ""},
		{"CL empty", post + "Content-Length:\r\n\r\n" + smuggled, refused, ""},
		{"CL and an empty one", post + "Content-Length: 2\r\nContent-Length:\r\n\r\nab" + smuggled, refused, ""},
		{"CL negative", post + "Content-Length: -2\r\n\r\nab", refused, ""},
		{"CL with plus", post + "Content-Length: +2\r\n\r\nab", refused, ""},
		{"CL hexadecimal", post + "Content-Length: 0x2\r\n\r\nab", refused, ""},
		{"CL with underscore", post + "Content-Length: 2_0\r\n\r\nab", refused, ""},
		{"CL in another script", post + "Content-Length: ２\r\n\r\nab", refused, ""},
		{"CL over 63 bits", post + "Content-Length: 9223372036854775808\r\n\r\nab", refused, ""},
		{"CL with space before the colon", post + "Content-Length : 2\r\n\r\nab" + smuggled, refused, ""},
		{"CL with tab before the colon", post + "Content-Length\t: 2\r\n\r\nab" + smuggled, refused, ""},
		{"CL with underscore for dash", post + "Content_Length: 90\r\n\r\n" + smuggled, bothDone, both},
		{"CL named in Connection", post + "Connection: Content-Length\r\nContent-Length: 2\r\n\r\nab", served, seenAB},
		{"CL of a GET", get + "Content-Length: 2\r\n\r\nab", served, "GET /raw/x ab"},
		{"CL, unknown expectation", post + "Content-Length: 90\r\nExpect: evil\r\n\r\n" + smuggled, "417", ""},

		{"TE", chunks + "2\r\nab\r\n" + end, ended, seenAB},
		{"TE in capitals", post + "TRANSFER-ENCODING: CHUNKED\r\n" + hidden, ended, "POST /raw/x"},
		{"TE with tab", post + "Transfer-Encoding:\tchunked\r\n" + hidden, ended, "POST /raw/x"},
		{"TE of a GET", get + chunked + "\r\n2\r\nab\r\n" + end, ended, "GET /raw/x ab"},
		{"TE named in Connection", post + "Connection: Transfer-Encoding\r\n" + chunked + "\r\n2\r\nab\r\n" + end, ended, seenAB},
		{"TE behind CL", post + "Content-Length: 90\r\n" + chunked + hidden, ended, "POST /raw/x"},
		{"TE before CL", post + chunked + "Content-Length: 90\r\n" + hidden, ended, "POST /raw/x"},
		{"TE unknown", post + "Transfer-Encoding: xchunked\r\n" + hidden, "501", ""},
		{"TE unknown, and CL", post + "Transfer-Encoding: xchunked\r\n" + hidden5 + smuggled, "501", ""},
		{"TE identity", post + "Transfer-Encoding: identity\r\n\r\n" + smuggled, "501", ""},
		{"TE empty", post + "Transfer-Encoding:\r\n\r\n" + smuggled, "501", ""},
		{"TE twice the same", post + chunked + chunked + hidden, "501", ""},
		{"TE twice", post + chunked + "Transfer-Encoding: identity\r\n" + hidden, "501", ""},
		{"TE twice, the other way", post + "Transfer-Encoding: identity\r\n" + chunked + hidden, "501", ""},
		{"TE list", post + "Transfer-Encoding: gzip, chunked\r\n" + hidden, "501", ""},
		{"TE list of the same", post + "Transfer-Encoding: chunked, chunked\r\n" + hidden, "501", ""},
		{"TE with parameter", post + "Transfer-Encoding: chunked;q=1\r\n" + hidden, "501", ""},
		{"TE in quotes", post + "Transfer-Encoding: \"chunked\"\r\n" + hidden, "501", ""},
		{"TE folded by Unicode", post + "Transfer-Encoding: chun\u212aed\r\n" + hidden, "501", ""},
		{"TE with vertical tab", post + "Transfer-Encoding: \vchunked\r\n" + hidden, refused, ""},
		{"TE with space before the colon", post + "Transfer-Encoding : chunked\r\n" + hidden, refused, ""},
		{"TE with underscore for dash", post + "Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nab", served, seenAB},
		{"TE of HTTP/1.0", http10 + chunked + hidden, ended, "POST /raw/x"},
		{"TE of HTTP/1.0, and CL", http10 + chunked + hidden5 + smuggled, ended, "POST /raw/x 0"},
		{"CL of HTTP/1.0", http10 + "Content-Length: 2\r\n\r\nab" + smuggled, ended, seenAB},

		// A folded line is one with the line before (RFC 9112 §5.2).
		{"folded value", post + "Transfer-Encoding:\r\n chunked\r\n" + hidden, ended, "POST /raw/x"},
		{"folded field", post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + smuggled, bothDone, both},
		{"folded first line", "GET /raw/x HTTP/1.1\r\n " + ownHead + "\r\n", refused, ""},
		// A bare LF ends a line (RFC 9112 §2.2), but none of a body in chunks.
		{"LF in the head", post + "X: y\nTransfer-Encoding: chunked\r\n" + hidden, ended, "POST /raw/x"},
		{"LF ends the head", post + "X: y\n\n" + smuggled, bothDone, both},
		{"CR in the head", post + "X: y\rTransfer-Encoding: chunked\r\n" + hidden, refused, ""},
		{"CR twice", post + "X: y\r\r\n\r\n" + smuggled, refused, ""},
		{"NUL in a value", post + "X: y\x00z\r\n\r\n" + smuggled, refused, ""},
		{"NUL in a name", post + "X\x00: y\r\n\r\n" + smuggled, refused, ""},
		{"no name", post + ": y\r\n\r\n" + smuggled, refused, ""},
		{"no colon", post + "X\r\n\r\n" + smuggled, refused, ""},
		{"space in a name", post + "X Y: z\r\n\r\n" + smuggled, refused, ""},
	})
}

// TestChunks: a malformed chunked body is refused, and what follows it is not read as a
// request.
func TestChunks(t *testing.T) {
	s, up := startWire(t)
	const broken = "400 invalid_request"
	s.runWire(t, up, []wireTest{
		{"zero in front", chunks + "02\r\nab\r\n" + end, ended, seenAB},
		{"space behind", chunks + "2 \r\nab\r\n" + end, ended, seenAB},
		{"extension", chunks + "2;a=\"b\"\r\nab\r\n" + end, ended, seenAB},
		{"extension with open quotes", chunks + "2;a=\"b\r\nab\r\n" + end, ended, seenAB},
		{"extension with LF", chunks + "2;a=\nb\r\nab\r\n" + end + smuggled, broken, ""},
		{"extension that is long", chunks + "2;" + strings.Repeat("x", 8<<10) + "\r\nab\r\n" + end + smuggled, broken, ""},
		{"extensions that are more than the body", chunks + strings.Repeat("1;"+strings.Repeat("x", 100)+"\r\na\r\n", 1000) + end + smuggled, broken, ""},
		{"hexadecimal prefix", chunks + "0x2\r\nab\r\n" + end + smuggled, broken, ""},
		{"plus", chunks + "+2\r\nab\r\n" + end + smuggled, broken, ""},
		{"negative", chunks + "-2\r\nab\r\n" + end + smuggled, broken, ""},
		{"space in front", chunks + " 2\r\nab\r\n" + end + smuggled, broken, ""},
		{"junk", chunks + "2x\r\nab\r\n" + end + smuggled, broken, ""},
		{"no size", chunks + "\r\nab\r\n" + end + smuggled, broken, ""},
		{"over 64 bits", chunks + "10000000000000002\r\nab\r\n" + end + smuggled, broken, ""},
		{"LF behind the size", chunks + "2\nab\r\n" + end + smuggled, broken, ""},
		{"CR behind the size", chunks + "2\rab\r\n" + end + smuggled, broken, ""},
		{"LF behind the chunk", chunks + "2\r\nab\n" + end + smuggled, broken, ""},
		{"nothing behind the chunk", chunks + "2\r\nab" + end + smuggled, broken, ""},
		{"longer than it says", chunks + "2\r\nabc\r\n" + end + smuggled, broken, ""},
		{"LF behind the last size", chunks + "2\r\nab\r\n0\n\n" + smuggled, broken, ""},
		{"trailers", chunks + "2\r\nab\r\n0\r\nAuthorization: evil\r\nContent-Length: 5\r\n\r\n" + smuggled, ended, seenAB},
		{"trailers, announced", post + "Trailer: Authorization\r\n" + chunked + "\r\n2\r\nab\r\n0\r\nAuthorization: evil\r\n\r\n", ended, seenAB},
		{"trailers, malformed", chunks + "2\r\nab\r\n0\r\nno trailer\r\n\r\n" + smuggled, broken, ""},
		{"trailers that are long", chunks + "2\r\nab\r\n0\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 100) + "\r\n", broken, ""},
	})
}

// TestRequestLines: a request line has three parts, separated by one space each.
func TestRequestLines(t *testing.T) {
	s, up := startWire(t)
	const head = "\r\n" + ownHead + "\r\n"
	s.runWire(t, up, []wireTest{
		{"good", "GET /raw/x HTTP/1.1" + head, served, "GET /raw/x"},
		{"two spaces", "GET  /raw/x HTTP/1.1" + head, refused, ""},
		{"two spaces later", "GET /raw/x  HTTP/1.1" + head, refused, ""},
		{"space in front", " GET /raw/x HTTP/1.1" + head, refused, ""},
		{"space behind", "GET /raw/x HTTP/1.1 " + head, refused, ""},
		{"space in the query", "GET /raw/x?a b HTTP/1.1" + head, refused, ""},
		{"line in front", "\r\nGET /raw/x HTTP/1.1" + head, refused, ""},
		{"tabs", "GET\t/raw/x\tHTTP/1.1" + head, refused, ""},
		{"CR", "GET /raw/x HTTP/1.1\rX: y" + head, refused, ""},
		{"NUL", "GET /raw/\x00 HTTP/1.1" + head, refused, ""},
		{"no version", "GET /raw/x" + head, refused, ""},
		{"no method", "/raw/x HTTP/1.1" + head, refused, ""},
		{"no target", "GET HTTP/1.1" + head, refused, ""},
		{"no method's letters", "G(T /raw/x HTTP/1.1" + head, refused, ""},
		{"version twice", "GET /raw/x HTTP/1.0 HTTP/1.1" + head, refused, ""},
		{"version in small letters", "GET /raw/x http/1.1" + head, refused, ""},
		{"version 1.10", "GET /raw/x HTTP/1.10" + head, refused, ""},
		{"version 0.9", "GET /raw/x HTTP/0.9" + head, "505", ""},
		{"version 2.0", "GET /raw/x HTTP/2.0" + head, "505", ""},
		{"version 3.0", "GET /raw/x HTTP/3.0" + head, "505", ""},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", refused, ""},
		{"PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get + "\r\n", refused, ""},
		{"HTTP/2 that is not offered", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 invalid_request", ""},
	})
}

// TestHosts: a request has one Host field at most, and its value has no effect.
func TestHosts(t *testing.T) {
	s, up := startWire(t)
	const line, site = "GET /raw/x HTTP/1.1\r\n", "Sec-Fetch-Site: same-origin\r\n\r\n"
	s.runWire(t, up, []wireTest{
		{"another", line + "Host: evil.example\r\n" + site, served, "GET /raw/x"},
		{"empty", line + "Host:\r\n" + site, served, "GET /raw/x"},
		{"none", line + site, refused, ""},
		{"twice", line + "Host: localhost:8080\r\nHost: evil.example\r\n" + site, refused, ""},
		{"twice the same", line + "Host: localhost:8080\r\nHost: localhost:8080\r\n" + site, refused, ""},
		{"with a path", line + "Host: evil.example/x\r\n" + site, refused, ""},
		{"with a space", line + "Host: evil .example\r\n" + site, refused, ""},
		{"with space before the colon", line + "Host : evil.example\r\n" + site, refused, ""},
	})
}

// TestTargets: only a path that every parser reads in the same way is routed.
func TestTargets(t *testing.T) {
	s, up := startWire(t)
	var tests []wireTest
	for _, target := range []string{
		"http://localhost:8080/raw/x", "HTTP://evil.example/raw/x", "http:/raw/x", "http:raw/x", "evil.example:443", "*", // absolute, and none
		"//evil.example/raw/x", "///raw/x", "/raw//x", "/raw/x//", `/\evil.example/raw/x`, `/raw\x`, "/raw/x%5cy", "/raw%2fx", // slashes
		"/raw/../auth/session", "/raw/./x", "/raw/..", "/raw/%2e%2e/x", "/raw/.%2E/x", "/raw/%252e%252e/x", "/raw/..;/x", "/raw/;/x", // dots
		"/raw/%00", "/raw/%0d%0aX:", "/raw/%c0%ae%c0%ae/x", "/raw/\xff", "/raw/x#y", "/raw/x?y#z", "/%72aw/x",
	} {
		tests = append(tests, wireTest{target, "GET " + target + " HTTP/1.1\r\n" + ownHead + "\r\n", rejected, ""})
	}
	for _, target := range []string{"raw/x", "?x", `\raw\x`, "@evil.example/raw/x", "/raw/%", "/raw/%zz", "/raw/\x7f"} {
		tests = append(tests, wireTest{target, "GET " + target + " HTTP/1.1\r\n" + ownHead + "\r\n", refused, ""})
	}
	for line, answers := range map[string]string{
		"OPTIONS *": rejected,
		// net/http closes the connection after a CONNECT (Go 1.27): nothing follows.
		"CONNECT evil.example:443":    "400 invalid_request",
		"CONNECT http://evil.example": "400 invalid_request",
		"CONNECT /raw/x":              "405 method_not_allowed",
		"CONNECT /":                   "405 method_not_allowed",
		"TRACE /raw/x":                "405 method_not_allowed, 404 not_found",
		"TRACE /auth/session":         "405 method_not_allowed, 404 not_found",
		"TRACE /":                     "405 method_not_allowed, 404 not_found",
		"TRACK /raw/x":                "405 method_not_allowed, 404 not_found",
		"TRACK /auth/session":         "405 method_not_allowed, 404 not_found",
		"TRACK /":                     "405 method_not_allowed, 404 not_found",
		// An API that trims segments, or normalises letters, would leave the route.
		"GET /raw/%E2%80%A5/x":          "404 not_found, 404 not_found",
		"GET /raw/x/%20../../y":         rejected,
		"GET /raw/%EF%BC%8E%2e/x":       rejected,
		"GET /raw/%20..%20/x":           "404 not_found, 404 not_found",
		"GET /raw/%EF%BC%8E%EF%BC%8E/x": "404 not_found, 404 not_found",
	} {
		tests = append(tests, wireTest{line, line + " HTTP/1.1\r\n" + ownHead + "\r\n", answers, ""})
	}
	s.runWire(t, up, tests)
}

// TestHeadersOfProxies: an API gets no header by which another proxy would tell it the user
// or the address of the client.
func TestHeadersOfProxies(t *testing.T) {
	s, up := startWire(t)
	var tests []wireTest
	for _, name := range []string{
		"Client-IP", "CF-Connecting-IP", "X-WEBAUTH-USER", "X-MS-CLIENT-PRINCIPAL-NAME", "X-Amzn-Oidc-Identity", "X-Goog-IAP-JWT-Assertion",
		"Tailscale-User-Login", "Remote-Groups", "OIDC_CLAIM_sub", "SSL_CLIENT_S_DN", "X-Envoy-External-Address", "X-Middleware-Subrequest", "x_webauth_user",
	} {
		tests = append(tests, wireTest{name, get + name + ": evil\r\n\r\n", served, "GET /raw/x"})
	}
	s.runWire(t, up, tests)
}

// TestReferers: a GET without Fetch Metadata and Origin is the app's own if its Referer is.
func TestReferers(t *testing.T) {
	s, up := startWire(t)
	const host, foreign = "Host: localhost:8080\r\n", "403 cross_site_request, 404 not_found"
	s.runWire(t, up, []wireTest{
		{"ours", "GET /raw/x HTTP/1.1\r\n" + host + "Referer: http://localhost:8080/orders\r\n\r\n", served, "GET /raw/x"},
		{"none", "GET /raw/x HTTP/1.1\r\n" + host + "\r\n", foreign, ""},
		{"another's", "GET /raw/x HTTP/1.1\r\n" + host + "Referer: http://localhost:80801/\r\n\r\n", foreign, ""},
		{"user", "GET /raw/x HTTP/1.1\r\n" + host + "Referer: http://localhost:8080@evil.example/\r\n\r\n", foreign, ""},
		{"twice", "GET /raw/x HTTP/1.1\r\n" + host + "Referer: http://localhost:8080/\r\nReferer: http://evil.example/\r\n\r\n", foreign, ""},
		{"of a POST", "POST /raw/x HTTP/1.1\r\n" + host + "Referer: http://localhost:8080/\r\nContent-Length: 0\r\n\r\n", foreign, ""},
	})
}

// TestUpgradesAreNotOffered: requests to upgrade to anything but WebSockets are ignored,
// also with HTTP/2 without TLS.
func TestUpgradesAreNotOffered(t *testing.T) {
	for _, more := range []string{"", "h2c: true"} {
		t.Run(more, func(t *testing.T) {
			s, up := startWire(t, more)
			const upgrade = " HTTP/1.1\r\n" + ownHead + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
			s.runWire(t, up, []wireTest{
				{"auth", "GET /auth/session" + upgrade, served, ""},
				{"app", "GET /" + upgrade, served, ""},
				{"API", "GET /raw/x" + upgrade, rejected, ""},
				{"API with WebSockets", "GET /live/socket" + upgrade, rejected, ""},
			})
		})
	}
}

// TestNothingOpensARoute: only a session gives access to a route: not header fields by
// which proxies describe another request, not a query or fragment that looks like an
// anonymous path, and not a user name in a header (oauth2-proxy's CVE-2026-40575, GHSA-7rh7-c77v-6434,
// GHSA-pxq7-h93f-9jrg, GHSA-5hvv-m4w4-gf6v).
func TestNothingOpensARoute(t *testing.T) {
	s, up := startWire(t)
	const unknown = "401 not_authenticated, 404 not_found"
	var tests []wireTest
	for _, line := range []string{
		"GET /api/me?/raw/x", "GET /api/me?path=/raw/x&url=/raw/x", "GET /api/me;/raw/x", "GET /api/me%3f/raw/x", "GET /api/me%23/raw/x",
	} {
		tests = append(tests, wireTest{line, line + " HTTP/1.1\r\n" + ownHead + "\r\n", unknown, ""})
	}
	for _, field := range []string{
		"X-Forwarded-Uri: /raw/x", "X-Forwarded-Path: /raw/x", "X-Forwarded-Prefix: /raw", "X-Original-Uri: /raw/x", "X-Original-Url: /raw/x",
		"X-Rewrite-Url: /raw/x", "X-Auth-Request-Redirect: /raw/x", "X-Forwarded-Method: OPTIONS", "X-Http-Method-Override: OPTIONS",
		"X-Forwarded-User: demo", "X-Auth-Subject: demo", "Remote-User: demo", "X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1", "Forwarded: for=127.0.0.1",
		"User-Agent: GoogleHC/1.0", "User-Agent: kube-probe/1.33", "User-Agent: ELB-HealthChecker/2.0",
		"Authorization: Bearer x", "Authorization: Basic ZGVtbzpkZW1v", "Cookie: session=x", "Cookie: __Host-Http-session_0=x", "Cookie: session-8080_0=x",
	} {
		tests = append(tests, wireTest{field, "GET /api/me HTTP/1.1\r\n" + ownHead + field + "\r\n\r\n", unknown, ""})
	}
	s.runWire(t, up, tests)
	if seen := s.api.seen(); len(seen) != 0 {
		t.Errorf("the API was asked %d times", len(seen))
	}
}
