package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP is the address of the client: the peer's, or, if the peer is a
// trusted proxy, the right-most address of X-Forwarded-For that is not one.
// The list is read from the right because a client can write anything to its
// left; at the first entry that is no address the walk stops (ASVS V15.3.4).
func (s *Site) ClientIP(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := peer.Addr().Unmap()
	if !s.trusted(client) {
		return client
	}
	fields := r.Header.Values("X-Forwarded-For")
	for _, field := range slices.Backward(fields) {
		for _, entry := range slices.Backward(strings.Split(field, ",")) {
			hop, err := netip.ParseAddr(strings.TrimSpace(entry))
			if err != nil {
				return client
			}
			client = hop.Unmap()
			if !s.trusted(client) {
				return client
			}
		}
	}
	return client
}

func (s *Site) trusted(addr netip.Addr) bool {
	for _, prefix := range s.proxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
