package oauthproxy_test

import (
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// forwarded sends a request with these header lines and returns what the upstream
// received.
func forwarded(t *testing.T, header ...string) received {
	t.Helper()
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	if got := p.raw(t, "GET /api/x HTTP/1.1", header...); got.StatusCode != http.StatusOK {
		t.Fatalf("answered %d %s", got.StatusCode, got.body)
	}
	return up.last(t)
}

// Headers that upstreams trust are removed from a client's request, in any spelling.
func TestRequestHeadersRemoved(t *testing.T) {
	for _, name := range []string{
		"Authorization", "authorization", "AUTHORIZATION", "aUTHORIZATION", "Proxy-Authorization", "Proxy_Authorization", "Proxy-Connection",
		"Forwarded", "forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Forwarded-Uri", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Access-Token", "X-Forwarded", "x-forwarded-ssl",
		"X_Forwarded_For", "X-Forwarded_For", "x_forwarded-for", "X_FORWARDED_FOR", "X_Forwarded_User",
		"X-Real-IP", "X_Real_IP", "X-Client-IP", "True-Client-IP", "X-Cluster-Client-IP",
		"X-Original-URL", "X_Original_URL", "X-Original-URI", "X-Rewrite-URL", "X-Original-Host", "X-Host",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override",
		"X-Request-ID", "X_Request_ID", "x-request_id", "X-Auth-Subject", "X_Auth_Subject", "X-Auth-Groups", "X-Auth-Request-User",
		"X-User", "X-User-Id", "X_User_Id", "X-Remote-User", "Remote-User", "Remote_User", "X-Amzn-Oidc-Identity", "x_amzn_oidc_data",
		"Client-IP", "client_ip", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4", "Fastly-Client-IP", "Fly-Client-IP", "WL-Proxy-Client-IP",
		"X-Azure-ClientIP", "X-AppEngine-User-IP", "X-Envoy-External-Address", "X-Forward-For", "Forwarded-For", "X-ProxyUser-Ip", "X-Originating-IP",
		"X-WEBAUTH-USER", "x_webauth_user", "X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-CLIENT-PRINCIPAL", "X-MS-TOKEN-AAD-ID-TOKEN", "X-Goog-IAP-JWT-Assertion",
		"X-Goog-Authenticated-User-Email", "CF-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email", "Tailscale-User-Login", "X-Authentik-Username",
		"Remote-Groups", "Remote-Email", "X-Pomerium-Claim-Email", "X-Vouch-User", "X-Consumer-Username", "X-Credential-Identifier", "X-Authenticated-Userid",
		"OIDC_CLAIM_sub", "OIDC-Claim-Email", "SSL_CLIENT_S_DN", "X-SSL-Client-Verify", "X-Client-Cert", "Client-Cert", "Client-Cert-Chain", "X-ARR-ClientCert",
		"SM_USER", "iv-user", "Shib-Session-ID", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Mtls-Clientcert", "X-Apigateway-Api-Userinfo",
		"X-Middleware-Subrequest", "X-Sendfile-Type", "X-Accel-Mapping", "Surrogate-Capability", "X-Original-Method", "X-Auth-User", "X-JWT-Assertion",
		"Proxy", "proxy", "PROXY", "Content_Length", "Transfer_Encoding", "TE", "Keep-Alive", "Trailer", "Tracestate",
	} {
		t.Run(name, func(t *testing.T) {
			value := "spoofed"
			if name == "Trailer" {
				value = "X-Spoofed"
			}
			request := forwarded(t, name+": "+value, name+": again-"+value, "X-Kept: yes")
			for got, values := range request.Header {
				if strings.Contains(strings.Join(values, " "), "spoofed") {
					t.Errorf("the upstream saw %s: %q", got, values)
				}
			}
			if len(request.Trailer) != 0 {
				t.Errorf("trailers were announced to the upstream: %v", request.Trailer)
			}
			if request.Header.Get("X-Kept") != "yes" || request.Header.Get("Authorization") != "Bearer "+accessToken {
				t.Errorf("the upstream saw %v", request.Header)
			}
		})
	}
}

func TestRequestHeadersKept(t *testing.T) {
	request := forwarded(t, "accept: a/b", "ACCEPT-LANGUAGE: de", "Content-Type: x/y", "If-None-Match: \"e\"", "X-Api_Key: k", "x-custom: 1", "X-Custom: 2",
		"Range: bytes=0-1", "Origin: "+publicOrigin, "Referer: "+publicOrigin+"/", "X-Empty:", "Accept-Encoding: br", "User-Agent: mine",
		"X-Auth-Token: t", "X-Client-Version: 3", "Cf-Turnstile-Response: r", "X-Access-Token: a", "X-Hasura-Role: r", "Idempotency-Key: i")
	for name, want := range map[string]string{
		"Accept": "a/b", "Accept-Language": "de", "Content-Type": "x/y", "If-None-Match": `"e"`, "X-Api_key": "k", "X-Custom": "1|2",
		"Range": "bytes=0-1", "Origin": publicOrigin, "Referer": publicOrigin + "/", "X-Empty": "", "Accept-Encoding": "br", "User-Agent": "mine",
		// Apps use these, and APIs do not take them for a proxy's.
		"X-Auth-Token": "t", "X-Client-Version": "3", "Cf-Turnstile-Response": "r", "X-Access-Token": "a", "X-Hasura-Role": "r", "Idempotency-Key": "i",
	} {
		if got, there := request.Header[name]; !there || strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := forwarded(t).Header; got["User-Agent"] != nil || got["Accept-Encoding"] != nil {
		t.Errorf("headers that only the proxy may set: %v", got)
	}
}

// Proxies remove the headers that a client names in Connection. Those that we set must
// not be removed (golang/go#50580; CVE-2025-48865 of Fabio).
func TestConnectionCannotRemoveOurHeaders(t *testing.T) {
	for _, connection := range []string{
		"Authorization", "authorization, x-forwarded-for", "X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto", "X-Request-ID", "Traceparent",
		"Cookie", "close, Authorization", "Authorization,,Authorization", "Host", "Content-Length", "X_Forwarded_For", "Sec-Fetch-Site",
	} {
		t.Run(connection, func(t *testing.T) {
			request := forwarded(t, "Connection: "+connection, "X-Forwarded-For: 203.0.113.9", "Cookie: __Host-Http-session=s")
			h := request.Header
			for name, want := range map[string]string{
				"Authorization": "^Bearer " + accessToken + "$", "X-Forwarded-For": `^203\.0\.113\.9$`, "X-Forwarded-Host": `^app\.example\.com$`,
				"X-Forwarded-Proto": "^https$", "X-Request-Id": "^[A-Z2-7]{26}$", "Traceparent": "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$",
			} {
				if len(h[name]) != 1 || !regexp.MustCompile(want).MatchString(h[name][0]) {
					t.Errorf("%s: %q", name, h[name])
				}
			}
			if h["Cookie"] != nil || h["Connection"] != nil {
				t.Errorf("Cookie %q, Connection %q", h["Cookie"], h["Connection"])
			}
		})
	}
	if got := forwarded(t, "Connection: X-Mine", "X-Mine: hop").Header["X-Mine"]; got != nil {
		t.Errorf("a hop-by-hop header was forwarded: %q", got)
	}
}

func TestCookies(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"only ours", []string{"__Host-Http-session=a; __Host-Http-active=b; __Host-Http-login-x=c; __Host-Http-session.1=d"}, ""},
		{"between others", []string{"a=1; __Host-Http-session=s; b=2"}, "a=1; b=2"},
		{"first and last", []string{"__Host-Http-session=s;b=2;__Host-Http-active=x;"}, "b=2"},
		{"several lines", []string{"a=1; __Host-Http-session=s", "__Host-Http-session.1=t; b=2", "__Host-Http-active=u"}, "a=1; b=2"},
		{"odd spaces", []string{"  __Host-Http-session = s ;\t__Host-Http-active=t ; a=1"}, "a=1"},
		{"no value", []string{"__Host-Http-session; a"}, "a"},
		{"quoted", []string{`a="x; __Host-Http-session=s"; b=2`}, `a="x; b=2`},
		{"equals signs", []string{"a=b=c=; __Host-Http-session=s="}, "a=b=c="},
		{"alike", []string{"Host-Http-session=1; my__Host-Http-session=2; session=3"}, "Host-Http-session=1; my__Host-Http-session=2; session=3"},
		{"empty", []string{"", ";", "; ;"}, ""},
		{"bytes", []string{"a=\xff\x80; __Host-Http-session=\xff"}, "a=\xff\x80"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			for _, line := range tt.lines {
				header = append(header, "Cookie: "+line)
			}
			if got := strings.Join(forwarded(t, header...).Header["Cookie"], "|"); got != tt.want {
				t.Errorf("Cookie %q, want %q", got, tt.want)
			}
		})
	}
}

func TestForwardedHeaders(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for _, tt := range []struct{ name, header, want string }{
		// The test's own address is that of a trusted proxy.
		{"none", "", "127.0.0.1"},
		{"of a trusted proxy", "198.51.100.7", "198.51.100.7"},
		{"spoofed to the left", "10.9.9.9, 198.51.100.7", "198.51.100.7"},
		{"behind two proxies", "6.6.6.6, 198.51.100.7, 127.0.0.2", "198.51.100.7"},
		{"garbage", "\"><script>", "127.0.0.1"},
		{"IPv6", "2001:db8::7", "2001:db8::7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.raw(t, "GET /api/x HTTP/1.1", "X-Forwarded-For: "+tt.header, "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher")
			h := up.last(t).Header
			for name, want := range map[string]string{"X-Forwarded-For": tt.want, "X-Forwarded-Host": "app.example.com", "X-Forwarded-Proto": "https"} {
				if got := strings.Join(h[name], "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Here the peer is not a trusted proxy.
func TestForwardedForOfUntrustedPeers(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	r := p.request(t, http.MethodGet, "/api/x", http.NoBody, "X-Forwarded-For", "198.51.100.7")
	r.RemoteAddr, r.RequestURI = "192.0.2.1:1234", "/api/x"
	r.URL.Scheme, r.URL.Host = "", ""
	serveDirectly(p, r)
	if got := up.last(t).Header["X-Forwarded-For"]; len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("X-Forwarded-For %q", got)
	}
}

func TestTraceContext(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, tt := range []struct {
		name   string
		values []string
		kept   bool
	}{
		{"valid", []string{good}, true},
		{"none", nil, false},
		{"two", []string{good, good}, false},
		{"garbage", []string{"garbage"}, false},
		{"empty", []string{""}, false},
		{"upper case", []string{strings.ToUpper(good)}, false},
		{"all zero trace", []string{"00-00000000000000000000000000000000-b7ad6b7169203331-01"}, false},
		{"all zero parent", []string{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"}, false},
		{"invalid version", []string{"ff" + good[2:]}, false},
		{"longer", []string{good + "-extra"}, false},
		{"injection", []string{good + " X"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{"Tracestate: vendor=1"}
			for _, v := range tt.values {
				header = append(header, "Traceparent: "+v)
			}
			h := forwarded(t, header...).Header
			got := strings.Join(h["Traceparent"], "|")
			if (got == good) != tt.kept || (h.Get("Tracestate") == "vendor=1") != tt.kept {
				t.Errorf("traceparent %q, tracestate %q", got, h["Tracestate"])
			}
			if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`).MatchString(got) {
				t.Errorf("traceparent %q", got)
			}
		})
	}
	if a, b := forwarded(t).Header.Get("Traceparent"), forwarded(t).Header.Get("Traceparent"); a == b {
		t.Errorf("two traces are both %s", a)
	}
}

func TestRequestIDIsTheOneOfTheResponse(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Request-ID", "the-upstream's") })
	p := newProxy(t, api(t, up.URL))
	got := p.get(t, "/api/x", "X-Request-Id", "the-client's")
	sent := up.last(t).Header["X-Request-Id"]
	if returned := got.Header["X-Request-Id"]; len(sent) != 1 || len(returned) != 1 || sent[0] != returned[0] || strings.Contains(returned[0], "'") {
		t.Errorf("the upstream saw %q, the client %q", sent, returned)
	}
}

// A forwarded upgrade to h2c would open a tunnel that bypasses every check.
func TestUpgradeRefused(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for _, header := range [][]string{
		{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"},
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Connection: upgrade", "upgrade: H2C"},
		{"Upgrade: h2c"},
		{"Connection: Upgrade", "Upgrade:", "Upgrade: h2c"},
		{"Connection: Upgrade", "Upgrade: TLS/1.0"},
	} {
		wantProblem(t, p.raw(t, "GET /api/x HTTP/1.1", header...), http.StatusBadRequest, "invalid_request")
	}
	if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
		t.Error("an upgrade was forwarded or authorised")
	}
	if got := forwarded(t, "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__").Header; got["Http2-Settings"] != nil || got["Upgrade"] != nil {
		t.Errorf("the upstream saw %v", got)
	}
}

func TestManyHeaders(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	many := make([]string, 400) // net/http accepts 500 at most (Go 1.27)
	for i := range many {
		many[i] = "X-Many: " + strings.Repeat("v", 50)
	}
	if got := p.raw(t, "GET /api/x HTTP/1.1", many...); got.StatusCode != http.StatusOK || len(up.last(t).Header["X-Many"]) != 400 {
		t.Errorf("answered %d", got.StatusCode)
	}
	got := p.raw(t, "GET /api/x HTTP/1.1", "X-Huge: "+strings.Repeat("v", 100<<10))
	if got.StatusCode != http.StatusRequestHeaderFieldsTooLarge || len(up.requests()) != 0 {
		t.Errorf("answered %d", got.StatusCode)
	}
}

// Two servers must not disagree about where a request ends.
func TestSmuggling(t *testing.T) {
	const smuggled = "GET /api/smuggled HTTP/1.1\r\nHost: app.example.com\r\nSec-Fetch-Site: same-origin\r\n\r\n"
	foreign := strings.Replace(smuggled, "same-origin", "cross-site", 1)
	for _, tt := range []struct {
		name   string
		lines  []string
		body   string
		status int // of the first response
		body1  string
	}{
		// net/http ignores the length (RFC 9112 §6.3) and closes the connection, so what follows is not a request.
		{"CL and TE", []string{"Content-Length: 90", "Transfer-Encoding: chunked"}, "2\r\nab\r\n0\r\n\r\n" + foreign, 200, "ab"},
		{"two CL", []string{"Content-Length: 0", "Content-Length: 90"}, smuggled, 400, ""},
		{"two CL in one", []string{"Content-Length: 0, 90"}, smuggled, 400, ""},
		{"same CL twice", []string{"Content-Length: 2", "Content-Length: 2"}, "ab", 200, "ab"},
		{"negative CL", []string{"Content-Length: -1"}, smuggled, 400, ""},
		{"plus CL", []string{"Content-Length: +2"}, "ab", 400, ""},
		{"hex CL", []string{"Content-Length: 0x2"}, "ab", 400, ""},
		{"TE twice", []string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, "0\r\n\r\n" + smuggled, 501, ""},
		{"TE list", []string{"Transfer-Encoding: gzip, chunked"}, "0\r\n\r\n" + smuggled, 501, ""},
		{"TE unknown", []string{"Transfer-Encoding: xchunked"}, "0\r\n\r\n" + smuggled, 501, ""},
		{"TE with tab", []string{"Transfer-Encoding:\tchunked"}, "2\r\nab\r\n0\r\n\r\n", 200, "ab"},
		{"TE with space before colon", []string{"Transfer-Encoding : chunked"}, "0\r\n\r\n" + smuggled, 400, ""},
		{"CL with space before colon", []string{"Content-Length : 2"}, "ab", 400, ""},
		{"folded TE", []string{"X: y", " Transfer-Encoding: chunked"}, "", 200, ""},
		{"underscore TE", []string{"Transfer_Encoding: chunked", "Content-Length: 2"}, "ab", 200, "ab"},
		{"named in Connection", []string{"Connection: Content-Length", "Content-Length: 2"}, "ab", 200, "ab"},
		{"chunk size overflow", []string{"Transfer-Encoding: chunked"}, "FFFFFFFFFFFFFFFFF\r\nab\r\n0\r\n\r\n", 400, ""},
		{"chunk size with junk", []string{"Transfer-Encoding: chunked"}, "2x\r\nab\r\n0\r\n\r\n", 400, ""},
		{"chunk without end", []string{"Transfer-Encoding: chunked"}, "2\r\nabXX0\r\n\r\n", 400, ""},
		{"bare LF in header", []string{"X: y\nTransfer-Encoding: chunked"}, "0\r\n\r\n", 200, ""},
		{"CR in header", []string{"X: y\rz"}, "", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := newUpstream(t, nil)
			p := newProxy(t, api(t, up.URL))
			got := p.rawBody(t, tt.body, append([]string{"POST /api/first HTTP/1.1", "Host: app.example.com", "Sec-Fetch-Site: same-origin"}, tt.lines...)...)
			if got.StatusCode != tt.status {
				t.Errorf("answered %d %s", got.StatusCode, got.body)
			}
			for _, request := range up.requests() {
				if request.RequestURI != "/api/first" || len(request.TransferEncoding) > 0 && request.ContentLength >= 0 {
					t.Errorf("the upstream saw %s, %d bytes, %v", request.RequestURI, request.ContentLength, request.TransferEncoding)
				}
				if got.StatusCode == http.StatusOK && string(request.body) != tt.body1 {
					t.Errorf("the upstream read %q", request.body)
				}
			}
		})
	}
}

// Clients could put headers that upstreams trust into trailers.
func TestRequestTrailers(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	got := p.rawBody(t, "2\r\nab\r\n0\r\nX-Checksum: 1\r\nAuthorization: Bearer a-client's\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
		"POST /api/x HTTP/1.1", "Host: app.example.com", "Sec-Fetch-Site: same-origin", "Connection: close", "TE: trailers",
		"Transfer-Encoding: chunked", "Trailer: X-Checksum, Authorization")
	request := up.last(t)
	if got.StatusCode != http.StatusOK || string(request.body) != "ab" || len(request.Trailer) != 0 || request.Header["Te"] != nil {
		t.Errorf("answered %d; the upstream read %q with trailers %v, TE %q", got.StatusCode, request.body, request.Trailer, request.Header["Te"])
	}
	if auth := request.Header["Authorization"]; len(auth) != 1 || auth[0] != "Bearer "+accessToken {
		t.Errorf("Authorization %q", auth)
	}
}

// The client's Host header does not reach the upstream.
func TestHostIsTheUpstreams(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	stranger := tcpServer(t, func(net.Conn) { t.Error("a host of the client's choice was called") })
	host := strings.TrimPrefix(stranger, "http://")
	p.rawBody(t, "", "GET /api/x HTTP/1.1", "Host: "+host, "Sec-Fetch-Site: same-origin", "Connection: close", "X-Forwarded-Host: "+host)
	if got := "http://" + up.last(t).Host; got != up.URL {
		t.Errorf("the upstream saw Host %s", got)
	}
}
