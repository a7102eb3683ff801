package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP returns the address of the client. That is the peer's address or, if the peer
// is a trusted proxy, the right-most address in X-Forwarded-For that is not one of a trusted
// proxy. The list is read from the right, because the client can write anything to the left
// of it, and only up to an entry that is not an address (ASVS V15.3.4).
func (s *Site) ClientIP(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plainAddr(peer.Addr())
	if !s.trusted(client) {
		return client
	}
	fields := r.Header.Values("X-Forwarded-For")
	for _, field := range slices.Backward(fields) {
		for _, entry := range slices.Backward(strings.Split(field, ",")) {
			hop, err := parseHop(strings.TrimSpace(entry))
			if err != nil {
				return client
			}
			client = plainAddr(hop)
			if !s.trusted(client) {
				return client
			}
		}
	}
	return client
}

// trustedPeer reports whether r comes from a trusted proxy.
func (s *Site) trustedPeer(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.trusted(plainAddr(peer.Addr()))
}

// parseHop parses an entry of X-Forwarded-For. Some proxies write the port, too.
func parseHop(entry string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(entry); err == nil {
		return addr, nil
	}
	hop, err := netip.ParseAddrPort(entry)
	return hop.Addr(), err
}

// plainAddr returns addr in the form that is compared and logged. It has no zone, which
// means something on one machine only and may be any text.
func plainAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func (s *Site) trusted(addr netip.Addr) bool {
	for _, prefix := range s.proxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
