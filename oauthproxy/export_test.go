package oauthproxy

import (
	"context"
	"net"
	"net/http"
)

// FrameFollower follows the frames of one direction of a WebSocket.
type FrameFollower struct{ f frames }

// Pass takes note of p, and returns how many bytes of it belonged to the frame
// that had begun.
func (f *FrameFollower) Pass(p []byte) (rest int) {
	rest = f.f.rest(p)
	f.f.pass(p)
	return rest
}

// Between reports whether no frame has begun, Closed whether the last one was a
// close frame.
func (f *FrameFollower) Between() bool { return f.f.between() }

// Closed reports whether the last whole frame was a close frame.
func (f *FrameFollower) Closed() bool { return f.f.closed }

// CloseGrace is how long the end of a socket may take.
const CloseGrace = closeGrace

// HTTP2Transport speaks HTTP/2 to an upstream as routes do, over connections that
// dial makes.
func HTTP2Transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) http.RoundTripper {
	return new(Handler).newTransport(func(t *http.Transport) {
		t.DialContext = dial
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}).RoundTripper
}

// OwnLocation is what becomes of a redirect of r's upstream.
func OwnLocation(r Route, to string) string { return (&route{Route: r}).ownLocation(to) }
