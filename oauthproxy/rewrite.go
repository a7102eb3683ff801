package oauthproxy

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

func (h *Handler) newProxy(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        h.rewrite,
		ModifyResponse: h.answered,
		ErrorHandler:   h.failed,
		Transport:      transport,
		BufferPool:     &bufferPool{},
		ErrorLog:       slog.NewLogLogger(h.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// rewrite makes the upstream's request. ReverseProxy has removed hop-by-hop
// headers, those named in Connection too, and the forwarding headers before;
// what is set here cannot be taken away by a client (golang/go#50580).
func (h *Handler) rewrite(pr *httputil.ProxyRequest) {
	c, out := callOf(pr.In), pr.Out
	c.target(out)
	out.Trailer = nil // its values never come along
	delete(out.Header, "Te")
	h.cleanRequest(out.Header)
	values := make([]string, 0, 7) // of all headers, in one piece of memory
	set := func(canonical, value string) {
		values = append(values, value)
		out.Header[canonical] = values[len(values)-1 : len(values) : len(values)]
	}
	if token := c.token(); !token.IsZero() {
		set("Authorization", "Bearer "+token.Reveal())
	}
	// Who asked, and for what.
	if client := h.cfg.Site.ClientIP(pr.In); client.IsValid() {
		set("X-Forwarded-For", client.String())
	}
	set("X-Forwarded-Proto", h.scheme)
	set("X-Forwarded-Host", h.host)
	if c.route.StripPrefix {
		set("X-Forwarded-Prefix", strings.TrimSuffix(c.route.Path, "/"))
	}
	set("X-Request-Id", web.RequestID(pr.In))
	if h.cfg.Tracer == nil && !isTraceparent(out.Header["Traceparent"]) { // else the tracer says it, for every try anew
		delete(out.Header, "Tracestate")
		set("Traceparent", newTraceparent())
	}
}

// target is the upstream's URL with the path that was checked, as it was
// escaped, and the query as it came: ReverseProxy takes out parameters that Go
// cannot read (a=1;b=2), but nothing here was decided by them.
func (c *call) target(out *http.Request) {
	in, base := c.client.URL, c.route.Upstream
	path, raw := in.Path, ""
	if in.RawPath != "" || base.RawPath != "" {
		raw = in.EscapedPath()
	}
	if c.route.StripPrefix {
		path = path[len(c.route.Path)-1:]
		if raw != "" {
			raw = raw[len(c.route.Path)-1:] // it begins with the prefix: forward saw to it
		}
	}
	out.URL.Scheme, out.URL.Host, out.Host = base.Scheme, base.Host, base.Host
	out.URL.Path, out.URL.RawPath = strings.TrimSuffix(base.Path, "/")+path, ""
	if raw != "" {
		out.URL.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + raw
	}
	out.URL.RawQuery = in.RawQuery
}

// ours are the headers that an upstream may believe because they come from us.
//
//nolint:gochecknoglobals // a constant set
var ours = map[string]bool{
	"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "Forwarded": true, "Traceparent": true, "Tracestate": true,
	"X-Request-Id": true, "X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true, "X-Cluster-Client-Ip": true,
	"X-Original-Url": true, "X-Original-Uri": true, "X-Rewrite-Url": true, "X-Original-Host": true, "X-Host": true,
	"X-Http-Method": true, "X-Http-Method-Override": true, "X-Method-Override": true,
	"X-Auth-Subject": true, "X-Auth-Groups": true, "Remote-User": true,
	"Content-Length": true, "Transfer-Encoding": true, // as Content_Length
	"Proxy": true, // to CGI-like servers it is HTTP_PROXY (CVE-2016-5385)
}

// oursToo are families of such headers: other proxies' names for who asks.
//
//nolint:gochecknoglobals // a constant list
var oursToo = []string{"X-Forwarded", "X-User", "X-Remote-", "X-Auth-Request-", "X-Amzn-Oidc-"}

func isOurs(canonical string) bool {
	return ours[canonical] || slices.ContainsFunc(oursToo, func(prefix string) bool { return strings.HasPrefix(canonical, prefix) })
}

// passing are those of them that are a client's to send, in their own spelling.
func passing(name string) bool {
	return name == "Cookie" || name == "Traceparent" || name == "Tracestate"
}

// cleanRequest removes what a client must not say to an upstream (OAU-11): our
// cookies, headers that are ours to set, and their spellings with "_", which
// CGI-like servers read as "-" (PEERS: CVE-2025-64484).
func (h *Handler) cleanRequest(header http.Header) {
	for name := range header {
		canonical := name
		if strings.Contains(name, "_") {
			canonical = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		}
		if isOurs(canonical) && (canonical != name || !passing(name)) {
			delete(header, name)
		}
	}
	if lines, there := header["Cookie"]; there {
		if kept := h.otherCookies(lines); kept != "" {
			header["Cookie"] = []string{kept}
		} else {
			delete(header, "Cookie")
		}
	}
}

// otherCookies keeps the cookies that are not ours, as they came.
func (h *Handler) otherCookies(lines []string) string {
	var kept strings.Builder
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			if pair == "" || h.cfg.OurCookie(strings.TrimSpace(name)) {
				continue
			}
			if kept.Len() > 0 {
				kept.WriteString("; ")
			}
			kept.WriteString(pair)
		}
	}
	return kept.String()
}

var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// isTraceparent checks a client's trace context (W3C Trace Context §3.2).
func isTraceparent(values []string) bool {
	return len(values) == 1 && traceparent.MatchString(values[0]) &&
		!strings.Contains(values[0], "-00000000000000000000000000000000-") && !strings.Contains(values[0], "-0000000000000000-")
}

func newTraceparent() string {
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails (Go 1.24)
	text := make([]byte, 0, len("00-")+len("-")+2*len(id)+len("-00"))
	text = hex.AppendEncode(append(text, "00-"...), id[:16])
	text = hex.AppendEncode(append(text, '-'), id[16:])
	return string(append(text, "-00"...))
}
