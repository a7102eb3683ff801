package socket

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §1.3 requires it; no security depends on it
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// version is the only version of the protocol (RFC 6455 §4.1).
	version = "13"
	// keyBytes is the size of Sec-WebSocket-Key (RFC 6455 §4.1).
	keyBytes = 16
	// acceptGUID is what a server appends to the key before it hashes it (RFC 6455 §1.3).
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

var (
	errMalformed     = errors.New("malformed WebSocket handshake")
	errForeignOrigin = errors.New("WebSocket handshake without an Origin of ours")
	errInvalidAccept = errors.New("the upstream answered the WebSocket handshake with an invalid 101")
)

// IsUpgrade reports whether r asks for an upgrade to another protocol, to a
// WebSocket or to anything else.
func IsUpgrade(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

// CheckHandshake refuses every upgrade except a valid WebSocket handshake (RFC 6455
// §4.2.1) from an origin that site allows. The error is a [*web.Problem].
//
// A strict check of Upgrade matters: an upstream could turn h2c, or a list of
// protocols, into a tunnel that bypasses every check of the proxy (golang/go#80416).
//
// The same-origin policy does not apply to WebSockets: no preflight precedes the
// handshake, and the page that opened it can read what arrives. So the Origin
// header, which no page can forge, must be present and must be one of ours
// (cross-site WebSocket hijacking, ASVS V4.4.2). This check is in addition to
// [web.Site.Guard], and the X-CSRF header does not replace it.
func CheckHandshake(site *web.Site, r *http.Request) error {
	if detail := handshakeError(r); detail != "" {
		return web.NewProblem(web.CodeInvalidRequest, detail, errMalformed).WithHeader("Sec-WebSocket-Version", version) // RFC 6455 §4.4
	}
	if !site.NamesOurOrigin(r) {
		return web.NewProblem(web.CodeCrossSiteRequest, "a WebSocket needs an Origin, and it must be "+site.PublicOrigin()+" or an allowed one", errForeignOrigin)
	}
	return nil
}

// handshakeError describes what is wrong with a handshake. It is empty for a valid one.
func handshakeError(r *http.Request) string {
	upgrade, key, versions := r.Header["Upgrade"], r.Header["Sec-Websocket-Key"], r.Header["Sec-Websocket-Version"]
	switch {
	case len(upgrade) != 1 || !equalFoldASCII(upgrade[0], "websocket"):
		return "this route allows no protocol upgrade except to websocket"
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor != 1:
		return "a WebSocket handshake must be a GET over HTTP/1.1"
	case !hasToken(r.Header["Connection"], "upgrade"):
		return "a WebSocket handshake needs Connection: Upgrade"
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "a WebSocket handshake must not have a body"
	case len(versions) != 1 || versions[0] != version:
		return "a WebSocket handshake needs Sec-WebSocket-Version: " + version
	case len(key) != 1 || !isKey(key[0]):
		return "a WebSocket handshake needs one Sec-WebSocket-Key of 16 bytes in base64"
	}
	return ""
}

// isKey reports whether key is 16 bytes in base64. The length is compared as well,
// because the decoder skips line breaks.
func isKey(key string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(raw) == keyBytes && len(key) == base64.StdEncoding.EncodedLen(keyBytes)
}

// equalFoldASCII compares s to an ASCII word, ignoring the case of ASCII letters
// only: strings.EqualFold alone would accept "webſocket" (U+017F).
func equalFoldASCII(s, word string) bool { return len(s) == len(word) && strings.EqualFold(s, word) }

// hasToken reports whether a list header contains word.
func hasToken(values []string, word string) bool {
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if equalFoldASCII(strings.TrimSpace(token), word) {
				return true
			}
		}
	}
	return false
}

// acceptOf returns the only valid Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID)) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Upstream is the upstream's side of a WebSocket after a successful handshake.
type Upstream struct {
	// Header holds the upstream's answer to the handshake. [Upstream.Accept] sends it to
	// the client with the 101; the caller may add to it before.
	Header http.Header

	conn io.ReadWriteCloser
}

// Connect sends out to the upstream as a WebSocket handshake; it must carry the
// Sec-WebSocket-Key of a request that [CheckHandshake] accepted. Connect returns one
// of three: the upstream's connection if it accepted the handshake, its response if
// it answered with anything else than 101, or an error.
func Connect(out *http.Request, send func(*http.Request) (*http.Response, error)) (*Upstream, *http.Response, error) {
	// These two are hop-by-hop headers (RFC 9110 §7.6.1): nothing has copied them.
	out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	response, err := send(out)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		return nil, response, err
	}
	conn, ok := response.Body.(io.ReadWriteCloser)
	if !ok || !isAccepted(response.Header, out.Header["Sec-Websocket-Key"][0]) {
		_ = response.Body.Close()
		return nil, nil, errInvalidAccept
	}
	return &Upstream{Header: acceptHeader(response.Header), conn: conn}, nil, nil
}

// isAccepted reports whether the header of a 101 accepts a handshake with key
// (RFC 6455 §4.1). Any other 101 must not become a tunnel.
func isAccepted(h http.Header, key string) bool {
	upgrade, accept := h["Upgrade"], h["Sec-Websocket-Accept"]
	return len(upgrade) == 1 && equalFoldASCII(upgrade[0], "websocket") && hasToken(h["Connection"], "upgrade") &&
		len(accept) == 1 && accept[0] == acceptOf(key)
}

// acceptHeader keeps what belongs to the handshake of an upstream's header.
func acceptHeader(upstream http.Header) http.Header {
	h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Cache-Control": {"no-store"}}
	for _, name := range []string{"Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		if values := upstream[name]; len(values) > 0 {
			h[name] = values
		}
	}
	return h
}

// Close closes the connection to the upstream.
func (u *Upstream) Close() { _ = u.conn.Close() }
