package oauthproxy

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §1.3 asks for it; nothing rests on it
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// socketVersion is the only one (RFC 6455 §4.1).
	socketVersion = "13"
	// socketKeyBytes is the size of a handshake's key (RFC 6455 §4.1).
	socketKeyBytes = 16
	// socketGUID is what a server puts behind the key (RFC 6455 §1.3).
	socketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

var (
	errSwitched  = errors.New("the connection has become a WebSocket's")
	errNoSocket  = errors.New("the upstream answered a handshake with a 101 that does not fit it")
	errNoOrigin  = errors.New("a WebSocket's handshake without an origin of ours")
	errHandshake = errors.New("malformed WebSocket handshake")
)

// checkHandshake lets an upgrade pass only if it is to a WebSocket and to nothing
// that looks like one (RFC 6455 §4.2.1): what an upstream makes of h2c, or of a
// list of protocols, would go past every check here (golang/go#80416).
//
// A handshake is no fetch: the same-origin policy does not hold it back, no
// preflight comes before it, and its answer can be read by the page that asked.
// So Origin, which no page can forge, has to be there and to be ours
// (cross-site WebSocket hijacking, ASVS V4.4.2). That comes on top of what
// [web.Site.Guard] has checked, and X-CSRF is no way around it.
func (h *Handler) checkHandshake(r *http.Request) error {
	if problem := handshakeFault(r); problem != "" {
		return web.NewProblem(web.CodeInvalidRequest, problem, errHandshake).WithHeader("Sec-WebSocket-Version", socketVersion) // RFC 6455 §4.4
	}
	if !h.cfg.Site.NamesOurOrigin(r) {
		return web.NewProblem(web.CodeCrossSiteRequest, "a WebSocket needs an Origin, and it must be "+h.cfg.Site.PublicOrigin()+" or an allowed one", errNoOrigin)
	}
	return nil
}

// handshakeFault names what is wrong with a handshake, or nothing.
func handshakeFault(r *http.Request) string {
	upgrade, key, version := r.Header["Upgrade"], r.Header["Sec-Websocket-Key"], r.Header["Sec-Websocket-Version"]
	switch {
	case len(upgrade) != 1 || !isWord(upgrade[0], "websocket"):
		return "this route allows no protocol upgrade but to websocket"
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor != 1:
		return "a WebSocket begins with a GET over HTTP/1.1"
	case !hasToken(r.Header["Connection"], "upgrade"):
		return "a WebSocket's handshake needs Connection: Upgrade"
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "a WebSocket's handshake has no body"
	case len(version) != 1 || version[0] != socketVersion:
		return "a WebSocket's handshake needs Sec-WebSocket-Version: " + socketVersion
	case len(key) != 1 || !isSocketKey(key[0]):
		return "a WebSocket's handshake needs one Sec-WebSocket-Key of 16 bytes in base64"
	}
	return ""
}

func isSocketKey(key string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	// Decoding skips line ends.
	return err == nil && len(raw) == socketKeyBytes && len(key) == base64.StdEncoding.EncodedLen(socketKeyBytes)
}

// isWord compares without regard to case, as ASCII has it: to Unicode, webſocket
// is one, too.
func isWord(s, word string) bool { return len(s) == len(word) && strings.EqualFold(s, word) }

// hasToken looks for a word in a list header.
func hasToken(values []string, word string) bool {
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if isWord(strings.TrimSpace(token), word) {
				return true
			}
		}
	}
	return false
}

// socketAccept is the only right answer to a key (RFC 6455 §4.2.2).
func socketAccept(key string) string {
	sum := sha1.Sum([]byte(key + socketGUID)) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// switched takes the upstream's connection, if its 101 fits the handshake. Only
// what belongs to the handshake is told the client.
func (c *call) switched(answer *http.Response) error {
	upgrade, accept := answer.Header["Upgrade"], answer.Header["Sec-Websocket-Accept"]
	tunnel, ok := answer.Body.(io.ReadWriteCloser)
	if !ok || len(upgrade) != 1 || !isWord(upgrade[0], "websocket") || !hasToken(answer.Header["Connection"], "upgrade") ||
		len(accept) != 1 || accept[0] != socketAccept(c.key) {
		return errNoSocket
	}
	c.tunnel = tunnel
	answer.Body = http.NoBody // ReverseProxy closes it
	told := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": accept, "Cache-Control": {"no-store"}}
	for _, name := range []string{"Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		if values := answer.Header[name]; len(values) > 0 {
			told[name] = values
		}
	}
	c.commit(told)
	c.accepted = told
	return errSwitched
}
