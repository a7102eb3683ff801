package oauthproxy

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

// This file decides which headers pass through the proxy. Everything that is not named
// here or in the lists of headernames.go passes unchanged, in both directions.
//
//	client → upstream: cleanRequest removes hopByHop, protectedRequest and our
//	cookies; requestHeader then sets the headers that upstreams may trust.
//
//	upstream → browser: cleanResponse removes hopByHop and protectedResponse;
//	response.go rewrites Location, WWW-Authenticate, Cache-Control, Vary,
//	Content-Security-Policy and X-Content-Type-Options. Trailers and interim
//	responses (100, 103) do not pass at all.
//
// The response that opens a WebSocket has a list of its own, in the package socket.

// removeHopByHop removes the hop-by-hop headers from h.
func removeHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// roomForHeaders is how many headers an upstream's request usually has more than the
// client's: requestHeader sets six, and Cookie is removed. A map that fits need not grow.
const roomForHeaders = 5

// cleanRequest returns a copy of the header of a client's request without what must not
// reach an upstream. That includes protected names that are spelled with "_", because
// CGI-like servers do not distinguish it from "-" (CVE-2025-64484 of oauth2-proxy). The
// values are shared with the client's header.
func (h *Handler) cleanRequest(client http.Header) http.Header {
	header := make(http.Header, len(client)+roomForHeaders)
	for name, values := range client {
		canonical := name
		if strings.Contains(name, "_") {
			canonical = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		}
		if !protectedRequest.has(canonical) || clientMaySend.has(name) {
			header[name] = values
		}
	}
	removeHopByHop(header)
	if lines, ok := header["Cookie"]; ok {
		if kept := h.withoutOurCookies(lines); kept != "" {
			header["Cookie"] = []string{kept}
		} else {
			delete(header, "Cookie")
		}
	}
	return header
}

// withoutOurCookies joins Cookie lines and leaves out the token handler's own cookies.
// The others stay as they were sent.
func (h *Handler) withoutOurCookies(lines []string) string {
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

// requestHeader returns the header of the upstream's request. What is set here comes
// after the removal of hop-by-hop headers, so that a client cannot remove it by
// naming it in Connection (golang/go#50580).
func (c *call) requestHeader() http.Header {
	h := c.handler.cleanRequest(c.client.Header)
	values := c.headerValues[:0]
	set := func(canonical, value string) {
		values = append(values, value)
		h[canonical] = values[len(values)-1 : len(values) : len(values)]
	}
	if token := c.token(); !token.IsZero() {
		set("Authorization", token.Bearer())
	}
	if address := c.handler.cfg.Site.ClientAddress(c.client); address != "" {
		set("X-Forwarded-For", address)
	}
	set("X-Forwarded-Proto", c.handler.scheme)
	set("X-Forwarded-Host", c.handler.host)
	if c.route.StripPrefix {
		set("X-Forwarded-Prefix", strings.TrimSuffix(c.route.Path, "/"))
	}
	set("X-Request-Id", web.RequestID(c.client))
	if c.handler.cfg.Tracer == nil && !isTraceparent(h["Traceparent"]) { // a tracer sets it for each attempt
		delete(h, "Tracestate")
		set("Traceparent", newTraceparent())
	}
	if _, ok := h["User-Agent"]; !ok {
		set("User-Agent", "") // or net/http would send its own
	}
	return h
}

// cleanResponse removes from the header of an upstream's response what only the
// app's site may say.
func cleanResponse(h http.Header) {
	removeHopByHop(h)
	for name := range h {
		if protectedResponse.has(name) && !upstreamMaySend.has(name) {
			delete(h, name)
		}
	}
}

var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// isTraceparent reports whether a client's Traceparent is valid (W3C Trace Context §3.2).
func isTraceparent(values []string) bool {
	return len(values) == 1 && traceparent.MatchString(values[0]) &&
		!strings.Contains(values[0], "-00000000000000000000000000000000-") && !strings.Contains(values[0], "-0000000000000000-")
}

// newTraceparent starts a trace that is not sampled.
func newTraceparent() string {
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails (Go 1.24)
	text := make([]byte, 0, len("00-")+len("-")+2*len(id)+len("-00"))
	text = hex.AppendEncode(append(text, "00-"...), id[:16])
	text = hex.AppendEncode(append(text, '-'), id[16:])
	return string(append(text, "-00"...))
}
