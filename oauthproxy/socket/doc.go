// Package socket proxies WebSockets (RFC 6455): it validates the client's
// handshake, repeats it to the upstream, and then copies frames in both directions
// until one side closes or the service closes the WebSocket.
//
// It protects against pages of other sites that open a WebSocket with the user's
// session (cross-site WebSocket hijacking, ASVS V4.4.2), against upgrades to other
// protocols, which would bypass every check of the proxy, and against peers that
// stop reading and would hold memory and connections for ever.
//
// The package handles neither sessions nor routes. Its caller authorises the request, removes
// and adds headers, and calls [Conn.Close] when the session has ended.
package socket
